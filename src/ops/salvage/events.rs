//! A log that MariaDB encrypted event by event: its plaintext from any event on, and its events
//! where their lengths, which are in clear and unprotected, do not lead to them.

use std::sync::Arc;

use rayon::prelude::*;

use crate::event::checksum::ChecksumAlgorithm;
use crate::event::header::{self, EventHeader};
use crate::io::TransferError;
use crate::io::source::FileSource;
use crate::mariadb::cipher::{EventSpan, HEAD, LEAD, Stored, TRAIL};
use crate::mariadb::detect;
use crate::open::{PerEvent, could_be_event};

/// Where nothing confirms an event, so many in a row must look like events.
const CHAIN: usize = 4;

/// What opens the events.
#[derive(Debug, Clone)]
pub(super) struct EventLog(Arc<PerEvent>);

impl EventLog {
    pub(super) fn new(log: PerEvent) -> Self {
        Self(Arc::new(log))
    }

    /// The plaintext from an event on, in order.
    pub(super) fn from<'a>(&'a self, source: &'a FileSource, event: u64) -> EventReader<'a> {
        EventReader {
            log: &self.0,
            source,
            at: event,
            event: None,
        }
    }

    /// Where the events begin that stand in clear, the format description event aside; and the
    /// first encrypted one.
    pub(super) fn known_starts(&self) -> [u64; 2] {
        let layout = self.0.layout();
        [layout.start_offset, layout.first_event]
    }

    /// The end of the event at a place, if the event itself confirms its length: a server writes
    /// where an event ends into its header, but for relay logs.
    pub(super) fn confirmed_end(
        &self,
        source: &FileSource,
        at: u64,
    ) -> Result<Option<u64>, TransferError> {
        let mut stored = [0; HEAD];
        if self.0.has_foreign_positions() || at < self.0.layout().first_event {
            return Ok(None);
        }
        if source.read_at(at, &mut stored)? < header::LENGTH {
            return Ok(None);
        }
        let event = Stored::alone(at, &stored).event_at(at);
        let header = self.header(event, &Stored::alone(at, &stored));
        let is_own = header.is_some_and(|header| detect::has_own_end(&header, event));
        let can_be = could_be_event(event, source.length());
        Ok((is_own && can_be).then(|| event.end()))
    }

    /// Offsets in a piece of the file at which an event could begin, in order. `stored` has what
    /// is needed behind it.
    pub(super) fn likely(&self, stored: &Stored<'_>, file_end: u64) -> Vec<u64> {
        let at = |index| {
            let within = u64::try_from(index).unwrap_or(u64::MAX);
            stored.offset.saturating_add(within)
        };
        (0..stored.body.len())
            .into_par_iter()
            .with_min_len(16 << 10)
            .map(at)
            .filter(|&offset| {
                let event = stored.event_at(offset);
                could_be_event(event, file_end) && self.is_likely(event, stored)
            })
            .collect()
    }

    fn is_likely(&self, event: EventSpan, stored: &Stored<'_>) -> bool {
        let is_foreign = self.0.has_foreign_positions();
        self.header(event, stored)
            .is_some_and(|header| detect::is_plausible(&header, event, is_foreign))
    }

    /// Whether an event that looks like one may be believed to be one. Checksums and positions say
    /// so; where there are neither, it is the events that follow.
    pub(super) fn is_believable(
        &self,
        source: &FileSource,
        at: u64,
        checksums: ChecksumAlgorithm,
    ) -> Result<bool, TransferError> {
        if !self.0.has_foreign_positions() || checksums == ChecksumAlgorithm::Crc32 {
            return Ok(true);
        }
        let mut at = at;
        for _ in 0..CHAIN {
            let mut bytes = [0; HEAD];
            if source.read_at(at, &mut bytes)? < header::LENGTH {
                break;
            }
            let stored = Stored::alone(at, &bytes);
            let event = stored.event_at(at);
            if !could_be_event(event, source.length()) || !self.is_likely(event, &stored) {
                return Ok(false);
            }
            at = event.end();
        }
        Ok(true)
    }

    fn header(&self, event: EventSpan, stored: &Stored<'_>) -> Option<EventHeader> {
        let mut head = [0; HEAD];
        let key = self.0.key()?;
        // One without a body has a byte less.
        let head = head.get_mut(..HEAD.min(usize::try_from(event.length).ok()?))?;
        key.cipher.decrypt(event, stored, event.offset, head);
        EventHeader::parse(head).ok()
    }
}

/// Plaintext from an event on, as far as lengths lead.
#[derive(Debug)]
pub(super) struct EventReader<'a> {
    log: &'a PerEvent,
    source: &'a FileSource,
    at: u64,
    /// The event that has the byte at `at`, once that is behind what stands in clear.
    event: Option<EventSpan>,
}

impl EventReader<'_> {
    /// Fills the buffer, but at the end of the file; zeros stand for what no length leads to.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TransferError> {
        let lead_length = LEAD.min(usize::try_from(self.at).unwrap_or(LEAD));
        let start = self
            .at
            .saturating_sub(u64::try_from(lead_length).unwrap_or(0));
        let wanted = lead_length
            .saturating_add(buffer.len())
            .saturating_add(TRAIL);
        let mut bytes = vec![0; wanted];
        let read = self.source.read_at(start, &mut bytes)?;
        bytes.truncate(read);
        let (lead, rest) = bytes.split_at_checked(lead_length).unwrap_or_default();
        let length = buffer.len().min(rest.len());
        let (body, trail) = rest.split_at_checked(length).unwrap_or_default();
        let stored = Stored {
            offset: self.at,
            lead,
            body,
            trail,
        };
        let target = buffer.get_mut(..length).unwrap_or_default();
        target.fill(0);
        let first = self.at.max(self.log.layout().first_event);
        let event = self.event.unwrap_or_else(|| stored.event_at(first));
        let last = self.log.decipher(event, &stored, target);
        self.at = stored.end();
        if self.at > first || self.event.is_some() {
            let next = if last.end() <= self.at {
                stored.event_at(last.end())
            } else {
                last
            };
            self.event = Some(next);
        }
        Ok(length)
    }
}
