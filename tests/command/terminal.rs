//! What a terminal, or a runner of workflows, is shown of names that try to be more than names.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use crate::common;

use std::process::Command;

use common::{mixed, mixed_keyring};

/// A window title, a line of its own that a runner would obey, and text that turns round.
const NAME: &str = "b\u{1b}]0;owned\u{7}\n::error::forged\u{202e}.000003";

#[test]
fn no_name_reaches_a_terminal_as_anything_but_text() {
    let directory = tempfile::tempdir().unwrap();
    let log = std::fs::read(mixed().join("binlog.000003")).unwrap();
    let keyring = std::fs::read(mixed_keyring()).unwrap();
    for (name, content) in [
        (NAME.to_owned(), &log[..]),
        (format!("cut{NAME}"), &log[..300]),
        (format!("keyring{NAME}"), &keyring),
        (format!("toml{NAME}"), b"no toml \x1b]0;owned\x07 = 1"),
    ] {
        std::fs::write(directory.path().join(name), content).unwrap();
    }
    // {} is the log, {-} one that is cut, {0} one that is not there, {k} a keyring that is open to all.
    let commands = [
        "check {0}",
        "check {} {-} --keyring {k}",
        "check {} --policy {toml}",
        "check {} --policy {0}",
        "check {} --report json={0}/x",
        "audit --defaults-file {toml}",
        "audit --defaults-file {0}",
        "inspect {} {0} {-} --keyring {k}",
        "inspect {} --keyring {0}",
        "verify {} {0} {-} --keyring {k}",
        "events {} {0} --keyring {k}",
        "events {-} --keyring {k}",
        "decrypt {} {0} {-} --output-dir outs --keyring {k}",
        "decrypt {} -o {0} --keyring {k}",
        "decrypt {} -o {-} --keyring {k}",
        "salvage {-} -o {0} --keyring {k}",
        "rekey {} {-} --keyring {k}",
        "keyring {0} {-}",
        "keyring {k}",
        "header dump {0} -o outs",
        "report merge {}",
        "explain {0}",
        "check {} {0}={}",
        "check {} --{0}",
        "{0}",
    ];
    for command in commands {
        for color in ["always", "never"] {
            let arguments = command.split(' ').map(|argument| {
                argument
                    .replace("{}", NAME)
                    .replace("{-}", &format!("cut{NAME}"))
                    .replace("{0}", &format!("gone{NAME}"))
                    .replace("{k}", &format!("keyring{NAME}"))
                    .replace("{toml}", &format!("toml{NAME}"))
            });
            let output = Command::new(env!("CARGO_BIN_EXE_binlogsec"))
                .current_dir(directory.path())
                .args(["--color", color, "--verbose"])
                .args(arguments)
                .env_remove("BINLOGSEC_KEYRING")
                .output()
                .unwrap();
            for stream in [&output.stdout, &output.stderr] {
                let text = String::from_utf8_lossy(stream);
                let obeyed = text.contains("\u{1b}]")
                    || text.contains('\u{7}')
                    || text.contains('\u{202e}')
                    || text.lines().any(|line| line.trim_start().starts_with("::error"));
                assert!(!obeyed, "{command} ({color}): {text:?}");
            }
        }
    }
}

/// What a command shows of real logs. {m} is a folder of six logs, {k} its keyring, {x} a damaged log,
/// {w} a place for what is written.
const SHOWN: [&str; 24] = [
    "inspect {m} --keyring {k}",
    "inspect {m} --keyring {old}",
    "keyring list {k}",
    "keyring coverage {m} --keyring {k}",
    "keyring coverage {m} --keyring {old}",
    "verify {m} {x} --keyring {k}",
    "decrypt {m} --output-dir {w}/plain --keyring {k}",
    "decrypt {m}/binlog.000003 -o {w}/x --keyring {old}",
    "encrypt {m}/binlog.000001 --output-dir {w}/encrypted --keyring {k}",
    "rekey {m} --dry-run --keyring {k}",
    "header dump {m}/binlog.000003",
    "salvage {x} -o {w}/salvaged --keyring {k}",
    "seal keygen {w}/key",
    "seal {m} -o {w}/manifest.json --sign-key {w}/key --keyring {k}",
    "seal verify {w}/manifest.json {m} --keyring {k} --public-key {w}/key.pub",
    "recover {m} --from all --plan --keyring {k}",
    "check {m} --keyring {k}",
    "audit --defaults-file fixtures/audit/mysql-8.4-source.cnf",
    "explain BLS001 BLR072",
    "events {m} --stats --keyring {k}",
    "events {m} --find create --keyring {k}",
    "rows {m}/binlog.000003 --keyring {k}",
    "undo {m}/binlog.000003 --keyring {k}",
    "config show",
];

/// Runs a command in a terminal of 80 columns, by `script` of util-linux; `None` without that.
fn in_a_terminal(command: &str) -> Option<String> {
    let program = assert_cmd::cargo::cargo_bin("binlogsec");
    let line = format!("stty cols 80; {} --color never {command}", program.display());
    let ran = Command::new("script")
        .args(["-qc", &line, "/dev/null"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("BINLOGSEC_KEYRING")
        .stdin(std::process::Stdio::null())
        .output();
    let Ok(ran) = ran else {
        println!("skipped: script of util-linux is not here");
        return None;
    };
    Some(String::from_utf8_lossy(&ran.stdout).replace('\r', ""))
}

/// A line that a terminal breaks itself: one word, which may be a path, or what is there to be copied:
/// a remedy's command, a value of a row. What progress has shown is no line.
fn may_be_long(line: &str) -> bool {
    let line = line.trim_start();
    line.split(' ').count() == 1
        || line.starts_with("remedy: ")
        || line.starts_with("mysql -e ")
        || line.starts_with("binlogsec ")
        || line.starts_with('@')
        || line.contains("files/s")
        || line.contains('\u{1b}')
}

#[test]
fn in_a_terminal_of_80_columns_no_command_writes_a_longer_line() {
    let place = tempfile::tempdir().unwrap();
    let mut damaged = std::fs::read(mixed().join("binlog.000004")).unwrap();
    damaged[30_000..30_100].fill(0);
    let cut = place.path().join("binlog.000004");
    std::fs::write(&cut, damaged).unwrap();
    let old = common::fixture("mysql-9.7/mixed-key1-running/component_keyring_file");
    for command in SHOWN {
        let command = command
            .replace("{m}", "fixtures/mysql-9.7/mixed-key3-running")
            .replace("{k}", mixed_keyring().to_str().unwrap())
            .replace("{old}", old.to_str().unwrap())
            .replace("{x}", cut.to_str().unwrap())
            .replace("{w}", place.path().to_str().unwrap());
        let Some(text) = in_a_terminal(&command) else { return };
        assert!(text.lines().count() > 1, "{command}: {text}");
        assert!(!text.contains("Usage:"), "{command}: {text}");
        for line in text.lines().filter(|line| !may_be_long(line)) {
            assert!(line.chars().count() <= 80, "{command}: {line:?}");
        }
    }
}

#[test]
fn a_table_that_takes_several_lines_in_a_terminal_says_what_it_says_in_a_pipe() {
    for command in [
        "inspect fixtures/mysql-9.7/mixed-key3-running",
        "keyring list fixtures/mysql-9.7/mixed-key3-running/component_keyring_file",
        "header dump fixtures/mysql-9.7/mixed-key3-running/binlog.000003",
    ] {
        let Some(text) = in_a_terminal(command) else { return };
        let piped = Command::new(env!("CARGO_BIN_EXE_binlogsec"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(command.split(' '))
            .env_remove("BINLOGSEC_KEYRING")
            .output()
            .unwrap();
        let piped = String::from_utf8(piped.stdout).unwrap();
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        // Warnings stand before or behind.
        let (narrow, wide) = (words(&text), words(&piped));
        assert!(narrow.windows(wide.len()).any(|part| part == wide), "{command}: {text}");
        assert!(piped.lines().any(|line| line.chars().count() > 80), "{command}: {piped}");
        assert!(text.lines().count() > piped.lines().count(), "{command}: {text}");
    }
}

/// The help of a command and of all below it, by its words.
fn helps(words: &[String], found: &mut Vec<(String, String)>) {
    let output = Command::new(env!("CARGO_BIN_EXE_binlogsec"))
        .args(words)
        .arg("--help")
        .env_remove("COLUMNS")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let below = below.take_while(|line| line.starts_with("  "));
    let names = below.filter(|line| !line.starts_with("    "));
    for name in names.filter_map(|line| line.split_whitespace().next()) {
        if name != "help" {
            helps(&[words, &[name.to_owned()]].concat(), found);
        }
    }
    found.push((words.join(" "), help));
}

/// Wider ones are broken within a command, which then cannot be copied.
#[test]
fn examples_in_the_help_fit_80_columns() {
    let mut found = Vec::new();
    helps(&[], &mut found);
    assert!(found.len() > 25, "{}", found.len());
    let mut examples = 0;
    for (name, help) in found {
        let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1);
        // Commands, and where one goes on; what tells of them stands to the left, in words.
        for line in lines.filter(|line| line.starts_with("  ") && !line.is_empty()) {
            let is_command = line.contains("binlogsec") || line.starts_with("      ");
            examples += usize::from(is_command);
            assert!(!is_command || line.chars().count() <= 80, "{name}: {line}");
        }
    }
    assert!(examples > 60, "{examples}");
}
