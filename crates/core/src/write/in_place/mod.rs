//! Encrypting logs where they lie.
//!
//! The encrypted log is made beside the plaintext, without a name where the file system allows
//! that. It is written through to the disk, read back, decrypted and compared with the plaintext
//! byte for byte; only then it takes the log's name, in one rename. At every instant the name
//! leads to a whole log in its old or its new form.
//!
//! The plaintext stays beside it under a second name until the key has been looked at once more: the
//! server may rotate its key meanwhile, and purge this one. As long as nothing tells whether it does,
//! both stay. Why no log is lost to that, whenever it happens, is told in the module `key_guard`.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Advice;

mod unfinished;

use self::unfinished::{Rule, Unfinished, aside_name};
use super::encrypt::{EncryptOptions, Encrypted, FileResult, PlainLog, skippable};
use super::encrypt_mariadb::Plan;
use super::encrypt_mariadb::log_key_id;
use super::in_use::{LastEntries, Lookout, lock, real_path};
use super::key_guard::{Fate, KeyGuard, PATIENCE};
use crate::batch;
use crate::batch::targets::{Target, Targets, each_once, is_index};
use crate::batch::transfer::Output;
use crate::file::TransferError;
use crate::file::metadata::{self, FileState};
use crate::file::pipeline::{self, NoProgress, Progress};
use crate::file::sink::{AtomicFile, Replaced, SinkOptions, directory_of, remove_leftovers};
use crate::file::source::{FileSource, SourceReader};
use crate::keyring::{KeyWatch, Keyring, NamedKey};
use crate::log::envelope::{self, Envelope};
use crate::log::error::Error;
use crate::log::refusal::Refusal;
use crate::mysql::header::{BODY_OFFSET, EncryptionHeader, LENGTH};
use crate::mysql::key_id::KeyId;

/// How to work in place.
#[derive(Debug, Clone, Copy, Default)]
pub struct InPlaceOptions {
    /// Take logs that are in use: with the in-use flag set, last in their index, open for reading.
    /// One that is open for writing is refused nevertheless.
    pub allow_in_use: bool,
    /// Find out what would happen, and do nothing.
    pub dry_run: bool,
}

/// Under what logs are encrypted, and so the server that reads them.
#[derive(Debug, Clone, Copy)]
pub enum InPlaceKeys<'a> {
    /// A MySQL server, by one of its keys, and where that comes from: it is looked at again during the
    /// run.
    Mysql(&'a NamedKey, &'a Keyring),
    /// A MariaDB server, by its key files; key and cipher are chosen as
    /// [`encrypt_mariadb`](crate::write::encrypt_mariadb) does.
    Mariadb(&'a Keyring),
}

/// What came of a run.
#[derive(Debug)]
pub struct InPlaceOutcome {
    /// Every log's result.
    pub files: Vec<FileResult>,
    /// Names that could not be read at all.
    pub failures: Vec<Error>,
    /// What killed runs had left behind in the logs' directories, and what was removed or put back now.
    pub leftovers: Vec<PathBuf>,
    /// What the user should know of the whole run.
    pub notes: Vec<String>,
}

/// Encrypts every log that `names` stand for, where it lies.
#[must_use]
pub fn encrypt_in_place(
    names: &[PathBuf],
    keys: InPlaceKeys<'_>,
    options: InPlaceOptions,
    progress: &dyn Progress,
) -> InPlaceOutcome {
    let Targets { files, failures, notices, .. } = Targets::expand_to_change(names);
    let (mut targets, directories) = real(each_once(files));
    let mut outcome = InPlaceOutcome {
        files: Vec::new(),
        failures,
        leftovers: Vec::new(),
        notes: notices.iter().map(ToString::to_string).collect(),
    };
    let indexes = names.iter().filter(|name| is_index(name));
    let indexes: Vec<PathBuf> = indexes.cloned().collect();
    let logs: Vec<PathBuf> = targets.iter().map(|target| target.path.clone()).collect();
    let key_guard = keys.guard(&logs, indexes.clone());
    let mut unfinished = Unfinished::default();
    let rule = Rule {
        keyring: keys.keyring(),
        dry_run: options.dry_run,
        patience: if options.dry_run { Duration::ZERO } else { PATIENCE },
    };
    for directory in &directories {
        let left = remove_leftovers(directory, options.dry_run);
        outcome.leftovers.extend(left.into_iter().flatten());
        unfinished.settle(directory, rule);
    }
    targets.retain(|target| {
        !outcome.leftovers.contains(&target.path) && !unfinished.paths.contains(&target.path)
    });
    outcome.leftovers.append(&mut unfinished.settled);
    outcome.failures.append(&mut unfinished.failures);
    outcome.notes.extend(key_guard.unseen());
    let job = Job {
        keys,
        options,
        progress,
        last_entries: LastEntries::new(&indexes, logs.iter().map(PathBuf::as_path)),
        lookout: Lookout::default(),
        key_guard,
        put_back: unfinished.put_back,
    };
    let work = |path: &Path| Ok((path.to_owned(), job.encrypt(path)?));
    outcome.files = batch::for_all(targets, work, skippable);
    outcome
}

impl<'a> InPlaceKeys<'a> {
    fn guard(self, logs: &[PathBuf], indexes: Vec<PathBuf>) -> KeyGuard<'a> {
        let id = match self {
            Self::Mysql(key, _) => key.id.clone(),
            Self::Mariadb(keyring) => log_key_id(keyring),
        };
        KeyGuard::new(None, KeyWatch::new(self.keyring(), id), logs, indexes)
    }

    const fn keyring(self) -> &'a Keyring {
        match self {
            Self::Mysql(_, keyring) | Self::Mariadb(keyring) => keyring,
        }
    }
}

/// The same targets with links followed, and the directories in which they lie. What cannot be found
/// stays, so that the work on it says why.
fn real(mut targets: Vec<Target>) -> (Vec<Target>, BTreeSet<PathBuf>) {
    for target in &mut targets {
        if let Ok(real) = real_path(&target.path) {
            target.path = real;
        }
    }
    let paths = targets.iter().map(|target| &target.path);
    let directories = paths.map(|path| directory_of(path).to_owned()).collect();
    (targets, directories)
}

/// What the logs of one run share.
struct Job<'a> {
    keys: InPlaceKeys<'a>,
    options: InPlaceOptions,
    progress: &'a dyn Progress,
    last_entries: LastEntries,
    lookout: Lookout,
    key_guard: KeyGuard<'a>,
    /// Logs that a killed run had replaced, and that have their plaintext back.
    put_back: Vec<PathBuf>,
}

impl Job<'_> {
    fn encrypt(&self, path: &Path) -> Result<Encrypted, Error> {
        let options =
            EncryptOptions { allow_in_use: self.options.allow_in_use, ..EncryptOptions::default() };
        let source = FileSource::open(path)?;
        let log = match self.keys {
            InPlaceKeys::Mysql(..) => PlainLog::new(source, options)?,
            InPlaceKeys::Mariadb(_) => PlainLog::of_mariadb(source, options)?,
        };
        if !self.options.allow_in_use {
            self.last_entries.check(path)?;
        }
        lock(&log.source)?;
        let metadata = examine(log.source.file()?, path)?;
        // What was appended since is no part of what will be encrypted.
        let state = log.source.state()?;
        if FileState::new(&metadata) != state {
            return Err(Error::refused(path, Refusal::Changed));
        }
        let allow_readers = self.options.allow_in_use;
        let unseen = self.lookout.check(path, &metadata, allow_readers)?;
        let (mut done, method) = self.prepare(&log)?;
        done.written = !self.options.dry_run;
        if metadata.nlink() > 1 {
            let others = metadata.nlink().saturating_sub(1);
            done.notes
                .push(format!("the plaintext stays under {others} other name(s): hard links"));
        }
        if unseen {
            let note = if Path::new("/proc/self").exists() {
                "processes of other users could not be looked at: only root sees whether the server has the log open"
            } else {
                "/proc is not mounted here: nobody sees whether the server has the log open"
            };
            done.notes.push(note.to_owned());
        }
        if self.put_back.iter().any(|it| it == path) {
            done.notes
                .push("a killed run had left its plaintext aside, and it was put back".to_owned());
        }
        self.key_guard.before(path)?;
        if !self.options.dry_run {
            done.notes.extend(self.replace(&log, method, state)?);
        }
        Ok(done)
    }

    /// What will be done, and how.
    fn prepare(&self, log: &PlainLog) -> Result<(Encrypted, Method<'_>), Error> {
        let length = log.source.length();
        match self.keys {
            InPlaceKeys::Mysql(key, _) => {
                let done = Encrypted::new(log.description.clone(), key, length);
                Ok((done, Method::Envelope(key)))
            }
            InPlaceKeys::Mariadb(keys) => {
                let plan = Plan::of(log, keys)?;
                Ok((plan.outcome(length), Method::PerEvent(Box::new(plan))))
            }
        }
    }

    /// Makes the encrypted log, and puts it in the place of the plaintext. Returns what there is to
    /// say of it.
    fn replace(
        &self,
        log: &PlainLog,
        method: Method<'_>,
        state: FileState,
    ) -> Result<Option<String>, Error> {
        let path = log.source.path();
        let options =
            SinkOptions { force: true, sync: true, replaces_input: true, ..SinkOptions::default() };
        let sink = AtomicFile::create(path, options)?;
        match &method {
            Method::Envelope(key) => log.seal(&sink, &Envelope::fresh(key)?, self.progress)?,
            Method::PerEvent(plan) => {
                let reader = SourceReader::new(&log.source);
                let output = Output::Stream(&mut sink.file()?, path);
                plan.write((reader, path), output, self.progress)?;
                log.source.check_size()?;
            }
        }
        sink.sync()?;
        verify(log, method, &sink)?;
        metadata::keep(log.source.file()?, sink.file()?, path)?;
        // As late as can be: what has changed since the work began would be lost.
        let now = std::fs::symlink_metadata(path).map_err(TransferError::at(path, "examine"))?;
        if FileState::new(&now) != state {
            return Err(Error::refused(path, Refusal::Changed));
        }
        self.lookout.check(path, &now, self.options.allow_in_use)?;
        self.key_guard.before(path)?;
        let aside = aside_name(path);
        let replaced = sink.replace(&aside)?;
        self.settle(log, replaced, state)
    }

    /// The log has been replaced, and its plaintext is aside: lets it go, puts it back, or leaves both
    /// as they are.
    fn settle(
        &self,
        log: &PlainLog,
        mut replaced: Replaced,
        state: FileState,
    ) -> Result<Option<String>, Error> {
        let path = log.source.path();
        let looked = self.key_guard.after(path);
        let fate = match &looked {
            Ok(()) => Fate::Stays,
            Err(_) => self.fate(&mut replaced),
        };
        let aside = path.with_file_name(aside_name(path));
        let reason = match fate {
            Fate::Unknown => {
                replaced.leave_aside();
                return Err(Error::refused(path, Refusal::KeyUnsettled { aside }));
            }
            Fate::Lost => looked.err(),
            // What somebody wrote into the plaintext until now would go with it.
            Fate::Stays if Self::was_written_to(log, &state) => None,
            Fate::Stays => {
                replaced.keep()?;
                return Ok(looked.err().map(|_| ROTATED_NOTE.to_owned()));
            }
        };
        if replaced.undo()? {
            return Err(reason.unwrap_or_else(|| Error::refused(path, Refusal::Changed)));
        }
        Err(Error::refused(path, Refusal::PlaintextAside { aside }))
    }

    fn was_written_to(log: &PlainLog, state: &FileState) -> bool {
        let now = log.source.file().and_then(|it| examine(it, log.source.path()));
        !now.is_ok_and(|now| FileState::new(&now).has_same_content(state))
    }

    /// The key did not look as before: waits for what becomes of it.
    fn fate(&self, replaced: &mut Replaced) -> Fate {
        if matches!(self.keys, InPlaceKeys::Mariadb(_)) {
            // Such a server rotates nothing, and writes no header into a log that has its name back.
            return Fate::Lost;
        }
        replaced.let_signals_end();
        let id_now = || header_key(replaced.new_file());
        self.key_guard.fate(&id_now)
    }
}

/// The key that a log's header names at this moment.
fn header_key(file: &File) -> Option<KeyId> {
    let mut header = [0; LENGTH];
    file.read_exact_at(&mut header, 0).ok()?;
    Some(EncryptionHeader::parse(&header).ok()?.key_id)
}

/// Of a log that was replaced while its server rotated its key, and is none the worse for it.
const ROTATED_NOTE: &str =
    "the server rotated its key meanwhile; it has the key that this log is under";

/// How one log is encrypted.
enum Method<'a> {
    /// In whole, as MySQL does.
    Envelope(&'a NamedKey),
    /// Event by event, as MariaDB does.
    PerEvent(Box<Plan>),
}

/// Reads the encrypted log back, decrypts it and compares it with the plaintext, byte for byte.
fn verify(log: &PlainLog, method: Method<'_>, sink: &AtomicFile) -> Result<(), Error> {
    let path = log.source.path();
    // From the disk and not from memory, where the system follows the advice.
    let _ = rustix::fs::fadvise(sink.file()?, 0, None, Advice::DontNeed);
    let descriptor = sink.file()?.try_clone().map_err(TransferError::at(path, "read back"))?;
    let copy = FileSource::from_file(descriptor, path)?;
    match method {
        Method::Envelope(key) => verify_envelope(log, key, &copy),
        Method::PerEvent(plan) => plan.verify(&log.source, copy),
    }
}

fn verify_envelope(log: &PlainLog, key: &NamedKey, copy: &FileSource) -> Result<(), Error> {
    let path = log.source.path();
    let differs = |offset| TransferError::Differs { path: path.to_owned(), offset };
    let mut header = [0; LENGTH];
    copy.read_at(0, &mut header)?;
    let stream = envelope::unseal(key, &header).map_err(|_| differs(0))?;
    if copy.length() != log.source.length().saturating_add(BODY_OFFSET) {
        return Err(differs(log.source.length()).into());
    }
    let compare = |offset: u64, plain: &[u8], buffer: &mut Vec<u8>| {
        buffer.resize(plain.len(), 0);
        copy.read_at(offset.saturating_add(BODY_OFFSET), buffer)?;
        stream.apply(offset, buffer);
        if buffer == plain { Ok(()) } else { Err(differs(offset)) }
    };
    let range = 0..log.source.length();
    Ok(pipeline::each_chunk(&log.source, range, &compare, &NoProgress)?)
}

fn examine(file: &File, path: &Path) -> Result<std::fs::Metadata, TransferError> {
    file.metadata().map_err(TransferError::at(path, "examine"))
}
