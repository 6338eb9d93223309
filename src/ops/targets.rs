//! From what a user names (files, directories, index files) to the files meant.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::shard::Shard;
use crate::error::{Error, Refusal};
use crate::event;
use crate::io::TransferError;
use crate::io::sink::directory_of;
use crate::io::source::FileSource;
use crate::io::{listing, location};
use crate::log::{header, index};

/// An index of more bytes is none: it would list millions of logs.
const LARGEST_INDEX: u64 = 256 << 20;

/// `PATH_MAX`.
const LONGEST_PATH: usize = 4096;

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
    /// An index that the user named lists it.
    Index,
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
    /// What the user should know: files that were taken in place of others.
    pub notes: Vec<String>,
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
        let mut targets = Self {
            to_change: true,
            ..Self::default()
        };
        targets.add_names(names);
        targets
    }

    /// The same, of which the files of one shard are kept. What cannot be read is told to all.
    #[must_use]
    pub fn expand_shard(names: &[PathBuf], shard: Option<Shard>) -> Self {
        let mut targets = Self {
            shard,
            ..Self::default()
        };
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
            self.files.push(Target {
                path,
                origin,
                position,
            });
        }
    }

    fn add_directory(&mut self, directory: &Path) {
        for entry in walkdir::WalkDir::new(directory).sort_by_file_name() {
            match entry {
                Ok(entry) if entry.file_type().is_file() => {
                    self.add(entry.into_path(), directory, Origin::Directory);
                }
                Ok(_) => {}
                // A directory below, removed since its parent was listed.
                Err(error) if error.depth() > 0 && is_not_found(&error) => {}
                Err(error) => {
                    let path = error.path().unwrap_or(directory).to_owned();
                    let failure = TransferError::at(&path, "list")(error.into());
                    self.failures.push(failure.into());
                }
            }
        }
    }

    fn add_prefix(&mut self, url: &Path) {
        let base = location::base(url);
        let listed = listing::list(url, &mut |page| {
            page.into_iter()
                .for_each(|entry| self.add(entry.path, &base, Origin::Directory));
            true
        });
        if let Err(error) = listed {
            self.failures.push(error.into());
        }
    }

    fn add_index(&mut self, index: &Path) {
        let directory = index.parent().unwrap_or(Path::new(""));
        match read_index(index) {
            Ok(logs) => logs.into_iter().for_each(|log| {
                if let Some(log) = self.near(index, log) {
                    self.add(log, directory, Origin::Index);
                }
            }),
            Err(error) => self.failures.push(error.into()),
        }
    }

    /// The log that an index lists, or the one beside the index that stands for it, if it may be
    /// worked on.
    fn near(&mut self, index: &Path, log: PathBuf) -> Option<PathBuf> {
        let real = |path: &Path| directory_of(path).canonicalize().ok();
        let is_near = match (real(index), real(&log)) {
            (Some(here), Some(there)) => there.starts_with(here),
            // What is nowhere is told of when it is opened.
            (_, None) => !log.is_absolute(),
            (None, _) => true,
        };
        if !self.to_change || is_near {
            return Some(log);
        }
        let beside = directory_of(index).join(log.file_name()?);
        if beside.symlink_metadata().is_ok() {
            self.notes.push(format!(
                "{} lists {}, which lies elsewhere and is left alone: the file beside the index is taken",
                index.display(),
                log.display()
            ));
            return Some(beside);
        }
        if log.symlink_metadata().is_err() {
            return Some(log);
        }
        let index = index.to_owned();
        self.failures
            .push(Error::refused(&log, Refusal::Elsewhere { index }));
        None
    }
}

/// The same files, none twice whatever its names: one that is named and in an index or a directory,
/// too, counts as named.
pub(super) fn each_once(files: Vec<Target>) -> Vec<Target> {
    let (named, found): (Vec<_>, Vec<_>) = files
        .into_iter()
        .partition(|file| file.origin == Origin::Named);
    let mut seen = HashSet::new();
    let is_first = |file: &Target| {
        // What is no file here is told by its name.
        let real = file.path.canonicalize();
        seen.insert(real.unwrap_or_else(|_| file.path.clone()))
    };
    named.into_iter().chain(found).filter(is_first).collect()
}

fn is_not_found(error: &walkdir::Error) -> bool {
    error
        .io_error()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// Whether a name is that of an index file, by its extension as the server gives it.
#[must_use]
pub fn is_index(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "index")
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

/// Whether the extension is a sequence number as servers write it: six digits or more.
#[must_use]
pub fn has_log_extension(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        let digits = extension.as_encoded_bytes();
        digits.len() >= 6 && digits.iter().all(u8::is_ascii_digit)
    })
}

/// The logs that an index lists; relative ones are taken from the index's own directory.
///
/// # Errors
/// [`TransferError`] when the index cannot be read, or is none: too large, with zero bytes, or with
/// a line that is no path. Nothing of its content is in the error.
pub fn read_index(index: &Path) -> Result<Vec<PathBuf>, TransferError> {
    let source = FileSource::open(index)?;
    let too_large = || std::io::Error::from(std::io::ErrorKind::FileTooLarge);
    let length = usize::try_from(source.length().min(LARGEST_INDEX)).unwrap_or(usize::MAX);
    if source.length() > LARGEST_INDEX {
        return Err(TransferError::at(index, "read the index")(too_large()));
    }
    let mut content = vec![0; length];
    let read = source.read_at(0, &mut content)?;
    content.truncate(read);
    if let Some(why) = why_no_index(&content) {
        let error = std::io::Error::new(std::io::ErrorKind::InvalidData, why);
        return Err(TransferError::at(index, "read the index")(error));
    }
    let directory = index.parent().unwrap_or(Path::new(""));
    Ok(index::entries(&content)
        .map(|entry| {
            let entry = Path::new(OsStr::from_bytes(entry));
            directory.join(entry.strip_prefix("./").unwrap_or(entry))
        })
        .collect())
}

/// The last log that an index lists, which its server writes; read anew, and no more of the index
/// than its end. `None` when it cannot be read, or lists nothing.
pub(super) fn last_entry(index: &Path) -> Option<PathBuf> {
    const END: u64 = 2 * LONGEST_PATH as u64;
    let source = FileSource::glance(index).ok()?;
    let mut end = vec![0; usize::try_from(END).ok()?];
    let from = source.length().saturating_sub(END);
    let read = source.read_at(from, &mut end).ok()?;
    end.truncate(read);
    let entry = index::entries(&end).last()?;
    let entry = Path::new(OsStr::from_bytes(entry));
    Some(directory_of(index).join(entry.strip_prefix("./").unwrap_or(entry)))
}

fn why_no_index(content: &[u8]) -> Option<&'static str> {
    if content.contains(&0) {
        Some("it is no index: it has zero bytes, which no path has")
    } else if index::entries(content).any(|entry| entry.len() > LONGEST_PATH) {
        Some("it is no index: it has a line that is longer than any path")
    } else {
        None
    }
}
