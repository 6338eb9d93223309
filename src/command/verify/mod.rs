//! `binlogsec verify`.

pub(crate) mod report;
pub(crate) mod table;

use std::path::PathBuf;

use crate::shard::entry::ShardEntry;
use anyhow::bail;
use binlogsec_core::batch::targets::{Target, Targets};
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::error::describe;
use binlogsec_core::read::verify::{VerifyOptions, verify_all};
use clap::Args;
use report::VerifyReport;

use crate::args::{Format, KeyArgs};
use crate::exit::Exit;
use crate::keys;
use crate::progress::Bar;
use crate::reports::{self, FileReport, ReportArgs};
use crate::shard::{RunMark, ShardArgs};
use crate::terminal::Terminal;
use crate::transfer::{self, tell};

const VERIFY_EXAMPLES: &str = "\
Examples:
  binlogsec verify binlog.000042 --keyring component_keyring_file
  binlogsec verify /var/lib/mysql/binlog.index --keyring component_keyring_file
  binlogsec verify backup/ --keyring component_keyring_file --format json

Exit codes: 0 whole; 1 whole, but logs are missing between them or do not follow one another; \
4 damaged. A log that was never closed may end within an event: that is a warning, and damage with \
--strict.";

/// Check every event of logs in memory: checksums, lengths, positions, and that logs follow one
/// another
///
/// Nothing is written. Says where the first damage is, and how many events are good.
#[derive(Debug, Args)]
#[command(after_help = VERIFY_EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// Logs, directories (searched at every depth), index files; `-` is standard input
    #[arg(value_name = "LOG", required = true)]
    pub(crate) logs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// Take a log that has no end for damaged, as a backup should have none: one that was never
    /// closed, or that ends within an event or a transaction, or in neither ROTATE nor STOP
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    #[command(flatten)]
    pub(crate) shard: ShardArgs,
}

pub(crate) fn run(args: &VerifyArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    reports::check_files(&args.report.reports, &[&args.logs, &args.keys.files()])?;
    let keyring = keys::open(&args.keys, terminal)?;
    let entry = args.shard.entry_of_named(&run_mark(args), &args.logs)?;
    let json = reports::of_format(&args.report.reports, &Format::Json);
    let earlier = args.shard.earlier(
        entry.as_ref(),
        json,
        |saved| saved.body_of("binlogsec.verify/1"),
        terminal,
    )?;
    let report = match earlier {
        Some(report) => report,
        None => look(args, &keyring, entry, terminal),
    };
    if report.files.is_empty() && report.failures.is_empty() && report.shard.is_none() {
        bail!("nothing to verify");
    }
    publish(&report, args.report.format, &args.report.reports, terminal)
}

fn look(
    args: &VerifyArgs,
    keyring: &Keyring,
    entry: Option<ShardEntry>,
    terminal: &Terminal,
) -> VerifyReport {
    let Targets { files, mut failures, notices, .. } =
        Targets::expand_shard(&args.logs, args.shard.shard);
    tell(&notices, terminal);
    let size = |target: &Target| target.path.metadata().map_or(0, |metadata| metadata.len());
    let total = files.iter().map(size).fold(0, u64::saturating_add);
    let bar = Bar::new(Some(total), terminal);
    let options = VerifyOptions { strict: args.strict, ..VerifyOptions::default() };
    let open = |target: &Target| transfer::open_log(target, keyring);
    let verified = verify_all(&files, open, options, &bar);
    drop(bar);
    failures.extend(verified.failures);
    for failure in &failures {
        terminal.error(&describe(failure));
    }
    match entry {
        Some(shard) => VerifyReport::of_shard(&verified.logs, &failures, shard),
        None => VerifyReport::new(verified.logs, &failures),
    }
}

/// Writes the report wherever it is wanted, and gives the exit code that it comes to.
pub(crate) fn publish(
    report: &VerifyReport,
    format: Format,
    files: &[FileReport<Format>],
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    reports::publish(report, table::verify, (format, files), terminal)?;
    let findings = if report.gaps.is_empty() { Exit::Done } else { Exit::Findings };
    Ok(Exit::worst(report.problems()).max(findings))
}

/// What must be the same for all shards.
fn run_mark(args: &VerifyArgs) -> RunMark {
    let mut mark = RunMark::new("verify");
    mark.add_paths(&args.logs);
    mark.add(format!("strict {}", args.strict));
    mark.add_keys(args.keys.sources());
    mark
}
