//! Taking changes of rows back, and what must be known of tables for that.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation
)]

use std::process::Output;

use assert_cmd::Command;

use crate::common::fixture;

/// `undo` or `rows` on the log of the shop whose orders somebody deleted, see docs/forensics.md.
fn run(command: &str, arguments: &[&str]) -> Output {
    let folder = fixture("forensics");
    let mut run = Command::cargo_bin("binlogsec").unwrap();
    run.env_remove("BINLOGSEC_KEYRING").env("NO_COLOR", "1");
    run.arg(command).arg(folder.join("binlog.000002"));
    run.arg("--keyring").arg(folder.join("component_keyring_file"));
    run.args(arguments).output().unwrap()
}

fn schema() -> String {
    fixture("forensics/tables.sql").to_str().unwrap().to_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The statements that change rows, by their first word and the id in them.
fn changes(script: &str) -> Vec<String> {
    let is_change =
        |line: &&str| ["INSERT", "UPDATE", "DELETE"].iter().any(|op| line.starts_with(op));
    let id = |line: &str| {
        let id = line.split("`id` <=> ").nth(1).unwrap();
        id.split([' ', ')']).next().unwrap().to_owned()
    };
    let lines = script.lines().filter(is_change);
    lines.map(|line| format!("{} {}", &line[..6], id(line))).collect()
}

#[test]
fn the_last_change_is_taken_back_first_within_a_transaction_and_among_them() {
    let schema = schema();
    let behind_alter = ["--schema", &schema, "--where", "id != 4"];
    let undone = run("undo", &behind_alter);
    assert_eq!(undone.status.code(), Some(0), "{}", stderr(&undone));
    let undone = stdout(&undone);
    // An INSERT of row 8, a DELETE of rows 1, 2, 6, an UPDATE of row 7.
    assert_eq!(changes(&undone), ["DELETE 8", "INSERT 6", "INSERT 2", "INSERT 1", "UPDATE 7"]);
    assert_eq!(undone.matches("\nBEGIN;\n").count(), 3);
    assert_eq!(undone.matches("\nCOMMIT;\n").count(), 3);
    let redone = stdout(&run("undo", &[&behind_alter[..], &["--as", "redo"]].concat()));
    assert_eq!(changes(&redone), ["UPDATE 7", "DELETE 1", "DELETE 2", "DELETE 6", "INSERT 8"]);
}

#[test]
fn a_row_that_changed_since_is_looked_for_in_all_of_its_values() {
    let schema = schema();
    let undo = |check: &str| {
        stdout(&run("undo", &["--schema", &schema, "--where", "id = 7", "--check", check]))
    };
    let checked = undo("rows");
    assert!(checked.contains("SET `note` = NULL, `total` = 450.00"), "{checked}");
    assert!(checked.contains("WHERE `id` <=> 7 AND "), "{checked}");
    assert!(checked.contains("CAST(`note` AS BINARY) <=> _binary'rebate'"), "{checked}");
    assert!(checked.contains("`total` <=> 4.50"), "{checked}");
    assert!(checked.contains("WHERE ROW_COUNT() <> 1;"), "{checked}");
    assert!(checked.contains(
        "not taken back, the row is not as logged: shop.orders, binlog.000002, position"
    ));
    let whole = undo("transactions");
    assert!(
        whole.contains("IF(@binlogsec_missed = 0, 'COMMIT', 'ROLLBACK')")
            && !whole.contains("COMMIT;")
    );
    let off = undo("off");
    assert!(off.contains("WHERE `id` <=> 7 LIMIT 1;") && !off.contains("ROW_COUNT"), "{off}");
}

#[test]
fn rows_from_before_a_change_of_their_table_are_refused_and_nothing_is_written() {
    let schema = schema();
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("undo.sql");
    let refused = run("undo", &["--schema", &schema, "-o", output.to_str().unwrap()]);
    let said = stderr(&refused);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("ALTER TABLE of shop.orders stands behind"), "{said}");
    assert!(said.contains("position") && said.contains("nothing is written"), "{said}");
    assert!(!output.exists() && refused.stdout.is_empty());
}

#[test]
fn without_names_of_columns_nothing_is_taken_back() {
    let refused = run("undo", &["--op", "delete"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = stderr(&refused);
    assert!(said.contains("shop.orders, row 1: the names of the columns are not known"), "{said}");
    assert!(refused.stdout.is_empty());
}

#[test]
fn a_selection_of_nothing_ends_with_1() {
    let schema = schema();
    let none = run("undo", &["--schema", &schema, "--where", "id = 99"]);
    assert_eq!((none.status.code(), none.stdout.len()), (Some(1), 0));
    assert!(stderr(&none).contains("no row was chosen"));
}

#[test]
fn a_schema_that_does_not_fit_is_told_and_its_names_are_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tables.sql");
    std::fs::write(
        &path,
        "USE shop; CREATE TABLE orders (id INT, customer VARCHAR(40), state INT);",
    )
    .unwrap();
    let rows = run("rows", &["--format", "json", "--schema", path.to_str().unwrap()]);
    let said = stderr(&rows);
    assert!(
        said.contains(
            "table shop.orders is not as the schema says: the schema has 3 columns, the log 5"
        ),
        "{said}"
    );
    assert!(stdout(&rows).contains("\"@2\":\"Dora\""), "{}", stdout(&rows));
}

#[test]
fn names_follow_a_table_that_is_altered_on_the_way() {
    let schema = schema();
    let rows = stdout(&run("rows", &["--format", "json", "--schema", &schema]));
    let rows: Vec<serde_json::Value> =
        rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    let names = |row: &serde_json::Value| {
        row["after"].as_object().map(serde_json::Map::len).unwrap_or_default()
    };
    assert_eq!((names(&rows[0]), names(&rows[1])), (5, 6));
    assert!(rows[0]["after"].get("note").is_none());
    assert_eq!(rows[1]["after"]["note"], "rebate");
    assert_eq!(rows[1]["after"]["total"], "4.50");
    assert_eq!(rows[1]["after"]["state"], "paid", "members of an ENUM by their names");
}

#[test]
fn foreign_keys_and_triggers_of_the_schema_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("more.sql");
    let more = "USE shop;
        CREATE TABLE items (id INT, o INT UNSIGNED, FOREIGN KEY (o) REFERENCES orders (id) ON DELETE CASCADE);
        CREATE TRIGGER audit AFTER DELETE ON orders FOR EACH ROW SET @a = 1;";
    std::fs::write(&path, more).unwrap();
    let undone =
        run("undo", &["--schema", &schema(), "--schema", path.to_str().unwrap(), "--op", "delete"]);
    let said = stderr(&undone);
    assert_eq!(undone.status.code(), Some(0), "{said}");
    assert!(said.contains("shop.orders has the trigger audit (on DELETE)"), "{said}");
    // MySQL 9.7 logs what foreign keys do.
    assert!(!said.contains("foreign key"), "{said}");
}
