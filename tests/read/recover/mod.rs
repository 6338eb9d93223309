//! Recovery: what backups say of themselves, plans over archives, and what a plan writes. The logs are
//! made here, event by event, but for the first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod backups;
mod found;
mod gaps;
mod mariadb;
mod servers;

use crate::common;

use std::path::{Path, PathBuf};
use std::process::Output;

use binlogsec_core::event::gtid::TransactionStart;
use binlogsec_core::event::walker::Events;
use binlogsec_core::event::{checksum::ChecksumAlgorithm, event_type};
use binlogsec_core::read::pattern::Pattern;
use binlogsec_core::read::recover::state::State;
use serde_json::Value;
use tempfile::TempDir;

use common::{binlogsec, fixture, logs, mixed, mixed_keyring, plaintext};

pub(crate) const A: u8 = 0xAA;
const B: u8 = 0xBB;
pub(crate) const UUID_A: &str = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
const UUID_B: &str = "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb";
/// The first log's time; a transaction of each is a second behind the one before.
pub(crate) const START: u32 = 1_700_000_000;

/// A log in the making.
pub(crate) struct Log {
    pub(crate) bytes: Vec<u8>,
    server: u32,
    time: u32,
}

impl Log {
    /// Begins with a real format description event.
    pub(crate) fn new(server: u32, time: u32, is_mariadb: bool) -> Self {
        let real = if is_mariadb {
            std::fs::read(mariadb_log()).unwrap()
        } else {
            plaintext(&mixed().join("binlog.000001"), &mixed_keyring())
        };
        let (offset, length, _) = logs::events(&real)[0];
        let mut description = real[offset..offset + length].to_vec();
        description[..4].copy_from_slice(&time.to_le_bytes());
        description[5..9].copy_from_slice(&server.to_le_bytes());
        description[17] &= !1;
        let mut log = Self { bytes: b"\xfebin".to_vec(), server, time };
        logs::append(&mut log.bytes, &description);
        log
    }

    pub(crate) fn event(&mut self, kind: u8, body: &[u8]) {
        let event = self.raw(kind, body, 4);
        logs::append(&mut self.bytes, &event);
    }

    /// An event with room for a checksum of so many bytes.
    fn raw(&self, kind: u8, body: &[u8], checksum: usize) -> Vec<u8> {
        let mut event = self.time.to_le_bytes().to_vec();
        event.push(kind);
        event.extend(self.server.to_le_bytes());
        event.extend((19 + body.len() as u32 + checksum as u32).to_le_bytes());
        event.extend([0; 6]);
        event.extend(body);
        event.extend(vec![0; checksum]);
        event
    }

    /// A payload of these events, stored as they are.
    pub(crate) fn payload(&mut self, events: &[(u8, Vec<u8>)]) {
        // Field 2, the compression: 255, none. Then the end of the fields.
        let mut body = vec![2, 1, 255, 0];
        for (kind, inner) in events {
            body.extend(self.raw(*kind, inner, 0));
        }
        self.event(event_type::TRANSACTION_PAYLOAD, &body);
    }

    /// PREVIOUS_GTIDS: the numbers from 1 up to these.
    pub(crate) fn previous(&mut self, sets: &[(u8, u64)]) {
        let mut body = (sets.len() as u64).to_le_bytes().to_vec();
        for (uuid, last) in sets {
            body.extend([*uuid; 16]);
            body.extend(1_u64.to_le_bytes());
            body.extend(1_u64.to_le_bytes());
            body.extend((last + 1).to_le_bytes());
        }
        self.event(event_type::PREVIOUS_GTIDS, &body);
    }

    /// A statement that is a transaction.
    pub(crate) fn statement(&mut self, database: &str, statement: &str) {
        self.event(event_type::QUERY, &query(database, statement));
        self.time += 1;
    }

    pub(crate) fn transaction(&mut self, uuid: u8, number: u64, statement: &str) {
        let mut body = vec![1];
        body.extend([uuid; 16]);
        body.extend(number.to_le_bytes());
        self.event(event_type::GTID, &body);
        self.statement("shop", statement);
    }

    fn anonymous(&mut self, statement: &str) {
        self.event(event_type::ANONYMOUS_GTID, &[0; 25]);
        self.statement("shop", statement);
    }

    /// A statement of MariaDB's: domain 0.
    fn mariadb(&mut self, number: u64, statement: &str) {
        let mut body = number.to_le_bytes().to_vec();
        body.extend([0; 4]);
        body.push(1);
        body.extend([0; 6]);
        self.event(event_type::MARIADB_GTID, &body);
        self.statement("shop", statement);
    }

    /// GTID_LIST: the last number of each server in domain 0.
    fn list(&mut self, last: &[(u32, u64)]) {
        let mut body = (last.len() as u32).to_le_bytes().to_vec();
        for (server, number) in last {
            body.extend(0_u32.to_le_bytes());
            body.extend(server.to_le_bytes());
            body.extend(number.to_le_bytes());
        }
        self.event(event_type::MARIADB_GTID_LIST, &body);
    }

    pub(crate) fn write(&self, path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &self.bytes).unwrap();
    }
}

pub(crate) fn query(database: &str, statement: &str) -> Vec<u8> {
    let mut body = vec![0; 8];
    body.push(database.len() as u8);
    body.extend([0; 4]);
    body.extend(database.as_bytes());
    body.push(0);
    body.extend(statement.as_bytes());
    body
}

fn mariadb_log() -> PathBuf {
    let folder = fixture("mariadb-10.11/plain-crc32/logs");
    let mut names = common::names(&folder);
    names.retain(|name| !name.ends_with(".index") && !name.ends_with(".state"));
    folder.join(&names[0])
}

/// `INSERT INTO t VALUES (number)`.
fn insert(number: u64) -> String {
    format!("INSERT INTO t VALUES ({number})")
}

/// Logs 1 to `many` of a server, ten transactions in each, 100 seconds apart.
fn ten_each(folder: &Path, many: u64) {
    for log in 1..=many {
        ten(log).write(&folder.join(format!("binlog.{log:06}")));
    }
}

fn ten(number: u64) -> Log {
    let mut log = Log::new(1, START + 100 * number as u32, false);
    let before = (number - 1) * 10;
    if before > 0 {
        log.previous(&[(A, before)]);
    } else {
        log.previous(&[]);
    }
    (before + 1..=before + 10).for_each(|number| log.transaction(A, number, &insert(number)));
    log
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = binlogsec();
    command.arg("recover").arg(folder).args(arguments).env("TZ", "UTC");
    command.output().unwrap()
}

/// The plan's document, and the exit code.
fn plan(folder: &Path, arguments: &[&str]) -> (Value, i32) {
    let output = run(folder, &[arguments, &["--plan", "--format", "json"]].concat());
    let document = serde_json::from_slice(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    (document.unwrap_or_else(|_| panic!("{error}")), output.status.code().unwrap())
}

/// Each slice: the path below the folder, and the GTIDs that it adds.
fn slices(folder: &Path, plan: &Value) -> Vec<(String, String)> {
    let of = |slice: &Value| {
        let path = slice["path"].as_str().unwrap();
        let path = path.strip_prefix(folder.to_str().unwrap()).unwrap().trim_matches('/');
        (path.to_owned(), slice["gtids"].as_str().unwrap_or_default().to_owned())
    };
    plan["slices"].as_array().unwrap().iter().map(of).collect()
}

/// The ids of the transactions in what was written, in order.
fn written(output: &[u8]) -> Vec<String> {
    assert_eq!(&output[..4], b"\xfebin");
    Events::new(&output[4..], 4, ChecksumAlgorithm::None)
        .filter_map(|event| TransactionStart::parse(&event.unwrap()))
        .map(|start| start.unwrap().id.to_string())
        .collect()
}

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|number| format!("{UUID_A}:{number}")).collect()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Server A up to 30 and, if `lost`, 31; server B, its replica, went on from 30 under the same names.
fn failover(folder: &Path, lost: bool) {
    ten_each(&folder.join("a"), 3);
    if lost {
        let mut log = ten(3);
        log.transaction(A, 31, &insert(31));
        log.write(&folder.join("a/binlog.000003"));
    }
    let mut log = Log::new(2, START + 50, false);
    log.previous(&[]);
    log.time = START + 100;
    (1..=25).for_each(|number| log.transaction(A, number, &insert(number)));
    log.write(&folder.join("b/binlog.000001"));
    let mut log = Log::new(2, START + 320, false);
    log.previous(&[(A, 25)]);
    (26..=30).for_each(|number| log.transaction(A, number, &insert(number)));
    (1..=5).for_each(|number| log.transaction(B, number, &insert(number)));
    log.write(&folder.join("b/binlog.000002"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_a_state_or_a_pattern_panic(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "binlog.000001", "\t", "157", "{", "\"gtidExecuted\":", "binlog_pos =", "'", "filename", "position",
                "SHOW MASTER STATUS:\n", "GTID:", "GTID_PURGED=", "/*!", "*/", "MASTER_LOG_FILE=", "MASTER_LOG_POS=",
                "[source]\n", "File = ", ",", ".", "`", "--", " ", "ß", "\u{1F600}", "İ", "#", "\n", "drop", "/*",
                "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa:1-18446744073709551615", "0-1-18446744073709551615",
            ]),
            0..14,
        )
    ) {
        let text = parts.concat();
        let _ = State::parse(&text);
        if let Some(pattern) = Pattern::parse(&text) {
            let _ = pattern.is_in(&text, "shop");
        }
    }
}
