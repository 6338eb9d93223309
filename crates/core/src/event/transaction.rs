//! Where transactions begin and end in a chain of events.

use super::event_type;
use super::gtid::{TransactionId, TransactionStart};
use super::query::Query;
use super::walker::EventView;

/// How far a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Progress {
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
    pub(crate) fn after(self, event: &EventView<'_>) -> Self {
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
        let query = Query::of(event);
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
    pub(crate) const fn is_unfinished(self) -> bool {
        matches!(self, Self::Begun | Self::Open)
    }
}

/// MariaDB's GTID event is its BEGIN, too, unless it says that it stands alone.
fn begun(event: &EventView<'_>) -> Progress {
    if event.header.event_type != event_type::MARIADB_GTID {
        return Progress::Begun;
    }
    match TransactionStart::parse(event) {
        Some(Ok(start))
            if matches!(start.id, TransactionId::Mariadb { .. }) && !start.standalone =>
        {
            Progress::Open
        }
        _ => Progress::Begun,
    }
}

/// Whether events of a type stand in transactions alone. Rows do, too, behind the event that names
/// their table.
pub(crate) const fn is_part_of_transaction(event_type: u8) -> bool {
    use super::variable::{INTVAR, RAND, USER_VAR};
    const BEGIN_LOAD_QUERY: u8 = 17;
    const EXECUTE_LOAD_QUERY: u8 = 18;
    matches!(
        event_type,
        event_type::QUERY
            | INTVAR
            | RAND
            | USER_VAR
            | event_type::XID
            | BEGIN_LOAD_QUERY
            | EXECUTE_LOAD_QUERY
            | event_type::TABLE_MAP
            | event_type::ROWS_QUERY
            | event_type::XA_PREPARE
            | event_type::TRANSACTION_PAYLOAD
            | event_type::MARIADB_ANNOTATE_ROWS
            | event_type::MARIADB_QUERY_COMPRESSED
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::sample;

    const ALL: [Progress; 4] =
        [Progress::Unknown, Progress::Outside, Progress::Begun, Progress::Open];

    /// What an event makes of each of them.
    fn after(event_type: u8, body: &[u8]) -> [Progress; 4] {
        let bytes = sample::event(event_type, body);
        let event = sample::view(&bytes);
        ALL.map(|progress| progress.after(&event))
    }

    fn after_statement(statement: &str) -> [Progress; 4] {
        let body = [&[0; 13][..], &[0], statement.as_bytes()].concat();
        after(event_type::QUERY, &body)
    }

    #[test]
    fn events_begin_and_end_transactions() {
        use Progress::{Begun, Open, Outside, Unknown};
        for ends in [
            event_type::XID,
            event_type::XA_PREPARE,
            event_type::TRANSACTION_PAYLOAD,
            event_type::STOP,
            event_type::INCIDENT,
        ] {
            assert_eq!(after(ends, &[]), [Outside; 4], "{ends}");
        }
        assert_eq!(after(event_type::GTID, &[0; 25]), [Begun; 4]);
        // A table map outside of a transaction opens none.
        assert_eq!(after(event_type::TABLE_MAP, &[]), [Open, Outside, Open, Open]);
        assert_eq!(after(event_type::ROTATE, &[]), ALL);
        let mariadb = |flags| after(event_type::MARIADB_GTID, &[&[0; 12][..], &[flags]].concat());
        assert_eq!((mariadb(0), mariadb(1)), ([Open; 4], [Begun; 4]));
        for statement in ["COMMIT", "rollback", " COMMIT "] {
            assert_eq!(after_statement(statement), [Outside; 4], "{statement}");
        }
        for statement in ["BEGIN", "XA START 'x'", "SAVEPOINT s", "ROLLBACK TO s"] {
            assert_eq!(after_statement(statement), [Open; 4], "{statement}");
        }
        let by_itself = [Unknown, Outside, Outside, Open];
        assert_eq!(after_statement("CREATE TABLE t (a INT)"), by_itself);
        let unfinished = ALL.map(Progress::is_unfinished);
        assert_eq!(unfinished, [false, false, true, true]);
    }
}
