//! Which other processes have a file open, as Linux tells it in `/proc`.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The write permission of a link in `/proc/PID/fd`: the descriptor is open for writing.
const OPEN_FOR_WRITING: u32 = 0o200;

/// The processes that have a file open, this one aside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Openers {
    /// Those that read it.
    pub readers: Vec<u32>,
    /// Those that may write it.
    pub writers: Vec<u32>,
    /// Whether there are processes that could not be looked at, or are hidden: those of other users,
    /// for anybody but root. Processes outside of this one's container are not even listed.
    pub incomplete: bool,
}

impl Openers {
    /// Looks through all processes for one file.
    #[must_use]
    pub fn of(file: &Metadata) -> Self {
        OpenFiles::look().openers(file)
    }
}

/// All files that other processes have open at one moment. To look through `/proc` takes as long for
/// all files as for one.
#[derive(Debug, Default)]
pub struct OpenFiles {
    /// By device and inode: which process, and whether it may write.
    files: HashMap<(u64, u64), Vec<(u32, bool)>>,
    incomplete: bool,
}

impl OpenFiles {
    /// Looks through all processes.
    #[must_use]
    pub fn look() -> Self {
        let mut open = Self::default();
        let Ok(processes) = std::fs::read_dir("/proc") else {
            open.incomplete = true;
            return open;
        };
        let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|&pid| pid != std::process::id()).for_each(|pid| open.look_at(pid));
        // Every system has this process: where it is not shown, neither are others (`hidepid`).
        open.incomplete |= !Path::new("/proc/1").exists();
        open
    }

    /// Who has a file open.
    #[must_use]
    pub fn openers(&self, file: &Metadata) -> Openers {
        let mut openers = Openers { incomplete: self.incomplete, ..Openers::default() };
        for &(pid, may_write) in self.files.get(&(file.dev(), file.ino())).into_iter().flatten() {
            if may_write {
                openers.writers.push(pid);
            } else {
                openers.readers.push(pid);
            }
        }
        openers
    }

    fn look_at(&mut self, pid: u32) {
        let descriptors = Path::new("/proc").join(pid.to_string()).join("fd");
        let descriptors = match std::fs::read_dir(descriptors) {
            Ok(descriptors) => descriptors,
            // It has ended meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(_) => {
                self.incomplete = true;
                return;
            }
        };
        for link in descriptors.flatten().map(|entry| entry.path()) {
            let Ok(open) = link.metadata() else { continue };
            if !open.is_file() {
                continue;
            }
            let mode = link.symlink_metadata().map_or(0, |link| link.mode());
            let may_write = mode & OPEN_FOR_WRITING != 0;
            let openers = self.files.entry((open.dev(), open.ino())).or_default();
            match openers.last_mut() {
                // Of several descriptors of one process one that writes counts.
                Some((last, writes)) if *last == pid => *writes |= may_write,
                _ => openers.push((pid, may_write)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn readers_and_writers_are_told_apart() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let metadata = || file.path().metadata().unwrap();
        let sleep = |stdin: std::fs::File| {
            let mut command = Command::new("sleep");
            command.arg("60").stdin(Stdio::from(stdin)).spawn().unwrap()
        };
        let mut reader = sleep(std::fs::File::open(file.path()).unwrap());
        let mut writer = sleep(std::fs::File::options().append(true).open(file.path()).unwrap());
        let found = Openers::of(&metadata());
        for child in [&mut reader, &mut writer] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        // There may be others for a moment: children of tests beside this one have the file open
        // until they become another program.
        let (reader, writer) = (reader.id(), writer.id());
        assert!(found.readers.contains(&reader) && !found.writers.contains(&reader));
        assert!(found.writers.contains(&writer) && !found.readers.contains(&writer));
        let after = Openers::of(&metadata());
        let left = [after.readers, after.writers].concat();
        assert!(!left.contains(&reader) && !left.contains(&writer));
    }
}
