//! Which events are wanted.

use std::collections::BTreeSet;

use super::Summary;
use crate::event::gtid::TransactionId;
use crate::event::gtid_selection::{GtidPosition, GtidSelection};
use crate::event::header::EventHeader;
use crate::read::pattern::Pattern;
use crate::read::tables::TableGlob;

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
    /// Of none of these transactions.
    pub exclude_gtids: Option<GtidSelection>,
    /// Of a transaction that one of these connections ran, if there are any: from its first statement on,
    /// which tells the connection.
    pub thread_ids: BTreeSet<u32>,
    /// Statements with these words, if there are any.
    pub grep: Vec<Pattern>,
    /// Of a MariaDB transaction behind this position.
    pub after_gtids: Option<GtidPosition>,
    /// Of a MariaDB transaction up to this position.
    pub up_to_gtids: Option<GtidPosition>,
    /// Of a transaction of one of these MariaDB domains, if there are any.
    pub domain_ids: BTreeSet<u32>,
    /// About one of these tables, if there are any: table maps, row events, and statements that name
    /// it.
    pub tables: Vec<TableGlob>,
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
    /// Whether every event is wanted, wherever it is.
    pub(in crate::read) fn takes_all(&self) -> bool {
        let Self {
            types,
            from,
            to,
            start_position: _,
            stop_position: _,
            gtids,
            exclude_gtids,
            thread_ids,
            grep,
            after_gtids,
            up_to_gtids,
            domain_ids,
            tables,
            server_ids,
            statement_head: _,
        } = self;
        let lists = [types.len(), thread_ids.len(), grep.len(), domain_ids.len(), tables.len()];
        from.is_none()
            && to.is_none()
            && gtids.is_none()
            && exclude_gtids.is_none()
            && after_gtids.is_none()
            && up_to_gtids.is_none()
            && server_ids.is_empty()
            && lists.iter().all(|length| *length == 0)
    }

    pub(in crate::read) fn takes_header(&self, header: &EventHeader) -> bool {
        (self.types.is_empty() || self.types.contains(&header.event_type))
            && (self.server_ids.is_empty() || self.server_ids.contains(&header.server_id))
    }

    pub(in crate::read) fn takes_time(&self, timestamp: u32) -> bool {
        let time = i64::from(timestamp);
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time < to)
    }

    /// Whether a transaction is chosen by its connection, `None` where that is not known.
    pub(in crate::read) fn takes_thread(&self, thread: Option<u32>) -> bool {
        self.thread_ids.is_empty() || thread.is_some_and(|id| self.thread_ids.contains(&id))
    }

    pub(in crate::read) fn takes_transaction(&self, transaction: Option<&TransactionId>) -> bool {
        let excluded = self.exclude_gtids.as_ref();
        if excluded.is_some_and(|set| transaction.is_some_and(|id| set.contains(id))) {
            return false;
        }
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

    pub(in crate::read) fn takes_summary(&self, summary: &Summary<'_>) -> bool {
        self.takes_words(summary) && self.takes_tables(summary)
    }

    fn takes_words(&self, summary: &Summary<'_>) -> bool {
        if self.grep.is_empty() {
            return true;
        }
        match summary {
            Summary::Query { database, statement, .. } => {
                self.grep.iter().any(|words| words.is_in(statement, database))
            }
            Summary::RowsQuery { statement, .. } => {
                self.grep.iter().any(|words| words.is_in(statement, ""))
            }
            _ => false,
        }
    }

    fn takes_tables(&self, summary: &Summary<'_>) -> bool {
        if self.tables.is_empty() {
            return true;
        }
        match summary {
            Summary::Table { name, .. } | Summary::Rows { name: Some(name), .. } => {
                self.tables.iter().any(|glob| glob.fits(&name.database, &name.table))
            }
            Summary::Query { database, statement, .. } => {
                self.tables.iter().any(|glob| glob.is_named_in(statement, database))
            }
            _ => false,
        }
    }

    /// So many bytes of a statement are read.
    pub(in crate::read) fn statement_head(&self) -> usize {
        let shown = self.statement_head.unwrap_or(STATEMENT_HEAD);
        let is_read = !self.tables.is_empty() || !self.grep.is_empty();
        if is_read { shown.max(LOOKED_AT) } else { shown }
    }
}

/// Whether a transaction is of one of these MariaDB domains.
pub(crate) fn is_of_domain(id: &TransactionId, domains: &BTreeSet<u32>) -> bool {
    matches!(id, TransactionId::Mariadb { domain, .. } if domains.contains(domain))
}
