//! What a log consists of, in figures.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use serde::Serialize;

use super::lister::Seen;
use super::row_stats::{ByOp, RowStats};
use super::{EventRecord, Summary, TableName};
use crate::event::event_type;
use crate::event::gtid::TransactionId;

/// So many of the biggest transactions are kept.
const BIGGEST: usize = 10;
/// Tables and minutes that are told apart; a forged log could name millions.
const MAX_KEYS: usize = 100_000;

/// Figures of one type of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TypeStats {
    /// How many.
    pub events: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// Figures of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TableStats {
    /// Row events.
    pub events: u64,
    /// Rows in those whose rows could be counted.
    pub rows: u64,
    /// Row events whose rows could not be counted.
    #[serde(rename = "uncounted_events")]
    pub uncounted: u64,
    /// Bytes in the row events; inside a payload, unfolded.
    pub bytes: u64,
    /// Rows, and bytes of their images, by what happened to them.
    #[serde(rename = "ops")]
    pub by_op: ByOp,
}

/// A transaction and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BiggestTransaction {
    /// Where it starts.
    pub position: u64,
    /// Bytes in the log, from its first event to its last.
    pub bytes: u64,
    /// The id.
    pub id: String,
    /// When it began, in seconds since 1970 UTC.
    pub timestamp: u32,
}

/// Figures of one log.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Events by type, those inside payloads apart (`true`).
    pub by_type: BTreeMap<(bool, u8), TypeStats>,
    /// Row events by table.
    pub by_table: BTreeMap<TableName, TableStats>,
    /// Transactions by minute: seconds since 1970 UTC of its beginning.
    pub by_minute: BTreeMap<u32, u64>,
    /// Transactions.
    pub transactions: u64,
    /// Rows, where they were seen: see [`stats`](super::stats()).
    pub rows: RowStats,
    biggest: BinaryHeap<Reverse<(u64, u64, u32, String)>>,
    open: Option<(u64, u32, TransactionId, u64)>,
}

impl Stats {
    /// Counts one event; to be given all of them in order.
    pub fn add(&mut self, record: &EventRecord<'_>) {
        let inner = record.inner_offset.is_some();
        let size = u64::from(record.size);
        let of_type = self.by_type.entry((inner, record.event_type)).or_default();
        of_type.events = of_type.events.saturating_add(1);
        of_type.bytes = of_type.bytes.saturating_add(size);
        if let Summary::Rows { name: Some(name), rows, .. } = &record.summary
            && let Some(table) = self.table(name)
        {
            table.rows = table.rows.saturating_add(rows.unwrap_or(0));
            table.uncounted = table.uncounted.saturating_add(u64::from(rows.is_none()));
            table.events = table.events.saturating_add(1);
            table.bytes = table.bytes.saturating_add(size);
        }
        if inner {
            return;
        }
        if event_type::begins_transaction(record.event_type) {
            self.close();
            self.begin(record);
        }
        match (&mut self.open, &record.transaction) {
            (Some((_, _, _, bytes)), Some(_)) => *bytes = bytes.saturating_add(size),
            _ => self.close(),
        }
    }

    /// The same with the event itself, whose rows were not counted yet.
    pub(super) fn see(&mut self, record: &mut EventRecord<'_>, seen: &Seen<'_>) {
        if matches!(record.summary, Summary::Rows { .. }) {
            let counted = self.rows.add(record, seen);
            if let Summary::Rows { name, rows, .. } = &mut record.summary {
                *rows = counted.map(|(_, rows, _)| rows);
                let table = name.as_ref().and_then(|name| self.table(name));
                if let (Some(table), Some((op, rows, bytes))) = (table, counted) {
                    table.by_op.add(op, (rows, bytes));
                }
            }
        }
        self.add(record);
    }

    /// To be called after the last event.
    pub fn finish(&mut self) {
        self.close();
    }

    /// The biggest transactions, the biggest first.
    #[must_use]
    pub fn biggest(&self) -> Vec<BiggestTransaction> {
        let mut sorted: Vec<_> = self.biggest.iter().map(|Reverse(entry)| entry).collect();
        sorted.sort_by(|a, b| b.cmp(a));
        sorted
            .into_iter()
            .map(|(bytes, position, timestamp, id)| BiggestTransaction {
                position: *position,
                bytes: *bytes,
                id: id.clone(),
                timestamp: *timestamp,
            })
            .collect()
    }

    fn begin(&mut self, record: &EventRecord<'_>) {
        self.transactions = self.transactions.saturating_add(1);
        let minute = record.timestamp.saturating_sub(record.timestamp % 60);
        if self.by_minute.len() < MAX_KEYS || self.by_minute.contains_key(&minute) {
            let count = self.by_minute.entry(minute).or_default();
            *count = count.saturating_add(1);
        }
        let id = record.transaction.as_deref().cloned();
        self.open = id.map(|id| (record.position, record.timestamp, id, 0));
    }

    fn close(&mut self) {
        let Some((position, timestamp, id, bytes)) = self.open.take() else {
            return;
        };
        let least = self.biggest.peek().map_or(0, |Reverse((bytes, ..))| *bytes);
        if self.biggest.len() >= BIGGEST {
            if bytes <= least {
                return;
            }
            self.biggest.pop();
        }
        self.biggest.push(Reverse((bytes, position, timestamp, id.to_string())));
    }

    /// The figures of a table; `None` where there are too many.
    fn table(&mut self, name: &TableName) -> Option<&mut TableStats> {
        if !self.by_table.contains_key(name) {
            (self.by_table.len() < MAX_KEYS).then_some(())?;
            self.by_table.insert(name.clone(), TableStats::default());
        }
        self.by_table.get_mut(name)
    }
}
