//! What reports say, as data. Its JSON is a contract: docs/json.md.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::error::Error;
use crate::event::format_description::FormatDescription;
use crate::keyring::fingerprint::Fingerprint;
use crate::keyring::rotation::{self, RotationState, ServerKeys};
use crate::keyring::{Entry, KeyringFile};
use crate::log::LogKind;
use crate::log::key_id::KeyId;
use crate::open::KeyStatus;
use crate::ops::decrypt::{Decrypted, FileOutcome, FileResult};
use crate::ops::inspect::{InspectOutcome, Inspected};

/// `binlogsec inspect --format json`.
#[derive(Debug, Serialize)]
pub struct InspectReport {
    /// `binlogsec.inspect/1`.
    pub schema: &'static str,
    /// Every file that was looked at.
    pub files: Vec<LogEntry>,
    /// What could not be read.
    pub failures: Vec<Failure>,
    /// Counts.
    pub summary: InspectSummary,
}

/// One file and what it says of itself.
#[derive(Debug, Serialize)]
pub struct LogEntry {
    /// As given, or as found; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// See [`LogKind::name`].
    pub kind: &'static str,
    /// `binlog` or `relaylog`, where the log says.
    pub role: Option<&'static str>,
    /// Key id in the header, unprintable bytes escaped.
    pub key_id: Option<String>,
    /// Server UUID in the key id.
    pub server_uuid: Option<String>,
    /// Sequence number in the key id: the generation of the key.
    pub key_seqno: Option<u32>,
    /// See [`KeyStatus::name`].
    pub key_status: Option<&'static str>,
    /// Version of the server that wrote the log.
    pub server_version: Option<String>,
    /// Its server id.
    pub server_id: Option<u32>,
    /// When the log was begun (RFC 3339, UTC).
    pub created: Option<String>,
    /// `CRC32`, `NONE` …
    pub checksum: Option<String>,
    /// Whether the server has not closed the log, or crashed before it could.
    pub in_use: Option<bool>,
    /// What is wrong with it, or why it cannot be read.
    pub error: Option<String>,
}

/// Something that could not be read at all.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// Which, why, and what to do.
    pub message: String,
}

/// Counts over all files.
#[derive(Debug, Default, Serialize)]
pub struct InspectSummary {
    /// Files in the report.
    pub files: usize,
    /// Encrypted logs of every dialect, whole or damaged.
    pub encrypted: usize,
    /// Plaintext logs of every dialect, whole or damaged.
    pub plain: usize,
    /// Files of each kind.
    pub by_kind: BTreeMap<&'static str, usize>,
    /// Encrypted logs by the status of their key.
    pub by_key_status: BTreeMap<&'static str, usize>,
    /// Files in directories that are no logs and are not in the report.
    pub other_files: usize,
    /// Failures.
    pub failures: usize,
}

impl InspectReport {
    /// From what was found.
    #[must_use]
    pub fn new(outcome: &InspectOutcome) -> Self {
        let files: Vec<_> = outcome.files.iter().map(LogEntry::new).collect();
        let failures: Vec<_> = outcome.failures.iter().map(Failure::new).collect();
        let mut summary = InspectSummary {
            files: files.len(),
            other_files: outcome.other_files,
            failures: failures.len(),
            ..InspectSummary::default()
        };
        for file in &files {
            count(&mut summary.by_kind, file.kind);
            if let Some(status) = file.key_status {
                count(&mut summary.by_key_status, status);
            }
            let of = |part| usize::from(file.kind.contains(part));
            summary.encrypted = summary.encrypted.saturating_add(of("encrypted"));
            summary.plain = summary.plain.saturating_add(of("plain"));
        }
        Self {
            schema: "binlogsec.inspect/1",
            files,
            failures,
            summary,
        }
    }
}

fn count(counts: &mut BTreeMap<&'static str, usize>, name: &'static str) {
    let count = counts.entry(name).or_default();
    *count = count.saturating_add(1);
}

impl LogEntry {
    fn new(file: &Inspected) -> Self {
        let mut entry = Self::of_log(&file.path, &file.kind, file.description.as_ref());
        entry.size = file.size;
        entry.key_status = file.key_status.name();
        entry.error = file.obstacle.as_ref().map(ToString::to_string);
        entry
    }

    fn of_log(path: &Path, kind: &LogKind, description: Option<&FormatDescription>) -> Self {
        let key_id = match kind {
            LogKind::MysqlEncrypted(header) => Some(&header.key_id),
            _ => None,
        };
        let parts = key_id.and_then(KeyId::parts);
        let role = |description: &FormatDescription| {
            if description.is_relay_log() {
                "relaylog"
            } else {
                "binlog"
            }
        };
        Self {
            path: path.to_string_lossy().into_owned(),
            size: 0,
            kind: kind.name(),
            role: description.map(role),
            key_id: key_id.map(ToString::to_string),
            server_uuid: parts.map(|parts| parts.server_uuid.to_owned()),
            key_seqno: parts.map(|parts| parts.sequence_number),
            key_status: None,
            server_version: description.map(|description| description.server_version.clone()),
            server_id: description.map(|description| description.header.server_id),
            created: description.map(|description| rfc3339(description.header.timestamp)),
            checksum: description.map(|description| description.checksum.to_string()),
            in_use: description.map(FormatDescription::in_use),
            error: None,
        }
    }
}

impl Failure {
    /// From an error.
    #[must_use]
    pub fn new(error: &Error) -> Self {
        Self {
            message: error.to_string(),
        }
    }
}

/// `binlogsec decrypt --format json`.
#[derive(Debug, Serialize)]
pub struct DecryptReport {
    /// `binlogsec.decrypt/1`.
    pub schema: &'static str,
    /// Every input.
    pub files: Vec<DecryptEntry>,
    /// What could not be read at all.
    pub failures: Vec<Failure>,
}

/// One input and what came of it.
#[derive(Debug, Serialize)]
pub struct DecryptEntry {
    /// `decrypted`, `left-out` or `failed`.
    pub status: &'static str,
    /// Where the plaintext is; `-` for standard output.
    pub output: Option<String>,
    /// Length of the plaintext in bytes.
    pub plain_size: Option<u64>,
    /// The log, as `inspect` shows it.
    #[serde(flatten)]
    pub log: Option<LogEntry>,
    /// Which input, when there is nothing more to say of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Why it failed or was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl DecryptReport {
    /// From the results of one run.
    #[must_use]
    pub fn new(results: &[FileResult], failures: &[Error]) -> Self {
        let files = results.iter().map(DecryptEntry::new).collect();
        let failures = failures.iter().map(Failure::new).collect();
        Self {
            schema: "binlogsec.decrypt/1",
            files,
            failures,
        }
    }
}

impl DecryptEntry {
    fn new(file: &FileResult) -> Self {
        let path = &file.input;
        match &file.result {
            Ok(FileOutcome::Decrypted(output, decrypted)) => {
                Self::decrypted(path, &output.to_string_lossy(), decrypted)
            }
            Ok(FileOutcome::LeftOut(reason)) => Self::not("left-out", path, reason.to_string()),
            Err(error) => Self::not("failed", path, error.to_string()),
        }
    }

    fn decrypted(path: &Path, output: &str, decrypted: &Decrypted) -> Self {
        let mut log = LogEntry::of_log(path, &decrypted.kind, decrypted.description.as_ref());
        let header = crate::log::header::BODY_OFFSET;
        log.size = decrypted.plain_length.saturating_add(header);
        log.key_status = KeyStatus::Present.name();
        Self {
            status: "decrypted",
            output: Some(output.to_owned()),
            plain_size: Some(decrypted.plain_length),
            log: Some(log),
            path: None,
            reason: None,
        }
    }

    fn not(status: &'static str, path: &Path, reason: String) -> Self {
        Self {
            status,
            output: None,
            plain_size: None,
            log: None,
            path: Some(path.to_string_lossy().into_owned()),
            reason: Some(reason),
        }
    }
}

/// Seconds since 1970 as a date and time that every reader agrees on.
fn rfc3339(seconds: u32) -> String {
    jiff::Timestamp::from_second(i64::from(seconds))
        .unwrap_or_default()
        .to_string()
}

/// `binlogsec keyring --format json`. Never a key.
#[derive(Debug, Serialize)]
pub struct KeyringReport {
    /// `binlogsec.keyring/1`.
    pub schema: &'static str,
    /// Every keyring that was read.
    pub files: Vec<KeyringEntry>,
    /// What could not be read.
    pub failures: Vec<Failure>,
}

/// One keyring file.
#[derive(Debug, Serialize)]
pub struct KeyringEntry {
    /// As given; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// What it is, in words.
    pub format: String,
    /// What it holds, in file order.
    pub keys: Vec<KeyEntry>,
    /// What it says of the binary log keys of each server.
    pub servers: Vec<ServerEntry>,
    /// What its user should know.
    pub notes: Vec<String>,
}

/// One entry of a keyring.
#[derive(Debug, Serialize)]
pub struct KeyEntry {
    /// Unprintable bytes escaped.
    pub key_id: String,
    /// The entry's user; empty for keys of the server itself.
    pub owner: String,
    /// `AES` …
    #[serde(rename = "type")]
    pub key_type: String,
    /// In bytes.
    pub length: usize,
    /// The number, where the entry is one of those that the server keeps beside its keys.
    pub sequence_number: Option<u32>,
    /// HKDF-SHA-256 fingerprint; `null` for such a number, which it would not hide.
    pub fingerprint: Option<String>,
    /// Whether new logs of its server are encrypted under this key.
    pub current: bool,
}

/// One server's binary log keys.
#[derive(Debug, Serialize)]
pub struct ServerEntry {
    /// Which server.
    pub server_uuid: String,
    /// Sequence numbers of the keys that are there.
    pub generations: Vec<u32>,
    /// The one in use.
    pub current: Option<u32>,
    /// The newest one that was removed.
    pub last_purged: Option<u32>,
    /// Left over from a rotation: where it came from.
    pub old: Option<u32>,
    /// Left over from a rotation: where it goes to.
    pub new: Option<u32>,
    /// Whether this is as a finished rotation leaves it.
    pub clean: bool,
    /// What it is, in words.
    pub state: String,
}

impl KeyringReport {
    /// From keyrings and failures.
    #[must_use]
    pub fn new(keyrings: &[KeyringFile], failures: &[Error]) -> Self {
        Self {
            schema: "binlogsec.keyring/1",
            files: keyrings.iter().map(KeyringEntry::new).collect(),
            failures: failures.iter().map(Failure::new).collect(),
        }
    }
}

impl KeyringEntry {
    fn new(keyring: &KeyringFile) -> Self {
        let servers = rotation::survey(keyring.entries());
        let is_current = |entry: &Entry| {
            let Some(parts) = entry.id.parts() else {
                return false;
            };
            let of = |server: &&ServerKeys| server.server_uuid == parts.server_uuid;
            entry.is_of_the_server()
                && servers.iter().find(of).and_then(|server| server.current)
                    == Some(parts.sequence_number)
        };
        let key = |entry: &Entry| KeyEntry::new(entry, is_current(entry));
        Self {
            path: keyring.path().to_string_lossy().into_owned(),
            format: keyring.format().to_string(),
            keys: keyring.entries().iter().map(key).collect(),
            notes: keyring.notes().iter().map(ToString::to_string).collect(),
            servers: servers.iter().map(ServerEntry::new).collect(),
        }
    }
}

impl KeyEntry {
    fn new(entry: &Entry, current: bool) -> Self {
        let sequence_number = rotation::sequence_number(entry);
        let fingerprint = || Fingerprint::of(entry.data.expose()).to_string();
        Self {
            key_id: entry.id.to_string(),
            owner: entry.user.escape_ascii().to_string(),
            key_type: entry.key_type.to_string(),
            length: entry.data.len(),
            sequence_number,
            fingerprint: sequence_number.is_none().then(fingerprint),
            current,
        }
    }
}

impl ServerEntry {
    fn new(server: &ServerKeys) -> Self {
        Self {
            server_uuid: server.server_uuid.clone(),
            generations: server.generations.clone(),
            current: server.current,
            last_purged: server.last_purged,
            old: server.old,
            new: server.new,
            clean: server.state == RotationState::Clean,
            state: server.state.to_string(),
        }
    }
}
