//! What a scan keeps of each log: little, free of secrets, and enough to judge logs against each
//! other. It serializes, so that the facts of several scans can be judged together.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use binlogsec_core::event::FIRST_FLAGS;
use binlogsec_core::file::compressed::Compression;
use binlogsec_core::mysql::header::{self, EncryptionHeader};
use binlogsec_core::mysql::stream::CtrStream;
use binlogsec_core::text::path_text;

/// Everything that rules over more than one file need.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Facts {
    /// Every log.
    #[serde(rename = "files")]
    pub logs: Vec<LogFacts>,
    /// Every index.
    pub indexes: Vec<IndexFacts>,
    /// Whose directories these are.
    pub servers: Vec<ServerFacts>,
    /// Every keyring that was given or found.
    pub keyrings: Vec<KeyringFacts>,
}

impl Facts {
    pub(super) fn append(&mut self, mut other: Self) {
        self.logs.append(&mut other.logs);
        self.indexes.append(&mut other.indexes);
        self.servers.append(&mut other.servers);
        self.keyrings.append(&mut other.keyrings);
    }
}

/// One log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogFacts {
    /// Where it is.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub path: FilePath,
    /// See [`LogKind::name`](binlogsec_core::log::kind::LogKind::name).
    #[cfg_attr(feature = "schema", schemars(extend("enum" = binlogsec_core::log::kind::KINDS)))]
    pub kind: Cow<'static, str>,
    /// Whether what is in it is readable by everybody.
    pub status: LogStatus,
    /// Size of the file in bytes.
    pub size: u64,
    /// Its permission bits, as in `stat`.
    pub mode: u32,
    /// What it is wrapped in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub compression: Option<Compression>,
    /// What its header says, for a log that MySQL encrypted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub encryption: Option<Box<EncryptionFacts>>,
}

/// What is known of a log's protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LogStatus {
    /// Encrypted, and its beginning decrypts with its key.
    Proven,
    /// Encrypted by what its header says; no key was given, or there is no proof for its kind.
    Unproven,
    /// Its header says encrypted, and its body says otherwise.
    Refuted,
    /// Readable by everybody.
    Plain,
    /// Cannot be told.
    Undetermined,
}

impl LogStatus {
    /// Every status.
    pub const ALL: [Self; 5] =
        [Self::Proven, Self::Unproven, Self::Refuted, Self::Plain, Self::Undetermined];

    /// Its name in reports. Stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Unproven => "unproven",
            Self::Refuted => "refuted",
            Self::Plain => "plain",
            Self::Undetermined => "undetermined",
        }
    }
}

/// What identifies the keys of a log without giving them away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EncryptionFacts {
    /// The key id in the header, unprintable bytes escaped.
    pub key_id: Arc<str>,
    /// The server UUID in it.
    pub server_uuid: Option<Arc<str>>,
    /// The generation in it.
    pub key_seqno: Option<u32>,
    /// Of wrapped password and IV.
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("pattern" = "^[0-9a-f]{32}$")))]
    pub wrapping: Mark,
    /// Of file key and nonce, where a keyring gave them.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>", extend("pattern" = "^[0-9a-f]{32}$")))]
    pub file_key: Option<Mark>,
    /// Of the beginning of the ciphertext, at several lengths: tells copies of one log, the
    /// shorter ones too, from logs that share a key.
    pub body: BodyMarks,
}

/// Sixteen bytes of a hash: equal where what they stand for is equal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark([u8; 16]);

impl Mark {
    fn of(domain: &[u8], parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(domain);
        parts.iter().for_each(|part| hash.update(part));
        let mut mark = [0; 16];
        mark.iter_mut().zip(hash.finalize()).for_each(|(target, byte)| *target = byte);
        Self(mark)
    }

    /// Of the key stream where no log reaches: equal for equal key and nonce, and nothing else.
    pub(super) fn of_stream(stream: &CtrStream) -> Self {
        const FAR_AWAY: u64 = 1 << 60;
        let mut bytes = zeroize::Zeroizing::new([0; 48]);
        stream.apply(FAR_AWAY, &mut *bytes);
        Self::of(b"file key and nonce", &[&*bytes])
    }

    pub(super) fn of_wrapping(header: &EncryptionHeader) -> Self {
        // Short, so that all of it is one block of the hash.
        Self::of(b"wrap", &[&header.wrapped_password, &header.iv])
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mark({self})")
    }
}

impl Serialize for Mark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = u128::from_str_radix(&text, 16).map_err(serde::de::Error::custom)?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// Four bytes of the SHA-256 of the first 128, 256 and 512 bytes of a body, as far as it goes,
/// without the byte in which a server marks a log as closed.
///
/// No CRC-32: events end in one of their own, and under one key stream it makes the CRC-32 of
/// different logs the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BodyMarks([Option<u32>; 3]);

const BODY_LENGTHS: [usize; 3] = [128, 256, 512];
/// How many of a log's first bytes are compared with those of others.
pub(super) const COMPARED: usize = header::LENGTH + 512;

impl BodyMarks {
    pub(super) fn new(file_start: &[u8]) -> Self {
        let body = file_start.get(header::LENGTH..).unwrap_or_default();
        let mut hash = Sha256::new();
        let mut done = 0;
        Self(BODY_LENGTHS.map(|length| {
            let piece = body.get(done..length)?;
            let (before, after) = match (done, piece.split_at_checked(FIRST_FLAGS)) {
                (0, Some((before, [_, after @ ..]))) => (before, after),
                _ => (piece, &[][..]),
            };
            hash.update(before);
            hash.update(after);
            done = length;
            let digest = hash.clone().finalize();
            digest.first_chunk().copied().map(u32::from_be_bytes)
        }))
    }

    /// Whether the two bodies differ as far as both go; `None` when one is too short to tell.
    pub(super) fn differ(self, other: Self) -> Option<bool> {
        let pairs = self.0.into_iter().zip(other.0);
        let longest = pairs.rev().find_map(|(one, other)| one.zip(other));
        longest.map(|(one, other)| one != other)
    }
}

/// An index that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexFacts {
    /// Where it is.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub path: FilePath,
    /// Where its logs are: the directory of the first one it lists.
    pub directory: String,
    /// The file names it lists, sorted.
    pub logs: Vec<String>,
}

/// A directory and the server it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServerFacts {
    /// The directory of its logs.
    pub directory: String,
    /// From auto.cnf.
    pub server_uuid: String,
}

/// A keyring that was given or found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyringFacts {
    /// Where it is.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub path: FilePath,
    /// Whether its keys were used.
    pub used: bool,
    /// The generation in use, for each server UUID.
    pub current: Vec<(String, u32)>,
}

/// Directory and name of a file. Logs of one directory share its text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FilePath {
    directory: Arc<Path>,
    name: Box<OsStr>,
}

impl FilePath {
    /// A file of a directory.
    #[must_use]
    pub fn new(directory: &Arc<Path>, name: &OsStr) -> Self {
        Self { directory: Arc::clone(directory), name: name.into() }
    }

    /// Both in one.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let directory = match (path.file_name(), path.parent()) {
            (Some(_), Some(parent)) => parent,
            _ => Path::new(""),
        };
        Self { directory: Arc::from(directory), name: name.into() }
    }

    /// Where the file is; empty for the working directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it is called there.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// The whole path.
    #[must_use]
    pub fn join(&self) -> PathBuf {
        let length = |part: &OsStr| part.as_bytes().len();
        let mut path = PathBuf::with_capacity(
            length(self.directory.as_os_str()).saturating_add(length(&self.name)).saturating_add(1),
        );
        path.push(&self.directory);
        path.push(&*self.name);
        path
    }
}

impl Ord for FilePath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let directories = if Arc::ptr_eq(&self.directory, &other.directory) {
            std::cmp::Ordering::Equal
        } else {
            self.directory.as_os_str().cmp(other.directory.as_os_str())
        };
        directories.then_with(|| self.name.cmp(&other.name))
    }
}

impl PartialOrd for FilePath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.join().fmt(f)
    }
}

impl Serialize for FilePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&path_text::text(&self.join()))
    }
}

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self::of(&path_text::parse(&text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(body: &[u8]) -> Vec<u8> {
        [&vec![0; header::LENGTH], body].concat()
    }

    #[test]
    fn a_shorter_copy_and_a_closed_one_are_the_same_log() {
        let body: Vec<u8> = (0..600_u32).map(|n| (n * 7 % 251) as u8).collect();
        let whole = BodyMarks::new(&start(&body));
        assert_eq!(whole.differ(BodyMarks::new(&start(&body[..300]))), Some(false));
        assert_eq!(whole.differ(BodyMarks::new(&start(&body[..100]))), None);
        let mut closed = body.clone();
        closed[FIRST_FLAGS] ^= 1;
        assert_eq!(whole.differ(BodyMarks::new(&start(&closed))), Some(false));
        for other in [0, 20, 22, 127, 130, 511] {
            let mut changed = body.clone();
            changed[other] ^= 1;
            assert_eq!(whole.differ(BodyMarks::new(&start(&changed))), Some(true), "{other}");
        }
    }

    #[test]
    fn facts_survive_json() {
        let path = FilePath::of(Path::new("/var/lib/mysql/binlog.000001"));
        assert_eq!(path.join(), Path::new("/var/lib/mysql/binlog.000001"));
        let log = LogFacts {
            path,
            kind: "mysql-encrypted".into(),
            status: LogStatus::Proven,
            size: 700,
            mode: 0o640,
            compression: Some(Compression::Zstd),
            encryption: Some(Box::new(EncryptionFacts {
                key_id: "k".into(),
                server_uuid: None,
                key_seqno: Some(3),
                wrapping: Mark([0xAB; 16]),
                file_key: Some(Mark([0; 16])),
                body: BodyMarks([Some(1), None, None]),
            })),
        };
        let text = serde_json::to_string(&log).unwrap();
        assert_eq!(serde_json::from_str::<LogFacts>(&text).unwrap(), log);
    }
}
