//! Logs that MariaDB encrypted event by event: from the first bytes and the keys to a cipher, and
//! from there to plaintext at any offset.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::event::checksum::{self, ChecksumAlgorithm};
use crate::event::format_description::FormatDescription;
use crate::event::header::{self, EventHeader, event_type};
use crate::file::TransferError;
use crate::file::source::{FileSource, WINDOW};
use crate::keyring::Keyring;
use crate::log::kind::PROBE_LENGTH;
use crate::mariadb::chain::{Chain, LENGTH_KNOWN, STRIDE, Tail};
use crate::mariadb::cipher::{EventCipher, EventSpan, HEAD, LEAD, Mode, Stored, TRAIL};
use crate::mariadb::detect::{self, Beginning, Detection};
use crate::mariadb::error::MariadbError;
use crate::mariadb::start_encryption::{Layout, StartEncryption};

use crate::log::error::describe;
use crate::log::log_error::LogError;
use crate::mariadb::key_file::LOG_KEY_ID;

mod damaged;

/// Bytes looked at between two hops where the file is not mapped.
const HOP: u64 = 64 << 10;

/// A log's beginning, and what opens the rest.
#[derive(Debug)]
pub struct PerEvent {
    layout: Layout,
    is_relay_log: bool,
    has_checksums: bool,
    /// `None` where the log ends before its first encrypted event: there is nothing to decipher.
    key: Option<ProvenKey>,
}

/// A key with its cipher, by which a log's first events decrypt.
#[derive(Debug)]
pub struct ProvenKey {
    /// Its id in its key file; `None` for a bare key.
    pub id: Option<u32>,
    /// Deciphers the log's events.
    pub cipher: EventCipher,
    /// Whether the first events have right checksums, and end positions of another file.
    pub has_foreign_positions: bool,
}

impl PerEvent {
    /// Reads the beginning and finds the key.
    pub(super) fn new(
        file_start: &[u8],
        (description, start): (&FormatDescription, &StartEncryption),
        keys: Option<&Keyring>,
    ) -> Result<Self, LogError> {
        let layout = Layout::parse(file_start, description.checksum)?;
        let beginning = Beginning {
            file_start,
            is_whole: file_start.len() < PROBE_LENGTH,
            first_event: layout.first_event,
            is_guess: false,
            description,
            start,
        };
        let length = u64::try_from(file_start.len()).unwrap_or(u64::MAX);
        let key = if length <= layout.first_event {
            None
        } else if detect::is_plaintext(&beginning) {
            let offset = layout.first_event;
            return Err(MariadbError::NotEncrypted { offset }.into());
        } else {
            Some(find_key(&beginning, keys)?)
        };
        Ok(Self {
            layout,
            is_relay_log: description.is_relay_log(),
            has_checksums: description.checksum == ChecksumAlgorithm::Crc32,
            key,
        })
    }

    /// With a key that is known to be the right one.
    pub(super) fn under(
        file_start: &[u8],
        description: &FormatDescription,
        key: ProvenKey,
    ) -> Result<Self, LogError> {
        Ok(Self {
            layout: Layout::parse(file_start, description.checksum)?,
            is_relay_log: description.is_relay_log(),
            has_checksums: description.checksum == ChecksumAlgorithm::Crc32,
            key: Some(key),
        })
    }

    /// The key by which it opens; `None` where no event is encrypted yet.
    #[must_use]
    pub const fn key(&self) -> Option<&ProvenKey> {
        self.key.as_ref()
    }

    /// What stands in clear.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether end positions are those of another file, as in a replica's relay log.
    #[must_use]
    pub const fn has_foreign_positions(&self) -> bool {
        let by_key = match &self.key {
            Some(key) => key.has_foreign_positions,
            None => false,
        };
        self.is_relay_log || by_key
    }

    /// Deciphers `stored.body` into `target`, which is as long. `event` is the one that has its
    /// first byte; those that follow are found by their lengths. Returns the event that has the
    /// byte after the last one, or follows there.
    pub fn decipher(&self, event: EventSpan, stored: &Stored<'_>, target: &mut [u8]) -> EventSpan {
        let clear = usize::try_from(self.layout.first_event.saturating_sub(stored.offset));
        let clear = clear.unwrap_or(usize::MAX).min(stored.body.len());
        let (in_clear, rest) = target.split_at_mut_checked(clear).unwrap_or_default();
        in_clear.iter_mut().zip(stored.body).for_each(|(target, byte)| *target = *byte);
        self.layout.neutralise(stored.offset, in_clear);
        match &self.key {
            Some(key) if !rest.is_empty() => {
                let at = stored.offset.max(self.layout.first_event);
                key.cipher.decrypt_run(event, stored, at, rest)
            }
            _ => event,
        }
    }

    /// Whether an event is all there and has a checksum that is right.
    fn has_right_checksum(&self, header: &EventHeader, bytes: &[u8]) -> bool {
        let event = header.byte_length().and_then(|length| bytes.get(..length));
        self.has_checksums && event.is_some_and(|event| checksum::verify(event, false).is_ok())
    }

    /// Whether a header at `offset`, with as many of its event's `bytes` as are at hand, cannot be
    /// that of one.
    #[must_use]
    pub fn is_implausible(&self, header: &EventHeader, offset: u64, bytes: &[u8]) -> bool {
        let event = EventSpan { offset, length: header.length };
        let is_impossible = detect::is_impossible(header, event, self.has_foreign_positions())
            && !self.has_right_checksum(header, bytes);
        is_impossible || is_no_description(header, bytes)
    }

    /// The first event with an impossible header in a piece of plaintext; only events that start
    /// in it are looked at, of which the first is `event` or follows it.
    #[must_use]
    pub fn implausible(&self, event: EventSpan, offset: u64, plain: &[u8]) -> Option<MariadbError> {
        let stored = Stored::alone(offset, plain);
        let end = offset.saturating_add(u64::try_from(plain.len()).unwrap_or(u64::MAX));
        let mut event = event;
        loop {
            // A log that ends before its first encrypted event has none.
            if event.length == 0 {
                return None;
            }
            if event.offset >= offset {
                let at = usize::try_from(event.offset.saturating_sub(offset)).ok()?;
                let bytes = plain.get(at..)?;
                let header = EventHeader::parse(bytes).ok()?;
                if self.is_implausible(&header, event.offset, bytes) {
                    let offset = event.offset;
                    return Some(MariadbError::Implausible { offset });
                }
            }
            let next = event.end();
            if next.saturating_add(HEAD as u64) > end || next <= event.offset {
                return None;
            }
            event = if next >= offset {
                stored.event_at(next)
            } else {
                return None;
            };
        }
    }
}

/// Whether an event has the type of a format description event, and is none. That event always
/// carries a checksum; so it gives away a damaged log that has no others.
fn is_no_description(header: &EventHeader, bytes: &[u8]) -> bool {
    let is_whole = header.byte_length().is_some_and(|length| length <= bytes.len());
    header.event_type == event_type::FORMAT_DESCRIPTION
        && is_whole
        && FormatDescription::parse(bytes)
            .map_or(true, |description| description.own_checksum.is_err())
}

/// Whether an event of this length can be all there.
pub(crate) const fn could_be_event(event: EventSpan, file_end: u64) -> bool {
    event.length as usize >= header::LENGTH && event.end() <= file_end
}

fn find_key(beginning: &Beginning<'_>, keys: Option<&Keyring>) -> Result<ProvenKey, LogError> {
    let Some(keys) = keys.filter(|keys| keys.has_mariadb_keys()) else {
        return Err(MariadbError::NoKeys.into());
    };
    let searched = || keys.describe_sources();
    let version = beginning.start.key_version;
    let found = keys.mariadb_candidates(version).map_err(|error| MariadbError::Store {
        message: describe(&error),
        is_missing_key: error.is_missing_key(),
    })?;
    let candidates = found.candidates();
    if candidates.is_empty() {
        let searched = searched();
        return Err(match keys.mariadb_options().key_id {
            id if keys.has_mariadb_store() => {
                let id = id.unwrap_or(LOG_KEY_ID);
                MariadbError::VersionMissing { id, version, searched }
            }
            _ if version != 1 => MariadbError::KeyVersion { version, searched },
            Some(id) => MariadbError::KeyMissing { id, searched },
            None => MariadbError::NoKeys,
        }
        .into());
    }
    let chosen = keys.mariadb_options().mode;
    let modes = chosen.as_ref().map_or(&Mode::ALL[..], std::slice::from_ref);
    match detect::detect(beginning, &candidates, modes) {
        Detection::Found { candidate, cipher, has_foreign_positions } => Ok(ProvenKey {
            id: candidates.get(candidate).and_then(|found| found.id),
            cipher,
            has_foreign_positions,
        }),
        Detection::Unprovable => Err(LogError::Truncated {
            available: beginning.file_start.len(),
            part: "first encrypted event, so that no key can be proven",
        }),
        Detection::None => Err(MariadbError::WrongKey {
            searched: searched(),
            ciphers: chosen.map_or("any AES mode", Mode::name),
            offset: beginning.first_event,
        }
        .into()),
        Detection::Ambiguous(fits) => {
            let name = |(index, mode): &(usize, Mode)| {
                let candidate = candidates.get(*index);
                let key = candidate.map(detect::Candidate::name).unwrap_or_default();
                format!("{key} with {mode}")
            };
            let candidates = fits.iter().map(name).collect();
            Err(MariadbError::Ambiguous { candidates }.into())
        }
    }
}

/// Where a log's events are, and how far its plaintext goes. Both are found on the way: where
/// nobody needs to know the end first, the hop goes on beside the deciphering.
#[derive(Debug)]
pub(super) struct Events {
    /// Offset of the first encrypted event.
    first: u64,
    chain: Mutex<Chain>,
    end: OnceLock<End>,
}

#[derive(Debug)]
struct End {
    plain_length: u64,
    tail: Option<MariadbError>,
}

impl Events {
    /// Of which nothing is known yet.
    pub(super) const fn new(source: &FileSource, log: &PerEvent) -> Self {
        let first = log.layout.first_event;
        Self { first, chain: Mutex::new(Chain::new(first, source.length())), end: OnceLock::new() }
    }

    /// Hops to the end of the file.
    pub(super) fn survey(&self, source: &FileSource, log: &PerEvent) -> Result<(), TransferError> {
        if self.end.get().is_none() {
            let tail = self.hop(source, u64::MAX)?.tail().unwrap_or(Tail::Whole);
            let _ = self.end.set(End::measure(source, log, tail)?);
        }
        Ok(())
    }

    /// Hops until the event is known that has the byte at an offset; once begun, to the end of a
    /// window.
    fn hop(
        &self,
        source: &FileSource,
        offset: u64,
    ) -> Result<MutexGuard<'_, Chain>, TransferError> {
        let offset = offset.max(self.first);
        let mut chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        if chain.wants().is_none_or(|at| at > offset) {
            return Ok(chain);
        }
        let until = (offset / WINDOW).saturating_add(1).saturating_mul(WINDOW);
        let mut view = source.view(Vec::new());
        while let Some(at) = chain.wants().filter(|at| *at < until) {
            let left = source.length().saturating_sub(at);
            let to_boundary = WINDOW.saturating_sub(at % WINDOW);
            let length = HOP.min(to_boundary).max(LENGTH_KNOWN as u64).min(left);
            let length = usize::try_from(length).unwrap_or(LENGTH_KNOWN);
            chain.extend(at, view.bytes(at, length)?);
            view.confirm()?;
        }
        Ok(chain)
    }

    /// Length of the plaintext, in bytes: that of the file, unless its last event is damaged.
    /// `None` before the survey.
    pub(super) fn plain_length(&self) -> Option<u64> {
        self.end.get().map(|end| end.plain_length)
    }

    /// Why the log does not end with an event, if it does not, as far as the hop has come.
    pub(super) fn tail(&self) -> Option<MariadbError> {
        if let Some(end) = self.end.get() {
            return end.tail.clone();
        }
        let chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        chain.tail()?.error()
    }

    /// The event that has the byte at `offset`; for what stands in clear, the first one. One
    /// without a length where the chain of events has ended before.
    pub(super) fn at(&self, source: &FileSource, offset: u64) -> Result<EventSpan, TransferError> {
        let nothing = EventSpan { offset, length: 0 };
        let chain = self.hop(source, offset)?;
        if chain.is_over_before(offset) {
            return Ok(nothing);
        }
        let mut event = chain.anchor(offset).unwrap_or(nothing);
        drop(chain);
        let mut buffer = [0; 4096];
        while event.end() <= offset && event.length > 0 {
            let at = event.end();
            let read = source.read_at(at, &mut buffer)?;
            let stored = Stored::alone(at, buffer.get(..read).unwrap_or_default());
            event = stored.event_at(at);
            let known = at.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            while event.length > 0
                && event.end() <= offset
                && event.end().saturating_add(LENGTH_KNOWN as u64) <= known
            {
                event = stored.event_at(event.end());
            }
        }
        Ok(event)
    }
}

impl End {
    /// How far the plaintext goes.
    fn measure(source: &FileSource, log: &PerEvent, tail: Tail) -> Result<Self, TransferError> {
        let mut end = Self { plain_length: source.length(), tail: tail.error() };
        match tail {
            Tail::Whole => {}
            Tail::CutHeader { offset, .. } => end.plain_length = offset,
            Tail::BadLength(event) => end.plain_length = event.offset,
            Tail::Cut { event, available } => {
                let readable = log.key().map_or(0, |key| key.cipher.decipherable(event, available));
                end.plain_length = event.offset.saturating_add(readable);
                if !log.has_foreign_positions()
                    && readable >= HEAD as u64
                    && has_bad_length(source, log, event)?
                {
                    let (offset, length) = (event.offset, event.length);
                    end.tail = Some(MariadbError::BadLength { offset, length });
                    end.plain_length = offset;
                }
            }
        }
        Ok(end)
    }
}

/// Whether the end position of an event that passes the end of the file says that the length, which
/// is in clear and unprotected, is not what the server wrote.
fn has_bad_length(
    source: &FileSource,
    log: &PerEvent,
    event: EventSpan,
) -> Result<bool, TransferError> {
    let mut stored = [0; HEAD];
    source.read_at(event.offset, &mut stored)?;
    let mut head = [0; HEAD];
    log.decipher(event, &Stored::alone(event.offset, &stored), &mut head);
    let header = EventHeader::parse(&head);
    Ok(header.is_ok_and(|header| !detect::has_own_end(&header, event)))
}

/// Fills `target` with plaintext from `offset` on, which must be there.
pub(super) fn read_at(
    (log, events, source): (&PerEvent, &Events, &FileSource),
    offset: u64,
    target: &mut [u8],
) -> Result<(), TransferError> {
    let mut offset = offset;
    let piece_length = usize::try_from(STRIDE).unwrap_or(LEAD);
    let mut stored = vec![0; target.len().min(piece_length)];
    for piece in target.chunks_mut(piece_length) {
        let body = stored.get_mut(..piece.len()).unwrap_or_default();
        source.read_at(offset, body)?;
        decipher((log, events, source), offset, body, piece)?;
        offset = offset.saturating_add(STRIDE);
    }
    Ok(())
}

/// Deciphers a piece of a file into `target`, which is as long; reads what is needed around it.
pub(super) fn decipher(
    (log, events, source): (&PerEvent, &Events, &FileSource),
    offset: u64,
    body: &[u8],
    target: &mut [u8],
) -> Result<EventSpan, TransferError> {
    let event = events.at(source, offset)?;
    let lead_start = offset.saturating_sub(LEAD as u64);
    let mut lead = [0; LEAD];
    let lead_length = usize::try_from(offset.saturating_sub(lead_start)).unwrap_or(LEAD);
    let lead = lead.get_mut(..lead_length).unwrap_or_default();
    source.read_at(lead_start, lead)?;
    let mut trail = [0; TRAIL];
    let end = offset.saturating_add(u64::try_from(body.len()).unwrap_or(u64::MAX));
    let trail_length = source.read_at(end, &mut trail)?;
    let stored =
        Stored { offset, lead, body, trail: trail.get(..trail_length).unwrap_or_default() };
    log.decipher(event, &stored, target);
    Ok(event)
}
