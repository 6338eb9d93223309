//! What MariaDB compresses within an event (`log_bin_compress=ON`): a statement, or the rows.
//!
//! A byte whose highest bit is set, whose bits 4 to 6 are the algorithm (0 is zlib, the only one),
//! and whose lowest three say how many bytes of length follow, 1 to 4; the length unfolded,
//! big-endian; a stream of zlib (MariaDB server source: `binlog_buf_compress`; confirmed on events
//! of MariaDB 10.2 and 10.11).

use std::io::Read;

use flate2::read::ZlibDecoder;

/// The most that is unfolded of rows: as much as is held of an event that is not compressed.
pub const MAX_UNFOLDED: usize = 16 << 20;

/// A compressed part of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compressed<'a> {
    /// Its length in bytes unfolded, as it says itself.
    pub length: u32,
    stream: &'a [u8],
}

impl<'a> Compressed<'a> {
    /// Reads the head; `None` for bytes that no server writes so.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first()?;
        let (algorithm, width) = ((first >> 4) & 0x07, usize::from(first & 0x07));
        if first & 0x80 == 0 || algorithm != 0 || !(1..=4).contains(&width) {
            return None;
        }
        let (length, stream) = rest.split_at_checked(width)?;
        let length = length.iter().fold(0, |value: u32, byte| (value << 8) | u32::from(*byte));
        Some(Self { length, stream })
    }

    /// The first bytes unfolded, up to `limit`; `None` when the stream is damaged before that, or
    /// ends before the length it announces.
    #[must_use]
    pub fn unfold(&self, limit: usize) -> Option<Vec<u8>> {
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        let wanted = length.min(limit);
        let mut unfolded = Vec::new();
        // The buffer grows with what comes, not with what is announced.
        ZlibDecoder::new(self.stream)
            .take(u64::try_from(wanted).unwrap_or(u64::MAX))
            .read_to_end(&mut unfolded)
            .ok()?;
        (unfolded.len() == wanted).then_some(unfolded)
    }
}
