//! `rows` shows what servers wrote. The logs of `fixtures/rows` are those of the type matrix of
//! `tests/interop`, where the same rows are held against SELECT and run by an empty server; the JSON
//! beside each log is what came of that.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation
)]

use std::path::Path;

use assert_cmd::Command;
use binlogsec_core::event::rows::Rows;
use binlogsec_core::event::rows::decimal::Decimal;
use binlogsec_core::event::rows::json::Json;
use binlogsec_core::event::rows::reader::{Row, RowReader};
use binlogsec_core::event::rows::table::Table;
use binlogsec_core::event::walker::Events;
use binlogsec_core::event::{checksum::ChecksumAlgorithm, event_type};
use proptest::prelude::*;
use serde_json::Value;

const MYSQL: &str = "mysql-9.7-full.000001";

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rows")
}

/// Runs `rows` in the folder of the logs: exit code, output, messages.
fn rows(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("binlogsec").unwrap();
    let output = command.current_dir(folder()).arg("rows").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn objects(arguments: &[&str]) -> Vec<Value> {
    let (code, out, err) = rows(&[arguments, &["--format", "json"]].concat());
    assert!(code <= 1, "{err}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_value_of_every_type_is_what_the_server_shows() {
    for name in [
        MYSQL,
        "mysql-9.7-partial-json.000001",
        "mariadb-10.11-full.000001",
        "mariadb-10.11-compressed.000001",
        "mariadb-10.11-no-names.000001",
    ] {
        let (code, out, err) = rows(&[name, "--format", "json"]);
        assert_eq!(code, 0, "{name}: {err}");
        let expected = std::fs::read_to_string(folder().join(format!("{name}.jsonl"))).unwrap();
        for (number, (line, expected)) in out.lines().zip(expected.lines()).enumerate() {
            assert_eq!(line, expected, "{name}, line {}", number + 1);
        }
        assert_eq!(out.lines().count(), expected.lines().count(), "{name}");
    }
}

/// A log of several blocks: the events of another, again and again behind its beginning.
fn long_log(path: &Path) {
    let bytes = std::fs::read(folder().join(MYSQL)).unwrap();
    let mut events = Events::new(&bytes[4..], 4, ChecksumAlgorithm::None);
    let start = events.next().unwrap().unwrap().end() as usize;
    let log = [&bytes[..start], &bytes[start..].repeat(40)].concat();
    std::fs::write(path, log).unwrap();
}

#[test]
fn a_long_log_is_the_same_with_any_number_of_threads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("binlog.000001");
    long_log(&path);
    let path = path.to_str().unwrap();
    for format in ["text", "json", "sql"] {
        let one = rows(&[path, "--format", format, "-j", "1"]);
        assert!(one.1.len() > 1 << 20, "{}", one.2);
        let three = rows(&[path, "--format", format, "-j", "3"]);
        assert!(one == three, "{format}: {} and {} bytes", one.1.len(), three.1.len());
    }
}

#[test]
fn rows_are_chosen_by_table_operation_and_value() {
    let ints = objects(&[MYSQL, "--table", "m.ints"]);
    assert!(!ints.is_empty() && ints.iter().all(|row| row["table"] == "ints"));
    assert_eq!(objects(&[MYSQL, "--table", "m.int?"]), ints);
    assert_eq!(
        objects(&[MYSQL, "--database", "m", "--table", "x.y"]).len(),
        objects(&[MYSQL]).len()
    );
    let deleted = objects(&[MYSQL, "--table", "m.ints", "--op", "delete"]);
    assert!(deleted.iter().all(|row| row["op"] == "delete" && row["after"].is_null()));
    assert_eq!(deleted.len(), ints.iter().filter(|row| row["op"] == "delete").count());
    let count = |condition: &str| {
        objects(&[MYSQL, "--table", "m.ints", "--op", "insert", "--where", condition]).len()
    };
    // The first row is inserted, deleted and inserted again.
    assert_eq!((count("id = 1"), count("id = 2"), count("@1 = 2"), count("id > 2")), (2, 1, 1, 2));
    assert_eq!((count("j = 18446744073709551615"), count("j >= 18446744073709551615.5")), (1, 0));
    assert_eq!((count("a IS NULL"), count("a IS NOT NULL AND id != 1")), (1, 2));
    let texts = |condition: &str| {
        objects(&[MYSQL, "--table", "m.texts", "--op", "insert", "--where", condition]).len()
    };
    assert_eq!((texts("g LIKE 'ä%€'"), texts("a = 'it''s'"), texts("a = 'IT''S'")), (1, 1, 0));
    let times = |condition: &str| {
        objects(&[MYSQL, "--table", "m.temporals", "--op", "insert", "--where", condition]).len()
    };
    assert_eq!(times("t6 < '-838:00:00'"), 2);
    assert_eq!(times("dt6 = '2024-02-29 12:00:00.123456' AND y = 2026"), 1);
}

#[test]
fn updates_are_chosen_by_the_columns_that_they_change() {
    let changed = objects(&[MYSQL, "--table", "m.ints", "--changed", "j"]);
    assert!(!changed.is_empty());
    assert!(
        changed.iter().all(|row| row["op"] == "update" && row["before"]["j"] != row["after"]["j"])
    );
    assert!(objects(&[MYSQL, "--table", "m.ints", "--changed", "k"]).is_empty());
}

#[test]
fn what_chooses_nothing_ends_with_1_and_a_name_that_no_table_has_is_told() {
    let (code, out, err) = rows(&[MYSQL, "--table", "shop.*"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("no table in these logs is named shop.*"), "{err}");
    let (code, _, err) = rows(&[MYSQL, "--table", "m.ints", "--where", "nothing = 1"]);
    assert_eq!(code, 1);
    assert!(err.contains("--where or --changed: m.ints"), "{err}");
    let (code, _, err) = rows(&[MYSQL, "--where", "id ="]);
    assert_eq!(code, 2);
    assert!(err.contains("COLUMN"), "{err}");
}

#[test]
fn statements_stand_in_their_transactions_and_none_is_made_up() {
    let (code, sql, _) = rows(&[MYSQL, "--format", "sql"]);
    assert_eq!(code, 0);
    let count = |line: &str| sql.lines().filter(|own| *own == line).count();
    assert_eq!(count("BEGIN;"), count("COMMIT;"));
    assert!(sql.starts_with("SET NAMES utf8mb4;\nSET SESSION time_zone = '+00:00';\n"));
    for expected in [
        "`ints` SET `a` = 1, `b` = 2, `j` = 18446744073709551614 WHERE `id` <=> 1 LIMIT 1;",
        "DELETE FROM `m`.`nokey` WHERE `a` <=> 1 AND `b` <=> 'z' AND `c` <=> X'610000' AND `d` <=> NULL LIMIT 1;",
        "ST_GeomFromWKB(X'010100000000000000000034400000000000002440', 4326, 'axis-order=long-lat')",
        "CAST('2026-02-03' AS DATE)",
        "_ucs2 X'65E5672C'",
    ] {
        assert!(sql.contains(expected), "{expected}");
    }
    // Without names an INSERT of all values still says what it does; others do not.
    let (code, sql, err) = rows(&["mariadb-10.11-no-names.000001", "--format", "sql"]);
    assert_eq!(code, 2);
    assert!(sql.contains("INSERT INTO `m`.`ints` VALUES (1, -128,"), "{sql}");
    assert!(!sql.lines().any(|line| line.starts_with("UPDATE") || line.starts_with("DELETE")));
    assert!(err.contains("binlog_row_metadata=FULL"), "{err}");
}

#[test]
fn partial_updates_are_functions_in_sql_and_changes_where_the_old_document_is_not_known() {
    let log = "mysql-9.7-partial-json.000001";
    let (_, sql, _) = rows(&[log, "--table", "m.parts", "--format", "sql"]);
    let expected = "SET `j` = JSON_REMOVE(JSON_ARRAY_INSERT(JSON_REPLACE(JSON_INSERT(JSON_REPLACE(`j`, '$.a', \
                    CAST('7' AS JSON)), '$.new', CAST('\"n\"' AS JSON)), '$.b[1]', \
                    CAST('{\"k\":1.5}' AS JSON)), '$.b[9]', CAST(CAST('2026-01-01' AS DATE) AS JSON)), '$.c') \
                    WHERE `id` <=> 1 LIMIT 1;";
    assert!(sql.contains(expected), "{sql}");
    let updates = objects(&[log, "--table", "m.parts", "--op", "update"]);
    assert_eq!(updates[0]["after"]["j"]["changes"][2]["path"], "$.b[1]");
}

#[test]
fn times_whose_length_the_log_does_not_tell_are_not_guessed() {
    let (code, out, err) = rows(&["mariadb-10.11-old-times.000001", "--table", "m.temporals"]);
    assert_eq!(code, 2);
    assert!(err.contains("mysql56_temporal_format=OFF"), "{err}");
    // The row of NULLs has no time in it.
    assert_eq!(out.matches("insert").count(), 1, "{out}");
    // DATETIME without a fraction has the length that its type says.
    let (code, out, _) = rows(&["mariadb-10.11-old-times.000001", "--table", "m.nokey"]);
    assert_eq!(code, 0);
    assert!(out.contains("d: '2026-01-01 00:00:00'"), "{out}");
}

#[test]
fn csv_is_one_table_or_a_file_for_each() {
    let (code, out, err) = rows(&[MYSQL, "--format", "csv", "--table", "m.bits"]);
    assert_eq!(code, 0, "{err}");
    let mut lines = out.lines();
    let head = "log,position,row,time,gtid,server_id,thread_id,op,image,id,a,b,c,d";
    assert_eq!(lines.next(), Some(head));
    assert!(out.contains(",insert,after,3,\\N,\\N,\\N,\\N\n"), "{out}");
    let (code, _, err) = rows(&[MYSQL, "--format", "csv"]);
    assert_eq!(code, 2);
    assert!(err.contains("--output-dir"), "{err}");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let (code, out, err) = rows(&[MYSQL, "--format", "csv", "--output-dir", path]);
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    let bits = std::fs::read_to_string(directory.path().join("m.bits.csv")).unwrap();
    assert!(bits.starts_with(head));
    // What is there is not replaced, and nothing else gets its name then.
    std::fs::remove_file(directory.path().join("m.ints.csv")).unwrap();
    assert_eq!(rows(&[MYSQL, "--format", "csv", "--output-dir", path]).0, 2);
    assert!(!directory.path().join("m.ints.csv").exists());
}

/// Table maps and row events of a log without compressed transactions, as bodies.
fn bodies(name: &str) -> Vec<(u8, Vec<u8>)> {
    let bytes = std::fs::read(folder().join(name)).unwrap();
    let events = Events::new(&bytes[4..], 4, ChecksumAlgorithm::None);
    let kept = |kind| kind == event_type::TABLE_MAP || event_type::is_rows(kind);
    let all = events.map(Result::unwrap);
    all.filter(|event| kept(event.header.event_type))
        .map(|event| (event.header.event_type, event.body().to_vec()))
        .collect()
}

/// Reads all rows, with every value as JSON text if it is a document.
fn read(table: &Table, event_type: u8, body: &[u8]) -> Option<u64> {
    let rows = Rows::parse(event_type, body).ok()?;
    let bytes = rows.plain().ok()?;
    let mut reader = RowReader::new(rows, &bytes, table).ok()?;
    let mut row = Row::new();
    let mut count = 0;
    while reader.next_row(&mut row).ok()? {
        count += 1;
    }
    Some(count)
}

#[test]
fn no_damage_of_a_table_map_or_of_rows_does_more_than_end_in_an_error() {
    for name in [MYSQL, "mariadb-10.11-full.000001"] {
        let bodies = bodies(name);
        let mut whole = 0;
        let mut map: Option<Vec<u8>> = None;
        for (kind, body) in &bodies {
            if *kind == event_type::TABLE_MAP {
                map = Some(body.clone());
                for at in 0..body.len() {
                    let mut damaged = body.clone();
                    damaged[at] ^= 0xFF;
                    let _ = Table::parse(&damaged);
                    let _ = Table::parse(&body[..at]);
                }
                continue;
            }
            let table = Table::parse(map.as_ref().unwrap()).unwrap();
            whole += read(&table, *kind, body).unwrap();
            for at in (0..body.len()).take(200) {
                let mut damaged = body.clone();
                damaged[at] ^= 0xFF;
                let _ = read(&table, *kind, &damaged);
                let _ = read(&table, *kind, &body[..at]);
            }
        }
        assert!(whole > 100, "{name}: {whole} rows");
    }
}

#[test]
fn documents_whose_parts_lie_within_one_another_are_refused() {
    // An array in the small form: count 2, size 10, two entries; both point at the array itself.
    let bomb = [2, 2, 0, 10, 0, 2, 0, 0, 2, 0, 0];
    let json = Json::parse(&bomb).unwrap();
    let mut out = Vec::new();
    assert!(json.write(&mut out, bomb.len()).is_err());
    assert!(out.len() < 1000);
    assert!(json.has_opaque(bomb.len()).is_err());
}

/// A DECIMAL as the server stores it, by the rules of its documentation.
fn encoded(negative: bool, whole: &str, fraction: &str) -> Vec<u8> {
    const BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
    let mut bytes = Vec::new();
    let mut group = |digits: &str| {
        let value: u32 = digits.parse().unwrap_or(0);
        bytes.extend_from_slice(&value.to_be_bytes()[4 - BYTES[digits.len()]..]);
    };
    let first = whole.len() % 9;
    group(&whole[..first]);
    (first..whole.len()).step_by(9).for_each(|at| group(&whole[at..at + 9]));
    (0..fraction.len()).step_by(9).for_each(|at| group(&fraction[at..fraction.len().min(at + 9)]));
    if negative {
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
    }
    bytes[0] ^= 0x80;
    bytes
}

proptest! {
    #[test]
    fn every_decimal_is_read_as_it_was_written(
        negative: bool, whole in "[0-9]{1,35}", fraction in "[0-9]{0,30}",
    ) {
        let bytes = encoded(negative, &whole, &fraction);
        let (precision, scale) = (whole.len() + fraction.len(), fraction.len());
        let decimal = Decimal::new(&bytes, precision as u8, scale as u8).unwrap();
        let plain = whole.trim_start_matches('0');
        let plain = if plain.is_empty() { "0" } else { plain };
        let point = if scale > 0 { "." } else { "" };
        let sign = if negative { "-" } else { "" };
        prop_assert_eq!(decimal.to_string(), format!("{sign}{plain}{point}{fraction}"));
    }
}

/// What MariaDB shows by SELECT of the table that the log is of. The log tells neither names nor types.
#[test]
fn a_schema_tells_uuids_addresses_and_character_sets_of_mariadb() {
    const TOLD: [&str; 3] =
        ["mariadb-10.11-network.000001", "--schema", "mariadb-10.11-network.sql"];
    let rows_of = |op: &str| objects(&[&TOLD[..], &["--op", op]].concat());
    let inserted: Vec<_> = rows_of("insert").iter().map(|row| row["after"].clone()).collect();
    assert_eq!(
        inserted,
        [
            serde_json::json!({"id": 1, "u": "123e4567-e89b-12d3-a456-426655440000",
                "v6": "2001:db8::ff00:42:8329", "v4": "192.0.2.1", "n": "Åse"}),
            serde_json::json!({"id": 2, "u": "00000000-0000-0000-0000-000000000000",
                "v6": "::", "v4": "0.0.0.0", "n": ""}),
            serde_json::json!({"id": 3, "u": "018c7dbf-4d2a-7c11-9b2e-3a5f6b7c8d9e",
                "v6": "::ffff:192.0.2.128", "v4": "255.255.255.255", "n": null}),
        ]
    );
    let updated = rows_of("update");
    assert_eq!(updated[0]["after"]["u"], "ffffffff-ffff-ffff-ffff-ffffffffffff");
    let (_, text, _) = rows(&TOLD);
    assert!(text.contains("    n: 'Åse'\n"), "{text}");
    let (_, sql, _) = rows(&[&TOLD[..], &["--format", "sql"]].concat());
    let first = "VALUES (1, '123e4567-e89b-12d3-a456-426655440000', '2001:db8::ff00:42:8329', '192.0.2.1', _latin1 X'C57365');";
    assert!(sql.contains(first), "{sql}");
}
