//! `binlogsec keyring coverage`.

use std::path::PathBuf;

use anyhow::bail;
use binlogsec_core::read::inspect::{self, InspectOptions};
use clap::Args;

use super::coverage_report::CoverageReport;
use super::coverage_table;
use crate::args::KeyArgs;
use crate::exit::Exit;
use crate::reports::{self, ReportArgs};
use crate::terminal::Terminal;
use crate::{keys, transfer};

const COVERAGE_EXAMPLES: &str = "\
Examples:
  May the keys before the last rotation be destroyed? What would be lost?
    binlogsec keyring coverage /backup/binlogs \\
        --keyring component_keyring_vault.cnf

  For an archive, every month
    binlogsec keyring coverage s3://logs/ --keyring old-keyring \\
        --keyring new-keyring --format json

Exit codes: 0 every encrypted log opens; 2 a store cannot be asked, or nothing is there; 3 a key is missing or
wrong; 4 a log or a keyring is damaged.";

/// Which logs can be opened, which key each needs, which keys serve no log, what is lost with a key
///
/// Reads the first bytes of each log, and proves its key by them.
#[derive(Debug, Args)]
#[command(after_help = COVERAGE_EXAMPLES)]
pub(crate) struct CoverageArgs {
    /// Logs, directories (searched at every depth), index files
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

pub(crate) fn run(args: &CoverageArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    if args.paths.iter().any(|path| transfer::is_dash(path)) {
        bail!(
            "coverage is of files and directories; what a stream needs, `binlogsec inspect -` says"
        );
    }
    reports::check_files(&args.report.reports, &[&args.paths, &args.keys.files()])?;
    let keyring = keys::open(&args.keys, terminal)?;
    if keyring.is_empty() {
        bail!("there are no keys to cover logs: name them by --keyring FILE or --datadir DIR");
    }
    let outcome = inspect::inspect(&args.paths, &keyring, &InspectOptions::default());
    transfer::tell(&outcome.notices, terminal);
    let report = CoverageReport::new(&outcome, &keyring);
    reports::publish(
        &report,
        coverage_table::coverage,
        (args.report.format, &args.report.reports),
        terminal,
    )?;
    report.failures.iter().for_each(|failure| terminal.error(&failure.message));
    if report.summary.logs == 0 && outcome.failures.is_empty() {
        bail!("no log is there");
    }
    let problems = outcome.files.iter().filter_map(inspect::Inspected::problem);
    Ok(Exit::worst(problems.chain(report.failures.iter().map(|failure| failure.class))))
}
