//! `rekey` and `header`: the header alone changes, and no instant loses it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common;

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use binlogsec_core::keyring::Keyring;
use binlogsec_core::mysql::header::EncryptionHeader;
use common::system::{NOBODY, can_trace, is_given_to, nobody};
use common::workdir::{Holder, Workdir, instants};
use common::{fixture, names, openssl};
use serde_json::Value;

const OTHER: &str = "mysql-9.7/mixed-key1-running/component_keyring_file";
const ID_1: &str = "MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_1";
const ID_3: &str = "MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_3";
const TO_OTHER: &str = "rekey binlog.index --keyring keyring --new-keyring other";
const KILLS: usize = 320;

/// Encrypted logs under the key of `keyring`, and a keyring `other`.
fn workdir(sizes: &[usize]) -> Workdir {
    let workdir = Workdir::plain(sizes);
    std::fs::copy(fixture(OTHER), workdir.log("other")).unwrap();
    let all = "encrypt --in-place binlog.index --keyring keyring --allow-in-use";
    let output = workdir.run(all);
    assert!(output.status.success(), "{}", workdir.said(&output));
    workdir
}

fn keys(workdir: &Workdir, names: &[&str]) -> Keyring {
    let mut keys = Keyring::new();
    names.iter().for_each(|name| keys.add_file(workdir.log(name)).unwrap());
    keys
}

fn key_ids(workdir: &Workdir) -> Vec<String> {
    let id = |(name, _): &(String, Vec<u8>)| {
        let log = std::fs::read(workdir.log(name)).unwrap();
        EncryptionHeader::parse(&log).unwrap().key_id.to_string()
    };
    workdir.logs.iter().map(id).collect()
}

#[test]
fn the_header_alone_changes_and_the_old_one_still_opens() {
    let workdir = workdir(&[50_000, 700]);
    let before = std::fs::read(workdir.log("binlog.000001")).unwrap();
    let names_before = names(workdir.at());
    let output = workdir.run(&format!("{TO_OTHER} --format json"));
    assert!(output.status.success(), "{}", workdir.said(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["schema"], "binlogsec.rekey/1");
    let file = &report["files"][0];
    assert_eq!(
        (&file["status"], &file["old_key_id"], &file["new_key_id"]),
        (&"rekeyed".into(), &ID_3.into(), &ID_1.into())
    );
    assert!(report["note"].as_str().unwrap().starts_with("a copy of the old header"));
    let after = std::fs::read(workdir.log("binlog.000001")).unwrap();
    assert_eq!(before.len(), after.len());
    assert!(before[512..] == after[512..]);
    assert_ne!(before[..512], after[..512]);
    assert_eq!(workdir.encrypted(&keys(&workdir, &["other"])), [true; 2]);
    assert_eq!(names(workdir.at()), names_before);
    if openssl::is_here() {
        assert!(openssl::decrypt(&after, &workdir.log("other")) == workdir.logs[0].1);
        let with_old_header = [&before[..512], &after[512..]].concat();
        assert!(openssl::decrypt(&with_old_header, &workdir.keyring()) == workdir.logs[0].1);
    }
    let again = workdir.run("rekey binlog.000001 --keyring other --format json");
    let report: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(report["files"][0]["status"], "unchanged");
    assert!(report["note"].is_null());
}

#[test]
fn every_rewrapping_has_an_iv_of_its_own() {
    let workdir = workdir(&[700]);
    let mut headers = std::collections::BTreeSet::new();
    for _ in 0..4 {
        for (old, new) in [("keyring", "other"), ("other", "keyring")] {
            let arguments = format!("rekey binlog.000001 --keyring {old} --new-keyring {new}");
            assert!(workdir.run(&arguments).status.success());
            let log = std::fs::read(workdir.log("binlog.000001")).unwrap();
            let header = EncryptionHeader::parse(&log).unwrap();
            assert!(
                headers.insert(header.iv)
                    && headers.insert(header.wrapped_password[..16].try_into().unwrap())
            );
        }
    }
}

fn fails(workdir: &Workdir, arguments: &str, code: i32, message: &str) {
    let output = workdir.run(arguments);
    assert_eq!(workdir.said(&output), format!("error: {message}\n"));
    assert_eq!(output.status.code(), Some(code), "{arguments}");
}

#[test]
fn refusals_say_why_and_change_nothing() {
    let workdir = workdir(&[5000, 700]);
    std::fs::write(workdir.log("plain"), &workdir.logs[0].1).unwrap();
    std::fs::write(workdir.log("text"), "no log").unwrap();
    let before = std::fs::read(workdir.log("binlog.000001")).unwrap();
    let names_before = names(workdir.at());
    for (arguments, code, message) in [
        ("rekey plain --keyring keyring", 2, "plain is refused: it is not encrypted, and so has no header; `encrypt` gives it one".to_owned()),
        ("rekey text --keyring keyring", 4, "log text: not a log: it starts neither with fe 62 69 6e (plaintext) nor with fd 62 69 6e (encrypted)".to_owned()),
        ("rekey nowhere --keyring keyring", 2, "cannot open nowhere: No such file or directory (os error 2)".to_owned()),
        ("rekey binlog.000001 --keyring other", 3, format!("log binlog.000001: key {ID_3} is not in other (2 entries); a rotation removes older keys, so look for a copy of the keyring from before it")),
        ("rekey binlog.000001", 3, "no replication encryption key was given: name a keyring by --keyring FILE".to_owned()),
        ("rekey binlog.000001 --keyring keyring --key-id x", 3, "key x is not in keyring (3 entries)".to_owned()),
        ("rekey binlog.000001 binlog.000002 --keyring keyring --new-keyring other --backup-header b", 2, "--backup-header takes one log, 2 were named".to_owned()),
        ("rekey binlog.000001 --keyring keyring --new-keyring other --backup-header plain", 2, "plain exists already; it is replaced with --force only".to_owned()),
    ] {
        fails(&workdir, arguments, code, &message);
        assert!(std::fs::read(workdir.log("binlog.000001")).unwrap() == before);
        assert_eq!(names(workdir.at()), names_before);
    }
    let writer = File::options().append(true).open(workdir.log("binlog.000001")).unwrap();
    let writer = Holder::of(writer);
    let pid = writer.id();
    let message =
        format!("binlog.000001 is refused: process {pid} may write it; stop the server first");
    fails(&workdir, "rekey binlog.000001 --keyring keyring --new-keyring other", 2, &message);
    drop(writer);
    let output = workdir.run(&format!("{TO_OTHER} --dry-run --format json"));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["files"][0]["status"], "would-rekey");
    assert!(std::fs::read(workdir.log("binlog.000001")).unwrap() == before);
}

#[test]
fn headers_are_put_aside_and_back() {
    let workdir = workdir(&[5000, 700]);
    let log = workdir.log("binlog.000001");
    let before = std::fs::read(&log).unwrap();
    let output = workdir
        .run("rekey binlog.000001 --keyring keyring --new-keyring other --backup-header backup");
    assert!(output.status.success(), "{}", workdir.said(&output));
    assert_eq!(std::fs::read(workdir.log("backup")).unwrap(), before[..512]);
    assert!(workdir.run("header dump binlog.000001 -o dumped").status.success());
    let after = std::fs::read(&log).unwrap();
    assert_eq!(std::fs::read(workdir.log("dumped")).unwrap(), after[..512]);
    let mode = workdir.log("dumped").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(workdir.run("header dump binlog.000001 -o -").stdout, after[..512]);
    // A header that is lost altogether.
    std::fs::write(&log, [&[0; 512], &after[512..]].concat()).unwrap();
    let output = workdir.run("header restore binlog.000001 backup --keyring keyring");
    assert!(output.status.success(), "{}", workdir.said(&output));
    assert_eq!(
        output.stdout,
        format!("binlog.000001: header restored, under key {ID_3}, proven\n").as_bytes()
    );
    assert!(std::fs::read(&log).unwrap() == before);
    let output = workdir.run("header restore binlog.000001 backup --force --format json");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["status"], &report["proven"]), (&"unchanged".into(), &false.into()));
    std::fs::write(workdir.log("plain"), &workdir.logs[0].1).unwrap();
    for (arguments, code, message) in [
        ("header restore binlog.000001 dumped", 2, "binlog.000001 is refused: without a key nothing proves that the header belongs to this log: name its keyring by --keyring FILE, or take the risk by --force".to_owned()),
        ("header restore binlog.000002 backup --keyring keyring", 3, format!("log binlog.000002: the key under {ID_3} (keyring (3 entries)) does not open this log: either another key has that name, or the wrapped password in the header is damaged")),
        ("header restore plain backup --force", 2, "plain is refused: it is not encrypted, and so has no header; `encrypt` gives it one".to_owned()),
        ("header dump plain -o x", 2, "plain is refused: it is not encrypted, and so has no header; `encrypt` gives it one".to_owned()),
        ("header dump binlog.000001 -o backup", 2, "backup exists already; it is replaced with --force only".to_owned()),
        ("header restore binlog.000001 keyring --force", 4, "log keyring: its encryption header is damaged; if another copy of the log exists, use that: offset 0: no encryption header: [7b, 22, 76, 65] found, [fd, 62, 69, 6e] expected".to_owned()),
    ] {
        fails(&workdir, arguments, code, &message);
    }
    assert!(std::fs::read(&log).unwrap() == before);
}

/// What a kill before each step of `rekey` leaves: the backup beside the log, as it is on disk.
fn interrupted(workdir: &Workdir, calls: &str) -> bool {
    let mut command = Command::new("strace");
    let inject = format!("inject={calls}:signal=KILL:when=1");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &inject]);
    command.arg(env!("CARGO_BIN_EXE_binlogsec"));
    command.args("rekey binlog.000001 --keyring keyring --new-keyring other".split(' '));
    command.current_dir(workdir.at()).output().is_ok_and(|output| output.status.code().is_none())
}

#[test]
fn a_torn_header_is_recovered() {
    let workdir = workdir(&[5000, 700]);
    let log = workdir.log("binlog.000001");
    let old = std::fs::read(&log).unwrap();
    if !can_trace() {
        return;
    }
    // Before the backup goes, the new header is there.
    assert!(interrupted(&workdir, "unlink"));
    let backup = workdir.log(".binlogsec-header-binlog.000001");
    let saved = std::fs::read(&backup).unwrap();
    let new = std::fs::read(&log).unwrap();
    assert_ne!(old[..512], new[..512]);
    for cut in [1, 7, 70, 100, 111] {
        std::fs::write(&backup, &saved).unwrap();
        std::fs::write(&log, [&new[..cut], &old[cut..]].concat()).unwrap();
        if new[..cut] != old[..cut] {
            let torn = "binlog.000001 is refused: a change of its header was interrupted and left it half written; --recover puts back the old one, which .binlogsec-header-binlog.000001 has";
            fails(&workdir, TO_OTHER_ONE, 4, torn);
        }
        let output = workdir.run("rekey binlog.000001 --recover");
        assert!(output.status.success(), "{}", workdir.said(&output));
        assert!(std::fs::read(&log).unwrap() == old, "{cut}");
        assert!(!backup.exists());
    }
    // The log is another one meanwhile.
    std::fs::write(&backup, &saved).unwrap();
    std::fs::copy(workdir.log("binlog.000002"), &log).unwrap();
    let foreign = "binlog.000001 is refused: .binlogsec-header-binlog.000001 is not a header backup of this log as it is now: somebody has replaced the log or its header since; if the header alone is new, name the keyring that opens the log (--keyring FILE), and that file is removed; if the log is another one and readable, remove that file";
    fails(&workdir, "rekey binlog.000001 --recover", 2, foreign);
    fails(&workdir, TO_OTHER_ONE, 2, foreign);
    std::fs::write(&backup, &saved[..1000]).unwrap();
    let damaged = "binlog.000001 is refused: .binlogsec-header-binlog.000001 is no whole header backup; name the keyring that opens the log (--keyring FILE): if it does, that file is removed";
    fails(&workdir, "rekey binlog.000001 --recover", 4, damaged);
}

/// As after a rotation: the server has put the log under another header since.
#[test]
fn a_log_that_opens_needs_no_header_backup() {
    if !can_trace() {
        return;
    }
    let workdir = workdir(&[5000]);
    let log = workdir.log("binlog.000001");
    let backup = workdir.log(".binlogsec-header-binlog.000001");
    assert!(interrupted(&workdir, "unlink"));
    let saved = std::fs::read(&backup).unwrap();
    std::fs::remove_file(&backup).unwrap();
    for arguments in ["rekey binlog.000001 --keyring other --new-keyring keyring", TO_OTHER_ONE] {
        let output = workdir.run(arguments);
        assert!(output.status.success(), "{}", workdir.said(&output));
    }
    let now = std::fs::read(&log).unwrap();
    for left in [&saved[..], &saved[..1000]] {
        std::fs::write(&backup, left).unwrap();
        // Nothing proves that the header is whole.
        for arguments in [TO_OTHER_ONE, "rekey binlog.000001 --recover"] {
            let output = workdir.run(arguments);
            assert!(!output.status.success());
            let said = workdir.said(&output);
            assert!(said.contains("name the keyring that opens the log"), "{said}");
            assert!(backup.exists());
        }
        let proven = "rekey binlog.000001 --keyring other";
        let output = workdir.run(&format!("{proven} --dry-run"));
        assert!(output.status.success() && backup.exists());
        let output = workdir.run(&format!("{proven} --format json"));
        assert!(output.status.success(), "{}", workdir.said(&output));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["files"][0]["recovery"], "backup-removed");
        assert!(!backup.exists());
        assert!(std::fs::read(&log).unwrap() == now);
    }
}

/// A server has its index open to write as long as it runs, and none of its closed logs.
#[test]
fn no_header_is_changed_while_the_server_is_seen_to_run() {
    let workdir = workdir(&[5000, 700]);
    let saved = workdir.run("header dump binlog.000001 -o saved");
    assert!(saved.status.success(), "{}", workdir.said(&saved));
    let before = std::fs::read(workdir.log("binlog.000001")).unwrap();
    let open = |name: &str| {
        let mut options = File::options();
        Holder::of(options.read(true).write(true).open(workdir.log(name)).unwrap())
    };
    for held in ["binlog.index", "binlog.000002"] {
        let server = open(held);
        let pid = server.id();
        let message = format!(
            "binlog.000001 is refused: process {pid} has {held} open to write, and a server rewrites the headers of its logs itself; stop the server first"
        );
        for arguments in [
            TO_OTHER_ONE,
            "rekey binlog.000001 --recover",
            "header restore binlog.000001 saved --force",
        ] {
            fails(&workdir, arguments, 2, &message);
        }
    }
    assert!(std::fs::read(workdir.log("binlog.000001")).unwrap() == before);
    let output = workdir.run(TO_OTHER_ONE);
    assert!(output.status.success(), "{}", workdir.said(&output));
}

const TO_OTHER_ONE: &str = "rekey binlog.000001 --keyring keyring --new-keyring other";

#[test]
fn killed_before_any_step_the_log_opens() {
    if !can_trace() {
        return;
    }
    for calls in ["linkat", "pwrite64", "fsync", "unlink", "ftruncate"] {
        let workdir = workdir(&[5000]);
        let met = interrupted(&workdir, calls);
        assert_eq!(workdir.encrypted(&keys(&workdir, &["keyring", "other"])), [true]);
        let output = workdir
            .run("rekey binlog.000001 --keyring keyring --keyring other --new-keyring other");
        assert!(output.status.success(), "{calls} {met}: {}", workdir.said(&output));
        assert_eq!(workdir.encrypted(&keys(&workdir, &["other"])), [true]);
        assert_eq!(names(workdir.at()), ["binlog.000001", "binlog.index", "keyring", "other"]);
    }
}

#[test]
fn killed_at_any_instant_every_log_opens() {
    let workdir = workdir(&[40_000, 3000, 500, 90_000, 600, 70_000]);
    let both = keys(&workdir, &["keyring", "other"]);
    let to = |new: &str| {
        format!("rekey binlog.index --keyring keyring --keyring other --new-keyring {new}")
    };
    let time = |new: &str, old: &str| {
        workdir.time(&to(new), || {
            let back = workdir.run(&to(old));
            assert!(back.status.success(), "{}", workdir.said(&back));
        })
    };
    let whole = time("other", "keyring").max(time("keyring", "other"));
    let (mut mixed, mut backups, mut changed) = (0, 0, 0);
    for (round, instant) in instants().take(KILLS).enumerate() {
        let new = if round % 2 == 0 { "other" } else { "keyring" };
        let before = key_ids(&workdir);
        workdir.kill_after(&to(new), whole.mul_f64(instant));
        assert_eq!(workdir.encrypted(&both), [true; 6]);
        let ids = key_ids(&workdir);
        changed += ids.iter().zip(&before).filter(|(a, b)| a != b).count();
        mixed += usize::from(ids.iter().any(|id| *id != ids[0]));
        let names = names(workdir.at());
        backups += names.iter().filter(|name| name.contains("-header-")).count();
    }
    let last = workdir.run(&to("other"));
    assert!(last.status.success(), "{}", workdir.said(&last));
    assert_eq!(key_ids(&workdir), [ID_1; 6]);
    println!(
        "{KILLS} kills: {changed} headers changed, {mixed} runs in between, {backups} backups left and used"
    );
    assert!(mixed > 0 && changed > 0);
}

#[test]
fn what_may_not_be_written_stays() {
    let workdir = workdir(&[700]);
    let keyrings = [workdir.log("keyring"), workdir.log("other")];
    let are_given = keyrings.iter().all(|keys| is_given_to(keys, NOBODY, None));
    if nobody().is_none() || !are_given {
        return;
    }
    let as_nobody = || {
        let mut command = nobody().unwrap();
        command.current_dir(workdir.at()).args(TO_OTHER_ONE.split(' '));
        command.output().unwrap()
    };
    std::fs::set_permissions(workdir.at(), Permissions::from_mode(0o755)).unwrap();
    let output = as_nobody();
    let message = "error: cannot write to binlog.000001: Permission denied (os error 13)\n";
    assert_eq!(workdir.said(&output), message);
    std::fs::set_permissions(workdir.log("binlog.000001"), Permissions::from_mode(0o666)).unwrap();
    let output = as_nobody();
    let message = "error: cannot create a file in .: Permission denied (os error 13)\n";
    assert_eq!(workdir.said(&output), message);
    assert_eq!(workdir.encrypted(&keys(&workdir, &["keyring"])), [true]);
}

#[test]
fn a_log_that_is_named_more_than_once_is_worked_on_once() {
    let workdir = workdir(&[5000, 700]);
    std::os::unix::fs::symlink("binlog.000001", workdir.log("link")).unwrap();
    let again = "./binlog.000001 link ".repeat(20);
    let output = workdir.run(&format!(
        "rekey binlog.000001 {again}. binlog.index --keyring keyring --new-keyring other --format json"
    ));
    assert!(output.status.success(), "{}", workdir.said(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let paths = report["files"].as_array().unwrap().iter();
    let logs = paths.filter(|file| file["status"] == "rekeyed");
    let mut logs: Vec<_> = logs.map(|file| file["path"].as_str().unwrap()).collect();
    logs.sort_unstable();
    assert_eq!(logs, ["./binlog.000002", "binlog.000001"], "{report:#}");
    let output = workdir.run(&format!("rekey binlog.000001 {again}. --recover"));
    assert!(output.status.success(), "{}", workdir.said(&output));
}

/// The header that a killed run wrote may not be on the disk yet.
#[test]
fn a_backup_is_removed_once_the_header_is_on_the_disk() {
    if !can_trace() {
        return;
    }
    let workdir = workdir(&[5000]);
    assert!(interrupted(&workdir, "unlink"));
    let trace = workdir.log("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-e", "trace=fsync,unlink", "-o"]);
    command.arg(&trace).arg(env!("CARGO_BIN_EXE_binlogsec"));
    command.args(["rekey", "binlog.000001", "--recover"]);
    let output = command.current_dir(workdir.at()).output().unwrap();
    assert!(output.status.success(), "{}", workdir.said(&output));
    let calls = std::fs::read_to_string(trace).unwrap();
    let place = |call: &str, of: &str| {
        let mut lines = calls.lines();
        lines.position(|line| line.contains(call) && line.contains(of))
    };
    let synced = place("fsync(", "/binlog.000001>").expect("the log is written through");
    let removed = place("unlink(", ".binlogsec-header-").expect("the backup goes");
    assert!(synced < removed, "{calls}");
}
