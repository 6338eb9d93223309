//! Which rows are wanted.

use std::collections::BTreeSet;

use super::condition::Conditions;
use crate::event::gtid::TransactionId;
use crate::event::gtid_selection::GtidSelection;
use crate::event::query::Query;
use crate::event::rows::op::Op;
use crate::event::rows::reader::Row;
use crate::event::rows::table::Table;
use crate::read::events::EventFilter;
use crate::read::tables::TableGlob;

/// More bytes of one row event are not held, unless more is allowed.
pub const MAX_EVENT: u32 = 64 << 20;

/// What a change of a row must be to be given: all that is set must fit.
#[derive(Debug, Clone)]
pub struct RowFilter {
    /// The events that rows are in; its types and tables are not looked at.
    pub events: EventFilter,
    /// None of these transactions.
    pub exclude_gtids: Option<GtidSelection>,
    /// Of one of these connections, if there are any.
    pub thread_ids: BTreeSet<u32>,
    /// Of tables whose names fit one of these, if there are any.
    pub tables: Vec<TableGlob>,
    /// One of these, if there are any.
    pub ops: BTreeSet<Op>,
    /// The values of the row, before or after.
    pub conditions: Conditions,
    /// Updates that change one of these columns, by name or as `@n`, if there are any.
    pub changed: Vec<String>,
    /// The most bytes of a row event that is read; a larger one is told as not readable.
    pub max_event: u32,
}

impl Default for RowFilter {
    fn default() -> Self {
        Self {
            events: EventFilter::default(),
            exclude_gtids: None,
            thread_ids: BTreeSet::new(),
            tables: Vec::new(),
            ops: BTreeSet::new(),
            conditions: Conditions::default(),
            changed: Vec::new(),
            max_event: MAX_EVENT,
        }
    }
}

impl RowFilter {
    /// Whether one of the words of a statement may name a chosen table. Of a statement that is cut it
    /// is taken for granted.
    pub(super) fn may_concern(&self, query: &Query<'_>) -> bool {
        if self.tables.is_empty() || query.length > query.statement.len() {
            return true;
        }
        let is_of_name = |byte: &u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || *byte >= 0x80
        };
        // What stands between backticks, and each word.
        let quoted = query.statement.split(|&byte| byte == b'`');
        let words = query.statement.split(|byte| !is_of_name(byte));
        let mut all = quoted.chain(words).filter(|word| !word.is_empty());
        all.any(|name| self.tables.iter().any(|glob| glob.may_name(&String::from_utf8_lossy(name))))
    }

    /// The names of tables that fit a table, by their numbers.
    pub(super) fn fitting<'a>(&'a self, table: &'a Table) -> impl Iterator<Item = usize> + 'a {
        let indexed = self.tables.iter().enumerate();
        let text = |name| String::from_utf8_lossy(name);
        let (database, name) = (text(&table.database), text(&table.name));
        indexed.filter(move |(_, glob)| glob.fits(&database, &name)).map(|(index, _)| index)
    }

    pub(super) fn takes_transaction(
        &self,
        id: Option<&TransactionId>,
        thread: Option<u32>,
    ) -> bool {
        let is_excluded = |set: &GtidSelection| id.is_some_and(|id| set.contains(id));
        self.events.takes_transaction(id)
            && !self.exclude_gtids.as_ref().is_some_and(is_excluded)
            && (self.thread_ids.is_empty()
                || thread.is_some_and(|id| self.thread_ids.contains(&id)))
    }

    pub(super) fn takes_op(&self, op: Op) -> bool {
        (self.ops.is_empty() || self.ops.contains(&op))
            && (self.changed.is_empty() || op == Op::Update)
    }

    /// The columns of [`RowFilter::changed`] that a table has.
    pub(super) fn changed_of(&self, table: &Table) -> Vec<usize> {
        let number = |name: &String| table.column_number(name.as_bytes());
        self.changed.iter().filter_map(number).collect()
    }
}

/// Whether one of these columns has another value after than before. A column that the image after
/// leaves out stays as it is; one that was left out before may be another.
pub(super) fn is_changed(row: &Row<'_>, columns: &[usize]) -> bool {
    columns.iter().any(|&index| {
        let after = row.after.get(index).and_then(Option::as_ref);
        let before = row.before.get(index).and_then(Option::as_ref);
        after.is_some_and(|after| before != Some(after))
    })
}
