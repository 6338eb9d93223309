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
use crate::event::variable::{INTVAR, RAND, USER_VAR, Variable};
use crate::event::walker::EventView;

/// A list of more GTIDs is not shown.
const MAX_LISTED: usize = 65_536;

/// So many bytes of a statement that MariaDB compressed are unfolded, whatever is shown of it.
const UNFOLDED_AT_LEAST: usize = 1 << 10;
/// No more than this: the longest that a walk holds of an event.
const UNFOLDED_AT_MOST: usize = 16 << 20;

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
        /// When it was committed on the server that wrote the log, in microseconds since 1970 UTC, where
        /// the event says.
        committed: Option<u64>,
    },
    /// Transactions that older logs hold.
    PreviousGtids(GtidSet),
    /// The last transactions that older logs of MariaDB hold.
    GtidList(GtidList),
    /// A statement.
    Query {
        /// The connection that ran it.
        thread_id: u32,
        /// The error that it ended in, 0 for none.
        error_code: u16,
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
    /// What the next statement is run with: `@name = 'value'`, `INSERT_ID = 7`.
    Variable(String),
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
    (counts_rows, head): (bool, usize),
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
            Query::of_at_most(event, head.clamp(UNFOLDED_AT_LEAST, UNFOLDED_AT_MOST))
                .map(|query| query_summary(&query, head))
        }
        event_type::ROWS_QUERY => {
            // The first byte is a length that is wrong for long statements, and not used.
            Some(rows_query(body.get(1..).unwrap_or_default(), head))
        }
        event_type::MARIADB_ANNOTATE_ROWS => Some(rows_query(body, head)),
        INTVAR | RAND | USER_VAR => {
            Variable::parse(kind, body).map(|it| Summary::Variable(cut(&it.to_string(), head)))
        }
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
            .map(|start| Summary::Transaction { length: start.length, committed: start.committed }),
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

fn query_summary(query: &Query<'_>, most: usize) -> Summary {
    let (statement, cut) = head(&query.statement, query.length, most);
    Summary::Query {
        thread_id: query.thread_id,
        error_code: query.error_code,
        database: String::from_utf8_lossy(query.database).into_owned(),
        statement,
        cut,
    }
}

fn rows_query(statement: &[u8], most: usize) -> Summary {
    let (statement, cut) = head(statement, statement.len(), most);
    Summary::RowsQuery { statement, cut }
}

/// A text that is too long, up to where a character ends.
fn cut(text: &str, most: usize) -> String {
    let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= most);
    end.map_or_else(|| text.to_owned(), |end| format!("{}…", text.get(..end).unwrap_or_default()))
}

/// The first bytes of a statement of this length as text, at most so many, and whether it goes on.
fn head(statement: &[u8], length: usize, most: usize) -> (String, bool) {
    let head = statement.get(..most).unwrap_or(statement);
    let cut = head.len() < length;
    let mut text = String::from_utf8_lossy(head).into_owned();
    if cut {
        // The last character may have been cut, too.
        text.truncate(text.trim_end_matches('\u{FFFD}').len());
    }
    (text, cut)
}
