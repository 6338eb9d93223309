//! From an encrypted log to its plaintext, byte for byte.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::verify::{self, Note, VerifyOptions};
use crate::batch::guard::Guard;
use crate::batch::resume;
use crate::batch::targets::{Origin, Target};
use crate::batch::transfer::{
    Input, Output, check_not_itself, read_stream_start, seal, write_in_order,
};
use crate::batch::{self, OutputDirectory};
use crate::bytes::read_full;
use crate::event::format_description::FormatDescription;
use crate::file::TransferError;
use crate::file::pipeline::{self, NoProgress, Progress, Transform};
use crate::file::sealed::{EXTENSION, Recipients};
use crate::file::sink::{AtomicFile, SinkOptions};
use crate::file::source::FileSource;
use crate::keyring::Keyring;
use crate::log::error::Error;
use crate::log::kind::LogKind;
use crate::log::log_error::LogError;
use crate::log::open::{self, OpenLog};
use crate::log::probe::Probe;
use crate::log::refusal::Refusal;
use crate::mariadb::error::MariadbError;

mod per_event;

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
    /// What there is to say of it, where it was verified.
    pub notes: Vec<Note>,
    /// What is wrong with the log's end, where that shows without a walk through its events.
    pub damage: Option<Box<LogError>>,
    /// Cipher and key id of a log that MariaDB encrypted: `AES-256-CBC`, 1.
    pub mariadb_key: Option<Box<(String, Option<u32>)>>,
    /// Whether an earlier run had written it, and it was left as it is.
    pub kept: bool,
    /// For how many recipients the output is, an age file; 0 if it is the plaintext.
    pub recipients: usize,
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
    checks: DecryptOptions<'_>,
    progress: &dyn Progress,
) -> Result<Decrypted, Error> {
    match input {
        Input::File(source) => {
            let path = source.path().to_owned();
            let log = OpenLog::without_survey(source, keys)?;
            check_encrypted(log.kind(), &path)?;
            file(&log, output, checks, progress)
        }
        Input::Stream(reader, name) => stream(reader, &name, output, keys, checks, progress),
    }
}

/// How one log, or each of many, is decrypted.
#[derive(Debug, Clone, Copy, Default)]
pub struct DecryptOptions<'a> {
    /// Verify the plaintext before it appears under its name; damage is an error then. What goes
    /// from a file to a stream is verified before the first byte is written. From a stream to a
    /// stream nothing can be.
    pub verify: bool,
    /// As [`VerifyOptions::strict`], where it is verified.
    pub strict: bool,
    /// Of many logs: keep an output that is there, if it is this log's plaintext by its length and
    /// both ends. An age file, of which nobody here can read more, is judged by its length.
    pub resume: bool,
    /// Write an age file for them instead of the plaintext, which then is nowhere but in memory.
    pub recipients: Option<&'a Recipients>,
}

impl DecryptOptions<'_> {
    fn can_read_back(self, sink: &AtomicFile) -> bool {
        self.recipients.is_none() && sink.can_be_read_back()
    }

    /// Whether an earlier run has made this output.
    fn is_done(self, target: &Path, log: &OpenLog) -> Result<bool, Error> {
        match self.recipients {
            Some(_) => resume::is_age_file_of(target, log),
            None => resume::is_plaintext_of(target, log),
        }
    }

    /// Checks what has been written, which has no name yet. Gives what there is to say of it.
    /// `tail` is wrong with the log's end, of which the plaintext has nothing.
    pub(super) fn apply(
        self,
        sink: &AtomicFile,
        input: &Path,
        tail: Option<&LogError>,
    ) -> Result<Vec<Note>, Error> {
        if self.verify { verify_written(sink, input, tail, self.strict) } else { Ok(Vec::new()) }
    }
}

fn verify_written(
    sink: &AtomicFile,
    input: &Path,
    tail: Option<&LogError>,
    strict: bool,
) -> Result<Vec<Note>, Error> {
    let copy = sink.file()?.try_clone();
    let copy = copy.map_err(TransferError::at(sink.target(), "read"))?;
    let source = FileSource::from_file(copy, input)?;
    refuse(&OpenLog::new(source, &Keyring::new())?, tail, strict)
}

/// Verifies a log, and gives what there is to say of it.
///
/// # Errors
/// [`Error::Log`] if it is damaged, [`Error::Transfer`].
pub fn refuse_damaged(log: &OpenLog, strict: bool) -> Result<Vec<Note>, Error> {
    refuse(log, None, strict)
}

fn refuse(log: &OpenLog, tail: Option<&LogError>, strict: bool) -> Result<Vec<Note>, Error> {
    let options = VerifyOptions { strict, without_gtids: true };
    let mut verified = verify::verify_with(log, options, &NoProgress)?;
    verified.add_tail(tail, log.plain_length(), strict);
    let Some(damage) = verified.damages.first() else {
        return Ok(verified.notes);
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
    checks: DecryptOptions<'_>,
    progress: &dyn Progress,
) -> Result<Decrypted, Error> {
    let guard = Guard::new(progress);
    let progress: &dyn Progress = &guard;
    let apply = |offset, source: &[u8], target: &mut [u8]| {
        let done = log.decipher_strictly(offset, source, target);
        if let Err(error) = done.and_then(|()| refuse_bad_length(log)) {
            guard.fail(error);
        }
    };
    let written = write(log, output, &apply, checks, progress);
    if let Some(error) = guard.failure() {
        // What deciphers to nonsense may do so because of a length.
        survey(log)?;
        return Err(error);
    }
    Ok(Decrypted { notes: written?, ..Decrypted::of(log, log.plain_length(), checks.recipients) })
}

/// A length in clear that is wrong: whatever follows it cannot be found.
fn refuse_bad_length(log: &OpenLog) -> Result<(), Error> {
    match log.tail_damage() {
        Some(damage @ LogError::Mariadb(MariadbError::BadLength { .. })) => {
            Err(Error::log(log.source().path(), damage))
        }
        _ => Ok(()),
    }
}

/// Finds out where the log ends.
fn survey(log: &OpenLog) -> Result<(), Error> {
    log.survey()?;
    refuse_bad_length(log)
}

impl Decrypted {
    /// What there is to say of an open log of which so many bytes are in the output.
    #[must_use]
    pub fn of(log: &OpenLog, plain_length: u64, recipients: Option<&Recipients>) -> Self {
        Self {
            damage: log.tail_damage().map(Box::new),
            ..Self::of_probe(log.probe(), plain_length, recipients)
        }
    }

    fn of_probe(probe: &Probe, plain_length: u64, recipients: Option<&Recipients>) -> Self {
        Self {
            kind: probe.kind().clone(),
            description: probe.description().cloned(),
            plain_length,
            notes: Vec::new(),
            damage: None,
            mariadb_key: probe.mariadb_key().map(Box::new),
            kept: false,
            recipients: recipients.map_or(0, Recipients::count),
        }
    }
}

fn write(
    log: &OpenLog,
    output: Output<'_>,
    apply: &Transform<'_>,
    checks: DecryptOptions<'_>,
    progress: &dyn Progress,
) -> Result<Vec<Note>, Error> {
    match output {
        Output::File(target, options) => {
            check_not_itself(log.source(), target)?;
            let sink = AtomicFile::create(target, options)?;
            let notes;
            if checks.can_read_back(&sink) {
                notes = write_and_check(log, &sink, apply, checks, progress)?;
            } else {
                notes = check_before(log, checks)?;
                match checks.recipients {
                    None => to_file(log, &sink, apply, progress)?,
                    Some(_) => {
                        let writer = &mut sink.writer();
                        to_stream(log, (writer, target), apply, checks, progress)?;
                    }
                }
            }
            sink.commit()?;
            Ok(notes)
        }
        Output::Stream(writer, name) => {
            let notes = check_before(log, checks)?;
            to_stream(log, (writer, name), apply, checks, progress)?;
            Ok(notes)
        }
    }
}

/// Where the log ends, and whether it is good, shows on the way: what was written is cut and
/// verified afterwards.
fn write_and_check(
    log: &OpenLog,
    sink: &AtomicFile,
    apply: &Transform<'_>,
    checks: DecryptOptions<'_>,
    progress: &dyn Progress,
) -> Result<Vec<Note>, Error> {
    let written = log.plain_length();
    to_file(log, sink, apply, progress)?;
    survey(log)?;
    if log.plain_length() < written {
        sink.cut(log.plain_length())?;
    }
    checks.apply(sink, log.source().path(), log.tail_damage().as_ref())
}

/// What cannot be read back must be known before it goes.
fn check_before(log: &OpenLog, checks: DecryptOptions<'_>) -> Result<Vec<Note>, Error> {
    survey(log)?;
    if checks.verify { refuse_damaged(log, checks.strict) } else { Ok(Vec::new()) }
}

fn to_file(
    log: &OpenLog,
    sink: &AtomicFile,
    apply: &Transform<'_>,
    progress: &dyn Progress,
) -> Result<(), TransferError> {
    pipeline::file_to_file(log.source(), plain_range(log), sink, 0, apply, progress)
}

fn to_stream(
    log: &OpenLog,
    (writer, name): (&mut dyn Write, &Path),
    apply: &Transform<'_>,
    checks: DecryptOptions<'_>,
    progress: &dyn Progress,
) -> Result<(), TransferError> {
    let how = (pipeline::threads_for_one(), progress);
    seal(checks.recipients, (writer, name), |writer| {
        pipeline::file_to_stream(log.source(), plain_range(log), writer, name, apply, how).map(drop)
    })
}

/// Where the plaintext is in the file, as far as is known.
fn plain_range(log: &OpenLog) -> Range<u64> {
    let start = log.probe().body_offset();
    start..start.saturating_add(log.plain_length())
}

fn stream(
    mut reader: Box<dyn Read + Send>,
    name: &Path,
    output: Output<'_>,
    keys: &Keyring,
    checks: DecryptOptions<'_>,
    progress: &dyn Progress,
) -> Result<Decrypted, Error> {
    let start = read_stream_start(&mut reader, name)?;
    let probe = Probe::new(&start, keys)?.readable().map_err(|error| Error::log(name, error))?;
    check_encrypted(probe.kind(), name)?;
    let recipients = checks.recipients;
    if checks.verify && recipients.is_some() {
        return Err(Error::refused(name, Refusal::NotVerifiable));
    }
    if let Some(log) = probe.per_event() {
        let reader = start.as_slice().chain(reader);
        let done = per_event::stream((log, name), reader, output, checks, progress)?;
        return Ok(Decrypted {
            damage: done.damage,
            notes: done.notes,
            ..Decrypted::of_probe(&probe, done.plain_length, recipients)
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
    let notes = RefCell::default();
    let check = |sink: &AtomicFile| {
        notes.replace(checks.apply(sink, name, None)?);
        Ok(())
    };
    let plain_length = write_in_order(&mut produce, output, recipients, &check, progress)?;
    Ok(Decrypted { notes: notes.take(), ..Decrypted::of_probe(&probe, plain_length, recipients) })
}

/// Decrypts many logs into a directory, each under its own name, in parallel. Age files have
/// [`EXTENSION`] behind it.
///
/// # Errors
/// When the directory cannot be made; else each file has its own result. Two inputs of one name
/// are an error of the second.
pub fn decrypt_all(
    targets: Vec<Target>,
    directory: &Path,
    options: SinkOptions,
    keys: &Keyring,
    checks: DecryptOptions<'_>,
    progress: &dyn Progress,
) -> Result<Vec<FileResult>, Error> {
    let directory = OutputDirectory::create(directory, &targets, options.force)?;
    let listed = targets.iter().filter(|target| matches!(target.origin, Origin::Index(_)));
    let listed: HashSet<PathBuf> = listed.map(|target| target.path.clone()).collect();
    let extension = checks.recipients.map_or("", |_| EXTENSION);
    let work = |path: &Path| {
        let log = OpenLog::without_survey(open::source(path)?, keys)?;
        check_encrypted(log.kind(), path)?;
        let target = directory.claim(path, extension)?;
        if checks.resume {
            log.survey()?;
        }
        if checks.resume && checks.is_done(&target, &log)? {
            let _ = progress.advance(log.plain_length());
            let kept = Decrypted {
                kept: true,
                ..Decrypted::of(&log, log.plain_length(), checks.recipients)
            };
            return Ok((target, kept));
        }
        let decrypted = file(&log, Output::File(&target, options), checks, progress)?;
        Ok((target, decrypted))
    };
    let skippable = |error| match error {
        Error::Log { path, source } if is_skippable(&source, listed.contains(&path)) => Ok(source),
        other => Err(other),
    };
    Ok(batch::for_all(targets, work, skippable))
}

/// What is left out of a directory or an index. What an index lists is a log, and should have
/// content.
const fn is_skippable(error: &LogError, is_listed: bool) -> bool {
    match error {
        LogError::NotEncrypted => true,
        LogError::NotALog | LogError::Empty => !is_listed,
        _ => false,
    }
}
