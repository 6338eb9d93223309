//! Rewriting a log's header so that a crash cannot lose it.
//!
//! The header is one sector, and disks write sectors whole; where one does not, the file password
//! would be gone and the log with it. So the old header is put aside first, in a file beside the
//! log that is written through to the disk; then the new one is written in one call and written
//! through; then the file is removed.
//!
//! ```text
//! "binlogsec-header" 01   17 bytes
//! old header              512 bytes
//! new header              512 bytes
//! start of the body       16 bytes: says which log it is, as no two have the same
//! SHA-256 of all before   32 bytes
//! ```

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::bytes::Cursor;
use crate::file::sink::{AtomicFile, SinkOptions, directory_of, sync_directory};
use crate::file::source::FileSource;
use crate::file::{TransferError, inputs};
use crate::keyring::Keyring;
use crate::log::error::Error;
use crate::log::kind::LogKind;
use crate::log::open::read_enough;
use crate::log::refusal::Refusal;
use crate::log::unlock::unlock;
use crate::mysql::header::{BODY_OFFSET, LENGTH};

const SIGNATURE: &[u8; 17] = b"binlogsec-header\x01";
/// The first block of the body: the flag that a clean close changes is in the second.
const BODY_START: usize = 16;
const DIGEST: usize = 32;
const BACKUP_LENGTH: usize = 1089;

/// A log's 512 bytes.
pub(super) type Header = [u8; LENGTH];

/// A change of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeaderBackup {
    old: Header,
    new: Header,
    body_start: [u8; BODY_START],
}

impl HeaderBackup {
    fn serialize(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BACKUP_LENGTH);
        bytes.extend(SIGNATURE);
        bytes.extend(self.old);
        bytes.extend(self.new);
        bytes.extend(self.body_start);
        let digest = Sha256::digest(&bytes);
        bytes.extend(digest);
        bytes
    }

    /// `None` for anything that was not written whole by [`HeaderBackup::serialize`].
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (content, digest) = bytes.split_last_chunk::<DIGEST>()?;
        if Sha256::digest(content).as_slice() != digest {
            return None;
        }
        let mut cursor = Cursor::new(content);
        let signature = cursor.take(SIGNATURE.len()).ok()?;
        let backup = Self {
            old: cursor.array().ok()?,
            new: cursor.array().ok()?,
            body_start: cursor.array().ok()?,
        };
        (signature == SIGNATURE && cursor.remaining() == 0).then_some(backup)
    }

    /// Whether these 512 bytes are what a write that was cut short may leave.
    fn is_between(&self, header: &Header) -> bool {
        let both = self.old.iter().zip(&self.new);
        both.zip(header).all(|((old, new), found)| found == old || found == new)
    }
}

/// What an interrupted change had left, and what was made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Recovery {
    /// The header was still, or already, whole; the backup was removed.
    BackupRemoved,
    /// The header was half written; the old one was put back.
    OldHeaderRestored,
}

/// Where the backup of a log's header is while the header changes.
pub(super) fn backup_path(log: &Path) -> PathBuf {
    let mut name = OsString::from(".binlogsec-header-");
    name.push(log.file_name().unwrap_or_default());
    log.with_file_name(name)
}

/// Opens a log so that its header can be written.
pub(super) fn open(path: &Path) -> Result<FileSource, TransferError> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(TransferError::at(path, "write to"))?;
    inputs::note_path(path);
    FileSource::from_file(file, path)
}

/// Replaces the header of a log that [`open`] has opened. At every instant either the log's header
/// is whole or the backup has it. `settle` comes when the new header is on the disk, and may write
/// yet another one by [`write`].
pub(super) fn replace(
    log: &FileSource,
    old: Header,
    new: Header,
    settle: &dyn Fn() -> Result<(), Error>,
) -> Result<(), Error> {
    let path = log.path();
    let backup = HeaderBackup { old, new, body_start: body_start(log)? };
    let options = SinkOptions { force: false, sync: true, ..SinkOptions::default() };
    let backup_path = backup_path(path);
    let sink = AtomicFile::create(&backup_path, options)?;
    sink.write_at(0, &backup.serialize())?;
    sink.commit()?;
    // As late as can be: what a server has written since this header was read would be lost.
    let result = if read_header(log)? == old {
        write(log, &new)?;
        settle()
    } else {
        Err(Error::refused(path, Refusal::Changed))
    };
    remove(&backup_path)?;
    result
}

/// The header that a log has at this moment.
pub(super) fn read_header(log: &FileSource) -> Result<Header, TransferError> {
    let mut header = [0; LENGTH];
    log.read_at(0, &mut header)?;
    Ok(header)
}

/// Looks for what an interrupted change has left, and brings it to an end. A header that is half
/// written is put right only if `restore` says so; with `dry_run` nothing is done at all.
///
/// A header that one of the keys opens is whole, whatever the backup says: the server has written it
/// since, when it rotated its key. It needs no backup of this log.
pub(super) fn recover(
    log: &FileSource,
    keys: &Keyring,
    restore: bool,
    dry_run: bool,
) -> Result<Option<Recovery>, Error> {
    let path = log.path();
    let backup_path = backup_path(path);
    if !backup_path.exists() {
        return Ok(None);
    }
    let refused =
        |reason: fn(PathBuf) -> Refusal| Error::refused(path, reason(backup_path.clone()));
    let header = read_header(log)?;
    let found = read(&backup_path)?;
    let body_start = body_start(log)?;
    let fits = |it: &HeaderBackup| body_start == it.body_start && it.is_between(&header);
    let Some(backup) = found.as_ref().filter(|it| fits(it)) else {
        // A backup of another log may be all that is left of that one's header.
        let is_of_another = found.as_ref().is_some_and(|it| it.body_start != body_start);
        if is_of_another || !opens(log, keys)? {
            return Err(refused(match found {
                Some(_) => |backup| Refusal::ForeignBackup { backup },
                None => |backup| Refusal::BackupDamaged { backup },
            }));
        }
        if !dry_run {
            sync(log)?;
            remove(&backup_path)?;
        }
        return Ok(Some(Recovery::BackupRemoved));
    };
    let recovery = if header == backup.old || header == backup.new {
        Recovery::BackupRemoved
    } else if restore {
        Recovery::OldHeaderRestored
    } else {
        return Err(refused(|backup| Refusal::HeaderTorn { backup }));
    };
    if !dry_run {
        if recovery == Recovery::OldHeaderRestored {
            write(log, &backup.old)?;
        } else {
            // Whole in memory, it need not be so on the disk.
            sync(log)?;
        }
        remove(&backup_path)?;
    }
    Ok(Some(recovery))
}

/// Whether the header opens the body with one of the keys.
fn opens(log: &FileSource, keys: &Keyring) -> Result<bool, Error> {
    let start = read_enough(log)?;
    match LogKind::classify(&start) {
        LogKind::MysqlEncrypted(header) => Ok(unlock(&header, &start, keys)?.is_ok()),
        _ => Ok(false),
    }
}

fn read(path: &Path) -> Result<Option<HeaderBackup>, TransferError> {
    let source = FileSource::glance(path)?;
    // One more than there should be, so that a longer file is told.
    let mut bytes = vec![0; BACKUP_LENGTH.saturating_add(1)];
    let length = source.read_at(0, &mut bytes)?;
    Ok(HeaderBackup::parse(bytes.get(..length).unwrap_or_default()))
}

fn body_start(log: &FileSource) -> Result<[u8; BODY_START], TransferError> {
    let mut start = [0; BODY_START];
    log.read_at(BODY_OFFSET, &mut start)?;
    Ok(start)
}

/// One write, and through to the disk.
pub(super) fn write(log: &FileSource, header: &Header) -> Result<(), TransferError> {
    let (file, path) = (log.file()?, log.path());
    file.write_all_at(header, 0).map_err(TransferError::at(path, "write the header of"))?;
    sync(log)
}

fn sync(log: &FileSource) -> Result<(), TransferError> {
    log.file()?.sync_all().map_err(TransferError::at(log.path(), "write through to the disk"))
}

fn remove(backup: &Path) -> Result<(), TransferError> {
    std::fs::remove_file(backup).map_err(TransferError::at(backup, "remove"))?;
    sync_directory(directory_of(backup))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup() -> HeaderBackup {
        HeaderBackup { old: [1; LENGTH], new: [2; LENGTH], body_start: [3; BODY_START] }
    }

    #[test]
    fn only_a_whole_backup_is_one() {
        let bytes = backup().serialize();
        assert_eq!(bytes.len(), BACKUP_LENGTH);
        assert_eq!(HeaderBackup::parse(&bytes), Some(backup()));
        for length in 0..bytes.len() {
            assert_eq!(HeaderBackup::parse(&bytes[..length]), None);
        }
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1;
            assert_eq!(HeaderBackup::parse(&damaged), None, "{position}");
        }
        assert_eq!(HeaderBackup::parse(&[&bytes[..], b"x"].concat()), None);
    }

    #[test]
    fn every_cut_of_a_write_lies_between() {
        for cut in 0..=LENGTH {
            let mut header = [1; LENGTH];
            header[..cut].fill(2);
            assert!(backup().is_between(&header));
        }
        let mut other = [1; LENGTH];
        other[77] = 3;
        assert!(!backup().is_between(&other));
    }
}
