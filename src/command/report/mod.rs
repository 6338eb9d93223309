//! `binlogsec report merge`.

pub(crate) mod merge;

use std::path::{Path, PathBuf};

use crate::command::check::report::CheckReport;
use crate::command::inspect::report::InspectReport;
use crate::command::seal::report::SealVerifyReport;
use crate::command::verify::report::VerifyReport;
use anyhow::{anyhow, bail};
use binlogsec_checks::audit::AuditOptions;
use binlogsec_checks::check::{self, CheckOptions};
use binlogsec_core::batch::targets::Targets;
use binlogsec_core::log::error::Error;
use clap::{Args, Subcommand, ValueEnum};
use merge::{Run, Saved};

use super::audit::AuditFormat;
use super::check::CheckFormat;
use super::{audit, inspect, seal, verify};
use crate::args::Format;
use crate::exit::Exit;
use crate::findings::show::{self, FindingArgs};
use crate::reports::{self, FileReport, file_report};
use crate::shard;
use crate::shard::saved::read_whole;
use crate::terminal::Terminal;

const MERGE_EXAMPLES: &str = "\
Examples:
  Eight processes, and one report of what they found
    seq 0 7 | parallel binlogsec check /backup --shard {}/8 \\
        --report json=shard-{}.json
    binlogsec report merge shard-*.json

  The same report for code scanning, by the policy that the shards had
    binlogsec report merge shard-*.json --policy policy.toml --format sarif

  Audits of several sites as one: who replicates from whom across them, one verdict
    binlogsec report merge site-*.json --report html=all.html

Exit codes: those of the command whose reports these are; 2 when a shard is missing or there twice.";

/// Work on reports
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[command(subcommand)]
    command: ReportCommand,
}

#[derive(Debug, Subcommand)]
enum ReportCommand {
    Merge(MergeArgs),
}

/// Put JSON reports together: of all shards of a run, or of several audits
///
/// Takes reports of `check`, `inspect`, `verify` and `seal verify`. Each shard must be there, once,
/// and all must be of one run. The report is the one that a single process would have made. Reports of `audit` may
/// be any: servers that several have are taken from the latest, and judged by this policy and baseline.
#[derive(Debug, Args)]
#[command(after_help = MERGE_EXAMPLES)]
struct MergeArgs {
    /// JSON reports of the shards; directories and URLs of prefixes that hold nothing else
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    weighing: FindingArgs,
    /// How to report on standard output: any format of the command whose reports these are
    #[arg(long, value_enum, default_value = "text")]
    format: MergeFormat,
    /// Write a report into a file as well, replacing it as a whole; repeatable
    #[arg(long = "report", value_name = "FORMAT=FILE", value_parser = file_report::<MergeFormat>)]
    reports: Vec<FileReport<MergeFormat>>,
}

/// The formats of every command whose reports are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MergeFormat {
    /// For people, with a verdict as the last line
    Text,
    /// One JSON document, see docs/json.md
    Json,
    /// SARIF 2.1.0, for code scanning (check, audit)
    Sarif,
    /// One self-contained page (audit)
    Html,
    /// JUnit XML, for continuous integration (check, audit)
    Junit,
    /// Annotations of a GitHub workflow (check, audit)
    Github,
    /// Code quality report of GitLab (check)
    Gitlab,
    /// Metrics for the textfile collector (check)
    Prometheus,
}

impl MergeFormat {
    /// The format of that name of a command that may have fewer of them.
    fn of<F: ValueEnum>(self) -> anyhow::Result<F> {
        let value = self.to_possible_value();
        let name = value.as_ref().map_or("", |value| value.get_name());
        F::from_str(name, false).map_err(|_| {
            let all = F::value_variants().iter().filter_map(ValueEnum::to_possible_value);
            let all: Vec<_> = all.map(|value| value.get_name().to_owned()).collect();
            anyhow!("reports of this command are merged as {}; not as {name}", all.join(", "))
        })
    }
}

pub(crate) fn run(args: &ReportArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let ReportCommand::Merge(args) = &args.command;
    let targets = Targets::expand(&args.files);
    if let Some(error) = targets.failures.into_iter().next() {
        return Err(error.into());
    }
    if targets.files.is_empty() {
        bail!("nothing to merge: no report is there");
    }
    let inputs = targets.files.iter().map(|target| target.path.clone());
    let inputs: Vec<_> = inputs.chain(args.weighing.files()).collect();
    reports::check_files(&args.reports, &[&inputs])?;
    let files = targets.files.iter().map(|target| read(&target.path));
    let saved: Vec<_> = files.collect::<Result<_, _>>()?;
    let policy = shard::policy_mark(args.weighing.policy.as_deref())?;
    match Run::of(saved, policy.as_deref())? {
        Run::Check(shards) => {
            let options = CheckOptions {
                policy: args.weighing.policy()?,
                baseline: args.weighing.baseline()?,
                ..CheckOptions::default()
            };
            let outcome = check::merge(shards, &options);
            let report = CheckReport::new(&outcome);
            let (format, files) = args.formats::<CheckFormat>()?;
            let exit = super::check::publish(&report, format, &files, terminal)?;
            show::tell_unused(&options.baseline, terminal);
            super::check::tell_failures(&outcome, terminal);
            Ok(exit)
        }
        Run::Inspect(shards) => {
            args.refuse_baseline()?;
            let report = InspectReport::merged(shards);
            let (format, files) = args.formats::<Format>()?;
            inspect::publish(&report, format, &files, terminal)
        }
        Run::Verify(shards) => {
            args.refuse_baseline()?;
            let report = VerifyReport::merged(shards)?;
            let (format, files) = args.formats::<Format>()?;
            verify::publish(&report, format, &files, terminal)
        }
        Run::SealVerify(shards) => {
            let Some(report) = SealVerifyReport::merged(shards) else {
                bail!("nothing to merge: no report is there");
            };
            args.refuse_baseline()?;
            let (format, files) = args.formats::<Format>()?;
            seal::publish_verified(&report, format, &files, terminal)
        }
        Run::Audit(parts) => {
            let options = AuditOptions {
                policy: args.weighing.policy()?,
                baseline: args.weighing.baseline()?,
                ..AuditOptions::default()
            };
            let outcome = binlogsec_checks::audit::merge(parts, &options);
            let (format, files) = args.formats::<AuditFormat>()?;
            audit::publish(&outcome, &options, (format, &files, false), terminal)
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Saved> {
    let bytes = read_whole(path).map_err(Error::from)?;
    Ok(Saved::parse(bytes, path.to_owned())?)
}

impl MergeArgs {
    fn refuse_baseline(&self) -> anyhow::Result<()> {
        if self.weighing.baseline.is_some() {
            bail!("a baseline is for reports of check and audit");
        }
        Ok(())
    }

    /// The formats, for a command that may have fewer of them.
    fn formats<F: ValueEnum>(&self) -> anyhow::Result<(F, Vec<FileReport<F>>)> {
        let file = |report: &FileReport<MergeFormat>| {
            Ok(FileReport { format: report.format.of()?, path: report.path.clone() })
        };
        let files = self.reports.iter().map(file).collect::<anyhow::Result<_>>()?;
        Ok((self.format.of()?, files))
    }
}
