//! The command on MariaDB's logs: what `check` proves, what is ambiguous, key files of newer
//! servers, and logs that are only recognised.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use crate::common;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{fixture, logs, mixed, mixed_keyring, openssl, plaintext};
use serde_json::Value;
use tempfile::TempDir;

const SCENARIO: &str = "mariadb-10.11/cbc128-crc32-row";
/// Where the fixtures' logs have the event that starts encryption.
const START: usize = 256;

fn keys() -> PathBuf {
    fixture(SCENARIO).join("keys.txt")
}

fn encrypted() -> PathBuf {
    fixture(SCENARIO).join("logs/binlog.000002")
}

fn put(directory: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    path
}

fn run(arguments: &[&dyn AsRef<std::ffi::OsStr>]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_binlogsec"));
    command.env_remove("BINLOGSEC_KEYRING").env("NO_COLOR", "1");
    command.args(arguments.iter().map(AsRef::as_ref));
    command.output().unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Each log's finding that counts, and the numbers by status.
fn check(directory: &Path, keys: &[&dyn AsRef<std::ffi::OsStr>]) -> (Vec<String>, Value) {
    let mut arguments: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"check", &directory];
    arguments.extend([&"--format" as &dyn AsRef<std::ffi::OsStr>, &"json"]);
    arguments.extend(keys);
    let output = run(&arguments);
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|fault| panic!("{fault}: {}", error(&output)));
    let findings = report["findings"].as_array().unwrap().iter();
    let mut found: Vec<_> = findings
        .filter(|finding| finding["counts"] == true)
        .map(|finding| {
            let path = Path::new(finding["path"].as_str().unwrap());
            let name = path.file_name().unwrap().to_string_lossy();
            format!("{} {name}", finding["id"].as_str().unwrap())
        })
        .collect();
    found.sort();
    (found, report["summary"]["by_status"].clone())
}

/// Encrypted logs of both families, one of MariaDB's that turned plain, and one that only says it
/// is encrypted.
fn mixed_directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    put(&directory, "a.000001", &std::fs::read(encrypted()).unwrap());
    let mysql = std::fs::read(mixed().join("binlog.000003")).unwrap();
    put(&directory, "b.000001", &mysql);
    let plain = plaintext(&encrypted(), &keys());
    put(&directory, "c.000001", &plain);
    let mut pretends = plain;
    pretends[START..START + 40]
        .copy_from_slice(&std::fs::read(encrypted()).unwrap()[START..START + 40]);
    put(&directory, "d.000001", &pretends);
    directory
}

#[test]
fn check_proves_logs_of_both_families() {
    let directory = mixed_directory();
    let (found, status) = check(directory.path(), &[]);
    assert_eq!(found, ["BLS001 c.000001", "BLS003 d.000001"]);
    assert_eq!((&status["proven"], &status["unproven"]), (&0.into(), &2.into()));
    let own = keys();
    let both: [&dyn AsRef<std::ffi::OsStr>; 4] =
        [&"--mariadb-keys", &own, &"--keyring", &mixed_keyring()];
    let (found, status) = check(directory.path(), &both);
    assert_eq!(found, ["BLS001 c.000001", "BLS003 d.000001"]);
    assert_eq!((&status["proven"], &status["unproven"]), (&2.into(), &0.into()));
    assert_eq!((&status["plain"], &status["refuted"]), (&1.into(), &1.into()));
    // By content, and of one family alone.
    let (_, status) = check(directory.path(), &[&"--keyring", &own]);
    assert_eq!((&status["proven"], &status["unproven"]), (&1.into(), &1.into()));
}

#[test]
fn check_tells_a_wrong_key_and_a_missing_version() {
    let directory = tempfile::tempdir().unwrap();
    let stored = std::fs::read(encrypted()).unwrap();
    put(&directory, "a.000001", &stored);
    let mut version = stored;
    version[START + 20] = 9;
    let sum = crc32fast::hash(&version[START..START + 36]).to_le_bytes();
    version[START + 36..START + 40].copy_from_slice(&sum);
    put(&directory, "b.000001", &version);
    let elsewhere = tempfile::tempdir().unwrap();
    let wrong = put(&elsewhere, "keys", b"1;00112233445566778899aabbccddeeff\n");
    let (found, status) = check(directory.path(), &[&"--mariadb-keys", &wrong]);
    assert_eq!(found, ["BLS003 a.000001", "BLS004 b.000001"]);
    assert_eq!((&status["refuted"], &status["unproven"]), (&1.into(), &1.into()));
}

/// A log without checksums whose one encrypted event is short enough to be the same in CBC and ECB
/// but for what nothing checks.
fn ambiguous(directory: &TempDir) -> PathBuf {
    let plain = std::fs::read(fixture("mariadb-10.11/plain-crc32/logs/binlog.000003")).unwrap();
    let length = u32::from_le_bytes(plain[13..17].try_into().unwrap()) as usize;
    let mut log = plain[..4 + length].to_vec();
    // No checksums, and the event's own checksum made anew.
    let end = log.len();
    log[end - 5] = 0;
    let sum = crc32fast::hash(&log[4..end - 4]).to_le_bytes();
    log[end - 4..].copy_from_slice(&sum);
    // A STOP event: a header and nothing else.
    let mut stop = vec![0; 19];
    stop[4] = 3;
    stop[9] = 19;
    let stop_end = u32::try_from(end + 19).unwrap();
    stop[13..17].copy_from_slice(&stop_end.to_le_bytes());
    log.extend(stop);
    put(directory, "plain", &log)
}

#[test]
fn what_fits_equally_is_told_and_can_be_chosen() {
    let directory = tempfile::tempdir().unwrap();
    let plain = ambiguous(&directory);
    let two = put(
        &directory,
        "keys",
        b"1;00112233445566778899aabbccddeeff\n2;0102030405060708090a0b0c0d0e0f10\n",
    );
    let stored = directory.path().join("stored");
    let output =
        run(&[&"encrypt", &plain, &"-o", &stored, &"--mariadb-keys", &two, &"--allow-in-use"]);
    assert!(output.status.success(), "{}", error(&output));
    // An event of 19 bytes has no whole block: CBC and ECB do the same to it, CTR too. As that is
    // the whole log, they make one plaintext, and nothing is ambiguous.
    let target = directory.path().join("decrypted");
    let decrypt = |log: &Path, more: &[&str]| {
        let mut arguments: Vec<&dyn AsRef<std::ffi::OsStr>> =
            vec![&"decrypt", &log, &"-o", &target, &"--force", &"--mariadb-keys", &two];
        arguments.extend(more.iter().map(|word| word as &dyn AsRef<std::ffi::OsStr>));
        run(&arguments)
    };
    let output = decrypt(&stored, &[]);
    assert!(output.status.success(), "{}", error(&output));
    let whole = std::fs::read(&target).unwrap();
    assert_eq!(whole[whole.len() - 19..][4], 3);
    // Where the file goes on, the next event could tell, and there is none that is whole.
    let mut longer = std::fs::read(&stored).unwrap();
    longer.resize(8192, 0);
    longer[whole.len() + 9] = 0;
    let longer = put(&directory, "longer", &longer);
    let output = decrypt(&longer, &[]);
    assert_eq!(output.status.code(), Some(3), "{}", error(&output));
    let message = error(&output);
    assert!(message.contains("more than one key or cipher fits"), "{message}");
    assert!(message.contains("key 1 with CBC") && message.contains("key 1 with ECB"), "{message}");
    for mode in ["cbc", "ecb"] {
        let output = decrypt(&longer, &["--mariadb-cipher", mode]);
        assert_eq!(output.status.code(), Some(4), "then it is cut: {}", error(&output));
    }
    let output = decrypt(&stored, &["--mariadb-key-id", "2"]);
    assert_eq!(output.status.code(), Some(3), "{}", error(&output));
}

#[test]
fn key_files_of_openssl_open_with_the_servers_options() {
    if !openssl::is_here() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let password = put(&directory, "password", b"made-up and secret to nobody\n");
    let target = directory.path().join("plain");
    for digest in ["sha1", "sha224", "sha256", "sha384", "sha512"] {
        for iterations in ["0", "1", "11000"] {
            let sealed = directory.path().join("keys.enc");
            let mut make = Command::new("openssl");
            make.args(["enc", "-aes-256-cbc", "-md", digest, "-in"]);
            make.arg(keys()).arg("-out").arg(&sealed);
            make.arg("-pass").arg(format!("file:{}", password.display()));
            if iterations != "0" {
                make.args(["-pbkdf2", "-iter", iterations]);
            }
            assert!(make.output().unwrap().status.success());
            let open = |digest: &str, iterations: &str| {
                run(&[
                    &"decrypt",
                    &encrypted(),
                    &"-o",
                    &target,
                    &"--force",
                    &"--mariadb-keys",
                    &sealed,
                    &"--mariadb-keys-password-file",
                    &password,
                    &"--mariadb-keys-digest",
                    &digest,
                    &"--mariadb-keys-pbkdf2",
                    &iterations,
                ])
            };
            let output = open(digest, iterations);
            assert!(output.status.success(), "{digest} {iterations}: {}", error(&output));
            assert!(std::fs::read(&target).unwrap() == plaintext(&encrypted(), &keys()));
            let output = open(digest, "2");
            assert_eq!(output.status.code(), Some(3), "{digest} {iterations}");
        }
    }
}

#[test]
fn a_log_of_percona_server_5_7_is_recognised_and_not_guessed_at() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = std::fs::read(encrypted()).unwrap();
    log[START + 4] = 159;
    let sum = crc32fast::hash(&log[START..START + 36]).to_le_bytes();
    log[START + 36..START + 40].copy_from_slice(&sum);
    let path = put(&directory, "binlog.000001", &log);
    let key_file = keys();
    let output = run(&[&"inspect", &path, &"--format", &"json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["files"][0]["kind"], "percona57-encrypted");
    let target = directory.path().join("plain");
    for command in ["decrypt", "salvage"] {
        let output = run(&[&command, &path, &"-o", &target, &"--mariadb-keys", &key_file]);
        assert_eq!(output.status.code(), Some(2), "{command}: {}", error(&output));
        let message = error(&output);
        assert!(
            message.contains("Percona Server 5.7's encrypted logs are recognised"),
            "{command}: {message}"
        );
        assert!(!target.exists());
    }
    let (found, status) = check(directory.path(), &[&"--mariadb-keys", &key_file]);
    assert_eq!((found.len(), &status["unproven"]), (0, &1.into()));
}

/// The log `stored` in a directory, encrypted.
fn encrypt(directory: &TempDir, plain: &Path, key_file: &Path) -> PathBuf {
    let stored = directory.path().join("stored");
    let output = run(&[&"encrypt", &plain, &"-o", &stored, &"--mariadb-keys", &key_file]);
    assert!(output.status.success(), "{}", error(&output));
    stored
}

/// Longer than all buffers on the way, so that they are used again.
#[test]
fn a_long_log_goes_from_a_file_to_a_stream() {
    let directory = tempfile::tempdir().unwrap();
    let long = logs::grow(&plaintext(&encrypted(), &keys()), 3_000_000);
    let plain = put(&directory, "long", &long);
    let key_file = keys();
    let stored = encrypt(&directory, &plain, &key_file);
    for jobs in ["1", "2"] {
        let arguments: [&dyn AsRef<std::ffi::OsStr>; 8] =
            [&"-j", &jobs, &"decrypt", &stored, &"-o", &"-", &"--mariadb-keys", &key_file];
        let output = run(&arguments);
        assert!(output.status.success(), "{}", error(&output));
        assert_eq!(output.stdout.len(), long.len());
        assert!(output.stdout[..START + 20] == long[..START + 20]);
        assert!(output.stdout[START + 40..] == long[START + 40..]);
    }
}

/// As copies have them that are encrypted with the positions of their source. Where checksums are
/// right, that is no damage, wherever an event lies.
#[test]
fn positions_of_another_file_are_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = logs::grow(&plaintext(&encrypted(), &keys()), 1_000_000);
    let events = logs::events(&log);
    for (at, length, kind) in events.into_iter().filter(|(at, _, _)| *at > START) {
        assert_ne!(kind, 15);
        let end = u32::try_from(at + length + 1000).unwrap();
        log[at + 13..at + 17].copy_from_slice(&end.to_le_bytes());
        let sum = crc32fast::hash(&log[at..at + length - 4]).to_le_bytes();
        log[at + length - 4..at + length].copy_from_slice(&sum);
    }
    let plain = put(&directory, "plain", &log);
    let key_file = keys();
    let stored = encrypt(&directory, &plain, &key_file);
    let target = directory.path().join("target");
    let arguments: [&dyn AsRef<std::ffi::OsStr>; 6] =
        [&"decrypt", &stored, &"-o", &target, &"--mariadb-keys", &key_file];
    let output = run(&arguments);
    assert!(output.status.success(), "{}", error(&output));
    let decrypted = std::fs::read(&target).unwrap();
    assert!(decrypted[START + 40..] == log[START + 40..]);
}

/// What is no log takes no name from anything.
#[test]
fn directories_with_other_files_of_one_name_are_encrypted() {
    let plain = common::workdir::Workdir::plain_mariadb(&[900, 700]);
    for (directory, log) in [("a", "binlog.000001"), ("b", "binlog.000002")] {
        let directory = plain.log(directory);
        std::fs::create_dir(&directory).unwrap();
        std::fs::rename(plain.log(log), directory.join(log)).unwrap();
        std::fs::write(directory.join("notes.txt"), "no log").unwrap();
    }
    let output = plain.run("encrypt a b --output-dir out --mariadb-keys keyring");
    assert!(output.status.success(), "{}", plain.said(&output));
    let names = common::names(&plain.log("out"));
    assert_eq!(names, ["binlog.000001", "binlog.000002"]);
    let output = plain.run("encrypt a out/../a --output-dir again --mariadb-keys keyring");
    let message = plain.said(&output);
    assert!(message.contains("under one name; write them into different directories"), "{message}");
}

#[test]
fn an_event_that_starts_no_encryption_must_have_its_length() {
    let plain = common::workdir::Workdir::plain_mariadb(&[700]);
    let mut log = plain.logs[0].1.clone();
    let end = 256 + 40;
    log[256 + 9] = 44;
    log.splice(end..end, [0; 4]);
    std::fs::write(plain.log("binlog.000001"), log).unwrap();
    let output = plain.run("encrypt binlog.000001 -o out --mariadb-keys keyring");
    let message = plain.said(&output);
    assert!(message.contains("44 bytes, 40 expected"), "{message}");
    assert_eq!(output.status.code(), Some(4));
}
