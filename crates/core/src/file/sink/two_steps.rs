//! Replacing a file so that it can be undone: the old file keeps a name beside the new one until
//! the caller has looked around once more.
//!
//! ```text
//! link    NAME          -> ASIDE     the old file has both names
//! rename  temporary     -> NAME      the new file has the name, the old one is aside
//!                                    the caller looks, and decides:
//! unlink  ASIDE                      the new file stays
//! rename  ASIDE         -> NAME      the old file is back
//! ```
//!
//! A process that is killed in between leaves both files, and nothing is lost.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::sync::RwLockReadGuard;

use rustix::fs::{AtFlags, fstat, linkat, renameat, statat, unlinkat};
use rustix::io::Errno;

use super::place::Place;
use super::temporary::no_end;
use super::{AtomicFile, Body, link_under_temporary_name};
use crate::file::TransferError;

/// A file that has been replaced, and can be put back.
#[derive(Debug)]
pub struct Replaced {
    place: Place,
    aside: OsString,
    /// The file that has the name now.
    new: File,
    is_decided: bool,
    no_end: Option<RwLockReadGuard<'static, ()>>,
}

impl AtomicFile {
    /// Gives the file the name of the one that is there, which is called `aside` from then on, in the
    /// same directory. Both are written through to the disk.
    ///
    /// # Errors
    /// [`TransferError::Exists`] when something is called `aside` already, [`TransferError::File`],
    /// [`TransferError::NotLocal`]; what was there before is untouched then.
    pub fn replace(self, aside: &OsStr) -> Result<Replaced, TransferError> {
        self.sync()?;
        let Self { body, target, options } = self;
        #[allow(irrefutable_let_patterns)] // Without stores there are files alone.
        let Body::File { file, place, name } = body else {
            return Err(TransferError::NotLocal { path: target });
        };
        let no_end = no_end();
        let kept =
            linkat(&*place.directory, &place.name, &*place.directory, aside, AtFlags::empty());
        kept.map_err(|error| match error {
            Errno::EXIST => TransferError::Exists { path: place.path.with_file_name(aside) },
            error => place.failed("keep under a second name", error),
        })?;
        let undo = |error| {
            let _ = unlinkat(&*place.directory, aside, AtFlags::empty());
            error
        };
        // The second name is on the disk before the first one leads elsewhere.
        place.sync().map_err(undo)?;
        let named = match name {
            Some(name) => Ok(name),
            None => link_under_temporary_name(&file, &place),
        };
        named.and_then(|name| name.persist(&place, options)).map_err(undo)?;
        let replaced = Replaced {
            place,
            aside: aside.to_owned(),
            new: file,
            is_decided: false,
            no_end: Some(no_end),
        };
        // An error puts the old file back: nobody has decided yet.
        replaced.place.sync()?;
        Ok(replaced)
    }
}

impl Replaced {
    /// The file that has the name now.
    #[must_use]
    pub const fn new_file(&self) -> &File {
        &self.new
    }

    /// Lets the old file go. A machine that crashes now may bring its second name back.
    ///
    /// # Errors
    /// [`TransferError::File`]; the new file has its name in any case.
    pub fn keep(mut self) -> Result<(), TransferError> {
        self.is_decided = true;
        self.remove_aside()
    }

    /// From now on a signal may end the process: the old file stays aside then.
    pub fn let_signals_end(&mut self) {
        self.no_end = None;
    }

    /// Both files stay, the old one aside.
    pub fn leave_aside(mut self) {
        self.is_decided = true;
    }

    /// Gives the old file its name back, if the new one still has it. Where something else has the
    /// name, or nothing, the old file stays aside: `false`.
    ///
    /// # Errors
    /// [`TransferError::File`]; the old file is aside then.
    pub fn undo(mut self) -> Result<bool, TransferError> {
        self.is_decided = true;
        self.put_back()
    }

    fn put_back(&self) -> Result<bool, TransferError> {
        let Place { directory, name, .. } = &self.place;
        let failed = |error| self.place.failed("put back", error);
        let new = fstat(&self.new).map_err(failed)?;
        let there = statat(&**directory, name, AtFlags::SYMLINK_NOFOLLOW);
        let has_name =
            there.is_ok_and(|there| (there.st_dev, there.st_ino) == (new.st_dev, new.st_ino));
        if has_name {
            renameat(&**directory, &self.aside, &**directory, name).map_err(failed)?;
            self.place.sync()?;
        }
        Ok(has_name)
    }

    fn remove_aside(&self) -> Result<(), TransferError> {
        let removed = unlinkat(&*self.place.directory, &self.aside, AtFlags::empty());
        let path = self.place.path.with_file_name(&self.aside);
        removed.map_err(|error| TransferError::at(&path, "remove")(error.into()))
    }
}

/// What was left undecided, by an error on the way, is undone.
impl Drop for Replaced {
    fn drop(&mut self) {
        if !self.is_decided {
            let _ = self.put_back();
        }
    }
}
