//! From what a user names (files, directories, index files) to the files meant.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::listed::{self, IndexNotice, Place};
use super::shard::Shard;
use crate::event;
use crate::file::TransferError;
use crate::file::sink::directory_of;
use crate::file::source::FileSource;
use crate::file::{listing, location, tree};
use crate::log::error::Error;
use crate::log::refusal::Refusal;
use crate::mysql::header;

/// One file to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where it is.
    pub path: PathBuf,
    /// How it came to be looked at.
    pub origin: Origin,
    /// Its number among all files that the names stand for, those of other shards included.
    pub position: u64,
}

impl Target {
    /// Whether an error only says that a file which nobody named is not there any more. Servers
    /// purge logs, and write their indexes anew, while somebody looks.
    #[must_use]
    pub fn has_vanished(&self, error: &Error) -> bool {
        let is_gone = matches!(error, Error::Transfer(TransferError::File { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound);
        self.origin == Origin::Directory && is_gone && self.path.symlink_metadata().is_err()
    }
}

/// How a file came to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The user named it.
    Named,
    /// An index that the user named lists it. Where it lies says whether it is the index's own: of
    /// one that lies [elsewhere](Place::Elsewhere) nothing may be changed.
    Index(Place),
    /// It lies in a directory that the user named, at any depth.
    Directory,
}

/// What the user's names expand to.
#[derive(Debug, Default)]
pub struct Targets {
    /// The files, in the order of the names, and sorted within a directory.
    pub files: Vec<Target>,
    /// Names and directories that could not be read.
    pub failures: Vec<Error>,
    /// What is to be told of indexes that list logs in other directories than their own.
    pub notices: Vec<IndexNotice>,
    shard: Option<Shard>,
    seen: u64,
    /// Whether the files will be changed.
    to_change: bool,
}

impl Targets {
    /// Expands names. Symbolic links are followed where the user names them, and not within
    /// directories; anything there that is no regular file is left alone.
    #[must_use]
    pub fn expand(names: &[PathBuf]) -> Self {
        Self::expand_shard(names, None)
    }

    /// The same for files that will be changed. A copied index may list the logs of the server that
    /// it comes from, by their absolute paths: what an index lists outside of its own directory is a
    /// failure here, or stands for the file of that name beside the index, if there is one.
    #[must_use]
    pub fn expand_to_change(names: &[PathBuf]) -> Self {
        let mut targets = Self { to_change: true, ..Self::default() };
        targets.add_names(names);
        targets
    }

    /// The same, of which the files of one shard are kept. What cannot be read is told to all.
    #[must_use]
    pub fn expand_shard(names: &[PathBuf], shard: Option<Shard>) -> Self {
        let mut targets = Self { shard, ..Self::default() };
        targets.add_names(names);
        targets
    }

    fn add_names(&mut self, names: &[PathBuf]) {
        for name in names {
            let name = &*location::local(name);
            if location::is_url(name) && location::is_directory(name) {
                self.add_prefix(name);
            } else if name.is_dir() {
                self.add_directory(name);
            } else if names_index(name) {
                self.add_index(name);
            } else {
                self.add(name.to_owned(), Path::new(""), Origin::Named);
            }
        }
    }

    /// Adds a file that lies in `base`, if it belongs to the shard.
    fn add(&mut self, path: PathBuf, base: &Path, origin: Origin) {
        let position = self.seen;
        self.seen = self.seen.saturating_add(1);
        let name = path.strip_prefix(base).unwrap_or(&path);
        if self.shard.is_none_or(|shard| shard.has(name)) {
            self.files.push(Target { path, origin, position });
        }
    }

    fn add_directory(&mut self, directory: &Path) {
        let (files, failures) = tree::files(directory);
        for file in files {
            self.add(file, directory, Origin::Directory);
        }
        self.failures.extend(failures.into_iter().map(Error::from));
    }

    fn add_prefix(&mut self, url: &Path) {
        let base = location::base(url);
        let listed = listing::list(url, &mut |page| {
            page.into_iter().for_each(|entry| self.add(entry.path, &base, Origin::Directory));
            true
        });
        if let Err(error) = listed {
            self.failures.push(error.into());
        }
    }

    fn add_index(&mut self, index: &Path) {
        let directory = index.parent().unwrap_or(Path::new(""));
        match listed::read_index(index) {
            Ok(logs) => {
                let mut notices = listed::notices(index, &logs);
                // What lies elsewhere is refused, and not read there.
                notices.retain(|notice| !self.to_change || notice.place == Place::Beside);
                self.notices.append(&mut notices);
                for log in logs {
                    if self.to_change && !self.may_change(index, &log.path) {
                        continue;
                    }
                    self.add(log.path, directory, Origin::Index(log.place));
                }
            }
            Err(error) => self.failures.push(error.into()),
        }
    }

    /// Whether a log of an index may be worked on: it lies in or below the index's own directory, by
    /// whatever links. What is nowhere is told of when it is opened.
    fn may_change(&mut self, index: &Path, log: &Path) -> bool {
        let real = |path: &Path| directory_of(path).canonicalize().ok();
        let is_near = match (real(index), real(log)) {
            (Some(here), Some(there)) => there.starts_with(here),
            (None, _) | (_, None) => true,
        };
        if is_near || log.symlink_metadata().is_err() {
            return true;
        }
        let index = index.to_owned();
        self.failures.push(Error::refused(log, Refusal::Elsewhere { index }));
        false
    }
}

/// The same files, none twice whatever its names: one that is named and in an index or a directory,
/// too, counts as named.
pub fn each_once(files: Vec<Target>) -> Vec<Target> {
    let (named, found): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| file.origin == Origin::Named);
    let mut seen = HashSet::new();
    let is_first = |file: &Target| {
        // What is no file here is told by its name.
        let real = file.path.canonicalize();
        seen.insert(real.unwrap_or_else(|_| file.path.clone()))
    };
    named.into_iter().chain(found).filter(is_first).collect()
}

/// Whether a name is that of an index file, by its extension as the server gives it.
#[must_use]
pub fn is_index(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "index")
}

/// Whether a name leads to an index file: by its extension, unless a log begins there.
#[must_use]
pub fn names_index(path: &Path) -> bool {
    is_index(path) && !starts_a_log(path).unwrap_or(false)
}

fn starts_a_log(path: &Path) -> Result<bool, TransferError> {
    let mut magic = [0; 4];
    let read = FileSource::open(path)?.read_at(0, &mut magic)?;
    let is_whole = read == magic.len();
    Ok(is_whole && (magic == event::MAGIC || magic == header::MAGIC))
}

/// The name of the log that a file has: its own, or that of a compressed copy (`binlog.000003.gz`)
/// without what the program that compressed it put behind it.
#[must_use]
pub fn name_of_log(path: &Path) -> PathBuf {
    const OF_PROGRAMS: [&str; 7] = ["gz", "zst", "zstd", "xz", "bz2", "bzip2", "lz4"];
    let name = Path::new(path.file_name().unwrap_or_default());
    let is_known =
        |it: &std::ffi::OsStr| OF_PROGRAMS.iter().any(|known| it.eq_ignore_ascii_case(known));
    let inner = name.file_stem().map(Path::new).filter(|stem| has_log_extension(stem));
    match inner.filter(|_| name.extension().is_some_and(is_known)) {
        Some(inner) => inner.to_owned(),
        None => name.to_owned(),
    }
}

/// Whether the extension is a sequence number as servers write it: six digits or more. Logs of the
/// storage engine Aria, `aria_log.00000001`, are others.
#[must_use]
pub fn has_log_extension(path: &Path) -> bool {
    /// Digits that Aria writes, always.
    const OF_ARIA: usize = 8;
    let stem = path.file_stem().unwrap_or_default();
    let is_named_as_aria = stem.as_encoded_bytes().ends_with(b"aria_log");
    path.extension().is_some_and(|extension| {
        let digits = extension.as_encoded_bytes();
        let is_aria = is_named_as_aria && digits.len() == OF_ARIA;
        digits.len() >= 6 && digits.iter().all(u8::is_ascii_digit) && !is_aria
    })
}
