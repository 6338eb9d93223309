//! From stored bytes to plaintext, from any byte of an event on.

use super::block::{BLOCK, copy, gather, scatter, xor};
use super::stored::to_index;
use super::{EventCipher, EventSpan, HEAD, Stored};

/// One event that is being deciphered.
pub(super) struct EventPiece<'a> {
    pub cipher: &'a EventCipher,
    pub event: EventSpan,
    pub stored: &'a Stored<'a>,
    pub iv: [u8; BLOCK],
}

impl EventPiece<'_> {
    pub(super) fn decrypt(&self, from: u64, target: &mut [u8]) {
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
        let block = gather(&head).to_le_bytes();
        let mut plain = block;
        // 19 bytes: 15 are enciphered, and fill no block.
        if self.event.length < u32::try_from(HEAD).unwrap_or(u32::MAX) {
            xor(&mut plain, &self.cipher.tail_mask(self.iv, 0));
        } else {
            let start = (0, self.iv);
            self.cipher.decrypt_blocks(self.iv, start, &block, &mut plain);
        }
        scatter(u128::from_le_bytes(plain), self.event.length, &mut head);
        head
    }

    /// Deciphers as many whole blocks as lie side by side, or a part of one; returns how many bytes.
    fn blocks(&self, at: u64, target: &mut [u8]) -> usize {
        let enciphered = at.saturating_sub(self.event.offset).saturating_sub(4);
        let (block, within) = (enciphered / 16, enciphered % 16);
        let start = at.saturating_sub(within);
        let previous = if block == 1 {
            gather(&self.stored.array::<HEAD>(self.event.offset)).to_le_bytes()
        } else {
            self.stored.array(start.saturating_sub(16))
        };
        let to_end = to_index(self.event.full_blocks_end().saturating_sub(at));
        let source = self.stored.body_from(at);
        let run = source.len().min(target.len()).min(to_end.unwrap_or(usize::MAX));
        let run = run.saturating_sub(run % BLOCK);
        if within == 0
            && let (Some(source @ [_, ..]), Some(target)) =
                (source.get(..run), target.get_mut(..run))
        {
            self.cipher.decrypt_blocks(self.iv, (block, previous), source, target);
            return run;
        }
        let mut plain = [0; BLOCK];
        let source = self.stored.array::<BLOCK>(start);
        self.cipher.decrypt_blocks(self.iv, (block, previous), &source, &mut plain);
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
