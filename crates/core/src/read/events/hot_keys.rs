//! The rows that change most, in bounded memory.
//!
//! A sketch of frequent items: as many counters as there is room for; when a new key finds none, the
//! median of all counts is taken from each, and those that come to nothing are dropped. What was
//! taken in all is how much a count may be too low (Misra and Gries 1982, with the batches of
//! Anderson and others 2017).

use std::collections::HashMap;
use std::sync::Arc;

use super::TableName;
use crate::event::rows::table::Column;

/// Keys that are counted at once.
const ROOM: usize = 8192;
/// Tables whose keys are counted.
const MAX_TABLES: usize = 4096;

/// A table's key, in one of its forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyOf {
    pub(super) name: Arc<TableName>,
    /// Each column and its number in the table, from 0.
    pub(super) columns: Vec<(usize, Column)>,
}

/// A row that many changes are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HotKey {
    /// Its table.
    pub table: TableName,
    /// The columns of its primary key, each with its number from 0; the table's first column, where
    /// nothing tells what the primary key is.
    pub columns: Vec<(usize, Column)>,
    /// The bytes of their values, one behind the other, as row images have them.
    pub values: Vec<u8>,
    /// Changes of it: so many at least.
    pub changes: u64,
    /// Changes of it: so many at most. The same, where all keys of the log had room.
    pub at_most: u64,
}

/// Counts.
#[derive(Debug, Clone, Default)]
pub(super) struct HotKeys {
    tables: Vec<Arc<KeyOf>>,
    /// The tables of a name.
    named: HashMap<Arc<TableName>, Vec<u32>>,
    counts: HashMap<(u32, Box<[u8]>), u64>,
    /// What was taken from each count.
    taken: u64,
}

impl HotKeys {
    /// The number of a table's key; `None` where there are too many.
    pub(super) fn table(&mut self, key: &Arc<KeyOf>) -> Option<u32> {
        let numbers = self.named.entry(Arc::clone(&key.name)).or_default();
        let is_it = |number: &&u32| {
            let known = usize::try_from(**number).ok().and_then(|at| self.tables.get(at));
            known.is_some_and(|known| Arc::ptr_eq(known, key) || known == key)
        };
        if let Some(number) = numbers.iter().find(is_it) {
            return Some(*number);
        }
        let number = u32::try_from(self.tables.len()).ok()?;
        (self.tables.len() < MAX_TABLES).then_some(())?;
        self.tables.push(Arc::clone(key));
        numbers.push(number);
        Some(number)
    }

    pub(super) fn add(&mut self, table: u32, key: &[u8]) {
        if self.counts.len() >= ROOM {
            self.make_room();
        }
        let count = self.counts.entry((table, key.into())).or_default();
        *count = count.saturating_add(1);
    }

    fn make_room(&mut self) {
        let mut all: Vec<u64> = self.counts.values().copied().collect();
        let middle = all.len() / 2;
        let (_, median, _) = all.select_nth_unstable(middle);
        let median = *median;
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(median);
            *count > 0
        });
        self.taken = self.taken.saturating_add(median);
    }

    /// Those with the most changes, of which there are at least two; the hottest first.
    pub(super) fn hottest(&self, most: usize) -> Vec<HotKey> {
        let mut all: Vec<_> = self.counts.iter().filter(|(_, count)| **count > 1).collect();
        all.sort_unstable_by(|(one, first), (other, second)| {
            second.cmp(first).then_with(|| one.cmp(other))
        });
        let hot = |((number, values), count): (&(u32, Box<[u8]>), &u64)| {
            let table = usize::try_from(*number).ok().and_then(|at| self.tables.get(at))?;
            Some(HotKey {
                table: TableName::clone(&table.name),
                columns: table.columns.clone(),
                values: values.to_vec(),
                changes: *count,
                at_most: count.saturating_add(self.taken),
            })
        };
        all.into_iter().take(most).filter_map(hot).collect()
    }
}
