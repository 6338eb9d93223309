//! A file's owner, mode, times and extended attributes, for a copy that takes its place.

use std::fs::{File, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Gid, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::TransferError;

/// The largest list of attribute names, and the largest value, that Linux has
/// (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const LARGEST_ATTRIBUTE: usize = 65_536;

/// Which file a path meant at one moment, and in what state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileState {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileState {
    /// Whether it is the same file with the same content, as far as size and time of writing tell.
    /// Its names may be others.
    #[must_use]
    pub fn has_same_content(&self, other: &Self) -> bool {
        let content = |state: &Self| (state.device, state.inode, state.size, state.modified);
        content(self) == content(other)
    }

    /// From what the system says of a file.
    #[must_use]
    pub fn new(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Gives `copy` the owner, group, mode, extended attributes (access control lists and security
/// labels are among them) and times of `original`. `path` is what messages call it.
///
/// # Errors
/// [`TransferError::File`] for the first that cannot be kept: only root can give files away.
pub(crate) fn keep(original: &File, copy: &File, path: &Path) -> Result<(), TransferError> {
    let examine = TransferError::at(path, "examine");
    let metadata = original.metadata().map_err(&examine)?;
    keep_owner(&metadata, copy, path)?;
    // After the owner, whose change clears some bits.
    copy.set_permissions(std::fs::Permissions::from_mode(metadata.mode() & 0o7777))
        .map_err(TransferError::at(path, "keep the mode of"))?;
    keep_attributes(original, copy, path)?;
    let time = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps {
        last_access: time(metadata.atime(), metadata.atime_nsec()),
        last_modification: time(metadata.mtime(), metadata.mtime_nsec()),
    };
    rustix::fs::futimens(copy, &times)
        .map_err(|error| TransferError::at(path, "keep the times of")(error.into()))
}

/// Gives `copy` the owner and group that a file had.
///
/// # Errors
/// [`TransferError::File`].
pub(crate) fn keep_owner(
    original: &Metadata,
    copy: &File,
    path: &Path,
) -> Result<(), TransferError> {
    let now = copy.metadata().map_err(TransferError::at(path, "examine"))?;
    if (now.uid(), now.gid()) == (original.uid(), original.gid()) {
        return Ok(());
    }
    let (owner, group) = (Uid::from_raw(original.uid()), Gid::from_raw(original.gid()));
    rustix::fs::fchown(copy, Some(owner), Some(group))
        .map_err(|error| TransferError::at(path, "keep the owner of")(error.into()))
}

fn keep_attributes(original: &File, copy: &File, path: &Path) -> Result<(), TransferError> {
    let failed =
        |error: Errno| TransferError::at(path, "keep the extended attributes of")(error.into());
    let mut names = vec![0; LARGEST_ATTRIBUTE];
    let length = match rustix::fs::flistxattr(original, names.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    names.truncate(length);
    let (mut value, mut there) = (vec![0; LARGEST_ATTRIBUTE], vec![0; LARGEST_ATTRIBUTE]);
    for name in names.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let length = rustix::fs::fgetxattr(original, name, value.as_mut_slice()).map_err(failed)?;
        let value = value.get(..length).unwrap_or_default();
        // A security label may be there already, and setting it be forbidden.
        let found = rustix::fs::fgetxattr(copy, name, there.as_mut_slice());
        if found.is_ok_and(|length| there.get(..length) == Some(value)) {
            continue;
        }
        rustix::fs::fsetxattr(copy, name, value, XattrFlags::empty()).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_times_and_attributes_go_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, b"x").unwrap();
        let original = File::open(&path).unwrap();
        original.set_permissions(std::fs::Permissions::from_mode(0o2640)).unwrap();
        let has_attributes =
            rustix::fs::fsetxattr(&original, "user.note", b"kept", XattrFlags::empty()).is_ok();
        let old = Timespec { tv_sec: 1_000_000_000, tv_nsec: 7 };
        let times = Timestamps { last_access: old, last_modification: old };
        rustix::fs::futimens(&original, &times).unwrap();
        let copy = tempfile::tempfile_in(directory.path()).unwrap();
        keep(&original, &copy, &path).unwrap();
        let metadata = copy.metadata().unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o2640);
        assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1_000_000_000, 7));
        if has_attributes {
            let mut value = [0; 16];
            let length = rustix::fs::fgetxattr(&copy, "user.note", &mut value).unwrap();
            assert_eq!(&value[..length], b"kept");
        }
    }
}
