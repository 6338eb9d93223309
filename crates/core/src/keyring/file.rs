//! From a path to a keyring.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::binlog_server;
use super::component::{self, ComponentVersion};
use super::plugin::{self, PluginVersion, Word};
use super::sniff::{self, Content};
use super::{Entry, KeyType, KeyringError, encrypted_file};
use crate::file::TransferError;
use crate::file::small::{self, Pipes};
use crate::mariadb::key_file::{self, MariadbKey, Unlock};
use crate::mysql::key_id::KeyId;
use crate::secret::SecretBytes;

/// The largest keyring that is read: that of more than eighty thousand keys, of which each takes
/// under 200 bytes there, and up to four times as much in memory.
pub const MAX_KEYRING_BYTES: u64 = 16 << 20;

/// The format of a keyring file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyringFormat {
    /// A file of 0 bytes: what the server makes before the first key, of either kind.
    Empty,
    /// The `keyring_file` plugin's.
    Plugin {
        /// The file's version.
        version: PluginVersion,
        /// The machine kind that wrote it; `None` without records.
        word: Option<Word>,
    },
    /// That of `component_keyring_file`.
    Component {
        /// The file's version.
        version: ComponentVersion,
    },
    /// That of `component_percona_keyring_encrypted_file`: the same JSON under a password.
    EncryptedFile,
    /// A key file of `MariaDB`'s `file_key_management`.
    MariaDb {
        /// Whether it is encrypted under a password.
        encrypted: bool,
    },
    /// That of Percona Binlog Server, version 1.
    BinlogServer,
}

impl fmt::Display for KeyringFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty file"),
            Self::Plugin { version, word: Some(word) } => {
                write!(f, "keyring_file plugin, version {version}, {word}")
            }
            Self::Plugin { version, word: None } => {
                write!(f, "keyring_file plugin, version {version}, no records")
            }
            Self::Component { version } => write!(f, "component_keyring_file, version {version}"),
            Self::EncryptedFile => f.write_str("component_percona_keyring_encrypted_file"),
            Self::MariaDb { encrypted: false } => f.write_str("MariaDB key file"),
            Self::MariaDb { encrypted: true } => f.write_str("MariaDB key file, encrypted"),
            Self::BinlogServer => f.write_str("Percona Binlog Server, version 1"),
        }
    }
}

/// Something about a keyring that is no error but that its user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyringNote {
    /// `<file>.backup` stands beside it. The server writes it before every change and, at its next
    /// start, restores the keyring from it if it is well-formed and not empty (server source,
    /// `plugin/keyring/buffered_file_io.cc` and `components/keyrings/common/data_file/reader.cc`).
    BackupPresent {
        /// The backup. It was not read.
        path: PathBuf,
    },
}

impl fmt::Display for KeyringNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BackupPresent { path } => write!(
                f,
                "{} is there and was not read: the server was interrupted while it changed the \
                 keyring, and prefers the backup at its next start",
                path.display()
            ),
        }
    }
}

/// Reads until there is something, or it is plain that there is nothing.
fn read_settled(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
    const LOOKS: u32 = 5;
    const PAUSE: Duration = Duration::from_millis(40);
    for _ in 0..LOOKS {
        let bytes = read_regular(path, MAX_KEYRING_BYTES)?;
        if !bytes.is_empty() {
            return Ok(bytes);
        }
        std::thread::sleep(PAUSE);
    }
    read_regular(path, MAX_KEYRING_BYTES)
}

/// A keyring file that was read whole.
#[derive(Debug)]
pub struct KeyringFile {
    path: PathBuf,
    format: KeyringFormat,
    entries: Vec<Entry>,
    notes: Vec<KeyringNote>,
}

impl KeyringFile {
    /// Reads a file and detects its format by its content.
    ///
    /// Only regular files (or links to them) of up to [`MAX_KEYRING_BYTES`] are read. A server that
    /// changes its keyring empties the file and writes it anew; so an empty one is looked at again
    /// for a fifth of a second.
    ///
    /// # Errors
    /// [`KeyringError`]; [`KeyringError::is_damage`] tells a file that was read and is damaged
    /// from one that cannot be read or is no keyring.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, KeyringError> {
        Self::open_with(path, None, None)
    }

    /// The same with what opens an encrypted key file of `MariaDB`, and with the password of a file
    /// that `component_percona_keyring_encrypted_file` wrote.
    ///
    /// # Errors
    /// As [`KeyringFile::open`]; [`KeyringError::is_about_passwords`] tells a missing or wrong
    /// password.
    pub fn open_with(
        path: impl AsRef<Path>,
        unlock: Option<&Unlock>,
        password: Option<&SecretBytes>,
    ) -> Result<Self, KeyringError> {
        let path = path.as_ref();
        let bytes = read_settled(path)?;
        let (format, entries) = parse(path, &bytes, unlock, password)?;
        let mut backup = path.as_os_str().to_owned();
        backup.push(".backup");
        let backup = PathBuf::from(backup);
        let notes = match backup.symlink_metadata() {
            Ok(_) => vec![KeyringNote::BackupPresent { path: backup }],
            Err(_) => Vec::new(),
        };
        Ok(Self { path: path.to_owned(), format, entries, notes })
    }

    /// A file that the caller knows to be a key file of `MariaDB`, however damaged it is.
    ///
    /// # Errors
    /// As [`KeyringFile::open_with`].
    pub fn open_mariadb(
        path: impl AsRef<Path>,
        unlock: Option<&Unlock>,
    ) -> Result<Self, KeyringError> {
        let path = path.as_ref();
        let (format, entries) = parse_mariadb(path, &read_settled(path)?, unlock)?;
        Ok(Self { path: path.to_owned(), format, entries, notes: Vec::new() })
    }

    /// The path as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What kind of keyring it is.
    #[must_use]
    pub const fn format(&self) -> KeyringFormat {
        self.format
    }

    /// Everything in it, in file order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Everything in it, to be changed and written anew.
    #[must_use]
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// What its user should know.
    #[must_use]
    pub fn notes(&self) -> &[KeyringNote] {
        &self.notes
    }
}

/// The keys as entries: their ids in decimal.
fn parse_mariadb(
    path: &Path,
    bytes: &[u8],
    unlock: Option<&Unlock>,
) -> Result<(KeyringFormat, Vec<Entry>), KeyringError> {
    let keys = key_file::parse(bytes, unlock)
        .map_err(|source| KeyringError::MariaDb { path: path.to_owned(), source })?;
    let entry = |key: MariadbKey| Entry {
        id: KeyId::new(key.id.to_string().as_bytes()),
        user: Box::default(),
        key_type: KeyType::Aes,
        data: key.key,
    };
    let encrypted = key_file::is_encrypted(bytes);
    let entries = keys.into_iter().map(entry).collect();
    Ok((KeyringFormat::MariaDb { encrypted }, entries))
}

fn parse(
    path: &Path,
    bytes: &[u8],
    unlock: Option<&Unlock>,
    password: Option<&SecretBytes>,
) -> Result<(KeyringFormat, Vec<Entry>), KeyringError> {
    let given = path;
    let path = path.to_owned();
    match sniff::content(bytes) {
        Content::Empty => Ok((KeyringFormat::Empty, Vec::new())),
        Content::Plugin => {
            let keyring =
                plugin::parse(bytes).map_err(|source| KeyringError::Plugin { path, source })?;
            let (version, word) = (keyring.version, keyring.word);
            Ok((KeyringFormat::Plugin { version, word }, keyring.entries))
        }
        Content::Json if binlog_server::is_one(bytes) => {
            let entries = binlog_server::parse(bytes)
                .map_err(|source| KeyringError::BinlogServer { path, source })?;
            Ok((KeyringFormat::BinlogServer, entries))
        }
        Content::Json => {
            let keyring = component::parse(bytes)
                .map_err(|source| KeyringError::Component { path, source })?;
            Ok((KeyringFormat::Component { version: keyring.version }, keyring.entries))
        }
        Content::EncryptedFile => {
            let keyring = encrypted_file::parse(bytes, password)
                .map_err(|source| KeyringError::EncryptedFile { path, source })?;
            Ok((KeyringFormat::EncryptedFile, keyring.entries))
        }
        Content::MariaDb => parse_mariadb(given, bytes, unlock),
        Content::Other(looks_like) => Err(KeyringError::Unrecognized { path, looks_like }),
    }
}

/// Reads a regular file whole.
pub(super) fn read_regular(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
    small::read(path, limit, Pipes::Refused).map_err(|error| of_transfer(error, path))
}

/// The same error in the words of this domain.
fn of_transfer(error: TransferError, path: &Path) -> KeyringError {
    let path = path.to_owned();
    match error {
        TransferError::NotAFile { found, .. } => KeyringError::NotRegularFile { path, kind: found },
        TransferError::TooLarge { length, limit, .. } => {
            KeyringError::TooLarge { path, available: length.unwrap_or(u64::MAX), limit }
        }
        TransferError::Changing { .. } => KeyringError::Changing { path },
        TransferError::File { operation: "open", source, .. } => {
            KeyringError::Open { path, source }
        }
        other => KeyringError::Read { path, source: other.into_io() },
    }
}
