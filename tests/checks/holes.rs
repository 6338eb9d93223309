//! Holes that a stub server or a file opens, one at a time: each is found where it is, and what is in
//! order is not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::openssl;
use crate::stub::{Answer, audit, channel, of, row, run, server, user, variables};

fn mysql(answers: Vec<Answer>) -> String {
    server("9.7.0", "MySQL", answers)
}

fn count(report: &Value, id: &str) -> usize {
    of(report, id).len()
}

fn remedy(report: &Value, id: &str) -> String {
    let found = of(report, id);
    assert_eq!(found.len(), 1, "{id}: {found:?}");
    found[0]["remedy"].as_str().unwrap().to_owned()
}

#[test]
fn the_interface_for_administrators_is_judged_where_there_is_one() {
    let listener: Answer = (
        "tls_channel_status",
        ["mysql_main", "mysql_admin"]
            .map(|name| {
                let enabled = if name == "mysql_main" { "Yes" } else { "No" };
                row(&[("CHANNEL", name), ("PROPERTY", "Enabled"), ("VALUE", enabled)])
            })
            .to_vec(),
    );
    let old = [("admin_tls_version", "TLSv1.1,TLSv1.2"), ("admin_ssl_cipher", "RC4-MD5")];
    let none = audit(&[&mysql(vec![variables(&old), listener.clone()])]);
    for id in ["BLR021", "BLR022", "BLR024"] {
        assert_eq!(count(&none, id), 0, "{id}: nobody listens there");
    }
    let with = [&old[..], &[("admin_address", "10.0.0.1")]].concat();
    let found = audit(&[&mysql(vec![variables(&with), listener])]);
    for id in ["BLR021", "BLR022", "BLR024"] {
        assert_eq!(count(&found, id), 1, "{id}");
    }
    assert!(remedy(&found, "BLR021").contains("FOR CHANNEL mysql_admin"));
}

#[test]
fn a_group_is_judged_by_its_variables_and_its_channels_are_no_holes() {
    let good = [
        ("group_replication_group_name", "g"),
        ("group_replication_ssl_mode", "VERIFY_CA"),
        ("group_replication_recovery_use_ssl", "ON"),
    ];
    let channels: Answer = (
        "SHOW REPLICA STATUS",
        ["group_replication_applier", "group_replication_recovery"]
            .map(|name| {
                row(&[
                    ("Channel_Name", name),
                    ("Source_Host", "<NULL>"),
                    ("Source_Port", "0"),
                    ("Replica_IO_Running", "No"),
                    ("Source_SSL_Allowed", "No"),
                ])
            })
            .to_vec(),
    );
    for (verifies, expected) in [("OFF", 1), ("ON", 0)] {
        let value = ("group_replication_recovery_ssl_verify_server_cert", verifies);
        let all = [&good[..], &[value]].concat();
        let report = audit(&[&mysql(vec![variables(&all), channels.clone()])]);
        assert_eq!(count(&report, "BLR026"), expected, "{verifies}");
        assert_eq!(count(&report, "BLR060") + count(&report, "BLR066"), 0);
        assert_eq!(report["topology"]["edges"].as_array().unwrap().len(), 0);
    }
}

#[test]
fn new_passwords_are_held_to_a_length_or_that_is_said() {
    for (server_variables, is_found) in [
        (&[][..], true),
        (&[("validate_password.policy", "MEDIUM"), ("validate_password.length", "8")], false),
        (&[("validate_password.policy", "LOW"), ("validate_password.length", "8")], true),
        (&[("validate_password_policy", "1"), ("validate_password_length", "4")], true),
        (&[("simple_password_check_minimal_length", "12")], false),
        (&[("cracklib_password_check_dictionary", "/d")], false),
    ] {
        let report = audit(&[&mysql(vec![variables(server_variables)])]);
        assert_eq!(count(&report, "BLR073") == 1, is_found, "{server_variables:?}");
    }
    let url = server("5.7.44-log", "MySQL", vec![variables(&[])]);
    assert!(remedy(&audit(&[&url]), "BLR073").contains("INSTALL PLUGIN validate_password"));
}

/// A row of mysql.tables_priv or mysql.columns_priv.
fn grant(who: &str, table: &str, more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let mut fields = row(&[("User", who), ("Host", "%"), ("Table_name", table)]);
    fields.extend(row(more));
    fields
}

#[test]
fn single_tables_and_columns_of_mysql_count_where_they_hold_secrets() {
    let tables: Answer = (
        "FROM mysql.tables_priv",
        vec![
            grant("reader", "slave_master_info", &[("Table_priv", "Select")]),
            grant("monitor", "db", &[("Table_priv", "Select")]),
            grant("writer", "db", &[("Table_priv", "Select,Update")]),
            grant("other", "time_zone", &[("Table_priv", "Select,Update")]),
        ],
    );
    let columns: Answer = (
        "FROM mysql.columns_priv",
        vec![
            grant(
                "hashes",
                "user",
                &[("Column_name", "authentication_string"), ("Column_priv", "Select")],
            ),
            grant("names", "user", &[("Column_name", "User"), ("Column_priv", "Select")]),
        ],
    );
    let names = ["reader", "monitor", "writer", "other", "hashes", "names"];
    let users = ("FROM mysql.user", names.map(|name| user(name, &[("ssl_type", "ANY")])).to_vec());
    let report = audit(&[&mysql(vec![variables(&[]), users, tables, columns])]);
    let about: Vec<_> =
        of(&report, "BLR057").iter().map(|it| it["object"].as_str().unwrap().to_owned()).collect();
    assert_eq!(about, ["'hashes'@'%'", "'reader'@'%'", "'writer'@'%'"]);
    let text = report.to_string();
    assert!(text.contains("REVOKE SELECT ON mysql.slave_master_info FROM 'reader'@'%';"), "{text}");
    assert!(text.contains("REVOKE UPDATE ON mysql.db FROM 'writer'@'%';"), "{text}");
    assert!(text.contains("REVOKE SELECT (authentication_string) ON mysql.user"), "{text}");
}

/// The audit's own account is given what it needs.
#[test]
fn the_account_of_the_audit_is_no_hole() {
    let columns: Answer = (
        "FROM mysql.columns_priv",
        ["audit", "other"]
            .map(|who| {
                let column = [("Column_name", "authentication_string"), ("Column_priv", "Select")];
                grant(who, "user", &column)
            })
            .to_vec(),
    );
    let own: Answer = ("version_comment", vec![row(&[("u", "audit@%"), ("c", "MySQL")])]);
    let users = ["audit", "other"].map(|who| user(who, &[("ssl_type", "ANY")])).to_vec();
    let report = audit(&[&mysql(vec![own, variables(&[]), ("FROM mysql.user", users), columns])]);
    let found = of(&report, "BLR057");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["object"], "'other'@'%'");
}

#[test]
fn what_a_role_has_its_holders_have() {
    let users =
        ("FROM mysql.user", vec![user("r", &[("account_locked", "Y")]), user("holder", &[])]);
    let edges: Answer = (
        "mysql.role_edges",
        vec![row(&[
            ("from_user", "r"),
            ("from_host", "%"),
            ("to_user", "holder"),
            ("to_host", "%"),
        ])],
    );
    let on_db: Answer = (
        "FROM mysql.db",
        vec![row(&[("User", "r"), ("Host", "%"), ("Db", "mysql"), ("Select_priv", "Y")])],
    );
    let report = audit(&[&mysql(vec![variables(&[]), users, edges, on_db])]);
    assert!(remedy(&report, "BLR057").contains("REVOKE 'r'@'%' FROM 'holder'@'%';"));
}

/// What is granted to MariaDB's PUBLIC is everybody's.
#[test]
fn who_has_a_right_by_public_is_found() {
    let maria = |answers| server("10.11.19-MariaDB", "Debian", answers);
    let on: Answer = (
        "SHOW GLOBAL VARIABLES",
        vec![row(&[("Variable_name", "encrypt_binlog"), ("Value", "ON")])],
    );
    let public = |more: &[(&'static str, &str)]| {
        let mut fields = row(&[("User", "PUBLIC"), ("Host", ""), ("is_role", "Y")]);
        fields.extend(row(more));
        fields
    };
    let named = |public| ("FROM mysql.user", vec![public, user("app", &[])]);
    let report = audit(&[&maria(vec![on.clone(), named(public(&[("Repl_slave_priv", "Y")]))])]);
    let found = of(&report, "BLR050");
    assert_eq!(found.len(), 1, "{report}");
    assert_eq!(found[0]["object"], "'app'@'%'");
    assert!(found[0]["message"].as_str().unwrap().contains("by the role PUBLIC"));
    // By a role that PUBLIC was given.
    let replicates = vec![
        public(&[]),
        row(&[("User", "r"), ("Host", ""), ("is_role", "Y"), ("Repl_slave_priv", "Y")]),
        user("app", &[]),
    ];
    let mapping: Answer = (
        "roles_mapping",
        vec![row(&[("from_user", "r"), ("from_host", ""), ("to_user", "PUBLIC"), ("to_host", "")])],
    );
    let report = audit(&[&maria(vec![on.clone(), ("FROM mysql.user", replicates), mapping])]);
    assert_eq!(count(&report, "BLR050"), 1, "{report}");
    // The tables of mysql.
    let on_db: Answer = (
        "FROM mysql.db",
        vec![row(&[("User", "PUBLIC"), ("Host", ""), ("Db", "mysql"), ("Select_priv", "Y")])],
    );
    let report = audit(&[&maria(vec![on, named(public(&[])), on_db])]);
    assert_eq!(remedy(&report, "BLR057"), "REVOKE SELECT ON mysql.* FROM PUBLIC;");
}

#[test]
fn who_may_clone_the_server_must_do_so_over_tls() {
    let plugin = |name: &str| -> Answer {
        (
            "information_schema.plugins",
            vec![row(&[("PLUGIN_NAME", name), ("PLUGIN_STATUS", "ACTIVE")])],
        )
    };
    let right: Answer = (
        "mysql.global_grants",
        vec![row(&[("USER", "donor"), ("HOST", "%"), ("PRIV", "BACKUP_ADMIN")])],
    );
    for (name, requirement, expected) in
        [("clone", "", 1), ("clone", "ANY", 0), ("semisync", "", 0)]
    {
        let users = ("FROM mysql.user", vec![user("donor", &[("ssl_type", requirement)])]);
        let answers = vec![variables(&[]), plugin(name), right.clone(), users];
        let report = audit(&[&mysql(answers)]);
        assert_eq!(count(&report, "BLR074"), expected, "{name} {requirement}");
    }
}

#[test]
fn a_channel_that_may_turn_to_strangers_says_so() {
    let list: Answer = (
        "asynchronous_connection_failover\0",
        vec![row(&[("CHANNEL_NAME", ""), ("HOST", "db9"), ("PORT", "3306")])],
    );
    // The managed table's name begins with the other one's: it is asked for first here.
    let managed: Answer =
        ("failover_managed", vec![row(&[("CHANNEL_NAME", ""), ("MANAGED_NAME", "g-1")])]);
    let plain: Answer = ("connection_failover", list.1);
    let report = audit(&[&mysql(vec![variables(&[]), channel(&[]), managed, plain])]);
    let messages: Vec<_> =
        of(&report, "BLR070").iter().map(|it| it["message"].as_str().unwrap().to_owned()).collect();
    assert!(messages.iter().any(|it| it.contains("db9:3306")), "{messages:?}");
    assert!(messages.iter().any(|it| it.contains("any member of the group g-1")), "{messages:?}");
}

/// Two lists of ciphers that have none in common.
#[test]
fn ciphers_that_the_two_ends_do_not_share_are_told() {
    let pair = |of_source: &[(&'static str, &str)], of_channel: &[(&'static str, &str)]| {
        let source = mysql(vec![variables(&[&[("server_uuid", "u-1")], of_source].concat())]);
        let own = [&[("Source_UUID", "u-1")], of_channel].concat();
        let replica = mysql(vec![variables(&[("server_uuid", "u-2")]), channel(&own)]);
        count(&audit(&[&source, &replica]), "BLR069")
    };
    let only = [("tls_version", "TLSv1.2"), ("ssl_cipher", "ECDHE-RSA-AES256-GCM-SHA384")];
    assert_eq!(pair(&only, &[("Source_SSL_Cipher", "ECDHE-RSA-AES128-GCM-SHA256")]), 1);
    assert_eq!(pair(&only, &[("Source_SSL_Cipher", "AES128-SHA:ECDHE-RSA-AES256-GCM-SHA384")]), 0);
    assert_eq!(pair(&only, &[("Source_SSL_Cipher", "HIGH")]), 0, "a word may mean any");
    assert_eq!(pair(&only, &[]), 0);
    // TLS 1.3 has its own list, and both have it.
    let both = [("ssl_cipher", "ECDHE-RSA-AES256-GCM-SHA384")];
    assert_eq!(pair(&both, &[("Source_SSL_Cipher", "ECDHE-RSA-AES128-GCM-SHA256")]), 0);
}

/// No word of a remedy or a cause is one that the version does not know.
#[test]
fn old_servers_are_told_in_their_own_words() {
    let status = |part: &'static str, error: &str| -> Answer {
        (
            part,
            vec![row(&[
                ("Master_Host", "db1"),
                ("Master_Port", "3306"),
                ("Slave_IO_Running", "Connecting"),
                ("Master_SSL_Allowed", "Yes"),
                ("Master_SSL_Verify_Server_Cert", "Yes"),
                ("Master_SSL_CA_File", "/etc/mysql/ca.pem"),
                ("Master_TLS_Version", "TLSv1,TLSv1.2"),
                ("Last_IO_Errno", "2026"),
                ("Last_IO_Error", error),
            ])],
        )
    };
    let failed = "error connecting: SSL connection error: certificate verify failed";
    for (version, comment, part) in [
        ("5.7.44-log", "MySQL", "SHOW SLAVE STATUS"),
        ("11.4.2-MariaDB", "mariadb.org", "SHOW ALL SLAVES STATUS"),
    ] {
        let report =
            audit(&[&server(version, comment, vec![variables(&[]), status(part, failed)])]);
        let text =
            Value::from(of(&report, "BLR066").into_iter().cloned().collect::<Vec<_>>()).to_string();
        assert!(
            text.contains("MASTER_HOST") && text.contains("MASTER_SSL_CA"),
            "{version}: {text}"
        );
        assert!(!text.contains("SOURCE_"), "{version}: {text}");
        assert!(!remedy(&report, "BLR066").contains("REPLICA"), "{version}: {text}");
        let versions = remedy(&report, "BLR062");
        assert_eq!(versions.contains("TLSv1.3"), !version.starts_with('5'), "{versions}");
    }
}

/// A statement that would stop a replica that lacks the account is kept out of the binary log; IF EXISTS
/// needs no such care.
#[test]
fn a_change_of_name_does_not_reach_a_replica_without_the_account() {
    let only = |name: &str| {
        let fields = [("Repl_slave_priv", "Y"), ("Select_priv", "Y")];
        ("FROM mysql.user", vec![user(name, &fields)])
    };
    let replica = |users: Answer| {
        mysql(vec![variables(&[("server_uuid", "u-2")]), channel(&[("Source_UUID", "u-1")]), users])
    };
    let source = mysql(vec![variables(&[("server_uuid", "u-1")]), only("alone")]);
    let (_, plan) = run(&[&source, &replica(only("other"))], &["--plan"]);
    let rename = plan.find("RENAME USER 'alone'").unwrap();
    let before = plan[..rename].rfind("SET sql_log_bin = 0;").unwrap();
    assert!(!plan[before..rename].contains("# step"), "{plan}");
    let revoke = plan.find("REVOKE SELECT ON *.* FROM 'alone'").unwrap();
    assert!(plan[..revoke].ends_with("SET sql_log_bin = 0;\n"), "{plan}");
    let require = plan.find("ALTER USER IF EXISTS 'alone'").unwrap();
    assert!(!plan[..require].ends_with("sql_log_bin = 0;\n"), "{plan}");
    // Where the replica was not asked, nobody knows.
    let dump: Answer = (
        "performance_schema.threads",
        vec![row(&[
            ("id", "7"),
            ("user", "alone"),
            ("host", "h"),
            ("version", "TLSv1.3"),
            ("uuid", "u-9"),
        ])],
    );
    let source = mysql(vec![
        variables(&[("server_uuid", "u-1"), ("performance_schema", "ON")]),
        only("alone"),
        dump,
    ]);
    let (_, plan) = run(&[&source], &["--plan"]);
    assert!(plan.contains("whether every replica has this account is not known"), "{plan}");
    // No replica at all: nothing to be careful of.
    let source = mysql(vec![variables(&[("server_uuid", "u-1")]), only("alone")]);
    let (_, plan) = run(&[&source], &["--plan"]);
    assert!(plan.contains("RENAME USER") && !plan.contains("sql_log_bin"), "{plan}");
}

fn files(directory: &Path, options: &str, more: &[&str]) -> Value {
    let path = directory.join("my.cnf");
    std::fs::write(&path, options).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_binlogsec"));
    command.args(["audit", "--format", "json", "--defaults-file"]).arg(&path).args(more);
    let output = command.output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn certificates_of_programs_are_none_of_channels() {
    let directory = tempfile::tempdir().unwrap();
    let with = "[mysqld]\nssl_ca=/ca.pem\n[client]\nssl-cert=/c.pem\nssl-key=/k.pem\n";
    let report = files(directory.path(), with, &["--server-version", "8.4.3"]);
    assert!(remedy(&report, "BLR018").contains("SOURCE_SSL_CERT"));
    assert_eq!(of(&report, "BLR018")[0]["line"], 4);
    let old = files(directory.path(), with, &["--server-version", "5.7.44"]);
    let text = remedy(&old, "BLR018");
    assert!(text.contains("MASTER_SSL_CERT") && !text.contains("SOURCE"), "{text}");
    let without = "[mysqld]\nssl_ca=/ca.pem\n[client]\nuser=x\n";
    assert_eq!(count(&files(directory.path(), without, &[]), "BLR018"), 0);
}

#[test]
fn a_clusters_links_are_held_to_tls_node_by_node() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.ini");
    let nodes = |ndbd: &str, mgm: &str| {
        let text = format!(
            "[ndbd default]\nNoOfReplicas=2\n{ndbd}\n[ndb_mgmd]\nHostName=m\n{mgm}\n[ndbd]\nHostName=a\n\
             [ndbd]\nHostName=b\nRequireTls=0\n[mysqld]\n"
        );
        std::fs::write(&config, text).unwrap();
        let report = files(
            directory.path(),
            "[mysqld]\nndbcluster\nndb-mgm-tls=strict\n",
            &["--cluster-config", config.to_str().unwrap(), "--server-version", "9.7"],
        );
        let found = of(&report, "BLR025");
        found
            .iter()
            .map(|it| it["message"].as_str().unwrap().split(':').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(nodes("", ""), ["m", "a", "b"]);
    assert_eq!(
        nodes("RequireTls=true", "RequireTls: 1"),
        ["b"],
        "its own word outweighs the default"
    );
}

/// Two authorities, a certificate, and lists that are good, old, of the other one, and with the certificate in
/// them; directories with and without the names that OpenSSL looks for.
const REVOCATION: &str = "
set -e
for ca in one two; do
  openssl req -x509 -newkey rsa:2048 -nodes -days 900 -subj /CN=$ca -keyout $ca.key -out $ca.pem
  mkdir db-$ca; touch db-$ca/index.txt; echo 01 > db-$ca/serial; echo 01 > db-$ca/crlnumber
  printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=db-%s/index.txt\\nserial=db-%s/serial\\ncrlnumber=db-%s/crlnumber\\nnew_certs_dir=db-%s\\ndefault_md=sha256\\npolicy=p\\n[p]\\ncommonName=supplied\\n' $ca $ca $ca $ca > $ca.cnf
done
openssl req -newkey rsa:2048 -nodes -subj /CN=db1 -keyout db1.key -out db1.csr
printf 'subjectAltName=DNS:db1\\n' > ext
openssl ca -batch -config one.cnf -cert one.pem -keyfile one.key -days 800 -extfile ext -in db1.csr -out db1.pem -notext
openssl ca -config one.cnf -cert one.pem -keyfile one.key -gencrl -crldays 100 -out good.crl
openssl ca -config two.cnf -cert two.pem -keyfile two.key -gencrl -crldays 100 -out other.crl
openssl ca -config one.cnf -cert one.pem -keyfile one.key -gencrl -crl_lastupdate 20200101000000Z -crl_nextupdate 20200201000000Z -out old.crl
openssl ca -config one.cnf -cert one.pem -keyfile one.key -revoke db1.pem
openssl ca -config one.cnf -cert one.pem -keyfile one.key -gencrl -crldays 100 -out revoked.crl
mkdir plain hashed; cp good.crl plain/; cp good.crl hashed/$(openssl crl -hash -noout -in good.crl).r0
chmod 600 *.key
";

/// Lists of revoked certificates: not there, none, out of date, of another authority, with the
/// server's own certificate in it; a directory without the names that OpenSSL looks for.
#[test]
fn lists_of_revoked_certificates_are_read() {
    if !openssl::is_here() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let done =
        Command::new("sh").args(["-c", REVOCATION]).current_dir(&directory).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let at = |name: &str| directory.path().join(name).display().to_string();
    let with = |option: &str, name: &str| {
        let text = format!(
            "[mysqld]\nssl_ca={}\nssl_cert={}\nssl_key={}\n{option}={}\n",
            at("one.pem"),
            at("db1.pem"),
            at("db1.key"),
            at(name)
        );
        files(directory.path(), &text, &["--server-version", "9.7"])
    };
    for (option, name, part, severity) in [
        ("ssl_crl", "not-there.crl", "o such file", "error"),
        ("ssl_crl", "one.pem", "no list of revoked certificates", "error"),
        ("ssl_crl", "old.crl", "out of date since 2020-02-01", "error"),
        ("ssl_crl", "other.crl", "CN=two, which is none of the authorities", "warning"),
        ("ssl_crl", "revoked.crl", "revokes CN=db1", "error"),
        ("ssl_crlpath", "plain", "openssl rehash", "error"),
        ("ssl_crlpath", "not-there", "o such file", "error"),
    ] {
        let report = with(option, name);
        let found = of(&report, "BLR041");
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        assert!(found[0]["message"].as_str().unwrap().contains(part), "{name}: {}", found[0]);
        assert_eq!(found[0]["severity"], severity, "{name}");
        assert!(found[0]["counts"].as_bool().unwrap());
    }
    for (option, name) in [("ssl_crl", "good.crl"), ("ssl_crlpath", "hashed")] {
        let report = with(option, name);
        assert_eq!(count(&report, "BLR041"), 0, "{name}: {report}");
        assert!(report["applied"].as_array().unwrap().contains(&"BLR041".into()));
    }
    // That of a channel, in master.info.
    std::fs::create_dir(directory.path().join("data")).unwrap();
    let lines = format!(
        "25\nb.000001\n4\ndb1\nrepl\n\n3306\n60\n1\n{}\n\n\n\n\n1\n30.0\n\n0\n\n86400\n{}\n\n0\n\n\n",
        at("one.pem"),
        at("old.crl")
    );
    std::fs::write(directory.path().join("data/master.info"), lines).unwrap();
    let report = files(
        directory.path(),
        "[mysqld]\nbinlog_format=ROW\n",
        &["--datadir", &at("data"), "--server-version", "5.7.44"],
    );
    let found = of(&report, "BLR041");
    assert_eq!(found.len(), 1, "{report}");
    assert!(found[0]["message"].as_str().unwrap().contains("SSL_CRL of the default channel"));
}
