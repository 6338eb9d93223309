//! Checked reads of bytes of unknown origin.
//!
//! Every integer that comes from a file is read through [`Cursor`], so that its byte order and
//! width stand in the call and no read can pass the end of what is there.

use std::borrow::Cow;
use std::io::{self, Read};

use byteorder::{BigEndian, ByteOrder, LittleEndian};

/// The bytes ended before the value did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("offset {offset}: {needed} bytes needed, {available} available")]
pub struct OutOfBytes {
    /// Where the value starts, counted from the start of the cursor's bytes.
    pub offset: usize,
    /// How many bytes the value takes.
    pub needed: usize,
    /// How many bytes were left.
    pub available: usize,
}

/// A text, or of one of more than `most` bytes so many of them, and how many there were.
#[must_use]
pub fn beginning(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let ends = (0..=most).rev();
    let kept = ends.filter_map(|end| text.get(..end)).next();
    Cow::Owned(format!("{}… ({} bytes)", kept.unwrap_or_default(), text.len()))
}

/// Writes a number in decimal digits at the right end of a place; `None` where it is too long, and some
/// of its digits are written.
pub fn put_number(place: &mut [u8], value: u64) -> Option<()> {
    let mut rest = value;
    let mut left = place;
    // Two at a time: a division takes longer than all else.
    while rest >= 10 {
        let [at, ..] = (rest % 100).to_le_bytes();
        let (before, two) = left.split_last_chunk_mut::<2>()?;
        *two = *PAIRS.get(usize::from(at))?;
        rest /= 100;
        left = before;
        if rest == 0 {
            return Some(());
        }
    }
    let [low, ..] = rest.to_le_bytes();
    *left.last_mut()? = b'0'.wrapping_add(low);
    Some(())
}

/// The digits of the numbers below a hundred.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let (mut rest, mut tens) = (pairs.as_mut_slice(), b'0');
    while let Some((ten, later)) = rest.split_first_chunk_mut::<10>() {
        let (mut ones, mut digit) = (ten.as_mut_slice(), b'0');
        while let Some((pair, others)) = ones.split_first_mut() {
            *pair = [tens, digit];
            digit = digit.wrapping_add(1);
            ones = others;
        }
        tens = tens.wrapping_add(1);
        rest = later;
    }
    pairs
};

/// A position in a byte slice that only moves over bytes that exist.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte.
    #[must_use]
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// The offset of the next byte to be read.
    #[must_use]
    #[inline]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// How many bytes are left.
    #[must_use]
    #[inline]
    pub const fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.position)
    }

    /// What has not been read yet.
    #[must_use]
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    /// Takes the next `needed` bytes.
    ///
    /// # Errors
    /// [`OutOfBytes`] when fewer are left; the position stays where it was.
    #[inline]
    pub fn take(&mut self, needed: usize) -> Result<&'a [u8], OutOfBytes> {
        let Some((taken, _)) = self.rest().split_at_checked(needed) else {
            return Err(OutOfBytes { offset: self.position, needed, available: self.remaining() });
        };
        self.position = self.position.saturating_add(needed);
        Ok(taken)
    }

    /// Takes the next `N` bytes as an array.
    ///
    /// # Errors
    /// [`OutOfBytes`] when fewer are left.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], OutOfBytes> {
        let taken = self.take(N)?;
        let mut array = [0; N];
        array.copy_from_slice(taken);
        Ok(array)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`OutOfBytes`] at the end.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, OutOfBytes> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes, least significant first.
    ///
    /// # Errors
    /// [`OutOfBytes`] when fewer are left.
    #[inline]
    pub fn u16_le(&mut self) -> Result<u16, OutOfBytes> {
        self.take(2).map(LittleEndian::read_u16)
    }

    /// Four bytes, least significant first.
    ///
    /// # Errors
    /// [`OutOfBytes`] when fewer are left.
    #[inline]
    pub fn u32_le(&mut self) -> Result<u32, OutOfBytes> {
        self.take(4).map(LittleEndian::read_u32)
    }

    /// Four bytes, most significant first.
    ///
    /// # Errors
    /// [`OutOfBytes`] when fewer are left.
    pub fn u32_be(&mut self) -> Result<u32, OutOfBytes> {
        self.take(4).map(BigEndian::read_u32)
    }

    /// Eight bytes, least significant first.
    ///
    /// # Errors
    /// [`OutOfBytes`] when fewer are left.
    #[inline]
    pub fn u64_le(&mut self) -> Result<u64, OutOfBytes> {
        self.take(8).map(LittleEndian::read_u64)
    }

    /// Eight bytes, most significant first.
    ///
    /// # Errors
    /// [`OutOfBytes`] when fewer are left.
    pub fn u64_be(&mut self) -> Result<u64, OutOfBytes> {
        self.take(8).map(BigEndian::read_u64)
    }
}

/// A bit of a bitmap, counted from the lowest one of its first byte; `false` beyond its end.
#[must_use]
pub fn bit(bitmap: &[u8], index: usize) -> bool {
    bitmap.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

/// Reads until the buffer is full or the stream ends, whatever pieces it comes in.
///
/// # Errors
/// What the stream answers, interruptions aside.
pub fn read_full(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0_usize;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_and_width_are_what_the_name_says() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(Cursor::new(&bytes).u16_le(), Ok(0x0201));
        assert_eq!(Cursor::new(&bytes).u32_le(), Ok(0x0403_0201));
        assert_eq!(Cursor::new(&bytes).u32_be(), Ok(0x0102_0304));
        assert_eq!(Cursor::new(&bytes).u64_le(), Ok(0x0807_0605_0403_0201));
        assert_eq!(Cursor::new(&bytes).u64_be(), Ok(0x0102_0304_0506_0708));
    }

    #[test]
    fn a_short_read_tells_where_and_moves_nothing() {
        let mut cursor = Cursor::new(&[1, 2, 3]);
        assert_eq!(cursor.u8(), Ok(1));
        let error = OutOfBytes { offset: 1, needed: 4, available: 2 };
        assert_eq!(cursor.u32_le(), Err(error));
        assert_eq!(cursor.take(2), Ok(&[2, 3][..]));
        assert_eq!(cursor.take(usize::MAX).unwrap_err().needed, usize::MAX);
        assert_eq!(cursor.rest(), b"");
    }

    #[test]
    fn a_buffer_is_filled_whatever_pieces_come() {
        /// One byte at a time, each after an interruption.
        struct Halting(u8, bool);
        impl Read for Halting {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.1 = !self.1;
                if self.1 {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                if self.0 == 10 {
                    return Ok(0);
                }
                buffer[0] = self.0;
                self.0 += 1;
                Ok(1)
            }
        }
        let mut reader = Halting(0, false);
        let mut buffer = [0; 7];
        assert_eq!(read_full(&mut reader, &mut buffer).unwrap(), 7);
        assert_eq!(buffer, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(read_full(&mut reader, &mut buffer).unwrap(), 3);
        assert_eq!(buffer[..3], [7, 8, 9]);
        let mut closed = std::fs::File::options();
        let mut closed = closed.write(true).open("/dev/null").unwrap();
        assert!(read_full(&mut closed, &mut buffer).is_err());
    }
}
