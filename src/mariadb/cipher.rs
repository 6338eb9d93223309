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

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit, consts::U16};
use aes::{Aes128, Aes192, Aes256};

use crate::event::header::LENGTH as HEADER;

/// An AES block, in bytes.
const BLOCK: usize = 16;
/// Bytes of an event up to the end of its first block.
pub const HEAD: usize = 20;
/// How many bytes before a piece of ciphertext may be needed to decipher it: the block before its
/// first one, which may be the event's first 20 bytes.
pub const LEAD: usize = 36;
/// How many bytes after it: the rest of an event's first 20 bytes, or of a block.
pub const TRAIL: usize = 32;
/// Bytes that are worked on at a time: what the first-level cache holds twice.
const RUN: usize = 4096;

type Block = Array<u8, U16>;

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

/// Key schedules, made once. Wiped when dropped.
enum Schedule {
    Aes128(Box<Aes128>),
    Aes192(Box<Aes192>),
    Aes256(Box<Aes256>),
}

impl Schedule {
    fn encrypt(&self, blocks: &mut [Block]) {
        match self {
            Self::Aes128(cipher) => cipher.encrypt_blocks(blocks),
            Self::Aes192(cipher) => cipher.encrypt_blocks(blocks),
            Self::Aes256(cipher) => cipher.encrypt_blocks(blocks),
        }
    }

    fn decrypt(&self, blocks: &mut [Block]) {
        match self {
            Self::Aes128(cipher) => cipher.decrypt_blocks(blocks),
            Self::Aes192(cipher) => cipher.decrypt_blocks(blocks),
            Self::Aes256(cipher) => cipher.decrypt_blocks(blocks),
        }
    }
}

/// Where an event is: what its IV and its blocks follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventSpan {
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// Its length in bytes, as its header says: 19 at least.
    pub length: u32,
}

impl EventSpan {
    /// Offset of the first byte after it.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.offset.saturating_add(self.length as u64)
    }

    /// Where its last full block ends, at the earliest after its head.
    const fn full_blocks_end(&self) -> u64 {
        let enciphered = (self.length as u64).saturating_sub(4);
        let full = enciphered.saturating_sub(enciphered % 16);
        self.offset.saturating_add(4).saturating_add(full)
    }
}

/// Bytes of a file around the piece that is deciphered: up to [`LEAD`] before, up to [`TRAIL`]
/// after. All of them as they are stored.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// Offset of `body` in the file.
    pub offset: u64,
    /// What stands before `body`.
    pub lead: &'a [u8],
    /// The piece itself.
    pub body: &'a [u8],
    /// What stands after it.
    pub trail: &'a [u8],
}

impl<'a> Stored<'a> {
    /// Only what is at hand, and nothing around it.
    #[must_use]
    pub const fn alone(offset: u64, body: &'a [u8]) -> Self {
        Self {
            offset,
            lead: &[],
            body,
            trail: &[],
        }
    }

    /// `N` bytes from a file offset on; what is not at hand is zero.
    #[must_use]
    pub fn array<const N: usize>(&self, offset: u64) -> [u8; N] {
        let start = self.offset.saturating_sub(length(self.lead));
        let mut array = [0; N];
        let Some(at) = offset.checked_sub(start).and_then(to_index) else {
            return array;
        };
        if let Some(within) = at
            .checked_sub(self.lead.len())
            .and_then(|within| self.body.get(within..)?.first_chunk::<N>())
        {
            return *within;
        }
        let all = self.lead.iter().chain(self.body).chain(self.trail);
        array
            .iter_mut()
            .zip(all.skip(at))
            .for_each(|(target, byte)| *target = *byte);
        array
    }

    /// The event at a file offset, by the length in its header.
    #[must_use]
    pub fn event_at(&self, offset: u64) -> EventSpan {
        EventSpan {
            offset,
            length: u32::from_le_bytes(self.array(offset.saturating_add(9))),
        }
    }

    /// The body from a file offset on.
    fn body_from(&self, offset: u64) -> &'a [u8] {
        offset
            .checked_sub(self.offset)
            .and_then(to_index)
            .and_then(|within| self.body.get(within..))
            .unwrap_or_default()
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn to_index(offset: u64) -> Option<usize> {
    usize::try_from(offset).ok()
}

/// Enciphers and deciphers the events of one log.
pub struct EventCipher {
    schedule: Schedule,
    mode: Mode,
    bits: usize,
    nonce: [u8; 12],
}

impl EventCipher {
    /// With a key of 16, 24 or 32 bytes; `None` for any other length.
    #[must_use]
    pub fn new(key: &[u8], mode: Mode, nonce: [u8; 12]) -> Option<Self> {
        let schedule = match key.len() {
            16 => Schedule::Aes128(Box::new(Aes128::new_from_slice(key).ok()?)),
            24 => Schedule::Aes192(Box::new(Aes192::new_from_slice(key).ok()?)),
            32 => Schedule::Aes256(Box::new(Aes256::new_from_slice(key).ok()?)),
            _ => return None,
        };
        let bits = key.len().saturating_mul(8);
        Some(Self {
            schedule,
            mode,
            bits,
            nonce,
        })
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
        let piece = EventPiece {
            cipher: self,
            event,
            stored,
            iv: self.iv(event.offset),
        };
        piece.decrypt(from, target);
    }

    /// How many of the first `available` bytes of an event that was cut short can be deciphered.
    #[must_use]
    pub fn decipherable(&self, event: EventSpan, available: u64) -> u64 {
        let available = available.min(u64::from(event.length));
        if available < HEAD as u64 {
            return if available == u64::from(event.length) {
                available
            } else {
                0
            };
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
        let mut block = gather(head);
        let enciphered = head.len().saturating_sub(4).min(BLOCK);
        encryptor.encrypt(block.get_mut(..enciphered).unwrap_or_default());
        scatter(&block, event.length, head);
        encryptor
    }

    fn iv(&self, offset: u64) -> [u8; BLOCK] {
        // The server's offset has 32 bits and wraps.
        let [a, b, c, d, ..] = offset.to_le_bytes();
        let mut iv = [a; BLOCK];
        let source = self.nonce.iter().copied().chain([a, b, c, d]);
        iv.iter_mut()
            .zip(source)
            .for_each(|(target, byte)| *target = byte);
        iv
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
        for (source, target) in source.chunks(RUN).zip(target.chunks_mut(RUN)) {
            let mut stream = [Block::default(); RUN / BLOCK];
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
            target.copy_from_slice(source);
            let (blocks, _) = Array::slice_as_chunks_mut(target);
            self.schedule.decrypt(blocks);
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

/// The event's IV plus a count of blocks, as 128 bits, big-endian.
fn counter(iv: [u8; BLOCK], block: u64) -> [u8; BLOCK] {
    u128::from_be_bytes(iv)
        .wrapping_add(u128::from(block))
        .to_be_bytes()
}

/// As far as both go.
fn xor(target: &mut [u8], with: &[u8]) {
    target
        .iter_mut()
        .zip(with)
        .for_each(|(target, with)| *target ^= with);
}

/// The first enciphered block of an event, out of its first 20 bytes.
fn gather(head: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let order = (4..9).chain(0..4).chain(13..HEAD);
    for (target, index) in block.iter_mut().zip(order) {
        *target = head.get(index).copied().unwrap_or_default();
    }
    block
}

/// The reverse: a block and the length to the first bytes of an event.
fn scatter(block: &[u8; BLOCK], length: u32, head: &mut [u8]) {
    let order = (4..9).chain(0..4).chain(13..HEAD);
    for (byte, index) in block.iter().zip(order) {
        if let Some(target) = head.get_mut(index) {
            *target = *byte;
        }
    }
    for (byte, target) in length.to_le_bytes().iter().zip(head.iter_mut().skip(9)) {
        *target = *byte;
    }
}

/// One event that is being deciphered.
struct EventPiece<'a> {
    cipher: &'a EventCipher,
    event: EventSpan,
    stored: &'a Stored<'a>,
    iv: [u8; BLOCK],
}

impl EventPiece<'_> {
    fn decrypt(&self, from: u64, target: &mut [u8]) {
        let (mut at, mut rest) = (from, target);
        let head_end = self.event.offset.saturating_add(HEAD as u64);
        if at < head_end {
            let head = self.head();
            let skipped = at.saturating_sub(self.event.offset);
            let head = to_index(skipped).and_then(|skipped| head.get(skipped..));
            let head = head.unwrap_or_default();
            let taken = head.len().min(rest.len());
            copy(head, rest);
            rest = rest.get_mut(taken..).unwrap_or_default();
            at = head_end;
        }
        let full_end = self.event.full_blocks_end();
        while !rest.is_empty() && at < full_end {
            let done = self.blocks(at, rest).max(1);
            rest = rest.get_mut(done..).unwrap_or_default();
            at = at.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
        }
        if !rest.is_empty() {
            self.tail(at, rest);
        }
    }

    /// The first 20 bytes of the event, or all of one of 19.
    fn head(&self) -> [u8; HEAD] {
        let mut head = self.stored.array::<HEAD>(self.event.offset);
        let block = gather(&head);
        let mut plain = block;
        // 19 bytes: 15 are enciphered, and fill no block.
        if self.event.length < u32::try_from(HEAD).unwrap_or(u32::MAX) {
            xor(&mut plain, &self.cipher.tail_mask(self.iv, 0));
        } else {
            let start = (0, self.iv);
            self.cipher
                .decrypt_blocks(self.iv, start, &block, &mut plain);
        }
        scatter(&plain, self.event.length, &mut head);
        head
    }

    /// Deciphers as many whole blocks as lie side by side, or a part of one; returns how many bytes.
    fn blocks(&self, at: u64, target: &mut [u8]) -> usize {
        let enciphered = at.saturating_sub(self.event.offset).saturating_sub(4);
        let (block, within) = (enciphered / 16, enciphered % 16);
        let start = at.saturating_sub(within);
        let previous = if block == 1 {
            gather(&self.stored.array::<HEAD>(self.event.offset))
        } else {
            self.stored.array(start.saturating_sub(16))
        };
        let to_end = to_index(self.event.full_blocks_end().saturating_sub(at));
        let source = self.stored.body_from(at);
        let run = source
            .len()
            .min(target.len())
            .min(to_end.unwrap_or(usize::MAX));
        let run = run.saturating_sub(run % BLOCK);
        if within == 0
            && let (Some(source @ [_, ..]), Some(target)) =
                (source.get(..run), target.get_mut(..run))
        {
            self.cipher
                .decrypt_blocks(self.iv, (block, previous), source, target);
            return run;
        }
        let mut plain = [0; BLOCK];
        let source = self.stored.array::<BLOCK>(start);
        self.cipher
            .decrypt_blocks(self.iv, (block, previous), &source, &mut plain);
        let part = to_index(within).and_then(|within| plain.get(within..));
        let part = part.unwrap_or_default();
        copy(part, target);
        part.len().min(target.len())
    }

    /// The last bytes, which fill no block.
    fn tail(&self, at: u64, target: &mut [u8]) {
        let start = self.event.full_blocks_end();
        let block = start.saturating_sub(self.event.offset).saturating_sub(4) / 16;
        let mut tail = self.stored.array::<BLOCK>(start);
        xor(&mut tail, &self.cipher.tail_mask(self.iv, block));
        let skipped = to_index(at.saturating_sub(start)).unwrap_or(BLOCK);
        copy(tail.get(skipped..).unwrap_or_default(), target);
    }
}

/// As far as both go.
fn copy(source: &[u8], target: &mut [u8]) {
    target
        .iter_mut()
        .zip(source)
        .for_each(|(target, byte)| *target = *byte);
}

/// An event that is being enciphered, from its first byte to its last.
pub struct EventEncryptor<'a> {
    cipher: &'a EventCipher,
    iv: [u8; BLOCK],
    previous: [u8; BLOCK],
    next_block: u64,
}

impl EventEncryptor<'_> {
    /// Enciphers the next bytes in place. All pieces but the last one of an event must be whole
    /// blocks of 16 bytes.
    pub fn encrypt(&mut self, bytes: &mut [u8]) {
        let (blocks, tail) = Array::<u8, U16>::slice_as_chunks_mut(bytes);
        for block in blocks {
            let mask: Block = match self.cipher.mode {
                Mode::Cbc => {
                    xor(block, &self.previous);
                    Block::default()
                }
                Mode::Ctr => self.cipher.tail_mask(self.iv, self.next_block).into(),
                Mode::Ecb => Block::default(),
            };
            if self.cipher.mode == Mode::Ctr {
                xor(block, &mask);
            } else {
                self.cipher.schedule.encrypt(std::slice::from_mut(block));
            }
            self.previous = (*block).into();
            self.next_block = self.next_block.saturating_add(1);
        }
        if !tail.is_empty() {
            xor(tail, &self.cipher.tail_mask(self.iv, self.next_block));
        }
    }
}

impl fmt::Debug for EventEncryptor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventEncryptor({:?})", self.cipher)
    }
}

// An event without a body is a common header: everything above follows from that.
const _: () = assert!(HEADER == 19 && HEAD > HEADER && LEAD >= HEAD + 15 && TRAIL >= HEAD);

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules of the format written down once more, byte by byte and on whole events.
    fn slow_decrypt(cipher: &EventCipher, offset: u64, event: &[u8]) -> Vec<u8> {
        let input = [&event[4..9], &event[0..4], &event[13..]].concat();
        let iv = cipher.iv(offset);
        let mut plain = Vec::new();
        let mut previous = iv;
        for (number, block) in input.chunks(16).enumerate() {
            let mut state = [Block::from(iv)];
            if cipher.mode == Mode::Ctr {
                state = [counter(iv, number as u64).into()];
            }
            if block.len() < 16 || cipher.mode == Mode::Ctr {
                cipher.schedule.encrypt(&mut state);
                plain.extend(block.iter().zip(state[0]).map(|(a, b)| a ^ b));
                continue;
            }
            let mut state = [Block::try_from(block).unwrap()];
            cipher.schedule.decrypt(&mut state);
            if cipher.mode == Mode::Cbc {
                xor(&mut state[0], &previous);
            }
            previous.copy_from_slice(block);
            plain.extend(state[0]);
        }
        [&plain[5..9], &plain[..5], &event[9..13], &plain[9..]].concat()
    }

    fn encrypt(cipher: &EventCipher, offset: u64, plain: &[u8], piece: usize) -> Vec<u8> {
        let mut event = plain.to_vec();
        let span = EventSpan {
            offset,
            length: u32::try_from(plain.len()).unwrap(),
        };
        let (head, rest) = event.split_at_mut(HEAD.min(plain.len()));
        let mut encryptor = cipher.encryptor(span, head);
        rest.chunks_mut(piece * 16)
            .for_each(|piece| encryptor.encrypt(piece));
        event
    }

    fn plain(length: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..251)
            .map(|n: u8| n.wrapping_mul(7))
            .cycle()
            .take(length)
            .collect();
        bytes[9..13].copy_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
        bytes
    }

    fn ciphers() -> Vec<EventCipher> {
        let key: Vec<u8> = (0..32).map(|n| n * 5 + 1).collect();
        let lengths = [16, 24, 32];
        let each = |mode| {
            lengths.map(|length| EventCipher::new(&key[..length], mode, *b"nonce of log").unwrap())
        };
        Mode::ALL.into_iter().flat_map(each).collect()
    }

    #[test]
    fn the_worked_example_of_a_real_log() {
        // MariaDB 10.11.19, AES_CBC: the event at 296, a GTID list that CRC-32 confirms.
        let digit = |byte: &u8| u8::try_from(char::from(*byte).to_digit(16).unwrap()).unwrap();
        let unhex = |text: &str| -> Vec<u8> {
            let pairs = text.as_bytes().chunks(2);
            pairs
                .map(|pair| digit(&pair[0]) << 4 | digit(&pair[1]))
                .collect()
        };
        let stored = unhex("89c125f9ac462b81221d000000bb07341723907c57939d8ff325e5db3d");
        let nonce = unhex("d763e91e2afd6619a667bccf").try_into().unwrap();
        let key = unhex("443789af3b34ee5fd11db99312e228f5");
        let cipher = EventCipher::new(&key, Mode::Cbc, nonce).unwrap();
        let iv = unhex("d763e91e2afd6619a667bccf28010000");
        assert_eq!(cipher.iv(296).to_vec(), iv);
        let span = EventSpan {
            offset: 296,
            length: 29,
        };
        let mut event = vec![0; 29];
        cipher.decrypt(span, &Stored::alone(296, &stored), 296, &mut event);
        assert_eq!(crate::event::checksum::verify(&event, false), Ok(()));
        assert_eq!(encrypt(&cipher, 296, &event, 1), stored);
    }

    #[test]
    fn every_length_and_mode_comes_back_and_agrees_with_the_rules() {
        for cipher in ciphers() {
            for length in (19..=100).chain([RUN + 3, RUN + 4, RUN + 20, 3 * RUN + 25]) {
                let plain = plain(length);
                for offset in [4, 0xFFFF_FFF0, 0x1_0000_0004] {
                    let stored = encrypt(&cipher, offset, &plain, 3);
                    assert_eq!(
                        slow_decrypt(&cipher, offset, &stored),
                        plain,
                        "{cipher:?} {length}"
                    );
                    let span = EventSpan {
                        offset,
                        length: u32::try_from(length).unwrap(),
                    };
                    let mut event = vec![0; length];
                    cipher.decrypt(span, &Stored::alone(offset, &stored), offset, &mut event);
                    assert_eq!(event, plain, "{cipher:?} {length}");
                }
            }
        }
    }

    #[test]
    fn any_piece_is_what_the_whole_has_there() {
        for cipher in ciphers() {
            for length in [19, 20, 21, 35, 36, 37, 40, 52, 53, 100] {
                let plain = plain(length);
                let offset = 1000;
                let bytes = encrypt(&cipher, offset, &plain, 2);
                let span = EventSpan {
                    offset,
                    length: u32::try_from(length).unwrap(),
                };
                for from in 0..length {
                    for to in from..=length {
                        let stored = Stored {
                            offset: offset + from as u64,
                            lead: &bytes[from.saturating_sub(LEAD)..from],
                            body: &bytes[from..to],
                            trail: &bytes[to..length.min(to + TRAIL)],
                        };
                        let mut piece = vec![0; to - from];
                        cipher.decrypt(span, &stored, stored.offset, &mut piece);
                        assert_eq!(piece, plain[from..to], "{cipher:?} {length} {from}..{to}");
                    }
                }
            }
        }
    }

    #[test]
    fn of_a_cut_event_only_what_is_right_is_said_to_be_decipherable() {
        for cipher in ciphers() {
            for length in [19, 20, 35, 36, 40, 52, 100] {
                let plain = plain(length);
                let bytes = encrypt(&cipher, 4, &plain, 2);
                let span = EventSpan {
                    offset: 4,
                    length: u32::try_from(length).unwrap(),
                };
                for available in 0..=length {
                    let right = cipher.decipherable(span, available as u64);
                    let right = usize::try_from(right).unwrap();
                    assert!(right <= available && right + 16 > available || available < HEAD);
                    let mut event = vec![0; right];
                    cipher.decrypt(span, &Stored::alone(4, &bytes[..available]), 4, &mut event);
                    assert_eq!(event, plain[..right], "{cipher:?} {length} {available}");
                }
                assert_eq!(cipher.decipherable(span, length as u64), length as u64);
            }
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(
            format!("{:?}", ciphers()[0]),
            "EventCipher(AES-128-CBC, redacted)"
        );
    }
}
