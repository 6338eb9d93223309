//! What a run takes: memory and time. Whatever an input is, both are bounded.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// No input whatever may take more memory.
pub(crate) const MOST_KIB: u64 = 256 << 10;
/// Nor more time.
pub(crate) const LONGEST: Duration = Duration::from_secs(20);

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    /// The most that was ever resident.
    pub(crate) kib: u64,
    pub(crate) took: Duration,
}

/// A figure of `/proc/PID/status` in KiB.
pub(crate) fn status(id: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_start_matches(':')
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Runs a command to its end, looking at its memory all the while; one that does not end in a
/// minute is killed.
pub(crate) fn run(command: &mut Command) -> Run {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (out, err) = (all_of(out), all_of(err));
    let (mut kib, mut code) = (0, None);
    while start.elapsed() < LONGEST * 3 {
        if let Some(status) = child.try_wait().unwrap() {
            code = status.code();
            break;
        }
        kib = kib.max(resident(&child));
        std::thread::sleep(Duration::from_millis(2));
    }
    let took = start.elapsed();
    let _ = child.kill();
    let _ = child.wait();
    Run {
        code,
        stdout: out.join().unwrap(),
        stderr: String::from_utf8_lossy(&err.join().unwrap()).into_owned(),
        kib,
        took,
    }
}

fn resident(child: &Child) -> u64 {
    status(child.id(), "VmHWM").unwrap_or(0)
}

fn all_of(mut stream: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}

impl Run {
    /// Panics where the run took more than it may.
    #[track_caller]
    pub(crate) fn assert_bounded(&self, what: &str) {
        println!("{what}: {:.1?}, {} KiB", self.took, self.kib);
        assert!(self.took < LONGEST, "{what}: {:?}", self.took);
        assert!(self.kib < MOST_KIB, "{what}: {} KiB", self.kib);
    }
}
