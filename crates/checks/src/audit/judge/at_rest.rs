//! What the files of a data directory show: keyrings and what opens them, passwords, keys of
//! authorities.

use super::options::encrypts_logs;
use super::server::sql_remedy;
use super::{Found, Judgement, channel};
use crate::audit::facts::data_directory::{DataDirectoryFacts, KeyringFile};
use crate::audit::facts::replica_files::ReplicaFileFacts;
use crate::audit::facts::settings::Settings;
use crate::finding::rules::Language;
use crate::finding::{Policy, Remedy, RuleId, Severity, Subject};
use binlogsec_core::text::path_text;

/// What servers give master.info.
const REPLICA_FILE_MODE: u32 = 0o660;
/// Its owner alone.
const SECRET_MODE: u32 = 0o600;

/// Judges a data directory; `settings` are those of its server.
pub(in crate::audit) fn judge(
    facts: &DataDirectoryFacts,
    settings: Option<&Settings>,
    policy: &Policy,
    judgement: &mut Judgement,
) {
    if let Some(settings) = settings {
        keyring_there(facts, settings, judgement);
    }
    for configuration in &facts.component_configurations {
        if configuration.has_password {
            secret_mode(&configuration.path, configuration.mode, judgement);
        }
    }
    for keyring in &facts.keyrings {
        keyring_file(facts, keyring, policy, judgement);
    }
    for key in &facts.authority_keys {
        judgement.report_unless(RuleId::Blr040, false, || {
            let message = "the private key of an authority whose certificate lies beside it";
            Found::about(Subject::file(key), message)
        });
    }
    for file in &facts.replica_files {
        replica_file(file, settings, judgement);
    }
}

/// BLR003.
fn keyring_there(facts: &DataDirectoryFacts, settings: &Settings, judgement: &mut Judgement) {
    if encrypts_logs(settings).is_none() {
        return;
    }
    let in_options = if settings.is_mariadb() {
        ["plugin_load", "plugin_load_add"].iter().any(|name| {
            settings.given(name).is_some_and(|plugins| plugins.contains("key_management"))
        }) || settings.given("file_key_management_filename").is_some()
    } else {
        ["early_plugin_load", "plugin_load", "plugin_load_add"]
            .iter()
            .any(|name| settings.given(name).is_some_and(|plugins| plugins.contains("keyring")))
            // Otherwise the options say what is wrong with it.
            && !settings.is_live()
    };
    let in_manifest =
        facts.components.iter().flatten().any(|component| component.contains("keyring"));
    // Alone in the data directory, without the component's configuration, it is of no use there.
    let is_alone = facts.local_manifest_counts.is_none()
        && facts.component_configurations.is_empty()
        && facts.manifests.first().is_some_and(|it| it.is_file());
    if in_manifest && is_alone && !in_options {
        judgement.report_unless(RuleId::Blr003, false, || {
            let message = "a manifest without component_keyring_file.cnf: it counts only where the \
                           mysqld.my beside mysqld says read_local_manifest";
            Found::about(Subject::file(&facts.path.join("mysqld.my")), message)
                .remedied(component_files(facts, settings))
        });
        return;
    }
    judgement.report_unless(RuleId::Blr003, in_options || in_manifest, || {
        let places: Vec<_> = facts.manifests.iter().map(|it| path_text::text(it)).collect();
        let places = places.join(", ");
        let message = match facts.local_manifest_counts {
            Some(false) if facts.manifests.first().is_some_and(|it| it.is_file()) => format!(
                "the manifest in the data directory does not count: the mysqld.my beside mysqld \
                 does not say read_local_manifest ({places})"
            ),
            _ => format!("no option loads a keyring, and neither does {places}"),
        };
        let variable = super::options::encryption_variable(settings);
        let found = Found::about(Subject::file(&facts.path.join("mysqld.my")), message);
        let found = found.seen(settings.evidence(variable));
        if settings.is_mariadb() {
            found.remedied(crate::audit::facts::settings::option_lines(&[
                "plugin_load_add = file_key_management",
                "file_key_management_filename = /etc/mysql/keys/keyfile.enc",
                "file_key_management_filekey = FILE:/etc/mysql/keys/password",
                "file_key_management_encryption_algorithm = AES_CTR",
            ]))
        } else {
            found.remedied(component_files(facts, settings))
        }
    });
}

/// All the files that a keyring component takes.
fn component_files(facts: &DataDirectoryFacts, settings: &Settings) -> Remedy {
    const NAME: &str = "component_keyring_file";
    let local = facts.manifests.first().map(|it| path_text::quoted(it)).unwrap_or_default();
    // A copy of a server's directory: what stands beside its program is not here.
    if facts.local_manifest_counts.is_none() && !facts.component_configurations.is_empty() {
        let text = format!(
            "# counts where the mysqld.my beside mysqld says {{\"read_local_manifest\": true}}\n\
             echo '{{\"components\": \"file://{NAME}\"}}' > {local}"
        );
        return Remedy { language: Language::Shell, text };
    }
    let text = super::options::keyring_component(NAME, settings.given("plugin_dir"));
    Remedy { language: Language::Shell, text }
}

/// BLR007.
fn secret_mode(path: &std::path::Path, mode: u32, judgement: &mut Judgement) {
    let mode = mode & 0o777;
    judgement.report_unless(RuleId::Blr007, mode & !SECRET_MODE & 0o077 == 0, || {
        let message = format!("mode {mode:04o}; at most {SECRET_MODE:04o} is allowed");
        Found::about(Subject::file(path), message)
    });
}

/// BLS010, BLS011, BLS013 of keyrings that a configuration names. `check` tells of those that it
/// was given or found.
fn keyring_file(
    facts: &DataDirectoryFacts,
    keyring: &KeyringFile,
    policy: &Policy,
    judgement: &mut Judgement,
) {
    let real = |path: &std::path::Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let place = real(&keyring.path);
    let known = facts.logs.keyrings.iter().find(|known| real(&known.path.join()) == place);
    let subject = || Subject::file(&keyring.path);
    if keyring.clear && !known.is_some_and(|known| known.used) {
        judgement.report_unless(RuleId::Bls013, false, || {
            let message = format!("keys lie in this file, by {}", keyring.named_by);
            Found::about(subject(), message)
        });
    }
    if known.is_some() {
        return;
    }
    if let Some(mode) = keyring.mode.map(|mode| mode & 0o777) {
        let allowed = policy.max_keyring_mode;
        judgement.report_unless(RuleId::Bls010, mode & !allowed & 0o077 == 0, || {
            let message = format!("a keyring of mode {mode:04o}; at most {allowed:04o} is allowed");
            Found::about(subject(), message)
        });
    }
    judgement.report_unless(RuleId::Bls011, !place.starts_with(real(&facts.path)), || {
        let message = format!("a keyring in the tree {}", path_text::text(&facts.path));
        Found::about(subject(), message)
    });
}

/// BLR011, BLR012, and the rules over channels.
fn replica_file(file: &ReplicaFileFacts, settings: Option<&Settings>, judgement: &mut Judgement) {
    let subject = || Subject::file(&file.path);
    // From 8.4 on MySQL reads its tables alone: what is there was left behind by an upgrade.
    let is_stale = settings.is_some_and(|it| {
        it.product.is_some_and(|product| !product.is_mariadb() && product.version >= (8, 4, 0))
    });
    if let Some(settings) = settings.filter(|_| !is_stale) {
        channel::judge_file(file, settings, judgement);
    }
    let is_mariadb = settings.is_some_and(Settings::is_mariadb);
    judgement.report_unless(RuleId::Blr011, !file.has_password, || {
        let (user, host) = (&file.channel.source_user, &file.channel.source_host);
        let found = Found::about(subject(), format!("holds the password of {user} at {host}"));
        let has_repository = settings.is_none_or(|it| !it.since((8, 4, 0)));
        match (is_mariadb, has_repository) {
            // Its replicas know no other place.
            (true, _) => found.weighing(Severity::Note).remedied(sql_remedy(format!(
                "-- at {host}\nALTER USER IF EXISTS {} REQUIRE X509;",
                crate::audit::sql::account(user, "%")
            ))),
            (false, true) => found.remedied(sql_remedy(
                "STOP SLAVE;\nSET GLOBAL master_info_repository = 'TABLE';\nSTART SLAVE;"
                    .to_owned(),
            )),
            // What an upgrade left behind: the server reads its tables alone.
            (false, false) => found.remedied(Remedy {
                language: Language::Shell,
                text: format!("shred -u {}", path_text::quoted(&file.path)),
            }),
        }
    });
    if file.has_password {
        let mode = file.mode & 0o777;
        judgement.report_unless(RuleId::Blr012, mode & !REPLICA_FILE_MODE & 0o077 == 0, || {
            let message = format!("a password in a file of mode {mode:04o}");
            Found::about(subject(), message)
        });
    }
}

/// BLR012 of option files, and BLR007 of the file that opens MariaDB's keys.
pub(in crate::audit) fn judge_secret_file(
    rule: RuleId,
    path: &std::path::Path,
    line: Option<usize>,
    mode: u32,
    judgement: &mut Judgement,
) {
    let mode = mode & 0o777;
    judgement.report_unless(rule, mode & !SECRET_MODE & 0o077 == 0, || {
        let message =
            format!("a secret in a file of mode {mode:04o}; at most {SECRET_MODE:04o} is allowed");
        let subject = Subject::File { path: path.to_owned(), line };
        Found::about(subject, message)
    });
}
