//! The CRC-32 of any stretch of bytes out of the sums of what stands before its two ends, so that
//! no place that looks like an event costs a pass over its bytes.
//!
//! With *C(i)* for the CRC-32 of the first *i* bytes, that of the bytes from *a* to *b* is
//! *C(b)* ⊕ *C(a)* · x^(8·(b − a)), modulo the polynomial of the sum (IEEE 802.3).

use std::collections::VecDeque;
use std::sync::LazyLock;

use super::Body;
use crate::event::checksum;
use crate::file::TransferError;

/// The polynomial, the lowest power in the highest bit.
const POLYNOMIAL: u32 = 0xEDB8_8320;
/// x^8, in the same order of bits.
const BYTE: u32 = 1 << 23;
/// Bytes of a window between two sums that are kept.
const WINDOW_STRIDE: usize = 64;
/// Bytes of the file between two sums that are kept: 1 MiB of memory for 1 GiB.
const FILE_STRIDE: u64 = 4 << 10;
/// Sums so far back are kept.
const KEPT: u64 = 32 << 20;
/// Sums begin so far before the first place that is asked for, as the next one may be before it; and anew
/// at a place so far behind those that are known.
const BEFORE: u64 = 1 << 20;
/// Bytes that are summed at a time.
const FILLED: usize = 64 << 10;

/// x^(8·j·256^k) at `[k][j]`.
static POWERS: LazyLock<[[u32; 256]; 4]> = LazyLock::new(|| {
    let mut powers = [[1 << 31; 256]; 4];
    let mut base = BYTE;
    for row in &mut powers {
        let mut power = 1 << 31;
        for entry in row {
            *entry = power;
            power = product(power, base);
        }
        base = power;
    }
    powers
});

/// The product of two polynomials, modulo [`POLYNOMIAL`].
fn product(left: u32, right: u32) -> u32 {
    let (mut result, mut right) = (0, right);
    for bit in (0..32).rev() {
        result ^= right & 0_u32.wrapping_sub((left >> bit) & 1);
        right = (right >> 1) ^ (POLYNOMIAL & 0_u32.wrapping_sub(right & 1));
    }
    result
}

/// A sum as it is once so many zero bytes follow.
fn moved_on(sum: u32, bytes: u32) -> u32 {
    let digits = POWERS.iter().zip(bytes.to_le_bytes());
    digits.filter(|(_, digit)| *digit > 0).fold(sum, |sum, (row, digit)| {
        let power = row.get(usize::from(digit)).copied();
        product(sum, power.unwrap_or_default())
    })
}

/// The sum of what stands between two places, of which the sums from a common start are known.
fn between(before: u32, up_to: u32, length: u32) -> u32 {
    up_to ^ moved_on(before, length)
}

/// The sum of so many zero bytes.
fn of_zeros(length: u32) -> u32 {
    moved_on(u32::MAX, length) ^ u32::MAX
}

/// A sum, and what follows.
fn continued(sum: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(sum);
    hasher.update(bytes);
    hasher.finalize()
}

/// Bytes in memory, of which any stretch can be summed at once.
#[derive(Debug)]
pub(super) struct Window<'a> {
    bytes: &'a [u8],
    /// The sum of the bytes before each multiple of [`WINDOW_STRIDE`]; none before it is needed.
    sums: Vec<u32>,
}

impl<'a> Window<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, sums: Vec::new() }
    }

    /// Whether an event at a place in the window has the checksum at its end; `false` where it
    /// passes the end of the window.
    pub(super) fn is_sound(&mut self, at: usize, length: u32) -> bool {
        let Some(summed) =
            usize::try_from(length).ok().and_then(|length| length.checked_sub(checksum::LENGTH))
        else {
            return false;
        };
        let end = at.saturating_add(summed);
        let stored = self.bytes.get(end..).and_then(|rest| rest.first_chunk());
        let Some(stored) = stored.copied().map(u32::from_le_bytes) else {
            return false;
        };
        let (before, up_to) = (self.up_to(at), self.up_to(end));
        between(before, up_to, u32::try_from(summed).unwrap_or(u32::MAX)) == stored
    }

    fn up_to(&mut self, at: usize) -> u32 {
        if self.sums.is_empty() {
            self.sums.push(0);
            let mut sum = 0;
            for piece in self.bytes.chunks_exact(WINDOW_STRIDE) {
                sum = continued(sum, piece);
                self.sums.push(sum);
            }
        }
        let index = at / WINDOW_STRIDE;
        let start = index.saturating_mul(WINDOW_STRIDE);
        let sum = self.sums.get(index).copied().unwrap_or_default();
        continued(sum, self.bytes.get(start..at).unwrap_or_default())
    }
}

/// Sums of the file and of the key stream, each from some place on and as far as they were asked
/// for. A CRC is linear: the sum of the plaintext is that of what is stored, with that of the key
/// stream and of as many zeros. So one pass over either serves all alignments of the two.
#[derive(Debug, Default)]
pub(super) struct FileSums {
    stored: Prefixes,
    stream: Prefixes,
}

impl FileSums {
    /// Whether an event, all of which is in the file, has the checksum at its end.
    pub(super) fn is_sound(
        &mut self,
        body: &Body<'_>,
        (at, shift): (u64, i64),
        length: u32,
    ) -> Result<bool, TransferError> {
        let sum_length = u32::try_from(checksum::LENGTH).unwrap_or_default();
        let Some(summed) = length.checked_sub(sum_length) else {
            return Ok(false);
        };
        let stored = self
            .stored
            .sum(at, summed, |from, piece| body.source.read_at(from, piece).map(drop))?;
        let sum = match &body.stream {
            None => stored,
            Some(_) if !body.has_stream(at, shift) => return Ok(false),
            Some(stream) => {
                let plain_offset = body.plain_offset(at, shift);
                let key = self.stream.sum(plain_offset, summed, |from, piece| {
                    piece.fill(0);
                    stream.apply(from, piece);
                    Ok(())
                })?;
                stored ^ key ^ of_zeros(summed)
            }
        };
        let end = at.saturating_add(u64::from(summed));
        let mut said = [0; checksum::LENGTH];
        let read = body.read(end, shift, &mut said)?;
        Ok(read == said.len() && sum == u32::from_le_bytes(said))
    }
}

/// Sums of bytes from some place on, at every multiple of [`FILE_STRIDE`].
#[derive(Debug, Default)]
struct Prefixes {
    /// The place that the first sum stands for.
    start: u64,
    sums: VecDeque<u32>,
    buffer: Vec<u8>,
}

impl Prefixes {
    /// The sum of so many bytes from a place on; `fill` gets them.
    fn sum(
        &mut self,
        at: u64,
        length: u32,
        mut fill: impl FnMut(u64, &mut [u8]) -> Result<(), TransferError>,
    ) -> Result<u32, TransferError> {
        if at < self.start || at > self.known().saturating_add(BEFORE) || self.sums.is_empty() {
            let back = at.saturating_sub(BEFORE);
            let start = back.saturating_sub(back % FILE_STRIDE);
            let buffer = std::mem::take(&mut self.buffer);
            *self = Self { start, sums: VecDeque::from([0]), buffer };
        }
        let before = self.up_to(at, &mut fill)?;
        let up_to = self.up_to(at.saturating_add(u64::from(length)), &mut fill)?;
        // None is asked for that stands much further back.
        while self.sums.len() > 1 && self.start.saturating_add(2 * KEPT) < at {
            self.sums.pop_front();
            self.start = self.start.saturating_add(FILE_STRIDE);
        }
        Ok(between(before, up_to, length))
    }

    /// Up to where the sums are known.
    fn known(&self) -> u64 {
        let count = u64::try_from(self.sums.len()).unwrap_or(u64::MAX).saturating_sub(1);
        self.start.saturating_add(count.saturating_mul(FILE_STRIDE))
    }

    fn up_to(
        &mut self,
        at: u64,
        mut fill: impl FnMut(u64, &mut [u8]) -> Result<(), TransferError>,
    ) -> Result<u32, TransferError> {
        let index = at.saturating_sub(self.start) / FILE_STRIDE;
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let stride = usize::try_from(FILE_STRIDE).unwrap_or_default();
        self.buffer.resize(FILLED, 0);
        while self.sums.len() <= index {
            fill(self.known(), &mut self.buffer)?;
            for piece in self.buffer.chunks_exact(stride) {
                let sum = self.sums.back().copied().unwrap_or_default();
                self.sums.push_back(continued(sum, piece));
            }
        }
        let rest = usize::try_from(at.saturating_sub(self.start) % FILE_STRIDE).unwrap_or_default();
        let rest = self.buffer.get_mut(..rest).unwrap_or_default();
        fill(at.saturating_sub(u64::try_from(rest.len()).unwrap_or_default()), rest)?;
        let sum = self.sums.get(index).copied().unwrap_or_default();
        Ok(continued(sum, rest))
    }
}
