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
mod merge;
mod names;
mod proof;
mod verdict;
mod verify;

use std::path::{Path, PathBuf};

pub use anchor::{Anchor, AnchorError};
pub use append::{Left, LeftLog, SealOptions, SealOutcome, SealedLog, seal};
pub use digest::{Digest, MAX_CHUNKS, SMALLEST_CHUNK, chunk_length, root};
pub use key::{Algorithm, PUBLIC_EXTENSION, PublicKey, Signer, generate, open_private};
pub use manifest::{
    Beginning, LogRecord, MAX_LINE, Manifest, ManifestError, Place, Record, SignatureRecord,
};
pub use merge::merge;
pub use names::LogName;
pub use proof::{Proof, prove};
pub use verdict::{Change, ChunkRange, LogVerdict, Note, Standing};
pub use verify::{SealVerified, VerifyOptions, shared_headers, verify};

use crate::file::TransferError;
use crate::keyring::KeyringError;
use crate::log::error::Error;
use crate::log::error_class::ErrorClass;
use crate::random::RandomError;

/// What the first line of a manifest and each signature say of the format.
pub const FORMAT: &str = "binlogsec.seal/1";

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
    /// A key, which is never replaced, would take the place of a file.
    #[error("{} is there already, and a key never replaces a file: name another one", path.display())]
    KeyIsThere {
        /// Which file.
        path: PathBuf,
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
    /// Manifests of parts of the logs that are not those of one whole.
    #[error("seal manifest {}: {reason}", path.display())]
    Part {
        /// Which manifest.
        path: PathBuf,
        /// Why it does not belong here, or what is missing.
        reason: String,
    },
    /// Two manifests say different things of one log.
    #[error(
        "seal manifest {} has another record of log {name} than {}: the log was changed between the two, is another server's, or was sealed up to another position", path.display(), whole.display()
    )]
    Differs {
        /// The manifest of a part.
        path: PathBuf,
        /// The manifest that was to be gone on with.
        whole: PathBuf,
        /// Of which log.
        name: String,
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
            Self::Manifest { source: ManifestError::Changed, .. }
            | Self::StopPosition { .. }
            | Self::KeyIsThere { .. }
            | Self::Part { .. } => ErrorClass::Work,
            Self::Manifest { .. } | Self::BeginningChanged { .. } | Self::Differs { .. } => {
                ErrorClass::Damage
            }
            Self::KeyFile { .. } | Self::Unproven { .. } => ErrorClass::Key,
        }
    }
}

/// The beginning of a text of a manifest, for messages: its own is as long as a line can be.
fn short(text: &str) -> String {
    const MOST: usize = 400;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Seconds since 1970 UTC, by this machine's clock.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
