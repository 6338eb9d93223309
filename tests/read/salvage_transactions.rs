//! What `salvage` makes of transactions: whole ones, those that have lost events, those that stand
//! out of their order; and what it tells of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use crate::common;

use std::path::{Path, PathBuf};
use std::process::Command;

use binlogsec_core::file::pipeline::NoProgress;
use binlogsec_core::file::sink::SinkOptions;
use binlogsec_core::file::source::{Access, FileSource};
use binlogsec_core::keyring::Keyring;
use binlogsec_core::mysql::file_key::FileKey;
use binlogsec_core::mysql::header::EncryptionHeader;
use binlogsec_core::mysql::password;
use binlogsec_core::mysql::stream::CtrStream;
use binlogsec_core::read::salvage::{SalvageOptions, Salvaged, salvage};
use binlogsec_core::read::verify::{DamageKind, Note, Verified, verify_file};

use common::{fixture, logs, mixed, mixed_keyring, plaintext, scenarios};

const QUERY: u8 = 2;
const ROTATE: u8 = 4;
const XID: u8 = 16;
const GTIDS: [u8; 4] = [33, 34, 42, 162];
/// Events about the log, none of which is in a transaction.
const ABOUT_THE_LOG: [u8; 7] = [15, 35, ROTATE, 3, 161, 163, 164];

pub(crate) fn salvaged(
    bytes: &[u8],
    keys: &Keyring,
    options: &SalvageOptions,
) -> (Salvaged, Vec<u8>) {
    let scratch = tempfile::tempdir().unwrap();
    let (source, target) = (scratch.path().join("log"), scratch.path().join("saved"));
    std::fs::write(&source, bytes).unwrap();
    let mut source = FileSource::open(&source).unwrap();
    source.set_access(Access::Mapped);
    let sink = SinkOptions::default();
    let salvaged = salvage(&source, &target, sink, keys, options, &NoProgress).unwrap();
    (salvaged, std::fs::read(&target).unwrap())
}

pub(crate) fn every_event() -> SalvageOptions {
    SalvageOptions { max_shift: 4096, ..SalvageOptions::default() }
}

fn whole() -> SalvageOptions {
    SalvageOptions { whole_transactions: true, ..every_event() }
}

pub(crate) fn plain(name: &str) -> Vec<u8> {
    plaintext(&mixed().join(name), &mixed_keyring())
}

/// A plaintext log as the server would have encrypted it, under the header of another.
pub(crate) fn encrypted(plain: &[u8]) -> Vec<u8> {
    let other = std::fs::read(mixed().join("binlog.000003")).unwrap();
    let header = EncryptionHeader::parse(&other).unwrap();
    let keys = Keyring::open(mixed_keyring()).unwrap();
    let key = &keys.candidates(&header.key_id).unwrap()[0];
    let password = password::unwrap(key, &header.iv, &header.wrapped_password);
    let mut body = plain.to_vec();
    CtrStream::new(FileKey::derive(&password)).apply(0, &mut body);
    [&other[..512], &body].concat()
}

/// The events that belong together: transactions, and what stands alone.
fn units(plain: &[u8]) -> Vec<Vec<(usize, usize, u8)>> {
    let mut units: Vec<Vec<(usize, usize, u8)>> = Vec::new();
    let mut is_within = false;
    for event in logs::events(plain) {
        let begins = GTIDS.contains(&event.2);
        if begins || ABOUT_THE_LOG.contains(&event.2) || !is_within {
            units.push(Vec::new());
        }
        is_within = (is_within || begins) && !ABOUT_THE_LOG.contains(&event.2);
        units.last_mut().unwrap().push(event);
    }
    units
}

/// The same in a log without GTID events: from BEGIN to XID or COMMIT, or one statement.
fn units_by_statements(plain: &[u8]) -> Vec<Vec<(usize, usize, u8)>> {
    let mut units: Vec<Vec<(usize, usize, u8)>> = Vec::new();
    let mut is_within = false;
    for event in logs::events(plain) {
        let bytes = &plain[event.0..event.0 + event.1];
        let is = |text: &[u8]| event.2 == QUERY && bytes[..bytes.len() - 4].ends_with(text);
        if !is_within {
            units.push(Vec::new());
        }
        units.last_mut().unwrap().push(event);
        is_within = (is_within || is(b"\0BEGIN")) && event.2 != XID && !is(b"\0COMMIT");
    }
    units
}

/// Which transaction ends the XA transaction that another one prepares.
fn xa_end(plain: &[u8], units: &[Vec<(usize, usize, u8)>], index: usize) -> Option<usize> {
    let text = |unit: &[(usize, usize, u8)], verb: &str| {
        let statements = unit.iter().filter(|event| event.2 == QUERY).map(|event| {
            let bytes = &plain[event.0..event.0 + event.1 - 4];
            String::from_utf8_lossy(bytes).into_owned()
        });
        let mut ids = statements.filter_map(|text| Some(text.split_once(verb)?.1.to_owned()));
        ids.next()
    };
    const XA_PREPARE: u8 = 38;
    let unit = units.get(index)?;
    unit.iter().find(|event| event.2 == XA_PREPARE)?;
    let id = text(unit, "XA END ")?;
    let ends = |unit: &[(usize, usize, u8)]| {
        ["XA COMMIT ", "XA ROLLBACK "].iter().any(|verb| text(unit, verb).as_ref() == Some(&id))
    };
    (index..units.len()).find(|at| ends(&units[*at]))
}

/// Hits an event of every second transaction, and expects all but that transaction.
fn whole_but_one(plain: &[u8], units: &[Vec<(usize, usize, u8)>], name: &str) -> usize {
    let none = Keyring::new();
    let (undamaged, saved) = salvaged(plain, &none, &whole());
    if saved[22..] != plain[22..] {
        println!("{name}: ends in a transaction, {} left out", undamaged.incomplete_count);
        return 0;
    }
    let mut hits = 0;
    for (index, unit) in units.iter().enumerate().skip(1).step_by(2) {
        let (offset, length, kind) = unit[(index / 2) % unit.len()];
        if kind == 15 {
            continue;
        }
        let mut damaged = plain.to_vec();
        damaged[offset + 19 + (length - 19) / 2] ^= 4;
        let (found, saved) = salvaged(&damaged, &none, &whole());
        let mut expected = plain[..4].to_vec();
        let end = xa_end(plain, units, index);
        let is_lost = |other: usize| other == index || Some(other) == end;
        for unit in units.iter().enumerate().filter(|(other, _)| !is_lost(*other)) {
            for &(offset, length, _) in unit.1 {
                expected.extend(&plain[offset..offset + length]);
            }
        }
        expected[21] &= !1;
        assert!(
            saved == expected,
            "{name}: type {kind} at {offset} of {unit:?}: {} of {} bytes, {:?}",
            saved.len(),
            expected.len(),
            found.incomplete
        );
        let many = if end.is_some() { 2 } else { 1 };
        let is_told = unit.len() == 1 || found.incomplete_count == many;
        assert!(is_told, "{name}: {kind} at {offset}, {found:?}");
        // And without the option every event that is whole is kept, and the same is told.
        let (found, saved) = salvaged(&damaged, &none, &every_event());
        assert_eq!(saved.len(), plain.len() - length, "{name}: {kind} at {offset}");
        assert!(unit.len() == 1 || found.incomplete_count == 1, "{name}: {kind} at {offset}");
        // What was saved so has parts of that transaction, which are found in it once more.
        let (again, saved) = salvaged(&saved, &none, &whole());
        assert!(saved == expected, "{name}: {kind} at {offset}, again: {:?}", again.incomplete);
        let is_told = unit.len() == 1 || again.incomplete_count == many;
        assert!(is_told, "{name}: {kind} at {offset}, again: {again:?}");
        hits += 1;
    }
    hits
}

#[test]
fn a_transaction_that_has_lost_any_event_is_left_out_as_a_whole() {
    let mut hits = 0;
    for (family, plain_kind) in [("mysql-9.7", "CRC32"), ("mariadb-10.11", "CRC32")] {
        for (directory, manifest) in scenarios(family) {
            let entries = manifest["files"].as_array().or(manifest["logs"].as_array());
            for entry in entries.cloned().unwrap_or_default() {
                let name = entry["name"].as_str().or(entry["file"].as_str()).unwrap();
                let is_binlog = entry["kind"] == "binlog" || family == "mariadb-10.11";
                let path = directory.join(name);
                let small = std::fs::metadata(&path).is_ok_and(|file| file.len() < 60_000);
                if !is_binlog || !small || name.contains("relay") {
                    continue;
                }
                let in_clear = directory.join("plain").join(Path::new(name).file_name().unwrap());
                let bytes = if family == "mysql-9.7" {
                    plaintext(&path, &directory.join("component_keyring_file"))
                } else if in_clear.is_file() {
                    std::fs::read(in_clear).unwrap()
                } else {
                    continue;
                };
                let description = &bytes[4..4 + 9 + 4];
                let length = u32::from_le_bytes(description[9..13].try_into().unwrap()) as usize;
                let has_checksums = bytes[4 + length - 5] == 1;
                let is_sound = logs_are_sound(&bytes);
                if has_checksums != (plain_kind == "CRC32") || !is_sound {
                    continue;
                }
                hits += whole_but_one(&bytes, &units(&bytes), &path.display().to_string());
            }
        }
    }
    println!("{hits} transactions hit");
    // The fixtures alone have half as many as they have with the corpus.
    assert!(hits > 50, "{hits}");
}

/// Whether the events fill the log.
fn logs_are_sound(plain: &[u8]) -> bool {
    let mut at = 4;
    while at + 19 <= plain.len() {
        at += u32::from_le_bytes(plain[at + 9..at + 13].try_into().unwrap()) as usize;
    }
    at == plain.len()
}

/// MySQL 5.6 with `gtid_mode=OFF`: BEGIN is the first event of a transaction.
#[test]
fn without_gtid_events_begin_and_statements_that_stand_alone_begin_transactions() {
    let original = plain("binlog.000003");
    let mut log = original[..4].to_vec();
    for (offset, length, kind) in logs::events(&original) {
        let mut event = original[offset..offset + length].to_vec();
        if kind == 15 {
            event[19 + 2..19 + 2 + 10].copy_from_slice(b"5.6.51-log");
            event[17] &= !1;
        }
        if !GTIDS.contains(&kind) && kind != 35 {
            logs::append(&mut log, &event);
        }
    }
    let hits = whole_but_one(&log, &units_by_statements(&log), "without GTIDs");
    assert!(hits > 5, "{hits}");
}

#[test]
fn a_lost_gtid_is_named_by_those_beside_it() {
    let original = plain("binlog.000003");
    let all = logs::events(&original);
    let gtids: Vec<_> = all.iter().filter(|(.., kind)| *kind == 33).collect();
    let &&(offset, _, _) = gtids.get(5).unwrap();
    let number = u64::from_le_bytes(original[offset + 36..offset + 44].try_into().unwrap());
    let mut damaged = original.clone();
    damaged[offset + 30..offset + 45].fill(0xA5);
    for options in [whole(), every_event()] {
        let (found, _) = salvaged(&damaged, &Keyring::new(), &options);
        assert_eq!(found.incomplete.len(), 1, "{found:?}");
        let name = &found.incomplete[0];
        assert!(name.ends_with(&format!(":{number}")), "{name} {number}");
        assert!(!found.is_whole());
    }
}

#[test]
fn transactions_that_were_swapped_are_told() {
    let original = plain("binlog.000003");
    let none = Keyring::new();
    let (found, _) = salvaged(&original, &none, &every_event());
    assert_eq!((found.out_of_order, found.first_out_of_order), (0, None));
    let units = units(&original);
    let transactions: Vec<_> = units.iter().filter(|unit| unit.len() > 2).collect();
    let range = |unit: &[(usize, usize, u8)]| {
        let last = unit.last().unwrap();
        unit[0].0..last.0 + last.1
    };
    let (first, second) = (range(transactions[3]), range(transactions[9]));
    let swapped = [
        &original[..first.start],
        &original[second.clone()],
        &original[first.end..second.start],
        &original[first.clone()],
        &original[second.end..],
    ]
    .concat();
    let (found, saved) = salvaged(&swapped, &none, &every_event());
    assert_eq!(saved.len(), original.len());
    assert_eq!(found.out_of_order, 2, "{found:?}");
    let after_second = first.start + second.len();
    assert_eq!(found.first_out_of_order, Some(after_second as u64));
    assert!(!found.is_whole());
}

fn verify_bytes(log: &[u8]) -> Verified {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("log");
    std::fs::write(&path, log).unwrap();
    verify_file(&path, &Keyring::new(), &NoProgress).unwrap()
}

const SOURCE_LOG: &str = "binlog.000003";

/// A relay log of the transactions of another log, as a replica writes it.
fn relay_log() -> Vec<u8> {
    let directory = fixture("mysql-9.7/replica-relay-running");
    let path = directory.join("replica-relay-bin.000034");
    let own = plaintext(&path, &directory.join("component_keyring_file"));
    let mut log = own[..4].to_vec();
    for (offset, length, kind) in logs::events(&own) {
        if kind == 15 && offset > 4 {
            // The source's name of its log, as it is sent before anything else.
            let mut rotate = own[offset..offset + 19].to_vec();
            rotate[4] = ROTATE;
            rotate.extend(4_u64.to_le_bytes());
            rotate.extend(SOURCE_LOG.as_bytes());
            let total = rotate.len() as u32 + 4;
            rotate[9..13].copy_from_slice(&total.to_le_bytes());
            rotate[13..17].fill(0);
            rotate[17..19].copy_from_slice(&[0x20, 0]);
            let sum = crc32fast::hash(&rotate).to_le_bytes();
            log.extend(rotate);
            log.extend(sum);
        }
        log.extend(&own[offset..offset + length]);
    }
    let source = plain("binlog.000003");
    for (offset, length, kind) in logs::events(&source) {
        if kind != 15 && kind != 35 {
            log.extend(&source[offset..offset + length]);
        }
    }
    log
}

#[test]
fn a_relay_log_says_from_where_to_fetch_again_what_it_has_lost() {
    let log = relay_log();
    let none = Keyring::new();
    let (found, _) = salvaged(&log, &none, &every_event());
    assert!(found.is_whole() && found.resume.is_none(), "{found:?}");
    let all = logs::events(&log);
    let commits: Vec<_> = all.iter().filter(|(.., kind)| *kind == XID).collect();
    let commit = commits[4];
    let end = u32::from_le_bytes(log[commit.0 + 13..commit.0 + 17].try_into().unwrap());
    let after = all.iter().position(|event| event == commit).unwrap();
    // Within the next transaction.
    let hit = all[after + 2];
    let mut damaged = log.clone();
    damaged[hit.0 + 25] ^= 1;
    let (found, _) = salvaged(&damaged, &none, &every_event());
    let resume = found.resume.unwrap();
    assert_eq!(resume.source_log.as_deref(), Some(SOURCE_LOG));
    assert_eq!(resume.position, Some(u64::from(end)));
    assert!(resume.after_gtid.is_some_and(|gtid| gtid.contains(':')));
}

/// A transaction that lacks one event, which left no other trace than the source's positions.
#[test]
fn a_transaction_of_a_relay_log_that_lacks_an_event_is_told_and_left_out() {
    let log = relay_log();
    let none = Keyring::new();
    let all = logs::events(&log);
    let begins: Vec<_> = (0..all.len()).filter(|&at| GTIDS.contains(&all[at].2)).collect();
    let last = *begins.last().unwrap();
    let mut lacking = 0;
    for at in begins[0] + 1..last {
        let (offset, length, kind) = all[at];
        if GTIDS.contains(&kind) || ABOUT_THE_LOG.contains(&kind) {
            continue;
        }
        lacking += 1;
        let torn = [&log[..offset], &log[offset + length..]].concat();
        let (found, saved) = salvaged(&torn, &none, &whole());
        let start = *begins.iter().rfind(|&&begin| begin < at).unwrap();
        let end = *begins.iter().find(|&&begin| begin > at).unwrap();
        assert_eq!((found.incomplete_count, found.lost), (1, 0), "event {at} of type {kind}");
        let left = [&log[..all[start].0], &log[all[end].0..]].concat();
        assert_eq!(saved, left, "event {at} of type {kind}");
        let verified = verify_bytes(&torn);
        let notes: Vec<_> = verified.notes.iter().map(Note::name).collect();
        assert!(notes.contains(&"torn-transactions"), "event {at} of type {kind}: {notes:?}");
    }
    assert!(lacking > 20, "{lacking}");
    let notes = verify_bytes(&log).notes;
    assert!(notes.iter().all(|note| note.name() != "torn-transactions"), "{notes:?}");
}

#[test]
fn events_of_types_that_are_not_known_are_whole_if_their_checksums_are_right() {
    let original = plain("binlog.000003");
    for (kind, flags) in [(100, 0x80), (43, 0), (172, 0x1C80)] {
        let mut log = original[..4].to_vec();
        for (index, (offset, length, _)) in logs::events(&original).into_iter().enumerate() {
            if index == 0 {
                log.extend(&original[offset..offset + length]);
                continue;
            }
            logs::append(&mut log, &original[offset..offset + length]);
            if index % 7 == 1 {
                let mut event = vec![0x33; 150];
                event[..19].copy_from_slice(&original[offset..offset + 19]);
                event[4] = kind;
                event[9..13].copy_from_slice(&150_u32.to_le_bytes());
                event[17..19].copy_from_slice(&u16::to_le_bytes(flags));
                logs::append(&mut log, &event);
            }
        }
        let (found, saved) = salvaged(&log, &Keyring::new(), &every_event());
        log[21] &= !1;
        assert!(found.is_whole() && saved == log, "type {kind}: {found:?}");
        // Behind a hole over what leads to it, too.
        let events = logs::events(&log);
        let at = events.iter().rposition(|event| event.2 == kind).unwrap();
        let (from, to) = (events[at - 1].0, events[at].0);
        for bytes in [log.clone(), encrypted(&log)] {
            let mut bytes = bytes;
            let body = bytes.len() - log.len();
            bytes[body + from..body + to].fill(0);
            let keys = Keyring::open(mixed_keyring()).unwrap();
            let (_, saved) = salvaged(&bytes, &keys, &every_event());
            assert_eq!(saved.len(), log.len() - (to - from), "type {kind}");
        }
    }
}

#[test]
fn encrypted_logs_one_behind_the_other_are_all_salvaged() {
    let keys = Keyring::open(mixed_keyring()).unwrap();
    let read = |name: &str| std::fs::read(mixed().join(name)).unwrap();
    let (first, second) = (read("binlog.000003"), read("binlog.000004"));
    let (first_plain, second_plain) = (plain("binlog.000003"), plain("binlog.000004"));
    let both = [first.as_slice(), &second].concat();
    let expected = [first_plain.as_slice(), &second_plain[4..]].concat();
    let (found, saved) = salvaged(&both, &keys, &every_event());
    assert!(saved == expected, "{} {}", saved.len(), expected.len());
    assert!(found.is_whole(), "{found:?}");
    let log = &found.further_logs[0];
    assert_eq!(log.file_offset, first.len() as u64);
    assert!(log.is_open && log.key_id.contains("MySQLReplicationKey_"));

    // The first one is cut.
    let cut = [&first[..first.len() - 700], &second].concat();
    let (found, saved) = salvaged(&cut, &keys, &every_event());
    assert!(saved.ends_with(&second_plain[4..]));
    assert_eq!((found.gaps.len(), found.further_logs.len()), (1, 1));

    // There is no key for the second.
    let mut strange = both.clone();
    let key_id = EncryptionHeader::parse(&second).unwrap().key_id.to_string();
    let at = first.len() + 7 + key_id.len() - 1;
    strange[at] ^= 1;
    let (found, saved) = salvaged(&strange, &keys, &every_event());
    let expected = salvaged(&first, &keys, &every_event()).1;
    assert!(saved == expected);
    assert!(!found.further_logs[0].is_open);
    assert_eq!(found.lost, second.len() as u64);
}

#[test]
fn a_log_without_checksums_that_lost_its_beginning_is_salvaged_and_salvaged_again() {
    let directory = fixture("mysql-9.7/checksum-none");
    let keyring = directory.join("component_keyring_file");
    let keys = Keyring::open(&keyring).unwrap();
    let path = directory.join("binlog.000010");
    let stored = std::fs::read(&path).unwrap();
    let original = plaintext(&path, &keyring);
    let description = original[4..127].to_vec();
    assert_eq!(original[13], 123);
    for lost in [4096, 8192] {
        let options = SalvageOptions {
            header: Some(EncryptionHeader::parse(&stored).unwrap()),
            description: Some(description.clone()),
            ..every_event()
        };
        let mut zeroed = stored.clone();
        zeroed[..lost].fill(0);
        for damaged in [zeroed, stored[lost..].to_vec()] {
            let is_cut = damaged.len() < stored.len();
            let (found, saved) = salvaged(&damaged, &keys, &options);
            let events = logs::events(&original);
            let rest = events.iter().find(|(at, ..)| *at >= lost - 512).unwrap();
            let expected = [&original[..127], &original[rest.0..]].concat();
            assert!(found.description_borrowed);
            assert_eq!(saved[127..], expected[127..], "{lost}");
            let moved: i64 = found.gaps.iter().map(|gap| gap.shift).sum();
            assert_eq!(moved, if is_cut { lost as i64 } else { 0 }, "{found:?}");
            stays_as_it_is(&saved);
        }
        // The same without encryption: cut within an event, and where one begins.
        let events = logs::events(&original);
        let next = events.iter().find(|(at, ..)| *at >= lost).unwrap().0;
        for lost in [lost, next, next - 4] {
            let options =
                SalvageOptions { description: Some(description.clone()), ..every_event() };
            let (found, saved) = salvaged(&original[lost..], &Keyring::new(), &options);
            assert!(found.description_borrowed && saved[127..] == original[next..], "{found:?}");
            stays_as_it_is(&saved);
        }
    }
    // The same of one with a hole.
    let mut holed = original.clone();
    holed[20_000..24_000].fill(0);
    let (_, saved) = salvaged(&holed, &Keyring::new(), &every_event());
    stays_as_it_is(&saved);
    // And of logs that have lost bytes between two events, and within one.
    for (from, to) in [(5000, 5900), (20_000, 20_001)] {
        let shorter = [&original[..from], &original[to..]].concat();
        let (found, saved) = salvaged(&shorter, &Keyring::new(), &every_event());
        assert!(!found.gaps.is_empty());
        stays_as_it_is(&saved);
    }
}

/// What `salvage` wrote it gives back, and `verify` finds nothing in it but that a transaction has lost
/// its beginning, as those have of which every whole event was to be kept.
fn stays_as_it_is(saved: &[u8]) {
    let (again, twice) = salvaged(saved, &Keyring::new(), &every_event());
    assert!(twice == saved && again.gaps.is_empty(), "{again:?}");
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("saved.000001");
    std::fs::write(&path, saved).unwrap();
    let verified = verify_file(&path, &Keyring::new(), &NoProgress).unwrap();
    let kinds = || verified.damages.iter().map(|damage| &damage.kind);
    assert!(kinds().all(|kind| matches!(kind, DamageKind::NoGtid)), "{verified:?}");
}

#[test]
fn one_wrong_bit_in_a_format_description_is_put_right_where_it_cannot_be_read_otherwise() {
    let original = plain("binlog.000003");
    let mut clean = original.clone();
    clean[21] &= !1;
    for (byte, bit) in [(8, 0), (13, 2), (14, 0), (23, 1), (79, 3)] {
        let mut damaged = original.clone();
        damaged[byte] ^= 1 << bit;
        for bytes in [damaged.clone(), encrypted(&damaged)] {
            let keys = Keyring::open(mixed_keyring()).unwrap();
            let (found, saved) = salvaged(&bytes, &keys, &every_event());
            assert!(found.description_mended && saved == clean, "byte {byte}: {found:?}");
            assert_eq!(found.gaps.len(), 1);
        }
    }
}

/// The folder of inputs that failed once, if it is at hand.
fn cases() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: there is no folder ../shared/cases");
    None
}

fn unpacked(path: &Path) -> Vec<u8> {
    let output = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn keyring(path: &Path) -> Keyring {
    let copy = tempfile::NamedTempFile::new().unwrap();
    std::fs::copy(path, copy.path()).unwrap();
    Keyring::open(copy.path()).unwrap()
}

#[test]
fn logs_that_were_lost_once_are_kept() {
    let Some(cases) = cases() else { return };
    let recovery = cases.join("recovery");
    let keys = keyring(&recovery.join("shift-in-large-event/component_keyring_file"));
    let bytes = unpacked(&recovery.join("shift-in-large-event/binlog.missing512.gz"));
    let (found, saved) = salvaged(&bytes, &keys, &every_event());
    let commits = logs::events(&saved).iter().filter(|event| event.2 == XID).count();
    assert_eq!((found.gaps.len(), found.gaps[0].shift), (1, 512));
    assert!(commits >= 1000, "{commits}");

    let keys = keyring(&recovery.join("mariadb-one-byte-missing/keys.txt"));
    let bytes = unpacked(&recovery.join("mariadb-one-byte-missing/bin.000007.gz"));
    let (found, _) = salvaged(&bytes, &keys, &every_event());
    assert_eq!((found.events, found.gaps.len()), (428, 1), "{found:?}");

    for mode in ["ON", "OFF"] {
        let folder = recovery.join(format!("whole-transactions-{mode}"));
        let ring = folder.join("component_keyring_file");
        let keys = keyring(&ring);
        let read = |name: &str| {
            let bytes = std::fs::read(folder.join(name)).unwrap();
            salvaged(&bytes, &keys, &whole())
        };
        let ((_, original), (found, saved)) = (read("whole.000002"), read("damaged.000002"));
        let kept: Vec<_> = units(&saved);
        let all: Vec<_> = units(&original);
        assert_eq!(kept.len(), all.len() - 1, "{mode}");
        assert_eq!(found.incomplete_count, 1, "{mode}");
    }

    let folder = cases.join("bugreports/03-salvage-lost-gtid-event");
    let bytes = std::fs::read(folder.join("lostgtid.000011")).unwrap();
    let (found, saved) = salvaged(&bytes, &keyring(&folder.join("kr")), &whole());
    assert!(found.incomplete.len() == 1 && found.incomplete[0].ends_with(":62"), "{found:?}");
    assert!(units(&saved).iter().all(|unit| unit.len() == 1 || GTIDS.contains(&unit[0].2)));

    let files = cases.join("realfiles");
    for (name, events) in [
        ("mysql-8.0.28-relay-one-bit-flipped-at-165.000001", 9),
        ("aurora-5.7.12-mysql-bin.aurora-padding", 5),
    ] {
        let bytes = std::fs::read(files.join(name)).unwrap();
        let (found, _) = salvaged(&bytes, &Keyring::new(), &every_event());
        assert_eq!(found.events, events, "{name}");
    }
}
