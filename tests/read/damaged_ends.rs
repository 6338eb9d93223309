//! What a command says, and how it ends, where a log cannot be read to its end, or from its start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::path::Path;
use std::process::Command;

use common::{binlogsec, fixture, mixed, mixed_keyring, plaintext};
use serde_json::Value;

const MARIADB: &str = "mariadb-10.11/cbc128-crc32-row";
/// Where encrypted events begin in that log: behind magic, format description, and start.
const FIRST: usize = 296;

fn run(directory: &Path, arguments: &str) -> (Option<i32>, String, String) {
    let output = binlogsec().current_dir(directory).args(arguments.split(' ')).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn put(directory: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(directory.join(name), bytes).unwrap();
}

fn length_at(log: &[u8], event: usize) -> usize {
    u32::from_le_bytes(log[event + 9..event + 13].try_into().unwrap()) as usize
}

fn mariadb() -> (tempfile::TempDir, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let log = std::fs::read(fixture(MARIADB).join("logs/binlog.000002")).unwrap();
    let keys = std::fs::read(fixture(MARIADB).join("keys.txt")).unwrap();
    put(directory.path(), "keys", &keys);
    (directory, log)
}

#[test]
fn verify_gives_the_size_of_the_file_however_little_can_be_read() {
    let (directory, log) = mariadb();
    let mut wrong = log.clone();
    let second = FIRST + length_at(&log, FIRST);
    wrong[second + 9..second + 11].copy_from_slice(&[7, 0]);
    put(directory.path(), "wrong", &wrong);
    let arguments = "verify wrong --mariadb-keys keys --format json";
    let (code, report, said) = run(directory.path(), arguments);
    assert_eq!(code, Some(4), "{said}");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["files"][0]["size"], log.len(), "{report}");
}

#[test]
fn a_full_standard_output_is_named() {
    let (directory, _) = mariadb();
    let full = std::fs::File::options().write(true).open("/dev/full");
    for arguments in
        ["keyring list keys", "keyring list keys --format json", "man", "completions bash"]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_binlogsec"))
            .current_dir(directory.path())
            .args(arguments.split(' '))
            .stdout(full.as_ref().unwrap().try_clone().unwrap())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {said}");
        assert!(
            said.contains("cannot write to standard output: No space left"),
            "{arguments}: {said}"
        );
    }
}

#[test]
fn events_behind_a_wrong_length_or_cut_away_are_missed() {
    let (directory, log) = mariadb();
    let second = FIRST + length_at(&log, FIRST);
    let mut wrong = log.clone();
    wrong[second + 9] = 7;
    wrong[second + 10] = 0;
    put(directory.path(), "wrong", &wrong);
    put(directory.path(), "cut", &log[..second + 11]);
    for (name, what) in [("wrong", "a length of 7 bytes"), ("cut", "the log ends")] {
        let arguments = format!("events {name} --mariadb-keys keys --format json");
        let (code, report, said) = run(directory.path(), &arguments);
        assert_eq!(code, Some(4), "{name}: {said}");
        assert!(said.contains(what), "{name}: {said}");
        let report: Value = serde_json::from_str(&report).unwrap();
        let summary = &report["files"][0]["summary"];
        assert_eq!(summary["events"], 3, "{name}: {summary}");
        assert!(summary["stopped"].as_str().unwrap().contains(what));
    }
    let piped = run(directory.path(), "decrypt cut --mariadb-keys keys -o -");
    assert!(piped.0 == Some(0) && piped.2.contains("the log ends"), "{}", piped.2);
    // A listing that ends before it has nothing to say of it.
    let arguments = format!("events wrong --mariadb-keys keys --stop-position {second}");
    assert_eq!(run(directory.path(), &arguments).0, Some(0));
}

#[test]
fn a_key_that_was_chosen_and_is_not_there_is_missing() {
    let (directory, log) = mariadb();
    put(directory.path(), "log", &log);
    for command in ["events log", "verify log", "decrypt log -o out", "salvage log -o out"] {
        let arguments = format!("{command} --mariadb-keys keys --mariadb-key-id 99");
        let (code, _, said) = run(directory.path(), &arguments);
        assert_eq!(code, Some(3), "{command}: {said}");
        assert!(said.contains("no key 99 in keys"), "{command}: {said}");
    }
}

#[test]
fn a_closed_log_that_is_cut_in_its_first_event_is_not_whole() {
    let directory = tempfile::tempdir().unwrap();
    let keyring = mixed_keyring();
    for (log, cut, code) in [
        ("binlog.000003", 600, 4),
        // In use, as its flags say; and too short for them.
        ("binlog.000006", 600, 0),
        ("binlog.000006", 530, 4),
        // A header, and the magic.
        ("binlog.000003", 516, 4),
    ] {
        let bytes = std::fs::read(mixed().join(log)).unwrap();
        put(directory.path(), "log", &bytes[..cut]);
        for command in ["verify", "events"] {
            let arguments = format!("{command} log --keyring {}", keyring.display());
            let (found, _, said) = run(directory.path(), &arguments);
            assert_eq!(found, Some(code), "{command} {log} {cut}: {said}");
        }
    }
}

#[test]
fn salvage_tells_a_missing_key_and_a_lost_magic() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = std::fs::read(mixed().join("binlog.000003")).unwrap();
    put(directory.path(), "log", &log);
    put(directory.path(), "empty", b"");
    let (code, _, said) = run(directory.path(), "salvage log -o out --keyring empty");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("is not in empty"), "{said}");
    log[512..516].copy_from_slice(b"lost");
    put(directory.path(), "log", &log);
    let keyring = mixed_keyring();
    let arguments = format!("salvage log -o out --keyring {} --format json", keyring.display());
    let (code, report, said) = run(directory.path(), &arguments);
    assert_eq!(code, Some(1), "{said}");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        (&report["gaps"][0]["file_offset"], &report["lost"]),
        (&512.into(), &4.into()),
        "{report}"
    );
}

/// More than there is before it: the window behind begins before the stream does.
#[test]
fn what_stands_behind_a_large_insertion_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let log = std::fs::read(mixed().join("binlog.000003")).unwrap();
    let foreign: Vec<u8> = (0..20_u32 * 512).map(|n| (n * n % 251) as u8).collect();
    let longer = [&log[..5_000], &foreign, &log[5_000..]].concat();
    put(directory.path(), "log", &longer);
    let arguments = format!(
        "salvage log -o out --max-shift 1100 --keyring {} --format json",
        mixed_keyring().display()
    );
    let (code, report, said) = run(directory.path(), &arguments);
    assert_eq!(code, Some(1), "{said}");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["gaps"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(report["events"], 90, "{report}");
}

#[test]
fn a_wrong_end_position_costs_no_event_behind_it() {
    let directory = tempfile::tempdir().unwrap();
    let log = plaintext(&mixed().join("binlog.000003"), &mixed_keyring());
    let events = common::logs::events(&log);
    let at = events[events.len() / 2].0;
    for byte in 13..17 {
        let mut damaged = log.clone();
        damaged[at + byte] ^= 0x10;
        put(directory.path(), "log", &damaged);
        let (code, text, said) = run(directory.path(), "verify log --format json");
        assert_eq!(code, Some(4), "{said}");
        let report: Value = serde_json::from_str(&text).unwrap();
        let file = &report["files"][0];
        let counts = [&file["events"], &file["good_events"], &file["damage_count"]];
        let all = events.len();
        let counts = counts.map(|it| usize::try_from(it.as_u64().unwrap()).unwrap());
        assert_eq!(counts, [all, all - 1, 1], "{byte}");
        assert_eq!(file["checked_up_to"], log.len());
    }
}

#[test]
fn bytes_behind_a_closed_log_of_mariadb_are_damage_for_decrypt_as_for_verify() {
    let (directory, log) = mariadb();
    for length in [1, 10, 18, 19] {
        put(directory.path(), "log", &[&log[..], &[0; 19][..length]].concat());
        let (code, _, said) = run(directory.path(), "verify log --mariadb-keys keys");
        assert_eq!(code, Some(4), "{length}: {said}");
        let decrypt = "decrypt log --verify --mariadb-keys keys -o out";
        let (code, _, said) = run(directory.path(), decrypt);
        assert_eq!(code, Some(4), "{length}: {said}");
        assert!(!directory.path().join("out").exists(), "{length}");
        // Through a pipe, into a file.
        let bytes = std::fs::read(directory.path().join("log")).unwrap();
        let output = binlogsec()
            .current_dir(directory.path())
            .args(decrypt.replace(" log ", " - ").split(' '))
            .write_stdin(bytes)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(4), "{length}: {output:?}");
        assert!(!directory.path().join("out").exists(), "{length}");
    }
}
