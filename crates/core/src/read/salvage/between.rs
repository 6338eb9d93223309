//! What stands between a damage and the next whole event that is known behind it, and has moved: between two
//! damages that cancel each other out, as where blocks were swapped, or bytes are missing and as many were put
//! in further on.

use super::body::Place;
use super::judge::{Evidence, drift, is_without_position, overlap, written};
use super::moved::MOST_ALONE;
use super::scan::Scanner;
use super::shift::Joined;
use crate::event::checksum::ChecksumAlgorithm;
use crate::event::header::{self, EventHeader};
use crate::file::TransferError;

/// What lies further in front of a known event is the damaged event's body: as far as that reaches, nothing
/// else was written.
const MOST_BETWEEN: u64 = 64 << 10;
/// Two blocks of 8 KiB.
const MOST_MOVED: u64 = 16 << 10;

impl Scanner<'_> {
    /// The first event between a damage and a whole event behind it, in an encrypted log, that neither
    /// alignment shows.
    pub(super) fn find_between(
        &mut self,
        (at, shift): Place,
        known: Place,
    ) -> Result<Option<Place>, TransferError> {
        let length = known.0.saturating_sub(at);
        let is_encrypted = self.body.stream.is_some() || self.body.events.is_some();
        if !is_encrypted
            || length < header::LENGTH as u64
            || self.is_explained((at, shift), known)?
        {
            return Ok(None);
        }
        // No further than what was put in, or the other block, is long; of two blocks, twice that.
        let reach = length.saturating_mul(2).min(self.reach_between());
        let at = at.max(known.0.saturating_sub(MOST_BETWEEN));
        if self.body.events.is_some() {
            return self.find_moved_between((at, shift), known, reach);
        }
        self.join(&Joined { from: at, to: known.0, shift, reach, known: Some(known) })
    }

    /// Whether nothing but the damaged event can have been between: it ends where the next one was
    /// written, and no more bytes stand there than it had.
    fn is_explained(&self, place: Place, known: Place) -> Result<bool, TransferError> {
        let header = match self.body.events {
            Some(_) => self.header_under(place)?,
            None => EventHeader::parse(&self.peek_small(place)?).ok(),
        };
        let Some(header) = header.filter(|header| self.is_confirmed(header, place)) else {
            return Ok(false);
        };
        let length = u64::from(header.length);
        let is_next = self.plain_offset(place).saturating_add(length) == self.plain_offset(known);
        Ok(is_next && known.0.saturating_sub(place.0) <= length)
    }

    /// The same of a log that is encrypted event by event: the lengths that are in clear say where events
    /// could be.
    fn find_moved_between(
        &mut self,
        (at, shift): Place,
        known: Place,
        reach: u64,
    ) -> Result<Option<Place>, TransferError> {
        let mut tried = 0;
        for (offset, _) in self.in_clear(at, known.0.saturating_sub(at), known.0)? {
            // One that is where it was written, and damaged.
            let mut is_damaged = false;
            for place in [(offset, shift), (offset, known.1)] {
                let header = self.header_under(place)?;
                is_damaged |= header.is_some_and(|header| self.is_confirmed(&header, place));
            }
            if is_damaged {
                continue;
            }
            if tried >= MOST_ALONE {
                break;
            }
            tried = tried.saturating_add(1);
            if let Some(found) = self.event_between((offset, shift), known, reach)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Tries the offsets at which an event may have been written, nearest first.
    fn event_between(
        &mut self,
        (at, shift): Place,
        known: Place,
        reach: u64,
    ) -> Result<Option<Place>, TransferError> {
        let distances = 1..=i64::try_from(reach).unwrap_or(i64::MAX);
        let shifts = distances.flat_map(|by| [shift.saturating_add(by), shift.saturating_sub(by)]);
        let is_allowed = |moved: &i64| self.is_allowed_between(*moved, shift, known.1);
        let shifts: Vec<i64> = shifts.filter(is_allowed).collect();
        // Positions are another file's in a relay log; then the checksum has to say it.
        let is_likely = self.has_foreign_positions() && self.checksum == ChecksumAlgorithm::Crc32;
        self.event_under(at, shifts.into_iter(), |scanner, header, place| {
            scanner.is_confirmed(header, place)
                || (is_likely && scanner.judge.likeness(header) >= Evidence::Likely)
        })
    }

    /// Whether an event between two others may stand under an alignment: as far from that before it or from
    /// that behind it as any may have moved.
    pub(super) fn is_allowed_between(&self, moved: i64, before: i64, behind: i64) -> bool {
        let is_neither = moved != before && moved != behind;
        let from = |shift: i64| self.is_allowed(moved.saturating_sub(shift));
        is_neither && (from(before) || from(behind))
    }

    /// How far apart two events may have been moved: those of swapped blocks went both ways.
    const fn reach_between(&self) -> u64 {
        let both = self.max_shift.saturating_mul(2);
        if both < MOST_MOVED { both } else { MOST_MOVED }
    }

    /// Whether a whole event of a plaintext log, which stands where a damaged one should that ends at
    /// `extent`, was moved there from near by, as those of swapped blocks were, and is no part of its body.
    /// It was written where neither the damaged event was nor any that is kept.
    pub(super) fn was_moved_near(
        &mut self,
        place: Place,
        extent: u64,
    ) -> Result<bool, TransferError> {
        let is_plaintext = self.body.stream.is_none() && self.body.events.is_none();
        let (Some(damaged), true) = (self.searched_from, is_plaintext) else {
            return Ok(false);
        };
        let Some(header) = self.header_at(place)? else {
            return Ok(false);
        };
        let base = self.judge.drift.unwrap_or_default();
        let moved = drift(&header, self.plain_offset(place)).wrapping_sub(base).cast_signed();
        let is_near = moved != 0 && u64::from(moved.unsigned_abs()) <= self.reach_between();
        let is_like_others =
            !is_without_position(&header) && self.judge.likeness(&header) == Evidence::VeryLikely;
        if !is_near || !is_like_others || !self.judge.is_free(&header) {
            return Ok(false);
        }
        let position = |at: u64| {
            let offset = self.plain_offset((at, place.1)) & u64::from(u32::MAX);
            u32::try_from(offset).unwrap_or_default().wrapping_add(base)
        };
        let of_damaged = position(damaged)..position(extent);
        if overlap(&of_damaged, &written(&header)) {
            return Ok(false);
        }
        // Where the one behind the damaged event was written when that was, all between is its body.
        let next = self.header_at((extent, place.1))?;
        let goes_on = next.is_some_and(|next| {
            !is_without_position(&next) && written(&next).start == of_damaged.end
        });
        Ok(!(goes_on && self.is_event_here((extent, place.1))?))
    }
}
