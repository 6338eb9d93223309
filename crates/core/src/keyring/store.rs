//! Key stores that are asked over the network: what each can do, and every question asked once.
//!
//! The library speaks to no store itself; the package `binlogsec-keystores` does, and hands its
//! stores over as [`KeyStore`]. However many logs need a key, the store is asked for it once.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::store_failure::StoreFailure;
use super::{Entry, Keyring, KeyringError, rotation, usable};
use crate::mysql::key_id::KeyId;
use crate::secret::Secret32;

/// Whose keys a store has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFamily {
    /// Keys by name, as MySQL and Percona Server have them.
    MySql,
    /// Keys by number and version, as MariaDB has them.
    MariaDb,
}

/// What stands between a store and who listens on the way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreTransport {
    /// TLS, with a verified certificate.
    Tls,
    /// Nothing, within this machine.
    Loopback,
    /// Nothing.
    Clear,
}

/// Which key a store is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The key id; of MariaDB's keys the number in decimal.
    pub id: KeyId,
    /// The account that owns the key; empty for keys of the server itself.
    pub user: Box<[u8]>,
    /// The key's version, which MariaDB's logs name.
    pub version: Option<u32>,
}

impl Wanted {
    /// A key of the server itself.
    #[must_use]
    pub fn of_server(id: KeyId) -> Self {
        Self { id, user: Box::default(), version: None }
    }
}

/// A key that a store says it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The key id; of MariaDB's keys the number in decimal.
    pub id: KeyId,
    /// The account that owns the key; empty for keys of the server itself.
    pub user: Box<[u8]>,
    /// The versions that can be read, ascending; empty where the store keeps one value alone.
    pub versions: Vec<u32>,
}

/// A key of logs that a store keeps, and its server no longer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftBehind {
    /// The key id; of MariaDB's keys the number in decimal.
    pub id: KeyId,
    /// The versions that can be read or brought back.
    pub versions: Vec<u32>,
    /// The command that destroys them.
    pub command: String,
}

/// A file by which whoever reads it can ask a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretFile<'a> {
    /// Which file.
    pub path: &'a Path,
    /// What it holds, with its article.
    pub what: &'static str,
}

/// A store of keys. Its `Debug` output, its name and its errors contain neither key nor token.
pub trait KeyStore: fmt::Debug + Send + Sync {
    /// What it is and where, for messages.
    fn name(&self) -> String;

    /// The file that says where it is and how it is asked.
    fn configuration(&self) -> &Path;

    /// The files by which whoever reads them can ask it.
    fn secret_files(&self) -> Vec<SecretFile<'_>> {
        vec![SecretFile { path: self.configuration(), what: "a token" }]
    }

    /// Whose keys it has.
    fn family(&self) -> StoreFamily;

    /// What protects the way to it.
    fn transport(&self) -> StoreTransport;

    /// When the value that a key has now was stored (RFC 3339), where the store tells.
    ///
    /// # Errors
    /// As [`KeyStore::fetch`].
    fn stored_at(&self, wanted: &Wanted) -> Result<Option<String>, StoreFailure>;

    /// The key that is wanted; `None` where the store says that it has none.
    ///
    /// # Errors
    /// [`StoreFailure`] when the store cannot be reached, refuses, or answers with anything else
    /// than a key.
    fn fetch(&self, wanted: &Wanted) -> Result<Option<Entry>, StoreFailure>;

    /// The ids of all its keys.
    ///
    /// # Errors
    /// As [`KeyStore::fetch`].
    fn list(&self) -> Result<Vec<Stored>, StoreFailure>;

    /// The keys of logs that can still be had after they were deleted or replaced; `None` where that
    /// may not be asked.
    ///
    /// # Errors
    /// As [`KeyStore::fetch`].
    fn left_behind(&self) -> Result<Option<Vec<LeftBehind>>, StoreFailure> {
        Ok(Some(Vec::new()))
    }

    /// Stores an entry, as the server whose store it is would; one of its id and user that is there
    /// stays unless it is to be replaced.
    ///
    /// # Errors
    /// As [`KeyStore::fetch`]; also when the entry is there, or the store takes no keys from here.
    fn put(&self, entry: &Entry, replace: bool) -> Result<(), StoreFailure>;
}

type Answer = Result<Option<Arc<Entry>>, StoreFailure>;

/// A store, and what it has answered so far.
#[derive(Debug)]
pub struct AskedStore {
    store: Box<dyn KeyStore>,
    answers: Mutex<HashMap<Wanted, Arc<OnceLock<Answer>>>>,
    list: OnceLock<Result<Vec<Stored>, StoreFailure>>,
    /// Why it is asked no more.
    failure: OnceLock<StoreFailure>,
}

impl AskedStore {
    pub(super) fn new(store: Box<dyn KeyStore>) -> Self {
        Self { store, answers: Mutex::default(), list: OnceLock::new(), failure: OnceLock::new() }
    }

    /// What it is and where, for messages.
    #[must_use]
    pub fn name(&self) -> String {
        self.store.name()
    }

    /// The file that says where it is.
    #[must_use]
    pub fn configuration(&self) -> &Path {
        self.store.configuration()
    }

    /// The files by which whoever reads them can ask it.
    #[must_use]
    pub fn secret_files(&self) -> Vec<SecretFile<'_>> {
        self.store.secret_files()
    }

    /// Whose keys it has.
    #[must_use]
    pub fn family(&self) -> StoreFamily {
        self.store.family()
    }

    /// What protects the way to it.
    #[must_use]
    pub fn transport(&self) -> StoreTransport {
        self.store.transport()
    }

    /// When the value that a key has now was stored (RFC 3339), where the store tells.
    ///
    /// # Errors
    /// [`KeyringError::Store`].
    pub fn stored_at(&self, wanted: &Wanted) -> Result<Option<String>, KeyringError> {
        self.store.stored_at(wanted).map_err(|source| self.error(source))
    }

    /// The keys of logs that can still be had after they were deleted or replaced; `None` where that
    /// may not be asked.
    ///
    /// # Errors
    /// [`KeyringError::Store`].
    pub fn left_behind(&self) -> Result<Option<Vec<LeftBehind>>, KeyringError> {
        self.store.left_behind().map_err(|source| self.error(source))
    }

    /// Stores an entry; one of its id and user that is there stays unless it is to be replaced.
    ///
    /// # Errors
    /// [`KeyringError::Store`].
    pub fn put(&self, entry: &Entry, replace: bool) -> Result<(), KeyringError> {
        self.store.put(entry, replace).map_err(|source| self.error(source))
    }

    /// The key that is wanted. The store is asked for each once; who wants the same meanwhile waits.
    ///
    /// # Errors
    /// [`KeyringError::Store`].
    pub fn key(&self, wanted: &Wanted) -> Result<Option<Arc<Entry>>, KeyringError> {
        let answer = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(answers.entry(wanted.clone()).or_default())
        };
        answer.get_or_init(|| self.ask(wanted)).clone().map_err(|source| self.error(source))
    }

    fn ask(&self, wanted: &Wanted) -> Answer {
        if let Some(failure) = self.failure.get() {
            return Err(failure.clone());
        }
        let answer = self.store.fetch(wanted).map(|entry| entry.map(Arc::new));
        if let Err(failure) = &answer {
            self.remember(failure);
        }
        answer
    }

    fn remember(&self, failure: &StoreFailure) {
        if failure.is_of_store {
            self.failure.get_or_init(|| failure.clone());
        }
    }

    /// The key at this moment, whatever was answered before.
    ///
    /// # Errors
    /// [`KeyringError::Store`].
    pub fn key_now(&self, wanted: &Wanted) -> Result<Option<Entry>, KeyringError> {
        self.store.fetch(wanted).map_err(|source| self.error(source))
    }

    /// The ids of all its keys, asked for once.
    ///
    /// # Errors
    /// [`KeyringError::Store`].
    pub fn list(&self) -> Result<&[Stored], KeyringError> {
        let list = self.list.get_or_init(|| {
            if let Some(failure) = self.failure.get() {
                return Err(failure.clone());
            }
            let list = self.store.list();
            if let Err(failure) = &list {
                self.remember(failure);
            }
            list
        });
        list.as_deref().map_err(|source| self.error(source.clone()))
    }

    /// All its entries whose ids are chosen, each version of them.
    ///
    /// # Errors
    /// [`KeyringError::Store`].
    pub fn entries(
        &self,
        is_chosen: impl Fn(&Stored) -> bool,
    ) -> Result<Vec<(Wanted, Arc<Entry>)>, KeyringError> {
        let mut entries = Vec::new();
        for stored in self.list()?.iter().filter(|stored| is_chosen(stored)) {
            let versions = stored.versions.iter().copied().map(Some);
            let alone = stored.versions.is_empty().then_some(None);
            for version in versions.chain(alone) {
                let (id, user) = (stored.id.clone(), stored.user.clone());
                let wanted = Wanted { id, user, version };
                if let Some(entry) = self.key(&wanted)? {
                    entries.push((wanted, entry));
                }
            }
        }
        Ok(entries)
    }

    /// The entries that tell of binary log keys and their rotation.
    ///
    /// # Errors
    /// [`KeyringError::Store`].
    pub fn binlog_entries(&self) -> Result<Vec<Arc<Entry>>, KeyringError> {
        let is_one = |stored: &Stored| stored.user.is_empty() && rotation::is_of_logs(&stored.id);
        Ok(self.entries(is_one)?.into_iter().map(|(_, entry)| entry).collect())
    }

    /// The entry as a binary log key.
    pub(super) fn binlog_key(&self, id: &KeyId) -> Result<Option<Secret32>, KeyringError> {
        let entry = self.key(&Wanted::of_server(id.clone()))?;
        entry.map(|entry| usable(&entry, self.configuration())).transpose()
    }

    fn error(&self, source: StoreFailure) -> KeyringError {
        KeyringError::Store { store: self.name(), source }
    }
}

impl Keyring {
    /// Adds a store that is asked for keys that no file has.
    pub fn add_store(&mut self, store: Box<dyn KeyStore>) {
        self.stores.push(AskedStore::new(store));
    }

    /// The stores, in the order in which they were added.
    #[must_use]
    pub fn stores(&self) -> &[AskedStore] {
        &self.stores
    }

    pub(super) fn stores_of(&self, family: StoreFamily) -> impl Iterator<Item = &AskedStore> {
        self.stores.iter().filter(move |store| store.family() == family)
    }
}
