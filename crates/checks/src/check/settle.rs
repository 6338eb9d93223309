//! Servers make and purge logs while somebody looks: an index that was read a moment before a log
//! was found says nothing of it yet. Before such a log is called unlisted, its index is read again.
//! A log that has just been made is empty for a moment, and is looked at again as well.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use super::content::Opened;
use super::facts::{Facts, IndexFacts};
use super::judge::unlisted;
use binlogsec_core::batch::listed::read_index;
use binlogsec_core::file::location;
use binlogsec_core::text::path_text;

/// The time between two readings of an index: a server lists a log at once that it has just made, and
/// removes one at once that it has just taken out.
const INDEX_REREAD_INTERVAL: Duration = Duration::from_millis(250);
/// How often an index is read again, for a server that gets little of the processor.
const MAX_INDEX_REREADS: usize = 8;

/// The time between two looks at a log that is still empty.
const EMPTY_LOG_LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// How often one run looks again at empty logs: where a server gets little of the processor, its
/// header takes a while.
const MAX_EMPTY_LOG_LOOKS: u32 = 100;
/// The age of an empty log from which on nothing more is expected of its server.
const NEW: Duration = Duration::from_secs(10);

/// How long one run still waits for servers, whatever the number of files that are empty.
pub(super) struct RetryBudget(AtomicU32);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(AtomicU32::new(MAX_EMPTY_LOG_LOOKS))
    }
}

impl RetryBudget {
    /// Waits a moment, and says whether it did.
    pub(super) fn wait(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        let waits = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok();
        if waits {
            std::thread::sleep(EMPTY_LOG_LOOK_INTERVAL);
        }
        waits
    }
}

/// Whether a file was written so lately that its writer may be at it.
pub(super) fn is_new(opened: &Opened<'_>) -> bool {
    let written = opened.metadata().and_then(|it| it.modified().ok());
    written.is_some_and(is_recent)
}

fn is_recent(written: SystemTime) -> bool {
    match written.elapsed() {
        Ok(age) => age < NEW,
        Err(ahead) => ahead.duration() < NEW,
    }
}

/// Reads the indexes again that do not list a log beside them, and forgets logs that were purged.
/// Returns how many those are. Where every log is listed this does nothing, and where nobody is at
/// work it waits for one interval.
pub(super) fn settle(facts: &mut Facts) -> u64 {
    let mut purged = 0_u64;
    for rereads in 0..=MAX_INDEX_REREADS {
        let unlisted = paths(facts);
        if unlisted.is_empty() || rereads > 1 && !is_at_work(facts) {
            break;
        }
        if rereads > 0 {
            std::thread::sleep(INDEX_REREAD_INTERVAL);
        }
        // What either reading lists was listed.
        facts.indexes.iter_mut().for_each(read_again);
        let gone = |path: &Path| {
            unlisted.contains(path) && !location::is_url(path) && path.symlink_metadata().is_err()
        };
        facts.logs.retain(|log| {
            let is_gone = gone(&log.path.join());
            purged = purged.saturating_add(u64::from(is_gone));
            !is_gone
        });
    }
    purged
}

/// Whether a server is likely to be making or purging logs: one that is not listed, or its index,
/// was written just now.
fn is_at_work(facts: &Facts) -> bool {
    let indexes: BTreeSet<_> = unlisted(facts).map(|(_, index)| index.path.join()).collect();
    indexes.into_iter().chain(paths(facts)).any(|path| {
        let metadata = path.symlink_metadata().ok();
        let written = metadata.and_then(|it| it.modified().ok());
        written.is_some_and(is_recent)
    })
}

fn paths(facts: &Facts) -> BTreeSet<PathBuf> {
    unlisted(facts).map(|(log, _)| log.path.join()).collect()
}

fn read_again(index: &mut IndexFacts) {
    let listed = read_index(&index.path.join()).unwrap_or_default();
    let names = listed.iter().filter_map(|log| log.path.file_name());
    index.logs.extend(names.map(|name| path_text::text(Path::new(name))));
    index.logs.sort();
    index.logs.dedup();
}
