//! What a scan says of keyrings: those that were given, and those that lie where logs do.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::content::Opened;
use super::facts::{FilePath, KeyringFacts};
use super::judge::{exceeds, mode_message};
use super::scan::log_rules;
use super::scan::{Local, Scan};
use super::targets::real;
use crate::finding::rules::Severity;
use crate::finding::{Finding, RuleId};
use binlogsec_core::batch::shard::Shard;
use binlogsec_core::file::location;
use binlogsec_core::keyring::store::{LeftBehind, StoreFamily, StoreTransport, Wanted};
use binlogsec_core::keyring::{AskedStore, KeyringError, KeyringFile, KeyringFormat, rotation};
use binlogsec_core::mariadb::key_file::LOG_KEY_ID;
use binlogsec_core::mysql::key_id::KeyId;
use binlogsec_core::text::path_text;

/// Which key stores a `MariaDB` server has: the one of files, or a better one.
const MARIADB_KEY_STORES: &str = "mariadb -e \"SELECT plugin_name, plugin_status FROM \
                                  information_schema.plugins WHERE plugin_type = 'ENCRYPTION'\"";

impl Scan<'_> {
    pub(super) fn keyring_in_the_tree(&self, local: &mut Local, opened: &Opened<'_>) {
        let metadata = opened.metadata();
        let is_known =
            |metadata: &Metadata| self.given_keyrings.contains(&(metadata.dev(), metadata.ino()));
        if metadata.as_ref().is_some_and(is_known) {
            return;
        }
        let path = opened.path();
        local.find(self.keyring_beside_logs(&path));
        if let Some(metadata) = &metadata {
            self.check_keyring_mode(local, &path, metadata);
        }
        local.collected.facts.keyrings.push(KeyringFacts {
            path: opened.file_path(),
            used: false,
            current: Vec::new(),
        });
    }

    fn keyring_beside_logs(&self, path: &Path) -> Finding {
        let roots = || self.roots.directories.iter().zip(&self.roots.real_directories);
        let tree = roots().find(|(_, root)| real(path).starts_with(root));
        let prefix = || {
            let bases = self.roots.prefixes.iter().map(|url| location::base(url));
            bases.into_iter().find(|base| path.starts_with(base))
        };
        let message = match tree.map(|(root, _)| root.clone()).or_else(prefix) {
            Some(root) => {
                let root = path_text::text(&root);
                format!("a keyring in the tree {}", root.trim_end_matches('/'))
            }
            None => "a keyring in the directory of logs that were checked".to_owned(),
        };
        Finding::new(RuleId::Bls011, path, message)
    }

    fn check_keyring_mode(&self, local: &mut Local, path: &Path, metadata: &Metadata) {
        let (mode, allowed) = (metadata.mode(), self.options.policy.max_keyring_mode);
        if exceeds(mode, allowed) {
            local.find(Finding::new(RuleId::Bls010, path, mode_message("keyring", mode, allowed)));
        }
    }

    /// The keyrings that were given: the same ones to every shard.
    pub(super) fn keyrings(&self) {
        if !self.options.shard.is_none_or(Shard::is_first) {
            return;
        }
        self.with_local(|local| {
            for keyring in self.keys.files() {
                self.keyring(local, keyring);
            }
            for store in self.keys.stores() {
                self.store(local, store);
            }
        });
    }

    fn keyring(&self, local: &mut Local, keyring: &KeyringFile) {
        let path = keyring.path();
        let message = format!("keys lie in this file: {}", keyring.format());
        let finding = Finding::new(RuleId::Bls013, path, message);
        local.find(match keyring.format() {
            KeyringFormat::MariaDb { .. } => finding.remedied_by(MARIADB_KEY_STORES.into()),
            // That program has no other store: who else can read it is what there is to see.
            KeyringFormat::BinlogServer => {
                finding.remedied_by(format!("ls -l {}", path_text::quoted(path)))
            }
            _ => finding,
        });
        if let Ok(metadata) = path.metadata() {
            self.check_keyring_mode(local, path, &metadata);
        }
        let real_path = real(path);
        let named = self.roots.files.iter().chain(&self.roots.indexes);
        let is_beside = |log: &PathBuf| real(log).parent() == real_path.parent();
        if self.roots.covers(&real_path) || named.into_iter().any(is_beside) {
            local.find(self.keyring_beside_logs(path));
        }
        let servers = rotation::survey(keyring.entries());
        for server in &servers {
            local.collected.findings.extend(log_rules::rotation(path, server));
        }
        // The file's last change: the key in use is at least as old.
        let has_key = !keyring.entries().is_empty();
        let changed = path.metadata().ok().and_then(|it| it.modified().ok()).filter(|_| has_key);
        let changed = changed.and_then(|time| Timestamp::try_from(time).ok());
        let message = |days| {
            format!(
                "nothing in this keyring was changed for {days} days, so the key in use is at least as old"
            )
        };
        local.collected.findings.extend(self.old_key(path, changed, message));
        let current =
            servers.into_iter().filter_map(|server| Some((server.server_uuid, server.current?)));
        local.collected.facts.keyrings.push(KeyringFacts {
            path: FilePath::of(path),
            used: true,
            current: current.collect(),
        });
    }

    /// BLS019, where the site sets a limit and the time is known.
    fn old_key(
        &self,
        path: &Path,
        since: Option<Timestamp>,
        message: impl Fn(i64) -> String,
    ) -> Option<Finding> {
        const DAY: i64 = 86_400;
        let limit = self.options.policy.max_key_age_days?;
        let seconds = Timestamp::now().as_second().saturating_sub(since?.as_second());
        let days = seconds.div_euclid(DAY);
        let is_old = days > i64::from(limit);
        let message = || format!("{}; at most {limit} are allowed", message(days));
        is_old.then(|| Finding::new(RuleId::Bls019, path, message()))
    }

    fn store(&self, local: &mut Local, store: &AskedStore) {
        let path = store.configuration();
        for file in store.secret_files() {
            let Ok(metadata) = file.path.metadata() else { continue };
            let (mode, allowed) = (metadata.mode(), self.options.policy.max_keyring_mode);
            if exceeds(mode, allowed) {
                let what = format!("key store's file, which may hold {},", file.what);
                let message = mode_message(&what, mode, allowed);
                local.find(Finding::new(RuleId::Bls010, file.path, message));
            }
        }
        local.collected.findings.extend(by_http(store));
        let mut findings = Vec::new();
        let current = self.keys_of_store(store, &mut findings).unwrap_or_else(|error| {
            // Without the store's word no verdict on it is whole.
            local.collected.failures.push(error.into());
            Vec::new()
        });
        match store.left_behind() {
            Ok(left) => findings.extend(keys_left_behind(store, left)),
            Err(error) => local.collected.failures.push(error.into()),
        }
        local.collected.findings.extend(findings);
        local.collected.facts.keyrings.push(KeyringFacts {
            path: FilePath::of(path),
            used: true,
            current,
        });
    }

    /// The generations in use, and what is found by them.
    fn keys_of_store(
        &self,
        store: &AskedStore,
        findings: &mut Vec<Finding>,
    ) -> Result<Vec<(String, u32)>, KeyringError> {
        let path = store.configuration();
        if store.family() == StoreFamily::MariaDb {
            let id = self.keys.mariadb_options().key_id.unwrap_or(LOG_KEY_ID).to_string();
            let wanted = Wanted::of_server(KeyId::new(id.as_bytes()));
            findings.extend(self.old_stored_key(store, &wanted)?);
            return Ok(Vec::new());
        }
        let entries = store.binlog_entries()?;
        let servers = rotation::survey(entries.iter().map(|entry| &**entry));
        let mut current = Vec::new();
        for server in &servers {
            findings.extend(log_rules::rotation(path, server));
            let Some(number) = server.current else { continue };
            let id = KeyId::for_server(&server.server_uuid, number);
            findings.extend(self.old_stored_key(store, &Wanted::of_server(id))?);
            current.push((server.server_uuid.clone(), number));
        }
        if servers.len() > 1 {
            let uuids: Vec<_> = servers.iter().map(|server| server.server_uuid.as_str()).collect();
            let message = format!("keys of {} servers: {}", servers.len(), uuids.join(", "));
            findings.push(Finding::new(RuleId::Bls020, path, message));
        }
        Ok(current)
    }

    fn old_stored_key(
        &self,
        store: &AskedStore,
        wanted: &Wanted,
    ) -> Result<Option<Finding>, KeyringError> {
        if self.options.policy.max_key_age_days.is_none() {
            return Ok(None);
        }
        let since = store.stored_at(wanted)?.and_then(|time| time.parse().ok());
        let message = |days| format!("key {} was stored {days} days ago", wanted.id);
        Ok(self.old_key(store.configuration(), since, message))
    }
}

/// BLS021.
fn keys_left_behind(store: &AskedStore, left: Option<Vec<LeftBehind>>) -> Option<Finding> {
    let (rule, path) = (RuleId::Bls021, store.configuration());
    let Some(left) = left else {
        let message = "whether deleted keys can be brought back is not known: the token may not read \
                       the metadata of the secrets";
        return Some(Finding::new(rule, path, message));
    };
    if left.is_empty() {
        return None;
    }
    let names = left.iter().map(|key| {
        let versions: Vec<_> = key.versions.iter().map(u32::to_string).collect();
        format!("{}, version {}", key.id, versions.join(" and "))
    });
    let message = format!("what was deleted can be had: {}", names.collect::<Vec<_>>().join("; "));
    let commands: Vec<_> = left.iter().map(|key| key.command.as_str()).collect();
    let remedy = format!(
        "# destroys keys for ever: logs under them, in backups too, can never be opened again\n{}",
        commands.join("\n")
    );
    Some(Finding::new(rule, path, message).remedied_by(remedy))
}

/// BLS018.
fn by_http(store: &AskedStore) -> Option<Finding> {
    let rule = RuleId::Bls018;
    let (severity, way) = match store.transport() {
        StoreTransport::Tls => return None,
        StoreTransport::Loopback => (Severity::Note, "within this machine"),
        StoreTransport::Clear => (rule.rule().severity, "over the network"),
    };
    let message = format!("{} is asked by http, {way}", store.name());
    Some(Finding::new(rule, store.configuration(), message).weighing(severity))
}
