//! Which events are wanted.

use std::collections::BTreeSet;
use std::fmt;

use super::Summary;
use crate::event::gtid::TransactionId;
use crate::event::gtid_set::GtidSet;
use crate::event::header::EventHeader;

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
        Some(Self {
            database: database.to_owned(),
            table: table.to_owned(),
        })
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
    /// Not before this time, in seconds since 1970 UTC.
    pub from: Option<i64>,
    /// Before this time.
    pub to: Option<i64>,
    /// At this plain offset, where an event must start, or behind it.
    pub start_position: Option<u64>,
    /// Before this plain offset.
    pub stop_position: Option<u64>,
    /// Of a transaction in this set.
    pub gtids: Option<GtidSet>,
    /// About one of these tables (table maps and row events), if there are any.
    pub tables: BTreeSet<TableName>,
    /// From one of these servers, if there are any.
    pub server_ids: BTreeSet<u32>,
}

impl EventFilter {
    pub(super) fn takes_header(&self, header: &EventHeader) -> bool {
        let time = i64::from(header.timestamp);
        (self.types.is_empty() || self.types.contains(&header.event_type))
            && (self.server_ids.is_empty() || self.server_ids.contains(&header.server_id))
            && self.from.is_none_or(|from| time >= from)
            && self.to.is_none_or(|to| time < to)
    }

    pub(super) fn takes_transaction(&self, transaction: Option<&TransactionId>) -> bool {
        let Some(gtids) = &self.gtids else {
            return true;
        };
        matches!(transaction, Some(TransactionId::Gtid(gtid)) if gtids.contains(gtid))
    }

    pub(super) fn takes_summary(&self, summary: &Summary) -> bool {
        if self.tables.is_empty() {
            return true;
        }
        matches!(summary, Summary::Table { name, .. } | Summary::Rows { name: Some(name), .. }
            if self.tables.contains(name))
    }
}
