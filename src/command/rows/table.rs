//! The listing of `binlogsec rows`: a line for each row, and one for each column that tells something.

use std::io::Write as _;

use crate::lines::{BAD, DIM, GOOD, PLAIN};
use binlogsec_core::event::rows::op::Op;
use binlogsec_core::event::rows::table::Column;
use binlogsec_core::event::rows::value::{Image, Value};
use binlogsec_core::read::rows::sql::{self, Dialect, NoStatement};
use binlogsec_core::read::rows::turn::{Turn, TurnKind};
use binlogsec_core::read::rows::{RowMaker, RowRecord, time_of};
use binlogsec_core::text::unseen::printable;

/// So many bytes of a value are shown.
const VALUE_SHOWN: usize = 160;

/// In terminals with fewer columns the first line of a row becomes two.
const WIDE: usize = 120;

/// How lines look where they go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) colour: bool,
    /// Columns of the terminal; `None` where there is none.
    pub(super) columns: Option<usize>,
}

impl Look {
    /// That of a file.
    pub(super) const PLAIN: Self = Self { colour: false, columns: None };
}

/// More savepoints of a transaction are not remembered.
const SAVEPOINTS: usize = 64;
/// Servers take names of 64 characters.
const LONGEST_NAME: usize = 256;

/// Makes the lines.
#[derive(Debug)]
pub(super) struct RowText {
    look: Look,
    /// Where the transaction of the last row begins.
    last: Option<u64>,
    /// The savepoints of the transaction that was met last, where it begins and they are.
    savepoints: (u64, Vec<(Vec<u8>, u64)>),
}

impl RowText {
    /// As they look there.
    #[must_use]
    pub(super) const fn new(look: Look) -> Self {
        Self { look, last: None, savepoints: (0, Vec::new()) }
    }
}

impl RowMaker for RowText {
    /// Rows since the savepoint, or all, did not stay where their tables have transactions.
    fn turn(&mut self, turn: &Turn<'_>, out: &mut Vec<u8>) {
        let start = turn.transaction_start;
        if self.savepoints.0 != start {
            self.savepoints = (start, Vec::new());
        }
        let savepoints = &mut self.savepoints.1;
        let (what, which) = match turn.kind {
            TurnKind::Savepoint(name) => {
                if savepoints.len() < SAVEPOINTS && name.len() <= LONGEST_NAME {
                    savepoints.push((name.to_vec(), turn.position));
                }
                return;
            }
            TurnKind::BackTo(name) => {
                // One of the same name takes the place of the one before.
                let place = savepoints.iter().rev().find(|(known, _)| known == name);
                let since = place.map_or_else(
                    || "rows since that savepoint".to_owned(),
                    |(_, position)| format!("rows behind the savepoint (position {position})"),
                );
                let name = printable(&String::from_utf8_lossy(name));
                (format!("rollback to savepoint {name}"), since)
            }
            TurnKind::Rollback => {
                ("rollback of the transaction".to_owned(), "rows of the transaction".to_owned())
            }
        };
        if self.last != Some(start) {
            return;
        }
        let (style, dim) = if self.look.colour { (BAD, DIM) } else { (PLAIN, PLAIN) };
        let _ = writeln!(
            out,
            "{dim}{}{dim:#}  {style}{what}{style:#}  {dim}position {}{dim:#}\n    {which} stayed only where their \
             table has no transactions",
            time_of(turn.timestamp),
            turn.position,
        );
    }

    fn row(&mut self, record: &RowRecord<'_>, out: &mut Vec<u8>) -> Result<(), NoStatement> {
        self.last = Some(record.transaction_start);
        self.head(record, out);
        let dialect = Dialect { is_mariadb: record.is_mariadb };
        let (before, after) = (&record.row.before, &record.row.after);
        let key = &record.table.primary_key;
        for (index, column) in record.table.columns.iter().enumerate() {
            let of = |image: &Image<'_>| {
                image.get(index).and_then(Option::as_ref).map(|it| shown(it, column, dialect))
            };
            let is_changed = after.get(index).is_some_and(Option::is_some)
                && before.get(index) != after.get(index);
            let (old, new) = match record.row.op {
                Op::Insert => (None, of(after)),
                Op::Delete => (of(before), None),
                Op::Update if is_changed => (of(before), of(after)),
                // What stays as it is tells which row it is, if it is of the key.
                Op::Update if key.contains(&index) || key.is_empty() && index == 0 => {
                    (of(before), None)
                }
                Op::Update => continue,
            };
            let value = match (old, new) {
                (Some(old), Some(new)) => format!("{old} → {new}"),
                (None, Some(new)) if record.row.op == Op::Update => format!("? → {new}"),
                (Some(value), None) | (None, Some(value)) => value,
                (None, None) => continue,
            };
            let name = match &column.name {
                Some(name) => printable(&String::from_utf8_lossy(name)),
                None => format!("@{}", index.saturating_add(1)),
            };
            let _ = writeln!(out, "    {name}: {value}");
        }
        Ok(())
    }
}

impl RowText {
    fn head(&self, record: &RowRecord<'_>, out: &mut Vec<u8>) {
        let style = match record.row.op {
            _ if !self.look.colour => PLAIN,
            Op::Insert => GOOD,
            Op::Delete => BAD,
            Op::Update => PLAIN,
        };
        let dim = if self.look.colour { DIM } else { PLAIN };
        let name = |name: &[u8]| printable(&String::from_utf8_lossy(name));
        let _ = write!(
            out,
            "{dim}{}{dim:#}  {style}{}{style:#} {}.{}{dim}",
            time_of(record.timestamp),
            record.row.op.name(),
            name(&record.table.database),
            name(&record.table.name),
        );
        let is_narrow = self.look.columns.is_some_and(|columns| columns < WIDE);
        out.extend_from_slice(if is_narrow { b"\n    " } else { b"  " });
        if let Some(id) = record.transaction {
            let _ = write!(out, "{id}  ");
        }
        let _ = write!(out, "position {}", record.position);
        if let Some(inner) = record.inner_offset {
            let _ = write!(out, "+{inner}");
        }
        let _ = write!(out, " row {}", record.number);
        if let Some(thread) = record.thread_id {
            let _ = write!(out, "  thread {thread}");
        }
        if record.is_prepared {
            let _ = write!(out, "  prepared, end not known");
        }
        let _ = writeln!(out, "{dim:#}");
    }
}

/// A value as SQL writes it, or the beginning of one; texts of other character sets as they read.
fn shown(value: &Value<'_>, column: &Column, dialect: Dialect) -> String {
    let mut out = Vec::new();
    if let Value::Bytes(bytes) = value
        && column.meaning.is_none()
        && let Some(text) = column.charset.decode(bytes)
        && text.as_bytes() != &**bytes
    {
        let text = format!("'{}'", text.replace('\'', "''"));
        return binlogsec_core::bytes::beginning(&printable(&text), VALUE_SHOWN).into_owned();
    }
    let made = match value {
        // The changes by their functions would need the column's name.
        Value::JsonDiff(diff) => {
            sql::hex(&mut out, diff);
            Ok(())
        }
        value => sql::literal(&mut out, value, column, dialect),
    };
    if made.is_err() {
        return "a JSON document that cannot be read".to_owned();
    }
    let text = String::from_utf8_lossy(&out);
    binlogsec_core::bytes::beginning(&printable(&text), VALUE_SHOWN).into_owned()
}
