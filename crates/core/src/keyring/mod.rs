//! Where replication encryption keys come from.
//!
//! A [`Keyring`] is a collection of sources: keyring files of the server (the `keyring_file`
//! plugin and `component_keyring_file`, told apart by their content), bare keys in files of their
//! own, and a command that fetches a key from elsewhere. It is asked one thing: which keys may
//! stand behind this key id ([`Keyring::candidates`]).
//!
//! The format parsers ([`plugin`], [`component`], [`raw`]) take bytes and do no I/O. No error
//! message and no `Debug` output of this module contains a byte of a key.
//!
//! ```
//! use binlogsec_core::keyring::{Entry, KeyType, plugin};
//! use binlogsec_core::mysql::key_id::KeyId;
//! use binlogsec_core::secret::SecretBytes;
//!
//! let entry = Entry {
//!     id: KeyId::for_server("2bc92730-e533-11f1-b7bc-02fc00000001", 1),
//!     user: Box::default(),
//!     key_type: KeyType::Aes,
//!     data: SecretBytes::new(vec![7; 32]),
//! };
//! let file = plugin::serialize(plugin::PluginVersion::V2_0, plugin::Word::Le64, [&entry])?;
//! let keyring = plugin::parse(&file)?;
//! assert_eq!(keyring.entries, [entry]);
//! # Ok::<(), plugin::PluginError>(())
//! ```

pub mod binlog_server;
mod child;
mod choice;
pub mod command;
pub mod component;
pub mod edit;
pub mod encrypted_file;
mod error;
mod file;
pub mod fingerprint;
mod key_file;
mod mariadb;
pub mod plugin;
pub mod raw;
pub mod rotation;
mod sniff;
pub mod store;
pub mod store_failure;
mod watch;
pub mod wrapping;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::time::Duration;

pub use child::end_commands;
pub use choice::{ChoiceError, NamedKey};
pub use command::KeyCommand;
pub use encrypted_file::EncryptedFileError;
pub use error::KeyringError;
pub use file::{KeyringFile, KeyringFormat, KeyringNote, MAX_KEYRING_BYTES};
pub use fingerprint::Fingerprint;
pub use key_file::KeyFile;
pub use mariadb::{MariadbKeys, MariadbOptions};
pub use sniff::{LooksLike, holds_keys};
pub use store::{AskedStore, KeyStore};
pub use watch::{KeyChange, KeyWatch, Standing};

use crate::mysql::key_id::KeyId;
use crate::secret::{Secret32, SecretBytes};
use store::StoreFamily;

/// What a keyring holds under one key id and user.
#[derive(PartialEq, Eq)]
pub struct Entry {
    /// The name. Binary log keys have the server's form, other keys any bytes.
    pub id: KeyId,
    /// The account that owns the key, as `user@host`; empty for keys of the server itself, binary
    /// log keys among them.
    pub user: Box<[u8]>,
    /// What the bytes are for.
    pub key_type: KeyType,
    /// The bytes, free of the file's obfuscation.
    pub data: SecretBytes,
}

/// The type the server gave a key. The `keyring_file` plugin knows the four named ones (server
/// source, `plugin/keyring/common/keyring_key.cc`); any bytes are kept.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// `AES`: binary log keys and their sequence numbers, `InnoDB` master keys.
    Aes,
    /// `RSA`
    Rsa,
    /// `DSA`
    Dsa,
    /// `SECRET`: bytes of any length.
    Secret,
    /// Any other bytes.
    Other(Box<[u8]>),
}

impl KeyType {
    /// The type these bytes name.
    #[must_use]
    pub fn from_bytes(name: &[u8]) -> Self {
        match name {
            b"AES" => Self::Aes,
            b"RSA" => Self::Rsa,
            b"DSA" => Self::Dsa,
            b"SECRET" => Self::Secret,
            other => Self::Other(other.into()),
        }
    }

    /// The name as it stands in a file.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Aes => b"AES",
            Self::Rsa => b"RSA",
            Self::Dsa => b"DSA",
            Self::Secret => b"SECRET",
            Self::Other(other) => other,
        }
    }
}

/// Unprintable bytes are escaped.
impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

impl fmt::Debug for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyType({self})")
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("id", &self.id)
            .field("user", &format_args!("{}", self.user.escape_ascii()))
            .field("key_type", &self.key_type)
            .field("data", &self.data)
            .finish()
    }
}

impl Entry {
    /// Whether a server would look at this entry for a binary log key: it asks without a user.
    #[must_use]
    pub fn is_of_the_server(&self) -> bool {
        self.user.is_empty()
    }
}

/// The first pair of entries that have id and user in common, by their positions.
fn find_duplicate(entries: &[Entry]) -> Option<(usize, usize)> {
    let mut seen = HashMap::new();
    entries.iter().enumerate().find_map(|(position, entry)| {
        let first = seen.insert((entry.id.as_bytes(), &*entry.user), position)?;
        Some((first, position))
    })
}

/// Bytes of unknown origin for a message: escaped, and cut where they would fill the screen.
fn abbreviated(bytes: &[u8]) -> String {
    const SHOWN: usize = 160;
    match bytes.split_at_checked(SHOWN) {
        Some((shown, rest)) if !rest.is_empty() => {
            format!("{}… ({} bytes)", shown.escape_ascii(), bytes.len())
        }
        _ => bytes.escape_ascii().to_string(),
    }
}

/// Key sources in the order in which they were added.
#[derive(Debug, Default)]
pub struct Keyring {
    files: Vec<KeyringFile>,
    key_files: Vec<KeyFile>,
    stores: Vec<AskedStore>,
    command: Option<KeyCommand>,
    mariadb: MariadbOptions,
    password: Option<SecretBytes>,
}

impl Keyring {
    /// No source at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One keyring file, its format detected.
    ///
    /// # Errors
    /// Those of [`KeyringFile::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, KeyringError> {
        let mut keyring = Self::new();
        keyring.add_file(path)?;
        Ok(keyring)
    }

    /// Adds a keyring file.
    ///
    /// # Errors
    /// Those of [`KeyringFile::open`]; the collection stays as it was.
    pub fn add_file(&mut self, path: impl AsRef<Path>) -> Result<(), KeyringError> {
        let file =
            KeyringFile::open_with(path, self.mariadb.unlock.as_ref(), self.password.as_ref())?;
        self.files.push(file);
        Ok(())
    }

    /// Sets the password of keyring files that `component_percona_keyring_encrypted_file` wrote; to
    /// be said before files are added.
    pub fn set_password(&mut self, password: Option<SecretBytes>) {
        self.password = password;
    }

    /// Adds a bare key, given as `FILE` or `KEY_ID=FILE`; see [`KeyFile::open`].
    ///
    /// # Errors
    /// Those of [`KeyFile::open`]; the collection stays as it was.
    pub fn add_key_file(&mut self, argument: impl AsRef<OsStr>) -> Result<(), KeyringError> {
        self.key_files.push(KeyFile::open(argument)?);
        Ok(())
    }

    /// Sets the command that is asked when no file has the key; see [`KeyCommand::parse`].
    ///
    /// # Errors
    /// [`KeyringError::Command`] when the text cannot be split into a program and its arguments.
    pub fn set_key_command(&mut self, command: &str) -> Result<(), KeyringError> {
        self.set_key_command_within(command, command::DEFAULT_TIMEOUT)
    }

    /// The same with the longest that the command may take for a key.
    ///
    /// # Errors
    /// As [`Keyring::set_key_command`].
    pub fn set_key_command_within(
        &mut self,
        command: &str,
        timeout: Duration,
    ) -> Result<(), KeyringError> {
        self.command = Some(KeyCommand::parse(command)?.within(timeout));
        Ok(())
    }

    /// The keyring files.
    #[must_use]
    pub fn files(&self) -> &[KeyringFile] {
        &self.files
    }

    /// The keyring files, for their entries.
    #[must_use]
    pub fn into_files(self) -> Vec<KeyringFile> {
        self.files
    }

    /// The files with a bare key, in order.
    #[must_use]
    pub fn key_files(&self) -> &[KeyFile] {
        &self.key_files
    }

    /// Whether there is no source at all. A keyring file without a key is a source.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
            && self.key_files.is_empty()
            && self.stores.is_empty()
            && self.command.is_none()
    }

    /// Every key that may stand behind this id, each once: from the keyring files in order, then
    /// from key files bound to the id, then from unbound key files. Stores are asked, and then the
    /// command is run, only when none of these has one; the command only for an id of the server's
    /// form.
    ///
    /// In keyring files only entries without a user count, as for the server. No key at all is an
    /// empty list, not an error.
    ///
    /// # Errors
    /// [`KeyringError::WrongLength`] or [`KeyringError::WrongType`] when a keyring file has an
    /// entry under this id that cannot be a binary log key and no file has one that can;
    /// [`KeyringError::Store`] and [`KeyringError::Command`] when a store or the command fails.
    pub fn candidates(&self, id: &KeyId) -> Result<Vec<Secret32>, KeyringError> {
        let mut keys = Vec::new();
        let mut unusable = None;
        for file in &self.files {
            for entry in file.mysql_entries().iter().filter(|e| e.is_of_the_server() && e.id == *id)
            {
                match usable(entry, file.path()) {
                    Ok(key) => add_once(&mut keys, key),
                    Err(error) => unusable = unusable.or(Some(error)),
                }
            }
        }
        let bound = self.key_files.iter().filter(|file| file.id() == Some(id));
        let unbound = self.key_files.iter().filter(|file| file.id().is_none());
        for file in bound.chain(unbound) {
            add_once(&mut keys, copy(file.key()));
        }
        if !keys.is_empty() {
            return Ok(keys);
        }
        if let Some(error) = unusable {
            return Err(error);
        }
        for store in self.stores_of(StoreFamily::MySql) {
            if let Some(key) = store.binlog_key(id)? {
                add_once(&mut keys, key);
            }
        }
        if !keys.is_empty() {
            return Ok(keys);
        }
        if let Some(command) = self.command.as_ref().filter(|_| id.parts().is_some()) {
            keys.push(command.key(id)?);
        }
        Ok(keys)
    }

    /// All sources in one line, for messages such as `no key X in …`:
    /// `/path/a (3 entries), /path/b (empty)`.
    #[must_use]
    pub fn describe_sources(&self) -> String {
        let files = self.files.iter().map(|file| match file.entries().len() {
            0 => format!("{} (empty)", file.path().display()),
            1 => format!("{} (1 key)", file.path().display()),
            count => format!("{} ({count} entries)", file.path().display()),
        });
        let key_files = self.key_files.iter().map(|file| match file.id() {
            Some(id) => format!("{} (the key for {id})", file.path().display()),
            None => format!("{} (a key for any id)", file.path().display()),
        });
        let command = self.command.iter().map(|command| {
            format!("the key command {} (asked for ids of the server's form)", command.program())
        });
        let stores = self.stores.iter().map(AskedStore::name);
        let sources: Vec<String> = files.chain(key_files).chain(stores).chain(command).collect();
        if sources.is_empty() { "no key source".to_owned() } else { sources.join(", ") }
    }
}

/// The entry's bytes as a binary log key.
fn usable(entry: &Entry, path: &Path) -> Result<Secret32, KeyringError> {
    let (path, id) = (path.to_owned(), entry.id.clone());
    if entry.key_type != KeyType::Aes {
        return Err(KeyringError::WrongType { path, id, key_type: entry.key_type.clone() });
    }
    Secret32::from_slice(entry.data.expose()).ok_or(KeyringError::WrongLength {
        path,
        id,
        needed: 32,
        available: entry.data.len(),
    })
}

fn add_once(keys: &mut Vec<Secret32>, key: Secret32) {
    if !keys.contains(&key) {
        keys.push(key);
    }
}

fn copy(key: &Secret32) -> Secret32 {
    let mut copy = Secret32::zeroed();
    copy.expose_mut().copy_from_slice(key.expose());
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, user: &str) -> Entry {
        Entry {
            id: KeyId::new(id.as_bytes()),
            user: user.as_bytes().into(),
            key_type: KeyType::Aes,
            data: SecretBytes::new(vec![0xAB; 32]),
        }
    }

    #[test]
    fn key_types_keep_their_bytes() {
        for name in [&b"AES"[..], b"RSA", b"DSA", b"SECRET", b"aes", b"", b"\xff"] {
            assert_eq!(KeyType::from_bytes(name).as_bytes(), name);
        }
        assert_eq!(KeyType::from_bytes(b"\x1b[m").to_string(), r"\x1b[m");
    }

    #[test]
    fn duplicates_are_of_id_and_user_together() {
        assert_eq!(find_duplicate(&[entry("a", ""), entry("a", "b"), entry("ab", "")]), None);
        let entries = [entry("a", ""), entry("b", ""), entry("a", "")];
        assert_eq!(find_duplicate(&entries), Some((0, 2)));
    }

    #[test]
    fn debug_of_an_entry_shows_no_key_byte() {
        let text = format!("{:?}", entry("a", "root@\x1b%"));
        assert!(text.contains("32 bytes, redacted") && !text.contains('\x1b'), "{text}");
        assert!(!text.contains("171") && !text.to_lowercase().contains("abab"), "{text}");
    }

    #[test]
    fn long_names_are_cut_in_messages() {
        assert_eq!(abbreviated(b"a\n"), r"a\n");
        assert_eq!(abbreviated(&[b'x'; 160]).len(), 160);
        assert!(abbreviated(&[b'x'; 1 << 20]).ends_with("… (1048576 bytes)"));
    }

    #[test]
    fn a_collection_without_a_source_says_so() {
        let keyring = Keyring::new();
        assert!(keyring.is_empty());
        assert_eq!(keyring.describe_sources(), "no key source");
        assert!(keyring.candidates(&KeyId::new(b"x")).unwrap().is_empty());
    }
}
