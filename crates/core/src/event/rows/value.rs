//! The value of one column in one row.

use std::borrow::Cow;

use super::decimal::Decimal;
use super::temporal::{Date, DateTime, Time, Timestamp};

/// A value, as the row image has it. What is long is borrowed from the event.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// An integer of a column that has a sign, or of which it is not known whether it has one.
    Int(i64),
    /// An integer of a column without a sign.
    UInt(u64),
    /// FLOAT.
    Float(f32),
    /// DOUBLE.
    Double(f64),
    /// DECIMAL.
    Decimal(Decimal<'a>),
    /// BIT: the bits as a number, and how many there are.
    Bit {
        /// The bits, the last one lowest.
        bits: u64,
        /// How many the column has, 1 to 64.
        width: u8,
    },
    /// YEAR: 0, or 1901 to 2155.
    Year(u16),
    /// DATE.
    Date(Date),
    /// TIME.
    Time(Time),
    /// DATETIME.
    DateTime(DateTime),
    /// TIMESTAMP.
    Timestamp(Timestamp),
    /// CHAR, VARCHAR, TEXT, BINARY, VARBINARY, BLOB, in the column's character set
    /// ([`Column::charset`](super::table::Column::charset)), uncompressed.
    Bytes(Cow<'a, [u8]>),
    /// ENUM: the number of the member, from 1; 0 is the empty string of a value that was refused.
    Enum(u16),
    /// SET: a bit for each member, the first one lowest.
    Set(u64),
    /// JSON in the server's binary form, see [`json`](super::json); empty where the server takes
    /// that for the literal null.
    Json(&'a [u8]),
    /// Changes to the JSON document of the before image, see
    /// [`json_diff`](super::json_diff).
    JsonDiff(&'a [u8]),
    /// GEOMETRY: SRID, u32 little-endian, then WKB.
    Geometry(&'a [u8]),
    /// VECTOR: FLOATs of four bytes, little-endian.
    Vector(&'a [u8]),
}

impl Value<'_> {
    /// Whether it is NULL.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

/// The values of an image, in the order of the table's columns; `None` for a column that the image
/// leaves out.
pub type Image<'a> = Vec<Option<Value<'a>>>;
