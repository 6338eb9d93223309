//! What stands between a log that MariaDB encrypted and its plaintext.

use super::SCHEME;

/// Why the plaintext cannot be had, or not all of it. Offsets are of the file, which are those of
/// the plaintext too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MariadbError {
    /// A way to encrypt that nobody knew when this was written.
    #[error(
        "encryption scheme {scheme} in the event at offset {offset} is not known, only {SCHEME} is"
    )]
    UnknownScheme {
        /// Where the event that starts encryption is.
        offset: u64,
        /// Its scheme byte.
        scheme: u8,
    },
    /// The event that starts encryption cannot be relied on, and with it the nonce.
    #[error("the event at offset {offset} that starts encryption is damaged: {reason}")]
    StartDamaged {
        /// Where it is.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// It needs a key and none was offered that could be one.
    #[error(
        "encrypted by MariaDB, and no key of it was given: name its key file by --mariadb-keys FILE"
    )]
    NoKeys,
    /// The key that was chosen is not among those that were offered.
    #[error("there is no key {id} in {searched}; --mariadb-key-id names the key to take")]
    KeyMissing {
        /// Its id.
        id: u32,
        /// Where keys came from.
        searched: String,
    },
    /// Keys were offered, and all of them are of another version.
    #[error(
        "encrypted under version {version} of its key, and the file_key_management plugin has only version 1 ({searched}); if these keys come from another plugin, say --mariadb-any-key-version"
    )]
    KeyVersion {
        /// As the log has it.
        version: u32,
        /// Where keys came from.
        searched: String,
    },
    /// The store has no such version of the key.
    #[error(
        "encrypted under version {version} of key {id}, which is not in {searched}: there it was deleted or destroyed, or never was"
    )]
    VersionMissing {
        /// The key's id.
        id: u32,
        /// As the log has it.
        version: u32,
        /// Where it was asked for.
        searched: String,
    },
    /// A key store was asked, and failed.
    #[error("{message}")]
    Store {
        /// Which one, and why.
        message: String,
        /// Whether it answered, and the key is not to be had.
        is_missing_key: bool,
    },
    /// None of the keys gives a log, with any cipher.
    #[error(
        "no key of {searched} opens this log with {ciphers}: it was encrypted under another one, or its events are damaged from offset {offset} on"
    )]
    WrongKey {
        /// Where keys came from.
        searched: String,
        /// What was tried.
        ciphers: &'static str,
        /// The first encrypted event.
        offset: u64,
    },
    /// Several keys or ciphers fit equally.
    #[error("more than one key or cipher fits as far as this log goes ({}): choose by --mariadb-key-id and --mariadb-cipher", candidates.join(", "))]
    Ambiguous {
        /// Key and cipher of each.
        candidates: Vec<String>,
    },
    /// The log says that encryption starts, and plaintext follows.
    #[error(
        "the log says that it is encrypted from offset {offset} on, but a plaintext event stands there: somebody has put the two together"
    )]
    NotEncrypted {
        /// Where the event is.
        offset: u64,
    },
    /// A length that no event has: nothing after it can be found.
    #[error("the event at offset {offset} is damaged: a length of {length} bytes cannot be")]
    BadLength {
        /// Where the event starts.
        offset: u64,
        /// The length in its header.
        length: u32,
    },
    /// The event does not look like one when it is deciphered.
    #[error(
        "the event at offset {offset} does not decrypt to one: it is damaged, or was not written there by the server"
    )]
    Implausible {
        /// Where the event starts.
        offset: u64,
    },
    /// A plaintext event that has to be summed anew, and is damaged.
    #[error(
        "the event at offset {offset} has a wrong checksum, which a new one would hide: salvage the log first"
    )]
    BadChecksum {
        /// Where the event starts.
        offset: u64,
    },
    /// The last event is not all there.
    #[error("the log ends within the event at offset {offset}: {available} bytes of {}", needed.map_or("unknown length".to_owned(), |needed| needed.to_string()))]
    Cut {
        /// Where the event starts.
        offset: u64,
        /// Its length, if its header is there.
        needed: Option<u32>,
        /// How many bytes are left of it.
        available: u64,
    },
}

impl MariadbError {
    /// Whether another key, and not another log, is what is needed.
    #[must_use]
    pub const fn is_about_keys(&self) -> bool {
        matches!(
            self,
            Self::NoKeys
                | Self::KeyMissing { .. }
                | Self::KeyVersion { .. }
                | Self::VersionMissing { .. }
                | Self::Store { is_missing_key: true, .. }
                | Self::WrongKey { .. }
                | Self::Ambiguous { .. }
        )
    }
}
