//! Everything that is asked of one server.

use std::collections::BTreeMap;

use super::accounts;
use super::error::Problem;
use super::question::{Asker, Question};
use super::replication;
use super::session::Session;
use crate::audit::facts::server::{
    Area, BinaryLogFacts, Flavour, KeyringFacts, KeyringKind, ServerFacts, TlsListenerFacts,
};
use crate::audit::facts::settings::is_shown;
use crate::audit::key_stores::without_user;
use crate::audit::sql;

/// Each takes a statement: of thousands, the newest will do.
const MOST_LOOKED_INTO: usize = 500;
/// It may name a user, and a password.
const VAULT_URL: &str = "hashicorp_key_management_vault_url";
const STATUS_TABLE: &str = "performance_schema.keyring_component_status";
const PLUGINS: &str = "SELECT PLUGIN_NAME, PLUGIN_STATUS, LOAD_OPTION, PLUGIN_TYPE \
                       FROM information_schema.plugins";

/// Asks it all.
pub(super) fn facts(session: Session, address: String) -> Result<ServerFacts, Problem> {
    let connection = session.protection();
    let version = session.version().to_owned();
    let mut asker = Asker::new(session)?;
    let variables = variables(&mut asker)?;
    let number = |name: &str| variables.get(name).and_then(|value| value.parse().ok());
    let mut facts = ServerFacts {
        address,
        flavour: asker.flavour,
        version,
        server_uuid: variables.get("server_uuid").cloned(),
        server_id: number("server_id"),
        hostname: variables.get("hostname").cloned(),
        port: number("port").and_then(|port| u16::try_from(port).ok()),
        connection,
        ..ServerFacts::default()
    };
    facts.variables = variables;
    facts.binary_logs = binary_logs(&mut asker, &facts)?;
    plugins(&mut asker, &mut facts)?;
    if asker.flavour != Flavour::Mariadb && asker.since(8, 0, 24) {
        components(&mut asker, &mut facts)?;
        facts.binlog_keys = binlog_keys(&mut asker)?;
    }
    facts.channels = replication::channels(&mut asker)?;
    facts.failover_sources = replication::failover_sources(&mut asker, &facts)?;
    facts.replicas = replication::replicas(&mut asker, &facts)?;
    (facts.accounts, facts.other_accounts) = accounts::accounts(&mut asker)?;
    tls_state(&mut asker, &mut facts)?;
    facts.missing_privileges = asker.missing;
    facts.not_asked = asker.not_asked;
    Ok(facts)
}

fn variables(asker: &mut Asker) -> Result<BTreeMap<String, String>, Problem> {
    let answer = asker.session.query("SHOW GLOBAL VARIABLES")?;
    let pairs = answer
        .records()
        .filter_map(|row| Some((row.at(0)?.to_ascii_lowercase(), row.at(1)?.to_owned())));
    let shown = pairs.filter_map(|(name, value)| match name.as_str() {
        VAULT_URL => Some((name, without_user(&value))),
        _ => is_shown(&name).then_some((name, value)),
    });
    Ok(shown.collect())
}

fn binary_logs(
    asker: &mut Asker,
    facts: &ServerFacts,
) -> Result<Option<Vec<BinaryLogFacts>>, Problem> {
    if facts.variables.get("log_bin").map(String::as_str) != Some("ON") {
        return Ok(None);
    }
    let privilege = match asker.flavour {
        Flavour::Mariadb if asker.since(10, 5, 2) => "BINLOG MONITOR ON *.*",
        _ => "REPLICATION CLIENT ON *.*",
    };
    let answer = asker.ask(&Question {
        what: "the binary logs, and which of them are encrypted",
        privilege,
        statement: "SHOW BINARY LOGS",
    })?;
    let Some(answer) = answer else {
        return Ok(None);
    };
    let logs = answer.records().map(|row| BinaryLogFacts {
        name: row.text(&["Log_name"]),
        size: row.number(&["File_size"]).unwrap_or(0),
        encrypted: row.get(&["Encrypted"]).map(|_| row.flag(&["Encrypted"])),
    });
    let mut logs: Vec<_> = logs.collect();
    if asker.flavour == Flavour::Mariadb {
        for log in logs.iter_mut().rev().take(MOST_LOOKED_INTO) {
            log.encrypted = starts_encryption(asker, &log.name)?;
        }
    }
    Ok(Some(logs))
}

/// MariaDB's list does not say which logs are encrypted; their first events do.
fn starts_encryption(asker: &mut Asker, log: &str) -> Result<Option<bool>, Problem> {
    let statement = format!("SHOW BINLOG EVENTS IN {} LIMIT 3", sql::quoted(log));
    let answer = match asker.session.query(&statement) {
        Ok(answer) => answer,
        // Purged meanwhile, or with a damage of its own.
        Err(Problem::Server { .. }) => return Ok(None),
        Err(problem) => return Err(problem),
    };
    let mut events = answer.records();
    Ok(Some(events.any(|event| event.get(&["Event_type"]) == Some("Start_encryption"))))
}

fn plugins(asker: &mut Asker, facts: &mut ServerFacts) -> Result<(), Problem> {
    let answer = asker.session.query(PLUGINS)?;
    for row in answer.records() {
        let name = row.text(&["PLUGIN_NAME"]);
        let status = row.text(&["PLUGIN_STATUS"]);
        if name == "ndbcluster" && status == "ACTIVE" {
            facts.ndb = true;
        }
        if name == "clone" && status == "ACTIVE" {
            facts.clones = true;
        }
        // MySQL's are of no type of their own, MariaDB's are.
        let keeps_keys = name.starts_with("keyring_") && name != "keyring_udf"
            || row.get(&["PLUGIN_TYPE"]) == Some("ENCRYPTION");
        if keeps_keys {
            let location = ["keyring_file_data", "file_key_management_filename", VAULT_URL]
                .iter()
                .find(|variable| variable.starts_with(&name))
                .and_then(|variable| facts.variables.get(*variable).cloned());
            facts.keyrings.push(KeyringFacts {
                name,
                kind: KeyringKind::Plugin,
                status,
                early: None,
                location,
            });
        }
    }
    if !facts.keyrings.is_empty() {
        late_plugins(asker, facts)?;
    }
    Ok(())
}

/// What `INSTALL PLUGIN` put into this table is loaded after the storage engines.
fn late_plugins(asker: &mut Asker, facts: &mut ServerFacts) -> Result<(), Problem> {
    let answer = asker.ask(&Question {
        what: "whether the keyring plugin is loaded early",
        privilege: "SELECT ON mysql.plugin",
        statement: "SELECT name FROM mysql.plugin",
    })?;
    if let Some(answer) = answer {
        for keyring in &mut facts.keyrings {
            let late = answer.records().any(|row| row.at(0) == Some(&*keyring.name));
            keyring.early = Some(!late);
        }
    }
    Ok(())
}

fn components(asker: &mut Asker, facts: &mut ServerFacts) -> Result<(), Problem> {
    let answer = asker.ask(&Question {
        what: "the status of the keyring component",
        privilege: "SELECT ON performance_schema.*",
        statement: &format!("SELECT STATUS_KEY, STATUS_VALUE FROM {STATUS_TABLE}"),
    })?;
    let Some(answer) = answer else {
        return Ok(());
    };
    let value = |name: &str| {
        let mut rows = answer.records();
        rows.find(|row| row.at(0) == Some(name))?.at(1).map(str::to_owned)
    };
    if let Some(name) = value("Component_name").or_else(|| value("Implementation_name")) {
        facts.keyrings.push(KeyringFacts {
            name,
            kind: KeyringKind::Component,
            status: value("Component_status").unwrap_or_default(),
            // The manifest is read before anything else: there is no other way to load one.
            early: Some(true),
            location: value("Data_file")
                .or_else(|| {
                    let (url, mount) = (value("vault_url")?, value("secret_mount_point")?);
                    Some(format!("{}/v1/{mount}", url.trim_end_matches('/')))
                })
                .or_else(|| {
                    let (host, port) = (value("Server_addr")?, value("Server_port")?);
                    let group = value("Object_group").unwrap_or_default();
                    Some(format!("{host}:{port} {group}").trim_end().to_owned())
                }),
        });
    }
    Ok(())
}

/// Whether TLS really started where the server listens, and until when its certificate is valid.
fn tls_state(asker: &mut Asker, facts: &mut ServerFacts) -> Result<(), Problem> {
    let status = asker.ask_if_possible(
        Area::Certificates,
        &Question {
            what: "until when the certificate in use is valid",
            privilege: "nothing but a connection",
            statement: "SHOW GLOBAL STATUS LIKE 'Ssl_server_not_after'",
        },
    )?;
    let rows = status.unwrap_or_default();
    let end = rows.records().find_map(|row| row.at(1).map(str::to_owned));
    facts.certificate_end = end.filter(|end| !end.is_empty());
    if asker.flavour == Flavour::Mariadb || !asker.since(8, 0, 21) {
        return Ok(());
    }
    let answer = asker.ask_if_possible(
        Area::Transit,
        &Question {
            what: "whether TLS has started",
            privilege: "SELECT ON performance_schema.*",
            statement: "SELECT CHANNEL, PROPERTY, VALUE FROM performance_schema.tls_channel_status",
        },
    )?;
    for row in answer.unwrap_or_default().records() {
        if row.get(&["PROPERTY"]) == Some("Enabled") {
            let enabled = row.flag(&["VALUE"]);
            facts.tls_listeners.push(TlsListenerFacts { name: row.text(&["CHANNEL"]), enabled });
        }
    }
    Ok(())
}

fn binlog_keys(asker: &mut Asker) -> Result<Option<Vec<String>>, Problem> {
    let answer = asker.ask(&Question {
        what: "which binary log keys the keyring has",
        privilege: "SELECT ON performance_schema.*",
        statement: "SELECT KEY_ID FROM performance_schema.keyring_keys",
    })?;
    Ok(answer.map(|answer| {
        let ids = answer.records().filter_map(|row| row.at(0));
        ids.filter(|id| id.starts_with("MySQLReplicationKey_")).map(str::to_owned).collect()
    }))
}
