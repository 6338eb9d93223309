//! Logs that somebody cuts, extends, replaces or deletes while they are read.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::system::can_look_into;
use crate::lab::{Lab, finish, no_panic, said, wait, wait_until_open};

/// More than every buffer on the way holds, so that the reader of a pipe can stop it.
const LARGE: u64 = 64 << 20;

/// `log` with a hole at its end: it deciphers to noise.
fn enlarge(lab: &Lab, size: u64) {
    let file = File::options().write(true).open(lab.path("log")).unwrap();
    file.set_len(size).unwrap();
}

/// Starts a decryption to a pipe, and reads a little of it.
fn started(lab: &Lab) -> (Child, Vec<u8>) {
    enlarge(lab, LARGE);
    let mut command = lab.command("decrypt log -o - --keyring keyring");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut first = vec![0; 4096];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    (child, first)
}

/// Reads the rest.
fn ended((child, mut read): (Child, Vec<u8>)) -> (Option<i32>, String, Vec<u8>) {
    let output = child.wait_with_output().unwrap();
    no_panic(&output, "decrypt");
    read.extend(&output.stdout);
    (output.status.code(), said(&output), read)
}

fn whole() -> Vec<u8> {
    ended(started(&Lab::new())).2
}

#[test]
fn a_log_that_is_cut_is_an_error() {
    let lab = Lab::new();
    let running = started(&lab);
    enlarge(&lab, 100_000);
    let (code, message, read) = ended(running);
    assert_eq!(code, Some(2));
    assert!(message.contains("was cut while it was read"), "{message}");
    assert!(whole().starts_with(&read), "no zeros in place of what is gone");
}

#[test]
fn a_log_that_grows_is_read_as_it_was() {
    let lab = Lab::new();
    let running = started(&lab);
    enlarge(&lab, LARGE * 2);
    let (code, message, read) = ended(running);
    assert_eq!((code, message.as_str()), (Some(0), ""));
    assert!(read == whole());
}

#[test]
fn a_log_that_is_replaced_or_deleted_is_read_as_it_was() {
    for replace in [true, false] {
        let lab = Lab::new();
        let running = started(&lab);
        if replace {
            std::fs::rename(lab.path("plain"), lab.path("log")).unwrap();
        } else {
            std::fs::remove_file(lab.path("log")).unwrap();
        }
        let (code, message, read) = ended(running);
        assert_eq!((code, message.as_str()), (Some(0), ""));
        assert!(read == whole());
    }
}

/// Cuts the log under every command that reads it for long.
#[test]
fn every_command_survives_a_cut_under_its_map() {
    if !can_look_into() {
        return;
    }
    for arguments in [
        "verify log -j 1 --keyring keyring",
        "salvage log -o out -j 1 --keyring keyring",
        "decrypt log -o out -j 1 --keyring keyring",
        "decrypt log -o out -j 1 --verify --keyring keyring",
    ] {
        let lab = Lab::new();
        enlarge(&lab, 1 << 30);
        let mut command = lab.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        wait_until_open(child.id(), &lab.path("log"));
        wait_until_at_work(&mut child);
        let id = Pid::from_child(&child);
        kill_process(id, Signal::STOP).unwrap();
        enlarge(&lab, 200_000);
        kill_process(id, Signal::CONT).unwrap();
        let output = child.wait_with_output().unwrap();
        no_panic(&output, arguments);
        let message = said(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {message}");
        assert!(message.contains("was cut while it was read"), "{arguments}: {message}");
        lab.holds_only(&[]);
    }
}

/// Waits until a process has computed for longer than any start takes, and much less than a log of
/// 1 GiB does.
fn wait_until_at_work(child: &mut Child) {
    const TICKS: u64 = 5;
    while ticks(child.id()) < TICKS {
        assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Processor time of a process in ticks of the clock, 10 ms each: user and system time, fields 14
/// and 15 of `/proc/PID/stat` (proc(5)).
fn ticks(id: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let (_, behind_name) = stat.rsplit_once(") ").unwrap_or_default();
    let times = behind_name.split(' ').skip(11).take(2);
    times.map(|time| time.parse::<u64>().unwrap()).sum()
}

/// A log of 1 TiB, nearly all of it a hole. What looks at beginnings alone is done at once; what
/// reads a log reads all of it, in constant memory, until somebody stops it.
#[test]
fn a_log_of_a_tebibyte_takes_no_memory_and_can_be_stopped() {
    let lab = Lab::new();
    let log = File::options().write(true).open(lab.path("log")).unwrap();
    if let Err(error) = log.set_len(1 << 40) {
        assert_eq!(error.raw_os_error(), Some(libc::EFBIG), "{error}");
        println!("skipped: the file system has no files of 1 TiB");
        return;
    }
    for (arguments, code) in [
        ("inspect log --keyring keyring", 0),
        ("check log --keyring keyring", 0),
        ("header dump log -o out", 0),
    ] {
        assert_eq!(lab.run(arguments).status.code(), Some(code), "{arguments}");
    }
    std::fs::remove_file(lab.path("out")).unwrap();
    if !can_look_into() {
        return;
    }
    for arguments in [
        "verify log -j 2 --keyring keyring",
        "salvage log -o out -j 2 --keyring keyring",
        "decrypt log -o - -j 2 --keyring keyring",
    ] {
        let mut command = lab.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        wait_until_open(child.id(), &lab.path("log"));
        std::thread::sleep(std::time::Duration::from_millis(500));
        let resident = resident_kib(child.id());
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let status = wait(&mut child);
        // What has no temporary to remove is ended by the signal itself; a shell shows 143, too.
        let ended = status.code().or(status.signal().map(|signal| 128 + signal));
        // What is no event ends a verification, which may be before the signal.
        let has_told = ended == Some(4) && arguments.starts_with("verify");
        assert!(ended == Some(143) || has_told, "{arguments}: {status:?}");
        assert!(resident.is_none_or(|kib| kib < 128 << 10), "{arguments}: {resident:?} KiB");
        lab.holds_only(&[]);
    }
}

fn resident_kib(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[test]
fn files_that_come_and_go_in_a_tree_are_no_harm() {
    let lab = Lab::new();
    let tree = lab.path("tree");
    std::fs::create_dir(&tree).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let churn = |seed: usize| {
        let content = lab.read("plain");
        for round in 0.. {
            if stop.load(std::sync::atomic::Ordering::Relaxed) {
                return;
            }
            let name = tree.join(format!("binlog.{:06}", (round * 7 + seed) % 40));
            let length = (round * 131) % 2000;
            write_if_file(&name, &content[..length]);
            let _ = std::fs::remove_file(tree.join(format!("binlog.{:06}", (round * 3) % 40)));
            make_odd(&tree, round);
        }
    };
    std::thread::scope(|scope| {
        for seed in [0, 20] {
            let churn = &churn;
            scope.spawn(move || churn(seed));
        }
        for _ in 0..15 {
            for arguments in
                ["check tree --keyring keyring", "inspect tree", "verify tree --keyring keyring"]
            {
                let output = finish(lab.command(arguments));
                assert!(output.status.code().is_some_and(|code| code <= 4), "{arguments}");
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// Without waiting for a reader where the name has become a pipe.
fn write_if_file(path: &Path, content: &[u8]) {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    let opened = options.custom_flags(libc::O_NONBLOCK).open(path);
    let _ = opened.and_then(|mut file| file.write_all(content));
}

/// Now and then a name becomes something that is no file.
fn make_odd(tree: &Path, round: usize) {
    let name = tree.join(format!("binlog.{:06}", round % 40));
    if round.is_multiple_of(17) {
        let _ = std::fs::remove_file(&name);
        let _ = std::os::unix::fs::symlink("nowhere", &name);
    }
    if round.is_multiple_of(19) {
        let _ = std::fs::remove_file(&name);
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let fifo = rustix::fs::FileType::Fifo;
        let _ = rustix::fs::mknodat(rustix::fs::CWD, &name, fifo, mode, 0);
    }
}
