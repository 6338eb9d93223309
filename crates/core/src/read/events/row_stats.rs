//! What the rows of a log come to: by table, hour, operation and size.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use serde::Serialize;

use super::hot_keys::{HotKey, HotKeys};
use super::lister::Seen;
use super::{EventRecord, TableName};
use crate::event::rows::Rows;
use crate::event::rows::op::Op;

/// So many of the widest rows, and of the hottest keys, are kept.
const MOST: usize = 10;
/// Hours that are told apart; a forged log could name millions.
const MAX_HOURS: usize = 100_000;

/// Rows and bytes of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "OpEntry"))]
pub struct OpStats {
    /// How many rows.
    pub rows: u64,
    /// Bytes of their images; of an update both.
    pub bytes: u64,
}

/// Rows and bytes by operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "OpsEntry"))]
pub struct ByOp {
    /// Rows that were made.
    pub insert: OpStats,
    /// Rows that were changed.
    pub update: OpStats,
    /// Rows that went.
    pub delete: OpStats,
}

impl ByOp {
    pub(super) fn add(&mut self, op: Op, (rows, bytes): (u64, u64)) {
        let of = match op {
            Op::Insert => &mut self.insert,
            Op::Update => &mut self.update,
            Op::Delete => &mut self.delete,
        };
        of.rows = of.rows.saturating_add(rows);
        of.bytes = of.bytes.saturating_add(bytes);
    }
}

/// One of the widest rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WideRow {
    /// Bytes of its images; of an update both.
    pub bytes: u64,
    /// Plain offset of its event, or of the payload that it is in.
    pub position: u64,
    /// Where its event starts in the unfolded payload.
    pub inner_offset: Option<u64>,
    /// Which row of its event, from 1.
    pub row: u64,
    /// What happened to it.
    pub op: Op,
    /// Its table.
    pub table: TableName,
}

/// Figures of rows.
#[derive(Debug, Clone, Default)]
pub struct RowStats {
    /// By hour: seconds since 1970 UTC of its beginning.
    pub by_hour: BTreeMap<u32, ByOp>,
    /// By size: rows of up to so many bytes, a power of two, and of more than half of that.
    pub by_size: BTreeMap<u64, u64>,
    widest: BinaryHeap<Reverse<WideRow>>,
    keys: HotKeys,
}

impl RowStats {
    /// Counts the rows of an event; how many there are of which operation, and their bytes. `None`
    /// where they cannot be counted: then nothing is.
    pub(super) fn add(
        &mut self,
        record: &EventRecord<'_>,
        seen: &Seen<'_>,
    ) -> Option<(Op, u64, u64)> {
        let (event, table) = (seen.event, seen.table?);
        event.is_whole().then_some(())?;
        let op = Op::of(event.header.event_type)?;
        let rows = Rows::parse(event.header.event_type, event.body()).ok()?;
        let key = table.key.as_ref().and_then(|key| Some((key, self.keys.table(key)?)));
        let columns: Vec<usize> = match &key {
            Some((key, _)) => key.columns.iter().map(|(index, _)| *index).collect(),
            None => Vec::new(),
        };
        let (mut number, mut bytes) = (0_u64, 0_u64);
        let counted = rows.measure(&table.widths, &columns, &mut |extent| {
            number = number.saturating_add(1);
            bytes = bytes.saturating_add(extent.bytes);
            let size = self.by_size.entry(extent.bytes.max(1).next_power_of_two()).or_default();
            *size = size.saturating_add(1);
            if let (Some((_, table)), Some(key)) = (&key, extent.key) {
                self.keys.add(*table, key);
            }
            let least = self.widest.peek().map_or(0, |Reverse(row)| row.bytes);
            if self.widest.len() < MOST || extent.bytes > least {
                self.keep(WideRow {
                    bytes: extent.bytes,
                    position: record.position,
                    inner_offset: record.inner_offset,
                    row: number,
                    op,
                    table: TableName::clone(&table.name),
                });
            }
        });
        let counted = counted.or_else(|| rows.count_early(&table.types))?;
        let hour = record.timestamp.saturating_sub(record.timestamp % 3600);
        if self.by_hour.len() < MAX_HOURS || self.by_hour.contains_key(&hour) {
            self.by_hour.entry(hour).or_default().add(op, (counted, bytes));
        }
        Some((op, counted, bytes))
    }

    fn keep(&mut self, row: WideRow) {
        if self.widest.len() >= MOST {
            self.widest.pop();
        }
        self.widest.push(Reverse(row));
    }

    /// The widest rows, the widest first.
    #[must_use]
    pub fn widest(&self) -> Vec<WideRow> {
        let mut rows: Vec<_> = self.widest.iter().map(|Reverse(row)| row.clone()).collect();
        rows.sort_by(|one, other| {
            other.bytes.cmp(&one.bytes).then_with(|| one.position.cmp(&other.position))
        });
        rows
    }

    /// The rows with the most changes, the hottest first: their counts are exact as long as no more
    /// than some thousand rows are told apart, else between two bounds.
    #[must_use]
    pub fn hottest(&self) -> Vec<HotKey> {
        self.keys.hottest(MOST)
    }
}
