//! The ways to the plaintext of a damaged log.

use std::ops::Range;

use super::SalvageOptions;
use super::body::{Body, Place};
use super::events::EventLog;
use super::scan::{Scanner, is_sound_description};
use crate::event::checksum::{self, ChecksumAlgorithm};
use crate::event::event_type;
use crate::event::format_description::{self, FormatDescription};
use crate::event::header::EventHeader;
use crate::event::{FIRST_EVENT, MAGIC};
use crate::file::TransferError;
use crate::file::source::FileSource;
use crate::keyring::Keyring;
use crate::log::archive;
use crate::log::error::Error;
use crate::log::kind::LogKind;
use crate::log::log_error::LogError;
use crate::log::per_event::PerEvent;
use crate::log::probe::Probe;
use crate::mariadb::start_encryption::LENGTH;
use crate::mysql::file_key::FileKey;
use crate::mysql::header::{self, BODY_OFFSET, EncryptionHeader, HeaderError};
use crate::mysql::password;
use crate::mysql::stream::CtrStream;
use crate::percona::sidecar::{Sidecar, SidecarError};

/// So far, in bytes, a log that MariaDB encrypted is searched for an event that proves its key.
const SEARCHED_FOR_KEY: usize = 1 << 20;
/// Bytes that are searched for another log's header at a time.
const SEARCHED_FOR_HEADER: usize = 1 << 20;

/// The access of a log that is not encrypted.
const PLAINTEXT: &str = "plaintext";

/// A log whose plaintext can be had.
#[derive(Debug)]
pub(super) struct Opened<'a> {
    pub(super) body: Body<'a>,
    /// How: by which key.
    pub(super) access: String,
    /// Where its events start, as far as that can be told.
    pub(super) first: Place,
}

/// Tries the ways to the plaintext, and takes the first under which there are events.
pub(super) fn open<'a>(
    source: &'a FileSource,
    keys: &Keyring,
    options: &SalvageOptions,
) -> Result<Opened<'a>, Error> {
    let start_bytes = crate::log::open::read_start(source)?;
    let kind = LogKind::classify(&start_bytes);
    if matches!(kind, LogKind::MariadbInnodb) {
        return Err(Error::log(source.path(), LogError::InnodbLog));
    }
    let starts = match &kind {
        LogKind::Percona57Encrypted(description) => percona_start(&start_bytes, description),
        _ => None,
    };
    // Damage may look like the event by which Percona's logs start encryption, and has no right sum.
    let is_sound = starts.is_some_and(|event| checksum::verify(event, false).is_ok());
    if !is_sound && let Some(opened) = try_events(source, keys, options, (&kind, &start_bytes))? {
        return Ok(opened);
    }
    let is_refused = starts.is_some() || matches!(kind, LogKind::Ancient(_));
    // Its events would pass for damaged plaintext.
    if is_refused {
        let obstacle = Probe::without_keys(&start_bytes).obstacle().cloned();
        let error = obstacle.unwrap_or(LogError::NothingToSalvage);
        return Err(Error::log(source.path(), error));
    }
    let given = options.password.is_some() || options.header.is_some();
    if !given && let Some(sidecar) = archive::beside(source.path(), &start_bytes)? {
        return open_archive(source, keys, options, sidecar);
    }
    let own_header = EncryptionHeader::parse(&start_bytes);
    let damaged_header = start_bytes.starts_with(&header::MAGIC);
    let header = options.header.as_ref().or(own_header.as_ref().ok());
    let mut ways: Vec<(Option<CtrStream>, String)> = Vec::new();
    if let Some(password) = &options.password {
        let stream = CtrStream::new(FileKey::derive(password));
        ways.push((Some(stream), "the file password".to_owned()));
    }
    if let Some(header) = header {
        ways.extend(streams(header, keys)?);
    }
    if !given && !damaged_header {
        ways.push((None, PLAINTEXT.to_owned()));
    }
    let has_way = !ways.is_empty();
    for (stream, access) in ways {
        let start = if stream.is_some() { BODY_OFFSET } else { 0 };
        let body = Body { source, stream, events: None, start };
        if let Some(first) = first_event(&body, options)? {
            return Ok(Opened { body, access, first });
        }
    }
    let damage = own_header.as_ref().err().filter(|_| damaged_header && !given);
    let error = no_way(header, damage, has_way, keys);
    Err(Error::log(source.path(), error))
}

/// As a log that MariaDB encrypted event by event, whatever it seems to be: damage may make a log's
/// beginning look like that of any other. `None` if it is none.
fn try_events<'a>(
    source: &'a FileSource,
    keys: &Keyring,
    options: &SalvageOptions,
    (kind, start_bytes): (&LogKind, &[u8]),
) -> Result<Option<Opened<'a>>, Error> {
    if start_bytes.starts_with(&header::MAGIC) {
        return Ok(None);
    }
    match open_events(source, keys, options) {
        Ok(opened) => Ok(Some(opened)),
        Err(error) => {
            let says_so = matches!(kind, LogKind::MariadbEncrypted(..));
            let is_none =
                |error: &LogError| matches!(error, LogError::NotALog | LogError::NothingToSalvage);
            match &error {
                Error::Log { source, .. } if !says_so && is_none(source) => Ok(None),
                // The flag may be damaged that says that the log is plaintext after all.
                _ => open_plaintext(source, options)?.map(Some).ok_or(error),
            }
        }
    }
}

/// The event behind the format description event, if it has the length of Percona Server 5.7's that
/// starts encryption: as MariaDB's of the same name, from which it was taken.
fn percona_start<'a>(file_start: &'a [u8], description: &FormatDescription) -> Option<&'a [u8]> {
    let first = usize::try_from(FIRST_EVENT).unwrap_or_default();
    let at = description.header.byte_length().map(|length| first.saturating_add(length));
    let event = at.and_then(|at| file_start.get(at..)).unwrap_or_default();
    let header = EventHeader::parse(event).ok()?;
    let length = header.byte_length()?;
    let is_one = header.event_type == event_type::PERCONA_START_ENCRYPTION
        && [LENGTH, LENGTH.saturating_add(checksum::LENGTH)].contains(&length);
    event.get(..length).filter(|_| is_one)
}

/// Why no plaintext was found: no key to try, a header that is damaged, or nothing left.
fn no_way(
    header: Option<&EncryptionHeader>,
    damage: Option<&HeaderError>,
    has_way: bool,
    keys: &Keyring,
) -> LogError {
    match (header, damage) {
        (Some(header), _) if !has_way && keys.is_empty() => {
            LogError::NoKeys { key_id: header.key_id.clone() }
        }
        (Some(header), _) if !has_way => LogError::KeyMissing {
            key_id: header.key_id.clone(),
            searched: keys.describe_sources(),
        },
        (None, Some(error)) => LogError::HeaderDamaged(error.clone()),
        _ => LogError::NothingToSalvage,
    }
}

/// A log of Percona Binlog Server's archive: of what is damaged the keys are tried on whole events.
fn open_archive<'a>(
    source: &'a FileSource,
    keys: &Keyring,
    options: &SalvageOptions,
    sidecar: Result<Sidecar, SidecarError>,
) -> Result<Opened<'a>, Error> {
    let of_log = |error| Error::log(source.path(), error);
    let sidecar = sidecar.map_err(|error| of_log(LogError::Sidecar(error)))?;
    for candidate in keys.wrapping_candidates(&sidecar.kek_id) {
        let Ok(file_key) = archive::file_key(&sidecar, candidate.cipher, candidate.key) else {
            continue;
        };
        let body = Body {
            source,
            stream: Some(archive::stream(&sidecar, &file_key).map_err(of_log)?),
            events: None,
            start: 0,
        };
        if let Some(first) = first_event(&body, options)? {
            return Ok(Opened { body, access: format!("key {}", candidate.id), first });
        }
    }
    // What stands against it: no key, another one, or nothing left.
    let start = crate::log::open::read_start(source)?;
    let probe = Probe::of_archive(Ok(sidecar), &start, keys);
    let obstacle = probe.obstacle().cloned();
    Err(of_log(obstacle.unwrap_or(LogError::NothingToSalvage)))
}

/// A log as plaintext, if an event is whole behind the one that would start encryption.
fn open_plaintext<'a>(
    source: &'a FileSource,
    options: &SalvageOptions,
) -> Result<Option<Opened<'a>>, Error> {
    let body = Body { source, stream: None, events: None, start: 0 };
    let Some(first) = first_event(&body, options)? else {
        return Ok(None);
    };
    let mut scanner = Scanner::new(&body, options.max_shift);
    let mut place = Some(first);
    let mut is_proven = false;
    while let Some((at, shift)) = place.filter(|_| !is_proven) {
        let Some(length) = scanner.event_at((at, shift))? else {
            place = scanner.resync((at, shift))?;
            continue;
        };
        let kind = scanner.current((at, shift))?.header.event_type;
        is_proven =
            !matches!(kind, event_type::FORMAT_DESCRIPTION | event_type::MARIADB_START_ENCRYPTION);
        place = Some((at.saturating_add(length), shift));
    }
    drop(scanner);
    let access = PLAINTEXT.to_owned();
    Ok(is_proven.then_some(Opened { body, access, first }))
}

/// The streams that a header's key may give, and what they are called.
fn streams(
    header: &EncryptionHeader,
    keys: &Keyring,
) -> Result<Vec<(Option<CtrStream>, String)>, Error> {
    let stream = |key: &_| {
        let password = password::unwrap(key, &header.iv, &header.wrapped_password);
        let stream = CtrStream::new(FileKey::derive(&password));
        (Some(stream), format!("key {}", header.key_id))
    };
    let keys = keys.candidates(&header.key_id)?;
    Ok(keys.iter().map(stream).collect())
}

/// A log that MariaDB encrypted event by event.
fn open_events<'a>(
    source: &'a FileSource,
    keys: &Keyring,
    options: &SalvageOptions,
) -> Result<Opened<'a>, Error> {
    let path = source.path();
    let mut start = vec![0; SEARCHED_FOR_KEY];
    let read = source.read_at(0, &mut start)?;
    start.truncate(read);
    let borrowed = options.description.as_deref().map(FormatDescription::parse);
    let borrowed = borrowed.and_then(Result::ok);
    let (log, origin) = PerEvent::of_damaged(&start, keys, options.max_shift, borrowed.as_ref())
        .map_err(|error| Error::log(path, error))?;
    let access = event_access(&log);
    let body = Body { source, stream: None, events: Some(EventLog::new(log, origin)), start: 0 };
    match first_event(&body, options)? {
        Some(first) => Ok(Opened { body, access, first }),
        None => Err(Error::log(path, LogError::NothingToSalvage)),
    }
}

/// How the events of a log are read that MariaDB encrypted.
fn event_access(log: &PerEvent) -> String {
    match log.key().map(|key| (key.id, key.cipher.name())) {
        Some((Some(id), cipher)) => format!("key {id}, {cipher}"),
        Some((None, cipher)) => format!("a bare key, {cipher}"),
        None => PLAINTEXT.to_owned(),
    }
}

/// Where the events start: where they should; or at the start of the file, if the header has been
/// cut off; or at the first whole event under the alignment that should be.
fn first_event(body: &Body<'_>, options: &SalvageOptions) -> Result<Option<Place>, Error> {
    let regular = (body.start.saturating_add(FIRST_EVENT), 0);
    let header_gone = (FIRST_EVENT, i64::try_from(body.start).unwrap_or(0));
    // Of a plaintext log they are the same.
    let starts = if body.start == 0 { vec![regular] } else { vec![regular, header_gone] };
    let borrowed = options.description.as_deref().map(FormatDescription::parse);
    let borrowed = borrowed.and_then(Result::ok);
    let scanner = || {
        let mut scanner = Scanner::new(body, options.max_shift);
        if let Some(description) = &borrowed {
            scanner.checksum = description.checksum;
            scanner.is_relay = description.is_relay_log();
        }
        scanner
    };
    for &start in &starts {
        if scanner().event_at(start)?.is_some() {
            return Ok(Some(start));
        }
    }
    for &start in &starts {
        let mut scanner = scanner();
        if let Some(found) = scanner.resync(start)? {
            return first_of_all(&mut scanner, start, found).map(Some);
        }
    }
    // Without checksums nothing but a format description event says so.
    for start in starts {
        let mut bytes = vec![0; 512];
        let read = body.read(start.0, start.1, &mut bytes)?;
        bytes.truncate(read);
        let mut scanner = scanner();
        scanner.checksum = ChecksumAlgorithm::None;
        if FormatDescription::parse(&bytes).is_ok() && scanner.resync(start)?.is_some() {
            return Ok(Some(start));
        }
    }
    Ok(None)
}

/// Where the events start of a log whose beginning is damaged: where it should, or before, if its
/// first bytes have been cut off, so that events stand where its header would be.
fn first_of_all(
    scanner: &mut Scanner<'_>,
    start: Place,
    (found, shift): Place,
) -> Result<Place, Error> {
    if let Some(log) = &scanner.body.events {
        // Bytes of the magic may be missing.
        let ([first, ..], origin) = (log.known_starts(), log.origin());
        let is_before = first < start.0 && scanner.is_event_here((first, origin))?;
        return Ok(if is_before { (first, origin) } else { start });
    }
    // Under the alignment of an encrypted log's beginning there is nothing before it.
    if scanner.body.stream.is_some() && shift == start.1 {
        return Ok(start);
    }
    let file_start = scanner.body.start.saturating_sub(BODY_OFFSET);
    let to = start.0.saturating_add(1).min(found);
    let before = scanner.find(file_start, (to, shift), None)?;
    Ok(before.map_or(start, |before| (before, shift)))
}

/// The log whose header stands at an offset, if there is a key for it; and the key's name.
pub(super) fn open_next<'a>(
    source: &'a FileSource,
    keys: &Keyring,
    offset: u64,
) -> Result<(String, Option<Opened<'a>>), Error> {
    let mut bytes = vec![0; header::LENGTH];
    source.read_at(offset, &mut bytes)?;
    if bytes.starts_with(&MAGIC) {
        return Ok((String::new(), open_next_in_clear(source, keys, offset)?));
    }
    let Ok(header) = EncryptionHeader::parse(&bytes) else {
        return Ok((String::new(), None));
    };
    let key_id = header.key_id.to_string();
    for (stream, access) in streams(&header, keys)? {
        let start = offset.saturating_add(BODY_OFFSET);
        let body = Body { source, stream, events: None, start };
        let options = SalvageOptions::default();
        if let Some(first) = first_event(&body, &options)?
            && first.0 > offset
        {
            return Ok((key_id, Some(Opened { body, access, first })));
        }
    }
    Ok((key_id, None))
}

/// The log whose magic and format description stand in clear at an offset: plaintext, or encrypted
/// event by event, if there is a key for it.
fn open_next_in_clear<'a>(
    source: &'a FileSource,
    keys: &Keyring,
    offset: u64,
) -> Result<Option<Opened<'a>>, Error> {
    let mut start = vec![0; SEARCHED_FOR_KEY];
    let read = source.read_at(offset, &mut start)?;
    let start = start.get(..read).unwrap_or_default();
    let first = offset.saturating_add(FIRST_EVENT);
    if !matches!(LogKind::classify(start), LogKind::MariadbEncrypted(..)) {
        let body = Body { source, stream: None, events: None, start: offset };
        let is_there = Scanner::new(&body, 0).event_at((first, 0))?.is_some();
        let first = (first, 0);
        return Ok(is_there.then_some(Opened { body, access: PLAINTEXT.to_owned(), first }));
    }
    let Ok((log, _)) = PerEvent::of_damaged(start, keys, 0, None) else {
        return Ok(None);
    };
    // Its events were written so far from the beginning of the file that they were in.
    let shift = i64::try_from(offset).unwrap_or(i64::MAX).saturating_neg();
    let access = event_access(&log);
    let body = Body { source, stream: None, events: Some(EventLog::new(log, shift)), start: 0 };
    Ok(Some(Opened { body, access, first: (first, shift) }))
}

/// Whether a log begins in clear at an offset, behind an encrypted one: with the magic and a format
/// description event whose checksum is right. A value of a row in an encrypted log may hold a log, but
/// no such value stands in the file in clear.
pub(super) fn begins_in_clear(log: &Opened<'_>, offset: u64) -> Result<bool, TransferError> {
    let mut magic = [0; MAGIC.len()];
    let read = log.body.source.read_at(offset, &mut magic)?;
    if log.access == PLAINTEXT || magic.get(..read) != Some(&MAGIC[..]) {
        return Ok(false);
    }
    let mut event = vec![0; format_description::MAX_LENGTH];
    let read = log.body.source.read_at(offset.saturating_add(FIRST_EVENT), &mut event)?;
    Ok(is_sound_description(event.get(..read).unwrap_or_default()))
}

/// Where the next log begins in a part of the file in which nothing of this one is whole: with MySQL's
/// header, or in clear if `is_tail`, as then nothing of this one is behind it.
pub(super) fn next_log(
    log: &Opened<'_>,
    lost: Range<u64>,
    is_tail: bool,
) -> Result<Option<u64>, TransferError> {
    let encrypted = find_header(log.body.source, lost.start, lost.end)?;
    if !is_tail {
        return Ok(encrypted);
    }
    let in_clear = next_in_clear(log, lost.start, encrypted.unwrap_or(lost.end))?;
    Ok(in_clear.or(encrypted))
}

/// The first place between two offsets at which a log begins in clear.
fn next_in_clear(log: &Opened<'_>, from: u64, to: u64) -> Result<Option<u64>, TransferError> {
    if log.access == PLAINTEXT {
        return Ok(None);
    }
    let mut buffer = vec![0; SEARCHED_FOR_HEADER.saturating_add(MAGIC.len())];
    let mut at = from;
    while at < to {
        let read = log.body.source.read_at(at, &mut buffer)?;
        let windows = buffer.get(..read).unwrap_or_default().windows(MAGIC.len());
        let places = windows.take(SEARCHED_FOR_HEADER).zip(at..to);
        for (_, offset) in places.filter(|(window, _)| *window == MAGIC) {
            if begins_in_clear(log, offset)? {
                return Ok(Some(offset));
            }
        }
        at = at.saturating_add(SEARCHED_FOR_HEADER as u64);
    }
    Ok(None)
}

/// The first header of an encrypted log that stands between two offsets.
pub(super) fn find_header(
    source: &FileSource,
    from: u64,
    to: u64,
) -> Result<Option<u64>, TransferError> {
    let mut at = from;
    let mut buffer = vec![0; SEARCHED_FOR_HEADER.saturating_add(header::LENGTH)];
    while at < to {
        let left = usize::try_from(to.saturating_sub(at)).unwrap_or(SEARCHED_FOR_HEADER);
        let scanned = left.min(SEARCHED_FOR_HEADER);
        let wanted = scanned.saturating_add(header::LENGTH);
        let target = buffer.get_mut(..wanted).unwrap_or_default();
        let read = source.read_at(at, target)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        let [first, ..] = header::MAGIC;
        let found = bytes
            .iter()
            .take(scanned)
            .enumerate()
            .filter(|(_, byte)| **byte == first)
            .map(|(index, _)| index)
            .find(|&index| {
                let rest = bytes.get(index..).unwrap_or_default();
                rest.starts_with(&header::MAGIC) && EncryptionHeader::parse(rest).is_ok()
            });
        if let Some(index) = found {
            return Ok(Some(at.saturating_add(u64::try_from(index).unwrap_or(0))));
        }
        at = at.saturating_add(u64::try_from(scanned).unwrap_or(u64::MAX));
    }
    Ok(None)
}
