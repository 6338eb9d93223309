//! How many bytes the values of a table's columns take: what passes over rows without reading any.

use super::op::has_two_bitmaps;
use crate::bytes::{Cursor, bit};
use crate::event::column_type as ty;
use crate::event::event_type;
use crate::event::table_map::{Column, length};

/// How many bytes the values of one column take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// Always so many.
    Fixed(usize),
    /// A length of so many bytes, little-endian, and what it says.
    Prefixed(usize),
    /// A type that is not known, or metadata that it cannot have.
    Unknown,
}

impl Width {
    const fn of(column: Column) -> Self {
        let [first, second] = column.metadata;
        let fraction = (first as usize).div_ceil(2);
        match column.column_type {
            ty::NULL => Self::Fixed(0),
            ty::TINY | ty::YEAR => Self::Fixed(1),
            ty::SHORT => Self::Fixed(2),
            ty::INT24 | ty::DATE | ty::NEWDATE | ty::TIME => Self::Fixed(3),
            ty::LONG | ty::FLOAT | ty::TIMESTAMP => Self::Fixed(4),
            ty::LONGLONG | ty::DOUBLE | ty::DATETIME => Self::Fixed(8),
            ty::TIMESTAMP2 => Self::Fixed(fraction.saturating_add(4)),
            ty::DATETIME2 => Self::Fixed(fraction.saturating_add(5)),
            ty::TIME2 => Self::Fixed(fraction.saturating_add(3)),
            ty::NEWDECIMAL => decimal(first, second),
            ty::BIT => Self::Fixed((second as usize).saturating_add((first > 0) as usize)),
            ty::ENUM | ty::SET => Self::Fixed(second as usize),
            ty::VARCHAR | ty::VARCHAR_COMPRESSED | ty::VAR_STRING => {
                Self::Prefixed(if second > 0 { 2 } else { 1 })
            }
            ty::STRING => string(first, second),
            ty::BLOB | ty::BLOB_COMPRESSED | ty::GEOMETRY | ty::JSON | ty::VECTOR if first <= 4 => {
                Self::Prefixed(first as usize)
            }
            _ => Self::Unknown,
        }
    }

    /// Where a value ends that begins at a place; `None` where that is behind the bytes, or not known.
    #[inline]
    pub(super) fn end(self, bytes: &[u8], at: usize) -> Option<usize> {
        let length = match self {
            Self::Fixed(length) => length,
            Self::Prefixed(width) => prefix(bytes, at, width)?.saturating_add(width),
            Self::Unknown => return None,
        };
        let end = at.saturating_add(length);
        (end <= bytes.len()).then_some(end)
    }
}

/// A length of up to four bytes, little-endian.
#[inline]
fn prefix(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?;
    // The two that nearly all values have, by one look.
    match width {
        1 => bytes.first().map(|byte| usize::from(*byte)),
        2 => bytes.first_chunk().map(|two| usize::from(u16::from_le_bytes(*two))),
        _ => {
            let fold = |value: usize, byte: &u8| (value << 8) | usize::from(*byte);
            Some(bytes.get(..width)?.iter().rev().fold(0, fold))
        }
    }
}

/// The last bytes, fewer than four of them, and zeros.
#[cold]
fn padded(rest: &[u8]) -> [u8; 4] {
    let mut four = [0; 4];
    four.iter_mut().zip(rest).for_each(|(place, byte)| *place = *byte);
    four
}

/// CHAR, and in disguise ENUM and SET. Two bits of a CHAR's length hide, inverted, in the byte of
/// the real type (server source: `Field_string::do_save_field_metadata`).
const fn string(first: u8, second: u8) -> Width {
    if matches!(first, ty::ENUM | ty::SET) {
        return Width::Fixed(second as usize);
    }
    let high_bits = ((!first & 0x30) as usize) << 4;
    let longest = high_bits | second as usize;
    Width::Prefixed(if longest > 255 { 2 } else { 1 })
}

/// Nine digits in four bytes, before the point and behind it; fewer in fewer bytes.
const fn decimal(precision: u8, scale: u8) -> Width {
    const fn part(digits: u8) -> usize {
        let rest = match digits % 9 {
            0 => 0,
            1 | 2 => 1,
            3 | 4 => 2,
            5 | 6 => 3,
            _ => 4,
        };
        ((digits / 9) as usize).saturating_mul(4).saturating_add(rest)
    }
    match precision.checked_sub(scale) {
        Some(whole) => Width::Fixed(part(whole).saturating_add(part(scale))),
        None => Width::Unknown,
    }
}

/// The widths of all columns of a table, found once for all of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Widths {
    columns: Box<[Width]>,
    /// The same of a row in which all is there and nothing NULL: one step for the values up to the
    /// next one that has a length, and for that length.
    steps: Box<[Step]>,
    /// The same of a row with NULLs, eight columns at a time; none where a column's type is not known.
    spans: Box<[[Span; 8]]>,
    /// JSON columns.
    json: usize,
}

/// What a value adds that is not NULL: so many bytes, and so much of the four at its beginning, read as
/// a number, as are set here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Span {
    fixed: u32,
    mask: u32,
}

impl Span {
    fn of(width: Width) -> Option<Self> {
        let (length, is_prefix) = match width {
            Width::Fixed(length) => (length, false),
            Width::Prefixed(length) => (length, true),
            Width::Unknown => return None,
        };
        let fixed = u32::try_from(length).ok()?;
        let bits = fixed.checked_mul(u8::BITS).filter(|_| is_prefix);
        let unread = bits.map_or(u32::BITS, |bits| u32::BITS.saturating_sub(bits));
        Some(Self { fixed, mask: u32::MAX.checked_shr(unread).unwrap_or(0) })
    }
}

/// So many bytes, and the value behind them, whose length has so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    fixed: usize,
    last: Width,
}

impl Widths {
    pub(crate) fn new(columns: &[Column]) -> Self {
        let widths: Box<[Width]> = columns.iter().map(|column| Width::of(*column)).collect();
        let mut steps = Vec::new();
        let mut fixed = 0_usize;
        for width in &widths {
            match *width {
                Width::Fixed(length) => fixed = fixed.saturating_add(length),
                last => steps.push(Step { fixed: std::mem::take(&mut fixed), last }),
            }
        }
        steps.push(Step { fixed, last: Width::Fixed(0) });
        let json = columns.iter().filter(|column| column.column_type == ty::JSON).count();
        let spans: Option<Vec<Span>> = widths.iter().map(|width| Span::of(*width)).collect();
        let eight = |spans: &[Span]| {
            let mut eight = [Span::default(); 8];
            eight.iter_mut().zip(spans).for_each(|(place, span)| *place = *span);
            eight
        };
        let spans = spans.unwrap_or_default().chunks(8).map(eight).collect();
        Self { columns: widths, steps: steps.into(), spans, json }
    }

    /// How many columns there are.
    pub(super) const fn len(&self) -> usize {
        self.columns.len()
    }

    /// Each column's.
    pub(super) fn iter(&self) -> impl Iterator<Item = Width> {
        self.columns.iter().copied()
    }

    /// Where an image ends that begins at a place: a bitmap of NULLs among the columns present, then
    /// the values that are not NULL.
    pub(super) fn image_end(&self, bytes: &[u8], at: usize, there: &Present<'_>) -> Option<usize> {
        let nulls = bytes.get(at..)?.get(..there.count.div_ceil(8))?;
        let mut end = at.saturating_add(nulls.len());
        if there.is_all && nulls.iter().all(|byte| *byte == 0) {
            for step in &self.steps {
                end = step.last.end(bytes, end.saturating_add(step.fixed))?;
            }
            return Some(end);
        }
        if there.is_all && !self.spans.is_empty() {
            return self.span_end(bytes, end, nulls);
        }
        let columns = self.columns.iter().enumerate();
        let columns = columns.filter(|(index, _)| bit(there.bits, *index));
        for (position, (_, width)) in columns.enumerate() {
            if !bit(nulls, position) {
                end = width.end(bytes, end)?;
            }
        }
        Some(end)
    }

    /// Where the values of all columns end that begin at a place. Which are NULL differs from row to row,
    /// so there is no branch by it, which a processor would have to guess.
    #[inline]
    fn span_end(&self, bytes: &[u8], at: usize, nulls: &[u8]) -> Option<usize> {
        let mut end = at;
        for (eight, byte) in self.spans.iter().zip(nulls) {
            let mut values = !u32::from(*byte);
            for span in eight {
                let is_there = 0_u32.wrapping_sub(values & 1);
                let mut length = u64::from(span.fixed & is_there);
                if span.mask != 0 {
                    let rest = bytes.get(end..)?;
                    let four = rest.first_chunk().copied().unwrap_or_else(|| padded(rest));
                    let said = u32::from_le_bytes(four) & span.mask & is_there;
                    length = length.saturating_add(u64::from(said));
                }
                end = end.saturating_add(usize::try_from(length).ok()?);
                values >>= 1;
            }
        }
        (end <= bytes.len()).then_some(end)
    }

    /// Where a row ends that begins at a place; an update's two images are one row.
    pub(super) fn row_end(&self, bytes: &[u8], at: usize, of: &RowForm<'_>) -> Option<usize> {
        let end = self.image_end(bytes, at, &of.before)?;
        self.rest_end(bytes, end, of)
    }

    /// Where a row ends whose first image ends at a place.
    pub(super) fn rest_end(&self, bytes: &[u8], at: usize, of: &RowForm<'_>) -> Option<usize> {
        if !has_two_bitmaps(of.event_type) {
            return Some(at);
        }
        let mut end = at;
        if of.event_type == event_type::PARTIAL_UPDATE_ROWS {
            let mut cursor = Cursor::new(bytes.get(at..)?);
            skip_partial_bits(&mut cursor, self.json)?;
            end = at.saturating_add(cursor.position());
        }
        self.image_end(bytes, end, &of.after)
    }
}

/// Which columns an image has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Present<'a> {
    bits: &'a [u8],
    /// How many.
    pub(super) count: usize,
    is_all: bool,
}

impl<'a> Present<'a> {
    pub(super) fn new(bits: &'a [u8], width: usize) -> Self {
        if bits.is_empty() {
            return Self { bits, count: 0, is_all: width == 0 };
        }
        // Bits behind the last column say nothing.
        let whole = bits.get(..width / 8).unwrap_or(bits);
        let ones = |bytes: &[u8]| -> usize {
            bytes.iter().map(|byte| usize::try_from(byte.count_ones()).unwrap_or(8)).sum()
        };
        let first = whole.len().saturating_mul(8);
        let rest = (first..width).filter(|index| bit(bits, *index)).count();
        let count = ones(whole).saturating_add(rest);
        Self { bits, count, is_all: count == width }
    }

    /// Whether a column is there.
    pub(super) fn has(&self, index: usize) -> bool {
        self.is_all || bit(self.bits, index)
    }
}

/// What the head of a row event says of each of its rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowForm<'a> {
    pub(super) event_type: u8,
    pub(super) before: Present<'a>,
    pub(super) after: Present<'a>,
}

/// Packed options; with the lowest bit set, a bit follows for each JSON column of the table. The
/// changes to a column stand behind their length, as its value would.
fn skip_partial_bits(cursor: &mut Cursor<'_>, json_columns: usize) -> Option<()> {
    const PARTIAL_JSON: usize = 1;
    let options = length(cursor).ok()?;
    if options & PARTIAL_JSON != 0 {
        cursor.take(json_columns.div_ceil(8)).ok()?;
    }
    Some(())
}
