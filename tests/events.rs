//! `events` lists what is there: as the manifests say, and as `mysqlbinlog` says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use assert_cmd::Command;
use binlogsec::event::event_type;
use binlogsec::event::gtid_set::GtidSet;
use binlogsec::keyring::Keyring;
use binlogsec::open::OpenLog;
use binlogsec::ops::events::{EventFilter, EventRecord, Summary, TableName, list, list_plain};
use binlogsec::walk::MemorySource;
use proptest::prelude::*;
use serde_json::Value;

use common::{fixture, mixed, mixed_keyring, mysqlbinlog, plaintext, scenarios};

fn records(path: &Path, keyring: &Path, filter: &EventFilter) -> Vec<EventRecord> {
    let keys = Keyring::open(keyring).unwrap();
    let log = OpenLog::open(path, &keys).unwrap();
    let mut records = Vec::new();
    let listed = list(&log, filter, &mut |record| {
        records.push(record.clone());
        Ok(())
    })
    .unwrap();
    assert_eq!(listed.damaged, 0, "{}", path.display());
    assert!(listed.stopped.is_none() || listed.cut_tail);
    records
}

fn counts(records: &[EventRecord]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for record in records
        .iter()
        .filter(|record| record.inner_offset.is_none())
    {
        let name = event_type::name(record.event_type).into_owned();
        *counts.entry(name).or_default() += 1;
    }
    counts
}

#[test]
fn counts_by_type_are_those_of_the_manifests() {
    let mut logs = 0;
    for (directory, manifest) in scenarios("mysql-9.7") {
        for entry in manifest["files"].as_array().unwrap() {
            if entry["event_types"].is_null() {
                continue;
            }
            let path = directory.join(entry["name"].as_str().unwrap());
            let keyring = directory.join("component_keyring_file");
            let found = counts(&records(&path, &keyring, &EventFilter::default()));
            let expected: BTreeMap<String, u64> =
                serde_json::from_value(entry["event_types"].clone()).unwrap();
            assert_eq!(found, expected, "{}", path.display());
            logs += 1;
        }
    }
    println!("{logs} logs");
    assert!(logs >= 19, "{logs}");
}

#[test]
fn plain_mariadb_logs_agree_with_their_manifests() {
    let mut logs = 0;
    for (directory, manifest) in scenarios("mariadb-10.11") {
        for entry in manifest["logs"].as_array().into_iter().flatten() {
            let plain = directory.join(entry["plain"].as_str().unwrap_or("none"));
            let path = if entry["encrypted"] == false {
                directory.join(entry["file"].as_str().unwrap())
            } else if plain.is_file() {
                plain
            } else {
                continue;
            };
            let log = OpenLog::open(&path, &Keyring::new()).unwrap();
            let mut found: BTreeMap<String, u64> = BTreeMap::new();
            list(&log, &EventFilter::default(), &mut |record| {
                *found.entry(record.event_type.to_string()).or_default() += 1;
                Ok(())
            })
            .unwrap();
            let expected = serde_json::from_value(entry["event_types"].clone()).unwrap();
            assert_eq!(found, expected, "{}", path.display());
            logs += 1;
        }
    }
    assert!(logs >= 1, "{logs}");
}

/// Rows by table as `mysqlbinlog -v` shows them; without the tables at whose first row it gives
/// up, as it does at columns of spatial types.
fn rows_by_mysqlbinlog(text: &str) -> (BTreeMap<String, u64>, Vec<String>) {
    let (mut rows, mut given_up, mut table) = (BTreeMap::new(), Vec::new(), String::new());
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("### ") else {
            continue;
        };
        if rest.contains("=!! Don't know how to handle column type=") {
            given_up.push(table.clone());
        }
        let starts = ["INSERT INTO ", "UPDATE ", "DELETE FROM "];
        let Some(name) = starts.iter().find_map(|start| rest.strip_prefix(start)) else {
            continue;
        };
        table = name.replace('`', "");
        *rows.entry(table.clone()).or_default() += 1;
    }
    rows.retain(|table, _| !given_up.contains(table));
    (rows, given_up)
}

#[test]
fn rows_and_gtids_are_those_that_mysqlbinlog_shows() {
    let mut compared = 0;
    for (directory, manifest) in scenarios("mysql-9.7") {
        for entry in manifest["files"].as_array().unwrap() {
            let few = entry["event_count_toplevel"]
                .as_u64()
                .is_some_and(|count| count > 5);
            // Rows of a statement that is cut are not shown at all.
            let cut = !entry["truncated"].is_null();
            if !few || cut || (compared > 40 && entry["kind"] == "relaylog") {
                continue;
            }
            let path = directory.join(entry["name"].as_str().unwrap());
            let keyring = directory.join("component_keyring_file");
            let Some((success, text)) = mysqlbinlog(&["-v"], &plaintext(&path, &keyring)) else {
                return;
            };
            assert!(success);
            let records = records(&path, &keyring, &EventFilter::default());
            let mut rows: BTreeMap<String, u64> = BTreeMap::new();
            for record in &records {
                if let Summary::Rows {
                    name, rows: count, ..
                } = &record.summary
                {
                    let name = name.as_ref().unwrap().to_string();
                    *rows.entry(name).or_default() += count.expect("rows are counted");
                }
            }
            let (theirs, given_up) = rows_by_mysqlbinlog(&text);
            rows.retain(|table, _| !given_up.contains(table));
            assert_eq!(rows, theirs, "{}", path.display());
            let gtids: Vec<_> = records
                .iter()
                .filter(|record| matches!(record.summary, Summary::Transaction { .. }))
                .map(|record| record.transaction.as_ref().unwrap().to_string())
                .collect();
            let theirs: Vec<_> = text
                .lines()
                .filter_map(|line| line.strip_prefix("SET @@SESSION.GTID_NEXT= '"))
                .filter_map(|line| line.split_once('\''))
                .map(|(gtid, _)| gtid.to_owned())
                .filter(|gtid| gtid != "AUTOMATIC")
                .collect();
            assert_eq!(gtids, theirs, "{}", path.display());
            compared += 1;
        }
    }
    println!("{compared} logs compared with mysqlbinlog");
}

const TAGGED: &str = "mysql-9.7/tagged-gtids";
const SERVER: &str = "d487cab6-e56b-11f1-acc5-02fc00000001";

fn tagged(filter: &EventFilter) -> Vec<EventRecord> {
    let directory = fixture(TAGGED);
    let keyring = directory.join("component_keyring_file");
    records(&directory.join("tagged.000001"), &keyring, filter)
}

#[test]
fn previous_gtids_are_what_the_server_said() {
    let directory = fixture(TAGGED);
    let keyring = directory.join("component_keyring_file");
    let filter = EventFilter {
        types: [event_type::PREVIOUS_GTIDS].into(),
        ..EventFilter::default()
    };
    let found = records(&directory.join("tagged.000003"), &keyring, &filter);
    // As the server's gtid_executed and one more of each.
    let expected: GtidSet = format!(
        "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee:foo:7,{SERVER}:1-8:backup:1-3:zz_last_tag:1,ffffffff-bbbb-cccc-dddd-ffffffffffff:9"
    )
    .parse()
    .unwrap();
    assert_eq!(found[0].summary, Summary::PreviousGtids(expected));
}

#[test]
fn filters_take_what_they_name() {
    let of = |filter: EventFilter| tagged(&filter);
    let gtids = format!("{SERVER}:backup:1-9").parse().unwrap();
    let found = of(EventFilter {
        gtids: Some(gtids),
        ..EventFilter::default()
    });
    assert_eq!(found.len(), 10, "two transactions of five events");
    assert!(found.iter().all(|r| {
        r.transaction
            .as_ref()
            .unwrap()
            .to_string()
            .contains(":backup:")
    }));

    let table = TableName::parse("d.t").unwrap();
    let found = of(EventFilter {
        tables: [table].into(),
        ..EventFilter::default()
    });
    assert_eq!(
        found.len(),
        9 + 9,
        "nine table maps and nine row events, inner ones included"
    );
    let none = TableName::parse("d.u").unwrap();
    assert!(
        of(EventFilter {
            tables: [none].into(),
            ..EventFilter::default()
        })
        .is_empty()
    );

    let found = of(EventFilter {
        start_position: Some(1614),
        stop_position: Some(1936),
        ..EventFilter::default()
    });
    assert_eq!(found.len(), 5);
    assert_eq!(found[0].position, 1614);
    assert!(
        of(EventFilter {
            server_ids: [78].into(),
            ..EventFilter::default()
        })
        .is_empty()
    );
    let all = of(EventFilter::default());
    let time = i64::from(all[0].timestamp);
    assert_eq!(
        of(EventFilter {
            from: Some(time),
            ..EventFilter::default()
        })
        .len(),
        all.len()
    );
    assert!(
        of(EventFilter {
            to: Some(time),
            ..EventFilter::default()
        })
        .is_empty()
    );
}

fn run(arguments: &[&str]) -> (i32, Vec<u8>) {
    let directory = fixture(TAGGED);
    let output = Command::cargo_bin("binlogsec")
        .unwrap()
        .arg("events")
        .arg(directory.join("tagged.000001"))
        .args(arguments)
        .arg("--keyring")
        .arg(directory.join("component_keyring_file"))
        .output()
        .unwrap();
    (output.status.code().unwrap(), output.stdout)
}

#[test]
fn json_and_csv_have_every_event() {
    let all = tagged(&EventFilter::default());
    let (code, json) = run(&["--format", "json"]);
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((code, &json["schema"]), (0, &"binlogsec.events/1".into()));
    let events = json["files"][0]["events"].as_array().unwrap();
    assert_eq!(events.len(), all.len());
    for (event, record) in events.iter().zip(&all) {
        assert_eq!(event["position"], record.position);
        assert_eq!(event["size"], record.size);
        assert_eq!(event["timestamp"], record.timestamp);
        assert_eq!(event["server_id"], record.server_id);
        assert_eq!(event["inner"], record.inner_offset.is_some());
    }
    assert_eq!(
        events.iter().filter(|event| event["inner"] == true).count(),
        4
    );
    let (code, text) = run(&["--format", "csv"]);
    let mut reader = csv::Reader::from_reader(text.as_slice());
    assert_eq!(
        (code, reader.records().map(Result::unwrap).count()),
        (0, all.len())
    );
    let (code, json) = run(&["--format", "json", "--stats"]);
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        (code, &json["files"][0]["stats"]["transactions"]),
        (0, &12.into())
    );
}

#[test]
fn a_position_between_events_is_refused() {
    assert_eq!(run(&["--start-position", "1615"]).0, 2);
    assert_eq!(run(&["--start-position", "1614"]).0, 0);
    // Within the first event, which is read in any case.
    assert_eq!(run(&["--start-position", "60"]).0, 2);
    assert_eq!(run(&["--start-position", "4"]).0, 0);
}

#[test]
fn a_pipe_into_mysqlbinlog_works_as_documented() {
    let directory = mixed();
    let decrypted = Command::cargo_bin("binlogsec")
        .unwrap()
        .args(["decrypt", "-o", "-"])
        .arg(directory.join("binlog.000003"))
        .arg("--keyring")
        .arg(mixed_keyring())
        .output()
        .unwrap();
    if let Some((success, text)) = mysqlbinlog(&["-v"], &decrypted.stdout) {
        assert!(success && text.contains("### INSERT INTO"));
    }
}

/// Lists damaged bytes; it must end, whatever they are.
fn survives(plain: &[u8]) {
    let source = MemorySource::new(Path::new("memory"), plain);
    let mut seen = 0_usize;
    let listed = list_plain(&source, &EventFilter::default(), &mut |_| {
        seen += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(listed.events, seen as u64);
}

#[test]
fn every_byte_changed_and_every_cut_ends_well() {
    let directory = fixture(TAGGED);
    let plain = plaintext(
        &directory.join("tagged.000001"),
        &directory.join("component_keyring_file"),
    );
    // Without checksums, so that damaged bodies are read, too.
    let mut log = plain.clone();
    log[4 + 123 - 5] = 0;
    for at in 4..log.len() {
        for value in [0x00, 0xFF, log[at] ^ 0x01, log[at] ^ 0x80] {
            let before = std::mem::replace(&mut log[at], value);
            survives(&log);
            log[at] = before;
        }
        survives(&log[..at]);
    }
}

proptest! {
    #[test]
    fn any_bytes_behind_the_magic_end_well(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        survives(&[b"\xFEbin", bytes.as_slice()].concat());
    }
}
