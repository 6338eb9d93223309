//! What a scan says of keyrings: those that were given, and those that lie where logs do.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::content::Opened;
use super::facts::{FilePath, KeyringFacts};
use super::judge::{exceeds, mode_message};
use super::log_rules;
use super::scan::{Local, Scan};
use super::targets::real;
use crate::finding::{Finding, RuleId};
use binlogsec_core::batch::shard::Shard;
use binlogsec_core::file::location;
use binlogsec_core::keyring::{KeyringFile, KeyringFormat, rotation};
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
        let current =
            servers.into_iter().filter_map(|server| Some((server.server_uuid, server.current?)));
        local.collected.facts.keyrings.push(KeyringFacts {
            path: FilePath::of(path),
            used: true,
            current: current.collect(),
        });
    }
}
