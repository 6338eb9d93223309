//! Row events: which table, how many rows, and the values of each.
//!
//! [`Rows`] is the event's head; [`table::Table`] is what its table map tells;
//! [`reader::RowReader`] reads the rows one by one, borrowing what is long from the event.

pub mod charset;
pub mod decimal;
mod hires;
pub mod json;
pub mod json_diff;
pub mod kind;
pub(crate) mod measure;
mod metadata;
pub mod op;
pub mod reader;
pub mod table;
pub mod temporal;
pub mod value;
pub(crate) mod widths;

use std::borrow::Cow;

use super::compressed::{Compressed, MAX_UNFOLDED};
use super::table_map::{self, Column};
use super::{early_rows, event_type};
use crate::bytes::{Cursor, OutOfBytes, bit};
use op::{Op, has_two_bitmaps};
use widths::{Present, RowForm, Widths};

/// The head of a row event, and its rows as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows<'a> {
    /// The event's type.
    pub event_type: u8,
    /// The table's number, see [`table_map::TableMap`].
    pub table_id: u64,
    /// The event's flags: 1 ends a statement, 2 is of rows whose foreign keys the server does not
    /// check (server source: `Rows_event::enum_flag`).
    pub flags: u16,
    /// Columns of the table.
    pub width: usize,
    /// A bit for each column that is there; before an update.
    before: &'a [u8],
    /// The same for the row after an update; empty for other events.
    after: &'a [u8],
    rows: &'a [u8],
}

impl<'a> Rows<'a> {
    /// Reads the event's body: table id of 6 bytes, flags u16, in version 2 length of extra data
    /// u16 and the data; packed count of columns, a bitmap of those present, for updates a second
    /// one; the rows (server source: `Rows_event`). Little-endian.
    ///
    /// # Errors
    /// [`OutOfBytes`].
    pub fn parse(event_type: u8, body: &'a [u8]) -> Result<Self, OutOfBytes> {
        let mut cursor = Cursor::new(body);
        let table_id = table_map::table_id(&mut cursor)?;
        let flags = cursor.u16_le()?;
        if has_extra_data(event_type) {
            // The length counts itself.
            let extra = usize::from(cursor.u16_le()?).saturating_sub(2);
            cursor.take(extra)?;
        }
        let width = table_map::length(&mut cursor)?;
        let before = cursor.take(width.div_ceil(8))?;
        let after = if has_two_bitmaps(event_type) { cursor.take(width.div_ceil(8))? } else { &[] };
        Ok(Self { event_type, table_id, flags, width, before, after, rows: cursor.rest() })
    }

    /// How many rows there are; an update's two images are one row. `None` when they cannot be
    /// counted: other columns than the table's, a type of unknown length, damaged rows, or more than
    /// [`MAX_UNFOLDED`] bytes of compressed ones.
    #[must_use]
    pub fn count(&self, columns: &[Column]) -> Option<u64> {
        self.count_by(&Widths::new(columns))
    }

    /// The same for those who have found the widths before.
    pub(crate) fn count_by(&self, widths: &Widths) -> Option<u64> {
        if widths.len() != self.width {
            return None;
        }
        let bytes = self.unfolded()?;
        let form = self.form();
        let (mut rows, mut at) = (u64::from(self.is_bare()), 0_usize);
        while at < bytes.len() {
            let end = widths.row_end(&bytes, at, &form)?;
            // Rows without a column take no byte: there is no end to their number.
            (end > at).then_some(())?;
            at = end;
            rows = rows.saturating_add(1);
        }
        Some(rows)
    }

    /// Whether it is one row without any column, which takes no byte: an INSERT of nothing but default
    /// values, in a MINIMAL image.
    fn is_bare(&self) -> bool {
        let is_insert = Op::of(self.event_type) == Some(Op::Insert);
        is_insert && self.rows.is_empty() && (0..self.width).all(|index| !bit(self.before, index))
    }

    fn form(&self) -> RowForm<'_> {
        RowForm {
            event_type: self.event_type,
            before: Present::new(self.before, self.width),
            after: Present::new(self.after, self.width),
        }
    }

    /// The same for the events of servers before 5.1.18, whose table maps have a type for each
    /// column and no metadata. `None`, too, where the rows can be read in several ways that do not
    /// agree.
    #[must_use]
    pub fn count_early(&self, types: &[u8]) -> Option<u64> {
        if types.len() != self.width || !event_type::is_early_rows(self.event_type) {
            return None;
        }
        let is_update = self.event_type == event_type::EARLY_UPDATE_ROWS;
        early_rows::count(self.rows, types, |index| bit(self.before, index), is_update)
    }

    /// The rows as they are without compression.
    fn unfolded(&self) -> Option<Cow<'a, [u8]>> {
        if !is_compressed(self.event_type) {
            return Some(Cow::Borrowed(self.rows));
        }
        let compressed = Compressed::parse(self.rows)?;
        let length = usize::try_from(compressed.length).ok()?;
        (length <= MAX_UNFOLDED).then_some(())?;
        compressed.unfold(length).map(Cow::Owned)
    }
}

const fn has_extra_data(event_type: u8) -> bool {
    matches!(
        event_type,
        event_type::WRITE_ROWS..=event_type::DELETE_ROWS | event_type::PARTIAL_UPDATE_ROWS | 169..=171
    )
}

const fn is_compressed(event_type: u8) -> bool {
    matches!(
        event_type,
        event_type::MARIADB_WRITE_ROWS_COMPRESSED_V1..=event_type::MARIADB_DELETE_ROWS_COMPRESSED
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::column_type as ty;
    use crate::event::event_type::{DELETE_ROWS, PARTIAL_UPDATE_ROWS, UPDATE_ROWS, WRITE_ROWS};

    const TABLE: [u8; 8] = [7, 0, 0, 0, 1, 0, 0, 0];

    fn columns(of: &[(u8, [u8; 2])]) -> Vec<Column> {
        let column = |&(column_type, metadata)| Column { column_type, metadata };
        of.iter().map(column).collect()
    }

    /// Rows of a table whose columns are all there; `bitmaps` are one, or two for updates.
    fn count(event_type: u8, of: &[(u8, [u8; 2])], bitmaps: usize, rows: &[u8]) -> Option<u64> {
        let width = u8::try_from(of.len()).unwrap();
        let bitmap = vec![0xFF; of.len().div_ceil(8)].repeat(bitmaps);
        // Three bytes of extra data, which have no meaning here.
        let body = [&TABLE[..], &[5, 0, 9, 9, 9], &[width], &bitmap, rows].concat();
        let rows = Rows::parse(event_type, &body).unwrap();
        assert_eq!((rows.table_id, rows.width), (0x1_0000_0007, usize::from(width)));
        rows.count(&columns(of))
    }

    #[test]
    fn values_have_the_lengths_that_servers_give_them() {
        for (column_type, metadata, value) in [
            (ty::TINY, [0, 0], &[1][..]),
            (ty::YEAR, [0, 0], &[1]),
            (ty::SHORT, [0, 0], &[1; 2]),
            (ty::INT24, [0, 0], &[1; 3]),
            (ty::DATE, [0, 0], &[1; 3]),
            (ty::NEWDATE, [0, 0], &[1; 3]),
            (ty::TIME, [0, 0], &[1; 3]),
            (ty::LONG, [0, 0], &[1; 4]),
            (ty::FLOAT, [4, 0], &[1; 4]),
            (ty::TIMESTAMP, [0, 0], &[1; 4]),
            (ty::LONGLONG, [0, 0], &[1; 8]),
            (ty::DOUBLE, [8, 0], &[1; 8]),
            (ty::DATETIME, [0, 0], &[1; 8]),
            (ty::TIMESTAMP2, [0, 0], &[1; 4]),
            (ty::TIMESTAMP2, [3, 0], &[1; 6]),
            (ty::DATETIME2, [6, 0], &[1; 8]),
            (ty::TIME2, [1, 0], &[1; 4]),
            // DECIMAL(10,2) and DECIMAL(65,30)
            (ty::NEWDECIMAL, [10, 2], &[1; 5]),
            (ty::NEWDECIMAL, [65, 30], &[1; 30]),
            // BIT(8), BIT(13)
            (ty::BIT, [0, 1], &[1]),
            (ty::BIT, [5, 1], &[1; 2]),
            (ty::ENUM, [0, 2], &[1; 2]),
            (ty::SET, [0, 8], &[1; 8]),
            // ENUM and SET in the disguise of CHAR
            (ty::STRING, [ty::ENUM, 1], &[1]),
            (ty::STRING, [ty::SET, 8], &[1; 8]),
            // VARCHAR(255), VARCHAR(256): one byte of length, two
            (ty::VARCHAR, [255, 0], b"\x02ab"),
            (ty::VARCHAR, [0, 1], b"\x02\0ab"),
            (ty::VAR_STRING, [44, 1], b"\x02\0ab"),
            // CHAR of 40 bytes, and of 1020: two bits of that hide in the type
            (ty::STRING, [254, 40], b"\x02ab"),
            (ty::STRING, [0xCE, 0xFC], b"\x02\0ab"),
            // The longest with one byte, the shortest with two.
            (ty::STRING, [0xFE, 0xFF], b"\x02ab"),
            (ty::STRING, [0xEE, 0x00], b"\x02\0ab"),
            (ty::BLOB, [1, 0], b"\x02ab"),
            (ty::BLOB, [2, 0], b"\x02\0ab"),
            (ty::VARCHAR_COMPRESSED, [255, 0], b"\x02\0a"),
            (ty::VARCHAR_COMPRESSED, [0, 1], b"\x02\0\0a"),
            (ty::BLOB_COMPRESSED, [2, 0], b"\x02\0\0a"),
            (ty::GEOMETRY, [4, 0], b"\x02\0\0\0ab"),
            (ty::JSON, [4, 0], b"\x02\0\0\0ab"),
            (ty::VECTOR, [4, 0], b"\x02\0\0\0ab"),
        ] {
            let of = [(column_type, metadata)];
            let row = [&[0], value].concat();
            let counted = |rows: &[u8]| count(WRITE_ROWS, &of, 1, rows);
            assert_eq!(counted(&row.repeat(3)), Some(3), "{of:?}");
            assert_eq!(counted(&row[..row.len() - 1]), None, "{of:?}");
            // NULL takes no byte.
            assert_eq!(counted(&[1, 1]), Some(2), "{of:?}");
        }
        assert_eq!(count(WRITE_ROWS, &[(200, [0, 0])], 1, &[0, 1]), None);
        assert_eq!(count(DELETE_ROWS, &[(ty::NULL, [0, 0])], 1, &[0]), Some(1));
        // Lengths of 258 need both bytes.
        let long = [&[0, 2, 1], &[b'x'; 258][..]].concat();
        assert_eq!(count(WRITE_ROWS, &[(ty::BLOB, [2, 0])], 1, &long), Some(1));
    }

    #[test]
    fn nulls_and_absent_columns_take_no_bytes() {
        let mut of = vec![(ty::TINY, [0, 0]); 8];
        of.push((ty::SHORT, [0, 0]));
        // The third and the ninth are NULL.
        let row = [&[0b100, 1], &[5; 7][..]].concat();
        assert_eq!(count(WRITE_ROWS, &of, 1, &row.repeat(2)), Some(2));
        // The ninth is there.
        let row = [&[0b100, 0], &[5; 9][..]].concat();
        assert_eq!(count(WRITE_ROWS, &of, 1, &row.repeat(2)), Some(2));
        // The second of three columns is not in the event.
        let of = columns(&[(ty::TINY, [0, 0]), (ty::LONG, [0, 0]), (ty::SHORT, [0, 0])]);
        let body = [&TABLE[..], &[2, 0, 3, 0b101], &[0, 1, 2, 2], &[0b10, 1]].concat();
        let rows = Rows::parse(WRITE_ROWS, &body).unwrap();
        assert_eq!(rows.count(&of), Some(2));
        assert_eq!(rows.count(&of[..2]), None, "another table's columns");
    }

    #[test]
    fn an_update_has_two_images_a_row_and_perhaps_bits_between_them() {
        let tiny = [(ty::TINY, [0, 0])];
        assert_eq!(count(UPDATE_ROWS, &tiny, 2, &[0, 1, 0, 2]), Some(1));
        assert_eq!(count(UPDATE_ROWS, &tiny, 2, &[0, 1]), None);
        let mut of = vec![(ty::TINY, [0, 0]); 9];
        of.push((ty::JSON, [4, 0]));
        // Values that, a byte too late, would be taken for a length that is not there.
        let image = [&[0, 0], &[0; 9][..], &[1, 0, 0, 0, b'1']].concat();
        // Options without and with a bit for each JSON column, which is one byte here.
        for between in [&[0][..], &[1, 1]] {
            let rows = [&image, between, &image].concat().repeat(2);
            assert_eq!(count(PARTIAL_UPDATE_ROWS, &of, 2, &rows), Some(2));
        }
    }

    #[test]
    fn versions_differ_in_what_stands_before_the_rows() {
        // Version 1 has no extra data: WRITE, UPDATE, DELETE.
        let tiny = columns(&[(ty::TINY, [0, 0])]);
        for (event_type, bitmaps, rows) in [(23, 1, 2), (24, 2, 1), (25, 1, 2)] {
            let bitmaps = vec![1; bitmaps];
            let body = [&TABLE[..], &[1], &bitmaps, &[0, 1, 0, 2]].concat();
            let parsed = Rows::parse(event_type, &body).unwrap();
            assert_eq!(parsed.count(&tiny), Some(rows), "{event_type}");
        }
        // MariaDB's compressed ones: 166 to 168 of version 1, 169 to 171 of version 2.
        for event_type in 166..=171 {
            let extra: &[u8] = if event_type > 168 { &[2, 0] } else { &[] };
            let body = [&TABLE[..], extra, &[1, 1, 1], &[0, 1, 0, 2]].concat();
            let parsed = Rows::parse(event_type, &body).unwrap();
            assert_eq!((parsed.width, parsed.count(&tiny)), (1, None), "{event_type}");
        }
    }

    #[test]
    fn rows_of_no_bytes_cannot_be_counted() {
        assert_eq!(count(WRITE_ROWS, &[(ty::TINY, [0, 0])], 1, &[]), Some(0));
        assert_eq!(count(WRITE_ROWS, &[], 1, &[1]), None);
    }
}
