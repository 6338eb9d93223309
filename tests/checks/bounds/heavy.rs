//! Hostile files: what they cost is bounded, in memory and in time.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::common::measure::{self, Run};
use crate::common::{self, logs, mixed};

fn run(directory: &Path, arguments: &[&str]) -> Run {
    let run = measure::run(
        Command::new(common::program())
            .args(arguments)
            .current_dir(directory)
            .env_remove("BINLOGSEC_KEYRING"),
    );
    run.assert_bounded(&arguments.join(" "));
    run
}

/// As many findings: a plaintext log has so many names. A file system may give a file no more of them.
const FINDINGS: usize = 20_000;
/// What they may take: a tenth of what is allowed in all, of which ten times as many have to do with, and
/// what every run takes. So what grows faster than they do is found.
const MOST_KIB: u64 = measure::MOST_KIB / 10 + (28 << 10);
const LONGEST: Duration = Duration::from_secs(2 + measure::LONGEST.as_secs() / 10);

/// A directory of them.
fn many_logs() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let log = std::fs::read(mixed().join("binlog.000001")).unwrap();
    let name = |number| directory.path().join(format!("{}.{number:06}", "a".repeat(28)));
    std::fs::write(name(0), &log[..200]).unwrap();
    for number in 1..FINDINGS {
        std::fs::hard_link(name(0), name(number)).unwrap();
    }
    directory
}

fn assert_in_proportion(run: &Run, what: &str) {
    assert!(run.kib < MOST_KIB, "{what}: {} KiB of {MOST_KIB}", run.kib);
    assert!(run.worked < LONGEST, "{what}: {:?}", run.worked);
}

#[test]
fn twenty_thousand_findings_are_written_one_by_one_in_every_format() {
    let logs = many_logs();
    for format in ["text", "json", "sarif", "junit", "github", "prometheus"] {
        let run = run(logs.path(), &["check", ".", "--format", format]);
        assert_in_proportion(&run, format);
        assert_eq!(run.code, Some(1), "{format}: {}", run.stderr);
        if format == "sarif" {
            let report: Value = serde_json::from_slice(&run.stdout).unwrap();
            let results = report["runs"][0]["results"].as_array().unwrap();
            assert!(results.len() >= FINDINGS, "{}", results.len());
        }
    }
}

#[test]
fn two_hundred_patterns_are_held_against_twenty_thousand_findings_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut baseline = String::new();
    for number in 0..200 {
        let pattern = "*a".repeat(20 + number % 5);
        baseline.push_str(&format!(
            "[[finding]]\nid = \"BLS001\"\npath = \"./{pattern}*{number}b\"\nreason = \"none\"\n\
             expires = 2999-01-01\n"
        ));
    }
    baseline.push_str(
        "[[finding]]\nid = \"BLS001\"\npath = \"./*a*.000007\"\nreason = \"known\"\n\
         expires = 2999-01-01\n",
    );
    let place = directory.path().join("baseline.toml");
    std::fs::write(&place, baseline).unwrap();
    let place = place.to_str().unwrap();
    let logs = many_logs();
    let run = run(logs.path(), &["check", ".", "--format", "json", "--baseline", place]);
    assert_in_proportion(&run, "patterns");
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(report["summary"]["accepted"], 1, "{}", run.stderr);
}

/// `component_keyring_file` with so many keys.
fn keyring(path: &Path, entries: usize) {
    let mut text = String::from("{\"version\":\"1.0\",\"elements\":[");
    for number in 0..entries {
        let comma = if number > 0 { "," } else { "" };
        text.push_str(&format!(
            "{comma}{{\"user\":\"\",\"data_id\":\"k{number}\",\"data_type\":\"AES\",\"data\":\"{}\",\
             \"extension\":[]}}",
            "00".repeat(32)
        ));
    }
    text.push_str("]}");
    std::fs::write(path, text).unwrap();
}

#[test]
fn a_keyring_of_hundreds_of_thousands_of_keys_takes_little_memory() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("keyring");
    keyring(&place, 80_000);
    let whole = run(directory.path(), &["keyring", "keyring"]);
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
    keyring(&place, 450_000);
    let log = mixed().join("binlog.000003");
    for arguments in [
        &["keyring", "keyring", "--format", "json"][..],
        &["inspect", log.to_str().unwrap(), "--keyring", "keyring"],
    ] {
        let run = run(directory.path(), arguments);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
    }
}

/// A TRANSACTION_PAYLOAD of one event of 256 MiB, in a frame with the largest window there may be.
fn payload() -> Vec<u8> {
    const BLOCKS: u32 = 2048;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x88];
    let mut inner = [0; 19];
    inner[4] = 3; // STOP
    inner[9..13].copy_from_slice(&(19 + BLOCKS * (128 << 10)).to_le_bytes());
    frame.extend_from_slice(&(19_u32 << 3).to_le_bytes()[..3]);
    frame.extend_from_slice(&inner);
    for block in 1..=BLOCKS {
        // One byte, over and over.
        let head = (128_u32 << 13) | 2 | u32::from(block == BLOCKS);
        frame.extend_from_slice(&head.to_le_bytes()[..3]);
        frame.push(0);
    }
    let mut event = vec![0; 19];
    event[4] = 40; // TRANSACTION_PAYLOAD
    event.extend_from_slice(&[2, 1, 0, 0]);
    event.extend_from_slice(&frame);
    event.extend_from_slice(&[0; 4]);
    let length = (event.len() as u32).to_le_bytes();
    event[9..13].copy_from_slice(&length);
    event
}

#[test]
fn payloads_of_one_log_unfold_to_no_more_than_an_honest_logs_together() {
    let directory = tempfile::tempdir().unwrap();
    let real = std::fs::read(mixed().join("binlog.000001")).unwrap();
    let (offset, length, _) = logs::events(&real)[0];
    let mut log = real[..offset + length].to_vec();
    log[21] &= !1; // closed
    let event = payload();
    for _ in 0..8 {
        logs::append(&mut log, &event);
    }
    let few = directory.path().join("few.000001");
    std::fs::write(&few, &log).unwrap();
    // 2 GiB: a server might.
    let whole = run(directory.path(), &["events", "few.000001", "--format", "csv"]);
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
    let lines = whole.stdout.iter().filter(|it| **it == b'\n').count();
    assert_eq!(lines, 1 + 1 + 2 * 8, "heading, description, payloads and what is in them");
    for _ in 8..64 {
        logs::append(&mut log, &event);
    }
    std::fs::write(directory.path().join("many.000001"), &log).unwrap();
    let partial = run(directory.path(), &["events", "many.000001", "--format", "json"]);
    assert_eq!(partial.code, Some(2), "{}", partial.stderr);
    assert!(
        partial.stderr.contains("compressed transactions were not listed"),
        "{}",
        partial.stderr
    );
    let report: Value = serde_json::from_slice(&partial.stdout).unwrap();
    let summary = &report["files"][0]["summary"];
    let left = summary["left_folded"].as_u64().unwrap();
    // None says to how much it unfolds: each is given 512 MiB of the 4 GiB for all.
    assert_eq!(left, 56, "{summary}");
    assert_eq!(summary["damaged"], 0);
    // `verify` looks into as many as come to 1 GiB in each part, and says what it left.
    let verified = run(directory.path(), &["verify", "many.000001", "--format", "json"]);
    let report: Value = serde_json::from_slice(&verified.stdout).unwrap();
    let notes = report["files"][0]["notes"].as_array().unwrap();
    let left = notes.iter().find(|note| note["id"] == "left-folded");
    let message = left.unwrap()["message"].as_str().unwrap();
    // Three of 256 MiB come to less than that.
    let left: u64 = message.split(' ').next().unwrap().parse().unwrap();
    assert!((50..62).contains(&left), "{message}");
}
