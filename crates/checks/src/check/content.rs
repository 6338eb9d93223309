//! What is read of one file: its first bytes, and as few system calls as will do.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::facts::FilePath;
use binlogsec_core::file::source::describe;

/// What is read of a file, or of an object.
pub(super) trait Content {
    /// How many of the first bytes cost no further request to a store; `None` of a file, whose bytes
    /// cost none.
    fn at_hand(&self) -> Option<usize> {
        None
    }
    /// Some bytes from `offset` on, as [`FileExt::read_at`].
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize>;
    /// Size in bytes and permission bits; an object has none.
    fn size_and_mode(&self) -> (u64, u32);
    /// The file's metadata; `None` for an object.
    fn metadata(&self) -> Option<Metadata>;
}

impl Content for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn size_and_mode(&self) -> (u64, u32) {
        // By fstat, which costs less than the statx behind `File::metadata`.
        let status = rustix::fs::fstat(self);
        status.map_or((0, 0), |status| {
            (u64::try_from(status.st_size).unwrap_or(0), status.st_mode & 0o7777)
        })
    }

    fn metadata(&self) -> Option<Metadata> {
        Self::metadata(self).ok()
    }
}

/// One file, open.
pub(super) struct Opened<'a> {
    pub(super) directory: &'a Arc<Path>,
    pub(super) name: &'a OsStr,
    content: &'a dyn Content,
    size_and_mode: OnceCell<(u64, u32)>,
}

impl<'a> Opened<'a> {
    pub(super) const fn new(
        directory: &'a Arc<Path>,
        name: &'a OsStr,
        content: &'a dyn Content,
    ) -> Self {
        Self { directory, name, content, size_and_mode: OnceCell::new() }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.join(self.name)
    }

    pub(super) fn file_path(&self) -> FilePath {
        FilePath::new(self.directory, self.name)
    }

    /// Size in bytes and permission bits, asked for once.
    pub(super) fn size_and_mode(&self) -> (u64, u32) {
        *self.size_and_mode.get_or_init(|| self.content.size_and_mode())
    }

    /// See [`Content::at_hand`].
    pub(super) fn at_hand(&self) -> Option<usize> {
        self.content.at_hand()
    }

    pub(super) fn metadata(&self) -> Option<Metadata> {
        self.content.metadata()
    }

    /// From the first byte on.
    pub(super) fn reader(&self) -> impl std::io::Read + 'a {
        At { file: self.content, offset: 0 }
    }

    /// The first bytes, as many as there are, or as are `enough`. What the file has become meanwhile,
    /// if it is none any more, gives an error.
    pub(super) fn read_start(
        &self,
        buffer: &mut [u8],
        enough: impl Fn(&[u8]) -> bool,
    ) -> std::io::Result<usize> {
        let mut filled = 0_usize;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let offset = u64::try_from(filled).unwrap_or(u64::MAX);
            match self.content.read_at(rest, offset) {
                Ok(0) => break,
                // Less than was asked for is not the end: network file systems give what they have.
                // Where it matters the size is asked for, as it will be of a log anyway, which spares
                // a read of nothing.
                Ok(read) => {
                    let is_short = read < rest.len();
                    filled = filled.saturating_add(read);
                    let start = buffer.get(..filled).unwrap_or_default();
                    if is_short && (enough(start) || self.has_been_read(filled)) {
                        break;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ESPIPE) => {
                    let file_type = self.metadata().map(|metadata| metadata.file_type());
                    return Err(std::io::Error::other(format!(
                        "it is {}",
                        file_type.map_or("no regular file", describe)
                    )));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn has_been_read(&self, read: usize) -> bool {
        let (size, _) = self.size_and_mode();
        size > 0 && u64::try_from(read).is_ok_and(|read| read >= size)
    }
}

/// Reads a file from its beginning without moving its position.
struct At<'a> {
    file: &'a dyn Content,
    offset: u64,
}

impl std::io::Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset = self.offset.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}
