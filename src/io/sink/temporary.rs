//! Temporaries: without a name where that can be, and with one that is removed on every way out.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{File, Metadata, TryLockError};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use tempfile::{Builder, TempPath};

use super::{PRIVATE, SinkOptions, directory_of, not_named};
use crate::io::TransferError;

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

/// The prefix and six letters or digits, as `tempfile` makes them.
fn is_temporary_name(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.strip_prefix(TEMPORARY_PREFIX.as_bytes())
        .is_some_and(|rest| rest.len() == 6 && rest.iter().all(u8::is_ascii_alphanumeric))
}

/// Whether a regular file, reached without following links, has nobody's lock.
fn is_abandoned(path: &Path) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(CWD, path, flags, Mode::empty());
    let Ok(descriptor) = retry_on_intr(open) else {
        return false;
    };
    let file = File::from(descriptor);
    file.metadata().is_ok_and(|metadata| metadata.is_file()) && file.try_lock().is_ok()
}

/// A temporary that has a name, and so has to be removed.
#[derive(Debug)]
pub(super) struct NamedTemporary(Option<TempPath>);

/// Those that a signal would leave behind. Whoever makes one or names one holds the lock meanwhile:
/// so there is none on the disk that is not listed.
static NAMED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn named() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    NAMED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As long as this is held, no temporary gets a name, and none becomes an output: who tries, waits.
#[derive(Debug)]
pub struct Removed {
    _none: MutexGuard<'static, BTreeSet<PathBuf>>,
}

/// Removes every temporary of this process; for the moment before a signal ends it, up to which the
/// result is to be held.
#[must_use]
pub fn remove_temporaries() -> Removed {
    let mut named = named();
    for path in std::mem::take(&mut *named) {
        let _ = std::fs::remove_file(path);
    }
    Removed { _none: named }
}

impl NamedTemporary {
    /// Makes a temporary that is listed from its first moment on.
    fn make<T>(
        directory: &Path,
        make: impl Fn(&Path) -> std::io::Result<T>,
    ) -> std::io::Result<(T, Self)> {
        let listed = |path: &Path| {
            let mut named = named();
            let made = make(path)?;
            named.insert(path.to_owned());
            Ok(made)
        };
        let (made, path) = Builder::new()
            .prefix(TEMPORARY_PREFIX)
            .make_in(directory, listed)?
            .into_parts();
        Ok((made, Self(Some(path))))
    }

    /// Renames to the target; if that fails the temporary is removed.
    pub(super) fn persist(
        mut self,
        target: &Path,
        options: SinkOptions,
    ) -> Result<(), TransferError> {
        let Some(path) = self.0.take() else {
            return Ok(());
        };
        let mut named = named();
        let listed = path.to_path_buf();
        let renamed = if options.force {
            path.persist(target)
        } else {
            path.persist_noclobber(target)
        };
        // One that could not be renamed is removed with the error.
        let renamed = renamed.map_err(|failed| failed.error);
        named.remove(&listed);
        renamed.map_err(|error| not_named(target, error))
    }
}

impl Drop for NamedTemporary {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            let mut named = named();
            named.remove(&*path);
            drop(path);
        }
    }
}

/// A hidden file in the directory, which is claimed.
pub(super) fn create_named(directory: &Path) -> Result<(File, NamedTemporary), TransferError> {
    let create = |path: &Path| {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(PRIVATE)
            .open(path)?;
        // Before it was claimed, another process may have taken it for a leftover.
        let is_gone = |metadata: Metadata| metadata.nlink() == 0;
        if !claim(&file) || file.metadata().is_ok_and(is_gone) {
            let _ = std::fs::remove_file(path);
            return Err(std::io::ErrorKind::AlreadyExists.into());
        }
        Ok(file)
    };
    NamedTemporary::make(directory, create)
        .map_err(TransferError::at(directory, "create a temporary file in"))
}

/// A file without a name in the directory; `None` where file system or kernel have none, or where
/// it could not be given its name later.
pub(super) fn open_unnamed(directory: &Path) -> std::io::Result<Option<File>> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    match retry_on_intr(|| rustix::fs::openat(CWD, directory, flags, mode)) {
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

pub(super) fn link(file: &File, path: &Path) -> std::io::Result<()> {
    let descriptor = descriptor_path(file);
    Ok(rustix::fs::linkat(
        CWD,
        &descriptor,
        CWD,
        path,
        AtFlags::SYMLINK_FOLLOW,
    )?)
}

/// A link cannot replace, a rename can: so to replace a file, the unnamed one is given a temporary
/// name first.
pub(super) fn link_under_temporary_name(
    file: &File,
    target: &Path,
) -> Result<NamedTemporary, TransferError> {
    let linked = NamedTemporary::make(directory_of(target), |path| link(file, path));
    let ((), name) = linked.map_err(TransferError::at(target, "name"))?;
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
        let named = || {
            let (_, name) = create_named(directory.path()).unwrap();
            name
        };
        let refused = named()
            .persist(&target, SinkOptions::default())
            .unwrap_err();
        assert!(matches!(refused, TransferError::Exists { .. }));
        drop(named());
        assert_eq!(entries(directory.path()), ["out"]);
        named()
            .persist(
                &target,
                SinkOptions {
                    force: true,
                    sync: false,
                    ..SinkOptions::default()
                },
            )
            .unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"");
        assert!(
            NAMED
                .lock()
                .unwrap()
                .iter()
                .all(|path| !path.starts_with(directory.path()))
        );
    }

    #[test]
    fn only_what_nobody_works_on_is_a_leftover() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        for name in [
            ".binlogsec-aB3dE9",
            ".binlogsec-abcdefg",
            ".binlogsec-rekey-x",
            "aB3dE9",
        ] {
            std::fs::write(at.join(name), b"x").unwrap();
        }
        let (worked_on, _name) = create_named(at).unwrap();
        claim(&worked_on);
        std::os::unix::fs::symlink("aB3dE9", at.join(".binlogsec-link99")).unwrap();
        let leftover = [at.join(".binlogsec-aB3dE9")];
        assert_eq!(remove_leftovers(at, true).unwrap(), leftover);
        assert_eq!(remove_leftovers(at, false).unwrap(), leftover);
        assert_eq!(entries(at).len(), 5);
        assert!(remove_leftovers(at, false).unwrap().is_empty());
    }
}
