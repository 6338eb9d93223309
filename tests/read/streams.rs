//! Many logs in one stream, as one `mysqlbinlog -` reads them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::path::{Path, PathBuf};
use std::process::Output;

use common::{binlogsec, fixture, logs, mixed, mixed_keyring, mysqlbinlog, plaintext};

/// Where the flags of a log's first event are, the in-use bit in the lowest.
const FIRST_FLAGS: usize = 21;

fn stream(inputs: &[&Path], arguments: &[&str]) -> Output {
    let mut command = binlogsec();
    command.arg("decrypt").args(inputs).args(["-o", "-", "--keyring"]);
    command.arg(mixed_keyring()).args(arguments).env("TZ", "UTC");
    command.output().unwrap()
}

/// The plaintext as a closed log has it.
fn closed(path: &Path) -> Vec<u8> {
    let mut plain = plaintext(path, &mixed_keyring());
    plain[FIRST_FLAGS] &= !1;
    plain
}

fn all() -> Vec<PathBuf> {
    (1..=6).map(|number| mixed().join(format!("binlog.{number:06}"))).collect()
}

fn joined(paths: &[PathBuf]) -> Vec<u8> {
    let plain: Vec<_> = paths.iter().map(|path| closed(path)[4..].to_vec()).collect();
    [b"\xfebin".to_vec(), plain.concat()].concat()
}

#[test]
fn an_index_a_directory_and_names_give_all_logs_behind_one_magic() {
    let expected = joined(&all());
    let index = mixed().join("binlog.index");
    let paths = all();
    let names: Vec<_> = paths.iter().map(PathBuf::as_path).collect();
    let twice = [names.clone(), vec![&*index]].concat();
    for inputs in [vec![&*index], vec![&*mixed()], names, twice] {
        let output = stream(&inputs, &[]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{inputs:?}: {error}");
        assert!(output.stdout == expected, "{inputs:?}: {} bytes", output.stdout.len());
    }
}

#[test]
fn the_servers_reader_reads_all_transactions_of_the_stream() {
    let plain = stream(&[&mixed().join("binlog.index")], &[]).stdout;
    let Some((success, text)) = mysqlbinlog(&["--base64-output=decode-rows"], &plain) else {
        println!("skipped: no mysqlbinlog");
        return;
    };
    assert!(success, "{text}");
    let counted = |plain: &[u8]| {
        let events = logs::events(plain);
        events.iter().filter(|(.., kind)| *kind == 16).count()
    };
    let expected: usize = all().iter().map(|path| counted(&closed(path))).sum();
    assert!(expected > 100);
    assert_eq!(text.matches("Xid = ").count(), expected);
}

#[test]
fn a_log_without_its_key_or_damaged_leaves_no_byte_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    for path in all() {
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let third = folder.path().join("binlog.000003");
    let sound = std::fs::read(&third).unwrap();
    let mut other_key = sound.clone();
    // The generation at the end of the key id, in the header.
    let at = other_key.windows(2).position(|pair| pair == b"_3").unwrap();
    other_key[at + 1] = b'9';
    let mut damaged = sound.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 200].fill(0);
    for (bytes, code) in [(other_key, 3), (damaged, 4)] {
        std::fs::write(&third, bytes).unwrap();
        let output = stream(&[folder.path()], &["--verify"]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(output.stdout.is_empty() && error.contains("binlog.000003"), "{error}");
        let file = folder.path().join("out");
        let target = file.to_str().unwrap();
        let output = binlogsec()
            .args(["decrypt", "-o", target, "--verify", "--keyring"])
            .arg(mixed_keyring())
            .args([&third, &folder.path().join("binlog.000004")])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code));
        assert!(!file.exists());
    }
}

#[test]
fn positions_are_those_of_the_first_and_of_the_last_log() {
    let (first, last) = (closed(&all()[2]), closed(&all()[3]));
    let start = |plain: &[u8], number: usize| {
        let begins: Vec<_> =
            logs::events(plain).into_iter().filter(|(.., kind)| *kind == 33).collect();
        begins[number].0
    };
    let (from, to) = (start(&first, 5), start(&last, 3));
    let arguments = ["--start-position", &from.to_string(), "--stop-position", &to.to_string()];
    let output = stream(&[&all()[2], &all()[3]], &arguments);
    let head = 4 + 123;
    let expected = [&first[..head], &first[from..], &last[4..to]].concat();
    assert!(output.status.success() && output.stdout == expected);
}

#[test]
fn logs_behind_the_moment_are_not_even_opened() {
    let folder = tempfile::tempdir().unwrap();
    let later = folder.path().join("binlog.000007");
    std::fs::write(&later, b"no log").unwrap();
    let output = stream(&[&all()[2], &later], &["--to", "2026-11-20 22:38:59"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    let output = stream(&[&all()[2], &later], &["--to", "2099-01-01"]);
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty());
}

#[test]
fn relay_and_binary_logs_are_not_mixed() {
    let relay = fixture("mysql-9.7/replica-relay-running");
    let output = binlogsec()
        .arg("decrypt")
        .args([relay.join("replica-relay-bin.000001"), mixed().join("binlog.000001")])
        .args(["-o", "-", "--keyring"])
        .arg(relay.join("component_keyring_file"))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{error}");
    assert!(error.contains("is a relay log and") && error.contains("a binary log"), "{error}");
}

#[test]
fn a_log_that_is_left_out_in_between_is_told() {
    let output = stream(&[&all()[0], &all()[2]], &[]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.contains("does not follow"), "{error}");
    let output = stream(&[&all()[0], &all()[1]], &[]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("follow"));
}

#[test]
fn a_selection_of_nothing_is_told_by_the_exit_code() {
    for inputs in [vec![&*all()[2]], vec![&*mixed()]] {
        let output = stream(&inputs, &["--from", "2099-01-01"]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("no transaction is in the slice"), "{error}");
    }
}

#[test]
fn a_time_is_in_the_zone_that_is_named_and_what_it_came_to_is_told() {
    let run = |zone: &str, time: &str| {
        let mut command = binlogsec();
        command.arg("decrypt").arg(&all()[2]).args(["-o", "-", "--keyring"]);
        command.arg(mixed_keyring()).args(["--to", time, "--time-zone", zone]);
        command.env("TZ", "Asia/Tokyo").output().unwrap()
    };
    let (before, behind) = ("2026-11-21 07:38:00", "2026-11-21 07:50:00");
    // 22:38:59 UTC is 07:38:59 on a clock in Tokyo.
    for zone in ["local", "Asia/Tokyo"] {
        assert_eq!(run(zone, before).status.code(), Some(1), "{zone}");
        let output = run(zone, behind);
        assert!(output.status.success() && output.stdout == closed(&all()[2]), "{zone}");
        let said = String::from_utf8_lossy(&output.stderr);
        let expected =
            "--to is 2026-11-20 22:50:00 UTC (2026-11-21 07:50:00 +09:00 on this machine's";
        assert!(said.contains(expected), "{said}");
    }
    let output = run("UTC", "2026-11-20 22:50:00");
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("2026-11-21 07:50:00 +09:00"));
    // Clocks are put forward: 02:30 is not there.
    let output = run("Europe/Berlin", "2026-03-29 02:30:00");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("give it with its offset"));
}

#[test]
fn logs_of_a_directory_are_in_the_order_of_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    for (number, name) in [(2, "binlog.999999"), (3, "binlog.1000000")] {
        std::fs::copy(&all()[number], folder.path().join(name)).unwrap();
    }
    let output = stream(&[folder.path()], &[]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !error.contains("follow"), "{error}");
    assert!(output.stdout == joined(&[all()[2].clone(), all()[3].clone()]));
}

#[test]
fn where_another_series_of_logs_begins_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.000001");
    std::fs::copy(&all()[2], &other).unwrap();
    let output = stream(&[&all()[0], &other], &[]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.contains("is of another series of logs"), "{error}");
    assert!(!error.contains("does not follow"), "{error}");
}
