//! A program that is run for its output: for a limited time, in a process group of its own, of
//! which nothing is left when it is over.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// So long whoever is told to end may take to do so.
const GRACE: Duration = Duration::from_secs(1);
/// So long the output is waited for that somebody still holds whom the program left behind.
const LINGER: Duration = Duration::from_secs(1);
/// So long it takes at most to see that the program has ended.
const STEP: Duration = Duration::from_millis(20);

/// The groups of this process's programs, whose ids nobody else can have yet.
static GROUPS: Mutex<Groups> = Mutex::new(Groups { ids: Vec::new(), is_over: false });

struct Groups {
    ids: Vec<Pid>,
    /// Nothing may begin any more.
    is_over: bool,
}

fn groups() -> MutexGuard<'static, Groups> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends every key command that is running, with all that it has started; for the moment before a
/// signal ends this process. No other one is started from then on by a thread that is still at work.
pub fn end_commands() {
    let mut groups = groups();
    groups.is_over = true;
    if groups.ids.is_empty() {
        return;
    }
    let tell = |signal| {
        groups.ids.iter().for_each(|group| {
            let _ = kill_process_group(*group, signal);
        });
    };
    tell(Signal::TERM);
    let start = Instant::now();
    while start.elapsed() < GRACE && !groups.ids.iter().all(|group| has_ended(*group)) {
        std::thread::sleep(STEP);
    }
    tell(Signal::KILL);
}

/// Whether the program is a zombie, which keeps its id, or not there at all.
fn has_ended(program: Pid) -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(program), look), Ok(None))
}

/// What became of a program.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It ended by itself, and gave so many bytes.
    Ended { length: usize, status: ExitStatus },
    /// It gave more than there was room for, and was ended.
    TooMuch,
    /// It went on for longer than it may, and was ended.
    Late,
}

/// A program at work.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    group: Pid,
}

impl Running {
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        // Held meanwhile: a signal that comes now finds the group.
        let mut groups = groups();
        if groups.is_over {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let child = command.process_group(0).spawn()?;
        let group = Pid::from_child(&child);
        groups.ids.push(group);
        drop(groups);
        Ok(Self { child, group })
    }

    /// Reads up to a buffer full of its standard output, waits for its end, and ends what is left of
    /// its group then.
    pub(super) fn output(mut self, buffer: &mut [u8], limit: Duration) -> io::Result<Outcome> {
        let read = self.read(buffer, limit);
        let is_late = !has_ended(self.group);
        let status = self.end();
        let length = read?;
        if length >= buffer.len() {
            return Ok(Outcome::TooMuch);
        }
        if is_late {
            return Ok(Outcome::Late);
        }
        Ok(Outcome::Ended { length, status: status? })
    }

    /// Until the output and the program have ended, or the time is over, or the buffer full.
    fn read(&mut self, buffer: &mut [u8], limit: Duration) -> io::Result<usize> {
        let start = Instant::now();
        let mut stdout = self.child.stdout.take();
        let (mut length, mut end) = (0, limit);
        loop {
            let is_ended = has_ended(self.group);
            if is_ended && stdout.is_none() || length >= buffer.len() {
                return Ok(length);
            }
            if is_ended {
                // Whoever it left behind may hold the output for ever.
                end = end.min(start.elapsed().saturating_add(LINGER));
            }
            let left = end.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(length);
            }
            let Some(open) = &mut stdout else {
                std::thread::sleep(STEP.min(left));
                continue;
            };
            if is_readable(open, STEP.min(left))? {
                let target = buffer.get_mut(length..).unwrap_or_default();
                match open.read(target) {
                    Ok(0) => stdout = None,
                    Ok(read) => length = length.saturating_add(read),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Ends what there still is, and gives how the program itself ended.
    fn end(&mut self) -> io::Result<ExitStatus> {
        let is_at_work = !has_ended(self.group);
        let _ = kill_process_group(self.group, Signal::TERM);
        let start = Instant::now();
        while is_at_work && start.elapsed() < GRACE && !has_ended(self.group) {
            std::thread::sleep(STEP);
        }
        // As long as nobody has waited for it, its id, and so that of the group, is its own.
        let mut groups = groups();
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.kill();
        groups.ids.retain(|group| *group != self.group);
        drop(groups);
        self.child.wait()
    }
}

fn is_readable(stdout: &ChildStdout, wait: Duration) -> io::Result<bool> {
    let wait = Timespec::try_from(wait).map_err(io::Error::other)?;
    let mut files = [PollFd::new(stdout, PollFlags::IN)];
    match poll(&mut files, Some(&wait)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
