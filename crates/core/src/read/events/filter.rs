//! Which events are wanted.

use std::collections::BTreeSet;
use std::fmt;

use super::Summary;
use crate::event::gtid::TransactionId;
use crate::event::gtid_selection::{GtidPosition, GtidSelection};
use crate::event::header::EventHeader;
use crate::read::pattern::Pattern;

/// A table's full name; bytes that are not UTF-8 are replaced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// Its database.
    pub database: String,
    /// Its own name.
    pub table: String,
}

impl TableName {
    /// From the bytes in an event.
    #[must_use]
    pub fn new(database: &[u8], table: &[u8]) -> Self {
        Self {
            database: String::from_utf8_lossy(database).into_owned(),
            table: String::from_utf8_lossy(table).into_owned(),
        }
    }

    /// From `database.table`; `None` without a dot. A database with dots in its name cannot be
    /// written so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (database, table) = text.split_once('.')?;
        Some(Self { database: database.to_owned(), table: table.to_owned() })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// What an event must be to be listed: all that is set must fit.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// One of these types, if there are any.
    pub types: BTreeSet<u8>,
    /// Not before this time, in seconds since 1970 UTC: that of the first event of its transaction,
    /// or of an event outside of transactions its own.
    pub from: Option<i64>,
    /// Before this time, as above.
    pub to: Option<i64>,
    /// At this plain offset, where an event must start, or behind it.
    pub start_position: Option<u64>,
    /// Before this plain offset.
    pub stop_position: Option<u64>,
    /// Of one of these transactions.
    pub gtids: Option<GtidSelection>,
    /// Of a MariaDB transaction behind this position.
    pub after_gtids: Option<GtidPosition>,
    /// Of a MariaDB transaction up to this position.
    pub up_to_gtids: Option<GtidPosition>,
    /// Of a transaction of one of these MariaDB domains, if there are any.
    pub domain_ids: BTreeSet<u32>,
    /// About one of these tables, if there are any: table maps, row events, and statements that name
    /// it.
    pub tables: BTreeSet<TableName>,
    /// From one of these servers, if there are any.
    pub server_ids: BTreeSet<u32>,
    /// So many bytes of a statement are told of; `None` for 512.
    pub statement_head: Option<usize>,
}

/// So many bytes of a statement are told of, where nobody asks for more.
const STATEMENT_HEAD: usize = 512;
/// So many are read to find out whether it names a table.
const LOOKED_AT: usize = 64 << 10;

impl EventFilter {
    pub(in crate::read) fn takes_header(&self, header: &EventHeader) -> bool {
        (self.types.is_empty() || self.types.contains(&header.event_type))
            && (self.server_ids.is_empty() || self.server_ids.contains(&header.server_id))
    }

    pub(in crate::read) fn takes_time(&self, timestamp: u32) -> bool {
        let time = i64::from(timestamp);
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time < to)
    }

    pub(in crate::read) fn takes_transaction(&self, transaction: Option<&TransactionId>) -> bool {
        let is_any = self.gtids.is_none()
            && self.after_gtids.is_none()
            && self.up_to_gtids.is_none()
            && self.domain_ids.is_empty();
        if is_any {
            return true;
        }
        transaction.is_some_and(|id| {
            self.gtids.as_ref().is_none_or(|gtids| gtids.contains(id))
                && self.after_gtids.as_ref().is_none_or(|after| after.is_before(id))
                && self.up_to_gtids.as_ref().is_none_or(|upto| upto.includes(id))
                && (self.domain_ids.is_empty() || is_of_domain(id, &self.domain_ids))
        })
    }

    pub(in crate::read) fn takes_summary(&self, summary: &Summary) -> bool {
        if self.tables.is_empty() {
            return true;
        }
        match summary {
            Summary::Table { name, .. } | Summary::Rows { name: Some(name), .. } => {
                self.tables.contains(&**name)
            }
            Summary::Query { database, statement, .. } => {
                self.tables.iter().any(|table| names(statement, database, table))
            }
            _ => false,
        }
    }

    /// So many bytes of a statement are read.
    pub(in crate::read) fn statement_head(&self) -> usize {
        let shown = self.statement_head.unwrap_or(STATEMENT_HEAD);
        if self.tables.is_empty() { shown } else { shown.max(LOOKED_AT) }
    }
}

/// Whether a statement, run with this default database, names a table.
fn names(statement: &str, database: &str, table: &TableName) -> bool {
    // Most statements do not have the word, and are told by a look.
    let has_word = statement.len() >= table.table.len()
        && statement
            .as_bytes()
            .windows(table.table.len().max(1))
            .any(|word| word.eq_ignore_ascii_case(table.table.as_bytes()));
    has_word && Pattern::of_table(&table.database, &table.table).is_in(statement, database)
}

/// Whether a transaction is of one of these MariaDB domains.
pub(crate) fn is_of_domain(id: &TransactionId, domains: &BTreeSet<u32>) -> bool {
    matches!(id, TransactionId::Mariadb { domain, .. } if domains.contains(domain))
}
