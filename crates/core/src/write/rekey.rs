//! From one replication encryption key to another: the header is rewritten, the body stays.

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use super::header_backup::Recovery;
use super::header_backup::{self, Header};
use super::in_use::{Lookout, lock, real_path};
use super::key_guard::KeyGuard;
use crate::batch;
use crate::batch::existing::spared_by_others;
use crate::batch::targets::{Target, each_once};
use crate::file::pipeline::{self, NoProgress};
use crate::file::sink::{AtomicFile, SinkOptions};
use crate::file::source::FileSource;
use crate::file::{TransferError, location};
use crate::keyring::{KeyWatch, Keyring, NamedKey};
use crate::log::envelope;
use crate::log::error::Error;
use crate::log::kind::LogKind;
use crate::log::log_error::LogError;
use crate::log::open::read_enough;
use crate::log::probe::Probe;
use crate::log::refusal::Refusal;
use crate::log::unlock::{Unlocked, unlock};
use crate::mysql::header::{BODY_OFFSET, EncryptionHeader};
use crate::mysql::key_id::KeyId;
use crate::secret::Secret32;
use crate::text::reported;

/// What came of one log of many.
pub type FileResult = batch::FileResult<Rekeyed, Refusal>;
/// The same, of one that was not refused.
pub type FileOutcome = batch::FileOutcome<Rekeyed, Refusal>;

/// Said wherever a log was rekeyed: what rekeying cannot do.
pub const OLD_HEADER_NOTE: &str = "a copy of the old header, or of the log from before, still opens with the old key: the file password stays the same, and with it the ciphertext. Only decrypting and encrypting anew changes that";

/// How to rekey.
#[derive(Debug, Clone, Default)]
pub struct RekeyOptions {
    /// Put back the old header of a log whose header an interrupted run has left half written.
    pub recover: bool,
    /// Find out what would happen, and do nothing.
    pub dry_run: bool,
    /// Write the old header, 512 bytes, into this file first. For one log.
    pub backup_header: Option<PathBuf>,
}

/// What came of one log.
#[derive(Debug, Clone, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rekeyed {
    /// What was done, or would be.
    #[serde(skip)]
    pub change: Change,
    /// The key that the log was under.
    #[serde(serialize_with = "reported::display_or_null")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub old_key_id: Option<KeyId>,
    /// The key that it is under now, or would be.
    #[serde(serialize_with = "reported::display_or_null")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub new_key_id: Option<KeyId>,
    /// Version of the server that wrote the log.
    pub server_version: Option<String>,
    /// What an interrupted run had left and was brought to an end: `backup-removed` or
    /// `old-header-restored`.
    pub recovery: Option<Recovery>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// What was done to a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Change {
    /// It was rewritten.
    Written,
    /// It would be, but for a dry run.
    WouldWrite,
    /// It was under the new key already, or the run only recovers.
    #[default]
    None,
}

/// A key to put logs under, and where it comes from: it is looked at again during the run.
#[derive(Debug, Clone, Copy)]
pub struct NewKey<'a> {
    /// The key.
    pub key: &'a NamedKey,
    /// Its source.
    pub keyring: &'a Keyring,
}

/// What came of a run.
#[derive(Debug)]
pub struct RekeyOutcome {
    /// Every log's result.
    pub files: Vec<FileResult>,
    /// What the user should know of the whole run.
    pub note: Option<String>,
}

/// Puts many logs under another key, in parallel. One that is there by several names is worked on
/// once.
#[must_use]
pub fn rekey(
    targets: Vec<Target>,
    old: &Keyring,
    new: NewKey<'_>,
    options: &RekeyOptions,
) -> RekeyOutcome {
    let targets = each_once(targets);
    let logs = targets.iter().map(|target| &target.path);
    let logs: Vec<_> = logs.filter_map(|log| real_path(log).ok()).collect();
    let watch = KeyWatch::new(new.keyring, new.key.id.clone());
    let from = (!std::ptr::eq(old, new.keyring)).then_some(old);
    let run = Run {
        old,
        new: new.key,
        options,
        key_guard: KeyGuard::new(from, watch, &logs, Vec::new()),
        lookout: Lookout::default(),
    };
    let work = |path: &Path| Ok((path.to_owned(), run.rekey(path)?));
    RekeyOutcome { files: batch::for_all(targets, work, skippable), note: run.key_guard.unseen() }
}

/// Brings interrupted changes of headers to an end, and does nothing else.
#[must_use]
pub fn recover(targets: Vec<Target>, dry_run: bool) -> Vec<FileResult> {
    let lookout = Lookout::default();
    let work = |path: &Path| {
        let log = open(path, &lookout)?;
        let recovery = header_backup::recover(&log, &Keyring::default(), true, dry_run)?;
        Ok((path.to_owned(), Rekeyed { recovery, ..Rekeyed::default() }))
    };
    batch::for_all(each_once(targets), work, skippable)
}

/// What is no failure of a file that came with an index or a directory.
pub(super) fn skippable(error: Error) -> Result<Refusal, Error> {
    match error {
        Error::Refused {
            source: source @ (Refusal::NotEncrypted | Refusal::NotArchived), ..
        } => Ok(source),
        Error::Log { source: source @ (LogError::NotALog | LogError::Empty), .. } => {
            Ok(source.into())
        }
        other => Err(other),
    }
}

/// Opens a log whose header may be changed: nobody else writes it, and no server is seen that has it
/// in its index. Such a server writes headers anew when it rotates its key, and deletes the key that
/// was read before.
pub(super) fn open(path: &Path, lookout: &Lookout) -> Result<FileSource, Error> {
    if location::is_url(path) {
        return Err(TransferError::NotLocal { path: path.to_owned() }.into());
    }
    let log = header_backup::open(&real_path(path)?)?;
    lock(&log)?;
    let metadata = log.file()?.metadata().map_err(TransferError::at(path, "examine"))?;
    lookout.check(path, &metadata, true)?;
    lookout.check_server(log.path())?;
    Ok(log)
}

/// What the logs of one run share.
struct Run<'a> {
    old: &'a Keyring,
    new: &'a NamedKey,
    options: &'a RekeyOptions,
    key_guard: KeyGuard<'a>,
    lookout: Lookout,
}

impl Run<'_> {
    /// Opens a log and brings to an end what an interrupted run has left of it. Of an object, that
    /// is the object as it was.
    fn open_recovered(&self, path: &Path) -> Result<(FileSource, Option<Recovery>), Error> {
        if location::is_url(path) {
            return Ok((FileSource::open(path)?, None));
        }
        let log = open(path, &self.lookout)?;
        let RekeyOptions { recover, dry_run, .. } = *self.options;
        let recovery = header_backup::recover(&log, self.old, recover, dry_run)?;
        Ok((log, recovery))
    }

    fn rekey(&self, path: &Path) -> Result<Rekeyed, Error> {
        let new = self.new;
        let (log, recovery) = self.open_recovered(path)?;
        let start = read_enough(&log)?;
        let header = encryption_header(&start, path)?;
        let Unlocked { password, description, .. } =
            unlock(&header, &start, self.old)?.map_err(|error| Error::log(path, error))?;
        let is_under_it =
            header.key_id == new.id && envelope::unwrap_password(new, &header) == password;
        let mut done = Rekeyed {
            old_key_id: Some(header.key_id),
            new_key_id: Some(new.id.clone()),
            server_version: description.map(|it| it.server_version),
            recovery,
            ..Rekeyed::default()
        };
        if is_under_it {
            return Ok(done);
        }
        let rewrapped = envelope::wrap(new, &password)?;
        prove(&rewrapped, new, &password, path)?;
        self.key_guard.before(path)?;
        done.change = if self.options.dry_run {
            Change::WouldWrite
        } else {
            let headers = (first_chunk(&start, path)?, rewrapped);
            self.put(&log, headers, &password)?;
            Change::Written
        };
        Ok(done)
    }

    /// Puts the new header in the place of the old one, of which a copy is kept if that is asked
    /// for.
    fn put(
        &self,
        log: &FileSource,
        (before, after): (Header, Header),
        password: &Secret32,
    ) -> Result<(), Error> {
        let path = log.path();
        if let Some(backup) = &self.options.backup_header {
            write_header(backup, &before, false)?;
        }
        if location::is_url(path) {
            return Ok(rewrite(log, &after)?);
        }
        let settle = || self.settle(log, (before, after), password);
        header_backup::replace(log, before, after, &settle)
    }

    /// The new header is on the disk: if its key does not stay, another one takes its place.
    ///
    /// A server that rotates its key may have put the log under the newest key meanwhile: that stays.
    /// Or it had done so at the very moment when our header was written over its own, and the old
    /// header's key is purged soon: so the log is put under the newest key that there is, which this
    /// rotation does not purge, and any later one takes along. Where no keyring tells, the old header
    /// is put back.
    fn settle(
        &self,
        log: &FileSource,
        (before, after): (Header, Header),
        password: &Secret32,
    ) -> Result<(), Error> {
        const ATTEMPTS: usize = 5;
        let Err(error) = self.key_guard.after(log.path()) else {
            return Ok(());
        };
        let mut written = after;
        for _ in 0..ATTEMPTS {
            if header_backup::read_header(log)? != written {
                break;
            }
            let newest = self.key_guard.newest_key();
            written = match &newest {
                Some(key) => envelope::wrap(key, password)?,
                None => before,
            };
            header_backup::write(log, &written)?;
            let now = self.key_guard.newest_key();
            if now.map(|key| key.id) == newest.map(|key| key.id) {
                break;
            }
        }
        Err(error)
    }
}

/// Puts header and body in the place of an object: in a store nothing is changed in part.
fn rewrite(log: &FileSource, header: &Header) -> Result<(), TransferError> {
    let sink = AtomicFile::replace_object(log)?;
    sink.write_at(0, header)?;
    let copy = |_: u64, source: &[u8], target: &mut [u8]| target.copy_from_slice(source);
    let body = BODY_OFFSET..log.length();
    pipeline::file_to_file(log, body, &sink, BODY_OFFSET, &copy, &NoProgress)?;
    sink.commit()
}

/// The header of an encrypted log, or why there is none.
pub(super) fn encryption_header(start: &[u8], path: &Path) -> Result<EncryptionHeader, Error> {
    match LogKind::classify(start) {
        LogKind::MysqlEncrypted(header) => Ok(header),
        LogKind::MysqlPlain(_) | LogKind::MariadbPlain(_) => {
            Err(Error::refused(path, Refusal::NotEncrypted))
        }
        LogKind::MariadbEncrypted(..) => Err(Error::refused(path, Refusal::EncryptedByMariaDb)),
        _ => {
            let obstacle = Probe::without_keys(start).obstacle().cloned();
            Err(Error::log(path, obstacle.unwrap_or(LogError::NotALog)))
        }
    }
}

/// The first 512 bytes of a file.
pub(super) fn first_chunk(start: &[u8], path: &Path) -> Result<Header, Error> {
    start.first_chunk().copied().ok_or_else(|| {
        let cut =
            LogError::Truncated { available: start.len(), part: "encryption header (512 bytes)" };
        Error::log(path, cut)
    })
}

/// Before the old header goes: the new one gives the same password.
fn prove(header: &Header, key: &NamedKey, password: &Secret32, path: &Path) -> Result<(), Error> {
    let parsed = EncryptionHeader::parse(header)
        .map_err(|error| Error::log(path, LogError::HeaderDamaged(error)))?;
    if envelope::unwrap_password(key, &parsed) == *password && parsed.key_id == key.id {
        return Ok(());
    }
    Err(TransferError::Differs { path: path.to_owned(), offset: 0 }.into())
}

/// Writes a header into a file of its own, through to the disk.
pub(super) fn write_header(
    target: &Path,
    header: &Header,
    force: bool,
) -> Result<(), TransferError> {
    let sink = AtomicFile::create(
        target,
        SinkOptions { force, sync: true, spares: spared_by_others, ..SinkOptions::default() },
    )?;
    sink.write_at(0, header)?;
    sink.commit()
}
