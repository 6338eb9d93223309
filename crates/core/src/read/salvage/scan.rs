//! Finding whole events where nothing says where they are.
//!
//! The CRC-32 decides. Where an event should be, nothing else is asked for. Where one is searched
//! for, any offset could begin one; [`sums`](super::sums) makes its checksum cheap to test, and only
//! events that are far longer than usual must look like events first.

use std::sync::Arc;

use super::body::Place;
use super::events::could_be;
use super::held::{Block, Held};
use super::judge::{Evidence, Judge, drift, is_without_position};
use super::rounds::ROUNDS;
use super::sums::{FileSums, Window};
use super::{Body, view};
use crate::event::checksum::{self, ChecksumAlgorithm};
use crate::event::event_type;
use crate::event::format_description::{self, FormatDescription};
use crate::event::header::{self, EventHeader};
use crate::event::walker::{EventView, WalkError};
use crate::file::TransferError;
use crate::log::error::Error;

/// Bytes that are searched at first, as the next event is near most of the time; and at most.
const FIRST_PIECE: usize = 4 << 10;
const LAST_PIECE: usize = 1 << 20;
/// An event that ends so far behind the piece that is searched needs no more than its checksum to
/// be believed.
const MARGIN: usize = 64 << 10;
/// Larger events are summed piece by piece.
pub(super) const HELD: usize = 1 << 20;
/// How much of the log is deciphered ahead of the walk.
const READ_AHEAD: usize = 1 << 20;
/// And behind a damage at first, as the next one may be near.
const FIRST_READ: usize = 64 << 10;
/// So many events in a row are followed to tell a log from a copy of one within an event.
const MAX_HOPS: usize = 64;

/// What is needed to tell an event from other bytes.
pub(super) struct Scanner<'a> {
    pub(super) body: &'a Body<'a>,
    pub(super) max_shift: u64,
    pub(super) checksum: ChecksumAlgorithm,
    pub(super) is_relay: bool,
    pub(super) shifts_tried: u64,
    pub(super) judge: Judge,
    pub(super) sums: FileSums,
    /// Bytes that were summed for large events that were none, in a log whose plaintext depends on
    /// where an event begins.
    pub(super) in_vain: u64,
    /// Places that looked like large events and were none.
    pub(super) large_in_vain: u64,
    /// Bytes of those that looked like very large ones.
    pub(super) huge_in_vain: u64,
    /// Bytes of places that looked like large events and were summed one by one.
    pub(super) summed_alone: u64,
    /// What the walk has ahead of it.
    ahead: Held<'a>,
    /// What was looked at elsewhere.
    aside: Held<'a>,
    /// Whether the look is at a place that no event leads to.
    is_aside: bool,
    /// Where the damage begins behind which the next event is searched.
    pub(super) searched_from: Option<u64>,
    /// How many bytes are read at a time.
    read_ahead: usize,
    /// How many events that follow must look like some where neither checksum nor position says
    /// that one is whole.
    followers: usize,
}

/// See [`Scanner::followers`]: where an event leads to the next one, and where one is searched for.
const FOLLOWERS_ON_THE_WAY: usize = 1;
const FOLLOWERS_IN_SEARCH: usize = 3;

impl<'a> Scanner<'a> {
    pub(super) fn new(body: &'a Body<'a>, max_shift: u64) -> Self {
        Self {
            body,
            max_shift,
            // Unless a format description event says otherwise: every server's default.
            checksum: ChecksumAlgorithm::Crc32,
            is_relay: false,
            shifts_tried: 0,
            judge: Judge::default(),
            sums: FileSums::default(),
            in_vain: 0,
            large_in_vain: 0,
            huge_in_vain: 0,
            summed_alone: 0,
            ahead: Held::keeping(body),
            aside: Held::new(body),
            is_aside: false,
            searched_from: None,
            read_ahead: READ_AHEAD,
            followers: FOLLOWERS_ON_THE_WAY,
        }
    }

    pub(super) fn file_end(&self) -> u64 {
        self.body.source.length()
    }

    /// Plaintext that the walk has gone past, for those that write it.
    pub(super) fn passed(&self) -> impl Iterator<Item = &Arc<Block>> {
        self.ahead.kept()
    }

    /// Gives it up.
    pub(super) fn release(&mut self) {
        self.ahead.release();
    }

    /// Where the byte at a place was written.
    pub(super) fn plain_offset(&self, (at, shift): Place) -> u64 {
        self.body.plain_offset(at, shift)
    }

    /// Whether end positions are another file's.
    pub(super) fn has_foreign_positions(&self) -> bool {
        let by_key = self.body.events.as_ref();
        self.is_relay || by_key.is_some_and(super::events::EventLog::has_foreign_positions)
    }

    /// The length of the whole event at a place, if there is one. What it tells is taken for those
    /// that follow.
    pub(super) fn event_at(&mut self, place: Place) -> Result<Option<u64>, TransferError> {
        let Some(header) = self.whole(place)? else {
            return Ok(None);
        };
        if self.checksum != ChecksumAlgorithm::Crc32 && self.has_swallowed(place, &header)? {
            return Ok(None);
        }
        let plain_offset = self.plain_offset(place);
        self.judge.learn(&header, plain_offset);
        Ok(Some(u64::from(header.length)))
    }

    /// Whether an event without a checksum ends within another one, as it does if bytes of it are
    /// missing: its length leads nowhere, and the next event begins before it would end.
    fn has_swallowed(&mut self, place: Place, header: &EventHeader) -> Result<bool, TransferError> {
        let next = self.after(place, header);
        if next.0 >= self.file_end() || is_description(header) || self.is_event(next)? {
            return Ok(false);
        }
        let Some(found) = self.resync(place)?.filter(|(at, _)| *at < next.0) else {
            return Ok(false);
        };
        let found = self.header_at(found)?;
        self.forget();
        Ok(found.is_some_and(|header| self.judge.likeness(&header) == Evidence::VeryLikely))
    }

    /// The event that starts at a place where there is one.
    pub(super) fn current(&mut self, place: Place) -> Result<EventView<'_>, Error> {
        let (offset, checksum) = (self.plain_offset(place), self.checksum);
        let length = EventHeader::parse(self.peek(place, header::LENGTH)?)
            .ok()
            .and_then(|header| header.byte_length())
            .unwrap_or(header::LENGTH);
        if self.held(place, length.min(HELD)).is_none() {
            self.peek(place, length.min(HELD))?;
        }
        let path = self.body.source.path();
        let bytes = self.held(place, length.min(HELD)).unwrap_or_default();
        view(offset, bytes, checksum).ok_or_else(|| Error::Walk {
            path: path.to_owned(),
            source: WalkError::NoEventHere { offset },
        })
    }

    /// The header of an event that would end within the file.
    pub(super) fn header_at(
        &mut self,
        (at, shift): Place,
    ) -> Result<Option<EventHeader>, TransferError> {
        let left = self.file_end().saturating_sub(at);
        let header = EventHeader::parse(self.peek((at, shift), header::LENGTH)?).ok();
        Ok(header
            .filter(|header| header.byte_length().is_some() && u64::from(header.length) <= left))
    }

    /// The header of the whole event at a place.
    fn whole(&mut self, place: Place) -> Result<Option<EventHeader>, TransferError> {
        let Some(header) = self.header_at(place)? else {
            return Ok(None);
        };
        // Which one that is, is known already: under the alignment of the log's beginning.
        let origin = self.body.events.as_ref().map(super::events::EventLog::origin);
        if header.event_type == event_type::MARIADB_START_ENCRYPTION
            && origin.is_some_and(|origin| origin != place.1)
        {
            return Ok(None);
        }
        let is_whole = if is_description(&header) {
            let length = header.byte_length().unwrap_or_default();
            is_sound_description(self.peek(place, length)?)
        } else if self.checksum == ChecksumAlgorithm::Crc32 {
            self.has_right_checksum(place, &header)?
        } else {
            self.is_in_structure(place, &header)?
        };
        Ok(is_whole.then_some(header))
    }

    pub(super) fn is_event(&mut self, place: Place) -> Result<bool, TransferError> {
        Ok(self.whole(place)?.is_some())
    }

    /// The same at a place that no event leads to, most of which are none: what follows the event
    /// is not deciphered.
    pub(super) fn is_event_here(&mut self, place: Place) -> Result<bool, TransferError> {
        self.forget();
        let before = std::mem::replace(&mut self.is_aside, true);
        self.followers = FOLLOWERS_IN_SEARCH;
        let is_event = self.is_event(place);
        self.followers = FOLLOWERS_ON_THE_WAY;
        self.is_aside = before;
        self.forget();
        is_event
    }

    fn has_right_checksum(
        &mut self,
        place: Place,
        header: &EventHeader,
    ) -> Result<bool, TransferError> {
        let length = header.byte_length().unwrap_or_default();
        if length <= HELD {
            let bytes = self.peek(place, length)?;
            return Ok(bytes.len() == length && checksum::verify(bytes, false).is_ok());
        }
        if self.body.events.is_some() {
            return self.sum_large_event(place, header);
        }
        // Nothing speaks for it but that an event leads here, which may be a damaged one.
        if self.evidence_of_large(place, header) == Evidence::None && !self.may_sum_huge(header) {
            return Ok(false);
        }
        self.is_large_sound(place, header)
    }

    /// Whether an event without a checksum has its place among others: it ends where it says; or,
    /// where it says nothing of the kind, so many that follow look like events.
    pub(super) fn is_in_structure(
        &mut self,
        place: Place,
        header: &EventHeader,
    ) -> Result<bool, TransferError> {
        let followers = self.followers;
        let own = drift(header, self.plain_offset(place));
        let likeness = self.judge.likeness(header);
        if likeness < Evidence::Likely {
            return Ok(false);
        }
        let agrees = (own == 0 && !self.has_foreign_positions()) || Some(own) == self.judge.drift;
        if agrees && !is_without_position(header) {
            return Ok(true);
        }
        let has_position = !is_without_position(header);
        // Where an event is encrypted by itself, the place tells whether it was deciphered as the
        // one that was written there.
        if self.body.events.is_some() && !self.has_foreign_positions() {
            return Ok(agrees && has_position);
        }
        let (mut next, mut before) = (self.after(place, header), own);
        for hop in 0..followers {
            if next.0 == self.file_end() {
                let is_on_the_way = followers == FOLLOWERS_ON_THE_WAY;
                return Ok(is_on_the_way || hop > 0 || likeness == Evidence::VeryLikely);
            }
            let Some(follower) = self.header_at(next)? else {
                return Ok(false);
            };
            let drift = drift(&follower, self.plain_offset(next));
            // Those behind it stand as those before it: it is its own position that is wrong.
            let is_wrong = hop == 0
                && has_position
                && !self.has_foreign_positions()
                && Some(drift) == self.judge.drift.or(Some(0))
                && drift != own;
            if is_wrong || self.judge.likeness(&follower) < Evidence::Likely {
                return Ok(false);
            }
            if has_position && drift == before {
                return Ok(true);
            }
            (next, before) = (self.after(next, &follower), drift);
        }
        Ok(true)
    }

    pub(super) fn after(&self, (at, shift): Place, header: &EventHeader) -> Place {
        (at.saturating_add(u64::from(header.length)), shift)
    }

    /// The next whole event behind a damage: where it is, and under which alignment.
    pub(super) fn resync(&mut self, place: Place) -> Result<Option<Place>, TransferError> {
        let before = self.searched_from.replace(place.0);
        let found = self.search(place);
        self.searched_from = before;
        self.forget();
        self.read_ahead = FIRST_READ;
        found
    }

    fn search(&mut self, (at, shift): Place) -> Result<Option<Place>, TransferError> {
        let length = self.file_end();
        // What stands in clear in a log that is encrypted event by event.
        if let Some(known) = self.known_start((at, shift))? {
            return Ok(Some(known));
        }
        // The damaged event's own length is intact, most of the time, and its position confirms it.
        let header = self.header_at((at, shift))?;
        let mut extent = None;
        if let Some(header) = header {
            let next = self.after((at, shift), &header);
            let plain_offset = self.plain_offset((at, shift));
            let is_confirmed = !is_without_position(&header)
                && self.judge.evidence(&header, plain_offset) == Evidence::Position;
            let is_last = next.0 == length;
            // A length may lead too far, over events that are whole: nothing confirms it, or as many
            // bytes are missing from the damaged event as those have.
            if is_last || self.is_event_here(next)? {
                // If so many are missing, those end where the damaged event would, and no further.
                let end = if is_confirmed { next.0 } else { length };
                let within = (next.0, shift);
                let within = self.find_up_to(end, at.saturating_add(1), within, Some(next.0))?;
                let found = within.map(|found| (found, shift));
                if let Some(found) = found.or((!is_last).then_some(next)) {
                    return self.first_of((at, shift), found).map(Some);
                }
                // The last ones may still be there under another alignment.
            }
            extent = is_confirmed.then_some(next.0);
        }
        // In the same alignment, near; under others; and so on, further and further away.
        let mut from = at.saturating_add(1);
        for round in &ROUNDS {
            let near = at.saturating_add(round.near).min(length);
            if let Some(found) = self.find(from, (near, shift), extent)? {
                return self.first_of((at, shift), (found, shift)).map(Some);
            }
            from = near.max(from);
            if let Some(found) = self.find_shifted((at, shift), round)? {
                // What stands before it may not have moved.
                let before = self.find(from, (found.0, shift), extent)?;
                let found = before.map_or(found, |before| (before, shift));
                return self.first_of((at, shift), found).map(Some);
            }
        }
        let found = self.find(from, (length, shift), extent)?;
        Ok(found.map(|found| (found, shift)))
    }

    /// The first event behind a damage, where one is known: what stands before that may have moved otherwise.
    fn first_of(&mut self, place: Place, known: Place) -> Result<Place, TransferError> {
        Ok(self.find_between(place, known)?.unwrap_or(known))
    }

    fn known_start(&mut self, (at, shift): Place) -> Result<Option<Place>, TransferError> {
        let Some(log) = &self.body.events else {
            return Ok(None);
        };
        let (starts, origin) = (log.known_starts(), log.origin());
        for start in starts {
            let is_behind = start > at || (start == at && shift != origin);
            if is_behind && start < self.file_end() && self.is_event_here((start, origin))? {
                return Ok(Some((start, origin)));
            }
        }
        Ok(None)
    }

    /// The first whole event that starts between two offsets, under an alignment. `extent` is where
    /// the event ends in which they lie, as far as its header can be believed.
    pub(super) fn find(
        &mut self,
        from: u64,
        to: Place,
        extent: Option<u64>,
    ) -> Result<Option<u64>, TransferError> {
        self.find_up_to(self.file_end(), from, to, extent)
    }

    /// The same of events none of which passes an end.
    fn find_up_to(
        &mut self,
        end: u64,
        from: u64,
        (to, shift): Place,
        extent: Option<u64>,
    ) -> Result<Option<u64>, TransferError> {
        let (mut at, mut piece) = (from, FIRST_PIECE);
        while at < to {
            let left = usize::try_from(to.saturating_sub(at)).unwrap_or(piece);
            let scanned = piece.min(left);
            let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
            let mut bytes = vec![0; scanned.saturating_add(MARGIN).min(left)];
            let read = self.read_raw((at, shift), &mut bytes)?;
            bytes.truncate(read);
            if let Some(found) = self.find_in((&bytes, scanned, end), (at, shift), extent)? {
                return Ok(Some(found));
            }
            at = at.saturating_add(u64::try_from(scanned).unwrap_or(u64::MAX));
            piece = piece.saturating_mul(4).min(LAST_PIECE);
        }
        Ok(None)
    }

    /// Plaintext; of a log that is encrypted event by event what stands in the file.
    fn read_raw(&mut self, (at, shift): Place, bytes: &mut [u8]) -> Result<usize, TransferError> {
        if self.body.events.is_some() {
            return self.body.source.read_at(at, bytes);
        }
        let left = usize::try_from(self.file_end().saturating_sub(at)).unwrap_or(usize::MAX);
        let length = bytes.len().min(left);
        self.hold_more((at, shift), length)?;
        match self.held((at, shift), length) {
            Some(held) => {
                bytes.get_mut(..length).unwrap_or_default().copy_from_slice(held);
                Ok(length)
            }
            None => self.body.read(at, shift, bytes),
        }
    }

    /// The first event that starts among the first `scanned` of some bytes, and ends before an end.
    fn find_in(
        &mut self,
        (bytes, scanned, end): (&[u8], usize, u64),
        (at, shift): Place,
        extent: Option<u64>,
    ) -> Result<Option<u64>, TransferError> {
        let likely: Vec<u64> = match &self.body.events {
            Some(log) => {
                let (body, judge) = (self.body, &self.judge);
                log.likely((bytes, scanned), (at, shift), end, |header, offset| {
                    judge.evidence(header, body.plain_offset(offset, shift)) >= Evidence::Likely
                })
            }
            None => (at..end)
                .zip(bytes.windows(header::LENGTH).take(scanned))
                .filter(|(offset, window)| could_be(window, end.saturating_sub(*offset)))
                .map(|(offset, _)| offset)
                .collect(),
        };
        let mut window = Window::new(bytes);
        let mut skipped = at;
        for offset in likely {
            if offset < skipped {
                continue;
            }
            let place = (offset, shift);
            let within = usize::try_from(offset.saturating_sub(at)).unwrap_or(usize::MAX);
            // Of what stands where the damaged event's body should, nothing is to be in doubt.
            let is_within = extent.is_some_and(|extent| offset < extent);
            let knows_servers = self.judge.server_ids().next().is_some();
            let least =
                if is_within && knows_servers { Evidence::VeryLikely } else { Evidence::Likely };
            if !self.is_found(place, (bytes, within), &mut window, least)? {
                continue;
            }
            match self.copy_end(place, extent)? {
                Some(end) => skipped = end,
                None => return Ok(Some(offset)),
            }
        }
        Ok(None)
    }

    /// Whether a whole event starts at an offset of a window. `least` is how much of its header must be like
    /// others, where no checksum speaks for it.
    fn is_found(
        &mut self,
        place: Place,
        (bytes, within): (&[u8], usize),
        window: &mut Window<'_>,
        least: Evidence,
    ) -> Result<bool, TransferError> {
        if self.body.events.is_some() {
            return self.is_event_here(place);
        }
        let rest = bytes.get(within..).unwrap_or_default();
        let Ok(header) = EventHeader::parse(rest) else {
            return Ok(false);
        };
        let length = header.byte_length().unwrap_or_default();
        if is_description(&header) {
            return Ok(is_sound_description(rest));
        }
        if self.checksum != ChecksumAlgorithm::Crc32 {
            let is_likely = self.judge.likeness(&header) >= least;
            return Ok(is_likely && self.is_event_here(place)?);
        }
        if length <= rest.len() {
            return Ok(window.is_sound(within, header.length));
        }
        self.is_found_large(place, &header)
    }

    /// Where a copy of a log ends that stands within an event, as a value of a row does: its events
    /// do not lead to the event's end. `None` of any other event.
    fn copy_end(
        &mut self,
        place: Place,
        extent: Option<u64>,
    ) -> Result<Option<u64>, TransferError> {
        let Some(extent) = extent.filter(|extent| place.0 < *extent) else {
            return Ok(None);
        };
        self.forget();
        if self.was_moved_near(place, extent)? {
            return Ok(None);
        }
        let mut next = place;
        for _ in 0..MAX_HOPS {
            let Some(header) = self.whole(next)? else {
                return Ok(Some(next.0));
            };
            let plain_offset = self.plain_offset(next);
            let is_sure = self.judge.evidence(&header, plain_offset) == Evidence::Position
                && !is_without_position(&header);
            next = self.after(next, &header);
            if is_sure || next.0 >= extent {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Gives up what is held of a log that is encrypted event by event: it is plaintext only if an
    /// event begins where it was said that one does. Everywhere else it depends on the place alone.
    fn forget(&mut self) {
        if self.body.events.is_some() {
            self.ahead.forget();
            self.aside.forget();
        }
    }

    /// Plaintext that is held, from a place on.
    fn held(&self, place: Place, length: usize) -> Option<&[u8]> {
        self.ahead.get(place, length).or_else(|| self.aside.get(place, length))
    }

    /// Plaintext from a place on, fewer bytes at the file's end only.
    pub(super) fn peek(&mut self, place: Place, length: usize) -> Result<&[u8], TransferError> {
        let left = usize::try_from(self.file_end().saturating_sub(place.0)).unwrap_or(length);
        let length = length.min(left);
        self.hold_more(place, length)?;
        if self.held(place, length).is_none() {
            if self.is_aside || self.searched_from.is_some() {
                self.aside.fill(place, length.max(header::LENGTH).min(left))?;
            } else {
                self.ahead.fill(place, length.max(self.read_ahead).min(left))?;
                self.grow();
            }
        }
        Ok(self.held(place, length).unwrap_or_default())
    }

    /// Reads on where what is held ends, if that brings the wanted bytes: those behind a damage are
    /// looked at more than once, and some of them are the events that come next.
    fn hold_more(&mut self, place: Place, length: usize) -> Result<(), TransferError> {
        if self.body.events.is_some() || self.held(place, length).is_some() {
            return Ok(());
        }
        let is_search = self.is_aside || self.searched_from.is_some();
        let keep_from =
            if is_search { self.searched_from.unwrap_or(0).min(place.0) } else { place.0 };
        let more = if self.is_aside { length } else { length.max(self.read_ahead) };
        if self.ahead.extend(keep_from, place, more)? && !is_search {
            self.grow();
        }
        Ok(())
    }

    /// Where the walk goes on undisturbed, more is read at a time.
    fn grow(&mut self) {
        self.read_ahead = self.read_ahead.saturating_mul(2).min(READ_AHEAD);
    }
}

/// Whether an event could be a format description event by its type and length.
fn is_description(header: &EventHeader) -> bool {
    header.event_type == event_type::FORMAT_DESCRIPTION
        && header.byte_length().is_some_and(|length| length <= format_description::MAX_LENGTH)
}

/// Its checksum leaves out the bit of a log in use; the oldest servers write none.
pub(super) fn is_sound_description(bytes: &[u8]) -> bool {
    let length = EventHeader::parse(bytes).ok().and_then(|header| header.byte_length());
    let Some(event) = length.and_then(|length| bytes.get(..length)) else {
        return false;
    };
    FormatDescription::parse(event).is_ok_and(|description| description.own_checksum.is_ok())
        || checksum::verify(event, true).is_ok()
}
