//! Digests of a log: SHA-256 of its plaintext, and a Merkle tree over chunks of what is stored.
//!
//! The digest of the plaintext is a plain SHA-256 in order, so that `sha256sum` of what `decrypt`
//! writes gives the same; one thread computes it. The chunks of the stored bytes are independent of
//! one another, and are hashed by the other threads meanwhile.

use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::event::FIRST_FLAGS;
use crate::event::header::flag;
use crate::file::TransferError;
use crate::file::pipeline::{CHUNK, Progress};
use crate::file::source::{FileSource, WINDOW};
use crate::hex;
use crate::log::open::OpenLog;
use crate::log::walk::PlainSource;

/// The smallest chunk, in bytes.
pub const SMALLEST_CHUNK: u64 = 64 << 10;
/// No log has more chunks: those of a longer log are larger.
pub const MAX_CHUNKS: u64 = 1024;

/// What goes before the bytes of a leaf, and before the two digests of an inner node (RFC 6962).
const LEAF: [u8; 1] = [0];
const NODE: [u8; 1] = [1];

/// A SHA-256, as 64 lower-case hexadecimal digits in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub(super) [u8; 32]);

impl Digest {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Of a leaf of the tree.
    #[must_use]
    pub fn of_leaf(bytes: &[u8]) -> Self {
        let mut hash = Sha256::new_with_prefix(LEAF);
        hash.update(bytes);
        Self(hash.finalize().into())
    }

    /// The digest that a text is.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let is_lower = text.bytes().all(|sign| !sign.is_ascii_uppercase());
        let fits = text.len() == 64 && is_lower;
        (fits && hex::decode(text.as_bytes(), &mut bytes).is_ok()).then_some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let expected = "64 lower-case hexadecimal digits are expected";
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(expected))
    }
}

/// The length of the chunks of so many stored bytes: the smallest power of two, from
/// [`SMALLEST_CHUNK`] on, by which there are at most [`MAX_CHUNKS`].
#[must_use]
pub const fn chunk_length(stored: u64) -> u64 {
    let mut chunk = SMALLEST_CHUNK;
    while stored.div_ceil(chunk) > MAX_CHUNKS {
        chunk = chunk.saturating_mul(2);
    }
    chunk
}

/// The root of the Merkle tree over leaves, as RFC 6962 has it (section 2.1): of no leaf it is the
/// SHA-256 of nothing.
#[must_use]
pub fn root(leaves: &[Digest]) -> Digest {
    if leaves.is_empty() {
        return Digest::of(&[]);
    }
    // Pairs of neighbours, level by level; one without a neighbour goes up as it is. That is the
    // same tree as the one that is split at the largest power of two.
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => {
                    let mut hash = Sha256::new_with_prefix(NODE);
                    hash.update(left.0);
                    hash.update(right.0);
                    Digest(hash.finalize().into())
                }
                _ => pair.first().copied().unwrap_or_else(|| Digest::of(&[])),
            })
            .collect();
    }
    level.first().copied().unwrap_or_else(|| Digest::of(&[]))
}

/// Which bytes of a log are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// File offset of the first stored byte: behind the header.
    pub(super) body: u64,
    /// How many stored bytes there are from there on.
    pub(super) stored: u64,
    /// How many bytes of plaintext.
    pub(super) plain: u64,
    /// Whether the log goes on behind them, so that its server will still clear its in-use flag. The
    /// flag is hashed as if that had been done, and the stored byte that has it as zero.
    pub(super) is_open: bool,
}

impl Extent {
    /// All of a log.
    pub(super) fn whole(log: &OpenLog) -> Self {
        let body = log.file_offset(0);
        let stored = log.source().length().saturating_sub(body);
        Self { body, stored, plain: log.plain_length(), is_open: false }
    }

    /// The beginning of a log up to a plain offset.
    pub(super) fn up_to(log: &OpenLog, plain: u64) -> Self {
        Self { body: log.file_offset(0), stored: plain, plain, is_open: true }
    }

    /// Number of chunks of this length.
    pub(super) fn chunks(&self, chunk: u64) -> u64 {
        self.stored.checked_div(chunk).map_or(0, |_| self.stored.div_ceil(chunk))
    }

    /// The bytes of a chunk: its file offset, and its length.
    pub(super) fn chunk(&self, number: u64, chunk: u64) -> (u64, u64) {
        let start = number.saturating_mul(chunk).min(self.stored);
        let end = start.saturating_add(chunk).min(self.stored);
        (self.body.saturating_add(start), end.saturating_sub(start))
    }
}

/// SHA-256 of the plaintext, in order.
pub(super) fn plaintext(
    log: &OpenLog,
    extent: Extent,
    progress: &dyn Progress,
) -> Result<Digest, TransferError> {
    let (mut view, mut hash) = (log.plain_view(), Sha256::new());
    let (mut buffer, mut at) = (vec![0; CHUNK], 0_u64);
    while at < extent.plain {
        let left = usize::try_from(extent.plain.saturating_sub(at)).unwrap_or(CHUNK);
        let piece = buffer.get_mut(..left.min(CHUNK)).unwrap_or_default();
        view.fill(at, piece)?;
        if at == 0 && extent.is_open {
            close(piece);
        }
        hash.update(&*piece);
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        at = at.saturating_add(length);
        if progress.advance(length).is_break() {
            return Err(TransferError::Cancelled);
        }
    }
    log.source().check_size()?;
    Ok(Digest(hash.finalize().into()))
}

/// Clears the in-use flag of the format description event.
fn close(plain_start: &mut [u8]) {
    if let Some(flags) = plain_start.get_mut(FIRST_FLAGS) {
        *flags &= !u8::try_from(flag::IN_USE).unwrap_or(0);
    }
}

/// The digest of each of these chunks of stored bytes, in their order, on all threads.
pub(super) fn leaves(
    source: &FileSource,
    extent: Extent,
    chunk: u64,
    numbers: &[u64],
) -> Result<Vec<Digest>, TransferError> {
    // As many chunks as a window has, so that each window is mapped once.
    let together = usize::try_from(WINDOW.div_ceil(chunk.max(1))).unwrap_or(1);
    let groups: Vec<_> = numbers
        .par_chunks(together)
        .map(|numbers| {
            let mut view = source.view(Vec::new());
            let leaf = |number: &u64| {
                let (start, length) = extent.chunk(*number, chunk);
                let is_first = *number == 0 && extent.is_open;
                leaf(&mut view, start, length, is_first)
            };
            numbers.iter().map(leaf).collect::<Result<Vec<_>, _>>()
        })
        .collect::<Result<_, _>>()?;
    source.check_size()?;
    Ok(groups.into_iter().flatten().collect())
}

fn leaf(
    view: &mut crate::file::source::View<'_>,
    start: u64,
    length: u64,
    hides_flag: bool,
) -> Result<Digest, TransferError> {
    let (mut hash, mut done) = (Sha256::new_with_prefix(LEAF), 0_u64);
    while done < length {
        let left = usize::try_from(length.saturating_sub(done)).unwrap_or(CHUNK);
        let bytes = view.bytes(start.saturating_add(done), left.min(CHUNK))?;
        match bytes.split_at_checked(FIRST_FLAGS) {
            Some((before, [_, after @ ..])) if hides_flag && done == 0 => {
                hash.update(before);
                hash.update([0]);
                hash.update(after);
            }
            _ => hash.update(bytes),
        }
        done = done.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        view.confirm()?;
    }
    Ok(Digest(hash.finalize().into()))
}
