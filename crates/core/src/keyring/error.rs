//! What goes wrong between a path and its keys.

use std::io;
use std::path::PathBuf;

use super::binlog_server::BinlogServerError;
use super::command::CommandError;
use super::component::ComponentError;
use super::encrypted_file::EncryptedFileError;
use super::plugin::PluginError;
use super::raw::RawKeyError;
use super::sniff::LooksLike;
use super::store_failure::StoreFailure;
use super::{KeyType, abbreviated};
use crate::mariadb::key_file::KeyFileError;
use crate::mysql::key_id::KeyId;

/// Why a key source cannot be used. What lies beneath is in [`source`](std::error::Error::source)
/// and not repeated in the message. Sizes are bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// The file cannot be opened.
    #[error("{}: cannot be opened; check the path, and that this user may read it", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file was opened but cannot be read.
    #[error("{}: cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A directory, a pipe, a device: never opened for reading, since it could block.
    #[error("{}: is {kind}; a regular file is expected", .path.display())]
    NotRegularFile {
        /// The path.
        path: PathBuf,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// Larger than any file of its kind.
    #[error(
        "{}: {available} bytes, where at most {limit} are read; this is hardly a file of keys",
        .path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        available: u64,
        /// The limit.
        limit: u64,
    },
    /// The size changed during every attempt to read the file.
    #[error("{}: its size changes while it is read; try again, or read a copy", .path.display())]
    Changing {
        /// The file.
        path: PathBuf,
    },
    /// The file is a damaged or unsupported keyring of the `keyring_file` plugin.
    #[error("{}: no readable keyring_file keyring", .path.display())]
    Plugin {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: PluginError,
    },
    /// The file is a damaged or unsupported keyring of `component_keyring_file`.
    #[error("{}: no readable component_keyring_file keyring", .path.display())]
    Component {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: ComponentError,
    },
    /// The file is a damaged or unsupported keyring of Percona Binlog Server.
    #[error("{}: no readable keyring of Percona Binlog Server", .path.display())]
    BinlogServer {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: BinlogServerError,
    },
    /// The content is that of no known keyring.
    #[error(
        "{}: no keyring: {looks_like}; known are files of the keyring_file plugin (versions 1.0 \
         and 2.0) and of component_keyring_file (version 1.0){}", .path.display(), .looks_like.hint()
    )]
    Unrecognized {
        /// The file.
        path: PathBuf,
        /// What it looks like instead.
        looks_like: LooksLike,
    },
    /// A key file of `MariaDB`'s `file_key_management` that the server would not read, or not
    /// with this password.
    #[error("{}: no readable MariaDB key file", .path.display())]
    MariaDb {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: KeyFileError,
    },
    /// A file of `component_percona_keyring_encrypted_file` that cannot be opened.
    #[error("{}: no readable keyring of component_percona_keyring_encrypted_file", .path.display())]
    EncryptedFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: EncryptedFileError,
    },
    /// The entry under a binary log's key id has not the length of a binary log key.
    #[error(
        "{}: the key {} has {available} bytes, a binary log key has {needed}: this entry is not \
         the server's, or the file is damaged; try another copy of it", .path.display(),
        abbreviated(.id.as_bytes())
    )]
    WrongLength {
        /// The keyring file.
        path: PathBuf,
        /// The key id.
        id: KeyId,
        /// The length a binary log key has.
        needed: usize,
        /// The length of the entry.
        available: usize,
    },
    /// The entry under a binary log's key id has not the type of a binary log key.
    #[error(
        "{}: the key {} has the type `{}`, a binary log key has `AES`: this entry is not the \
         server's, or the file is damaged; try another copy of it", .path.display(),
        abbreviated(.id.as_bytes()), abbreviated(.key_type.as_bytes())
    )]
    WrongType {
        /// The keyring file.
        path: PathBuf,
        /// The key id.
        id: KeyId,
        /// The type of the entry.
        key_type: KeyType,
    },
    /// A key file does not hold a key.
    #[error("{}: holds no key", .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        source: RawKeyError,
    },
    /// A key store cannot be reached, refuses, or answers with something else.
    #[error("{store}")]
    Store {
        /// What it is, and where.
        store: String,
        /// What went wrong.
        source: StoreFailure,
    },
    /// The key command cannot be used or failed.
    #[error("no key from the key command")]
    Command(#[from] CommandError),
}

impl KeyringError {
    /// Whether a password is missing or wrong, and not the file.
    #[must_use]
    pub const fn is_about_passwords(&self) -> bool {
        matches!(
            self,
            Self::MariaDb {
                source: KeyFileError::PasswordNeeded | KeyFileError::WrongPassword,
                ..
            } | Self::EncryptedFile {
                source: EncryptedFileError::PasswordNeeded | EncryptedFileError::WrongPassword,
                ..
            }
        )
    }

    /// Whether a store answered, and the key is not to be had.
    #[must_use]
    pub const fn is_missing_key(&self) -> bool {
        matches!(self, Self::Store { source, .. } if source.is_missing_key())
    }

    /// Whether a file was read and its content is damaged or of an unknown version. The others
    /// are failures of I/O or of use: a file that cannot be read or that is of another kind, a
    /// command that fails.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Plugin { .. }
            | Self::BinlogServer { .. }
            | Self::WrongLength { .. }
            | Self::WrongType { .. }
            | Self::KeyFile { .. } => true,
            Self::MariaDb { .. } | Self::EncryptedFile { .. } => !self.is_about_passwords(),
            Self::Component { source, .. } => !matches!(source, ComponentError::OtherJson { .. }),
            Self::Unrecognized { looks_like, .. } => *looks_like == LooksLike::Unknown,
            Self::Open { .. }
            | Self::Read { .. }
            | Self::NotRegularFile { .. }
            | Self::TooLarge { .. }
            | Self::Changing { .. }
            | Self::Store { .. }
            | Self::Command(_) => false,
        }
    }
}
