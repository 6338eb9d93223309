//! Whether somebody else may be using a log that is about to be changed.

use std::collections::BTreeMap;
use std::fs::{Metadata, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::batch::listed::{last_entry, read_index};
use crate::batch::targets::is_index;
use crate::file::TransferError;
use crate::file::openers::{OpenFiles, Openers};
use crate::file::sink::directory_of;
use crate::file::source::FileSource;
use crate::log::error::Error;
use crate::log::refusal::Refusal;

/// The last entry of every index at hand, by its real path.
#[derive(Debug, Default)]
pub(super) struct LastEntries(BTreeMap<PathBuf, PathBuf>);

impl LastEntries {
    /// Reads the named indexes and those that lie beside the logs, as a server puts them. One that
    /// cannot be read says nothing here: where it was named, that is reported elsewhere.
    pub(super) fn new<'a>(named: &[PathBuf], logs: impl IntoIterator<Item = &'a Path>) -> Self {
        let mut directories: Vec<&Path> = logs.into_iter().map(directory_of).collect();
        directories.sort_unstable();
        directories.dedup();
        let listed = directories.into_iter().filter_map(|path| path.read_dir().ok());
        let beside = listed.flat_map(|entries| entries.flatten().map(|entry| entry.path()));
        let indexes = beside.chain(named.iter().cloned()).filter(|path| is_index(path));
        let last = |index: PathBuf| {
            let log = read_index(&index).ok()?.pop()?;
            Some((log.path.canonicalize().ok()?, index))
        };
        Self(indexes.filter_map(last).collect())
    }

    /// Refuses the log that its server writes while it runs.
    pub(super) fn check(&self, log: &Path) -> Result<(), Error> {
        match self.0.get(log) {
            Some(index) => Err(Error::refused(log, Refusal::LastOfIndex { index: index.clone() })),
            None => Ok(()),
        }
    }
}

/// What processes have open, looked up once for a whole run, and again only where the last look is so
/// long ago that looks are a small part of the time.
#[derive(Debug, Default)]
pub(super) struct Lookout {
    last: Mutex<Option<Look>>,
    /// The indexes that lie in a directory.
    indexes: Mutex<BTreeMap<PathBuf, Vec<PathBuf>>>,
}

#[derive(Debug)]
struct Look {
    begun: Instant,
    took: Duration,
    found: Arc<OpenFiles>,
}

impl Lookout {
    /// A look counts for so long, or for so many times as long as it took.
    const FRESH: Duration = Duration::from_secs(2);
    const TIMES: u32 = 50;
    /// Far more than a server has a log open whose header it writes anew.
    const INSTANT: Duration = Duration::from_millis(20);

    fn look(&self) -> Arc<OpenFiles> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |look: &&Look| {
            let lasts = look.took.saturating_mul(Self::TIMES).max(Self::FRESH);
            look.begun.elapsed() < lasts
        };
        if let Some(look) = last.as_ref().filter(is_fresh) {
            return Arc::clone(&look.found);
        }
        let begun = Instant::now();
        let found = Arc::new(OpenFiles::look());
        *last = Some(Look { begun, took: begun.elapsed(), found: Arc::clone(&found) });
        found
    }

    fn look_anew(&self) -> Arc<OpenFiles> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.look()
    }

    /// Refuses where a server has an index beside the log open to write, as it does all its life, or
    /// the last log in it, while it opens the index anew.
    pub(super) fn check_server(&self, log: &Path) -> Result<(), Error> {
        let directory = directory_of(log);
        let mut known = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        let indexes = known.entry(directory.to_owned()).or_insert_with(|| {
            let entries = directory.read_dir().into_iter().flatten().flatten();
            let paths = entries.map(|entry| entry.path());
            paths.filter(|path| is_index(path)).collect()
        });
        let indexes = indexes.clone();
        drop(known);
        for index in indexes {
            for path in last_entry(&index).into_iter().chain([index]) {
                let Ok(metadata) = path.metadata() else {
                    continue;
                };
                let pids = self.look().openers(&metadata).writers;
                if !pids.is_empty() {
                    return Err(Error::refused(log, Refusal::ServerRuns { path, pids }));
                }
            }
        }
        Ok(())
    }

    /// Refuses a file that others have open: to write in any case, to read unless that is allowed.
    /// Says whether there were processes that could not be looked at.
    pub(super) fn check(
        &self,
        path: &Path,
        metadata: &Metadata,
        allow_readers: bool,
    ) -> Result<bool, Error> {
        let mut found = self.look().openers(metadata);
        if !found.writers.is_empty() {
            // A server that rotates its key opens each log to write for an instant, plaintext too,
            // and writes nothing into that.
            std::thread::sleep(Self::INSTANT);
            found = self.look_anew().openers(metadata);
        }
        let Openers { readers, writers, incomplete } = found;
        if !writers.is_empty() {
            return Err(Error::refused(path, Refusal::OpenForWriting { pids: writers }));
        }
        if !readers.is_empty() && !allow_readers {
            return Err(Error::refused(path, Refusal::Open { pids: readers }));
        }
        Ok(incomplete)
    }
}

/// Keeps other processes of this toolkit away from a file for as long as it is open. A file system
/// without locks is no reason not to work.
pub(super) fn lock(source: &FileSource) -> Result<(), Error> {
    match source.file()?.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::refused(source.path(), Refusal::Busy)),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// The path without links, so that what is replaced is the file and not a link to it.
pub(super) fn real_path(path: &Path) -> Result<PathBuf, TransferError> {
    path.canonicalize().map_err(TransferError::at(path, "open"))
}
