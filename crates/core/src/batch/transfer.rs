//! Where a log comes from and where it goes: what decrypting and encrypting have in common.

use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::bytes::read_full;
use crate::event::FIRST_FLAGS;
use crate::event::header::flag;
use crate::file::TransferError;
use crate::file::pipeline::{self, Producer, Progress};
use crate::file::sealed::Recipients;
use crate::file::sink::{AtomicFile, SinkOptions};
use crate::file::source::FileSource;
use crate::log::error::Error;
use crate::log::kind::PROBE_LENGTH;

/// Where the bytes of a log come from.
pub enum Input {
    /// A file or an object, open.
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

/// Lets `write` write into the writer, by way of an age file if there are recipients.
///
/// # Errors
/// Those of `write` and of the writer.
pub fn seal<T>(
    recipients: Option<&Recipients>,
    (writer, name): (&mut dyn Write, &Path),
    write: impl FnOnce(&mut dyn Write) -> Result<T, TransferError>,
) -> Result<T, TransferError> {
    match recipients {
        Some(recipients) => recipients.seal(writer, name, write),
        None => write(writer),
    }
}

/// Writes what `produce` gives in order, wherever it is to go, for `recipients` alone if there are
/// any. Returns the bytes that were given. A file must pass `check` before it gets its name.
///
/// # Errors
/// As [`pipeline::stream`] and [`AtomicFile`], or that of the check.
pub fn write_in_order(
    produce: &mut Producer<'_>,
    output: Output<'_>,
    recipients: Option<&Recipients>,
    check: &dyn Fn(&AtomicFile) -> Result<(), Error>,
    progress: &dyn Progress,
) -> Result<u64, Error> {
    let mut write = |writer: &mut dyn Write, name: &Path| {
        seal(recipients, (writer, name), |writer| pipeline::stream(produce, writer, name, progress))
    };
    match output {
        Output::File(target, options) => {
            let sink = AtomicFile::create(target, options)?;
            let written = write(&mut sink.writer(), target)?;
            check(&sink)?;
            sink.commit()?;
            Ok(written)
        }
        Output::Stream(writer, name) => Ok(write(writer, name)?),
    }
}

/// The first bytes of a stream, as many as a probe wants.
///
/// # Errors
/// [`TransferError::File`].
pub fn read_stream_start(reader: &mut dyn Read, name: &Path) -> Result<Vec<u8>, TransferError> {
    let mut start = vec![0; PROBE_LENGTH];
    let read = read_full(reader, &mut start).map_err(TransferError::at(name, "read"))?;
    start.truncate(read);
    Ok(start)
}

/// Whatever `--force` says: a result never takes the place of its own source.
pub fn check_not_itself(source: &FileSource, target: &Path) -> Result<(), TransferError> {
    let is_itself = match source.file() {
        Err(_) => target == source.path(),
        Ok(file) => match (crate::file::location::local(target).metadata(), file.metadata()) {
            (Ok(there), Ok(here)) => (there.dev(), there.ino()) == (here.dev(), here.ino()),
            _ => false,
        },
    };
    if is_itself {
        return Err(TransferError::SameFile { path: target.to_owned() });
    }
    Ok(())
}

/// Says of a plaintext log that it is closed, by its first bytes. No checksum covers the flag.
pub fn clear_in_use(log_start: &mut [u8]) {
    if let Some(flags) = log_start.get_mut(FIRST_FLAGS) {
        let [in_use, _] = flag::IN_USE.to_le_bytes();
        *flags &= !in_use;
    }
}
