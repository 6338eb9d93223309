//! The key of a log whose beginning is damaged: what can still be right of the event that starts
//! encryption is tried, and the events behind it tell.

use super::{LogError, PerEvent, ProvenKey, could_be_event, find_key};
use crate::event::checksum::{self, ChecksumAlgorithm};
use crate::event::event_type;
use crate::event::format_description::FormatDescription;
use crate::event::header::{self, EventHeader, flag};
use crate::keyring::Keyring;
use crate::log::kind::{LogKind, PROBE_LENGTH};
use crate::mariadb::SCHEME;
use crate::mariadb::cipher::{EventCipher, EventSpan, HEAD, Mode, Stored};
use crate::mariadb::detect::{self, Beginning};
use crate::mariadb::error::MariadbError;
use crate::mariadb::start_encryption::{LENGTH, Layout, StartEncryption};

/// The event that starts encryption stands before this offset.
const SEARCHED: usize = 16 << 10;
/// Bits of a nonce.
const NONCE_BITS: usize = 96;
/// How many events are asked for a right checksum.
const ASKED: usize = 8;
/// So many events are tried under other offsets than their own, each with every key.
const MAX_MOVED: usize = 8;
/// Larger events are not tried so.
const MAX_MOVED_LENGTH: u32 = 64 << 10;

/// What may have been the event that starts encryption.
struct Start<'a> {
    description: &'a FormatDescription,
    start: StartEncryption,
    /// Its bytes.
    event: Vec<u8>,
    /// The file as it would be had nothing before the event been lost or put in.
    file_start: Vec<u8>,
    /// Where the event was written.
    offset: u64,
    /// How far that is from where it stands.
    origin: i64,
    is_sound: bool,
}

impl PerEvent {
    /// Of a log whose beginning may be damaged: the key is proven by the first events that are
    /// whole, wherever in `file_start` they begin, and by up to `max_shift` bytes from where they
    /// were written. `borrowed` is the format description event of another log of the same server.
    /// Also returned is how far the event that starts encryption stands from where it was written.
    pub(crate) fn of_damaged(
        file_start: &[u8],
        keys: &Keyring,
        max_shift: u64,
        borrowed: Option<&FormatDescription>,
    ) -> Result<(Self, i64), LogError> {
        let probed = file_start.get(..PROBE_LENGTH.min(file_start.len())).unwrap_or_default();
        let error = match LogKind::classify(probed) {
            LogKind::MariadbEncrypted(description, start) => {
                match Self::new(probed, (&description, &start), Some(keys)) {
                    Ok(log) => return Ok((log, 0)),
                    Err(error) => error,
                }
            }
            _ => LogError::NotALog,
        };
        let may_be_damage = matches!(
            error,
            LogError::NotALog
                | LogError::Truncated { .. }
                | LogError::Mariadb(
                    MariadbError::WrongKey { .. }
                        | MariadbError::StartDamaged { .. }
                        | MariadbError::UnknownScheme { .. }
                        | MariadbError::KeyVersion { .. }
                        | MariadbError::NotEncrypted { .. }
                )
        );
        if !may_be_damage {
            return Err(error);
        }
        let descriptions = descriptions(file_start, borrowed);
        let mut starts: Vec<Start<'_>> =
            descriptions.iter().flat_map(|description| starts(file_start, description)).collect();
        // What has a right checksum is no guess.
        starts.sort_by_key(|start| !start.is_sound);
        let found = starts.iter().find_map(|start| Some((start, start.prove(keys)?)));
        let found = found.or_else(|| {
            let moved = |start: &Start<'_>| start.prove_anywhere(keys, max_shift);
            starts.iter().find_map(|start| Some((start, moved(start)?)))
        });
        let Some((start, key)) = found else {
            let why = || starts.iter().find_map(|start| start.why_unproven(keys));
            return Err(Some(error)
                .filter(|error| *error != LogError::NotALog)
                .or_else(why)
                .unwrap_or(LogError::NotALog));
        };
        let layout = Layout::of_damaged(start.offset, &start.event, start.is_sound);
        let log = Self {
            layout,
            is_relay_log: start.description.is_relay_log(),
            has_checksums: start.description.checksum == ChecksumAlgorithm::Crc32,
            key: Some(key),
        };
        Ok((log, start.origin))
    }
}

/// The log's own format description event, wherever it stands; where that is unreadable, another
/// log's, and what servers write by default.
fn descriptions(file_start: &[u8], borrowed: Option<&FormatDescription>) -> Vec<FormatDescription> {
    let events = file_start.get(4..).unwrap_or_default();
    let own = FormatDescription::parse(events).ok();
    let is_sound = |description: &FormatDescription| description.own_checksum.is_ok();
    // Bytes may be missing before it, or have been put in.
    let moved = || {
        let searched = file_start.get(..SEARCHED.min(file_start.len())).unwrap_or_default();
        (0..searched.len())
            .filter(|at| {
                searched.get(at.saturating_add(4)) == Some(&event_type::FORMAT_DESCRIPTION)
            })
            .filter_map(|at| FormatDescription::parse(searched.get(at..)?).ok())
            .find(is_sound)
    };
    if let Some(sound) = own.clone().filter(is_sound).or_else(moved) {
        return vec![sound];
    }
    let Ok(header) = EventHeader::parse(events) else {
        return Vec::new();
    };
    let with = |checksum| FormatDescription {
        header: EventHeader { flags: header.flags & (flag::RELAY_LOG | flag::IN_USE), ..header },
        server_version: "MariaDB".to_owned(),
        created: 0,
        event_types: 0,
        header_length: header.header_length,
        checksum,
        own_checksum: Ok(()),
    };
    let assumed = [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::None].map(with);
    borrowed.cloned().into_iter().chain(own).chain(assumed).collect()
}

/// Everything that could have been the event that starts encryption.
fn starts<'a>(file_start: &'a [u8], description: &'a FormatDescription) -> Vec<Start<'a>> {
    let has_checksum = description.checksum == ChecksumAlgorithm::Crc32;
    let length = LENGTH.saturating_add(if has_checksum { checksum::LENGTH } else { 0 });
    (4..SEARCHED.min(file_start.len()))
        .filter_map(|at| {
            let event = file_start.get(at..at.saturating_add(length))?;
            let start = StartEncryption::parse(event).ok()?;
            let header = &start.header;
            // All but one of these, as each may be what is damaged.
            let signs = [
                header.event_type == event_type::MARIADB_START_ENCRYPTION,
                header.byte_length() == Some(length),
                start.scheme == SCHEME,
                header.flags == 0,
            ];
            let count = signs.into_iter().filter(|sign| *sign).count();
            let is_likely = count >= 3;
            let is_sound =
                if has_checksum { checksum::verify(event, false).is_ok() } else { count == 4 };
            (is_likely || is_sound).then_some((at, start, is_sound))
        })
        .flat_map(|(at, start, is_sound)| {
            let at = i64::try_from(at).unwrap_or_default();
            let written =
                i64::from(start.header.end_position).saturating_sub(i64::from(start.header.length));
            let moved = written.saturating_sub(at);
            let is_moved = moved != 0 && moved.unsigned_abs() < 1 << 20;
            let origins = [is_moved.then_some(moved), Some(0)];
            origins
                .into_iter()
                .flatten()
                .map(move |origin| (at, start.clone(), is_sound, origin))
                .collect::<Vec<_>>()
        })
        .filter_map(|(at, start, is_sound, origin)| {
            let at = usize::try_from(at).ok()?;
            let event = file_start.get(at..at.saturating_add(length))?.to_vec();
            let distance = usize::try_from(origin.unsigned_abs()).ok()?;
            let file_start = if origin < 0 {
                file_start.get(distance..)?.to_vec()
            } else {
                [vec![0; distance].as_slice(), file_start].concat()
            };
            let offset = u64::try_from(at).ok()?.checked_add_signed(origin)?;
            Some(Start { description, start, event, file_start, offset, origin, is_sound })
        })
        .collect()
}

impl Start<'_> {
    fn first_event(&self) -> u64 {
        let length = u64::try_from(self.event.len()).unwrap_or(u64::MAX);
        self.offset.saturating_add(length)
    }

    fn beginning<'b>(&'b self, start: &'b StartEncryption, first_event: u64) -> Beginning<'b> {
        Beginning {
            file_start: &self.file_start,
            is_whole: false,
            first_event,
            is_guess: false,
            description: self.description,
            start,
        }
    }

    /// Tries nonce and key version as they stand; and if the event is damaged, the first version,
    /// and the nonce with each of its bits turned.
    fn prove(&self, keys: &Keyring) -> Option<ProvenKey> {
        let first = self.first_event();
        let as_it_is = |start: &StartEncryption| {
            let beginning = self.beginning(start, first);
            let key = find_key(&beginning, Some(keys)).ok()?;
            let right = self.right_checksums(&key.cipher);
            Some((right, key))
        };
        let other_version = StartEncryption { key_version: 1, ..self.start.clone() };
        let is_crc32 = self.description.checksum == ChecksumAlgorithm::Crc32;
        for start in [&self.start, &other_version] {
            match as_it_is(start) {
                Some((right, key)) if right > 0 || !is_crc32 => return Some(key),
                _ => {}
            }
        }
        if self.is_sound || !is_crc32 {
            return None;
        }
        (0..NONCE_BITS).find_map(|bit| {
            let mut start = self.start.clone();
            if let Some(byte) = start.nonce.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
            as_it_is(&start).filter(|(right, _)| *right > 0).map(|(_, key)| key)
        })
    }

    /// Why the log cannot be read, of which this is certainly the event that starts encryption.
    fn why_unproven(&self, keys: &Keyring) -> Option<LogError> {
        let is_certain = self.is_sound && self.start.is_in_force();
        let beginning = self.beginning(&self.start, self.first_event());
        find_key(&beginning, Some(keys)).err().filter(|_| is_certain)
    }

    /// How many of the first events have a right checksum.
    fn right_checksums(&self, cipher: &EventCipher) -> usize {
        let stored = Stored::alone(0, &self.file_start);
        let mut event = stored.event_at(self.first_event());
        let mut right = 0_usize;
        for _ in 0..ASKED {
            if !could_be_event(event, stored.end()) {
                break;
            }
            right = right.saturating_add(usize::from(is_right(cipher, event, event, &stored)));
            event = stored.event_at(event.end());
        }
        right
    }

    /// Behind events that are damaged: where in the file one could begin, by its length in clear;
    /// and if bytes are missing or were put in, where it was written.
    fn prove_anywhere(&self, keys: &Keyring, max_shift: u64) -> Option<ProvenKey> {
        let stored = Stored::alone(0, &self.file_start);
        let end = stored.end();
        let could_be = |&offset: &u64| could_be_event(stored.event_at(offset), end);
        let unmoved = (self.first_event()..end).filter(could_be).find_map(|offset| {
            let beginning = Beginning { is_guess: true, ..self.beginning(&self.start, offset) };
            find_key(&beginning, Some(keys)).ok()
        });
        if unmoved.is_some() {
            return unmoved;
        }
        let followed = |&offset: &u64| {
            let event = stored.event_at(offset);
            let next = stored.event_at(event.end());
            event.length <= MAX_MOVED_LENGTH && (event.end() == end || could_be_event(next, end))
        };
        (self.first_event()..end)
            .filter(could_be)
            .filter(followed)
            .take(MAX_MOVED)
            .find_map(|offset| self.prove_moved(keys, stored.event_at(offset), max_shift))
    }

    /// Tries every key and mode, and every offset that the event may have been written at.
    fn prove_moved(&self, keys: &Keyring, event: EventSpan, max_shift: u64) -> Option<ProvenKey> {
        let stored = Stored::alone(0, &self.file_start);
        let chosen = keys.mariadb_options().mode;
        let modes = chosen.as_ref().map_or(&Mode::ALL[..], std::slice::from_ref);
        let is_relay_log = self.description.is_relay_log();
        // A store that fails has said so when the log's first event was to be proven.
        let found = keys.mariadb_candidates(self.start.key_version).unwrap_or_default();
        for candidate in found.candidates() {
            for &mode in modes {
                let cipher = EventCipher::new(candidate.key, mode, self.start.nonce)?;
                for distance in 0..=max_shift {
                    let places =
                        [event.offset.checked_add(distance), event.offset.checked_sub(distance)];
                    for offset in places.into_iter().flatten() {
                        let written = EventSpan { offset, ..event };
                        if self.is_likely(&cipher, event, written)
                            && self.is_proven(&cipher, event, written, &stored)
                        {
                            return Some(ProvenKey {
                                id: candidate.id,
                                cipher,
                                has_foreign_positions: is_relay_log,
                            });
                        }
                    }
                }
            }
        }
        None
    }

    /// By its checksum; where there is none, by the position of the event that follows, too.
    fn is_proven(
        &self,
        cipher: &EventCipher,
        event: EventSpan,
        written: EventSpan,
        stored: &Stored<'_>,
    ) -> bool {
        if self.description.checksum == ChecksumAlgorithm::Crc32 {
            return is_right(cipher, event, written, stored);
        }
        let next = stored.event_at(event.end());
        let next_written = EventSpan { offset: written.end(), ..next };
        !self.description.is_relay_log()
            && could_be_event(next, stored.end())
            && self.is_likely(cipher, next, next_written)
    }

    fn is_likely(&self, cipher: &EventCipher, event: EventSpan, written: EventSpan) -> bool {
        let at = usize::try_from(event.offset).unwrap_or(usize::MAX);
        let bytes = self.file_start.get(at..).unwrap_or_default();
        let mut head = [0; HEAD];
        let length = usize::try_from(event.length).unwrap_or(HEAD).min(HEAD);
        let head = head.get_mut(..length).unwrap_or_default();
        let stored = Stored::alone(written.offset, bytes.get(..HEAD).unwrap_or(bytes));
        cipher.decrypt(written, &stored, written.offset, head);
        let is_relay_log = self.description.is_relay_log();
        EventHeader::parse(head)
            .is_ok_and(|header| detect::is_plausible(&header, written, is_relay_log))
    }
}

/// Whether an event that stands at one place, and was written at another, has a right checksum.
fn is_right(
    cipher: &EventCipher,
    event: EventSpan,
    written: EventSpan,
    file_start: &Stored<'_>,
) -> bool {
    let (Ok(at), Ok(length)) = (usize::try_from(event.offset), usize::try_from(event.length))
    else {
        return false;
    };
    let Some(bytes) = file_start.body.get(at..at.saturating_add(length)) else {
        return false;
    };
    let mut plain = vec![0; length];
    let stored = Stored::alone(written.offset, bytes);
    cipher.decrypt(written, &stored, written.offset, &mut plain);
    let is_description = plain.get(4) == Some(&event_type::FORMAT_DESCRIPTION);
    length >= header::LENGTH && checksum::verify(&plain, is_description).is_ok()
}
