//! A recovery as a directory of logs.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use binlogsec_core::batch::transfer::Output;
use binlogsec_core::log::error::Error;
use binlogsec_core::log::open::OpenLog;
use binlogsec_core::read::recover::catalogue::name_of;
use binlogsec_core::read::stream::{self, StreamPlan};

use super::{Planned, RecoverArgs, Written, options};
use crate::progress::Bar;
use crate::terminal::Terminal;
use crate::transfer;

/// Whether an output is to be a directory.
pub(super) fn is_one(output: &Path) -> bool {
    output.as_os_str().as_encoded_bytes().ends_with(b"/") || output.is_dir()
}

/// Writes a log for each slice, under names that sort in their order. All of it or nothing: what is
/// there of a run that fails is removed.
pub(super) fn write(
    directory: &Path,
    args: &RecoverArgs,
    planned: &Planned,
    open: &dyn Fn(&Path) -> Result<OpenLog, Error>,
    terminal: &Terminal,
) -> anyhow::Result<Written> {
    let is_new = make(directory)?;
    let mut made = Vec::new();
    let written = write_each(directory, args, planned, open, (&mut made, terminal));
    if written.is_err() {
        for file in &made {
            let _ = std::fs::remove_file(file);
        }
        if is_new {
            let _ = std::fs::remove_dir(directory);
        }
    }
    written
}

/// A directory for its owner alone; `true` if it was not there. One that has something in it is refused:
/// whoever reads all of it would read logs of two recoveries.
fn make(directory: &Path) -> anyhow::Result<bool> {
    let failed = || format!("cannot make the directory {}", directory.display());
    match std::fs::read_dir(directory) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                bail!(
                    "{} is not empty, and all logs in it will be applied: name a new directory",
                    directory.display()
                );
            }
            Ok(false)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::DirBuilder::new().mode(0o700).create(directory).with_context(failed)?;
            Ok(true)
        }
        Err(error) => Err(error).with_context(failed),
    }
}

fn write_each(
    directory: &Path,
    args: &RecoverArgs,
    planned: &Planned,
    open: &dyn Fn(&Path) -> Result<OpenLog, Error>,
    (made, terminal): (&mut Vec<PathBuf>, &Terminal),
) -> anyhow::Result<Written> {
    let slices = &planned.plan.slices;
    let width = slices.len().to_string().len().max(4);
    let mut all = StreamPlan::default();
    for (number, slice) in slices.iter().enumerate() {
        let mut one = StreamPlan::default();
        one.add(open(&slice.path)?, &options(slice, args.exclude_gtid.as_ref()))?;
        if one.transactions() > 0 {
            let name = format!("{:0width$}-{}", number.saturating_add(1), name_of(&slice.path));
            let target = directory.join(name);
            let bar = Bar::new(Some(one.length()), terminal);
            stream::write(
                &one,
                open,
                Output::File(&target, args.write.sink_options()),
                None,
                &bar,
            )?;
            made.push(target);
            all.append(one);
        }
    }
    transfer::tell_numbers(&all, terminal);
    Ok(Written::of(&all))
}
