//! `--shard` and `--resume`: one part of a run, and a part that was done before.

pub(crate) mod entry;
pub(crate) mod saved;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::shard::entry::ShardEntry;
use anyhow::{Context, bail};
use binlogsec_core::batch::shard::Shard;
use binlogsec_core::file::inputs;
use binlogsec_core::log::error::Error;
use clap::Args;
use saved::{SavedReport, read_earlier};
use sha2::{Digest, Sha256};

use super::terminal::Terminal;
use crate::transfer::is_dash;

/// Which part of the work is this process's.
#[derive(Debug, Args)]
#[command(next_help_heading = "Many processes")]
pub(crate) struct ShardArgs {
    /// Work on part I of N alone, I from 0 to N-1; which files are in it follows from their names.
    /// `auto` takes I from JOB_COMPLETION_INDEX or SLURM_ARRAY_TASK_ID and N from BINLOGSEC_SHARDS
    #[arg(long, value_name = "I/N|auto", value_parser = choice)]
    pub(crate) shard: Option<Shard>,
    /// Leave out what an earlier run has done: outputs, or the shard's JSON report, that are there
    /// and match
    #[arg(long)]
    pub(crate) resume: bool,
}

pub(crate) fn choice(text: &str) -> Result<Shard, String> {
    let shard = if text == "auto" {
        Shard::from_environment(|name| std::env::var(name).ok())
    } else {
        text.parse()
    };
    shard.map_err(|error| error.to_string())
}

impl ShardArgs {
    /// What the report says of the shard; `of` is what all shards of the run must have in common.
    pub(crate) fn entry(&self, of: &RunMark, policy: Option<String>) -> Option<ShardEntry> {
        let shard = self.shard?;
        Some(ShardEntry { index: shard.index(), count: shard.count(), run: of.text(), policy })
    }

    /// The same of a command that takes logs from standard input, too: that has no name, by which it
    /// could belong to a shard.
    pub(crate) fn entry_of_named(
        &self,
        of: &RunMark,
        logs: &[PathBuf],
    ) -> anyhow::Result<Option<ShardEntry>> {
        let entry = self.entry(of, None);
        if entry.is_some() && logs.iter().any(|path| is_dash(path)) {
            bail!("standard input has no name, by which it could belong to a shard");
        }
        Ok(entry)
    }

    /// Shards and resumed runs are for many files at once.
    pub(crate) fn check_target(&self, is_directory: bool) -> anyhow::Result<()> {
        if !is_directory && (self.resume || self.shard.is_some()) {
            bail!("--shard and --resume are for many logs: use --output-dir DIR");
        }
        Ok(())
    }

    /// What `read` makes of the report that an earlier run has left, if that is of the very same shard
    /// and run.
    pub(crate) fn earlier<T>(
        &self,
        entry: Option<&ShardEntry>,
        report: Option<&Path>,
        read: impl FnOnce(&SavedReport) -> Option<T>,
        terminal: &Terminal,
    ) -> anyhow::Result<Option<T>> {
        if !self.resume {
            return Ok(None);
        }
        let (Some(entry), Some(path)) = (entry, report) else {
            bail!(
                "--resume looks for the report of a shard: name --shard I/N and --report json=FILE"
            );
        };
        let bytes = match read_earlier(path) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(Error::from(error).into()),
        };
        // Whatever else it is: it is not what was asked for, and is made anew.
        let saved = SavedReport::parse(bytes).ok();
        let Some(saved) = saved.filter(|saved| saved.head.shard.as_ref() == Some(entry)) else {
            return Ok(None);
        };
        let found = read(&saved);
        if found.is_some() {
            let time = saved.head.time.map(|time| format!(" of {time}"));
            let (path, time) = (path.display(), time.unwrap_or_default());
            terminal.warning(&format!("taken from a report{time}, and no log was read: {path}"));
        }
        Ok(found)
    }
}

/// Stands for what the shards of one run have in common.
#[derive(Debug)]
pub(crate) struct RunMark(Sha256);

impl RunMark {
    pub(crate) fn new(command: &str) -> Self {
        let mut mark = Self(Sha256::new());
        mark.add(command);
        mark
    }

    pub(crate) fn add(&mut self, part: impl AsRef<[u8]>) {
        let part = part.as_ref();
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        self.0.update(length.to_be_bytes());
        self.0.update(part);
    }

    pub(crate) fn add_all<P: AsRef<[u8]>>(&mut self, parts: impl IntoIterator<Item = P>) {
        let parts: Vec<_> = parts.into_iter().collect();
        self.add(parts.len().to_string());
        parts.into_iter().for_each(|part| self.add(part));
    }

    pub(crate) fn add_paths(&mut self, paths: &[PathBuf]) {
        self.add_all(paths.iter().map(|path| path.as_os_str().as_encoded_bytes()));
    }

    /// Where keys come from.
    pub(crate) fn add_keys(&mut self, sources: Vec<OsString>) {
        let sources = sources.into_iter();
        self.add_all(sources.map(OsString::into_encoded_bytes));
    }

    pub(crate) fn text(&self) -> String {
        let hash = self.0.clone().finalize();
        hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Stands for the content of a policy.
pub(crate) fn policy_mark(policy: Option<&Path>) -> anyhow::Result<Option<String>> {
    let Some(path) = policy else { return Ok(None) };
    let content = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    inputs::note_path(path);
    let mut mark = RunMark::new("policy");
    mark.add(content);
    Ok(Some(mark.text()))
}
