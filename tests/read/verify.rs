//! `verify` finds what is wrong, and nothing where nothing is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::path::Path;

use assert_cmd::Command;
use binlogsec_core::file::pipeline::NoProgress;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::kind::LogKind;
use binlogsec_core::log::open::OpenLog;
use binlogsec_core::log::walk::MemorySource;
use binlogsec_core::read::slice::{SliceOptions, plan};
use binlogsec_core::read::verify::{
    DamageKind, GapKind, Gtids, Link, Note, Verified, check_continuity, verify_file, verify_plain,
};
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
            assert_eq!(verified.has_cut_tail(), !entry["truncated"].is_null(), "{name}");
            assert_eq!((verified.events, verified.good_events), (events, events), "{name}");
            // A relay log's events have the checksums of their source, or none.
            if entry["kind"] == "binlog" {
                let expected = if entry["checksum"] == "CRC32" { events } else { 1 };
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
                assert!(verified.is_whole(), "{}: {:?}", path.display(), verified.damages);
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
        ("mysql-9.7/replica-relay-running", "replica-relay-bin.000001"),
    ];
    for (scenario, name) in small {
        let directory = fixture(scenario);
        let plain = plaintext(&directory.join(name), &directory.join("component_keyring_file"));
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
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
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
        assert!(!verified.is_whole(), "closed, and cut {cut} bytes into an event");
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
        command.arg("verify").args(paths).arg("--keyring").arg(&keyring);
        command.args(["--format", "json"]);
        let output = command.output().unwrap();
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), json)
    };
    let (code, report) = run(&[&directory.join("binlog.index")]);
    assert_eq!((code, &report["schema"]), (0, &"binlogsec.verify/1".into()));
    assert_eq!(report["summary"]["whole"], 6);
    let (code, report) = run(&[&directory.join("binlog.000002"), &directory.join("binlog.000004")]);
    assert_eq!((code, report["gaps"].as_array().unwrap().len()), (1, 1), "{report}");

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
    assert!((10_000..=30_000).contains(&plain.as_u64().unwrap()), "{damage}");
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
        assert_eq!(said.contains("beside the index are taken"), says_so, "{said}");
        for command in [
            &["inspect", "binlog.index"][..],
            &["decrypt", "binlog.index", "--output-dir", "plain"],
            &["rekey", "binlog.index", "--dry-run"],
        ] {
            let (code, told, said) = run_on(scratch.path(), command);
            assert_eq!(code, 0, "{named} {command:?}: {told} {said}");
            assert!(told.contains("binlog.000005"), "{named} {command:?}: {told}");
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
    assert!(said.contains("lists 3 logs in") && said.contains("mixed-key3-running"), "{said}");
    // A server's own index says nothing: its absolute paths lead to its own directory.
    let own = tempfile::tempdir().unwrap();
    std::fs::copy(mixed().join("binlog.000003"), own.path().join("binlog.000003")).unwrap();
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
    std::fs::copy(mixed().join("binlog.000003"), scratch.path().join("binlog.000003")).unwrap();
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

/// A checksum over an event as it is now.
fn sum_up(plain: &mut [u8], (offset, length): (usize, usize)) {
    let end = offset + length - 4;
    let sum = crc32fast::hash(&plain[offset..end]);
    plain[end..end + 4].copy_from_slice(&sum.to_le_bytes());
}

/// The one damage of a log.
fn damage_of(plain: &[u8]) -> (u64, DamageKind) {
    let verified = verify_bytes(plain).unwrap();
    assert_eq!(verified.damage_count, 1, "{:?}", verified.damages);
    (verified.damages[0].plain_offset, verified.damages[0].kind)
}

/// Logs of servers with `binlog_checksum=NONE`, here and in the larger collection.
fn without_checksums() -> Vec<(std::path::PathBuf, std::path::PathBuf)> {
    let mut found = Vec::new();
    for (directory, manifest) in scenarios("mysql-9.7") {
        for entry in manifest["files"].as_array().unwrap() {
            if entry["checksum"] == "NONE" && entry["kind"] == "binlog" {
                let path = directory.join(entry["name"].as_str().unwrap());
                found.push((path, directory.join("component_keyring_file")));
            }
        }
    }
    found
}

#[test]
fn every_slice_of_a_log_without_checksums_is_whole() {
    let (mut slices, mut moved) = (0, 0);
    for (path, keyring) in without_checksums() {
        let keys = Keyring::open(&keyring).unwrap();
        let log = OpenLog::open(&path, &keys).unwrap();
        let plain = plaintext(&path, &keyring);
        let offsets: Vec<u64> = logs::events(&plain).iter().map(|&(at, ..)| at as u64).collect();
        let from = |at: &u64| SliceOptions { start_position: Some(*at), ..SliceOptions::default() };
        let to = |at: &u64| SliceOptions { stop_position: Some(*at), ..SliceOptions::default() };
        for options in offsets.iter().map(from).chain(offsets.iter().map(to)) {
            let part: Vec<u8> = plan(&log, &options)
                .unwrap()
                .ranges
                .iter()
                .flat_map(|range| {
                    let range =
                        usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
                    plain[range].to_vec()
                })
                .collect();
            let verified = verify_bytes(&part).unwrap();
            let name = path.display();
            assert!(verified.is_whole(), "{name} {options:?}: {:?}", verified.damages);
            let stands_elsewhere = verified.events > 1 && options.start_position > Some(offsets[1]);
            moved += usize::from(is_told_of(&part));
            assert!(is_told_of(&part) == stands_elsewhere, "{name} {options:?}");
            slices += 1;
        }
    }
    println!("{slices} slices, {moved} of them moved");
    assert!(slices > 100 && moved > 50, "{slices} {moved}");
}

#[test]
fn transactions_picked_out_of_a_log_without_checksums_are_whole_and_in_disorder_they_are_not() {
    let (path, keyring) = without_checksums().remove(0);
    let plain = plaintext(&path, &keyring);
    let all = logs::events(&plain);
    let starts: Vec<usize> = (0..all.len()).filter(|&index| all[index].2 == 33).collect();
    assert!(starts.len() > 10, "{}", starts.len());
    let of = |first: usize, last: usize| &plain[all[first].0..all[last].0];
    // Every third transaction.
    let head = &plain[..all[starts[0]].0];
    let picked: Vec<u8> =
        starts.windows(2).step_by(3).flat_map(|pair| of(pair[0], pair[1]).to_vec()).collect();
    let slice = [head, &picked].concat();
    let verified = verify_bytes(&slice).unwrap();
    assert!(verified.is_whole() && is_told_of(&slice), "{:?}", verified.damages);
    // One end position among others that agree.
    for index in [3, starts[2], starts[5] + 1, all.len() - 2] {
        for bit in [0, 9, 17] {
            let mut damaged = plain.clone();
            damaged[all[index].0 + 13 + bit / 8] ^= 1 << (bit % 8);
            let (offset, kind) = damage_of(&damaged);
            assert_eq!(offset, all[index].0 as u64, "event {index} bit {bit}");
            assert!(matches!(kind, DamageKind::Position { .. }), "{kind}");
        }
    }
    // A length leads nowhere.
    for bit in 0..10 {
        let mut damaged = plain.clone();
        damaged[all[starts[4]].0 + 9 + bit / 8] ^= 1 << (bit % 8);
        let verified = verify_bytes(&damaged).unwrap();
        assert!(!verified.is_whole(), "bit {bit}");
        assert_eq!(verified.good_up_to, all[starts[4]].0 as u64, "bit {bit}");
    }
}

#[test]
fn what_a_server_wrote_and_summed_up_need_not_be_an_event() {
    let path = fixture("mysql-9.7/mixed-key3-running/binlog.000002");
    let plain = std::fs::read(path).unwrap();
    assert!(verify_bytes(&plain).unwrap().is_whole());
    let all = logs::events(&plain);
    let find = |kind: u8| {
        let &(offset, length, _) = all.iter().find(|(.., found)| *found == kind).unwrap();
        (offset, length)
    };
    // The bodies of QUERY, XID (cut to nothing is none), TABLE_MAP, GTID, WRITE_ROWS.
    for kind in [2, 19, 30] {
        let (offset, length) = find(kind);
        let mut rubbish = plain.clone();
        rubbish[offset + 19..offset + length].fill(0xFF);
        sum_up(&mut rubbish, (offset, length));
        let (found, what) = damage_of(&rubbish);
        assert_eq!((found, what), (offset as u64, DamageKind::Unreadable), "type {kind}");
    }
    let (offset, length) = find(2);
    for (kind, flags, expected) in [
        (201, 0, Some(DamageKind::ImpossibleType)),
        (0, 0, Some(DamageKind::ImpossibleType)),
        // Aurora's, MySQL's and MariaDB's next ones, and any that readers may skip.
        (100, 0, None),
        (43, 0, None),
        (173, 0, None),
        (201, 0x80, None),
    ] {
        let mut strange = plain.clone();
        strange[offset + 4] = kind;
        strange[offset + 17] = flags;
        sum_up(&mut strange, (offset, length));
        let verified = verify_bytes(&strange).unwrap();
        let damage = verified.damages.first().map(|damage| damage.kind);
        assert_eq!(damage, expected, "type {kind}");
        let note = Note::UnknownEvents { event_type: kind, count: 1 };
        assert_eq!(verified.notes.contains(&note), expected.is_none(), "{:?}", verified.notes);
    }
}

#[test]
fn a_compressed_transaction_that_cannot_be_unfolded_is_told_of() {
    let directory = fixture("mysql-9.7/tagged-gtids");
    let keyring = directory.join("component_keyring_file");
    let plain = plaintext(&directory.join("tagged.000001"), &keyring);
    let all = logs::events(&plain);
    let payload = all.iter().filter(|(.., kind)| *kind == 40).max_by_key(|(_, length, _)| *length);
    let &(offset, length, _) = payload.unwrap();
    for at in [offset + length - 30, offset + length / 2] {
        let mut damaged = plain.clone();
        for byte in &mut damaged[at..at + 8] {
            *byte ^= 0x5A;
        }
        sum_up(&mut damaged, (offset, length));
        assert_eq!(damage_of(&damaged), (offset as u64, DamageKind::Unreadable));
    }
}

#[test]
fn a_transaction_without_its_gtid_is_told_of() {
    let path = fixture("mysql-9.7/mixed-key3-running/binlog.000002");
    let plain = std::fs::read(path).unwrap();
    let all = logs::events(&plain);
    let gtids: Vec<_> = all.iter().filter(|(.., kind)| *kind == 33).copied().collect();
    for &(offset, length, _) in [gtids[0], gtids[3], gtids[gtids.len() - 1]].iter() {
        // It is not there.
        let gone = [&plain[..offset], &plain[offset + length..]].concat();
        assert_eq!(damage_of(&gone), (offset as u64, DamageKind::NoGtid));
        // It is there, and damaged: one damage, and what it costs.
        for at in [4, 25] {
            let mut damaged = plain.clone();
            damaged[offset + at] ^= 0x40;
            let verified = verify_bytes(&damaged).unwrap();
            assert_eq!(verified.damage_count, 1, "{:?}", verified.damages);
            let lost = |note: &Note| matches!(note, Note::LostGtids { count: 1, .. });
            assert!(verified.notes.iter().any(lost), "{:?}", verified.notes);
        }
    }
    // In a large log, wherever its parts meet.
    let log = logs::grow(&plain, 9 << 20);
    let all = logs::events(&log);
    let of_gtids: Vec<_> = all.iter().filter(|(.., kind)| *kind == 33).collect();
    let &&(offset, length, _) = &of_gtids[of_gtids.len() / 2];
    let gone = [&log[..offset], &log[offset + length..]].concat();
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(|| verify_bytes(&log).unwrap().is_whole()));
        let found = pool.install(|| damage_of(&gone));
        assert_eq!(found, (offset as u64, DamageKind::NoGtid));
    }
}

#[test]
fn a_relay_logs_own_rotate_names_the_next_one_and_its_sources_does_not() {
    let directory = fixture("mysql-9.7/replica-relay-running");
    let keyring = directory.join("component_keyring_file");
    let plain = plaintext(&directory.join("replica-relay-bin.000034"), &keyring);
    let all = logs::events(&plain);
    let end = all.iter().rfind(|(.., kind)| *kind != 4 && *kind != 3).unwrap();
    let head = &plain[..end.0 + end.1];
    let own_id = plain[9..13].to_vec();
    let event = |kind: u8, server_id: &[u8], flags: u8, body: &[u8]| {
        let length = u32::try_from(19 + body.len() + 4).unwrap();
        let mut event = [&[1, 2, 3, 4, kind], server_id, &length.to_le_bytes()].concat();
        event.extend([0, 0, 0, 0, flags, 0]);
        event.extend(body);
        event.extend([0; 4]);
        event
    };
    let next = |name: &str| [&4_u64.to_le_bytes()[..], name.as_bytes()].concat();
    let ending = |events: &[Vec<u8>]| {
        let mut log = head.to_vec();
        events.iter().for_each(|event| logs::append(&mut log, event));
        verify_bytes(&log).unwrap().next_log
    };
    let of_source = event(4, &[77, 0, 0, 0], 0, &next("binlog.000013"));
    let stop = event(3, &own_id, 0x40, &[]);
    assert_eq!(ending(&[of_source.clone(), stop]), None);
    let own = event(4, &own_id, 0x40, &next("relay.000035"));
    let old_own = event(4, &own_id, 0, &next("relay.000035"));
    for own in [own, old_own] {
        let named = ending(&[of_source.clone(), own]);
        assert_eq!(named.as_deref(), Some("relay.000035"));
    }
    // Logs of a replica that was restarted, where they are at hand.
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases/bugreports");
    let case = case.join("02-relay-false-gap-after-restart");
    if !case.is_dir() {
        println!("skipped: no relay logs of a restarted replica beside the checkout");
        return;
    }
    let output = common::binlogsec()
        .current_dir(case)
        .args(["verify", "vm-relay-bin.000010", "vm-relay-bin.000011", "--keyring", "kr-r"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("0 gaps"), "{told}");
}

/// Two logs of MariaDB that follow one another, in plaintext.
fn of_mariadb() -> [Vec<u8>; 2] {
    let directory = fixture("mariadb-10.11/cbc128-crc32-row");
    [2, 3].map(|number| {
        let path = directory.join(format!("logs/binlog.{number:06}"));
        plaintext(&path, &directory.join("keys.txt"))
    })
}

#[test]
fn lost_logs_of_mariadb_are_found_by_their_gtids_although_the_numbers_follow() {
    let [first, second] = of_mariadb();
    let scratch = tempfile::tempdir().unwrap();
    let verify = |second: &[u8]| {
        std::fs::write(scratch.path().join("binlog.000002"), &first).unwrap();
        std::fs::write(scratch.path().join("binlog.000003"), second).unwrap();
        let (code, report, _) = run_on(scratch.path(), &["verify", ".", "--format", "json"]);
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        (code, report)
    };
    let (code, report) = verify(&second);
    assert_eq!((code, &report["summary"]["gaps"]), (0, &0.into()), "{report}");
    let (own, list) = (&report["files"][0]["gtids"], &report["files"][1]["previous_gtids"]);
    assert!(own.as_str().unwrap().starts_with("0-") && own == list, "{own} {list}");
    let (code, listed, _) = run_on(scratch.path(), &["events", "binlog.000003"]);
    assert!(code == 0 && listed.contains(list.as_str().unwrap()), "{listed}");

    let &(offset, length, _) =
        logs::events(&second).iter().find(|(.., kind)| *kind == 163).unwrap();
    for (change, reason) in
        [(4_i64, "which this log and those before it do not"), (-1, "does not reach")]
    {
        let mut other = second.clone();
        let at = offset + 19 + 4 + 8;
        let number = i64::from_le_bytes(other[at..at + 8].try_into().unwrap()) + change;
        other[at..at + 8].copy_from_slice(&number.to_le_bytes());
        sum_up(&mut other, (offset, length));
        let (code, report) = verify(&other);
        assert_eq!(code, 1, "{report}");
        let gaps = report["gaps"].as_array().unwrap();
        assert_eq!(gaps.len(), 1, "{report}");
        assert!(gaps[0]["reason"].as_str().unwrap().contains(reason), "{report}");
    }
}

#[test]
fn a_log_of_another_server_does_not_follow_unless_gtids_say_so() {
    let link = |number: u32, server_id: u32, gtids: Gtids| Link {
        path: format!("binlog.{number:06}").into(),
        is_relay: false,
        is_whole: true,
        gtids,
        server_id: Some(server_id),
        next_log: None,
    };
    let kinds = |links: &[Link]| {
        let gaps = check_continuity(links);
        gaps.into_iter().map(|gap| gap.kind).collect::<Vec<_>>()
    };
    let (none, other) = (Gtids::default(), GapKind::OtherServer { before: 1, after: 2 });
    assert_eq!(kinds(&[link(1, 1, none.clone()), link(2, 2, none.clone())]), [other]);
    assert_eq!(kinds(&[link(1, 1, none.clone()), link(2, 1, none)]), []);
    let set = |previous: &str, own: &str| Gtids {
        previous: Some(previous.parse().unwrap()),
        own: own.parse().unwrap(),
        ..Gtids::default()
    };
    let uuid = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
    let before = set(&format!("{uuid}:1-5"), &format!("{uuid}:6"));
    let follows = set(&format!("{uuid}:1-6"), "");
    assert_eq!(kinds(&[link(1, 1, before.clone()), link(2, 2, follows)]), []);
    let does_not = set(&format!("{uuid}:1-9"), "");
    assert!(matches!(
        kinds(&[link(1, 1, before), link(2, 2, does_not)])[..],
        [GapKind::GtidsUnexplained { .. }]
    ));
}

#[test]
fn a_strict_check_takes_a_log_that_was_never_closed_for_damaged() {
    let scratch = tempfile::tempdir().unwrap();
    let whole = std::fs::read(mixed().join("binlog.000003")).unwrap();
    let in_use = std::fs::read(mixed().join("binlog.000006")).unwrap();
    let plain = plaintext(&mixed().join("binlog.000003"), &mixed_keyring());
    let (last, ..) = *logs::events(&plain).last().unwrap();
    let cut_between = whole[..512 + last].to_vec();
    for (name, bytes, strict) in [
        ("whole", &whole, 0),
        ("in-use", &in_use, 4),
        ("cut", &in_use[..in_use.len() - 300].to_vec(), 4),
        ("between", &cut_between, 4),
    ] {
        std::fs::write(scratch.path().join(name), bytes).unwrap();
        let verify = run_on(scratch.path(), &["verify", name]);
        assert_eq!(verify.0, 0, "{name}: {}", verify.1);
        assert_eq!(run_on(scratch.path(), &["verify", name, "--strict"]).0, strict, "{name}");
        // decrypt says the same, and gives no output where it refuses.
        let arguments = ["decrypt", name, "-o", "out", "--verify"];
        let (code, told, _) = run_on(scratch.path(), &arguments);
        assert_eq!(code, 0, "{name}: {told}");
        let said = verify.1.lines().nth(1).unwrap().split("  ").last().unwrap().to_owned();
        if name != "whole" {
            assert!(told.contains(said.trim()), "{name}: {said}: {told}");
        }
        std::fs::remove_file(scratch.path().join("out")).unwrap();
        let strictly = [&arguments[..], &["--strict"]].concat();
        let (code, told, said) = run_on(scratch.path(), &strictly);
        assert_eq!(code, strict, "{name}: {told} {said}");
        assert_eq!(scratch.path().join("out").exists(), strict == 0, "{name}");
        let _ = std::fs::remove_file(scratch.path().join("out"));
    }
    let (code, _, said) = run_on(scratch.path(), &["decrypt", "whole", "-o", "x", "--strict"]);
    assert!(code == 2 && said.contains("--verify"), "{said}");
}

#[test]
fn an_empty_log_of_an_index_is_damage_for_decrypt_as_for_verify() {
    let (scratch, _) = copied("./");
    std::fs::write(scratch.path().join("binlog.000004"), b"").unwrap();
    assert_eq!(run_on(scratch.path(), &["verify", "binlog.index"]).0, 4);
    let (code, _, said) =
        run_on(scratch.path(), &["decrypt", "binlog.index", "--output-dir", "plain"]);
    assert!(code == 4 && said.contains("binlog.000004"), "{said}");
    assert_eq!(common::names(&scratch.path().join("plain")), ["binlog.000003", "binlog.000005"]);
    // In a directory it is nobody's.
    let outside = tempfile::tempdir().unwrap();
    std::fs::remove_dir_all(scratch.path().join("plain")).unwrap();
    let arguments = ["decrypt", ".", "--output-dir", outside.path().to_str().unwrap()];
    let (code, _, said) = run_on(scratch.path(), &arguments);
    assert_eq!(code, 0, "{said}");
}
