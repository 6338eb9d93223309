//! One line that stands for a manifest as it is now. Stored where nobody who can write the manifest
//! can write, it tells that the manifest was neither cut nor made anew since.

use std::fmt;
use std::str::FromStr;

use super::FORMAT;
use super::digest::Digest;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The manifest's id.
    pub id: String,
    /// The line that has the signature, from 1.
    pub line: u64,
    /// Logs up to there.
    pub logs: u64,
    /// SHA-256 of that line, without its line end.
    pub digest: Digest,
}

/// What is no anchor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} is no anchor: the whole line that `binlogsec seal anchor` printed is expected ({FORMAT} ID LINE LOGS DIGEST)"
)]
pub struct AnchorError {
    found: String,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, line, logs, digest } = self;
        write!(f, "{FORMAT} {id} {line} {logs} {digest}")
    }
}

impl FromStr for Anchor {
    type Err = AnchorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let anchor = || {
            let mut words = text.split_ascii_whitespace();
            let is_format = words.next() == Some(FORMAT);
            let id = words.next()?.to_owned();
            let (line, logs) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            let digest = Digest::parse(words.next()?)?;
            let is_end = words.next().is_none();
            (is_format && is_end && line > 0).then_some(Self { id, line, logs, digest })
        };
        anchor().ok_or_else(|| AnchorError { found: text.to_owned() })
    }
}
