//! Memory stays bounded whatever the size of the log: what the process ever had resident, mapped
//! pages included.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{mixed, mixed_keyring};

/// More than a few windows and chunks for each of two workers, less than any log of interest.
const BOUND_KIB: u64 = 96 << 10;

/// The beginning of a real log, and then a hole: the rest decrypts to noise, which is as much work.
fn large_log(path: &Path, size: u64) {
    let mut beginning = std::fs::read(mixed().join("binlog.000003")).unwrap();
    beginning.truncate(64 << 10);
    std::fs::write(path, beginning).unwrap();
    File::options().write(true).open(path).unwrap().set_len(size).unwrap();
}

/// A figure of `/proc/PID/status` in KiB.
fn status(id: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
}

/// Looks at a process that is at work, and how often it was seen.
#[derive(Default)]
struct Peak {
    kib: u64,
    looks: usize,
}

impl Peak {
    fn look(&mut self, child: &Child) {
        if let Some(resident) = status(child.id(), "VmHWM") {
            self.kib = self.kib.max(resident);
            self.looks += 1;
        }
    }
}

fn start(arguments: &[&str], output: Stdio) -> Child {
    let mut command = Command::new(common::program());
    command.args(arguments).arg("--keyring").arg(mixed_keyring());
    command.args(["-q", "-j", "2"]).stdout(output);
    command.stderr(Stdio::piped()).spawn().unwrap()
}

/// Whether it could do its work: if not, for want of space.
fn done(child: Child) -> bool {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let is_full = said.contains("No space left on device");
    assert!(output.status.success() || is_full, "{said}");
    !is_full
}

/// Peak of the resident set, seen a few times at least, however fast the machine is. `None` where
/// the output has no space.
fn peak_to_file(arguments: &[&str]) -> Option<u64> {
    let mut peak = Peak::default();
    while peak.looks <= 3 {
        let mut child = start(arguments, Stdio::null());
        while child.try_wait().unwrap().is_none() {
            peak.look(&child);
            std::thread::yield_now();
        }
        if !done(child) {
            return None;
        }
    }
    Some(peak.kib)
}

/// The same while its output is read: at every mebibyte, the last of them included.
fn peak_to_stream(arguments: &[&str], size: u64) -> u64 {
    let mut child = start(arguments, Stdio::piped());
    let mut output = child.stdout.take().unwrap();
    let (mut peak, mut piece, mut read) = (Peak::default(), vec![0; 1 << 20], 0);
    loop {
        // Not until the end, behind which there may be no process to look at.
        let length = output.read(&mut piece).unwrap() as u64;
        if length == 0 {
            break;
        }
        if (read + length) >> 20 > read >> 20 {
            peak.look(&child);
        }
        read += length;
    }
    assert!(done(child));
    assert!(read >= size - 512, "{read} bytes");
    assert!(peak.looks as u64 > (size >> 20) / 2, "{}", peak.looks);
    peak.kib
}

#[cfg(feature = "age")]
fn peak_sealed(log: &str, size: u64) -> u64 {
    let recipient = age::x25519::Identity::generate().to_public().to_string();
    peak_to_stream(&["decrypt", log, "-o", "-", "--recipient", &recipient], size)
}

/// This build makes no age files.
#[cfg(not(feature = "age"))]
fn peak_sealed(_log: &str, _size: u64) -> u64 {
    println!("skipped in part: built without age files (feature `age`)");
    0
}

#[test]
fn memory_does_not_grow_with_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    for size in [64 << 20, 256 << 20] {
        large_log(&log, size);
        let log = log.to_str().unwrap();
        let plain = directory.path().join("plain");
        let to_file = ["decrypt", log, "-o", plain.to_str().unwrap(), "--force"];
        let to_file = peak_to_file(&to_file).unwrap_or_else(|| {
            println!("skipped in part: no space for an output of {size} bytes");
            0
        });
        let to_stream = peak_to_stream(&["decrypt", log, "-o", "-"], size);
        let sealed = peak_sealed(log, size);
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

/// A plaintext log of `size` bytes and nothing but GTID events, each of a UUID of its own or with a gap
/// before its number.
fn log_of_gtids(path: &Path, size: usize, is_one_uuid: bool) {
    let real = std::fs::read(mixed().join("binlog.000001")).unwrap();
    let all = common::logs::events(&real);
    let &(offset, length, _) = all.iter().find(|(.., kind)| *kind == 33).unwrap();
    let mut log = real[..all[1].0].to_vec();
    log[21] &= !1;
    let mut number = 1_u64;
    while log.len() < size {
        let mut event = real[offset..offset + length].to_vec();
        if is_one_uuid {
            event[36..44].copy_from_slice(&(2 * number).to_le_bytes());
        } else {
            event[20..28].copy_from_slice(&number.to_le_bytes());
        }
        common::logs::append(&mut log, &event);
        number += 1;
    }
    std::fs::write(path, log).unwrap();
}

#[test]
fn gtids_without_end_take_no_memory_without_end() {
    const GTIDS_KIB: u64 = 256 << 10;
    let scratch = tempfile::tempdir().unwrap();
    for is_one_uuid in [false, true] {
        for number in 1..=2 {
            let path = scratch.path().join(format!("binlog.{number:06}"));
            log_of_gtids(&path, 48 << 20, is_one_uuid);
        }
        let mut child = start(
            &["verify", scratch.path().to_str().unwrap(), "--format", "json"],
            Stdio::piped(),
        );
        let mut peak = Peak::default();
        let mut report = String::new();
        let mut out = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            out.read_to_string(&mut report).unwrap();
            report
        });
        while child.try_wait().unwrap().is_none() {
            peak.look(&child);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let report = reader.join().unwrap();
        println!("{is_one_uuid}: {} KiB, {} looks", peak.kib, peak.looks);
        assert!(
            report.contains("gtids-not-judged"),
            "{}",
            report.chars().take(2000).collect::<String>()
        );
        assert!(peak.looks > 0 && peak.kib < GTIDS_KIB, "{} KiB", peak.kib);
    }
}

/// A log whose compressed transactions unfold to one event so many times.
fn unfolding_log(path: &Path, transactions: usize, inner: &[u8], events: usize) {
    let plain = common::plaintext(&mixed().join("binlog.000003"), &mixed_keyring());
    let mut log = plain.clone();
    log[21] &= !1;
    let all = common::logs::events(&plain);
    let &(offset, length, _) = all.iter().find(|(.., kind)| *kind == 33).unwrap();
    let begin = &plain[offset..offset + length];
    let unfolded = inner.repeat(events);
    let packed = ruzstd::encoding::compress_to_vec(
        unfolded.as_slice(),
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    let size = u32::try_from(unfolded.len()).unwrap().to_le_bytes();
    // Compression zstd; the size unfolded, in nine bytes; the end of the fields.
    let fields = [&[2, 1, 0, 3, 9, 254][..], &size, &[0; 4], &[0]].concat();
    let mut event = vec![0; 19];
    event[4] = 40;
    event.extend(fields);
    event.extend(packed);
    event.extend([0; 4]);
    let length = u32::try_from(event.len()).unwrap();
    event[9..13].copy_from_slice(&length.to_le_bytes());
    for _ in 0..transactions {
        common::logs::append(&mut log, begin);
        common::logs::append(&mut log, &event);
    }
    std::fs::write(path, log).unwrap();
}

#[test]
fn what_a_transaction_unfolds_to_is_listed_in_bounded_memory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("binlog.000001");
    // STOP events of 19 bytes.
    let mut inner = [0; 19];
    (inner[4], inner[9]) = (3, 19);
    unfolding_log(&path, 3, &inner, 600_000);
    let path = path.to_str().unwrap();
    // Some 80 bytes of text for each event.
    let peak = peak_to_stream(&["events", path], 100 << 20);
    println!("{peak} KiB");
    assert!(peak < BOUND_KIB, "{peak}");
}

#[test]
fn savepoints_without_end_take_no_memory_without_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("binlog.000001");
    // A QUERY of no database; the name of each savepoint has a thousand letters.
    let body = [&[0; 14][..], b"SAVEPOINT `", &[b'a'; 1000], b"`"].concat();
    let mut inner = vec![0; 19];
    inner[4] = 2;
    inner.extend(body);
    let length = u32::try_from(inner.len()).unwrap();
    inner[9..13].copy_from_slice(&length.to_le_bytes());
    unfolding_log(&path, 1, &inner, 200_000);
    let path = path.to_str().unwrap();
    let peak = peak_to_stream(&["rows", path, "--format", "sql", "--op", "insert"], 190 << 20);
    println!("{peak} KiB");
    assert!(peak < BOUND_KIB, "{peak}");
}
