//! The report of `binlogsec events`: one entry for each event, made and written one by one.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::{Serialize, Serializer};

use crate::log_entry::rfc3339;
use binlogsec_core::event::event_type;
use binlogsec_core::event::gtid::TransactionId;
use binlogsec_core::event::gtid_set::Tsid;
use binlogsec_core::read::events::{
    ByOp, EventRecord, HotKey, Stats, Summary, TableName, TableStats, TypeStats, WideRow,
};
use binlogsec_core::read::rows::key_condition;

/// The name of the schema.
pub(crate) const EVENTS_SCHEMA: &str = "binlogsec.events/1";

/// One event. What does not apply to it is left out.
#[derive(Debug, Clone, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct EventEntry<'a> {
    /// Plain offset of its start; of an inner event, that of its payload.
    pub position: u64,
    /// The end position in its header.
    pub end_position: u32,
    /// Its type, as [`event_type::name`] has it.
    #[serde(rename = "type")]
    pub event_type: Cow<'a, str>,
    /// The number of the type.
    pub type_code: u8,
    /// Its length in bytes.
    pub size: u32,
    /// Seconds since 1970 UTC.
    pub timestamp: u32,
    /// The same (RFC 3339, UTC).
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    pub time: &'a str,
    /// The server that wrote it first.
    pub server_id: u32,
    /// The flags in its header.
    pub flags: u16,
    /// Whether it is inside a compressed payload.
    pub inner: bool,
    /// Where it starts in the unfolded payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner_offset: Option<u64>,
    /// The transaction that it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gtid: Option<&'a str>,
    /// Database of the table, or default database of the statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<&'a str>,
    /// Table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<&'a str>,
    /// The number that row events name the table by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table_id: Option<u64>,
    /// Rows, if they could be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// When the transaction was committed on the server that wrote the log, to the microsecond (RFC
    /// 3339, UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>", extend("format" = "date-time")))]
    pub commit_time: Option<Micros>,
    /// The connection that ran the statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<u32>,
    /// The error that the statement ended in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u16>,
    /// What the next statement is run with: `@name = 'value'`, `INSERT_ID = 7`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<&'a str>,
    /// The statement, or its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<&'a str>,
    /// Whether the statement goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_cut: Option<bool>,
    /// Number of the commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xid: Option<u64>,
    /// The log that a ROTATE names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_log: Option<&'a str>,
    /// Where reading goes on in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_position: Option<u64>,
    /// The set in a PREVIOUS_GTIDS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_gtids: Option<String>,
    /// Version of the server that began the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_version: Option<&'a str>,
    /// Bytes in the transaction before compression, or in the payload unfolded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncompressed_size: Option<u64>,
    /// Bytes in the payload as they are in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compressed_size: Option<u64>,
    /// `checksum`, or `unreadable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("enum" = ["checksum", "unreadable"])))]
    pub damaged: Option<&'static str>,
}

/// Microseconds since 1970 UTC, shown as RFC 3339.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Micros(pub(crate) u64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECOND: u64 = 1_000_000;
        match u32::try_from(self.0 / SECOND) {
            Ok(seconds) => {
                let text = rfc3339(seconds);
                write!(f, "{}.{:06}Z", text.trim_end_matches('Z'), self.0 % SECOND)
            }
            Err(_) => self.0.fmt(f),
        }
    }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Text that one event as a rule has in common with the one before, kept so that it is made once.
#[derive(Debug, Default)]
pub(crate) struct EventTexts {
    timestamp: Option<u32>,
    time: String,
    transaction: Option<TransactionId>,
    gtid: String,
    tsid: Option<Tsid>,
    /// The UUID and the tag of the last GTID, and the colon.
    prefix: String,
}

impl EventTexts {
    /// A time (RFC 3339, UTC).
    pub(crate) fn time(&mut self, timestamp: u32) -> &str {
        if self.timestamp != Some(timestamp) {
            self.timestamp = Some(timestamp);
            self.time = rfc3339(timestamp);
        }
        &self.time
    }

    /// What stands before the number in a GTID: transactions of one server follow one another, and the
    /// number alone is another one.
    pub(crate) fn prefix(&mut self, tsid: &Tsid) -> &str {
        if self.tsid.as_ref() != Some(tsid) {
            self.tsid = Some(tsid.clone());
            self.prefix = format!("{tsid}:");
        }
        &self.prefix
    }

    fn set_transaction(&mut self, id: &TransactionId) {
        if self.transaction.as_ref() == Some(id) {
            return;
        }
        self.transaction = Some(id.clone());
        let mut text = std::mem::take(&mut self.gtid);
        text.clear();
        if let TransactionId::Gtid(gtid) = id {
            text.push_str(self.prefix(&gtid.tsid));
            let _ = write!(text, "{}", gtid.number);
        } else {
            let _ = write!(text, "{id}");
        }
        self.gtid = text;
    }
}

impl<'a> EventEntry<'a> {
    /// From one record.
    #[must_use]
    #[inline]
    pub(crate) fn new(record: &'a EventRecord<'_>, texts: &'a mut EventTexts) -> Self {
        texts.time(record.timestamp);
        if let Some(id) = record.transaction.as_deref() {
            texts.set_transaction(id);
        }
        let mut entry = Self {
            position: record.position,
            end_position: record.end_position,
            event_type: event_type::name(record.event_type),
            type_code: record.event_type,
            size: record.size,
            timestamp: record.timestamp,
            time: &texts.time,
            server_id: record.server_id,
            flags: record.flags,
            inner: record.inner_offset.is_some(),
            inner_offset: record.inner_offset,
            gtid: record.transaction.is_some().then_some(&texts.gtid),
            ..Self::default()
        };
        entry.add(&record.summary);
        entry
    }

    fn add(&mut self, summary: &'a Summary<'_>) {
        match summary {
            Summary::Damaged => self.damaged = Some("checksum"),
            Summary::Unreadable => self.damaged = Some("unreadable"),
            Summary::Description(version) => self.server_version = Some(version),
            Summary::Transaction { length, committed } => {
                self.uncompressed_size = *length;
                self.commit_time = committed.map(Micros);
            }
            Summary::PreviousGtids(set) => self.previous_gtids = Some(set.to_string()),
            Summary::GtidList(list) => self.previous_gtids = Some(list.to_string()),
            Summary::Query { database, statement, cut, thread_id, error_code } => {
                self.thread_id = Some(*thread_id);
                self.error_code = (*error_code != 0).then_some(*error_code);
                self.database = (!database.is_empty()).then_some(&**database);
                (self.query, self.query_cut) = (Some(&**statement), Some(*cut));
            }
            Summary::RowsQuery { statement, cut } => {
                (self.query, self.query_cut) = (Some(&**statement), Some(*cut));
            }
            Summary::Table { name, table_id } => self.add_table(Some(name), *table_id),
            Summary::Rows { name, table_id, rows } => {
                self.add_table(name.as_deref(), *table_id);
                self.rows = *rows;
            }
            Summary::Variable(text) => self.variable = Some(text),
            Summary::Xid(xid) => self.xid = Some(*xid),
            Summary::Rotate { next_log, position } => {
                (self.next_log, self.next_position) = (Some(&**next_log), Some(*position));
            }
            Summary::Payload { compressed, uncompressed } => {
                (self.compressed_size, self.uncompressed_size) = (*compressed, *uncompressed);
            }
            Summary::Nothing => {}
        }
    }

    fn add_table(&mut self, name: Option<&'a TableName>, table_id: u64) {
        self.database = name.map(|name| &*name.database);
        self.table = name.map(|name| &*name.table);
        self.table_id = Some(table_id);
    }
}

/// What stands behind a file's events.
#[derive(Debug, Clone, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct EventsEnd {
    /// Events that were read.
    pub events: u64,
    /// Events that passed the filter.
    pub listed: u64,
    /// Events, or payloads, that are damaged.
    pub damaged: u64,
    /// Payloads that were not listed to their end.
    pub left_folded: u64,
    /// Why the log could not be read to its end.
    pub stopped: Option<String>,
    /// Whether that is how a log ends that was never closed.
    pub cut_tail: bool,
}

/// The figures of one log.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct StatsReport {
    /// Events and bytes by type.
    pub by_type: Vec<TypeEntry>,
    /// Row events by table.
    pub by_table: Vec<TableEntry>,
    /// Transactions.
    pub transactions: u64,
    /// Transactions by the minute in which they began.
    pub by_minute: Vec<MinuteEntry>,
    /// The biggest transactions.
    pub biggest_transactions: Vec<TransactionEntry>,
    /// Rows by the hour of their events.
    pub by_hour: Vec<HourEntry>,
    /// Rows by their size, the smallest first.
    pub by_row_size: Vec<RowSizeEntry>,
    /// The widest rows.
    pub widest_rows: Vec<WideRowEntry>,
    /// The rows with the most changes.
    pub hottest_keys: Vec<HotKeyEntry>,
}

/// Figures of one type of event.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TypeEntry {
    /// Its name.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Whether these are the ones inside payloads.
    pub inner: bool,
    /// How many, and how large.
    #[serde(flatten)]
    pub figures: TypeStats,
}

/// Figures of one table.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TableEntry {
    /// Its name.
    #[serde(flatten)]
    pub name: TableName,
    /// Its row events.
    #[serde(flatten)]
    pub figures: TableStats,
}

/// One hour.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct HourEntry {
    /// Its beginning (RFC 3339, UTC).
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    pub hour: String,
    /// Rows and bytes by operation.
    pub ops: ByOp,
}

/// Rows of about one size.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RowSizeEntry {
    /// They have up to so many bytes, a power of two, and more than half of that.
    pub up_to: u64,
    /// How many.
    pub rows: u64,
}

/// One of the widest rows.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct WideRowEntry {
    /// Its database.
    pub database: String,
    /// Its table.
    pub table: String,
    /// `insert`, `update` or `delete`.
    #[cfg_attr(test, schemars(extend("enum" = ["insert", "update", "delete"])))]
    pub op: &'static str,
    /// Bytes of its images; of an update both.
    pub bytes: u64,
    /// Plain offset of its event; of one in a compressed transaction, that of the payload.
    pub position: u64,
    /// Where its event starts in the unfolded payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner_offset: Option<u64>,
    /// Which row of its event, from 1.
    pub row: u64,
}

/// One of the rows with the most changes.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct HotKeyEntry {
    /// Its database.
    pub database: String,
    /// Its table.
    pub table: String,
    /// Which row: a condition on the columns of the primary key, or on the first column, where the
    /// log does not tell what the primary key is. `rows --where` takes it.
    pub key: String,
    /// Changes of it: so many at least.
    pub changes: u64,
    /// Changes of it: so many at most.
    pub at_most: u64,
}

/// One minute.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct MinuteEntry {
    /// Its beginning (RFC 3339, UTC).
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    pub minute: String,
    /// Transactions that began in it.
    pub transactions: u64,
}

/// One of the biggest transactions.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TransactionEntry {
    /// Its id.
    pub gtid: String,
    /// Plain offset of its start.
    pub position: u64,
    /// Bytes in the log.
    pub bytes: u64,
    /// When it began (RFC 3339, UTC).
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    pub time: String,
}

impl StatsReport {
    /// From the figures; tables with the most bytes first.
    #[must_use]
    pub(crate) fn new(stats: &Stats) -> Self {
        let by_type = stats.by_type.iter().map(|((inner, kind), figures)| TypeEntry {
            event_type: event_type::name(*kind).into_owned(),
            inner: *inner,
            figures: *figures,
        });
        let by_table = stats
            .by_table
            .iter()
            .map(|(name, figures)| TableEntry { name: name.clone(), figures: *figures });
        let by_minute = stats
            .by_minute
            .iter()
            .map(|(minute, count)| MinuteEntry { minute: rfc3339(*minute), transactions: *count });
        let biggest = stats.biggest().into_iter().map(|entry| TransactionEntry {
            gtid: entry.id,
            position: entry.position,
            bytes: entry.bytes,
            time: rfc3339(entry.timestamp),
        });
        let mut by_table: Vec<_> = by_table.collect();
        by_table.sort_by_key(|table| std::cmp::Reverse(table.figures.bytes));
        Self {
            by_type: by_type.collect(),
            by_table,
            transactions: stats.transactions,
            by_minute: by_minute.collect(),
            biggest_transactions: biggest.collect(),
            by_hour: stats.rows.by_hour.iter().map(HourEntry::new).collect(),
            by_row_size: stats
                .rows
                .by_size
                .iter()
                .map(|(up_to, rows)| RowSizeEntry { up_to: *up_to, rows: *rows })
                .collect(),
            widest_rows: stats.rows.widest().into_iter().map(WideRowEntry::new).collect(),
            hottest_keys: stats.rows.hottest().iter().map(HotKeyEntry::new).collect(),
        }
    }
}

impl HourEntry {
    fn new((hour, by_op): (&u32, &ByOp)) -> Self {
        Self { hour: rfc3339(*hour), ops: *by_op }
    }
}

impl WideRowEntry {
    fn new(row: WideRow) -> Self {
        Self {
            database: row.table.database,
            table: row.table.table,
            op: row.op.name(),
            bytes: row.bytes,
            position: row.position,
            inner_offset: row.inner_offset,
            row: row.row,
        }
    }
}

impl HotKeyEntry {
    fn new(key: &HotKey) -> Self {
        Self {
            database: key.table.database.clone(),
            table: key.table.table.clone(),
            key: key_condition(key),
            changes: key.changes,
            at_most: key.at_most,
        }
    }
}
