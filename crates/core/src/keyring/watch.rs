//! Whether a key is still what it was when it was read.
//!
//! A server that rotates its key changes its keyring file in steps (see
//! [`rotation`](super::rotation)), and purges the old key at the end. Who encrypts a log under a
//! key must know that the key stays: so the sources of the key are read again, and what they say
//! of it is compared with what they said at first.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::rotation::{self, RotationState, ServerKeys};
use super::store::{StoreFamily, Wanted};
use super::{
    Entry, KeyFile, Keyring, KeyringError, KeyringFile, KeyringFormat, KeyringNote, NamedKey,
};
use crate::mysql::key_id::KeyId;

/// How often a file that a server is just writing is looked at again, and after which pause.
const LOOKS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// What has become of a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyChange {
    /// The source has no such key any more.
    #[error("key {id} is not in {} any more", .path.display())]
    Gone {
        /// The key.
        id: KeyId,
        /// Where it was.
        path: PathBuf,
    },
    /// The source has other bytes under the key's id.
    #[error("{} has another key under {id} than before", .path.display())]
    OtherBytes {
        /// The key.
        id: KeyId,
        /// Where it is.
        path: PathBuf,
    },
    /// The server rotates its key at this moment, or was interrupted in that.
    #[error("{}: {state}", .path.display())]
    RotationUnderWay {
        /// The keyring.
        path: PathBuf,
        /// What its entries tell.
        state: RotationState,
    },
    /// The server's numbers are others than before: it has rotated its key.
    #[error("{}: the server has rotated its key: {}", .path.display(), numbers(*.before, *.now))]
    Rotated {
        /// The keyring.
        path: PathBuf,
        /// The number that was in use.
        before: Option<u32>,
        /// The number that is in use.
        now: Option<u32>,
    },
    /// The server writes its keyring, or was interrupted in that.
    #[error(
        "{} is there: the server is changing the keyring, or was interrupted in that and takes this file at its next start", .backup.display()
    )]
    BackupThere {
        /// The backup.
        backup: PathBuf,
    },
    /// A source cannot be read again.
    #[error("the key cannot be looked at again")]
    Unreadable(#[source] KeyringError),
}

fn numbers(before: Option<u32>, now: Option<u32>) -> String {
    let text = |number: Option<u32>| number.map_or("none".to_owned(), |it| it.to_string());
    format!("number {} was in use, now {}", text(before), text(now))
}

/// Whether a key stays that a log is under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is there, and no rotation is under way: one that begins later takes the log along.
    Stays,
    /// The keyring is whole, and does not have it.
    Missing,
    /// A rotation is under way or was interrupted, the keyring is just written, or nothing tells.
    Unsettled,
}

/// A key, and the sources that gave it.
#[derive(Debug)]
pub struct KeyWatch<'a> {
    keyring: &'a Keyring,
    id: KeyId,
}

/// What a keyring file says of a key and of the server whose key it is.
#[derive(PartialEq, Eq)]
struct Saying<'a> {
    entry: Option<&'a Entry>,
    server: Option<ServerKeys>,
}

impl<'a> KeyWatch<'a> {
    /// Watches a key of a keyring, whose state now is what later ones are compared with.
    #[must_use]
    pub const fn new(keyring: &'a Keyring, id: KeyId) -> Self {
        Self { keyring, id }
    }

    /// Where the key comes from.
    #[must_use]
    pub const fn keyring(&self) -> &'a Keyring {
        self.keyring
    }

    /// The key's id.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// Whether a store or a command gives the key: it is asked anew for each look.
    #[must_use]
    pub fn asks_a_command(&self) -> bool {
        self.files().next().is_none() && self.key_files().next().is_none()
    }

    /// Whether no source says what the server does with its keys: bare keys and commands do not.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        self.files().next().is_none()
    }

    /// Reads every source of the key again. No change is: the key has the same bytes, the numbers
    /// of its server are the same, and no rotation is under way.
    ///
    /// # Errors
    /// [`KeyChange`].
    pub fn check(&self) -> Result<(), KeyChange> {
        for file in self.files() {
            let now = read_settled(file, self.keyring)?;
            self.compare(file, &now)?;
        }
        for file in self.key_files() {
            let now = file.read_again().map_err(KeyChange::Unreadable)?;
            self.same(file.key() == &now, file.path())?;
        }
        if !self.asks_a_command() {
            return Ok(());
        }
        let wanted = Wanted::of_server(self.id.clone());
        for store in self.keyring.stores_of(StoreFamily::MySql) {
            if let Some(before) = store.key(&wanted).map_err(KeyChange::Unreadable)? {
                let now = store.key_now(&wanted).map_err(KeyChange::Unreadable)?;
                let path = store.configuration();
                let gone = || KeyChange::Gone { id: self.id.clone(), path: path.to_owned() };
                return self.same(now.ok_or_else(gone)? == *before, path);
            }
        }
        if let Some(command) = &self.keyring.command {
            let is_same = command
                .gives_the_same(&self.id)
                .map_err(|error| KeyChange::Unreadable(error.into()))?;
            self.same(is_same, Path::new(command.program()))?;
        }
        Ok(())
    }

    /// Reads the keyring files again. Of several that know the server the one counts whose number in
    /// use is the highest: the others are older copies.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let mut newest: Option<(Option<u32>, Standing)> = None;
        for file in self.files() {
            let found = match read_settled(file, self.keyring) {
                // Empty for so long, it is no rewrite any more; but nothing says what it was.
                Ok(now) if now.format() != KeyringFormat::Empty => self.standing_in(file, &now),
                Ok(_) | Err(_) => return Standing::Unsettled,
            };
            if newest.is_none_or(|(number, _)| number < found.0) {
                newest = Some(found);
            }
        }
        newest.map_or(Standing::Unsettled, |(_, standing)| standing)
    }

    /// With the server's number in use.
    fn standing_in(&self, before: &KeyringFile, now: &KeyringFile) -> (Option<u32>, Standing) {
        let (was, is) = (self.saying(before), self.saying(now));
        let is_quiet = is.server.as_ref().is_none_or(|it| is_quiet(&it.state));
        let is_another = was.entry.is_some() && was.entry != is.entry;
        let standing = match is.entry {
            None => Standing::Missing,
            Some(_) if !is_quiet => Standing::Unsettled,
            Some(_) if is_another => Standing::Missing,
            Some(_) => Standing::Stays,
        };
        (is.server.and_then(|server| server.current), standing)
    }

    /// Whether a keyring file has the key and this one, too: then both are of one time.
    #[must_use]
    pub fn is_beside(&self, id: &KeyId) -> bool {
        let has = |file: &KeyringFile, id: &KeyId| {
            let mut entries = file.entries().iter();
            entries.any(|entry| entry.is_of_the_server() && entry.id == *id)
        };
        let mut files = self.keyring.files.iter();
        files.any(|file| has(file, &self.id) && has(file, id))
    }

    /// The newest key that the sources have at this moment of the server whose key it is: during a
    /// rotation the one that it goes to.
    #[must_use]
    pub fn newest_now(&self) -> Option<NamedKey> {
        let uuid = self.id.parts()?.server_uuid;
        let newest = |file: &KeyringFile| {
            let now = read_settled(file, self.keyring).ok()?;
            let servers = rotation::survey(now.entries());
            let server = servers.into_iter().find(|it| it.server_uuid == uuid)?;
            let id = KeyId::for_server(uuid, *server.generations.last()?);
            let mut entries = now.entries().iter();
            let entry = entries.find(|it| it.is_of_the_server() && it.id == id)?;
            let key = super::usable(entry, now.path()).ok()?;
            Some((server.generations.last().copied(), NamedKey { id, key }))
        };
        let all = self.files().filter_map(newest);
        let (_, key) = all.max_by_key(|(generation, _)| *generation)?;
        Some(key)
    }

    fn same(&self, is_same: bool, path: &Path) -> Result<(), KeyChange> {
        if is_same {
            return Ok(());
        }
        Err(KeyChange::OtherBytes { id: self.id.clone(), path: path.to_owned() })
    }

    /// The keyring files that have the key, or say something of its server.
    fn files(&self) -> impl Iterator<Item = &'a KeyringFile> {
        self.keyring.files.iter().filter(|file| self.saying(file) != self.saying_nothing())
    }

    fn key_files(&self) -> impl Iterator<Item = &'a KeyFile> {
        let is_meant = |file: &&KeyFile| file.id().is_none_or(|id| *id == self.id);
        self.keyring.key_files.iter().filter(is_meant)
    }

    const fn saying_nothing(&self) -> Saying<'_> {
        Saying { entry: None, server: None }
    }

    fn saying<'f>(&self, file: &'f KeyringFile) -> Saying<'f> {
        let mut entries = file.entries().iter();
        let uuid = self.id.parts().map(|parts| parts.server_uuid);
        let servers = uuid.map(|_| rotation::survey(file.entries()));
        let mut servers = servers.into_iter().flatten();
        Saying {
            entry: entries.find(|it| it.is_of_the_server() && it.id == self.id),
            server: servers.find(|server| Some(&*server.server_uuid) == uuid),
        }
    }

    fn compare(&self, before: &KeyringFile, now: &KeyringFile) -> Result<(), KeyChange> {
        let path = || now.path().to_owned();
        let (was, is) = (self.saying(before), self.saying(now));
        if was.entry.is_some() && is.entry.is_none() {
            let (id, path) = (self.id.clone(), path());
            return Err(KeyChange::Gone { id, path });
        }
        self.same(was.entry == is.entry, now.path())?;
        let state = is.server.as_ref().map(|server| &server.state);
        if let Some(state) = state.filter(|state| !is_quiet(state)) {
            let (path, state) = (path(), state.clone());
            return Err(KeyChange::RotationUnderWay { path, state });
        }
        if was.server == is.server {
            return Ok(());
        }
        let current = |server: Option<ServerKeys>| server.and_then(|server| server.current);
        Err(KeyChange::Rotated {
            path: path(),
            before: current(was.server),
            now: current(is.server),
        })
    }
}

const fn is_quiet(state: &RotationState) -> bool {
    matches!(state, RotationState::Clean | RotationState::NoCurrentNumber)
}

/// Reads a keyring file again. A server empties the file and writes it anew with each change, and
/// has a backup beside it meanwhile: what is read at such a moment says nothing yet.
fn read_settled(file: &KeyringFile, keyring: &Keyring) -> Result<KeyringFile, KeyChange> {
    let unlock = keyring.mariadb.unlock.as_ref();
    let read = || -> Result<KeyringFile, KeyChange> {
        let read = if file.is_mariadb() {
            KeyringFile::open_mariadb(file.path(), unlock)
        } else {
            KeyringFile::open_with(file.path(), unlock, keyring.password.as_ref())
        };
        let read = read.map_err(KeyChange::Unreadable)?;
        match read.notes() {
            [KeyringNote::BackupPresent { path }, ..] => {
                let backup = path.clone();
                Err(KeyChange::BackupThere { backup })
            }
            [] => Ok(read),
        }
    };
    for _ in 0..LOOKS {
        match read() {
            Ok(read) if read.format() != KeyringFormat::Empty => return Ok(read),
            Err(KeyChange::Unreadable(error)) if error.is_about_passwords() => {
                return Err(KeyChange::Unreadable(error));
            }
            Ok(_) | Err(_) => std::thread::sleep(PAUSE),
        }
    }
    read()
}
