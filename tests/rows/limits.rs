//! The largest tables, rows and events that there can be: memory stays bounded, and what is not read is
//! told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout
)]

use super::undo::statement;
use crate::common;

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;

use common::measure::{self, Run};
use serde_json::Value;

const TABLE_MAP: u8 = 19;
const WRITE_ROWS: u8 = 30;
/// Type and metadata: their lengths have four bytes.
const LONG_BLOB: [u8; 2] = [252, 4];
const GEOMETRY: [u8; 2] = [255, 4];
/// What a run may have resident, in KiB: the figure of the documentation.
const BOUND_KIB: u64 = 96 << 10;

/// A log without checksums in the making, with holes.
pub(crate) struct Log {
    file: File,
    at: u64,
}

impl Log {
    pub(crate) fn new(path: &Path) -> Self {
        let mut log = Self { file: File::create(path).unwrap(), at: 4 };
        log.file.write_all(b"\xfebin").unwrap();
        // Version 4, of a server that knows all events; the length of each one's head behind it.
        let mut body = 4_u16.to_le_bytes().to_vec();
        let mut version = b"8.0.36".to_vec();
        version.resize(50, 0);
        body.extend(version);
        body.extend([0; 4]);
        body.push(19);
        let mut heads = [0_u8; 42];
        for (event, length) in [(2, 13), (4, 8), (15, 93), (19, 8), (30, 10), (31, 10), (32, 10)] {
            heads[event - 1] = length;
        }
        body.extend(heads);
        body.push(0); // No checksums.
        body.extend([0; 4]);
        log.event(15, &body, 0);
        // The one event that has a checksum all the same, as it tells that the others have none.
        let mut event = std::fs::read(path).unwrap().split_off(4);
        let sum = crc32fast::hash(&event[..event.len() - 4]);
        let end = event.len() - 4;
        event[end..].copy_from_slice(&sum.to_le_bytes());
        log.file.seek(SeekFrom::Start(4)).unwrap();
        log.file.write_all(&event).unwrap();
        log
    }

    /// An event with these bytes, and so many zeros behind them.
    pub(crate) fn event(&mut self, kind: u8, body: &[u8], zeros: u64) {
        let length = 19 + body.len() as u64 + zeros;
        let end = self.at + length;
        let mut head = 1_700_000_000_u32.to_le_bytes().to_vec();
        head.push(kind);
        head.extend(7_u32.to_le_bytes());
        head.extend(u32::try_from(length).unwrap().to_le_bytes());
        head.extend((end as u32).to_le_bytes());
        head.extend([0; 2]);
        self.file.write_all(&head).unwrap();
        self.file.write_all(body).unwrap();
        self.file.seek(SeekFrom::Start(end)).unwrap();
        self.file.set_len(end).unwrap();
        self.at = end;
    }

    /// Maps table 1, `d.t`, whose columns have these types, and bytes of metadata.
    pub(crate) fn map(&mut self, types: &[u8], metadata: &[u8]) {
        let mut body = vec![1, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0];
        packed(&mut body, types.len());
        body.extend(types);
        packed(&mut body, metadata.len());
        body.extend(metadata);
        body.extend(vec![0xff; types.len().div_ceil(8)]);
        self.event(TABLE_MAP, &body, 0);
    }

    /// Inserts a row of so many columns: what stands before the values, these, and zeros.
    pub(crate) fn insert(&mut self, columns: usize, values: &[u8], zeros: u64) {
        let mut body = vec![1, 0, 0, 0, 0, 0, 1, 0, 2, 0];
        packed(&mut body, columns);
        body.extend(vec![0xff; columns.div_ceil(8)]);
        body.extend(vec![0; columns.div_ceil(8)]);
        body.extend(values);
        self.event(WRITE_ROWS, &body, zeros);
    }
}

fn packed(out: &mut Vec<u8>, number: usize) {
    if number < 251 {
        out.push(number as u8);
    } else {
        out.push(252);
        out.extend((number as u16).to_le_bytes());
    }
}

fn run(arguments: &[&str], log: &Path) -> Run {
    let mut command = Command::new(common::program());
    command.env("NO_COLOR", "1").args(arguments).arg(log).args(["-j", "2"]);
    measure::run(&mut command)
}

fn lines(run: &Run) -> Vec<Value> {
    let text = std::str::from_utf8(&run.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A row, then one that is too large to be held, then a row again.
fn with_large_row(path: &Path, [kind, metadata]: [u8; 2], zeros: u64) {
    let mut log = Log::new(path);
    let (id, short) = (7_u32.to_le_bytes(), 3_u32.to_le_bytes());
    log.map(&[3, kind], &[metadata]);
    log.insert(2, &[&id[..], &short, b"abc"].concat(), 0);
    let blob = u32::try_from(zeros).unwrap().to_le_bytes();
    log.insert(2, &[id, blob].concat(), zeros);
    log.insert(2, &[&id[..], &short, b"xyz"].concat(), 0);
}

#[test]
fn a_row_that_is_too_large_to_be_held_is_told_and_the_others_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("binlog.000001");
    // Of 1 GiB; and as large as the four bytes of an event's length allow.
    for zeros in [1_u64 << 30, u64::from(u32::MAX) - 64] {
        with_large_row(&log, LONG_BLOB, zeros);
        let json = run(&["rows", "--format", "json"], &log);
        json.assert_bounded("rows");
        assert!(json.kib < BOUND_KIB, "{} KiB", json.kib);
        assert_eq!(json.code, Some(2), "{}", json.stderr);
        let shown = lines(&json);
        assert_eq!(shown.len(), 2, "{}", json.stderr);
        assert_eq!(
            (&shown[0]["after"]["@2"], &shown[1]["after"]["@2"]),
            (&"abc".into(), &"xyz".into())
        );
        let expected =
            "bytes in one event, more than the 67108864 that are held; --max-event allows more";
        assert!(json.stderr.contains(expected), "{}", json.stderr);
        assert!(json.stderr.contains("d.t: rows cannot be read"), "{}", json.stderr);
        // Nothing of it is undone, and no half of it.
        let undo = run(&["undo"], &log);
        assert!(undo.kib < BOUND_KIB, "{} KiB", undo.kib);
        assert_eq!((undo.code, undo.stdout.len()), (Some(2), 0), "{}", undo.stderr);
        assert!(undo.stderr.contains("--max-event allows more"), "{}", undo.stderr);
        // Figures and listings need no row whole.
        for more in [&["events", "--stats"][..], &["events"]] {
            let events = run(more, &log);
            assert_eq!(events.code, Some(0), "{}", events.stderr);
            assert!(events.kib < BOUND_KIB, "{} KiB", events.kib);
        }
    }
}

#[test]
fn a_large_row_is_read_where_that_is_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("binlog.000001");
    let zeros = 100 << 20;
    with_large_row(&log, GEOMETRY, zeros);
    let json = run(&["rows", "--format", "json", "--max-event", "101"], &log);
    assert_eq!(json.code, Some(0), "{}", json.stderr);
    let shown = lines(&json);
    let wkb = shown[1]["after"]["@2"]["wkb"]["base64"].as_str().unwrap();
    assert_eq!(wkb.len() as u64, (zeros - 4).div_ceil(3) * 4);
    // The event, and its text.
    assert!(json.kib < (zeros * 4) >> 10, "{} KiB", json.kib);
    let one_less = run(&["rows", "--format", "json", "--max-event", "99"], &log);
    assert_eq!(one_less.code, Some(2));
}

#[test]
fn a_table_of_4096_columns_is_read_and_one_of_more_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("binlog.000001");
    let make = |columns: usize, rows: usize| {
        let mut log = Log::new(&path);
        log.map(&vec![3; columns], &[]);
        let values: Vec<u8> = (0..columns as u32).flat_map(u32::to_le_bytes).collect();
        (0..rows).for_each(|_| log.insert(columns, &values, 0));
    };
    make(4096, 200);
    for format in ["json", "text", "csv"] {
        let shown = run(&["rows", "--format", format], &path);
        shown.assert_bounded(format);
        assert_eq!(shown.code, Some(0), "{}", shown.stderr);
        assert!(shown.kib < BOUND_KIB, "{} KiB", shown.kib);
        if format == "json" {
            let rows = lines(&shown);
            assert_eq!(rows.len(), 200);
            assert_eq!(rows[199]["after"]["@4096"], 4095);
        }
    }
    let chosen = run(&["rows", "--where", "@4096 = 4095", "--format", "json"], &path);
    assert_eq!((chosen.code, lines(&chosen).len()), (Some(0), 200));
    make(4097, 1);
    let refused = run(&["rows", "--format", "json"], &path);
    assert_eq!((refused.code, refused.stdout.len()), (Some(2), 0), "{}", refused.stderr);
    let expected = "the table map has 4097 columns, more than the 4096 that a table can have";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
}

/// Two gigabytes, nearly all of them holes; more with another figure here.
const LONG_LOG: u64 = 2 << 30;

#[test]
fn a_long_log_is_taken_back_in_little_memory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("binlog.000001");
    let mut log = Log::new(&path);
    let mut number = 0_u32;
    while log.at < LONG_LOG {
        log.event(2, &statement("BEGIN"), 0);
        log.map(&[3, LONG_BLOB[0]], &LONG_BLOB[1..]);
        for _ in 0..40 {
            let values = [&number.to_le_bytes()[..], &3_u32.to_le_bytes(), b"abc"].concat();
            log.insert(2, &values, 0);
            number += 1;
        }
        let large = 1_u32 << 20;
        log.insert(2, &[&number.to_le_bytes()[..], &large.to_le_bytes()].concat(), large.into());
        log.event(2, &statement("COMMIT"), 0);
    }
    let schema = directory.path().join("d.sql");
    std::fs::write(&schema, "USE d;\nCREATE TABLE t (a INT, b LONGBLOB);\n").unwrap();
    let schema = schema.to_str().unwrap();
    // The short rows, of every mebibyte of the log.
    for direction in ["undo", "redo"] {
        let chosen = ["undo", "--as", direction, "--schema", schema, "--where", "b = 'abc'"];
        let script = run(&chosen, &path);
        assert_eq!(script.code, Some(0), "{}", script.stderr);
        let text = String::from_utf8(script.stdout).unwrap();
        let statement = if direction == "undo" { "DELETE FROM" } else { "INSERT INTO" };
        assert_eq!(text.matches(statement).count(), number as usize);
        println!("{direction} of {} bytes, {number} rows: {} KiB", log.at, script.kib);
        assert!(script.kib < BOUND_KIB, "{} KiB", script.kib);
    }
}

#[test]
fn lengths_that_the_event_does_not_have_take_no_memory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("binlog.000001");
    let mut log = Log::new(&path);
    log.map(&[3, LONG_BLOB[0]], &LONG_BLOB[1..]);
    // A blob of 4 GiB less one byte, in an event that ends behind its length.
    log.insert(2, &[7_u32.to_le_bytes(), u32::MAX.to_le_bytes()].concat(), 0);
    let shown = run(&["rows", "--format", "json"], &path);
    assert_eq!((shown.code, shown.stdout.len()), (Some(2), 0), "{}", shown.stderr);
    assert!(
        shown.stderr.contains("row 1, column 2: offset 9: 4294967295 bytes needed, 0 available"),
        "{}",
        shown.stderr
    );
    assert!(shown.kib < BOUND_KIB, "{} KiB", shown.kib);
}
