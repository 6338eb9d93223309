//! Slices are valid logs of whole transactions, and what `mysqlbinlog` reads of the same range.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use binlogsec_core::event::event_type;

use common::{fixture, logs, mixed, mixed_keyring, mysqlbinlog, plaintext};

fn tagged() -> (PathBuf, PathBuf) {
    let directory = fixture("mysql-9.7/tagged-gtids");
    let keyring = directory.join("component_keyring_file");
    (directory.join("tagged.000001"), keyring)
}

fn slice(log: &Path, keyring: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::cargo_bin("binlogsec")
        .unwrap()
        .args(["decrypt", "-o", "-", "-q"])
        .arg(log)
        .arg("--keyring")
        .arg(keyring)
        .args(arguments)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    output.stdout
}

/// Starts and ends of transactions, as the events have them.
fn transactions(plain: &[u8]) -> Vec<(usize, usize)> {
    let starts: Vec<_> = logs::events(plain)
        .into_iter()
        .filter(|(.., kind)| event_type::begins_transaction(*kind) || *kind == event_type::ROTATE)
        .map(|(offset, ..)| offset)
        .collect();
    starts.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

#[test]
fn positions_give_exactly_the_transactions_between_them() {
    for (path, keyring) in [tagged(), (mixed().join("binlog.000003"), mixed_keyring())] {
        let plain = plaintext(&path, &keyring);
        let all = transactions(&plain);
        let head = &plain[..4 + 123];
        for (first, last) in [(0, 0), (1, 4), (3, all.len() - 1)] {
            let (start, end) = (all[first].0, all[last].1);
            let expected = [head, &plain[start..end]].concat();
            let (from, to) = (start.to_string(), end.to_string());
            let arguments = ["--start-position", &from, "--stop-position", &to];
            assert!(slice(&path, &keyring, &arguments) == expected);
            // A range that cuts a transaction has it not.
            let before = (end - 1).to_string();
            let arguments = ["--start-position", &from, "--stop-position", &before];
            let expected = [head, &plain[start..all[last].0]].concat();
            assert!(slice(&path, &keyring, &arguments) == expected);
        }
    }
}

#[test]
fn everything_is_the_log_itself() {
    let (path, keyring) = tagged();
    let plain = plaintext(&path, &keyring);
    assert!(slice(&path, &keyring, &["--start-position", "4"]) == plain);
    assert!(slice(&path, &keyring, &["--stop-datetime", "2100-01-01"]) == plain);
    assert!(slice(&path, &keyring, &["--start-datetime", "2000-01-01"]) == plain);
    let none = slice(&path, &keyring, &["--start-datetime", "2100-01-01"]);
    assert!(none == plain[..127]);
}

/// What matters of a listing: events with their times and positions, rows and GTIDs.
fn essence(text: &str) -> Vec<String> {
    let counts = |line: &&str| {
        line.starts_with("### ")
            || line.starts_with("SET @@SESSION.GTID_NEXT")
            || (line.starts_with('#') && line.contains(" end_log_pos "))
    };
    text.lines()
        .filter(counts)
        .filter(|line| !line.contains("Start: binlog") && !line.contains("added by mysqlbinlog"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn mysqlbinlog_reads_a_slice_as_it_reads_the_range() {
    let server = "d487cab6-e56b-11f1-acc5-02fc00000001";
    let gtids = format!("{server}:2-3:backup:2,aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee:foo:7");
    let (path, keyring) = tagged();
    let (other, other_keyring) = (mixed().join("binlog.000004"), mixed_keyring());
    let starts = transactions(&plaintext(&other, &other_keyring));
    let (from, to) = (starts[2].0.to_string(), starts[9].0.to_string());
    let cases: [(&Path, &Path, Vec<&str>); 5] = [
        (&path, &keyring, vec!["--include-gtids", &gtids]),
        (&path, &keyring, vec!["--exclude-gtids", &gtids]),
        (&path, &keyring, vec!["--start-position", "797", "--stop-position", "2981"]),
        (&other, &other_keyring, vec!["--start-position", &from, "--stop-position", &to]),
        (&other, &other_keyring, vec!["--stop-position", &to]),
    ];
    for (path, keyring, arguments) in cases {
        let mut plain = plaintext(path, keyring);
        // It takes no stop position for standard input: there the log is cut for it.
        let mut theirs = arguments.clone();
        if let Some(at) = theirs.iter().position(|word| *word == "--stop-position") {
            plain.truncate(theirs[at + 1].parse().unwrap());
            theirs.drain(at..at + 2);
        }
        theirs.push("-v");
        let Some((success, of_range)) = mysqlbinlog(&theirs, &plain) else {
            return;
        };
        assert!(success, "{arguments:?}");
        let ours = slice(path, keyring, &arguments);
        let (success, of_slice) = mysqlbinlog(&["-v"], &ours).unwrap();
        assert!(success, "{arguments:?}");
        let (of_range, of_slice) = (essence(&of_range), essence(&of_slice));
        assert!(of_range.len() > 5);
        assert_eq!(of_range, of_slice, "{arguments:?}");
    }
}

#[test]
fn a_slice_is_a_log_to_verify() {
    let (path, keyring) = tagged();
    let scratch = tempfile::tempdir().unwrap();
    let target = scratch.path().join("slice");
    std::fs::write(&target, slice(&path, &keyring, &["--start-position", "797"])).unwrap();
    let output = Command::cargo_bin("binlogsec")
        .unwrap()
        .args(["verify", "--format", "json"])
        .arg(&target)
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report}");
    let notes = report["files"][0]["notes"].as_array().unwrap();
    assert!(notes.iter().any(|note| note["id"] == "moved"), "{report}");
}

#[test]
fn verified_decryption_gives_a_whole_plaintext_or_none() {
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("log");
    let mut bytes = std::fs::read(mixed().join("binlog.000003")).unwrap();
    let decrypt = |name: &str, arguments: &[&str]| {
        let target = scratch.path().join(name);
        let output = Command::cargo_bin("binlogsec")
            .unwrap()
            .arg("decrypt")
            .arg(&source)
            .arg("-o")
            .arg(&target)
            .arg("--keyring")
            .arg(mixed_keyring())
            .args(arguments)
            .output()
            .unwrap();
        (output.status.code().unwrap(), target.exists())
    };
    std::fs::write(&source, &bytes).unwrap();
    assert_eq!(decrypt("whole", &["--verify"]), (0, true));
    bytes[60_000] ^= 1;
    std::fs::write(&source, &bytes).unwrap();
    assert_eq!(decrypt("checked", &["--verify"]), (4, false));
    assert_eq!(decrypt("unchecked", &[]), (0, true));
}

#[test]
fn a_slice_starts_at_an_event() {
    let (path, keyring) = (mixed().join("binlog.000003"), mixed_keyring());
    let plain = plaintext(&path, &keyring);
    let events = logs::events(&plain);
    for (start, is_event) in [
        (4, true),
        (events[0].0 + 20, false),
        (events[1].0, true),
        (events[1].0 + 20, false),
        (events[2].0, true),
        (events[2].0 + 1, false),
    ] {
        let mut command = Command::cargo_bin("binlogsec").unwrap();
        command.args(["decrypt", "-o", "-", "-q", "--start-position", &start.to_string()]);
        let output = command.arg(&path).arg("--keyring").arg(&keyring).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        let expected = if is_event { 0 } else { 2 };
        assert_eq!(output.status.code(), Some(expected), "{start}: {message}");
    }
}

/// A log whose events have the times that a function gives, by offset and type.
fn with_times(plain: &[u8], time: impl Fn(usize, u8) -> u32) -> Vec<u8> {
    let mut log = plain.to_vec();
    for (offset, length, kind) in logs::events(plain) {
        log[offset..offset + 4].copy_from_slice(&time(offset, kind).to_le_bytes());
        let sum_at = offset + length - 4;
        let sum = crc32fast::hash(&log[offset..sum_at]);
        log[sum_at..sum_at + 4].copy_from_slice(&sum.to_le_bytes());
    }
    log
}

fn sliced(log: &[u8], arguments: &[&str]) -> Vec<u8> {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("log");
    std::fs::write(&path, log).unwrap();
    slice(&path, &mixed_keyring(), arguments)
}

fn utc(seconds: u32) -> String {
    jiff::Timestamp::from_second(i64::from(seconds)).unwrap().to_string()
}

#[test]
fn the_clock_of_the_log_neither_starts_nor_ends_a_slice() {
    // The replica began and closed the log a day after its source committed what is in it.
    let (path, keyring) = tagged();
    let plain = plaintext(&path, &keyring);
    let begun = 1_800_000_000;
    let is_of_the_log = |kind| {
        [event_type::FORMAT_DESCRIPTION, event_type::PREVIOUS_GTIDS, event_type::ROTATE]
            .contains(&kind)
    };
    let log = with_times(&plain, |offset, kind| {
        let committed = begun - 86_400 + u32::try_from(offset).unwrap();
        if is_of_the_log(kind) { begun } else { committed }
    });
    let day = utc(begun - 3600);
    assert!(sliced(&log, &["--stop-datetime", &day]) == log);
    let none = sliced(&log, &["--start-datetime", &day]);
    assert!(none == log[..127], "{} bytes", none.len());
    let all = transactions(&log);
    // Whatever the moment, each transaction is in one of the two slices.
    for (start, _) in &all {
        let moment = utc(begun - 86_400 + u32::try_from(*start).unwrap());
        let before = sliced(&log, &["--stop-datetime", &moment]);
        let after = sliced(&log, &["--start-datetime", &moment]);
        assert!(before == log[..*start].to_vec() || *start == all[0].0);
        assert!(after.ends_with(&log[*start..]), "{start}");
        let gtids = |log: &[u8]| transactions_begun(log);
        assert_eq!(gtids(&before) + gtids(&after), gtids(&log));
    }
}

fn transactions_begun(log: &[u8]) -> usize {
    let events = logs::events(log);
    let begins = events.iter().filter(|(.., kind)| event_type::begins_transaction(*kind));
    begins.count()
}

#[test]
fn a_long_transaction_is_in_a_slice_by_its_first_event() {
    // Statements come long before the commit, whose time the GTID event has.
    let (path, keyring) = tagged();
    let plain = plaintext(&path, &keyring);
    let all = transactions(&plain);
    let of = |offset: usize| all.iter().position(|(start, end)| (*start..*end).contains(&offset));
    let committed = |number: usize| 1_700_000_000 + 1000 * u32::try_from(number).unwrap();
    let log = with_times(&plain, |offset, kind| match of(offset) {
        Some(number) if event_type::begins_transaction(kind) => committed(number),
        // As old as the commits of five transactions before.
        Some(number) => committed(number) - 5000,
        None => 1_700_000_000,
    });
    let moment = utc(committed(6));
    let before = sliced(&log, &["--stop-datetime", &moment]);
    assert!(before == log[..all[6].0]);
    let after = sliced(&log, &["--start-datetime", &moment]);
    assert!(after == [&log[..127], &log[all[6].0..]].concat());
}

#[test]
fn a_relay_log_is_cut_at_the_time_of_its_sources_transactions() {
    let case =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases/recovery/relay-stop-time");
    if !case.is_dir() {
        println!("skipped: the case is not at hand");
        return;
    }
    let (path, keyring) = (case.join("relay.000003"), case.join("component_keyring_file"));
    let stop = slice(&path, &keyring, &["--stop-datetime", "2026-11-27 01:02:07"]);
    let start = slice(&path, &keyring, &["--start-datetime", "2026-11-27 01:02:07"]);
    assert_eq!((transactions_begun(&stop), transactions_begun(&start)), (1, 0));
}

#[test]
fn slices_take_what_mariadbs_ids_name() {
    let directory = fixture("mariadb-10.11/cbc128-crc32-row");
    let (path, keyring) = (directory.join("logs/binlog.000002"), directory.join("keys.txt"));
    let plain = plaintext(&path, &keyring);
    let all: Vec<_> = logs::events(&plain)
        .into_iter()
        .filter(|(.., kind)| *kind == event_type::MARIADB_GTID)
        .map(|(offset, ..)| {
            let number = u64::from_le_bytes(plain[offset + 19..offset + 27].try_into().unwrap());
            let server = u32::from_le_bytes(plain[offset + 5..offset + 9].try_into().unwrap());
            (server, number)
        })
        .collect();
    let count = |arguments: &[&str]| transactions_begun(&slice(&path, &keyring, arguments));
    let (server, number) = all[3];
    let gtid = format!("0-{server}-{number}");
    assert_eq!(count(&["--include-gtids", &gtid]), 1);
    assert_eq!(count(&["--exclude-gtids", &gtid]), all.len() - 1);
    assert_eq!(count(&["--domain-id", "0"]), all.len());
    assert_eq!(count(&["--domain-id", "3"]), 0);
    assert_eq!(count(&["--server-id", &server.to_string()]), all.len());
    assert_eq!(count(&["--server-id", "1"]), 0);
    assert_eq!(count(&["--start-position", &gtid]), all.len() - 4);
    assert_eq!(count(&["--stop-position", &gtid]), 4);
}
