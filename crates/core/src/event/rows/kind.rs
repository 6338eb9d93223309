//! How the values of a column lie in a row image.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{DeflateDecoder, ZlibDecoder};

use super::decimal::{self, Decimal};
use super::hires::{self, Hires};
use super::temporal::{Date, DateTime, Time, Timestamp};
use super::value::Value;
use crate::bytes::{Cursor, OutOfBytes};
use crate::event::column_type as ty;
use crate::event::table_map::Column;

/// The most that one compressed column of MariaDB may unfold to, in bytes.
pub const MAX_COLUMN: usize = 64 << 20;

/// The form of a column's values in row images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Integers of so many bytes, little-endian.
    Int {
        /// 1, 2, 3, 4 or 8.
        width: u8,
    },
    /// IEEE 754 in 4 bytes, little-endian.
    Float,
    /// IEEE 754 in 8 bytes, little-endian.
    Double,
    /// See [`Decimal`].
    Decimal {
        /// Digits.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
        /// Bytes that these take.
        length: u8,
    },
    /// Bits in as many bytes as they need, big-endian.
    Bit {
        /// How many bits.
        width: u8,
    },
    /// One byte: 0, or years since 1900.
    Year,
    /// See [`Date`].
    Date,
    /// TIME of servers before 5.6.4, and of tables made by them.
    OldTime,
    /// DATETIME of servers before 5.6.4, and of tables made by them.
    OldDateTime,
    /// TIMESTAMP of servers before 5.6.4, and of tables made by them.
    OldTimestamp,
    /// MariaDB's TIME with a fraction in tables made with `mysql56_temporal_format=OFF`.
    HiresTime {
        /// Digits of the fraction.
        digits: u8,
    },
    /// MariaDB's DATETIME, as above.
    HiresDateTime {
        /// Digits of the fraction.
        digits: u8,
    },
    /// MariaDB's TIMESTAMP, as above.
    HiresTimestamp {
        /// Digits of the fraction.
        digits: u8,
    },
    /// TIME with so many digits of fraction.
    Time {
        /// Digits of the fraction.
        digits: u8,
    },
    /// DATETIME with so many digits of fraction.
    DateTime {
        /// Digits of the fraction.
        digits: u8,
    },
    /// TIMESTAMP with so many digits of fraction.
    Timestamp {
        /// Digits of the fraction.
        digits: u8,
    },
    /// Bytes behind a length of so many bytes: VARCHAR, VARBINARY, TEXT, BLOB.
    Bytes {
        /// Bytes of the length, 1 to 4.
        prefix: u8,
    },
    /// CHAR and BINARY: the same, without the spaces or zero bytes at the end.
    Fixed {
        /// Bytes of the length, 1 or 2.
        prefix: u8,
        /// The most bytes that the column holds: those of a BINARY value.
        longest: u16,
    },
    /// MariaDB's columns with COMPRESSED.
    Compressed {
        /// Bytes of the length, 1 to 4.
        prefix: u8,
    },
    /// The number of a member in 1 or 2 bytes, little-endian.
    Enum {
        /// 1 or 2.
        width: u8,
    },
    /// A bit for each member in 1 to 8 bytes, little-endian.
    Set {
        /// 1 to 8.
        width: u8,
    },
    /// JSON in binary form, or the array that a multi-valued index is made of.
    Json {
        /// Bytes of the length, 1 to 4.
        prefix: u8,
    },
    /// See [`Value::Geometry`].
    Geometry {
        /// Bytes of the length, 1 to 4.
        prefix: u8,
    },
    /// See [`Value::Vector`].
    Vector {
        /// Bytes of the length, 1 to 4.
        prefix: u8,
    },
    /// No byte: the type of NULL itself.
    Nothing,
    /// A type that is not known here: how long its values are cannot be said.
    Unknown(u8),
}

impl Kind {
    /// The form of a column's values by its type and metadata.
    #[must_use]
    pub fn of(column: Column) -> Self {
        let [first, second] = column.metadata;
        let prefix = first;
        let kind = match column.column_type {
            ty::NULL => Self::Nothing,
            ty::TINY => Self::Int { width: 1 },
            ty::SHORT => Self::Int { width: 2 },
            ty::INT24 => Self::Int { width: 3 },
            ty::LONG => Self::Int { width: 4 },
            ty::LONGLONG => Self::Int { width: 8 },
            ty::FLOAT => Self::Float,
            ty::DOUBLE => Self::Double,
            ty::YEAR => Self::Year,
            ty::DATE | ty::NEWDATE => Self::Date,
            ty::TIME => Self::OldTime,
            ty::DATETIME => Self::OldDateTime,
            ty::TIMESTAMP => Self::OldTimestamp,
            ty::TIME2 => Self::Time { digits: first },
            ty::DATETIME2 => Self::DateTime { digits: first },
            ty::TIMESTAMP2 => Self::Timestamp { digits: first },
            ty::NEWDECIMAL => return decimal_kind(first, second),
            ty::BIT => return bit_kind(first, second),
            ty::ENUM => Self::Enum { width: second },
            ty::SET => Self::Set { width: second },
            ty::STRING => return string_kind(first, second),
            ty::VARCHAR | ty::VAR_STRING => Self::Bytes { prefix: if second > 0 { 2 } else { 1 } },
            ty::VARCHAR_COMPRESSED => Self::Compressed { prefix: if second > 0 { 2 } else { 1 } },
            ty::BLOB | ty::TINY_BLOB..=ty::LONG_BLOB => Self::Bytes { prefix },
            ty::BLOB_COMPRESSED => Self::Compressed { prefix },
            ty::GEOMETRY => Self::Geometry { prefix },
            ty::JSON => Self::Json { prefix },
            ty::TYPED_ARRAY => Self::Json { prefix: 4 },
            ty::VECTOR => Self::Vector { prefix },
            other => Self::Unknown(other),
        };
        if kind.is_possible() { kind } else { Self::Unknown(column.column_type) }
    }

    /// Whether the widths are such as a server has them.
    const fn is_possible(self) -> bool {
        match self {
            Self::Time { digits } | Self::DateTime { digits } | Self::Timestamp { digits } => {
                digits <= 6
            }
            Self::Bytes { prefix }
            | Self::Compressed { prefix }
            | Self::Json { prefix }
            | Self::Geometry { prefix }
            | Self::Vector { prefix } => prefix >= 1 && prefix <= 4,
            Self::Enum { width } => width == 1 || width == 2,
            Self::Set { width } => width >= 1 && width <= 8,
            _ => true,
        }
    }

    /// Whether MariaDB's table maps give this type to values of other lengths, too.
    #[must_use]
    pub const fn may_be_hires(self) -> bool {
        matches!(self, Self::OldTime | Self::OldDateTime | Self::OldTimestamp)
    }

    /// Passes over a value.
    ///
    /// # Errors
    /// [`ValueError`].
    pub fn skip(self, cursor: &mut Cursor<'_>) -> Result<(), ValueError> {
        let length = self.length(cursor)?;
        cursor.take(length)?;
        Ok(())
    }

    /// Bytes of the next value; what tells a length is taken.
    fn length(self, cursor: &mut Cursor<'_>) -> Result<usize, ValueError> {
        let fraction = super::temporal::fraction_length;
        Ok(match self {
            Self::Nothing => 0,
            Self::Year => 1,
            Self::Int { width } | Self::Enum { width } | Self::Set { width } => usize::from(width),
            Self::Date | Self::OldTime => 3,
            Self::Float | Self::OldTimestamp => 4,
            Self::Double | Self::OldDateTime => 8,
            Self::Decimal { length, .. } => usize::from(length),
            Self::Bit { width } => usize::from(width).div_ceil(8),
            Self::Time { digits } => fraction(digits).saturating_add(3),
            Self::DateTime { digits } => fraction(digits).saturating_add(5),
            Self::Timestamp { digits } => fraction(digits).saturating_add(4),
            Self::HiresTime { digits } => hires::length(Hires::Time, digits),
            Self::HiresDateTime { digits } => hires::length(Hires::DateTime, digits),
            Self::HiresTimestamp { digits } => hires::length(Hires::Timestamp, digits),
            Self::Bytes { prefix }
            | Self::Fixed { prefix, .. }
            | Self::Compressed { prefix }
            | Self::Json { prefix }
            | Self::Geometry { prefix }
            | Self::Vector { prefix } => prefixed(cursor, prefix)?,
            Self::Unknown(column_type) => return Err(ValueError::UnknownType { column_type }),
        })
    }

    /// Reads a value. `unsigned` tells what integers are, and nothing of other values.
    ///
    /// # Errors
    /// [`ValueError`].
    #[inline]
    pub fn read<'a>(
        self,
        cursor: &mut Cursor<'a>,
        unsigned: bool,
    ) -> Result<Value<'a>, ValueError> {
        Ok(match self {
            Self::Int { width } => integer(cursor.take(usize::from(width))?, unsigned),
            Self::Bytes { prefix } | Self::Fixed { prefix, .. } => {
                Value::Bytes(Cow::Borrowed(long(cursor, prefix)?))
            }
            Self::Float => Value::Float(f32::from_le_bytes(cursor.array()?)),
            Self::Double => Value::Double(f64::from_le_bytes(cursor.array()?)),
            Self::Decimal { precision, scale, length } => {
                let bytes = cursor.take(usize::from(length))?;
                Decimal::new(bytes, precision, scale).map_or(Value::Null, Value::Decimal)
            }
            Self::DateTime { digits } => Value::DateTime(DateTime::read(cursor, digits)?),
            Self::Timestamp { digits } => Value::Timestamp(Timestamp::read(cursor, digits)?),
            Self::Time { digits } => Value::Time(Time::read(cursor, digits)?),
            Self::Date => Value::Date(Date::read(cursor)?),
            Self::Json { prefix } => Value::Json(long(cursor, prefix)?),
            Self::Geometry { prefix } => Value::Geometry(long(cursor, prefix)?),
            Self::Vector { prefix } => Value::Vector(long(cursor, prefix)?),
            Self::Compressed { prefix } => Value::Bytes(unfold(long(cursor, prefix)?)?),
            Self::Year => Value::Year(match cursor.u8()? {
                0 => 0,
                since => u16::from(since).saturating_add(1900),
            }),
            Self::Bit { width } => {
                let bytes = cursor.take(usize::from(width).div_ceil(8))?;
                Value::Bit { bits: big_endian(bytes), width }
            }
            Self::Enum { width } => Value::Enum(
                u16::try_from(little_endian(cursor.take(usize::from(width))?)).unwrap_or_default(),
            ),
            Self::Set { width } => Value::Set(little_endian(cursor.take(usize::from(width))?)),
            Self::OldTime => Value::Time(possible(Time::read_old(cursor)?, Time::is_possible)?),
            Self::OldDateTime => {
                Value::DateTime(possible(DateTime::read_old(cursor)?, DateTime::is_possible)?)
            }
            Self::OldTimestamp => Value::Timestamp(Timestamp::read_old(cursor)?),
            Self::HiresTime { digits } => hires::read(Hires::Time, digits, cursor)?,
            Self::HiresDateTime { digits } => hires::read(Hires::DateTime, digits, cursor)?,
            Self::HiresTimestamp { digits } => hires::read(Hires::Timestamp, digits, cursor)?,
            Self::Nothing => Value::Null,
            Self::Unknown(column_type) => return Err(ValueError::UnknownType { column_type }),
        })
    }
}

/// Why a value cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The image ends before the value does. Offsets count from the first row.
    #[error(transparent)]
    OutOfBytes(#[from] OutOfBytes),
    /// No server that is known has this type.
    #[error("columns of type {column_type} are not known, so that nothing behind one can be read")]
    UnknownType {
        /// The type's number.
        column_type: u8,
    },
    /// A date or a time that no server stores.
    #[error(
        "a date or time that cannot be: MariaDB's with a fraction (mysql56_temporal_format=OFF) can only be read by the table's definition"
    )]
    Impossible,
    /// A compressed column of MariaDB cannot be uncompressed.
    #[error("the value of a compressed column cannot be uncompressed")]
    Compressed,
    /// A compressed column of MariaDB is too large.
    #[error(
        "the value of a compressed column has {length} bytes uncompressed, more than {MAX_COLUMN} are not read"
    )]
    TooLarge {
        /// Its length uncompressed, as it says itself.
        length: u64,
    },
}

fn possible<T>(value: T, is_possible: fn(&T) -> bool) -> Result<T, ValueError> {
    if is_possible(&value) { Ok(value) } else { Err(ValueError::Impossible) }
}

fn decimal_kind(precision: u8, scale: u8) -> Kind {
    let length =
        decimal::byte_length(precision, scale).and_then(|length| u8::try_from(length).ok());
    match length {
        Some(length) if length > 0 => Kind::Decimal { precision, scale, length },
        _ => Kind::Unknown(ty::NEWDECIMAL),
    }
}

/// Bits that do not fill a byte, then bytes.
fn bit_kind(bits: u8, bytes: u8) -> Kind {
    let width = u16::from(bytes).saturating_mul(8).saturating_add(u16::from(bits));
    match u8::try_from(width) {
        Ok(width @ 1..=64) if bits < 8 => Kind::Bit { width },
        _ => Kind::Unknown(ty::BIT),
    }
}

/// CHAR, and in disguise ENUM and SET. Two bits of a CHAR's length hide, inverted, in the byte of
/// the real type (server source: `Field_string::do_save_field_metadata`).
fn string_kind(first: u8, second: u8) -> Kind {
    match first {
        ty::ENUM if matches!(second, 1 | 2) => return Kind::Enum { width: second },
        ty::SET if matches!(second, 1..=8) => return Kind::Set { width: second },
        ty::ENUM | ty::SET => return Kind::Unknown(first),
        _ => {}
    }
    let high_bits = u16::from(!first & 0x30) << 4;
    let longest = high_bits | u16::from(second);
    Kind::Fixed { prefix: if longest > 255 { 2 } else { 1 }, longest }
}

/// A length of so many bytes, little-endian.
fn prefixed(cursor: &mut Cursor<'_>, width: u8) -> Result<usize, OutOfBytes> {
    let bytes = cursor.take(usize::from(width))?;
    Ok(usize::try_from(little_endian(bytes)).unwrap_or(usize::MAX))
}

/// Bytes behind such a length.
#[inline]
fn long<'a>(cursor: &mut Cursor<'a>, width: u8) -> Result<&'a [u8], OutOfBytes> {
    let length = if width == 1 { usize::from(cursor.u8()?) } else { prefixed(cursor, width)? };
    cursor.take(length)
}

#[inline]
fn integer<'a>(bytes: &[u8], unsigned: bool) -> Value<'a> {
    let value = little_endian(bytes);
    if unsigned {
        return Value::UInt(value);
    }
    let unused = 64_u32.saturating_sub(u32::try_from(bytes.len()).unwrap_or(8).saturating_mul(8));
    let high = value.checked_shl(unused).unwrap_or(0).cast_signed();
    Value::Int(high.checked_shr(unused).unwrap_or(0))
}

#[inline]
fn little_endian(bytes: &[u8]) -> u64 {
    let fold = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
    bytes.iter().rev().fold(0, fold)
}

fn big_endian(bytes: &[u8]) -> u64 {
    let fold = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
    bytes.iter().fold(0, fold)
}

/// A value of MariaDB's COMPRESSED columns: nothing for the empty string; a byte whose upper four bits
/// are the method (0 none, 8 zlib) and, with zlib, whose bit 3 says that the stream has no head and
/// whose lowest three bits say how many bytes of length follow; the length uncompressed,
/// big-endian; the stream (MariaDB server source: `sql/field_comp.cc`).
fn unfold(stored: &[u8]) -> Result<Cow<'_, [u8]>, ValueError> {
    const WITHOUT_HEAD: u8 = 8;
    let Some((&first, rest)) = stored.split_first() else {
        return Ok(Cow::Borrowed(stored));
    };
    match first >> 4 {
        0 => return Ok(Cow::Borrowed(rest)),
        8 => {}
        _ => return Err(ValueError::Compressed),
    }
    let width = usize::from(first & 7);
    let (length, stream) = rest.split_at_checked(width).ok_or(ValueError::Compressed)?;
    let length = big_endian(length);
    if usize::try_from(length).map_or(true, |length| length > MAX_COLUMN) {
        return Err(ValueError::TooLarge { length });
    }
    // The buffer grows with what comes, not with what is announced.
    let mut unfolded = Vec::new();
    let read = if first & WITHOUT_HEAD == 0 {
        ZlibDecoder::new(stream).take(length).read_to_end(&mut unfolded)
    } else {
        DeflateDecoder::new(stream).take(length).read_to_end(&mut unfolded)
    };
    match read {
        Ok(read) if u64::try_from(read) == Ok(length) => Ok(Cow::Owned(unfolded)),
        _ => Err(ValueError::Compressed),
    }
}
