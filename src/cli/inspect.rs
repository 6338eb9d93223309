//! `binlogsec inspect`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use binlogsec::error::{Error, describe};
use binlogsec::ops::inspect::{self, InspectOptions, Inspected};
use binlogsec::report::human;
use binlogsec::report::model::InspectReport;
use clap::Args;

use super::args::{Format, KeyArgs};
use super::exit::Exit;
use super::keys;
use super::terminal::{Terminal, write_json};
use super::transfer::is_dash;

const INSPECT_EXAMPLES: &str = "\
Examples:
  binlogsec inspect binlog.000042
  binlogsec inspect /var/lib/mysql/binlog.index --keyring component_keyring_file
  binlogsec inspect /backup --format json | jq '.files[] | select(.kind == \"mysql-plain\").path'";

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
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    /// Report files in directories that are no logs, too
    #[arg(long)]
    pub(crate) all: bool,
}

pub(crate) fn run(args: &InspectArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let keyring = keys::open(&args.keys, terminal)?;
    let options = InspectOptions {
        all_files: args.all,
    };
    let (stdin, paths): (Vec<_>, Vec<_>) =
        args.paths.iter().cloned().partition(|path| is_dash(path));
    let mut outcome = inspect::inspect(&paths, &keyring, &options);
    if !stdin.is_empty() {
        let input = inspect::inspect_stream(&mut std::io::stdin(), &keyring);
        match input {
            Ok(file) => outcome.files.push(file),
            Err(error) => outcome.failures.push(error),
        }
    }
    let report = InspectReport::new(&outcome);
    let mut out = terminal.out();
    match args.format {
        Format::Text => human::inspect(&mut out, &report)?,
        Format::Json => write_json(&mut out, &report)?,
    }
    out.flush()?;
    for failure in &outcome.failures {
        terminal.error(&describe(failure));
    }
    if outcome.files.is_empty() && outcome.failures.is_empty() {
        bail!("nothing to inspect: no log is there");
    }
    let failures = outcome.failures.iter().map(Error::class);
    Ok(Exit::worst(
        outcome
            .files
            .iter()
            .filter_map(Inspected::problem)
            .chain(failures),
    ))
}
