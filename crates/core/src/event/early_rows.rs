//! Rows as servers of the 5.1 series wrote them before 5.1.18: a copy of the record's bits for NULL,
//! then a value of every column, also of those that are NULL (server source: `pack_row` of 5.1.17;
//! `unpack_row_old` of later versions). An update has a row before and one after it.
//!
//! Their table maps have no metadata. So neither the length of the bits is known, one more of which
//! is there in some formats of tables, nor whether a text's length has one byte or two, or a BLOB's
//! up to four. All ways are tried: rows are counted where the ways that fit agree.

use super::column_type as ty;
use crate::bytes::Cursor;

/// So many ways are tried at most.
const MOST_WAYS: usize = 256;

/// How many bytes a value takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Fixed(usize),
    /// A length of so many bytes, little-endian, and as many bytes as it says.
    Prefixed(usize),
}

/// How many rows there are of a table with columns of these types, of which an event has those in
/// `present`; `None` where that cannot be told.
pub(super) fn count(
    rows: &[u8],
    types: &[u8],
    present: impl Fn(usize) -> bool,
    is_update: bool,
) -> Option<u64> {
    let mut ways: Vec<Vec<Value>> = vec![Vec::new()];
    for (_, &column_type) in types.iter().enumerate().filter(|(index, _)| present(*index)) {
        let forms = forms(column_type)?;
        if ways.len().saturating_mul(forms.len()) > MOST_WAYS {
            return None;
        }
        ways = ways
            .iter()
            .flat_map(|way| forms.iter().map(|form| [way.as_slice(), &[*form]].concat()))
            .collect();
    }
    // One bit more than there are columns. Tables of columns of fixed lengths alone have that bit.
    let most_bits = types.len().saturating_add(1).div_ceil(8);
    let least_bits = usize::from(!types.iter().any(|&column_type| is_variable(column_type)));
    let unused = u8::MAX.checked_shl(u32::try_from(types.len()).ok()?.saturating_add(1) % 8);
    let unused = unused.unwrap_or_default();
    let mut found = None;
    for way in &ways {
        for bits in least_bits..=most_bits {
            // Servers set the bits that mean nothing.
            let set = if bits == most_bits { unused } else { 0 };
            let Some(images) = images(rows, (bits, set), way) else {
                continue;
            };
            if is_update && images & 1 != 0 {
                continue;
            }
            let count = if is_update { images >> 1 } else { images };
            if found.is_some_and(|found| found != count) {
                return None;
            }
            found = Some(count);
        }
    }
    found
}

/// Whether tables with a column of this type have rows of different lengths.
const fn is_variable(column_type: u8) -> bool {
    matches!(column_type, ty::VARCHAR | ty::VAR_STRING | ty::BLOB | ty::GEOMETRY)
}

/// Rows of one form, if they take all of the bytes: with so many bytes of bits, in the last of which
/// some are set.
fn images(rows: &[u8], (bits, set): (usize, u8), values: &[Value]) -> Option<u64> {
    let mut cursor = Cursor::new(rows);
    let mut images = 0_u64;
    while cursor.remaining() > 0 {
        let at = cursor.position();
        let last = cursor.take(bits).ok()?.last().copied().unwrap_or(u8::MAX);
        (last & set == set).then_some(())?;
        for value in values {
            let length = match *value {
                Value::Fixed(length) => length,
                Value::Prefixed(width) => {
                    let fold = |length: usize, byte: &u8| (length << 8) | usize::from(*byte);
                    cursor.take(width).ok()?.iter().rev().fold(0, fold)
                }
            };
            cursor.take(length).ok()?;
        }
        // Rows of no bytes: there is no end to their number.
        (cursor.position() > at).then_some(())?;
        images = images.saturating_add(1);
    }
    Some(images)
}

/// The forms that a value of a type may have; `None` where its length depends on what only metadata
/// would tell.
fn forms(column_type: u8) -> Option<&'static [Value]> {
    use Value::{Fixed, Prefixed};
    Some(match column_type {
        ty::TINY | ty::YEAR => &[Fixed(1)],
        ty::SHORT => &[Fixed(2)],
        ty::INT24 | ty::NEWDATE | ty::TIME => &[Fixed(3)],
        // The one of before 5.0 has four.
        ty::DATE => &[Fixed(3), Fixed(4)],
        ty::LONG | ty::FLOAT | ty::TIMESTAMP => &[Fixed(4)],
        ty::LONGLONG | ty::DOUBLE | ty::DATETIME => &[Fixed(8)],
        ty::ENUM => &[Fixed(1), Fixed(2)],
        ty::SET => &[Fixed(1), Fixed(2), Fixed(3), Fixed(4), Fixed(8)],
        // CHAR; ENUM and SET pass for it, as well.
        ty::STRING => &[Prefixed(1), Prefixed(2), Fixed(1), Fixed(2)],
        ty::VARCHAR | ty::VAR_STRING => &[Prefixed(1), Prefixed(2)],
        ty::BLOB | ty::GEOMETRY => &[Prefixed(1), Prefixed(2), Prefixed(3), Prefixed(4)],
        _ => return None,
    })
}
