//! Where outputs go: directories that vanish, that may not be written or that are full, and what a
//! signal leaves there.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::names;
use crate::common::system::{NOBODY, can_look_into, can_mount_on, can_trace, is_ignored, nobody};
use crate::lab::{Lab, finish, no_panic, said, wait, wait_until_open};

/// A decryption from a pipe, which has read a log and waits for more of it.
fn waiting(lab: &Lab, mut command: Command) -> Child {
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let log = lab.read("log");
    child.stdin.as_mut().unwrap().write_all(&log).unwrap();
    child
}

const FROM_PIPE: &str = "decrypt - -o outs/out --keyring keyring";

/// The same, begun: the lab, the directory of its output, and the process, which has it open.
fn begun() -> (Lab, PathBuf, Child) {
    let lab = Lab::new();
    let outs = lab.path("outs");
    std::fs::create_dir(&outs).unwrap();
    let child = waiting(&lab, lab.command(FROM_PIPE));
    wait_until_open(child.id(), &outs);
    (lab, outs, child)
}

#[test]
fn a_directory_that_vanishes_is_an_error() {
    if !can_look_into() {
        return;
    }
    let (lab, outs, child) = begun();
    // With the temporary in it, if that has a name here.
    std::fs::remove_dir_all(&outs).unwrap();
    let output = child.wait_with_output().unwrap();
    no_panic(&output, FROM_PIPE);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("outs/out"), "{}", said(&output));
    lab.holds_only(&[]);
}

#[test]
fn a_name_that_is_taken_meanwhile_is_not_overwritten() {
    if !can_look_into() {
        return;
    }
    let (_lab, outs, child) = begun();
    std::fs::write(outs.join("out"), "somebody's").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert_eq!(std::fs::read(outs.join("out")).unwrap(), b"somebody's");
    assert_eq!(names(&outs), ["out"]);
}

/// Without `/proc` an unnamed file cannot be given its name: as on file systems that have none, the
/// output then has a hidden name, which a signal must remove.
#[test]
fn a_signal_removes_a_temporary_that_has_a_name() {
    if !can_mount_on("/proc".as_ref()) {
        return;
    }
    let hidden = ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /proc && exec \"$0\" \"$@\""];
    for (signal, code) in [
        (Signal::INT, Some(130)),
        (Signal::TERM, Some(143)),
        (Signal::HUP, Some(129)),
        (Signal::KILL, None),
    ] {
        if is_ignored(signal) {
            continue;
        }
        let lab = Lab::new();
        let outs = lab.path("outs");
        std::fs::create_dir(&outs).unwrap();
        let mut child = waiting(&lab, lab.under(&hidden, FROM_PIPE));
        let started = std::time::Instant::now();
        while names(&outs).is_empty() {
            assert_eq!(child.try_wait().unwrap(), None, "it ended");
            assert!(started.elapsed().as_secs() < 60, "no temporary appears");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        assert!(names(&outs)[0].starts_with(".binlogsec-"));
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(wait(&mut child).code(), code);
        let left = names(&outs);
        if code.is_some() {
            assert_eq!(left, [""; 0]);
        } else {
            assert!(!left.contains(&"out".to_owned()), "nothing under the final name");
        }
    }
}

/// A script in a mount namespace of its own; `None` where nothing can be mounted.
fn in_namespace(lab: &Lab, script: &str) -> Option<Output> {
    if !can_mount_on(lab.at()) {
        return None;
    }
    let mut command = lab.under(&["unshare", "-m", "sh", "-c", script], "");
    command.env("LAB", lab.at());
    Some(finish(command))
}

#[test]
fn a_read_only_file_system_is_read_and_not_written() {
    let lab = Lab::new();
    let script = "mkdir \"$LAB/fs\" && mount -t tmpfs none \"$LAB/fs\" || exit 12
        cp log plain keyring fs/ && mount -o remount,ro \"$LAB/fs\" || exit 12
        cd fs
        for arguments in 'inspect log' 'verify log' 'decrypt log -o -' 'check log' 'events log'; do
            \"$0\" $arguments --keyring keyring >/dev/null || exit 10
        done
        for arguments in 'decrypt log -o out' 'encrypt --in-place plain' 'salvage log -o out' \
            'rekey log' 'header dump log -o out' 'encrypt plain -o out'; do
            \"$0\" $arguments --keyring keyring >/dev/null; code=$?
            test $code = 2 || { echo \"$arguments: $code\" >&2; exit 11; }
        done
        cmp log ../log && cmp plain ../plain && ls -A";
    if let Some(output) = in_namespace(&lab, script) {
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert_eq!(output.stdout, b"keyring\nlog\nplain\n");
        assert!(said(&output).contains("Read-only file system"), "{}", said(&output));
    }
}

#[test]
fn a_full_file_system_gets_no_part_of_an_output() {
    let lab = Lab::new();
    let script = "mkdir \"$LAB/fs\" && mount -t tmpfs -o size=64k none \"$LAB/fs\" || exit 12
        for arguments in 'decrypt log -o fs/out' 'salvage log -o fs/out' 'encrypt plain -o fs/out'; do
            \"$0\" $arguments --keyring keyring >/dev/null; code=$?
            test $code = 2 || { echo \"$arguments: $code\" >&2; exit 11; }
        done
        \"$0\" decrypt log -o - --keyring keyring > fs/redirected; code=$?
        test $code = 2 && rm fs/redirected && ls -A fs";
    if let Some(output) = in_namespace(&lab, script) {
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert_eq!(output.stdout, b"");
        assert!(said(&output).contains("No space left on device"), "{}", said(&output));
    }
}

#[test]
fn what_may_not_be_read_or_written_is_said() {
    let lab = Lab::new();
    let open = PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(lab.at(), open).unwrap();
    let closed = PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(lab.path("log"), closed).unwrap();
    for (arguments, code) in [
        ("inspect log", 2),
        ("verify log --keyring keyring", 2),
        ("decrypt log -o - --keyring keyring", 2),
        ("decrypt plain -o out", 2),
        ("salvage plain -o out", 2),
        ("check log plain", 1),
    ] {
        let Some(mut command) = nobody() else {
            return;
        };
        command.current_dir(lab.at()).args(arguments.split(' '));
        let output = finish(command);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {}", said(&output));
        lab.holds_only(&[]);
    }
}

/// Root could replace the name of a terminal or a pipe by a file of plaintext.
#[test]
fn a_link_is_followed_to_what_is_replaced() {
    let lab = Lab::new();
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(to, lab.path(name)).unwrap();
    };
    let fifo = lab.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    link("fifo", "to-fifo");
    link("/dev/null", "to-device");
    link("nothing", "to-nothing");
    for (name, word) in [
        ("to-fifo", "to-fifo is a named pipe, not a regular file"),
        ("to-device", "to-device is a character device, not a regular file"),
        ("/dev/stdout", "/dev/stdout is a named pipe, not a regular file"),
        ("to-nothing", "cannot follow the link to-nothing: No such file"),
    ] {
        for force in ["", " --force"] {
            if (name, force) == ("to-nothing", "") {
                continue;
            }
            let output = lab.run(&format!("decrypt log -o {name} --keyring keyring{force}"));
            assert!(said(&output).contains(word), "{name}{force}: {}", said(&output));
            assert_eq!(output.status.code(), Some(2));
        }
    }
    for name in ["to-fifo", "to-device", "to-nothing"] {
        assert!(lab.path(name).is_symlink(), "{name}");
    }
    // A link to a file stays one, and the file is replaced.
    std::fs::create_dir(lab.path("outs")).unwrap();
    std::fs::write(lab.path("outs/old"), "old").unwrap();
    link("outs/old", "out");
    let output = lab.run("decrypt log -o out --keyring keyring");
    assert!(said(&output).contains("out exists already"), "{}", said(&output));
    let output = lab.run("decrypt log -o out --keyring keyring --force");
    assert!(output.status.success(), "{}", said(&output));
    assert!(lab.path("out").is_symlink());
    assert!(lab.path("outs/old").symlink_metadata().unwrap().is_file());
    assert!(lab.read("out").starts_with(b"\xfebin"));
    assert_eq!(names(&lab.path("outs")), ["old"]);
}

/// What a stranger leaves in a directory where everybody may leave something leads nobody to other
/// files, whatever the kernel allows.
#[test]
fn a_strangers_link_in_a_sticky_directory_is_not_followed() {
    let lab = Lab::new();
    let shared = lab.path("tmp");
    std::fs::create_dir(&shared).unwrap();
    std::fs::write(lab.path("precious"), "").unwrap();
    let link = shared.join("x.json");
    std::os::unix::fs::symlink(lab.path("precious"), &link).unwrap();
    let give = |owner| std::os::unix::fs::lchown(&link, Some(owner), Some(owner)).is_ok();
    if !give(NOBODY) {
        println!("skipped: needs to give files to others (CAP_CHOWN)");
        return;
    }
    let mode = |mode| std::fs::set_permissions(&shared, Permissions::from_mode(mode)).unwrap();
    let commands = [
        "check log --report json=tmp/x.json",
        "decrypt log --keyring keyring --force -o tmp/x.json",
    ];
    mode(0o1777);
    for arguments in commands {
        let output = lab.run(arguments);
        let message = said(&output);
        // Where the kernel protects such links, it says so first.
        let is_refused = message.contains("is a link of another user (id 65534)")
            || message.contains("cannot examine tmp/x.json: Permission denied");
        assert!(is_refused, "{arguments}: {message}");
        assert_eq!(output.status.code(), Some(2), "{arguments}");
        assert_eq!(lab.read("precious"), b"", "{arguments}");
    }
    // Our own link, and one in a directory of our own, are followed.
    assert!(give(0));
    let own = std::fs::metadata(lab.at()).unwrap().uid();
    assert!(give(own));
    assert_eq!(lab.run(commands[0]).status.code(), Some(0));
    assert!(lab.read("precious").starts_with(b"{"));
    mode(0o755);
    assert!(give(NOBODY));
    assert_eq!(lab.run(commands[0]).status.code(), Some(0));
    assert!(link.is_symlink());
}

/// An error of looking at what is there is the answer, and no reason to go on.
#[test]
fn what_cannot_be_looked_at_is_not_replaced() {
    if !can_trace() {
        return;
    }
    for (calls, at) in [("newfstatat,statx", "out"), ("openat", "out")] {
        let lab = Lab::new();
        std::fs::write(lab.path("out"), "").unwrap();
        let inject = format!("inject={calls}:error=EACCES");
        let program = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", at, "-e", &inject];
        let arguments = "decrypt log --keyring keyring --force -o out";
        let output = finish(lab.under(&program, arguments));
        assert_eq!(output.status.code(), Some(2), "{calls}: {}", said(&output));
        assert!(said(&output).contains("Permission denied"), "{}", said(&output));
        assert_eq!(lab.read("out"), b"", "{calls}");
    }
}

/// `a/log` goes to `b/log`, which is to be read, too.
#[test]
fn an_output_never_takes_the_place_of_another_input() {
    for (command, name) in [("decrypt", "log"), ("encrypt", "plain")] {
        let lab = Lab::new();
        for directory in ["a", "b"] {
            std::fs::create_dir(lab.path(directory)).unwrap();
        }
        std::fs::rename(lab.path(name), lab.path("a/binlog.000001")).unwrap();
        std::fs::copy(lab.path("a/binlog.000001"), lab.path("b/binlog.000001")).unwrap();
        let before = lab.read("b/binlog.000001");
        for inputs in ["a/binlog.000001 b/binlog.000001", "a b"] {
            let output = lab
                .run(&format!("{command} -j1 {inputs} --output-dir b --force --keyring keyring"));
            let message = said(&output);
            let kept = "b/binlog.000001 is an input of this run, too; it is not replaced, not even with --force: name another output";
            assert!(message.contains(kept), "{message}");
            assert_eq!(output.status.code(), Some(2));
            assert!(lab.read("b/binlog.000001") == before, "{inputs}");
        }
        // By another name, too.
        std::fs::create_dir(lab.path("c")).unwrap();
        std::os::unix::fs::symlink("../b/other", lab.path("c/binlog.000001")).unwrap();
        std::fs::rename(lab.path("b/binlog.000001"), lab.path("b/other")).unwrap();
        let output = lab.run(&format!(
            "{command} -j1 a/binlog.000001 b/other --output-dir c --force --keyring keyring"
        ));
        assert!(said(&output).contains("is an input of this run"), "{}", said(&output));
        assert!(lab.read("b/other") == before);
        assert_eq!(names(&lab.path("c")), ["binlog.000001", "other"]);
    }
}

/// A command that writes its process id into `pid`, and a way to send signals to it.
const WITH_ID: [&str; 3] = ["sh", "-c", "echo $$ > pid; exec \"$0\" \"$@\""];

fn send(lab: &Lab, signal: Signal) {
    let id = String::from_utf8(lab.read("pid")).unwrap();
    let id = Pid::from_raw(id.trim().parse().unwrap()).unwrap();
    kill_process(id, signal).unwrap();
}

/// The moment before a temporary becomes the output.
#[test]
fn a_signal_at_the_rename_leaves_no_temporary() {
    if !can_trace() {
        return;
    }
    let lab = Lab::new();
    let outs = lab.path("outs");
    std::fs::create_dir(&outs).unwrap();
    std::fs::write(outs.join("out"), "old").unwrap();
    let inject = "inject=rename,renameat,renameat2:delay_enter=2000000";
    let mut program = vec!["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject];
    program.extend(WITH_ID);
    let arguments = "decrypt log -o outs/out --force --keyring keyring";
    let mut child = lab.under(&program, arguments).spawn().unwrap();
    let started = std::time::Instant::now();
    while names(&outs).len() < 2 {
        assert!(started.elapsed().as_secs() < 60, "no temporary appears");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    send(&lab, Signal::TERM);
    assert_eq!(wait(&mut child).code(), Some(143));
    assert_eq!(names(&outs), ["out"]);
}

/// `nohup`, and `&` in a script.
#[test]
fn a_signal_that_is_ignored_stays_so() {
    if !can_look_into() {
        return;
    }
    let lab = Lab::new();
    let outs = lab.path("outs");
    std::fs::create_dir(&outs).unwrap();
    let nohup = ["sh", "-c", "trap '' HUP INT; exec \"$0\" \"$@\""];
    let mut child = waiting(&lab, lab.under(&nohup, FROM_PIPE));
    wait_until_open(child.id(), &outs);
    let id = Pid::from_child(&child);
    for signal in [Signal::HUP, Signal::INT] {
        kill_process(id, signal).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(child.try_wait().unwrap(), None, "{signal:?}");
    }
    kill_process(id, Signal::TERM).unwrap();
    assert_eq!(wait(&mut child).code(), Some(143));
}
