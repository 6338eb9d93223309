//! An event's encryption, readable from any byte of it.
//!
//! An event is encrypted by itself (server source, `encrypt_event` and `decrypt_event` in
//! `sql/log_event.cc`; confirmed byte for byte on logs of MariaDB 10.11). Its length *n*, at bytes
//! 9 to 12, stays in clear; the first four bytes (the timestamp) are put in its place and the rest
//! is moved up, so that *n* - 4 bytes are enciphered. With *P* for those bytes in clear:
//!
//! | event | is |
//! |---|---|
//! | bytes 0..4 | `P[5..9]` |
//! | bytes 4..9 | `P[0..5]` |
//! | bytes 9..13 | *n*, u32 LE, in clear |
//! | bytes 13.. | `P[9..]` |
//!
//! The ciphertext lies in the file in the same order. So from byte 20 on, blocks lie side by side:
//! block *k* ≥ 1 at bytes 16 *k* + 4 of the event. The IV is the log's nonce (12 bytes) and the
//! event's offset in the file, u32 LE, which wraps past 4 GiB.

use std::fmt;

use aes::cipher::Array;

/// Bytes of the common header of an event.
const HEADER: usize = 19;

mod batch;
mod block;
mod decrypt;
mod encrypt;
mod stored;
#[cfg(test)]
mod tests;

pub use encrypt::EventEncryptor;
pub use stored::{EventSpan, Stored};

use block::{BLOCK, Block, Schedule, counter, gather, scatter, xor};
use decrypt::EventPiece;

/// Bytes of an event up to the end of its first block.
pub const HEAD: usize = 20;
/// How many bytes before a piece of ciphertext may be needed to decipher it: the block before its
/// first one, which may be the event's first 20 bytes.
pub const LEAD: usize = 36;
/// How many bytes after it: the rest of an event's first 20 bytes, or of a block.
pub const TRAIL: usize = 32;
/// Bytes that are worked on at a time: what the first-level cache holds twice.
const RUN: usize = 4096;

/// Bytes of a key stream that are made at a time: enough blocks for a processor to work on several
/// at once, few enough not to matter for the many short events of a log.
const STREAM_RUN: usize = 512;

/// Modes of operation. The log does not say which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// The server's default. The last bytes, if they fill no block, are XORed with the encrypted
    /// IV of the event (server source: `MyCTX_nopad`).
    Cbc,
    /// The IV is the first counter, 128 bits, big-endian.
    Ctr,
    /// Of the server's example plugin alone; last bytes as in CBC.
    Ecb,
}

impl Mode {
    /// All of them, the usual first.
    pub const ALL: [Self; 3] = [Self::Cbc, Self::Ctr, Self::Ecb];

    /// As the server's option has it: `CBC` …
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cbc => "CBC",
            Self::Ctr => "CTR",
            Self::Ecb => "ECB",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Enciphers and deciphers the events of one log.
pub struct EventCipher {
    schedule: Schedule,
    mode: Mode,
    bits: usize,
    /// The first 12 bytes of every event's IV, as a little-endian integer.
    nonce: u128,
}

impl EventCipher {
    /// With a key of 16, 24 or 32 bytes; `None` for any other length.
    #[must_use]
    pub fn new(key: &[u8], mode: Mode, nonce: [u8; 12]) -> Option<Self> {
        let schedule = Schedule::new(key)?;
        let bits = key.len().saturating_mul(8);
        let mut iv = [0; BLOCK];
        *iv.first_chunk_mut()? = nonce;
        let nonce = u128::from_le_bytes(iv);
        Some(Self { schedule, mode, bits, nonce })
    }

    /// Its name: `AES-256-CBC`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("AES-{}-{}", self.bits, self.mode)
    }

    /// The mode of operation.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Deciphers the part of an event that starts at file offset `from` into `target`.
    ///
    /// The part must lie within the event, and `stored` must have it and what is around it as far
    /// as the event and the file have it.
    pub fn decrypt(&self, event: EventSpan, stored: &Stored<'_>, from: u64, target: &mut [u8]) {
        let piece = EventPiece { cipher: self, event, stored, iv: self.iv(event.offset) };
        piece.decrypt(from, target);
    }

    /// How many of the first `available` bytes of an event that was cut short can be deciphered.
    #[must_use]
    pub fn decipherable(&self, event: EventSpan, available: u64) -> u64 {
        let available = available.min(u64::from(event.length));
        if available < HEAD as u64 {
            return if available == u64::from(event.length) { available } else { 0 };
        }
        let full_end = event.full_blocks_end().saturating_sub(event.offset);
        if self.mode == Mode::Ctr || available >= full_end {
            return available;
        }
        available.saturating_sub(available.saturating_sub(4) % 16)
    }

    /// Starts to encipher an event whose first bytes are given: 20, or all of a shorter one. They
    /// are enciphered in place; the rest goes through [`EventEncryptor::encrypt`].
    #[must_use]
    pub fn encryptor(&self, event: EventSpan, head: &mut [u8]) -> EventEncryptor<'_> {
        let mut encryptor = EventEncryptor {
            cipher: self,
            iv: self.iv(event.offset),
            previous: self.iv(event.offset),
            next_block: 0,
        };
        let mut block = gather(head).to_le_bytes();
        let enciphered = head.len().saturating_sub(4).min(BLOCK);
        encryptor.encrypt(block.get_mut(..enciphered).unwrap_or_default());
        scatter(u128::from_le_bytes(block), event.length, head);
        encryptor
    }

    fn iv(&self, offset: u64) -> [u8; BLOCK] {
        // The server's offset has 32 bits and wraps.
        (self.nonce | u128::from(offset) << 96).to_le_bytes()
    }

    /// What the last bytes are XORed with where they fill no block.
    fn tail_mask(&self, iv: [u8; BLOCK], block: u64) -> [u8; BLOCK] {
        let mut mask = [match self.mode {
            Mode::Ctr => counter(iv, block).into(),
            Mode::Cbc | Mode::Ecb => Block::from(iv),
        }];
        self.schedule.encrypt(&mut mask);
        let [mask] = mask;
        mask.into()
    }

    fn keystream(&self, iv: [u8; BLOCK], first: u64, source: &[u8], target: &mut [u8]) {
        let mut first = first;
        let pieces = source.chunks(STREAM_RUN).zip(target.chunks_mut(STREAM_RUN));
        for (source, target) in pieces {
            let mut stream = [Block::default(); STREAM_RUN / BLOCK];
            let used = source.len().div_ceil(BLOCK);
            let stream = stream.get_mut(..used).unwrap_or_default();
            for block in stream.iter_mut() {
                *block = counter(iv, first).into();
                first = first.saturating_add(1);
            }
            self.schedule.encrypt(stream);
            let stream = Array::slice_as_flattened(stream);
            target
                .iter_mut()
                .zip(source)
                .zip(stream)
                .for_each(|((target, source), key)| *target = source ^ key);
        }
    }

    /// Whole blocks from `source` to `target`, the first of which is number `first` of its event
    /// and follows the stored block `previous`.
    fn decrypt_blocks(
        &self,
        iv: [u8; BLOCK],
        (first, previous): (u64, [u8; BLOCK]),
        source: &[u8],
        target: &mut [u8],
    ) {
        if self.mode == Mode::Ctr {
            return self.keystream(iv, first, source, target);
        }
        let mut previous = previous;
        for (source, target) in source.chunks(RUN).zip(target.chunks_mut(RUN)) {
            let (blocks, _) = Array::slice_as_chunks_mut(target);
            let (stored, _) = Array::slice_as_chunks(source);
            self.schedule.decrypt_to(stored, blocks);
            if self.mode == Mode::Cbc {
                xor(target, &previous);
                xor(target.get_mut(BLOCK..).unwrap_or_default(), source);
                previous = source.last_chunk().copied().unwrap_or_default();
            }
        }
    }
}

/// The key shows nowhere.
impl fmt::Debug for EventCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventCipher({}, redacted)", self.name())
    }
}

// An event without a body is a common header: everything above follows from that.
const _: () = assert!(HEAD > HEADER && LEAD >= HEAD + 15 && TRAIL >= HEAD);
