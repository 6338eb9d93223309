//! MySQL's serialization format, version 1, as far as events use it (server source:
//! `mysql::serialization`; confirmed on tagged GTID events that MySQL 9.7 wrote).
//!
//! Integers take 1 to 9 bytes: the number of trailing one bits of the first byte is the number of
//! bytes that follow; the bits above the zero bit behind them, little-endian, are the value. Signed
//! ones are zigzag. A message is a version, its length, the last field that a reader must know, and
//! then fields, each a number and a value.

use crate::bytes::{Cursor, OutOfBytes};

/// An unsigned integer of 1 to 9 bytes.
///
/// # Errors
/// [`OutOfBytes`].
pub(crate) fn unsigned(cursor: &mut Cursor<'_>) -> Result<u64, OutOfBytes> {
    let first = cursor.u8()?;
    let following = first.trailing_ones();
    let rest = cursor.take(usize::try_from(following).unwrap_or(8))?;
    let rest = rest.iter().rev().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    // With 7 or 8 bytes behind it the first byte holds nothing of the value.
    let low_bits = 7_u32.saturating_sub(following);
    let low = u64::from(first.checked_shr(following.saturating_add(1)).unwrap_or(0));
    Ok((rest << low_bits) | low)
}

/// A signed integer.
///
/// # Errors
/// [`OutOfBytes`].
pub(crate) fn signed(cursor: &mut Cursor<'_>) -> Result<i64, OutOfBytes> {
    let value = unsigned(cursor)?;
    let magnitude = (value >> 1).cast_signed();
    Ok(if value & 1 == 0 { magnitude } else { !magnitude })
}

/// Bytes behind their count.
///
/// # Errors
/// [`OutOfBytes`].
pub(crate) fn string<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], OutOfBytes> {
    let length = unsigned(cursor)?;
    cursor.take(usize::try_from(length).unwrap_or(usize::MAX))
}

/// `N` bytes, each as an unsigned integer.
///
/// # Errors
/// [`OutOfBytes`]; values above 255 are cut to their low byte, as they cannot come from a server.
pub(crate) fn fixed_bytes<const N: usize>(cursor: &mut Cursor<'_>) -> Result<[u8; N], OutOfBytes> {
    let mut bytes = [0; N];
    for byte in &mut bytes {
        let [low, ..] = unsigned(cursor)?.to_le_bytes();
        *byte = low;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_length() {
        let parse = |bytes: &[u8]| unsigned(&mut Cursor::new(bytes));
        assert_eq!(parse(&[0x02]), Ok(1));
        assert_eq!(parse(&[0x51, 0x03]), Ok(0xd4));
        // Fields of a real event: transaction length 322, server version 90704, a time.
        assert_eq!(parse(&[0x09, 0x05]), Ok(322));
        assert_eq!(parse(&[0x83, 0x12, 0x0b]), Ok(90_704));
        let time = [0x7f, 0xc6, 0xfc, 0x28, 0xa9, 0x3c, 0x26, 0x06];
        assert_eq!(parse(&time).unwrap() & 0xff, 0xc6);
        assert_eq!(parse(&[0xff; 9]), Ok(u64::MAX));
        assert!(parse(&[0xff; 8]).is_err());
        assert_eq!(signed(&mut Cursor::new(&[0x04])), Ok(1));
        assert_eq!(signed(&mut Cursor::new(&[0x02])), Ok(-1));
    }
}
