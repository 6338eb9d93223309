//! What of option files counts, what reports show of them, and what is not looked at.

use std::process::Command;

use serde_json::Value;

use crate::audit::machine::{MARIADB, REPLICA, SOURCE, ids, machine, set};
use crate::common::{mixed, openssl};

/// Values that may be secrets never reach a report; names do.
#[test]
fn reports_show_no_values_but_those_known_to_be_harmless() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(SOURCE);
    machine.add_option(
        "wsrep_sst_auth=sst:s3cret1\nauthentication_ldap_simple_bind_root_pwd=s3cret2\n\
         init_connect='SET @x = \"s3cret3\"'\nssl_passphrase=s3cret4\nsome.component=s3cret5\n\
         s3cret6 is no option\nreplica-load-tmpdir=/t",
    );
    machine.write(
        "data/mysqld-auto.cnf",
        "{\"Version\":2,\"mysql_dynamic_variables\":{\"init_replica\":{\"Value\":\"s3cret7\"}}}",
    );
    for format in ["json", "text", "html", "sarif", "junit", "github"] {
        let (_, report, stderr) = machine.run(format, &[]);
        assert!(!report.contains("s3cret"), "{format}: {report}");
        assert!(!stderr.contains("s3cret"), "{format}: {stderr}");
    }
    let report = machine.report();
    let options = &report["facts"]["options"];
    let names = |list: &str| -> Vec<String> {
        let entries = options[list].as_array().unwrap().iter();
        let names = entries.map(|it| it["name"].as_str().unwrap().to_owned());
        names.collect()
    };
    let withheld = names("withheld");
    for name in [
        "wsrep_sst_auth",
        "authentication_ldap_simple_bind_root_pwd",
        "init_connect",
        "ssl_passphrase",
        "some.component",
        "init_replica",
    ] {
        assert!(withheld.iter().any(|it| it == name), "{name}: {withheld:?}");
    }
    let values = names("values");
    for name in ["replica_load_tmpdir", "ssl_key", "report_host", "datadir"] {
        assert!(values.iter().any(|it| it == name), "{name}: {values:?}");
    }
}

/// Servers ignore it whole: what it sets is at its default.
#[test]
fn a_file_that_everybody_may_write_does_not_count() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(REPLICA);
    assert_eq!(machine.found(false), set(&[]));
    machine.set_mode("conf.d/replica.cnf", 0o666);
    let report = machine.report();
    let opened = set(&["BLR001", "BLR015", "BLR020"]);
    assert!(ids(&report, false).is_superset(&opened), "{report}");
    machine.apply(&report, "BLR015");
    assert_eq!(machine.found(false), set(&[]));
    machine.set_mode("my.cnf", 0o606);
    let report = machine.report();
    assert!(ids(&report, false).contains("BLR015"));
    let set_by_file = report["facts"]["options"]["values"].as_array().unwrap();
    let of_default = |it: &Value| it["source"].as_str().unwrap().starts_with("default");
    assert!(set_by_file.iter().all(of_default), "{set_by_file:?}");
}

#[test]
fn inclusions_are_followed_where_servers_follow_them() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(SOURCE);
    let add = |line: &str| machine.add_option(line);
    machine.write("beside.cnf", "[mysqld]\nrequire_secure_transport=OFF\n");
    // Servers go on without a file that is not there, and pass over other words.
    add("!include /nowhere/x.cnf\n!incl /nowhere");
    let (code, text, stderr) = machine.run("text", &[]);
    assert_eq!(code, 0, "{text}{stderr}");
    assert!(text.contains("no file /nowhere/x.cnf"), "{text}");
    assert_eq!(machine.found(false), set(&[]));
    assert!(machine.found(true).contains("BLR015"));
    // A relative path begins where the server is started, not where its option file is.
    add("!include beside.cnf");
    assert_eq!(machine.found(false), set(&["BLR015"]));
    let path = machine.path("beside.cnf");
    add(&format!("!include {}", path.display()));
    assert_eq!(machine.found(false), set(&["BLR015", "BLR020"]));
    // Without a directory that is to be included, a server does not start.
    add("!includedir /nowhere/conf.d");
    let (code, _, stderr) = machine.run("text", &[]);
    assert_eq!(code, 2, "{stderr}");
}

#[test]
fn groups_are_those_of_the_product() {
    if !openssl::is_here() {
        return;
    }
    let mine = machine(MARIADB);
    let text = std::fs::read_to_string(mine.path("my.cnf")).unwrap();
    for (group, option, mariadb) in [
        ("client-server", "require-secure-transport=OFF", "BLR020"),
        ("galera", "skip-encrypt-binlog", "BLR001"),
        ("mariadbd-10.11", "skip-encrypt-binlog", "BLR001"),
    ] {
        mine.write("my.cnf", &format!("{text}\n[{group}]\n{option}\n"));
        assert!(mine.found(false).contains(mariadb), "{group}");
    }
    let other = machine(SOURCE);
    let text = std::fs::read_to_string(other.path("my.cnf")).unwrap();
    for group in ["client-server", "galera", "mariadb", "mysqld-8", "mysqld-9.7"] {
        let group = format!("{text}\n[{group}]\nrequire_secure_transport=OFF\n");
        other.write("my.cnf", &group);
        assert_eq!(other.found(false), set(&[]), "{group}");
    }
}

#[test]
fn ciphers_without_encryption_or_authentication_are_found() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(SOURCE);
    for (list, found) in
        [("aNULL:eNULL", &["BLR024"][..]), ("ALL", &["BLR024"]), ("HIGH:!aNULL:!eNULL:-RC4", &[])]
    {
        machine.add_option(&format!("ssl_cipher={list}"));
        assert_eq!(machine.found(false), set(found), "{list}");
    }
}

const PERSISTED: &str =
    "{\"Version\":2,\"mysql_dynamic_variables\":{\"binlog_encryption\":{\"Value\":\"OFF\"}}}";

#[test]
fn persisted_variables_and_plain_logs_in_the_data_directory_count() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(SOURCE);
    machine.write("data/mysqld-auto.cnf", PERSISTED);
    assert_eq!(machine.found(false), set(&["BLR001"]));
    machine.add_option("persisted_globals_load=OFF");
    assert_eq!(machine.found(false), set(&[]));
    std::fs::copy(mixed().join("binlog.000001"), machine.path("data/old")).unwrap();
    machine.set_mode("data/old", 0o640);
    assert_eq!(machine.found(false), set(&["BLS001"]));
}

/// A file from elsewhere says nothing of the server on this machine.
#[test]
fn only_what_is_named_of_this_machine_is_looked_at() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(SOURCE);
    assert!(!machine.found(true).contains("BLR016"));
    let manifests = |report: &Value| report["facts"]["data_directory"]["manifests"].clone();
    let own = machine.path("data/mysqld.my");
    assert_eq!(manifests(&machine.report()), serde_json::json!([own]));
    let datadir = format!("datadir                  = {}", machine.path("data").display());
    machine.replace("my.cnf", &datadir, "");
    let report = machine.report();
    assert_eq!(ids(&report, true), set(&["BLR016", "BLR072"]));
    assert_eq!(report["facts"]["data_directory"], Value::Null);
    let certificates = report["facts"]["certificates"].as_array().unwrap();
    assert_eq!(certificates.len(), 2);
    machine.replace("my.cnf", "[mysqld]", "[mysqld]\ndatadir = /nowhere");
    let (code, text, _) = machine.run("text", &[]);
    assert!(code == 0 && text.contains("/nowhere is no directory"), "{text}");
}

#[test]
fn the_manifest_beside_the_server_is_that_of_its_basedir() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(SOURCE);
    std::fs::create_dir_all(machine.path("usr/sbin")).unwrap();
    let manifest = machine.path("data/mysqld.my");
    std::fs::rename(manifest, machine.path("usr/sbin/mysqld.my")).unwrap();
    let (_, text, _) = machine.run("text", &[]);
    assert_eq!(machine.found(false), set(&["BLR003"]), "{text}");
    machine.add_option(&format!("basedir={}", machine.path("usr").display()));
    assert_eq!(machine.found(false), set(&[]));
}

/// What would have no effect is refused, lest somebody rely on it.
#[test]
fn options_of_live_servers_that_would_not_be_used_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let server = |parameters: &str| format!("mysql://u@127.0.0.1:1/?{parameters}");
    for (arguments, part) in [
        (vec!["--datadir", data, "--server-ca", "ca.pem"], "--server"),
        (vec!["--datadir", data, "--password-file", "p"], "--server"),
        (vec!["--datadir", data, "--client-cert", "c", "--client-key", "k"], "--server"),
        (vec!["--server", &server("ssl-key=k.pem")], "ssl-key has no effect without ssl-cert"),
        (
            vec!["--server", &server("ssl-mode=DISABLED&ssl-ca=ca.pem")],
            "ssl-ca has no effect with ssl-mode=DISABLED",
        ),
        (
            vec!["--server-ca", "c", "--server", &server("ssl-mode=DISABLED")],
            "--server-ca has no effect",
        ),
        (vec!["--server", "mysql://u@[::1]x3306/"], "`:` and the port"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_binlogsec"))
            .arg("audit")
            .args(&arguments)
            .env("BINLOGSEC_SERVER_PASSWORD", "x")
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(part), "{arguments:?}: {stderr}");
    }
}
