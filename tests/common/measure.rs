//! What a run takes: memory and time. Whatever an input is, both are bounded.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// No input whatever may take more memory.
pub(crate) const MOST_KIB: u64 = 256 << 10;
/// Nor more time: of the processor's, as the machine may have others to serve, and of the clock's where
/// it is others that are waited for.
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
    /// Of the processor's time.
    pub(crate) worked: Duration,
}

/// A figure of `/proc/PID/status` in KiB.
pub(crate) fn status(id: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
}

/// Runs a command to its end, looking at its memory all the while; one that does not end in a
/// minute is killed.
pub(crate) fn run(command: &mut Command) -> Run {
    let start = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (out, err) = (all_of(out), all_of(err));
    let (mut kib, mut code, mut worked) = (0, None, Duration::ZERO);
    while start.elapsed() < LONGEST * 3 {
        if let Some(status) = child.try_wait().unwrap() {
            code = status.code();
            break;
        }
        kib = kib.max(resident(&child));
        worked = worked.max(at_work(&child));
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
        worked,
    }
}

fn resident(child: &Child) -> u64 {
    status(child.id(), "VmHWM").unwrap_or(0)
}

/// The processor's time so far, of all threads together.
fn at_work(child: &Child) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    // Behind the name, in hundredths of a second, which Linux says to users whatever it counts in.
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks = ticks.filter_map(|ticks| ticks.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
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
        let Self { took, worked, kib, .. } = self;
        println!("{what}: {took:.1?}, of which {worked:.1?} at work, {kib} KiB");
        assert!(*worked < LONGEST, "{what}: {worked:?}");
        assert!(*took < LONGEST * 3, "{what}: {took:?}");
        assert!(*kib < MOST_KIB, "{what}: {kib} KiB");
    }

    /// The same where somebody else is waited for.
    #[track_caller]
    pub(crate) fn assert_prompt(&self, what: &str) {
        self.assert_bounded(what);
        assert!(self.took < LONGEST, "{what}: {:?}", self.took);
    }
}
