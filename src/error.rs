//! The crate's error: each domain's own, with the path it happened on.

use std::path::{Path, PathBuf};

use crate::event::walker::WalkError;
use crate::io::TransferError;
use crate::keyring::KeyringError;
use crate::open::LogError;

/// What can go wrong when working on logs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading or writing failed.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// A keyring, or another source of keys, failed.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A log has an event that cannot be read.
    #[error("{}: {source}", path.display())]
    Walk {
        /// Which log.
        path: PathBuf,
        /// Where and why.
        source: WalkError,
    },
    /// A log cannot be read.
    #[error("{}: {source}", path.display())]
    Log {
        /// Which log.
        path: PathBuf,
        /// Why.
        source: LogError,
    },
}

/// The kinds of failure that a caller treats differently; the command's exit codes follow them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorClass {
    /// Wrong input, or the operating system refused.
    Work,
    /// A key is missing or wrong.
    Key,
    /// A log or a keyring is damaged, or of an unknown version.
    Damage,
}

impl Error {
    pub(crate) fn log(path: &Path, source: LogError) -> Self {
        Self::Log {
            path: path.to_owned(),
            source,
        }
    }

    /// Which kind of failure this is.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Transfer(_) => ErrorClass::Work,
            Self::Keyring(error) if error.is_damage() => ErrorClass::Damage,
            Self::Keyring(_) => ErrorClass::Work,
            Self::Log { source, .. } => source.class(),
            Self::Walk {
                source: WalkError::NoEventHere { .. },
                ..
            } => ErrorClass::Work,
            Self::Walk { .. } => ErrorClass::Damage,
        }
    }
}

impl LogError {
    /// Which kind of failure this is.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::NotEncrypted | Self::Unsupported { .. } => ErrorClass::Work,
            Self::NoKeys { .. } | Self::KeyMissing { .. } | Self::WrongKey { .. } => {
                ErrorClass::Key
            }
            _ => ErrorClass::Damage,
        }
    }
}
