//! Many events at once: a log's events are short, and a processor deciphers eight blocks in little
//! more than the time of one.
//!
//! Blocks of several events are gathered side by side, deciphered in one call, and scattered. That
//! can be done because no block needs the plaintext of another.

use aes::cipher::Array;

use super::block::{BLOCK, Block, bits, copy, counter, gather, scatter, unchain};
use super::stored::to_index;
use super::{EventCipher, EventSpan, HEAD, Mode, Stored};

/// Blocks that are gathered: they and their plaintext fit a processor's first-level cache.
const BLOCKS: usize = 256;
/// Events that are gathered.
const EVENTS: usize = 64;
/// Longer events have blocks enough of their own, in bytes.
const LONGEST: usize = 2048;

impl EventCipher {
    /// Deciphers what `stored` has from file offset `from` on into `target`, event after event.
    /// `event` is the one that has the first byte; those that follow are found by their lengths.
    /// Returns the event that has the byte after the last one, or follows there.
    ///
    /// An event that does not reach to where it is wanted, of a damaged log, ends the work.
    pub fn decrypt_run(
        &self,
        event: EventSpan,
        stored: &Stored<'_>,
        from: u64,
        target: &mut [u8],
    ) -> EventSpan {
        let mut batch = Batch::new(self);
        let (mut event, mut at, mut done) = (event, from, 0_usize);
        while let Some(rest) = target.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let left = to_index(event.end().saturating_sub(at)).unwrap_or(usize::MAX);
            let length = left.min(rest.len());
            if length == 0 {
                break;
            }
            let is_whole = at == event.offset && length == left;
            if !is_whole || !batch.take(event, stored, done) {
                let piece = rest.get_mut(..length).unwrap_or_default();
                self.decrypt(event, stored, at, piece);
            } else if batch.is_full() {
                batch.flush(target);
            }
            done = done.saturating_add(length);
            at = event.end();
            if done < target.len() {
                event = stored.event_at(at);
            }
        }
        batch.flush(target);
        event
    }
}

/// An event that waits for its blocks to be deciphered.
#[derive(Debug, Clone, Copy, Default)]
struct Waiting<'a> {
    /// As it is stored.
    bytes: &'a [u8],
    /// Where its plaintext goes.
    target: usize,
    /// Its first block's place.
    first: usize,
    iv: [u8; BLOCK],
}

impl Waiting<'_> {
    /// How many blocks are enciphered, and how many bytes fill no block.
    const fn parts(&self) -> (usize, usize) {
        let enciphered = self.bytes.len().saturating_sub(4);
        (enciphered / BLOCK, enciphered % BLOCK)
    }
}

struct Batch<'a, 'c> {
    cipher: &'c EventCipher,
    blocks: [Block; BLOCKS],
    used: usize,
    /// Of each event: what its last bytes are XORed with.
    masks: [Block; EVENTS],
    events: [Waiting<'a>; EVENTS],
    count: usize,
}

impl<'a, 'c> Batch<'a, 'c> {
    fn new(cipher: &'c EventCipher) -> Self {
        Self {
            cipher,
            blocks: [Block::default(); BLOCKS],
            used: 0,
            masks: [Block::default(); EVENTS],
            events: [Waiting::default(); EVENTS],
            count: 0,
        }
    }

    /// Takes an event that is all there and short; says whether it did.
    fn take(&mut self, event: EventSpan, stored: &Stored<'a>, target: usize) -> bool {
        let length = usize::try_from(event.length).unwrap_or(usize::MAX);
        if !(HEAD..=LONGEST).contains(&length) {
            return false;
        }
        let Some(bytes) = stored.body_from(event.offset).get(..length) else {
            return false;
        };
        let waiting = Waiting { bytes, target, first: self.used, iv: self.cipher.iv(event.offset) };
        let (full, tail) = waiting.parts();
        let last = self.used.saturating_add(full);
        let (Some(blocks), Some(slot), Some(mask)) = (
            self.blocks.get_mut(self.used..last),
            self.events.get_mut(self.count),
            self.masks.get_mut(self.count),
        ) else {
            return false;
        };
        match self.cipher.mode {
            Mode::Ctr => {
                for (block, number) in blocks.iter_mut().zip(0..) {
                    *block = counter(waiting.iv, number).into();
                }
                let number = u64::try_from(full).unwrap_or(u64::MAX);
                *mask = counter(waiting.iv, number).into();
            }
            Mode::Cbc | Mode::Ecb => {
                if let Some((head, others)) = blocks.split_first_mut() {
                    *head = gather(bytes).to_le_bytes().into();
                    let end = length.saturating_sub(tail);
                    let middle = bytes.get(HEAD..end).unwrap_or_default();
                    Array::slice_as_flattened_mut(others).copy_from_slice(middle);
                }
                *mask = waiting.iv.into();
            }
        }
        *slot = waiting;
        self.used = last;
        self.count = self.count.saturating_add(1);
        true
    }

    /// Whether the next event may find no room.
    const fn is_full(&self) -> bool {
        self.count >= EVENTS || self.used.saturating_add(LONGEST / BLOCK) > BLOCKS
    }

    /// Deciphers what waits, and forgets it.
    fn flush(&mut self, target: &mut [u8]) {
        let blocks = self.blocks.get_mut(..self.used).unwrap_or_default();
        let masks = self.masks.get_mut(..self.count).unwrap_or_default();
        match self.cipher.mode {
            Mode::Ctr => self.cipher.schedule.encrypt(blocks),
            Mode::Cbc | Mode::Ecb => self.cipher.schedule.decrypt(blocks),
        }
        self.cipher.schedule.encrypt(masks);
        let events = self.events.get(..self.count).unwrap_or_default();
        for (event, mask) in events.iter().zip(masks) {
            let (full, _) = event.parts();
            let last = event.first.saturating_add(full);
            let blocks = blocks.get(event.first..last).unwrap_or_default();
            let end = event.target.saturating_add(event.bytes.len());
            if let Some(target) = target.get_mut(event.target..end) {
                finish(self.cipher.mode, event, (blocks, *mask), target);
            }
        }
        (self.used, self.count) = (0, 0);
    }
}

/// From what the cipher gave to the plaintext of one event, which begins with a whole block.
///
/// Its parts are written from the last to the first, each of them a whole number of blocks: what
/// that writes too early, a later one puts right.
fn finish(mode: Mode, event: &Waiting<'_>, (blocks, mask): (&[Block], Block), target: &mut [u8]) {
    let bytes = event.bytes;
    let Some((head, middle)) = blocks.split_first() else {
        return;
    };
    let (_, tail) = event.parts();
    if let (Some(target), Some(stored)) = (target.last_chunk_mut(), bytes.last_chunk()) {
        *target = (u128::from_le_bytes(*stored) ^ shifted(mask, tail)).to_le_bytes();
    }
    let stored_head = gather(bytes);
    let stored_middle = bytes.get(HEAD..).unwrap_or_default();
    let rest = target.get_mut(HEAD..).unwrap_or_default();
    let head = bits(*head);
    let head = match mode {
        Mode::Cbc => {
            let (second, others) = middle.split_at_checked(1).unwrap_or_default();
            unchain(second, &stored_head.to_le_bytes(), rest);
            let rest = rest.get_mut(BLOCK..).unwrap_or_default();
            unchain(others, stored_middle, rest);
            head ^ u128::from_le_bytes(event.iv)
        }
        Mode::Ctr => {
            unchain(middle, stored_middle, rest);
            head ^ stored_head
        }
        Mode::Ecb => {
            copy(Array::slice_as_flattened(middle), rest);
            head
        }
    };
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    scatter(head, length, target);
}

/// The first `tail` bytes of a mask at the end of a block, after zeros.
fn shifted(mask: Block, tail: usize) -> u128 {
    let zeros = u32::try_from(BLOCK.saturating_sub(tail).saturating_mul(8));
    zeros.ok().and_then(|zeros| bits(mask).checked_shl(zeros)).unwrap_or(0)
}
