//! A key command has its time, its process group, and none of our passwords.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{self, measure, mixed, mixed_keyring, openssl};

/// The key that the log wants.
const KEY_ID: &str = "MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_3";

/// A duration that no other process sleeps for, as the name of what a test starts.
fn long(number: u32) -> String {
    format!("1000.{}{number:03}", std::process::id())
}

/// Whether a process sleeps so long.
fn sleeps(long: &str) -> bool {
    let argument = format!("sleep\0{long}\0");
    std::fs::read_dir("/proc").unwrap().any(|entry| {
        let line = std::fs::read(entry.unwrap().path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&argument)
    })
}

/// Ends take a moment to be seen.
fn assert_none_sleeps(long: &str) {
    let start = Instant::now();
    while sleeps(long) {
        assert!(start.elapsed() < Duration::from_secs(3), "{long} is left");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn inspect(command: &str, more: &[&str]) -> Command {
    let mut inspect = Command::new(common::program());
    inspect
        .arg("inspect")
        .arg(mixed().join("binlog.000003"))
        .args(["--key-command", command])
        .args(more)
        .env_remove("BINLOGSEC_KEYRING");
    inspect
}

#[test]
fn one_that_does_not_end_in_time_is_ended_with_all_that_it_started() {
    let key = openssl::key_of(&mixed_keyring(), KEY_ID);
    for (number, script) in [
        "exec sleep LONG",
        // It closes its output and goes on.
        "echo KEY; exec >&-; sleep LONG",
        // It heeds no request.
        "trap '' TERM; sleep LONG & wait; sleep LONG",
        // Its child holds the output, and heeds none either.
        "(trap '' TERM; sleep LONG) & sleep LONG",
    ]
    .iter()
    .enumerate()
    {
        let long = long(number as u32);
        let script = script.replace("LONG", &long).replace("KEY", &key);
        let command = format!("sh -c \"{script}\"");
        let run = measure::run(&mut inspect(&command, &["--key-command-timeout", "1"]));
        assert_eq!(run.code, Some(2), "{script}: {run:?}");
        assert!(run.took < Duration::from_secs(8), "{script}: {:?}", run.took);
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(said.contains("--key-command-timeout"), "{script}: {said}");
        assert_none_sleeps(&long);
    }
}

#[test]
fn what_it_leaves_behind_is_not_waited_for_and_ended() {
    let key = openssl::key_of(&mixed_keyring(), KEY_ID);
    for (number, script) in [
        "sleep LONG & echo KEY",
        "(trap '' TERM; sleep LONG) & echo KEY",
        "sleep LONG >/dev/null & echo KEY",
    ]
    .iter()
    .enumerate()
    {
        let long = long(100 + number as u32);
        let script = script.replace("LONG", &long).replace("KEY", &key);
        let run = measure::run(&mut inspect(&format!("sh -c \"{script}\""), &[]));
        assert_eq!(run.code, Some(0), "{script}: {run:?}");
        assert!(run.took < Duration::from_secs(8), "{script}: {:?}", run.took);
        assert_none_sleeps(&long);
    }
}

#[test]
fn one_that_was_too_late_is_not_asked_again() {
    let long = long(200);
    let mut command = inspect(&format!("sleep {long}"), &["--key-command-timeout", "2"]);
    // Under another key: a second wait would be as long.
    command.arg(common::fixture("mysql-9.7").join("mixed-key3-running/binlog.000004"));
    let other = common::fixture("mysql-9.7");
    for entry in std::fs::read_dir(other).unwrap() {
        command.arg(entry.unwrap().path());
    }
    let run = measure::run(&mut command);
    assert!(run.took < Duration::from_secs(8), "{:?}", run.took);
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(said.contains("was ended after 2 s"), "{said}");
    assert_none_sleeps(&long);
}

#[test]
fn a_signal_that_ends_us_ends_it() {
    for (signal, number) in [("TERM", 15), ("INT", 2), ("HUP", 1)] {
        if is_ignored(number) {
            println!("skipped: {signal}, which whoever started the tests told them to ignore");
            continue;
        }
        let long = long(300);
        let mut child = inspect(&format!("sh -c 'sleep {long}; true'"), &[])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while !sleeps(&long) {
            assert!(start.elapsed() < Duration::from_secs(20), "it never began");
            std::thread::sleep(Duration::from_millis(10));
        }
        let kill =
            Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let status = child.wait().unwrap();
        assert!(status.signal().is_some() || status.code().unwrap() > 128, "{status}");
        assert_none_sleeps(&long);
    }
}

#[test]
fn it_inherits_none_of_our_passwords() {
    let run = measure::run(
        inspect("sh -c 'env >&2; false'", &[])
            .env("BINLOGSEC_SERVER_PASSWORD", "s3cret-of-servers")
            .env("BINLOGSEC_MARIADB_KEYS_PASSWORD", "s3cret-of-keys")
            .env("VAULT_TOKEN", "its-own"),
    );
    assert!(run.stderr.contains("VAULT_TOKEN=its-own"), "{run:?}");
    assert!(!run.stderr.contains("s3cret"), "{}", run.stderr);
}

/// As `nohup` does, and every program that is started then takes over.
fn is_ignored(signal: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(ignored.unwrap().trim(), 16).unwrap();
    ignored >> (signal - 1) & 1 != 0
}
