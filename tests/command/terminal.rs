//! What a terminal, or a runner of workflows, is shown of names that try to be more than names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

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
