//! What can be wrong with a `keyring_file` keyring.

use super::{PluginVersion, Word};
use crate::keyring::abbreviated;
use crate::mysql::key_id::KeyId;

/// Why a file is no readable `keyring_file` keyring. Offsets and sizes are bytes of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The file does not start like one.
    #[error("offset 0: `Keyring file version:` expected: this is no keyring_file keyring")]
    Signature,
    /// Another version than 1.0 and 2.0.
    #[error(
        "offset 21: keyring_file version {found:?} is not supported (1.0 and 2.0 are); \
         let the server that wrote it migrate the keys to another keyring"
    )]
    UnsupportedVersion {
        /// The three bytes that stand there, escaped.
        found: String,
    },
    /// The file ends within something that has a fixed size.
    #[error(
        "offset {offset}: {what} takes {needed} bytes, {available} available: the file is cut \
         off; take a complete copy of it"
    )]
    Truncated {
        /// What is incomplete.
        what: &'static str,
        /// Where it starts.
        offset: usize,
        /// How many bytes it takes.
        needed: usize,
        /// How many bytes were left.
        available: usize,
    },
    /// `EOF` is not where the version and the size of the file say, nor after the last record.
    #[error(
        "offset {offset}: `EOF` expected there in a version {version} file of this size: the \
         file is cut off or damaged; take a complete copy of it"
    )]
    NoEof {
        /// Where the tag should be.
        offset: usize,
        /// The version of the file.
        version: PluginVersion,
    },
    /// Something follows what should be the end.
    #[error(
        "offset {offset}: {available} bytes follow where the file should end: it was appended \
         to or overwritten; take a fresh copy of it"
    )]
    TrailingBytes {
        /// Where the file should end.
        offset: usize,
        /// How many bytes follow.
        available: usize,
    },
    /// No machine kind's reading walks the records to the end. This is the reading that came
    /// furthest.
    #[error(
        "offset {offset}: record {record} (counted from 0, read as {word}): {defect}; the \
         records fit no word size and byte order: the file is damaged, take another copy of it"
    )]
    Record {
        /// Which record.
        record: usize,
        /// Where it starts.
        offset: usize,
        /// The reading.
        word: Word,
        /// What is wrong with it.
        defect: RecordDefect,
    },
    /// The digest is not that of the records.
    #[error(
        "offset {offset}: the SHA-256 digest is not that of the records at offsets 24 to {end}: \
         the file was changed or damaged; take another copy of it"
    )]
    DigestMismatch {
        /// Where the digest stands.
        offset: usize,
        /// Where the records end.
        end: usize,
    },
    /// Two records have id and user in common; the server refuses such a file.
    #[error(
        "offset {offset}: record {second} (counted from 0) has the key id and user of record \
         {first}, `{}`: which of the two is meant cannot be told; take another copy of the file",
        abbreviated(.id.as_bytes())
    )]
    Duplicate {
        /// The key id of both.
        id: KeyId,
        /// The earlier record.
        first: usize,
        /// The later record.
        second: usize,
        /// Where the later record starts.
        offset: usize,
    },
    /// When writing: an entry is longer than the machine kind can express.
    #[error("an entry is too long for {word} words; write 64-bit words")]
    TooLong {
        /// The machine kind.
        word: Word,
    },
}

/// What is wrong with a record under one reading. Sizes are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordDefect {
    /// The records end within the five lengths.
    #[error("its five lengths take {needed} bytes, {available} available")]
    LengthsCut {
        /// Bytes the lengths take.
        needed: usize,
        /// Bytes left.
        available: usize,
    },
    /// The record's length is no multiple of the word size.
    #[error("its length {length} is no multiple of {width}")]
    Unaligned {
        /// The record's length.
        length: u64,
        /// The word size.
        width: usize,
    },
    /// The record passes the end of the records.
    #[error("its length says {needed} bytes, {available} available")]
    PastEnd {
        /// The record's length.
        needed: u64,
        /// Bytes left, from the record's start.
        available: usize,
    },
    /// The parts are longer than the record.
    #[error("its parts take {needed} bytes, its length says {available}")]
    PartsPastRecord {
        /// What lengths and parts take together.
        needed: u64,
        /// The record's length.
        available: u64,
    },
    /// A word or more is left over after the parts.
    #[error("its parts take {used} bytes, its length {length} leaves more than padding")]
    ExcessPadding {
        /// What lengths and parts take together.
        used: u64,
        /// The record's length.
        length: u64,
    },
}
