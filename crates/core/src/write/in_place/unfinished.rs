//! What a run that was killed has left of a log that it was replacing: the plaintext, aside.
//!
//! Nothing tells whether the killed run had looked at the key once more. So this is done now, by the
//! same rule (see [`key_guard`](super::super::key_guard)): the plaintext goes if the log's key stays
//! and the log has its very content; it gets its name back if no server has the key; and where
//! neither is known, both stay.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::in_use::lock;
use super::super::key_guard::{Fate, fate};
use crate::event::{self, checksum};
use crate::file::TransferError;
use crate::file::sink::{directory_of, sync_directory};
use crate::file::source::FileSource;
use crate::keyring::Keyring;
use crate::log::error::Error;
use crate::log::kind::LogKind;
use crate::log::open::{OpenLog, read_start};
use crate::log::refusal::Refusal;
use crate::mariadb::start_encryption;
use crate::mysql::header::BODY_OFFSET;

const PREFIX: &[u8] = b".binlogsec-plain-";

/// What the plaintext of a log is called while the log is being replaced.
pub(super) fn aside_name(log: &Path) -> OsString {
    let mut name = OsStr::from_bytes(PREFIX).to_owned();
    name.push(log.file_name().unwrap_or_default());
    name
}

/// How it is found out what is to become of a plaintext.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule<'a> {
    /// The keys of the run.
    pub(super) keyring: &'a Keyring,
    /// Nothing is changed.
    pub(super) dry_run: bool,
    /// How long a rotation is waited for.
    pub(super) patience: Duration,
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
    pub(super) fn settle(&mut self, directory: &Path, rule: Rule<'_>) {
        let entries = directory.read_dir().into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let Some(log) = name.as_bytes().strip_prefix(PREFIX) else {
                continue;
            };
            let aside = entry.path();
            let log = directory.join(OsStr::from_bytes(log));
            self.paths.push(aside.clone());
            match settle(&aside, &log, rule) {
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
    /// The log was not replaced yet, or somebody has put its plaintext back, or the log's key stays: one
    /// copy was too many.
    Removed,
    /// The plaintext has its name again.
    PutBack,
}

fn settle(aside: &Path, log: &Path, rule: Rule<'_>) -> Result<Settled, Error> {
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
    let is_one_file = (there.dev(), there.ino()) == (own.dev(), own.ino());
    if is_one_file || (there.is_file() && is_the_same(log, &plain)?) {
        return remove(aside, rule);
    }
    if !there.is_file() || !is_encrypted_form(log, &plain)? {
        return Err(kept());
    }
    match fate_of(log, rule)? {
        Fate::Unknown => {
            let aside = aside.to_owned();
            Err(Error::refused(log, Refusal::KeyUnsettled { aside }))
        }
        Fate::Lost => put_back(aside, log, rule),
        Fate::Stays if has_content_of(log, &plain, rule.keyring)? => remove(aside, rule),
        Fate::Stays => Err(kept()),
    }
}

fn remove(aside: &Path, rule: Rule<'_>) -> Result<Settled, Error> {
    if !rule.dry_run {
        std::fs::remove_file(aside).map_err(TransferError::at(aside, "remove"))?;
        sync_directory(directory_of(aside))?;
    }
    Ok(Settled::Removed)
}

fn put_back(aside: &Path, log: &Path, rule: Rule<'_>) -> Result<Settled, Error> {
    if !rule.dry_run {
        std::fs::rename(aside, log).map_err(TransferError::at(log, "put back"))?;
        sync_directory(directory_of(aside))?;
    }
    Ok(Settled::PutBack)
}

/// What is to become of the plaintext of an encrypted log.
fn fate_of(log: &Path, rule: Rule<'_>) -> Result<Fate, Error> {
    let source = FileSource::glance(log)?;
    if let LogKind::MariadbEncrypted(..) = LogKind::classify(&read_start(&source)?) {
        // Such a server rotates nothing, and never writes into a log that has its name back.
        return Ok(Fate::Lost);
    }
    let id_now = || match LogKind::classify(&read_start(&source).ok()?) {
        LogKind::MysqlEncrypted(header) => Some(header.key_id),
        _ => None,
    };
    Ok(fate(rule.keyring, &id_now, rule.patience))
}

/// Whether an encrypted log is this plaintext.
fn has_content_of(log: &Path, plain: &FileSource, keyring: &Keyring) -> Result<bool, Error> {
    let log = OpenLog::new(FileSource::glance(log)?, keyring)?;
    let read = |offset, buffer: &mut [u8]| log.read_at(offset, buffer);
    Ok(log.plain_length() == plain.length() && is_content(plain, read)?)
}

/// Whether a file has the very bytes of the plaintext.
fn is_the_same(log: &Path, plain: &FileSource) -> Result<bool, Error> {
    let source = FileSource::glance(log)?;
    let read = |offset, buffer: &mut [u8]| source.read_at(offset, buffer);
    Ok(source.length() == plain.length() && is_content(plain, read)?)
}

/// Whether `read` gives what the plaintext has, up to its end.
fn is_content(
    plain: &FileSource,
    read: impl Fn(u64, &mut [u8]) -> Result<usize, TransferError>,
) -> Result<bool, Error> {
    const PIECE: usize = 1 << 20;
    let (mut one, mut other) = (vec![0; PIECE], vec![0; PIECE]);
    let mut offset = 0;
    while offset < plain.length() {
        let length = plain.read_at(offset, &mut one)?;
        if read(offset, &mut other)? != length || one.get(..length) != other.get(..length) {
            return Ok(false);
        }
        offset = offset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
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
