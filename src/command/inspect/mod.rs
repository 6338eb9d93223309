//! `binlogsec inspect`.

pub(crate) mod report;
pub(crate) mod table;

use std::path::PathBuf;

use crate::shard::entry::ShardEntry;
use anyhow::bail;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::error::describe;
use binlogsec_core::read::inspect::{self, InspectOptions};
use clap::Args;
use report::InspectReport;

use crate::args::{Format, KeyArgs};
use crate::exit::Exit;
use crate::keys;
use crate::reports::{self, FileReport, ReportArgs};
use crate::shard::{RunMark, ShardArgs};
use crate::terminal::Terminal;
use crate::transfer::{is_dash, tell};

const INSPECT_EXAMPLES: &str = "\
Examples:
  binlogsec inspect binlog.000042
  binlogsec inspect /var/lib/mysql/binlog.index --keyring component_keyring_file
  binlogsec inspect /backup --format json | jq \\
      '.files[] | select(.kind == \"mysql-plain\").path'";

/// Show the encryption status of logs: kind, key, server, and whether the key is at hand
///
/// Reads a few kilobytes of each file. With a keyring, the key is proven: the beginning of the log
/// must decrypt to a plausible one.
#[derive(Debug, Args)]
#[command(after_help = INSPECT_EXAMPLES)]
pub(crate) struct InspectArgs {
    /// Logs, directories (searched at every depth), index files; `-` is standard input
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// Report files in directories that are no logs, too
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    #[command(flatten)]
    pub(crate) shard: ShardArgs,
}

pub(crate) fn run(args: &InspectArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    reports::check_files(&args.report.reports, &[&args.paths, &args.keys.files()])?;
    let keyring = keys::open(&args.keys, terminal)?;
    let entry = args.shard.entry_of_named(&run_mark(args), &args.paths)?;
    let json = reports::of_format(&args.report.reports, &Format::Json);
    let earlier = args.shard.earlier(
        entry.as_ref(),
        json,
        |saved| saved.body_of("binlogsec.inspect/1"),
        terminal,
    )?;
    let report = match earlier {
        Some(report) => report,
        None => look(args, &keyring, entry, terminal),
    };
    if report.files.is_empty() && report.failures.is_empty() && report.shard.is_none() {
        publish(&report, args.report.format, &args.report.reports, terminal)?;
        bail!("nothing to inspect: no log is there");
    }
    publish(&report, args.report.format, &args.report.reports, terminal)
}

fn look(
    args: &InspectArgs,
    keyring: &Keyring,
    entry: Option<ShardEntry>,
    terminal: &Terminal,
) -> InspectReport {
    let options = InspectOptions { all_files: args.all, shard: args.shard.shard };
    let (stdin, paths): (Vec<_>, Vec<_>) =
        args.paths.iter().cloned().partition(|path| is_dash(path));
    let mut outcome = inspect::inspect(&paths, keyring, &options);
    if !stdin.is_empty() {
        let input = inspect::inspect_stream(&mut std::io::stdin(), keyring);
        match input {
            Ok(file) => outcome.files.push(file),
            Err(error) => outcome.failures.push(error),
        }
    }
    tell(&outcome.notices, terminal);
    for failure in &outcome.failures {
        terminal.error(&describe(failure));
    }
    match entry {
        Some(shard) => InspectReport::of_shard(&outcome, shard),
        None => InspectReport::new(&outcome),
    }
}

/// Writes the report wherever it is wanted, and gives the exit code that it comes to.
pub(crate) fn publish(
    report: &InspectReport,
    format: Format,
    files: &[FileReport<Format>],
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    reports::publish(report, table::inspect, (format, files), terminal)?;
    Ok(Exit::worst(report.problems()))
}

/// What must be the same for all shards.
fn run_mark(args: &InspectArgs) -> RunMark {
    let mut mark = RunMark::new("inspect");
    mark.add_paths(&args.paths);
    mark.add(format!("all {}", args.all));
    mark.add_keys(args.keys.sources());
    mark
}
