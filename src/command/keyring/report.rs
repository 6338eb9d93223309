//! The report of `binlogsec keyring`.

use serde::Serialize;

use crate::log_entry::Failure;
use binlogsec_core::keyring::fingerprint::Fingerprint;
use binlogsec_core::keyring::rotation::{self, RotationState, ServerKeys};
use binlogsec_core::keyring::{Entry, KeyringFile};
use binlogsec_core::log::error::Error;
use binlogsec_core::text::path_text;

/// `binlogsec keyring --format json`. Never a key.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct KeyringReport {
    /// `binlogsec.keyring/1`.
    pub schema: &'static str,
    /// Every keyring that was read.
    pub files: Vec<KeyringEntry>,
    /// What could not be read.
    pub failures: Vec<Failure>,
}

/// One keyring file.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct KeyringEntry {
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct KeyEntry {
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ServerEntry {
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
    pub(crate) fn new(keyrings: &[KeyringFile], failures: &[Error]) -> Self {
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
            path: path_text::text(keyring.path()),
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
