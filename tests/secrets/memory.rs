//! Memory: of a process that held keys and dropped them, and of the command at work.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::open::OpenLog;

use crate::common::system::can_look_into;
use crate::common::{mixed, mixed_keyring};
use crate::search::{Needle, in_memory, needles};

/// Tells the second process of this test what to look for.
const NEEDLES: &str = "BINLOGSEC_TEST_NEEDLES";

fn counts(found: &[(String, usize)], start: &str) -> usize {
    let of_name = found.iter().filter(|(name, _)| name.starts_with(start));
    of_name.map(|(_, count)| count).sum()
}

/// In a process of its own, which has never had the secrets but through the library.
#[test]
fn dropped_keys_are_gone_from_memory() {
    if let Some(path) = std::env::var_os(NEEDLES) {
        hold_and_drop(Path::new(&path));
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines: String = needles().iter().map(Needle::to_line).collect();
    std::fs::write(file.path(), lines).unwrap();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "memory::dropped_keys_are_gone_from_memory", "--nocapture"]);
    again.args(["--test-threads", "1"]).env(NEEDLES, file.path());
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("while held"), "the second process did its part");
}

fn hold_and_drop(path: &Path) {
    let lines = std::fs::read_to_string(path).unwrap();
    let needles: Vec<_> = lines.lines().map(Needle::from_line).collect();
    let keys = Keyring::open(mixed_keyring()).unwrap();
    let log = OpenLog::open(mixed().join("binlog.000003"), &keys).unwrap();
    let mut plain = Vec::new();
    log.reader().read_to_end(&mut plain).unwrap();
    assert!(plain.starts_with(b"\xFEbin"));
    let held = in_memory("self", &needles);
    println!("while held: {held:?}");
    assert!(counts(&held, "key-raw") > 0, "the search finds what is there");
    assert_eq!(counts(&held, "key-hex") + counts(&held, "key-HEX"), 0, "the file's text is gone");
    drop((log, keys));
    let dropped = in_memory("self", &needles);
    println!("after drop: {dropped:?}");
    assert_eq!(counts(&dropped, ""), 0, "{dropped:?}");
}

/// The command holds keys as bytes while it works; never their text, and never in what other
/// processes of its user may see.
#[test]
fn a_process_at_work_shows_no_more_than_it_needs() {
    if !can_look_into() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("out");
    let mut command = Command::new(env!("CARGO_BIN_EXE_binlogsec"));
    command.args(["decrypt", "-", "-o"]).arg(&target);
    command.arg("--keyring").arg(mixed_keyring());
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let log = std::fs::read(mixed().join("binlog.000003")).unwrap();
    child.stdin.as_mut().unwrap().write_all(&log).unwrap();
    let process = child.id().to_string();
    let descriptors = format!("/proc/{process}/fd");
    let writes = || {
        let entries = std::fs::read_dir(&descriptors).unwrap().flatten();
        let mut links = entries.filter_map(|entry| entry.path().read_link().ok());
        links.any(|link| link.starts_with(directory.path()))
    };
    let started = std::time::Instant::now();
    while !writes() {
        assert!(started.elapsed().as_secs() < 60, "no output is begun");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let needles = needles();
    let found = in_memory(&process, &needles);
    println!("at work: {found:?}");
    for text in ["hex", "HEX", "base64", "base64url", "base64-tail"] {
        assert_eq!(counts(&found, &format!("key-{text}")), 0, "{found:?}");
        assert_eq!(counts(&found, &format!("password-{text}")), 0, "{found:?}");
    }
    assert_eq!(counts(&found, "password-raw"), 0, "needed for the file key alone: {found:?}");
    for shown in ["cmdline", "environ", "comm", "status", "maps"] {
        let content = std::fs::read(format!("/proc/{process}/{shown}")).unwrap();
        assert!(needles.iter().all(|needle| needle.count(&content) == 0), "{shown}");
    }
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}
