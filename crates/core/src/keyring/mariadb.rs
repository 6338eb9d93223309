//! Keys for MariaDB's logs: from key files of `file_key_management`, and bare keys.

use std::path::Path;
use std::sync::Arc;

use super::file::{KeyringFile, KeyringFormat};
use super::store::{StoreFamily, Wanted};
use super::{Entry, Keyring, KeyringError};
use crate::mariadb::cipher::Mode;
use crate::mariadb::detect::Candidate;
use crate::mariadb::key_file::{LOG_KEY_ID, Unlock};
use crate::mysql::key_id::KeyId;

/// The key version that `file_key_management` gives every key.
const FILE_KEY_VERSION: u32 = 1;

/// What the user knows of MariaDB's keys that no log and no key file says.
#[derive(Debug, Default)]
pub struct MariadbOptions {
    /// Opens encrypted key files.
    pub unlock: Option<Unlock>,
    /// The cipher's mode; all are tried if it is not given.
    pub mode: Option<Mode>,
    /// The key id; all are tried if it is not given.
    pub key_id: Option<u32>,
    /// Take keys of key files for logs of any key version: they come from another plugin.
    pub any_key_version: bool,
}

/// The keys that may open a log: those of files, and those that stores gave.
#[derive(Debug, Default)]
pub struct MariadbKeys<'a> {
    local: Vec<Candidate<'a>>,
    stored: Vec<(u32, Arc<Entry>)>,
}

impl MariadbKeys<'_> {
    /// Each of them.
    #[must_use]
    pub fn candidates(&self) -> Vec<Candidate<'_>> {
        let stored = self.stored.iter();
        let stored =
            stored.map(|(id, entry)| Candidate { key: entry.data.expose(), id: Some(*id) });
        self.local.iter().copied().chain(stored).collect()
    }
}

impl Keyring {
    /// Sets what is known of MariaDB's keys; to be said before files are added.
    pub fn set_mariadb_options(&mut self, options: MariadbOptions) {
        self.mariadb = options;
    }

    /// Sets what opens encrypted key files; to be said before files are added.
    pub fn set_mariadb_unlock(&mut self, unlock: Unlock) {
        self.mariadb.unlock = Some(unlock);
    }

    /// What is known of MariaDB's keys.
    #[must_use]
    pub const fn mariadb_options(&self) -> &MariadbOptions {
        &self.mariadb
    }

    /// Adds a key file of `file_key_management`, plain or encrypted.
    ///
    /// # Errors
    /// Those of [`KeyringFile::open_mariadb`]; the collection stays as it was.
    pub fn add_mariadb_keys(&mut self, path: impl AsRef<Path>) -> Result<(), KeyringError> {
        let file = KeyringFile::open_mariadb(path, self.mariadb.unlock.as_ref())?;
        self.files.push(file);
        Ok(())
    }

    /// Whether there is a key that could be one of MariaDB's, of whatever version.
    #[must_use]
    pub fn has_mariadb_keys(&self) -> bool {
        self.files.iter().any(KeyringFile::is_mariadb)
            || self.bare_keys().next().is_some()
            || self.has_mariadb_store()
    }

    /// Whether all keyring files and stores are those of MariaDB, and there is one at least.
    #[must_use]
    pub fn is_of_mariadb(&self) -> bool {
        let has_one = !self.files.is_empty() || !self.stores.is_empty();
        has_one
            && self.files.iter().all(KeyringFile::is_mariadb)
            && self.stores.iter().all(|store| store.family() == StoreFamily::MariaDb)
    }

    /// Whether a store is asked for MariaDB's keys, which has each in its versions.
    #[must_use]
    pub fn has_mariadb_store(&self) -> bool {
        self.stores_of(StoreFamily::MariaDb).next().is_some()
    }

    /// Every key that a log under this key version may have been encrypted under. Stores are asked
    /// for the key in this version, where no file and no bare key may be it.
    ///
    /// # Errors
    /// [`KeyringError::Store`] when a store fails.
    pub fn mariadb_candidates(&self, key_version: u32) -> Result<MariadbKeys<'_>, KeyringError> {
        let local = self.local_candidates(key_version);
        let mut stored = Vec::new();
        let id = self.mariadb.key_id.unwrap_or(LOG_KEY_ID);
        for store in self.stores_of(StoreFamily::MariaDb).filter(|_| local.is_empty()) {
            let (key_id, version) = (KeyId::new(id.to_string().as_bytes()), Some(key_version));
            let wanted = Wanted { version, ..Wanted::of_server(key_id) };
            stored.extend(store.key(&wanted)?.map(|entry| (id, entry)));
        }
        Ok(MariadbKeys { local, stored })
    }

    fn local_candidates(&self, key_version: u32) -> Vec<Candidate<'_>> {
        let of_version = key_version == FILE_KEY_VERSION || self.mariadb.any_key_version;
        let in_files = self
            .files
            .iter()
            .filter(|file| of_version && file.is_mariadb())
            .flat_map(KeyringFile::entries)
            .map(|entry| Candidate { key: entry.data.expose(), id: key_number(entry) })
            .filter(|candidate| {
                self.mariadb.key_id.is_none() || candidate.id == self.mariadb.key_id
            });
        in_files.chain(self.bare_keys()).collect()
    }

    /// Bare keys that are not bound to the id of another server's key.
    fn bare_keys(&self) -> impl Iterator<Item = Candidate<'_>> {
        self.key_files
            .iter()
            .filter(|file| file.id().is_none())
            .map(|file| Candidate { key: file.key().expose(), id: None })
    }
}

/// Key ids of MariaDB are numbers.
fn key_number(entry: &Entry) -> Option<u32> {
    std::str::from_utf8(entry.id.as_bytes()).ok()?.parse().ok()
}

impl KeyringFile {
    /// Whether its keys are those of a MariaDB server.
    #[must_use]
    pub const fn is_mariadb(&self) -> bool {
        matches!(self.format(), KeyringFormat::MariaDb { .. })
    }

    /// Its entries, if they are those of a MySQL server.
    pub(super) fn mysql_entries(&self) -> &[Entry] {
        if self.is_mariadb() || self.is_binlog_server() { &[] } else { self.entries() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "770A8A65DA156D24EE2A093277530142";

    fn keyring(options: MariadbOptions, files: &[&str]) -> Keyring {
        let directory = tempfile::tempdir().unwrap();
        let mut keys = Keyring::new();
        keys.set_mariadb_options(options);
        for (number, content) in files.iter().enumerate() {
            let path = directory.path().join(number.to_string());
            std::fs::write(&path, content).unwrap();
            if content.contains(';') {
                keys.add_mariadb_keys(&path).unwrap();
            } else {
                keys.add_key_file(&path).unwrap();
            }
        }
        keys
    }

    fn ids(keys: &Keyring, version: u32) -> Vec<Option<u32>> {
        let keys = keys.mariadb_candidates(version).unwrap();
        let candidates = keys.candidates();
        candidates.iter().map(|candidate| candidate.id).collect()
    }

    #[test]
    fn keys_are_tried_by_id_and_version() {
        let file = format!("1;{KEY}\n70000;{KEY}{KEY}\n");
        let bare = KEY.repeat(2);
        let keys = keyring(MariadbOptions::default(), &[&file, &bare]);
        assert_eq!(ids(&keys, 1), [Some(1), Some(70000), None]);
        // Of files only the first version is known, a bare key may be any.
        assert_eq!(ids(&keys, 2), [None]);
        assert_eq!(keys.key_files().len(), 1);
        let options = MariadbOptions {
            key_id: Some(70000),
            any_key_version: true,
            ..MariadbOptions::default()
        };
        let keys = keyring(options, &[&file]);
        assert_eq!(ids(&keys, 2), [Some(70000)]);
        assert_eq!(keys.mariadb_options().key_id, Some(70000));
        assert_eq!(keys.mariadb_candidates(2).unwrap().candidates()[0].key.len(), 32);
    }

    #[test]
    fn what_kind_of_keys_there_are() {
        let file = format!("1;{KEY}\n");
        let bare = KEY.repeat(2);
        let kinds = |files: &[&str]| {
            let keys = keyring(MariadbOptions::default(), files);
            (keys.has_mariadb_keys(), keys.is_of_mariadb())
        };
        assert_eq!(kinds(&[]), (false, false));
        assert_eq!(kinds(&[&file]), (true, true));
        assert_eq!(kinds(&[&bare]), (true, false));
        let mut mixed = keyring(MariadbOptions::default(), &[&file]);
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
        let mysql = fixtures.join("mysql-9.7/mixed-key3-running/component_keyring_file");
        mixed.add_file(&mysql).unwrap();
        assert!(mixed.has_mariadb_keys() && !mixed.is_of_mariadb());
        let mut mysql_alone = Keyring::new();
        mysql_alone.add_file(&mysql).unwrap();
        assert!(!mysql_alone.has_mariadb_keys() && !mysql_alone.is_of_mariadb());
    }
}
