//! Files that should be logs: those that were named, and those that indexes list. Where a walk meets
//! them it looks at them; the others are looked at when it is over, so that each is seen once.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;

use super::{Local, Reason, Scan};
use crate::check::content::{Content, Opened};
use crate::check::facts::FilePath;
use crate::check::targets::real;
use binlogsec_core::file::source::FileSource;
use binlogsec_core::file::{TransferError, listing, location};

/// Files that a thread takes at once.
const AT_ONCE: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Expected {
    /// What the user named, and what indexes list that the user named, by the path without links.
    named: BTreeMap<PathBuf, Named>,
    /// The last part of each: few files of a walk need a second look.
    names: HashSet<OsString>,
    /// What indexes list that a walk met, where no walk goes.
    listed: Mutex<BTreeMap<PathBuf, PathBuf>>,
}

#[derive(Debug)]
struct Named {
    path: PathBuf,
    by_index: bool,
    met: AtomicBool,
}

/// One file that no walk has met.
struct Left<'a> {
    real_path: &'a Path,
    path: &'a Path,
    by_index: bool,
}

impl Scan<'_> {
    /// Takes down what the user named, before any walk.
    pub(in crate::check) fn expect_named(&mut self) {
        let mut named = BTreeMap::new();
        let mut add = |path: PathBuf, by_index| {
            named.entry(real(&path)).or_insert(Named {
                path,
                by_index,
                met: AtomicBool::new(false),
            });
        };
        for file in &self.roots.files {
            add(file.clone(), false);
        }
        self.with_local(|local| {
            for index in &self.roots.indexes {
                match self.index(local, index) {
                    Ok(logs) => logs.into_iter().for_each(|log| add(log, true)),
                    // Each shard asks the store by itself for its part of the list.
                    Err(error) if self.owns(index) || location::is_url(index) => {
                        self.out_of_reach(local, index, error);
                    }
                    Err(_) => {}
                }
            }
        });
        self.expected.names =
            named.keys().filter_map(|path| path.file_name().map(OsStr::to_owned)).collect();
        self.expected.named = named;
    }

    /// Takes down what an index lists that a walk met, if no walk goes there. Of objects every log
    /// lies beside its index.
    pub(in crate::check) fn expect_listed(&self, logs: Vec<PathBuf>) {
        for log in logs {
            let real_path = real(&log);
            if location::is_url(&log)
                || self.roots.covers(&real_path)
                || !self.options.selection.has_outside(&log)
            {
                continue;
            }
            let listed = self.expected.listed.lock();
            let mut listed = listed.unwrap_or_else(PoisonError::into_inner);
            // Of several names always the same one, whichever index was first.
            let name = listed.entry(real_path).or_insert_with(|| log.clone());
            if log < *name {
                *name = log;
            }
        }
    }

    /// Why a file is looked at that a walk met.
    pub(in crate::check) fn meet(&self, name: &OsStr, whole: impl FnOnce() -> PathBuf) -> Reason {
        if !self.expected.names.contains(name) {
            return Reason::Found;
        }
        match self.expected.named.get(&real(&whole())) {
            Some(named) => {
                named.met.store(true, Ordering::Relaxed);
                Reason::NamedAndFound
            }
            None => Reason::Found,
        }
    }

    /// Looks at what no walk has met.
    pub(in crate::check) fn left(&self) {
        let listed = self.expected.listed.lock();
        let listed = std::mem::take(&mut *listed.unwrap_or_else(PoisonError::into_inner));
        let named = self.expected.named.iter();
        let unmet = named.filter(|(_, named)| !named.met.load(Ordering::Relaxed));
        let mut left: Vec<_> = unmet
            .map(|(real_path, named)| Left {
                real_path,
                path: &named.path,
                by_index: named.by_index,
            })
            .collect();
        left.extend(
            listed
                .iter()
                .filter(|(real_path, _)| !self.expected.named.contains_key(*real_path))
                .map(|(real_path, path)| Left { real_path, path, by_index: true }),
        );
        left.retain(|file| self.owns_left(file));
        if self.options.follow && !left.is_empty() {
            // Links may have led a walk there, under other names.
            let met = self.logs();
            left.retain(|file| !met.contains(file.real_path));
        }
        left.par_chunks(AT_ONCE).for_each(|files| {
            self.with_local(|local| files.iter().for_each(|file| self.look_at_left(local, file)));
        });
    }

    fn owns_left(&self, file: &Left<'_>) -> bool {
        let is_walked = self.roots.covers(file.real_path);
        self.owns(if is_walked { file.real_path } else { file.path })
    }

    fn look_at_left(&self, local: &mut Local, file: &Left<'_>) {
        if self.cancelled.load(Ordering::Relaxed) {
            return;
        }
        let path = file.path;
        let at = FilePath::of(path);
        let directory = Arc::from(at.directory());
        match FileSource::open(path) {
            Ok(source) => {
                let content = source.file().map_or(&source as &dyn Content, |file| file);
                let opened = Opened::new(&directory, at.name(), content);
                self.look(local, &opened, Reason::Named);
            }
            // Servers purge logs while somebody looks.
            Err(error)
                if file.by_index
                    && error.is_not_found()
                    && matches!(listing::exists(path), Ok(false)) =>
            {
                let vanished = &mut local.collected.counts.vanished;
                *vanished = vanished.saturating_add(1);
            }
            Err(error) => self.out_of_reach(local, path, error),
        }
        self.advance(1);
    }

    /// What was named and cannot be opened: of a file that is a finding; an object that is not
    /// there, or whose store does not answer, was not checked.
    fn out_of_reach(&self, local: &mut Local, path: &Path, error: TransferError) {
        if location::is_url(path) {
            local.collected.failures.push(error.into());
        } else {
            self.unreadable(local, path, &error);
        }
    }
}
