//! A log that is encrypted event by event, as it comes: from a pipe, in bounded memory.

use std::cell::RefCell;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

use super::DecryptOptions;
use crate::batch::guard::Guard;
use crate::batch::transfer::{Output, write_in_order};
use crate::bytes::read_full;
use crate::event::header::{self, EventHeader};
use crate::file::TransferError;
use crate::file::pipeline::{CHUNK, Progress};
use crate::file::sink::AtomicFile;
use crate::log::error::Error;
use crate::log::log_error::LogError;
use crate::log::per_event::PerEvent;
use crate::mariadb::chain::{Chain, LENGTH_KNOWN, Tail};
use crate::mariadb::cipher::{EventSpan, HEAD, LEAD, Stored, TRAIL};
use crate::mariadb::detect::has_own_end;
use crate::mariadb::error::MariadbError;
use crate::read::verify::Note;

/// What became of a stream.
pub(super) struct Deciphered {
    /// Length of the plaintext, in bytes.
    pub(super) plain_length: u64,
    /// What is wrong with its end.
    pub(super) damage: Option<Box<LogError>>,
    /// What there is to say of it, if it was verified.
    pub(super) notes: Vec<Note>,
}

/// Deciphers a stream.
pub(super) fn stream(
    (log, name): (&PerEvent, &Path),
    reader: impl Read + Send,
    output: Output<'_>,
    checks: DecryptOptions<'_>,
    progress: &dyn Progress,
) -> Result<Deciphered, Error> {
    let guard = Guard::new(progress);
    let damage = OnceLock::new();
    let mut decoder = Decoder::new(log, name, reader, &damage);
    let mut produce = |buffer: &mut [u8]| {
        decoder.next_piece(buffer).map_err(|error| match error {
            Error::Transfer(error) => error,
            other => {
                guard.fail(other);
                TransferError::Cancelled
            }
        })
    };
    let notes = RefCell::default();
    let check = |sink: &AtomicFile| {
        notes.replace(checks.apply(sink, name, damage.get())?);
        Ok(())
    };
    let recipients = checks.recipients;
    let written = write_in_order(&mut produce, output, recipients, &check, progress);
    if let Some(error) = guard.failure() {
        return Err(error);
    }
    let plain_length = written?;
    let damage = damage.into_inner().map(Box::new);
    Ok(Deciphered { plain_length, damage, notes: notes.take() })
}

/// A window that slides over the stream: the piece in hand, and what may be needed around it.
struct Decoder<'a, R> {
    log: &'a PerEvent,
    name: &'a Path,
    reader: R,
    /// Bytes of the stream, the first of which is at `start`.
    window: Vec<u8>,
    start: u64,
    /// What has been given out as plaintext.
    done: u64,
    /// The event that has the byte at `done`, or starts there.
    event: Option<EventSpan>,
    /// The plaintext header of that event, as far as it was seen.
    head: [u8; HEAD],
    is_ended: bool,
    /// What is wrong with the end of the log.
    damage: &'a OnceLock<LogError>,
}

impl<'a, R: Read> Decoder<'a, R> {
    const fn new(
        log: &'a PerEvent,
        name: &'a Path,
        reader: R,
        damage: &'a OnceLock<LogError>,
    ) -> Self {
        Self {
            log,
            name,
            reader,
            window: Vec::new(),
            start: 0,
            done: 0,
            event: None,
            head: [0; HEAD],
            is_ended: false,
            damage,
        }
    }

    /// Fills the buffer, but at the end.
    fn next_piece(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.refill(buffer.len())?;
        let window_end = self.start.saturating_add(to_u64(self.window.len()));
        let wanted = self.done.saturating_add(to_u64(buffer.len()));
        let end =
            if self.is_ended { self.find_end(window_end.min(wanted), window_end)? } else { wanted };
        let length = to_usize(end.saturating_sub(self.done)).min(buffer.len());
        let lead = to_usize(self.done.saturating_sub(self.start));
        let (lead, rest) = self.window.split_at_checked(lead).unwrap_or_default();
        let (body, trail) = rest.split_at_checked(length).unwrap_or_default();
        let stored = Stored { offset: self.done, lead, body, trail };
        let first_event = self.log.layout().first_event;
        let event = self.event.unwrap_or_else(|| stored.event_at(first_event));
        self.check_lengths(event, &stored, end)?;
        let target = buffer.get_mut(..length).unwrap_or_default();
        let last = self.log.decipher(event, &stored, target);
        if let Some(error) = self.log.implausible(event, self.done, target) {
            return Err(Error::log(self.name, error.into()));
        }
        let head = last.offset.checked_sub(self.done).map(to_usize);
        if let Some(head) = head.and_then(|at| target.get(at..)?.first_chunk()) {
            self.head = *head;
        }
        // An event that ends with the piece is followed by one whose header is in the trail.
        let next = if last.end() <= end && last.end() > first_event && length > 0 {
            stored.event_at(last.end())
        } else {
            last
        };
        if end > first_event {
            self.event = Some(next);
        }
        self.done = end;
        Ok(length)
    }

    /// Reads on, and drops what is no longer needed.
    fn refill(&mut self, wanted: usize) -> Result<(), TransferError> {
        let keep_from = self.done.saturating_sub(to_u64(LEAD));
        let dropped = to_usize(keep_from.saturating_sub(self.start)).min(self.window.len());
        self.window.drain(..dropped);
        self.start = keep_from;
        let kept = to_usize(self.done.saturating_sub(self.start));
        let full = kept.saturating_add(wanted).saturating_add(TRAIL);
        let filled = self.window.len();
        if filled < full && !self.is_ended {
            self.window.resize(full, 0);
            let target = self.window.get_mut(filled..).unwrap_or_default();
            let read = read_full(&mut self.reader, target)
                .map_err(TransferError::at(self.name, "read"))?;
            self.window.truncate(filled.saturating_add(read));
            self.is_ended = self.window.len() < full;
        }
        Ok(())
    }

    /// Refuses lengths that cannot be, before anything is deciphered by them.
    fn check_lengths(&self, event: EventSpan, stored: &Stored<'_>, end: u64) -> Result<(), Error> {
        let mut event = event;
        while event.offset < end {
            if u64::from(event.length) < to_u64(header::LENGTH) {
                let (offset, length) = (event.offset, event.length);
                let error = MariadbError::BadLength { offset, length };
                return Err(Error::log(self.name, error.into()));
            }
            if event.end() >= end {
                break;
            }
            event = stored.event_at(event.end());
        }
        Ok(())
    }

    /// How far the plaintext goes when the stream has ended: as [`Chain`] finds it.
    fn find_end(&mut self, wanted: u64, window_end: u64) -> Result<u64, Error> {
        let stored = Stored::alone(self.start, &self.window);
        let first_event = self.log.layout().first_event;
        if window_end <= first_event {
            return Ok(wanted);
        }
        let event = self.event.unwrap_or_else(|| stored.event_at(first_event));
        if event.offset >= window_end {
            return Ok(wanted);
        }
        if event.offset < self.start {
            // It starts before the window: what is left of it is all that is checked here.
            if event.end() > window_end {
                return Ok(self.cut(event, window_end)?.min(wanted));
            }
            let from = event.end();
            return self.end_of_chain(from, window_end, wanted);
        }
        self.end_of_chain(event.offset, window_end, wanted)
    }

    fn end_of_chain(&mut self, from: u64, window_end: u64, wanted: u64) -> Result<u64, Error> {
        let mut chain = Chain::new(from, window_end);
        let skipped = to_usize(from.saturating_sub(self.start));
        chain.extend(from, self.window.get(skipped..).unwrap_or_default());
        match chain.tail() {
            Some(Tail::Cut { event, .. }) => Ok(self.cut(event, window_end)?.min(wanted)),
            Some(Tail::CutHeader { offset, .. }) => {
                self.tell(chain.tail());
                Ok(offset.min(wanted))
            }
            Some(tail @ Tail::BadLength(_)) => match tail.error() {
                Some(error) => Err(Error::log(self.name, error.into())),
                None => Ok(wanted),
            },
            _ => Ok(wanted),
        }
    }

    fn tell(&self, tail: Option<Tail>) {
        if let Some(error) = tail.and_then(Tail::error) {
            let _ = self.damage.set(LogError::Mariadb(error));
        }
    }

    /// The end of the plaintext of a log that ends within an event.
    fn cut(&mut self, event: EventSpan, window_end: u64) -> Result<u64, Error> {
        let available = window_end.saturating_sub(event.offset);
        let key = self.log.key();
        let readable = key.map_or(0, |key| key.cipher.decipherable(event, available));
        if event.offset >= self.start && readable >= HEAD as u64 {
            let stored = Stored::alone(self.start, &self.window);
            self.head = stored.array(event.offset);
            let whole = Stored::alone(event.offset, &self.head);
            let mut head = [0; HEAD];
            self.log.decipher(event, &whole, &mut head);
            self.head = head;
        }
        if !self.log.has_foreign_positions()
            && EventHeader::parse(&self.head).is_ok_and(|header| !has_own_end(&header, event))
        {
            let (offset, length) = (event.offset, event.length);
            let error = MariadbError::BadLength { offset, length };
            return Err(Error::log(self.name, error.into()));
        }
        self.tell(Some(Tail::Cut { event, available }));
        Ok(event.offset.saturating_add(readable))
    }
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn to_usize(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

// The next event's length lies within what is read ahead.
const _: () = assert!(TRAIL >= LENGTH_KNOWN && CHUNK > LEAD + TRAIL);
