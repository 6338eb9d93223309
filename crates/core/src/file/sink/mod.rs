//! Output that appears under its name whole or not at all.
//!
//! The private temporary has no name where the file system allows it (`O_TMPFILE`): then not even
//! SIGKILL leaves a plaintext behind. Elsewhere it is a hidden file that is removed on every way
//! out but that one.
//!
//! Where the name is a link, the file that it leads to is replaced, and the link stays.
//!
//! What a run reads is never replaced, whatever its options say (see [`inputs`](super::inputs)), but
//! by the commands that are made for that.

use std::fs::{File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::TransferError;
use super::location::{self, ObjectUrl};
use super::source::FileSource;
use super::store::{self, Condition, Upload};

mod place;
mod temporary;
mod two_steps;

use place::Place;
use temporary::{
    NamedTemporary, claim, create_named, link, link_under_temporary_name, open_unnamed,
};
pub use temporary::{Removed, TEMPORARY_PREFIX, remove_leftovers, remove_temporaries};
pub use two_steps::Replaced;

/// How an output is made.
#[derive(Debug, Clone, Copy)]
pub struct SinkOptions {
    /// Replace a regular file that is there, if this run does not read it and `spares` does not say
    /// what it is.
    pub force: bool,
    /// Says of a file that is there what it is, if no such file is to be replaced: `a keyring`.
    pub spares: fn(&Existing<'_>) -> Option<&'static str>,
    /// The command is made to replace what it reads, this file among it; `spares` is heeded.
    pub replaces_input: bool,
    /// Write file and directory through to the disk before [`AtomicFile::commit`] returns.
    pub sync: bool,
    /// Permissions of the finished file. More than its owner needs only where nothing in it is
    /// secret and somebody else has to read it.
    pub mode: u32,
}

/// Both ends of a file that an output would replace.
#[derive(Debug, Clone, Copy)]
pub struct Existing<'a> {
    /// Its first 4096 bytes, or all of it.
    pub start: &'a [u8],
    /// Its last 4096 bytes, or all of it.
    pub end: &'a [u8],
}

/// Nothing is replaced, and the output is its owner's alone.
impl Default for SinkOptions {
    fn default() -> Self {
        Self { force: false, spares: |_| None, replaces_input: false, sync: false, mode: PRIVATE }
    }
}

/// For less than this, laying out room costs more than it saves.
const RESERVED: u64 = 1 << 20;

/// `TMPFS_MAGIC` of `linux/magic.h`.
const TMPFS_MAGIC: rustix::fs::FsWord = 0x0102_1994;

/// Read and written by the owner alone.
pub const PRIVATE: u32 = 0o600;

/// A file in the making: mode 0600 until it is finished, in the target's directory, given its name
/// by [`AtomicFile::commit`] alone. Or, where the target is a URL, an object in the making.
#[derive(Debug)]
pub struct AtomicFile {
    body: Body,
    target: PathBuf,
    options: SinkOptions,
}

#[derive(Debug)]
enum Body {
    File {
        file: File,
        place: Place,
        /// `None` while the temporary has no name.
        name: Option<NamedTemporary>,
    },
    Object(Box<dyn Upload>),
}

impl AtomicFile {
    /// Starts an output that will be called `target`.
    ///
    /// # Errors
    /// [`TransferError::Exists`] without `force`; [`TransferError::NotAFile`] when the target is, or
    /// leads to, something that a file must not replace; [`TransferError::IsInput`] and
    /// [`TransferError::Spared`] for what `force` does not replace either;
    /// [`TransferError::StrangersLink`]; [`TransferError::File`] when the directory is not there or
    /// not writable, or a link leads nowhere.
    pub fn create(target: &Path, options: SinkOptions) -> Result<Self, TransferError> {
        if location::is_url(target) {
            return Self::create_object(target, options);
        }
        let place = Place::open(&location::local(target), options)?;
        let target = &*place.path.clone();
        let failed = TransferError::at(directory_of(target), "create a file in");
        let unnamed = open_unnamed(&place.directory).map_err(failed)?;
        let (file, name) = match unnamed {
            Some(file) => {
                let _ = claim(&file);
                (file, None)
            }
            None => {
                let (file, name) = create_named(&place)?;
                (file, Some(name))
            }
        };
        let body = Body::File { file, place, name };
        Ok(Self::new(body, target, options))
    }

    /// Whether an output of this name could be started now, as far as a look tells.
    ///
    /// # Errors
    /// As [`AtomicFile::create`]. Nothing is asked of stores.
    pub fn check(target: &Path, options: SinkOptions) -> Result<(), TransferError> {
        if location::is_url(target) {
            return Ok(());
        }
        Place::open(&location::local(target), options).map(drop)
    }

    fn new(body: Body, target: &Path, options: SinkOptions) -> Self {
        Self { body, target: target.to_owned(), options }
    }

    fn create_object(target: &Path, options: SinkOptions) -> Result<Self, TransferError> {
        let url = ObjectUrl::of(target).filter(|url| !url.is_prefix());
        let url = url.ok_or_else(|| TransferError::NotAFile {
            path: target.to_owned(),
            found: "a prefix",
        })?;
        let condition = if options.force { Condition::None } else { Condition::Absent };
        let upload = store::of(target)?.create(target, &url, condition)?;
        Ok(Self::new(Body::Object(upload), target, options))
    }

    /// Starts what is to take the place of the object that was opened, and of no other one: what
    /// somebody else has put there meanwhile stays.
    ///
    /// # Errors
    /// [`TransferError::Replaced`] when that has happened already, [`TransferError::File`];
    /// [`TransferError::NotAFile`] when the source is no object.
    pub fn replace_object(source: &FileSource) -> Result<Self, TransferError> {
        let target = source.path();
        let condition = source.object_version().map(Condition::Version);
        let url = ObjectUrl::of(target).zip(condition);
        let (url, condition) = url.ok_or_else(|| TransferError::NotAFile {
            path: target.to_owned(),
            found: "no object",
        })?;
        let upload = store::of(target)?.create(target, &url, condition)?;
        Ok(Self::new(Body::Object(upload), target, SinkOptions::default()))
    }

    /// The file as it is being written.
    ///
    /// # Errors
    /// [`TransferError::NotLocal`] when it is an object, of which nothing can be read back.
    pub fn file(&self) -> Result<&File, TransferError> {
        match &self.body {
            Body::File { file, .. } => Ok(file),
            Body::Object(_) => Err(TransferError::NotLocal { path: self.target.clone() }),
        }
    }

    /// Whether what has been written can be read before it has its name.
    #[must_use]
    pub const fn can_be_read_back(&self) -> bool {
        matches!(self.body, Body::File { .. })
    }

    /// Writes in order, from the first byte on.
    #[must_use]
    pub const fn writer(&self) -> SinkWriter<'_> {
        SinkWriter { sink: self, offset: 0 }
    }

    /// The name it will have.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Writes at an offset; safe from several threads at once.
    ///
    /// # Errors
    /// [`TransferError::File`], a full disk for one.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), TransferError> {
        match &self.body {
            Body::File { file, .. } => {
                file.write_all_at(bytes, offset).map_err(TransferError::at(&self.target, "write"))
            }
            Body::Object(upload) => upload.write_at(offset, bytes),
        }
    }

    /// Takes the room for `length` bytes on the disk at once, and makes the file that long. Writes
    /// into room that is there are cheaper, and a disk that is too small says so before the work.
    /// Where the file system knows nothing of the kind, nothing happens.
    ///
    /// # Errors
    /// [`TransferError::File`] when there is not that much room.
    pub fn reserve(&self, length: u64) -> Result<(), TransferError> {
        // A store has no room that could be laid out.
        let Ok(file) = self.file() else {
            return Ok(());
        };
        // In memory there is no room to be laid out: its pages would be taken twice.
        let in_memory = rustix::fs::fstatfs(file).is_ok_and(|at| at.f_type == TMPFS_MAGIC);
        if length < RESERVED || in_memory {
            return Ok(());
        }
        match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, length) {
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => {
                Err(TransferError::at(&self.target, "make room for")(error.into()))
            }
            // Without it the writes do the same, one by one.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Makes the file `length` bytes long, when it turns out to be shorter than was thought.
    ///
    /// # Errors
    /// [`TransferError::File`], [`TransferError::NotLocal`].
    pub fn cut(&self, length: u64) -> Result<(), TransferError> {
        self.file()?.set_len(length).map_err(TransferError::at(&self.target, "cut"))
    }

    /// Writes the file, which has no name yet, through to the disk.
    ///
    /// # Errors
    /// [`TransferError::File`].
    pub fn sync(&self) -> Result<(), TransferError> {
        self.file()?
            .sync_all()
            .map_err(TransferError::at(&self.target, "write through to the disk"))
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// [`TransferError::Exists`] when something took the name meanwhile, [`TransferError::File`];
    /// in both cases the temporary is gone and what was there before is untouched.
    pub fn commit(self) -> Result<(), TransferError> {
        let Self { body, target, options } = self;
        let (file, place, name) = match body {
            Body::File { file, place, name } => (file, place, name),
            // A store keeps what it has said it has.
            Body::Object(upload) => return upload.commit(),
        };
        if options.force {
            place.check_again(options)?;
        }
        if options.mode != PRIVATE {
            file.set_permissions(Permissions::from_mode(options.mode))
                .map_err(TransferError::at(&target, "set the permissions of"))?;
        }
        if options.sync {
            file.sync_all().map_err(TransferError::at(&target, "write through to the disk"))?;
        }
        let name = match name {
            Some(name) => name,
            None if options.force => link_under_temporary_name(&file, &place)?,
            None => {
                let linked = link(&file, &place.directory, &place.name);
                linked.map_err(|error| not_named(&target, error))?;
                return finish(&place, options);
            }
        };
        name.persist(&place, options)?;
        finish(&place, options)
    }
}

/// See [`AtomicFile::writer`].
#[derive(Debug)]
pub struct SinkWriter<'a> {
    sink: &'a AtomicFile,
    offset: u64,
}

impl std::io::Write for SinkWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.sink.write_at(self.offset, bytes).map_err(TransferError::into_io)?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.offset = self.offset.saturating_add(length);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn finish(place: &Place, options: SinkOptions) -> Result<(), TransferError> {
    if options.sync { place.sync() } else { Ok(()) }
}

fn not_named(target: &Path, error: std::io::Error) -> TransferError {
    if error.kind() == std::io::ErrorKind::AlreadyExists {
        TransferError::Exists { path: target.to_owned() }
    } else {
        TransferError::at(target, "name")(error)
    }
}

/// The directory in which a path's last part stands.
#[must_use]
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Writes a directory's names through to the disk.
///
/// # Errors
/// [`TransferError::File`].
pub fn sync_directory(directory: &Path) -> Result<(), TransferError> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(TransferError::at(directory, "write through to the disk"))
}

#[cfg(test)]
mod tests {
    use std::fs::Metadata;

    use super::*;

    pub(super) fn entries(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_is_there_before_the_commit_and_a_private_file_after() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("out");
        let sink = AtomicFile::create(&target, SinkOptions::default()).unwrap();
        sink.write_at(3, b"def").unwrap();
        sink.write_at(0, b"abc").unwrap();
        assert!(!target.exists());
        sink.commit().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"abcdef");
        assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(entries(directory.path()), ["out"]);
    }

    #[test]
    fn room_that_is_not_there_is_an_error_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("out");
        let sink = AtomicFile::create(&target, SinkOptions::default()).unwrap();
        sink.reserve(RESERVED - 1).unwrap();
        assert_eq!(sink.file().unwrap().metadata().unwrap().len(), 0);
        // No file system has it; those that cannot reserve find out later.
        match sink.reserve(1 << 62) {
            Err(error) => assert!(error.to_string().starts_with("cannot make room for ")),
            Ok(()) => assert_eq!(sink.file().unwrap().metadata().unwrap().len(), 0),
        }
    }

    #[test]
    fn a_file_for_others_gets_its_mode_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("out");
        let options = SinkOptions { mode: 0o644, ..SinkOptions::default() };
        let sink = AtomicFile::create(&target, options).unwrap();
        let mode = |metadata: Metadata| metadata.permissions().mode() & 0o777;
        assert_eq!(mode(sink.file().unwrap().metadata().unwrap()), 0o600);
        sink.commit().unwrap();
        assert_eq!(mode(target.metadata().unwrap()), 0o644);
    }

    #[test]
    fn a_dropped_output_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("out");
        let sink = AtomicFile::create(&target, SinkOptions::default()).unwrap();
        sink.write_at(0, b"secret").unwrap();
        drop(sink);
        assert!(entries(directory.path()).is_empty());
    }

    #[test]
    fn what_is_there_is_replaced_with_force_only() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("out");
        std::fs::write(&target, b"old").unwrap();
        let refused = AtomicFile::create(&target, SinkOptions::default()).unwrap_err();
        assert!(matches!(refused, TransferError::Exists { .. }), "{refused}");
        let options = SinkOptions { force: true, sync: true, ..SinkOptions::default() };
        let sink = AtomicFile::create(&target, options).unwrap();
        sink.write_at(0, b"new").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        sink.commit().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        assert_eq!(entries(directory.path()), ["out"]);
    }

    #[test]
    fn a_name_taken_meanwhile_is_respected() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("out");
        let sink = AtomicFile::create(&target, SinkOptions::default()).unwrap();
        std::fs::write(&target, b"theirs").unwrap();
        assert!(matches!(sink.commit().unwrap_err(), TransferError::Exists { .. }));
        assert_eq!(std::fs::read(&target).unwrap(), b"theirs");
        assert_eq!(entries(directory.path()), ["out"]);
    }

    #[test]
    fn a_directory_or_device_is_never_replaced() {
        let force = SinkOptions { force: true, sync: false, ..SinkOptions::default() };
        for target in ["/dev/null", "/tmp"] {
            let refused = AtomicFile::create(Path::new(target), force).unwrap_err();
            assert!(matches!(refused, TransferError::NotAFile { .. }), "{refused}");
        }
    }
}
