//! The encryption status of logs.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::batch::listed::IndexNotice;
use crate::batch::shard::Shard;
use crate::batch::targets::{Origin, Target, Targets, has_log_extension};
use crate::bytes::read_full;
use crate::event::format_description::FormatDescription;
use crate::file::TransferError;
use crate::file::source::FileSource;
use crate::keyring::{Keyring, KeyringError};
use crate::log::error::Error;
use crate::log::error_class::ErrorClass;
use crate::log::kind::{LogKind, PROBE_LENGTH};
use crate::log::log_error::LogError;
use crate::log::open::read_enough;
use crate::log::probe::{KeyStatus, Probe};

/// What to look at.
#[derive(Debug, Clone, Default)]
pub struct InspectOptions {
    /// Report files in directories that are no logs, too.
    pub all_files: bool,
    /// Look at the files of one shard alone.
    pub shard: Option<Shard>,
}

/// What was found.
#[derive(Debug)]
pub struct InspectOutcome {
    /// Every log, and every file that was named.
    pub files: Vec<Inspected>,
    /// Files in directories that are no logs and were left out.
    pub other_files: usize,
    /// Names, directories and files that could not be read.
    pub failures: Vec<Error>,
    /// What is to be told of indexes that list logs in other directories than their own.
    pub notices: Vec<IndexNotice>,
}

/// What one file says of itself.
#[derive(Debug)]
pub struct Inspected {
    /// Where it is.
    pub path: PathBuf,
    /// See [`Target::position`]; the last of all for what was not found by a name.
    pub position: u64,
    /// Its size in bytes.
    pub size: u64,
    /// What it is.
    pub kind: LogKind,
    /// What is known of its key.
    pub key_status: KeyStatus,
    /// Cipher and key of a log that MariaDB encrypted, if they are proven: `AES-256-CBC`, 1.
    pub mariadb_key: Option<(String, Option<u32>)>,
    /// Its format description event, if it could be read.
    pub description: Option<FormatDescription>,
    /// Why its plaintext cannot be had, if it cannot.
    pub obstacle: Option<LogError>,
    /// Why its key could not be asked for, if that failed.
    pub key_failure: Option<KeyringError>,
}

impl Inspected {
    /// A key's source that fails is noted, and the log told without a key.
    fn new(path: &Path, size: u64, file_start: &[u8], keys: &Keyring) -> Self {
        Self::of_probe(path, size, file_start, Probe::new(file_start, keys))
    }

    fn of_probe(
        path: &Path,
        size: u64,
        file_start: &[u8],
        probe: Result<Probe, KeyringError>,
    ) -> Self {
        let (probe, key_failure) = match probe {
            Ok(probe) => (probe, None),
            Err(failure) => (Probe::without_keys(file_start), Some(failure)),
        };
        Self {
            path: path.to_owned(),
            position: u64::MAX,
            size,
            kind: probe.kind().clone(),
            key_status: probe.key_status(),
            mariadb_key: probe.mariadb_key(),
            description: probe.description().cloned(),
            obstacle: probe.obstacle().cloned(),
            key_failure,
        }
    }

    /// Whether something is wrong with the log or its key. A missing keyring option, and a file
    /// that is no log, are not.
    #[must_use]
    pub fn problem(&self) -> Option<ErrorClass> {
        if let Some(failure) = &self.key_failure {
            return Some(failure.class());
        }
        match self.obstacle.as_ref()? {
            error if error.is_no_key_offered() => None,
            LogError::NotALog
            | LogError::Empty
            | LogError::InnodbLog
            | LogError::Unsupported { .. } => None,
            other => Some(other.class()),
        }
    }
}

/// Looks at every file that `names` stand for.
#[must_use]
pub fn inspect(names: &[PathBuf], keys: &Keyring, options: &InspectOptions) -> InspectOutcome {
    let Targets { files, mut failures, notices, .. } = Targets::expand_shard(names, options.shard);
    let one = |target: Target| {
        let file = inspect_file(&target.path, keys)
            .map(|file| Inspected { position: target.position, ..file });
        (file, target)
    };
    let looked_at: Vec<_> = files.into_par_iter().map(one).collect();
    let (mut files, mut other_files) = (Vec::new(), 0_usize);
    for (result, target) in looked_at {
        let everything = options.all_files || target.origin != Origin::Directory;
        match result {
            Ok(file) if everything || is_of_interest(&file) => files.push(file),
            Err(error) if target.has_vanished(&error) => {}
            Ok(_) => other_files = other_files.saturating_add(1),
            Err(error) => failures.push(error),
        }
    }
    InspectOutcome { files, other_files, failures, notices }
}

/// Looks at one file.
///
/// # Errors
/// [`Error::Transfer`] when it cannot be read.
pub fn inspect_file(path: &Path, keys: &Keyring) -> Result<Inspected, Error> {
    let source = FileSource::open(path)?;
    let start = read_enough(&source)?;
    let probe = match Probe::of_file(path, &start, keys) {
        Ok(probe) => Ok(probe),
        Err(Error::Keyring(failure)) => Err(failure),
        Err(error) => return Err(error),
    };
    Ok(Inspected::of_probe(path, source.length(), &start, probe))
}

/// In a directory: logs, and what has a log's name but not (any more) a log's content.
fn is_of_interest(file: &Inspected) -> bool {
    file.kind.is_log() || (!matches!(file.kind, LogKind::Unknown) && has_log_extension(&file.path))
}

/// Looks at a log that comes as a stream; reads it to its end for its size.
///
/// # Errors
/// As [`inspect_file`].
pub fn inspect_stream(reader: &mut dyn Read, keys: &Keyring) -> Result<Inspected, Error> {
    let path = Path::new("-");
    let mut start = vec![0; PROBE_LENGTH];
    let read = read_full(reader, &mut start).map_err(TransferError::at(path, "read"))?;
    start.truncate(read);
    let rest = io::copy(reader, &mut io::sink()).map_err(TransferError::at(path, "read"))?;
    let size = rest.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    Ok(Inspected::new(path, size, &start, keys))
}
