//! What a live server shows besides its variables: its logs, its keyring, and what it would not
//! show.

use super::{Judgement, Server, of_server, seen};
use crate::audit::facts::server::{Flavour, KeyringFacts, KeyringKind, ServerFacts, Verification};
use crate::audit::facts::settings::option_lines;
use crate::audit::judge::options;
use crate::audit::sql;
use crate::finding::rules::Language;
use crate::finding::{Remedy, RuleId, Severity};

/// File keyrings: keys in the clear (BLS013).
const CLEAR_KEYRINGS: [&str; 3] = ["component_keyring_file", "keyring_file", "file_key_management"];
/// Which plugins a server has for its keys.
const ENCRYPTION_PLUGINS: &str = "SELECT PLUGIN_NAME, PLUGIN_STATUS FROM information_schema.PLUGINS \
                                  WHERE PLUGIN_TYPE = 'ENCRYPTION';";
/// Keyring plugins are deprecated from here on.
const PLUGINS_DEPRECATED: (u16, u16, u16) = (8, 0, 34);

/// Judges one server.
pub(in crate::audit) fn judge(server: &Server<'_>, judgement: &mut Judgement) {
    let Server { facts, settings } = server;
    options::judge(settings, judgement);
    if facts.ndb && settings.get("ndbcluster").is_none() {
        options::interconnect(settings, judgement);
    }
    tls_started(facts, judgement);
    group_replication(facts, judgement);
    password_policy(server, judgement);
    plaintext_logs(server, judgement);
    keyring(server, judgement);
    own_connection(facts, judgement);
    for missing in &facts.missing_privileges {
        judgement.report_unless(RuleId::Blr071, false, || {
            let message = format!("not known: {} ({})", missing.what, missing.privilege);
            of_server(facts, None, message).remedied(sql_remedy(missing.grant.clone()))
        });
    }
    if facts.missing_privileges.is_empty() {
        judgement.applied.insert(RuleId::Blr071);
    }
}

/// BLR022, of a server whose TLS is configured and did not start.
fn tls_started(facts: &ServerFacts, judgement: &mut Judgement) {
    let has_admin = facts.variables.get("admin_address").is_some_and(|it| !it.is_empty());
    let counts = |name: &str| name == "mysql_main" || has_admin && name == "mysql_admin";
    let down = facts.tls_listeners.iter().find(|it| counts(&it.name) && !it.enabled);
    if facts.tls_listeners.is_empty() {
        return;
    }
    judgement.report_unless(RuleId::Blr022, down.is_none(), || {
        let message = match down.map(|it| &*it.name) {
            Some("mysql_admin") => {
                "TLS did not start at the interface for administrators: nothing it sends is encrypted"
            }
            _ => "TLS did not start: nothing this server sends is encrypted",
        };
        of_server(facts, None, message)
            .seen(seen("Enabled", "No", "performance_schema.tls_channel_status"))
            .remedied(sql_remedy(
                "-- the error log says why: a file that is not there, or that the server's user \
                 cannot read\nSELECT PRIO, LOGGED, DATA FROM performance_schema.error_log \
                 WHERE DATA LIKE '%TLS%' OR DATA LIKE '%SSL%' ORDER BY LOGGED DESC LIMIT 5;\n\
                 -- when that is mended\nALTER INSTANCE RELOAD TLS;"
                    .to_owned(),
            ))
    });
}

/// BLR026: members of a group that talk without TLS, or take any certificate.
fn group_replication(facts: &ServerFacts, judgement: &mut Judgement) {
    let is_member = facts.variables.get("group_replication_group_name");
    let Some(mode) = facts.variables.get("group_replication_ssl_mode") else {
        return;
    };
    if is_member.is_none_or(String::is_empty) {
        return;
    }
    let good = ["VERIFY_CA", "VERIFY_IDENTITY"].contains(&mode.as_str());
    judgement.report_unless(RuleId::Blr026, good, || {
        let message = match mode.as_str() {
            "REQUIRED" => "the group's members take any certificate for a member's",
            _ => "the group's members send each other every change in the clear",
        };
        of_server(facts, None, message).seen(seen(
            "group_replication_ssl_mode",
            mode,
            "SHOW GLOBAL VARIABLES",
        ))
    });
    let recovery = facts.variables.get("group_replication_recovery_use_ssl");
    if let Some(recovery) = recovery {
        judgement.report_unless(RuleId::Blr026, recovery == "ON", || {
            let message = "a member that joins gets the logs in the clear";
            of_server(facts, None, message)
                .seen(seen("group_replication_recovery_use_ssl", recovery, "SHOW GLOBAL VARIABLES"))
                .remedied(sql_remedy(
                    "SET PERSIST group_replication_recovery_use_ssl = ON;".to_owned(),
                ))
        });
    }
    let verifies = "group_replication_recovery_ssl_verify_server_cert";
    if let (Some("ON"), Some(value)) = (recovery.map(String::as_str), facts.variables.get(verifies))
    {
        judgement.report_unless(RuleId::Blr026, value == "ON", || {
            let message = "a member that joins takes any certificate for that of its donor";
            of_server(facts, None, message)
                .weighing(Severity::Warning)
                .seen(seen(verifies, value, "SHOW GLOBAL VARIABLES"))
                .remedied(sql_remedy(format!(
                    "-- PLACEHOLDER: the CA file stands for the one that signed the members' certificates\n\
                     SET PERSIST group_replication_recovery_ssl_ca = '/etc/mysql/ca.pem';\n\
                     SET PERSIST {verifies} = ON;"
                )))
        });
    }
}

/// BLR073: whether something holds new passwords to a length. What was not asked is not judged.
fn password_policy(server: &Server<'_>, judgement: &mut Judgement) {
    const LEAST: u32 = 8;
    let Server { facts, settings } = server;
    if facts.variables.is_empty() {
        return;
    }
    let one_of =
        |names: &[&'static str]| names.iter().find_map(|name| Some((*name, settings.given(name)?)));
    let length = one_of(&[
        "validate_password.length",
        "validate_password_length",
        "simple_password_check_minimal_length",
    ]);
    let policy = one_of(&["validate_password.policy", "validate_password_policy"]);
    let dictionary = settings.given("cracklib_password_check_dictionary");
    let low = policy.filter(|(_, value)| value.eq_ignore_ascii_case("LOW") || *value == "0");
    let short = length.filter(|(_, value)| value.parse::<u32>().is_ok_and(|it| it < LEAST));
    let is_there = length.is_some() || dictionary.is_some();
    judgement.report_unless(RuleId::Blr073, is_there && low.or(short).is_none(), || {
        match low.or(short) {
            Some((name, value)) => {
                let good = if low.is_some() { "MEDIUM" } else { "8" };
                of_server(
                    facts,
                    None,
                    format!("{name} is {value}: any password of that length will do"),
                )
                .seen(seen(name, value, "SHOW GLOBAL VARIABLES"))
                .remedied(settings.set(name, good))
            }
            None => of_server(facts, None, "new passwords may be as short as one likes")
                .seen(seen("validate_password.policy", "not there", "SHOW GLOBAL VARIABLES"))
                .remedied(sql_remedy(
                    if settings.is_mariadb() {
                        "INSTALL SONAME 'simple_password_check';"
                    } else if settings.since((8, 0, 4)) {
                        "INSTALL COMPONENT 'file://component_validate_password';"
                    } else {
                        "INSTALL PLUGIN validate_password SONAME 'validate_password.so';"
                    }
                    .to_owned(),
                )),
        }
    });
}

/// Statements as a remedy.
pub(in crate::audit) const fn sql_remedy(text: String) -> Remedy {
    Remedy { language: Language::Sql, text }
}

/// BLS001, of a server that says which of its logs are encrypted.
fn plaintext_logs(server: &Server<'_>, judgement: &mut Judgement) {
    let Server { facts, settings } = server;
    let logs = facts.binary_logs.as_deref().unwrap_or_default();
    if !logs.iter().any(|log| log.encrypted.is_some()) {
        return;
    }
    let plain: Vec<_> =
        logs.iter().enumerate().filter(|(_, log)| log.encrypted == Some(false)).collect();
    judgement.report_unless(RuleId::Bls001, plain.is_empty(), || {
        let (first, last) = (plain.first(), plain.last());
        let name = |log: Option<&(usize, &crate::audit::facts::server::BinaryLogFacts)>| {
            log.map_or("", |(_, log)| &*log.name).to_owned()
        };
        let message = match plain.len() {
            1 => format!("{} is in the clear", name(first)),
            many => format!(
                "{many} binary logs are in the clear, from {} to {}",
                name(first),
                name(last)
            ),
        };
        let next = last.and_then(|(at, _)| logs.get(at.saturating_add(1)));
        let mut remedy = match next {
            Some(next) => format!("PURGE BINARY LOGS TO {};", sql::quoted(&next.name)),
            None => format!(
                "FLUSH BINARY LOGS;\nPURGE BINARY LOGS TO {};",
                sql::quoted(&successor(&name(last)))
            ),
        };
        remedy.insert_str(
            0,
            "-- purge once every replica has read these logs, and no backup needs them\n",
        );
        // Otherwise the log that takes the place of the last one would be plain as well.
        let can_encrypt = facts.keyrings.iter().any(KeyringFacts::is_active);
        match (options::encrypts_logs(settings), settings.is_mariadb()) {
            (Some(true), _) => {}
            (Some(false), false) if can_encrypt => {
                remedy.insert_str(0, "SET PERSIST binlog_encryption = ON;\n");
            }
            _ => {
                remedy = "-- first encrypt new logs (BLR001, BLR003): until then, a new log is as \
                          plain as the old ones. Then audit again\nSHOW BINARY LOGS;"
                    .to_owned();
            }
        }
        of_server(facts, None, message)
            .seen(seen("Encrypted", "No", "SHOW BINARY LOGS"))
            .remedied(sql_remedy(remedy))
    });
}

/// `binlog.000009` -> `binlog.000010`
fn successor(log: &str) -> String {
    let Some((base, number)) = log.rsplit_once('.') else {
        return log.to_owned();
    };
    let next = number.parse::<u64>().unwrap_or(0).saturating_add(1);
    format!("{base}.{next:0width$}", width = number.len())
}

/// BLR003, BLR004, BLR005, BLS013.
fn keyring(server: &Server<'_>, judgement: &mut Judgement) {
    let Server { facts, settings } = server;
    let not_seen = facts.missing_privileges.iter().any(|it| it.what.contains("keyring component"));
    let active = facts.keyrings.iter().find(|keyring| keyring.is_active());
    if options::encrypts_logs(settings).is_some() && !(active.is_none() && not_seen) {
        judgement.report_unless(RuleId::Blr003, active.is_some(), || {
            let message = match facts.keyrings.first() {
                Some(keyring) => format!("{} is {}", keyring.name, keyring.status),
                None if options::encrypts_logs(settings) == Some(false) => {
                    "no keyring is loaded: logs cannot be encrypted without one".to_owned()
                }
                None => "no keyring is loaded".to_owned(),
            };
            let found = of_server(facts, None, message);
            if facts.flavour == Flavour::Mariadb {
                found.remedied(option_lines(&[
                    "plugin_load_add = file_key_management",
                    "file_key_management_filename = /etc/mysql/keys/keyfile",
                ]))
            } else {
                let plugins = facts.variables.get("plugin_dir").map(String::as_str);
                found.remedied(Remedy {
                    language: Language::Shell,
                    text: options::keyring_component("component_keyring_file", plugins),
                })
            }
        });
    }
    for keyring in &facts.keyrings {
        keyring_plugin(server, keyring, judgement);
        if CLEAR_KEYRINGS.contains(&&*keyring.name) {
            judgement.report_unless(RuleId::Bls013, false, || {
                let message = format!("the keys of this server lie in a file, by {}", keyring.name);
                let found = of_server(facts, None, message);
                if facts.flavour == Flavour::Mariadb {
                    found.remedied(sql_remedy(ENCRYPTION_PLUGINS.to_owned()))
                } else {
                    found
                }
            });
        }
    }
}

fn keyring_plugin(server: &Server<'_>, keyring: &KeyringFacts, judgement: &mut Judgement) {
    let Server { facts, settings } = server;
    if keyring.kind != KeyringKind::Plugin {
        return;
    }
    if let Some(early) = keyring.early {
        judgement.report_unless(RuleId::Blr004, early, || {
            let name = &keyring.name;
            let message =
                format!("{name} was installed by INSTALL PLUGIN: it comes after the binary log");
            let line = if settings.is_mariadb() {
                format!("plugin_load_add = {name}")
            } else {
                format!("early-plugin-load = {name}.so")
            };
            of_server(facts, None, message)
                .seen(seen("name", name, "mysql.plugin"))
                .remedied(option_lines(&[&line]))
        });
    }
    if !settings.is_mariadb() {
        let outdated = settings.product.is_some_and(|it| it.version >= PLUGINS_DEPRECATED);
        judgement.report_unless(RuleId::Blr005, !outdated, || {
            of_server(facts, None, format!("{} is a plugin", keyring.name))
                .remedied(options::migration(settings, &keyring.name))
        });
    }
}

/// BLR065.
fn own_connection(facts: &ServerFacts, judgement: &mut Judgement) {
    let connection = &facts.connection;
    let verified = connection.socket || connection.verified != Verification::None;
    judgement.report_unless(RuleId::Blr065, verified, || {
        let message = match &connection.tls_version {
            Some(version) => format!("{version}, with a certificate that nobody verified"),
            None => "this audit's own connection is not encrypted".to_owned(),
        };
        of_server(facts, None, message)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_log_has_the_next_number() {
        assert_eq!(successor("binlog.000009"), "binlog.000010");
        assert_eq!(successor("a.b.999999"), "a.b.1000000");
    }
}
