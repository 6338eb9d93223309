//! What an event says, in a few words.

use std::sync::Arc;

use super::TableName;
use super::context::{Table, Tables};
use crate::bytes::Cursor;
use crate::event::event_type;
use crate::event::format_description::FormatDescription;
use crate::event::gtid::TransactionStart;
use crate::event::gtid_list::GtidList;
use crate::event::gtid_set::GtidSet;
use crate::event::payload::Payload;
use crate::event::query::Query;
use crate::event::rotate::Rotate;
use crate::event::rows::Rows;
use crate::event::walker::EventView;

/// A list of more GTIDs is not shown.
const MAX_LISTED: usize = 65_536;

/// So many bytes of a statement are shown.
const STATEMENT_HEAD: usize = 512;

/// What an event says. Text that is not UTF-8 has its wrong bytes replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Summary {
    /// Nothing that is shown.
    Nothing,
    /// Its checksum is wrong: what it says cannot be known.
    Damaged,
    /// Its body is not as the server writes it.
    Unreadable,
    /// The log begins: the version of its server.
    Description(String),
    /// A transaction begins; which one is in the record.
    Transaction {
        /// Bytes in it before compression, where the event says.
        length: Option<u64>,
    },
    /// Transactions that older logs hold.
    PreviousGtids(GtidSet),
    /// The last transactions that older logs of MariaDB hold.
    GtidList(GtidList),
    /// A statement.
    Query {
        /// The default database.
        database: String,
        /// The beginning of the statement.
        statement: String,
        /// Whether it goes on.
        cut: bool,
    },
    /// The statement behind row events.
    RowsQuery {
        /// The beginning of the statement.
        statement: String,
        /// Whether it goes on.
        cut: bool,
    },
    /// A table gets its number.
    Table {
        /// The name.
        name: Arc<TableName>,
        /// Its number.
        table_id: u64,
    },
    /// Rows of a table.
    Rows {
        /// Which one; `None` when its table map is not part of what was read.
        name: Option<Arc<TableName>>,
        /// Its number.
        table_id: u64,
        /// How many; `None` where they cannot be counted, see [`Rows::count`].
        rows: Option<u64>,
    },
    /// A commit.
    Xid(u64),
    /// The next log.
    Rotate {
        /// Its name.
        next_log: String,
        /// Where reading goes on.
        position: u64,
    },
    /// A compressed transaction.
    Payload {
        /// Bytes as they are in the log.
        compressed: Option<u64>,
        /// Bytes unfolded.
        uncompressed: Option<u64>,
    },
}

/// Sums up an event that maps no table; rows are counted only if that is wanted.
pub(super) fn of_event(
    event: &EventView<'_>,
    tables: &Tables<Table>,
    counts_rows: bool,
) -> Summary {
    let (kind, body) = (event.header.event_type, event.body());
    let summary = match kind {
        event_type::FORMAT_DESCRIPTION => FormatDescription::parse(event.bytes)
            .ok()
            .map(|description| Summary::Description(description.server_version)),
        event_type::PREVIOUS_GTIDS => GtidSet::parse_encoded(body).ok().map(Summary::PreviousGtids),
        event_type::MARIADB_GTID_LIST => GtidList::parse_within(body, MAX_LISTED)
            .ok()
            .map(|list| list.map_or(Summary::Nothing, Summary::GtidList)),
        event_type::QUERY | event_type::MARIADB_QUERY_COMPRESSED => {
            Query::of(event).map(|query| query_summary(&query))
        }
        event_type::ROWS_QUERY => {
            // The first byte is a length that is wrong for long statements, and not used.
            Some(rows_query(body.get(1..).unwrap_or_default()))
        }
        event_type::MARIADB_ANNOTATE_ROWS => Some(rows_query(body)),
        event_type::XID => Cursor::new(body).u64_le().ok().map(Summary::Xid),
        event_type::ROTATE => Rotate::parse(body).ok().map(|rotate| Summary::Rotate {
            next_log: String::from_utf8_lossy(rotate.next_log).into_owned(),
            position: rotate.position,
        }),
        event_type::TRANSACTION_PAYLOAD => Payload::parse(body).ok().map(|p| Summary::Payload {
            compressed: p.payload_size,
            uncompressed: p.uncompressed_size,
        }),
        kind if event_type::is_rows(kind) || event_type::is_early_rows(kind) => {
            rows(event, tables, counts_rows)
        }
        kind if event_type::begins_transaction(kind) => TransactionStart::parse(event)
            .and_then(Result::ok)
            .map(|start| Summary::Transaction { length: start.length }),
        _ => Some(Summary::Nothing),
    };
    summary.unwrap_or(Summary::Unreadable)
}

fn rows(event: &EventView<'_>, tables: &Tables<Table>, counts: bool) -> Option<Summary> {
    let rows = Rows::parse(event.header.event_type, event.body()).ok()?;
    let table = tables.get(rows.table_id);
    let table_of_whole = table.filter(|_| counts && event.is_whole());
    let count = table_of_whole
        .and_then(|table| rows.count(&table.columns).or_else(|| rows.count_early(&table.types)));
    Some(Summary::Rows {
        name: table.map(|table| Arc::clone(&table.name)),
        table_id: rows.table_id,
        rows: count,
    })
}

fn query_summary(query: &Query<'_>) -> Summary {
    let (statement, cut) = head(&query.statement, query.length);
    Summary::Query {
        database: String::from_utf8_lossy(query.database).into_owned(),
        statement,
        cut,
    }
}

fn rows_query(statement: &[u8]) -> Summary {
    let (statement, cut) = head(statement, statement.len());
    Summary::RowsQuery { statement, cut }
}

/// The first bytes of a statement of this length as text, and whether it goes on.
fn head(statement: &[u8], length: usize) -> (String, bool) {
    let head = statement.get(..STATEMENT_HEAD).unwrap_or(statement);
    let cut = head.len() < length;
    let mut text = String::from_utf8_lossy(head).into_owned();
    if cut {
        // The last character may have been cut, too.
        text.truncate(text.trim_end_matches('\u{FFFD}').len());
    }
    (text, cut)
}
