//! A directory of logs with an index and a keyring, to be worked on and looked at afterwards.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::open::OpenLog;
use tempfile::TempDir;

use super::{fixture, mixed, mixed_keyring, plaintext, program};

/// Where that event is in the logs of the MariaDB fixtures.
const START_ENCRYPTION: usize = 256;

/// Logs `binlog.000001` and so on, in the order of an index beside them.
pub(crate) struct Workdir {
    directory: TempDir,
    /// Name and plaintext of each.
    pub(crate) logs: Vec<(String, Vec<u8>)>,
}

impl Workdir {
    /// Plaintext logs of these sizes or a little less: the beginning of a real log, and its events
    /// again and again. All are closed.
    pub(crate) fn plain(sizes: &[usize]) -> Self {
        let real = std::fs::read(mixed().join("binlog.000001")).unwrap();
        let beginning = 4 + u32::from_le_bytes(real[13..17].try_into().unwrap()) as usize;
        Self::grown(&real, beginning, &mixed_keyring(), sizes)
    }

    /// The same for a MariaDB server: copies that it sent, which have an event in them that starts
    /// no encryption.
    pub(crate) fn plain_mariadb(sizes: &[usize]) -> Self {
        let directory = fixture("mariadb-10.11/cbc128-crc32-row");
        let keyring = directory.join("keys.txt");
        let real = plaintext(&directory.join("logs/binlog.000002"), &keyring);
        assert_eq!(real[START_ENCRYPTION + 4], 164);
        Self::grown(&real, START_ENCRYPTION + 40, &keyring, sizes)
    }

    /// Logs with this beginning, and then the rest of a real one again and again.
    fn grown(real: &[u8], first_event_end: usize, keyring: &Path, sizes: &[usize]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut logs = Vec::new();
        for (number, &size) in sizes.iter().enumerate() {
            let mut plain = real[..first_event_end].to_vec();
            while plain.len() < size {
                // Whole events only.
                let mut at = first_event_end;
                while at < real.len() && plain.len() < size {
                    let length = real[at + 9..at + 13].try_into().unwrap();
                    let end = at + u32::from_le_bytes(length) as usize;
                    plain.extend(&real[at..end]);
                    at = end;
                }
            }
            logs.push((format!("binlog.{:06}", number + 1), plain));
        }
        let made = Self { directory, logs };
        for (name, plain) in &made.logs {
            std::fs::write(made.log(name), plain).unwrap();
        }
        std::fs::write(made.at().join("binlog.index"), made.index()).unwrap();
        std::fs::copy(keyring, made.keyring()).unwrap();
        made
    }

    pub(crate) fn at(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.at().join(name)
    }

    pub(crate) fn keyring(&self) -> PathBuf {
        self.at().join("keyring")
    }

    pub(crate) fn index(&self) -> String {
        self.logs.iter().map(|(name, _)| format!("./{name}\n")).collect()
    }

    /// Runs the command here.
    pub(crate) fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The command, to be run here; arguments are split at blanks.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(program());
        command.env_remove("BINLOGSEC_KEYRING").env("NO_COLOR", "1");
        command.current_dir(self.at()).args(arguments.split(' '));
        command
    }

    /// Standard error of a finished command, with the paths of this directory made relative.
    pub(crate) fn said(&self, output: &Output) -> String {
        super::said(output, self.at())
    }

    /// Whether each log is whole and encrypted, or whole and plaintext; panics for anything else.
    pub(crate) fn encrypted(&self, keys: &Keyring) -> Vec<bool> {
        let state = |(name, plain): &(String, Vec<u8>)| {
            let log = OpenLog::open(self.log(name), keys).unwrap();
            let mut content = Vec::new();
            log.reader().read_to_end(&mut content).unwrap();
            let is_per_event = log.probe().per_event().is_some();
            if is_per_event {
                // The nonce is a fresh one, and the checksum behind it.
                let nonce = START_ENCRYPTION + 20..START_ENCRYPTION + 40;
                content[nonce.clone()].copy_from_slice(&plain[nonce]);
            }
            assert!(content == *plain, "{name} is not what it was");
            is_per_event || log.probe().stream().is_some()
        };
        let states = self.logs.iter().map(state).collect();
        let index = std::fs::read_to_string(self.at().join("binlog.index")).unwrap();
        assert_eq!(index, self.index());
        states
    }

    /// Runs the command and kills it after a while; says whether it had ended by itself.
    pub(crate) fn kill_after(&self, arguments: &str, time: Duration) -> bool {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let started = Instant::now();
        let mut child = command.spawn().unwrap();
        // A sleep ends a little late, and a core that counts is none for the command.
        std::thread::sleep(time.saturating_sub(Duration::from_micros(200)));
        while started.elapsed() < time {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap().code().is_some()
    }

    /// How long the command takes when nobody kills it: the least of three times, each after what
    /// `before` does.
    pub(crate) fn time(&self, arguments: &str, before: impl Fn()) -> Duration {
        let times = std::iter::repeat_with(|| {
            before();
            let started = Instant::now();
            let output = self.run(arguments);
            assert!(output.status.success(), "{}", self.said(&output));
            started.elapsed()
        });
        times.take(3).min().unwrap()
    }
}

/// Instants that differ from run to run, each in 0..1.
pub(crate) fn instants() -> impl Iterator<Item = f64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let mut state = u64::from(now.unwrap().subsec_nanos()) | 1;
    std::iter::repeat_with(move || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        f64::from((state >> 40) as u32) / f64::from(1 << 24)
    })
}

/// A process that has a file open, and does nothing. Not this one: a child that another test of it
/// starts would have the file open too, for a moment.
pub(crate) struct Holder(std::process::Child);

impl Holder {
    pub(crate) fn of(file: std::fs::File) -> Self {
        let mut command = Command::new("sleep");
        Self(command.arg("600").stdin(file).spawn().unwrap())
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
