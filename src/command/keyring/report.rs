//! The report of `binlogsec keyring`.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::log_entry::Failure;
use binlogsec_core::keyring::fingerprint::Fingerprint;
use binlogsec_core::keyring::rotation::{self, ServerKeys};
use binlogsec_core::keyring::store::Wanted;
use binlogsec_core::keyring::{AskedStore, Entry, KeyringFile};
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

/// One keyring file, or one store that was asked.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct KeyringEntry {
    /// The file, or the configuration that names the store; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// What it is, in words.
    pub format: String,
    /// What it holds, in file order.
    pub keys: Vec<KeyEntry>,
    /// What it says of the binary log keys of each server.
    pub servers: Vec<ServerKeys>,
    /// What its user should know.
    pub notes: Vec<String>,
}

/// One entry of a keyring.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct KeyEntry {
    /// Unprintable bytes escaped.
    pub key_id: String,
    /// The key's version, in stores of MariaDB's keys, which have several of one id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
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

impl KeyringReport {
    /// From keyrings and failures.
    #[must_use]
    pub(crate) fn new(keyrings: &[Listed<'_>], failures: &[Failure]) -> Self {
        Self {
            schema: "binlogsec.keyring/1",
            files: keyrings.iter().map(KeyringEntry::new).collect(),
            failures: failures.to_vec(),
        }
    }
}

/// A keyring file or a store, with all that is in it.
pub(crate) struct Listed<'a> {
    path: &'a Path,
    format: String,
    entries: Vec<(Option<u32>, &'a Entry)>,
    notes: Vec<String>,
}

impl<'a> Listed<'a> {
    pub(crate) fn of_file(file: &'a KeyringFile) -> Self {
        Self {
            path: file.path(),
            format: file.format().to_string(),
            entries: file.entries().iter().map(|entry| (None, entry)).collect(),
            notes: file.notes().iter().map(ToString::to_string).collect(),
        }
    }

    pub(crate) fn of_store(store: &'a AskedStore, entries: &'a [(Wanted, Arc<Entry>)]) -> Self {
        let entries = entries.iter().map(|(wanted, entry)| (wanted.version, &**entry));
        Self {
            path: store.configuration(),
            format: store.name(),
            entries: entries.collect(),
            notes: Vec::new(),
        }
    }
}

impl KeyringEntry {
    fn new(keyring: &Listed<'_>) -> Self {
        let servers = rotation::survey(keyring.entries.iter().map(|(_, entry)| *entry));
        let is_current = |entry: &Entry| {
            let Some(parts) = entry.id.parts() else {
                return false;
            };
            let of = |server: &&ServerKeys| server.server_uuid == parts.server_uuid;
            entry.is_of_the_server()
                && servers.iter().find(of).and_then(|server| server.current)
                    == Some(parts.sequence_number)
        };
        let key = |(version, entry): &(Option<u32>, &Entry)| {
            KeyEntry::new(entry, *version, is_current(entry))
        };
        Self {
            path: path_text::text(keyring.path),
            format: keyring.format.clone(),
            keys: keyring.entries.iter().map(key).collect(),
            notes: keyring.notes.clone(),
            servers,
        }
    }
}

impl KeyEntry {
    fn new(entry: &Entry, version: Option<u32>, current: bool) -> Self {
        let sequence_number = rotation::sequence_number(entry);
        let fingerprint = || Fingerprint::of(entry.data.expose()).to_string();
        Self {
            key_id: entry.id.to_string(),
            version,
            owner: entry.user.escape_ascii().to_string(),
            key_type: entry.key_type.to_string(),
            length: entry.data.len(),
            sequence_number,
            fingerprint: sequence_number.is_none().then(fingerprint),
            current,
        }
    }
}
