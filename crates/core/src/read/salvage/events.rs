//! A log that MariaDB encrypted event by event: its plaintext from any event on, and its events
//! where their lengths, which are in clear and unprotected, do not lead to them.
//!
//! An event's IV has the offset that the event was written at. Where bytes are missing or were put
//! in, that is another than the one it stands at now: the *shift* is added to every offset before a
//! cipher sees it.

use std::sync::Arc;

use rayon::prelude::*;

use crate::event::FIRST_EVENT;
use crate::event::header::{self, EventHeader};
use crate::file::TransferError;
use crate::file::source::FileSource;
use crate::log::per_event::PerEvent;
use crate::mariadb::cipher::{EventSpan, HEAD, LEAD, Stored, TRAIL};

/// What opens the events.
#[derive(Debug, Clone)]
pub(super) struct EventLog {
    log: Arc<PerEvent>,
    /// The shift at the log's beginning.
    origin: i64,
}

impl EventLog {
    pub(super) fn new(log: PerEvent, origin: i64) -> Self {
        Self { log: Arc::new(log), origin }
    }

    /// The plaintext from an event on, in order.
    pub(super) fn from<'a>(
        &'a self,
        source: &'a FileSource,
        at: u64,
        shift: i64,
    ) -> EventReader<'a> {
        EventReader {
            log: &self.log,
            source,
            at,
            shift,
            is_beginning: shift == self.origin,
            event: None,
        }
    }

    /// The shift at the log's beginning.
    pub(super) const fn origin(&self) -> i64 {
        self.origin
    }

    /// Where in the file the events begin that stand in clear, and the first encrypted one.
    pub(super) fn known_starts(&self) -> [u64; 3] {
        let layout = self.log.layout();
        let back = self.origin.saturating_neg();
        [FIRST_EVENT, layout.start_offset, layout.first_event]
            .map(|at| at.saturating_add_signed(back))
    }

    /// Where the first encrypted event was written.
    pub(super) fn first_event(&self) -> u64 {
        self.log.layout().first_event
    }

    /// Whether end positions are those of another file.
    pub(super) fn has_foreign_positions(&self) -> bool {
        self.log.has_foreign_positions()
    }

    /// The offsets at which an event may begin in a piece of the file, `bytes` from `at` on, of
    /// which the first `scanned` are looked at: its length in clear lies within the file, and its
    /// header is what `is_likely` wants.
    pub(super) fn likely(
        &self,
        (bytes, scanned): (&[u8], usize),
        (at, shift): (u64, i64),
        file_end: u64,
        is_likely: impl Fn(&EventHeader, u64) -> bool + Sync,
    ) -> Vec<u64> {
        let count = scanned.min(bytes.len().saturating_sub(header::LENGTH.saturating_sub(1)));
        (0..count)
            .into_par_iter()
            .with_min_len(16 << 10)
            .filter_map(|within| {
                let offset = at.saturating_add(u64::try_from(within).ok()?);
                let rest = bytes.get(within..)?;
                if !could_be(rest, file_end.saturating_sub(offset)) {
                    return None;
                }
                let header = self.header(rest, offset, shift)?;
                is_likely(&header, offset).then_some(offset)
            })
            .collect()
    }

    /// The header of the event whose bytes start at a place.
    pub(super) fn header(&self, bytes: &[u8], at: u64, shift: i64) -> Option<EventHeader> {
        let place = at.saturating_add_signed(shift);
        let bytes = bytes.get(..HEAD.min(bytes.len()))?;
        if place < self.log.layout().first_event {
            return EventHeader::parse(bytes).ok();
        }
        let stored = Stored::alone(place, bytes);
        let event = stored.event_at(place);
        let mut head = [0; HEAD];
        let key = self.log.key()?;
        // One without a body has a byte less.
        let head = head.get_mut(..bytes.len().min(usize::try_from(event.length).ok()?))?;
        key.cipher.decrypt(event, &stored, event.offset, head);
        EventHeader::parse(head).ok()
    }
}

/// Whether the length of an event, which is in clear, lies within what is left of a file.
pub(super) fn could_be(head: &[u8], left: u64) -> bool {
    let length = head.get(9..).and_then(|rest| rest.first_chunk());
    let length = u64::from(u32::from_le_bytes(length.copied().unwrap_or_default()));
    length >= header::LENGTH as u64 && length <= left
}

/// Plaintext from an event on, as far as lengths lead.
#[derive(Debug)]
pub(super) struct EventReader<'a> {
    log: &'a PerEvent,
    source: &'a FileSource,
    /// Where in the file the next byte is.
    at: u64,
    shift: i64,
    /// Whether the log's beginning stands where the shift says: it is shown as the plaintext has it.
    is_beginning: bool,
    /// The event that has the byte at `at`, by the place where it was written, once that is behind
    /// what stands in clear.
    event: Option<EventSpan>,
}

impl EventReader<'_> {
    /// Fills the buffer, but at the end of the file; zeros stand for what no length leads to.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TransferError> {
        // Nothing leads to what was written first, whatever stands before it now.
        let place = self.at.saturating_add_signed(self.shift);
        let lead_length = LEAD.min(usize::try_from(self.at.min(place)).unwrap_or(LEAD));
        let start = self.at.saturating_sub(u64::try_from(lead_length).unwrap_or(0));
        let wanted = lead_length.saturating_add(buffer.len()).saturating_add(TRAIL);
        let mut bytes = vec![0; wanted];
        let read = self.source.read_at(start, &mut bytes)?;
        bytes.truncate(read);
        let (lead, rest) = bytes.split_at_checked(lead_length).unwrap_or_default();
        let length = buffer.len().min(rest.len());
        let (body, trail) = rest.split_at_checked(length).unwrap_or_default();
        let stored = Stored { offset: place, lead, body, trail };
        let target = buffer.get_mut(..length).unwrap_or_default();
        target.fill(0);
        let first = place.max(self.log.layout().first_event);
        let event = self.event.unwrap_or_else(|| stored.event_at(first));
        let last = self.log.decipher(event, &stored, target);
        if !self.is_beginning {
            let in_clear = self.log.layout().first_event.saturating_sub(place);
            let in_clear = usize::try_from(in_clear).unwrap_or(usize::MAX);
            let as_it_is = target.iter_mut().zip(body).take(in_clear);
            as_it_is.for_each(|(target, byte)| *target = *byte);
        }
        self.at = self.at.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        if stored.end() > first || self.event.is_some() {
            let next = if last.end() <= stored.end() { stored.event_at(last.end()) } else { last };
            self.event = Some(next);
        }
        Ok(length)
    }
}
