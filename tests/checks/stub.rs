//! `audit --server` against servers that are not at hand: a stub that answers as the manuals of MySQL
//! 5.7, 8.0 and 9.x and of MariaDB say they do. Real servers: tests/interop.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic
)]

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;

use crate::servers::{END, OK, receive, send};

/// A part of a statement, and the rows that answer it, each field with its column's name.
pub(crate) type Answer = (&'static str, Vec<Vec<(&'static str, String)>>);

pub(crate) fn row(fields: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn column(name: &str) -> Vec<u8> {
    let mut packet = b"\x03def\0\0\0".to_vec();
    packet.push(name.len() as u8);
    packet.extend_from_slice(name.as_bytes());
    packet.extend_from_slice(b"\0\x0c\x2d\0\0\x01\0\0\xfd\0\0\0\0\0");
    packet
}

fn field(text: &str) -> Vec<u8> {
    let mut packet = vec![0xfc, (text.len() & 0xff) as u8, (text.len() >> 8) as u8];
    packet.extend_from_slice(text.as_bytes());
    packet
}

/// Answers one statement.
fn answer(stream: &mut TcpStream, answers: &[Answer], statement: &str) -> std::io::Result<()> {
    if statement.starts_with("SET ") {
        return send(stream, 1, &OK);
    }
    let Some((_, rows)) = answers.iter().find(|(part, _)| statement.contains(part)) else {
        return send(stream, 1, b"\xff\x7a\x04#42S02no such table");
    };
    // Of the columns that are asked for, those of mysql.user that no row names are N.
    let names: Vec<String> = if statement.contains("FROM mysql.user") {
        let list = statement.split_once("SELECT ").unwrap().1.split_once(" FROM ").unwrap().0;
        list.split(", ").map(str::to_owned).collect()
    } else {
        rows.first().map_or_else(
            || vec!["nothing".to_owned()],
            |row| row.iter().map(|it| it.0.to_owned()).collect(),
        )
    };
    let mut packets = vec![vec![names.len() as u8]];
    packets.extend(names.iter().map(|name| column(name)));
    packets.push(END.to_vec());
    for row in rows {
        let fields: BTreeMap<_, _> = row.iter().map(|(name, value)| (*name, &**value)).collect();
        let fields = names.iter().map(|name| field(fields.get(&**name).copied().unwrap_or("N")));
        packets.push(fields.flatten().collect());
    }
    packets.push(END.to_vec());
    packets.iter().zip(1_u8..).try_for_each(|(packet, number)| send(stream, number, packet))
}

fn greeting(version: &str) -> Vec<u8> {
    let mut packet = vec![10];
    packet.extend_from_slice(version.as_bytes());
    packet.extend_from_slice(b"\0\x01\0\0\0challeng\0\x00\x82\x2d\x02\0\x08\0\x15");
    packet.extend_from_slice(&[0; 10]);
    packet.extend_from_slice(b"more of it..\0mysql_native_password\0");
    packet
}

/// A server of some version; how to reach it.
pub(crate) fn server(
    version: &'static str,
    comment: &'static str,
    mut answers: Vec<Answer>,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    answers.push(("version_comment", vec![row(&[("u", "root@localhost"), ("c", comment)])]));
    answers.push(("information_schema.plugins", Vec::new()));
    answers.push(("ENGINE INNODB STATUS", Vec::new()));
    for table in ["mysql.global_grants", "keyring_component_status", "keyring_keys"] {
        answers.push((table, Vec::new()));
    }
    answers.push(("information_schema.processlist", Vec::new()));
    answers.push(("FROM mysql.user", Vec::new()));
    answers.push(("STATUS", Vec::new()));
    let answers = Arc::new(answers);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answers) = (stream.unwrap(), Arc::clone(&answers));
            std::thread::spawn(move || -> std::io::Result<()> {
                send(&mut stream, 0, &greeting(version))?;
                receive(&mut stream)?;
                send(&mut stream, 2, &OK)?;
                loop {
                    let packet = receive(&mut stream)?;
                    let statement = String::from_utf8_lossy(packet.get(1..).unwrap_or_default());
                    if packet.first() != Some(&3) {
                        return Ok(());
                    }
                    answer(&mut stream, &answers, &statement)?;
                }
            });
        }
    });
    format!("mysql://audit@127.0.0.1:{port}/?ssl-mode=DISABLED&timeout=20")
}

pub(crate) fn run(servers: &[&str], more: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_binlogsec"));
    command.arg("audit").args(more).env("BINLOGSEC_SERVER_PASSWORD", "x");
    for server in servers {
        command.args(["--server", server]);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), text)
}

pub(crate) fn audit(servers: &[&str]) -> Value {
    let (_, text) = run(servers, &["--format", "json"]);
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn of<'a>(report: &'a Value, id: &str) -> Vec<&'a Value> {
    report["findings"].as_array().unwrap().iter().filter(|it| it["id"] == id).collect()
}

pub(crate) fn variables(more: &[(&'static str, &str)]) -> Answer {
    let mut all = vec![
        ("binlog_encryption", "ON"),
        ("log_bin", "OFF"),
        ("require_secure_transport", "ON"),
        ("tls_version", "TLSv1.2,TLSv1.3"),
        ("port", "3306"),
    ];
    all.extend_from_slice(more);
    let rows = all.iter().map(|(name, value)| row(&[("Variable_name", name), ("Value", value)]));
    ("SHOW GLOBAL VARIABLES", rows.collect())
}

/// A channel in order, with other values where they are given.
pub(crate) fn channel(more: &[(&'static str, &str)]) -> Answer {
    let mut fields: BTreeMap<&'static str, String> = row(&[
        ("Source_Host", "127.0.0.1"),
        ("Source_Port", "3306"),
        ("Source_User", "repl"),
        ("Replica_IO_Running", "Yes"),
        ("Replica_SQL_Running", "Yes"),
        ("Source_SSL_Allowed", "Yes"),
        ("Source_SSL_CA_File", "/etc/mysql/ca.pem"),
        ("Source_SSL_Verify_Server_Cert", "Yes"),
        ("Last_IO_Errno", "0"),
        ("Last_IO_Error", ""),
    ])
    .into_iter()
    .collect();
    fields.extend(row(more));
    ("SHOW REPLICA STATUS", vec![fields.into_iter().collect()])
}

/// What a channel reports is told with its cause, and no such way is called private.
#[test]
fn a_channel_that_does_not_connect_is_explained_and_is_not_private() {
    for (errno, error, cause) in [
        (
            "2026",
            "SSL connection error: error:0A000086:SSL routines::certificate verify failed",
            "cannot be verified",
        ),
        (
            "2026",
            "SSL connection error: SSL_CTX_set_default_verify_paths failed",
            "CA file is not there",
        ),
        (
            "2026",
            "SSL connection error: CA certificate is required if ssl-mode is VERIFY_CA",
            "no authority",
        ),
        (
            "2026",
            "SSL connection error: error:0A0000B5:SSL routines::no ciphers available",
            "allows no cipher",
        ),
        (
            "2026",
            "SSL connection error: error:0A00042E:tlsv1 alert protocol version",
            "no TLS version in common",
        ),
        (
            "2026",
            "SSL connection error: SSL is required but the server doesn't support it",
            "source has no TLS",
        ),
        ("2061", "Authentication requires secure connection.", "2061"),
        ("1045", "Access denied for user 'repl'@'h' (using password: YES)", "REQUIRE"),
        (
            "13114",
            "Got fatal error 1236 from source when reading data from binary log: 'purged'",
            "no longer has",
        ),
        ("2003", "Can't connect to MySQL server", "nobody answers"),
    ] {
        let text = format!("Error connecting to source 'repl@h:3306'. Message: {error}");
        let down = [
            ("Replica_IO_Running", "Connecting"),
            ("Last_IO_Errno", errno),
            ("Last_IO_Error", &*text),
        ];
        let url = server("9.7.0", "MySQL", vec![variables(&[]), channel(&down)]);
        let report = audit(&[&url]);
        let found = of(&report, "BLR066");
        assert_eq!(found.len(), 1, "{errno} {error}");
        assert_eq!(found[0]["severity"], "error");
        assert!(found[0]["message"].as_str().unwrap().contains(cause), "{error}: {}", found[0]);
        let edge = &report["topology"]["edges"][0];
        assert_eq!(
            (&edge["in_transit"], &edge["verified"]),
            (&"unknown".into(), &"unknown".into())
        );
    }
    let url = server("9.7.0", "MySQL", vec![variables(&[]), channel(&[])]);
    let report = audit(&[&url]);
    assert_eq!(of(&report, "BLR066").len(), 0);
    let (_, text) = run(&[&url], &[]);
    assert!(!text.contains("  private\n"), "relay logs on the disk were not looked at: {text}");
    assert!(!text.contains("\nPASS"), "{text}");
}

/// A row of mysql.user.
pub(crate) fn user(name: &str, more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let mut fields = row(&[("User", name), ("Host", "%"), ("ssl_type", "")]);
    fields.push(("plugin", "caching_sha2_password".to_owned()));
    fields.extend(row(more));
    fields
}

/// Who replicates through a role may do so without TLS, from anywhere, like anybody else.
#[test]
fn accounts_are_found_by_their_roles_and_by_what_needs_no_password() {
    let empty = "LENGTH(authentication_string) = 0";
    let url = server(
        "9.7.0",
        "MySQL",
        vec![
            variables(&[]),
            (
                "FROM mysql.user",
                vec![
                    user("replrole", &[("Repl_slave_priv", "Y"), ("account_locked", "Y")]),
                    user("rolerepl", &[]),
                    user("nopw", &[("Repl_slave_priv", "Y"), ("ssl_type", "ANY"), (empty, "1")]),
                    user("", &[]),
                    user("app", &[("ssl_type", "ANY")]),
                    user("poser", &[]),
                    user("harmless", &[]),
                ],
            ),
            (
                "mysql.role_edges",
                vec![
                    row(&[
                        ("from_user", "replrole"),
                        ("from_host", "%"),
                        ("to_user", "middle"),
                        ("to_host", "%"),
                    ]),
                    row(&[
                        ("from_user", "middle"),
                        ("from_host", "%"),
                        ("to_user", "rolerepl"),
                        ("to_host", "%"),
                    ]),
                ],
            ),
            (
                "FROM mysql.db",
                vec![row(&[
                    ("User", "app"),
                    ("Host", "%"),
                    ("Db", "mysql"),
                    ("Select_priv", "Y"),
                    ("Update_priv", "Y"),
                ])],
            ),
            (
                "mysql.proxies_priv",
                vec![row(&[
                    ("User", "poser"),
                    ("Host", "%"),
                    ("Proxied_user", "nopw"),
                    ("Proxied_host", "%"),
                ])],
            ),
        ],
    );
    let report = audit(&[&url]);
    let about = |id: &str| -> Vec<String> {
        of(&report, id).iter().map(|it| it["object"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(about("BLR050"), ["'rolerepl'@'%'"]);
    assert!(of(&report, "BLR050")[0]["message"].as_str().unwrap().contains("by the role replrole"));
    assert_eq!(about("BLR055"), ["'nopw'@'%'"]);
    assert_eq!(about("BLR056"), ["''@'%'"]);
    assert_eq!(about("BLR057"), ["'app'@'%'"]);
    assert_eq!(about("BLR058"), ["'poser'@'%'"]);
    assert!(!report["findings"].to_string().contains("harmless"));
}

/// TLS that is configured and did not start; a certificate whose end the server tells; a cluster.
#[test]
fn what_a_server_is_outweighs_what_it_is_set_to() {
    let listener = |enabled: &str| -> Answer {
        let property =
            row(&[("CHANNEL", "mysql_main"), ("PROPERTY", "Enabled"), ("VALUE", enabled)]);
        ("tls_channel_status", vec![property])
    };
    let end = |time: &str| -> Answer {
        (
            "Ssl_server_not_after",
            vec![row(&[("Variable_name", "Ssl_server_not_after"), ("Value", time)])],
        )
    };
    for (answers, id, is_found) in [
        (listener("No"), "BLR022", true),
        (listener("Yes"), "BLR022", false),
        (end("Jan  1 00:00:00 2026 GMT"), "BLR030", true),
        (end("Jan  1 00:00:00 2999 GMT"), "BLR030", false),
        (
            (
                "information_schema.plugins",
                vec![row(&[("PLUGIN_NAME", "ndbcluster"), ("PLUGIN_STATUS", "ACTIVE")])],
            ),
            "BLR025",
            true,
        ),
    ] {
        let url = server("9.7.0", "MySQL", vec![variables(&[]), answers]);
        assert_eq!(!of(&audit(&[&url]), id).is_empty(), is_found, "{id}");
    }
    let group = [("group_replication_group_name", "g"), ("group_replication_ssl_mode", "DISABLED")];
    let url = server("9.7.0", "MySQL", vec![variables(&group)]);
    assert_eq!(of(&audit(&[&url]), "BLR026").len(), 1);
}

/// What `keyring_component_status` says, and MariaDB's variable.
#[test]
fn servers_that_share_a_key_store_or_ask_it_by_http_are_found() {
    let status = |rows: &[(&str, &str)]| -> Answer {
        let rows =
            rows.iter().map(|(key, value)| row(&[("STATUS_KEY", key), ("STATUS_VALUE", value)]));
        ("keyring_component_status", rows.collect())
    };
    let vault = |url: &str, mount: &str| {
        status(&[
            ("Component_name", "component_keyring_vault"),
            ("Component_status", "Active"),
            ("vault_url", url),
            ("secret_mount_point", mount),
        ])
    };
    let percona =
        |answer: Answer| server("8.4.6", "Percona Server (GPL)", vec![variables(&[]), answer]);
    let one = percona(vault("http://vault.example:8200", "kv/a"));
    let two = percona(vault("http://vault.example:8200/", "kv/a"));
    let three = percona(vault("https://vault.example:8200", "kv/b"));
    let report = audit(&[&one, &two, &three]);
    let shared = of(&report, "BLS020");
    assert_eq!(shared.len(), 1, "{shared:?}");
    let message = shared[0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("2 servers have their keys at http://vault.example:8200/v1/kv/a: ")
    );
    assert_eq!(of(&report, "BLS018").len(), 2);
    let kmip = [
        ("Component_name", "component_keyring_kmip"),
        ("Component_status", "Active"),
        ("Server_addr", "kmip.example"),
        ("Server_port", "5696"),
    ];
    let group = |name| percona(status(&[&kmip[..], &[("Object_group", name)]].concat()));
    let (one, two, three) = (group("a"), group("a"), group("b"));
    let report = audit(&[&one, &two, &three]);
    assert_eq!((of(&report, "BLS020").len(), of(&report, "BLS018").len()), (1, 0));
    let plugin: Answer = (
        "information_schema.plugins",
        vec![row(&[
            ("PLUGIN_NAME", "hashicorp_key_management"),
            ("PLUGIN_STATUS", "ACTIVE"),
            ("PLUGIN_TYPE", "ENCRYPTION"),
        ])],
    );
    let url = [("hashicorp_key_management_vault_url", "https://vault.example/v1/kv")];
    let maria = || {
        server(
            "10.11.6-MariaDB",
            "MariaDB",
            vec![variables(&url), plugin.clone(), ("mysql.plugin", Vec::new())],
        )
    };
    let report = audit(&[&maria(), &maria()]);
    assert_eq!(of(&report, "BLS020").len(), 1, "{report}");
}

/// What the version at hand does not have stands in no remedy.
#[test]
fn remedies_of_5_7_and_mariadb_are_in_their_own_words() {
    let account = row(&[
        ("User", "repl"),
        ("Host", "10.0.0.2"),
        ("ssl_type", ""),
        ("plugin", "mysql_native_password"),
        ("Repl_slave_priv", "Y"),
    ]);
    let old = server(
        "5.7.44-log",
        "MySQL",
        vec![
            (
                "SHOW GLOBAL VARIABLES",
                vec![row(&[("Variable_name", "tls_version"), ("Value", "TLSv1,TLSv1.2")])],
            ),
            ("FROM mysql.user", vec![account]),
        ],
    );
    let (_, plan) = run(&[&old], &["--plan"]);
    for word in ["RANDOM PASSWORD", "caching_sha2", "PERSIST", "TLSv1.3"] {
        assert!(!plan.contains(word), "{word}: {plan}");
    }
    assert!(plan.contains("REQUIRE SSL"), "{plan}");
    let mariadb = server(
        "11.8.2-MariaDB",
        "mariadb.org binary distribution",
        vec![
            (
                "SHOW GLOBAL VARIABLES",
                vec![row(&[("Variable_name", "encrypt_binlog"), ("Value", "OFF")])],
            ),
            (
                "SHOW ALL SLAVES STATUS",
                vec![row(&[
                    ("Connection_name", ""),
                    ("Master_Host", "db1"),
                    ("Master_Port", "3306"),
                    ("Slave_IO_Running", "Yes"),
                    ("Master_SSL_Allowed", "Yes"),
                    ("Master_SSL_Verify_Server_Cert", "No"),
                ])],
            ),
        ],
    );
    let (_, plan) = run(&[&mariadb], &["--plan"]);
    assert!(!plan.contains("PERSIST") && !plan.contains("MASTER_SSL_CA"), "{plan}");
    assert!(plan.contains("MASTER_SSL_VERIFY_SERVER_CERT = 1"), "{plan}");
    let keys = plan.find("file_key_management").unwrap();
    assert!(keys < plan.find("encrypt_binlog = ON").unwrap(), "keys come first: {plan}");
}

/// A failover tool sets the channel anew and leaves its TLS out: the whole statement restores it.
#[test]
fn what_a_failover_dropped_is_found_and_restored() {
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("before.json");
    let saved = saved.to_str().unwrap();
    let uuid = [("server_uuid", "u-2")];
    let whole = [("Source_SSL_Cert", "/c.pem"), ("Source_SSL_Key", "/k.pem")];
    let before = server("9.7.0", "MySQL", vec![variables(&uuid), channel(&whole)]);
    run(&[&before], &["--save", saved]);
    let (_, same) = run(&[&before], &["--compare", saved, "--format", "json"]);
    let same: Value = serde_json::from_str(&same).unwrap();
    assert_eq!(of(&same, "BLR068").len(), 0);
    let dropped = [
        ("Source_Host", "db3"),
        ("Source_SSL_Verify_Server_Cert", "No"),
        ("Source_SSL_CA_File", ""),
    ];
    let after = server("9.7.0", "MySQL", vec![variables(&uuid), channel(&dropped)]);
    let (code, text) = run(&[&after], &["--compare", saved, "--format", "json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    let found = of(&report, "BLR068");
    assert_eq!((code, found.len()), (1, 1), "{text}");
    let remedy = found[0]["remedy"].as_str().unwrap();
    for part in [
        "SOURCE_SSL = 1",
        "SOURCE_SSL_CA = '/etc/mysql/ca.pem'",
        "SOURCE_SSL_CERT = '/c.pem'",
        "SOURCE_SSL_KEY = '/k.pem'",
        "SOURCE_SSL_VERIFY_SERVER_CERT = 1",
    ] {
        assert!(remedy.contains(part), "{remedy}");
    }
}

/// An account that comes from the source is changed there: done at the replica as well, it would stop
/// replication.
#[test]
fn account_statements_are_for_the_source_alone() {
    let account = || {
        let fields = [
            ("User", "repl"),
            ("Host", "%"),
            ("ssl_type", ""),
            ("Repl_slave_priv", "Y"),
            ("Select_priv", "Y"),
        ];
        ("FROM mysql.user", vec![row(&fields)])
    };
    let source = server("9.7.0", "MySQL", vec![variables(&[("server_uuid", "u-1")]), account()]);
    let replica = server(
        "9.7.0",
        "MySQL",
        vec![variables(&[("server_uuid", "u-2")]), channel(&[("Source_UUID", "u-1")]), account()],
    );
    let (_, plan) = run(&[&source, &replica], &["--plan"]);
    let statements = |part: &str| plan.matches(part).count();
    assert_eq!(statements("RENAME USER"), 1, "{plan}");
    assert_eq!(statements("REQUIRE SSL"), 1, "{plan}");
    let (revoke, rename) = (plan.find("REVOKE SELECT").unwrap(), plan.find("RENAME USER").unwrap());
    assert!(revoke < rename, "{plan}");
    assert!(plan.find("REQUIRE SSL").unwrap() < rename, "{plan}");
    assert!(!plan.contains("sql_log_bin"), "both have it: {plan}");
}
