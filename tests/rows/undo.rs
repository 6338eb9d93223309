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

use super::limits::Log;
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

/// A statement, as its event has it.
pub(crate) fn statement(text: &str) -> Vec<u8> {
    let mut body = vec![0; 8]; // Connection, time.
    body.push(1); // Length of the database's name.
    body.extend([0; 4]); // No error, no variables.
    body.extend(b"d\0");
    body.extend(text.as_bytes());
    body
}

#[test]
fn rows_before_a_rollback_or_a_return_to_a_savepoint_are_refused_by_position() {
    const QUERY: u8 = 2;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("binlog.000001");
    let schema = directory.path().join("d.sql");
    std::fs::write(&schema, "USE d;\nCREATE TABLE t (a INT);\n").unwrap();
    let undo = |statements: &[Option<&str>]| {
        let mut log = Log::new(&path);
        for (number, statement_or_row) in statements.iter().enumerate() {
            match statement_or_row {
                Some(text) => log.event(QUERY, &statement(text), 0),
                None => {
                    log.map(&[3], &[]);
                    log.insert(1, &(number as u32).to_le_bytes(), 0);
                }
            }
        }
        let mut run = Command::cargo_bin("binlogsec").unwrap();
        run.env("NO_COLOR", "1").arg("undo").arg(&path).arg("--schema").arg(&schema);
        run.output().unwrap()
    };
    let (begin, commit) = (Some("BEGIN"), Some("COMMIT"));
    let good = undo(&[begin, None, Some("SAVEPOINT `a`"), None, commit]);
    assert_eq!(good.status.code(), Some(0), "{}", stderr(&good));
    assert_eq!(stdout(&good).matches("DELETE FROM `d`.`t`").count(), 2);
    for (end, told) in [
        ("ROLLBACK TO `a`", "went back to a savepoint behind these rows"),
        ("rollback to savepoint a", "went back to a savepoint behind these rows"),
        ("ROLLBACK", "the transaction ends with ROLLBACK"),
    ] {
        let refused = undo(&[begin, Some("SAVEPOINT `a`"), None, Some(end), commit]);
        assert_eq!(refused.status.code(), Some(2), "{end}: {}", stderr(&refused));
        assert_eq!(stdout(&refused), "", "{end}");
        let said = stderr(&refused);
        assert!(said.contains(told) && said.contains("position "), "{end}: {said}");
    }
    // What comes behind it stays.
    let behind = undo(&[begin, Some("ROLLBACK TO `a`"), None, commit]);
    assert_eq!(behind.status.code(), Some(0), "{}", stderr(&behind));
}

/// Those of docs/forensics.md in the table of what is to be found; others there are golden output.
#[test]
fn the_options_that_the_page_names_are_understood() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/forensics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let table = page.split("| to find | |").nth(1).unwrap().split("\n\n").next().unwrap();
    let options: Vec<_> = table.split('`').skip(1).step_by(2).collect();
    assert!(options.len() >= 5, "{options:?}");
    for options in options {
        let options = options.replace("UUID", "c703a918-ea36-11f1-8853-02fc00000001");
        let folder = fixture("forensics");
        let keyring = "--keyring component_keyring_file --schema tables.sql";
        let program = crate::common::program();
        let mut shell = std::process::Command::new("sh");
        shell.current_dir(folder).env_remove("BINLOGSEC_KEYRING");
        let line = format!("'{program}' rows binlog.000002 {keyring} {options}");
        let output = shell.args(["-c", &line]).output().unwrap();
        assert!(output.status.code().is_some_and(|code| code < 2), "{line}: {}", stderr(&output));
    }
}
