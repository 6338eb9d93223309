//! Seals: a signed manifest of logs, by which another look tells what was changed, cut, swapped,
//! removed or added since.
//!
//! The formats of logs have no authentication. A manifest has, for each closed log, the SHA-256 of
//! its plaintext and a Merkle tree over its stored bytes; its lines are a chain, and a signature
//! stands at its end. docs/seal.md has the format, and who is kept out by what.

mod anchor;
mod append;
mod digest;
mod examine;
mod key;
mod manifest;
mod names;
mod proof;
mod verdict;
mod verify;

use std::path::{Path, PathBuf};

pub use anchor::{Anchor, AnchorError};
pub use append::{Left, SealOptions, SealOutcome, SealedLog, seal};
pub use digest::{Digest, MAX_CHUNKS, SMALLEST_CHUNK, chunk_length, root};
pub use key::{Algorithm, PUBLIC_EXTENSION, PublicKey, Signer, generate, open_private};
pub use manifest::{
    Beginning, FORMAT, LogRecord, MAX_LINE, Manifest, ManifestError, Place, Record, SignatureRecord,
};
pub use names::LogName;
pub use proof::{Proof, prove};
pub use verdict::{Change, ChunkRange, LogVerdict, Note, Standing};
pub use verify::{SealVerified, VerifyOptions, verify};

use crate::file::TransferError;
use crate::keyring::KeyringError;
use crate::log::error::{Error, ErrorClass};
use crate::random::RandomError;

/// What can go wrong with seals.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// A log, a keyring, or a file.
    #[error(transparent)]
    Log(#[from] Error),
    /// A manifest is not believed.
    #[error("seal manifest {}", path.display())]
    Manifest {
        /// Which.
        path: PathBuf,
        /// Why.
        source: ManifestError,
    },
    /// A file holds no key that signs or verifies.
    #[error("key file {}: {reason}", path.display())]
    KeyFile {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Nothing proves a manifest.
    #[error("seal manifest {}: {reason}", path.display())]
    Unproven {
        /// Which.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The position up to which a log was to be sealed.
    #[error("log {}: {reason}", path.display())]
    StopPosition {
        /// Which log.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The part of a log that is sealed already is not as it was.
    #[error(
        "log {} was changed since its first {up_to} bytes of plaintext were sealed; `binlogsec seal verify` tells where", path.display()
    )]
    BeginningChanged {
        /// Which log.
        path: PathBuf,
        /// How much of it is sealed, in bytes of plaintext.
        up_to: u64,
    },
}

impl From<TransferError> for SealError {
    fn from(error: TransferError) -> Self {
        Self::Log(error.into())
    }
}

impl From<KeyringError> for SealError {
    fn from(error: KeyringError) -> Self {
        Self::Log(error.into())
    }
}

impl From<RandomError> for SealError {
    fn from(error: RandomError) -> Self {
        Self::Log(error.into())
    }
}

impl SealError {
    fn manifest(path: &Path, source: ManifestError) -> Self {
        Self::Manifest { path: path.to_owned(), source }
    }

    fn key_file(path: &Path, reason: impl Into<String>) -> Self {
        Self::KeyFile { path: path.to_owned(), reason: reason.into() }
    }

    /// Which kind of failure this is.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Log(error) => error.class(),
            Self::Manifest { source: ManifestError::Changed, .. } | Self::StopPosition { .. } => {
                ErrorClass::Work
            }
            Self::Manifest { .. } | Self::BeginningChanged { .. } => ErrorClass::Damage,
            Self::KeyFile { .. } | Self::Unproven { .. } => ErrorClass::Key,
        }
    }
}

/// Seconds since 1970 UTC, by this machine's clock.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
