//! The rows of a row event, one after the other.

use std::borrow::Cow;

use super::Rows;
use super::charset::Charset;
use super::kind::{Kind, ValueError};
use super::op::Op;
use super::table::{Column, Table};
use super::value::{Image, Value};
use crate::bytes::{Cursor, OutOfBytes, bit};
use crate::event::event_type;
use crate::event::table_map::length;

/// One row and what happens to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row<'a> {
    /// What happens.
    pub op: Op,
    /// The row before; empty for an insert.
    pub before: Image<'a>,
    /// The row after; empty for a delete. Columns that a MINIMAL image leaves out are those that stay as
    /// they are.
    pub after: Image<'a>,
}

/// Why rows cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The event is about another number of columns than the table map.
    #[error("the row event has {found} columns and the table map {mapped}")]
    Columns {
        /// In the row event.
        found: usize,
        /// In the table map.
        mapped: usize,
    },
    /// A value cannot be read.
    #[error("row {row}, column {column}: {source}")]
    Value {
        /// The row in the event, from 1.
        row: u64,
        /// The column, from 1.
        column: usize,
        /// Why.
        source: ValueError,
    },
    /// What stands before the values ends too early.
    #[error("row {row}: {source}")]
    OutOfBytes {
        /// The row in the event, from 1.
        row: u64,
        /// What is missing.
        source: OutOfBytes,
    },
    /// Rows of no column take no byte: there is no end to them.
    #[error("the rows have no column")]
    NoColumns,
    /// Compressed rows cannot be uncompressed, or are too large.
    #[error("the compressed rows cannot be uncompressed, or have more than 16 MiB")]
    Compressed,
}

/// Reads rows, from the bytes that `Rows::unfolded` gives.
#[derive(Debug)]
pub struct RowReader<'a, 't> {
    table: &'t Table,
    rows: Rows<'a>,
    op: Op,
    cursor: Cursor<'a>,
    /// Rows that were read.
    read: u64,
}

impl<'a, 't> RowReader<'a, 't> {
    /// Reads rows of a table from bytes: those of the event, or what they are without compression.
    ///
    /// # Errors
    /// [`RowError::Columns`].
    pub fn new(rows: Rows<'a>, bytes: &'a [u8], table: &'t Table) -> Result<Self, RowError> {
        if rows.width != table.columns.len() {
            return Err(RowError::Columns { found: rows.width, mapped: table.columns.len() });
        }
        let op = Op::of(rows.event_type).unwrap_or(Op::Insert);
        Ok(Self { table, rows, op, cursor: Cursor::new(bytes), read: 0 })
    }

    /// What happens to all rows of the event.
    #[must_use]
    pub const fn op(&self) -> Op {
        self.op
    }

    /// Reads the next row into `row`, whose memory serves again; `false` at the end. After an error
    /// nothing more can be read.
    ///
    /// # Errors
    /// [`RowError`].
    pub fn next_row(&mut self, row: &mut Row<'a>) -> Result<bool, RowError> {
        row.op = self.op;
        row.before.clear();
        row.after.clear();
        if self.cursor.remaining() == 0 {
            let is_bare = self.read == 0 && self.rows.is_bare();
            if is_bare {
                // A row of which the log has no column: what it has is the server's own.
                self.read = 1;
                row.after.resize(self.rows.width, None);
            }
            return Ok(is_bare);
        }
        let start = self.cursor.position();
        self.read = self.read.saturating_add(1);
        match self.op {
            Op::Insert => self.image(self.rows.before, None, &mut row.after)?,
            Op::Delete => self.image(self.rows.before, None, &mut row.before)?,
            Op::Update => {
                self.image(self.rows.before, None, &mut row.before)?;
                let partial = self.partial_bits()?;
                self.image(self.rows.after, partial, &mut row.after)?;
            }
        }
        if self.cursor.position() == start {
            self.cursor = Cursor::new(&[]);
            return Err(RowError::NoColumns);
        }
        Ok(true)
    }

    /// Packed options; with the lowest bit set, a bit follows for each JSON column of the table.
    fn partial_bits(&mut self) -> Result<Option<&'a [u8]>, RowError> {
        const PARTIAL_JSON: usize = 1;
        if self.rows.event_type != event_type::PARTIAL_UPDATE_ROWS {
            return Ok(None);
        }
        let row = self.read;
        let cut = |source| RowError::OutOfBytes { row, source };
        let options = length(&mut self.cursor).map_err(cut)?;
        if options & PARTIAL_JSON == 0 {
            return Ok(None);
        }
        let is_json = |column: &&Column| matches!(column.kind, Kind::Json { .. });
        let json = self.table.columns.iter().filter(is_json).count();
        self.cursor.take(json.div_ceil(8)).map(Some).map_err(cut)
    }

    /// A bitmap of NULLs among the columns present, then the values that are not NULL.
    fn image(
        &mut self,
        present: &'a [u8],
        partial: Option<&[u8]>,
        image: &mut Image<'a>,
    ) -> Result<(), RowError> {
        let (row, width) = (self.read, self.rows.width);
        let there = count_bits(present, width);
        let nulls = self.cursor.take(there.div_ceil(8));
        let nulls = nulls.map_err(|source| RowError::OutOfBytes { row, source })?;
        let (mut position, mut json) = (0_usize, 0_usize);
        image.reserve(width);
        for (index, column) in self.table.columns.iter().enumerate() {
            let mut kind = column.kind;
            let mut is_diff = false;
            if matches!(kind, Kind::Json { .. }) {
                is_diff = partial.is_some_and(|bits| bit(bits, json));
                json = json.saturating_add(1);
            }
            if !bit(present, index) {
                image.push(None);
                continue;
            }
            let is_null = bit(nulls, position);
            position = position.saturating_add(1);
            if is_null {
                image.push(Some(Value::Null));
                continue;
            }
            if is_diff {
                // The changes stand behind their length, which always has four bytes.
                kind = Kind::Json { prefix: 4 };
            }
            let value = kind.read(&mut self.cursor, column.unsigned.unwrap_or(false));
            let value = value.map_err(|source| RowError::Value {
                row,
                column: index.saturating_add(1),
                source,
            })?;
            image.push(Some(match value {
                Value::Json(diff) if is_diff => Value::JsonDiff(diff),
                Value::Bytes(bytes) => Value::Bytes(filled(bytes, column)),
                other => other,
            }));
        }
        Ok(())
    }
}

/// A value of BINARY with the zero bytes at its end, which logs leave out.
#[inline]
fn filled<'a>(bytes: Cow<'a, [u8]>, column: &Column) -> Cow<'a, [u8]> {
    let Kind::Fixed { longest, .. } = column.kind else {
        return bytes;
    };
    if column.charset != Charset::Binary || bytes.len() >= usize::from(longest) {
        return bytes;
    }
    let mut filled = bytes.into_owned();
    filled.resize(usize::from(longest), 0);
    Cow::Owned(filled)
}

/// Bits that are set among the first so many.
fn count_bits(bitmap: &[u8], width: usize) -> usize {
    (0..width).filter(|&index| bit(bitmap, index)).count()
}

impl Row<'_> {
    /// A row to be read into.
    #[must_use]
    pub const fn new() -> Self {
        Self { op: Op::Insert, before: Vec::new(), after: Vec::new() }
    }
}

impl Default for Row<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Rows<'a> {
    /// The bytes of the rows, without the compression that MariaDB's have.
    ///
    /// # Errors
    /// [`RowError::Compressed`].
    pub fn plain(&self) -> Result<Cow<'a, [u8]>, RowError> {
        self.unfolded().ok_or(RowError::Compressed)
    }
}
