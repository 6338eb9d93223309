//! Servers make and purge logs while somebody looks: an index that was read a moment before a log
//! was found says nothing of it yet. Before such a log is called unlisted, its index is read again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::facts::{Facts, IndexFacts};
use super::judge::unlisted;
use crate::io::location;
use crate::ops::targets::read_index;
use crate::text::path_text;

/// How long a server has to list a log that it has just made: it does so in the same breath.
const BREATH: Duration = Duration::from_millis(250);

/// Reads the indexes again that do not list a log beside them, and forgets logs that were purged.
/// Returns how many those are. Where every log is listed this does nothing.
pub(super) fn settle(facts: &mut Facts) -> u64 {
    let mut purged = 0_u64;
    for pause in [Duration::ZERO, BREATH] {
        let unlisted = paths(facts);
        if unlisted.is_empty() {
            break;
        }
        std::thread::sleep(pause);
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

fn paths(facts: &Facts) -> BTreeSet<PathBuf> {
    unlisted(facts).map(|(log, _)| log.path.join()).collect()
}

fn read_again(index: &mut IndexFacts) {
    let listed = read_index(&index.path.join()).unwrap_or_default();
    let names = listed.iter().filter_map(|log| log.file_name());
    index
        .logs
        .extend(names.map(|name| path_text::text(Path::new(name))));
    index.logs.sort();
    index.logs.dedup();
}
