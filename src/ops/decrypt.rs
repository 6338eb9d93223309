//! From an encrypted log to its plaintext, byte for byte.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::guard::Guard;
use super::per_event;
use super::targets::{Origin, Target};
use crate::error::Error;
use crate::event::format_description::FormatDescription;
use crate::io::pipeline::{self, Progress, Transform};
use crate::io::sink::{AtomicFile, SinkOptions};
use crate::io::source::{FileSource, View};
use crate::io::{TransferError, pipeline::read_full};
use crate::keyring::Keyring;
use crate::log::{LogKind, PROBE_LENGTH};
use crate::mariadb::error::MariadbError;
use crate::open::{LogError, OpenLog, Probe};

/// Where the bytes of an encrypted log come from.
pub enum Input {
    /// A file, open and mapped.
    File(FileSource),
    /// A stream, and what messages call it.
    Stream(Box<dyn Read + Send>, PathBuf),
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(source) => f.debug_tuple("File").field(source).finish(),
            Self::Stream(_, name) => f.debug_tuple("Stream").field(name).finish(),
        }
    }
}

/// Where the plaintext goes.
pub enum Output<'a> {
    /// A file, mode 0600, which appears when it is whole.
    File(&'a Path, SinkOptions),
    /// A stream, and what messages call it.
    Stream(&'a mut dyn Write, &'a Path),
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path, options) => f.debug_tuple("File").field(path).field(options).finish(),
            Self::Stream(_, name) => f.debug_tuple("Stream").field(name).finish(),
        }
    }
}

/// What was decrypted.
#[derive(Debug)]
pub struct Decrypted {
    /// What the input was.
    pub kind: LogKind,
    /// Its format description event; `None` when the log ends within it.
    pub description: Option<FormatDescription>,
    /// Length of the plaintext in bytes.
    pub plain_length: u64,
    /// What is wrong with the log's end, where that shows without a walk through its events.
    pub damage: Option<Box<LogError>>,
    /// Cipher and key id of a log that MariaDB encrypted: `AES-256-CBC`, 1.
    pub mariadb_key: Option<Box<(String, Option<u32>)>>,
}

/// Decrypts one log.
///
/// # Errors
/// [`Error::Log`] when it is not encrypted or cannot be decrypted, before any output exists;
/// [`Error::Transfer`] when reading or writing fails, with nothing left under the output's name.
pub fn decrypt(
    input: Input,
    output: Output<'_>,
    keys: &Keyring,
    progress: &dyn Progress,
) -> Result<Decrypted, Error> {
    match input {
        Input::File(source) => {
            let path = source.path().to_owned();
            let log = OpenLog::new(source, keys)?;
            check_encrypted(log.kind(), &path)?;
            file(&log, output, progress)
        }
        Input::Stream(reader, name) => stream(reader, &name, output, keys, progress),
    }
}

fn check_encrypted(kind: &LogKind, path: &Path) -> Result<(), Error> {
    match kind {
        LogKind::MysqlPlain(_) | LogKind::MariadbPlain(_) => {
            Err(Error::log(path, LogError::NotEncrypted))
        }
        _ => Ok(()),
    }
}

fn file(log: &OpenLog, output: Output<'_>, progress: &dyn Progress) -> Result<Decrypted, Error> {
    let source = log.source();
    if let Some(damage @ LogError::Mariadb(MariadbError::BadLength { .. })) = log.tail_damage() {
        return Err(Error::log(source.path(), damage));
    }
    let guard = Guard::new(progress);
    let progress: &dyn Progress = &guard;
    let apply = |offset, source: &[u8], target: &mut [u8]| {
        if let Err(error) = log.decipher_strictly(offset, source, target) {
            guard.fail(error);
        }
    };
    let written = write(log, output, &apply, progress);
    if let Some(error) = guard.failure() {
        return Err(error);
    }
    written?;
    Ok(Decrypted {
        kind: log.kind().clone(),
        description: log.probe().description().cloned(),
        plain_length: log.plain_length(),
        damage: log.tail_damage().map(Box::new),
        mariadb_key: log.probe().mariadb_key().map(Box::new),
    })
}

fn write(
    log: &OpenLog,
    output: Output<'_>,
    apply: &Transform<'_>,
    progress: &dyn Progress,
) -> Result<(), TransferError> {
    let source = log.source();
    match output {
        Output::File(target, options) => {
            check_not_itself(source, target)?;
            let sink = AtomicFile::create(target, options)?;
            let start = log.probe().body_offset();
            let range = start..start.saturating_add(log.plain_length());
            pipeline::file_to_file(source, range, &sink, 0, apply, progress)?;
            sink.commit()?;
        }
        Output::Stream(writer, name) => {
            let mut view = source.view();
            let mut done = 0_u64;
            let mut produce = |buffer: &mut [u8]| {
                let length = next_piece(log, done, buffer, &mut view, apply)?;
                done = done.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
                Ok(length)
            };
            pipeline::stream(&mut produce, writer, name, progress)?;
            source.check_size()?;
        }
    }
    Ok(())
}

/// The next piece of plaintext from plain offset `done` on.
fn next_piece(
    log: &OpenLog,
    done: u64,
    buffer: &mut [u8],
    view: &mut View<'_>,
    apply: &Transform<'_>,
) -> Result<usize, TransferError> {
    let left = usize::try_from(log.plain_length().saturating_sub(done)).unwrap_or(usize::MAX);
    let length = buffer.len().min(left);
    if length == 0 {
        return Ok(0);
    }
    let offset = log.probe().body_offset().saturating_add(done);
    apply(done, view.bytes(offset, length)?, buffer);
    view.confirm()?;
    Ok(length)
}

fn stream(
    mut reader: Box<dyn Read + Send>,
    name: &Path,
    output: Output<'_>,
    keys: &Keyring,
    progress: &dyn Progress,
) -> Result<Decrypted, Error> {
    let mut start = vec![0; PROBE_LENGTH];
    let read = read_full(&mut reader, &mut start).map_err(TransferError::at(name, "read"))?;
    start.truncate(read);
    let probe = Probe::new(&start, keys)?
        .readable()
        .map_err(|error| Error::log(name, error))?;
    check_encrypted(probe.kind(), name)?;
    if let Some(log) = probe.per_event() {
        let reader = start.as_slice().chain(reader);
        let (plain_length, damage) = per_event::stream((log, name), reader, output, progress)?;
        return Ok(Decrypted {
            kind: probe.kind().clone(),
            description: probe.description().cloned(),
            plain_length,
            damage,
            mariadb_key: probe.mariadb_key().map(Box::new),
        });
    }
    let body_offset = usize::try_from(probe.body_offset()).unwrap_or(usize::MAX);
    let mut reader = start.get(body_offset..).unwrap_or_default().chain(reader);
    let mut offset = 0_u64;
    let mut produce = |buffer: &mut [u8]| {
        let length = read_full(&mut reader, buffer).map_err(TransferError::at(name, "read"))?;
        if let (Some(stream), Some(piece)) = (probe.stream(), buffer.get_mut(..length)) {
            stream.apply(offset, piece);
        }
        offset = offset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        Ok(length)
    };
    let plain_length = match output {
        Output::File(target, options) => {
            let sink = AtomicFile::create(target, options)?;
            let written = pipeline::stream(&mut produce, &mut sink.file(), target, progress)?;
            sink.commit()?;
            written
        }
        Output::Stream(writer, name) => pipeline::stream(&mut produce, writer, name, progress)?,
    };
    Ok(Decrypted {
        kind: probe.kind().clone(),
        description: probe.description().cloned(),
        plain_length,
        damage: None,
        mariadb_key: None,
    })
}

/// Whatever `--force` says: the plaintext never takes the place of its own source.
fn check_not_itself(source: &FileSource, target: &Path) -> Result<(), TransferError> {
    let (Ok(there), Ok(here)) = (target.metadata(), source.file().metadata()) else {
        return Ok(());
    };
    if (there.dev(), there.ino()) == (here.dev(), here.ino()) {
        return Err(TransferError::SameFile {
            path: target.to_owned(),
        });
    }
    Ok(())
}

/// One file of many.
#[derive(Debug)]
pub struct FileResult {
    /// The encrypted log.
    pub input: PathBuf,
    /// What came of it.
    pub result: Result<FileOutcome, Error>,
}

/// What came of one file.
#[derive(Debug)]
pub enum FileOutcome {
    /// Its plaintext is at this path.
    Decrypted(PathBuf, Decrypted),
    /// It came with an index or a directory and has nothing to decrypt: a plaintext log, or none.
    LeftOut(LogError),
}

/// Decrypts many logs into a directory, each under its own name, in parallel.
///
/// # Errors
/// When the directory cannot be made; else each file has its own result. Two inputs of one name
/// are an error of the second.
pub fn decrypt_all(
    targets: Vec<Target>,
    directory: &Path,
    options: SinkOptions,
    keys: &Keyring,
    progress: &dyn Progress,
) -> Result<Vec<FileResult>, Error> {
    if !directory.is_dir() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(TransferError::at(directory, "create the directory"))?;
    }
    let job = Job {
        directory,
        options,
        keys,
        progress,
        names: Mutex::default(),
    };
    let one = |Target { path, origin }| {
        let result = job.decrypt(&path);
        let result = match result {
            Err(Error::Log { source, .. }) if origin != Origin::Named && is_no_matter(&source) => {
                Ok(FileOutcome::LeftOut(source))
            }
            other => other,
        };
        FileResult {
            input: path,
            result,
        }
    };
    Ok(targets.into_par_iter().map(one).collect())
}

/// What the files of one run share.
struct Job<'a> {
    directory: &'a Path,
    options: SinkOptions,
    keys: &'a Keyring,
    progress: &'a dyn Progress,
    /// Names given to outputs, with the input that took each.
    names: Mutex<BTreeMap<OsString, PathBuf>>,
}

impl Job<'_> {
    fn decrypt(&self, path: &Path) -> Result<FileOutcome, Error> {
        let log = OpenLog::open(path, self.keys)?;
        check_encrypted(log.kind(), path)?;
        let name = path.file_name().unwrap_or_default();
        self.claim(name, path)?;
        let target = self.directory.join(name);
        let decrypted = file(&log, Output::File(&target, self.options), self.progress)?;
        Ok(FileOutcome::Decrypted(target, decrypted))
    }

    /// Two logs of one name would end in one file.
    fn claim(&self, name: &OsStr, path: &Path) -> Result<(), TransferError> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        match names.insert(name.to_owned(), path.to_owned()) {
            None => Ok(()),
            Some(first) => Err(TransferError::SameName {
                first,
                second: path.to_owned(),
            }),
        }
    }
}

const fn is_no_matter(error: &LogError) -> bool {
    matches!(
        error,
        LogError::NotEncrypted | LogError::NotALog | LogError::Empty
    )
}
