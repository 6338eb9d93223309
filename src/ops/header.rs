//! A log's encryption header by itself: put aside, and put back.

use std::io::Write;
use std::path::Path;

use super::header_backup::{self, Header};
use super::rekey::{first_chunk, open, write_header};
use super::transfer::Output;
use crate::error::{Error, Refusal};
use crate::event;
use crate::io::TransferError;
use crate::io::source::FileSource;
use crate::keyring::Keyring;
use crate::log::header::{self, EncryptionHeader, HeaderError, LENGTH};
use crate::log::key_id::KeyId;
use crate::open::{LogError, read_start, unlock};

/// Copies the 512 bytes of a log's header. A damaged header is copied, too, as long as it has the
/// magic of one.
///
/// # Errors
/// [`Error::Log`] when the file is too short or starts otherwise, [`Error::Transfer`].
pub fn dump(log: &Path, output: Output<'_>) -> Result<(), Error> {
    let source = FileSource::open(log)?;
    let header = first_chunk(&read_start(&source)?, log)?;
    if !header.starts_with(&header::MAGIC) {
        return Err(Error::refused(log, Refusal::NotEncrypted));
    }
    match output {
        Output::File(target, options) => write_header(target, &header, options.force)?,
        Output::Stream(writer, name) => write_all(writer, &header, name)?,
    }
    Ok(())
}

fn write_all(writer: &mut dyn Write, header: &Header, name: &Path) -> Result<(), TransferError> {
    writer
        .write_all(header)
        .and_then(|()| writer.flush())
        .map_err(TransferError::at(name, "write"))
}

/// How to put a header back.
#[derive(Debug, Clone, Copy, Default)]
pub struct RestoreOptions {
    /// Without a key, too.
    pub force: bool,
}

/// What was put back.
#[derive(Debug)]
pub struct Restored {
    /// The key that the log is under now.
    pub key_id: KeyId,
    /// Whether a key has proven that header and body belong together.
    pub proven: bool,
    /// Whether there was anything to write: the log may have had this header already.
    pub written: bool,
}

/// Puts a header before a log's body, with the same care as
/// [`rekey`](super::rekey::rekey). With keys, the header must open the body.
///
/// # Errors
/// [`Error::Log`] when `from` is no header, or does not open the body; [`Error::Refused`] when
/// there is no key and no `force`, when the log is a plaintext log, or when somebody may write it.
pub fn restore(
    log: &Path,
    from: &Path,
    keys: &Keyring,
    options: RestoreOptions,
) -> Result<Restored, Error> {
    let (header, parsed) = read_header(from)?;
    let source = open(log)?;
    header_backup::recover(&source, false, false)?;
    let start = read_start(&source)?;
    let before = first_chunk(&start, log)?;
    if start.starts_with(&event::MAGIC) {
        return Err(Error::refused(log, Refusal::NotEncrypted));
    }
    let proven = !keys.is_empty();
    if proven {
        unlock(&parsed, &start, keys)?.map_err(|error| Error::log(log, error))?;
    } else if !options.force {
        return Err(Error::refused(log, Refusal::Unproven));
    }
    let written = before != header;
    if written {
        header_backup::replace(&source, before, header)?;
    }
    Ok(Restored {
        key_id: parsed.key_id,
        proven,
        written,
    })
}

fn read_header(path: &Path) -> Result<(Header, EncryptionHeader), Error> {
    let source = FileSource::open(path)?;
    let damaged = |error| Error::log(path, LogError::HeaderDamaged(error));
    let start = read_start(&source)?;
    let parsed = EncryptionHeader::parse(&start).map_err(damaged)?;
    let header = start.first_chunk::<LENGTH>().ok_or_else(|| {
        damaged(HeaderError::Truncated {
            available: start.len(),
        })
    })?;
    Ok((*header, parsed))
}
