//! What `events` shows to people: on a terminal of 80 columns, in pipes, of one log and of many.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use crate::common;
use crate::recover::{A, Log, START};

use std::path::{Path, PathBuf};
use std::process::Command;

use binlogsec_core::event::event_type;
use binlogsec_core::text::unseen::printable;
use common::{binlogsec, fixture, mixed, mixed_keyring};
use serde_json::Value;

const LONG: usize = 3000;

fn long_statement() -> String {
    format!("INSERT INTO shop.notes\nVALUES ('{}', 'the end')", "x".repeat(LONG))
}

/// Two logs: statements with what they are run with, one long, one that failed, and DDL.
fn logs(folder: &Path) -> [PathBuf; 2] {
    [1_u32, 2].map(|number| {
        let mut log = Log::new(1, START, false);
        log.previous(&[(A, 1)]);
        // INSERT_ID = 7.
        log.event(5, &[&[2][..], &7_u64.to_le_bytes()].concat());
        // @who = 'Ann', in the character set of collation 255.
        let mut body = 3_u32.to_le_bytes().to_vec();
        body.extend(b"who\0\0");
        body.extend(255_u32.to_le_bytes());
        body.extend(3_u32.to_le_bytes());
        body.extend(b"Ann\0");
        log.event(14, &body);
        log.statement("shop", &long_statement());
        // Thread 4711, error 1062.
        let mut body = 4711_u32.to_le_bytes().to_vec();
        body.extend(0_u32.to_le_bytes());
        body.push(4);
        body.extend(1062_u16.to_le_bytes());
        body.extend(0_u16.to_le_bytes());
        body.extend(b"shop\0ALTER TABLE `Orders` ADD COLUMN c INT");
        log.event(event_type::QUERY, &body);
        log.statement("other", "DROP TABLE orders");
        let path = folder.join(format!("binlog.00000{number}"));
        log.write(&path);
        path
    })
}

fn listed(arguments: &[&str], logs: &[PathBuf]) -> String {
    let output = binlogsec().arg("events").args(logs).args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_pipe_gets_whole_statements_and_the_log_in_each_line_of_many() {
    let folder = tempfile::tempdir().unwrap();
    let logs = logs(folder.path());
    let one = listed(&[], &logs[..1]);
    assert!(one.contains("'the end')") && one.starts_with(logs[0].to_str().unwrap()), "{one}");
    let many = listed(&["--type", "QUERY"], &logs);
    let lines: Vec<_> = many.lines().collect();
    let of = |log: &Path| {
        let prefix = format!("{}: ", log.display());
        lines.iter().filter(|line| line.starts_with(&prefix)).count()
    };
    assert_eq!(
        (of(&logs[0]), of(&logs[1]), lines.len()),
        (of(&logs[0]), of(&logs[0]), 2 * of(&logs[0]))
    );
    // No heading of a log of which nothing is listed.
    let nothing = binlogsec().args(["events", "--type", "XID"]).arg(&logs[0]).output().unwrap();
    assert_eq!((nothing.status.code(), nothing.stdout.len()), (Some(1), 0));
    let json: Value = serde_json::from_str(&listed(&["--format", "json"], &logs[..1])).unwrap();
    let events = json["files"][0]["events"].as_array().unwrap();
    let has = |name: &str, value: Value| events.iter().any(|event| event[name] == value);
    assert!(has("query", long_statement().into()) && has("query_cut", false.into()), "{json}");
    assert!(has("thread_id", 4711.into()) && has("error_code", 1062.into()), "{json}");
    assert!(has("variable", "INSERT_ID = 7".into()) && has("variable", "@who = 'Ann'".into()));
}

#[test]
fn a_statement_is_one_line_of_words_and_nothing_in_it_is_obeyed() {
    let statements = [
        "BEGIN",
        "CREATE TABLE t (\n  id INT,\n\n\tname TEXT \r\n) ENGINE=InnoDB",
        "  SELECT  1",
        "SELECT '::', '##'",
        "::error::one\nSELECT 1",
        "SELECT 1\n::error::two\n##vso[task]three",
        "SELECT\u{b}'\u{7}',\n 'é\u{200b}'",
        "SELECT \u{2003} 'é'",
        "SELECT\u{c}a:\n:b #\n#c",
        " \n",
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::new(1, START, false);
    for statement in statements {
        log.statement("shop", statement);
    }
    let path = folder.path().join("binlog.000001");
    log.write(&path);
    let listed = listed(&["--type", "QUERY"], &[path]);
    let lines: Vec<_> = listed.lines().skip(2).collect();
    assert_eq!(lines.len(), statements.len(), "{listed}");
    for (line, statement) in lines.into_iter().zip(statements) {
        let words: Vec<_> = statement.split_whitespace().collect();
        let shown = format!("  [shop] {}", printable(&words.join(" ")));
        assert!(line.ends_with(&shown), "{line:?}: {shown:?}");
    }
}

#[test]
fn a_table_is_about_its_statements_too_and_not_about_others_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let logs = logs(folder.path());
    let found = listed(&["--table", "shop.orders"], &logs[..1]);
    assert!(found.contains("ALTER TABLE `Orders`"), "{found}");
    assert!(!found.contains("DROP TABLE") && !found.contains("notes"), "{found}");
}

#[test]
fn databases_patterns_connections_and_words_choose_as_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let logs = logs(folder.path());
    let one = &logs[..1];
    for (arguments, has, has_not) in [
        (&["--database", "shop"][..], "ALTER TABLE", "DROP TABLE"),
        (&["--database", "oth*"], "DROP TABLE", "ALTER TABLE"),
        (&["--table", "shop.Ord*"], "ALTER TABLE", "notes"),
        (&["--table", "*.notes"], "notes", "ALTER TABLE"),
        (&["--grep", "alter table shop.orders"], "ALTER TABLE", "DROP TABLE"),
        (&["--grep", "drop", "--grep", "insert into"], "DROP TABLE", "ALTER TABLE"),
        (&["--thread-id", "4711"], "ALTER TABLE", "DROP TABLE"),
    ] {
        let found = listed(arguments, one);
        assert!(found.contains(has) && !found.contains(has_not), "{arguments:?}: {found}");
    }
    // Of a real server: the transactions of one connection, of which GTID stands before the statement.
    let log = mixed().join("binlog.000003");
    let keyring = mixed_keyring();
    let keyring = ["--keyring", keyring.to_str().unwrap(), "--format", "json"];
    let of = |more: &[&str]| -> Vec<Value> {
        let text = listed(&[&keyring[..], more].concat(), std::slice::from_ref(&log));
        let json: Value = serde_json::from_str(&text).unwrap();
        json["files"][0]["events"].as_array().unwrap().clone()
    };
    let all = of(&[]);
    let gtid = all.iter().find_map(|event| event["gtid"].as_str()).unwrap();
    let without = of(&["--exclude-gtid", gtid]);
    let own = all.iter().filter(|event| event["gtid"] == gtid).count();
    assert_eq!((own > 3, without.len()), (true, all.len() - own));
    let rows = of(&["--database", "shop", "--type", "WRITE_ROWS,UPDATE_ROWS,DELETE_ROWS"]);
    let rows_of_all = all.iter().filter(|event| event["rows"].is_u64()).count();
    assert_eq!(rows.len(), rows_of_all);
}

/// The transactions that are in what was written.
fn gtids(log: &[u8]) -> Vec<String> {
    use binlogsec_core::event::checksum::ChecksumAlgorithm;
    use binlogsec_core::event::gtid::TransactionStart;
    use binlogsec_core::event::walker::Events;
    Events::new(&log[4..], 4, ChecksumAlgorithm::None)
        .filter_map(|event| TransactionStart::parse(&event.unwrap()))
        .map(|start| start.unwrap().id.to_string())
        .collect()
}

/// What a listing says of each transaction is what a slice by tables takes: rows of the table, and
/// statements that name it, inside of compressed transactions, too.
#[test]
fn a_slice_by_tables_has_the_transactions_that_have_to_do_with_them() {
    for (folder, logs) in [
        ("mysql-9.7/mixed-key3-running", vec!["binlog.000003", "binlog.000004", "binlog.000005"]),
        ("mysql-9.7/tagged-gtids", vec!["tagged.000001"]),
    ] {
        let keyring = fixture(folder).join("component_keyring_file");
        for log in logs {
            let log = fixture(folder).join(log);
            let text = listed(
                &["--keyring", keyring.to_str().unwrap(), "--format", "json"],
                std::slice::from_ref(&log),
            );
            let json: Value = serde_json::from_str(&text).unwrap();
            let events = json["files"][0]["events"].as_array().unwrap().clone();
            let mut tables: Vec<String> = events
                .iter()
                .filter(|event| event["type"] == "TABLE_MAP")
                .map(|event| {
                    let name = |what: &str| event[what].as_str().unwrap().to_owned();
                    format!("{}.{}", name("database"), name("table"))
                })
                .collect();
            tables.sort();
            tables.dedup();
            assert!(!tables.is_empty());
            for table in tables {
                let plain = table.split_once('.').unwrap().1;
                let has = |event: &&Value| {
                    let is_map = event["type"] == "TABLE_MAP" && event["table"] == plain;
                    let is_named = event["type"] == "QUERY"
                        && event["query"]
                            .as_str()
                            .unwrap()
                            .replace('`', " ")
                            .split(|sign: char| {
                                sign.is_whitespace() || matches!(sign, '(' | ')' | ',' | '.')
                            })
                            .any(|word| word == plain);
                    is_map || is_named
                };
                let mut expected: Vec<_> = events
                    .iter()
                    .filter(has)
                    .map(|event| event["gtid"].as_str().unwrap().to_owned())
                    .collect();
                expected.dedup();
                let output = binlogsec()
                    .args(["decrypt", "-o", "-", "--table", &table])
                    .arg(&log)
                    .arg("--keyring")
                    .arg(&keyring)
                    .output()
                    .unwrap();
                assert_eq!(output.status.code(), Some(0), "{table}");
                assert_eq!(gtids(&output.stdout), expected, "{table} of {}", log.display());
            }
        }
    }
    let output = binlogsec()
        .args(["decrypt", "-o", "-", "--table", "shop.nowhere"])
        .arg(mixed().join("binlog.000003"))
        .arg("--keyring")
        .arg(mixed_keyring())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_csv_has_what_a_spreadsheet_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    let logs = logs(folder.path());
    let text = listed(&["--format", "csv"], &logs[..1]);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().unwrap().clone();
    let column = |name: &str| names.iter().position(|it| it == name).unwrap();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let failed = rows.iter().find(|row| &row[column("thread_id")] == "4711").unwrap();
    assert_eq!((&failed[column("error_code")], &failed[column("query_cut")]), ("1062", "false"));
    // Of a real server: the commit to the microsecond, and the position of what is in a payload.
    let log = fixture("mysql-9.7/tagged-gtids/tagged.000001");
    let keyring = fixture("mysql-9.7/tagged-gtids/component_keyring_file");
    let text = listed(&["--format", "csv", "--keyring", keyring.to_str().unwrap()], &[log]);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let times: Vec<_> = rows.iter().map(|row| &row[column("commit_time")]).collect();
    let is_time = |time: &&&str| {
        time.starts_with("2026-11-") && time.len() == "2026-11-20T22:39:00.123456Z".len()
    };
    assert!(times.iter().filter(is_time).count() > 3, "{times:?}");
    let inner = |row: &&csv::StringRecord| &row[column("inner")] == "true";
    assert!(rows.iter().filter(inner).all(|row| !row[column("gtid")].is_empty()));
    assert!(
        rows.iter().filter(inner).any(|row| row[column("position")].parse::<u64>().unwrap() > 4)
    );
}

/// By `script` of util-linux, which gives a program a terminal.
#[test]
fn on_a_terminal_of_80_columns_columns_stand_below_one_another_and_no_line_is_longer_but_for_gtids()
{
    let folder = tempfile::tempdir().unwrap();
    let mut shown = logs(folder.path()).to_vec();
    shown.extend((1..=6).map(|number| mixed().join(format!("binlog.{number:06}"))));
    let program = assert_cmd::cargo::cargo_bin("binlogsec");
    for log in shown {
        let command = format!(
            "stty cols 80; {} events {} --keyring {} --color never",
            program.display(),
            log.display(),
            mixed_keyring().display()
        );
        let typescript = folder.path().join("typescript");
        let ran = Command::new("script").args(["-qc", &command]).arg(&typescript).output();
        if ran.is_err() {
            println!("skipped: script of util-linux is not here");
            return;
        }
        let text = std::fs::read(&typescript).unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines = text.lines().filter(|line| !line.starts_with("Script "));
        // Whatever the type is called: position, time, type, summary.
        for line in lines.clone().skip(1).filter(|line| !line.trim().is_empty()) {
            let signs: Vec<_> = line.chars().collect();
            assert!([9, 24, 36].iter().all(|at| signs[*at] == ' '), "{line:?}");
        }
        let lines: Vec<_> = lines.filter(|line| !line.contains("previous: ")).skip(1).collect();
        assert!(lines.len() > 4, "{text}");
        for line in lines {
            assert!(line.trim_end().chars().count() <= 80, "{line:?}");
        }
        assert!(!text.contains("the end"), "{text}");
    }
}
