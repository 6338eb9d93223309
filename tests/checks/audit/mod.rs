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
mod machine;
mod option_files;
mod page;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use common::openssl;
use machine::{MARIADB, MASTER_INFO, Machine, NDB, OLD, REPLICA, SOURCE, ids, machine, set};

#[test]
fn set_ups_of_the_guides_are_green() {
    if !openssl::is_here() {
        return;
    }
    for (setup, counted, notes) in [
        (SOURCE, &[][..], &["BLS013"][..]),
        (REPLICA, &[], &["BLS013"]),
        (OLD, &["BLR002"], &[]),
        (NDB, &[], &["BLS013"]),
        (MARIADB, &[], &[]),
    ] {
        let machine = machine(setup);
        let (code, text, stderr) = machine.run("text", &[]);
        assert_eq!(machine.found(false), set(counted), "{}: {text}{stderr}", setup.0);
        assert_eq!(code, i32::from(!counted.is_empty()), "{text}");
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
        (MARIADB, Without("my.cnf", "tls_version               = TLSv1.2,TLSv1.3"), "BLR021"),
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
