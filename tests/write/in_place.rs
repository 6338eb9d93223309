//! `encrypt --in-place`: nothing is lost, whatever ends it and whenever.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use crate::common;

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;
use std::time::{Duration, SystemTime};

use binlogsec_core::file::openers::Openers;
use binlogsec_core::keyring::Keyring;
use common::system::{
    NOBODY, can_look_into, can_mount_on, can_trace, has_unnamed_files, is_given_to, nobody,
};
use common::workdir::{Holder, Workdir, instants};
use common::{mixed_keyring, names, openssl};
use rustix::fs::XattrFlags;
use serde_json::Value;

const ALL: &str = "encrypt --in-place binlog.index --keyring keyring --allow-in-use";
const MARIADB: &str = "encrypt --in-place binlog.index --mariadb-keys keyring --allow-in-use";
const KILLS: usize = 320;

fn keys() -> Keyring {
    Keyring::open(mixed_keyring()).unwrap()
}

#[test]
fn logs_are_replaced_and_keep_all_but_their_content() {
    let workdir = Workdir::plain(&[50_000, 5_000_000, 700]);
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let (mut has_attributes, mut is_given) = (false, false);
    for (name, _) in &workdir.logs {
        let file = File::options().write(true).open(workdir.log(name)).unwrap();
        file.set_permissions(Permissions::from_mode(0o640)).unwrap();
        let value = name.as_bytes();
        has_attributes =
            rustix::fs::fsetxattr(&file, "user.origin", value, XattrFlags::empty()).is_ok();
        is_given = is_given_to(&workdir.log(name), 990, Some(991));
        file.set_modified(old).unwrap();
    }
    let before = names(workdir.at());
    let output = workdir.run(ALL);
    assert!(output.status.success(), "{}", workdir.said(&output));
    assert_eq!(workdir.encrypted(&keys()), [true; 3]);
    assert_eq!(names(workdir.at()), before);
    for (name, plain) in &workdir.logs {
        let metadata = workdir.log(name).metadata().unwrap();
        assert_eq!(metadata.len(), plain.len() as u64 + 512);
        assert_eq!(metadata.mode() & 0o7777, 0o640);
        assert_eq!(metadata.modified().unwrap(), old);
        if is_given {
            assert_eq!((metadata.uid(), metadata.gid()), (990, 991));
        }
        if has_attributes {
            let mut value = [0; 64];
            let file = File::open(workdir.log(name)).unwrap();
            let length = rustix::fs::fgetxattr(&file, "user.origin", &mut value).unwrap();
            assert_eq!(&value[..length], name.as_bytes());
        }
        if openssl::is_here() {
            let log = std::fs::read(workdir.log(name)).unwrap();
            assert!(openssl::decrypt(&log, &workdir.keyring()) == *plain);
        }
    }
    let again = workdir.run(&format!("{ALL} --format json"));
    assert!(again.status.success(), "{}", workdir.said(&again));
    let report: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(report["files"][0]["status"], "left-out");
}

fn refused(workdir: &Workdir, arguments: &str, message: &str) {
    let output = workdir.run(&format!("encrypt --in-place --keyring keyring {arguments}"));
    assert_eq!(workdir.said(&output), format!("error: {message}\n"));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_log_that_somebody_uses_is_refused() {
    let workdir = Workdir::plain(&[5000, 5000, 5000]);
    let last = "binlog.000003 is refused: it is the last entry of binlog.index, which its server writes as long as it runs; if that server is stopped, --allow-in-use takes it";
    refused(&workdir, "binlog.000003", last);
    refused(&workdir, "binlog.000003 --dry-run", last);
    let reader = Holder::of(File::open(workdir.log("binlog.000002")).unwrap());
    let pid = reader.id();
    let open = format!(
        "binlog.000002 is refused: it is open in process {pid}; --allow-in-use takes it, and they go on with the old file"
    );
    refused(&workdir, "binlog.000002", &open);
    let writer = File::options().append(true).open(workdir.log("binlog.000001")).unwrap();
    let writer = Holder::of(writer);
    let pid = writer.id();
    let writing =
        format!("binlog.000001 is refused: process {pid} may write it; stop the server first");
    refused(&workdir, "binlog.000001", &writing);
    refused(&workdir, "binlog.000001 --allow-in-use", &writing);
    drop(writer);
    let lock = File::open(workdir.log("binlog.000001")).unwrap();
    lock.lock().unwrap();
    let busy = "binlog.000001 is refused: another binlogsec is at work on it";
    refused(&workdir, "binlog.000001 --allow-in-use", busy);
    drop(lock);
    assert_eq!(workdir.encrypted(&keys()), [false; 3]);
    let output = workdir.run(ALL);
    assert!(output.status.success(), "{}", workdir.said(&output));
    drop(reader);
    assert_eq!(workdir.encrypted(&keys()), [true; 3]);
}

#[test]
fn standard_input_cannot_be_replaced() {
    let workdir = Workdir::plain(&[5000]);
    let message = "standard input has no name for --in-place; use -o FILE";
    refused(&workdir, "-", message);
    refused(&workdir, "nothing", "cannot open nothing: No such file or directory (os error 2)");
}

#[test]
fn a_dry_run_tells_and_does_nothing() {
    let workdir = Workdir::plain(&[5000, 6000]);
    std::fs::write(workdir.log(".binlogsec-abc123"), "left").unwrap();
    let state = || {
        let file = |name: &String| std::fs::metadata(workdir.log(name)).unwrap().ctime_nsec();
        let names = names(workdir.at());
        names.iter().map(|name| (name.clone(), file(name))).collect::<Vec<_>>()
    };
    let before = state();
    let output = workdir.run(&format!("{ALL} --dry-run --format json"));
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["files"][0]["status"], "would-encrypt");
    let sealed = workdir.logs[0].1.len() as u64 + 512;
    assert_eq!(report["files"][0]["size"].as_u64(), Some(sealed));
    assert_eq!(report["leftovers"].as_array().unwrap().len(), 1);
    assert_eq!(state(), before);
    let output = workdir.run(ALL);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("left over from an interrupted run: "), "{text}");
    assert_eq!(names(workdir.at()).len(), before.len() - 1);
}

#[test]
fn a_link_is_followed_and_another_name_is_told_of() {
    let workdir = Workdir::plain(&[5000, 6000]);
    std::os::unix::fs::symlink("binlog.000001", workdir.log("link")).unwrap();
    std::fs::hard_link(workdir.log("binlog.000001"), workdir.log("second")).unwrap();
    let output = workdir.run("encrypt --in-place link --keyring keyring");
    assert!(output.status.success(), "{}", workdir.said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("the plaintext stays under 1 other name(s): hard links"), "{text}");
    assert!(workdir.log("link").is_symlink());
    assert_eq!(workdir.encrypted(&keys()), [true, false]);
}

const SIZES: [usize; 6] = [40_000, 3_000_000, 500, 90_000, 5_000_000, 70_000];

#[test]
fn killed_at_any_instant_every_log_is_whole() {
    survive_kills(&Workdir::plain(&SIZES), ALL, &keys());
}

#[test]
fn killed_at_any_instant_every_log_of_mariadb_is_whole() {
    survive_kills(&Workdir::plain_mariadb(&SIZES), MARIADB, &mariadb_keys());
}

fn mariadb_keys() -> Keyring {
    let path = common::fixture("mariadb-10.11/cbc128-crc32-row/keys.txt");
    Keyring::open(path).unwrap()
}

/// Random instants of a whole run over several logs.
fn survive_kills(workdir: &Workdir, arguments: &str, keys: &Keyring) {
    let restore = |states: &[bool]| {
        for ((name, plain), _) in workdir.logs.iter().zip(states).filter(|(_, state)| **state) {
            std::fs::write(workdir.log(name), plain).unwrap();
        }
    };
    let whole = workdir.time(arguments, || restore(&[true; SIZES.len()]));
    let mut states = vec![true; SIZES.len()];
    let (mut old, mut new, mut mixed, mut left) = (0, 0, 0, 0);
    for (round, instant) in instants().take(KILLS).enumerate() {
        restore(&states);
        workdir.kill_after(arguments, whole.mul_f64(instant * 1.05));
        states = workdir.encrypted(keys);
        let done = states.iter().filter(|&&encrypted| encrypted).count();
        new += done;
        old += states.len() - done;
        mixed += usize::from(done > 0 && done < states.len());
        let names = names(workdir.at());
        left += names.iter().filter(|name| name.starts_with(".binlogsec-")).count();
        if round % 20 == 0 {
            assert!(workdir.run(arguments).status.success());
            states = workdir.encrypted(keys);
            assert_eq!(states, [true; 6]);
            assert_eq!(common::names(workdir.at()).len(), 6 + 2, "leftovers are gone");
        }
    }
    println!(
        "{KILLS} kills: {old} logs in the old form, {new} in the new, {mixed} runs in between, {left} leftovers"
    );
    assert!(old > 0 && new > 0 && mixed > 0);
}

#[test]
fn killed_before_any_step_every_log_is_whole() {
    let make = || Workdir::plain(&[40_000, 700]);
    survive_steps(&make, ("pwrite64", 2), ALL, &keys());
}

#[test]
fn killed_before_any_step_every_log_of_mariadb_is_whole() {
    let make = || Workdir::plain_mariadb(&[40_000, 700]);
    survive_steps(&make, ("write", 1), MARIADB, &mariadb_keys());
}

/// The instants that chance may not hit: before every system call that changes something.
fn survive_steps(make: &dyn Fn() -> Workdir, writes: (&str, u32), arguments: &str, keys: &Keyring) {
    if !can_trace() {
        return;
    }
    let mut leftovers = 0;
    for (calls, times) in [
        writes,
        ("fsync", 3),
        ("fchown", 1),
        ("fchmod", 1),
        ("utimensat", 1),
        ("linkat", 1),
        ("rename,renameat,renameat2", 1),
    ] {
        for time in 1..=times {
            let workdir = make();
            let inject = format!("inject={calls}:signal=KILL:when={time}");
            let mut command = Command::new("strace");
            command.args(["-f", "-qq", "-o", "/dev/null", "-e", &inject]);
            command
                .arg(env!("CARGO_BIN_EXE_binlogsec"))
                .args(arguments.split(' '))
                // Calls are counted by thread: with one, the first log is at work and no other.
                .arg("-j1");
            let output = command.current_dir(workdir.at()).output().unwrap();
            let states = workdir.encrypted(keys);
            let names = names(workdir.at());
            leftovers += names.iter().filter(|name| name.starts_with(".binlogsec-")).count();
            let is_unmet =
                calls == "fchown" || calls == "linkat" && !has_unnamed_files(workdir.at());
            if !is_unmet {
                assert_eq!(output.status.code(), None, "{calls} {time} was met");
                assert_ne!(states, [true; 2], "{calls} {time}");
            }
            assert!(workdir.run(arguments).status.success());
            assert_eq!(workdir.encrypted(keys), [true; 2]);
            assert_eq!(common::names(workdir.at()).len(), 4);
        }
    }
    println!("{leftovers} leftovers were met and removed");
    assert!(leftovers > 0);
}

/// A log that was never encrypted: the event is put in, and a damaged event is not hidden by a new
/// checksum.
#[test]
fn a_log_of_mariadb_with_other_positions_is_replaced_too() {
    let workdir = Workdir::plain_mariadb(&[700]);
    let log = workdir.log("binlog.000001");
    let plain = std::fs::read(common::fixture("mariadb-10.11/plain-crc32/logs/binlog.000003"));
    let plain = plain.unwrap();
    std::fs::write(&log, &plain).unwrap();
    let dry = workdir.run(&format!("{MARIADB} --dry-run"));
    assert!(dry.status.success());
    assert_eq!(std::fs::read(&log).unwrap(), plain);
    let output = workdir.run(MARIADB);
    assert!(output.status.success(), "{}", workdir.said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("every event stands 40 bytes later"), "{text}");
    assert_eq!(log.metadata().unwrap().len(), plain.len() as u64 + 40);
    let verified = workdir.run("verify binlog.000001 --mariadb-keys keyring");
    assert!(verified.status.success(), "{}", workdir.said(&verified));
    let again =
        workdir.run("encrypt --in-place binlog.000001 --mariadb-keys keyring --allow-in-use");
    assert_eq!(again.status.code(), Some(2), "encrypted already");

    let mut damaged = plain.clone();
    let last = damaged.len() - 6;
    damaged[last] ^= 1;
    std::fs::write(&log, &damaged).unwrap();
    let output = workdir.run(MARIADB);
    assert_eq!(output.status.code(), Some(4), "{}", workdir.said(&output));
    assert!(workdir.said(&output).contains("has a wrong checksum"));
    assert_eq!(std::fs::read(&log).unwrap(), damaged, "left as it was");
    let names = names(workdir.at());
    assert_eq!(names, ["binlog.000001", "binlog.index", "keyring"]);
}

#[test]
fn a_full_disk_changes_nothing() {
    let workdir = Workdir::plain(&[900_000]);
    // A limit on file sizes, whose signal is ignored, answers as a full disk does.
    let mut command = Command::new("sh");
    let script = "trap '' XFSZ; ulimit -f 600; exec \"$@\"";
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_binlogsec")]);
    let output = command.args(ALL.split(' ')).current_dir(workdir.at()).output().unwrap();
    let message = "error: cannot write binlog.000001: File too large (os error 27)\n";
    assert_eq!((workdir.said(&output).as_str(), output.status.code()), (message, Some(2)));
    assert_eq!(workdir.encrypted(&keys()), [false]);
    assert_eq!(names(workdir.at()), ["binlog.000001", "binlog.index", "keyring"]);
}

#[test]
fn a_full_file_system_changes_nothing() {
    let workdir = Workdir::plain(&[900_000]);
    if !can_mount_on(workdir.at()) {
        return;
    }
    let small = workdir.log("small");
    std::fs::create_dir(&small).unwrap();
    // The mount is seen by this one shell, and ends with it.
    let script = "mount -t tmpfs -o size=1500k none small || exit 12
        cp -p binlog.000001 keyring small/ && cd small || exit 1
        \"$0\" encrypt --in-place binlog.000001 --keyring keyring; code=$?
        cmp binlog.000001 ../binlog.000001 && ls -A && exit $code";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_binlogsec")]);
    let output = command.current_dir(workdir.at()).output().unwrap();
    let message =
        "error: cannot write small/binlog.000001: No space left on device (os error 28)\n";
    assert_eq!((workdir.said(&output).as_str(), output.status.code()), (message, Some(2)));
    assert_eq!(output.stdout, b"binlog.000001\nkeyring\n");
}

#[test]
fn what_may_not_be_replaced_stays() {
    let workdir = Workdir::plain(&[5000]);
    if nobody().is_none() || !is_given_to(&workdir.keyring(), NOBODY, None) {
        return;
    }
    // A user who may read and no more than that, whatever mode files are made with here.
    for name in ["binlog.000001", "binlog.index"] {
        std::fs::set_permissions(workdir.log(name), Permissions::from_mode(0o644)).unwrap();
    }
    let as_nobody = || {
        let mut command = nobody().unwrap();
        command.current_dir(workdir.at()).args(ALL.split(' '));
        command.output().unwrap()
    };
    let mode = |mode| {
        std::fs::set_permissions(workdir.at(), Permissions::from_mode(mode)).unwrap();
    };
    mode(0o555);
    let output = as_nobody();
    let message = "error: cannot create a file in .: Permission denied (os error 13)\n";
    assert_eq!((workdir.said(&output).as_str(), output.status.code()), (message, Some(2)));
    mode(0o777);
    let output = as_nobody();
    let message =
        "error: cannot keep the owner of binlog.000001: Operation not permitted (os error 1)\n";
    assert_eq!((workdir.said(&output).as_str(), output.status.code()), (message, Some(2)));
    assert_eq!(workdir.encrypted(&keys()), [false]);
    assert_eq!(names(workdir.at()), ["binlog.000001", "binlog.index", "keyring"]);
}

/// What a server writes after the log was opened, and before the work on it began.
#[test]
fn what_is_appended_once_the_log_is_open_is_not_lost() {
    if !can_look_into() || !can_trace() {
        return;
    }
    let workdir = Workdir::plain(&[5000]);
    let log = workdir.log("binlog.000001");
    let mut command = Command::new("strace");
    let inject = "inject=flock:delay_enter=3000000:when=1";
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", inject]);
    command.arg(env!("CARGO_BIN_EXE_binlogsec"));
    command.args(ALL.split(' ')).current_dir(workdir.at());
    let child = command.stderr(std::process::Stdio::piped()).spawn();
    let mut child = child.unwrap();
    while Openers::of(&log.metadata().unwrap()).readers.is_empty() {
        assert_eq!(child.try_wait().unwrap(), None, "it never opened the log");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut server = File::options().append(true).open(&log).unwrap();
    server.write_all(b"a later event...").unwrap();
    drop(server);
    let output = child.wait_with_output().unwrap();
    let message =
        "binlog.000001 is refused: it was changed while it was worked on, and is left as it is now";
    assert_eq!(workdir.said(&output), format!("error: {message}\n"));
    assert_eq!(output.status.code(), Some(2));
    let (_, plain) = &workdir.logs[0];
    let expected = [plain, &b"a later event..."[..]].concat();
    assert!(std::fs::read(&log).unwrap() == expected);
}

/// Where processes of others are not even listed, nobody can say that none has the log open.
/// What a dry run of all logs says where a script has mounted something else; `None` where nothing can be
/// mounted.
fn dry_run_in_namespace(workdir: &Workdir, script: &str) -> Option<String> {
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_binlogsec")]);
    command.args(ALL.split(' ')).arg("--dry-run");
    let output = command.current_dir(workdir.at()).output().unwrap();
    if output.status.code() == Some(77) {
        println!("skipped: nothing can be mounted here");
        return None;
    }
    assert!(output.status.success(), "{}", workdir.said(&output));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn processes_that_are_hidden_are_told_of() {
    if !can_mount_on("/proc".as_ref()) {
        return;
    }
    let workdir = Workdir::plain(&[5000]);
    std::os::unix::fs::chown(workdir.at(), Some(990), Some(990)).unwrap();
    for name in names(workdir.at()) {
        std::os::unix::fs::chown(workdir.log(&name), Some(990), Some(990)).unwrap();
    }
    let script = "mount -t proc -o hidepid=2 proc /proc || exit 77; exec setpriv --reuid=990 --regid=990 --clear-groups \"$0\" \"$@\"";
    let Some(text) = dry_run_in_namespace(&workdir, script) else { return };
    assert!(text.contains("processes of other users could not be looked at"), "{text}");
}

/// As in a chroot or a bare container: root is told what is missing, and not to become root.
#[test]
fn where_proc_is_not_mounted_that_is_what_is_said() {
    if !can_mount_on("/proc".as_ref()) {
        return;
    }
    let workdir = Workdir::plain(&[5000]);
    let script = "mount -t tmpfs none /proc || exit 77; exec \"$0\" \"$@\"";
    let Some(text) = dry_run_in_namespace(&workdir, script) else { return };
    assert!(text.contains("/proc is not mounted here"), "{text}");
    assert!(!text.contains("only root"), "{text}");
}

/// A copied directory, whose index names the logs of the server that it comes from.
#[test]
fn a_copied_index_does_not_lead_to_the_logs_of_another_directory() {
    let (server, copy) = (Workdir::plain(&[5000, 700]), Workdir::plain(&[5000, 700]));
    let lines = |names: &[&str]| -> String {
        let path = |name: &&str| format!("{}\n", server.log(name).display());
        names.iter().map(path).collect()
    };
    let index = copy.log("binlog.index");
    std::fs::write(&index, lines(&["binlog.000001", "binlog.000002"])).unwrap();
    std::fs::remove_file(copy.log("binlog.000002")).unwrap();
    let plain = |workdir: &Workdir, at: usize| {
        let (name, plain) = &workdir.logs[at];
        std::fs::read(workdir.log(name)).unwrap() == *plain
    };
    let output = copy.run(ALL);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("those beside the index are taken"), "{said}");
    assert!(said.contains("but it lies in another directory"), "{said}");
    assert!(plain(&server, 0) && plain(&server, 1), "the server's own");
    assert!(!plain(&copy, 0), "the one beside the index");

    let (last, rekey) = (lines(&["binlog.000002"]), "rekey binlog.index --keyring keyring");
    std::fs::write(&index, last).unwrap();
    let before = std::fs::read(server.log("binlog.000002")).unwrap();
    let output = copy.run(rekey);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("but it lies in another directory"), "{said}");
    assert!(std::fs::read(server.log("binlog.000002")).unwrap() == before);
    // What is named is meant.
    let log = server.log("binlog.000001").display().to_string();
    let output = copy.run(&format!("encrypt --in-place {log} --keyring keyring"));
    assert!(output.status.success(), "{}", copy.said(&output));
    assert!(!plain(&server, 0));
}

/// Every process has its open files looked through once, however many logs there are.
#[test]
fn other_processes_are_looked_at_once_a_run() {
    if !can_trace() {
        return;
    }
    let workdir = Workdir::plain(&[700; 40]);
    let trace = workdir.log("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=openat", "-o"]).arg(&trace);
    command.arg(env!("CARGO_BIN_EXE_binlogsec")).args(ALL.split(' '));
    let output = command.arg("-j2").current_dir(workdir.at()).output().unwrap();
    assert!(output.status.success(), "{}", workdir.said(&output));
    let calls = std::fs::read_to_string(trace).unwrap();
    let lists = calls.lines().filter(|line| line.contains("\"/proc\", "));
    // A look counts for two seconds, and a busy machine may take longer for the run.
    let lists = lists.count();
    assert!((1..=20).contains(&lists), "{lists} looks for 40 logs");
}
