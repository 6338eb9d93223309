//! Why a file is left as it is although it could be worked on.

use super::ErrorClass;
use crate::log::key_id::KeyId;
use crate::open::LogError;

/// What stands against the work on a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Ciphertext where plaintext was expected.
    #[error("it is encrypted already, under key {key_id}; `rekey` puts it under another key")]
    AlreadyEncrypted {
        /// Under which id its key is.
        key_id: KeyId,
    },
    /// A plaintext log of a MariaDB server.
    #[error(
        "a MariaDB server wrote it, and no MariaDB server reads MySQL's encryption; such a server encrypts its logs itself (encrypt_binlog=ON)"
    )]
    MariaDb,
    /// The in-use flag of its format description event is set.
    #[error(
        "its in-use flag is set: either its server is writing it, or that server crashed and trims the log at its next start; --allow-in-use takes it as it is"
    )]
    InUse,
    /// It is no log that can be read.
    #[error(transparent)]
    Unreadable(#[from] LogError),
}

impl Refusal {
    /// Which kind of failure this is.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Unreadable(error) => error.class(),
            _ => ErrorClass::Work,
        }
    }
}
