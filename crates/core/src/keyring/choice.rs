//! Which key to encrypt under: the one that is named, or the one its server would take.

use super::rotation;
use super::store::StoreFamily;
use super::{Entry, Keyring, KeyringError};
use crate::mysql::key_id::KeyId;
use crate::secret::Secret32;

/// The longest key id that a header has room to say: its length is one byte.
const LONGEST_ID: usize = 255;

/// A key and the id under which readers will look for it.
#[derive(Debug, PartialEq, Eq)]
pub struct NamedKey {
    /// What a log's header will say.
    pub id: KeyId,
    /// The replication encryption key.
    pub key: Secret32,
}

/// Why there is no key to encrypt under.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChoiceError {
    /// No source of keys was named.
    #[error("no replication encryption key was given: name a keyring by --keyring FILE")]
    NoSource,
    /// The id that was named is nowhere.
    #[error("key {id} is not in {searched}")]
    Missing {
        /// The id.
        id: KeyId,
        /// Where it was looked for.
        searched: String,
    },
    /// Several sources have different keys under the id: a log would be readable by one of them.
    #[error(
        "there are different keys under {id} in {searched}; name only the source whose key is meant"
    )]
    Ambiguous {
        /// The id.
        id: KeyId,
        /// Where they are.
        searched: String,
    },
    /// No keyring says which of its keys is in use.
    #[error(
        "{searched}: no entry says which key is in use; name a key by --key-id, or make one by `binlogsec keyring add-key`"
    )]
    NoCurrent {
        /// Where it was looked for.
        searched: String,
    },
    /// Percona Binlog Server's keyring does not say which key is in use.
    #[error("{searched}: there are several keys, or none; name one by --key-id")]
    NoOnlyKey {
        /// Where they are.
        searched: String,
    },
    /// There are keys of MariaDB alone, and its logs have no header that could name one.
    #[error(
        "{searched}: the keys are a MariaDB server's, and headers, which MySQL's logs alone have, name none of them; name a MySQL server's keyring by --keyring FILE"
    )]
    OfMariaDb {
        /// Where the keys are.
        searched: String,
    },
    /// A keyring has keys in use of several servers.
    #[error("keys of several servers are in use: name one by --key-id: {}", list(.ids))]
    SeveralServers {
        /// The key in use of each.
        ids: Vec<KeyId>,
    },
    /// The id is longer than a header can say.
    #[error("key id {id}: {length} bytes, where a log's header has room for {LONGEST_ID}")]
    IdTooLong {
        /// The id.
        id: KeyId,
        /// Its length in bytes.
        length: usize,
    },
    /// A source of keys failed.
    #[error(transparent)]
    Source(#[from] KeyringError),
}

fn list(ids: &[KeyId]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    ids.join(", ")
}

impl Keyring {
    /// The key to encrypt under: the one with this id, or without one that which a server with
    /// this keyring would take. Of several keyring files the first that has a key in use decides.
    ///
    /// # Errors
    /// [`ChoiceError`].
    pub fn choose(&self, id: Option<&KeyId>) -> Result<NamedKey, ChoiceError> {
        if self.is_empty() {
            return Err(ChoiceError::NoSource);
        }
        if self.is_of_mariadb() && self.key_files.is_empty() && self.command.is_none() {
            let searched = self.describe_sources();
            return Err(ChoiceError::OfMariaDb { searched });
        }
        let id = match id {
            Some(id) => id.clone(),
            None => self.current_id()?,
        };
        let length = id.as_bytes().len();
        if length > LONGEST_ID {
            return Err(ChoiceError::IdTooLong { id, length });
        }
        let mut candidates = self.candidates(&id)?;
        let searched = || self.describe_sources();
        match (candidates.pop(), candidates.is_empty()) {
            (None, _) => Err(ChoiceError::Missing { id, searched: searched() }),
            (Some(key), true) => Ok(NamedKey { id, key }),
            (Some(_), false) => Err(ChoiceError::Ambiguous { id, searched: searched() }),
        }
    }

    fn current_id(&self) -> Result<KeyId, ChoiceError> {
        let of_files = self.files.iter().map(|file| current_ids(file.entries()));
        let mut ids = of_files.into_iter().find(|ids| !ids.is_empty()).unwrap_or_default();
        for store in self.stores_of(StoreFamily::MySql) {
            if ids.is_empty() {
                ids = current_ids(store.binlog_entries()?.iter().map(|entry| &**entry));
            }
        }
        match (ids.pop(), ids.is_empty()) {
            (Some(id), true) => Ok(id),
            (Some(id), false) => {
                ids.push(id);
                Err(ChoiceError::SeveralServers { ids })
            }
            (None, _) => Err(ChoiceError::NoCurrent { searched: self.describe_sources() }),
        }
    }
}

/// The key in use of every server whose key is there.
fn current_ids<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<KeyId> {
    let servers = rotation::survey(entries);
    let current = |server: &rotation::ServerKeys| {
        let number = server.current?;
        let is_there = server.generations.contains(&number);
        is_there.then(|| KeyId::for_server(&server.server_uuid, number))
    };
    servers.iter().filter_map(current).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn an_id_must_have_room_in_a_header() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, HEX).unwrap();
        let mut keys = Keyring::new();
        assert!(matches!(keys.choose(None), Err(ChoiceError::NoSource)));
        keys.add_key_file(&path).unwrap();
        assert!(matches!(keys.choose(None), Err(ChoiceError::NoCurrent { .. })));
        let id = |length| KeyId::new(&vec![b'k'; length]);
        let chosen = keys.choose(Some(&id(255))).unwrap();
        assert_eq!((chosen.id, chosen.key.expose()[31]), (id(255), 31));
        let refused = keys.choose(Some(&id(256)));
        assert!(matches!(refused, Err(ChoiceError::IdTooLong { length: 256, .. })));
    }

    #[test]
    fn the_first_file_with_a_key_in_use_decides() {
        let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
        let directory = tempfile::tempdir().unwrap();
        let empty = directory.path().join("empty");
        std::fs::write(&empty, "").unwrap();
        let mut keys = Keyring::new();
        keys.add_file(&empty).unwrap();
        for server in ["mixed-key3-running", "mixed-key1-running"] {
            let keyring = fixtures.join("mysql-9.7").join(server);
            keys.add_file(keyring.join("component_keyring_file")).unwrap();
        }
        let chosen = keys.choose(None).unwrap().id.to_string();
        assert!(chosen.ends_with("_3"), "{chosen}");
        let mut of_mariadb = Keyring::new();
        let path = directory.path().join("keys.txt");
        std::fs::write(&path, format!("1;{HEX}\n")).unwrap();
        of_mariadb.add_file(&path).unwrap();
        for id in [None, Some(KeyId::new(b"1"))] {
            let refused = of_mariadb.choose(id.as_ref());
            assert!(matches!(refused, Err(ChoiceError::OfMariaDb { .. })));
        }
        let several = ChoiceError::SeveralServers { ids: vec![KeyId::new(b"a"), KeyId::new(b"b")] };
        assert!(several.to_string().ends_with(": a, b"), "{several}");
    }
}
