//! The statements that take a row back, or do to it once more what was done to it.

use std::io::Write as _;

use super::super::sql::{self, Dialect, NoStatement};
use crate::event::rows::charset::Charset;
use crate::event::rows::kind::Kind;
use crate::event::rows::op::Op;
use crate::event::rows::reader::Row;
use crate::event::rows::table::{Column, Table};
use crate::event::rows::value::{Image, Value};

/// What a row is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// What it was before.
    #[default]
    Undo,
    /// What it was after.
    Redo,
}

/// Why a row cannot be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoUndo {
    /// The before image is not there, or not all of it.
    #[error(
        "the log does not have all values from before the change (binlog_row_image is not FULL)"
    )]
    Incomplete,
    /// Neither a key nor all columns of the row are there.
    #[error("the log has neither a key nor all values of the row, by which it could be found")]
    NotFound,
    /// No statement can be made.
    #[error(transparent)]
    Statement(#[from] NoStatement),
}

/// Whether a row can be taken back by what its images have.
///
/// # Errors
/// [`NoUndo`].
pub(super) fn check(table: &Table, row: &Row<'_>, dialect: Dialect) -> Result<(), NoUndo> {
    if table.is_versioned && dialect.is_mariadb {
        return Err(NoStatement::Versioned.into());
    }
    check_images(table, row)?;
    // Of all values JSON documents alone may be such that there is no statement.
    let is_json =
        |value: &Option<Value<'_>>| matches!(value, Some(Value::Json(_) | Value::JsonDiff(_)));
    if row.before.iter().chain(&row.after).any(is_json) {
        write(&mut Vec::new(), table, (row, Direction::Undo), (dialect, true))?;
    }
    Ok(())
}

fn check_images(table: &Table, row: &Row<'_>) -> Result<(), NoUndo> {
    if !table.has_names() {
        return Err(NoStatement::Unnamed.into());
    }
    let columns = || table.columns.iter().enumerate().filter(|(_, column)| !column.generated);
    let has = |image: &Image<'_>, index: usize| image.get(index).is_some_and(Option::is_some);
    let is_whole = |image: &Image<'_>| columns().all(|(index, _)| has(image, index));
    let has_key = |image: &Image<'_>| {
        !table.primary_key.is_empty() && table.primary_key.iter().all(|&index| has(image, index))
    };
    match row.op {
        Op::Insert if !is_whole(&row.after) && !has_key(&row.after) => Err(NoUndo::NotFound),
        Op::Delete if !is_whole(&row.before) => Err(NoUndo::Incomplete),
        Op::Update => {
            // What the change gave a value must have had one before.
            let is_known =
                columns().all(|(index, _)| !has(&row.after, index) || has(&row.before, index));
            if !is_known {
                return Err(NoUndo::Incomplete);
            }
            if !is_whole(&row.before) && !has_key(&row.before) {
                return Err(NoUndo::NotFound);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Appends the statement for a row, without a semicolon. `is_checked`: it changes a row only that is
/// in all values as the log says.
///
/// # Errors
/// [`NoStatement`].
pub(super) fn write(
    out: &mut Vec<u8>,
    table: &Table,
    (row, direction): (&Row<'_>, Direction),
    (dialect, is_checked): (Dialect, bool),
) -> Result<(), NoStatement> {
    let writer = Writer { table, dialect, is_checked };
    match (row.op, direction) {
        (Op::Insert, Direction::Undo) => writer.delete(out, &Side::after(row)),
        (Op::Delete, Direction::Redo) => writer.delete(out, &Side::before(row)),
        (Op::Delete, Direction::Undo) => writer.insert(out, &row.before),
        (Op::Insert, Direction::Redo) => writer.insert(out, &row.after),
        (Op::Update, Direction::Undo) => {
            writer.update(out, &Side::after(row), (&row.after, &row.before))
        }
        (Op::Update, Direction::Redo) => {
            writer.update(out, &Side::before(row), (&row.before, &row.after))
        }
    }
}

/// A row as it is found: an image, and another one for what that leaves out.
struct Side<'r, 'v> {
    image: &'r Image<'v>,
    otherwise: &'r Image<'v>,
}

impl<'r, 'v> Side<'r, 'v> {
    const fn after(row: &'r Row<'v>) -> Self {
        Self { image: &row.after, otherwise: &row.before }
    }

    const fn before(row: &'r Row<'v>) -> Self {
        Self { image: &row.before, otherwise: &row.before }
    }

    fn value(&self, index: usize) -> Option<&'r Value<'v>> {
        let of = |image: &'r Image<'v>| image.get(index).and_then(Option::as_ref);
        of(self.image).or_else(|| of(self.otherwise))
    }
}

struct Writer<'t> {
    table: &'t Table,
    dialect: Dialect,
    is_checked: bool,
}

impl Writer<'_> {
    fn delete(&self, out: &mut Vec<u8>, row: &Side<'_, '_>) -> Result<(), NoStatement> {
        out.extend_from_slice(b"DELETE FROM ");
        sql::table_name(out, self.table);
        self.found(out, row)
    }

    fn update(
        &self,
        out: &mut Vec<u8>,
        row: &Side<'_, '_>,
        images: (&Image<'_>, &Image<'_>),
    ) -> Result<(), NoStatement> {
        out.extend_from_slice(b"UPDATE ");
        sql::table_name(out, self.table);
        out.extend_from_slice(b" SET ");
        sql::assignments(out, self.table, images, self.dialect)?;
        self.found(out, row)
    }

    /// An INSERT. A checked one does nothing where a row of the same key is there.
    fn insert(&self, out: &mut Vec<u8>, image: &Image<'_>) -> Result<(), NoStatement> {
        let key = &self.table.primary_key;
        let there = |index: &usize| image.get(*index).is_some_and(Option::is_some);
        if !self.is_checked || key.is_empty() || !key.iter().all(there) {
            return sql::insert(out, self.table, image, self.dialect);
        }
        out.extend_from_slice(b"INSERT INTO ");
        sql::table_name(out, self.table);
        let values = || {
            let all = self.table.columns.iter().zip(image);
            let all = all.filter(|(column, _)| !column.generated);
            all.filter_map(|(column, value)| Some((column, value.as_ref()?)))
        };
        for (at, (column, _)) in values().enumerate() {
            out.extend_from_slice(if at == 0 { b" (" } else { b", " });
            sql::column_name(out, column)?;
        }
        out.extend_from_slice(b") SELECT ");
        for (at, (column, value)) in values().enumerate() {
            if at > 0 {
                out.extend_from_slice(b", ");
            }
            sql::literal(out, value, column, self.dialect)?;
        }
        out.extend_from_slice(b" FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM ");
        sql::table_name(out, self.table);
        out.extend_from_slice(b" WHERE ");
        sql::condition(out, self.table, image, self.dialect)?;
        out.push(b')');
        Ok(())
    }

    /// The condition that finds a row: its key, and if it is checked all of its values, byte by
    /// byte.
    fn found(&self, out: &mut Vec<u8>, row: &Side<'_, '_>) -> Result<(), NoStatement> {
        out.extend_from_slice(b" WHERE ");
        let columns = &self.table.columns;
        let there = |index: usize| Some((columns.get(index)?, row.value(index)?));
        let key = &self.table.primary_key;
        let has_key = !key.is_empty() && key.iter().all(|&index| there(index).is_some());
        let mut written = 0_usize;
        let mut next = |out: &mut Vec<u8>| {
            if written > 0 {
                out.extend_from_slice(b" AND ");
            }
            written = written.saturating_add(1);
        };
        // The key by itself lets the server use its index.
        if has_key {
            for (column, value) in key.iter().filter_map(|&index| there(index)) {
                next(out);
                sql::equals(out, value, column, self.dialect)?;
            }
        }
        if self.is_checked || !has_key {
            for index in 0..columns.len() {
                let Some((column, value)) = there(index).filter(|(column, _)| !column.generated)
                else {
                    continue;
                };
                if has_key && key.contains(&index) && !is_text(column, value) {
                    continue;
                }
                next(out);
                self.same(out, (column, value), row.otherwise.get(index).and_then(Option::as_ref))?;
            }
        }
        if written == 0 {
            return Err(NoStatement::Empty);
        }
        out.extend_from_slice(b" LIMIT 1");
        Ok(())
    }

    /// `column <=> value`, with texts byte by byte: a collation takes different ones for the same.
    fn same(
        &self,
        out: &mut Vec<u8>,
        (column, value): (&Column, &Value<'_>),
        before: Option<&Value<'_>>,
    ) -> Result<(), NoStatement> {
        match value {
            Value::Bytes(bytes) if is_text(column, value) => text(out, bytes, column),
            Value::JsonDiff(diff) => {
                let Some(Value::Json(document)) = before else {
                    return Err(NoStatement::Json);
                };
                let mut old = Vec::new();
                sql::json::as_json(&mut old, document)?;
                sql::column_name(out, column)?;
                out.extend_from_slice(b" <=> ");
                sql::json::changed(out, &old, diff)
            }
            _ => sql::equals(out, value, column, self.dialect),
        }
    }
}

fn is_text(column: &Column, value: &Value<'_>) -> bool {
    matches!(value, Value::Bytes(_))
        && column.charset != Charset::Binary
        && column.meaning.is_none()
}

/// `CAST(column AS BINARY) <=> bytes`.
fn text(out: &mut Vec<u8>, bytes: &[u8], column: &Column) -> Result<(), NoStatement> {
    let compare = |out: &mut Vec<u8>, bytes: &[u8]| -> Result<(), NoStatement> {
        out.extend_from_slice(b"CAST(");
        sql::column_name(out, column)?;
        out.extend_from_slice(b" AS BINARY) <=> ");
        if sql::is_readable(bytes) {
            out.extend_from_slice(b"_binary");
            sql::quoted(out, bytes);
        } else {
            sql::hex(out, bytes);
        }
        Ok(())
    };
    // Where it is not known whether it is BINARY or CHAR, the log has left out zero bytes or spaces.
    match column.kind {
        Kind::Fixed { longest, .. }
            if column.charset == Charset::Unknown && bytes.len() < usize::from(longest) =>
        {
            out.push(b'(');
            compare(out, bytes)?;
            out.extend_from_slice(b" OR ");
            compare(out, &sql::padded(bytes, longest))?;
            out.push(b')');
            Ok(())
        }
        _ => compare(out, bytes),
    }
}

/// Appends a comment of one line. Nothing in a name ends it.
pub(super) fn comment(out: &mut Vec<u8>, text: &str) {
    let _ = writeln!(out, "-- {}", text.escape_debug());
}
