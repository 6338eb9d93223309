//! Temporaries: without a name where that can be, and with one that is removed on every way out.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, TryLockError};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, linkat, openat, renameat, renameat_with, unlinkat,
};
use rustix::io::{Errno, retry_on_intr};

use super::place::Place;
use super::{PRIVATE, SinkOptions, directory_of, not_named};
use crate::file::TransferError;

/// What the names of temporaries start with.
pub const TEMPORARY_PREFIX: &str = ".binlogsec-";

/// Says to other processes that somebody works on a temporary; `false` if another one has it. The
/// lock ends with the process, however it ends. A file system without locks has none to leave.
pub(super) fn claim(file: &File) -> bool {
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// Removes what processes that were killed have left in a directory: temporaries that nobody works
/// on any more. Returns their paths. With `dry_run` they are found and stay.
///
/// # Errors
/// [`TransferError::File`] when the directory cannot be listed.
pub fn remove_leftovers(directory: &Path, dry_run: bool) -> Result<Vec<PathBuf>, TransferError> {
    let list = TransferError::at(directory, "list");
    let mut removed = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(&list)? {
        let entry = entry.map_err(&list)?;
        let path = entry.path();
        let is_temporary = is_temporary_name(&entry.file_name());
        if is_temporary && is_abandoned(&path) && (dry_run || std::fs::remove_file(&path).is_ok()) {
            removed.push(path);
        }
    }
    removed.sort();
    Ok(removed)
}

/// The prefix and six letters or digits, as [`temporary_name`] makes them.
fn is_temporary_name(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.strip_prefix(TEMPORARY_PREFIX.as_bytes())
        .is_some_and(|rest| rest.len() == 6 && rest.iter().all(u8::is_ascii_alphanumeric))
}

/// Whether a regular file, reached without following links, has nobody's lock.
fn is_abandoned(path: &Path) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let open = || openat(CWD, path, flags, Mode::empty());
    let Ok(descriptor) = retry_on_intr(open) else {
        return false;
    };
    let file = File::from(descriptor);
    file.metadata().is_ok_and(|metadata| metadata.is_file()) && file.try_lock().is_ok()
}

/// A temporary that has a name, and so has to be removed.
#[derive(Debug)]
pub(super) struct NamedTemporary {
    directory: Arc<OwnedFd>,
    /// Its name in the directory; `None` once it is the output's.
    name: Option<OsString>,
}

/// By the number of the directory's descriptor and by name.
type Named = BTreeMap<(RawFd, OsString), Arc<OwnedFd>>;

/// Those that a signal would leave behind. Whoever makes one or names one holds the lock meanwhile:
/// so there is none on the disk that is not listed.
static NAMED: Mutex<Named> = Mutex::new(BTreeMap::new());

/// Held for reading while a file is being replaced in two steps, which a signal lets come to an end.
static REPLACING: RwLock<()> = RwLock::new(());

fn named() -> MutexGuard<'static, Named> {
    NAMED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For as long as this is held, no signal ends the process.
pub(super) fn no_end() -> RwLockReadGuard<'static, ()> {
    REPLACING.read().unwrap_or_else(PoisonError::into_inner)
}

/// As long as this is held, no temporary gets a name, and none becomes an output: who tries, waits.
#[derive(Debug)]
pub struct Removed {
    _none: MutexGuard<'static, Named>,
    _no_replacement: RwLockWriteGuard<'static, ()>,
}

/// Removes every temporary of this process; for the moment before a signal ends it, up to which the
/// result is to be held. Waits for the end of replacements that are half done.
#[must_use]
pub fn remove_temporaries() -> Removed {
    let no_replacement = REPLACING.write().unwrap_or_else(PoisonError::into_inner);
    let mut named = named();
    for ((_, name), directory) in std::mem::take(&mut *named) {
        let _ = unlinkat(&*directory, &name, AtFlags::empty());
    }
    Removed { _none: named, _no_replacement: no_replacement }
}

impl NamedTemporary {
    /// Makes a temporary that is listed from its first moment on.
    fn make<T>(
        directory: &Arc<OwnedFd>,
        make: impl Fn(&OsStr) -> std::io::Result<T>,
    ) -> std::io::Result<(T, Self)> {
        const ATTEMPTS: usize = 100;
        for _ in 0..ATTEMPTS {
            let name = temporary_name()?;
            let mut named = named();
            match make(&name) {
                Ok(made) => {
                    let key = (directory.as_raw_fd(), name.clone());
                    named.insert(key, Arc::clone(directory));
                    let temporary = Self { directory: Arc::clone(directory), name: Some(name) };
                    return Ok((made, temporary));
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(std::io::ErrorKind::AlreadyExists.into())
    }

    /// Renames to the target; if that fails the temporary is removed.
    pub(super) fn persist(
        mut self,
        place: &Place,
        options: SinkOptions,
    ) -> Result<(), TransferError> {
        let Some(name) = self.name.take() else {
            return Ok(());
        };
        let mut named = named();
        let renamed = if options.force {
            renameat(&*self.directory, &name, &*place.directory, &place.name)
        } else {
            rename_to_nothing(&self.directory, &name, place)
        };
        if renamed.is_err() {
            let _ = unlinkat(&*self.directory, &name, AtFlags::empty());
        }
        named.remove(&(self.directory.as_raw_fd(), name));
        drop(named);
        renamed.map_err(|error| not_named(&place.path, error.into()))
    }
}

/// Renames to a name that nobody has.
fn rename_to_nothing(directory: &OwnedFd, name: &OsStr, place: &Place) -> Result<(), Errno> {
    let flags = RenameFlags::NOREPLACE;
    match renameat_with(directory, name, &*place.directory, &place.name, flags) {
        // File systems and kernels without the flag: a link replaces nothing either.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            let flags = AtFlags::empty();
            linkat(directory, name, &*place.directory, &place.name, flags)?;
            unlinkat(directory, name, flags)
        }
        result => result,
    }
}

impl Drop for NamedTemporary {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            let mut named = named();
            let _ = unlinkat(&*self.directory, &name, AtFlags::empty());
            named.remove(&(self.directory.as_raw_fd(), name));
        }
    }
}

/// A name that nobody guesses: the prefix and six letters or digits.
fn temporary_name() -> std::io::Result<OsString> {
    const SIGNS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut random = [0; 6];
    getrandom::fill(&mut random).map_err(|error| std::io::Error::other(error.to_string()))?;
    let place = |byte: u8| usize::from(byte).checked_rem(SIGNS.len());
    let sign = |byte| SIGNS.get(place(byte)?).copied();
    let signs = random.into_iter().filter_map(sign).map(char::from);
    let name: String = TEMPORARY_PREFIX.chars().chain(signs).collect();
    Ok(name.into())
}

/// A hidden file in the directory, which is claimed.
pub(super) fn create_named(place: &Place) -> Result<(File, NamedTemporary), TransferError> {
    let create = |name: &OsStr| {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(PRIVATE);
        let open = || openat(&*place.directory, name, flags, mode);
        let file = File::from(retry_on_intr(open)?);
        // Before it was claimed, another process may have taken it for a leftover.
        let is_gone = |metadata: Metadata| metadata.nlink() == 0;
        if !claim(&file) || file.metadata().is_ok_and(is_gone) {
            let _ = unlinkat(&*place.directory, name, AtFlags::empty());
            return Err(std::io::ErrorKind::AlreadyExists.into());
        }
        Ok(file)
    };
    let shown = directory_of(&place.path);
    NamedTemporary::make(&place.directory, create)
        .map_err(TransferError::at(shown, "create a temporary file in"))
}

/// A file without a name in the directory; `None` where file system or kernel have none, or where
/// it could not be given its name later.
pub(super) fn open_unnamed(directory: &OwnedFd) -> std::io::Result<Option<File>> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    match retry_on_intr(|| openat(directory, ".", flags, mode)) {
        Ok(descriptor) => {
            let file = File::from(descriptor);
            Ok(can_be_linked(&file).then_some(file))
        }
        // How kernels without the flag answer: as if the directory were to be written.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the system shows descriptors as paths. It is asked once: thousands of small outputs
/// would feel it.
fn can_be_linked(file: &File) -> bool {
    static SHOWN: OnceLock<bool> = OnceLock::new();
    *SHOWN.get_or_init(|| descriptor_path(file).symlink_metadata().is_ok())
}

fn descriptor_path(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Gives an unnamed file a name in a directory.
pub(super) fn link(file: &File, directory: &OwnedFd, name: &OsStr) -> std::io::Result<()> {
    let descriptor = descriptor_path(file);
    let flags = AtFlags::SYMLINK_FOLLOW;
    Ok(linkat(CWD, &descriptor, directory, name, flags)?)
}

/// A link cannot replace, a rename can: so to replace a file, the unnamed one is given a temporary
/// name first.
pub(super) fn link_under_temporary_name(
    file: &File,
    place: &Place,
) -> Result<NamedTemporary, TransferError> {
    let make = |name: &OsStr| link(file, &place.directory, name);
    let linked = NamedTemporary::make(&place.directory, make);
    let ((), name) = linked.map_err(TransferError::at(&place.path, "name"))?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::super::tests::entries;
    use super::*;

    #[test]
    fn a_named_temporary_behaves_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("out");
        std::fs::write(&target, b"theirs").unwrap();
        let force = SinkOptions { force: true, ..SinkOptions::default() };
        let place = Place::open(&target, force).unwrap();
        let named = || create_named(&place).unwrap().1;
        let refused = named().persist(&place, SinkOptions::default()).unwrap_err();
        assert!(matches!(refused, TransferError::Exists { .. }));
        drop(named());
        assert_eq!(entries(directory.path()), ["out"]);
        named().persist(&place, force).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"");
        let is_here = |key: &(RawFd, OsString)| key.0 == place.directory.as_raw_fd();
        assert!(!NAMED.lock().unwrap().keys().any(is_here));
    }

    #[test]
    fn only_what_nobody_works_on_is_a_leftover() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        for name in [".binlogsec-aB3dE9", ".binlogsec-abcdefg", ".binlogsec-rekey-x", "aB3dE9"] {
            std::fs::write(at.join(name), b"x").unwrap();
        }
        let place = Place::open(&at.join("out"), SinkOptions::default()).unwrap();
        let (worked_on, _name) = create_named(&place).unwrap();
        claim(&worked_on);
        std::os::unix::fs::symlink("aB3dE9", at.join(".binlogsec-link99")).unwrap();
        let leftover = [at.join(".binlogsec-aB3dE9")];
        assert_eq!(remove_leftovers(at, true).unwrap(), leftover);
        assert_eq!(remove_leftovers(at, false).unwrap(), leftover);
        assert_eq!(entries(at).len(), 5);
        assert!(remove_leftovers(at, false).unwrap().is_empty());
    }
}
