//! What is whole in a damaged log, and nothing else.
//!
//! From event to event as long as header, checksum and position agree. Where they do not, the next
//! whole event is looked for: further on in the same alignment; and in an encrypted log, whose
//! stream runs on over bytes that are missing or were put in, under other alignments of file and
//! stream, nearest first. In a log that MariaDB encrypted event by event, every offset is deciphered
//! as the start of an event. Every byte that is written was in the log, but for the magic, which is
//! always the same, and the in-use flag, which is cleared: what was saved is closed.

mod body;
mod events;
mod scan;

use std::io::Write;
use std::ops::Range;
use std::path::Path;

use body::Body;
use events::EventLog;
use scan::Scanner;

use super::slice::is_about_the_log;
use super::transfer::{check_not_itself, clear_in_use};
use crate::crypto::derive::FileKey;
use crate::crypto::password;
use crate::crypto::stream::CtrStream;
use crate::error::Error;
use crate::event::checksum::ChecksumAlgorithm;
use crate::event::event_type;
use crate::event::format_description::FormatDescription;
use crate::event::gtid::TransactionStart;
use crate::event::header;
use crate::event::transaction::Progress as TransactionProgress;
use crate::event::walker::EventView;
use crate::event::{FIRST_EVENT, MAGIC};
use crate::io::TransferError;
use crate::io::pipeline::{CHUNK, Progress};
use crate::io::sink::{AtomicFile, SinkOptions};
use crate::io::source::FileSource;
use crate::keyring::Keyring;
use crate::log::LogKind;
use crate::log::header::{BODY_OFFSET, EncryptionHeader};
use crate::open::{LogError, PerEvent, Probe, archive};
use crate::percona::sidecar::{Sidecar, SidecarError};
use crate::secret::Secret32;

/// So far, in bytes, a log that MariaDB encrypted is searched for an event that proves its key.
const SEARCHED_FOR_KEY: usize = 1 << 20;

/// So many lost transactions are named; more are counted.
const MAX_NAMED: usize = 1000;

/// How to salvage.
#[derive(Debug, Default)]
pub struct SalvageOptions {
    /// A copy of the log's encryption header, used in place of the one in the file.
    pub header: Option<EncryptionHeader>,
    /// The log's file password, in place of header and keyring.
    pub password: Option<Secret32>,
    /// The format description event of another log of the same server, where this log's is lost or
    /// damaged.
    pub description: Option<Vec<u8>>,
    /// Leave out events of transactions that are not whole.
    pub whole_transactions: bool,
    /// By how many bytes file and stream may have moved against each other, at any byte; ten times
    /// as far whole blocks of 512 are tried.
    pub max_shift: u64,
}

/// A part of the file that is not in the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Where it starts in the file.
    pub file_offset: u64,
    /// Its length.
    pub length: u64,
    /// By how many bytes the stream is further on behind it than before it: positive where bytes
    /// are missing, negative where some were put in, 0 where bytes were changed.
    pub shift: i64,
    /// Whether it reaches to the end of the file.
    pub is_tail: bool,
}

/// What was salvaged.
#[derive(Debug, Default)]
pub struct Salvaged {
    /// Whole events found.
    pub events: u64,
    /// Of them, those written.
    pub written_events: u64,
    /// Bytes written.
    pub written: u64,
    /// Bytes of the file that are in gaps.
    pub lost: u64,
    /// What is missing, in order.
    pub gaps: Vec<Gap>,
    /// Transactions that have lost events; at most 1000 are named.
    pub incomplete: Vec<String>,
    /// How many there are.
    pub incomplete_count: u64,
    /// How the plaintext was had.
    pub access: String,
    /// Whether the format description event is damaged and was kept: no log can be read without.
    pub description_damaged: bool,
    /// Whether the format description event is that of another log.
    pub description_borrowed: bool,
    /// Alignments that were tried for lost ones.
    pub shifts_tried: u64,
}

impl Salvaged {
    /// Whether nothing is missing.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.gaps.is_empty() && !self.description_damaged && !self.description_borrowed
    }
}

/// A piece of the output: bytes of the file, and how far stream and file are apart there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    file: Range<u64>,
    shift: i64,
}

/// Salvages a log into a file of its own, which appears when it is done.
///
/// # Errors
/// [`Error::Log`] when no whole event can be found, or no format description event is at hand, or
/// no key; [`Error::Transfer`], [`Error::Keyring`].
pub fn salvage(
    source: &FileSource,
    target: &Path,
    sink_options: SinkOptions,
    keys: &Keyring,
    options: &SalvageOptions,
    progress: &dyn Progress,
) -> Result<Salvaged, Error> {
    check_not_itself(source, target)?;
    let (body, access, first) = open(source, keys, options)?;
    let mut salvager = Salvager::new(&body, options);
    salvager.outcome.access = access;
    salvager.run(first, progress)?;
    let head = salvager.head(source, options)?;
    let sink = AtomicFile::create(target, sink_options)?;
    let Salvager {
        pieces,
        mut outcome,
        ..
    } = salvager;
    outcome.written = write(&body, &head, &pieces, &mut sink.writer(), target)?;
    source.check_size()?;
    sink.commit()?;
    Ok(outcome)
}

/// The first event's place, as far as it can be told.
#[derive(Debug, Clone, Copy)]
struct Start {
    file_offset: u64,
    shift: i64,
}

/// Tries the ways to the plaintext, and takes the first under which there are events.
fn open<'a>(
    source: &'a FileSource,
    keys: &Keyring,
    options: &SalvageOptions,
) -> Result<(Body<'a>, String, Start), Error> {
    let start_bytes = crate::open::read_start(source)?;
    match LogKind::classify(&start_bytes) {
        LogKind::MariadbEncrypted(..) => return open_events(source, keys, options),
        // Its events would pass for damaged plaintext.
        LogKind::Percona57Encrypted(_) => {
            let obstacle = Probe::without_keys(&start_bytes).obstacle().cloned();
            let error = obstacle.unwrap_or(LogError::NothingToSalvage);
            return Err(Error::log(source.path(), error));
        }
        LogKind::MariadbInnodb => return Err(Error::log(source.path(), LogError::InnodbLog)),
        _ => {}
    }
    let given = options.password.is_some() || options.header.is_some();
    if !given && let Some(sidecar) = archive::beside(source.path(), &start_bytes)? {
        return open_archive(source, keys, options, sidecar);
    }
    let own_header = EncryptionHeader::parse(&start_bytes);
    let damaged_header = start_bytes.starts_with(&crate::log::header::MAGIC);
    let header = options.header.as_ref().or(own_header.as_ref().ok());
    let mut ways: Vec<(Option<CtrStream>, String)> = Vec::new();
    if let Some(password) = &options.password {
        let stream = CtrStream::new(FileKey::derive(password));
        ways.push((Some(stream), "the file password".to_owned()));
    }
    if let Some(header) = header {
        for key in keys.candidates(&header.key_id)? {
            let password = password::unwrap(&key, &header.iv, &header.wrapped_password);
            let stream = CtrStream::new(FileKey::derive(&password));
            ways.push((Some(stream), format!("key {}", header.key_id)));
        }
    }
    if !given && !damaged_header {
        ways.push((None, "plaintext".to_owned()));
    }
    let has_way = !ways.is_empty();
    for (stream, name) in ways {
        let start = if stream.is_some() { BODY_OFFSET } else { 0 };
        let body = Body {
            source,
            stream,
            events: None,
            start,
        };
        if let Some(first) = first_event(&body, options)? {
            return Ok((body, name, first));
        }
    }
    let error = match (header, &own_header) {
        (Some(header), _) if !has_way && keys.is_empty() => LogError::NoKeys {
            key_id: header.key_id.clone(),
        },
        (Some(header), _) if !has_way => LogError::KeyMissing {
            key_id: header.key_id.clone(),
            searched: keys.describe_sources(),
        },
        (None, Err(error)) if damaged_header && !given => LogError::HeaderDamaged(error.clone()),
        _ => LogError::NothingToSalvage,
    };
    Err(Error::log(source.path(), error))
}

/// A log of Percona Binlog Server's archive: of what is damaged the keys are tried on whole events.
fn open_archive<'a>(
    source: &'a FileSource,
    keys: &Keyring,
    options: &SalvageOptions,
    sidecar: Result<Sidecar, SidecarError>,
) -> Result<(Body<'a>, String, Start), Error> {
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
            return Ok((body, format!("key {}", candidate.id), first));
        }
    }
    // What stands against it: no key, another one, or nothing left.
    let start = crate::open::read_start(source)?;
    let probe = Probe::of_archive(Ok(sidecar), &start, keys);
    let obstacle = probe.obstacle().cloned();
    Err(of_log(obstacle.unwrap_or(LogError::NothingToSalvage)))
}

/// A log that MariaDB encrypted event by event.
fn open_events<'a>(
    source: &'a FileSource,
    keys: &Keyring,
    options: &SalvageOptions,
) -> Result<(Body<'a>, String, Start), Error> {
    let path = source.path();
    let mut start = vec![0; SEARCHED_FOR_KEY];
    let read = source.read_at(0, &mut start)?;
    start.truncate(read);
    let log = PerEvent::of_damaged(&start, keys).map_err(|error| Error::log(path, error))?;
    let name = match log.key().map(|key| (key.id, key.cipher.name())) {
        Some((Some(id), cipher)) => format!("key {id}, {cipher}"),
        Some((None, cipher)) => format!("a bare key, {cipher}"),
        None => "plaintext".to_owned(),
    };
    let body = Body {
        source,
        stream: None,
        events: Some(EventLog::new(log)),
        start: 0,
    };
    match first_event(&body, options)? {
        Some(first) => Ok((body, name, first)),
        None => Err(Error::log(path, LogError::NothingToSalvage)),
    }
}

/// Where the events start: where they should; or at the start of the file, if the header has been
/// cut off; or at the first whole event under the alignment that should be.
fn first_event(body: &Body<'_>, options: &SalvageOptions) -> Result<Option<Start>, Error> {
    let header_gone = Start {
        file_offset: FIRST_EVENT,
        shift: i64::try_from(body.start).unwrap_or(0),
    };
    let regular = Start {
        file_offset: body.start.saturating_add(FIRST_EVENT),
        shift: 0,
    };
    // Of a plaintext log they are the same.
    let starts = if body.start == 0 {
        vec![regular]
    } else {
        vec![regular, header_gone]
    };
    for &start in &starts {
        let mut scanner = Scanner::new(body, options.max_shift);
        if scanner.event_at(start.file_offset, start.shift)?.is_some() {
            return Ok(Some(start));
        }
    }
    for start in starts {
        let mut scanner = Scanner::new(body, options.max_shift);
        if scanner.resync(start.file_offset, start.shift)?.is_some() {
            return Ok(Some(start));
        }
    }
    Ok(None)
}

struct Salvager<'a> {
    scanner: Scanner<'a>,
    body: &'a Body<'a>,
    whole_transactions: bool,
    pieces: Vec<Piece>,
    /// Pieces of a transaction that has not ended yet.
    pending: Vec<Piece>,
    pending_events: u64,
    progress: TransactionProgress,
    transaction: Option<String>,
    /// The format description event at the log's start, as it stands in the log, and where.
    description: Option<(u64, Vec<u8>)>,
    /// There is another log's, which is better than a damaged one.
    can_borrow: bool,
    outcome: Salvaged,
}

impl<'a> Salvager<'a> {
    fn new(body: &'a Body<'a>, options: &SalvageOptions) -> Self {
        let mut scanner = Scanner::new(body, options.max_shift);
        let borrowed = options.description.as_deref().map(FormatDescription::parse);
        let borrowed = borrowed.and_then(Result::ok);
        if let Some(description) = &borrowed {
            scanner.checksum = description.checksum;
            scanner.is_relay = description.is_relay_log();
        }
        Self {
            scanner,
            body,
            whole_transactions: options.whole_transactions,
            pieces: Vec::new(),
            pending: Vec::new(),
            pending_events: 0,
            progress: TransactionProgress::Outside,
            transaction: None,
            description: None,
            can_borrow: borrowed.is_some(),
            outcome: Salvaged::default(),
        }
    }

    fn run(&mut self, first: Start, progress: &dyn Progress) -> Result<(), Error> {
        let length = self.body.source.length();
        let (mut at, mut shift) = (first.file_offset, first.shift);
        self.read_description(at, shift)?;
        let start = self.body.start;
        let is_regular = shift == 0 && at == start.saturating_add(FIRST_EVENT);
        if is_regular && self.body.events.is_none() && !self.body.has_magic()? {
            self.gap(start..at, 0, false);
        }
        let mut told = 0_u64;
        while at < length {
            if let Some(bytes) = self.scanner.event_at(at, shift)? {
                let end = at.saturating_add(bytes);
                self.take(at..end, shift)?;
                at = end;
            } else {
                let found = self.scanner.resync(at, shift)?;
                let (next, next_shift) = found.unwrap_or((length, shift));
                self.gap(at..next, next_shift.saturating_sub(shift), found.is_none());
                (at, shift) = (next, next_shift);
            }
            if at.saturating_sub(told) >= CHUNK as u64 {
                if progress.advance(at.saturating_sub(told)).is_break() {
                    return Err(TransferError::Cancelled.into());
                }
                told = at;
            }
        }
        if self.progress.is_unfinished() && self.whole_transactions {
            self.drop_pending();
        }
        self.keep_pending();
        self.outcome.shifts_tried = self.scanner.shifts_tried;
        Ok(())
    }

    /// Keeps the format description event where the log has one: whole, or damaged if there is no
    /// other.
    fn read_description(&mut self, at: u64, shift: i64) -> Result<(), Error> {
        let mut bytes = vec![0; 512];
        let read = self.body.read(at, shift, &mut bytes)?;
        bytes.truncate(read);
        self.keep_description(at, bytes);
        Ok(())
    }

    fn keep_description(&mut self, at: u64, mut bytes: Vec<u8>) {
        if let Ok(description) = FormatDescription::parse(&bytes)
            && (description.own_checksum.is_ok() || !self.can_borrow)
        {
            bytes.truncate(description.header.byte_length().unwrap_or(0));
            self.scanner.checksum = description.checksum;
            self.scanner.is_relay = description.is_relay_log();
            self.outcome.description_damaged = description.own_checksum.is_err();
            self.description = Some((at, bytes));
        }
    }

    fn take(&mut self, file: Range<u64>, shift: i64) -> Result<(), Error> {
        self.outcome.events = self.outcome.events.saturating_add(1);
        let event = self.scanner.current(file.start, shift)?;
        let kind = event.header.event_type;
        if kind == event_type::FORMAT_DESCRIPTION {
            // In a relay log the source's follows, and with it the source's checksums.
            let description = FormatDescription::parse(event.bytes);
            let checksum = description.map_or(ChecksumAlgorithm::Crc32, |d| d.checksum);
            let bytes = event.bytes.to_vec();
            self.scanner.checksum = checksum;
            // Not where the log's own should be: something was put in before it.
            if self.outcome.events == 1 && self.description.is_none() {
                self.keep_description(file.start, bytes);
            }
            if self
                .description
                .as_ref()
                .is_some_and(|(at, _)| *at == file.start)
            {
                // Written as the head.
                self.outcome.written_events = self.outcome.written_events.saturating_add(1);
                return Ok(());
            }
        }
        let event = self.scanner.current(file.start, shift)?;
        if let Some(start) = TransactionStart::parse(&event) {
            self.transaction = start.ok().map(|start| start.id.to_string());
        }
        let begins = event_type::begins_transaction(kind);
        let before = self.progress;
        self.progress = before.after(&event);
        if begins && before.is_unfinished() {
            self.drop_pending();
        }
        // The rest of a transaction whose beginning is lost.
        let orphan = before == TransactionProgress::Unknown && !begins && !is_about_the_log(kind);
        if orphan && self.whole_transactions {
            return Ok(());
        }
        let piece = Piece { file, shift };
        match self.pending.last_mut() {
            Some(last) if last.shift == shift && last.file.end == piece.file.start => {
                last.file.end = piece.file.end;
            }
            _ => self.pending.push(piece),
        }
        self.pending_events = self.pending_events.saturating_add(1);
        if !self.whole_transactions || !self.progress.is_unfinished() {
            self.keep_pending();
        }
        Ok(())
    }

    fn gap(&mut self, file: Range<u64>, shift: i64, is_tail: bool) {
        let length = file.end.saturating_sub(file.start);
        self.outcome.lost = self.outcome.lost.saturating_add(length);
        self.outcome.gaps.push(Gap {
            file_offset: file.start,
            length,
            shift,
            is_tail,
        });
        if self.progress.is_unfinished() {
            self.outcome.incomplete_count = self.outcome.incomplete_count.saturating_add(1);
            if self.outcome.incomplete.len() < MAX_NAMED {
                self.outcome.incomplete.extend(self.transaction.take());
            }
            self.drop_pending();
        }
        self.progress = TransactionProgress::Unknown;
    }

    fn keep_pending(&mut self) {
        let events = std::mem::take(&mut self.pending_events);
        self.outcome.written_events = self.outcome.written_events.saturating_add(events);
        for piece in std::mem::take(&mut self.pending) {
            match self.pieces.last_mut() {
                Some(last) if last.shift == piece.shift && last.file.end == piece.file.start => {
                    last.file.end = piece.file.end;
                }
                _ => self.pieces.push(piece),
            }
        }
    }

    fn drop_pending(&mut self) {
        if self.whole_transactions {
            self.pending.clear();
            self.pending_events = 0;
        }
    }

    /// Magic and format description event of the output.
    fn head(&mut self, source: &FileSource, options: &SalvageOptions) -> Result<Vec<u8>, Error> {
        let own = self.description.take().map(|(_, bytes)| bytes);
        if let (None, Some(_)) = (&own, &options.description) {
            self.outcome.description_borrowed = true;
        }
        let description = own.or_else(|| options.description.clone());
        if self.outcome.events == 0 {
            return Err(Error::log(source.path(), LogError::NothingToSalvage));
        }
        let Some(description) = description else {
            return Err(Error::log(source.path(), LogError::DescriptionLost));
        };
        let mut head = [MAGIC.as_slice(), &description].concat();
        clear_in_use(&mut head);
        Ok(head)
    }
}

fn write(
    body: &Body<'_>,
    head: &[u8],
    pieces: &[Piece],
    writer: &mut dyn Write,
    name: &Path,
) -> Result<u64, TransferError> {
    let failed = || TransferError::at(name, "write");
    writer.write_all(head).map_err(failed())?;
    let mut written = u64::try_from(head.len()).unwrap_or(0);
    let mut buffer = vec![0; CHUNK];
    for piece in pieces {
        let mut at = piece.file.start;
        let mut reader = body.reader(at, piece.shift);
        while at < piece.file.end {
            let left = usize::try_from(piece.file.end.saturating_sub(at)).unwrap_or(CHUNK);
            let target = buffer.get_mut(..left.min(CHUNK)).unwrap_or_default();
            let read = reader.read(target)?;
            let bytes = target.get(..read).unwrap_or_default();
            writer.write_all(bytes).map_err(failed())?;
            let count = u64::try_from(read).unwrap_or(u64::MAX);
            // Nothing is there where the file was cut meanwhile, which is told at the end.
            at = at.saturating_add(count.max(1));
            written = written.saturating_add(count);
        }
    }
    Ok(written)
}

/// The bytes of an event that the scanner holds.
fn view(offset: u64, bytes: &[u8], checksum: ChecksumAlgorithm) -> Option<EventView<'_>> {
    let header = header::EventHeader::parse(bytes).ok()?;
    let held = header.byte_length()?.min(bytes.len());
    Some(EventView {
        offset,
        header,
        bytes: bytes.get(..held)?,
        checksum,
    })
}
