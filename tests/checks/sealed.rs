//! `check --sealed`: logs that are not sealed, changed or missing, in every format.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::path::Path;

use common::checks::{encrypted_logs, findings, found, log, set, write};
use common::{binlogsec, mixed_keyring};
use serde_json::Value;
use tempfile::TempDir;

/// The last of the four logs is in use, and so not sealed.
fn sealed_logs() -> TempDir {
    let directory = encrypted_logs();
    ends(directory.path(), &format!("seal . -o m --hmac --keyring {}", keyring()), 0);
    directory
}

fn keyring() -> String {
    mixed_keyring().display().to_string()
}

fn ends(directory: &Path, arguments: &str, code: i32) -> String {
    let output = binlogsec().current_dir(directory).args(arguments.split(' ')).output().unwrap();
    let said = common::said(&output, directory);
    let written = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments}\n{written}\n{said}");
    written + &said
}

fn check(directory: &Path, code: i32) -> Value {
    let arguments = format!("check . --sealed m --keyring {} --format json", keyring());
    serde_json::from_str(&ends(directory, &arguments, code)).unwrap()
}

const IDS: [&str; 3] = ["BLS015", "BLS016", "BLS017"];

#[test]
fn unsealed_changed_and_missing_logs_are_findings() {
    let directory = sealed_logs();
    let at = |name: &str| directory.path().join(name);
    let report = check(directory.path(), 0);
    // Its server may be writing it: a note.
    assert_eq!(found(&report, &IDS), set(&["BLS015 binlog.000006"]));
    assert_eq!(findings(&report, "BLS015").next().unwrap()["severity"], "note");
    assert_eq!(
        (&report["sealed"]["unchanged"], &report["sealed"]["unsealed"]),
        (&3.into(), &1.into())
    );
    let text = report["summary"]["text"].as_str().unwrap();
    assert!(
        text.ends_with(
            "3 logs as sealed, 1 not sealed (lengths, headers and samples were compared)"
        ),
        "{text}"
    );

    let mut changed = log("binlog.000004");
    changed[30_000] ^= 1;
    write(&at("binlog.000004"), &changed);
    std::fs::remove_file(at("binlog.000003")).unwrap();
    write(&at("binlog.000007"), &log("binlog.000006"));
    let report = check(directory.path(), 1);
    let expected = [
        "BLS015 binlog.000006",
        "BLS015 binlog.000007",
        "BLS016 binlog.000004",
        "BLS017 binlog.000003",
    ];
    assert_eq!(found(&report, &IDS), set(&expected));
    let finding = findings(&report, "BLS016").next().unwrap();
    assert_eq!(finding["severity"], "error");
    assert_eq!(finding["evidence"][0]["offset"], 512);
    let weight = |name: &str| {
        let mut all = findings(&report, "BLS015");
        all.find(|it| it["path"].as_str().unwrap().ends_with(name)).unwrap()["severity"].clone()
    };
    assert_eq!((weight("6"), weight("7")), ("warning".into(), "note".into()));

    for (format, word) in [
        ("text", "error BLS016 log is not as it was sealed"),
        ("sarif", "\"ruleId\": \"BLS017\""),
        ("junit", "BLS016"),
        ("github", "BLS017"),
        ("prometheus", "binlogsec_check_logs_by_seal{status=\"missing\"} 1"),
    ] {
        let arguments = format!("check . --sealed m --keyring {} --format {format}", keyring());
        let written = ends(directory.path(), &arguments, 1);
        assert!(written.contains(word), "{format}: {written}");
    }
}

#[test]
fn the_oldest_unsealed_log_has_a_gauge() {
    let directory = sealed_logs();
    let name = "binlogsec_check_oldest_unsealed_log_timestamp_seconds";
    let gauge = || {
        let arguments = format!("check . --sealed m --keyring {} --format prometheus", keyring());
        let written = ends(directory.path(), &arguments, 0);
        let mut lines = written.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        line.unwrap_or_else(|| panic!("{written}"))
    };
    let last = directory.path().join("binlog.000006");
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    std::fs::File::options().write(true).open(&last).unwrap().set_modified(time).unwrap();
    assert_eq!(gauge(), 1_700_000_000);
    // The remedy, as printed, closes the finding, once the log is closed.
    let mut closed = log("binlog.000006");
    closed[512 + 21] ^= 1;
    write(&last, &closed);
    let report = check(directory.path(), 0);
    let remedy = findings(&report, "BLS015").next().unwrap()["remedy"].as_str().unwrap().to_owned();
    ends(directory.path(), remedy.strip_prefix("binlogsec ").unwrap(), 0);
    assert_eq!(gauge(), 0);
    assert!(found(&check(directory.path(), 0), &IDS).is_empty());
}

#[test]
fn rules_over_seals_are_applied_only_with_a_manifest_that_is_proven() {
    let directory = sealed_logs();
    let written =
        ends(directory.path(), &format!("check . --keyring {} --format junit", keyring()), 0);
    assert!(!written.contains("BLS015"), "a rule that was not applied did not pass");
    let written = ends(directory.path(), "check . --sealed m", 3);
    assert!(written.contains("no keyring was named"), "{written}");
    let anchor = ends(directory.path(), "seal anchor m", 0);
    let arguments = ["check", ".", "--sealed", "m", "--seal-anchor", anchor.trim()];
    let output = binlogsec().current_dir(directory.path()).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let mut manifest = std::fs::read(directory.path().join("m")).unwrap();
    let at = manifest.len() / 2;
    manifest[at] ^= 1;
    write(&directory.path().join("m"), &manifest);
    ends(directory.path(), &format!("check . --sealed m --keyring {}", keyring()), 4);
}
