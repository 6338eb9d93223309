//! Every JSON report of the command against its published schema, on real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::path::Path;

use jsonschema::Validator;
use serde_json::{Value, json};
use tempfile::TempDir;

use common::{fixture, mixed};

const UUID: &str = "2bc92730-e533-11f1-b7bc-02fc00000001";

/// Every report once in each of its forms: the exit code, and the command in a directory that has
/// a real server's logs, `keyring` and `other` (an older generation), `damaged` and `nothing`.
const COMMANDS: &[(&str, i32, &str)] = &[
    ("audit", 1, "audit --defaults-file my.cnf --datadir ."),
    ("audit", 1, "audit --datadir . --keyring keyring"),
    ("audit", 2, "audit --datadir nowhere"),
    ("check", 1, "check ."),
    ("check", 1, "check . --keyring keyring --baseline baseline.toml"),
    ("check", 2, "check nowhere"),
    ("config", 0, "config show"),
    ("decrypt", 0, "decrypt binlog.000003 -o plain --keyring keyring"),
    ("decrypt", 4, "decrypt binlog.000003 . nowhere --output-dir out --keyring keyring"),
    ("encrypt", 0, "encrypt binlog.000001 -o encrypted --keyring keyring"),
    ("encrypt", 2, "encrypt binlog.index damaged --output-dir out2 --keyring keyring"),
    ("encrypt", 0, "encrypt --in-place --dry-run binlog.000001 --keyring keyring"),
    ("events", 0, "events binlog.index --keyring keyring"),
    ("events", 0, "events binlog.index --keyring keyring --stats"),
    ("events", 4, "events damaged nowhere --keyring keyring"),
    ("events-found", 0, "events binlog.index --keyring keyring --find insert"),
    ("events-found", 4, "events damaged nowhere --keyring keyring --find insert"),
    ("explain", 0, "explain"),
    ("inspect", 0, "inspect ."),
    ("inspect", 4, "inspect . --keyring keyring damaged nothing"),
    ("inspect", 2, "inspect nowhere"),
    ("keyring", 2, "keyring keyring other plugin nowhere"),
    ("keyring-coverage", 4, "keyring coverage . --keyring keyring --keyring other"),
    ("keyring-coverage", 3, "keyring coverage binlog.000003 --keyring other"),
    ("keyring-change", 0, "keyring new made --server-uuid UUID --as plugin"),
    ("keyring-change", 0, "keyring add-key keyring"),
    ("keyring-change", 0, "keyring convert plugin converted --as component"),
    ("recover", 0, "recover . --from beginning --plan --keyring keyring --keyring other"),
    ("recover", 3, "recover . --from beginning --plan"),
    ("rekey", 0, "rekey binlog.000003 --keyring keyring --new-keyring other --dry-run"),
    ("rekey", 4, "rekey . nowhere --keyring keyring --new-keyring other"),
    ("header", 0, "header restore binlog.000003 header --keyring keyring"),
    ("header-dump", 0, "header dump binlog.000003"),
    ("salvage", 0, "salvage binlog.000004 -o whole --keyring keyring --keyring other"),
    ("salvage", 1, "salvage damaged -o saved --keyring keyring --keyring other"),
    ("seal-keygen", 0, "seal keygen seal.key"),
    (
        "seal",
        0,
        "seal binlog.000003 binlog.000004 binlog.000006 -o manifest --sign-key seal.key --keyring keyring --keyring other",
    ),
    ("seal-anchor", 0, "seal anchor manifest"),
    ("seal-verify", 1, "seal verify manifest binlog.index --public-key seal.key.pub"),
    ("check", 1, "check . --sealed manifest --seal-public-key seal.key.pub"),
    ("verify", 0, "verify binlog.000001"),
    ("verify", 4, "verify . --keyring keyring --keyring other"),
];

fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for name in common::names(&mixed()) {
        std::fs::copy(mixed().join(&name), at(&name)).unwrap();
    }
    std::fs::rename(at("component_keyring_file"), at("keyring")).unwrap();
    let other = "mysql-9.7/mixed-key1-running/component_keyring_file";
    std::fs::copy(fixture(other), at("other")).unwrap();
    let plugin = "keyring-plugin/v2.0-le64.keyring";
    std::fs::copy(fixture(plugin), at("plugin")).unwrap();
    let mut log = std::fs::read(mixed().join("binlog.000005")).unwrap();
    std::fs::write(at("header"), &std::fs::read(mixed().join("binlog.000003")).unwrap()[..512])
        .unwrap();
    log[5000] ^= 1;
    std::fs::write(at("damaged"), log).unwrap();
    std::fs::write(at("nothing"), "").unwrap();
    std::fs::write(at("my.cnf"), "[mysqld]\nssl_ca=header\nssl_cert=header\n").unwrap();
    let baseline = "[[finding]]\nid = 'BLS001'\npath = '**/binlog.000001'\nreason = 'known'\nexpires = 2999-01-01\n";
    std::fs::write(at("baseline.toml"), baseline).unwrap();
    directory
}

fn report(directory: &Path, command: &str, code: i32) -> Value {
    let command = command.replace("UUID", UUID);
    let output = common::binlogsec()
        .current_dir(directory)
        .args(command.split(' '))
        .args(["--format", "json"])
        .output()
        .unwrap();
    let said = common::said(&output, directory);
    assert_eq!(output.status.code(), Some(code), "{command}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{command}: {error}"))
}

fn validator(name: &str) -> (Value, Validator) {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema").join(format!("{name}.json"));
    let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    (schema, validator)
}

#[test]
fn every_report_fits_its_schema_and_nothing_more_would() {
    let directory = directory();
    let mut seen = std::collections::BTreeSet::new();
    for (name, code, command) in COMMANDS {
        let (_, validator) = validator(name);
        let mut report = report(directory.path(), command, *code);
        let errors: Vec<_> = validator
            .iter_errors(&report)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{command}: {errors:#?}");
        let objects = spots(&report);
        for spot in &objects {
            let object = report.pointer_mut(spot).unwrap();
            object["not in the schema"] = json!(true);
            assert!(!validator.is_valid(&report), "{command}: {spot} is open");
            let object = report.pointer_mut(spot).unwrap().as_object_mut().unwrap();
            object.remove("not in the schema");
        }
        assert!(!objects.is_empty());
        seen.insert(*name);
    }
    rows_fit();
    seen.insert("rows");
    let published = common::names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema"));
    let mut seen: Vec<_> = seen.iter().map(|name| format!("{name}.json")).collect();
    seen.sort();
    assert_eq!(seen, published, "a schema without a report");
}

/// `rows` writes no report, and a line for each row: of all types of columns, of MySQL and of MariaDB.
fn rows_fit() {
    let (_, validator) = validator("rows");
    let mut lines = 0;
    let folder = fixture("rows");
    let logs = common::names(&folder).into_iter().filter(|name| name.ends_with(".000001"));
    for log in logs {
        let output = common::binlogsec()
            .current_dir(&folder)
            .args(["rows", &log, "--format", "json"])
            .output()
            .unwrap();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let mut row: Value = serde_json::from_str(line).unwrap();
            let errors: Vec<_> = validator
                .iter_errors(&row)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{log}: {errors:#?} {line}");
            row["not in the schema"] = json!(true);
            assert!(!validator.is_valid(&row));
            lines += 1;
        }
    }
    assert!(lines > 100, "{lines}");
}

/// JSON pointers to every object of a report but the counts by name.
fn spots(report: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, spots: &mut Vec<String>) {
        match value {
            Value::Object(_) if at.contains("/by_") && !at.contains("/stats") => {}
            Value::Object(members) => {
                spots.push(at.to_owned());
                for (name, member) in members {
                    walk(member, &format!("{at}/{name}"), spots);
                }
            }
            Value::Array(items) => {
                // Events are many, and all of one kind.
                for (number, item) in items.iter().take(40).enumerate() {
                    walk(item, &format!("{at}/{number}"), spots);
                }
            }
            _ => {}
        }
    }
    let mut spots = Vec::new();
    walk(report, "", &mut spots);
    spots
}

#[test]
fn words_that_are_listed_are_no_others() {
    let directory = directory();
    let (_, validator) = validator("check");
    let mut report = report(directory.path(), "check .", 1);
    for (spot, value) in [
        ("/findings/0/id", json!("BLS999")),
        ("/findings/0/severity", json!("fatal")),
        ("/files/0/kind", json!("oracle")),
        ("/files/0/status", json!("maybe")),
        ("/files/0/size", json!(-1)),
        ("/summary/verdict", json!("perhaps")),
        ("/schema", json!("binlogsec.check/2")),
    ] {
        let before = std::mem::replace(report.pointer_mut(spot).unwrap(), value);
        assert!(!validator.is_valid(&report), "{spot}");
        *report.pointer_mut(spot).unwrap() = before;
    }
    assert!(validator.is_valid(&report));
}
