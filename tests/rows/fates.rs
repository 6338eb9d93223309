//! Changes whose fate is told elsewhere than in their rows, and what rows cannot show: logs of real
//! servers. `tests/interop --only rows_fates` holds the same against what the servers have.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

/// Runs the command in the folder of the logs: exit code, output, messages.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rows");
    let mut command = Command::cargo_bin("binlogsec").unwrap();
    let output = command.current_dir(folder).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn rows(log: &str) -> Vec<Value> {
    let (code, out, err) = run(&["rows", log, "--format", "json"]);
    assert_eq!(code, 0, "{err}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn sql(log: &str) -> String {
    let (code, out, err) = run(&["rows", log, "--format", "sql"]);
    assert_eq!(code, 0, "{err}");
    out
}

#[test]
fn numbers_behind_a_year_have_their_own_signs() {
    let all = rows("mysql-9.7-years.000001");
    let of_mysql = &all.last().unwrap()["after"];
    assert_eq!((&of_mysql["@4"], &of_mysql["@5"]), (&Value::from(-1), &Value::from(255)));
    assert_eq!(of_mysql["@6"], "18446744073709551615");
    let of_mariadb = &rows("mariadb-10.11-years.000001")[0]["after"];
    assert_eq!((&of_mariadb["a"], &of_mariadb["k"]), (&Value::from(-1), &Value::from(-5)));
    assert_eq!(of_mariadb["c"], "18446744073709551615");
}

#[test]
fn xa_transactions_count_by_how_they_ended() {
    for (log, rolled_back, kept) in
        [("mysql-9.7-xa.000001", 1176, 4), ("mariadb-10.11-xa.000001", 1259, 4)]
    {
        let listed = rows(log);
        assert_eq!(listed.len(), kept, "{log}");
        let (_, out, err) = run(&["rows", log]);
        assert!(!out.contains("xa2") && out.contains("xa1") && out.contains("xa3"), "{log}: {out}");
        let told = format!("{log}: 1 XA transaction rolled back, whose rows are left out");
        assert!(err.contains(&told) && err.contains(&format!("position {rolled_back}")), "{err}");
        let (code, out, err) = run(&["undo", log]);
        assert_eq!((code, out.matches("xa2").count()), (0, 0), "{err}");
        assert!(err.contains(&told), "{err}");
    }
}

#[test]
fn a_transaction_that_is_prepared_and_not_ended_is_no_statement_and_not_undone() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read("fixtures/rows/mysql-9.7-xa.000001").unwrap();
    // Up to the XA COMMIT of the first one.
    let log = folder.path().join("log.000001");
    std::fs::write(&log, &whole[..718]).unwrap();
    let log = log.to_str().unwrap();
    let (code, out, err) = run(&["rows", log, "--format", "sql"]);
    assert_eq!((code, out.contains("INSERT")), (2, false), "{out}{err}");
    assert!(err.contains("prepared (XA)") && err.contains("name those behind"), "{err}");
    let marked = rows(log);
    assert!(marked.len() == 2 && marked.iter().all(|row| row["xa"] == "prepared"), "{marked:?}");
    let (code, out, err) = run(&["undo", log]);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(err.contains("prepared (XA)"), "{err}");
    // With the log that has the end.
    let rest = folder.path().join("log.000002");
    let events = [&whole[..198], &whole[718..]].concat();
    std::fs::write(&rest, events).unwrap();
    let (code, out, err) = run(&["rows", log, rest.to_str().unwrap(), "--format", "sql"]);
    assert_eq!((code, out.matches("'xa1'").count()), (0, 1), "{err}");
}

#[test]
fn what_a_transaction_went_back_to_is_in_its_sql_and_in_the_listing() {
    let log = "mariadb-10.11-savepoint.000001";
    let script = sql(log);
    let place = |text: &str| script.find(text).unwrap();
    let order = [
        place("VALUES (13, 'a')"),
        place("SAVEPOINT `s`;\nINSERT INTO `hx`.`t` (`a`, `b`) VALUES (14, 'zz')"),
        place("ROLLBACK TO SAVEPOINT `s`;"),
        place("VALUES (15, 'c')"),
    ];
    assert!(order.is_sorted(), "{script}");
    let (_, out, _) = run(&["rows", log]);
    let told =
        "rollback to savepoint s  position 1557\n    rows behind the savepoint (position 1326)";
    assert!(out.contains(told), "{out}");
    let (_, _, err) = run(&["rows", log, "--format", "json"]);
    assert!(
        err.contains("1 ROLLBACK by which rows before it") && err.contains("position 1557"),
        "{err}"
    );
}

#[test]
fn a_row_without_a_column_is_a_row() {
    assert!(sql("mysql-9.7-minimal.000001").contains("INSERT INTO `hx`.`np` () VALUES ();"));
    let (_, out, _) = run(&["events", "mysql-9.7-minimal.000001"]);
    let line = out.lines().find(|line| line.trim_start().starts_with("2230 ")).unwrap();
    assert!(line.contains("hx.np  1 row"), "{line}");
}

#[test]
fn sequences_and_rows_of_system_versioning_are_the_servers_own() {
    let (_, out, err) = run(&["undo", "mariadb-10.11-sequence.000001"]);
    assert!(err.contains("hx.sq is a sequence") && !out.contains("FROM `hx`.`sq`"), "{err}");
    for arguments in [&["undo"][..], &["rows", "--format", "sql"]] {
        let log = ["mariadb-10.11-versioned.000001", "--table", "hx.t"];
        let (code, out, err) = run(&[arguments, &log].concat());
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("WITH SYSTEM VERSIONING"), "{err}");
        assert!(!out.contains("\nINSERT") && !out.contains("\nUPDATE"), "{out}");
    }
}

const XA_LOG: &str = "fixtures/rows/mysql-9.7-xa.000001";
const UUID: &str = "df7a43b3-ea92-11f1-a866-02fc00000001";

#[test]
fn what_ends_an_xa_transaction_that_was_lost_is_left_out_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let whole = std::fs::read(XA_LOG).unwrap();
    // The GTID, XA START, a row, XA END, XA_PREPARE.
    for at in [218, 297, 452, 612, 700] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        let (log, saved) = (text("damaged"), text("saved"));
        std::fs::write(&log, damaged).unwrap();
        let (_, out, err) =
            run(&["salvage", &log, "-o", &saved, "--whole-transactions", "--force"]);
        let (_, listed, _) = run(&["events", &saved, "--full"]);
        let ends = listed.contains("XA COMMIT X'7131'");
        assert!(!ends && out.contains(&format!("{UUID}:17")), "{at}: {out}{err}{listed}");
        assert!(listed.contains("XA ROLLBACK X'7132'"), "{at}: {listed}");
    }
}

#[test]
fn of_a_log_and_a_part_of_it_recover_takes_the_log_and_of_the_part_alone_it_tells_the_hole() {
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for name in ["a", "b"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let (part, log, renamed) = (text("a/binlog.000006"), text("b/binlog.000006"), text("a/saved"));
    std::fs::copy(XA_LOG, &log).unwrap();
    let gtid = format!("{UUID}:18");
    let (code, _, err) = run(&["decrypt", &log, "-o", &part, "--exclude-gtid", &gtid]);
    assert_eq!(code, 0, "{err}");
    let plan = |logs: &[&str]| {
        let (from, to) = (format!("{UUID}:1-15"), format!("{UUID}:20"));
        let chosen = ["--from", &from, "--to", &to, "--plan", "--format", "json"];
        let (code, out, err) = run(&[&["recover"], logs, &chosen].concat());
        assert_eq!(code, 0, "{err}");
        let plan: Value = serde_json::from_str(&out).unwrap();
        let paths = plan["slices"].as_array().unwrap().iter().map(|slice| slice["path"].clone());
        (paths.collect::<Vec<_>>(), plan["holes"].clone(), err)
    };
    let of_log = [Value::from(log.as_str())];
    for logs in [[part.as_str(), &log], [&log, &part]] {
        let (paths, holes, _) = plan(&logs);
        assert_eq!((paths.as_slice(), holes), (of_log.as_slice(), Value::Null));
    }
    std::fs::copy(&part, &renamed).unwrap();
    let (paths, ..) = plan(&[&renamed, &log]);
    assert_eq!(paths, of_log);
    let (_, holes, err) = plan(&[&part]);
    assert_eq!(holes, gtid.as_str());
    assert!(err.contains(&format!("{gtid} stands in none of these logs")), "{err}");
}
