//! What an event says, in a few words.

use std::borrow::Cow;

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

/// What an event says, borrowed from it as far as that goes. Text that is not UTF-8 has its wrong bytes
/// replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Summary<'a> {
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
        database: Cow<'a, str>,
        /// The beginning of the statement.
        statement: Cow<'a, str>,
        /// Whether it goes on.
        cut: bool,
    },
    /// The statement behind row events.
    RowsQuery {
        /// The beginning of the statement.
        statement: Cow<'a, str>,
        /// Whether it goes on.
        cut: bool,
    },
    /// A table gets its number.
    Table {
        /// The name.
        name: Cow<'a, TableName>,
        /// Its number.
        table_id: u64,
    },
    /// Rows of a table.
    Rows {
        /// Which one; `None` when its table map is not part of what was read.
        name: Option<Cow<'a, TableName>>,
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

impl Summary<'_> {
    /// The same with texts of its own.
    #[must_use]
    pub fn into_owned(self) -> Summary<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let own_name = |name: Cow<'_, TableName>| Cow::Owned(name.into_owned());
        match self {
            Self::Nothing => Summary::Nothing,
            Self::Damaged => Summary::Damaged,
            Self::Unreadable => Summary::Unreadable,
            Self::Description(version) => Summary::Description(version),
            Self::Transaction { length, committed } => Summary::Transaction { length, committed },
            Self::PreviousGtids(set) => Summary::PreviousGtids(set),
            Self::GtidList(list) => Summary::GtidList(list),
            Self::Query { thread_id, error_code, database, statement, cut } => {
                let (database, statement) = (own(database), own(statement));
                Summary::Query { thread_id, error_code, database, statement, cut }
            }
            Self::RowsQuery { statement, cut } => {
                Summary::RowsQuery { statement: own(statement), cut }
            }
            Self::Table { name, table_id } => Summary::Table { name: own_name(name), table_id },
            Self::Rows { name, table_id, rows } => {
                Summary::Rows { name: name.map(own_name), table_id, rows }
            }
            Self::Variable(text) => Summary::Variable(text),
            Self::Xid(xid) => Summary::Xid(xid),
            Self::Rotate { next_log, position } => Summary::Rotate { next_log, position },
            Self::Payload { compressed, uncompressed } => {
                Summary::Payload { compressed, uncompressed }
            }
        }
    }
}

/// Sums up an event that maps no table; rows are counted only if that is wanted.
pub(super) fn of_event<'a>(
    event: &EventView<'a>,
    tables: &'a Tables<Table>,
    (counts_rows, head): (bool, usize),
) -> Summary<'a> {
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
                .map(|query| query_summary(query, head))
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

fn rows<'a>(event: &EventView<'a>, tables: &'a Tables<Table>, counts: bool) -> Option<Summary<'a>> {
    let rows = Rows::parse(event.header.event_type, event.body()).ok()?;
    let table = tables.get(rows.table_id);
    let table_of_whole = table.filter(|_| counts && event.is_whole());
    let count = table_of_whole
        .and_then(|table| rows.count_by(&table.widths).or_else(|| rows.count_early(&table.types)));
    Some(Summary::Rows {
        name: table.map(|table| Cow::Borrowed(&*table.name)),
        table_id: rows.table_id,
        rows: count,
    })
}

fn query_summary(query: Query<'_>, most: usize) -> Summary<'_> {
    let (statement, cut) = match query.statement {
        Cow::Borrowed(bytes) => head(bytes, query.length, most),
        Cow::Owned(bytes) => {
            let (text, cut) = head(&bytes, query.length, most);
            (Cow::Owned(text.into_owned()), cut)
        }
    };
    Summary::Query {
        thread_id: query.thread_id,
        error_code: query.error_code,
        database: text(query.database),
        statement,
        cut,
    }
}

fn rows_query(statement: &[u8], most: usize) -> Summary<'_> {
    let (statement, cut) = head(statement, statement.len(), most);
    Summary::RowsQuery { statement, cut }
}

/// A text that is too long, up to where a character ends.
fn cut(text: &str, most: usize) -> String {
    let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= most);
    end.map_or_else(|| text.to_owned(), |end| format!("{}…", text.get(..end).unwrap_or_default()))
}

/// The first bytes of a statement of this length as text, at most so many, and whether it goes on.
fn head(statement: &[u8], length: usize, most: usize) -> (Cow<'_, str>, bool) {
    let head = statement.get(..most).unwrap_or(statement);
    let cut = head.len() < length;
    let mut text = text(head);
    if cut && text.ends_with('\u{FFFD}') {
        // The last character may have been cut, too.
        text = Cow::Owned(text.trim_end_matches('\u{FFFD}').to_owned());
    }
    (text, cut)
}

/// Bytes as text; those that are right, as nearly all are, by one quick look.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}
