//! Plaintext that is held, since what stands behind a damage is looked at more than once.

use super::body::Body;
use super::scan::Place;
use crate::file::TransferError;
use crate::file::source::{View, at_least};

/// More is not held at a time where a search reads on.
const MOST_HELD: usize = 4 << 20;

/// Plaintext of one alignment, from a place on.
#[derive(Debug)]
pub(super) struct Held<'a> {
    body: &'a Body<'a>,
    view: View<'a>,
    place: Option<Place>,
    length: usize,
    /// Longer than that, and never shorter than before, as new bytes cost a pass over them.
    bytes: Vec<u8>,
}

impl<'a> Held<'a> {
    pub(super) fn new(body: &'a Body<'a>) -> Self {
        let view = body.source.view(Vec::new());
        Self { body, view, place: None, length: 0, bytes: Vec::new() }
    }

    /// Gives up what is held.
    pub(super) const fn forget(&mut self) {
        self.place = None;
    }

    pub(super) fn get(&self, (at, shift): Place, length: usize) -> Option<&[u8]> {
        let (start, under) = self.place?;
        let skip = usize::try_from(at.checked_sub(start)?).ok()?;
        let bytes = self.bytes.get(..self.length)?.get(skip..skip.checked_add(length)?)?;
        (under == shift).then_some(bytes)
    }

    /// Reads so many bytes, fewer at the end of the file.
    pub(super) fn fill(&mut self, place: Place, length: usize) -> Result<(), TransferError> {
        self.place = None;
        let target = at_least(&mut self.bytes, length);
        self.length = self.body.read_by(&mut self.view, place.0, place.1, target)?;
        self.place = Some(place);
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
        let Some((start, under)) = self.place.filter(|(_, under)| *under == shift) else {
            return Ok(false);
        };
        let end = start.saturating_add(u64::try_from(self.length).unwrap_or(u64::MAX));
        let keep_from = keep_from.max(start);
        let skipped = usize::try_from(keep_from.saturating_sub(start)).unwrap_or(usize::MAX);
        let until = at.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        let until = until.min(self.body.source.length());
        let wanted = usize::try_from(until.saturating_sub(keep_from)).unwrap_or(usize::MAX);
        let is_next = (keep_from..=end).contains(&at) && end < until;
        if !is_next || wanted > MOST_HELD {
            return Ok(false);
        }
        let kept = self.length.saturating_sub(skipped);
        self.place = None;
        self.bytes.copy_within(skipped..self.length, 0);
        let target = at_least(&mut self.bytes, wanted).get_mut(kept..).unwrap_or_default();
        let read = self.body.read_by(&mut self.view, end, under, target)?;
        self.length = kept.saturating_add(read);
        self.place = Some((keep_from, shift));
        Ok(true)
    }
}
