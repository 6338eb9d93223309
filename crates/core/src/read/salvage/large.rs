//! Events that pass the end of what is searched, or that are too large to be held: whether one has the
//! checksum at its end, without a pass over the file for each place that looks like one.

use std::ops::Range;

use super::body::Place;
use super::judge::{Evidence, is_without_position};
use super::scan::{HELD, Scanner};
use crate::event::checksum;
use crate::event::header::EventHeader;
use crate::file::TransferError;
use crate::file::pipeline::CHUNK;

/// So many places that look like large events are summed whatever comes of it, and one more for so
/// many bytes of a larger file.
const LARGE_IN_VAIN: u64 = 1000;
const LARGE_IN_VAIN_EVERY: u64 = 1 << 20;
/// The same of those larger than [`HELD`], in bytes that they say they have, of which noise says more:
/// this part of the file, and no fewer and no more than these.
const HUGE_IN_VAIN_OF_FILE: u64 = 16;
const HUGE_IN_VAIN: Range<u64> = 64 << 20..256 << 20;
/// Places that look like events behind the end of what is searched are summed one by one, as long as
/// so many bytes come of it, or this part of the file: a pass over the file serves more of them.
const SUMMED_ALONE: u64 = 64 << 20;
const SUMMED_ALONE_OF_FILE: u64 = 8;

impl Scanner<'_> {
    /// The plaintext depends on where the event begins, so that each has to be deciphered anew.
    /// Those that were none may cost as much as the file twice; after that an event has to look
    /// like one.
    pub(super) fn sum_large_event(
        &mut self,
        (at, shift): Place,
        header: &EventHeader,
    ) -> Result<bool, TransferError> {
        let plain_offset = self.plain_offset((at, shift));
        let allowed = self.file_end().saturating_mul(2);
        if self.in_vain > allowed
            && self.judge.evidence(header, plain_offset) < Evidence::VeryLikely
        {
            return Ok(false);
        }
        let is_right = self.sum((at, shift), header)?;
        if !is_right {
            self.in_vain = self.in_vain.saturating_add(u64::from(header.length));
        }
        Ok(is_right)
    }

    /// Whether an event has the checksum at its end: by a pass over its bytes.
    fn sum(&self, (at, shift): Place, header: &EventHeader) -> Result<bool, TransferError> {
        let end = at.saturating_add(u64::from(header.length));
        let summed_end = end.saturating_sub(checksum::LENGTH as u64);
        let (mut hasher, mut from) = (crc32fast::Hasher::new(), at);
        let mut reader = self.body.reader(at, shift);
        let mut piece = vec![0; CHUNK];
        while from < summed_end {
            let left = usize::try_from(summed_end.saturating_sub(from)).unwrap_or(CHUNK);
            let target = piece.get_mut(..left.min(CHUNK)).unwrap_or_default();
            reader.read(target)?;
            hasher.update(target);
            from = from.saturating_add(u64::try_from(target.len()).unwrap_or(u64::MAX));
        }
        let mut stored = [0; checksum::LENGTH];
        reader.read(&mut stored)?;
        Ok(u32::from_le_bytes(stored) == hasher.finalize())
    }

    /// The same of an event that passes the end of the window. Noise looks like one in a few hundred
    /// places, and each costs a look at two others; once there were many, an event has to look like
    /// one more than noise ever does.
    pub(super) fn is_found_large(
        &mut self,
        place: Place,
        header: &EventHeader,
    ) -> Result<bool, TransferError> {
        let is_huge = is_huge(header);
        let is_allowed = if is_huge {
            self.may_sum_huge(header)
        } else {
            let allowed = (self.file_end() / LARGE_IN_VAIN_EVERY).max(LARGE_IN_VAIN);
            self.large_in_vain < allowed
        };
        let wanted = if is_allowed { Evidence::Likely } else { Evidence::VeryLikely };
        if self.evidence_of_large(place, header) < wanted {
            return Ok(false);
        }
        let is_sound = self.is_large_sound(place, header)?;
        if !is_sound && !is_huge {
            self.large_in_vain = self.large_in_vain.saturating_add(1);
        }
        Ok(is_sound)
    }

    /// An end position of zero speaks for nothing here: zeros stand everywhere.
    pub(super) fn evidence_of_large(&self, place: Place, header: &EventHeader) -> Evidence {
        if is_without_position(header) {
            return self.judge.likeness(header);
        }
        self.judge.evidence(header, self.plain_offset(place))
    }

    pub(super) fn may_sum_huge(&self, header: &EventHeader) -> bool {
        let part = self.file_end() / HUGE_IN_VAIN_OF_FILE;
        let allowed = part.clamp(HUGE_IN_VAIN.start, HUGE_IN_VAIN.end);
        self.huge_in_vain.saturating_add(u64::from(header.length)) <= allowed
    }

    /// Whether an event has the checksum at its end, by whichever way is the cheaper one.
    pub(super) fn is_large_sound(
        &mut self,
        place: Place,
        header: &EventHeader,
    ) -> Result<bool, TransferError> {
        let length = u64::from(header.length);
        let allowed = (self.file_end() / SUMMED_ALONE_OF_FILE).max(SUMMED_ALONE);
        let is_sound = if self.summed_alone.saturating_add(length) <= allowed {
            self.summed_alone = self.summed_alone.saturating_add(length);
            self.sum(place, header)?
        } else {
            self.sums.is_sound(self.body, place, header.length)?
        };
        if !is_sound && is_huge(header) {
            self.huge_in_vain = self.huge_in_vain.saturating_add(length);
        }
        Ok(is_sound)
    }
}

/// Whether an event is larger than what is held.
fn is_huge(header: &EventHeader) -> bool {
    header.byte_length().is_none_or(|length| length > HELD)
}
