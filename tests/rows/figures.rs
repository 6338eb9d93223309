//! `events --stats`: what it says of rows is what `rows` lists.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::limits::Log;
use crate::common;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rows").join(name)
}

fn run(arguments: &[&str], log: &Path) -> String {
    let output = common::binlogsec().args(arguments).arg(log).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", common::said(&output, log));
    String::from_utf8(output.stdout).unwrap()
}

fn stats(log: &Path) -> Value {
    let text = run(&["events", "--stats", "--format", "json"], log);
    serde_json::from_str::<Value>(&text).unwrap()["files"][0]["stats"].clone()
}

fn listed(more: &[&str], log: &Path) -> Vec<Value> {
    let text = run(&[&["rows", "--format", "json"], more].concat(), log);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn rows_are_counted_by_table_operation_and_hour_as_they_are_listed() {
    for name in [
        "mysql-9.7-full.000001",
        "mysql-9.7-partial-json.000001",
        "mariadb-10.11-full.000001",
        "mariadb-10.11-compressed.000001",
        "mariadb-10.11-no-names.000001",
    ] {
        let log = fixture(name);
        let (stats, rows) = (stats(&log), listed(&[], &log));
        let mut by_table = BTreeMap::<(String, String), u64>::new();
        let mut by_hour = BTreeMap::<(String, String), u64>::new();
        for row in &rows {
            let op = text(&row["op"]).to_owned();
            let day_and_hour = text(&row["time"]).split_once(':').unwrap().0;
            let hour = format!("{day_and_hour}:00:00Z");
            *by_table.entry((text(&row["table"]).to_owned(), op.clone())).or_default() += 1;
            *by_hour.entry((hour, op)).or_default() += 1;
        }
        for (figures, name_of, expected) in
            [("by_table", "table", &by_table), ("by_hour", "hour", &by_hour)]
        {
            let mut found = BTreeMap::new();
            for entry in stats[figures].as_array().unwrap() {
                for op in ["insert", "update", "delete"] {
                    let of = &entry["ops"][op];
                    let count = of["rows"].as_u64().unwrap();
                    assert_eq!(count > 0, of["bytes"].as_u64().unwrap() > 0);
                    if count > 0 {
                        found.insert((text(&entry[name_of]).to_owned(), op.to_owned()), count);
                    }
                }
            }
            assert_eq!(found, *expected, "{name}, {figures}");
        }
        let sizes = stats["by_row_size"].as_array().unwrap();
        let sum: u64 = sizes.iter().map(|size| size["rows"].as_u64().unwrap()).sum();
        assert_eq!(sum, rows.len() as u64, "{name}");
        let is_power = |size: &Value| size["up_to"].as_u64().unwrap().is_power_of_two();
        assert!(sizes.iter().all(is_power), "{name}: {sizes:?}");
    }
}

#[test]
fn the_widest_rows_and_the_hottest_keys_are_found_where_the_figures_say() {
    let log = fixture("mysql-9.7-full.000001");
    let stats = stats(&log);
    let widest = stats["widest_rows"].as_array().unwrap();
    assert_eq!(widest.len(), 10);
    let bytes: Vec<_> = widest.iter().map(|row| row["bytes"].as_u64().unwrap()).collect();
    assert!(bytes.is_sorted_by(|one, other| one >= other), "{bytes:?}");
    for row in widest {
        let (end, table) = (row["position"].as_u64().unwrap() + 1, text(&row["table"]));
        let end = end.to_string();
        let place = ["--start-position", "4", "--stop-position", &end, "--op", text(&row["op"])];
        let found = listed(&place, &log);
        let is_it = |it: &&Value| {
            it["position"] == row["position"] && it["row"] == row["row"] && it["table"] == table
        };
        assert_eq!(found.iter().filter(is_it).count(), 1, "{row}");
    }
    let hottest = stats["hottest_keys"].as_array().unwrap();
    assert!(hottest.len() >= 5, "{hottest:?}");
    for key in hottest {
        // The condition, as it is printed, chooses these changes and no others.
        let table = format!("m.{}", text(&key["table"]));
        let found = listed(&["--table", &table, "--where", text(&key["key"])], &log);
        let changes = key["changes"].as_u64().unwrap();
        assert_eq!(found.len() as u64, changes, "{key}");
        assert_eq!(key["changes"], key["at_most"]);
        assert!(changes > 1);
    }
}

#[test]
fn the_hottest_of_more_keys_than_are_counted_is_found_with_its_bounds() {
    const HOT: u32 = 4_000_000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("binlog.000001");
    let mut log = Log::new(&path);
    log.map(&[3], &[]);
    let mut changes = 0_u64;
    for number in 0..40_000_u32 {
        log.insert(1, &number.to_le_bytes(), 0);
        if number % 50 == 7 {
            log.insert(1, &HOT.to_le_bytes(), 0);
            changes += 1;
        }
    }
    let stats = stats(&path);
    let hottest = &stats["hottest_keys"][0];
    assert_eq!(hottest["key"], format!("@1 = {HOT}"), "{}", stats["hottest_keys"]);
    let bounds = [&hottest["changes"], &hottest["at_most"]].map(|it| it.as_u64().unwrap());
    assert!(bounds[0] <= changes && changes <= bounds[1], "{bounds:?}, {changes}");
    assert!(bounds[1] - bounds[0] < 20 && bounds[0] > changes / 2, "{bounds:?}");
    let table = &stats["by_table"][0]["ops"]["insert"];
    assert_eq!(table["rows"], 40_000 + changes);
    let shown = run(&["events", "--stats"], &path);
    assert!(shown.contains("HOTTEST ROWS") && shown.contains("WIDEST ROWS"), "{shown}");
}
