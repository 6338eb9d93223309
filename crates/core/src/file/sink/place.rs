//! Where an output will be: a directory that is held open, and a name in it.
//!
//! The directory is opened once; all that follows is relative to it, so nobody can put another one
//! in its place between the look at what is there and the moment when the output gets its name.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::geteuid;

use super::{Existing, SinkOptions, directory_of};
use crate::file::TransferError;
use crate::file::inputs;

/// As many links as the kernel follows in one path (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;
/// So much of each end of an existing file is looked at.
const LOOKED_AT: usize = 4096;

/// A name in a directory that is held open.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) directory: Arc<OwnedFd>,
    pub(super) name: OsString,
    /// For messages.
    pub(super) path: PathBuf,
}

impl Place {
    /// Opens the directory of `target` and looks at what is there. Where that is a link, and may be
    /// replaced, the place is where the link leads.
    pub(super) fn open(target: &Path, options: SinkOptions) -> Result<Self, TransferError> {
        let mut place = Self::in_directory(CWD, target, target.to_owned())?;
        for _ in 0..MOST_LINKS {
            let Some(there) = place.status()? else {
                let follow = TransferError::at(target, "follow the link");
                return if place.path == target {
                    Ok(place)
                } else {
                    Err(follow(Errno::NOENT.into()))
                };
            };
            match FileType::from_raw_mode(there.st_mode) {
                FileType::RegularFile => {
                    place.check_replaceable(options)?;
                    return Ok(place);
                }
                FileType::Symlink => place = place.follow(&there, options)?,
                other => return Err(not_a_file(&place.path, other)),
            }
        }
        let error = TransferError::at(target, "follow the link");
        Err(error(Errno::LOOP.into()))
    }

    /// `shown` is what messages call it.
    fn in_directory(
        base: impl std::os::fd::AsFd,
        path: &Path,
        shown: PathBuf,
    ) -> Result<Self, TransferError> {
        let Some(name) = path.file_name() else {
            return Err(not_a_file(&shown, FileType::Directory));
        };
        let directory = directory_of(path);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = || openat(&base, directory, flags, Mode::empty());
        let failed = TransferError::at(directory_of(&shown), "create a file in");
        Ok(Self {
            directory: Arc::new(retry_on_intr(open).map_err(|error| failed(error.into()))?),
            name: name.to_owned(),
            path: shown,
        })
    }

    /// What is there under the name, links not followed. An error other than that nothing is there
    /// is the answer: the kernel may have its reasons not to let us look.
    fn status(&self) -> Result<Option<Stat>, TransferError> {
        let look = || statat(&*self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        match retry_on_intr(look) {
            Ok(there) => Ok(Some(there)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed("examine", error)),
        }
    }

    /// The place to which a link here leads, in as many steps as there are links.
    fn follow(&self, link: &Stat, options: SinkOptions) -> Result<Self, TransferError> {
        let look = || statat(&*self.directory, &self.name, AtFlags::empty());
        let target = match retry_on_intr(look) {
            Ok(target) => Some(target),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(self.failed("examine", error)),
        };
        let file_type = target.map(|target| FileType::from_raw_mode(target.st_mode));
        if let Some(other) = file_type.filter(|it| *it != FileType::RegularFile) {
            return Err(not_a_file(&self.path, other));
        }
        if !options.force {
            let path = self.path.clone();
            return Err(TransferError::Exists { path });
        }
        self.check_owner(link, target.as_ref())?;
        let read = || readlinkat(&*self.directory, &self.name, Vec::new());
        let leads_to =
            retry_on_intr(read).map_err(|error| self.failed("follow the link", error))?;
        let leads_to: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(leads_to.to_bytes());
        let leads_to = Path::new(leads_to);
        let shown = directory_of(&self.path).join(leads_to);
        Self::in_directory(&*self.directory, leads_to, shown)
    }

    /// Refuses a stranger's link in a directory where everybody may put one, `/tmp` for one: the link
    /// must be ours, the directory owner's, or belong to whom the file belongs that it leads to.
    fn check_owner(&self, link: &Stat, target: Option<&Stat>) -> Result<(), TransferError> {
        const STICKY_FOR_ALL: u32 = 0o1002;
        let status = || fstat(&*self.directory);
        let directory = retry_on_intr(status).map_err(|error| self.failed("examine", error))?;
        let is_open_to_all = directory.st_mode & STICKY_FOR_ALL == STICKY_FOR_ALL;
        let owners = [geteuid().as_raw(), directory.st_uid];
        let is_ours = owners.contains(&link.st_uid);
        let is_the_targets = target.is_some_and(|target| target.st_uid == link.st_uid);
        if is_open_to_all && !is_ours && !is_the_targets {
            return Err(TransferError::StrangersLink {
                path: self.path.clone(),
                owner: link.st_uid,
            });
        }
        Ok(())
    }

    /// Whether the regular file that is there may be replaced: not without `force`, never what this
    /// run reads, and not what the output's kind spares.
    fn check_replaceable(&self, options: SinkOptions) -> Result<(), TransferError> {
        let path = || self.path.clone();
        if !options.force {
            return Err(TransferError::Exists { path: path() });
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = || openat(&*self.directory, &self.name, flags, Mode::empty());
        let file = match retry_on_intr(open) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(self.failed("look at", error)),
        };
        let look = TransferError::at(&self.path, "look at");
        let status = fstat(&file).map_err(|error| self.failed("look at", error))?;
        if !options.replaces_input && inputs::has((status.st_dev, status.st_ino)) {
            return Err(TransferError::IsInput { path: path() });
        }
        let length = u64::try_from(status.st_size).unwrap_or(0);
        let (start, end) = ends(&file, length).map_err(look)?;
        let existing = Existing { start: &start, end: &end };
        match (options.spares)(&existing) {
            Some(what) => Err(TransferError::Spared { path: path(), what }),
            None => Ok(()),
        }
    }

    /// Looks again, as late as can be: what is there now may be something else.
    pub(super) fn check_again(&self, options: SinkOptions) -> Result<(), TransferError> {
        match self.status()? {
            Some(there) if FileType::from_raw_mode(there.st_mode) == FileType::RegularFile => {
                self.check_replaceable(options)
            }
            Some(there) => {
                let file_type = FileType::from_raw_mode(there.st_mode);
                Err(not_a_file(&self.path, file_type))
            }
            None => Ok(()),
        }
    }

    /// Writes the directory's names through to the disk.
    pub(super) fn sync(&self) -> Result<(), TransferError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = || openat(&*self.directory, ".", flags, Mode::empty());
        let shown = directory_of(&self.path);
        let failed = TransferError::at(shown, "write through to the disk");
        let directory = retry_on_intr(open).map_err(|error| failed(error.into()))?;
        File::from(directory).sync_all().map_err(failed)
    }

    pub(super) fn failed(&self, operation: &'static str, error: Errno) -> TransferError {
        TransferError::at(&self.path, operation)(error.into())
    }
}

/// The first and the last bytes of a file.
fn ends(file: &File, length: u64) -> std::io::Result<(Vec<u8>, Vec<u8>)> {
    let read = |offset: u64| {
        let mut bytes = vec![0; LOOKED_AT];
        let mut filled = 0_usize;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
            match file.read_at(rest, at) {
                Ok(0) => break,
                Ok(read) => filled = filled.saturating_add(read),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    };
    let last = length.saturating_sub(u64::try_from(LOOKED_AT).unwrap_or(0));
    Ok((read(0)?, read(last)?))
}

fn not_a_file(path: &Path, file_type: FileType) -> TransferError {
    TransferError::NotAFile {
        path: path.to_owned(),
        found: match file_type {
            FileType::Directory => "a directory",
            FileType::Fifo => "a named pipe",
            FileType::Socket => "a socket",
            FileType::BlockDevice => "a block device",
            FileType::CharacterDevice => "a character device",
            _ => "no regular file",
        },
    }
}
