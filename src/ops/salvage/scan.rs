//! Finding whole events where nothing says where they are.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::{Body, view};
use crate::error::Error;
use crate::event::checksum::{self, ChecksumAlgorithm};
use crate::event::event_type;
use crate::event::header::{self, EventHeader, flag};
use crate::event::walker::{
    EventView, WalkError, checksum_length, could_end_there, ends_where_it_says, is_plausible,
};
use crate::io::TransferError;
use crate::io::pipeline::CHUNK;
use crate::mariadb::cipher::{HEAD, Stored};

/// So far the alignment that was right before is tried first.
const NEAR: u64 = 1 << 20;
/// Windows behind a damage in which other alignments are tried, one after the other.
const WINDOWS: [usize; 2] = [16 << 10, 128 << 10];
/// Bytes behind a damage that are searched at first for an event that is encrypted by itself.
const FIRST_PIECE: usize = 4 << 10;
/// Blocks that files lose whole.
const BLOCK: u64 = 512;
/// Alignments tried at once.
const BATCH: usize = 4096;
/// Without a position to go by no larger event is believed, as its checksum would have to be
/// computed for every other offset.
const MAX_WITHOUT_POSITION: u32 = 1 << 20;

/// What is needed to tell an event from other bytes.
pub(super) struct Scanner<'a> {
    body: &'a Body<'a>,
    max_shift: u64,
    pub(super) checksum: ChecksumAlgorithm,
    pub(super) is_relay: bool,
    pub(super) shifts_tried: u64,
    server_ids: BTreeSet<u32>,
    /// How many bytes are read at a time.
    read_ahead: usize,
    buffer: Vec<u8>,
    buffered: Option<(u64, i64)>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(body: &'a Body<'a>, max_shift: u64) -> Self {
        Self {
            body,
            max_shift,
            // Unless a format description event says otherwise: every server's default.
            checksum: ChecksumAlgorithm::Crc32,
            is_relay: false,
            shifts_tried: 0,
            server_ids: BTreeSet::new(),
            read_ahead: CHUNK,
            buffer: Vec::new(),
            buffered: None,
        }
    }

    /// The length of the whole event at a place, if there is one.
    pub(super) fn event_at(&mut self, at: u64, shift: i64) -> Result<Option<u64>, TransferError> {
        let header = EventHeader::parse(self.peek(at, shift, header::LENGTH)?);
        let length = self.body.source.length();
        let Ok(header) = header else {
            return Ok(None);
        };
        let fits = is_plausible(&header) && u64::from(header.length) <= length.saturating_sub(at);
        if !fits || !self.is_whole(at, shift, &header)? {
            return Ok(None);
        }
        self.server_ids.insert(header.server_id);
        Ok(Some(u64::from(header.length)))
    }

    /// The event that starts at a place where there is one.
    pub(super) fn current(&mut self, at: u64, shift: i64) -> Result<EventView<'_>, Error> {
        const HELD: usize = 1 << 20;
        let (offset, checksum) = (self.body.plain_offset(at, shift), self.checksum);
        let length = EventHeader::parse(self.peek(at, shift, header::LENGTH)?)
            .ok()
            .and_then(|header| header.byte_length())
            .unwrap_or(header::LENGTH);
        let path = self.body.source.path().to_owned();
        let bytes = self.peek(at, shift, length.min(HELD))?;
        view(offset, bytes, checksum).ok_or(Error::Walk {
            path,
            source: WalkError::NoEventHere { offset },
        })
    }

    fn is_whole(
        &mut self,
        at: u64,
        shift: i64,
        header: &EventHeader,
    ) -> Result<bool, TransferError> {
        if checksum_length(header.event_type, self.checksum) > 0 {
            return self.has_right_checksum(at, shift, header);
        }
        // Without checksums: its own position, and what follows it.
        let end = at.saturating_add(u64::from(header.length));
        let position = |header: &EventHeader, at: u64| {
            self.is_relay
                || header.has(flag::ARTIFICIAL)
                || ends_where_it_says(header, self.body.plain_offset(at, shift))
        };
        if !position(header, at) {
            return Ok(false);
        }
        if end >= self.body.source.length() {
            return Ok(true);
        }
        let mut next = [0; header::LENGTH];
        self.body.read(end, shift, &mut next)?;
        // A damaged neighbour does not make an event doubtful that ends where it says.
        Ok(!self.is_relay || EventHeader::parse(&next).is_ok_and(|next| is_plausible(&next)))
    }

    fn has_right_checksum(
        &mut self,
        at: u64,
        shift: i64,
        header: &EventHeader,
    ) -> Result<bool, TransferError> {
        let length = header.byte_length().unwrap_or_default();
        if length <= CHUNK {
            let bytes = self.peek(at, shift, length)?;
            let is_description = header.event_type == event_type::FORMAT_DESCRIPTION;
            return Ok(bytes.len() == length && checksum::verify(bytes, is_description).is_ok());
        }
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

    /// The next whole event behind a damage: where it is, and under which alignment.
    pub(super) fn resync(
        &mut self,
        at: u64,
        shift: i64,
    ) -> Result<Option<(u64, i64)>, TransferError> {
        if self.body.events.is_some() {
            let found = self.find_event(at)?;
            // What is held may be what a damaged length led to.
            self.buffered = None;
            return Ok(found.map(|found| (found, 0)));
        }
        let length = self.body.source.length();
        let from = at.saturating_add(1);
        let near = from.saturating_add(NEAR).min(length);
        if let Some(found) = self.find(from, near, shift)? {
            return Ok(Some((found, shift)));
        }
        if self.body.stream.is_some()
            && let Some(found) = self.find_shifted(at, shift)?
        {
            return Ok(Some(found));
        }
        Ok(self.find(near, length, shift)?.map(|found| (found, shift)))
    }

    /// The next whole event of a log that is encrypted event by event. Each offset costs a block at
    /// most, unless it looks like an event.
    fn find_event(&mut self, at: u64) -> Result<Option<u64>, TransferError> {
        let Some(log) = &self.body.events else {
            return Ok(None);
        };
        let (source, length) = (self.body.source, self.body.source.length());
        let starts = log.known_starts();
        let known = starts
            .into_iter()
            .filter(|&start| start > at && start < length);
        let sure: Vec<u64> = known.chain(log.confirmed_end(source, at)?).collect();
        for next in sure {
            if self.is_event_here(next)? {
                return Ok(Some(next));
            }
        }
        let mut from = at
            .saturating_add(1)
            .max(starts.into_iter().max().unwrap_or(0));
        // The next event is near, most of the time.
        let mut piece = FIRST_PIECE;
        while from < length {
            let mut bytes = vec![0; piece.saturating_add(HEAD)];
            let read = source.read_at(from, &mut bytes)?;
            bytes.truncate(read);
            let (body, trail) = bytes.split_at_checked(piece.min(read)).unwrap_or_default();
            let stored = Stored {
                offset: from,
                lead: &[],
                body,
                trail,
            };
            for offset in log.likely(&stored, length) {
                if self.is_event_here(offset)? {
                    return Ok(Some(offset));
                }
            }
            from = stored.end();
            piece = piece.saturating_mul(2).min(CHUNK);
        }
        Ok(None)
    }

    fn is_event_here(&mut self, at: u64) -> Result<bool, TransferError> {
        let Some(log) = &self.body.events else {
            return Ok(false);
        };
        // What is held was read by the lengths of another event.
        self.buffered = None;
        // Most places are none: to decipher all that follows would be in vain.
        self.read_ahead = FIRST_PIECE;
        let event = self.event_at(at, 0);
        self.read_ahead = CHUNK;
        Ok(event?.is_some() && log.is_believable(self.body.source, at, self.checksum)?)
    }

    /// The first whole event that starts within a range.
    fn find(&mut self, from: u64, to: u64, shift: i64) -> Result<Option<u64>, TransferError> {
        let mut at = from;
        let step = u64::try_from(CHUNK.saturating_sub(header::LENGTH)).unwrap_or(1);
        while at < to {
            let bytes = self.peek(at, shift, CHUNK)?.to_vec();
            for offset in self.likely(&bytes, at, shift) {
                if offset < to && self.event_at(offset, shift)?.is_some() {
                    return Ok(Some(offset));
                }
            }
            at = at.saturating_add(step);
        }
        Ok(None)
    }

    /// Offsets in deciphered bytes at which a header could be.
    fn likely(&self, bytes: &[u8], at: u64, shift: i64) -> Vec<u64> {
        let windows = bytes.windows(header::LENGTH).zip(at..u64::MAX);
        windows
            .filter(|(window, offset)| self.is_likely(window, *offset, shift))
            .map(|(_, offset)| offset)
            .collect()
    }

    fn is_likely(&self, window: &[u8], offset: u64, shift: i64) -> bool {
        // In relay logs, and in plaintext that has been moved, positions say nothing.
        let position_counts = self.body.stream.is_some() && !self.is_relay;
        let ends_there = could_end_there(window, self.body.plain_offset(offset, shift), 0);
        if position_counts && !ends_there {
            return false;
        }
        let Ok(header) = EventHeader::parse(window) else {
            return false;
        };
        if ends_there {
            return is_plausible(&header);
        }
        header.length <= MAX_WITHOUT_POSITION
            && is_plausible(&header)
            && (self.server_ids.is_empty() || self.server_ids.contains(&header.server_id))
    }

    /// Tries other alignments behind a damage: whole blocks, as files lose them, then every byte.
    fn find_shifted(&mut self, at: u64, shift: i64) -> Result<Option<(u64, i64)>, TransferError> {
        let blocks = self.max_shift.saturating_mul(10) / BLOCK;
        let blocks = (1..=blocks).map(|block| block.saturating_mul(BLOCK));
        let bytes = (1..=self.max_shift).filter(|distance| !distance.is_multiple_of(BLOCK));
        if let Some(found) = self.find_aligned(at, &around(shift, blocks))? {
            return Ok(Some(found));
        }
        self.find_aligned(at, &around(shift, bytes))
    }

    /// The first event behind a damage under one of the alignments, in their order.
    fn find_aligned(
        &mut self,
        at: u64,
        shifts: &[i64],
    ) -> Result<Option<(u64, i64)>, TransferError> {
        for window in WINDOWS {
            let mut cipher = vec![0; window];
            let read = self.body.source.read_at(at, &mut cipher)?;
            cipher.truncate(read);
            for batch in shifts.chunks(BATCH) {
                self.shifts_tried = self
                    .shifts_tried
                    .saturating_add(u64::try_from(batch.len()).unwrap_or(0));
                let tried: Vec<(i64, Vec<u64>)> = batch
                    .par_iter()
                    .map_init(Vec::new, |plain: &mut Vec<u8>, &shift| {
                        plain.clone_from(&cipher);
                        self.body.decipher(at, shift, plain);
                        (shift, self.likely(plain, at, shift))
                    })
                    .filter(|(_, likely)| !likely.is_empty())
                    .collect();
                for (shift, likely) in tried {
                    for offset in likely {
                        if self.event_at(offset, shift)?.is_some() {
                            return Ok(Some((offset, shift)));
                        }
                    }
                }
            }
            if read < window {
                break; // a larger one has no more
            }
        }
        Ok(None)
    }

    /// Plaintext from a place on, fewer bytes at the file's end only.
    fn peek(&mut self, at: u64, shift: i64, length: usize) -> Result<&[u8], TransferError> {
        let left = usize::try_from(self.body.source.length().saturating_sub(at)).unwrap_or(length);
        let length = length.min(left);
        let skip = self.buffered.and_then(|(start, under)| {
            let skip = usize::try_from(at.checked_sub(start)?).ok()?;
            let fits = skip.checked_add(length)? <= self.buffer.len();
            (fits && under == shift).then_some(skip)
        });
        let skip = if let Some(skip) = skip {
            skip
        } else {
            self.buffer.resize(length.max(self.read_ahead).min(left), 0);
            let read = self.body.read(at, shift, &mut self.buffer)?;
            self.buffer.truncate(read);
            self.buffered = Some((at, shift));
            0
        };
        let end = skip.saturating_add(length).min(self.buffer.len());
        Ok(self.buffer.get(skip..end).unwrap_or_default())
    }
}

/// Alignments at distances from one, to both sides.
fn around(shift: i64, distances: impl Iterator<Item = u64>) -> Vec<i64> {
    distances
        .flat_map(|distance| {
            let distance = i64::try_from(distance).unwrap_or(i64::MAX);
            [
                shift.saturating_add(distance),
                shift.saturating_sub(distance),
            ]
        })
        .collect()
}
