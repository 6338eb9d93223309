//! What this run reads, so that nothing it writes takes the place of that.
//!
//! Every file is told by device and inode, whatever its name is and however it is linked. The list
//! is the process's own and is kept once [`keep_list`] was called: a command reads its files, writes
//! its outputs and ends. A program that lives on, and may well replace what it has read an hour ago,
//! leaves it alone.
//!
//! Who opens a file by its name notes it; the walk through a tree does not, which would hold a number
//! for each of millions of files: what lies there is told by its content when it is to be replaced.

use std::collections::HashSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::location;

/// Device and inode of each.
type Files = Mutex<HashSet<(u64, u64)>>;

static LIST: OnceLock<Files> = OnceLock::new();

/// Begins the list. What was opened before is not on it.
pub fn keep_list() {
    LIST.get_or_init(Files::default);
}

/// Puts an open file on the list.
pub fn note(file: &Metadata) {
    note_identity((file.dev(), file.ino()));
}

/// Puts the file on the list that a path leads to: one that will be read later, or is read by
/// somebody else. What is not there is not noted.
pub fn note_path(path: &Path) {
    if LIST.get().is_some()
        && let Ok(metadata) = location::local(path).metadata()
    {
        note(&metadata);
    }
}

/// Whether the file that a path leads to is on the list.
#[must_use]
pub fn has_path(path: &Path) -> bool {
    let metadata = location::local(path).metadata();
    metadata.is_ok_and(|it| has((it.dev(), it.ino())))
}

fn note_identity(identity: (u64, u64)) {
    if let Some(list) = LIST.get() {
        let mut files = list.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(identity);
    }
}

/// Whether the file with this device and inode is on the list.
pub(super) fn has((device, inode): (u64, u64)) -> bool {
    LIST.get().is_some_and(|list| {
        let files = list.lock().unwrap_or_else(PoisonError::into_inner);
        files.contains(&(device, inode))
    })
}
