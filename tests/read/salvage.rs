//! `salvage` keeps what is whole, whatever happened to the rest, and invents nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::collections::BTreeSet;
use std::path::Path;

use assert_cmd::Command;
use binlogsec_core::file::pipeline::NoProgress;
use binlogsec_core::file::sink::SinkOptions;
use binlogsec_core::file::source::FileSource;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::error::Error;
use binlogsec_core::mysql::header::EncryptionHeader;
use binlogsec_core::read::salvage::{GapKind, SalvageOptions, Salvaged, salvage};
use proptest::prelude::*;

use common::{fixture, logs, mixed, mixed_keyring, mysqlbinlog, plaintext, scenarios};

fn salvage_bytes(
    bytes: &[u8],
    keys: &Keyring,
    options: &SalvageOptions,
) -> Result<(Salvaged, Vec<u8>), Error> {
    let scratch = tempfile::tempdir().unwrap();
    let (source, target) = (scratch.path().join("log"), scratch.path().join("saved"));
    std::fs::write(&source, bytes).unwrap();
    let source = FileSource::open(&source).unwrap();
    let salvaged = salvage(&source, &target, SinkOptions::default(), keys, options, &NoProgress)?;
    let saved = std::fs::read(&target).unwrap();
    assert_eq!(saved.len() as u64, salvaged.written);
    Ok((salvaged, saved))
}

fn options(max_shift: u64) -> SalvageOptions {
    SalvageOptions { max_shift, ..SalvageOptions::default() }
}

fn keys() -> Keyring {
    Keyring::open(mixed_keyring()).unwrap()
}

fn encrypted() -> Vec<u8> {
    std::fs::read(mixed().join("binlog.000003")).unwrap()
}

/// The events of a plaintext log, as bytes.
fn event_set(plain: &[u8]) -> Vec<Vec<u8>> {
    logs::events(plain)
        .into_iter()
        .map(|(offset, length, _)| plain[offset..offset + length].to_vec())
        .collect()
}

/// Every event of the saved log is one of the original, in the original order; returns how many
/// are missing.
fn lost(saved: &[u8], original: &[u8]) -> usize {
    let (saved, original) = (event_set(saved), event_set(original));
    let mut rest = original.iter();
    for event in &saved {
        assert!(rest.any(|other| other == event), "an event that was not in the log");
    }
    original.len() - saved.len()
}

#[test]
fn an_undamaged_log_is_salvaged_as_it_is() {
    let mut logs = 0;
    for (directory, manifest) in scenarios("mysql-9.7") {
        let keyring = directory.join("component_keyring_file");
        let keys = Keyring::open(&keyring).unwrap();
        for entry in manifest["files"].as_array().unwrap() {
            if entry["event_types"].is_null() || entry["size"].as_u64() > Some(2_000_000) {
                continue;
            }
            let path = directory.join(entry["name"].as_str().unwrap());
            let (salvaged, saved) =
                salvage_bytes(&std::fs::read(&path).unwrap(), &keys, &options(64)).unwrap();
            let mut plain = plaintext(&path, &keyring);
            let trailing = entry["trailing_bytes"].as_u64().unwrap();
            let trailing = usize::try_from(trailing).unwrap();
            plain.truncate(plain.len() - trailing);
            plain[21] &= !1;
            assert!(saved == plain, "{}", path.display());
            assert_eq!(salvaged.is_whole(), trailing == 0, "{}", path.display());
            logs += 1;
        }
    }
    println!("{logs} logs");
    assert!(logs >= 16, "{logs}");
}

#[test]
fn a_flipped_bit_costs_the_event_it_is_in() {
    let (bytes, keys) = (encrypted(), keys());
    let original = plaintext(&mixed().join("binlog.000003"), &mixed_keyring());
    for (index, &(offset, length, _)) in logs::events(&original).iter().enumerate().skip(1) {
        let mut damaged = bytes.clone();
        damaged[512 + offset + index * 31 % length] ^= 1 << (index % 8);
        let (salvaged, saved) = salvage_bytes(&damaged, &keys, &options(64)).unwrap();
        assert_eq!(lost(&saved, &original), 1, "event {index}");
        assert_eq!(salvaged.gaps.len(), 1);
        let gap = &salvaged.gaps[0];
        assert_eq!((gap.file_offset, gap.length), (512 + offset as u64, length as u64));
        assert_eq!(gap.shift, 0);
    }
}

#[test]
fn bytes_missing_or_put_in_move_the_stream_and_are_measured() {
    let (bytes, keys) = (encrypted(), keys());
    let original = plaintext(&mixed().join("binlog.000003"), &mixed_keyring());
    for (at, count) in [(20_000, 1), (35_011, 333), (60_000, 1024), (90_000, 12)] {
        let cut = [&bytes[..at], &bytes[at + count..]].concat();
        let (salvaged, saved) = salvage_bytes(&cut, &keys, &options(2048)).unwrap();
        let hit = |(offset, length, _): &&(usize, usize, u8)| {
            512 + offset < at + count && 512 + offset + length > at
        };
        let expected = logs::events(&original).iter().filter(hit).count();
        assert_eq!(lost(&saved, &original), expected, "{count} missing at {at}");
        let shift = i64::try_from(count).unwrap();
        assert_eq!(salvaged.gaps.iter().map(|gap| gap.shift).collect::<Vec<_>>(), [shift]);

        let junk = vec![0x5A; count];
        let grown = [&bytes[..at], &junk, &bytes[at..]].concat();
        let (salvaged, saved) = salvage_bytes(&grown, &keys, &options(2048)).unwrap();
        assert!(lost(&saved, &original) <= 1, "{count} put in at {at}");
        assert_eq!(salvaged.gaps.iter().map(|gap| gap.shift).collect::<Vec<_>>(), [-shift]);
    }
}

#[test]
fn blocks_that_are_gone_or_zero_cost_what_was_in_them() {
    let (bytes, keys) = (encrypted(), keys());
    let original = plaintext(&mixed().join("binlog.000003"), &mixed_keyring());
    for start in [8192, 40_960, 98_304 - 4096] {
        let mut zeroed = bytes.clone();
        zeroed[start..start + 4096].fill(0);
        let (salvaged, saved) = salvage_bytes(&zeroed, &keys, &options(64)).unwrap();
        assert!(lost(&saved, &original) > 0);
        assert!(salvaged.lost < 30_000 && salvaged.gaps.len() == 1, "{:?}", salvaged.gaps);
        // Blocks are looked for further away than bytes.
        let cut = [&bytes[..start], &bytes[start + 4096..]].concat();
        let (salvaged, _) = salvage_bytes(&cut, &keys, &options(512)).unwrap();
        assert_eq!(salvaged.gaps[0].shift, 4096, "{:?}", salvaged.gaps);
    }
    let (salvaged, saved) = salvage_bytes(&bytes[..50_000], &keys, &options(16)).unwrap();
    assert!(original.starts_with(&saved));
    assert_eq!(salvaged.gaps[0].kind, GapKind::Tail);
}

#[test]
fn a_lost_header_is_replaced_by_a_copy_or_by_the_password() {
    let (bytes, keys) = (encrypted(), keys());
    let original = plaintext(&mixed().join("binlog.000003"), &mixed_keyring());
    let header = EncryptionHeader::parse(&bytes).unwrap();
    let key = &keys.candidates(&header.key_id).unwrap()[0];
    let unwrap =
        || binlogsec_core::mysql::password::unwrap(key, &header.iv, &header.wrapped_password);
    let overwritten = [vec![0; 512], bytes[512..].to_vec()].concat();
    let removed = bytes[512..].to_vec();
    for damaged in [&overwritten, &removed] {
        assert!(salvage_bytes(damaged, &keys, &options(16)).is_err());
        let with_header = SalvageOptions { header: Some(header.clone()), ..options(16) };
        let with_password = SalvageOptions { password: Some(unwrap()), ..options(16) };
        let none = Keyring::new();
        for (options, keys) in [(with_header, &keys), (with_password, &none)] {
            let (salvaged, saved) = salvage_bytes(damaged, keys, &options).unwrap();
            assert!(salvaged.is_whole() && saved == original);
        }
    }
}

#[test]
fn a_lost_format_description_is_taken_from_another_log_when_one_is_named() {
    let (mut bytes, keys) = (encrypted(), keys());
    let original = plaintext(&mixed().join("binlog.000003"), &mixed_keyring());
    bytes[512..1024].fill(0);
    let error = salvage_bytes(&bytes, &keys, &options(16)).unwrap_err();
    let message = binlogsec_core::log::error::describe(&error);
    assert!(message.contains("--description-from"), "{message}");
    let other = plaintext(&mixed().join("binlog.000004"), &mixed_keyring());
    let with_other =
        SalvageOptions { description: Some(other[4..4 + 123].to_vec()), ..options(16) };
    let (salvaged, saved) = salvage_bytes(&bytes, &keys, &with_other).unwrap();
    assert!(salvaged.description_borrowed && !salvaged.is_whole());
    assert!(saved.starts_with(&other[..127]) && original.ends_with(&saved[127..]));

    // One that is only damaged is kept where there is no other, and gives way where there is.
    let mut damaged = encrypted();
    damaged[512 + 4 + 19 + 4] ^= 1;
    let (salvaged, saved) = salvage_bytes(&damaged, &keys, &options(16)).unwrap();
    assert!(salvaged.description_damaged && !salvaged.description_borrowed);
    assert!(!saved.starts_with(&original[..127]) && saved[127..] == original[127..]);
    let (salvaged, saved) = salvage_bytes(&damaged, &keys, &with_other).unwrap();
    assert!(salvaged.description_borrowed && !salvaged.description_damaged);
    assert!(saved.starts_with(&other[..127]) && saved[127..] == original[127..]);
    assert_eq!((salvaged.gaps.len(), salvaged.lost), (1, 123));
    // A whole one is the log's own in any case.
    let (salvaged, saved) = salvage_bytes(&encrypted(), &keys, &with_other).unwrap();
    assert!(salvaged.is_whole() && saved == original);
}

#[test]
fn a_format_description_is_kept_and_counted_wherever_it_stands() {
    // Behind bytes that somebody put in before it.
    let original = plaintext(&mixed().join("binlog.000003"), &mixed_keyring());
    let none = Keyring::new();
    let grown = [&original[..4], &[0x5A; 3], &original[4..]].concat();
    let (salvaged, saved) = salvage_bytes(&grown, &none, &options(16)).unwrap();
    assert!(saved == original);
    assert_eq!(salvaged.written_events, salvaged.events);
    assert_eq!((salvaged.gaps.len(), salvaged.lost), (1, 3));

    // With flags that no server sets: its checksum is right.
    let mut odd = original.clone();
    odd[4 + 18] |= 0x10;
    let length = u32::from_le_bytes(odd[13..17].try_into().unwrap()) as usize;
    let mut summed = odd[4..length].to_vec();
    summed[17] &= !1;
    let sum = crc32fast::hash(&summed).to_le_bytes();
    odd[length..4 + length].copy_from_slice(&sum);
    let (salvaged, saved) = salvage_bytes(&odd, &none, &options(16)).unwrap();
    assert!(saved == odd);
    assert_eq!(salvaged.written_events, salvaged.events);
    assert!(salvaged.is_whole());

    // Of a relay log both: the first is damaged, the source's is not the first.
    let relay = fixture("mysql-9.7/replica-relay-running");
    let log = relay.join("replica-relay-bin.000034");
    let mut bytes = plaintext(&log, &relay.join("component_keyring_file"));
    let events = logs::events(&bytes);
    let descriptions =
        |events: &[(usize, usize, u8)]| events.iter().filter(|(.., kind)| *kind == 15).count();
    assert_eq!(descriptions(&events), 2);
    let whole = bytes.clone();
    bytes[4 + 60] ^= 1;
    let (salvaged, saved) = salvage_bytes(&bytes, &none, &options(16)).unwrap();
    assert!(salvaged.description_damaged);
    assert_eq!(descriptions(&logs::events(&saved)), 2);
    assert_eq!(lost(&saved, &bytes), 0);
    let (_, length, _) = events[0];
    let with_another =
        SalvageOptions { description: Some(whole[4..4 + length].to_vec()), ..options(16) };
    let (salvaged, saved) = salvage_bytes(&bytes, &none, &with_another).unwrap();
    assert!(salvaged.description_borrowed && !salvaged.description_damaged);
    assert!(saved == whole);
}

#[test]
fn whole_transactions_leave_nothing_behind_that_mysqlbinlog_stumbles_over() {
    let (mut bytes, keys) = (encrypted(), keys());
    let original = plaintext(&mixed().join("binlog.000003"), &mixed_keyring());
    // A table map within a transaction.
    let all = logs::events(&original);
    let table_map = all.iter().rev().find(|(.., kind)| *kind == 19).unwrap();
    bytes[512 + table_map.0 + 30] ^= 1;
    let whole = SalvageOptions { whole_transactions: true, ..options(16) };
    let (salvaged, saved) = salvage_bytes(&bytes, &keys, &whole).unwrap();
    assert_eq!(salvaged.incomplete.len(), 1);
    assert!(salvaged.written_events < salvaged.events);
    lost(&saved, &original);
    if let Some((success, text)) = mysqlbinlog(&["-v"], &saved) {
        assert!(success && !text.contains(&salvaged.incomplete[0]));
    }
}

#[test]
fn the_command_reports_and_its_exit_codes_tell() {
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("log");
    let run = |bytes: &[u8], name: &str| {
        std::fs::write(&source, bytes).unwrap();
        let output = Command::cargo_bin("binlogsec")
            .unwrap()
            .arg("salvage")
            .arg(&source)
            .arg("-o")
            .arg(scratch.path().join(name))
            .args(["--format", "json", "--max-shift", "16", "--keyring"])
            .arg(mixed_keyring())
            .output()
            .unwrap();
        let json: Option<serde_json::Value> = serde_json::from_slice(&output.stdout).ok();
        (output.status.code().unwrap(), json)
    };
    let mut bytes = encrypted();
    let (code, report) = run(&bytes, "whole");
    let report = report.unwrap();
    assert_eq!((code, &report["schema"]), (0, &"binlogsec.salvage/1".into()));
    bytes[50_000] ^= 1;
    let (code, report) = run(&bytes, "part");
    assert_eq!((code, report.unwrap()["gaps"].as_array().unwrap().len()), (1, 1));
    assert_eq!(run(&[7; 5000], "nothing").0, 4);
    assert!(!scratch.path().join("nothing").exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn what_is_saved_was_in_the_log(
        damages in proptest::collection::vec(
            (0..4_u8, any::<prop::sample::Index>(), 1..3000_usize), 1..4),
        plain in any::<bool>(),
    ) {
        let original = plaintext(&mixed().join("binlog.000004"), &mixed_keyring());
        let mut bytes = if plain {
            original.clone()
        } else {
            std::fs::read(mixed().join("binlog.000004")).unwrap()
        };
        // Behind the format description event, so that there is something to read the log by.
        let head = if plain { 127 } else { 512 + 127 };
        for (kind, at, length) in damages {
            let at = head + at.index(bytes.len() - head);
            let end = (at + length).min(bytes.len());
            match kind {
                0 => bytes[at..end].fill(0),
                1 => drop(bytes.drain(at..end)),
                2 => drop(bytes.splice(at..at, vec![0xEE; length])),
                _ => bytes[at..end].iter_mut().for_each(|byte| *byte ^= 0x40),
            }
            if bytes.len() <= head {
                break;
            }
        }
        if let Ok((_, saved)) = salvage_bytes(&bytes, &keys(), &options(32)) {
            let known: BTreeSet<_> = event_set(&original).into_iter().collect();
            for event in event_set(&saved) {
                prop_assert!(known.contains(&event));
            }
        }
    }

    #[test]
    fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let _ = salvage_bytes(&bytes, &keys(), &options(8));
        let log = [b"\xFEbin", bytes.as_slice()].concat();
        let _ = salvage_bytes(&log, &keys(), &options(8));
    }
}

#[test]
fn plain_logs_of_mariadb_are_salvaged_as_they_are() {
    let path = fixture("mariadb-10.11/plain-crc32/logs/binlog.000003");
    let mut bytes = std::fs::read(Path::new(&path)).unwrap();
    let (salvaged, saved) = salvage_bytes(&bytes, &Keyring::new(), &options(16)).unwrap();
    bytes[21] &= !1;
    assert!(salvaged.is_whole() && saved == bytes);
}

/// As a slice, what was saved is a closed log: `mysqlbinlog` warns of others.
#[test]
fn what_was_saved_is_not_in_use() {
    for path in [
        "mysql-9.7/mixed-key3-running/binlog.000006",
        "mariadb-10.11/cbc128-crc32-row/logs/binlog.000002",
    ] {
        let path = fixture(path);
        let mariadb = path.with_file_name("../keys.txt");
        let keyring = if mariadb.exists() { mariadb } else { mixed_keyring() };
        let mut plain = plaintext(&path, &keyring);
        let keys = Keyring::open(&keyring).unwrap();
        plain[21] |= 1;
        let (salvaged, saved) = salvage_bytes(&plain, &keys, &options(64)).unwrap();
        assert!(salvaged.is_whole());
        assert_eq!(saved[21] & 1, 0);
        plain[21] &= !1;
        assert!(saved == plain);
    }
}
