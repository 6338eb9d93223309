//! From an encrypted log to its plaintext, byte for byte.

use std::io::Read;
use std::path::Path;

use super::batch::{self, OutputDirectory};
use super::targets::Target;
use super::transfer::{Input, Output, check_not_itself, read_stream_start, write_in_order};
use crate::error::Error;
use crate::event::format_description::FormatDescription;
use crate::io::TransferError;
use crate::io::pipeline::{self, Progress, Transform, read_full};
use crate::io::sink::{AtomicFile, SinkOptions};
use crate::io::source::View;
use crate::keyring::Keyring;
use crate::log::LogKind;
use crate::open::{LogError, OpenLog, Probe};

/// What came of one log of many.
pub type FileResult = batch::FileResult<Decrypted, LogError>;
/// The same, of one that was not refused.
pub type FileOutcome = batch::FileOutcome<Decrypted, LogError>;

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
            sink.commit()?;
        }
        Output::Stream(writer, name) => {
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
    progress: &dyn Progress,
) -> Result<Decrypted, Error> {
    let start = read_stream_start(&mut reader, name)?;
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
    let plain_length = write_in_order(&mut produce, output, progress)?;
    Ok(Decrypted {
        kind: probe.kind().clone(),
        description: probe.description().cloned(),
        plain_length,
    })
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
    let directory = OutputDirectory::create(directory)?;
    let work = |path: &Path| {
        let log = OpenLog::open(path, keys)?;
        check_encrypted(log.kind(), path)?;
        let target = directory.claim(path)?;
        let decrypted = file(&log, Output::File(&target, options), progress)?;
        Ok((target, decrypted))
    };
    let no_matter = |error| match error {
        Error::Log { source, .. } if is_no_matter(&source) => Ok(source),
        other => Err(other),
    };
    Ok(batch::for_all(targets, work, no_matter))
}

const fn is_no_matter(error: &LogError) -> bool {
    matches!(
        error,
        LogError::NotEncrypted | LogError::NotALog | LogError::Empty
    )
}
