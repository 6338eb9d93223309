//! Walks directory trees on all threads, in memory that does not grow with the number of files.
//!
//! Names are handed out in batches, so that one directory of a million files keeps every thread
//! busy. Files are opened relative to their directory and without following links: whoever may
//! write in the tree cannot lead the reader out of it.

use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, fstat, openat, statat};
use rustix::io::{Errno, retry_on_intr};

use super::TransferError;

/// Names in a batch: enough that handing it over does not show beside opening its files.
const BATCH_NAMES: usize = 256;
/// Batches that may wait for a thread, for each thread. Beyond that the reader of a directory works
/// on them itself.
const WAITING_BATCHES: usize = 4;
/// As large as the C library's, for the same number of system calls.
const DIRECTORY_BUFFER: usize = 32 << 10;

/// How a tree is walked.
#[derive(Debug, Clone, Copy, Default)]
pub struct WalkOptions {
    /// Follow symbolic links, out of the tree as well.
    pub follow: bool,
}

/// Is shown what is in a tree, from several threads.
pub trait Visitor: Sync {
    /// Whether to go into a directory below the root.
    fn enters(&self, _path: &Path) -> bool {
        true
    }
    /// Files of one directory. May be called several times for the same one.
    fn files(&self, batch: &Batch);
    /// A symbolic link that was not followed.
    fn link(&self, path: &Path);
    /// A device, pipe or socket. None is opened.
    fn special(&self, path: &Path);
    /// A directory that could not be listed.
    fn failed(&self, path: &Path, error: TransferError);
}

/// A directory that is open.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: Arc<Path>,
    open_flags: OFlags,
}

impl Directory {
    /// Where it is.
    #[must_use]
    pub const fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Opens a file in it. Never waits, whatever the name has become meanwhile.
    ///
    /// # Errors
    /// What the operating system answers; `ELOOP` when the name has become a link.
    pub fn open(&self, name: &CStr) -> std::io::Result<File> {
        let open = || openat(&self.fd, name, self.open_flags, Mode::empty());
        Ok(retry_on_intr(open)?.into())
    }
}

/// Names of files in one directory.
#[derive(Debug)]
pub struct Batch {
    directory: Arc<Directory>,
    /// Each with its zero byte: no allocation of its own for any of them.
    names: Vec<u8>,
    count: usize,
}

impl Batch {
    fn new(directory: &Arc<Directory>) -> Self {
        Self { directory: Arc::clone(directory), names: Vec::new(), count: 0 }
    }

    fn add(&mut self, name: &CStr) {
        self.names.extend_from_slice(name.to_bytes_with_nul());
        self.count = self.count.saturating_add(1);
    }

    /// Where the files are.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &CStr> {
        self.names
            .split_inclusive(|&byte| byte == 0)
            .filter_map(|name| CStr::from_bytes_with_nul(name).ok())
    }
}

/// Walks trees with the threads of the current rayon pool; returns when all is visited.
///
/// A root that is a link is followed: the user named it.
pub fn walk(roots: &[PathBuf], options: WalkOptions, visitor: &dyn Visitor) {
    let walker = Walker {
        options,
        visitor,
        waiting: AtomicUsize::new(0),
        most_waiting: rayon::current_num_threads().saturating_mul(WAITING_BATCHES),
        entered: Mutex::default(),
    };
    rayon::scope(|scope| {
        for root in roots {
            let walker = &walker;
            scope.spawn(move |scope| walker.directory(scope, &Arc::from(root.as_path()), true));
        }
    });
}

/// The regular files below a directory, sorted by their paths, name by name, and what could not be
/// listed. Links are not followed.
#[must_use]
pub fn files(root: &Path) -> (Vec<PathBuf>, Vec<TransferError>) {
    let found = Found::default();
    walk(&[root.to_owned()], WalkOptions::default(), &found);
    let mut files = found.files.into_inner().unwrap_or_else(PoisonError::into_inner);
    files.sort_unstable();
    (files, found.failures.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// What [`files`] gathers.
#[derive(Default)]
struct Found {
    files: Mutex<Vec<PathBuf>>,
    failures: Mutex<Vec<TransferError>>,
}

impl Visitor for Found {
    fn files(&self, batch: &Batch) {
        let directory = batch.directory().path();
        let paths = batch.names().map(|name| directory.join(OsStr::from_bytes(name.to_bytes())));
        self.files.lock().unwrap_or_else(PoisonError::into_inner).extend(paths);
    }

    fn link(&self, _path: &Path) {}

    fn special(&self, _path: &Path) {}

    fn failed(&self, _path: &Path, error: TransferError) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(error);
    }
}

struct Walker<'a> {
    options: WalkOptions,
    visitor: &'a dyn Visitor,
    waiting: AtomicUsize,
    most_waiting: usize,
    /// Device and inode of every directory, where links could lead to one again.
    entered: Mutex<HashSet<(u64, u64)>>,
}

impl<'a> Walker<'a> {
    fn directory<'s>(&'s self, scope: &rayon::Scope<'s>, path: &Arc<Path>, is_root: bool) {
        let directory = match self.open(path, is_root) {
            Ok(Some(directory)) => Arc::new(directory),
            Ok(None) => return,
            // Removed since its parent was listed.
            Err(Errno::NOENT) if !is_root => return,
            Err(error) => return self.fail(path, error),
        };
        let mut buffer = Vec::with_capacity(DIRECTORY_BUFFER);
        let mut entries = RawDir::new(&directory.fd, buffer.spare_capacity_mut());
        let mut batch = Batch::new(&directory);
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(Errno::NOENT) => break,
                Err(error) => {
                    self.fail(path, error);
                    break;
                }
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.entry(scope, &directory, name, entry.file_type(), &mut batch);
            if batch.count >= BATCH_NAMES {
                self.hand_over(scope, std::mem::replace(&mut batch, Batch::new(&directory)));
            }
        }
        self.hand_over(scope, batch);
    }

    /// Opens a directory; `None` when it was entered before.
    fn open(&self, path: &Arc<Path>, is_root: bool) -> Result<Option<Directory>, Errno> {
        let links = if is_root || self.options.follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | links;
        let fd = retry_on_intr(|| openat(CWD, &**path, flags, Mode::empty()))?;
        if self.options.follow {
            let status = fstat(&fd)?;
            let mut entered = self.entered.lock().unwrap_or_else(PoisonError::into_inner);
            if !entered.insert((status.st_dev, status.st_ino)) {
                return Ok(None);
            }
        }
        let links = if self.options.follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        Ok(Some(Directory {
            fd,
            path: Arc::clone(path),
            open_flags: OFlags::RDONLY
                | OFlags::NONBLOCK
                | OFlags::NOCTTY
                | OFlags::CLOEXEC
                | links,
        }))
    }

    fn entry<'s>(
        &'s self,
        scope: &rayon::Scope<'s>,
        directory: &Directory,
        name: &CStr,
        file_type: FileType,
        batch: &mut Batch,
    ) {
        let path = || directory.path.join(OsStr::from_bytes(name.to_bytes()));
        match self.resolve(directory, name, file_type) {
            Ok(FileType::RegularFile) => batch.add(name),
            Ok(FileType::Directory) => {
                let path = path();
                if self.visitor.enters(&path) {
                    let path = Arc::from(path);
                    scope.spawn(move |scope| self.directory(scope, &path, false));
                }
            }
            Ok(FileType::Symlink) => self.visitor.link(&path()),
            Ok(_) => self.visitor.special(&path()),
            Err(Errno::NOENT) => {}
            Err(error) => self.fail(&path(), error),
        }
    }

    /// What an entry is, where the directory does not say, and what a link leads to.
    fn resolve(
        &self,
        directory: &Directory,
        name: &CStr,
        file_type: FileType,
    ) -> Result<FileType, Errno> {
        let kind = |flags| {
            statat(&directory.fd, name, flags).map(|status| FileType::from_raw_mode(status.st_mode))
        };
        let own = match file_type {
            FileType::Unknown => kind(AtFlags::SYMLINK_NOFOLLOW)?,
            known => known,
        };
        if own == FileType::Symlink && self.options.follow {
            kind(AtFlags::empty())
        } else {
            Ok(own)
        }
    }

    fn hand_over<'s>(&'s self, scope: &rayon::Scope<'s>, batch: Batch) {
        if batch.count == 0 {
            return;
        }
        if self.waiting.load(Ordering::Relaxed) >= self.most_waiting {
            return self.visitor.files(&batch);
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        scope.spawn(move |_| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.visitor.files(&batch);
        });
    }

    fn fail(&self, path: &Path, error: Errno) {
        self.visitor.failed(path, TransferError::at(path, "list")(error.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[derive(Default)]
    struct Seen(Mutex<Vec<String>>);

    impl Seen {
        fn note(&self, what: &str, path: &Path) {
            let name = path.file_name().unwrap().to_string_lossy();
            self.0.lock().unwrap().push(format!("{what} {name}"));
        }

        fn sorted(self) -> Vec<String> {
            let mut seen = self.0.into_inner().unwrap();
            seen.sort();
            seen
        }
    }

    impl Visitor for Seen {
        fn files(&self, batch: &Batch) {
            assert_eq!(batch.names().count(), batch.count());
            for name in batch.names() {
                assert!(batch.directory().open(name).is_ok());
                self.note("file", Path::new(OsStr::from_bytes(name.to_bytes())));
            }
        }
        fn link(&self, path: &Path) {
            self.note("link", path);
        }
        fn special(&self, path: &Path) {
            self.note("special", path);
        }
        fn failed(&self, path: &Path, _: TransferError) {
            self.note("failed", path);
        }
    }

    fn tree() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/one"), "1").unwrap();
        symlink("..", root.join("a/b/up")).unwrap();
        symlink("up", root.join("a/self")).unwrap();
        symlink("/dev/null", root.join("null")).unwrap();
        directory
    }

    #[test]
    fn links_are_shown_and_not_followed() {
        let (directory, seen) = (tree(), Seen::default());
        walk(&[directory.path().to_owned()], WalkOptions::default(), &seen);
        assert_eq!(seen.sorted(), ["file one", "link null", "link self", "link up"]);
    }

    #[test]
    fn followed_links_that_lead_round_end() {
        let (directory, seen) = (tree(), Seen::default());
        symlink("self", directory.path().join("a/self2")).unwrap();
        symlink("circle", directory.path().join("circle")).unwrap();
        walk(&[directory.path().to_owned()], WalkOptions { follow: true }, &seen);
        assert_eq!(seen.sorted(), ["failed circle", "file one", "special null"]);
    }

    #[test]
    fn every_file_of_a_large_directory_is_seen_once() {
        let (directory, seen) = (tempfile::tempdir().unwrap(), Seen::default());
        for number in 0..3000 {
            std::fs::write(directory.path().join(format!("{number:05}")), "").unwrap();
        }
        walk(&[directory.path().to_owned()], WalkOptions::default(), &seen);
        let seen = seen.sorted();
        assert_eq!(seen.len(), 3000);
        assert!(seen.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_root_that_is_not_there_is_said() {
        let seen = Seen::default();
        walk(&["/nowhere".into()], WalkOptions::default(), &seen);
        assert_eq!(seen.sorted(), ["failed nowhere"]);
    }
}
