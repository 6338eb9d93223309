//! Memory stays bounded whatever the size of the log: what the process ever had resident, mapped
//! pages included.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{mixed, mixed_keyring};

/// More than a few windows and chunks for each of two workers, less than any log of interest.
const BOUND_KIB: u64 = 96 << 10;

/// The beginning of a real log, and then a hole: the rest decrypts to noise, which is as much work.
fn large_log(path: &Path, size: u64) {
    let mut beginning = std::fs::read(mixed().join("binlog.000003")).unwrap();
    beginning.truncate(64 << 10);
    std::fs::write(path, beginning).unwrap();
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(size)
        .unwrap();
}

/// A figure of `/proc/PID/status` in KiB.
fn status(id: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_start_matches(':')
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Peak of the resident set of one run; seen at least a few times while it works.
fn peak(arguments: &[&str], output: Stdio) -> u64 {
    let keyring = mixed_keyring();
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("binlogsec"))
        .args(arguments)
        .args(["--keyring", keyring.to_str().unwrap(), "-q", "-j", "2"])
        .stdout(output)
        .spawn()
        .unwrap();
    let (mut peak, mut looks) = (0, 0);
    let status_code = loop {
        if let Some(resident) = status(child.id(), "VmHWM") {
            peak = peak.max(resident);
            looks += 1;
        }
        if let Some(status_code) = child.try_wait().unwrap() {
            break status_code;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    };
    assert!(status_code.success());
    assert!(looks > 3, "only seen {looks} times");
    peak
}

#[test]
fn memory_does_not_grow_with_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    for size in [64 << 20, 512 << 20] {
        large_log(&log, size);
        let log = log.to_str().unwrap();
        let plain = directory.path().join("plain");
        let to_file = ["decrypt", log, "-o", plain.to_str().unwrap(), "--force"];
        let to_file = peak(&to_file, Stdio::inherit());
        let to_stream = peak(&["decrypt", log, "-o", "-"], Stdio::null());
        let recipient = age::x25519::Identity::generate().to_public().to_string();
        let sealed = ["decrypt", log, "-o", "-", "--recipient", &recipient];
        let sealed = peak(&sealed, Stdio::null());
        println!(
            "{} MiB: {to_file} KiB to a file, {to_stream} KiB to a stream, {sealed} KiB sealed",
            size >> 20
        );
        assert!(
            to_file.max(to_stream).max(sealed) < BOUND_KIB,
            "{size}: {to_file} {to_stream} {sealed}"
        );
    }
}
