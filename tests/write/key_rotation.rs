//! `encrypt --in-place` and `rekey` while the server rotates its key: no log is lost, whenever the
//! rotation comes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use crate::common;

use std::io::Read;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::open::OpenLog;
use common::names;
use common::rotation::Rotation;
use common::shim::shim;
use common::system::can_trace;
use common::workdir::Workdir;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const ENCRYPT: &str = "encrypt --in-place binlog.index --keyring keyring -j1 --format json";
/// A command that has not ended in this time waits for something, where its threads cannot be looked at.
const ENOUGH: Duration = Duration::from_millis(800);
/// One that was found asleep at so many looks, a millisecond or more apart, waits: longer than it sleeps
/// for anything else.
const LOOKS: usize = 30;
const KEY: &str = "MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_3";

/// Logs of a server that has turned encryption on: the last one, which it writes, is encrypted.
fn workdir() -> Workdir {
    let workdir = Workdir::plain(&[40_000, 700, 3000, 900]);
    let last = "encrypt --in-place binlog.000004 --keyring keyring --allow-in-use";
    let output = workdir.run(last);
    assert!(output.status.success(), "{}", workdir.said(&output));
    workdir
}

/// Whether each log of the directory is encrypted; panics for one that is not what it was, or that
/// the keys do not open.
fn whole(workdir: &Workdir, keys: &Keyring) -> Vec<bool> {
    let state = |(name, plain): &(String, Vec<u8>)| {
        let log = OpenLog::open(workdir.log(name), keys);
        let log = log.unwrap_or_else(|error| panic!("{name} is lost: {error:?}"));
        let mut content = Vec::new();
        log.reader().read_to_end(&mut content).unwrap();
        assert!(content == *plain, "{name} is not what it was");
        log.probe().stream().is_some()
    };
    workdir.logs.iter().map(state).collect()
}

/// A command that stands still after a system call, until it is told to go on.
struct Stopped {
    strace: Child,
    id: Pid,
    _trace: tempfile::NamedTempFile,
}

impl Stopped {
    /// After the call of this kind that is met for the `time`th time, on `file` if one is named. Its
    /// output when the command has ended without such a call.
    fn after(
        workdir: &Workdir,
        arguments: &str,
        place: (&str, Option<&str>),
        time: usize,
    ) -> Result<Self, Output> {
        Self::with(workdir, arguments, place, time, &[])
    }

    /// The same with variables of the command's environment, as `NAME=VALUE`.
    fn with(
        workdir: &Workdir,
        arguments: &str,
        (calls, file): (&str, Option<&str>),
        time: usize,
        variables: &[String],
    ) -> Result<Self, Output> {
        let trace = tempfile::NamedTempFile::new().unwrap();
        let inject = format!("inject={calls}:signal=STOP:when={time}");
        let mut command = Command::new("strace");
        command.args(["-f", "-o"]).arg(trace.path());
        command.args(["-e", &format!("trace={calls}"), "-e", &inject]);
        command.args(variables.iter().flat_map(|it| ["-E", it]));
        if let Some(file) = file {
            // As it is named, and as descriptors lead to it.
            command.args(["-P", file, "-P"]).arg(workdir.log(file));
        }
        command.arg(env!("CARGO_BIN_EXE_binlogsec"));
        command.args(arguments.split(' '));
        command.current_dir(workdir.at()).env("NO_COLOR", "1");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut strace = command.spawn().unwrap();
        let started = Instant::now();
        loop {
            let text = std::fs::read_to_string(trace.path()).unwrap();
            let mut lines = text.lines();
            if let Some(line) = lines.find(|line| line.contains("--- stopped by SIGSTOP ---")) {
                let id = line.split(' ').next().unwrap().parse().unwrap();
                let id = Pid::from_raw(id).unwrap();
                let _trace = trace;
                return Ok(Self { strace, id, _trace });
            }
            if strace.try_wait().unwrap().is_some() {
                return Err(strace.wait_with_output().unwrap());
            }
            assert!(started.elapsed() < Duration::from_secs(60), "it hangs");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn go_on(self) -> Output {
        kill_process(self.id, Signal::CONT).unwrap();
        self.strace.wait_with_output().unwrap()
    }

    /// Goes on, and lets `other` come as soon as the command waits for it, or at its end.
    fn go_on_until(mut self, other: impl FnOnce()) -> Output {
        kill_process(self.id, Signal::CONT).unwrap();
        let started = Instant::now();
        let mut asleep = 0;
        while self.strace.try_wait().unwrap().is_none()
            && started.elapsed() < ENOUGH
            && asleep < LOOKS
        {
            std::thread::sleep(Duration::from_millis(1));
            asleep += usize::from(self.sleeps());
        }
        other();
        self.strace.wait_with_output().unwrap()
    }

    /// Whether a thread of the command sleeps: it does so between two looks at a rotation that it waits
    /// for. The number of the call that it is in comes first in `/proc/PID/task/TID/syscall`.
    fn sleeps(&self) -> bool {
        let threads = format!("/proc/{}/task", self.id.as_raw_nonzero());
        let threads = std::fs::read_dir(threads).into_iter().flatten().flatten();
        let mut calls =
            threads.filter_map(|it| std::fs::read_to_string(it.path().join("syscall")).ok());
        let sleep = [libc::SYS_clock_nanosleep, libc::SYS_nanosleep].map(|it| it.to_string());
        calls.any(|call| sleep.iter().any(|it| call.split(' ').next() == Some(it)))
    }

    fn kill(self) {
        kill_process(self.id, Signal::KILL).unwrap();
        self.strace.wait_with_output().unwrap();
    }
}

/// Where a command is stopped: after which call, on this file alone if one is named, and how often it
/// is tried at most.
const PLACES: [(&str, Option<&str>, usize); 7] = [
    ("openat", Some("keyring"), 9),
    ("pread64", Some("binlog.000001"), 9),
    ("fsync", None, 4),
    ("linkat", None, 2),
    ("rename,renameat,renameat2", None, 1),
    ("unlink,unlinkat", None, 1),
    ("pwrite64", None, 2),
];

/// Stops the command at every place, lets the server go so many steps on, and the command to its end;
/// then the server to its end. `check` looks at what has become of the logs.
fn interleave(
    make: &dyn Fn() -> Workdir,
    arguments: &str,
    check: &mut dyn FnMut(&Workdir, &Output, &str),
) {
    let total = Rotation::steps(4);
    let steps = [
        0,
        1,
        3,
        4,
        5,
        6,
        7,
        10,
        14,
        // The header of the oldest log is read, and not written yet.
        total - 4,
        total - 3,
        total - 2,
        total - 1,
        total,
    ];
    for (calls, file, times) in PLACES {
        for time in 1..=times {
            for steps in steps {
                let workdir = make();
                let keyring = workdir.keyring();
                let place = format!("{calls} {time}, {steps} steps");
                let Ok(stopped) = Stopped::after(&workdir, arguments, (calls, file), time) else {
                    break;
                };
                let mut server = Rotation::new(workdir.at(), &keyring, 3);
                server.go(steps);
                let output = stopped.go_on_until(|| server.finish());
                check(&workdir, &output, &place);
            }
        }
    }
}

#[test]
fn no_log_is_lost_whenever_the_server_rotates_its_key() {
    if !can_trace() {
        return;
    }
    let (mut done, mut stopped) = (0, 0);
    interleave(&workdir, ENCRYPT, &mut |workdir, output, place| {
        let states = whole(workdir, &Rotation::keys(&workdir.keyring()));
        let said = workdir.said(output);
        match output.status.code() {
            Some(0) => done += 1,
            Some(2 | 3) => {
                // At the very first look the server may have removed the number in use.
                let no_number = said.contains("no entry says which key is in use");
                let is_said =
                    said.contains("which may not stay") || said.contains("the run was stopped at");
                assert!(no_number || is_said, "{place}: {said}");
                stopped += 1;
            }
            other => panic!("{place}: {other:?}: {said}"),
        }
        if output.status.success() {
            assert_eq!(states, [true; 4], "{place}");
        }
        let names = names(workdir.at());
        let left = names.iter().filter(|name| name.starts_with('.'));
        assert_eq!(left.count(), 0, "{place}: {names:?}");
    });
    println!("{done} runs to their end, {stopped} stopped");
    assert!(done > 0 && stopped > 0);
}

#[test]
fn no_log_is_lost_when_the_run_is_killed_while_the_key_is_rotated() {
    if !can_trace() {
        return;
    }
    let total = Rotation::steps(4);
    let mut let_go = 0;
    for (calls, times) in [("linkat", 2), ("rename,renameat,renameat2", 1), ("unlinkat", 1)] {
        for time in 1..=times {
            for steps in [0, 5, 9, total] {
                let workdir = workdir();
                let place = (calls, None);
                let stopped = Stopped::after(&workdir, ENCRYPT, place, time).unwrap();
                let mut server = Rotation::new(workdir.at(), &workdir.keyring(), 3);
                server.go(steps);
                stopped.kill();
                server.finish();
                let output = workdir.run(ENCRYPT);
                let said = workdir.said(&output);
                assert!(output.status.success(), "{calls} {time} {steps}: {said}");
                let keys = Rotation::keys(&workdir.keyring());
                assert_eq!(whole(&workdir, &keys), [true; 4], "{calls} {time} {steps}");
                let text = String::from_utf8(output.stdout).unwrap();
                let_go += usize::from(text.contains("binlogsec-plain-"));
                let names = names(workdir.at());
                assert!(!names.iter().any(|name| name.starts_with('.')), "{names:?}");
            }
        }
    }
    println!("{let_go} plaintexts were let go");
    assert!(let_go > 0);
}

#[test]
fn a_stopped_run_tells_of_every_log_and_ends_with_2() {
    if !can_trace() {
        return;
    }
    let workdir = workdir();
    let place = ("rename,renameat,renameat2", None);
    let stopped = Stopped::after(&workdir, ENCRYPT, place, 1).unwrap();
    let mut server = Rotation::new(workdir.at(), &workdir.keyring(), 3);
    server.go(5);
    let output = stopped.go_on_until(|| server.finish());
    assert_eq!(output.status.code(), Some(2), "{}", workdir.said(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let files = report["files"].as_array().unwrap();
    let statuses: Vec<_> = files.iter().map(|it| it["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["encrypted", "failed", "failed", "left-out"]);
    let notes = files[0]["notes"].to_string();
    assert!(notes.contains("the server rotated its key meanwhile"), "{notes}");
    let reason = |at: usize| files[at]["reason"].as_str().unwrap().to_owned();
    assert!(
        reason(1).contains("the run was stopped at")
            && reason(1).contains("a key rotation was interrupted: the new key is in use"),
        "{}",
        reason(1)
    );
    let again = workdir.run(ENCRYPT);
    assert!(again.status.success(), "{}", workdir.said(&again));
    assert_eq!(whole(&workdir, &Rotation::keys(&workdir.keyring())), [true; 4]);
}

/// What a run leaves that is killed when the encrypted log has the name, and the server as it is then.
fn killed_after_the_rename() -> (Workdir, std::path::PathBuf) {
    let workdir = workdir();
    let aside = workdir.log(".binlogsec-plain-binlog.000001");
    let output = workdir.run("encrypt --in-place binlog.000001 --keyring keyring");
    assert!(output.status.success(), "{}", workdir.said(&output));
    std::fs::write(&aside, &workdir.logs[0].1).unwrap();
    (workdir, aside)
}

#[test]
fn the_next_run_puts_the_plaintext_back_whose_key_is_gone() {
    let (workdir, aside) = killed_after_the_rename();
    // The server had passed the log when it got its new form: it does not know it.
    let index = workdir.log("binlog.index");
    let listed = std::fs::read_to_string(&index).unwrap();
    std::fs::write(&index, listed.replace("./binlog.000001\n", "")).unwrap();
    // The name of its next log is that of one that is there: it goes by how many are listed.
    std::fs::rename(workdir.log("binlog.000004"), workdir.log("kept")).unwrap();
    std::fs::write(
        &index,
        listed.replace("./binlog.000001\n", "").replace("./binlog.000004\n", "./kept\n"),
    )
    .unwrap();
    Rotation::new(workdir.at(), &workdir.keyring(), 3).finish();
    let output = workdir.run("encrypt --in-place binlog.000001 --keyring keyring --format json");
    let said = workdir.said(&output);
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("had left its plaintext aside"), "{text}");
    assert!(!aside.exists());
    let keys = Rotation::keys(&workdir.keyring());
    let log = OpenLog::open(workdir.log("binlog.000001"), &keys).unwrap();
    let mut content = Vec::new();
    log.reader().read_to_end(&mut content).unwrap();
    assert!(content == workdir.logs[0].1);
}

/// Neither the encrypted log nor its plaintext is touched: the server may still need the one, and
/// write over the other.
#[test]
fn the_next_run_touches_nothing_while_it_cannot_know_whether_the_key_stays() {
    let (workdir, aside) = killed_after_the_rename();
    let log = workdir.log("binlog.000001");
    let before = std::fs::read(&log).unwrap();
    let mut server = Rotation::new(workdir.at(), &workdir.keyring(), 3);
    server.go(6);
    // A dry run does not wait for the end of the rotation.
    for arguments in [
        "encrypt --in-place binlog.000002 --keyring keyring --dry-run",
        &format!("encrypt --in-place binlog.000002 --keyring keyring --key-id {KEY} --dry-run"),
    ] {
        let output = workdir.run(arguments);
        let said = workdir.said(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("its plaintext is kept in .binlogsec-plain-binlog.000001"), "{said}");
        assert!(said.contains("run the same command again"), "{said}");
        assert!(std::fs::read(&log).unwrap() == before);
        assert!(std::fs::read(&aside).unwrap() == workdir.logs[0].1);
    }
    server.finish();
    let output = workdir.run(ENCRYPT);
    assert!(output.status.success(), "{}", workdir.said(&output));
    assert!(!aside.exists());
    assert_eq!(whole(&workdir, &Rotation::keys(&workdir.keyring())), [true; 4]);
}

/// A rotation that never comes to its end: after a minute both forms of the log are left, and the next
/// run decides.
#[test]
fn a_rotation_that_takes_too_long_leaves_the_log_and_its_plaintext() {
    if !can_trace() {
        return;
    }
    // The command's minute passes in 1.2 seconds.
    let Some((_directory, library)) = shim() else {
        return;
    };
    let workdir = workdir();
    let place = ("rename,renameat,renameat2", None);
    let clock = [format!("LD_PRELOAD={}", library.display()), "FAULTS=hurry".to_owned()];
    let stopped = Stopped::with(&workdir, ENCRYPT, place, 1, &clock).unwrap();
    let mut server = Rotation::new(workdir.at(), &workdir.keyring(), 3);
    // It has read the header of the oldest log, and will write it.
    server.go(Rotation::steps(4) - 4);
    let begun = Instant::now();
    let output = stopped.go_on();
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(1200), "it waits a minute: {took:?}");
    let said = workdir.said(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("its plaintext is kept in .binlogsec-plain-binlog.000001"), "{said}");
    let aside = workdir.log(".binlogsec-plain-binlog.000001");
    assert!(std::fs::read(&aside).unwrap() == workdir.logs[0].1);
    server.finish();
    let again = workdir.run(ENCRYPT);
    assert!(again.status.success(), "{}", workdir.said(&again));
    assert!(!aside.exists());
    assert_eq!(whole(&workdir, &Rotation::keys(&workdir.keyring())), [true; 4]);
}

/// An old copy of the keyring has the key of before the rotation, and says nothing of the new one.
#[test]
fn a_copy_of_the_keyring_that_is_older_than_the_logs_is_refused() {
    let workdir = workdir();
    let old = workdir.log("copy");
    std::fs::copy(workdir.keyring(), &old).unwrap();
    Rotation::new(workdir.at(), &workdir.keyring(), 3).finish();
    let before = std::fs::read(workdir.log("binlog.000001")).unwrap();
    for arguments in [
        "encrypt --in-place binlog.index --keyring copy",
        "encrypt --in-place binlog.000001 --keyring copy",
        "encrypt --in-place binlog.000001 --keyring copy --dry-run",
    ] {
        let output = workdir.run(arguments);
        let said = workdir.said(&output);
        assert_eq!(output.status.code(), Some(3), "{arguments}: {said}");
        assert!(said.contains("from an older copy"), "{said}");
        assert!(std::fs::read(workdir.log("binlog.000001")).unwrap() == before);
    }
    let output = workdir.run("encrypt --in-place binlog.index --keyring copy --keyring keyring");
    assert_ne!(output.status.code(), Some(0), "the old key is the first one's");
    let output = workdir.run(ENCRYPT);
    assert!(output.status.success(), "{}", workdir.said(&output));
    assert_eq!(whole(&workdir, &Rotation::keys(&workdir.keyring())), [true; 4]);
}

/// No file tells what the server does with its keys: its logs do.
#[test]
fn keys_without_a_keyring_are_checked_against_the_logs() {
    if !can_trace() {
        return;
    }
    let copy: Value =
        serde_json::from_slice(&std::fs::read(common::mixed_keyring()).unwrap()).unwrap();
    let elements = copy["elements"].as_array().unwrap();
    let key = elements.iter().find(|it| it["data_id"] == KEY).unwrap();
    let key = key["data"].as_str().unwrap().to_owned();
    for source in [
        format!("--key-file {KEY}=key"),
        "--key-file key".to_owned(),
        "--key-command cat`key".to_owned(),
    ] {
        let workdir = workdir();
        std::fs::write(workdir.log("key"), &key).unwrap();
        let arguments = format!("encrypt --in-place binlog.index {source} --key-id {KEY} -j1");
        let arguments = arguments.replace(" -j1", " --allow-in-use -j1");
        if source.contains('`') {
            // A blank within an argument.
            let mut command = workdir.command("encrypt --in-place binlog.index --key-command");
            command.arg("cat key").args(["--key-id", KEY]);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", workdir.said(&output));
            let said = workdir.said(&output);
            assert!(said.contains("do not rotate it during the run"), "{said}");
            assert_eq!(whole(&workdir, &Rotation::keys(&workdir.keyring())), [true; 4]);
            continue;
        }
        let place = ("rename,renameat,renameat2", None);
        let stopped = Stopped::after(&workdir, &arguments, place, 1).unwrap();
        let server = Rotation::new(workdir.at(), &workdir.keyring(), 3);
        server.finish();
        let output = stopped.go_on();
        let said = workdir.said(&output);
        assert_ne!(output.status.code(), Some(0), "{source}: {said}");
        assert!(said.contains("do not rotate it during the run"), "{said}");
        whole(&workdir, &Rotation::keys(&workdir.keyring()));
    }
}

/// MariaDB has no rotation; but somebody may put another key into the file.
#[test]
fn a_key_file_of_mariadb_that_changes_meanwhile_costs_no_log() {
    if !can_trace() {
        return;
    }
    let workdir = Workdir::plain_mariadb(&[700, 900]);
    let arguments = "encrypt --in-place binlog.index --mariadb-keys keyring --allow-in-use -j1";
    let place = ("rename,renameat,renameat2", None);
    let stopped = Stopped::after(&workdir, arguments, place, 1).unwrap();
    let keys = std::fs::read_to_string(workdir.keyring()).unwrap();
    let other = keys.replace(|sign: char| sign.is_ascii_digit(), "1");
    assert_ne!(keys, other);
    std::fs::write(workdir.keyring(), other).unwrap();
    let output = stopped.go_on();
    let said = workdir.said(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("keyring has another key under 1 than before"), "{said}");
    for (name, plain) in &workdir.logs {
        assert!(std::fs::read(workdir.log(name)).unwrap() == *plain, "{name}");
    }
    std::fs::write(workdir.keyring(), keys).unwrap();
    let output = workdir.run(arguments);
    assert!(output.status.success(), "{}", workdir.said(&output));
}

#[test]
fn no_log_is_lost_whenever_the_server_rotates_during_rekey() {
    if !can_trace() {
        return;
    }
    let (mut done, mut stopped) = (0, 0);
    // From an older key of the server, which a rotation at its start has left, to the one in use.
    let make = || {
        let workdir = Workdir::plain(&[4000, 700, 3000, 900]);
        let text = std::fs::read(workdir.keyring()).unwrap();
        let mut keyring: Value = serde_json::from_slice(&text).unwrap();
        let elements = keyring["elements"].as_array_mut().unwrap();
        let mut older = elements[0].clone();
        older["data_id"] = KEY.replace("_3", "_2").into();
        older["data"] = "2B".repeat(32).into();
        elements.push(older);
        std::fs::write(workdir.keyring(), keyring.to_string()).unwrap();
        for arguments in [
            "encrypt --in-place binlog.000004 --keyring keyring --allow-in-use".to_owned(),
            format!("encrypt --in-place binlog.index --keyring keyring --key-id {KEY}")
                .replace("_3", "_2"),
        ] {
            let output = workdir.run(&arguments);
            assert!(output.status.success(), "{}", workdir.said(&output));
        }
        workdir
    };
    let rekey = "rekey binlog.000001 --keyring keyring -j1 --format json";
    interleave(&make, rekey, &mut |workdir, output, place| {
        whole(workdir, &Rotation::keys(&workdir.keyring()));
        match output.status.code() {
            Some(0) => done += 1,
            Some(2 | 3) => stopped += 1,
            other => panic!("{place}: {other:?}: {}", workdir.said(output)),
        }
        let names = names(workdir.at());
        let left = names.iter().filter(|name| name.starts_with('.'));
        assert_eq!(left.count(), 0, "{place}: {names:?}");
    });
    println!("{done} runs to their end, {stopped} stopped");
    assert!(done > 0 && stopped > 0);
}
