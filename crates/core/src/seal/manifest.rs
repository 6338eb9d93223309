//! The manifest: lines of JSON, of which each has the digest of the line before.
//!
//! docs/seal.md has the format byte by byte.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::anchor::Anchor;
use super::digest::{self, Digest};
use super::key::Algorithm;
use super::names::LogName;
use super::{FORMAT, SealError, short};
use crate::batch::shard::{Shard, ShardError};
use crate::file::TransferError;
use crate::file::source::{FileSource, SourceReader};

/// No line is longer, its line end included, in bytes.
pub const MAX_LINE: usize = 256 << 10;
/// What a signature's line has between what is signed and the signature.
pub(super) const BEFORE_SIGNATURE: &str = ",\"signature\":\"";

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "lowercase")]
pub enum Record {
    /// The first line.
    Manifest(Beginning),
    /// A log.
    Log(Box<LogRecord>),
    /// A signature of all lines before it.
    Signature(SignatureRecord),
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// [`FORMAT`].
    pub format: String,
    /// 32 random hexadecimal digits: no two manifests are alike.
    pub id: String,
    /// When it was begun, in seconds since 1970 UTC, by this machine's clock.
    pub created: u64,
    /// Which part of the logs it is about, as `I/N`, if it is one that one process of several made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
}

/// An event of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// A plain offset, in bytes.
    pub position: u64,
    /// Seconds since 1970 UTC, as the event's header has it; `null` where no event has a time.
    pub time: Option<u32>,
}

/// A sealed log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Which log of the manifest it is, from 1.
    pub number: u64,
    /// Its path below the directory that was sealed, with `/`; bytes that are not UTF-8 are `\xNN`.
    pub name: String,
    /// When it was sealed, in seconds since 1970 UTC, by the machine's clock.
    pub sealed: u64,
    /// `mysql-encrypted` and so on.
    pub kind: String,
    /// Length of the file in bytes; of a log that is sealed up to a position, header and sealed bytes.
    pub length: u64,
    /// For a log that its server was still writing: the plain offset up to which it is sealed.
    pub up_to: Option<u64>,
    /// Length of the header in bytes: 512 for a log that MySQL encrypted, else 0.
    pub body: u64,
    /// SHA-256 of the header, or of the JSON file beside a log of Percona Binlog Server.
    pub header: Option<Digest>,
    /// The key id in it, unprintable bytes escaped.
    pub key_id: Option<String>,
    /// The server UUID in that.
    pub server_uuid: Option<String>,
    /// The generation in that.
    pub key_seqno: Option<u32>,
    /// The id of the server that wrote the log.
    pub server_id: Option<u32>,
    /// Whether it is a relay log.
    pub is_relay: bool,
    /// GTIDs of its own transactions; `null` where their text is longer than 64 KiB.
    pub gtids: Option<String>,
    /// Number of events.
    pub events: u64,
    /// The first event.
    pub first: Place,
    /// The end of the last event, and the time of the last one that has any.
    pub last: Place,
    /// The log that its ROTATE event names.
    pub next_log: Option<String>,
    /// The plain offset of the first damage that the log had already when it was sealed.
    pub damaged_at: Option<u64>,
    /// Length of the plaintext in bytes.
    pub plain_length: u64,
    /// SHA-256 of the plaintext.
    pub plaintext: Digest,
    /// Length of a chunk of stored bytes; the last one may be shorter.
    pub chunk: u64,
    /// Root of the Merkle tree over the chunks (RFC 6962).
    pub root: Digest,
    /// The leaves of the tree.
    pub leaves: Vec<Digest>,
    /// SHA-256 of the line before, without its line end.
    pub previous: Digest,
}

/// What a signature's line says besides the signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureRecord {
    /// [`FORMAT`].
    pub format: String,
    /// When it was made, in seconds since 1970 UTC, by the machine's clock.
    pub signed: u64,
    /// How.
    pub algorithm: Algorithm,
    /// A replication encryption key's id, or an Ed25519 public key in hexadecimal digits.
    pub key: String,
    /// Fingerprint of a replication encryption key.
    pub fingerprint: Option<String>,
    /// Number of logs in all lines before.
    pub logs: u64,
    /// SHA-256 of the line before, without its line end.
    pub previous: Digest,
    /// In hexadecimal digits, of all bytes of this line before `,"signature":"`.
    pub signature: String,
}

impl LogRecord {
    /// The number of stored bytes that the chunks cover.
    #[must_use]
    pub const fn stored(&self) -> u64 {
        self.length.saturating_sub(self.body)
    }

    /// What in it does not fit together.
    fn contradiction(&self) -> Option<&'static str> {
        let leaves = u64::try_from(self.leaves.len()).unwrap_or(u64::MAX);
        if self.body > self.length {
            Some("its header is longer than the log")
        } else if self.chunk != digest::chunk_length(self.stored()) {
            Some("its chunks have another length than its own asks for")
        } else if leaves != self.stored().div_ceil(self.chunk) {
            Some("it has another number of leaves than its length asks for")
        } else if self.root != digest::root(&self.leaves) {
            Some("the root is not that of its leaves")
        } else if self.up_to.is_some_and(|end| end != self.plain_length) {
            Some("it is sealed up to another position than its plaintext ends at")
        } else {
            None
        }
    }
}

/// Why a manifest is not believed. Lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Something else.
    #[error("no seal manifest: its first line should say {FORMAT}")]
    NotAManifest,
    /// Of a later version.
    #[error("line {line}: format {found}, only {FORMAT} is known")]
    Version {
        /// Where.
        line: u64,
        /// Which.
        found: String,
    },
    /// Longer than any that is written.
    #[error("line {line} (offset {offset}) is longer than {MAX_LINE} bytes")]
    TooLong {
        /// Which line.
        line: u64,
        /// Where it starts, in bytes.
        offset: u64,
    },
    /// No record.
    #[error("line {line} (offset {offset}) is no record: {reason}")]
    Syntax {
        /// Which line.
        line: u64,
        /// Where it starts, in bytes.
        offset: u64,
        /// Why.
        reason: String,
    },
    /// The chain is broken.
    #[error(
        "line {line} (offset {offset}) does not follow the line before it: one of the two was changed, or lines between them are missing"
    )]
    Chain {
        /// Which line.
        line: u64,
        /// Where it starts, in bytes.
        offset: u64,
    },
    /// A record that was never written so.
    #[error("line {line} (offset {offset}), log {name}: {reason}")]
    Contradiction {
        /// Which line.
        line: u64,
        /// Where it starts, in bytes.
        offset: u64,
        /// Of which log.
        name: String,
        /// What does not fit together.
        reason: &'static str,
    },
    /// The end is missing.
    #[error("it ends at line {line} without a signature: it was cut, or is not finished")]
    Unsigned {
        /// The last line.
        line: u64,
    },
    /// A signature does not fit.
    #[error(
        "the signature in line {line} does not fit under {key}: the manifest was changed since, or was signed with another key of that name"
    )]
    Forged {
        /// Which line.
        line: u64,
        /// Which key it should be.
        key: String,
    },
    /// What an anchor names is not there.
    #[error(
        "the anchor names line {wanted} and the digest {digest}, and {found}: the manifest was cut, changed or replaced since the anchor was taken"
    )]
    Anchor {
        /// The line.
        wanted: u64,
        /// Its digest.
        digest: Digest,
        /// What is there.
        found: String,
    },
    /// The file changed between two looks.
    #[error("it was changed while it was read; run again")]
    Changed,
}

/// Where the record of a log stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    offset: u64,
    length: usize,
    digest: Digest,
    /// Whether all of the log is sealed.
    pub(super) is_whole: bool,
}

/// The last signature.
#[derive(Debug, Clone)]
pub(super) struct Signature {
    pub(super) line: u64,
    pub(super) record: SignatureRecord,
    /// What is signed.
    pub(super) message: Vec<u8>,
}

/// A manifest that was read: its chain is whole, and it ends in a signature, which nobody has looked
/// at yet. Of each log it keeps where its record stands, some two hundred bytes.
#[derive(Debug)]
pub struct Manifest {
    pub(super) source: FileSource,
    pub(super) id: String,
    /// The part of the logs that it is about, if it is about a part.
    pub(super) shard: Option<Shard>,
    pub(super) lines: u64,
    pub(super) logs: u64,
    /// Digest of the last line, which has the signature.
    pub(super) head: Digest,
    /// The records of each log, in their order.
    pub(super) sealed: BTreeMap<LogName, Vec<Spot>>,
    /// The logs that have a header.
    pub(super) headers: BTreeMap<Digest, LogName>,
    pub(super) signature: Signature,
    anchors: Vec<Anchor>,
}

/// A line without its line end.
struct Line {
    number: u64,
    offset: u64,
    text: Vec<u8>,
}

impl Manifest {
    /// Reads a manifest, and holds it against anchors that were taken of it earlier.
    ///
    /// # Errors
    /// [`SealError::Manifest`] when it is none, is damaged, cut or not what an anchor says;
    /// [`SealError::Log`] when it cannot be read.
    pub fn open(path: &Path, anchors: &[Anchor]) -> Result<Self, SealError> {
        Self::read(FileSource::open(path)?, anchors)
    }

    /// The same of a file that is open.
    ///
    /// # Errors
    /// As [`Manifest::open`].
    pub fn read(source: FileSource, anchors: &[Anchor]) -> Result<Self, SealError> {
        source.expect_reading();
        let read = Reading::new(&source, anchors).run().map_err(|error| match error {
            Failure::Manifest(error) => SealError::manifest(source.path(), error),
            Failure::Transfer(error) => error.into(),
        })?;
        Ok(read.finish(source, anchors))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// Number of logs, in all lines.
    #[must_use]
    pub const fn logs(&self) -> u64 {
        self.logs
    }

    /// The part of the logs that it is about, if one process of several made it.
    #[must_use]
    pub const fn shard(&self) -> Option<Shard> {
        self.shard
    }

    /// How the last signature was made, and the name of its key.
    #[must_use]
    pub fn signed_by(&self) -> (Algorithm, &str) {
        (self.signature.record.algorithm, &self.signature.record.key)
    }

    /// The anchors that it was held against.
    pub(super) fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// What to store elsewhere, so that nobody can cut the manifest without a sign.
    #[must_use]
    pub fn anchor(&self) -> Anchor {
        Anchor { id: self.id.clone(), line: self.lines, logs: self.logs, digest: self.head }
    }

    /// Reads a record again.
    pub(super) fn record(&self, spot: &Spot) -> Result<LogRecord, SealError> {
        let mut text = vec![0; spot.length];
        let read = self.source.read_at(spot.offset, &mut text)?;
        let is_same = read == text.len() && Digest::of(&text) == spot.digest;
        match serde_json::from_slice(&text) {
            Ok(Record::Log(record)) if is_same => Ok(*record),
            _ => Err(SealError::manifest(self.path(), ManifestError::Changed)),
        }
    }

    /// The last record of a log, whether all of it is sealed or its beginning.
    pub(super) fn last_record(&self, name: &LogName) -> Result<Option<LogRecord>, SealError> {
        let spot = self.sealed.get(name).and_then(|spots| spots.last());
        spot.map(|spot| self.record(spot)).transpose()
    }

    /// The last sealed log of a series.
    pub(super) fn last_of_series(&self, base: &str) -> Option<&LogName> {
        self.sealed.keys().rev().find(|name| name.series().is_some_and(|(of, _)| of == base))
    }
}

enum Failure {
    Manifest(ManifestError),
    Transfer(TransferError),
}

impl From<ManifestError> for Failure {
    fn from(error: ManifestError) -> Self {
        Self::Manifest(error)
    }
}

/// A manifest that is being read.
struct Reading<'s> {
    reader: BufReader<SourceReader<'s>>,
    path: PathBuf,
    anchors: &'s [Anchor],
    line: u64,
    offset: u64,
    head: Option<Digest>,
    id: String,
    shard: Option<Shard>,
    logs: u64,
    sealed: BTreeMap<LogName, Vec<Spot>>,
    headers: BTreeMap<Digest, LogName>,
    /// The signature, if the last line has one.
    signature: Option<Signature>,
}

impl<'s> Reading<'s> {
    fn new(source: &'s FileSource, anchors: &'s [Anchor]) -> Self {
        Self {
            reader: BufReader::with_capacity(MAX_LINE, SourceReader::new(source)),
            path: source.path().to_owned(),
            anchors,
            line: 0,
            offset: 0,
            head: None,
            id: String::new(),
            shard: None,
            logs: 0,
            sealed: BTreeMap::new(),
            headers: BTreeMap::new(),
            signature: None,
        }
    }

    fn run(mut self) -> Result<Contents, Failure> {
        while let Some(line) = self.next_line()? {
            self.add(&line)?;
        }
        let (Some(head), line) = (self.head, self.line) else {
            return Err(ManifestError::NotAManifest.into());
        };
        let signature = self.signature.ok_or(ManifestError::Unsigned { line })?;
        if let Some(anchor) = self.anchors.iter().find(|anchor| anchor.line > line) {
            return Err(anchor_missing(anchor, format!("there are {line} lines")).into());
        }
        Ok(Contents {
            id: self.id,
            shard: self.shard,
            lines: line,
            logs: self.logs,
            head,
            sealed: self.sealed,
            headers: self.headers,
            signature,
        })
    }

    fn next_line(&mut self) -> Result<Option<Line>, Failure> {
        let (number, offset) = (self.line.saturating_add(1), self.offset);
        let mut text = Vec::new();
        let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        let read = self.reader.by_ref().take(most).read_until(b'\n', &mut text);
        let read = read
            .map_err(|source| Failure::Transfer(TransferError::at(&self.path, "read")(source)))?;
        if read == 0 {
            return Ok(None);
        }
        if text.pop_if(|last| *last == b'\n').is_none() {
            return Err(if read >= MAX_LINE {
                ManifestError::TooLong { line: number, offset }.into()
            } else if number == 1 {
                ManifestError::NotAManifest.into()
            } else {
                ManifestError::Unsigned { line: number }.into()
            });
        }
        self.line = number;
        self.offset = offset.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(Some(Line { number, offset, text }))
    }

    fn add(&mut self, line: &Line) -> Result<(), Failure> {
        let (number, offset) = (line.number, line.offset);
        let record = serde_json::from_slice(&line.text).map_err(|error| match number {
            1 => ManifestError::NotAManifest,
            _ => ManifestError::Syntax { line: number, offset, reason: short(&error.to_string()) },
        })?;
        let digest = Digest::of(&line.text);
        self.signature = None;
        match record {
            Record::Manifest(beginning) if number == 1 => {
                known(number, &beginning.format)?;
                self.id = beginning.id;
                let shard = beginning.shard.as_deref().map(str::parse).transpose();
                self.shard =
                    shard.map_err(|error: ShardError| self.syntax(line, &error.to_string()))?;
            }
            Record::Log(record) if number > 1 => {
                self.follows(line, record.previous)?;
                self.add_log(line, digest, &record)?;
            }
            Record::Signature(record) if number > 1 => {
                known(number, &record.format)?;
                self.follows(line, record.previous)?;
                self.add_signature(line, record)?;
            }
            _ => {
                return Err(if number == 1 {
                    ManifestError::NotAManifest.into()
                } else {
                    self.syntax(line, "only the first line begins a manifest")
                });
            }
        }
        for anchor in self.anchors.iter().filter(|anchor| anchor.line == number) {
            if anchor.digest != digest || anchor.id != self.id {
                return Err(anchor_missing(anchor, format!("that line has {digest}")).into());
            }
        }
        self.head = Some(digest);
        Ok(())
    }

    fn syntax(&self, line: &Line, reason: &str) -> Failure {
        let (offset, line) = (line.offset, line.number);
        ManifestError::Syntax { line, offset, reason: short(reason) }.into()
    }

    fn follows(&self, line: &Line, previous: Digest) -> Result<(), Failure> {
        if self.head == Some(previous) {
            return Ok(());
        }
        Err(ManifestError::Chain { line: line.number, offset: line.offset }.into())
    }

    fn add_log(&mut self, line: &Line, digest: Digest, record: &LogRecord) -> Result<(), Failure> {
        let name = LogName::new(&record.name);
        self.logs = self.logs.saturating_add(1);
        let spots = self.sealed.entry(name.clone()).or_default();
        let contradiction = if record.number != self.logs {
            Some("its number is not the next one")
        } else if spots.iter().any(|spot| spot.is_whole) {
            Some("it was sealed before")
        } else {
            record.contradiction()
        };
        if let Some(reason) = contradiction {
            let (line, offset, name) = (line.number, line.offset, short(&record.name));
            return Err(ManifestError::Contradiction { line, offset, name, reason }.into());
        }
        spots.push(Spot {
            offset: line.offset,
            length: line.text.len(),
            digest,
            is_whole: record.up_to.is_none(),
        });
        if let Some(header) = record.header {
            self.headers.insert(header, name);
        }
        Ok(())
    }

    fn add_signature(&mut self, line: &Line, record: SignatureRecord) -> Result<(), Failure> {
        if record.logs != self.logs {
            return Err(self.syntax(line, "it counts another number of logs than there are"));
        }
        let text = std::str::from_utf8(&line.text).unwrap_or_default();
        let message = text.rsplit_once(BEFORE_SIGNATURE).filter(|(_, signature)| {
            signature.strip_suffix("\"}") == Some(record.signature.as_str())
        });
        let Some((message, _)) = message else {
            return Err(self.syntax(line, "the signature is not the last member"));
        };
        let message = message.as_bytes().to_vec();
        self.signature = Some(Signature { line: line.number, record, message });
        Ok(())
    }
}

/// What to say where the manifest does not have an anchor's line.
fn anchor_missing(anchor: &Anchor, found: String) -> ManifestError {
    ManifestError::Anchor { wanted: anchor.line, digest: anchor.digest, found }
}

fn known(line: u64, format: &str) -> Result<(), Failure> {
    if format == FORMAT {
        return Ok(());
    }
    Err(ManifestError::Version { line, found: short(format).escape_debug().to_string() }.into())
}

/// All that was read.
struct Contents {
    id: String,
    shard: Option<Shard>,
    lines: u64,
    logs: u64,
    head: Digest,
    sealed: BTreeMap<LogName, Vec<Spot>>,
    headers: BTreeMap<Digest, LogName>,
    signature: Signature,
}

impl Contents {
    fn finish(self, source: FileSource, anchors: &[Anchor]) -> Manifest {
        let Self { id, shard, lines, logs, head, sealed, headers, signature } = self;
        let anchors = anchors.to_vec();
        Manifest { source, id, shard, lines, logs, head, sealed, headers, signature, anchors }
    }
}
