//! `verify` finds what is wrong, and nothing where nothing is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::path::Path;

use assert_cmd::Command;
use binlogsec::io::pipeline::NoProgress;
use binlogsec::keyring::Keyring;
use binlogsec::log::LogKind;
use binlogsec::ops::verify::{Note, Verified, verify_file, verify_plain};
use binlogsec::walk::MemorySource;
use proptest::prelude::*;

use common::{fixture, logs, mixed, mixed_keyring, plaintext, scenarios};

/// The in-use bit of the format description event: bit 0 of its flags.
const IN_USE_BIT: usize = (4 + 17) * 8;

/// As the command does for a plaintext log: `None` when it cannot be opened at all.
fn verify_bytes(plain: &[u8]) -> Option<Verified> {
    let kind = LogKind::classify(&plain[..plain.len().min(4096)]);
    let (LogKind::MysqlPlain(description) | LogKind::MariadbPlain(description)) = kind else {
        return None;
    };
    let source = MemorySource::new(Path::new("memory"), plain);
    Some(verify_plain(&source, Some(description), &NoProgress).unwrap())
}

fn is_found(plain: &[u8]) -> bool {
    verify_bytes(plain).is_none_or(|verified| !verified.is_whole())
}

/// Whole events without others that stood between them: told of, as slices are like that too.
fn is_told_of(plain: &[u8]) -> bool {
    let verified = verify_bytes(plain).unwrap();
    let moved = |note: &Note| matches!(note, Note::Moved { .. });
    verified.notes.iter().any(moved)
}

#[test]
fn every_mysql_log_is_as_its_manifest_says() {
    let mut logs = 0;
    for (directory, manifest) in scenarios("mysql-9.7") {
        let keys = Keyring::open(directory.join("component_keyring_file")).unwrap();
        for entry in manifest["files"].as_array().unwrap() {
            let Some(events) = entry["event_count_toplevel"].as_u64() else {
                continue;
            };
            let path = directory.join(entry["name"].as_str().unwrap());
            let verified = verify_file(&path, &keys, &NoProgress).unwrap();
            let name = path.display();
            assert!(verified.is_whole(), "{name}: {:?}", verified.damages);
            assert_eq!(
                verified.has_cut_tail(),
                !entry["truncated"].is_null(),
                "{name}"
            );
            assert_eq!(
                (verified.events, verified.good_events),
                (events, events),
                "{name}"
            );
            // A relay log's events have the checksums of their source, or none.
            if entry["kind"] == "binlog" {
                let expected = if entry["checksum"] == "CRC32" {
                    events
                } else {
                    1
                };
                assert_eq!(verified.checksums, expected, "{name}");
            }
            let trailing = entry["trailing_bytes"].as_u64().unwrap();
            let plain_size = entry["plaintext_size"].as_u64().unwrap();
            assert_eq!(verified.good_up_to, plain_size - trailing, "{name}");
            logs += 1;
        }
    }
    println!("{logs} logs");
    assert!(logs >= 16, "{logs}");
}

#[test]
fn plain_mariadb_logs_are_whole() {
    let (keys, mut logs) = (Keyring::new(), 0);
    for (directory, manifest) in scenarios("mariadb-10.11") {
        for entry in manifest["logs"].as_array().into_iter().flatten() {
            // The plaintext that the server itself served, where there is some.
            let paths = [
                (!entry["encrypted"].as_bool().unwrap()).then_some(&entry["file"]),
                Some(&entry["plain"]),
            ];
            for path in paths.into_iter().flatten().filter_map(|path| path.as_str()) {
                let path = directory.join(path);
                if !path.is_file() {
                    continue;
                }
                let verified = verify_file(&path, &keys, &NoProgress).unwrap();
                assert!(
                    verified.is_whole(),
                    "{}: {:?}",
                    path.display(),
                    verified.damages
                );
                assert_eq!(Some(verified.events), entry["event_count"].as_u64());
                logs += 1;
            }
        }
    }
    println!("{logs} MariaDB logs");
    assert!(logs >= 1, "{logs}");
}

#[test]
fn every_flipped_bit_of_small_logs_is_found() {
    let small = [
        ("mysql-9.7/compressed", "binlog.000008"),
        ("mysql-9.7/rotation-interrupted", "binlog.000028"),
        ("mysql-9.7/tagged-gtids", "tagged.000003"),
        ("mysql-9.7/tagged-gtids", "tagged.000001"),
        (
            "mysql-9.7/replica-relay-running",
            "replica-relay-bin.000001",
        ),
    ];
    for (scenario, name) in small {
        let directory = fixture(scenario);
        let plain = plaintext(
            &directory.join(name),
            &directory.join("component_keyring_file"),
        );
        assert!(!is_found(&plain), "{name} is whole");
        let mut damaged = plain.clone();
        for bit in (0..plain.len() * 8).filter(|bit| *bit != IN_USE_BIT) {
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(is_found(&damaged), "{name}: bit {bit}");
            damaged[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn flipped_bits_of_every_event_of_every_log_are_found() {
    let mut flips = 0;
    for (directory, manifest) in scenarios("mysql-9.7") {
        let keyring = directory.join("component_keyring_file");
        for entry in manifest["files"].as_array().unwrap() {
            if entry["checksum"] != "CRC32" || entry["size"].as_u64() > Some(300_000) {
                continue;
            }
            let plain = plaintext(&directory.join(entry["name"].as_str().unwrap()), &keyring);
            let whole = verify_bytes(&plain).unwrap();
            if whole.checksums < whole.events {
                continue; // a relay log whose source has none
            }
            let mut damaged = plain.clone();
            let all = logs::events(&plain);
            for (index, &(offset, length, _)) in all.iter().enumerate() {
                // Not all of them, but each event's header and body, at a place that moves.
                for bit in [index * 7 % (19 * 8), index * 1009 % (length * 8)] {
                    let bit = offset * 8 + bit;
                    if bit == IN_USE_BIT {
                        continue;
                    }
                    damaged[bit / 8] ^= 1 << (bit % 8);
                    assert!(is_found(&damaged), "{}: bit {bit}", entry["name"]);
                    damaged[bit / 8] ^= 1 << (bit % 8);
                    flips += 1;
                }
            }
        }
    }
    println!("{flips} flips");
    assert!(flips > 1000);
}

#[test]
fn the_place_of_the_damage_is_right_also_in_large_logs_and_with_any_number_of_threads() {
    let plain = plaintext(&mixed().join("binlog.000003"), &mixed_keyring());
    let log = logs::grow(&plain, 21 << 20);
    let all = logs::events(&log);
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let verified = verify_bytes(&log).unwrap();
            assert!(verified.is_whole());
            assert_eq!(verified.events, all.len() as u64);
            for part in 1..8 {
                let index = all.len() * part / 8;
                let (offset, length, _) = all[index];
                let mut damaged = log.clone();
                damaged[offset + length - 5] ^= 0x10;
                let verified = verify_bytes(&damaged).unwrap();
                assert_eq!(verified.damage_count, 1, "{:?}", verified.damages);
                let damage = verified.damages[0];
                assert_eq!(damage.plain_offset, offset as u64);
                assert_eq!(damage.events_before, index as u64);
                assert_eq!(verified.good_events, all.len() as u64 - 1);
                assert_eq!(verified.good_up_to, offset as u64);
            }
        });
    }
}

#[test]
fn an_event_inside_an_event_misleads_nobody() {
    // A row event that holds whole events of a log, as a table of binary log pieces would.
    let plain = plaintext(&mixed().join("binlog.000003"), &mixed_keyring());
    let mut log = logs::grow(&plain, 3 << 20);
    let at = logs::events(&log).last().unwrap().0;
    log.truncate(at);
    let mut inner = logs::grow(&plain, 4 << 20);
    let mut event = vec![0; 19];
    event[4] = 30;
    event.append(&mut inner);
    event.extend([0; 4]);
    let length = u32::try_from(event.len()).unwrap();
    event[9..13].copy_from_slice(&length.to_le_bytes());
    // Positions of the inner events that fit where they stand.
    let first = at + 19;
    let mut moved = log.clone();
    moved.extend_from_slice(&event[..19]);
    for (offset, length, _) in logs::events(&event[19..event.len() - 4]) {
        moved.resize(first + offset, 0xAA);
        let piece = event[19 + offset..19 + offset + length].to_vec();
        logs::append(&mut moved, &piece);
    }
    moved.extend([0; 4]);
    let mut event = moved.split_off(at);
    let length = u32::try_from(event.len()).unwrap();
    event[9..13].copy_from_slice(&length.to_le_bytes());
    logs::append(&mut log, &event);
    let verified = verify_bytes(&log).unwrap();
    assert!(verified.is_whole(), "{:?}", verified.damages);
    assert_eq!(verified.events, logs::events(&log).len() as u64);
}

#[test]
fn a_log_that_was_cut_is_damaged_unless_it_was_never_closed() {
    let plain = plaintext(&mixed().join("binlog.000003"), &mixed_keyring());
    let (offset, length, _) = *logs::events(&plain).last().unwrap();
    for cut in [1, length / 2, length - 1] {
        let mut log = plain[..offset + cut].to_vec();
        let verified = verify_bytes(&log).unwrap();
        assert!(
            !verified.is_whole(),
            "closed, and cut {cut} bytes into an event"
        );
        log[21] |= 1;
        let verified = verify_bytes(&log).unwrap();
        assert!(verified.is_whole() && verified.has_cut_tail());
    }
    let verified = verify_bytes(&plain[..offset]).unwrap();
    assert!(verified.notes.contains(&Note::NoLastEvent));
}

fn command() -> Command {
    Command::cargo_bin("binlogsec").unwrap()
}

#[test]
fn the_command_tells_whole_incomplete_and_damaged_apart() {
    let (directory, keyring) = (mixed(), mixed_keyring());
    let run = |paths: &[&Path]| {
        let mut command = command();
        command
            .arg("verify")
            .args(paths)
            .arg("--keyring")
            .arg(&keyring);
        command.args(["--format", "json"]);
        let output = command.output().unwrap();
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), json)
    };
    let (code, report) = run(&[&directory.join("binlog.index")]);
    assert_eq!((code, &report["schema"]), (0, &"binlogsec.verify/1".into()));
    assert_eq!(report["summary"]["whole"], 6);
    let (code, report) = run(&[
        &directory.join("binlog.000002"),
        &directory.join("binlog.000004"),
    ]);
    assert_eq!(
        (code, report["gaps"].as_array().unwrap().len()),
        (1, 1),
        "{report}"
    );

    let scratch = tempfile::tempdir().unwrap();
    let damaged = scratch.path().join("binlog.000004");
    let mut bytes = std::fs::read(directory.join("binlog.000004")).unwrap();
    bytes[512 + 30_000] ^= 4;
    std::fs::write(&damaged, &bytes).unwrap();
    let (code, report) = run(&[&damaged]);
    assert_eq!(code, 4);
    let damage = &report["files"][0]["damages"][0];
    let (plain, file) = (&damage["plain_offset"], &damage["file_offset"]);
    assert_eq!(plain.as_u64().unwrap() + 512, file.as_u64().unwrap());
    assert!(
        (10_000..=30_000).contains(&plain.as_u64().unwrap()),
        "{damage}"
    );
    for magic in [0, 512] {
        bytes[magic] ^= 1;
        std::fs::write(&damaged, &bytes).unwrap();
        assert_eq!(run(&[&damaged]).0, 4);
        bytes[magic] ^= 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn damage_of_any_kind_ends_and_is_found(
        kind in 0..4_u8, at in any::<prop::sample::Index>(), length in 1..600_usize, seed in any::<u8>(),
    ) {
        let path = fixture("mysql-9.7/mixed-key3-running/binlog.000002");
        let plain = std::fs::read(path).unwrap();
        let at = at.index(plain.len() - 1);
        let end = (at + length).min(plain.len());
        let junk = vec![seed; length];
        let damaged = match kind {
            0 => [&plain[..at], &junk, &plain[at..]].concat(),
            1 => [&plain[..at], &plain[end..]].concat(),
            2 => [&plain[..at], &junk[..end - at], &plain[end..]].concat(),
            _ => plain[..at].to_vec(),
        };
        // What is left may be a shorter whole log, or the same one.
        let is_prefix = plain.starts_with(&damaged);
        let is_same = damaged == plain || is_prefix || damaged.len() < 5;
        prop_assert!(is_same || is_found(&damaged) || kind == 1 && is_told_of(&damaged));
    }
}

#[test]
fn transactions_that_are_missing_are_told_of() {
    let path = fixture("mysql-9.7/mixed-key3-running/binlog.000002");
    let plain = std::fs::read(path).unwrap();
    // GTID and statement of one transaction.
    let damaged = [&plain[..41_439], &plain[41_439 + 185..]].concat();
    assert!(!is_found(&damaged));
    assert!(is_told_of(&damaged));
    assert!(!is_told_of(&plain));
}

/// A directory of three logs with an index that names `named` as their directory.
fn copied(named: &str) -> (tempfile::TempDir, String) {
    let scratch = tempfile::tempdir().unwrap();
    let mut index = String::new();
    for number in 3..=5 {
        let name = format!("binlog.{number:06}");
        std::fs::copy(mixed().join(&name), scratch.path().join(&name)).unwrap();
        index.push_str(&format!("{named}{name}\n"));
    }
    std::fs::write(scratch.path().join("binlog.index"), &index).unwrap();
    (scratch, index)
}

fn run_on(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = common::binlogsec()
        .current_dir(directory)
        .args(arguments)
        .arg("--keyring")
        .arg(mixed_keyring())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_copied_index_with_absolute_paths_is_read_beside_itself() {
    // What the index names is whole, what lies beside it is not.
    let live = mixed().display().to_string() + "/";
    for (named, says_so) in [
        (&*live, true),
        ("/var/lib/mysql-nowhere/", false),
        ("../elsewhere/", false),
        (".\\", false),
        ("C:\\ProgramData\\MySQL\\Data\\", false),
    ] {
        let (scratch, _) = copied(named);
        let path = scratch.path().join("binlog.000004");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[512 + 30_000] ^= 4;
        std::fs::write(&path, &bytes).unwrap();
        let verify = ["verify", "binlog.index", "--format", "json"];
        let (code, report, said) = run_on(scratch.path(), &verify);
        assert_eq!(code, 4, "{named}: {report} {said}");
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["summary"]["files"], 3, "{named}");
        assert_eq!(report["files"][1]["path"], "binlog.000004", "{named}");
        assert_eq!(
            said.contains("beside the index are taken"),
            says_so,
            "{said}"
        );
        for command in [
            &["inspect", "binlog.index"][..],
            &["decrypt", "binlog.index", "--output-dir", "plain"],
            &["rekey", "binlog.index", "--dry-run"],
        ] {
            let (code, told, said) = run_on(scratch.path(), command);
            assert_eq!(code, 0, "{named} {command:?}: {told} {said}");
            assert!(
                told.contains("binlog.000005"),
                "{named} {command:?}: {told}"
            );
            assert!(!told.contains(&live), "{named} {command:?}: {told}");
        }
        let (code, listed, said) = run_on(scratch.path(), &["events", "binlog.index"]);
        assert_eq!(code, 4, "{named}: {said}");
        assert!(listed.contains("binlog.000003"), "{listed}");
        // `check` looks at the same files.
        let (_, found, _) = run_on(scratch.path(), &["check", ".", "--format", "json"]);
        assert!(!found.contains("BLS007"), "{named}: {found}");
        let of_live = format!("{live}binlog.0");
        assert!(!found.contains(&of_live), "{named}: {found}");
    }
}

#[test]
fn logs_that_lie_elsewhere_alone_are_read_there_and_named() {
    let (scratch, index) = copied(&(mixed().display().to_string() + "/"));
    let alone = tempfile::tempdir().unwrap();
    std::fs::write(alone.path().join("binlog.index"), index).unwrap();
    drop(scratch);
    let (code, report, said) = run_on(alone.path(), &["verify", "binlog.index"]);
    assert_eq!(code, 0, "{report} {said}");
    assert!(
        said.contains("lists 3 logs in") && said.contains("mixed-key3-running"),
        "{said}"
    );
    // A server's own index says nothing: its absolute paths lead to its own directory.
    let own = tempfile::tempdir().unwrap();
    std::fs::copy(
        mixed().join("binlog.000003"),
        own.path().join("binlog.000003"),
    )
    .unwrap();
    let entry = own.path().join("binlog.000003");
    std::fs::write(own.path().join("binlog.index"), entry.to_str().unwrap()).unwrap();
    let (code, _, said) = run_on(own.path(), &["verify", "binlog.index"]);
    assert_eq!((code, &*said), (0, ""));
}

#[test]
fn logs_of_the_engine_aria_are_no_binary_logs() {
    let scratch = tempfile::tempdir().unwrap();
    for name in ["aria_log.00000001", "ment1587_aria_log.00000004"] {
        std::fs::write(scratch.path().join(name), b"").unwrap();
    }
    std::fs::copy(
        mixed().join("binlog.000003"),
        scratch.path().join("binlog.000003"),
    )
    .unwrap();
    for command in [&["check", "."][..], &["inspect", "."]] {
        let (code, told, said) = run_on(scratch.path(), command);
        assert_eq!(code, 0, "{told} {said}");
        assert!(!told.contains("aria_log"), "{told}");
    }
    // Six digits are a binary log's, whatever its name.
    std::fs::write(scratch.path().join("aria_log.000001"), b"").unwrap();
    let (code, told, _) = run_on(scratch.path(), &["check", "."]);
    assert!(code == 1 && told.contains("BLS009"), "{told}");
}
