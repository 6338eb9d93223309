//! Why there is no plaintext.

use crate::event::format_description::FormatDescriptionError;
use crate::mariadb::error::MariadbError;
use crate::mysql::header::HeaderError;
use crate::mysql::key_id::KeyId;
use crate::percona::sidecar::SidecarError;

/// Why the plaintext of a log cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// No byte.
    #[error("the file is empty")]
    Empty,
    /// Other leading bytes than any log has.
    #[error(
        "not a log: it starts neither with fe 62 69 6e (plaintext) nor with fd 62 69 6e (encrypted)"
    )]
    NotALog,
    /// The file ends before it says enough.
    #[error("the log is cut short: it ends at offset {available}, within its {part}")]
    Truncated {
        /// The size of the file, in bytes.
        available: usize,
        /// What it ends in.
        part: &'static str,
    },
    /// A header that no server would read.
    #[error("its encryption header is damaged; if another copy of the log exists, use that")]
    HeaderDamaged(#[source] HeaderError),
    /// A version that nobody knew when this was written.
    #[error("encryption header version {version} at offset 4 is not known, only version 1 is")]
    UnknownVersion {
        /// The version byte.
        version: u8,
    },
    /// Plaintext log with an implausible beginning.
    #[error("its first event, at offset 4, is damaged")]
    PlainDamaged(#[source] FormatDescriptionError),
    /// A sound log of a format that is older than all that is read.
    #[error(
        "a log of a server before 5.0 ({server_version}, binary log version {binlog_version}), which is not read here: mariadb-binlog reads it"
    )]
    Ancient {
        /// The server that wrote the log.
        server_version: String,
        /// The version of the binary log, 1 to 3.
        binlog_version: u16,
    },
    /// A format that is recognised and not yet read.
    #[error("{format} logs are recognised, but cannot be decrypted by this version")]
    Unsupported {
        /// Whose format.
        format: &'static str,
    },
    /// A log in pages of `InnoDB`.
    #[error(
        "an InnoDB binary log of MariaDB 12.3 or later: always plaintext, not read; mariadb-binlog reads it"
    )]
    InnodbLog,
    /// What Percona Binlog Server wrote beside a log cannot be read.
    #[error("the JSON file beside it says that Percona Binlog Server encrypted it, and not how")]
    Sidecar(#[source] SidecarError),
    /// There is a key of the id that Percona Binlog Server wrapped the file key under, and it gives
    /// no log.
    #[error(
        "the key under {key_id} ({searched}) does not open this log: {reason}; either another key has that id, or the JSON file beside the log is damaged or another log's"
    )]
    WrongWrappingKey {
        /// Under which id the key is.
        key_id: KeyId,
        /// Where it was found.
        searched: String,
        /// What does not fit.
        reason: String,
    },
    /// The log needs a key and none was offered.
    #[error(
        "encrypted under key {key_id}, and no key was given: name its keyring by --keyring FILE"
    )]
    NoKeys {
        /// Under which id the key would be.
        key_id: KeyId,
    },
    /// The keys that were offered do not have this id.
    #[error(
        "key {key_id} is not in {searched}; a rotation removes older keys, so look for a copy of the keyring from before it"
    )]
    KeyMissing {
        /// Under which id the key would be.
        key_id: KeyId,
        /// Where it was looked for.
        searched: String,
    },
    /// There is a key of this id, and it gives no log.
    #[error(
        "the key under {key_id} ({searched}) does not open this log: either another key has that name, or the wrapped password in the header is damaged"
    )]
    WrongKey {
        /// Under which id the key is.
        key_id: KeyId,
        /// Where it was found.
        searched: String,
    },
    /// The header says encrypted, the body says plaintext.
    #[error(
        "the header says encrypted, but at offset 512 a plaintext log begins: somebody has put the two together"
    )]
    BodyNotCiphertext,
    /// The key fits, and the first event is damaged.
    #[error("the key fits, but the log is damaged at plain offset {plain_offset}: {reason}")]
    BodyDamaged {
        /// Where, counted from the first byte after the encryption header.
        plain_offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// Of a log that MariaDB encrypted.
    #[error(transparent)]
    Mariadb(#[from] MariadbError),
    /// No whole event under any key at hand.
    #[error(
        "no whole event was found: either the key or the header is another log's, or nothing of the log is left"
    )]
    NothingToSalvage,
    /// Whole events, and no format description event to read them by.
    #[error(
        "the format description event is lost, without which no log can be read: name another log of the same server by --description-from LOG"
    )]
    DescriptionLost,
    /// Plaintext where ciphertext was expected.
    #[error("not encrypted: this is a plaintext log already")]
    NotEncrypted,
}

impl LogError {
    /// Whether there is nothing wrong but that no key was named.
    #[must_use]
    pub const fn is_no_key_offered(&self) -> bool {
        matches!(self, Self::NoKeys { .. } | Self::Mariadb(MariadbError::NoKeys))
    }
}
