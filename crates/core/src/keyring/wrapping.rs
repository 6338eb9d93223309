//! The keys of Percona Binlog Server by which its archive's file keys are wrapped, among all that a
//! keyring has.

use super::file::{KeyringFile, KeyringFormat};
use super::{ChoiceError, Entry, Keyring};
use crate::mysql::key_id::KeyId;
use crate::percona::cipher::Cipher;
use crate::secret::SecretBytes;

/// A key that wraps file keys.
#[derive(Debug, Clone, Copy)]
pub struct WrappingKey<'a> {
    /// Its id.
    pub id: &'a KeyId,
    /// Its cipher; `None` for one that is not read here.
    pub cipher: Option<Cipher>,
    /// The key.
    pub key: &'a SecretBytes,
}

impl<'a> WrappingKey<'a> {
    fn new(entry: &'a Entry) -> Self {
        let name = std::str::from_utf8(entry.key_type.as_bytes()).ok();
        Self { id: &entry.id, cipher: name.and_then(|name| name.parse().ok()), key: &entry.data }
    }
}

impl KeyringFile {
    /// Whether its keys are those of Percona Binlog Server.
    #[must_use]
    pub const fn is_binlog_server(&self) -> bool {
        matches!(self.format(), KeyringFormat::BinlogServer)
    }
}

impl Keyring {
    /// Whether all keyring files are those of Percona Binlog Server, and there is one at least.
    #[must_use]
    pub fn is_of_binlog_server(&self) -> bool {
        let files = self.files();
        !files.is_empty() && files.iter().all(KeyringFile::is_binlog_server)
    }

    fn wrapping_keys(&self) -> impl Iterator<Item = WrappingKey<'_>> {
        let files = self.files().iter().filter(|file| file.is_binlog_server());
        files.flat_map(KeyringFile::entries).map(WrappingKey::new)
    }

    /// Every key that may have wrapped a file key under this id.
    #[must_use]
    pub fn wrapping_candidates(&self, id: &str) -> Vec<WrappingKey<'_>> {
        let is_it = |key: &WrappingKey<'_>| key.id.as_bytes() == id.as_bytes();
        self.wrapping_keys().filter(is_it).collect()
    }

    /// The key to wrap under: the one with this id, or the only one.
    ///
    /// # Errors
    /// [`ChoiceError`].
    pub fn choose_wrapping_key(&self, id: Option<&KeyId>) -> Result<WrappingKey<'_>, ChoiceError> {
        let is_it = |key: &WrappingKey<'_>| id.is_none_or(|id| key.id == id);
        let mut found: Vec<_> = self.wrapping_keys().filter(is_it).collect();
        let searched = self.describe_sources();
        match (found.pop(), found.is_empty(), id) {
            (Some(key), true, _) => Ok(key),
            (Some(_), false, Some(id)) => Err(ChoiceError::Ambiguous { id: id.clone(), searched }),
            (None, _, Some(id)) => Err(ChoiceError::Missing { id: id.clone(), searched }),
            _ => Err(ChoiceError::NoOnlyKey { searched }),
        }
    }
}
