//! A directory to work in, and commands that may not hang.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::common::{mixed, mixed_keyring};

/// Far more than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(120);

/// `log`, encrypted; `plain`, a plaintext log; `keyring`. Outputs are called `out`.
pub(crate) struct Lab {
    directory: TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::in_directory(tempfile::tempdir().unwrap())
    }

    pub(crate) fn in_directory(directory: TempDir) -> Self {
        let copy = |from: PathBuf, to: &str| {
            let to = directory.path().join(to);
            std::fs::copy(from, &to).unwrap();
            std::fs::set_permissions(to, Permissions::from_mode(0o600)).unwrap();
        };
        copy(mixed().join("binlog.000003"), "log");
        copy(mixed().join("binlog.000001"), "plain");
        copy(mixed_keyring(), "keyring");
        Self { directory }
    }

    pub(crate) fn at(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.at().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// The command with arguments that are split at blanks.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_binlogsec"));
        command.args(arguments.split(' '));
        self.prepare(command)
    }

    /// The same under another program, which takes it at the end of its own arguments.
    pub(crate) fn under(&self, program: &[&str], arguments: &str) -> Command {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]);
        command.arg(env!("CARGO_BIN_EXE_binlogsec"));
        command.args(arguments.split(' '));
        self.prepare(command)
    }

    fn prepare(&self, mut command: Command) -> Command {
        command.env_remove("BINLOGSEC_KEYRING").env("NO_COLOR", "1");
        command.current_dir(self.at());
        command
    }

    pub(crate) fn run(&self, arguments: &str) -> Output {
        finish(self.command(arguments))
    }

    /// Nothing is there but what was put there, and these.
    pub(crate) fn holds_only(&self, more: &[&str]) {
        let mut names = crate::common::names(self.at());
        names.retain(|name| !more.contains(&name.as_str()));
        assert_eq!(names, ["keyring", "log", "plain"]);
    }
}

/// Runs a command to its end, which must come, and not by a panic.
pub(crate) fn finish(mut command: Command) -> Output {
    command.stdin(Stdio::null());
    let shown = format!("{command:?}");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let id = Pid::from_child(&child);
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = receiver.recv_timeout(PATIENCE) else {
        let _ = kill_process(id, Signal::KILL);
        panic!("it hangs: {shown}");
    };
    let output = output.unwrap();
    no_panic(&output, &shown);
    output
}

pub(crate) fn no_panic(output: &Output, what: &str) {
    let said = said(output);
    assert!(!said.contains("panicked"), "{what}: {said}");
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits for a process that must end.
pub(crate) fn wait(child: &mut std::process::Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a process has a file open whose path, as the system tells it, starts like this.
pub(crate) fn wait_until_open(id: u32, start: &Path) {
    let descriptors = format!("/proc/{id}/fd");
    let started = Instant::now();
    loop {
        let entries = std::fs::read_dir(&descriptors).into_iter().flatten();
        let mut links = entries.flatten().map(|entry| entry.path().read_link());
        if links.any(|link| link.is_ok_and(|link| link.starts_with(start))) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{} is not opened", start.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}
