//! What the command prints and leaves, when it succeeds and when it fails.

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process};

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
    command.env_remove("BINLOGSEC_KEYRING").current_dir(directory);
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
        assert_clean(&output.stdout, &needles, &format!("the output of {arguments}"));
        assert_clean(&output.stderr, &needles, &format!("the messages of {arguments}"));
        for file in files(directory.path()) {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            if !matches!(name.as_str(), "keyring" | "damaged") {
                let content = std::fs::read(&file).unwrap();
                assert_clean(&content, &needles, &format!("{name} after {arguments}"));
            }
        }
    }
}

/// A program in a directory, with as much of a core allowed as the system lets this user have.
fn with_cores(directory: &Path, program: &[&str]) -> Command {
    let mut shell = Command::new("bash");
    let script = "ulimit -S -c hard; exec \"$0\" \"$@\"";
    shell.args(["-c", script]).args(program);
    shell.current_dir(directory).stdin(Stdio::piped());
    shell.stdout(Stdio::piped());
    if geteuid().is_root() {
        shell.gid(65534); // so that `owner` tells it from root
    }
    shell
}

/// Whose a process's files in /proc are: its own user's and group's, or root's if the kernel may
/// not dump it. `None` where such processes are hidden from this user (`hidepid`).
fn owner(child: &Child) -> Option<(u32, u32)> {
    let path = format!("/proc/{}/environ", child.id());
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.uid(), metadata.gid()))
}

/// The command while it holds keys: it has begun to write what nobody goes on reading.
fn holding_keys(directory: &Path) -> Child {
    let program = env!("CARGO_BIN_EXE_binlogsec");
    let arguments = [program, "decrypt", "-", "-o", "-", "--keyring", "keyring"];
    let mut child = with_cores(directory, &arguments).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut log = std::fs::read(mixed().join("binlog.000003")).unwrap();
    log.resize(log.len() + (4 << 20), 0);
    // It is killed before it has read all.
    std::thread::spawn(move || stdin.write_all(&log));
    let mut magic = [0; 4];
    let stdout = child.stdout.as_mut().unwrap();
    stdout.read_exact(&mut magic).unwrap();
    assert_eq!(&magic, b"\xFEbin");
    child
}

/// Whether a crash makes the kernel write a core, wherever it puts it; and what is new in the
/// directory.
fn crash(mut child: Child, directory: &Path) -> (bool, Vec<String>) {
    let before = crate::common::names(directory);
    kill_process(Pid::from_child(&child), Signal::ABORT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()));
    let mut names = crate::common::names(directory);
    names.retain(|name| !before.contains(name));
    (status.core_dumped(), names)
}

#[test]
fn a_crash_leaves_no_core_where_others_leave_one() {
    let directory = prepared();
    let directory = directory.path();
    // Reads a line that never comes.
    let mut other = with_cores(directory, &["bash", "-c", "echo here; read"]);
    let mut other = match other.spawn() {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            println!("skipped: needs to take another group (CAP_SETGID)");
            return;
        }
        spawned => spawned.unwrap(),
    };
    let mut said = [0; 5];
    other.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_ne!(owner(&other).unwrap(), (0, 0), "seen by its own user");
    let (dumped, names) = crash(other, directory);
    if !dumped {
        println!("skipped in part: this system writes no cores for this user");
    }
    for name in names {
        std::fs::remove_file(directory.join(name)).unwrap();
    }

    // Two barriers: no core of any size, for where cores are files; and none at all.
    let child = holding_keys(directory);
    if let Some(owner) = owner(&child) {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let of_cores = limits.lines().find(|line| line.starts_with("Max core file size"));
        let of_cores: Vec<_> = of_cores.unwrap().split_whitespace().skip(4).collect();
        assert_eq!(of_cores, ["0", "0", "bytes"]);
        assert_eq!(owner, (0, 0));
    } else {
        println!("skipped in part: such processes are hidden from this user");
    }
    assert_eq!(crash(child, directory), (false, Vec::new()));
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

#[test]
fn files_of_passwords_that_others_can_read_are_warned_of() {
    let directory = prepared();
    let folder = directory.path();
    std::fs::copy(fixture("mariadb-10.11/cbc128-crc32-row/keys.txt"), folder.join("keys.txt"))
        .unwrap();
    std::fs::set_permissions(folder.join("keys.txt"), std::fs::Permissions::from_mode(0o600))
        .unwrap();
    std::fs::write(folder.join("secret"), "s3cret\n").unwrap();
    std::fs::write(folder.join("client.cnf"), "[client]\npassword=s3cret\n").unwrap();
    // Nobody listens there.
    let server = "audit --server mysql://audit@127.0.0.1:1/";
    for (name, command) in [
        ("secret", "inspect log --mariadb-keys keys.txt --mariadb-keys-password-file secret"),
        ("secret", &*format!("{server} --password-file secret")),
        ("secret", &*format!("{server}?password-file=secret")),
        ("client.cnf", &*format!("{server}?defaults-file=client.cnf")),
    ] {
        for (mode, warned) in [(0o600, false), (0o400, false), (0o644, true), (0o660, true)] {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(folder.join(name), permissions).unwrap();
            let output = run(folder, command);
            let said = String::from_utf8_lossy(&output.stderr);
            let warning = format!(
                "{name} holds a password and is open to more users than it should be \
                 (mode {mode:03o})"
            );
            assert_eq!(said.contains(&warning), warned, "{command} {mode:o}: {said}");
            assert!(!said.contains("s3cret"));
        }
    }
}

#[test]
fn plaintext_into_a_file_that_others_can_read_is_warned_of() {
    let directory = prepared();
    let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    for (mode, to_others, warned) in
        [(0o644, false, true), (0o640, false, true), (0o600, false, false), (0o644, true, false)]
    {
        if to_others && !cfg!(feature = "age") {
            continue;
        }
        let path = directory.path().join(format!("{mode:o}-{to_others}"));
        let file = std::fs::File::create(&path).unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_binlogsec"));
        command.current_dir(directory.path()).stdout(file);
        command.args(["decrypt", "log", "-o", "-", "--keyring", "keyring"]);
        if to_others {
            command.args(["--recipient", recipient]);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(said.contains("standard output gets plaintext"), warned, "{said}");
    }
}
