//! Row events: which table, and how many rows. Values are skipped, never decoded.

use super::event_type;
use super::table_map::{self, Column};
use crate::bytes::{Cursor, OutOfBytes};

/// Column types (server source: `enum_field_types`).
pub mod column_type {
    #![allow(missing_docs, reason = "the names are the server's")]
    pub const TINY: u8 = 1;
    pub const SHORT: u8 = 2;
    pub const LONG: u8 = 3;
    pub const FLOAT: u8 = 4;
    pub const DOUBLE: u8 = 5;
    pub const NULL: u8 = 6;
    pub const TIMESTAMP: u8 = 7;
    pub const LONGLONG: u8 = 8;
    pub const INT24: u8 = 9;
    pub const DATE: u8 = 10;
    pub const TIME: u8 = 11;
    pub const DATETIME: u8 = 12;
    pub const YEAR: u8 = 13;
    pub const NEWDATE: u8 = 14;
    pub const VARCHAR: u8 = 15;
    pub const BIT: u8 = 16;
    pub const TIMESTAMP2: u8 = 17;
    pub const DATETIME2: u8 = 18;
    pub const TIME2: u8 = 19;
    pub const VECTOR: u8 = 242;
    pub const JSON: u8 = 245;
    pub const NEWDECIMAL: u8 = 246;
    pub const ENUM: u8 = 247;
    pub const SET: u8 = 248;
    pub const BLOB: u8 = 252;
    pub const VAR_STRING: u8 = 253;
    pub const STRING: u8 = 254;
    pub const GEOMETRY: u8 = 255;
}
use column_type as ty;

/// The head of a row event, and its rows as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows<'a> {
    /// The event's type.
    pub event_type: u8,
    /// The table's number, see [`table_map::TableMap`].
    pub table_id: u64,
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
        cursor.u16_le()?;
        if has_extra_data(event_type) {
            // The length counts itself.
            let extra = usize::from(cursor.u16_le()?).saturating_sub(2);
            cursor.take(extra)?;
        }
        let width = table_map::length(&mut cursor)?;
        let before = cursor.take(width.div_ceil(8))?;
        let after = if is_update(event_type) {
            cursor.take(width.div_ceil(8))?
        } else {
            &[]
        };
        Ok(Self {
            event_type,
            table_id,
            width,
            before,
            after,
            rows: cursor.rest(),
        })
    }

    /// How many rows there are; an update's two images are one row. `None` when they cannot be
    /// counted: other columns than the table's, a type of unknown length, damaged or compressed
    /// rows.
    #[must_use]
    pub fn count(&self, columns: &[Column]) -> Option<u64> {
        if columns.len() != self.width || is_compressed(self.event_type) {
            return None;
        }
        let mut cursor = Cursor::new(self.rows);
        let mut rows = 0_u64;
        while cursor.remaining() > 0 {
            let at = cursor.position();
            skip_image(&mut cursor, columns, self.before)?;
            if is_update(self.event_type) {
                if self.event_type == event_type::PARTIAL_UPDATE_ROWS {
                    skip_partial_bits(&mut cursor, columns)?;
                }
                skip_image(&mut cursor, columns, self.after)?;
            }
            // Rows without a column take no byte: there is no end to their number.
            (cursor.position() > at).then_some(())?;
            rows = rows.saturating_add(1);
        }
        Some(rows)
    }
}

const fn has_extra_data(event_type: u8) -> bool {
    matches!(
        event_type,
        event_type::WRITE_ROWS..=event_type::DELETE_ROWS | event_type::PARTIAL_UPDATE_ROWS | 169..=171
    )
}

const fn is_update(event_type: u8) -> bool {
    matches!(
        event_type,
        24 | event_type::UPDATE_ROWS | event_type::PARTIAL_UPDATE_ROWS | 167 | 170
    )
}

const fn is_compressed(event_type: u8) -> bool {
    matches!(
        event_type,
        event_type::MARIADB_WRITE_ROWS_COMPRESSED_V1..=event_type::MARIADB_DELETE_ROWS_COMPRESSED
    )
}

fn bit(bitmap: &[u8], index: usize) -> bool {
    bitmap
        .get(index / 8)
        .is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

/// A bitmap of NULLs among the columns present, then the values that are not NULL.
fn skip_image(cursor: &mut Cursor<'_>, columns: &[Column], present: &[u8]) -> Option<()> {
    let indexed = || columns.iter().enumerate();
    let there = indexed().filter(|(index, _)| bit(present, *index)).count();
    let nulls = cursor.take(there.div_ceil(8)).ok()?;
    let there = indexed().filter(|(index, _)| bit(present, *index));
    for (position, (_, column)) in there.enumerate() {
        if !bit(nulls, position) {
            skip_value(cursor, *column)?;
        }
    }
    Some(())
}

/// Packed options; with the lowest bit set, a bit follows for each JSON column of the table. The
/// changes to a column stand behind their length, as its value would.
fn skip_partial_bits(cursor: &mut Cursor<'_>, columns: &[Column]) -> Option<()> {
    const PARTIAL_JSON: usize = 1;
    let options = table_map::length(cursor).ok()?;
    if options & PARTIAL_JSON != 0 {
        let json = columns.iter().filter(|c| c.column_type == ty::JSON).count();
        cursor.take(json.div_ceil(8)).ok()?;
    }
    Some(())
}

fn skip_value(cursor: &mut Cursor<'_>, column: Column) -> Option<()> {
    let [first, second] = column.metadata;
    let fraction = usize::from(first).div_ceil(2);
    let length = match column.column_type {
        ty::NULL => 0,
        ty::TINY | ty::YEAR => 1,
        ty::SHORT => 2,
        ty::INT24 | ty::DATE | ty::NEWDATE | ty::TIME => 3,
        ty::LONG | ty::FLOAT | ty::TIMESTAMP => 4,
        ty::LONGLONG | ty::DOUBLE | ty::DATETIME => 8,
        ty::TIMESTAMP2 => fraction.saturating_add(4),
        ty::DATETIME2 => fraction.saturating_add(5),
        ty::TIME2 => fraction.saturating_add(3),
        ty::NEWDECIMAL => decimal_length(first, second)?,
        ty::BIT => usize::from(second).saturating_add(usize::from(first > 0)),
        ty::ENUM | ty::SET => usize::from(second),
        ty::VARCHAR | ty::VAR_STRING => prefixed(cursor, if second > 0 { 2 } else { 1 })?,
        ty::STRING => string_length(cursor, first, second)?,
        ty::BLOB | ty::GEOMETRY | ty::JSON | ty::VECTOR => prefixed(cursor, first)?,
        _ => return None,
    };
    cursor.take(length).ok().map(drop)
}

/// A length of so many bytes, little-endian.
fn prefixed(cursor: &mut Cursor<'_>, width: u8) -> Option<usize> {
    let bytes = cursor.take(usize::from(width)).ok()?;
    let fold = |value: usize, byte: &u8| (value << 8) | usize::from(*byte);
    (width <= 4).then(|| bytes.iter().rev().fold(0, fold))
}

/// CHAR, and in disguise ENUM and SET. Two bits of a CHAR's length hide, inverted, in the byte of
/// the real type (server source: `Field_string::do_save_field_metadata`).
fn string_length(cursor: &mut Cursor<'_>, first: u8, second: u8) -> Option<usize> {
    if matches!(first, ty::ENUM | ty::SET) {
        return Some(usize::from(second));
    }
    let high_bits = usize::from(!first & 0x30) << 4;
    let longest = high_bits | usize::from(second);
    prefixed(cursor, if longest > 255 { 2 } else { 1 })
}

/// Nine digits in four bytes, before the point and behind it; fewer in fewer bytes.
fn decimal_length(precision: u8, scale: u8) -> Option<usize> {
    const BYTES: [usize; 9] = [0, 1, 1, 2, 2, 3, 3, 4, 4];
    let part = |digits: u8| {
        let rest = BYTES.get(usize::from(digits % 9)).copied().unwrap_or(0);
        usize::from(digits / 9)
            .saturating_mul(4)
            .saturating_add(rest)
    };
    let whole = precision.checked_sub(scale)?;
    Some(part(whole).saturating_add(part(scale)))
}
