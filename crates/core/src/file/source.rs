//! A log as a source of bytes: a file, mapped in windows or read by position, or an object that is
//! read by ranges.

use std::fs::{File, FileType, OpenOptions};
use std::io::IoSliceMut;
use std::ops::Range;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Advice;
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::location::{self, ObjectUrl};
use super::metadata::FileState;
use super::store::{self, Object, Version};
use super::{TransferError, inputs};
use binlogsec_memory::Mapping;

/// How much is mapped at a time. Pages are unmapped behind the work, so this times the number of
/// workers bounds the memory, whatever the file's size.
pub const WINDOW: u64 = 4 << 20;

/// How much of an object is read at first where a window ended.
const TAIL: u64 = 256 << 10;

/// Smaller files are read: to map one and unmap it again takes longer. Measured in
/// docs/performance.md.
const SMALLEST_MAPPED: u64 = 128 << 10;

/// Windows start at multiples of this, which is one of every system's page size.
const LARGEST_PAGE: u64 = 64 << 10;

/// How a file's bytes are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Through memory-mapped windows, without a copy, for files that nobody writes. Windows that
    /// are not in the page cache are read by position: the kernel reads further ahead for reads
    /// than for maps.
    Mapped,
    /// By positioned reads: for files that a server may be writing.
    Positioned,
}

/// A regular file, or an object, open for reading, with the size it had at that moment.
#[derive(Debug)]
pub struct FileSource {
    backing: Backing,
    path: PathBuf,
    length: u64,
    access: Access,
    is_unpacked: bool,
}

#[derive(Debug)]
enum Backing {
    /// With what the system said of it when it was opened.
    File(File, FileState),
    Object(Box<dyn Object>),
}

impl FileSource {
    /// Opens a regular file, or an object by its URL. Reads of a file are positioned until
    /// [`FileSource::set_access`] says otherwise.
    ///
    /// # Errors
    /// [`TransferError::File`] when it cannot be opened, [`TransferError::NotAFile`] for anything
    /// else than a file; neither blocks.
    pub fn open(path: &Path) -> Result<Self, TransferError> {
        let source = Self::glance(path)?;
        if let Ok(file) = source.file()
            && let Ok(metadata) = file.metadata()
        {
            inputs::note(&metadata);
        }
        Ok(source)
    }

    /// The same for a look at an output of an earlier run, which this run may replace: it is no input
    /// (see [`inputs`]).
    ///
    /// # Errors
    /// As [`FileSource::open`].
    pub fn glance(path: &Path) -> Result<Self, TransferError> {
        if let Some(url) = ObjectUrl::of(path) {
            return Self::open_object(path, &url);
        }
        let path = &*location::local(path);
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .map_err(TransferError::at(path, "open"))?;
        Self::from_file(file, path)
    }

    /// Takes over an open file; `path` is what messages call it.
    ///
    /// # Errors
    /// As [`FileSource::open`].
    pub fn from_file(file: File, path: &Path) -> Result<Self, TransferError> {
        let metadata = file.metadata().map_err(TransferError::at(path, "examine"))?;
        if !metadata.is_file() {
            let found = describe(metadata.file_type());
            return Err(TransferError::NotAFile { path: path.to_owned(), found });
        }
        let length = metadata.len();
        Ok(Self {
            backing: Backing::File(file, FileState::new(&metadata)),
            path: path.to_owned(),
            length,
            access: Access::Positioned,
            is_unpacked: false,
        })
    }

    /// The same for a file without a name, unpacked from a compressed copy: it takes room on the disk
    /// until this is dropped.
    pub(super) fn from_unpacked(file: File, path: &Path) -> Result<Self, TransferError> {
        Ok(Self { is_unpacked: true, ..Self::from_file(file, path)? })
    }

    /// Whether it was unpacked from a compressed copy, and takes room on the disk as long as it is open.
    #[must_use]
    pub const fn is_unpacked(&self) -> bool {
        self.is_unpacked
    }

    fn open_object(path: &Path, url: &ObjectUrl) -> Result<Self, TransferError> {
        let object = store::of(path)?.open(path, url)?;
        Ok(Self {
            length: object.length(),
            backing: Backing::Object(object),
            path: path.to_owned(),
            access: Access::Positioned,
            is_unpacked: false,
        })
    }

    /// Chooses how bytes are reached from now on.
    pub const fn set_access(&mut self, access: Access) {
        self.access = access;
    }

    /// The size in bytes when the file was opened. What is appended later is not seen.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// All of its bytes.
    ///
    /// # Errors
    /// [`TransferError::TooLarge`] for more than `limit` bytes: a sparse file can claim any length.
    pub fn read_whole(&self, limit: u64) -> Result<Vec<u8>, TransferError> {
        let length = self.length();
        if length > limit {
            let path = self.path.clone();
            return Err(TransferError::TooLarge { path, length: Some(length), limit });
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        let read = self.read_at(0, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// What the file is called.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file, for what is more than reading.
    ///
    /// # Errors
    /// [`TransferError::NotLocal`] when it is an object.
    pub fn file(&self) -> Result<&File, TransferError> {
        match &self.backing {
            Backing::File(file, _) => Ok(file),
            Backing::Object(_) => Err(TransferError::NotLocal { path: self.path.clone() }),
        }
    }

    /// The file's state when it was opened, of which [`FileSource::length`] is a part.
    ///
    /// # Errors
    /// [`TransferError::NotLocal`] when it is an object.
    pub fn state(&self) -> Result<FileState, TransferError> {
        match &self.backing {
            Backing::File(_, state) => Ok(*state),
            Backing::Object(_) => Err(TransferError::NotLocal { path: self.path.clone() }),
        }
    }

    /// What the store calls the version of the object that was opened; `None` for a file.
    pub(super) fn object_version(&self) -> Option<Version> {
        match &self.backing {
            Backing::File(..) => None,
            Backing::Object(object) => Some(object.version()),
        }
    }

    /// The first bytes, as far as they are at hand without one more wait: some, of an object; none,
    /// of a file.
    #[must_use]
    pub fn at_hand(&self) -> Vec<u8> {
        match &self.backing {
            Backing::File(..) => Vec::new(),
            Backing::Object(object) => object.head(),
        }
    }

    pub(crate) fn is_object(&self) -> bool {
        !matches!(self.backing, Backing::File(..))
    }

    /// Fills `buffer` from `offset` on, up to the size at open. Returns how much there was.
    ///
    /// # Errors
    /// [`TransferError::File`]; [`TransferError::Shrank`] when the file ends before that size.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, TransferError> {
        let available = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = available.min(buffer.len());
        let target = buffer.get_mut(..wanted).unwrap_or_default();
        match &self.backing {
            Backing::File(file, _) => file.read_exact_at(target, offset).map_err(|error| {
                if error.kind() == std::io::ErrorKind::UnexpectedEof {
                    self.shrank()
                } else {
                    TransferError::at(&self.path, "read")(error)
                }
            })?,
            Backing::Object(object) => object.read_exact_at(offset, target)?,
        }
        Ok(wanted)
    }

    /// A view for one worker, which reads into the buffer where it cannot map.
    #[must_use]
    pub const fn view(&self, buffer: Vec<u8>) -> View<'_> {
        View { source: self, window: None, uncached: None, buffer, held: 0..0, follows: false }
    }

    /// Says to the system that all of the file will be read, from its beginning to its end.
    pub fn expect_reading(&self) {
        if let Ok(file) = self.file() {
            let _ = rustix::fs::fadvise(file, 0, None, Advice::Sequential);
        }
    }

    fn is_mapped(&self) -> bool {
        self.access == Access::Mapped && self.length >= SMALLEST_MAPPED && !self.is_object()
    }

    /// Whether the file still has the bytes that it had when it was opened.
    ///
    /// # Errors
    /// [`TransferError::Shrank`] if not. To be asked before output from a mapped file is believed:
    /// a cut within a page reads as zeros, without any other sign.
    pub fn check_size(&self) -> Result<(), TransferError> {
        if self.size_now() < self.length { Err(self.shrank()) } else { Ok(()) }
    }

    /// That the file has become shorter.
    pub(crate) fn shrank(&self) -> TransferError {
        TransferError::Shrank {
            path: self.path.clone(),
            size_at_open: self.length,
            size_now: self.size_now(),
        }
    }

    fn size_now(&self) -> u64 {
        match &self.backing {
            Backing::File(file, _) => file.metadata().map_or(0, |metadata| metadata.len()),
            // Every read asks for this very version.
            Backing::Object(object) => object.length(),
        }
    }
}

/// Whether the byte at `offset` can be had without a wait for the disk. Where the system does not
/// tell, it counts as cached.
fn is_cached(file: &File, offset: u64) -> bool {
    let mut byte = [0];
    let mut buffers = [IoSliceMut::new(&mut byte)];
    let read = preadv2(file, &mut buffers, offset, ReadWriteFlags::NOWAIT);
    !matches!(read, Err(Errno::AGAIN))
}

/// So much of a buffer, which grows where it must. What it holds is left from before.
pub(crate) fn at_least(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    buffer.get_mut(..length).unwrap_or_default()
}

/// On some processors the kernel takes five times as long to copy to an address that is no multiple of
/// this, and large allocations begin at no such one (docs/performance.md).
pub(crate) const ALIGNMENT: usize = 64;

/// So much of a buffer from its first aligned byte on, to be read into. What it held is there for as long
/// as no more of it is asked for than before.
pub(crate) fn aligned(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    let _ = at_least(buffer, length.saturating_add(ALIGNMENT));
    let start = buffer.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
    let aligned = buffer.get_mut(start..).unwrap_or_default();
    aligned.get_mut(..length).unwrap_or_default()
}

/// One worker's way to the bytes: a mapped window that moves along, or a buffer.
#[derive(Debug)]
pub struct View<'a> {
    source: &'a FileSource,
    window: Option<Mapping>,
    /// Where the window starts that was not in the page cache when it was come to.
    uncached: Option<u64>,
    buffer: Vec<u8>,
    /// Which bytes of an object the buffer has.
    held: Range<u64>,
    /// Whether they followed on those before.
    follows: bool,
}

impl View<'_> {
    /// `length` bytes from `offset` on, which must lie within the size at open. A piece that is
    /// longer than a [`WINDOW`] is read by position.
    ///
    /// What is made of them may be believed after [`View::confirm`] only.
    ///
    /// # Errors
    /// As [`FileSource::read_at`].
    pub fn bytes(&mut self, offset: u64, length: usize) -> Result<&[u8], TransferError> {
        // Decided first, so that no borrow of the window outlives the decision.
        if self.source.is_mapped() && self.map_window(offset, length) {
            let window = self.window.as_ref().and_then(|window| window.get(offset, length));
            return Ok(window.unwrap_or_default());
        }
        if self.source.is_object() {
            return self.held(offset, length);
        }
        let buffer = aligned(&mut self.buffer, length);
        if self.source.read_at(offset, buffer)? < length {
            return Err(self.source.shrank());
        }
        Ok(buffer)
    }

    /// The buffer, for the next view.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Whether the bytes last given were the file's own, and not the zeros that stand in for pages
    /// that vanished under the map.
    ///
    /// # Errors
    /// [`TransferError::Shrank`].
    pub fn confirm(&self) -> Result<(), TransferError> {
        match &self.window {
            Some(window) if window.has_faulted() => Err(self.source.shrank()),
            _ => Ok(()),
        }
    }

    /// The piece of an object: what lies behind it is read with it, by one request. A window, as a
    /// rule; little where the piece is the first behind a window, for it may be the end of an event
    /// that the window's end cuts, and the last that is wanted.
    fn held(&mut self, offset: u64, length: usize) -> Result<&[u8], TransferError> {
        let end = offset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        if offset < self.held.start || end > self.held.end {
            let follows = self.held.contains(&offset) || (offset > 0 && offset == self.held.end);
            let ahead = if follows && !self.follows { TAIL } else { WINDOW };
            self.follows = follows;
            let until = offset.saturating_add(ahead).max(end).min(self.source.length);
            let wanted = usize::try_from(until.saturating_sub(offset)).unwrap_or(usize::MAX);
            // What fails leaves nothing that could be taken for the bytes.
            self.held = 0..0;
            self.buffer.resize(wanted, 0);
            if self.source.read_at(offset, &mut self.buffer)? < length {
                return Err(self.source.shrank());
            }
            self.held = offset..until;
        }
        let start = usize::try_from(offset.saturating_sub(self.held.start)).unwrap_or(usize::MAX);
        let piece = self.buffer.get(start..start.saturating_add(length));
        Ok(piece.unwrap_or_default())
    }

    /// Moves the window so that it holds the piece. `false` where it has to be read instead.
    fn map_window(&mut self, offset: u64, length: usize) -> bool {
        if self.window.as_ref().is_some_and(|window| window.get(offset, length).is_some()) {
            return true;
        }
        let start = offset.saturating_sub(offset % LARGEST_PAGE);
        let end = start.saturating_add(WINDOW).saturating_add(LARGEST_PAGE);
        let end = end.min(self.source.length);
        let is_uncached = |window: u64| (window..window.saturating_add(WINDOW)).contains(&offset);
        if self.uncached.is_some_and(is_uncached) {
            return false;
        }
        // The old window goes before the new one comes.
        self.window = None;
        let Ok(file) = self.source.file() else {
            return false;
        };
        if !is_cached(file, start) {
            self.uncached = Some(start);
            return false;
        }
        self.window = Mapping::new(file, start..end);
        self.window.as_ref().is_some_and(|window| window.get(offset, length).is_some())
    }
}

/// A file from its first byte to the size at open, in order, whatever the descriptor's own position.
#[derive(Debug)]
pub struct SourceReader<'a> {
    source: &'a FileSource,
    offset: u64,
}

impl<'a> SourceReader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub const fn new(source: &'a FileSource) -> Self {
        Self { source, offset: 0 }
    }
}

impl std::io::Read for SourceReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.source.read_at(self.offset, buffer).map_err(std::io::Error::other)?;
        self.offset = self.offset.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

/// What a file type is, for a message.
#[must_use]
pub fn describe(file_type: FileType) -> &'static str {
    if file_type.is_dir() {
        "a directory"
    } else if file_type.is_fifo() {
        "a named pipe"
    } else if file_type.is_socket() {
        "a socket"
    } else if file_type.is_block_device() {
        "a block device"
    } else if file_type.is_char_device() {
        "a character device"
    } else {
        "no regular file"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_what_the_file_has_there_cached_or_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let content: Vec<u8> = (0..3 * WINDOW).map(|n| (n % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let mut source = FileSource::open(&path).unwrap();
        source.set_access(Access::Mapped);
        let mut view = source.view(Vec::new());
        let mut compare = |offset: u64| {
            let start = usize::try_from(offset).unwrap();
            let found = view.bytes(offset, 1000).unwrap();
            assert!(found == &content[start..start + 1000], "{offset}");
            view.confirm().unwrap();
            view.uncached
        };
        assert_eq!(compare(5), None);
        source.file().unwrap().sync_all().unwrap();
        source.expect_reading();
        rustix::fs::fadvise(source.file().unwrap(), 0, None, Advice::DontNeed).unwrap();
        let uncached = compare(2 * WINDOW + 7);
        assert_eq!(compare(2 * WINDOW + 9000), uncached);
        // Pages of the first window are held by the map.
        compare(6);
        compare(WINDOW + 3);
    }
}
