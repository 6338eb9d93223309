//! From a plaintext log of a MariaDB server to one that such a server reads as its own encrypted
//! ones.

use std::io::Read;
use std::path::Path;

use super::batch::{self, OutputDirectory};
use super::encrypt::{EncryptOptions, Encrypted, FileResult, no_matter};
use super::guard::Guard;
use super::targets::Target;
use super::transfer::{Input, Output, check_not_itself, read_stream_start, write_in_order};
use crate::crypto::random;
use crate::error::{Error, Refusal};
use crate::event::checksum::ChecksumAlgorithm;
use crate::event::format_description::FormatDescription;
use crate::event::header::{self, EventHeader, event_type};
use crate::io::TransferError;
use crate::io::pipeline::{Progress, read_full};
use crate::io::sink::{AtomicFile, SinkOptions};
use crate::io::source::{FileSource, SourceReader};
use crate::keyring::{ChoiceError, Keyring};
use crate::log::LogKind;
use crate::log::key_id::KeyId;
use crate::mariadb::chain::Tail;
use crate::mariadb::cipher::{EventCipher, EventEncryptor, EventSpan, HEAD, Mode};
use crate::mariadb::error::MariadbError;
use crate::mariadb::key_file::LOG_KEY_ID;
use crate::mariadb::start_encryption::{self, SCHEME};
use crate::open::{LogError, Probe};

/// Bytes of an event that are enciphered at a time: whole blocks.
const PIECE: usize = 64 << 10;
/// Where the end position stands in the common header.
const END_POSITION: usize = 13;

/// Encrypts one log under the key 1 of the keyring's MariaDB key files (or the id that
/// [`MariadbOptions`](crate::keyring::MariadbOptions) names), with the mode that is named there,
/// CBC by default as in the server.
///
/// A log that has a START_ENCRYPTION_EVENT already, flagged as ignorable, keeps its positions: a
/// copy that was decrypted, or fetched from a server. Into any other the event is put, and all that
/// follows moves by its length; positions that replicas remember by file and offset are then
/// others, and the log's GTIDs the same.
///
/// # Errors
/// [`Error::Refused`] when it is no plaintext log of a MariaDB server, [`Error::Choice`] without a
/// key, [`Error::Log`] when an event is cut or damaged, [`Error::Transfer`], [`Error::Random`]. No
/// output is left under its name then.
pub fn encrypt(
    input: Input,
    output: Output<'_>,
    keys: &Keyring,
    options: EncryptOptions,
    progress: &dyn Progress,
) -> Result<Encrypted, Error> {
    match input {
        Input::File(source) => {
            if let Output::File(target, _) = &output {
                check_not_itself(&source, target)?;
            }
            let name = source.path().to_owned();
            let reader = SourceReader::new(&source);
            let encrypted = stream((reader, &name), output, keys, options, progress)?;
            source.check_size()?;
            Ok(encrypted)
        }
        Input::Stream(reader, name) => stream((reader, &name), output, keys, options, progress),
    }
}

/// Encrypts many logs into a directory, each under its own name, in parallel.
///
/// # Errors
/// When the directory cannot be made; else each file has its own result. Two inputs of one name
/// are an error of the second.
pub fn encrypt_all(
    targets: Vec<Target>,
    directory: &Path,
    sink: SinkOptions,
    keys: &Keyring,
    options: EncryptOptions,
    progress: &dyn Progress,
) -> Result<Vec<FileResult>, Error> {
    let directory = OutputDirectory::create(directory)?;
    let work = |path: &Path| {
        let input = Input::File(FileSource::open(path)?);
        let target = directory.claim(path)?;
        let output = Output::File(&target, sink);
        let encrypted = encrypt(input, output, keys, options, progress)?;
        Ok((target, encrypted))
    };
    Ok(batch::for_all(targets, work, no_matter))
}

fn stream(
    (mut reader, name): (impl Read + Send, &Path),
    output: Output<'_>,
    keys: &Keyring,
    options: EncryptOptions,
    progress: &dyn Progress,
) -> Result<Encrypted, Error> {
    let start = read_stream_start(&mut reader, name)?;
    let description = check_plain(&start, name, options)?;
    let nonce = random::bytes()?;
    let (cipher, key_id) = cipher(keys, nonce)?;
    let beginning = Beginning::new(&start, &description, nonce);
    let reader = start
        .get(beginning.consumed..)
        .unwrap_or_default()
        .chain(reader);
    let mut encoder = Encoder::new((&cipher, &description), beginning, reader, name);
    let guard = Guard::new(progress);
    let mut produce = |buffer: &mut [u8]| {
        encoder.fill(buffer).map_err(|error| match error {
            Error::Transfer(error) => error,
            other => {
                guard.fail(other);
                TransferError::Cancelled
            }
        })
    };
    let no_check = |_: &AtomicFile| Ok(());
    let written = write_in_order(&mut produce, output, &no_check, progress);
    if let Some(error) = guard.failure() {
        return Err(error);
    }
    Ok(Encrypted {
        description,
        key_id,
        plain_length: encoder.at,
        encrypted_length: written?,
        written: true,
        kept: false,
        notes: encoder.notes(),
    })
}

/// The format description event of a log that may be encrypted.
fn check_plain(
    file_start: &[u8],
    name: &Path,
    options: EncryptOptions,
) -> Result<FormatDescription, Error> {
    match LogKind::classify(file_start) {
        LogKind::MariadbPlain(description) if description.in_use() && !options.allow_in_use => {
            Err(Error::refused(name, Refusal::InUse))
        }
        LogKind::MariadbPlain(description) => Ok(description),
        LogKind::MariadbEncrypted(..) => Err(Error::refused(
            name,
            Refusal::AlreadyEncrypted {
                key_id: key_id(LOG_KEY_ID),
            },
        )),
        LogKind::MysqlPlain(_) | LogKind::MysqlEncrypted(_) => {
            Err(Error::refused(name, Refusal::NotMariaDb))
        }
        _ => {
            let obstacle = Probe::without_keys(file_start).obstacle().cloned();
            Err(Error::refused(name, obstacle.unwrap_or(LogError::NotALog)))
        }
    }
}

fn key_id(id: u32) -> KeyId {
    KeyId::new(id.to_string().as_bytes())
}

/// The cipher under the key that the server would take.
fn cipher(keys: &Keyring, nonce: [u8; 12]) -> Result<(EventCipher, KeyId), Error> {
    let options = keys.mariadb_options();
    let id = options.key_id.unwrap_or(LOG_KEY_ID);
    let mode = options.mode.unwrap_or(Mode::Cbc);
    keys.mariadb_candidates(1)
        .iter()
        .find(|candidate| candidate.id == Some(id))
        .and_then(|candidate| EventCipher::new(candidate.key, mode, nonce))
        .map(|cipher| (cipher, key_id(id)))
        .ok_or_else(|| {
            let id = key_id(id);
            let searched = keys.describe_sources();
            ChoiceError::Missing { id, searched }.into()
        })
}

/// What stands in clear before the first encrypted event.
struct Beginning {
    bytes: Vec<u8>,
    /// How many bytes of the plaintext it stands for.
    consumed: usize,
}

impl Beginning {
    fn new(file_start: &[u8], description: &FormatDescription, nonce: [u8; 12]) -> Self {
        let after_description = crate::event::MAGIC
            .len()
            .saturating_add(description.header.byte_length().unwrap_or(0));
        let has_checksum = description.checksum == ChecksumAlgorithm::Crc32;
        let old = start_encryption::find(file_start)
            .filter(|(offset, _)| *offset == after_description)
            .and_then(|(_, old)| EventHeader::parse(old).ok());
        // Of one that is there, time and server stay.
        let by = old.as_ref().unwrap_or(&description.header);
        let event = start_event(by, after_description, nonce, has_checksum);
        let consumed = match old {
            Some(_) => after_description.saturating_add(event.len()),
            None => after_description,
        };
        let clear = file_start.get(..after_description).unwrap_or_default();
        Self {
            bytes: [clear, &event].concat(),
            consumed,
        }
    }
}

/// A START_ENCRYPTION_EVENT as the server writes it.
fn start_event(by: &EventHeader, offset: usize, nonce: [u8; 12], has_checksum: bool) -> Vec<u8> {
    let length = start_encryption::LENGTH.saturating_add(if has_checksum { 4 } else { 0 });
    let end = offset.saturating_add(length);
    let to_u32 = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
    let mut event = Vec::with_capacity(length);
    event.extend(by.timestamp.to_le_bytes());
    event.push(event_type::MARIADB_START_ENCRYPTION);
    event.extend(by.server_id.to_le_bytes());
    event.extend(to_u32(length));
    event.extend(to_u32(end));
    event.extend([0, 0, SCHEME]);
    event.extend(1_u32.to_le_bytes());
    event.extend(nonce);
    event.resize(length, 0);
    start_encryption::with_flags(&event, 0, has_checksum)
}

/// One event on its way.
struct InEvent<'a> {
    encryptor: EventEncryptor<'a>,
    /// Bytes that have not been read.
    left: usize,
    /// The checksum so far, where it will be another one.
    hasher: Option<crc32fast::Hasher>,
}

/// Turns plaintext events into encrypted ones as they come.
struct Encoder<'a, R> {
    cipher: &'a EventCipher,
    reader: R,
    name: &'a Path,
    /// How many bytes later each event starts than in the plaintext.
    shift: u32,
    has_checksum: bool,
    is_relay_log: bool,
    /// How many bytes of the plaintext have been read.
    at: u64,
    event: Option<InEvent<'a>>,
    ready: Vec<u8>,
    given: usize,
}

impl<'a, R: Read> Encoder<'a, R> {
    fn new(
        (cipher, description): (&'a EventCipher, &FormatDescription),
        beginning: Beginning,
        reader: R,
        name: &'a Path,
    ) -> Self {
        let shift = beginning.bytes.len().saturating_sub(beginning.consumed);
        Self {
            cipher,
            reader,
            name,
            shift: u32::try_from(shift).unwrap_or(0),
            has_checksum: description.checksum == ChecksumAlgorithm::Crc32,
            is_relay_log: description.is_relay_log(),
            at: u64::try_from(beginning.consumed).unwrap_or(u64::MAX),
            event: None,
            ready: beginning.bytes,
            given: 0,
        }
    }

    fn notes(&self) -> Vec<String> {
        match self.shift {
            0 => Vec::new(),
            shift => vec![format!(
                "every event stands {shift} bytes later than in the plaintext: replicas that remember a position in this log by its offset, and not by GTID, must be told"
            )],
        }
    }

    /// Fills the buffer, but at the end.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0_usize;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let ready = self.ready.get(self.given..).unwrap_or_default();
            if ready.is_empty() {
                self.given = 0;
                self.ready.clear();
                if !self.advance()? {
                    break;
                }
                continue;
            }
            let length = ready.len().min(rest.len());
            rest.iter_mut()
                .zip(ready)
                .for_each(|(target, byte)| *target = *byte);
            self.given = self.given.saturating_add(length);
            filled = filled.saturating_add(length);
        }
        Ok(filled)
    }

    /// Makes more bytes ready; `false` at the end.
    fn advance(&mut self) -> Result<bool, Error> {
        match self.event.take() {
            Some(event) => self.go_on(event),
            None => self.begin(),
        }
    }

    /// Reads the start of an event: all of it, if it is not a long one.
    fn begin(&mut self) -> Result<bool, Error> {
        let offset = self.at;
        let mut bytes = vec![0; header::LENGTH];
        let read = self.read(&mut bytes)?;
        if read == 0 {
            return Ok(false);
        }
        let event = EventHeader::parse(bytes.get(..read).unwrap_or_default());
        let Ok(event) = event else {
            return Err(self.damaged(Tail::CutHeader {
                offset,
                available: u64::try_from(read).unwrap_or(u64::MAX),
            }));
        };
        let span = EventSpan {
            offset,
            length: event.length,
        };
        let Some(length) = event.byte_length() else {
            return Err(self.damaged(Tail::BadLength(span)));
        };
        let first = length.min(HEAD.saturating_add(piece(length.saturating_sub(HEAD))));
        bytes.resize(first, 0);
        self.read_all(bytes.get_mut(header::LENGTH..).unwrap_or_default(), span)?;
        let left = length.saturating_sub(first);
        let hasher = self.move_positions(&mut bytes, &event, left == 0);
        let stored = EventSpan {
            offset: offset.saturating_add(u64::from(self.shift)),
            length: event.length,
        };
        let (head, rest) = bytes
            .split_at_mut_checked(HEAD.min(first))
            .unwrap_or_default();
        let mut encryptor = self.cipher.encryptor(stored, head);
        encryptor.encrypt(rest);
        self.ready = bytes;
        if left > 0 {
            self.event = Some(InEvent {
                encryptor,
                left,
                hasher,
            });
        }
        Ok(true)
    }

    /// Where events move, so does the end position; and the checksum with it.
    fn move_positions(
        &self,
        bytes: &mut [u8],
        event: &EventHeader,
        is_whole: bool,
    ) -> Option<crc32fast::Hasher> {
        // A relay log has the positions of its source, and 0 stands for none.
        if self.shift == 0 || self.is_relay_log || event.end_position == 0 {
            return None;
        }
        let moved = event.end_position.wrapping_add(self.shift).to_le_bytes();
        for (target, byte) in bytes.iter_mut().skip(END_POSITION).zip(moved) {
            *target = byte;
        }
        if !self.has_checksum {
            return None;
        }
        let mut hasher = crc32fast::Hasher::new();
        if !is_whole {
            hasher.update(bytes);
            return Some(hasher);
        }
        if let Some((summed, stored)) = bytes.split_last_chunk_mut::<4>() {
            hasher.update(summed);
            *stored = hasher.finalize().to_le_bytes();
        }
        None
    }

    fn go_on(&mut self, mut event: InEvent<'a>) -> Result<bool, Error> {
        let length = piece(event.left);
        let mut bytes = vec![0; length];
        let offset = self.at;
        self.read_all(
            &mut bytes,
            EventSpan {
                offset,
                length: u32::MAX,
            },
        )?;
        event.left = event.left.saturating_sub(length);
        if let Some(mut hasher) = event.hasher.take() {
            match bytes.split_last_chunk_mut::<4>() {
                Some((summed, stored)) if event.left == 0 => {
                    hasher.update(summed);
                    *stored = hasher.finalize().to_le_bytes();
                }
                _ => {
                    hasher.update(&bytes);
                    event.hasher = Some(hasher);
                }
            }
        }
        event.encryptor.encrypt(&mut bytes);
        self.ready = bytes;
        if event.left > 0 {
            self.event = Some(event);
        }
        Ok(true)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TransferError> {
        let read =
            read_full(&mut self.reader, buffer).map_err(TransferError::at(self.name, "read"))?;
        let count = u64::try_from(read).unwrap_or(u64::MAX);
        self.at = self.at.saturating_add(count);
        Ok(read)
    }

    fn read_all(&mut self, buffer: &mut [u8], event: EventSpan) -> Result<(), Error> {
        if self.read(buffer)? < buffer.len() {
            let available = self.at.saturating_sub(event.offset);
            return Err(self.damaged(Tail::Cut { event, available }));
        }
        Ok(())
    }

    fn damaged(&self, tail: Tail) -> Error {
        let error = tail
            .error()
            .unwrap_or(MariadbError::Implausible { offset: self.at });
        Error::log(self.name, error.into())
    }
}

/// How much of what is left of an event is taken next: whole blocks, or all of it. The last piece
/// of a long event is never shorter than a checksum.
const fn piece(left: usize) -> usize {
    if left <= PIECE.saturating_add(16) {
        left
    } else {
        PIECE
    }
}
