//! Stands between a log that is put under a key and a server that rotates its keys.
//!
//! A rotation (server source, `sql/rpl_log_encryption.cc`, `rotate_master_key`) goes, and writes its
//! keyring through to the disk after each step that changes it:
//!
//! 1. store `_old`, choose the next number, store `_new`, generate the key,
//! 2. remove the number in use, store the new one,
//! 3. begin a new binary log, under the new key,
//! 4. read the list of logs; open one after the other, newest first; of those that are encrypted *at
//!    that time* wrap the file password anew; then the same for relay logs,
//! 5. purge the old keys, store `_last_purged`, remove `_old` and `_new`.
//!
//! A log is lost that is plaintext when step 4 comes to it, and is put under the old key before step
//! 5. So the log is replaced between two looks at the keyring, and until the second one its plaintext
//! (of `rekey`: its old header) is still there:
//!
//! - The second look, which begins when the log has its name, shows the same key and the same
//!   numbers as at first, and no `_old` or `_new`. Then no rotation is between its steps 1 and 5: it
//!   would show. None has come to its end since the first look: the number in use would be another.
//!   So whatever rotation there will be begins later, and comes to its step 4 later still: it finds
//!   the log encrypted, under a key that it knows, and takes it along. Nothing is lost.
//! - It shows anything else. Then the plaintext must not get its name back at once: step 4 reads a
//!   log's header, opens the log once more *by its name*, and writes 512 bytes at its beginning. If
//!   the plaintext has the name by then, it is written over (seen with MySQL 9.7). So [`fate`] reads
//!   the log's header, then the keyring, again and again:
//!   - The header's key is there and the keyring is quiet: as above, nothing is lost.
//!   - The header's key is missing in a whole keyring: no server can unwrap the log's password, so
//!     none writes to the log. The plaintext gets its name back. To wait for the end of the rotation
//!     would be in vain: with such a log in the index none succeeds, and each leaves its marks.
//!   - The key is there and a rotation is under way: wait. If it takes too long, the plaintext stays
//!     aside, and the next run decides by the same rule.
//!
//!   Where the server has taken the log along meanwhile, the log's header names the new key: then the
//!   log is as good as any, and stays.
//!
//! Rotations at a server's start begin no new log and purge nothing; they change the number, and are
//! treated as the others.
//!
//! A *copy* of a keyring, a bare key and a key command do not show what the server does. The logs do:
//! step 3 comes before step 4, so as long as the last log of the index is under no newer key, when
//! the replaced log has its name, step 4 is still to come. It is looked at, too. And when a run
//! begins, no encrypted log beside those that it works on may be under a newer key of the same
//! server, unless a keyring file has both keys: then the source of ours is older than the logs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::batch::listed::{last_entry, read_index};
use crate::batch::targets::{has_log_extension, is_index};
use crate::file::sink::directory_of;
use crate::file::source::FileSource;
use crate::keyring::{KeyWatch, Keyring, NamedKey, Standing};
use crate::log::error::{Error, describe};
use crate::log::open::read_start;
use crate::log::refusal::Refusal;
use crate::log::unlock::unlock;
use crate::mysql::header::EncryptionHeader;
use crate::mysql::key_id::KeyId;

/// What is to become of a log that has been put under a key, and of its plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The log's key stays: the plaintext may go.
    Stays,
    /// No server has the log's key: the plaintext can have its name back, as nobody writes to the log.
    Lost,
    /// It could not be found out in time: both must stay.
    Unknown,
}

/// How long a rotation is waited for. It puts some hundred logs a second under the new key.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// The same where no keyring shows the end of it, and a log's header alone can.
const BLIND_PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until the keyring and the log's header, whose key `id_now` reads, tell what is to be done.
pub(super) fn fate(
    keyring: &Keyring,
    id_now: &dyn Fn() -> Option<KeyId>,
    patience: Duration,
) -> Fate {
    let begun = Instant::now();
    loop {
        // The header first: a key that is in the keyring after that was there when it was read.
        let id = id_now();
        let watch = id.map(|id| KeyWatch::new(keyring, id));
        let fate = watch.as_ref().map_or(Fate::Unknown, |it| fate_now(it, id_now));
        // Where no keyring knows the server, there is nothing to wait for.
        let is_vain = watch.is_some_and(|watch| watch.is_blind());
        if fate != Fate::Unknown || is_vain || begun.elapsed() >= patience {
            return fate;
        }
        std::thread::sleep(PAUSE);
    }
}

fn fate_now(watch: &KeyWatch<'_>, id_now: &dyn Fn() -> Option<KeyId>) -> Fate {
    match watch.standing() {
        Standing::Stays => Fate::Stays,
        // Unless the server has written another header meanwhile, and has purged this key then.
        Standing::Missing if id_now().as_ref() == Some(watch.id()) => Fate::Lost,
        Standing::Missing | Standing::Unsettled => Fate::Unknown,
    }
}

/// The key of a run, with all that tells whether it stays.
#[derive(Debug)]
pub(super) struct KeyGuard<'a> {
    watch: KeyWatch<'a>,
    /// The keyring that logs are taken away from, where it is another one.
    old: Option<&'a Keyring>,
    /// The indexes that were named.
    named: Vec<PathBuf>,
    /// Those that lie beside logs, by directory.
    beside: BTreeMap<PathBuf, Vec<PathBuf>>,
    /// The log with which the run was stopped, and why.
    stopped_at: OnceLock<(PathBuf, String)>,
    /// Whether the logs at hand have been looked at.
    is_begun: Mutex<bool>,
}

impl<'a> KeyGuard<'a> {
    /// For logs that will be put under a key. Those that open with `old` may be under a newer key of
    /// the same server: the user takes them away from it.
    pub(super) fn new(
        old: Option<&'a Keyring>,
        watch: KeyWatch<'a>,
        logs: &[PathBuf],
        named: Vec<PathBuf>,
    ) -> Self {
        let directories: BTreeSet<_> = logs.iter().map(|log| directory_of(log)).collect();
        let indexes_in = |directory: &Path| -> Vec<PathBuf> {
            let entries = directory.read_dir().into_iter().flatten().flatten();
            let paths = entries.map(|entry| entry.path());
            paths.filter(|path| is_index(path)).collect()
        };
        let beside = directories
            .into_iter()
            .map(|directory| (directory.to_owned(), indexes_in(directory)))
            .collect();
        Self { watch, old, named, beside, stopped_at: OnceLock::new(), is_begun: Mutex::new(false) }
    }

    /// What could not be looked at, for the user; `None` where the keyring tells all.
    pub(super) fn unseen(&self) -> Option<String> {
        let what = if self.watch.asks_a_command() {
            "a command gives the key"
        } else {
            "the key is a bare one"
        };
        let text = || {
            format!(
                "{what}: no keyring says whether the server rotates its key; do not rotate it during the run"
            )
        };
        self.watch.is_blind().then(text)
    }

    /// Before a log is replaced, or to find out whether it could be. An error stops the run: no other
    /// log is replaced any more. The first time all logs at hand are looked at.
    pub(super) fn before(&self, log: &Path) -> Result<(), Error> {
        self.begin(log)?;
        if let Some((at, why)) = self.stopped_at.get().cloned() {
            return Err(Error::refused(log, Refusal::Stopped { at, why }));
        }
        if self.watch.asks_a_command() {
            return Ok(());
        }
        self.stop_on_error(log, self.look_at_key())
    }

    /// Others wait until the first one has looked.
    fn begin(&self, log: &Path) -> Result<(), Error> {
        let mut is_begun = self.is_begun.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_begun {
            return Ok(());
        }
        *is_begun = true;
        let key = if self.watch.asks_a_command() { Ok(()) } else { self.look_at_key() };
        self.stop_on_error(log, key.and_then(|()| self.look_at_all_logs()))
    }

    /// When a log has been replaced, and that can still be undone. An error stops the run.
    pub(super) fn after(&self, log: &Path) -> Result<(), Error> {
        let looked = self.look_at_key().and_then(|()| self.look_at_last_logs(log));
        self.stop_on_error(log, looked)
    }

    /// After [`KeyGuard::after`] had an error: what is to become of the log.
    pub(super) fn fate(&self, id_now: &dyn Fn() -> Option<KeyId>) -> Fate {
        if !self.watch.is_blind() {
            return fate(self.watch.keyring(), id_now, PATIENCE);
        }
        let begun = Instant::now();
        while begun.elapsed() < BLIND_PATIENCE {
            if id_now().is_some_and(|id| self.is_newer(&id)) {
                return Fate::Stays;
            }
            std::thread::sleep(PAUSE);
        }
        Fate::Unknown
    }

    /// Whether a header names a newer key of the same server: its server has put it there.
    pub(super) fn is_newer(&self, id: &KeyId) -> bool {
        let (Some(ours), Some(theirs)) = (self.watch.id().parts(), id.parts()) else {
            return false;
        };
        ours.server_uuid == theirs.server_uuid && theirs.sequence_number > ours.sequence_number
    }

    /// The newest key of the server at this moment, which no rotation under way purges.
    pub(super) fn newest_key(&self) -> Option<NamedKey> {
        self.watch.newest_now()
    }

    fn stop_on_error(&self, log: &Path, looked: Result<(), Refusal>) -> Result<(), Error> {
        // A rotation that has just come to its new log is told of as one.
        let looked = looked.or_else(|refusal| {
            if !self.watch.asks_a_command() {
                self.look_at_key()?;
            }
            Err(refusal)
        });
        looked.map_err(|refusal| {
            self.stopped_at.get_or_init(|| (log.to_owned(), reason(&refusal)));
            Error::refused(log, refusal)
        })
    }

    fn look_at_key(&self) -> Result<(), Refusal> {
        Ok(self.watch.check()?)
    }

    /// All logs of the directories and indexes at hand.
    fn look_at_all_logs(&self) -> Result<(), Refusal> {
        if self.watch.id().parts().is_none() {
            return Ok(());
        }
        for directory in self.beside.keys() {
            let entries = directory.read_dir().into_iter().flatten().flatten();
            let logs = entries.map(|entry| entry.path());
            for log in logs.filter(|path| has_log_extension(path)) {
                self.look_at_log(&log)?;
            }
        }
        let listed = self.named.iter().filter_map(|index| read_index(index).ok());
        for log in listed.flatten() {
            let is_seen = self.beside.contains_key(directory_of(&log.path));
            if !is_seen {
                self.look_at_log(&log.path)?;
            }
        }
        Ok(())
    }

    /// The logs that servers are writing, as far as indexes tell.
    fn look_at_last_logs(&self, log: &Path) -> Result<(), Refusal> {
        if self.watch.id().parts().is_none() {
            return Ok(());
        }
        let beside = self.beside.get(directory_of(log)).into_iter().flatten();
        for last in beside.chain(&self.named).filter_map(|it| last_entry(it)) {
            self.look_at_log(&last)?;
        }
        Ok(())
    }

    /// Refuses to go on where a log is under a newer key of our server, and no keyring file has both
    /// keys: ours may be purged. What is no encrypted log, or cannot be read, tells nothing.
    fn look_at_log(&self, log: &Path) -> Result<(), Refusal> {
        let Ok(start) = FileSource::glance(log).and_then(|source| read_start(&source)) else {
            return Ok(());
        };
        let Ok(header) = EncryptionHeader::parse(&start) else {
            return Ok(());
        };
        let opens = |keys: &Keyring| matches!(unlock(&header, &start, keys), Ok(Ok(_)));
        let id = &header.key_id;
        if !self.is_newer(id) || self.watch.is_beside(id) || self.old.is_some_and(opens) {
            return Ok(());
        }
        Err(Refusal::KeyOlderThanLog {
            log: log.to_owned(),
            log_key: header.key_id,
            key: self.watch.id().clone(),
        })
    }
}

/// Why a run is stopped. What becomes of the log with which it is stopped is told of that log.
fn reason(refusal: &Refusal) -> String {
    match refusal {
        Refusal::KeyChanged(change) => describe(change),
        other => describe(other),
    }
}
