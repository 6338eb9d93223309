//! The crate's error: each domain's own, with the path it happened on.

use std::path::{Path, PathBuf};

use crate::log::error_class::ErrorClass;
use crate::log::refusal::Refusal;

use crate::event::walker::WalkError;
use crate::file::TransferError;
use crate::keyring::edit::EditError;
use crate::keyring::{ChoiceError, KeyringError};
use crate::log::log_error::LogError;
use crate::mariadb::error::MariadbError;
use crate::random::RandomError;

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
    #[error("log {}", path.display())]
    Walk {
        /// Which log.
        path: PathBuf,
        /// Where and why.
        source: WalkError,
    },
    /// A log cannot be read.
    #[error("log {}", path.display())]
    Log {
        /// Which log.
        path: PathBuf,
        /// Why.
        source: LogError,
    },
    /// There is no key to encrypt under.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// What was asked for would do harm, or no good.
    #[error("{} is refused", path.display())]
    Refused {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Refusal,
    },
    /// A keyring cannot be changed, or not as it was asked for.
    #[error("keyring {}", path.display())]
    KeyringEdit {
        /// Which keyring.
        path: PathBuf,
        /// Why.
        source: EditError,
    },
    /// A server cannot be asked.
    #[error("server {server}")]
    Server {
        /// Its address, without secrets.
        server: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No key can be made.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// What another run could not do, as its report says.
    #[error("{message}")]
    Reported {
        /// The whole message.
        message: String,
        /// Which kind of failure it was.
        class: ErrorClass,
    },
}

/// An error and its sources in one line: each says its own part only.
#[must_use]
pub fn describe(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

impl Error {
    pub(crate) fn log(path: &Path, source: LogError) -> Self {
        Self::Log { path: path.to_owned(), source }
    }

    pub(crate) fn keyring_edit(path: &Path, source: EditError) -> Self {
        Self::KeyringEdit { path: path.to_owned(), source }
    }

    pub(crate) fn refused(path: &Path, reason: impl Into<Refusal>) -> Self {
        Self::Refused { path: path.to_owned(), source: reason.into() }
    }

    /// Which kind of failure this is.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Transfer(TransferError::Unpack { .. }) => ErrorClass::Damage,
            Self::Transfer(_)
            | Self::Random(_)
            | Self::Server { .. }
            | Self::KeyringEdit { .. } => ErrorClass::Work,
            Self::Keyring(error) | Self::Choice(ChoiceError::Source(error)) => error.class(),
            Self::Log { source, .. } => source.class(),
            Self::Choice(ChoiceError::SeveralServers { .. } | ChoiceError::IdTooLong { .. }) => {
                ErrorClass::Work
            }
            Self::Choice(_) => ErrorClass::Key,
            Self::Refused { source, .. } => source.class(),
            Self::Walk { source: WalkError::NoEventHere { .. }, .. } => ErrorClass::Work,
            Self::Walk { .. } => ErrorClass::Damage,
            Self::Reported { class, .. } => *class,
        }
    }
}

impl KeyringError {
    /// Which kind of failure this is.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        if self.is_about_passwords() || self.is_missing_key() {
            ErrorClass::Key
        } else if self.is_damage() {
            ErrorClass::Damage
        } else {
            ErrorClass::Work
        }
    }
}

impl LogError {
    /// Which kind of failure this is.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::NotEncrypted
            | Self::Unsupported { .. }
            | Self::Ancient { .. }
            | Self::InnodbLog
            | Self::Mariadb(MariadbError::Store { is_missing_key: false, .. }) => ErrorClass::Work,
            Self::NoKeys { .. }
            | Self::KeyMissing { .. }
            | Self::WrongKey { .. }
            | Self::WrongWrappingKey { .. } => ErrorClass::Key,
            Self::Mariadb(error) if error.is_about_keys() => ErrorClass::Key,
            _ => ErrorClass::Damage,
        }
    }
}
