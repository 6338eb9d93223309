//! Which key and which cipher: the log says neither, so each is tried on its first events.
//!
//! Where a log has checksums, one right CRC-32 proves key and cipher. Where it has none, an end
//! position that is the event's own does; and types and flags that servers write, over several
//! events, where a relay log has the positions of its source.

use super::key_file::LOG_KEY_ID;
use super::start_encryption::StartEncryption;
use crate::event::checksum::{self, ChecksumAlgorithm};
use crate::event::format_description::FormatDescription;
use crate::event::header::{self, EventHeader, event_type, flag};
use crate::mariadb::cipher::{EventCipher, EventSpan, HEAD, Mode, Stored};

/// How many events are looked at.
pub(crate) const EVENTS: usize = 16;
/// How many events of likely types and flags prove a key that nothing else does.
const PLAUSIBLE_ENOUGH: usize = 4;
/// Flags of the common header that servers of either family write.
const KNOWN_FLAGS: u16 = flag::IN_USE
    | flag::ARTIFICIAL
    | flag::RELAY_LOG
    | flag::IGNORABLE
    | 0x0004
    | 0x0008
    | 0x0010
    | 0x0100
    | 0x0200
    | 0x4000
    | 0x8000;

/// A key that may be the right one.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// 16, 24 or 32 bytes.
    pub key: &'a [u8],
    /// Its id, where it has one.
    pub id: Option<u32>,
}

impl Candidate<'_> {
    /// For messages.
    #[must_use]
    pub fn name(&self) -> String {
        self.id.map_or_else(|| "a bare key".to_owned(), |id| format!("key {id}"))
    }
}

/// What is known before a key is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beginning<'a> {
    /// The first bytes of the file.
    pub file_start: &'a [u8],
    /// Whether these are all of it.
    pub is_whole: bool,
    /// The first encrypted event.
    pub first_event: u64,
    /// Whether that is a guess, one of a great many: then what it starts with must be plausible, or
    /// no more is looked at.
    pub is_guess: bool,
    /// The format description event in clear.
    pub description: &'a FormatDescription,
    /// The event that starts encryption.
    pub start: &'a StartEncryption,
}

/// What came of the trials.
#[derive(Debug)]
pub(crate) enum Detection {
    /// The one that fits.
    Found {
        /// Its position among the candidates.
        candidate: usize,
        /// With its key.
        cipher: EventCipher,
        /// Whether end positions are those of another file although checksums are right: so they
        /// are in relay logs, and in copies that MariaDB MaxScale encrypts (its source).
        has_foreign_positions: bool,
    },
    /// There are too few bytes to tell.
    Unprovable,
    /// Nothing fits.
    None,
    /// Several fit equally: positions among the candidates, and modes.
    Ambiguous(Vec<(usize, Mode)>),
}

/// Tries each key with each mode.
#[must_use]
pub(crate) fn detect(
    beginning: &Beginning<'_>,
    candidates: &[Candidate<'_>],
    modes: &[Mode],
) -> Detection {
    let mut best: Vec<(Trial, usize, EventCipher)> = Vec::new();
    let mut events_seen = false;
    // The key that servers use comes first, so that a tie of equal keys goes to it.
    let mut order: Vec<_> = candidates.iter().enumerate().collect();
    order.sort_by_key(|(_, candidate)| candidate.id != Some(LOG_KEY_ID));
    for (index, candidate) in order {
        if best.iter().any(|(_, other, _)| is_same_key(candidates, *other, candidate)) {
            continue;
        }
        for &mode in modes {
            let Some(cipher) = EventCipher::new(candidate.key, mode, beginning.start.nonce) else {
                continue;
            };
            let trial = Trial::run(beginning, &cipher);
            events_seen |= trial.events > 0;
            if !trial.fits() {
                continue;
            }
            if let Some((other, _, _)) = best.first() {
                if trial.score() < other.score() {
                    continue;
                }
                if trial.score() > other.score() {
                    best.clear();
                }
            }
            best.push((trial, index, cipher));
        }
    }
    decide(beginning, best, events_seen)
}

fn is_same_key(candidates: &[Candidate<'_>], index: usize, candidate: &Candidate<'_>) -> bool {
    use subtle::ConstantTimeEq;
    candidates.get(index).is_some_and(|other| {
        !std::ptr::eq(other, candidate) && bool::from(other.key.ct_eq(candidate.key))
    })
}

fn decide(
    beginning: &Beginning<'_>,
    mut best: Vec<(Trial, usize, EventCipher)>,
    events_seen: bool,
) -> Detection {
    let same_plaintext = best
        .first()
        .is_some_and(|(first, ..)| best.iter().all(|(trial, ..)| trial.plain == first.plain));
    if best.len() > 1 && !(beginning.is_whole && same_plaintext) {
        let all = best.iter().map(|(_, index, cipher)| (*index, cipher.mode()));
        return Detection::Ambiguous(all.collect());
    }
    match best.drain(..).next() {
        Some((trial, candidate, cipher)) => Detection::Found {
            candidate,
            cipher,
            has_foreign_positions: trial.proven > 1 && trial.own_ends == 0,
        },
        None if events_seen => Detection::None,
        None => Detection::Unprovable,
    }
}

/// What a key and a mode make of the first events.
#[derive(Debug, Default)]
struct Trial {
    events: usize,
    /// By a checksum, an end position, or a format description event.
    proven: usize,
    plausible: usize,
    own_ends: usize,
    plain: Vec<u8>,
}

impl Trial {
    fn run(beginning: &Beginning<'_>, cipher: &EventCipher) -> Self {
        let mut trial = Self::default();
        let stored = Stored::alone(0, beginning.file_start);
        let end = u64::try_from(beginning.file_start.len()).unwrap_or(u64::MAX);
        let mut checksums = beginning.description.checksum;
        let mut at = beginning.first_event;
        while trial.events < EVENTS {
            let event = stored.event_at(at);
            let available = end.saturating_sub(at);
            let readable = cipher.decipherable(event, available);
            if readable < header::LENGTH as u64 || event.length < 19 {
                break;
            }
            let is_first = at == beginning.first_event;
            if beginning.is_guess && is_first && !starts_plausibly(beginning, cipher, event) {
                break;
            }
            let mut plain = vec![0; usize::try_from(readable).unwrap_or(HEAD)];
            cipher.decrypt(event, &stored, at, &mut plain);
            let is_whole = readable == u64::from(event.length);
            trial.judge(event, &plain, is_whole.then_some(checksums), beginning);
            if let Ok(description) = FormatDescription::parse(&plain) {
                // That of a relay log's source: it speaks for the events after it.
                trial.proven = trial.proven.saturating_add(1);
                checksums = description.checksum;
            }
            trial.plain.extend(plain);
            at = event.end();
        }
        trial
    }

    fn judge(
        &mut self,
        event: EventSpan,
        plain: &[u8],
        checksums: Option<ChecksumAlgorithm>,
        beginning: &Beginning<'_>,
    ) {
        self.events = self.events.saturating_add(1);
        let Ok(header) = EventHeader::parse(plain) else {
            return;
        };
        let is_description = header.event_type == event_type::FORMAT_DESCRIPTION;
        let has_checksum = checksums == Some(ChecksumAlgorithm::Crc32);
        let has_own_end = has_own_end(&header, event);
        self.own_ends = self.own_ends.saturating_add(usize::from(has_own_end));
        if (has_checksum && checksum::verify(plain, is_description).is_ok()) || has_own_end {
            self.proven = self.proven.saturating_add(1);
        }
        if is_plausible(&header, event, beginning.description.is_relay_log()) {
            self.plausible = self.plausible.saturating_add(1);
        }
    }

    const fn score(&self) -> (usize, usize) {
        (self.proven, self.plausible)
    }

    fn fits(&self) -> bool {
        self.proven > 0 || (self.plausible >= PLAUSIBLE_ENOUGH && self.plausible == self.events)
    }
}

/// Whether the first bytes of an event decipher to the header of one.
fn starts_plausibly(beginning: &Beginning<'_>, cipher: &EventCipher, event: EventSpan) -> bool {
    let stored = Stored::alone(0, beginning.file_start);
    let mut head = [0; HEAD];
    let length = usize::try_from(event.length).unwrap_or(HEAD).min(HEAD);
    let head = head.get_mut(..length).unwrap_or_default();
    cipher.decrypt(event, &stored, event.offset, head);
    let is_relay_log = beginning.description.is_relay_log();
    EventHeader::parse(head).is_ok_and(|header| is_plausible(&header, event, is_relay_log))
}

/// Whether the end position is where the event ends, or the 0 of an event that no log has.
#[must_use]
pub(crate) fn has_own_end(header: &EventHeader, event: EventSpan) -> bool {
    let [a, b, c, d, ..] = event.end().to_le_bytes();
    header.end_position == u32::from_le_bytes([a, b, c, d]) || header.end_position == 0
}

/// Whether a header could be that of an event at this place: by a type that servers write and by
/// flags that they set, and but for relay logs, which have the positions of their source, by its
/// end position. Bytes that are no event pass with a probability of about one in a hundred and
/// fifty in a relay log, and of that times 2^-31 in another.
#[must_use]
pub(crate) fn is_plausible(header: &EventHeader, event: EventSpan, is_relay_log: bool) -> bool {
    has_known_type(header)
        && has_known_flags(header)
        && (is_relay_log || has_own_end(header, event))
}

/// Whether a header cannot be that of an event at this place, even one of a newer server with types
/// and flags that are not known here. In a relay log positions tell nothing, so much passes.
#[must_use]
pub(crate) fn is_impossible(header: &EventHeader, event: EventSpan, is_relay_log: bool) -> bool {
    let is_strange = !has_known_type(header) && !has_known_flags(header);
    !has_own_end(header, event) && (!is_relay_log || is_strange)
}

const fn has_known_type(header: &EventHeader) -> bool {
    matches!(header.event_type, 1..=42 | 160..=175)
}

const fn has_known_flags(header: &EventHeader) -> bool {
    header.flags & !KNOWN_FLAGS == 0
}

/// Whether bytes after the event that starts encryption are plaintext after all.
#[must_use]
pub(crate) fn is_plaintext(beginning: &Beginning<'_>) -> bool {
    let stored = Stored::alone(0, beginning.file_start);
    let event = stored.event_at(beginning.first_event);
    let at = usize::try_from(beginning.first_event).unwrap_or(usize::MAX);
    let bytes = beginning.file_start.get(at..).unwrap_or_default();
    EventHeader::parse(bytes).is_ok_and(|header| is_plausible(&header, event, false))
}
