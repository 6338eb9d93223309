//! Where a log comes from and where it goes: what decrypting and encrypting have in common.

use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::io::TransferError;
use crate::io::pipeline::{self, Producer, Progress, read_full};
use crate::io::sink::{AtomicFile, SinkOptions};
use crate::io::source::FileSource;
use crate::log::PROBE_LENGTH;

/// Where the bytes of a log come from.
pub enum Input {
    /// A file, open and mapped.
    File(FileSource),
    /// A stream, and what messages call it.
    Stream(Box<dyn Read + Send>, PathBuf),
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(source) => f.debug_tuple("File").field(source).finish(),
            Self::Stream(_, name) => f.debug_tuple("Stream").field(name).finish(),
        }
    }
}

/// Where the result goes.
pub enum Output<'a> {
    /// A file, mode 0600, which appears when it is whole.
    File(&'a Path, SinkOptions),
    /// A stream, and what messages call it.
    Stream(&'a mut dyn Write, &'a Path),
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path, options) => f.debug_tuple("File").field(path).field(options).finish(),
            Self::Stream(_, name) => f.debug_tuple("Stream").field(name).finish(),
        }
    }
}

/// Writes what `produce` gives in order, wherever it is to go. Returns the bytes written. A file
/// must pass `check` before it gets its name.
///
/// # Errors
/// As [`pipeline::stream`] and [`AtomicFile`], or that of the check.
pub(super) fn write_in_order(
    produce: &mut Producer<'_>,
    output: Output<'_>,
    check: &dyn Fn(&AtomicFile) -> Result<(), Error>,
    progress: &dyn Progress,
) -> Result<u64, Error> {
    match output {
        Output::File(target, options) => {
            let sink = AtomicFile::create(target, options)?;
            let written = pipeline::stream(produce, &mut sink.writer(), target, progress)?;
            check(&sink)?;
            sink.commit()?;
            Ok(written)
        }
        Output::Stream(writer, name) => Ok(pipeline::stream(produce, writer, name, progress)?),
    }
}

/// The first bytes of a stream, as many as a probe wants.
///
/// # Errors
/// [`TransferError::File`].
pub(super) fn read_stream_start(
    reader: &mut dyn Read,
    name: &Path,
) -> Result<Vec<u8>, TransferError> {
    let mut start = vec![0; PROBE_LENGTH];
    let read = read_full(reader, &mut start).map_err(TransferError::at(name, "read"))?;
    start.truncate(read);
    Ok(start)
}

/// Whatever `--force` says: a result never takes the place of its own source.
pub(super) fn check_not_itself(source: &FileSource, target: &Path) -> Result<(), TransferError> {
    let is_itself = match source.file() {
        Err(_) => target == source.path(),
        Ok(file) => match (target.metadata(), file.metadata()) {
            (Ok(there), Ok(here)) => (there.dev(), there.ino()) == (here.dev(), here.ino()),
            _ => false,
        },
    };
    if is_itself {
        return Err(TransferError::SameFile {
            path: target.to_owned(),
        });
    }
    Ok(())
}
