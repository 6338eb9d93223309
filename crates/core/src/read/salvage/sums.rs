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
/// Bytes of the file between two sums that are kept: 256 KiB of memory for 1 GiB.
const FILE_STRIDE: u64 = 16 << 10;

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

/// Sums of the plaintext from some place of the file on, under one alignment, as far as they were
/// asked for.
#[derive(Debug, Default)]
pub(super) struct FileSums {
    shift: i64,
    /// The place in the file that the first sum stands for.
    start: u64,
    sums: VecDeque<u32>,
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
        if self.sums.is_empty() || self.shift != shift || at < self.start {
            *self = Self { shift, start: at, sums: VecDeque::from([0]) };
        }
        let end = at.saturating_add(u64::from(summed));
        let (before, up_to) = (self.up_to(body, at)?, self.up_to(body, end)?);
        let mut stored = [0; checksum::LENGTH];
        let read = body.read(end, shift, &mut stored)?;
        // No event is asked for that begins before this one.
        while self.sums.len() > 1 && self.start.saturating_add(FILE_STRIDE) <= at {
            self.sums.pop_front();
            self.start = self.start.saturating_add(FILE_STRIDE);
        }
        Ok(read == stored.len() && between(before, up_to, summed) == u32::from_le_bytes(stored))
    }

    fn up_to(&mut self, body: &Body<'_>, at: u64) -> Result<u32, TransferError> {
        let mut piece = vec![0; usize::try_from(FILE_STRIDE).unwrap_or_default()];
        let wanted = at.saturating_sub(self.start) / FILE_STRIDE;
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        while self.sums.len() <= wanted {
            let done = u64::try_from(self.sums.len()).unwrap_or(u64::MAX);
            let from = done.saturating_sub(1).saturating_mul(FILE_STRIDE);
            body.read(self.start.saturating_add(from), self.shift, &mut piece)?;
            let sum = self.sums.back().copied().unwrap_or_default();
            self.sums.push_back(continued(sum, &piece));
        }
        let skipped = u64::try_from(wanted).unwrap_or(u64::MAX).saturating_mul(FILE_STRIDE);
        let from = self.start.saturating_add(skipped);
        let rest = usize::try_from(at.saturating_sub(from)).unwrap_or_default();
        let rest = piece.get_mut(..rest).unwrap_or_default();
        body.read(from, self.shift, rest)?;
        let sum = self.sums.get(wanted).copied().unwrap_or_default();
        Ok(continued(sum, rest))
    }
}
