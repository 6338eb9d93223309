//! INTVAR, RAND and USER_VAR: what the statement behind them is run with.

use std::fmt;

use super::rows::decimal::Decimal;
use crate::bytes::Cursor;

/// INTVAR: LAST_INSERT_ID or INSERT_ID for the next statement.
pub const INTVAR: u8 = 5;
/// RAND: the seeds of RAND() in the next statement.
pub const RAND: u8 = 13;
/// USER_VAR: a variable of the user's in the next statement.
pub const USER_VAR: u8 = 14;

/// What a statement is run with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Variable<'a> {
    /// What LAST_INSERT_ID() gives.
    LastInsertId(u64),
    /// The first number for an AUTO_INCREMENT column.
    InsertId(u64),
    /// Both seeds of RAND().
    Seeds(u64, u64),
    /// A variable of the user's: its name, in UTF-8 as a rule, and its value.
    User(&'a [u8], UserValue<'a>),
}

/// The value of a variable of the user's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum UserValue<'a> {
    /// NULL.
    Null,
    /// Text, in the character set of its collation's number.
    Text(&'a [u8], u32),
    /// A floating-point number.
    Real(f64),
    /// A number below zero or not, of 64 bits.
    Signed(i64),
    /// A number of 64 bits without a sign.
    Unsigned(u64),
    /// A DECIMAL.
    Decimal(Decimal<'a>),
}

impl<'a> Variable<'a> {
    /// Reads an event's body; `None` for other events, and for a body that no server writes.
    ///
    /// INTVAR: kind u8 (1: LAST_INSERT_ID, 2: INSERT_ID), value u64. RAND: two seeds, u64 each.
    /// USER_VAR: length of the name u32, name, 1 for NULL u8, else type u8 (0 text, 1 double, 2
    /// integer, 4 DECIMAL), collation u32, length u32, value, flags u8 (1: without a sign) (server
    /// source: `Intvar_event`, `Rand_event`, `User_var_event`). Little-endian.
    #[must_use]
    pub fn parse(event_type: u8, body: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(body);
        match event_type {
            INTVAR => {
                let (kind, value) = (cursor.u8().ok()?, cursor.u64_le().ok()?);
                match kind {
                    1 => Some(Self::LastInsertId(value)),
                    2 => Some(Self::InsertId(value)),
                    _ => None,
                }
            }
            RAND => Some(Self::Seeds(cursor.u64_le().ok()?, cursor.u64_le().ok()?)),
            USER_VAR => {
                let length = usize::try_from(cursor.u32_le().ok()?).ok()?;
                let name = cursor.take(length).ok()?;
                Some(Self::User(name, UserValue::read(&mut cursor)?))
            }
            _ => None,
        }
    }
}

impl<'a> UserValue<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        const UNSIGNED: u8 = 1;
        if cursor.u8().ok()? != 0 {
            return Some(Self::Null);
        }
        let kind = cursor.u8().ok()?;
        let collation = cursor.u32_le().ok()?;
        let length = usize::try_from(cursor.u32_le().ok()?).ok()?;
        let value = cursor.take(length).ok()?;
        // Servers before 5.0 write no flags.
        let is_unsigned = cursor.u8().is_ok_and(|flags| flags & UNSIGNED != 0);
        match kind {
            0 => Some(Self::Text(value, collation)),
            1 => Some(Self::Real(f64::from_le_bytes(value.try_into().ok()?))),
            2 => {
                let value = u64::from_le_bytes(value.try_into().ok()?);
                Some(if is_unsigned {
                    Self::Unsigned(value)
                } else {
                    Self::Signed(value.cast_signed())
                })
            }
            // Precision and scale, a byte each, before the digits.
            4 => {
                let (&precision, rest) = value.split_first()?;
                let (&scale, digits) = rest.split_first()?;
                Decimal::new(digits, precision, scale).map(Self::Decimal)
            }
            _ => None,
        }
    }
}

impl fmt::Display for UserValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Text(text, _) => write!(f, "'{}'", String::from_utf8_lossy(text)),
            Self::Real(number) => number.fmt(f),
            Self::Signed(number) => number.fmt(f),
            Self::Unsigned(number) => number.fmt(f),
            Self::Decimal(number) => {
                let mut digits = Vec::new();
                number.write(&mut digits);
                f.write_str(&String::from_utf8_lossy(&digits))
            }
        }
    }
}

impl fmt::Display for Variable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LastInsertId(value) => write!(f, "LAST_INSERT_ID = {value}"),
            Self::InsertId(value) => write!(f, "INSERT_ID = {value}"),
            Self::Seeds(one, two) => write!(f, "RAND_SEED1 = {one}, RAND_SEED2 = {two}"),
            Self::User(name, value) => write!(f, "@{} = {value}", String::from_utf8_lossy(name)),
        }
    }
}
