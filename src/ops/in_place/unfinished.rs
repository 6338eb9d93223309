//! What a run that was killed has left of a log that it was replacing: the plaintext, aside.
//!
//! The plaintext is what counts: nothing tells whether the killed run had looked at the key once more.
//! So it gets its name back, and the run that comes now encrypts it again.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::in_use::lock;
use crate::error::{Error, Refusal};
use crate::event::{self, checksum};
use crate::io::TransferError;
use crate::io::sink::sync_directory;
use crate::io::source::FileSource;
use crate::log::LogKind;
use crate::log::header::BODY_OFFSET;
use crate::mariadb::start_encryption;
use crate::open::read_start;

const PREFIX: &[u8] = b".binlogsec-plain-";

/// What the plaintext of a log is called while the log is being replaced.
pub(super) fn aside_name(log: &Path) -> OsString {
    let mut name = OsStr::from_bytes(PREFIX).to_owned();
    name.push(log.file_name().unwrap_or_default());
    name
}

/// What was found in a directory.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// Plaintexts that were aside, and are not any more (but for a dry run).
    pub(super) settled: Vec<PathBuf>,
    /// Logs that have their plaintext back.
    pub(super) put_back: Vec<PathBuf>,
    /// Plaintexts that stay aside, and why.
    pub(super) failures: Vec<Error>,
    /// All of them: no log to be worked on.
    pub(super) paths: Vec<PathBuf>,
}

impl Unfinished {
    /// Looks through a directory, and brings to an end what can be.
    pub(super) fn settle(&mut self, directory: &Path, dry_run: bool) {
        let entries = directory.read_dir().into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let Some(log) = name.as_bytes().strip_prefix(PREFIX) else {
                continue;
            };
            let aside = entry.path();
            let log = directory.join(OsStr::from_bytes(log));
            self.paths.push(aside.clone());
            match settle(&aside, &log, dry_run) {
                Ok(Settled::Busy) => {}
                Ok(Settled::Removed) => self.settled.push(aside),
                Ok(Settled::PutBack) => {
                    self.settled.push(aside);
                    self.put_back.push(log);
                }
                Err(error) => self.failures.push(error),
            }
        }
    }
}

enum Settled {
    /// Another run is at work on it.
    Busy,
    /// The log was not replaced yet, or somebody has put its plaintext back: one copy was too many.
    Removed,
    /// The plaintext has its name again.
    PutBack,
}

fn settle(aside: &Path, log: &Path, dry_run: bool) -> Result<Settled, Error> {
    let plain = FileSource::glance(aside)?;
    match lock(&plain) {
        Err(Error::Refused { .. }) => return Ok(Settled::Busy),
        result => result?,
    }
    let kept = || {
        let aside = aside.to_owned();
        Error::refused(log, Refusal::PlaintextAside { aside })
    };
    let examine = TransferError::at(log, "examine");
    let there = match log.symlink_metadata() {
        Ok(there) => there,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(kept()),
        Err(error) => return Err(examine(error).into()),
    };
    let own = plain.file()?.metadata().map_err(&examine)?;
    let directory = crate::io::sink::directory_of(aside);
    let is_one_file = (there.dev(), there.ino()) == (own.dev(), own.ino());
    if is_one_file || (there.is_file() && is_the_same(log, &plain)?) {
        if !dry_run {
            std::fs::remove_file(aside).map_err(TransferError::at(aside, "remove"))?;
            sync_directory(directory)?;
        }
        return Ok(Settled::Removed);
    }
    if !there.is_file() || !is_encrypted_form(log, &plain)? {
        return Err(kept());
    }
    if !dry_run {
        std::fs::rename(aside, log).map_err(TransferError::at(log, "put back"))?;
        sync_directory(directory)?;
    }
    Ok(Settled::PutBack)
}

/// Whether a file has the very bytes of the plaintext.
fn is_the_same(log: &Path, plain: &FileSource) -> Result<bool, Error> {
    const PIECE: usize = 1 << 20;
    let source = FileSource::glance(log)?;
    if source.length() != plain.length() {
        return Ok(false);
    }
    let (mut one, mut other) = (vec![0; PIECE], vec![0; PIECE]);
    let mut offset = 0;
    while offset < plain.length() {
        let read = plain.read_at(offset, &mut one)?;
        if source.read_at(offset, &mut other)? != read || one.get(..read) != other.get(..read) {
            return Ok(false);
        }
        offset = offset.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
    Ok(true)
}

/// Whether a log can be the encrypted form of a plaintext, by kind and length.
fn is_encrypted_form(log: &Path, plain: &FileSource) -> Result<bool, Error> {
    let source = FileSource::glance(log)?;
    let more = source.length().checked_sub(plain.length());
    let start = read_start(plain)?;
    let is_plain = start.starts_with(&event::MAGIC);
    Ok(is_plain
        && match LogKind::classify(&read_start(&source)?) {
            LogKind::MysqlEncrypted(_) => more == Some(BODY_OFFSET),
            LogKind::MariadbEncrypted(..) => {
                let event = start_encryption::LENGTH.saturating_add(checksum::LENGTH);
                let longest = u64::try_from(event).unwrap_or(0);
                more.is_some_and(|more| more <= longest)
            }
            _ => false,
        })
}
