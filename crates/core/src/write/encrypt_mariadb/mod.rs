//! From a plaintext log of a MariaDB server to one that such a server reads as its own encrypted
//! ones.

use std::io::{BufReader, Read};
use std::path::Path;

use super::encrypt::{
    EncryptOptions, Encrypted, FileResult, PlainLog, check_plain_mariadb, skippable,
};
use crate::batch::guard::Guard;
use crate::batch::targets::Target;
use crate::batch::transfer::{Input, Output, check_not_itself, read_stream_start, write_in_order};
use crate::batch::{self, OutputDirectory};
use crate::bytes::read_full;
use crate::event::format_description::FormatDescription;
use crate::file::TransferError;
use crate::file::pipeline::{CHUNK, Progress};
use crate::file::sink::{AtomicFile, SinkOptions};
use crate::file::source::{FileSource, SourceReader};
use crate::keyring::{ChoiceError, Keyring};
use crate::log::error::Error;
use crate::log::open::{OpenLog, read_start};
use crate::mariadb::cipher::{EventCipher, Mode};
use crate::mariadb::key_file::LOG_KEY_ID;
use crate::mysql::key_id::KeyId;
use crate::random;

mod encoder;

use encoder::{Beginning, Encoder};

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
            file(&PlainLog::of_mariadb(source, options)?, output, keys, progress)
        }
        Input::Stream(mut reader, name) => {
            let start = read_stream_start(&mut reader, &name)?;
            let description = check_plain_mariadb(&start, &name, options)?;
            let plan = Plan::new((&start, &name), description, keys)?;
            plan.encrypt((start.chain(reader), &name), output, progress)
        }
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
    let directory = OutputDirectory::create(directory, &targets, sink.force)?;
    let work = |path: &Path| {
        let log = PlainLog::of_mariadb(FileSource::open(path)?, options)?;
        let target = directory.claim(path, "")?;
        let encrypted = file(&log, Output::File(&target, sink), keys, progress)?;
        Ok((target, encrypted))
    };
    Ok(batch::for_all(targets, work, skippable))
}

fn file(
    log: &PlainLog,
    output: Output<'_>,
    keys: &Keyring,
    progress: &dyn Progress,
) -> Result<Encrypted, Error> {
    let (source, path) = (&log.source, log.source.path());
    if let Output::File(target, _) = &output {
        check_not_itself(source, target)?;
    }
    let plan = Plan::of(log, keys)?;
    let encrypted = plan.encrypt((SourceReader::new(source), path), output, progress)?;
    source.check_size()?;
    Ok(encrypted)
}

/// How one log will be encrypted.
pub(super) struct Plan {
    description: FormatDescription,
    cipher: EventCipher,
    key_id: KeyId,
    beginning: Beginning,
}

impl Plan {
    /// With a fresh nonce from the operating system, under the key that the server would take.
    pub(super) fn of(log: &PlainLog, keys: &Keyring) -> Result<Self, Error> {
        let start = read_start(&log.source)?;
        Self::new((&start, log.source.path()), log.description.clone(), keys)
    }

    fn new(
        (file_start, name): (&[u8], &Path),
        description: FormatDescription,
        keys: &Keyring,
    ) -> Result<Self, Error> {
        let nonce = random::bytes()?;
        let (cipher, key_id) = cipher(keys, nonce)?;
        let beginning = Beginning::new(file_start, &description, nonce)
            .map_err(|error| Error::log(name, error.into()))?;
        Ok(Self { description, cipher, key_id, beginning })
    }

    /// Writes the encrypted log of what the reader has from its start on. Returns the lengths of
    /// plaintext and encrypted log.
    pub(super) fn write(
        &self,
        (reader, name): (impl Read + Send, &Path),
        output: Output<'_>,
        progress: &dyn Progress,
    ) -> Result<(u64, u64), Error> {
        let beginning = self.beginning.clone();
        let how = (Some(&self.cipher), &self.description);
        let mut encoder = encoder(how, beginning, (reader, name))?;
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
        let written = write_in_order(&mut produce, output, None, &no_check, progress);
        if let Some(error) = guard.failure() {
            return Err(error);
        }
        Ok((encoder.at, written?))
    }

    fn encrypt(
        &self,
        input: (impl Read + Send, &Path),
        output: Output<'_>,
        progress: &dyn Progress,
    ) -> Result<Encrypted, Error> {
        let (plain_length, written) = self.write(input, output, progress)?;
        let mut encrypted = self.outcome(plain_length);
        encrypted.encrypted_length = written;
        Ok(encrypted)
    }

    /// What there will be to say of a log of this length.
    pub(super) fn outcome(&self, plain_length: u64) -> Encrypted {
        let shift = self.beginning.shift();
        let mut notes = Vec::new();
        if shift > 0 {
            notes.push(format!(
                "every event stands {shift} bytes later than in the plaintext: replicas that remember a position in this log by its offset, and not by GTID, must be told"
            ));
        }
        Encrypted {
            description: self.description.clone(),
            key_id: self.key_id.clone(),
            plain_length,
            encrypted_length: plain_length.saturating_add(u64::from(shift)),
            written: true,
            kept: false,
            notes,
        }
    }

    /// Reads what was written back, and compares its plaintext with the log, byte for byte but for
    /// what must differ: the event that starts encryption, and where events have moved, their
    /// positions and checksums.
    pub(super) fn verify(self, log: &FileSource, written: FileSource) -> Result<(), Error> {
        let differs = |offset| TransferError::Differs { path: log.path().to_owned(), offset };
        let Self { cipher, description, beginning, .. } = self;
        let shift = u64::from(beginning.shift());
        if written.length() != log.length().saturating_add(shift) {
            return Err(differs(log.length()).into());
        }
        let reader = SourceReader::new(log);
        let mut expected = encoder((None, &description), beginning, (reader, log.path()))?;
        let copy = OpenLog::under(written, cipher)?;
        let (mut offset, mut wanted, mut found) = (0_u64, vec![0; CHUNK], vec![0; CHUNK]);
        loop {
            let length = expected.fill(&mut wanted)?;
            let wanted = wanted.get_mut(..length).unwrap_or_default();
            let found = found.get_mut(..length).unwrap_or_default();
            if let Some(log) = copy.probe().per_event() {
                log.layout().neutralise(offset, wanted);
            }
            if copy.read_at(offset, found)? != length || wanted != found {
                return Err(differs(offset).into());
            }
            if length < CHUNK {
                return Ok(());
            }
            offset = offset.saturating_add(CHUNK as u64);
        }
    }
}

/// Stands behind the plaintext that the beginning is for. The reader is buffered: the encoder takes each
/// event's header by itself.
fn encoder<'a, R: Read>(
    (cipher, description): (Option<&'a EventCipher>, &FormatDescription),
    beginning: Beginning,
    (reader, name): (R, &'a Path),
) -> Result<Encoder<'a, BufReader<R>>, TransferError> {
    let mut reader = BufReader::with_capacity(CHUNK, reader);
    let mut consumed = vec![0; beginning.consumed];
    read_full(&mut reader, &mut consumed).map_err(TransferError::at(name, "read"))?;
    Ok(Encoder::new((cipher, description), beginning, reader, name))
}

/// The id of the key that logs will be under.
pub(super) fn log_key_id(keys: &Keyring) -> KeyId {
    key_id(keys.mariadb_options().key_id.unwrap_or(LOG_KEY_ID))
}

fn key_id(id: u32) -> KeyId {
    KeyId::new(id.to_string().as_bytes())
}

/// The cipher under the key that the server would take.
fn cipher(keys: &Keyring, nonce: [u8; 12]) -> Result<(EventCipher, KeyId), Error> {
    let options = keys.mariadb_options();
    let id = options.key_id.unwrap_or(LOG_KEY_ID);
    let mode = options.mode.unwrap_or(Mode::Cbc);
    keys.mariadb_candidates(1)?
        .candidates()
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
