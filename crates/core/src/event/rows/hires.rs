//! MariaDB's own temporal types with a fraction (5.3 and later, `mysql56_temporal_format=OFF`): big-endian
//! numbers, whose type byte in a table map is that of the old types, and whose digits only the
//! table's definition tells (MariaDB server source: `sql/field.cc`, `Field_time_hires`,
//! `Field_datetime_hires`, `Field_timestamp_hires`).

use super::temporal::{Date, DateTime, Time, Timestamp};
use super::value::Value;
use crate::bytes::{Cursor, OutOfBytes};

const TIME: [usize; 7] = [3, 4, 4, 5, 5, 5, 6];
const DATETIME: [usize; 7] = [5, 6, 6, 7, 7, 7, 8];
const TIMESTAMP: [usize; 7] = [4, 5, 5, 6, 6, 7, 7];
/// 839 hours in microseconds: added to every TIME, so that none is below zero.
const TIME_ZERO: u64 = 3_020_400_000_000;

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hires {
    Time,
    DateTime,
    Timestamp,
}

/// Bytes of a value with so many digits of fraction.
pub(super) fn length(of: Hires, digits: u8) -> usize {
    let table = match of {
        Hires::Time => TIME,
        Hires::DateTime => DATETIME,
        Hires::Timestamp => TIMESTAMP,
    };
    table.get(usize::from(digits)).copied().unwrap_or(0)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value: u64, byte| (value << 8) | u64::from(*byte))
}

/// What a number with so many digits of fraction must be multiplied with for microseconds.
fn unit(digits: u8) -> u64 {
    10_u64.saturating_pow(6_u32.saturating_sub(u32::from(digits)))
}

fn small<T: TryFrom<u64> + Default>(value: u64) -> T {
    T::try_from(value).unwrap_or_default()
}

pub(super) fn read<'a>(
    of: Hires,
    digits: u8,
    cursor: &mut Cursor<'a>,
) -> Result<Value<'a>, OutOfBytes> {
    let bytes = cursor.take(length(of, digits))?;
    Ok(match of {
        Hires::Timestamp => {
            let (seconds, part) = bytes.split_at_checked(4).unwrap_or_default();
            Value::Timestamp(Timestamp {
                seconds: small(number(seconds)),
                micros: small(number(part).saturating_mul(unit(digits))),
                digits,
            })
        }
        Hires::DateTime => {
            Value::DateTime(datetime(number(bytes).saturating_mul(unit(digits)), digits))
        }
        Hires::Time => {
            // The server adds the zero point in units of the column's fraction.
            let zero = TIME_ZERO.checked_div(unit(digits)).unwrap_or(TIME_ZERO);
            let stored = number(bytes);
            let micros = stored.abs_diff(zero).saturating_mul(unit(digits));
            Value::Time(time(micros, stored < zero, digits))
        }
    })
}

/// `((((year * 13 + month) * 32 + day) * 24 + hour) * 60 + minute) * 60 + second`, then microseconds
/// (MariaDB server source: `pack_time`).
fn datetime(packed: u64, digits: u8) -> DateTime {
    let micros = packed % 1_000_000;
    let seconds = packed / 1_000_000;
    let minutes = seconds / 60;
    let hours = minutes / 60;
    let days = hours / 24;
    let months = days / 32;
    DateTime {
        date: Date { year: small(months / 13), month: small(months % 13), day: small(days % 32) },
        hour: small(hours % 24),
        minute: small(minutes % 60),
        second: small(seconds % 60),
        micros: small(micros),
        digits,
    }
}

/// The same, with no date.
fn time(packed: u64, negative: bool, digits: u8) -> Time {
    let seconds = packed / 1_000_000;
    Time {
        negative,
        hours: small(seconds / 3600),
        minutes: small(seconds / 60 % 60),
        seconds: small(seconds % 60),
        micros: small(packed % 1_000_000),
        digits,
    }
}
