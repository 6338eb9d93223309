//! Plaintext that is held, since what stands behind a damage is looked at more than once, and what is
//! whole is written after it was looked at.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::body::{Body, Place};
use crate::file::TransferError;
use crate::file::source::{View, at_least};

/// More is not held at a time where a search reads on.
const MOST_HELD: usize = 4 << 20;
/// So many blocks, and bytes of them, are kept for those that write; what others had is read again.
const MOST_KEPT: usize = 24;
const MOST_KEPT_BYTES: usize = 12 << 20;
/// More bytes than these are not kept for blocks to come.
const MOST_SPARE: usize = 16 << 20;
/// A buffer that is so many times as large as needed is not taken.
const WASTED: usize = 4;

/// Plaintext of one alignment, from a place on, which does not change any more.
#[derive(Debug)]
pub(super) struct Block {
    place: Place,
    length: usize,
    /// Longer than that, and never shorter than before, as new bytes cost a pass over them.
    bytes: Vec<u8>,
    spares: Arc<Spares>,
}

impl Block {
    /// Its bytes from a place on, of which there is one at least.
    pub(super) fn from(&self, (at, shift): Place) -> Option<&[u8]> {
        let (start, under) = self.place;
        let skip = usize::try_from(at.checked_sub(start)?).ok()?;
        let bytes = self.bytes.get(..self.length)?.get(skip..)?;
        (under == shift && !bytes.is_empty()).then_some(bytes)
    }

    fn end(&self) -> u64 {
        self.place.0.saturating_add(u64::try_from(self.length).unwrap_or(u64::MAX))
    }

    /// Whether it has any byte of a part of the file.
    pub(super) fn has_any_of(&self, file: &std::ops::Range<u64>, shift: i64) -> bool {
        self.place.1 == shift && self.place.0 < file.end && file.start < self.end()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.spares.give(std::mem::take(&mut self.bytes));
    }
}

/// Buffers of blocks that nobody needs any more.
#[derive(Debug, Default)]
struct Spares(Mutex<Vec<Vec<u8>>>);

impl Spares {
    /// The smallest buffer that has so many bytes.
    fn take(&self, length: usize) -> Vec<u8> {
        let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sizes = spares.iter().map(Vec::len).enumerate();
        let fitting =
            sizes.filter(|(_, size)| (length..=length.saturating_mul(WASTED)).contains(size));
        let smallest = fitting.min_by_key(|(_, size)| *size);
        smallest.map(|(index, _)| spares.swap_remove(index)).unwrap_or_default()
    }

    fn give(&self, bytes: Vec<u8>) {
        let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = spares.iter().map(Vec::len).fold(bytes.len(), usize::saturating_add);
        if size <= MOST_SPARE {
            spares.push(bytes);
        }
    }
}

/// What the walk has in hand, and what it has gone past.
#[derive(Debug)]
pub(super) struct Held<'a> {
    body: &'a Body<'a>,
    view: View<'a>,
    block: Option<Arc<Block>>,
    spares: Arc<Spares>,
    /// Blocks for those that write, if they are kept at all.
    kept: Option<VecDeque<Arc<Block>>>,
}

impl<'a> Held<'a> {
    pub(super) fn new(body: &'a Body<'a>) -> Self {
        let view = body.source.view(Vec::new());
        Self { body, view, block: None, spares: Arc::default(), kept: None }
    }

    /// The same where what is held is written later. What is encrypted event by event is held under
    /// guesses, and is not kept.
    pub(super) fn keeping(body: &'a Body<'a>) -> Self {
        let kept = body.events.is_none().then(VecDeque::new);
        Self { kept, ..Self::new(body) }
    }

    /// Gives up what is held.
    pub(super) fn forget(&mut self) {
        self.block = None;
    }

    /// What is kept, in order.
    pub(super) fn kept(&self) -> impl Iterator<Item = &Arc<Block>> {
        self.kept.iter().flatten()
    }

    /// Gives up what the walk has gone past.
    pub(super) fn release(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.drain(..kept.len().saturating_sub(1));
        }
    }

    pub(super) fn get(&self, place: Place, length: usize) -> Option<&[u8]> {
        if length == 0 {
            return Some(&[]);
        }
        self.block.as_ref()?.from(place)?.get(..length)
    }

    /// Reads so many bytes, fewer at the end of the file.
    pub(super) fn fill(&mut self, place: Place, length: usize) -> Result<(), TransferError> {
        self.block = None;
        let mut bytes = self.spares.take(length);
        let target = at_least(&mut bytes, length);
        let length = self.body.read_by(&mut self.view, place.0, place.1, target)?;
        self.hold(place, length, bytes);
        Ok(())
    }

    /// Reads on up to so many bytes from a place on, and keeps what it has from `keep_from` on.
    /// `false` if it has nothing that those bytes would follow on, or they were too many.
    pub(super) fn extend(
        &mut self,
        keep_from: u64,
        (at, shift): Place,
        length: usize,
    ) -> Result<bool, TransferError> {
        let Some(block) = self.block.take_if(|block| block.place.1 == shift) else {
            return Ok(false);
        };
        let end = block.end();
        let keep_from = keep_from.max(block.place.0);
        let until = at.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        let until = until.min(self.body.source.length());
        let wanted = usize::try_from(until.saturating_sub(keep_from)).unwrap_or(usize::MAX);
        let is_next = (keep_from..=end).contains(&at) && end < until;
        if !is_next || wanted > MOST_HELD {
            self.block = Some(block);
            return Ok(false);
        }
        let kept = block.from((keep_from, shift)).unwrap_or_default();
        let mut bytes = self.spares.take(wanted);
        let (before, target) =
            at_least(&mut bytes, wanted).split_at_mut_checked(kept.len()).unwrap_or_default();
        before.copy_from_slice(kept);
        let read = self.body.read_by(&mut self.view, end, shift, target)?;
        let length = kept.len().saturating_add(read);
        drop(block);
        self.hold((keep_from, shift), length, bytes);
        Ok(true)
    }

    fn hold(&mut self, place: Place, length: usize, bytes: Vec<u8>) {
        let block = Arc::new(Block { place, length, bytes, spares: Arc::clone(&self.spares) });
        if let Some(kept) = &mut self.kept {
            let mut bytes =
                kept.iter().map(|block| block.length).fold(length, usize::saturating_add);
            while kept.len() >= MOST_KEPT || bytes > MOST_KEPT_BYTES {
                let Some(first) = kept.pop_front() else {
                    break;
                };
                bytes = bytes.saturating_sub(first.length);
            }
            kept.push_back(Arc::clone(&block));
        }
        self.block = Some(block);
    }
}
