//! The command as a user meets it: golden output of every message, and what happens to files.
//!
//! `TRYCMD=overwrite cargo test --test command cli::` writes the golden files anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use assert_cmd::Command;
use serde_json::Value;

use common::{fixture, mixed, mixed_keyring, names, sha256};

const PLAINTEXT_OF_3: &str = "248fdd06fde29e0968fe65ac5584181f6a046a46a4c42a7ff8834c4bef6452b9";

fn binlogsec() -> Command {
    let mut command = Command::cargo_bin("binlogsec").unwrap();
    command.env_remove("BINLOGSEC_KEYRING").env("NO_COLOR", "1");
    command
}

fn run(arguments: &[&str]) -> Output {
    binlogsec().args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn log_3() -> PathBuf {
    mixed().join("binlog.000003")
}

#[test]
fn golden_output() {
    mixed(); // closes the keyrings of all fixtures
    for name in ["keyring", "sign.key"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/seal.in").join(name);
        let _ = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600));
    }
    trycmd::TestCases::new()
        .case("README.md")
        .case("docs/forensics.md")
        .case("tests/cli/*.trycmd")
        .env("NO_COLOR", "1");
}

#[test]
fn a_file_is_decrypted_to_a_private_file() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("plain");
    let (log, keyring) = (log_3(), mixed_keyring());
    let arguments = ["decrypt", text(&log), "-o", text(&target), "--keyring", text(&keyring)];
    let output = run(&arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(sha256(&std::fs::read(&target).unwrap()), PLAINTEXT_OF_3);
    assert_eq!(target.metadata().unwrap().permissions().mode() & 0o7777, 0o600);

    let again = run(&arguments);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("exists already; it is replaced with --force only"));
    let forced = binlogsec().args(arguments).arg("--force").output().unwrap();
    assert!(forced.status.success());
    let synced = binlogsec().args(arguments).args(["--force", "--sync"]).output().unwrap();
    assert!(synced.status.success());
    assert_eq!(names(directory.path()), ["plain"]);
}

#[test]
fn every_way_through_pipes_gives_the_same_bytes() {
    let keyring = mixed_keyring();
    let log = std::fs::read(log_3()).unwrap();
    let key = ["--keyring", text(&keyring)];
    let to_stdout = binlogsec().args(["decrypt", text(&log_3()), "-o", "-"]).args(key).output();
    let to_stdout = to_stdout.unwrap();
    assert_eq!(sha256(&to_stdout.stdout), PLAINTEXT_OF_3);
    assert_eq!(stderr(&to_stdout), "");

    let piped = binlogsec().args(["decrypt", "-", "-o", "-"]).args(key).write_stdin(log).output();
    assert_eq!(sha256(&piped.unwrap().stdout), PLAINTEXT_OF_3);

    let redirected = std::process::Command::new(assert_cmd::cargo::cargo_bin!("binlogsec"))
        .args(["decrypt", "-", "-o", "-"])
        .args(key)
        .stdin(Stdio::from(std::fs::File::open(log_3()).unwrap()))
        .output()
        .unwrap();
    assert_eq!(sha256(&redirected.stdout), PLAINTEXT_OF_3);

    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("plain");
    let log = std::fs::read(log_3()).unwrap();
    let arguments = ["decrypt", "-", "-o", text(&target)];
    let piped = binlogsec().args(arguments).args(key).write_stdin(log).output().unwrap();
    assert!(piped.status.success());
    assert_eq!(sha256(&std::fs::read(&target).unwrap()), PLAINTEXT_OF_3);
}

#[test]
fn a_reader_that_goes_away_is_no_error_message() {
    let keyring = mixed_keyring();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("binlogsec"))
        .args(["decrypt", text(&log_3()), "-o", "-", "--keyring", text(&keyring)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(stderr(&output), "");
    assert_eq!(output.status.code(), Some(141));
}

#[test]
fn an_index_is_decrypted_into_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("new/plain");
    let (index, keyring) = (mixed().join("binlog.index"), mixed_keyring());
    let output = run(&[
        "decrypt",
        text(&index),
        "--output-dir",
        text(&target),
        "--keyring",
        text(&keyring),
        "--format",
        "json",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let encrypted = ["binlog.000003", "binlog.000004", "binlog.000005", "binlog.000006"];
    assert_eq!(names(&target), encrypted);
    assert_eq!(target.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["schema"], "binlogsec.decrypt/1");
    let files = report["files"].as_array().unwrap();
    let status = |status: &str| files.iter().filter(|file| file["status"] == status).count();
    assert_eq!((status("decrypted"), status("left-out")), (4, 2));
}

#[test]
fn many_inputs_each_have_their_result_and_the_worst_decides() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("out");
    let damaged = directory.path().join("damaged");
    let mut bytes = std::fs::read(log_3()).unwrap();
    bytes[5] = 9;
    std::fs::write(&damaged, bytes).unwrap();
    let (other, keyring) =
        (fixture("mysql-9.7/rotation-interrupted/binlog.000059"), mixed_keyring());
    let output = run(&[
        "decrypt",
        text(&log_3()),
        text(&mixed().join("binlog.000001")),
        text(&other),
        text(&damaged),
        "--output-dir",
        text(&target),
        "--keyring",
        text(&keyring),
    ]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert_eq!(names(&target), ["binlog.000003"]);
    let messages = stderr(&output);
    assert!(messages.contains("binlog.000001: not encrypted"), "{messages}");
    assert!(messages.contains("offset 5: unknown field type 9"), "{messages}");
    assert_eq!(messages.lines().count(), 3, "{messages}");
}

#[test]
fn two_inputs_of_one_name_do_not_overwrite_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("a"), directory.path().join("b"));
    for place in [&first, &second] {
        std::fs::create_dir(place).unwrap();
        std::fs::copy(log_3(), place.join("binlog.000003")).unwrap();
    }
    let (target, keyring) = (directory.path().join("out"), mixed_keyring());
    let output = run(&[
        "decrypt",
        text(&first),
        text(&second),
        "--output-dir",
        text(&target),
        "--force",
        "--keyring",
        text(&keyring),
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("would both be written under one name"));
    assert_eq!(names(&target), ["binlog.000003"]);
}

#[test]
fn the_plaintext_never_takes_the_place_of_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("binlog.000003");
    std::fs::copy(log_3(), &log).unwrap();
    let before = std::fs::read(&log).unwrap();
    let keyring = mixed_keyring();
    for target in [["-o", text(&log)], ["--output-dir", text(directory.path())]] {
        let output = binlogsec()
            .args(["decrypt", text(&log), "--force", "--keyring", text(&keyring)])
            .args(target)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("is the input itself"), "{}", stderr(&output));
    }
    assert_eq!(std::fs::read(&log).unwrap(), before);
}

#[test]
fn a_wrong_key_is_told_before_any_output() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("plain");
    let key = directory.path().join("key");
    std::fs::write(&key, "00".repeat(32)).unwrap();
    let log = log_3();
    let output = run(&["decrypt", text(&log), "-o", text(&target), "--key-file", text(&key)]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("does not open this log"), "{}", stderr(&output));
    assert_eq!(names(directory.path()), ["key"]);
    let output = run(&["inspect", text(&log), "--key-file", text(&key), "--format", "json"]);
    assert_eq!(output.status.code(), Some(3));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["files"][0]["key_status"], "wrong");
}

#[test]
fn keys_come_from_the_environment_a_bare_file_or_a_command() {
    let directory = tempfile::tempdir().unwrap();
    let log = log_3();
    let decrypt = || {
        let mut command = binlogsec();
        command.args(["decrypt", text(&log), "-o", "-"]);
        command
    };
    let decrypts = |command: &mut Command| {
        let output = command.output().unwrap();
        assert_eq!(sha256(&output.stdout), PLAINTEXT_OF_3, "{}", stderr(&output));
    };
    let (other, own) = (fixture("mysql-9.7/mixed-key1-running"), mixed_keyring());
    let other = other.join("component_keyring_file");
    let variable = std::env::join_paths([&other, &own]).unwrap();
    decrypts(decrypt().env("BINLOGSEC_KEYRING", variable));
    decrypts(decrypt().args(["--keyring", text(&other), "--keyring", text(&own)]));

    let keyring: Value = serde_json::from_slice(&std::fs::read(&own).unwrap()).unwrap();
    let entry = keyring["elements"].as_array().unwrap().iter();
    let entry = entry.clone().find(|entry| entry["data_id"].as_str().unwrap().ends_with("_3"));
    let (id, hex) = (&entry.unwrap()["data_id"], entry.unwrap()["data"].as_str().unwrap());
    let key = directory.path().join("key");
    std::fs::write(&key, hex).unwrap();
    decrypts(decrypt().args(["--key-file", text(&key)]));
    let bound = format!("{}={}", id.as_str().unwrap(), text(&key));
    decrypts(decrypt().args(["--key-file", &bound]));
    let named = directory.path().join(id.as_str().unwrap());
    std::fs::write(&named, hex).unwrap();
    let command = format!("cat '{}/{{key_id}}'", text(directory.path()));
    decrypts(decrypt().args(["--key-command", &command]));
}

#[test]
fn keyrings_are_listed_however_they_are_named() {
    let keyring = mixed_keyring();
    let other = fixture("mysql-9.7/rotation-interrupted/component_keyring_file");
    let expected = run(&["keyring", text(&keyring)]);
    assert!(expected.status.success(), "{}", stderr(&expected));
    for arguments in [&["keyring"][..], &["keyring", "list"]] {
        let named = run(&[arguments, &["--keyring", text(&keyring)]].concat());
        assert_eq!(named, expected, "{arguments:?}");
        let listed = |variable: &Path, more: &[&str]| {
            let mut command = binlogsec();
            command.args(arguments).args(more).env("BINLOGSEC_KEYRING", variable);
            command.output().unwrap()
        };
        assert_eq!(listed(&keyring, &[]), expected, "{arguments:?}");
        // Who names one means no other.
        assert_eq!(listed(&other, &[text(&keyring)]), expected, "{arguments:?}");
        let none = run(arguments);
        assert_eq!(none.status.code(), Some(2), "{none:?}");
        assert!(stderr(&none).contains("--keyring FILE"), "{}", stderr(&none));
    }
}

#[test]
fn a_log_cut_by_a_crash_is_decrypted_as_far_as_it_goes() {
    let directory = tempfile::tempdir().unwrap();
    let whole = std::fs::read(log_3()).unwrap();
    let keyring = mixed_keyring();
    let decrypt = |log: &Path| run(&["decrypt", text(log), "-o", "-", "--keyring", text(&keyring)]);
    let plain = decrypt(&log_3()).stdout;
    for length in [516, 520, 600, 700, 5000, whole.len() - 1] {
        let log = directory.path().join("cut");
        std::fs::write(&log, &whole[..length]).unwrap();
        let output = decrypt(&log);
        assert!(output.status.success(), "{length}: {}", stderr(&output));
        assert!(output.stdout == plain[..length - 512], "{length}");
    }
    for length in [0, 3, 4, 5, 511, 512, 515] {
        let log = directory.path().join("cut");
        std::fs::write(&log, &whole[..length]).unwrap();
        let output = decrypt(&log);
        assert_eq!(output.status.code(), Some(4), "{length}: {}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_named_pipe_is_refused_and_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("binlog.000001");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    for command in ["inspect", "keyring"] {
        let output = binlogsec()
            .args([command, text(&pipe)])
            .timeout(std::time::Duration::from_secs(120))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("pipe"), "{}", stderr(&output));
    }
    let output = run(&["inspect", text(directory.path())]);
    assert_eq!(output.status.code(), Some(2), "nothing to look at");
}

#[test]
fn inspect_in_json_has_the_contract_of_the_documentation() {
    let (directory, keyring) = (mixed(), mixed_keyring());
    let arguments = ["inspect", text(&directory), "--keyring", text(&keyring), "--format", "json"];
    let output = run(&arguments);
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["schema"], "binlogsec.inspect/1");
    assert_eq!(report["summary"]["by_kind"]["mysql-encrypted"], 4);
    assert_eq!(report["summary"]["by_kind"]["mysql-plain"], 2);
    assert_eq!(report["summary"]["other_files"], 3);
    let log = &report["files"][2];
    assert_eq!(log["size"], 102_070);
    assert_eq!(log["kind"], "mysql-encrypted");
    assert_eq!(log["role"], "binlog");
    let uuid = "2bc92730-e533-11f1-b7bc-02fc00000001";
    assert_eq!(log["key_id"], format!("MySQLReplicationKey_{uuid}_3"));
    assert_eq!(log["server_uuid"], uuid);
    assert_eq!(log["key_seqno"], 3);
    assert_eq!(log["key_status"], "present");
    assert_eq!(log["server_version"], "9.7.4-2");
    assert_eq!(log["server_id"], 101);
    assert_eq!(log["created"], "2026-11-20T22:38:59Z");
    assert_eq!(log["checksum"], "CRC32");
    assert_eq!(log["in_use"], false);
    assert_eq!(log["error"], Value::Null);
    assert_eq!(report["files"][5]["in_use"], true);

    let bytes = std::fs::read(log_3()).unwrap();
    let output = binlogsec().args(["inspect", "-", "--format", "json"]).write_stdin(bytes).output();
    let report: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    assert_eq!(report["files"][0]["size"], 102_070);
    assert_eq!(report["files"][0]["key_status"], "unchecked");
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = String::from_utf8(run(&["completions", shell]).stdout).unwrap();
        assert!(script.contains("decrypt") && script.contains("keyring"), "{shell}");
    }
    let page = String::from_utf8(run(&["man"]).stdout).unwrap();
    assert!(page.contains(".TH binlogsec 1"));
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("share/man1");
    assert!(run(&["man", "--output-dir", text(&pages)]).status.success());
    assert!(names(&pages).contains(&"binlogsec-decrypt.1".to_owned()));
    let taken = pages.join("binlogsec.1");
    let output = run(&["man", "--output-dir", text(&taken)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains(text(&taken)), "{}", stderr(&output));
}

#[test]
fn no_key_appears_in_anything_that_is_printed() {
    let keyring = mixed_keyring();
    let content: Value = serde_json::from_slice(&std::fs::read(&keyring).unwrap()).unwrap();
    let keys: Vec<String> = content["elements"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["data"].as_str().unwrap().len() == 64)
        .map(|entry| entry["data"].as_str().unwrap().to_lowercase())
        .collect();
    assert!(!keys.is_empty());
    let (directory, log) = (mixed(), log_3());
    for arguments in [
        vec!["keyring", text(&keyring)],
        vec!["keyring", text(&keyring), "--format", "json"],
        vec!["inspect", text(&directory), "--keyring", text(&keyring), "-v"],
        vec!["inspect", text(&directory), "--keyring", text(&keyring), "--format", "json"],
        vec!["decrypt", text(&log), "-o", "/dev/null", "--keyring", text(&keyring), "-v"],
    ] {
        let output = run(&arguments);
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).to_lowercase();
        assert!(!printed.is_empty());
        assert!(keys.iter().all(|key| !printed.contains(key.get(..16).unwrap())), "{arguments:?}");
    }
}

#[test]
fn a_process_that_holds_keys_leaves_no_core() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("limits");
    std::fs::write(&script, "grep -i 'core file' /proc/$PPID/limits >&2\n").unwrap();
    let command = format!("sh '{}'", text(&script));
    let output = run(&["inspect", text(&log_3()), "--key-command", &command]);
    let limits = stderr(&output);
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let limits: Vec<_> = line.split_whitespace().rev().take(3).collect();
    assert_eq!(limits, ["bytes", "0", "0"], "hard and soft");
}

/// Starts a decryption that waits for the rest of its input, and ends it by a signal.
fn interrupted(directory: &Path, signal: rustix::process::Signal) -> std::process::ExitStatus {
    use std::io::Write;

    let (target, keyring) = (directory.join("plain"), mixed_keyring());
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("binlogsec"))
        .args(["decrypt", "-", "-o", text(&target), "--keyring", text(&keyring)])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&std::fs::read(log_3()).unwrap()).unwrap();
    let id = rustix::process::Pid::from_child(&child);
    // The output is open once the input has been read.
    let open = |entry: std::fs::DirEntry| {
        std::fs::read_link(entry.path()).is_ok_and(|link| link.starts_with(directory))
    };
    let descriptors = format!("/proc/{}/fd", child.id());
    let is_writing = || {
        let mut entries = std::fs::read_dir(&descriptors).unwrap();
        entries.any(|entry| entry.is_ok_and(open))
    };
    let started = std::time::Instant::now();
    while !is_writing() && started.elapsed().as_secs() < 120 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(is_writing(), "the output is not open");
    rustix::process::kill_process(id, signal).unwrap();
    child.wait().unwrap()
}

#[test]
fn an_interrupted_decryption_leaves_nothing_behind() {
    use rustix::process::Signal;

    // That the output is open is seen from outside only.
    if !common::system::can_look_into() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        if common::system::is_ignored(signal) {
            continue;
        }
        let status = interrupted(directory.path(), signal);
        assert_eq!(status.code(), Some(code));
        assert_eq!(names(directory.path()), [""; 0]);
    }
    assert_eq!(interrupted(directory.path(), Signal::KILL).code(), None);
    assert_eq!(names(directory.path()), [""; 0]);
}
