//! The types of events, by number and by name.
//!
//! Numbers are those of the servers' sources (MySQL: `Log_event_type`; MariaDB's own begin at
//! 160). Names are MySQL's without `_EVENT` and `_LOG_EVENT`.

use std::borrow::Cow;

/// QUERY: a statement.
pub const QUERY: u8 = 2;
/// STOP: the server was shut down.
pub const STOP: u8 = 3;
/// ROTATE: names the next log.
pub const ROTATE: u8 = 4;
/// FORMAT_DESCRIPTION: the first event of every log.
pub const FORMAT_DESCRIPTION: u8 = 15;
/// XID: commits a transaction.
pub const XID: u8 = 16;
/// TABLE_MAP: gives a table the number that row events name it by.
pub const TABLE_MAP: u8 = 19;
/// UPDATE_ROWS of servers of the 5.1 series before 5.1.18.
pub const EARLY_UPDATE_ROWS: u8 = 21;
/// WRITE_ROWS, version 1.
pub const WRITE_ROWS_V1: u8 = 23;
/// DELETE_ROWS, version 1.
pub const DELETE_ROWS_V1: u8 = 25;
/// INCIDENT: something was not logged.
pub const INCIDENT: u8 = 26;
/// HEARTBEAT: sent, never stored in a binary log.
pub const HEARTBEAT: u8 = 27;
/// ROWS_QUERY: the statement behind the row events that follow.
pub const ROWS_QUERY: u8 = 29;
/// WRITE_ROWS, version 2.
pub const WRITE_ROWS: u8 = 30;
/// UPDATE_ROWS, version 2.
pub const UPDATE_ROWS: u8 = 31;
/// DELETE_ROWS, version 2.
pub const DELETE_ROWS: u8 = 32;
/// GTID: begins a transaction.
pub const GTID: u8 = 33;
/// ANONYMOUS_GTID: begins a transaction that has no GTID.
pub const ANONYMOUS_GTID: u8 = 34;
/// PREVIOUS_GTIDS: which transactions older logs hold.
pub const PREVIOUS_GTIDS: u8 = 35;
/// XA_PREPARE: ends the first half of an XA transaction.
pub const XA_PREPARE: u8 = 38;
/// PARTIAL_UPDATE_ROWS: UPDATE_ROWS with changes to JSON columns in place of their values.
pub const PARTIAL_UPDATE_ROWS: u8 = 39;
/// TRANSACTION_PAYLOAD: the events of a transaction, compressed.
pub const TRANSACTION_PAYLOAD: u8 = 40;
/// GTID_TAGGED: begins a transaction whose GTID has a tag (MySQL 8.3 and later).
pub const GTID_TAGGED: u8 = 42;
/// START_5_7_ENCRYPTION of Percona Server 5.7.
pub const PERCONA_START_ENCRYPTION: u8 = 159;
/// ANNOTATE_ROWS of MariaDB: as ROWS_QUERY.
pub const MARIADB_ANNOTATE_ROWS: u8 = 160;
/// BINLOG_CHECKPOINT of MariaDB: from which log on a recovery would have to read.
pub const MARIADB_BINLOG_CHECKPOINT: u8 = 161;
/// GTID of MariaDB: begins a transaction.
pub const MARIADB_GTID: u8 = 162;
/// GTID_LIST of MariaDB: the last GTIDs of older logs.
pub const MARIADB_GTID_LIST: u8 = 163;
/// START_ENCRYPTION of MariaDB.
pub const MARIADB_START_ENCRYPTION: u8 = 164;
/// QUERY_COMPRESSED of MariaDB: zlib instead of text.
pub const MARIADB_QUERY_COMPRESSED: u8 = 165;
/// The first of MariaDB's row events with compressed rows.
pub const MARIADB_WRITE_ROWS_COMPRESSED_V1: u8 = 166;
/// The last of MariaDB's row events with compressed rows.
pub const MARIADB_DELETE_ROWS_COMPRESSED: u8 = 171;
/// PARTIAL_ROW_DATA of MariaDB 12.3: a piece of a row event that is too large to be sent whole.
pub const MARIADB_PARTIAL_ROW_DATA: u8 = 172;

/// Types 0 to 42 of MySQL 9.7, those that no server writes any more included.
const MYSQL: [&str; 43] = [
    "UNKNOWN",
    "START_V3",
    "QUERY",
    "STOP",
    "ROTATE",
    "INTVAR",
    "LOAD",
    "SLAVE",
    "CREATE_FILE",
    "APPEND_BLOCK",
    "EXEC_LOAD",
    "DELETE_FILE",
    "NEW_LOAD",
    "RAND",
    "USER_VAR",
    "FORMAT_DESCRIPTION",
    "XID",
    "BEGIN_LOAD_QUERY",
    "EXECUTE_LOAD_QUERY",
    "TABLE_MAP",
    "PRE_GA_WRITE_ROWS",
    "PRE_GA_UPDATE_ROWS",
    "PRE_GA_DELETE_ROWS",
    "WRITE_ROWS_V1",
    "UPDATE_ROWS_V1",
    "DELETE_ROWS_V1",
    "INCIDENT",
    "HEARTBEAT",
    "IGNORABLE",
    "ROWS_QUERY",
    "WRITE_ROWS",
    "UPDATE_ROWS",
    "DELETE_ROWS",
    "GTID",
    "ANONYMOUS_GTID",
    "PREVIOUS_GTIDS",
    "TRANSACTION_CONTEXT",
    "VIEW_CHANGE",
    "XA_PREPARE",
    "PARTIAL_UPDATE_ROWS",
    "TRANSACTION_PAYLOAD",
    "HEARTBEAT_V2",
    "GTID_TAGGED",
];

/// Types from 159 on: Percona Server's, then MariaDB's.
const OTHERS: [&str; 14] = [
    "START_5_7_ENCRYPTION",
    "ANNOTATE_ROWS",
    "BINLOG_CHECKPOINT",
    "MARIADB_GTID",
    "GTID_LIST",
    "START_ENCRYPTION",
    "QUERY_COMPRESSED",
    "WRITE_ROWS_COMPRESSED_V1",
    "UPDATE_ROWS_COMPRESSED_V1",
    "DELETE_ROWS_COMPRESSED_V1",
    "WRITE_ROWS_COMPRESSED",
    "UPDATE_ROWS_COMPRESSED",
    "DELETE_ROWS_COMPRESSED",
    "PARTIAL_ROW_DATA",
];

/// The name of a type, if a server writes it or ever did.
#[must_use]
pub fn known_name(event_type: u8) -> Option<&'static str> {
    let others = event_type.checked_sub(PERCONA_START_ENCRYPTION);
    match others {
        Some(index) => OTHERS.get(usize::from(index)).copied(),
        None => MYSQL.get(usize::from(event_type)).copied(),
    }
}

/// The name of a type; `UNKNOWN_n` for a number that nobody uses.
#[must_use]
pub fn name(event_type: u8) -> Cow<'static, str> {
    match known_name(event_type) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(format!("UNKNOWN_{event_type}")),
    }
}

/// The type of a name, in either case, with or without `_EVENT`; or of its number in digits.
#[must_use]
pub fn from_name(name: &str) -> Option<u8> {
    let wanted = name.to_ascii_uppercase();
    let wanted = wanted.strip_suffix("_EVENT").unwrap_or(&wanted);
    let wanted = wanted.strip_suffix("_LOG").unwrap_or(wanted);
    let by_name = (0..=u8::MAX).find(|&number| known_name(number) == Some(wanted));
    by_name.or_else(|| wanted.parse().ok())
}

/// The types that a name stands for where events are chosen: `GTID` is whatever begins a
/// transaction, `QUERY` a statement, `WRITE_ROWS`, `UPDATE_ROWS` and `DELETE_ROWS` rows, of every
/// version and compressed or not. Any other name, and a number, is one type.
#[must_use]
pub fn chosen_by(name: &str) -> Vec<u8> {
    let Some(one) = from_name(name) else {
        return Vec::new();
    };
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    match one {
        _ if is_number => vec![one],
        GTID => vec![GTID, ANONYMOUS_GTID, GTID_TAGGED, MARIADB_GTID],
        QUERY => vec![QUERY, MARIADB_QUERY_COMPRESSED],
        WRITE_ROWS => vec![20, WRITE_ROWS_V1, WRITE_ROWS, 166, 169],
        UPDATE_ROWS => vec![EARLY_UPDATE_ROWS, 24, UPDATE_ROWS, PARTIAL_UPDATE_ROWS, 167, 170],
        DELETE_ROWS => vec![22, DELETE_ROWS_V1, DELETE_ROWS, 168, 171],
        other => vec![other],
    }
}

/// Whether rows follow the event's header: versions 1 and 2, partial updates, MariaDB's compressed.
#[must_use]
pub const fn is_rows(event_type: u8) -> bool {
    matches!(
        event_type,
        WRITE_ROWS_V1..=DELETE_ROWS_V1
            | WRITE_ROWS..=DELETE_ROWS
            | PARTIAL_UPDATE_ROWS
            | MARIADB_WRITE_ROWS_COMPRESSED_V1..=MARIADB_DELETE_ROWS_COMPRESSED
    )
}

/// Whether rows follow in the form of servers of the 5.1 series before 5.1.18.
#[must_use]
pub const fn is_early_rows(event_type: u8) -> bool {
    matches!(event_type, 20..=22)
}

/// Whether the event begins a transaction.
#[must_use]
pub const fn begins_transaction(event_type: u8) -> bool {
    matches!(event_type, GTID | ANONYMOUS_GTID | GTID_TAGGED | MARIADB_GTID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_events_with_rows() {
        // Those before MySQL 5.1.16, and MariaDB's statement before the rows, are others.
        let has_rows = |number: &u8| {
            let name = name(*number);
            name.contains("_ROWS") && !name.starts_with("PRE_GA") && name != "ANNOTATE_ROWS"
        };
        let expected: Vec<u8> = (0..=u8::MAX).filter(has_rows).collect();
        let found: Vec<u8> = (0..=u8::MAX).filter(|&number| is_rows(number)).collect();
        assert_eq!((found.len(), found), (13, expected));
    }

    #[test]
    fn names_and_numbers_agree() {
        for (number, text) in [
            (QUERY, "QUERY"),
            (FORMAT_DESCRIPTION, "FORMAT_DESCRIPTION"),
            (TABLE_MAP, "TABLE_MAP"),
            (WRITE_ROWS, "WRITE_ROWS"),
            (GTID_TAGGED, "GTID_TAGGED"),
            (MARIADB_GTID, "MARIADB_GTID"),
            (MARIADB_DELETE_ROWS_COMPRESSED, "DELETE_ROWS_COMPRESSED"),
            (200, "UNKNOWN_200"),
        ] {
            assert_eq!(name(number), text);
        }
        assert_eq!(from_name("gtid_tagged_log_event"), Some(GTID_TAGGED));
        assert_eq!(from_name("Query_event"), Some(QUERY));
        assert_eq!(from_name("200"), Some(200));
        assert_eq!(from_name("nonsense"), None);
        for number in 0..=u8::MAX {
            if let Some(name) = known_name(number) {
                assert_eq!(from_name(name), Some(number));
            }
        }
    }
}
