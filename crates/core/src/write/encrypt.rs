//! From a plaintext log to one that the server reads as its own encrypted ones.

use std::io::Read;
use std::path::Path;

use crate::batch::resume;
use crate::batch::targets::Target;
use crate::batch::transfer::{Input, Output, check_not_itself, read_stream_start, write_in_order};
use crate::batch::{self, OutputDirectory};
use crate::bytes::read_full;
use crate::event::format_description::FormatDescription;
use crate::file::TransferError;
use crate::file::pipeline::{self, Progress};
use crate::file::sink::{AtomicFile, SinkOptions};
use crate::file::source::{Access, FileSource};
use crate::keyring::NamedKey;
use crate::log::envelope::Envelope;
use crate::log::error::Error;
use crate::log::kind::LogKind;
use crate::log::log_error::LogError;
use crate::log::open::read_enough;
use crate::log::probe::Probe;
use crate::log::refusal::Refusal;
use crate::mysql::header::BODY_OFFSET;
use crate::mysql::key_id::KeyId;

/// What came of one log of many.
pub type FileResult = batch::FileResult<Encrypted, Refusal>;
/// The same, of one that was not refused.
pub type FileOutcome = batch::FileOutcome<Encrypted, Refusal>;

/// What may be encrypted.
#[derive(Debug, Clone, Copy, Default)]
pub struct EncryptOptions {
    /// Take a log whose in-use flag is set. The flag stays as it is in the encrypted log.
    pub allow_in_use: bool,
    /// Of many logs: keep an output that is there, if it is this log under this key, by its length
    /// and both ends.
    pub resume: bool,
}

/// What was encrypted.
#[derive(Debug)]
pub struct Encrypted {
    /// The log's format description event.
    pub description: FormatDescription,
    /// Under which key it is now.
    pub key_id: KeyId,
    /// Length of the plaintext in bytes.
    pub plain_length: u64,
    /// Length of the encrypted log in bytes: of MySQL's 512 more.
    pub encrypted_length: u64,
    /// Whether it was written, and not only found to be possible.
    pub written: bool,
    /// Whether an earlier run had written it, and it was left as it is.
    pub kept: bool,
    /// What the user should know.
    pub notes: Vec<String>,
}

impl Encrypted {
    pub(super) fn new(description: FormatDescription, key: &NamedKey, plain_length: u64) -> Self {
        Self {
            description,
            key_id: key.id.clone(),
            plain_length,
            encrypted_length: plain_length.saturating_add(BODY_OFFSET),
            written: true,
            kept: false,
            notes: Vec::new(),
        }
    }
}

/// Encrypts one log under a file password of its own.
///
/// # Errors
/// [`Error::Refused`] when it is no plaintext log of a MySQL server, before any output exists;
/// [`Error::Transfer`] when reading or writing fails, with nothing left under the output's name;
/// [`Error::Random`] when the operating system gives no random bytes.
pub fn encrypt(
    input: Input,
    output: Output<'_>,
    key: &NamedKey,
    options: EncryptOptions,
    progress: &dyn Progress,
) -> Result<Encrypted, Error> {
    match input {
        Input::File(source) => file(&PlainLog::new(source, options)?, output, key, progress),
        Input::Stream(mut reader, name) => {
            let start = read_stream_start(&mut reader, &name)?;
            let description = check_plain(&start, &name, options)?;
            let reader = start.chain(reader);
            stream(reader, &name, output, key, description, progress)
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
    key: &NamedKey,
    options: EncryptOptions,
    progress: &dyn Progress,
) -> Result<Vec<FileResult>, Error> {
    let directory = OutputDirectory::create(directory, &targets, sink.force)?;
    let work = |path: &Path| {
        let log = PlainLog::new(FileSource::open(path)?, options)?;
        let target = directory.claim(path, "")?;
        if options.resume && resume::is_encrypted_form_of(&target, &log.source, key)? {
            let length = log.source.length();
            let _ = progress.advance(length);
            let kept = Encrypted { kept: true, ..Encrypted::new(log.description, key, length) };
            return Ok((target, kept));
        }
        let encrypted = file(&log, Output::File(&target, sink), key, progress)?;
        Ok((target, encrypted))
    };
    Ok(batch::for_all(targets, work, skippable))
}

/// What is no failure of a file that came with an index or a directory: that it is no log, or
/// encrypted already.
pub(super) fn skippable(error: Error) -> Result<Refusal, Error> {
    match error {
        Error::Refused {
            source:
                source @ (Refusal::AlreadyEncrypted { .. }
                | Refusal::EncryptedByMariaDb
                | Refusal::Unreadable(LogError::NotALog | LogError::Empty)),
            ..
        } => Ok(source),
        other => Err(other),
    }
}

/// An open file that is a plaintext log.
#[derive(Debug)]
pub(super) struct PlainLog {
    pub(super) source: FileSource,
    pub(super) description: FormatDescription,
}

impl PlainLog {
    pub(super) fn new(source: FileSource, options: EncryptOptions) -> Result<Self, Error> {
        let description = check_plain(&read_enough(&source)?, source.path(), options)?;
        Ok(Self::described(source, description))
    }

    /// The same of a MariaDB server.
    pub(super) fn of_mariadb(source: FileSource, options: EncryptOptions) -> Result<Self, Error> {
        let start = read_enough(&source)?;
        let description = check_plain_mariadb(&start, source.path(), options)?;
        Ok(Self::described(source, description))
    }

    fn described(mut source: FileSource, description: FormatDescription) -> Self {
        // A log that a server may be writing is not mapped.
        if !description.in_use() {
            source.set_access(Access::Mapped);
        }
        Self { source, description }
    }

    /// Writes header and body into a file in the making.
    pub(super) fn seal(
        &self,
        sink: &AtomicFile,
        envelope: &Envelope,
        progress: &dyn Progress,
    ) -> Result<(), TransferError> {
        let apply = |offset, source: &[u8], target: &mut [u8]| {
            envelope.stream.apply_to(offset, source, target);
        };
        let range = 0..self.source.length();
        pipeline::file_to_file(&self.source, range, sink, BODY_OFFSET, &apply, progress)?;
        // Last: whatever ends the work before leaves no file that says it is a log.
        sink.write_at(0, &envelope.header)
    }
}

/// The format description event of a log of MariaDB that may be encrypted.
pub(super) fn check_plain_mariadb(
    file_start: &[u8],
    name: &Path,
    options: EncryptOptions,
) -> Result<FormatDescription, Error> {
    match LogKind::classify(file_start) {
        LogKind::MariadbPlain(description) if description.in_use() && !options.allow_in_use => {
            Err(Error::refused(name, Refusal::InUse))
        }
        LogKind::MariadbPlain(description) => Ok(description),
        LogKind::MariadbEncrypted(..) => Err(Error::refused(name, Refusal::EncryptedByMariaDb)),
        LogKind::MysqlPlain(_) | LogKind::MysqlEncrypted(_) => {
            Err(Error::refused(name, Refusal::NotMariaDb))
        }
        _ => {
            let obstacle = Probe::without_keys(file_start).obstacle().cloned();
            Err(Error::refused(name, obstacle.unwrap_or(LogError::NotALog)))
        }
    }
}

/// The format description event of a log that may be encrypted.
fn check_plain(
    file_start: &[u8],
    path: &Path,
    options: EncryptOptions,
) -> Result<FormatDescription, Error> {
    let refused = |reason| Error::refused(path, reason);
    match LogKind::classify(file_start) {
        LogKind::MysqlPlain(description) if description.in_use() && !options.allow_in_use => {
            Err(refused(Refusal::InUse))
        }
        LogKind::MysqlPlain(description) => Ok(description),
        LogKind::MysqlEncrypted(header) => {
            Err(refused(Refusal::AlreadyEncrypted { key_id: header.key_id }))
        }
        LogKind::MariadbEncrypted(..) => Err(refused(Refusal::EncryptedByMariaDb)),
        LogKind::MariadbPlain(_) => Err(refused(Refusal::MariaDb)),
        _ => {
            let obstacle = Probe::without_keys(file_start).obstacle().cloned();
            Err(refused(obstacle.unwrap_or(LogError::NotALog).into()))
        }
    }
}

fn file(
    log: &PlainLog,
    output: Output<'_>,
    key: &NamedKey,
    progress: &dyn Progress,
) -> Result<Encrypted, Error> {
    let source = &log.source;
    match output {
        Output::File(target, options) => {
            check_not_itself(source, target)?;
            let sink = AtomicFile::create(target, options)?;
            log.seal(&sink, &Envelope::fresh(key)?, progress)?;
            sink.commit()?;
        }
        Output::Stream(writer, name) => {
            let envelope = Envelope::fresh(key)?;
            writer.write_all(&envelope.header).map_err(TransferError::at(name, "write"))?;
            let apply = |offset, source: &[u8], target: &mut [u8]| {
                envelope.stream.apply_to(offset, source, target);
            };
            let range = 0..source.length();
            let how = (pipeline::threads_for_one(), progress);
            pipeline::file_to_stream(source, range, writer, name, &apply, how)?;
        }
    }
    let description = log.description.clone();
    Ok(Encrypted::new(description, key, source.length()))
}

fn stream(
    mut reader: impl Read + Send,
    name: &Path,
    output: Output<'_>,
    key: &NamedKey,
    description: FormatDescription,
    progress: &dyn Progress,
) -> Result<Encrypted, Error> {
    let envelope = Envelope::fresh(key)?;
    let mut header: &[u8] = &envelope.header;
    let mut offset = 0_u64;
    let mut produce = |buffer: &mut [u8]| {
        // The header is a part of the first piece: a shorter piece would end the stream.
        let (head, body) = buffer.split_at_mut(header.len());
        head.copy_from_slice(std::mem::take(&mut header));
        let length = read_full(&mut reader, body).map_err(TransferError::at(name, "read"))?;
        envelope.stream.apply(offset, body.get_mut(..length).unwrap_or_default());
        offset = offset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        Ok(head.len().saturating_add(length))
    };
    let written = write_in_order(&mut produce, output, None, &|_| Ok(()), progress)?;
    let plain_length = written.saturating_sub(BODY_OFFSET);
    Ok(Encrypted::new(description, key, plain_length))
}
