//! Where transactions begin and end in a chain of events.

use super::event_type;
use super::gtid::{TransactionId, TransactionStart};
use super::query::Query;
use super::walker::EventView;

/// How far a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Progress {
    /// The walk began in the middle of a log, and nothing has told yet.
    #[default]
    Unknown,
    /// Between two transactions.
    Outside,
    /// Its GTID has been seen, and no more.
    Begun,
    /// A COMMIT or its like will end it.
    Open,
}

impl Progress {
    /// What an event makes of it.
    #[must_use]
    pub fn after(self, event: &EventView<'_>) -> Self {
        let event_type = event.header.event_type;
        if event_type::begins_transaction(event_type) {
            return begun(event);
        }
        match event_type {
            event_type::XID
            | event_type::XA_PREPARE
            | event_type::TRANSACTION_PAYLOAD
            | event_type::STOP
            | event_type::INCIDENT => Self::Outside,
            event_type::QUERY | event_type::MARIADB_QUERY_COMPRESSED => self.after_query(event),
            // A row event can only be within a transaction.
            event_type::TABLE_MAP if self != Self::Outside => Self::Open,
            _ => self,
        }
    }

    fn after_query(self, event: &EventView<'_>) -> Self {
        let query = Query::parse(event.body()).ok();
        match (self, query) {
            (_, Some(query)) if query.is_end() => Self::Outside,
            (_, Some(query)) if query.is_inside_transaction() => Self::Open,
            // A statement that commits by itself.
            (Self::Begun, _) => Self::Outside,
            _ => self,
        }
    }

    /// Whether the log would end within a transaction here.
    #[must_use]
    pub const fn is_unfinished(self) -> bool {
        matches!(self, Self::Begun | Self::Open)
    }
}

/// MariaDB's GTID event is its BEGIN, too, unless it says that it stands alone.
fn begun(event: &EventView<'_>) -> Progress {
    match TransactionStart::parse(event) {
        Some(Ok(start))
            if matches!(start.id, TransactionId::Mariadb { .. }) && !start.standalone =>
        {
            Progress::Open
        }
        _ => Progress::Begun,
    }
}
