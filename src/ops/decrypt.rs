//! From an encrypted log to its plaintext, byte for byte.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::targets::{Origin, Target};
use super::verify;
use crate::error::Error;
use crate::event::format_description::FormatDescription;
use crate::io::pipeline::{self, NoProgress, Progress, Transform};
use crate::io::sink::{AtomicFile, SinkOptions};
use crate::io::source::{FileSource, View};
use crate::io::{TransferError, pipeline::read_full};
use crate::keyring::Keyring;
use crate::log::{LogKind, PROBE_LENGTH};
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
    options: DecryptOptions,
    progress: &dyn Progress,
) -> Result<Decrypted, Error> {
    match input {
        Input::File(source) => {
            let path = source.path().to_owned();
            let log = OpenLog::new(source, keys)?;
            check_encrypted(log.kind(), &path)?;
            file(&log, output, options, progress)
        }
        Input::Stream(reader, name) => stream(reader, &name, output, keys, options, progress),
    }
}

/// How one log, or each of many, is decrypted.
#[derive(Debug, Clone, Copy, Default)]
pub struct DecryptOptions {
    /// Verify the plaintext before it appears under its name; damage is an error then. What goes
    /// from a file to a stream is verified before the first byte is written. From a stream to a
    /// stream nothing can be.
    pub verify: bool,
}

/// Verifies what has been written, which has no name yet.
fn verify_written(sink: &AtomicFile, input: &Path) -> Result<(), Error> {
    let copy = sink.file().try_clone();
    let copy = copy.map_err(TransferError::at(sink.target(), "read"))?;
    let source = FileSource::from_file(copy, input)?;
    verify_open(&OpenLog::new(source, &Keyring::new())?)
}

fn verify_open(log: &OpenLog) -> Result<(), Error> {
    let verified = verify::verify(log, &NoProgress)?;
    let Some(damage) = verified.damages.first() else {
        return Ok(());
    };
    let error = LogError::BodyDamaged {
        plain_offset: damage.plain_offset,
        reason: damage.kind.to_string(),
    };
    Err(Error::log(log.source().path(), error))
}

fn check_encrypted(kind: &LogKind, path: &Path) -> Result<(), Error> {
    match kind {
        LogKind::MysqlPlain(_) | LogKind::MariadbPlain(_) => {
            Err(Error::log(path, LogError::NotEncrypted))
        }
        _ => Ok(()),
    }
}

fn file(
    log: &OpenLog,
    output: Output<'_>,
    checks: DecryptOptions,
    progress: &dyn Progress,
) -> Result<Decrypted, Error> {
    let source = log.source();
    let apply = |offset, source: &[u8], target: &mut [u8]| {
        if let Some(stream) = log.probe().stream() {
            stream.apply_to(offset, source, target);
        }
    };
    match output {
        Output::File(target, options) => {
            check_not_itself(source, target)?;
            let sink = AtomicFile::create(target, options)?;
            let range = log.probe().body_offset()..source.length();
            pipeline::file_to_file(source, range, &sink, 0, &apply, progress)?;
            if checks.verify {
                verify_written(&sink, source.path())?;
            }
            sink.commit()?;
        }
        Output::Stream(writer, name) => {
            if checks.verify {
                verify_open(log)?;
            }
            let mut view = source.view();
            let mut done = 0_u64;
            let mut produce = |buffer: &mut [u8]| {
                let length = next_piece(log, done, buffer, &mut view, &apply)?;
                done = done.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
                Ok(length)
            };
            pipeline::stream(&mut produce, writer, name, progress)?;
            source.check_size()?;
        }
    }
    Ok(Decrypted {
        kind: log.kind().clone(),
        description: log.probe().description().cloned(),
        plain_length: log.plain_length(),
    })
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
    checks: DecryptOptions,
    progress: &dyn Progress,
) -> Result<Decrypted, Error> {
    let mut start = vec![0; PROBE_LENGTH];
    let read = read_full(&mut reader, &mut start).map_err(TransferError::at(name, "read"))?;
    start.truncate(read);
    let probe = Probe::new(&start, keys)?
        .readable()
        .map_err(|error| Error::log(name, error))?;
    check_encrypted(probe.kind(), name)?;
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
            if checks.verify {
                verify_written(&sink, name)?;
            }
            sink.commit()?;
            written
        }
        Output::Stream(writer, name) => pipeline::stream(&mut produce, writer, name, progress)?,
    };
    Ok(Decrypted {
        kind: probe.kind().clone(),
        description: probe.description().cloned(),
        plain_length,
    })
}

/// Whatever `--force` says: the plaintext never takes the place of its own source.
pub(super) fn check_not_itself(source: &FileSource, target: &Path) -> Result<(), TransferError> {
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
    checks: DecryptOptions,
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
        checks,
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
    checks: DecryptOptions,
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
        let output = Output::File(&target, self.options);
        let decrypted = file(&log, output, self.checks, self.progress)?;
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
