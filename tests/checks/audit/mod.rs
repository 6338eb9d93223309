//! `binlogsec audit` on files: set-ups as guides have them are green; each hole that is opened in
//! one of them is found, and nothing else; the remedy, applied as printed, closes it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use crate::common;

mod certificates;
mod key_stores;
mod machine;
mod option_files;
mod page;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use common::openssl;
use machine::{
    MARIADB, MASTER_INFO, Machine, NDB, OLD, OLD_MARIADB, REPLICA, SOURCE, ids, machine, set,
};

#[test]
fn set_ups_of_the_guides_are_green() {
    if !openssl::is_here() {
        return;
    }
    for (setup, counted, notes) in [
        // Accounts, channels in tables and the like are not to be seen in files.
        (SOURCE, &[][..], &["BLS013", "BLR072"][..]),
        (REPLICA, &[], &["BLS013", "BLR072"]),
        (OLD, &["BLR002"], &["BLR072"]),
        (NDB, &[], &["BLS013", "BLR072"]),
        (MARIADB, &[], &["BLR072"]),
    ] {
        let machine = machine(setup);
        let (code, text, stderr) = machine.run("text", &[]);
        assert_eq!(machine.found(false), set(counted), "{}: {text}{stderr}", setup.0);
        assert_eq!(code, i32::from(!counted.is_empty()), "{text}");
        let verdict = text.lines().last().unwrap();
        assert!(!verdict.starts_with("PASS"), "what was not looked at does not pass: {text}");
        let all: BTreeSet<_> = set(counted).union(&set(notes)).cloned().collect();
        assert_eq!(machine.found(true), all, "{}: {text}", setup.0);
    }
}

type Open = fn(&Machine);

/// How an option opens a hole.
enum Hole {
    /// By standing at the end of my.cnf.
    With(&'static str),
    /// By not standing in a file.
    Without(&'static str, &'static str),
}

use Hole::{With, Without};

/// A hole that an option opens, and the option lines that are printed close again.
#[test]
fn holes_of_options_are_found_and_closed_by_what_is_printed() {
    if !openssl::is_here() {
        return;
    }
    let replica = "conf.d/replica.cnf";
    for (setup, open, id) in [
        (SOURCE, Without("my.cnf", "binlog_encryption        = ON"), "BLR001"),
        (SOURCE, With("skip-binlog-encryption"), "BLR001"),
        (REPLICA, Without(replica, "binlog-encryption\n"), "BLR001"),
        (SOURCE, With("require_secure_transport=0"), "BLR020"),
        (REPLICA, Without(replica, "require-secure-transport   = 1"), "BLR020"),
        (SOURCE, With("tls-version=TLSv1.1,TLSv1.2"), "BLR021"),
        (OLD, Without("my.cnf", "tls_version               = TLSv1.2"), "BLR021"),
        (OLD, With("master-info-repository=FILE"), "BLR011"),
        (NDB, With("require_secure_transport=OFF"), "BLR020"),
        (MARIADB, With("skip-encrypt-binlog"), "BLR001"),
        (MARIADB, With("encrypt-tmp-files=0"), "BLR009"),
        (MARIADB, With("require-secure-transport=OFF"), "BLR020"),
        (MARIADB, With("tls_version=TLSv1.0"), "BLR021"),
        (OLD_MARIADB, Without("my.cnf", "tls_version               = TLSv1.2,TLSv1.3"), "BLR021"),
    ] {
        let machine = machine(setup);
        let before = machine.found(false);
        match open {
            With(option) => machine.add_option(option),
            Without(file, line) => machine.replace(file, line, ""),
        }
        let report = machine.report();
        let opened: BTreeSet<_> = before.union(&set(&[id])).cloned().collect();
        assert_eq!(ids(&report, false), opened, "{} {id}", setup.0);
        machine.apply(&report, id);
        assert_eq!(machine.found(false), before, "{} {id} is closed", setup.0);
    }
}

/// The section that lists the logs says of each whether its own bytes prove that it is encrypted.
#[test]
fn logs_are_listed_with_their_proof() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(NDB);
    let keyring = machine.path("keys/keyring");
    let with_keys = ["--keyring", keyring.to_str().unwrap()];
    let section = |more: &[&str]| {
        let (_, text, _) = machine.run("text", more);
        text.split("Logs of ").nth(1).unwrap().split("\n\n").next().unwrap().to_owned()
    };
    let proven = section(&with_keys);
    assert!(proven.contains(": 4, proven to be encrypted: 4"), "{proven}");
    assert_eq!(proven.matches("encrypted, proven").count(), 4, "{proven}");
    let unproven = section(&[]);
    assert!(unproven.contains(": 4, proven to be encrypted: 0"), "{unproven}");
    assert!(unproven.contains("--keyring") && unproven.contains("not proven"), "{unproven}");
    let plain = common::mixed().join("binlog.000001");
    std::fs::copy(plain, machine.path("data/binlog.000007")).unwrap();
    let mixed = section(&with_keys);
    assert!(mixed.contains(": 5, proven to be encrypted: 4"), "{mixed}");
    assert!(
        mixed.lines().any(|line| line.contains("binlog.000007") && line.contains("in the clear"))
    );
}

#[test]
fn what_options_note_does_not_count() {
    if !openssl::is_here() {
        return;
    }
    for (setup, option, id) in [
        (SOURCE, "binlog_rotate_encryption_master_key_at_startup=OFF", "BLR006"),
        (SOURCE, "binlog_format=STATEMENT", "BLR008"),
        (SOURCE, "disable-log-bin", "BLR010"),
        (SOURCE, "binlog_transaction_compression=ON", "BLR013"),
        (SOURCE, "binlog_row_metadata=FULL", "BLR014"),
        (NDB, "ndb-mgm-tls=relaxed", "BLR025"),
    ] {
        let machine = machine(setup);
        let before = machine.found(true);
        machine.add_option(option);
        let opened: BTreeSet<_> = before.union(&set(&[id])).cloned().collect();
        assert_eq!(machine.found(true), opened, "{option}");
        assert_eq!(machine.run("text", &[]).0, 0);
    }
}

/// Holes of keyrings, modes and files beside the logs; commands are run as they are printed.
#[test]
fn holes_of_files_are_found_and_closed_by_what_is_printed() {
    if !openssl::is_here() {
        return;
    }
    let holes: &[((&str, &str), Open, &str)] = &[
        (SOURCE, |it| std::fs::remove_file(it.path("data/mysqld.my")).unwrap(), "BLR003"),
        (
            MARIADB,
            |it| {
                it.replace("my.cnf", "plugin_load_add           = file_key_management", "");
                it.replace("my.cnf", "file_key_management_filename", "#");
            },
            "BLR003",
        ),
        (SOURCE, |it| it.set_mode("keys/keyring", 0o644), "BLS010"),
        (SOURCE, |it| it.set_mode("tls/server-key.pem", 0o644), "BLR037"),
        (MARIADB, |it| it.set_mode("keys/password", 0o644), "BLR007"),
        (
            SOURCE,
            |it| {
                it.replace("my.cnf", "[client]", "[client]\npassword = x");
                it.set_mode("my.cnf", 0o644);
            },
            "BLR012",
        ),
        (
            SOURCE,
            |it| {
                std::fs::copy(it.path("tls/ca.pem"), it.path("data/ca.pem")).unwrap();
                std::fs::copy(it.path("authority/key.pem"), it.path("data/ca-key.pem")).unwrap();
            },
            "BLR040",
        ),
        (SOURCE, |it| it.write("data/master.info", MASTER_INFO), "BLR011"),
    ];
    for (setup, open, id) in holes {
        let machine = machine(*setup);
        // A keyring that all can read is a note until the policy says otherwise.
        let policy = machine.path("policy.toml");
        std::fs::write(&policy, "[rules]\nBLS010 = \"error\"\n").unwrap();
        let found = || {
            let (_, stdout, _) = machine.run("json", &["--policy", policy.to_str().unwrap()]);
            serde_json::from_str::<Value>(&stdout).unwrap()
        };
        assert_eq!(ids(&found(), false), set(&[]), "{id}");
        open(&machine);
        let report = found();
        assert_eq!(ids(&report, false), set(&[id]), "{} {id}", setup.0);
        machine.apply(&report, id);
        assert_eq!(ids(&found(), false), set(&[]), "{} {id} is closed", setup.0);
    }
}

#[test]
fn channels_in_master_info_are_judged_and_drawn() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(OLD);
    for (old, new, counted) in [
        ("", "", &["BLR002", "BLR011"][..]),
        ("secret", "", &["BLR002"]),
        ("60\n1\n", "60\n0\n", &["BLR002", "BLR011", "BLR060"]),
        ("\n1\n30.000", "\n0\n30.000", &["BLR002", "BLR011", "BLR061"]),
    ] {
        let text =
            if old.is_empty() { MASTER_INFO.to_owned() } else { MASTER_INFO.replace(old, new) };
        machine.write("data/master.info", &text);
        let report = machine.report();
        assert_eq!(ids(&report, false), set(counted), "{new}");
        let edge = &report["topology"]["edges"][0];
        assert_eq!(edge["in_transit"] == "no", counted.contains(&"BLR060"));
        assert_eq!(edge["verified"] == "yes", counted.len() < 3, "{edge}");
        assert!(!report.to_string().contains("secret"));
    }
}

#[test]
fn the_frame_is_that_of_check() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(SOURCE);
    machine.add_option("require_secure_transport=OFF");
    let file = |name: &str| machine.path(name).to_str().unwrap().to_owned();
    machine.write("policy.toml", "[rules]\nBLR020 = \"off\"\n");
    assert_eq!(machine.run("text", &["--policy", &file("policy.toml")]).0, 0);
    machine.write(
        "baseline.toml",
        "[[finding]]\nid = \"secure-transport-optional\"\npath = \"**/my.cnf\"\n\
         reason = \"clients first\"\nexpires = 2999-01-01\n",
    );
    let (code, text, _) = machine.run("text", &["--baseline", &file("baseline.toml")]);
    assert!(code == 0 && text.contains("clients first"), "{text}");
    let reports = ["json", "sarif", "junit", "html", "github"];
    let arguments: Vec<_> = reports
        .iter()
        .flat_map(|name| ["--report".to_owned(), format!("{name}={}", file(name))])
        .collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let (code, text, _) = machine.run("text", &arguments);
    assert_eq!(code, 1);
    assert!(text.lines().last().unwrap().starts_with("FAIL: "), "{text}");
    for name in reports {
        let report = std::fs::read_to_string(machine.path(name)).unwrap();
        assert!(report.contains("BLR020"), "{name}");
    }
    schema("docs/schema/audit.json", &machine.path("json"));
    schema("tests/schemas/sarif-2.1.0.json", &machine.path("sarif"));
    let nowhere = Command::new(env!("CARGO_BIN_EXE_binlogsec"))
        .args(["audit", "--datadir", "/nowhere"])
        .output()
        .unwrap();
    assert_eq!(nowhere.status.code(), Some(2));
}

fn schema(schema: &str, report: &Path) {
    let json = |path: &Path| -> Value {
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut document = json(&root.join(schema));
    if schema.contains("sarif") {
        common::mend_sarif_schema(&mut document);
    }
    let validator = jsonschema::validator_for(&document).unwrap();
    let report = json(report);
    let errors: Vec<_> = validator
        .iter_errors(&report)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{schema}: {errors:#?}");
}

/// Lines with which a server does not start are errors, and so is a keyring that is not there.
#[test]
fn options_that_a_version_refuses_are_errors_with_their_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("my.cnf");
    for (version, lines, expected, absent) in [
        ("9.7.4", "early-plugin-load=keyring_file.so", "BLR003", "BLR005"),
        ("8.4.0", "early-plugin-load=keyring_file=keyring_file.so", "BLR003", "BLR004"),
        ("9.7.4", "early-plugin-load=component_keyring_file.so", "BLR003", "BLR005"),
        ("9.7.4", "plugin-load-add=keyring_file.so", "BLR003", "BLR004"),
        ("9.7.4", "master_info_repository=TABLE", "BLR017", "BLR011"),
        ("9.7.4", "ssl", "BLR017", "BLR022"),
        ("8.0.36", "encrypt_binlog=ON", "BLR017", "BLR003"),
        ("10.11.19-MariaDB", "binlog_encryption=ON", "BLR017", "BLR003"),
        ("5.7.44", "binlog_encryption=ON", "BLR017", "BLR001"),
        ("5.7.44", "loose-binlog_encryption=ON", "BLR002", "BLR017"),
        ("5.7.44", "tls_version=TLSv1.2,TLSv1.3", "BLR021", "BLR017"),
        ("9.7.4", "tls_version=TLSv1,TLSv1.2", "BLR021", "BLR017"),
        ("11.8.2-MariaDB", "encrypt_binlog=ON", "BLR023", "BLR022"),
        ("10.11.19-MariaDB", "encrypt_binlog=ON", "BLR022", "BLR021"),
    ] {
        std::fs::write(&file, format!("[mysqld]\n{lines}\n")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_binlogsec"))
            .args(["audit", "--format", "json", "--server-version", version, "--defaults-file"])
            .arg(&file)
            .output()
            .unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let found = ids(&report, false);
        assert!(found.contains(expected), "{version} {lines}: {found:?}");
        assert!(!found.contains(absent), "{version} {lines}: {found:?}");
        let findings = report["findings"].as_array().unwrap();
        let remedies: String = findings
            .iter()
            .filter(|it| it["counts"] == true)
            .map(|it| it["remedy"].to_string())
            .collect();
        assert!(!remedies.contains("mysql_migrate_keyring"), "{version} {lines}: {remedies}");
        if expected != "BLR002" && expected != "BLR023" {
            let severity = findings.iter().find(|it| it["id"] == expected).unwrap();
            assert_eq!(severity["severity"], "error", "{version} {lines}");
        }
    }
}

/// Keys come first, and what demands TLS comes after what gives it.
#[test]
fn a_plan_has_what_counts_in_an_order_that_can_be_followed() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(MARIADB);
    machine.replace("my.cnf", "plugin_load_add           = file_key_management", "");
    machine.replace("my.cnf", "file_key_management_filename", "#");
    machine.add_option("skip-encrypt-binlog\nrequire-secure-transport=OFF\ntls_version=TLSv1.0");
    let output = Command::new(env!("CARGO_BIN_EXE_binlogsec"))
        .args(["audit", "--plan", "--server-version", "10.11.6-MariaDB", "--defaults-file"])
        .arg(machine.path("my.cnf"))
        .output()
        .unwrap();
    let plan = String::from_utf8(output.stdout).unwrap();
    let places: Vec<_> = ["# BLR003", "# BLR021", "# BLR001", "# BLR020"]
        .iter()
        .map(|it| plan.find(it).unwrap_or_else(|| panic!("{it}: {plan}")))
        .collect();
    assert!(places.is_sorted(), "{plan}");
    assert!(!plan.contains("SET PERSIST"), "MariaDB has no such statement: {plan}");
    assert_eq!(output.status.code(), Some(1));
}

/// What lies in a directory of 9.7 as master.info was left behind: the server has tables.
#[test]
fn a_stale_master_info_is_shredded_and_not_judged() {
    if !openssl::is_here() {
        return;
    }
    let machine = machine(SOURCE);
    machine.write("data/master.info", &MASTER_INFO.replace("60\n1\n", "60\n0\n"));
    assert_eq!(machine.found(false), set(&["BLR011"]));
    assert_eq!(machine.report()["topology"]["edges"].as_array().unwrap().len(), 0);
}

/// Verification needs an authority: before MariaDB 11.4, a channel without one cannot connect.
#[test]
fn verification_without_an_authority_is_none() {
    if !openssl::is_here() {
        return;
    }
    for (version, id) in [("10.11.6-MariaDB", Some("BLR067")), ("11.8.2-MariaDB", None)] {
        let machine = Machine::new("mariadb-10.11-source", version);
        let info = "33\nb.000001\n4\n10.0.0.1\nrepl\n\n3306\n60\n1\n\n\n\n\n\n1\n60.000\n\n\n\n\
                    \n\n\n\n\n\n\n\n\n\n\n\nusing_gtid=0\ndo_domain_ids=0\nEND_MARKER\n";
        machine.write("data/master.info", info);
        let report = machine.report();
        assert_eq!(ids(&report, false).contains("BLR067"), id.is_some(), "{version}");
        let verified = if id.is_some() { "no" } else { "yes" };
        assert_eq!(report["topology"]["edges"][0]["verified"], verified, "{version}");
    }
}
