//! DECIMAL as the server stores it.

use std::fmt;

use crate::bytes::Cursor;

/// Digits in four bytes.
const GROUP: u8 = 9;
/// Bytes of a group with so many digits.
const BYTES: [u8; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
/// The most digits that a DECIMAL has.
const MAX_PRECISION: u8 = 81;

/// A DECIMAL, as the bytes of the row image.
///
/// Groups of nine digits take four bytes, big-endian, counted from the decimal point in both
/// directions; the outermost groups take fewer bytes if they have fewer digits. The highest bit is
/// inverted, and of a negative number all others, too (server source: `decimal2bin`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal<'a> {
    bytes: &'a [u8],
    whole: u8,
    scale: u8,
}

/// Bytes of a DECIMAL with so many digits, so many of which are behind the point; `None` for what
/// no server has.
#[must_use]
pub fn byte_length(precision: u8, scale: u8) -> Option<usize> {
    let whole = precision.checked_sub(scale)?;
    (precision <= MAX_PRECISION).then_some(())?;
    let part = |digits: u8| {
        let rest = BYTES.get(usize::from(digits % GROUP)).copied().unwrap_or(0);
        usize::from(digits / GROUP).saturating_mul(4).saturating_add(usize::from(rest))
    };
    Some(part(whole).saturating_add(part(scale)))
}

impl<'a> Decimal<'a> {
    /// The bytes of a value; `None` when they are not as many as such a DECIMAL has.
    #[must_use]
    pub fn new(bytes: &'a [u8], precision: u8, scale: u8) -> Option<Self> {
        (byte_length(precision, scale)? == bytes.len()).then_some(Self {
            bytes,
            whole: precision.saturating_sub(scale),
            scale,
        })
    }

    /// Whether the number is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.bytes.first().is_some_and(|byte| byte & 0x80 == 0)
    }

    /// Appends the number in decimal digits, as the server prints it: `-12.50`.
    pub fn write(&self, out: &mut Vec<u8>) {
        if self.is_negative() {
            out.push(b'-');
        }
        let mut groups = Groups {
            cursor: Cursor::new(self.bytes),
            mask: if self.is_negative() { 0xFF } else { 0 },
            is_first: true,
        };
        let start = out.len();
        groups.write(out, self.whole % GROUP);
        for _ in 0..self.whole / GROUP {
            groups.write(out, GROUP);
        }
        trim_zeros(out, start);
        if self.scale == 0 {
            return;
        }
        out.push(b'.');
        for _ in 0..self.scale / GROUP {
            groups.write(out, GROUP);
        }
        groups.write(out, self.scale % GROUP);
    }
}

impl fmt::Display for Decimal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        self.write(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

/// Takes the zeros away at the start of the digits from `start` on, but for the last digit.
fn trim_zeros(out: &mut Vec<u8>, start: usize) {
    let digits = out.get(start..).unwrap_or_default();
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    if digits.is_empty() {
        out.push(b'0');
        return;
    }
    let zeros = zeros.min(digits.len().saturating_sub(1));
    out.drain(start..start.saturating_add(zeros));
}

struct Groups<'a> {
    cursor: Cursor<'a>,
    mask: u8,
    is_first: bool,
}

impl Groups<'_> {
    /// Appends the next group, with all of its digits.
    fn write(&mut self, out: &mut Vec<u8>, digits: u8) {
        if digits == 0 {
            return;
        }
        let width = BYTES.get(usize::from(digits)).copied().unwrap_or(0);
        let bytes = self.cursor.take(usize::from(width)).unwrap_or_default();
        let mut value = 0_u32;
        for &byte in bytes {
            let sign = if std::mem::take(&mut self.is_first) { 0x80 } else { 0 };
            value = (value << 8) | u32::from(byte ^ sign ^ self.mask);
        }
        let mut text = [b'0'; GROUP as usize];
        for place in text.iter_mut().take(usize::from(digits)).rev() {
            *place = b'0'.saturating_add(u8::try_from(value % 10).unwrap_or(0));
            value /= 10;
        }
        out.extend_from_slice(text.get(..usize::from(digits)).unwrap_or_default());
    }
}
