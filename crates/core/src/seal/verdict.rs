//! What is said of a log that is held against a manifest.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::names::LogName;
use crate::log::error::{Error, describe};
use crate::log::error_class::ErrorClass;

/// How a log stands to the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// As it was sealed.
    Unchanged,
    /// Not as it was sealed.
    Changed,
    /// Sealed, and not there.
    Missing,
    /// There, and neither sealed nor later than what is sealed.
    Added,
    /// There, and later than all sealed logs of its series: it waits to be sealed.
    Unsealed,
    /// Sealed, and purged since, as the caller says.
    Purged,
    /// It could not be read.
    Failed,
}

impl Standing {
    /// Its name in reports. Stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::Added => "added",
            Self::Unsealed => "unsealed",
            Self::Purged => "purged",
            Self::Failed => "failed",
        }
    }

    /// Whether it is a finding.
    #[must_use]
    pub const fn is_finding(self) -> bool {
        matches!(self, Self::Changed | Self::Missing | Self::Added)
    }
}

/// Chunks in a row that are not as they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChunkRange {
    /// Number of the first, from 0.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// File offset of their first byte.
    pub start: u64,
    /// File offset behind their last byte.
    pub end: u64,
}

impl ChunkRange {
    /// `chunk 3`, or `chunks 3 to 5`.
    fn numbers(self) -> String {
        let Self { first, last, .. } = self;
        if first == last { format!("chunk {first}") } else { format!("chunks {first} to {last}") }
    }
}

/// What is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Change {
    /// The file is shorter.
    #[error("cut: {found} bytes, {sealed} were sealed")]
    Shorter {
        /// Bytes that were sealed, header included.
        sealed: u64,
        /// Bytes that there are.
        found: u64,
    },
    /// The file is longer.
    #[error("longer: {found} bytes, {sealed} were sealed")]
    Longer {
        /// Bytes that were sealed, header included.
        sealed: u64,
        /// Bytes that there are.
        found: u64,
    },
    /// Chunks are other ones.
    #[error("{} changed: file offsets {} to {}", .0.numbers(), .0.start, .0.end)]
    Bytes(ChunkRange),
    /// More ranges changed than are listed.
    #[error("and {more} more ranges")]
    MoreBytes {
        /// How many.
        more: usize,
    },
    /// The header is another log's.
    #[error("its header is that of {name}")]
    HeaderOf {
        /// Which log's.
        name: String,
    },
    /// The header is new, and does not open this log.
    #[error("its header is new, and does not open it: {reason}")]
    Header {
        /// Why.
        reason: String,
    },
    /// The plaintext is another one.
    #[error("its plaintext is not the one that was sealed")]
    Plaintext,
    /// The log is of another server than the sealed ones of its series.
    #[error("it is of server {found}, and the sealed logs of its series are of {sealed}")]
    OtherServer {
        /// That server's UUID or id.
        sealed: String,
        /// This one's.
        found: String,
    },
    /// No sealed log is of its series, or one of a higher number is sealed.
    #[error("it is not in the manifest, and does not come after what is")]
    NotSealed,
}

/// What is to be said of a log that is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Note {
    /// The header was written anew, and a key shows that the plaintext is the sealed one.
    #[error("its header is new (rekeyed), and the plaintext is the one that was sealed")]
    Rekeyed,
    /// The header was written anew, and nothing shows that it opens the log.
    #[error("its header is new (rekeyed?): {reason}")]
    HeaderUnproven {
        /// What is missing.
        reason: String,
    },
    /// Other bytes are stored, of the same plaintext.
    #[error(
        "it was encrypted anew or decrypted ({kind} now), and the plaintext is the one that was sealed"
    )]
    Reencrypted {
        /// What it is now.
        kind: String,
    },
    /// It is sealed up to a position alone.
    #[error("sealed up to position {up_to} alone; {behind} bytes stand behind it")]
    UpTo {
        /// The plain offset.
        up_to: u64,
        /// Bytes of the file that are not sealed.
        behind: u64,
    },
    /// It had this damage when it was sealed.
    #[error("it was damaged already when it was sealed (plain offset {at})")]
    SealedDamaged {
        /// Plain offset of the first damage.
        at: u64,
    },
}

/// One log.
#[derive(Debug)]
pub struct LogVerdict {
    /// What it is called in the manifest, or would be.
    pub name: LogName,
    /// Where it is; `None` where it is missing or purged.
    pub path: Option<PathBuf>,
    /// How it stands.
    pub standing: Standing,
    /// What is not as it was.
    pub changes: Vec<Change>,
    /// What else there is to say.
    pub notes: Vec<Note>,
    /// Chunks that were compared.
    pub checked: u64,
    /// Chunks that it has.
    pub chunks: u64,
    /// Size of the file in bytes.
    pub size: u64,
    /// Why it could not be read, and how much that weighs.
    pub failure: Option<(String, ErrorClass)>,
    /// The header's digest, if it is new, and no key has shown that it opens this log.
    pub new_header: Option<Digest>,
}

impl LogVerdict {
    pub(super) fn new(name: &LogName, path: Option<&Path>, standing: Standing) -> Self {
        Self {
            name: name.clone(),
            path: path.map(Path::to_owned),
            standing,
            changes: Vec::new(),
            notes: Vec::new(),
            checked: 0,
            chunks: 0,
            size: 0,
            failure: None,
            new_header: None,
        }
    }

    pub(super) fn failed(name: &LogName, path: &Path, error: &Error) -> Self {
        let failure = Some((describe(error), error.class()));
        Self { failure, ..Self::new(name, Some(path), Standing::Failed) }
    }

    pub(super) fn change(&mut self, change: Change) {
        self.standing = Standing::Changed;
        self.changes.push(change);
    }

    pub(super) fn note(&mut self, note: Note) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}
