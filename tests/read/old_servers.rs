//! Logs of servers before MySQL 5.6.1, which knew no checksums, of patched ones, and of servers
//! before 5.0; and the version numbers of the newest. All are made here, byte by byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::path::{Path, PathBuf};

use common::{binlogsec, mixed_keyring};
use serde_json::Value;

/// FORMAT_DESCRIPTION, QUERY, ROTATE, XID.
const DESCRIPTION: u8 = 15;
const QUERY: u8 = 2;
const ROTATE: u8 = 4;
const XID: u8 = 16;

/// A log in the making.
struct Log {
    bytes: Vec<u8>,
    /// Bytes between the flags and the body of every event but the first.
    extra: usize,
}

impl Log {
    /// With the event that describes it, without checksum fields; `types` is how many event types
    /// the server knows.
    fn new(version: &str, types: usize, extra: usize) -> Self {
        let mut log = Self { bytes: b"\xFEbin".to_vec(), extra };
        log.bytes.extend(log.event(DESCRIPTION, 1, &description(version, types, extra)));
        log
    }

    fn event(&self, event_type: u8, server_id: u32, body: &[u8]) -> Vec<u8> {
        let extra = if event_type == DESCRIPTION { 0 } else { self.extra };
        let length = 19 + extra + body.len();
        let mut event = 1_200_000_000_u32.to_le_bytes().to_vec();
        event.push(event_type);
        event.extend(server_id.to_le_bytes());
        event.extend(u32::try_from(length).unwrap().to_le_bytes());
        let end = u32::try_from(self.bytes.len() + length).unwrap();
        event.extend(end.to_le_bytes());
        event.extend([0, 0]);
        event.extend(vec![0xEE; extra]);
        event.extend(body);
        event
    }

    fn add(&mut self, event_type: u8, body: &[u8]) -> &mut Self {
        let event = self.event(event_type, 1, body);
        self.bytes.extend(event);
        self
    }

    fn query(&mut self, statement: &str) -> &mut Self {
        let body = [&[0; 8][..], &[4, 0, 0, 0, 0], b"shop\0", statement.as_bytes()].concat();
        self.add(QUERY, &body)
    }

    /// Some transactions and the end.
    fn filled(mut self) -> Vec<u8> {
        for number in 0..20 {
            self.query("BEGIN");
            self.query(&format!("INSERT INTO orders VALUES ({number})"));
            self.add(XID, &[7; 8]);
        }
        self.query("CREATE TABLE later (id INT)");
        let body = [&4_u64.to_le_bytes()[..], b"old-bin.000002"].concat();
        self.add(ROTATE, &body);
        self.bytes
    }
}

fn description(version: &str, types: usize, extra: usize) -> Vec<u8> {
    let mut body = 4_u16.to_le_bytes().to_vec();
    let mut field = [0; 50];
    field[..version.len()].copy_from_slice(version.as_bytes());
    body.extend(field);
    body.extend(0_u32.to_le_bytes());
    body.push(u8::try_from(19 + extra).unwrap());
    body.extend(vec![8; types]);
    body
}

struct Case {
    directory: tempfile::TempDir,
}

impl Case {
    fn new(log: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("old-bin.000001"), log).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Exit code, standard output and standard error together.
    fn run(&self, arguments: &str) -> (i32, String) {
        let output = binlogsec()
            .current_dir(self.directory.path())
            .args(arguments.split(' '))
            .env("BINLOGSEC_KEYRING", mixed_keyring())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        (output.status.code().unwrap(), text)
    }

    fn verified(&self) -> Value {
        let (_, report) = self.run("verify old-bin.000001 --format json");
        let report: Value = serde_json::from_str(&report).unwrap();
        report["files"][0].clone()
    }
}

fn notes(verified: &Value) -> Vec<&str> {
    let notes = verified["notes"].as_array().unwrap();
    notes.iter().map(|note| note["id"].as_str().unwrap()).collect()
}

const OLD: [(&str, usize); 4] =
    [("5.0.96-log", 27), ("5.1.73-debug-log", 27), ("5.5.62-log", 27), ("5.6.0-m4", 27)];

#[test]
fn logs_without_any_checksum_are_read_by_every_command() {
    for (version, types) in OLD {
        let log = Log::new(version, types, 0).filled();
        let case = Case::new(&log);
        let verified = case.verified();
        assert_eq!(verified["status"], "whole", "{version}: {verified}");
        assert_eq!(verified["events"], 63, "{version}");
        assert_eq!(notes(&verified), ["no-checksums"], "{version}");
        let (code, listed) = case.run("events old-bin.000001");
        assert_eq!(code, 0, "{listed}");
        assert_eq!(listed.matches("INSERT INTO orders").count(), 20, "{listed}");
        let (code, told) = case.run("inspect old-bin.000001");
        assert!(code == 0 && told.contains(version) && told.contains("NONE"), "{told}");
        let (code, told) = case.run("check .");
        assert!(code == 1 && told.contains("BLS001"), "{told}");
        // Encrypted and back, checked on the way.
        let (code, told) = case.run("encrypt old-bin.000001 -o sealed");
        assert_eq!(code, 0, "{version}: {told}");
        let (code, told) = case.run("decrypt sealed -o back --verify");
        assert_eq!(code, 0, "{version}: {told}");
        assert_eq!(std::fs::read(case.path("back")).unwrap(), log, "{version}");
        // A slice of it.
        let (code, told) = case.run("decrypt old-bin.000001 -o part --stop-position 1000");
        assert_eq!(code, 0, "{version}: {told}");
        let (code, told) = case.run("verify part");
        assert!(code == 0 && told.contains("1 whole"), "{version}: {told}");
    }
}

#[test]
fn a_relay_log_with_the_description_of_such_a_source_is_read_to_its_end() {
    let mut log = Log::new("5.5.62-log", 27, 0);
    log.bytes[4 + 17] = 0x40; // a replica's
    for (version, types) in [("5.1.73-log", 27), ("5.5.62-log", 27)] {
        let event = log.event(DESCRIPTION, 9, &description(version, types, 0));
        log.bytes.extend(event);
        log.query("INSERT INTO orders VALUES (1)");
    }
    let case = Case::new(&log.bytes);
    let verified = case.verified();
    assert_eq!(
        (&verified["status"], &verified["events"]),
        (&"whole".into(), &5.into()),
        "{verified}"
    );
}

#[test]
fn damage_in_logs_without_any_checksum_is_found() {
    let log = Log::new("5.5.62-log", 27, 0).filled();
    let offset_of = |number: usize| {
        let mut at = 4;
        for _ in 0..number {
            at += u32::from_le_bytes(log[at + 9..at + 13].try_into().unwrap()) as usize;
        }
        at
    };
    let event = offset_of(7);
    // Length, end position, type, flags; a cut.
    for (at, bit) in [(9, 2), (10, 1), (13, 0), (14, 3), (4, 7), (18, 4)] {
        let mut damaged = log.clone();
        damaged[event + at] ^= 1 << bit;
        let verified = Case::new(&damaged).verified();
        assert_eq!(verified["status"], "damaged", "byte {at}: {verified}");
        let found = verified["damages"][0]["plain_offset"].as_u64().unwrap();
        assert_eq!(found, event as u64, "byte {at}: {verified}");
    }
    let verified = Case::new(&log[..log.len() - 3]).verified();
    assert_eq!(verified["status"], "damaged", "{verified}");
    // Whole events that are not there any more have moved the others.
    let gone = [&log[..event], &log[offset_of(10)..]].concat();
    let verified = Case::new(&gone).verified();
    assert_eq!(verified["status"], "whole", "{verified}");
    assert_eq!(notes(&verified), ["moved", "no-checksums"], "{verified}");
}

#[test]
fn wrong_end_positions_of_early_servers_are_no_damage() {
    for (version, status) in [
        ("5.1.15-beta-log", "whole"),
        ("5.1.17-beta-debug-log", "whole"),
        ("5.2.2-alpha-log", "whole"),
        ("5.1.73-log", "damaged"),
    ] {
        let mut log = Log::new(version, 27, 0).filled();
        // One within its transaction's cache.
        let first = 4 + u32::from_le_bytes(log[13..17].try_into().unwrap()) as usize;
        log[first + 13..first + 17].copy_from_slice(&108_u32.to_le_bytes());
        let verified = Case::new(&log).verified();
        assert_eq!(verified["status"], status, "{version}: {verified}");
        if status == "whole" {
            assert_eq!(notes(&verified), ["unsound-positions", "no-checksums"], "{version}");
        }
    }
}

#[test]
fn longer_headers_of_patched_servers_are_read_by_the_description() {
    for extra in [4, 8, 12] {
        let log = Log::new("5.1.63-patched-log", 27, extra).filled();
        let case = Case::new(&log);
        assert_eq!(case.verified()["status"], "whole");
        let (code, listed) = case.run("events old-bin.000001");
        assert_eq!(code, 0, "{listed}");
        assert_eq!(listed.matches("[shop] INSERT INTO orders").count(), 20, "{listed}");
        assert!(listed.contains("next: old-bin.000002"), "{listed}");
    }
    // Far behind the description, too: a listing is made of such a log in several parts.
    let mut long = Log::new("5.1.63-patched-log", 27, 4);
    for number in 0..8000 {
        long.query(&format!("INSERT INTO orders VALUES ({number})"));
    }
    let (code, listed) = Case::new(&long.filled()).run("events old-bin.000001");
    assert_eq!((code, listed.matches("[shop] INSERT INTO orders").count()), (0, 8020));
    // With checksums no server has them: there the byte is damaged.
    let mut log = std::fs::read(common::mixed().join("binlog.000001")).unwrap();
    log[4 + 75] = 23;
    let (code, told) = Case::new(&log).run("verify old-bin.000001");
    assert!(code == 4 && told.contains("23 bytes"), "{told}");
}

#[test]
fn logs_of_before_5_0_are_named_and_not_called_damaged() {
    for (version, server, header) in
        [(1_u16, "3.23.58-log", 13), (2, "4.0.0-debug-log", 19), (3, "4.1.25", 19)]
    {
        let mut log = b"\xFEbin".to_vec();
        let mut start = vec![9, 9, 9, 9, 1, 1, 0, 0, 0];
        start.extend(u32::try_from(header + 56).unwrap().to_le_bytes());
        start.resize(header, 0);
        start.extend(version.to_le_bytes());
        start.extend(server.as_bytes());
        start.resize(header + 56, 0);
        log.extend(&start);
        log.extend([0; 19]);
        let case = Case::new(&log);
        for command in [
            "inspect old-bin.000001",
            "verify old-bin.000001",
            "events old-bin.000001",
            "decrypt old-bin.000001 -o out",
            "encrypt old-bin.000001 -o out",
            "salvage old-bin.000001 -o out",
        ] {
            let (code, told) = case.run(command);
            assert_eq!(code, 2, "{version} {command}: {told}");
            assert!(
                told.contains("a log of a server before 5.0")
                    && told.contains("mariadb-binlog reads it"),
                "{command}: {told}"
            );
            assert!(told.contains(server) && !told.contains("is damaged"), "{command}: {told}");
            assert!(!case.path("out").exists(), "{command}");
        }
        let (code, told) = case.run("check .");
        assert!(code == 1 && told.contains("BLS001") && told.contains(server), "{told}");
        assert!(!told.contains("is damaged"), "{told}");
    }
    // What only looks like it is damaged.
    let mut log = Log::new("5.5.62-log", 27, 0).filled();
    log[8] = 1;
    let (code, told) = Case::new(&log).run("verify old-bin.000001");
    assert_eq!(code, 4, "{told}");
}

#[test]
fn versions_of_the_newest_servers_are_shown() {
    for (version, types, kind) in [
        ("11.8.2-MariaDB-log", 171, "mariadb-plain"),
        ("12.3.1-MariaDB", 172, "mariadb-plain"),
        ("26.7.0", 42, "mysql-plain"),
        ("26.10.1-debug", 50, "mysql-plain"),
    ] {
        let mut log = Log::new(version, types, 0);
        // With checksum fields, as they are since 5.6.1.
        log.bytes.truncate(4);
        let body = [description(version, types, 0), vec![1; 5]].concat();
        let mut event = log.event(DESCRIPTION, 1, &body);
        let sum = crc32fast::hash(&event[..event.len() - 4]);
        let at = event.len() - 4;
        event[at..].copy_from_slice(&sum.to_le_bytes());
        log.bytes.extend(event);
        let case = Case::new(&log.bytes);
        let (code, told) = case.run("inspect old-bin.000001 --format json");
        assert_eq!(code, 0, "{told}");
        let report: Value = serde_json::from_str(&told).unwrap();
        let file = &report["files"][0];
        assert_eq!((&file["kind"], &file["server_version"]), (&kind.into(), &version.into()));
        assert_eq!(file["checksum"], "CRC32", "{version}");
        let (code, listed) = case.run("events old-bin.000001");
        assert!(code == 0 && listed.contains(&format!("server {version}")), "{listed}");
        assert_eq!(case.verified()["status"], "whole", "{version}");
    }
}

/// Logs that servers of these versions wrote, where they are at hand.
#[test]
fn real_logs_of_old_servers_are_whole() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/cases/realfiles");
    if !cases.is_dir() {
        println!("skipped: no real logs of old servers beside the checkout");
        return;
    }
    for (name, events) in [
        ("mysql-5.0.86-binlog_transaction.000001", 20),
        ("mysql-5.1.34-mysql-bin.000002", 5),
        ("mysql-5.1.30-incident-bug40482-bin.000001", 3),
        ("aurora-5.7.12-mysql-bin.aurora-padding", 5),
        ("mysql-8.0.28-relay-rpl_no_gipk_schema_divergence.000001", 10),
    ] {
        let case = Case::new(&std::fs::read(cases.join(name)).unwrap());
        let verified = case.verified();
        assert_eq!(
            (&verified["status"], &verified["events"]),
            (&"whole".into(), &events.into()),
            "{name}: {verified}"
        );
        assert_eq!(notes(&verified).contains(&"unknown-events"), name.starts_with("aurora"));
        assert_eq!(case.run("events old-bin.000001").0, 0, "{name}");
    }
    let ancient = std::fs::read(cases.join("mysql-4.x-master-bin.000001")).unwrap();
    let (code, told) = Case::new(&ancient).run("verify old-bin.000001");
    assert!(code == 2 && told.contains("4.0.0-debug-log"), "{told}");
}

#[test]
fn rows_of_the_first_servers_with_row_events_are_counted() {
    /// TABLE_MAP, and rows that are written, updated and deleted.
    const TABLE_MAP: u8 = 19;
    const ROWS: [u8; 3] = [20, 21, 22];
    // INT and CHAR(50), both nullable, as 5.1.17 wrote them: bits, four bytes, a text.
    let row = |number: u8, text: &str| {
        let length = u8::try_from(text.len()).unwrap();
        [&[0xF9, number, 0, 0, 0, length], text.as_bytes()].concat()
    };
    let number = [16, 0, 0, 0, 0, 0];
    let map = [&number[..], &[0, 0, 4], b"shop\0", &[6], b"orders\0", &[2, 3, 254]].concat();
    let one = [row(1, "one"), row(2, "twenty"), row(3, "")].concat();
    let two = [row(1, "one"), row(1, "two"), row(2, "twenty"), row(4, "four")].concat();
    let mut log = Log::new("5.1.17-beta-log", 27, 0);
    for (event_type, rows) in ROWS.into_iter().zip([&one, &two, &row(7, "seven")]) {
        log.add(TABLE_MAP, &map);
        log.add(event_type, &[&number[..], &[1, 0, 2, 0xFF], rows].concat());
    }
    let case = Case::new(&log.bytes);
    let (code, listed) = case.run("events old-bin.000001");
    assert_eq!(code, 0, "{listed}");
    for counted in ["shop.orders  3 rows", "shop.orders  2 rows", "shop.orders  1 row"] {
        assert!(listed.contains(counted), "{listed}");
    }
    let (_, stats) = case.run("events old-bin.000001 --stats --format json");
    let stats: Value = serde_json::from_str(&stats).unwrap();
    let table = &stats["files"][0]["stats"]["by_table"][0];
    assert_eq!((table["rows"].as_u64(), table["uncounted_events"].as_u64()), (Some(6), Some(0)));
    let (_, chosen) = case.run("events old-bin.000001 --type UPDATE_ROWS");
    assert!(chosen.contains("PRE_GA_UPDATE_ROWS") && !chosen.contains("PRE_GA_WRITE"), "{chosen}");

    // Where rows can be read in two ways that do not agree, none is chosen: DATE has three bytes or four.
    let map = [&number[..], &[0, 0, 4], b"shop\0", &[6], b"orders\0", &[1, 10]].concat();
    let mut log = Log::new("5.1.17-beta-log", 27, 0);
    log.add(TABLE_MAP, &map);
    log.add(ROWS[0], &[&number[..], &[1, 0, 1, 0xFF], &[0xFF; 20]].concat());
    let (_, listed) = Case::new(&log.bytes).run("events old-bin.000001");
    assert!(listed.contains("shop.orders") && !listed.contains(" row"), "{listed}");
}
