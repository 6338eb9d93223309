//! The library in another program: an encrypted log fed to somebody else's event parser.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Seek, SeekFrom};

use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::open::OpenLog;
use mysql_common::binlog::BinlogFile;
use mysql_common::binlog::consts::{BinlogVersion, EventType};

use common::scenarios;

/// The manifest's names of the types that the logs of these scenarios have.
fn name(event_type: EventType) -> &'static str {
    match event_type {
        EventType::FORMAT_DESCRIPTION_EVENT => "FORMAT_DESCRIPTION",
        EventType::PREVIOUS_GTIDS_EVENT => "PREVIOUS_GTIDS",
        EventType::GTID_EVENT => "GTID",
        EventType::QUERY_EVENT => "QUERY",
        EventType::TABLE_MAP_EVENT => "TABLE_MAP",
        EventType::WRITE_ROWS_EVENT => "WRITE_ROWS",
        EventType::UPDATE_ROWS_EVENT => "UPDATE_ROWS",
        EventType::DELETE_ROWS_EVENT => "DELETE_ROWS",
        EventType::XID_EVENT => "XID",
        EventType::ROTATE_EVENT => "ROTATE",
        EventType::STOP_EVENT => "STOP",
        other => panic!("{other:?}"),
    }
}

#[test]
fn mysql_common_reads_the_events_of_encrypted_logs() {
    let mut logs = 0;
    for (directory, manifest) in scenarios("mysql-9.7") {
        if !manifest["scenario"].as_str().unwrap().ends_with("mixed-key3-running") {
            continue;
        }
        let keys = Keyring::open(directory.join("component_keyring_file")).unwrap();
        for entry in manifest["files"].as_array().unwrap() {
            if entry["encrypted"] != true {
                continue;
            }
            let path = directory.join(entry["name"].as_str().unwrap());
            let log = OpenLog::open(&path, &keys).unwrap();
            let reader = BufReader::new(log.reader());
            let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
            for event in BinlogFile::new(BinlogVersion::Version4, reader).unwrap() {
                let event_type = event.unwrap().header().event_type().unwrap();
                *counts.entry(name(event_type)).or_default() += 1;
            }
            let expected: BTreeMap<&str, u64> = entry["event_types"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, count)| (name.as_str(), count.as_u64().unwrap()))
                .collect();
            assert_eq!(counts, expected, "{}", path.display());
            logs += 1;
        }
    }
    assert!(logs >= 4, "{logs}");
}

#[test]
fn the_reader_seeks_as_files_do() {
    let (directory, _) = scenarios("mysql-9.7")
        .into_iter()
        .find(|(directory, _)| directory.ends_with("mixed-key3-running"))
        .unwrap();
    let keys = Keyring::open(directory.join("component_keyring_file")).unwrap();
    let log = OpenLog::open(directory.join("binlog.000003"), &keys).unwrap();
    let mut reader = log.reader();
    assert_eq!(reader.seek(SeekFrom::End(0)).unwrap(), 101_558);
    assert_eq!(reader.read(&mut [0; 10]).unwrap(), 0, "at the end");
    assert_eq!(reader.seek(SeekFrom::End(-3)).unwrap(), 101_555);
    assert_eq!(reader.read(&mut [0; 10]).unwrap(), 3);
    assert_eq!(reader.seek(SeekFrom::Start(u64::MAX)).unwrap(), u64::MAX);
    assert_eq!(reader.read(&mut [0; 10]).unwrap(), 0, "past the end");
    assert!(reader.seek(SeekFrom::Current(1)).is_err(), "past what can be counted");
    assert!(reader.seek(SeekFrom::End(-101_559)).is_err(), "before the start");
    assert_eq!(reader.seek(SeekFrom::Start(0)).unwrap(), 0);
    let mut magic = [0; 4];
    reader.read_exact(&mut magic).unwrap();
    assert_eq!(&magic, b"\xFEbin");
}
