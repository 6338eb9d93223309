//! Listings are made of a log in blocks, by several threads: what is said of an event is what the events
//! before it say, wherever a block begins.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::collections::BTreeMap;
use std::path::Path;

use crate::recover::{A, Log, START};

use binlogsec_core::event::checksum::ChecksumAlgorithm;
use binlogsec_core::event::event_type;
use binlogsec_core::event::gtid::{TransactionId, TransactionStart};
use binlogsec_core::event::walker::Events;
use binlogsec_core::file::TransferError;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::error::Error;
use binlogsec_core::log::open::OpenLog;
use binlogsec_core::log::walk::MemorySource;
use binlogsec_core::read::events::{
    EventFilter, EventRecord, LineMaker, Summary, list_lines, list_plain,
};

/// Numbers that look random, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

fn gtid(number: u64) -> Vec<u8> {
    let mut body = vec![1];
    body.extend([A; 16]);
    body.extend(number.to_le_bytes());
    body
}

/// A table of one INT.
fn table_map(id: u64, name: &str) -> Vec<u8> {
    let mut body = id.to_le_bytes()[..6].to_vec();
    body.extend([1, 0, 2]);
    body.extend(b"db\0");
    body.push(u8::try_from(name.len()).unwrap());
    body.extend(name.as_bytes());
    body.extend([0, 1, 3, 0, 1]);
    body
}

fn rows(id: u64, count: u64) -> Vec<u8> {
    let mut body = id.to_le_bytes()[..6].to_vec();
    body.extend([1, 0, 2, 0, 1, 1]);
    for number in 0..count {
        body.push(0);
        body.extend(u32::try_from(number).unwrap().to_le_bytes());
    }
    body
}

/// Some MiB: transactions short and long, across where blocks end, of tables whose numbers change
/// hands; events longer than a block; GTIDs and table maps with wrong checksums.
fn log() -> Log {
    let mut log = Log::new(1, START, false);
    let mut numbers = Numbers(7);
    for number in 1..=4000 {
        log.event(event_type::GTID, &gtid(number));
        if numbers.below(50) == 0 {
            break_last(&mut log);
        }
        log.statement("db", "BEGIN");
        let statements = if numbers.below(100) == 0 { 300 } else { numbers.below(4) };
        for _ in 0..statements {
            let id = numbers.below(5);
            log.event(event_type::TABLE_MAP, &table_map(id, &format!("t{}", numbers.below(9))));
            if numbers.below(50) == 0 {
                break_last(&mut log);
            }
            // Now and then of a table that only an earlier statement maps, or none.
            let id = if numbers.below(9) == 0 { numbers.below(6) } else { id };
            let count = if numbers.below(1000) == 0 { 70_000 } else { numbers.below(20) };
            log.event(event_type::WRITE_ROWS, &rows(id, count));
        }
        log.event(event_type::XID, &number.to_le_bytes());
    }
    log
}

fn break_last(log: &mut Log) {
    *log.bytes.last_mut().unwrap() ^= 0x55;
}

/// What is said of an event: its transaction, its table, and how many rows.
type Said = (u64, Option<TransactionId>, Option<String>, Option<u64>);

/// The same by going from one event to the next.
fn one_by_one(log: &[u8]) -> Vec<Said> {
    let (mut transaction, mut tables) = (None, BTreeMap::new());
    let mut said = Vec::new();
    for event in Events::new(&log[4..], 4, ChecksumAlgorithm::None) {
        let event = event.unwrap();
        let is_whole = event.verify_checksum().is_ok();
        let (body, kind) = (event.body(), event.header.event_type);
        let id = body.first_chunk::<6>().map(|six| six.to_vec());
        let (mut table, mut count) = (None, None);
        match kind {
            event_type::GTID if is_whole => {
                transaction = Some(TransactionStart::parse(&event).unwrap().unwrap().id);
                tables.clear();
            }
            event_type::TABLE_MAP if is_whole => {
                let name = String::from_utf8(body[13..15].to_vec()).unwrap();
                tables.insert(id.unwrap(), name.clone());
                table = Some(name);
            }
            event_type::WRITE_ROWS => {
                table = tables.get(&id.unwrap()).cloned();
                count = table.as_ref().map(|_| (body.len() as u64 - 12) / 5);
            }
            _ => {}
        }
        said.push((event.offset, transaction.clone(), table, count));
        if kind == event_type::XID {
            transaction = None;
        }
    }
    said
}

fn said(record: &EventRecord<'_>) -> Said {
    let (table, count) = match &record.summary {
        Summary::Table { name, .. } => (Some(name.table.clone()), None),
        Summary::Rows { name, rows, .. } => (name.as_ref().map(|it| it.table.clone()), *rows),
        _ => (None, None),
    };
    (record.position, record.transaction.as_deref().cloned(), table, count)
}

#[test]
fn what_is_said_of_an_event_does_not_depend_on_where_a_block_begins() {
    let log = log();
    assert!(log.bytes.len() > 2 << 20, "{} bytes are few blocks", log.bytes.len());
    let expected = one_by_one(&log.bytes);
    let mut found = Vec::new();
    let source = MemorySource::new(Path::new("log"), &log.bytes);
    let listed = list_plain(&source, &EventFilter::default(), &mut |record| {
        found.push(said(record));
        Ok(())
    })
    .unwrap();
    assert!(listed.stopped.is_none() && listed.damaged > 50, "{listed:?}");
    let first = expected.iter().zip(&found).find(|(expected, found)| expected != found);
    assert_eq!((first, expected.len()), (None, found.len()));
    assert!(found.iter().filter(|said| said.3 == Some(70_000)).count() > 1, "no event is long");
    assert!(found.iter().any(|said| said.1.is_none() && said.0 > 1 << 20));
}

/// Writes what is said of each event.
struct Say;

impl LineMaker for Say {
    fn line(&mut self, record: &EventRecord<'_>, out: &mut Vec<u8>) -> std::io::Result<()> {
        out.extend_from_slice(format!("{:?}\n", said(record)).as_bytes());
        Ok(())
    }
}

#[test]
fn several_threads_say_the_same_in_the_same_order() {
    let log = log();
    let mut expected: Vec<u8> = Vec::new();
    for said in one_by_one(&log.bytes) {
        expected.extend_from_slice(format!("{said:?}\n").as_bytes());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    log.write(&path);
    for threads in [1, 2, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let lines = pool.install(|| {
            let log = OpenLog::open(&path, &Keyring::new()).unwrap();
            let mut lines: Vec<u8> = Vec::new();
            list_lines(&log, &EventFilter::default(), &|| Box::new(Say), &mut |piece| {
                lines.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
            lines
        });
        assert!(lines == expected, "{threads} threads");
    }
}

#[test]
fn a_listing_ends_where_nobody_takes_it_any_more() {
    let log = log();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    log.write(&path);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let listed = pool.install(|| {
        let log = OpenLog::open(&path, &Keyring::new()).unwrap();
        list_lines(&log, &EventFilter::default(), &|| Box::new(Say), &mut |_| {
            Err(TransferError::Cancelled)
        })
    });
    // A thread that waits for somebody to take what it made would wait for ever.
    assert!(matches!(listed, Err(Error::Transfer(TransferError::Cancelled))), "{listed:?}");
}
