//! JSON as the server stores it (server source: `sql-common/json_binary.h`).
//!
//! A type byte, then the value. Arrays and objects have a count and a size, 2 bytes each, or 4 in the
//! large form; of an object then for each key its offset and a length of 2 bytes; for each element a
//! type and its offset, or the value itself where it fits. Offsets count from the count.
//! Little-endian.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::decimal::Decimal;
use super::temporal::{Date, DateTime, Time};
use crate::bytes::{Cursor, OutOfBytes};
use crate::event::column_type as ty;

/// Deeper than this no server lets a document be.
const MAX_DEPTH: u8 = 100;
/// Bytes that an element takes at least: its type and an offset.
const LEAST_ENTRY: usize = 3;

/// A document, or a part of one. What is long is borrowed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer with a sign.
    Int(i64),
    /// An integer without one.
    UInt(u64),
    /// A number with an exponent.
    Double(f64),
    /// A text, in utf8mb4.
    String(&'a [u8]),
    /// A value of one of SQL's types that JSON does not have.
    Opaque(Opaque<'a>),
    /// `[…]`.
    Array(Container<'a>),
    /// `{…}`.
    Object(Container<'a>),
}

/// A value of a type of SQL within a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opaque<'a> {
    /// As in the server's `enum_field_types`.
    pub column_type: u8,
    /// The value: of DECIMAL its digits, its digits behind the point, and its bytes; of dates and
    /// times 8 bytes; of others the bytes.
    pub data: &'a [u8],
}

/// Why a document cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// An offset or a length leads out of the document.
    #[error("a JSON document ends too early: {0}")]
    OutOfBytes(#[from] OutOfBytes),
    /// No type of a value.
    #[error("a JSON document has a value of type {found}, which is not known")]
    UnknownType {
        /// The number.
        found: u8,
    },
    /// More levels than servers allow.
    #[error("a JSON document has more than {MAX_DEPTH} levels")]
    TooDeep,
    /// Elements that lie within one another.
    #[error("a JSON document holds more than its bytes can")]
    TooMuch,
}

impl<'a> Json<'a> {
    /// Reads a document, or the head of one: what is in arrays and objects is read when they are.
    /// Of no bytes it is `null`, as the server takes them.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, JsonError> {
        match bytes.split_first() {
            None => Ok(Self::Null),
            Some((&kind, value)) => Self::value(kind, value),
        }
    }

    fn value(kind: u8, bytes: &'a [u8]) -> Result<Self, JsonError> {
        let mut cursor = Cursor::new(bytes);
        Ok(match kind {
            0x00..=0x03 => {
                let container = Container::parse(bytes, kind & 1 == 1, kind < 2)?;
                if kind < 2 { Self::Object(container) } else { Self::Array(container) }
            }
            0x04 => match cursor.u8()? {
                0 => Self::Null,
                1 => Self::Bool(true),
                2 => Self::Bool(false),
                found => return Err(JsonError::UnknownType { found }),
            },
            0x05 => Self::Int(i64::from(cursor.u16_le()?.cast_signed())),
            0x06 => Self::UInt(u64::from(cursor.u16_le()?)),
            0x07 => Self::Int(i64::from(cursor.u32_le()?.cast_signed())),
            0x08 => Self::UInt(u64::from(cursor.u32_le()?)),
            0x09 => Self::Int(cursor.u64_le()?.cast_signed()),
            0x0A => Self::UInt(cursor.u64_le()?),
            0x0B => Self::Double(f64::from_le_bytes(cursor.array()?)),
            0x0C => Self::String(text(&mut cursor)?),
            0x0F => Self::Opaque(Opaque { column_type: cursor.u8()?, data: text(&mut cursor)? }),
            found => return Err(JsonError::UnknownType { found }),
        })
    }

    /// Appends the document as JSON text without blanks. Values of SQL's types are texts as MySQL
    /// prints them, DECIMALs numbers.
    ///
    /// # Errors
    /// [`JsonError`]; what was appended before is not to be used then.
    pub fn write(&self, out: &mut Vec<u8>, document_length: usize) -> Result<(), JsonError> {
        self.write_within(out, &mut Budget::new(document_length))
    }

    fn write_within(&self, out: &mut Vec<u8>, budget: &mut Budget) -> Result<(), JsonError> {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Int(value) => number(out, value),
            Self::UInt(value) => number(out, value),
            Self::Double(value) => double(out, *value),
            Self::String(text) => {
                budget.take(text.len())?;
                string(out, text);
            }
            Self::Opaque(opaque) => {
                budget.take(opaque.data.len())?;
                opaque.write(out);
            }
            Self::Array(container) => {
                let mut inside = budget.enter()?;
                out.push(b'[');
                for (at, element) in container.elements().enumerate() {
                    let (_, value) = element?;
                    if at > 0 {
                        out.push(b',');
                    }
                    inside.take(LEAST_ENTRY)?;
                    value.write_within(out, &mut inside)?;
                }
                out.push(b']');
                budget.leave(&inside);
            }
            Self::Object(container) => {
                let mut inside = budget.enter()?;
                out.push(b'{');
                for (at, element) in container.elements().enumerate() {
                    let (key, value) = element?;
                    if at > 0 {
                        out.push(b',');
                    }
                    inside.take(LEAST_ENTRY.saturating_add(key.len()))?;
                    string(out, key);
                    out.push(b':');
                    value.write_within(out, &mut inside)?;
                }
                out.push(b'}');
                budget.leave(&inside);
            }
        }
        Ok(())
    }

    /// Whether JSON text would say less than the document: there is a value of one of SQL's types
    /// in it.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn has_opaque(&self, document_length: usize) -> Result<bool, JsonError> {
        self.has_opaque_within(&mut Budget::new(document_length))
    }

    fn has_opaque_within(&self, budget: &mut Budget) -> Result<bool, JsonError> {
        let (Self::Array(container) | Self::Object(container)) = self else {
            return Ok(matches!(self, Self::Opaque(_)));
        };
        let mut inside = budget.enter()?;
        for element in container.elements() {
            inside.take(LEAST_ENTRY)?;
            if element?.1.has_opaque_within(&mut inside)? {
                return Ok(true);
            }
        }
        budget.leave(&inside);
        Ok(false)
    }
}

/// How much of a document may still be read. A forged one could point to the same bytes again and
/// again; an honest one has each of its bytes once.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    bytes: usize,
    depth: u8,
}

impl Budget {
    /// For a document of so many bytes.
    #[must_use]
    pub const fn new(document_length: usize) -> Self {
        Self { bytes: document_length.saturating_add(LEAST_ENTRY), depth: 0 }
    }

    /// Takes what an element has.
    ///
    /// # Errors
    /// [`JsonError::TooMuch`].
    pub fn take(&mut self, bytes: usize) -> Result<(), JsonError> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(JsonError::TooMuch)?;
        Ok(())
    }

    /// What is left, one level deeper.
    ///
    /// # Errors
    /// [`JsonError::TooDeep`].
    pub fn enter(&self) -> Result<Self, JsonError> {
        let depth = self.depth.saturating_add(1);
        if depth > MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        Ok(Self { bytes: self.bytes, depth })
    }

    /// What was left of it there.
    pub fn leave(&mut self, inside: &Self) {
        self.bytes = inside.bytes;
    }
}

/// An array or an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Container<'a> {
    bytes: &'a [u8],
    /// How many elements.
    pub count: usize,
    is_large: bool,
    is_object: bool,
}

impl<'a> Container<'a> {
    fn parse(bytes: &'a [u8], is_large: bool, is_object: bool) -> Result<Self, JsonError> {
        let mut cursor = Cursor::new(bytes);
        let count = offset(&mut cursor, is_large)?;
        let size = offset(&mut cursor, is_large)?;
        let bytes = Cursor::new(bytes).take(size)?;
        let container = Self { bytes, count, is_large, is_object };
        // All entries are there, so that the elements are not more than bytes.
        let head = container
            .entries_start()
            .saturating_add(count.saturating_mul(container.entry_length()));
        Cursor::new(bytes).take(head)?;
        Ok(container)
    }

    const fn offset_length(&self) -> usize {
        if self.is_large { 4 } else { 2 }
    }

    const fn entry_length(&self) -> usize {
        self.offset_length().saturating_add(1)
    }

    /// Where the elements' types and offsets start: behind those of the keys.
    const fn entries_start(&self) -> usize {
        let keys = if self.is_object {
            self.count.saturating_mul(self.offset_length().saturating_add(2))
        } else {
            0
        };
        self.offset_length().saturating_mul(2).saturating_add(keys)
    }

    /// Keys and values, in order; the keys of an array are empty.
    pub fn elements(
        &self,
    ) -> impl Iterator<Item = Result<(&'a [u8], Json<'a>), JsonError>> + use<'a> {
        let container = *self;
        (0..container.count).map(move |index| Ok((container.key(index)?, container.value(index)?)))
    }

    fn at(&self, start: usize) -> Cursor<'a> {
        Cursor::new(self.bytes.get(start..).unwrap_or_default())
    }

    fn key(&self, index: usize) -> Result<&'a [u8], JsonError> {
        if !self.is_object {
            return Ok(&[]);
        }
        let entry = self.offset_length().saturating_add(2).saturating_mul(index);
        let mut cursor = self.at(self.offset_length().saturating_mul(2).saturating_add(entry));
        let start = offset(&mut cursor, self.is_large)?;
        let length = usize::from(cursor.u16_le()?);
        Ok(self.at(start).take(length)?)
    }

    fn value(&self, index: usize) -> Result<Json<'a>, JsonError> {
        let start = self.entries_start().saturating_add(self.entry_length().saturating_mul(index));
        let mut cursor = self.at(start);
        let kind = cursor.u8()?;
        let is_inline = matches!(kind, 0x04..=0x06) || self.is_large && matches!(kind, 0x07 | 0x08);
        if is_inline {
            return Json::value(kind, cursor.rest());
        }
        let start = offset(&mut cursor, self.is_large)?;
        Json::value(kind, self.bytes.get(start..).unwrap_or_default())
    }
}

fn offset(cursor: &mut Cursor<'_>, is_large: bool) -> Result<usize, OutOfBytes> {
    if is_large {
        cursor.u32_le().map(|value| usize::try_from(value).unwrap_or(usize::MAX))
    } else {
        cursor.u16_le().map(usize::from)
    }
}

/// Bytes behind their length: seven bits in a byte, the lowest first, the highest bit where more
/// follow.
fn text<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], OutOfBytes> {
    let mut length = 0_usize;
    for shift in [0_u32, 7, 14, 21, 28] {
        let byte = cursor.u8()?;
        let bits = usize::from(byte & 0x7F).checked_shl(shift).unwrap_or(0);
        length |= bits;
        if byte & 0x80 == 0 {
            break;
        }
    }
    cursor.take(length)
}

impl Opaque<'_> {
    /// The DECIMAL that it is, if it is one.
    #[must_use]
    pub fn decimal(&self) -> Option<Decimal<'_>> {
        let [precision, scale, bytes @ ..] = self.data else {
            return None;
        };
        (self.column_type == ty::NEWDECIMAL).then(|| Decimal::new(bytes, *precision, *scale))?
    }

    /// Date or time as MySQL prints it within documents, with six digits of fraction; `None` for
    /// other types.
    #[must_use]
    pub fn temporal(&self) -> Option<Vec<u8>> {
        let packed = i64::from_le_bytes(<[u8; 8]>::try_from(self.data).ok()?);
        let mut text = Vec::new();
        match self.column_type {
            ty::DATE | ty::NEWDATE => date_of(packed).write(&mut text),
            ty::TIME => time_of(packed).write(&mut text),
            ty::DATETIME | ty::TIMESTAMP => datetime_of(packed).write(&mut text),
            _ => return None,
        }
        Some(text)
    }

    /// Appends it as JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        if let Some(decimal) = self.decimal() {
            decimal.write(out);
        } else if let Some(text) = self.temporal() {
            string(out, &text);
        } else {
            let _ =
                write!(out, "\"base64:type{}:{}\"", self.column_type, STANDARD.encode(self.data));
        }
    }
}

/// The packed form of dates and times in documents: year times 13 plus month 17 bits, day 5, hour 5,
/// minute 6, second 6, microseconds 24 (server source: `TIME_to_longlong_datetime_packed`).
fn datetime_of(packed: i64) -> DateTime {
    let value = packed.unsigned_abs();
    let (whole, micros) = (value >> 24, value & 0xFF_FFFF);
    let (day_part, time) = (whole >> 17, whole & 0x1_FFFF);
    let year_month = day_part >> 5;
    DateTime {
        date: Date {
            year: u16::try_from(year_month / 13).unwrap_or_default(),
            month: u8::try_from(year_month % 13).unwrap_or_default(),
            day: u8::try_from(day_part & 0x1F).unwrap_or_default(),
        },
        hour: u8::try_from(time >> 12).unwrap_or_default(),
        minute: u8::try_from(time >> 6 & 0x3F).unwrap_or_default(),
        second: u8::try_from(time & 0x3F).unwrap_or_default(),
        micros: u32::try_from(micros.min(999_999)).unwrap_or_default(),
        digits: 6,
    }
}

fn date_of(packed: i64) -> Date {
    datetime_of(packed).date
}

/// Hours 10 bits, minutes 6, seconds 6, microseconds 24; negative as a whole.
fn time_of(packed: i64) -> Time {
    let value = packed.unsigned_abs();
    let (whole, micros) = (value >> 24, value & 0xFF_FFFF);
    Time {
        negative: packed < 0,
        hours: u16::try_from(whole >> 12 & 0x3FF).unwrap_or_default(),
        minutes: u8::try_from(whole >> 6 & 0x3F).unwrap_or_default(),
        seconds: u8::try_from(whole & 0x3F).unwrap_or_default(),
        micros: u32::try_from(micros.min(999_999)).unwrap_or_default(),
        digits: 6,
    }
}

fn number(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    let _ = write!(out, "{value}");
}

/// Appends a number with a point or an exponent, so that it is read back as the same DOUBLE.
pub fn double(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        let _ = write!(out, "{value:?}");
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Appends a text as a string of JSON; what is not UTF-8 in it is replaced.
pub fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    match std::str::from_utf8(text) {
        Ok(text) => escaped(out, text),
        Err(_) => escaped(out, &String::from_utf8_lossy(text)),
    }
    out.push(b'"');
}

fn escaped(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    let is_odd = |byte: &u8| matches!(byte, 0..=0x1F | b'"' | b'\\' | 0x7F);
    while let Some(at) = rest.iter().position(is_odd) {
        let (plain, behind) = rest.split_at_checked(at).unwrap_or_default();
        out.extend_from_slice(plain);
        let Some((&byte, behind)) = behind.split_first() else {
            return;
        };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => {
                let _ = write!(out, "\\u{other:04x}");
            }
        }
        rest = behind;
    }
    out.extend_from_slice(rest);
}
