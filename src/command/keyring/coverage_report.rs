//! The report of `binlogsec keyring coverage`.

use std::collections::{BTreeMap, BTreeSet};

use binlogsec_core::keyring::rotation::{self, ServerKeys};
use binlogsec_core::keyring::store::{StoreFamily, Wanted};
use binlogsec_core::keyring::{AskedStore, Entry, Keyring, KeyringFile};
use binlogsec_core::log::error::{Error, describe};
use binlogsec_core::log::kind::LogKind;
use binlogsec_core::log::probe::KeyStatus;
use binlogsec_core::mysql::key_id::KeyId;
use binlogsec_core::read::inspect::{InspectOutcome, Inspected};
use binlogsec_core::text::path_text;
use serde::Serialize;

use crate::log_entry::Failure;

/// The version of every key in a key file of MariaDB.
const FILE_KEY_VERSION: u32 = 1;
/// The key by which MariaDB's servers encrypt logs.
const MARIADB_LOG_KEY: u32 = 1;

/// `binlogsec keyring coverage --format json`. Never a key.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CoverageReport {
    /// `binlogsec.keyring-coverage/1`.
    pub schema: &'static str,
    /// Figures of all.
    pub summary: CoverageSummary,
    /// Every key that a log needs, the oldest generation first.
    pub keys: Vec<NeededKey>,
    /// Keys of the sources that no log of these needs.
    pub unused_keys: Vec<UnusedKey>,
    /// What could not be read or asked.
    pub failures: Vec<Failure>,
}

/// Figures of all logs.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CoverageSummary {
    /// Logs that were looked at.
    pub logs: usize,
    /// Those that need no key.
    pub plaintext: usize,
    /// Encrypted ones whose beginning decrypts with a key at hand.
    pub readable: usize,
    /// Encrypted ones whose key is missing or does not fit.
    pub unreadable: usize,
    /// Encrypted ones of which it could not be told: damaged, too short, or their key's store failed.
    pub undecided: usize,
    /// Size of the unreadable ones in bytes.
    pub unreadable_bytes: u64,
}

/// A key that logs need.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct NeededKey {
    /// As the logs name it; of MariaDB's keys the number.
    pub key_id: String,
    /// The key's version, which MariaDB's logs name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The server whose key it is, where the id says.
    pub server_uuid: Option<String>,
    /// Its generation, where the id says.
    pub key_seqno: Option<u32>,
    /// `present`, `missing`, `wrong` or `unchecked`; the worst of its logs.
    pub status: NeededStatus,
    /// The keyrings and stores that have a key of this name.
    pub held_in: Vec<String>,
    /// Whether the server encrypts new logs under it, as far as the sources say.
    pub current: bool,
    /// How many logs need it.
    pub logs: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// How many of them cannot be opened now.
    pub unreadable: usize,
    /// How many can be opened now, and could not be without it: what is lost with the key.
    pub lost_without_it: usize,
    /// The logs.
    pub files: Vec<String>,
}

/// Whether a key is there, by what its logs say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NeededStatus {
    /// Every log's beginning decrypts with it.
    Present,
    /// No source has it.
    Missing,
    /// A source has a key of this id, and it does not fit.
    Wrong,
    /// It could not be told of all logs.
    Unchecked,
}

/// A key that no log needs.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct UnusedKey {
    /// As the source names it.
    pub key_id: String,
    /// The key's version, in stores of MariaDB's keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The keyrings and stores that have it.
    pub held_in: Vec<String>,
    /// Whether the server encrypts new logs under it: it must stay.
    pub current: bool,
}

/// A key's name: generations in the order of their numbers.
type Name = (String, u32, Option<u32>);

#[derive(Default)]
struct Group {
    logs: usize,
    bytes: u64,
    readable: usize,
    missing: usize,
    wrong: usize,
    files: Vec<String>,
}

#[derive(Default)]
struct Holding {
    held_in: Vec<String>,
    current: bool,
}

impl CoverageReport {
    /// From what was found of the logs, and the sources of keys.
    pub(crate) fn new(outcome: &InspectOutcome, keyring: &Keyring) -> Self {
        let mut failures: Vec<Failure> = outcome.failures.iter().map(Failure::new).collect();
        let mut summary = CoverageSummary::default();
        let mut groups: BTreeMap<Name, Group> = BTreeMap::new();
        let mut told = BTreeSet::new();
        for file in outcome.files.iter().filter(|file| file.kind.is_log()) {
            summary.add(file);
            if let Some(name) = needed(file, keyring) {
                groups.entry(name).or_default().add(file);
            }
            // A store that fails for many logs fails once.
            if let Some(message) = failure_of(file).filter(|it| told.insert(it.message.clone())) {
                failures.push(message);
            }
        }
        let held = held(keyring, &mut failures);
        let keys = groups.iter().map(|(name, group)| NeededKey::new(name, group, held.get(name)));
        let unused = held.iter().filter(|(name, _)| !groups.contains_key(*name));
        Self {
            schema: "binlogsec.keyring-coverage/1",
            summary,
            keys: keys.collect(),
            unused_keys: unused.map(|(name, holding)| UnusedKey::new(name, holding)).collect(),
            failures,
        }
    }
}

fn failure_of(file: &Inspected) -> Option<Failure> {
    if let Some(failure) = &file.key_failure {
        return Some(Failure { message: describe(failure), class: failure.class() });
    }
    // Keys that are missing or wrong are what the report is about.
    let is_about_keys = matches!(file.key_status, KeyStatus::Missing | KeyStatus::Wrong);
    let (class, obstacle) = (file.problem()?, file.obstacle.as_ref()?);
    let message = || format!("{}: {}", path_text::text(&file.path), describe(obstacle));
    (!is_about_keys).then(|| Failure { message: message(), class })
}

impl CoverageSummary {
    fn add(&mut self, file: &Inspected) {
        self.logs = self.logs.saturating_add(1);
        let count = match (file.key_status, &file.key_failure) {
            (KeyStatus::NotApplicable, _) => &mut self.plaintext,
            (KeyStatus::Present, _) => &mut self.readable,
            (KeyStatus::Missing | KeyStatus::Wrong, None) => {
                self.unreadable_bytes = self.unreadable_bytes.saturating_add(file.size);
                &mut self.unreadable
            }
            _ => &mut self.undecided,
        };
        *count = count.saturating_add(1);
    }
}

/// The key that a log needs.
fn needed(file: &Inspected, keyring: &Keyring) -> Option<Name> {
    match &file.kind {
        LogKind::MysqlEncrypted(header) => Some(name_of(&header.key_id, None)),
        LogKind::MariadbEncrypted(_, start) => {
            let proven = file.mariadb_key.as_ref().and_then(|(_, id)| *id);
            let id = proven.or(keyring.mariadb_options().key_id).unwrap_or(MARIADB_LOG_KEY);
            Some((id.to_string(), 0, Some(start.key_version)))
        }
        LogKind::BinlogServerEncrypted(sidecar) => Some((sidecar.kek_id.clone(), 0, None)),
        _ => None,
    }
}

fn name_of(id: &KeyId, version: Option<u32>) -> Name {
    match id.parts() {
        Some(parts) => (parts.server_uuid.to_owned(), parts.sequence_number, version),
        None => (id.to_string(), 0, version),
    }
}

/// As the servers name it.
fn key_id((text, number, _): &Name) -> String {
    if *number == 0 { text.clone() } else { KeyId::for_server(text, *number).to_string() }
}

impl Group {
    fn add(&mut self, file: &Inspected) {
        self.logs = self.logs.saturating_add(1);
        self.bytes = self.bytes.saturating_add(file.size);
        let count = match file.key_status {
            KeyStatus::Present => Some(&mut self.readable),
            KeyStatus::Missing if file.key_failure.is_none() => Some(&mut self.missing),
            KeyStatus::Wrong => Some(&mut self.wrong),
            _ => None,
        };
        if let Some(count) = count {
            *count = count.saturating_add(1);
        }
        self.files.push(path_text::text(&file.path));
    }

    const fn status(&self) -> NeededStatus {
        if self.wrong > 0 {
            NeededStatus::Wrong
        } else if self.missing > 0 {
            NeededStatus::Missing
        } else if self.readable == self.logs {
            NeededStatus::Present
        } else {
            NeededStatus::Unchecked
        }
    }
}

impl NeededKey {
    fn new(name: &Name, group: &Group, holding: Option<&Holding>) -> Self {
        let (text, number, version) = name;
        let is_of_server = *number > 0;
        Self {
            key_id: key_id(name),
            version: *version,
            server_uuid: is_of_server.then(|| text.clone()),
            key_seqno: is_of_server.then_some(*number),
            status: group.status(),
            held_in: holding.map(|it| it.held_in.clone()).unwrap_or_default(),
            current: holding.is_some_and(|it| it.current),
            logs: group.logs,
            bytes: group.bytes,
            unreadable: group.missing.saturating_add(group.wrong),
            lost_without_it: group.readable,
            files: group.files.clone(),
        }
    }
}

impl UnusedKey {
    fn new(name: &Name, holding: &Holding) -> Self {
        Self {
            key_id: key_id(name),
            version: name.2,
            held_in: holding.held_in.clone(),
            current: holding.current,
        }
    }
}

/// Every key of logs that the sources have.
fn held(keyring: &Keyring, failures: &mut Vec<Failure>) -> BTreeMap<Name, Holding> {
    let mut held: BTreeMap<Name, Holding> = BTreeMap::new();
    for file in keyring.files() {
        let servers = rotation::survey(file.entries());
        for name in file.entries().iter().filter_map(|entry| name_in_file(file, entry)) {
            add(&mut held, name, path_text::text(file.path()), &servers);
        }
    }
    for store in keyring.stores() {
        match names_in_store(store) {
            Ok((names, servers)) => {
                names.into_iter().for_each(|name| add(&mut held, name, store.name(), &servers));
            }
            Err(error) => failures.push(Failure::new(&error)),
        }
    }
    held
}

fn add(held: &mut BTreeMap<Name, Holding>, name: Name, source: String, servers: &[ServerKeys]) {
    let current = servers.iter().any(|it| it.server_uuid == name.0 && it.current == Some(name.1));
    let holding = held.entry(name).or_default();
    holding.current |= current;
    holding.held_in.push(source);
}

fn name_in_file(file: &KeyringFile, entry: &Entry) -> Option<Name> {
    let is_key = entry.is_of_the_server() && entry.id.parts().is_some();
    if file.is_mariadb() {
        Some((entry.id.to_string(), 0, Some(FILE_KEY_VERSION)))
    } else if file.is_binlog_server() {
        Some((entry.id.to_string(), 0, None))
    } else {
        is_key.then(|| name_of(&entry.id, None))
    }
}

/// The names of a store's keys that can be had.
fn names_in_store(store: &AskedStore) -> Result<(Vec<Name>, Vec<ServerKeys>), Error> {
    let stored = store.list()?;
    if store.family() == StoreFamily::MariaDb {
        let names = stored.iter().flat_map(|key| {
            let versions = key.versions.iter();
            versions.map(|version| (key.id.to_string(), 0, Some(*version)))
        });
        return Ok((names.collect(), Vec::new()));
    }
    let is_key = |id: &KeyId| id.parts().is_some();
    let mut names = Vec::new();
    for key in stored.iter().filter(|key| key.user.is_empty() && is_key(&key.id)) {
        // What was deleted is listed until it is destroyed, and not given.
        if store.key(&Wanted::of_server(key.id.clone()))?.is_some() {
            names.push(name_of(&key.id, None));
        }
    }
    let numbers = store
        .entries(|key| key.user.is_empty() && rotation::is_of_logs(&key.id) && !is_key(&key.id))?;
    let servers = rotation::survey(numbers.iter().map(|(_, entry)| &**entry));
    Ok((names, servers))
}
