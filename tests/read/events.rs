//! `events` lists what is there: as the manifests say, and as `mysqlbinlog` says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use crate::common;

use std::collections::BTreeMap;
use std::path::Path;

use assert_cmd::Command;
use binlogsec_core::event::event_type;
use binlogsec_core::event::gtid_set::GtidSet;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::open::OpenLog;
use binlogsec_core::log::walk::MemorySource;
use binlogsec_core::read::events::{EventFilter, EventRecord, Summary, list, list_plain};
use binlogsec_core::read::tables::TableGlob;
use proptest::prelude::*;
use serde_json::Value;

use common::{corpus, fixture, logs, mixed, mixed_keyring, mysqlbinlog, plaintext, scenarios};

fn records(path: &Path, keyring: &Path, filter: &EventFilter) -> Vec<EventRecord<'static>> {
    let keys = Keyring::open(keyring).unwrap();
    let log = OpenLog::open(path, &keys).unwrap();
    let mut records = Vec::new();
    let listed = list(&log, filter, &mut |record| {
        records.push(record.clone().into_owned());
        Ok(())
    })
    .unwrap();
    assert_eq!(listed.damaged, 0, "{}", path.display());
    assert!(listed.stopped.is_none() || listed.cut_tail);
    records
}

fn counts(records: &[EventRecord<'_>]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for record in records.iter().filter(|record| record.inner_offset.is_none()) {
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
            let few = entry["event_count_toplevel"].as_u64().is_some_and(|count| count > 5);
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
                if let Summary::Rows { name, rows: count, .. } = &record.summary {
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

fn tagged(filter: &EventFilter) -> Vec<EventRecord<'static>> {
    let directory = fixture(TAGGED);
    let keyring = directory.join("component_keyring_file");
    records(&directory.join("tagged.000001"), &keyring, filter)
}

#[test]
fn previous_gtids_are_what_the_server_said() {
    let directory = fixture(TAGGED);
    let keyring = directory.join("component_keyring_file");
    let filter =
        EventFilter { types: [event_type::PREVIOUS_GTIDS].into(), ..EventFilter::default() };
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
    let found = of(EventFilter { gtids: Some(gtids), ..EventFilter::default() });
    assert_eq!(found.len(), 10, "two transactions of five events");
    assert!(
        found.iter().all(|r| { r.transaction.as_ref().unwrap().to_string().contains(":backup:") })
    );

    let table = TableGlob::parse("d.t").unwrap();
    let found = of(EventFilter { tables: [table].into(), ..EventFilter::default() });
    assert_eq!(found.len(), 9 + 9 + 1, "table maps and row events, inner ones, too; CREATE TABLE");
    let is_create = |it: &EventRecord<'_>| matches!(&it.summary, Summary::Query { statement, .. } if statement.to_lowercase().contains("create"));
    assert_eq!(found.iter().filter(|it| is_create(it)).count(), 1);
    let none = TableGlob::parse("d.u").unwrap();
    assert!(of(EventFilter { tables: [none].into(), ..EventFilter::default() }).is_empty());

    let found = of(EventFilter {
        start_position: Some(1614),
        stop_position: Some(1936),
        ..EventFilter::default()
    });
    assert_eq!(found.len(), 5);
    assert_eq!(found[0].position, 1614);
    assert!(of(EventFilter { server_ids: [78].into(), ..EventFilter::default() }).is_empty());
    let all = of(EventFilter::default());
    let time = i64::from(all[0].timestamp);
    assert_eq!(of(EventFilter { from: Some(time), ..EventFilter::default() }).len(), all.len());
    assert!(of(EventFilter { to: Some(time), ..EventFilter::default() }).is_empty());
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
    assert_eq!(events.iter().filter(|event| event["inner"] == true).count(), 4);
    let (code, text) = run(&["--format", "csv"]);
    let mut reader = csv::Reader::from_reader(text.as_slice());
    assert_eq!((code, reader.records().map(Result::unwrap).count()), (0, all.len()));
    let (code, json) = run(&["--format", "json", "--stats"]);
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((code, &json["files"][0]["stats"]["transactions"]), (0, &12.into()));
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

/// What the command lists of a file, on so many threads.
fn listed(path: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::cargo_bin("binlogsec")
        .unwrap()
        .arg("events")
        .arg(path)
        .args(arguments)
        .output()
        .unwrap();
    // 1 where nothing was chosen.
    let is_listed = matches!(output.status.code(), Some(0 | 1));
    assert!(is_listed, "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Transactions of several fixtures, compressed ones and long ones among them, in one log of some
/// megabytes: blocks end within transactions.
fn long_log() -> Vec<u8> {
    let of = |directory: &str, name: &str| {
        let directory = fixture(directory);
        plaintext(&directory.join(name), &directory.join("component_keyring_file"))
    };
    let parts = [
        of("mysql-9.7/mixed-key3-running", "binlog.000003"),
        of("mysql-9.7/compressed", "binlog.000008"),
        of(TAGGED, "tagged.000001"),
    ];
    let is_part_of_one = |kind: &u8| {
        ![
            event_type::FORMAT_DESCRIPTION,
            event_type::PREVIOUS_GTIDS,
            event_type::ROTATE,
            event_type::STOP,
        ]
        .contains(kind)
    };
    let mut log = logs::grow(&parts[0], 700_000);
    for round in 0..12 {
        for part in &parts {
            let mut events = logs::events(part);
            events.retain(|(.., kind)| is_part_of_one(kind));
            for (offset, length, kind) in events {
                // One in three transactions becomes part of the one before.
                if round % 3 == 0 && [event_type::XID, event_type::GTID].contains(&kind) {
                    continue;
                }
                logs::append(&mut log, &part[offset..offset + length]);
            }
        }
    }
    log
}

#[test]
fn a_listing_is_the_same_with_any_number_of_threads() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("binlog.000001");
    let log = long_log();
    std::fs::write(&path, &log).unwrap();
    let source = MemorySource::new(Path::new("memory"), &log);
    let mut records = 0;
    let outcome = list_plain(&source, &EventFilter::default(), &mut |record| {
        records += 1;
        let is_rows = matches!(&record.summary, Summary::Rows { .. });
        let named = matches!(&record.summary, Summary::Rows { name: Some(_), rows: Some(_), .. });
        assert!(!is_rows || named, "{record:?}");
        Ok(())
    });
    assert_eq!((outcome.unwrap().damaged, records > 2000), (0, true));
    assert!(log.len() > 1 << 20, "{}", log.len());
    for arguments in [
        &[][..],
        &["--format", "json"],
        &["--format", "csv"],
        &["--type", "XID,WRITE_ROWS"],
        &["--table", "d.t", "--format", "json"],
    ] {
        let with = |threads: &str| listed(&path, &[arguments, &["-j", threads]].concat());
        let one = with("1");
        assert!(one.len() > 10_000, "{arguments:?}");
        for threads in ["2", "4", "7"] {
            assert!(with(threads) == one, "{arguments:?} on {threads} threads");
        }
        if arguments.contains(&"json") {
            let report: Value = serde_json::from_slice(&one).unwrap();
            assert!(report["files"][0]["events"].as_array().unwrap().len() > 100);
        }
    }
}

#[test]
fn a_closed_pipe_ends_a_listing_on_many_threads() {
    use std::io::Read as _;
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("binlog.000001");
    std::fs::write(&path, long_log()).unwrap();
    let mut child = std::process::Command::new(common::program())
        .args(["events", "-j", "4"])
        .arg(&path)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut start = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut start).unwrap();
    // The pipe is closed; the process ends by itself.
    assert!(child.wait().is_ok());
}

/// A plaintext log of the corpus that MariaDB wrote with `log_bin_compress=ON`.
fn compressed_by_mariadb() -> Option<Vec<u8>> {
    let log = corpus()?.join("mariadb-10.11/compressed-cbc256/plain/binlog.000001");
    let bytes = std::fs::read(&log).ok();
    if bytes.is_none() {
        println!("skipped: no log with compressed events of MariaDB");
    }
    bytes
}

#[test]
fn statements_that_mariadb_compressed_are_shown_with_their_database() {
    let Some(log) = compressed_by_mariadb() else {
        return;
    };
    let source = MemorySource::new(Path::new("memory"), &log);
    let mut statements = Vec::new();
    list_plain(&source, &EventFilter::default(), &mut |record| {
        if record.event_type == event_type::MARIADB_QUERY_COMPRESSED {
            let Summary::Query { database, statement, cut, .. } = &record.summary else {
                panic!("{record:?}");
            };
            statements.push((database.to_string(), statement.to_string(), *cut));
        }
        Ok(())
    })
    .unwrap();
    assert!(statements.len() > 20, "{}", statements.len());
    assert!(statements.iter().all(|(_, statement, cut)| *cut == (statement.len() == 512)));
    let create = "create table if not exists t(id int primary key auto_increment";
    let is_create = |(database, statement, _): &(String, String, bool)| {
        database == "d" && statement.starts_with(create)
    };
    assert!(statements.iter().any(is_create), "{statements:?}");
}

#[test]
fn rows_that_mariadb_compressed_are_counted_as_mariadb_binlog_shows_them() {
    let Some(log) = compressed_by_mariadb() else {
        return;
    };
    let source = MemorySource::new(Path::new("memory"), &log);
    let mut rows = BTreeMap::new();
    list_plain(&source, &EventFilter::default(), &mut |record| {
        if let Summary::Rows { name, rows: count, .. } = &record.summary {
            let name = name.as_ref().unwrap().to_string();
            *rows.entry(name).or_default() += count.expect("rows are counted");
        }
        Ok(())
    })
    .unwrap();
    assert!(rows.values().sum::<u64>() > 40, "{rows:?}");
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("log");
    std::fs::write(&path, &log).unwrap();
    let output = std::process::Command::new("mariadb-binlog").arg("-v").arg(&path).output();
    let Ok(output) = output else {
        println!("skipped: no mariadb-binlog to compare with");
        return;
    };
    let (theirs, given_up) = rows_by_mysqlbinlog(&String::from_utf8_lossy(&output.stdout));
    rows.retain(|table, _| !given_up.contains(table));
    assert_eq!(rows, theirs);
}

#[test]
fn compressed_rows_that_announce_too_much_or_are_damaged_are_not_counted() {
    let Some(log) = compressed_by_mariadb() else {
        return;
    };
    let is_rows = |kind: u8| kind == 166;
    let (offset, length, _) =
        logs::events(&log).into_iter().find(|(.., kind)| is_rows(*kind)).unwrap();
    let count = |log: &[u8]| {
        let source = MemorySource::new(Path::new("memory"), log);
        let mut found = None;
        list_plain(&source, &EventFilter::default(), &mut |record| {
            if record.position == offset as u64 {
                found = Some(record.summary.clone().into_owned());
            }
            Ok(())
        })
        .unwrap();
        found
    };
    let Some(Summary::Rows { rows: Some(_), .. }) = count(&log) else {
        panic!("its rows are counted");
    };
    // Table id, flags, width and one bitmap; then the head of the compression.
    let (body, head) = (offset + 19, 10);
    assert_eq!(log[body + head] & 0xF8, 0x80);
    let resum = |log: &mut Vec<u8>| {
        let sum_at = offset + length - 4;
        let sum = crc32fast::hash(&log[offset..sum_at]);
        log[sum_at..sum_at + 4].copy_from_slice(&sum.to_le_bytes());
    };
    for (at, value) in [(0, 0x84), (0, 0x01), (1, 0xFF), (4, 0xFF)] {
        let mut damaged = log.clone();
        damaged[body + head + at] = value;
        resum(&mut damaged);
        let summary = count(&damaged);
        assert!(
            matches!(summary, Some(Summary::Rows { rows: None, .. })),
            "{at} {value}: {summary:?}"
        );
    }
}

#[test]
fn one_name_chooses_events_of_every_form() {
    let of = |types: &str| {
        let (code, text) = run(&["--format", "json", "--type", types]);
        let report: Value = serde_json::from_slice(&text).unwrap();
        let events = report["files"][0]["events"].as_array().unwrap();
        let names = events.iter().map(|event| event["type"].as_str().unwrap().to_owned());
        (code, names.collect::<std::collections::BTreeSet<_>>())
    };
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(of("GTID"), (0, set(&["GTID", "GTID_TAGGED"])));
    assert_eq!(of("33"), (0, set(&["GTID"])));
    assert_eq!(of("GTID_TAGGED"), (0, set(&["GTID_TAGGED"])));
    let gtid = event_type::chosen_by("gtid_event");
    assert_eq!(gtid, [33, 34, 42, 162]);
    assert_eq!(event_type::chosen_by("QUERY"), [2, 165]);
    assert_eq!(event_type::chosen_by("nonsense"), [0; 0]);
    assert_eq!(event_type::name(172), "PARTIAL_ROW_DATA");
    assert_eq!(run(&["--type", "nonsense"]).0, 2);
}

/// `binlog_row_image=FULL_NODUP` of MariaDB: all columns before an update, the changed ones after it.
#[test]
fn updates_whose_images_have_different_columns_are_counted() {
    use binlogsec_core::event::rows::Rows;
    use binlogsec_core::event::table_map::Column;
    let column = |column_type| Column { column_type, metadata: [0, 0] };
    let columns = [column(1), column(3), column(2)];
    let (before, after) = ([0, 1, 2, 2, 2, 2, 3, 3], [0, 9, 9]);
    let rows = [&before[..], &after].concat().repeat(2);
    let head = [7, 0, 0, 0, 0, 0, 1, 0, 3, 0b111, 0b100];
    let body = [&head[..], &rows].concat();
    // Version 1, as MariaDB writes it.
    let parsed = Rows::parse(24, &body).unwrap();
    assert_eq!(parsed.count(&columns), Some(2));
    assert_eq!(parsed.count(&columns[..2]), None);
}

/// GTIDs of a MariaDB log that a selection lists.
fn mariadb_gtids(arguments: &[&str]) -> Vec<String> {
    let directory = fixture("mariadb-10.11/cbc128-crc32-row");
    let keys = directory.join("keys.txt");
    let all = ["--format", "json", "--type", "GTID", "--keyring", keys.to_str().unwrap()];
    let path = directory.join("logs/binlog.000002");
    let text = listed(&path, &[&all, arguments].concat());
    let report: Value = serde_json::from_slice(&text).unwrap();
    let events = report["files"][0]["events"].as_array().unwrap();
    let gtids = events.iter().map(|event| event["gtid"].as_str().unwrap().to_owned());
    gtids.collect()
}

#[test]
fn transactions_of_mariadb_are_chosen_by_gtid_domain_and_server() {
    let all = mariadb_gtids(&[]);
    assert!(all.len() > 8, "{all:?}");
    let number = |gtid: &String| gtid.rsplit('-').next().unwrap().parse::<u64>().unwrap();
    let server = all[0].split('-').nth(1).unwrap().to_owned();
    let gtid = |index: usize| all[index].clone();
    assert_eq!(mariadb_gtids(&["--gtid", &gtid(3)]), [gtid(3)]);
    let two = format!("{},{}", gtid(5), gtid(1));
    assert_eq!(mariadb_gtids(&["--include-gtids", &two]), [gtid(1), gtid(5)]);
    // Another server's transaction of that number is another transaction; in a range it is not.
    let foreign = format!("0-1-{}", number(&all[3]));
    assert!(mariadb_gtids(&["--gtid", &foreign]).is_empty());
    let range = format!("{foreign}..0-2-{}", number(&all[5]));
    assert_eq!(mariadb_gtids(&["--gtid", &range]), all[3..6]);
    assert_eq!(mariadb_gtids(&["--domain-id", "0"]), all);
    assert!(mariadb_gtids(&["--domain-id", "1"]).is_empty());
    assert_eq!(mariadb_gtids(&["--server-id", &server]), all);
    assert!(mariadb_gtids(&["--server-id", "1"]).is_empty());
    // As mariadb-binlog has it: behind the start, up to the stop and with it.
    assert_eq!(mariadb_gtids(&["--start-position", &gtid(3)]), all[4..]);
    assert_eq!(mariadb_gtids(&["--stop-position", &gtid(3)]), all[..4]);
    assert_eq!(mariadb_gtids(&["--start-position", "7-1-100"]), all);
    assert!(mariadb_gtids(&["--stop-position", "7-1-100"]).is_empty());
    for wrong in ["0-1", "0-1-2-3", "0-1-5..0-1-4", "0-1-5..1-1-6", "x-1-2"] {
        assert_eq!(run(&["--gtid", wrong]).0, 2, "{wrong}");
    }
    assert_eq!(run(&["--start-position", "0-1-2,0-1-3"]).0, 2);
}

/// A log in which row events are older than the event that begins their transaction, as they are
/// when it was committed long after its first statement.
#[test]
fn a_transaction_is_in_time_as_a_whole() {
    let directory = fixture(TAGGED);
    let plain =
        plaintext(&directory.join("tagged.000001"), &directory.join("component_keyring_file"));
    let mut log = plain.clone();
    let mut commits = Vec::new();
    let mut time = 1_000_000_u32;
    for (offset, length, kind) in logs::events(&plain) {
        if event_type::begins_transaction(kind) {
            time += 1000;
            commits.push(time);
        }
        let own = if event_type::begins_transaction(kind) { time } else { time - 900 };
        log[offset..offset + 4].copy_from_slice(&own.to_le_bytes());
        let sum_at = offset + length - 4;
        let sum = crc32fast::hash(&log[offset..sum_at]);
        log[sum_at..sum_at + 4].copy_from_slice(&sum.to_le_bytes());
    }
    let source = MemorySource::new(Path::new("memory"), &log);
    let of = |filter: EventFilter| {
        let mut found = Vec::new();
        list_plain(&source, &filter, &mut |record| {
            if record.transaction.is_some() && record.inner_offset.is_none() {
                found.push(record.position);
            }
            Ok(())
        })
        .unwrap();
        found
    };
    let moment = i64::from(commits[5]);
    let all = of(EventFilter::default());
    let before = of(EventFilter { to: Some(moment), ..EventFilter::default() });
    let after = of(EventFilter { from: Some(moment), ..EventFilter::default() });
    assert_eq!([before.clone(), after.clone()].concat(), all);
    let gtids: Vec<_> = logs::events(&plain)
        .into_iter()
        .filter(|(.., kind)| event_type::begins_transaction(*kind))
        .map(|(offset, ..)| offset as u64)
        .collect();
    assert_eq!(after[0], gtids[5]);
    assert!(before.iter().all(|position| *position < gtids[5]));
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
    let plain =
        plaintext(&directory.join("tagged.000001"), &directory.join("component_keyring_file"));
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
