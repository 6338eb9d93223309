//! Whether an output that is there is the one that would be made.
//!
//! An output gets its name when it is whole, so what is asked is whether it is this log's: it must
//! have the length, and the plaintext of both ends. The first one has the time at which the log was
//! begun and the server's id, the last one its last transactions.

use std::path::Path;

use crate::file::source::FileSource;
use crate::file::{TransferError, sealed};
use crate::keyring::NamedKey;
use crate::log::envelope;
use crate::log::error::Error;
use crate::log::open::OpenLog;
use crate::mysql::header::{BODY_OFFSET, EncryptionHeader, LENGTH};

/// So many bytes at each end are compared.
const END: usize = 64 << 10;

type ReadAt<'a> = dyn Fn(u64, &mut [u8]) -> Result<usize, TransferError> + 'a;

/// Whether `output` has the plaintext of `log`. `false` when it is not there.
///
/// # Errors
/// [`Error::Transfer`] when either cannot be read.
pub(crate) fn is_plaintext_of(output: &Path, log: &OpenLog) -> Result<bool, Error> {
    let Some(copy) = open(output)? else {
        return Ok(false);
    };
    let is_as_long = copy.length() == log.plain_length();
    Ok(is_as_long
        && have_equal_ends(
            copy.length(),
            &|offset, buffer| log.read_at(offset, buffer),
            &|offset, buffer| copy.read_at(offset, buffer),
        )?)
}

/// Whether `output` is an age file of as many bytes as the plaintext of `log` has. `false` when it
/// is not there. More of it can be read by its recipients alone.
///
/// # Errors
/// [`Error::Transfer`] when it cannot be read.
pub(crate) fn is_age_file_of(output: &Path, log: &OpenLog) -> Result<bool, Error> {
    match open(output)? {
        Some(file) => Ok(sealed::has_plain_length(&file, log.plain_length())?),
        None => Ok(false),
    }
}

/// Whether `output` is the plaintext log `log`, encrypted under `key`. `false` when it is not
/// there.
///
/// # Errors
/// [`Error::Transfer`] when either cannot be read.
pub(crate) fn is_encrypted_form_of(
    output: &Path,
    log: &FileSource,
    key: &NamedKey,
) -> Result<bool, Error> {
    let Some(copy) = open(output)? else {
        return Ok(false);
    };
    let mut header = [0; LENGTH];
    let read = copy.read_at(0, &mut header)?;
    let is_under_key = EncryptionHeader::parse(&header).is_ok_and(|it| it.key_id == key.id);
    let length = log.length().saturating_add(BODY_OFFSET);
    if read < LENGTH || !is_under_key || copy.length() != length {
        return Ok(false);
    }
    let Ok(stream) = envelope::unseal(key, &header) else {
        return Ok(false);
    };
    let read_copy = |offset: u64, buffer: &mut [u8]| {
        let read = copy.read_at(offset.saturating_add(BODY_OFFSET), buffer)?;
        stream.apply(offset, buffer);
        Ok(read)
    };
    Ok(have_equal_ends(log.length(), &|offset, buffer| log.read_at(offset, buffer), &read_copy)?)
}

fn open(output: &Path) -> Result<Option<FileSource>, TransferError> {
    match FileSource::glance(output) {
        Ok(source) => Ok(Some(source)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn have_equal_ends(
    length: u64,
    one: &ReadAt<'_>,
    other: &ReadAt<'_>,
) -> Result<bool, TransferError> {
    let end = u64::try_from(END).unwrap_or(u64::MAX);
    let (mut left, mut right) = (vec![0; END], vec![0; END]);
    for offset in [0, length.saturating_sub(end)] {
        let read = one(offset, &mut left)?;
        if other(offset, &mut right)? != read || left.get(..read) != right.get(..read) {
            return Ok(false);
        }
    }
    Ok(true)
}
