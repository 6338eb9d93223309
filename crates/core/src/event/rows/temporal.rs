//! Dates and times as row images have them, and as the server prints them.

use crate::bytes::{Cursor, OutOfBytes};

/// A day, which may be `0000-00-00` or one that no calendar has: the server stores what it was
/// allowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Date {
    /// 0 to 9999.
    pub year: u16,
    /// 0 to 12.
    pub month: u8,
    /// 0 to 31.
    pub day: u8,
}

/// A time of day, or a span of up to 838 hours, which may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Time {
    /// Whether it is below zero.
    pub negative: bool,
    /// Hours.
    pub hours: u16,
    /// 0 to 59.
    pub minutes: u8,
    /// 0 to 59.
    pub seconds: u8,
    /// Millionths of a second.
    pub micros: u32,
    /// Digits of the fraction that are stored, 0 to 6.
    pub digits: u8,
}

/// A day and a time of that day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DateTime {
    /// The day.
    pub date: Date,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// Millionths of a second.
    pub micros: u32,
    /// Digits of the fraction that are stored, 0 to 6.
    pub digits: u8,
}

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timestamp {
    /// Seconds since 1970-01-01 00:00 UTC; 0 is the server's `0000-00-00 00:00:00`.
    pub seconds: u32,
    /// Millionths of a second.
    pub micros: u32,
    /// Digits of the fraction that are stored, 0 to 6.
    pub digits: u8,
}

/// Bytes of a fraction with so many digits.
#[must_use]
pub const fn fraction_length(digits: u8) -> usize {
    (digits as usize).div_ceil(2)
}

/// The lowest `width` bits of `value` above the lowest `skip`.
fn bits(value: u64, skip: u32, width: u32) -> u64 {
    let shifted = value.checked_shr(skip).unwrap_or(0);
    shifted & 1_u64.checked_shl(width).unwrap_or(0).wrapping_sub(1)
}

fn small<T: TryFrom<u64> + Default>(value: u64) -> T {
    T::try_from(value).unwrap_or_default()
}

/// A big-endian number of up to eight bytes.
fn big_endian(bytes: &[u8]) -> u64 {
    let fold = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
    bytes.iter().fold(0, fold)
}

fn little_endian(bytes: &[u8]) -> u64 {
    let fold = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
    bytes.iter().rev().fold(0, fold)
}

/// Millionths from a fraction: 1, 2 or 3 bytes, big-endian, hold hundredths, ten thousandths, or
/// millionths.
fn fraction(bytes: &[u8]) -> u32 {
    let unit = match bytes.len() {
        0 => 0,
        1 => 10_000,
        2 => 100,
        _ => 1,
    };
    small(big_endian(bytes).saturating_mul(unit).min(999_999))
}

impl Date {
    /// Three bytes, little-endian: day 5 bits, month 4, year 15 (server source: `Field_newdate`).
    ///
    /// # Errors
    /// [`OutOfBytes`].
    pub fn read(cursor: &mut Cursor<'_>) -> Result<Self, OutOfBytes> {
        let value = little_endian(cursor.take(3)?);
        Ok(Self {
            year: small(bits(value, 9, 15)),
            month: small(bits(value, 5, 4)),
            day: small(bits(value, 0, 5)),
        })
    }

    /// Appends `2026-11-27`.
    pub fn write(&self, out: &mut Vec<u8>) {
        digits(out, u32::from(self.year), 4);
        out.push(b'-');
        digits(out, u32::from(self.month), 2);
        out.push(b'-');
        digits(out, u32::from(self.day), 2);
    }
}

impl Time {
    /// Version 2 (server 5.6.4 and later): three bytes, big-endian, sign 1 bit (1 for positive),
    /// unused 1, hours 10, minutes 6, seconds 6; then the fraction. Negative ones are the two's
    /// complement of all of it (server source: `my_time_packed_from_binary`).
    ///
    /// # Errors
    /// [`OutOfBytes`].
    pub fn read(cursor: &mut Cursor<'_>, places: u8) -> Result<Self, OutOfBytes> {
        let length = fraction_length(places);
        let bytes = cursor.take(length.saturating_add(3))?;
        let width = u32::try_from(bytes.len()).unwrap_or(3).saturating_mul(8);
        let half = 1_u64.checked_shl(width.saturating_sub(1)).unwrap_or(0);
        let value = big_endian(bytes);
        let negative = value < half;
        let value = value.abs_diff(half);
        let fraction_bits = u32::try_from(length).unwrap_or(0).saturating_mul(8);
        let whole = bits(value, fraction_bits, 24);
        let part = bits(value, 0, fraction_bits).to_be_bytes();
        let part = part.get(8_usize.saturating_sub(length)..).unwrap_or_default();
        Ok(Self {
            negative,
            hours: small(bits(whole, 12, 10)),
            minutes: small(bits(whole, 6, 6)),
            seconds: small(bits(whole, 0, 6)),
            micros: fraction(part),
            digits: places,
        })
    }

    /// The old form: three bytes, little-endian and signed, the decimal digits `hhmmss`.
    ///
    /// # Errors
    /// [`OutOfBytes`].
    pub fn read_old(cursor: &mut Cursor<'_>) -> Result<Self, OutOfBytes> {
        let value = little_endian(cursor.take(3)?);
        let negative = value >= 1 << 23;
        let value = if negative { (1_u64 << 24).saturating_sub(value) } else { value };
        Ok(Self {
            negative,
            hours: small(value / 10_000),
            minutes: small(value / 100 % 100),
            seconds: small(value % 100),
            ..Self::default()
        })
    }

    /// Appends `-838:59:59.000`.
    pub fn write(&self, out: &mut Vec<u8>) {
        if self.negative {
            out.push(b'-');
        }
        digits(out, u32::from(self.hours), if self.hours > 99 { 3 } else { 2 });
        out.push(b':');
        digits(out, u32::from(self.minutes), 2);
        out.push(b':');
        digits(out, u32::from(self.seconds), 2);
        write_fraction(out, self.micros, self.digits);
    }
}

impl Time {
    /// Whether a server can have stored it.
    #[must_use]
    pub const fn is_possible(&self) -> bool {
        self.hours <= 838 && self.minutes < 60 && self.seconds < 60
    }

    /// The time in microseconds.
    #[must_use]
    pub fn micros_signed(&self) -> i64 {
        let minutes =
            i64::from(self.hours).saturating_mul(60).saturating_add(i64::from(self.minutes));
        let seconds = minutes.saturating_mul(60).saturating_add(i64::from(self.seconds));
        let micros = seconds.saturating_mul(1_000_000).saturating_add(i64::from(self.micros));
        if self.negative { micros.saturating_neg() } else { micros }
    }
}

impl DateTime {
    /// Whether a server can have stored it, with `ALLOW_INVALID_DATES` at the most.
    #[must_use]
    pub const fn is_possible(&self) -> bool {
        let date = self.date;
        date.year <= 9999
            && date.month <= 12
            && date.day <= 31
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
    }

    /// Version 2: five bytes, big-endian, 1 bit that is set, year times 13 plus month 17 bits, day
    /// 5, hour 5, minute 6, second 6; then the fraction (server source:
    /// `my_datetime_packed_from_binary`).
    ///
    /// # Errors
    /// [`OutOfBytes`].
    pub fn read(cursor: &mut Cursor<'_>, places: u8) -> Result<Self, OutOfBytes> {
        let value = big_endian(cursor.take(5)?);
        let part = cursor.take(fraction_length(places))?;
        let year_month = bits(value, 22, 17);
        Ok(Self {
            date: Date {
                year: small(year_month / 13),
                month: small(year_month % 13),
                day: small(bits(value, 17, 5)),
            },
            hour: small(bits(value, 12, 5)),
            minute: small(bits(value, 6, 6)),
            second: small(bits(value, 0, 6)),
            micros: fraction(part),
            digits: places,
        })
    }

    /// The old form: eight bytes, little-endian, the decimal digits `YYYYMMDDhhmmss`.
    ///
    /// # Errors
    /// [`OutOfBytes`].
    pub fn read_old(cursor: &mut Cursor<'_>) -> Result<Self, OutOfBytes> {
        let value = cursor.u64_le()?;
        let (date, time) = (value / 1_000_000, value % 1_000_000);
        Ok(Self {
            date: Date {
                year: small(date / 10_000),
                month: small(date / 100 % 100),
                day: small(date % 100),
            },
            hour: small(time / 10_000),
            minute: small(time / 100 % 100),
            second: small(time % 100),
            ..Self::default()
        })
    }

    /// Appends `2026-11-27 06:50:00.000`.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.date.write(out);
        out.push(b' ');
        digits(out, u32::from(self.hour), 2);
        out.push(b':');
        digits(out, u32::from(self.minute), 2);
        out.push(b':');
        digits(out, u32::from(self.second), 2);
        write_fraction(out, self.micros, self.digits);
    }
}

impl Timestamp {
    /// Version 2: seconds since 1970, u32 big-endian; then the fraction.
    ///
    /// # Errors
    /// [`OutOfBytes`].
    pub fn read(cursor: &mut Cursor<'_>, places: u8) -> Result<Self, OutOfBytes> {
        let seconds = cursor.u32_be()?;
        let micros = fraction(cursor.take(fraction_length(places))?);
        Ok(Self { seconds, micros, digits: places })
    }

    /// The old form: seconds since 1970, u32 little-endian.
    ///
    /// # Errors
    /// [`OutOfBytes`].
    pub fn read_old(cursor: &mut Cursor<'_>) -> Result<Self, OutOfBytes> {
        Ok(Self { seconds: cursor.u32_le()?, ..Self::default() })
    }

    /// The moment in UTC.
    #[must_use]
    pub fn utc(&self) -> DateTime {
        if self.seconds == 0 && self.micros == 0 {
            return DateTime { digits: self.digits, ..DateTime::default() };
        }
        let of_day = self.seconds % 86_400;
        DateTime {
            date: day_of(self.seconds / 86_400),
            hour: small(u64::from(of_day / 3600)),
            minute: small(u64::from(of_day / 60 % 60)),
            second: small(u64::from(of_day % 60)),
            micros: self.micros,
            digits: self.digits,
        }
    }

    /// Appends the moment in UTC: `2026-11-27 06:50:00.000`; 0 is `0000-00-00 00:00:00`.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.utc().write(out);
    }
}

/// The day that is so many days after 1970-01-01, by the Gregorian calendar.
fn day_of(days: u32) -> Date {
    // Years begin in March, so that the leap day is the last of a year.
    let days = days.saturating_add(719_468);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let leaps = of_era.saturating_sub(of_era / 1460).saturating_add(of_era / 36_524);
    let year_of_era = leaps.saturating_sub(of_era / 146_096) / 365;
    let before = year_of_era
        .saturating_mul(365)
        .saturating_add(year_of_era / 4)
        .saturating_sub(year_of_era / 100);
    let of_year = of_era.saturating_sub(before);
    let month_index = of_year.saturating_mul(5).saturating_add(2) / 153;
    let month_start = month_index.saturating_mul(153).saturating_add(2) / 5;
    let day = of_year.saturating_sub(month_start).saturating_add(1);
    let month = if month_index < 10 {
        month_index.saturating_add(3)
    } else {
        month_index.saturating_sub(9)
    };
    let year =
        era.saturating_mul(400).saturating_add(year_of_era).saturating_add(u32::from(month <= 2));
    Date {
        year: small(u64::from(year)),
        month: small(u64::from(month)),
        day: small(u64::from(day)),
    }
}

/// Appends a number with leading zeros.
fn digits(out: &mut Vec<u8>, mut value: u32, width: usize) {
    let mut text = [b'0'; 10];
    let mut start = text.len();
    for place in text.iter_mut().rev() {
        let missing = 10_usize.saturating_sub(start) < width;
        if value == 0 && !missing {
            break;
        }
        *place = b'0'.saturating_add(u8::try_from(value % 10).unwrap_or(0));
        value /= 10;
        start = start.saturating_sub(1);
    }
    out.extend_from_slice(text.get(start..).unwrap_or_default());
}

/// Appends the digits of a fraction that are stored, behind a point.
fn write_fraction(out: &mut Vec<u8>, micros: u32, places: u8) {
    if places == 0 {
        return;
    }
    out.push(b'.');
    let start = out.len();
    digits(out, micros, 6);
    out.truncate(start.saturating_add(usize::from(places.min(6))));
}
