//! Which other processes have a file open, as Linux tells it in `/proc`.

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
        let mut openers = Self::default();
        let Ok(processes) = std::fs::read_dir("/proc") else {
            openers.incomplete = true;
            return openers;
        };
        let pids = processes
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|&pid| pid != std::process::id())
            .for_each(|pid| openers.look_at(pid, file));
        // Every system has this process: where it is not shown, neither are others (`hidepid`).
        openers.incomplete |= !Path::new("/proc/1").exists();
        openers
    }

    fn look_at(&mut self, pid: u32, file: &Metadata) {
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
        let mut found = None;
        for link in descriptors.flatten().map(|entry| entry.path()) {
            let Ok(open) = link.metadata() else { continue };
            if (open.dev(), open.ino()) != (file.dev(), file.ino()) {
                continue;
            }
            let mode = link.symlink_metadata().map_or(0, |link| link.mode());
            found = Some(found.unwrap_or(false) || mode & OPEN_FOR_WRITING != 0);
        }
        match found {
            Some(true) => self.writers.push(pid),
            Some(false) => self.readers.push(pid),
            None => {}
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
        let mut writer = sleep(
            std::fs::File::options()
                .append(true)
                .open(file.path())
                .unwrap(),
        );
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
