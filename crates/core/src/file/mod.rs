//! Bytes in, bytes out, without a thought for what they mean.

pub mod compressed;
pub mod inputs;
pub mod listing;
pub mod location;
pub(crate) mod metadata;
pub mod openers;
pub mod pipeline;
pub mod sealed;
pub mod sink;
pub mod small;
pub mod source;
pub mod store;
pub mod tree;

use std::path::{Path, PathBuf};

/// What can go wrong between the disk and the memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The operating system refused.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// Which file or stream.
        path: PathBuf,
        /// What was asked for: "open", "read" …
        operation: &'static str,
        /// Its answer.
        source: std::io::Error,
    },
    /// A directory, device, pipe or socket where a file was expected. None is opened for reading:
    /// it could block for ever.
    #[error("{} is {found}, not a regular file", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
        /// What it is, with its article.
        found: &'static str,
    },
    /// Larger than any file of its kind.
    #[error("{} has {}, more than any file of its kind ({limit} at most)", path.display(), bytes_or_more(*length, *limit))]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its length in bytes; `None` of a stream that was not read further.
        length: Option<u64>,
        /// The most bytes that are read.
        limit: u64,
    },
    /// It had another length at each reading.
    #[error("{} changes while it is read; try again when its writer is done", path.display())]
    Changing {
        /// Which file.
        path: PathBuf,
    },
    /// The output is there already.
    #[error("{} exists already; it is replaced with --force only", path.display())]
    Exists {
        /// Which output.
        path: PathBuf,
    },
    /// Input and output are one file.
    #[error("{} is the input itself; name another output", path.display())]
    SameFile {
        /// The file.
        path: PathBuf,
    },
    /// The output of one input is another input.
    #[error("{} is an input of this run, too; it is not replaced, not even with --force: name another output", path.display())]
    IsInput {
        /// The file.
        path: PathBuf,
    },
    /// What is there must not be lost to such an output.
    #[error("{} is {what}, and is not replaced, not even with --force: name another output, or move it away first", path.display())]
    Spared {
        /// Which file.
        path: PathBuf,
        /// What it is, with its article.
        what: &'static str,
    },
    /// A link that somebody else has put where everybody may put one.
    #[error("{} is a link of another user (id {owner}) in a directory where everybody may put links; it is not followed: name the file itself, in a directory of your own", path.display())]
    StrangersLink {
        /// The link.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Two inputs would have one output.
    #[error("{} and {} would both be written under one name; write them into different directories", first.display(), second.display())]
    SameName {
        /// One input.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
    },
    /// Somebody cut the file while it was read.
    #[error("{} was cut while it was read: {size_at_open} bytes at first, {size_now} now", path.display())]
    Shrank {
        /// Which file.
        path: PathBuf,
        /// Its size when it was opened.
        size_at_open: u64,
        /// Its size when that was noticed.
        size_now: u64,
    },
    /// What was read back is not what was written.
    #[error("what was written to the disk does not decrypt to {} (first difference within the piece at plain offset {offset}); it is left as it was, and memory or disk want a test", path.display())]
    Differs {
        /// The log that was to be replaced.
        path: PathBuf,
        /// Plain offset of the first piece that differs.
        offset: u64,
    },
    /// Another object has taken the place of the one that is read or was to be replaced.
    #[error("{} was replaced while it was worked on; what was read is of two versions, so start again", path.display())]
    Replaced {
        /// Which object.
        path: PathBuf,
    },
    /// Something that stores of objects cannot do.
    #[error("{} is an object in a store; this works on files alone, so copy it to a disk first", path.display())]
    NotLocal {
        /// Which object.
        path: PathBuf,
    },
    /// Built without the feature `objects`.
    #[error("{} is an object in a store, and this program was built without what reads those: build it with the feature `objects` (or `full`), or copy the object to a disk first", path.display())]
    NoObjects {
        /// Which object.
        path: PathBuf,
    },
    /// A compressed copy that cannot be unpacked, or not as it is.
    #[error("{} is a {compression} copy that is cut or damaged, and cannot be unpacked; unpack what is whole of it by its own program, and salvage that", path.display())]
    Unpack {
        /// Which copy.
        path: PathBuf,
        /// The name of its format.
        compression: &'static str,
        /// What came in between.
        source: std::io::Error,
    },
    /// A compressed copy of more than any log's copy has.
    #[error("{}, a {compression} copy, unpacks to more than {limit} bytes, which no log's copy does; if it is to be trusted, unpack it by its own program", path.display())]
    UnpacksTooLong {
        /// Which copy.
        path: PathBuf,
        /// The name of its format.
        compression: &'static str,
        /// So many bytes are allowed.
        limit: u64,
    },
    /// The caller asked to stop, see [`pipeline::Progress`].
    #[error("cancelled")]
    Cancelled,
}

fn bytes_or_more(length: Option<u64>, limit: u64) -> String {
    match length {
        Some(length) => format!("{length} bytes"),
        None => format!("more than {limit} bytes"),
    }
}

impl TransferError {
    /// Wraps an answer of the operating system; to be used with `map_err`.
    pub fn at(path: &Path, operation: &'static str) -> impl Fn(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path: path.clone(), operation, source }
    }

    /// The operating system's answer alone, for those who say themselves what it was about.
    pub fn into_io(self) -> std::io::Error {
        match self {
            Self::File { source, .. } => source,
            other => std::io::Error::other(other),
        }
    }

    /// Whether the file is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::File { source, .. }
            if source.kind() == std::io::ErrorKind::NotFound)
    }

    /// Whether the reader at the other end of an output pipe has gone.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::File { source, .. }
            if source.kind() == std::io::ErrorKind::BrokenPipe)
    }
}
