//! What the command prints and leaves, when it succeeds and when it fails.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::common::{fixture, mixed, mixed_keyring};
use crate::search::{Needle, needles};

fn prepared() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let copy = |from: PathBuf, name: &str, mode: u32| {
        let to = directory.path().join(name);
        std::fs::copy(from, &to).unwrap();
        std::fs::set_permissions(to, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    copy(mixed().join("binlog.000003"), "log", 0o600);
    copy(mixed().join("binlog.000001"), "plain", 0o600);
    copy(mixed_keyring(), "keyring", 0o600);
    let damaged = std::fs::read_to_string(mixed_keyring()).unwrap();
    let path = directory.path().join("damaged");
    std::fs::write(&path, damaged.replacen("\"AES\"", "\"AES", 1)).unwrap();
    directory
}

fn run(directory: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_binlogsec"));
    command
        .env_remove("BINLOGSEC_KEYRING")
        .current_dir(directory);
    command.args(arguments.split(' ')).stdin(Stdio::null());
    command.env("TMPDIR", directory).output().unwrap()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn assert_clean(bytes: &[u8], needles: &[Needle], what: &str) {
    for needle in needles {
        assert_eq!(needle.count(bytes), 0, "{} in {what}", needle.name);
    }
}

#[test]
fn nothing_that_is_printed_or_left_has_a_secret_in_it() {
    let needles = needles();
    let keyring = std::fs::read(mixed_keyring()).unwrap();
    assert!(
        needles.iter().any(|needle| needle.count(&keyring) > 0),
        "the search finds what is there"
    );
    for arguments in [
        "inspect log --keyring keyring -v --format json",
        "decrypt log -o out --keyring keyring -v --format json",
        "verify log --keyring keyring -v --format json",
        "events log --keyring keyring -v --format json",
        "salvage log -o out --keyring keyring -v --format json",
        "check . --keyring keyring -v --format json",
        "check . --keyring keyring --format sarif",
        "encrypt plain -o out --keyring keyring -v --format json",
        "rekey log --keyring keyring -v --format json",
        "header dump log -o out -v",
        "keyring keyring -v --format json",
        // And when it goes wrong.
        "decrypt log -o out --keyring damaged -v",
        "keyring damaged",
        "decrypt log -o no/where --keyring keyring -v",
        "decrypt plain -o out --key-file keyring",
        "decrypt keyring -o out --keyring keyring",
        "verify keyring --keyring log",
    ] {
        let directory = prepared();
        let output = run(directory.path(), arguments);
        assert_clean(
            &output.stdout,
            &needles,
            &format!("the output of {arguments}"),
        );
        assert_clean(
            &output.stderr,
            &needles,
            &format!("the messages of {arguments}"),
        );
        for file in files(directory.path()) {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            if !matches!(name.as_str(), "keyring" | "damaged") {
                let content = std::fs::read(&file).unwrap();
                assert_clean(&content, &needles, &format!("{name} after {arguments}"));
            }
        }
    }
}

#[test]
fn a_crash_leaves_no_core() {
    let directory = prepared();
    let script = "ulimit -c unlimited; \"$0\" decrypt - -o out --keyring keyring & sleep 1; kill -ABRT $!; wait $!; echo $?";
    let mut shell = Command::new("bash");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_binlogsec")]);
    // A pipe that stays open while it is there.
    let mut shell = shell
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let status = shell.wait().unwrap();
    assert!(status.success());
    let names = crate::common::names(directory.path());
    assert!(names.iter().all(|name| !name.contains("core")), "{names:?}");
}

#[test]
fn keyrings_that_others_can_read_are_warned_of() {
    let directory = prepared();
    let keyring = directory.path().join("keyring");
    let key = directory.path().join("bare");
    std::fs::write(&key, "ab".repeat(32)).unwrap();
    let keys = directory.path().join("keys.txt");
    std::fs::copy(fixture("mariadb-10.11/cbc128-crc32-row/keys.txt"), &keys).unwrap();
    for (file, option) in [
        (&keyring, "--keyring keyring"),
        (&key, "--key-file bare"),
        (&keys, "--mariadb-keys keys.txt"),
    ] {
        for (mode, warned) in [
            (0o600, false),
            (0o640, false),
            (0o400, false),
            (0o660, true),
            (0o644, true),
            (0o604, true),
            (0o602, true),
        ] {
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
            let output = run(directory.path(), &format!("inspect log {option}"));
            let said = String::from_utf8_lossy(&output.stderr);
            let name = file.file_name().unwrap().to_str().unwrap();
            let warning = format!(
                "{name} holds keys and is open to more users than it should be (mode {mode:03o})"
            );
            assert_eq!(said.contains(&warning), warned, "{option} {mode:o}: {said}");
            let quiet = run(directory.path(), &format!("-q inspect log {option}"));
            assert!(!String::from_utf8_lossy(&quiet.stderr).contains("holds keys"));
        }
    }
}
