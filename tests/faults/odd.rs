//! Files of every awkward size and name, and names that are no files.

use std::ffi::OsStr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::common::{fixture, names};
use crate::lab::{Lab, finish, said};

const MARIADB_LOG: &str = "mariadb-10.11/cbc128-crc32-row/logs/binlog.000002";

fn with(lab: &Lab, arguments: &[&OsStr]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_binlogsec"));
    command.current_dir(lab.at()).env("NO_COLOR", "1");
    command.args(arguments);
    finish(command)
}

#[test]
fn files_of_every_awkward_size_have_their_code() {
    let lab = Lab::new();
    let contents = [
        ("encrypted", lab.read("log")),
        ("plaintext", lab.read("plain")),
        ("mariadb", std::fs::read(fixture(MARIADB_LOG)).unwrap()),
        ("zeros", vec![0; 600]),
        ("ones", vec![0xFF; 600]),
    ];
    for (kind, content) in &contents {
        for size in [0, 1, 3, 4, 5, 19, 22, 23, 511, 512, 513, 515, 516] {
            std::fs::write(lab.path("tiny"), &content[..size]).unwrap();
            for (arguments, makes) in [
                ("inspect tiny --keyring keyring", false),
                ("check tiny --keyring keyring", false),
                ("verify tiny --keyring keyring", false),
                ("events tiny --keyring keyring", false),
                ("decrypt tiny -o out --keyring keyring", true),
                ("encrypt tiny -o out --keyring keyring", true),
                ("salvage tiny -o out --keyring keyring", true),
                ("header dump tiny -o out", true),
                ("keyring tiny", false),
                ("rekey tiny --keyring keyring", false),
            ] {
                let output = lab.run(arguments);
                let code = output.status.code().unwrap();
                let context = format!("{kind} {size}: {arguments}: {}", said(&output));
                assert!(code <= 4, "{context}");
                let made = lab.path("out").exists();
                // Salvage tells by 1 that not all is there; the others make all or nothing.
                assert!(!made || makes && code <= 1, "{context}");
                let is_empty_but_no_log = code == 0 && size < 4 && arguments.starts_with("verify");
                assert!(!is_empty_but_no_log, "{context}");
                let _ = std::fs::remove_file(lab.path("out"));
                assert!(lab.read("tiny") == content[..size], "{context}: changed");
                lab.holds_only(&["tiny"]);
            }
        }
    }
}

/// A pipe, a socket, a device that never ends, a directory and links, all with names of logs.
fn no_files(tree: &Path) {
    std::fs::create_dir(tree).unwrap();
    let name = |number: u32| tree.join(format!("binlog.{number:06}"));
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, name(2), FileType::Fifo, mode, 0).unwrap();
    // A socket's path has 107 bytes, and the directory for temporary files may have as many.
    let directory = std::fs::File::open(tree).unwrap();
    let short = format!("/proc/self/fd/{}/binlog.000003", directory.as_raw_fd());
    drop(UnixListener::bind(short).unwrap());
    std::fs::create_dir(name(4)).unwrap();
    std::os::unix::fs::symlink("/dev/zero", name(5)).unwrap();
    std::os::unix::fs::symlink("binlog.000002", name(6)).unwrap();
    std::os::unix::fs::symlink("binlog.000007", name(7)).unwrap();
    if rustix::process::geteuid().is_root() {
        let zero = rustix::fs::makedev(1, 5);
        let _ = mknodat(CWD, name(8), FileType::CharacterDevice, mode, zero);
    }
}

#[test]
fn what_is_no_file_is_never_waited_for() {
    let lab = Lab::new();
    no_files(&lab.path("tree"));
    std::fs::copy(lab.path("log"), lab.path("tree/binlog.000001")).unwrap();
    let index: String = (1..9).map(|n| format!("./binlog.{n:06}\n")).collect();
    std::fs::write(lab.path("tree/binlog.index"), index).unwrap();
    for target in ["tree", "tree/binlog.index"] {
        for command in ["inspect", "check", "check --follow", "verify", "decrypt --output-dir outs"]
        {
            let output = lab.run(&format!("{command} {target} --keyring keyring"));
            assert!(output.status.code().is_some_and(|code| code <= 4), "{command} {target}");
        }
    }
    assert_eq!(names(&lab.path("outs")), ["binlog.000001"], "the one log that is there");
    for number in 2..9 {
        for command in [
            "inspect",
            "verify",
            "events",
            "decrypt -o out",
            "salvage -o out",
            "keyring",
            "header dump -o out",
        ] {
            let path = format!("tree/binlog.{number:06}");
            if !lab.path(&path).symlink_metadata().is_ok_and(|it| !it.is_dir()) {
                continue;
            }
            let output = lab.run(&format!("{command} {path}"));
            assert_eq!(output.status.code(), Some(2), "{command} {path}: {}", said(&output));
        }
    }
    for special in ["binlog.000002", "binlog.000003"] {
        let target = format!("decrypt log -o tree/{special} --force --keyring keyring");
        assert_eq!(lab.run(&target).status.code(), Some(2), "{special} is replaced by nothing");
    }
}

#[test]
fn names_that_are_no_text_work_everywhere() {
    let lab = Lab::new();
    let name = OsStr::from_bytes(b"b\xFF\x80in\x1B[31m.000003");
    let out = OsStr::from_bytes(b"o\xFEut");
    std::fs::rename(lab.path("log"), lab.at().join(name)).unwrap();
    let keyring: [&OsStr; 2] = ["--keyring".as_ref(), "keyring".as_ref()];
    for (command, makes) in [
        ("inspect", false),
        ("verify", false),
        ("events", false),
        ("check", false),
        ("decrypt", true),
        ("salvage", true),
    ] {
        for format in ["text", "json"] {
            let mut arguments =
                vec![OsStr::new(command), name, "--format".as_ref(), format.as_ref()];
            arguments.extend(keyring);
            if makes {
                arguments.extend([OsStr::new("-o"), out]);
            }
            let output = with(&lab, &arguments);
            assert_eq!(output.status.code(), Some(0), "{command}: {}", said(&output));
            if format == "json" {
                serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
            }
            let printed = [output.stdout, output.stderr].concat();
            assert!(!printed.contains(&0x1B), "{command} {format}: the name reaches the terminal");
            assert_eq!(std::fs::remove_file(lab.at().join(out)).is_ok(), makes);
        }
    }
    let index = [b"./", name.as_bytes(), b"\n"].concat();
    std::fs::write(lab.path("b.index"), index).unwrap();
    let output = lab.run("decrypt b.index --output-dir outs --keyring keyring");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(lab.at().join("outs").join(name).is_file());
}

#[test]
fn paths_of_4096_bytes_are_refused_by_the_system_and_not_by_a_panic() {
    let lab = Lab::new();
    let component = "d".repeat(250);
    let long: PathBuf = std::iter::repeat_n(component.as_str(), 16).collect();
    let long = long.join("e".repeat(4096 - 16 * 251));
    assert_eq!(long.as_os_str().len(), 4096);
    for command in
        ["inspect", "verify", "events", "check", "salvage -o out", "decrypt -o out", "keyring"]
    {
        let mut arguments: Vec<&OsStr> = command.split(' ').map(OsStr::new).collect();
        arguments.push(long.as_os_str());
        let output = with(&lab, &arguments);
        let code = output.status.code();
        assert!(matches!(code, Some(1 | 2)), "{command}: {code:?} {}", said(&output));
    }
    let output = with(
        &lab,
        &[
            "decrypt".as_ref(),
            "log".as_ref(),
            "-o".as_ref(),
            long.as_os_str(),
            "--keyring".as_ref(),
            "keyring".as_ref(),
        ],
    );
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    lab.holds_only(&[]);
}

/// A tree so deep that its lowest files have no path that the system would take.
#[test]
fn a_tree_deeper_than_any_path_hides_nothing_unsaid() {
    let lab = Lab::new();
    let component = "d".repeat(200);
    let script = format!(
        "mkdir deep && cd deep && for i in $(seq 25); do mkdir {component} && cd {component}; done
        cp \"$LAB/plain\" binlog.000001"
    );
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).env("LAB", lab.at()).current_dir(lab.at());
    let made = shell.output().unwrap();
    assert!(made.status.success(), "{}", said(&made));
    let output = lab.run("check deep --keyring keyring");
    assert_ne!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    // Deeper than `TempDir` can remove by itself.
    let mut remove = Command::new("rm");
    assert!(remove.args(["-rf", "deep"]).current_dir(lab.at()).status().unwrap().success());
}

#[test]
fn an_index_of_100_000_logs_is_checked_whole() {
    let lab = Lab::new();
    let tree = lab.path("tree");
    std::fs::create_dir(&tree).unwrap();
    let start = &lab.read("log")[..700];
    let mut index = String::new();
    for number in 1..=100_000 {
        // So many links has no file everywhere.
        let name = tree.join(format!("binlog.{number:06}"));
        let first = tree.join(format!("binlog.{:06}", (number - 1) / 1000 * 1000 + 1));
        if name == first {
            std::fs::write(&name, start).unwrap();
        } else {
            std::fs::hard_link(first, &name).unwrap();
        }
        index.push_str(&format!("./binlog.{number:06}\n"));
    }
    std::fs::write(tree.join("binlog.index"), &index).unwrap();
    let check = lab.run("check tree --keyring keyring --format json");
    let report: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
    let logs = report["summary"]["logs"].as_u64();
    assert_eq!(logs, Some(100_000), "{}", said(&check));
    let missing = index.replace("binlog.", "gone.");
    std::fs::write(lab.path("gone.index"), missing).unwrap();
    let check = lab.run("check gone.index --keyring keyring --format json");
    // Each is told of, and then that there was nothing to check.
    assert_eq!(check.status.code(), Some(2), "{}", said(&check));
    let found = String::from_utf8_lossy(&check.stdout).matches("BLS007").count();
    assert!(found >= 100_000, "{found} are missing");
}
