//! Bytes that are missing or were put in, in a log that is encrypted event by event: the lengths of its
//! events are in clear, so that they can be told from noise; what is not known is where each was written,
//! which is a part of what it is encrypted by.
//!
//! The damaged event tells where the next one was written, if its header is whole. Else the offsets are
//! tried one by one, for the few places that by their lengths look most like events.

use super::body::Place;
use super::events::could_be;
use super::judge::Evidence;
use super::scan::Scanner;
use super::shift::{BLOCK, MAX_UNCONFIRMED};
use crate::event::checksum::ChecksumAlgorithm;
use crate::event::header::{self, EventHeader};
use crate::file::TransferError;
use crate::mariadb::cipher::HEAD;

/// How much of a file is looked through at a time for places that events may have been moved to.
const WINDOW: u64 = 1 << 20;
/// This part of the places that are tried may be the first of one row of events, as one of them may be
/// damaged; and further on one of so many, since damage may lead from one row into another.
const TRIED_OF_CHAIN: usize = 4;
const SAMPLED: usize = 8;
/// So many events are looked at behind a damage, most of which need not be tried.
const MOST_LOOKED_AT: usize = 2048;
/// An event that leads to no other one, as that is damaged, too, is tried all the same if it is no larger
/// than this: noise has one such length in 4 million; and so many of them at the most.
const SMALL: u64 = 16 << 10;
pub(super) const MOST_ALONE: usize = 4;

impl Scanner<'_> {
    /// The next event that was written elsewhere. `most` places are tried under all alignments.
    pub(super) fn find_moved(
        &mut self,
        place: Place,
        most: usize,
        reach: u64,
    ) -> Result<Option<Place>, TransferError> {
        match self.find_expected(place, reach)? {
            Some(found) => Ok(Some(found)),
            None => self.find_moved_event(place, most, reach),
        }
    }

    /// What stands behind the damage was written where the event before it ends, or where the damaged event
    /// does by its own header, if that is whole: every place near is tried as the one where it is now.
    fn find_expected(
        &mut self,
        (at, shift): Place,
        reach: u64,
    ) -> Result<Option<Place>, TransferError> {
        let end = self.file_end();
        let damaged = self.header_under((at, shift))?;
        let damaged = damaged.filter(|header| self.is_confirmed(header, (at, shift)));
        let length = damaged.map(|header| u64::from(header.length));
        for length in [Some(0), length].into_iter().flatten() {
            let expected = at.saturating_add(length);
            let from = expected.saturating_sub(reach).max(at);
            let searched = expected.saturating_add(reach).saturating_sub(from);
            for (offset, _) in self.in_clear(from, searched, end)? {
                let distance = i128::from(expected).saturating_sub(offset.into());
                let Some(distance) = i64::try_from(distance).ok().filter(|by| self.is_allowed(*by))
                else {
                    continue;
                };
                let place = (offset, shift.saturating_add(distance));
                let Some(header) = self.header_under(place)? else {
                    continue;
                };
                let evidence = self.judge.evidence(&header, self.plain_offset(place));
                if evidence >= Evidence::VeryLikely && self.is_event_here(place)? {
                    return Ok(Some(place));
                }
            }
        }
        Ok(None)
    }

    /// The header of the event at a place, if it was written there.
    pub(super) fn header_under(
        &self,
        (at, shift): Place,
    ) -> Result<Option<EventHeader>, TransferError> {
        let Some(log) = &self.body.events else {
            return Ok(None);
        };
        let mut head = [0; HEAD];
        let read = self.body.source.read_at(at, &mut head)?;
        Ok(log.header(head.get(..read).unwrap_or_default(), at, shift))
    }

    /// The places in a part of the file at which by its length an event could begin that ends at `end` or
    /// before, and that length.
    pub(super) fn in_clear(
        &self,
        from: u64,
        searched: u64,
        end: u64,
    ) -> Result<Vec<(u64, u64)>, TransferError> {
        let searched = usize::try_from(searched).unwrap_or(usize::MAX);
        let mut bytes = vec![0; searched.saturating_add(HEAD)];
        let read = self.body.source.read_at(from, &mut bytes)?;
        bytes.truncate(read);
        let places = (from..end).zip(bytes.windows(header::LENGTH)).take(searched);
        let places = places.filter(|(offset, window)| {
            could_be(window, end.saturating_sub(*offset).min(MAX_UNCONFIRMED.into()))
        });
        Ok(places.map(|(offset, window)| (offset, length_in_clear(window))).collect())
    }

    /// The lengths of events are in clear, so where they are is known wherever two follow each other.
    fn find_moved_event(
        &mut self,
        (at, shift): Place,
        most: usize,
        reach: u64,
    ) -> Result<Option<Place>, TransferError> {
        let (mut tried, mut alone, mut chains) = (0, 0, Chains::default());
        let (mut from, end) = (at, self.file_end());
        while from < end && tried < most {
            for (offset, length) in self.in_clear(from, WINDOW, end)? {
                if tried >= most {
                    break;
                }
                match self.next_in_clear(offset)? {
                    None if length <= SMALL && alone < MOST_ALONE => {
                        alone = alone.saturating_add(1);
                    }
                    None => continue,
                    Some(next) => {
                        match chains.lead(offset, next) {
                            Some(before)
                                if before <= most / TRIED_OF_CHAIN
                                    || before.is_multiple_of(SAMPLED)
                                    || next == end => {}
                            // What was written somewhere else altogether, if it is as long as that.
                            Some(_) => continue,
                            None => return Ok(None),
                        }
                        tried = tried.saturating_add(1);
                    }
                }
                if let Some(found) = self.event_moved_to((offset, shift), reach)? {
                    return Ok(Some(found));
                }
            }
            from = from.saturating_add(WINDOW);
        }
        Ok(None)
    }

    /// Where the length leads that stands in clear, if that is to another one, or to the end of the file.
    fn next_in_clear(&self, at: u64) -> Result<Option<u64>, TransferError> {
        let (mut head, end) = ([0; header::LENGTH], self.file_end());
        self.body.source.read_at(at, &mut head)?;
        let next = at.saturating_add(length_in_clear(&head));
        let read = self.body.source.read_at(next, &mut head)?;
        let left = end.saturating_sub(next);
        let is_followed = next == end || (read == head.len() && could_be(&head, left));
        Ok(is_followed.then_some(next))
    }

    /// Tries the offsets at which an event may have been written, nearest first.
    fn event_moved_to(
        &mut self,
        (at, shift): Place,
        reach: u64,
    ) -> Result<Option<Place>, TransferError> {
        let blocks = (self.max_shift / BLOCK).saturating_add(1)..=reach / BLOCK;
        let distances =
            (1..=self.max_shift.min(reach)).chain(blocks.map(|n| n.saturating_mul(BLOCK)));
        let distances = distances.map(|distance| i64::try_from(distance).unwrap_or(i64::MAX));
        let shifts = distances.flat_map(|by| [shift.saturating_add(by), shift.saturating_sub(by)]);
        // Without checksums the position has to say it.
        let enough = if self.checksum == ChecksumAlgorithm::Crc32 {
            Evidence::Likely
        } else {
            Evidence::Position
        };
        self.event_under(at, shifts, |scanner, header, place| {
            scanner.judge.evidence(header, scanner.plain_offset(place)) >= enough
        })
    }

    /// The whole event at an offset of the file under the first of these alignments under which there is
    /// one, and `is_meant` wants its header.
    pub(super) fn event_under(
        &mut self,
        at: u64,
        shifts: impl Iterator<Item = i64>,
        is_meant: impl Fn(&Self, &EventHeader, Place) -> bool,
    ) -> Result<Option<Place>, TransferError> {
        let Some(log) = &self.body.events else {
            return Ok(None);
        };
        let mut head = [0; HEAD];
        let read = self.body.source.read_at(at, &mut head)?;
        let head = head.get(..read).unwrap_or_default();
        let (first, mut tried, mut likely) = (log.first_event(), 0_u64, Vec::new());
        for moved in shifts {
            tried = tried.saturating_add(1);
            let place = (at, moved);
            let header = log.header(head, at, moved);
            let is_meant = header.is_some_and(|header| is_meant(self, &header, place));
            if is_meant && self.plain_offset(place) >= first {
                likely.push(place);
            }
        }
        self.shifts_tried = self.shifts_tried.saturating_add(tried);
        for place in likely {
            if self.is_event_here(place)? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }
}

/// The length of the event whose stored bytes these are.
fn length_in_clear(stored: &[u8]) -> u64 {
    let length = stored.get(9..).and_then(|rest| rest.first_chunk());
    u32::from_le_bytes(length.copied().unwrap_or_default()).into()
}

/// Rows of events, each of which leads to the next: they were written one behind the other, so that
/// where one of them was written tells it of all.
#[derive(Debug, Default)]
struct Chains {
    /// Where each leads, and how many events it has.
    ends: Vec<(u64, usize)>,
    looked_at: usize,
}

impl Chains {
    /// Takes an event, and says how many of its row were before it. `None` if it has been enough.
    fn lead(&mut self, from: u64, to: u64) -> Option<usize> {
        self.looked_at = self.looked_at.saturating_add(1);
        if self.looked_at > MOST_LOOKED_AT {
            return None;
        }
        self.ends.retain(|(end, _)| *end >= from);
        if let Some((end, count)) = self.ends.iter_mut().find(|(end, _)| *end == from) {
            *end = to;
            *count = count.saturating_add(1);
            return Some(*count);
        }
        self.ends.push((to, 0));
        Some(0)
    }
}
