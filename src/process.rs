//! The process itself: what it must not leave behind.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Forbids core dumps, and other processes of the user to look into the memory: it will hold keys.
/// Where the system refuses, work goes on: there is no safer alternative to offer.
pub(crate) fn protect() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Directories of this process that a signal would leave behind.
static DIRECTORIES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A directory that only this user may enter, for as long as this is held: it is removed with all that
/// is in it, also when a signal ends the process.
#[derive(Debug)]
pub(crate) struct PrivateDirectory(tempfile::TempDir);

impl PrivateDirectory {
    /// Below `TMPDIR`.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut directories = DIRECTORIES.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = tempfile::tempdir().context("a temporary directory cannot be made")?;
        directories.push(directory.path().to_owned());
        Ok(Self(directory))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for PrivateDirectory {
    /// A name that is free again may be somebody else's next: no signal removes what is there then.
    fn drop(&mut self) {
        let mut directories = DIRECTORIES.lock().unwrap_or_else(PoisonError::into_inner);
        directories.retain(|directory| directory != self.0.path());
    }
}

/// Whether a signal is ending the process.
static ENDING: AtomicBool = AtomicBool::new(false);
/// So long stores are waited for that are told of the end of an upload.
const PATIENCE: Duration = Duration::from_secs(5);

/// Leaves nothing behind when a signal ends the process: temporaries that have a name are removed,
/// uploads and key commands ended. A second signal ends it at once. A signal that the process was started to
/// ignore (`nohup`) is ignored.
pub(crate) fn clean_up_on_signals() -> anyhow::Result<()> {
    watch_signals().context("signals cannot be waited for")
}

/// The same, once for the process, however often it is asked for.
pub(crate) fn watch_signals() -> std::io::Result<()> {
    static WATCHED: AtomicBool = AtomicBool::new(false);
    if WATCHED.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    let ignored = ignored_signals();
    let heeded = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| !is_in(ignored, signal));
    let mut signals = Signals::new(heeded)?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut signals = signals.forever();
        if let Some(signal) = signals.next() {
            ENDING.store(true, Ordering::SeqCst);
            let cleaning = std::thread::Builder::new().spawn(move || end(signal));
            let second = signals.next().filter(|_| cleaning.is_ok());
            std::process::exit(code(second.unwrap_or(signal)));
        }
    })?;
    Ok(())
}

fn end(signal: i32) {
    binlogsec_core::keyring::end_commands();
    let _removed = binlogsec_core::file::sink::remove_temporaries();
    for directory in &*DIRECTORIES.lock().unwrap_or_else(PoisonError::into_inner) {
        let _ = std::fs::remove_dir_all(directory);
    }
    binlogsec_core::file::store::end_uploads(PATIENCE);
    std::process::exit(code(signal));
}

/// What a shell shows for a program that a signal ended.
const fn code(signal: i32) -> i32 {
    signal.saturating_add(128)
}

/// Where a signal is ending the process, its code counts, and not what became of the work: waits
/// for the end.
pub(crate) fn let_signal_end() {
    while ENDING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// The mask of signals that are ignored, as Linux tells it; 0 where it does not.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Signal 1 is the lowest bit.
fn is_in(mask: u64, signal: i32) -> bool {
    let bit = signal.checked_sub(1).and_then(|bit| u32::try_from(bit).ok());
    bit.and_then(|bit| mask.checked_shr(bit)).is_some_and(|shifted| shifted & 1 == 1)
}
