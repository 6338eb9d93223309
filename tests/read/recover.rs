//! Recovery: what backups say of themselves, plans over archives, and what a plan writes. The logs are
//! made here, event by event, but for the first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

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

#[test]
fn backups_of_every_program_say_where_they_are() {
    let gtids = format!("{UUID_A}:1-15,{UUID_B}:1-3");
    let lines = gtids.replace(',', ",\n");
    let place = Some(("binlog.000002".to_owned(), 157));
    for (what, content) in [
        ("xtrabackup_binlog_info", format!("binlog.000002\t157\t{lines}\n")),
        (
            "xtrabackup_info",
            format!(
                "uuid = x\ntool_name = xtrabackup\nbinlog_pos = filename 'binlog.000002', position '157', GTID of the last change '{gtids}'\n"
            ),
        ),
        (
            "mysqldump",
            format!(
                "-- MySQL dump 10.13\n--\n-- GTID state at the beginning of the backup\n--\n\nSET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '{lines}';\n\n-- CHANGE REPLICATION SOURCE TO SOURCE_LOG_FILE='binlog.000002', SOURCE_LOG_POS=157;\n"
            ),
        ),
        (
            "mysqldump, commented",
            format!(
                "-- MySQL dump\n/* SET @@GLOBAL.GTID_PURGED='+{gtids}';*/\nCHANGE MASTER TO MASTER_LOG_FILE='binlog.000002', MASTER_LOG_POS=157;\n"
            ),
        ),
        (
            "mydumper, old",
            format!(
                "Started dump at: 2026-11-21 10:00:00\nSHOW MASTER STATUS:\n\tLog: binlog.000002\n\tPos: 157\n\tGTID:{gtids}\n\nSHOW SLAVE STATUS:\n\tHost: h\n\tLog: other.000009\n\tPos: 4\n\tGTID:\n"
            ),
        ),
        (
            "mydumper, new",
            format!(
                "[config]\nquote-character = BACKTICK\n[source]\n# executed_gtid_set = \"x\"\nFile = binlog.000002\nPosition = 157\nExecuted_Gtid_Set = {gtids}\n[replication]\nFile = other.000009\nPosition = 4\n"
            ),
        ),
        (
            "MySQL Shell",
            format!(
                r#"{{"dumper":"mysqlsh","gtidExecuted":"{}","gtidExecutedInconsistent":false,"binlogFile":"binlog.000002","binlogPosition":157}}"#,
                lines.replace('\n', "\\n")
            ),
        ),
    ] {
        let state = State::parse(&content).unwrap().unwrap_or_else(|| panic!("{what}"));
        assert_eq!(state.gtids.unwrap().to_string(), gtids, "{what}");
        assert_eq!(state.position.map(|it| (it.log, it.position)), place, "{what}");
    }
    for (what, content) in [
        ("mariadb_backup_binlog_info", "mariadb-bin.000004\t342\t0-1-17,1-2-5\n"),
        (
            "mariadb_backup_info",
            "tool_name = mariadb-backup\nbinlog_pos = filename 'mariadb-bin.000004', position '342', GTID of the last change '0-1-17,1-2-5'\n",
        ),
        (
            "mariadb-dump",
            "-- MariaDB dump 10.19\n-- CHANGE MASTER TO MASTER_LOG_FILE='mariadb-bin.000004', MASTER_LOG_POS=342;\n-- SET GLOBAL gtid_slave_pos='0-1-17,1-2-5';\n",
        ),
    ] {
        let state = State::parse(content).unwrap().unwrap();
        assert_eq!(state.gtids.unwrap().to_string(), "0-1-17,1-2-5", "{what}");
        assert_eq!(state.position.map(|it| it.position), Some(342), "{what}");
    }
    assert_eq!(State::parse("-- MySQL dump\nCREATE TABLE t (a INT);\n"), Ok(None));
    assert!(State::parse("binlog.000002\t157\tnonsense\n").is_err());
}

#[test]
fn a_folder_with_a_dump_alone_is_told_to_name_the_dump() {
    let folder = folder();
    std::fs::write(folder.path().join("full.sql"), "-- MySQL dump\n").unwrap();
    let output = run(folder.path(), &["--from", folder.path().to_str().unwrap(), "--plan"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("of a dump, name the file itself"), "{text}");
}

#[test]
fn what_the_backup_has_is_left_out_and_the_rest_is_written_in_order() {
    let folder = folder();
    ten_each(folder.path(), 4);
    let backup = folder.path().join("backup");
    std::fs::create_dir(&backup).unwrap();
    std::fs::write(backup.join("xtrabackup_info"), "nothing").unwrap();
    let info = format!("binlog.000002\t99999\t{UUID_A}:1-15\n");
    std::fs::write(backup.join("xtrabackup_binlog_info"), info).unwrap();
    let from = backup.to_str().unwrap();
    let (found, code) = plan(folder.path(), &["--from", from]);
    let expected: Vec<_> = [(2, "16-20"), (3, "21-30"), (4, "31-40")]
        .map(|(log, gtids)| (format!("binlog.{log:06}"), format!("{UUID_A}:{gtids}")))
        .into();
    assert_eq!((slices(folder.path(), &found), code), (expected, 0));
    let output = run(folder.path(), &["--from", from, "-o", "-"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(written(&output.stdout), numbers(16..=40));
}

#[test]
fn each_kind_of_moment_ends_where_it_says() {
    let folder = folder();
    ten_each(folder.path(), 3);
    let from = format!("{UUID_A}:1-5");
    // The log's fifth transaction is four seconds behind its beginning.
    let at = jiff::Timestamp::from_second(i64::from(START) + 204).unwrap();
    let local = at.to_zoned(jiff::tz::TimeZone::get("Asia/Tokyo").unwrap());
    let local = local.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let bytes = ten(2).bytes;
    let begins = logs::events(&bytes).into_iter().filter(|(.., kind)| *kind == event_type::GTID);
    let place = format!("binlog.000002:{}", begins.map(|it| it.0).nth(4).unwrap());
    let (with, before) = (format!("{UUID_A}:14"), format!("{UUID_A}:15"));
    for arguments in [
        vec!["--to", &*with],
        vec!["--to-before", &*before],
        vec!["--to", &*local, "--time-zone", "Asia/Tokyo"],
        vec!["--to", &*place],
        vec!["--find", "insert into t values (15"],
    ] {
        let all = [&["--from", &*from, "-o", "-"][..], &arguments].concat();
        let output = run(folder.path(), &all);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
        assert_eq!(written(&output.stdout), numbers(6..=14), "{arguments:?}");
    }
    let without = format!("{UUID_A}:7");
    let output = run(folder.path(), &["--from", &from, "-o", "-", "--exclude-gtid", &without]);
    let expected = [numbers(6..=6), numbers(8..=30)].concat();
    assert_eq!(written(&output.stdout), expected);
    // What is in the backup, and what is in no log.
    let (there, nowhere) = (format!("{UUID_A}:3"), format!("{UUID_A}:99"));
    let output = run(folder.path(), &["--from", &from, "--to", &there, "--plan"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is in the backup already"));
    let (found, code) = plan(folder.path(), &["--from", &from, "--to", &nowhere]);
    assert_eq!((code, &found["gaps"][0]["kind"]), (1, &Value::from("not-reached")));
    assert_eq!(found["gaps"][0]["gtids"], nowhere);
}

#[test]
fn a_missing_log_is_told_by_name_and_gtids_and_nothing_is_written() {
    let folder = folder();
    ten_each(folder.path(), 4);
    std::fs::remove_file(folder.path().join("binlog.000003")).unwrap();
    let from = format!("{UUID_A}:1-15");
    let (found, code) = plan(folder.path(), &["--from", &from]);
    let gap = &found["gaps"][0];
    assert_eq!((code, &found["complete"]), (1, &Value::from(false)));
    assert_eq!(gap["gtids"], format!("{UUID_A}:21-30"));
    assert_eq!(gap["first"], format!("{UUID_A}:21"));
    assert_eq!(gap["logs"], serde_json::json!(["binlog.000003"]));
    let out = folder.path().join("out");
    let target = out.to_str().unwrap();
    let output = run(folder.path(), &["--from", &from, "-o", target]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!out.exists());
    let gtids = format!("{UUID_A}:21-30");
    for allowed in ["binlog.000003", &gtids] {
        let output = run(folder.path(), &["--from", &from, "-o", "-", "--allow-gap", allowed]);
        assert_eq!(output.status.code(), Some(0), "{allowed}");
        assert_eq!(written(&output.stdout), [numbers(16..=20), numbers(31..=40)].concat());
    }
    // Part of what is missing is not all of it.
    let part = format!("{UUID_A}:21-29");
    let output = run(folder.path(), &["--from", &from, "-o", "-", "--allow-gap", &part]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    // Before the backup nothing is needed.
    std::fs::remove_file(folder.path().join("binlog.000001")).unwrap();
    let (_, code) = plan(folder.path(), &["--from", &format!("{UUID_A}:1-30")]);
    assert_eq!(code, 0);
}

#[test]
fn a_damaged_log_stops_all_of_it_unless_another_copy_is_there() {
    let folder = folder();
    ten_each(folder.path(), 4);
    let third = folder.path().join("binlog.000003");
    let sound = std::fs::read(&third).unwrap();
    let mut damaged = sound.clone();
    let at = damaged.len() - 40;
    damaged[at] ^= 1;
    std::fs::write(&third, &damaged).unwrap();
    let from = format!("{UUID_A}:1-15");
    let output = run(folder.path(), &["--from", &from, "-o", "-"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(4), 0), "{error}");
    assert!(error.contains("binlog.000003") && error.contains("21-30"), "{error}");
    let (found, code) = plan(folder.path(), &["--from", &from, "--verify"]);
    assert_eq!((code, &found["gaps"][0]["unread"][0]["class"]), (4, &Value::from("damage")));
    // By heads alone it is not seen, and the plan says that it did not look.
    let (found, code) = plan(folder.path(), &["--from", &from]);
    assert_eq!((code, &found["verified"]), (0, &Value::from(false)));
    let other = folder.path().join("other/binlog.000003");
    std::fs::create_dir(other.parent().unwrap()).unwrap();
    std::fs::write(&other, &sound).unwrap();
    let output = run(folder.path(), &["--from", &from, "-o", "-"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(written(&output.stdout), numbers(16..=40));
}

#[test]
fn a_log_without_its_key_is_told_where_it_is_missing() {
    let folder = folder();
    for name in common::names(&mixed()).iter().filter(|name| name.starts_with("binlog.0")) {
        std::fs::copy(mixed().join(name), folder.path().join(name)).unwrap();
    }
    let keyring = mixed_keyring();
    let keyring = keyring.to_str().unwrap();
    let (found, code) = plan(folder.path(), &["--from", "beginning", "--keyring", keyring]);
    assert_eq!((code, found["slices"].as_array().unwrap().len()), (0, 6));
    let fourth = folder.path().join("binlog.000004");
    let mut bytes = std::fs::read(&fourth).unwrap();
    let at = bytes.windows(2).position(|pair| pair == b"_3" || pair == b"_2").unwrap();
    bytes[at + 1] = b'9';
    std::fs::write(&fourth, bytes).unwrap();
    let (found, code) = plan(folder.path(), &["--from", "beginning", "--keyring", keyring]);
    let gap = &found["gaps"][0];
    assert_eq!((code, &gap["unread"][0]["class"]), (3, &Value::from("key")));
    assert_eq!(gap["gtids"], "2bc92730-e533-11f1-b7bc-02fc00000001:57-71");
    // At the end nothing tells by GTIDs that it is needed.
    std::fs::rename(&fourth, folder.path().join("binlog.000007")).unwrap();
    std::fs::copy(mixed().join("binlog.000004"), fourth).unwrap();
    let (found, code) = plan(folder.path(), &["--from", "beginning", "--keyring", keyring]);
    assert_eq!((code, &found["gaps"][0]["kind"]), (3, &Value::from("not-reached")));
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

#[test]
fn after_a_failover_names_used_twice_are_told_apart_and_each_transaction_comes_once() {
    let folder = folder();
    failover(folder.path(), false);
    let from = format!("{UUID_A}:1-15");
    let output = run(folder.path(), &["--from", &from, "-o", "-"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    let of_b: Vec<_> = (1..=5).map(|number| format!("{UUID_B}:{number}")).collect();
    assert_eq!(written(&output.stdout), [numbers(16..=30), of_b.clone()].concat());
    // The position in a log of that name would be of either server.
    let output = run(folder.path(), &["--from", "binlog.000002:157", "--plan"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("several servers") && error.contains("--server-id"), "{error}");
    // What the old primary alone has would be a transaction that nobody saw since.
    failover(folder.path(), true);
    let (found, code) = plan(folder.path(), &["--from", &from]);
    let gap = &found["gaps"][0];
    assert_eq!((code, &gap["kind"]), (1, &Value::from("diverged")), "{found}");
    assert_eq!(gap["gtids"], format!("{UUID_A}:31"));
    let (found, code) = plan(folder.path(), &["--from", &from, "--server-id", "2"]);
    let last = slices(folder.path(), &found).pop().unwrap();
    assert_eq!((code, last.1), (0, format!("{UUID_A}:26-30,{UUID_B}:1-5")));
}

#[test]
fn logs_of_two_servers_of_one_id_that_were_begun_in_one_second_are_no_copies() {
    let folder = folder();
    for (name, uuid, count) in [("one", A, 3), ("two", B, 2)] {
        let mut log = Log::new(1, START, false);
        log.previous(&[]);
        for number in 1..=count {
            log.transaction(uuid, number, "INSERT INTO t VALUES (1)");
        }
        std::fs::create_dir(folder.path().join(name)).unwrap();
        log.write(&folder.path().join(name).join("binlog.000001"));
    }
    let (found, _) = plan(folder.path(), &["--from", "beginning"]);
    assert_eq!(found["doubled"].as_array().unwrap().len(), 0, "{found}");
    let reached = found["reached"].as_str().unwrap();
    assert!(reached.contains(UUID_A) && reached.contains(UUID_B), "{reached}");
}

#[test]
fn a_copy_that_was_taken_while_the_log_grew_gives_way_to_the_whole_one() {
    let folder = folder();
    ten_each(&folder.path().join("new"), 2);
    let whole = ten(2).bytes;
    let cut = logs::events(&whole)[8].0;
    std::fs::create_dir(folder.path().join("early")).unwrap();
    std::fs::write(folder.path().join("early/binlog.000002"), &whole[..cut]).unwrap();
    let (found, code) = plan(folder.path(), &["--from", "beginning"]);
    let paths: Vec<_> = slices(folder.path(), &found).into_iter().map(|it| it.0).collect();
    assert_eq!((paths, code), (vec!["new/binlog.000001".into(), "new/binlog.000002".into()], 0));
    assert!(found["doubled"][0]["other"].as_str().unwrap().ends_with("early/binlog.000002"));
}

/// A server that was primary, was none, and is it again, writes its first numbers again: names of its
/// archive are used twice by one and the same server.
#[test]
fn numbers_that_a_server_began_anew_are_of_two_tenures() {
    let folder = folder();
    ten_each(&folder.path().join("first"), 2);
    let mut log = Log::new(1, START + 900, false);
    log.previous(&[(A, 20)]);
    (21..=25).for_each(|number| log.transaction(A, number, &insert(number)));
    log.write(&folder.path().join("again/binlog.000001"));
    let output = run(folder.path(), &["--from", &format!("{UUID_A}:1-5"), "-o", "-"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert_eq!(written(&output.stdout), numbers(6..=25));
}

#[test]
fn the_accident_is_found_by_what_it_did() {
    let folder = folder();
    let mut log = Log::new(1, START, false);
    log.previous(&[]);
    log.transaction(A, 1, "CREATE TABLE orders (a INT)");
    log.transaction(A, 2, "DROP TABLE orders_old");
    log.transaction(A, 3, "/* app */ DROP TABLE IF EXISTS `orders` /* generated by server */");
    log.transaction(A, 4, "CREATE TABLE orders (a INT)");
    log.write(&folder.path().join("binlog.000001"));
    let find = ["--from", "beginning", "--find", "drop table shop.orders"];
    let (found, code) = plan(folder.path(), &find);
    assert_eq!((code, &found["to"]["moment"]), (0, &Value::from(format!("{UUID_A}:3"))));
    let output = run(folder.path(), &[&find[..], &["-o", "-"]].concat());
    assert_eq!(written(&output.stdout), numbers(1..=2));
    // A damaged log is not looked through if there is a sound copy of it.
    let copy = folder.path().join("copy/binlog.000001");
    log.write(&copy);
    let mut damaged = log.bytes.clone();
    let at = logs::events(&damaged)[4].0;
    damaged[at + 9] = 0xFF;
    damaged.push(0);
    std::fs::write(folder.path().join("binlog.000001"), damaged).unwrap();
    let output = run(folder.path(), &[&find[..], &["-o", "-"]].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert_eq!(written(&output.stdout), numbers(1..=2));
    std::fs::remove_file(copy).unwrap();
    // Two that fit: none is chosen, both are told.
    log.transaction(A, 5, "drop table shop.orders");
    log.write(&folder.path().join("binlog.000001"));
    let output = run(folder.path(), &[&find[..], &["-o", "-"]].concat());
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    assert!(error.contains(&format!("{UUID_A}:3")) && error.contains(&format!("{UUID_A}:5")));
    let output = run(folder.path(), &["--from", "beginning", "--find", "drop view x", "--plan"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn words_and_tables_are_found_however_they_are_written() {
    let is_in = |pattern: &str, statement: &str, database: &str| {
        Pattern::parse(pattern).unwrap().is_in(statement, database)
    };
    for (pattern, statement, database, expected) in [
        ("DROP TABLE shop.orders", "drop  table\n`shop` . `orders`", "", true),
        ("DROP TABLE shop.orders", "DROP TEMPORARY TABLE IF EXISTS orders", "shop", true),
        ("DROP TABLE shop.orders", "DROP TABLE a, orders", "shop", true),
        ("DROP TABLE shop.orders", "DROP TABLE orders", "other", false),
        ("DROP TABLE shop.orders", "-- DROP TABLE shop.orders\nSELECT 1", "", false),
        ("DROP TABLE shop.orders", "INSERT INTO n VALUES ('DROP TABLE x')", "shop", false),
        ("TRUNCATE", "/* x */ truncate t", "", true),
        ("shop.orders", "ALTER TABLE orders ADD b INT", "shop", true),
        ("drop column email", "ALTER TABLE c /*!40000 DROP */ COLUMN `email`", "", true),
    ] {
        assert_eq!(is_in(pattern, statement, database), expected, "{pattern}: {statement}");
    }
    assert_eq!(Pattern::parse(" ; "), None);
}

#[test]
fn without_gtids_numbers_and_positions_lead() {
    let folder = folder();
    for number in 1..=4_u32 {
        let mut log = Log::new(1, START + 100 * number, false);
        log.previous(&[]);
        (1..=3).for_each(|_| log.anonymous("INSERT INTO t VALUES (1)"));
        if number == 3 {
            log.anonymous("DROP TABLE t");
        }
        log.write(&folder.path().join(format!("binlog.{number:06}")));
    }
    let second = std::fs::read(folder.path().join("binlog.000002")).unwrap();
    let begins = logs::events(&second).into_iter().filter(|it| it.2 == event_type::ANONYMOUS_GTID);
    let from = format!("binlog.000002:{}", begins.map(|it| it.0).nth(1).unwrap());
    let output = run(folder.path(), &["--from", &from, "-o", "-"]);
    assert_eq!(written(&output.stdout).len(), 2 + 4 + 3);
    let output = run(folder.path(), &["--from", &from, "--find", "drop table shop.t", "-o", "-"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert_eq!(written(&output.stdout).len(), 2 + 3);
    let output = run(folder.path(), &["--from", "beginning", "-o", "-"]);
    assert_eq!((output.status.code(), written(&output.stdout).len()), (Some(0), 4 * 3 + 1));
    // A transaction was left out in the middle.
    let begins: Vec<usize> = logs::events(&second)
        .into_iter()
        .filter(|it| it.2 == event_type::ANONYMOUS_GTID)
        .map(|it| it.0)
        .collect();
    let cut = [&second[..begins[1]], &second[begins[2]..]].concat();
    let place = folder.path().join("binlog.000002");
    std::fs::write(&place, cut).unwrap();
    let output = run(folder.path(), &["--from", "beginning", "--plan", "--verify"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("000002 is a part of a log, or was salvaged"), "{told}");
    std::fs::write(&place, &second).unwrap();
    let output = run(folder.path(), &["--from", "beginning", "--plan", "--verify"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("salvaged"));
    std::fs::remove_file(folder.path().join("binlog.000003")).unwrap();
    let (found, code) = plan(folder.path(), &["--from", "beginning"]);
    assert_eq!((code, &found["gaps"][0]["logs"][0]), (1, &Value::from("binlog.000003")), "{found}");
    let (found, code) = plan(folder.path(), &["--from", &from]);
    assert_eq!((code, &found["gaps"][0]["logs"][0]), (1, &Value::from("binlog.000003")));
    let gtid = format!("{UUID_A}:1");
    let output = run(folder.path(), &["--from", &from, "--to", &gtid, "--plan"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_beginning_without_gtids_leaves_out_no_log_that_has_none() {
    let folder = folder();
    let log = |name: &str, second: u32, fill: &dyn Fn(&mut Log)| {
        let mut log = Log::new(1, START + second, false);
        log.previous(&[]);
        fill(&mut log);
        log.write(&folder.path().join(name));
    };
    // GTIDs are turned on in the second log.
    log("binlog.000001", 0, &|log| (0..3).for_each(|_| log.anonymous("INSERT INTO t VALUES (1)")));
    log("binlog.000002", 10, &|log| {
        log.anonymous("INSERT INTO t VALUES (2)");
        (1..=2).for_each(|number| log.transaction(A, number, &insert(number)));
    });
    let mut last = Log::new(1, START + 20, false);
    last.previous(&[(A, 2)]);
    (3..=5).for_each(|number| last.transaction(A, number, &insert(number)));
    last.write(&folder.path().join("binlog.000003"));
    for (to, count) in [("end", 9), (&*format!("{UUID_A}:1"), 5), ("binlog.000002:4", 3)] {
        let output = run(folder.path(), &["--from", "beginning", "--to", to, "-o", "-"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert_eq!(written(&output.stdout).len(), count, "{to}: {told}");
    }
    // A backup's GTIDs say nothing of them.
    let output = run(folder.path(), &["--from", &format!("{UUID_A}:1-3"), "--plan"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("not used, the first of them"), "{told}");
    // The first log is missing, and then there is a second row of logs.
    std::fs::remove_file(folder.path().join("binlog.000001")).unwrap();
    let (found, code) = plan(folder.path(), &["--from", "beginning"]);
    assert_eq!((code, &found["gaps"][0]["logs"][0]), (1, &Value::from("binlog.000001")), "{found}");
    let mut other = Log::new(2, START, false);
    other.previous(&[]);
    other.anonymous("INSERT INTO t VALUES (7)");
    other.write(&folder.path().join("other/binlog.000001"));
    let output = run(folder.path(), &["--from", "beginning", "--plan"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("name the logs of one alone"), "{told}");
}

/// Servers of MariaDB that do not write down what they replicated know nothing of one another's logs:
/// the numbers of the domain alone say in which order they come.
#[test]
fn mariadbs_domains_go_on_from_server_to_server() {
    let folder = folder();
    let log =
        |server: u32, time: u32, list: &[(u32, u64)], numbers: std::ops::RangeInclusive<u64>| {
            let mut log = Log::new(server, START + time, true);
            log.list(list);
            log.time = START + time.max(numbers.start().wrapping_mul(10) as u32);
            numbers.for_each(|number| log.mariadb(number, &insert(number)));
            log
        };
    log(10, 100, &[], 1..=10).write(&folder.path().join("server-10/m-bin.000001"));
    log(10, 200, &[(10, 10)], 11..=20).write(&folder.path().join("server-10/m-bin.000002"));
    // It ran as a replica all the while, and has nothing of its own from then.
    log(11, 50, &[], 21..=30).write(&folder.path().join("server-11/m-bin.000001"));
    log(10, 400, &[(10, 20)], 31..=35).write(&folder.path().join("server-10/m-bin.000003"));
    let expected: Vec<_> = (6..=35)
        .map(|number| format!("0-{}-{number}", if (21..=30).contains(&number) { 11 } else { 10 }))
        .collect();
    let output = run(folder.path(), &["--from", "0-10-5", "-o", "-"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert_eq!(written(&output.stdout), expected);
    let output = run(folder.path(), &["--from", "0-10-5", "--to", "0-11-25", "-o", "-"]);
    assert_eq!(written(&output.stdout), expected[..20]);
    // A moment before the last that is there is one as good.
    let time = jiff::Timestamp::from_second(i64::from(START) + 203).unwrap().to_string();
    let (found, code) = plan(folder.path(), &["--from", "0-10-5", "--to", &time]);
    assert_eq!((code, &found["complete"]), (0, &Value::from(true)), "{found}");
    // Without the other server's archive ten transactions are missing, which no GTID_LIST tells.
    std::fs::remove_dir_all(folder.path().join("server-11")).unwrap();
    let (found, code) = plan(folder.path(), &["--from", "0-10-5"]);
    assert_eq!((code, &found["gaps"][0]["gtids"]), (1, &Value::from("0-10-21..0-10-30")));
    let all = ["--from", "0-10-5", "-o", "-", "--allow-gap", "0-10-21..0-10-30"];
    let output = run(folder.path(), &all);
    assert_eq!(written(&output.stdout).len(), 20);
    // GTIDs of the other kind of server.
    let output = run(folder.path(), &["--from", &format!("{UUID_A}:1-5"), "--plan"]);
    assert_eq!(output.status.code(), Some(2));
}

/// Each kind of transaction has another beginning: what is printed is where the transaction starts, as
/// `--stop-position` takes it.
#[test]
fn events_find_tells_where_transactions_begin() {
    let folder = folder();
    let path = folder.path().join("binlog.000001");
    let drop = "DROP TABLE IF EXISTS `orders` /* generated by server */";
    let list = |arguments: &[&str]| {
        let mut command = binlogsec();
        command.current_dir(folder.path()).arg("events").arg("binlog.000001").args(arguments);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let mut of_mysql = Log::new(1, START, false);
    of_mysql.previous(&[]);
    of_mysql.transaction(A, 1, "CREATE TABLE orders (a INT)");
    let of_gtid = of_mysql.bytes.len();
    of_mysql.transaction(A, 2, drop);
    let of_none = of_mysql.bytes.len();
    of_mysql.anonymous(&format!("{drop} {}", "x".repeat(5000)));
    of_mysql.write(&path);
    let (code, text) = list(&["--find", "drop table shop.orders", "--format", "json"]);
    let found: Value = serde_json::from_str(&text).unwrap();
    let of = |at: usize| {
        let it = &found["found"][at];
        (it["position"].as_u64().unwrap(), it["gtid"].clone())
    };
    assert_eq!((code, found["found"].as_array().unwrap().len()), (Some(0), 2), "{text}");
    assert_eq!(of(0), (of_gtid as u64, Value::from(format!("{UUID_A}:2"))));
    assert_eq!(of(1), (of_none as u64, Value::Null));
    assert!(found["found"][1]["statement"].as_str().unwrap().len() <= 1000);
    let (_, text) = list(&["--find", "drop table shop.orders"]);
    assert!(text.contains(&format!("binlog.000001:{of_gtid}  {UUID_A}:2  DROP TABLE")), "{text}");
    assert_eq!(list(&["--find", "drop table shop.others"]), (Some(1), String::new()));
    // A choice that fits nothing is told by the code, and all of a log is none.
    assert_eq!(list(&["--table", "shop.nothing", "--format", "csv"]).0, Some(1));
    assert_eq!(list(&[]).0, Some(0));
    let mut of_mariadb = Log::new(1, START, true);
    of_mariadb.list(&[]);
    let begins = of_mariadb.bytes.len();
    of_mariadb.mariadb(7, drop);
    of_mariadb.write(&path);
    let (code, text) = list(&["--find", "DROP TABLE orders", "--format", "csv"]);
    assert_eq!(code, Some(0));
    let expected = format!("path,position,time,gtid,statement\nbinlog.000001,{begins},");
    assert!(text.starts_with(&expected) && text.contains(",0-1-7,"), "{text}");
}

/// The old primary wrote five transactions that nobody fetched, and the new one gave their numbers to
/// others: which of the two count, no log tells.
#[test]
fn numbers_that_two_servers_of_mariadb_gave_away_are_told_and_not_dropped() {
    let folder = folder();
    let log = |server: u32, list: &[(u32, u64)], parts: &[(u32, std::ops::RangeInclusive<u64>)]| {
        let mut log = Log::new(server, START + 100 * server, true);
        log.list(list);
        for (by, numbers) in parts {
            log.server = *by;
            numbers.clone().for_each(|number| log.mariadb(number, &insert(number)));
        }
        log
    };
    let old = folder.path().join("old/m-bin.000001");
    let new = folder.path().join("new/m-bin.000001");
    log(1, &[], &[(1, 1..=35)]).write(&old);
    log(2, &[], &[(1, 1..=30), (2, 31..=40)]).write(&new);
    let (found, code) = plan(folder.path(), &["--from", "0-1-10"]);
    assert_eq!((code, &found["gaps"][0]["kind"]), (1, &Value::from("diverged")), "{found}");
    let told = &found["gaps"][0]["gtids"];
    assert!(["0-1-31..0-1-35", "0-2-31..0-2-35"].contains(&told.as_str().unwrap()), "{found}");
    let output = run(folder.path(), &["--from", "0-1-10", "-o", "-"]);
    assert!(output.stdout.is_empty() && output.status.code() == Some(1));
    // Either way to go on, as it is printed.
    let (found, code) = plan(folder.path(), &["--from", "0-1-10", "--server-id", "2"]);
    assert_eq!((code, &found["gaps"]), (0, &serde_json::json!([])), "{found}");
    let allowed =
        run(folder.path(), &["--from", "0-1-10", "-o", "-", "--allow-gap", told.as_str().unwrap()]);
    assert_eq!((allowed.status.code(), written(&allowed.stdout).len()), (Some(0), 30));
    // Numbers before the backup are the backup's matter; and without the five all is well.
    let (found, code) = plan(folder.path(), &["--from", "0-2-36"]);
    assert_eq!((code, &found["gaps"]), (0, &serde_json::json!([])), "{found}");
    log(1, &[], &[(1, 1..=30)]).write(&old);
    let (found, code) = plan(folder.path(), &["--from", "0-1-10"]);
    assert_eq!((code, &found["gaps"]), (0, &serde_json::json!([])), "{found}");
}

/// A backup whose set has the transactions of several servers is one with all of them.
#[test]
fn a_backup_of_many_servers_gtids_leaves_out_no_log_that_has_more() {
    let folder = folder();
    failover(folder.path(), false);
    let from = format!("{UUID_A}:1-30,{UUID_B}:1-2,cccccccc-cccc-cccc-cccc-cccccccccccc:1-9");
    let (found, code) = plan(folder.path(), &["--from", &from]);
    let expected = ("b/binlog.000002".to_owned(), format!("{UUID_B}:3-5"));
    assert_eq!((slices(folder.path(), &found), code), (vec![expected], 0));
}

#[test]
fn a_thousand_logs_are_planned_by_their_heads_and_few_are_read_to_the_end() {
    let folder = folder();
    ten_each(folder.path(), 1000);
    // What is behind the head of a log in the middle is not looked at: it may be no log at all.
    let middle = folder.path().join("binlog.000500");
    let mut bytes = std::fs::read(&middle).unwrap();
    let from = logs::events(&bytes)[4].0;
    bytes[from..].fill(0xFF);
    std::fs::write(&middle, bytes).unwrap();
    let (found, code) = plan(folder.path(), &["--from", &format!("{UUID_A}:1-15")]);
    assert_eq!((code, found["slices"].as_array().unwrap().len()), (0, 999));
    let output = run(folder.path(), &["--from", &format!("{UUID_A}:1-15"), "-o", "-"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(4), 0));
}

#[test]
fn a_client_program_that_fails_is_told_and_one_that_is_fed_gets_every_transaction() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    ten_each(&folder.path().join("logs"), 3);
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let program = |name: &str, script: &str| {
        let path = bin.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    program("mysqlbinlog", "exec cat");
    let out = folder.path().join("applied");
    // The server has more than the backup: that is left out.
    let client = format!(
        "echo \"$@\" >> {0}.arguments\ncase \"$*\" in *gtid_executed*) echo ON; echo {UUID_A}:1-12 ;; *) cat > {0} ;; esac",
        out.display()
    );
    program("mysql", &client);
    let apply = || {
        let mut command = binlogsec();
        command.arg("recover").arg(folder.path().join("logs"));
        command.args(["--from", &format!("{UUID_A}:1-5"), "--apply", "mysql://root@h/?socket=/s"]);
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", bin.display())).output().unwrap()
    };
    let output = apply();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert_eq!(written(&std::fs::read(&out).unwrap()), numbers(13..=30));
    let arguments = std::fs::read_to_string(format!("{}.arguments", out.display())).unwrap();
    assert!(arguments.contains("--socket=/s") && arguments.contains("--user=root"), "{arguments}");
    for (name, script) in [
        ("mysql", "case \"$*\" in *gtid_executed*) ;; *) exit 1 ;; esac"),
        ("mysqlbinlog", "cat; exit 7"),
    ] {
        program("mysql", &client);
        program(name, script);
        let output = apply();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(&format!("{name} failed")), "{error}");
    }
}

/// Programs of a server's that answer a question for its state with these lines, and keep what they are
/// fed.
fn stand_ins(folder: &Path, reader: &str, client: &str, state: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join("state"), state).unwrap();
    let answer = format!(
        "case \"$*\" in *@@GLOBAL*) cat {0}/state ;; *) cat > {0}/applied ;; esac",
        bin.display()
    );
    for (name, script) in [(reader, "exec cat"), (client, &answer)] {
        std::fs::write(bin.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    bin
}

fn with_programs(folder: &Path, bin: &Path, arguments: &[&str]) -> Output {
    let _ = std::fs::remove_file(bin.join("applied"));
    let path = std::env::var("PATH").unwrap();
    let mut command = binlogsec();
    command.arg("recover").arg(folder).args(arguments);
    command.env("PATH", format!("{}:{path}", bin.display())).output().unwrap()
}

#[test]
fn what_a_restore_wrote_on_mariadb_is_not_what_the_logs_have() {
    let folder = folder();
    let logs = folder.path().join("logs");
    let mut log = Log::new(71, START, true);
    log.list(&[(71, 1)]);
    (2..=20).for_each(|number| log.mariadb(number, &insert(number)));
    log.write(&logs.join("mariadb-bin.000002"));
    let url = "mariadb://root@h/?socket=/s";
    let from_backup = ["--from", "0-71-5", "--apply", url];
    let ids = |range: std::ops::RangeInclusive<u64>| -> Vec<_> {
        range.map(|number| format!("0-71-{number}")).collect()
    };
    // The server's answer; the ids that are applied, or the code and what is said.
    for (state, expected) in [
        // A restore wrote 0-72-9 with the target's own id.
        ("1\t72\n\n0-72-9\n", Ok(ids(6..=20))),
        // It, and an earlier run up to 12.
        ("1\t72\n\n0-71-12,0-72-9\n", Ok(ids(13..=20))),
        // A replica of the source until 15.
        ("1\t72\n0-71-15\n0-72-9\n", Ok(ids(16..=20))),
        // The source itself, restored in place: who wrote 9 cannot be known.
        ("1\t71\n\n0-71-9\n", Err("0-71-9 with its own id")),
        ("1\t71\n\n0-71-5\n", Ok(ids(6..=20))),
        // No binary log: it says nothing, and is told so.
        ("0\t72\n\n\n", Ok(ids(6..=20))),
    ] {
        let bin = stand_ins(folder.path(), "mariadb-binlog", "mariadb", state);
        let output = with_programs(&logs, &bin, &from_backup);
        let told = String::from_utf8_lossy(&output.stderr);
        match expected {
            Ok(ids) => {
                assert_eq!(output.status.code(), Some(0), "{state:?}: {told}");
                assert_eq!(written(&std::fs::read(bin.join("applied")).unwrap()), ids, "{state:?}");
                let is_warned = told.contains("applied twice");
                assert_eq!(is_warned, state.starts_with('0'), "{state:?}: {told}");
            }
            Err(text) => {
                assert_eq!(output.status.code(), Some(2), "{state:?}: {told}");
                assert!(told.contains(text), "{state:?}: {told}");
                assert!(!bin.join("applied").exists());
            }
        }
    }
    // The server as the backup.
    for (state, code, text) in [
        ("1\t72\n\n0-72-9\n", 2, "of its own alone (0-72-9)"),
        ("0\t72\n\n\n", 2, "log_bin is OFF"),
        ("1\t72\n\n0-71-12,0-72-9\n", 0, ""),
        ("1\t71\n\n0-71-12\n", 0, ""),
    ] {
        let bin = stand_ins(folder.path(), "mariadb-binlog", "mariadb", state);
        let output = with_programs(&logs, &bin, &["--from", url, "--apply"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{state:?}: {told}");
        assert!(told.contains(text), "{state:?}: {told}");
        if code == 0 {
            let applied = written(&std::fs::read(bin.join("applied")).unwrap());
            assert_eq!(applied, ids(13..=20), "{state:?}");
        }
    }
}

#[test]
fn a_server_without_gtids_says_that_it_cannot_go_on() {
    let folder = folder();
    let logs = folder.path().join("logs");
    ten_each(&logs, 2);
    let url = "mysql://root@h/?socket=/s";
    for mode in ["OFF", "OFF_PERMISSIVE", "ON"] {
        let bin = stand_ins(folder.path(), "mysqlbinlog", "mysql", &format!("{mode}\n\n"));
        let from = with_programs(&logs, &bin, &["--from", url, "--plan"]);
        let told = String::from_utf8_lossy(&from.stderr).into_owned();
        assert_eq!(from.status.code(), Some(if mode == "ON" { 0 } else { 2 }), "{mode}: {told}");
        assert_eq!(told.contains("gtid_mode is not ON"), mode != "ON", "{mode}: {told}");
        let apply =
            with_programs(&logs, &bin, &["--from", &format!("{UUID_A}:1-5"), "--apply", url]);
        let told = String::from_utf8_lossy(&apply.stderr).into_owned();
        assert_eq!(apply.status.code(), Some(0), "{mode}: {told}");
        assert_eq!(told.contains("applied twice"), mode != "ON", "{mode}: {told}");
    }
}

/// RESET between two eras of one server: numbers 4 to 6 are other transactions in each. Restored and
/// replayed, they would be the same ones, first committed at the same times.
#[test]
fn numbers_that_a_server_gave_twice_are_told_and_not_mixed() {
    for is_replay in [false, true] {
        let folder = folder();
        let era = |name: &str, time: u32, last: u64, shift: u32| {
            for number in 1..=last {
                let mut log = Log::new(1, START + time + 10 * number as u32, false);
                let before: &[(u8, u64)] = &[(A, number - 1)];
                log.previous(if number > 1 { before } else { &[] });
                // A replay keeps the time of each transaction.
                log.time = START + shift + 10 * number as u32 + 1;
                log.transaction(A, number, &insert(number));
                log.write(&folder.path().join(format!("{name}/binlog.{number:06}")));
            }
        };
        era("before", 0, 6, 0);
        era("after", 1000, 8, if is_replay { 0 } else { 1000 });
        let from = format!("{UUID_A}:1-3");
        let (found, code) = plan(folder.path(), &["--from", &from]);
        if is_replay {
            assert_eq!((code, &found["complete"]), (0, &Value::from(true)), "{found}");
            continue;
        }
        assert_eq!(code, 1, "{found}");
        let gap = found["gaps"].as_array().unwrap().iter().find(|gap| gap["kind"] == "renumbered");
        assert_eq!(gap.unwrap()["gtids"], format!("{UUID_A}:4-6"), "{found}");
        let output = run(
            folder.path(),
            &["--from", &from, "-o", "-", "--allow-gap", &format!("{UUID_A}:4-6")],
        );
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        // The logs of one era alone.
        let output = run(&folder.path().join("after"), &["--from", &from, "-o", "-"]);
        assert_eq!(written(&output.stdout), numbers(4..=8));
    }
}

#[test]
fn a_place_that_the_log_does_not_have_is_no_place_of_a_backup() {
    let folder = folder();
    ten_each(folder.path(), 2);
    let bytes = ten(1).bytes;
    let events = logs::events(&bytes);
    let places = |place: usize| plan(folder.path(), &["--from", &format!("binlog.000001:{place}")]);
    for place in [events[1].0, events[4].0, bytes.len()] {
        assert_eq!(places(place).1, 0, "{place}");
    }
    for place in [events[4].0 + 1, bytes.len() + 1, 99_999_999] {
        let from = format!("binlog.000001:{place}");
        let output = run(folder.path(), &["--from", &from, "--plan"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{place}: {told}");
        assert!(told.contains(&format!("no event at {place}")), "{place}: {told}");
    }
}

/// A server that was restored began its numbers anew in the second in which it had begun its last log.
#[test]
fn logs_of_two_tenures_are_told_apart_by_what_is_in_them_not_by_their_times() {
    let folder = folder();
    let log = |name: &str, second: u32, before: u64, numbers: std::ops::RangeInclusive<u64>| {
        let mut log = Log::new(1, START + second, false);
        let sets: &[(u8, u64)] = &[(A, before)];
        log.previous(if before > 0 { sets } else { &[] });
        numbers.for_each(|number| log.transaction(A, number, &insert(number)));
        log.write(&folder.path().join(name));
    };
    log("first/binlog.000001", 50, 0, 1..=20);
    log("first/binlog.000002", 52, 20, 21..=30);
    log("again/binlog.000001", 52, 0, 31..=40);
    log("again/binlog.000002", 60, 40, 41..=50);
    let output = run(folder.path(), &["--from", "beginning", "-o", "-"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert_eq!(written(&output.stdout), numbers(1..=50), "{told}");
}

/// Two XA transactions that are prepared in a log and ended in the next one.
fn prepared_and_ended(folder: &Path, is_compressed: bool) {
    let mut log = Log::new(1, START, false);
    log.previous(&[]);
    let half = |log: &mut Log, number: u64, id: &[u8]| {
        let mut body = vec![1];
        body.extend([A; 16]);
        body.extend(number.to_le_bytes());
        log.event(event_type::GTID, &body);
        let begin = query("shop", &format!("XA START X'{:x}',X'',1", id[0]));
        let mut body = vec![0];
        body.extend(1_u32.to_le_bytes());
        body.extend((id.len() as u32).to_le_bytes());
        body.extend([0; 4]);
        body.extend(id);
        let events = [(event_type::QUERY, begin), (event_type::XA_PREPARE, body)];
        if is_compressed {
            log.payload(&events);
        } else {
            events.iter().for_each(|(kind, body)| log.event(*kind, body));
        }
    };
    half(&mut log, 1, b"\x31");
    half(&mut log, 2, b"\xAB");
    log.write(&folder.join("binlog.000001"));
    let mut log = Log::new(1, START + 100, false);
    log.previous(&[(A, 2)]);
    log.transaction(A, 3, "XA COMMIT X'31',X'',1");
    log.transaction(A, 4, "XA ROLLBACK X'ab', X'', 1");
    log.write(&folder.join("binlog.000002"));
}

#[test]
fn what_is_prepared_and_not_ended_at_the_moment_is_told() {
    for is_compressed in [false, true] {
        let folder = folder();
        prepared_and_ended(folder.path(), is_compressed);
        for (last, prepared) in [(1, 1), (2, 2), (3, 1), (4, 0)] {
            let to = format!("{UUID_A}:{last}");
            let out = format!("{}/out{last}/", folder.path().display());
            for end in [&["-o", "-"][..], &["-o", &out], &["--plan", "--verify"]] {
                let arguments = [&["--from", "beginning", "--to", &to][..], end].concat();
                let output = run(folder.path(), &arguments);
                let told = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(0), "{told}");
                let expected = format!("{prepared} transaction");
                let is_told =
                    told.lines().any(|it| it.contains(&expected) && it.contains("prepared (XA)"));
                assert_eq!(is_told, prepared > 0, "{last}: {told}");
                assert!(prepared > 0 || !told.contains("XA"), "{last}: {told}");
                let _ = std::fs::remove_dir_all(&out);
            }
        }
    }
}

#[test]
fn sources_of_one_replica_are_not_diverged_where_its_logs_have_all() {
    let folder = folder();
    let log = |name: &str, server: u32, all: &[(u8, u64)]| {
        let mut log = Log::new(server, START, false);
        log.previous(&[]);
        all.iter().for_each(|&(uuid, number)| log.transaction(uuid, number, &insert(number)));
        log.write(&folder.path().join(name));
    };
    log("s1/binlog.000001", 1, &[(A, 1), (A, 2)]);
    log("s2/binlog.000001", 2, &[(B, 1), (B, 2), (B, 3)]);
    let (found, code) = plan(folder.path(), &["--from", "beginning"]);
    assert_eq!((code, &found["gaps"][0]["kind"]), (1, &Value::from("diverged")), "{found}");
    log("r/binlog.000001", 3, &[(B, 1), (A, 1), (A, 2), (B, 2), (B, 3)]);
    let output = run(folder.path(), &["--from", "beginning", "-o", "-"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), written(&output.stdout).len()), (Some(0), 5), "{told}");
    // A transaction that the replica never got is one that diverged.
    log("s2/binlog.000001", 2, &[(B, 1), (B, 2), (B, 3), (B, 4)]);
    let (found, code) = plan(folder.path(), &["--from", "beginning"]);
    assert_eq!((code, &found["gaps"][0]["kind"]), (1, &Value::from("diverged")), "{found}");
}

#[test]
fn domains_of_several_sources_of_mariadb_are_not_diverged() {
    let folder = folder();
    for (domain, server) in [(1_u32, 61), (2, 62)] {
        let mut log = Log::new(server, START, true);
        log.list(&[]);
        for number in 1..=5_u64 {
            let mut body = number.to_le_bytes().to_vec();
            body.extend(domain.to_le_bytes());
            body.push(1);
            body.extend([0; 6]);
            log.event(event_type::MARIADB_GTID, &body);
            log.statement("shop", &insert(number));
        }
        log.write(&folder.path().join(format!("x{server}/binlog.000001")));
    }
    let output = run(folder.path(), &["--from", "1-61-2,2-62-3", "-o", "-"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let found = written(&output.stdout);
    assert_eq!(found, ["1-61-3", "1-61-4", "1-61-5", "2-62-4", "2-62-5"], "{told}");
}

/// Two servers of MariaDB that replicate from one another in one domain, and both write: a number is of
/// two transactions, and both are in the logs of both.
fn ring(folder: &Path) -> Vec<(u32, u64)> {
    let log = |name: &str, server: u32, before: &[(u32, u64)], all: &[(u32, u64)]| {
        let mut log = Log::new(server, START, true);
        log.list(before);
        for &(of, number) in all {
            log.server = of;
            log.mariadb(number, &insert(number));
        }
        log.write(&folder.join(name));
    };
    let first = [(51, 1), (51, 2), (51, 3), (52, 4)];
    let second = [(51, 4), (51, 5), (52, 5), (51, 6)];
    log("a/binlog.000001", 51, &[], &first);
    log("a/binlog.000002", 51, &[(51, 3), (52, 4)], &second);
    log("b/binlog.000001", 52, &[], &[&first[..], &second[..1]].concat());
    log("b/binlog.000002", 52, &[(52, 4), (51, 4)], &[(52, 5), (51, 5), (51, 6)]);
    [first, second].concat()
}

/// The server and the number of each transaction that was written.
fn servers_and_numbers(output: &[u8]) -> Vec<(u32, u64)> {
    let of = |id: &str| {
        let mut parts = id.split('-').skip(1);
        let mut part = || parts.next().unwrap().parse::<u64>().unwrap();
        (part() as u32, part())
    };
    written(output).iter().map(|id| of(id)).collect()
}

#[test]
fn servers_that_replicate_in_a_ring_are_not_diverged_and_lose_nothing() {
    let folder = folder();
    let mut all = ring(folder.path());
    for paths in [&["a"][..], &["b"], &["a", "b"]] {
        let mut command = binlogsec();
        command.arg("recover").args(paths).current_dir(folder.path());
        let output = command.args(["--from", "beginning", "-o", "-"]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{paths:?} {told}");
        let mut found = servers_and_numbers(&output.stdout);
        found.sort_unstable();
        all.sort_unstable();
        assert_eq!(found, all, "{paths:?} {told}");
        assert!(told.contains("--skip-gtid-strict-mode"), "{told}");
    }
}

/// `mariadb-binlog` takes the list of a later log for a gap where the first log's is not there.
#[test]
fn a_slice_of_mariadbs_logs_begins_with_the_list_of_gtids_that_is_before_it() {
    let folder = folder();
    let place_of = |name: &str| folder.path().join(name);
    for (name, second, before, numbers) in
        [("binlog.000001", 0, 0, 1..=5), ("binlog.000002", 100, 5, 6..=9)]
    {
        let mut log = Log::new(1, START + second, true);
        log.list(if before > 0 { &[(1, 5)] } else { &[] });
        numbers.for_each(|number| log.mariadb(number, &insert(number)));
        log.write(&place_of(name));
    }
    let time = jiff::Timestamp::from_second(i64::from(START) + 3).unwrap().to_string();
    let position = place(&place_of("binlog.000001"), 3).to_string();
    for choice in [["--from", &*time], ["--start-position", &position]] {
        let mut command = binlogsec();
        command.arg("decrypt").args(["binlog.000001", "binlog.000002"].map(place_of));
        let output = command.args(["-o", "-"]).args(choice).output().unwrap();
        let kinds: Vec<u8> = logs::events(&output.stdout).iter().map(|it| it.2).collect();
        let lists = kinds.iter().filter(|kind| **kind == event_type::MARIADB_GTID_LIST);
        assert_eq!((lists.count(), kinds[1]), (2, event_type::MARIADB_GTID_LIST), "{choice:?}");
        assert_eq!(written(&output.stdout).len(), 2 + 4, "{choice:?}");
    }
}

/// The position of a log of MariaDB's GTID event, the first being 0.
fn place(log: &Path, number: usize) -> usize {
    let bytes = std::fs::read(log).unwrap();
    let all = logs::events(&bytes);
    let gtids = all.iter().filter(|it| it.2 == event_type::MARIADB_GTID);
    gtids.map(|it| it.0).nth(number).unwrap()
}

#[test]
fn a_gtid_of_a_ring_is_no_beginning_and_a_position_is() {
    let folder = folder();
    let all = ring(folder.path());
    let a = folder.path().join("a");
    // 0-51-4 stands behind 0-52-4, in the next log.
    for from in ["0-52-4", "0-51-4"] {
        let output = run(&a, &["--from", from, "-o", "-"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{told}");
        assert!(told.contains("0-51-4 comes behind 0-52-4"), "{told}");
        assert!(told.contains("--from LOG:POSITION"), "{told}");
    }
    for (log, number, before) in [(1, 0, 0), (1, 3, 3), (2, 0, 4), (2, 3, 7)] {
        let name = format!("binlog.{log:06}");
        let from = format!("{name}:{}", place(&a.join(&name), number));
        let output = run(&a, &["--from", &from, "-o", "-"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert_eq!(servers_and_numbers(&output.stdout), all[before..], "{from} {told}");
        // A backup's file has both.
        let backup = folder.path().join("mariadb_backup_binlog_info");
        std::fs::write(&backup, format!("{}\t0-52-4\n", from.replace(':', "\t"))).unwrap();
        let output = run(&a, &["--from", backup.to_str().unwrap(), "-o", "-"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(servers_and_numbers(&output.stdout), all[before..], "{from} {told}");
    }
    // What is behind all of these is told by numbers as ever.
    let output = run(&a, &["--from", "0-51-6", "--plan"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A log is damaged, its salvaged copy lacks a transaction, and the head of the next log knows of it.
#[test]
fn what_a_salvaged_log_lacks_is_named_and_left_out_at_the_users_word_alone() {
    let folder = folder();
    ten_each(folder.path(), 3);
    let mut salvaged = Log::new(1, START + 200, false);
    salvaged.previous(&[(A, 10)]);
    for number in (11..=20).filter(|it| *it != 15) {
        salvaged.transaction(A, number, &insert(number));
    }
    salvaged.write(&folder.path().join("binlog.000002"));
    let lacking = format!("{UUID_A}:15");
    let (found, code) = plan(folder.path(), &["--from", "beginning", "--verify"]);
    let gap = &found["gaps"][0];
    assert_eq!((code, &gap["kind"], &found["complete"]), (1, &"lacking".into(), &false.into()));
    assert_eq!(gap["gtids"], lacking, "{found}");
    let output = run(folder.path(), &["--from", "beginning", "-o", "-"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{told}");
    assert!(told.contains(&format!("--allow-gap {lacking}")), "{told}");
    for option in ["--allow-gap", "--exclude-gtid"] {
        let output = run(folder.path(), &["--from", "beginning", "-o", "-", option, &lacking]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), written(&output.stdout).len()), (Some(0), 29), "{told}");
        let row = told.lines().find(|line| line.contains("000002")).unwrap();
        assert!(row.ends_with(" 9"), "{told}");
    }
}

/// A server is started, and begins its numbers anew, within one second.
#[test]
fn two_first_logs_of_one_second_are_no_copies_and_a_part_of_one_is() {
    for is_mariadb in [false, true] {
        let folder = folder();
        let log = |name: &str, numbers: &[u64]| {
            let mut log = Log::new(1, START, is_mariadb);
            if is_mariadb {
                log.list(&[]);
            } else {
                log.previous(&[]);
            }
            for &number in numbers {
                if is_mariadb {
                    log.mariadb(number, &insert(number));
                } else {
                    log.transaction(A, number, &insert(number));
                }
            }
            log.write(&folder.path().join(name));
        };
        log("first/binlog.000001", &[1, 2, 3, 4, 5]);
        log("part/binlog.000001", &[3, 4, 5]);
        let (found, code) = plan(folder.path(), &["--from", "beginning"]);
        assert_eq!((code, found["doubled"].as_array().unwrap().len()), (0, 1), "{found}");
        log("again/binlog.000001", &[6, 7]);
        let output = run(folder.path(), &["--from", "beginning", "-o", "-"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert_eq!(written(&output.stdout).len(), 7, "{told}");
    }
}

#[test]
fn numbers_that_a_log_of_mariadb_leaves_out_are_told() {
    let folder = folder();
    let mut log = Log::new(1, START, true);
    log.list(&[]);
    // 7 comes late; 6, and 10 to 12, do not come.
    for number in [1, 2, 3, 4, 5, 8, 7, 9, 13] {
        log.mariadb(number, &insert(number));
    }
    log.write(&folder.path().join("binlog.000001"));
    let out = folder.path().join("out");
    for end in [&["-o", out.to_str().unwrap()][..], &["--plan", "--verify"]] {
        let arguments = [&["--from", "beginning"][..], end].concat();
        let output = run(folder.path(), &arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(
            told.contains("warning: 0-1-6,0-1-10..0-1-12 stands in none of these logs"),
            "{told}"
        );
    }
    // What the user leaves out is no hole, nor what is behind the moment.
    let arguments = ["--from", "beginning", "--to", "0-1-5", "--exclude-gtid", "0-1-3", "-o", "-"];
    let output = run(folder.path(), &arguments);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(!told.contains("in none"), "{told}");
}

#[test]
fn an_end_of_xa_whose_beginning_is_left_out_is_told() {
    for is_compressed in [false, true] {
        let folder = folder();
        prepared_and_ended(folder.path(), is_compressed);
        let decrypt = |left_out: &str| {
            let mut command = binlogsec();
            command
                .arg("decrypt")
                .args(["binlog.000001", "binlog.000002"].map(|it| folder.path().join(it)));
            command.args(["-o", "-", "--exclude-gtid", &format!("{UUID_A}:{left_out}")]);
            let output = command.output().unwrap();
            assert_eq!(output.status.code(), Some(0));
            String::from_utf8_lossy(&output.stderr).into_owned()
        };
        let told = decrypt("1");
        assert!(
            told.contains("ended by XA COMMIT or XA ROLLBACK in them: 1 transaction: x'31'"),
            "{told}"
        );
        assert!(!told.contains("not ended"), "{told}");
        let told = decrypt("4");
        assert!(told.contains("not ended: 1 transaction: x'ab'"), "{told}");
        assert!(!decrypt("1:3").contains("XA"));
    }
}

#[test]
fn a_directory_gets_a_log_for_each_in_an_order_that_a_shell_keeps() {
    let folder = folder();
    let logs = folder.path().join("logs");
    ten_each(&logs, 12);
    let out = folder.path().join("out");
    let to = format!("{}/", out.display());
    let from = format!("{UUID_A}:1-5");
    let output = run(&logs, &["--from", &from, "-o", &to]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    let names = common::names(&out);
    assert_eq!(
        (names.len(), &*names[0], &*names[11]),
        (12, "0001-binlog.000001", "0012-binlog.000012")
    );
    let all: Vec<_> =
        names.iter().flat_map(|name| written(&std::fs::read(out.join(name)).unwrap())).collect();
    assert_eq!(all, numbers(6..=120));
    // Another recovery's logs must not stand among these.
    let output = run(&logs, &["--from", &from, "-o", &to, "--force"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not empty"));
    // A directory of a directory that is not there.
    let output = run(&logs, &["--from", &from, "-o", &format!("{}/no/such/", out.display())]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!out.join("no").exists());
}

/// FLUSH LOGS on a quiet server: logs of a head alone, which nobody needs for what is in them.
fn quiet(folder: &Path, numbers: std::ops::RangeInclusive<u64>, last: u64) {
    for number in numbers {
        let mut log = Log::new(1, START + 100 * number as u32, false);
        log.previous(&[(A, last)]);
        log.write(&folder.join(format!("binlog.{number:06}")));
    }
}

#[test]
fn a_log_that_is_missing_before_logs_without_transactions_is_named_all_the_same() {
    let folder = folder();
    ten_each(folder.path(), 4);
    quiet(folder.path(), 5..=6, 40);
    std::fs::remove_file(folder.path().join("binlog.000004")).unwrap();
    // Once as the last ones, once with more behind them.
    for more in [false, true] {
        if more {
            let mut log = Log::new(1, START + 700, false);
            log.previous(&[(A, 40)]);
            log.transaction(A, 41, &insert(41));
            log.write(&folder.path().join("binlog.000007"));
        }
        let (found, code) = plan(folder.path(), &["--from", "beginning"]);
        let gap = &found["gaps"][0];
        assert_eq!((code, &gap["logs"]), (1, &serde_json::json!(["binlog.000004"])), "{found}");
        assert_eq!(gap["gtids"], format!("{UUID_A}:31-40"), "{found}");
        // Behind log 3 and before log 5: what is missing may be from before that moment. Within log 3
        // it is not.
        for (seconds, expected) in [(390, 1), (305, 0)] {
            let at = jiff::Timestamp::from_second(i64::from(START) + seconds).unwrap().to_string();
            let (found, code) = plan(folder.path(), &["--from", "beginning", "--to", &at]);
            let has_gap = !found["gaps"].as_array().unwrap().is_empty();
            assert_eq!((code, has_gap), (expected, expected == 1), "{seconds}: {found}");
        }
    }
    std::fs::write(folder.path().join("binlog.000004"), b"\xfebinDAMAGED").unwrap();
    let (found, code) = plan(folder.path(), &["--from", "beginning"]);
    assert_eq!(code, 4, "{found}");
    assert!(found.to_string().contains("binlog.000004"), "{found}");
}

#[test]
fn what_is_not_found_may_be_in_a_log_that_cannot_be_read() {
    let folder = folder();
    for name in common::names(&mixed()) {
        std::fs::copy(mixed().join(&name), folder.path().join(&name)).unwrap();
    }
    let find = ["--from", "beginning", "--find", "DROP TABLE no.such", "-o", "-"];
    let output = run(folder.path(), &find);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{told}");
    assert!(told.contains("no log that can be read has \"DROP TABLE no.such\""), "{told}");
    assert!(told.contains("binlog.000003"), "{told}");
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
