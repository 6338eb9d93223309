//! Small files, read whole: keyrings, passwords, policies, certificates.
//!
//! Any of them may be a secret, or be named in the place of one: what is read goes into a buffer
//! that is allocated once at its full size, so that growing leaves no copies behind, and is wiped.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Seek;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::source::describe;
use super::{TransferError, inputs};
use crate::bytes::read_full;

/// Whether a pipe will do: `<(pass show …)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pipes {
    /// It is read to its end, however long its writer takes.
    Taken,
    /// It is told as no regular file, and not opened.
    Refused,
}

/// How often a file is read whose length changes meanwhile.
const MAX_REREADS: usize = 3;

/// All bytes of a file of at most `limit` bytes. It counts as an input of the run
/// ([`inputs`]): no output may replace it.
///
/// The type is checked before the file is opened, since opening a device can have effects, and
/// again afterwards, since the path may have changed its meaning; opening a regular file never
/// waits.
///
/// # Errors
/// [`TransferError::File`] by what the operating system answers to `open` and `read`,
/// [`TransferError::NotAFile`], [`TransferError::TooLarge`], and [`TransferError::Changing`] for one
/// that had another length at each of three readings.
pub fn read(path: &Path, limit: u64, pipes: Pipes) -> Result<Zeroizing<Vec<u8>>, TransferError> {
    let cannot_open = TransferError::at(path, "open");
    let cannot_read = TransferError::at(path, "read");
    let status = path.metadata().map_err(&cannot_open)?;
    if pipes == Pipes::Taken && !status.is_file() && !status.is_dir() {
        return stream(path, limit);
    }
    check(path, &status, limit)?;
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(&cannot_open)?;
    for _ in 0..MAX_REREADS {
        let status = file.metadata().map_err(&cannot_read)?;
        inputs::note(&status);
        let size = check(path, &status, limit)?;
        // One byte more than there should be, which tells a file that has grown.
        let mut bytes = Zeroizing::new(vec![0; size.saturating_add(1)]);
        if read_full(&mut file, &mut bytes).map_err(&cannot_read)? == size {
            bytes.truncate(size);
            return Ok(bytes);
        }
        file.rewind().map_err(&cannot_read)?;
    }
    Err(TransferError::Changing { path: path.to_owned() })
}

/// The size of a file that may be read.
fn check(path: &Path, status: &Metadata, limit: u64) -> Result<usize, TransferError> {
    if !status.is_file() {
        let found = describe(status.file_type());
        return Err(TransferError::NotAFile { path: path.to_owned(), found });
    }
    let length = status.len();
    usize::try_from(length).ok().filter(|_| length <= limit).ok_or_else(|| {
        TransferError::TooLarge { path: path.to_owned(), length: Some(length), limit }
    })
}

/// What comes through a pipe, up to the end of it.
fn stream(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, TransferError> {
    let mut file = File::open(path).map_err(TransferError::at(path, "open"))?;
    let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
    let mut bytes = Zeroizing::new(vec![0; room]);
    let read = read_full(&mut file, &mut bytes).map_err(TransferError::at(path, "read"))?;
    if read == room {
        return Err(TransferError::TooLarge { path: path.to_owned(), length: None, limit });
    }
    bytes.truncate(read);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_is_read_up_to_its_limit_and_nothing_beyond() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(*read(&path, 5, Pipes::Refused).unwrap(), b"12345");
        let error = read(&path, 4, Pipes::Taken).unwrap_err();
        assert!(matches!(error, TransferError::TooLarge { length: Some(5), limit: 4, .. }));
        let error = read(directory.path(), 4, Pipes::Taken).unwrap_err();
        assert!(matches!(error, TransferError::NotAFile { found: "a directory", .. }));
    }

    #[test]
    fn a_pipe_is_taken_where_it_will_do_and_never_waited_for_elsewhere() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
        let path = Path::new(&path);
        let error = read(path, 9, Pipes::Refused).unwrap_err();
        assert!(matches!(error, TransferError::NotAFile { found: "a named pipe", .. }));
        writer.write_all(b"secret\n").unwrap();
        drop(writer);
        assert_eq!(*read(path, 9, Pipes::Taken).unwrap(), b"secret\n");
    }
}
