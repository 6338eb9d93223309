//! `binlogsec check`.

mod prometheus;
pub(crate) mod report;
pub(crate) mod saved;
pub(crate) mod table;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::findings::report::Verdict;
use crate::findings::{github, gitlab, junit, sarif};
use anyhow::{Context, bail};
use binlogsec_checks::check::{CheckOptions, CheckOutcome, CheckTargets, Selection, check};
use binlogsec_checks::config::option_file::{Omission, OptionFile};
use binlogsec_checks::config::server::LogLocations;
use binlogsec_checks::finding::{Acceptance, Baseline, Policy};
use binlogsec_core::file::sink::{AtomicFile, Existing, SinkOptions};
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::error::Error;
use binlogsec_core::seal::{self, Anchor, Manifest, PublicKey, SealError};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use jiff::Zoned;
use jiff::civil::Date;
use prometheus::Times;
use report::CheckReport;
use saved::SavedCheck;

use crate::args::KeySourceArgs;
use crate::exit::Exit;
use crate::findings::show::{self, FindingArgs};
use crate::progress::Counter;
use crate::reports::{self, FileReport, file_report};
use crate::shard::{self, RunMark, ShardArgs};
use crate::terminal::{Page, Terminal, write_json};
use crate::{keys, process};

const CHECK_EXAMPLES: &str = "\
Examples:
  Is there one plaintext log on these disks?
    binlogsec check /var/lib/mysql /backup

  The same, wherever the server is configured to keep its logs, and proven with its keys
    binlogsec check --defaults-file /etc/mysql/my.cnf \\
        --keyring /var/lib/mysql-keyring/component_keyring_file

  In cron, for Prometheus and for an auditor
    binlogsec check /var/lib/mysql \\
        --report prometheus=/var/lib/node_exporter/binlogsec.prom \\
        --report json=/var/log/binlogsec.json

  A share of the work, for each of eight processes; report merge judges them together
    binlogsec check /backup --shard 3/8 --report json=shard-3.json

Exit codes: 0 nothing found that counts, or a shard is done; 1 errors or warnings (notes do not count); 2 something \
could not be checked, or no file was there; 3 and 4 a keyring that cannot be used.";

/// Check that every log is encrypted, from the bytes on disk
///
/// Reads the first bytes of every file, whatever its name, and changes nothing. Without keys, the
/// headers are believed and the report says so; with keys, the beginning of each log must decrypt.
/// `binlogsec explain` tells what each finding means.
#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArgs {
    /// Logs, directories (searched at every depth), index files
    #[arg(value_name = "PATH", required_unless_present_any = ["defaults_file", "datadir"])]
    pub(crate) paths: Vec<PathBuf>,
    /// Option file of a server; its logs are looked for where it says
    #[arg(long, value_name = "FILE")]
    pub(crate) defaults_file: Option<PathBuf>,
    /// Data directory of a server; outweighs that of the option file
    #[arg(long, value_name = "DIR")]
    pub(crate) datadir: Option<PathBuf>,
    /// Of files in directories, look only at those that match; repeatable. A pattern without `/`
    /// is for names, another one for whole paths
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// Leave out files and directories that match; repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Follow symbolic links in directories, out of the tree as well
    #[arg(long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) keys: KeySourceArgs,
    /// Take the keys of that server, too, from where its configuration says; its store is asked
    #[arg(long)]
    pub(crate) server_keys: bool,
    /// Days that the key of new logs may be in use; outweighs the policy's `max_key_age_days`
    #[arg(long, value_name = "DAYS")]
    pub(crate) max_key_age: Option<u32>,
    #[command(flatten)]
    pub(crate) seals: SealedArgs,
    #[command(flatten)]
    pub(crate) weighing: FindingArgs,
    /// How to report on standard output
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: CheckFormat,
    /// Write a report into a file as well, replacing it as a whole; repeatable
    #[arg(long = "report", value_name = "FORMAT=FILE", value_parser = file_report::<CheckFormat>)]
    pub(crate) reports: Vec<FileReport<CheckFormat>>,
    #[command(flatten)]
    pub(crate) writing: BaselineArgs,
    #[command(flatten)]
    pub(crate) shard: ShardArgs,
}

/// A baseline to be written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Writing a baseline")]
pub(crate) struct BaselineArgs {
    /// Accept what counts now: write it into a baseline, with the entries of --baseline that still
    /// fit, and end with 0
    #[arg(long, value_name = "FILE", requires_all = ["reason", "expires"], conflicts_with = "shard")]
    pub(crate) write_baseline: Option<PathBuf>,
    /// Why it is accepted
    #[arg(long, value_name = "TEXT", requires = "write_baseline", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) reason: Option<String>,
    /// The last day on which it is accepted, such as 2027-01-31
    #[arg(long, value_name = "DATE", requires = "write_baseline")]
    pub(crate) expires: Option<Date>,
    /// Replace a baseline that is there
    #[arg(long, requires = "write_baseline")]
    pub(crate) force: bool,
}

/// A seal manifest, and what proves it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Seals")]
pub(crate) struct SealedArgs {
    /// Manifest of `binlogsec seal`: find logs that are not sealed, changed or missing, by lengths,
    /// headers and samples
    #[arg(long, value_name = "MANIFEST", conflicts_with = "shard")]
    pub(crate) sealed: Option<PathBuf>,
    /// Ed25519 public key that the manifest must be signed with; repeatable
    #[arg(long, value_name = "FILE", requires = "sealed")]
    pub(crate) seal_public_key: Vec<PathBuf>,
    /// A line of `seal anchor` that the manifest must still have; repeatable
    #[arg(long, value_name = "LINE", requires = "sealed")]
    pub(crate) seal_anchor: Vec<Anchor>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// Findings for people, with a verdict as the last line
    Text,
    /// One JSON document, see docs/json/check.md
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// JUnit XML, for continuous integration
    Junit,
    /// Annotations of a GitHub workflow
    Github,
    /// Code quality report of GitLab
    Gitlab,
    /// Metrics for the textfile collector
    Prometheus,
}

pub(crate) fn run(args: &CheckArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    if args.shard.shard.is_some() && args.weighing.is_baseline_asked_for() {
        bail!("a shard weighs nothing: --baseline is for report merge");
    }
    let (keys, weighing) = (args.keys.files(), args.weighing.files());
    let seals = [args.seals.sealed.as_slice(), &args.seals.seal_public_key].concat();
    let inputs = [&args.paths, args.defaults_file.as_slice(), &keys, &weighing, &seals];
    reports::check_files(&args.reports, &inputs)?;
    if let Some(path) = &args.writing.write_baseline {
        AtomicFile::check(path, baseline_options(&args.writing)).map_err(Error::from)?;
    }
    let targets = targets(args, terminal)?;
    let mut keyring = keys::open_sources(&args.keys, terminal)?;
    if args.server_keys {
        let server = (args.datadir.as_deref(), args.defaults_file.as_deref());
        keys::add_server(&mut keyring, &args.keys, server, terminal)?;
    }
    let options = CheckOptions { sealed: sealed(&args.seals, &keyring)?, ..options(args)? };
    if options.policy.require_proof && keyring.is_empty() {
        bail!("the policy demands proof of encryption: name the keys by --keyring FILE");
    }
    process::clean_up_on_signals()?;
    let policy = shard::policy_mark(args.weighing.policy.as_deref())?;
    let entry = args.shard.entry(&run_mark(args), policy);
    let json = reports::of_format(&args.reports, &CheckFormat::Json);
    let earlier = args.shard.earlier(entry.as_ref(), json, SavedCheck::earlier, terminal)?;
    let outcome = match earlier {
        Some(outcome) => outcome,
        None => scan(&targets, &keyring, &options, terminal),
    };
    let report = match entry {
        Some(shard) => CheckReport::of_shard(&outcome, shard),
        None => CheckReport::new(&outcome),
    };
    let mut exit = publish(&report, args.format, &args.reports, terminal)?;
    if report.shard.is_some() && exit == Exit::Findings {
        // The shard is done. What its findings come to, the merge says.
        exit = Exit::Done;
    }
    if write_baseline(&args.writing, &outcome, &options, terminal)? && exit == Exit::Findings {
        exit = Exit::Done;
    }
    show::tell_unused(&options.baseline, terminal);
    tell_failures(&outcome, terminal);
    drop(report);
    // The process ends here: to free millions of small pieces first would take its time.
    Box::leak(Box::new(outcome));
    Ok(exit)
}

/// Writes the report wherever it is wanted, and gives the exit code that it comes to.
pub(crate) fn publish(
    report: &CheckReport<'_>,
    format: CheckFormat,
    files: &[FileReport<CheckFormat>],
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    for file in files {
        write_file(file, report)?;
    }
    if !(terminal.is_quiet() && format == CheckFormat::Text) {
        let mut out = BufWriter::new(terminal.out());
        let last_success = None;
        write(&mut out, format, report, last_success)?;
        out.flush()?;
    }
    Ok(exit(report))
}

/// Writes what counts into a baseline, if that is asked for; whether it is.
fn write_baseline(
    args: &BaselineArgs,
    outcome: &CheckOutcome,
    options: &CheckOptions,
    terminal: &Terminal,
) -> anyhow::Result<bool> {
    let (Some(path), Some(reason), Some(expires)) =
        (&args.write_baseline, &args.reason, args.expires)
    else {
        return Ok(false);
    };
    let acceptance = Acceptance { reason: reason.clone(), expires };
    let directory = path.parent().unwrap_or(Path::new(""));
    let place = (directory, Zoned::now().date());
    let (text, count) = options.baseline.renewed(&outcome.findings, &acceptance, place);
    let sink = AtomicFile::create(path, baseline_options(args)).map_err(Error::from)?;
    sink.writer().write_all(text.as_bytes())?;
    sink.commit().map_err(Error::from)?;
    let findings = crate::findings::report::count(count as u64, "finding");
    terminal.note(&format!("{findings} accepted until {expires}: {}", path.display()));
    Ok(true)
}

/// A baseline is for others to read. It may take the place of the one that was read, and of nothing
/// else but another baseline.
fn baseline_options(args: &BaselineArgs) -> SinkOptions {
    SinkOptions {
        force: args.force,
        mode: reports::REPORT_MODE,
        spares: spared_by_baselines,
        replaces_input: true,
        ..SinkOptions::default()
    }
}

fn spared_by_baselines(there: &Existing<'_>) -> Option<&'static str> {
    let is_baseline = |line: &[u8]| {
        line.starts_with(b"[[finding]]") || line.starts_with(Baseline::HEADLINE.as_bytes())
    };
    let is_one = there.start.split(|byte| *byte == b'\n').any(is_baseline);
    (!is_one).then_some("no baseline")
}

/// What must be the same for all shards, the policy aside.
fn run_mark(args: &CheckArgs) -> RunMark {
    let mut mark = RunMark::new("check");
    mark.add_paths(&args.paths);
    mark.add_paths(args.defaults_file.as_slice());
    mark.add_paths(args.datadir.as_slice());
    mark.add_all(&args.include);
    mark.add_all(&args.exclude);
    mark.add(format!("follow {}, key age {:?}", args.follow, args.max_key_age));
    mark.add_keys(args.keys.sources());
    mark
}

fn targets(args: &CheckArgs, terminal: &Terminal) -> anyhow::Result<CheckTargets> {
    if args.paths.iter().any(|path| path.as_os_str() == "-") {
        bail!("check looks at files and directories; what a stream is, `binlogsec inspect -` says");
    }
    let locations = match (&args.defaults_file, &args.datadir) {
        (Some(file), directory) => Some(locations(file, directory.as_deref(), terminal)?),
        (None, Some(directory)) => Some(LogLocations::in_directory(directory.clone())),
        (None, None) => None,
    };
    Ok(CheckTargets { paths: args.paths.clone(), locations })
}

fn locations(
    file: &Path,
    directory: Option<&Path>,
    terminal: &Terminal,
) -> anyhow::Result<LogLocations> {
    let options = OptionFile::open_whole(file)?;
    for Omission { path, line, reason } in &options.omissions {
        let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
        terminal.warning(&format!("{}{line}: {reason}", path.display()));
    }
    let locations = LogLocations::new(&options, directory);
    if directory.is_none() && !LogLocations::are_named(&options) {
        terminal.warning(&format!(
            "{} names no datadir: logs are looked for in {}; name another by --datadir",
            file.display(),
            locations.data_directory.display()
        ));
    }
    Ok(locations)
}

fn options(args: &CheckArgs) -> anyhow::Result<CheckOptions> {
    let policy = args.weighing.policy()?;
    let max_key_age_days = args.max_key_age.or(policy.max_key_age_days);
    Ok(CheckOptions {
        follow: args.follow,
        selection: Selection::new(&args.include, &args.exclude).context("--include, --exclude")?,
        policy: Policy { max_key_age_days, ..policy },
        baseline: match args.shard.shard {
            Some(_) => Baseline::default(),
            None => args.weighing.baseline()?,
        },
        shard: args.shard.shard,
        ..CheckOptions::default()
    })
}

/// The manifest, which must be proven: one that is not would prove nothing.
fn sealed(args: &SealedArgs, keyring: &Keyring) -> anyhow::Result<Option<Manifest>> {
    let Some(path) = &args.sealed else { return Ok(None) };
    let manifest = Manifest::open(path, &args.seal_anchor)?;
    if let Some(part) = manifest.shard() {
        bail!(
            "{} is about part {part} of the logs: `binlogsec seal merge` makes one manifest of those of \
             all parts",
            path.display()
        );
    }
    let keys = args.seal_public_key.iter().map(|path| PublicKey::open(path));
    match seal::prove(&manifest, keyring, &keys.collect::<Result<Vec<_>, _>>()?)? {
        (_, None) => Ok(Some(manifest)),
        (_, Some(reason)) => {
            let reason = reason
                .replace("--public-key", "--seal-public-key")
                .replace("--anchor", "--seal-anchor");
            Err(SealError::Unproven { path: path.clone(), reason }.into())
        }
    }
}

fn scan(
    targets: &CheckTargets,
    keyring: &Keyring,
    options: &CheckOptions,
    terminal: &Terminal,
) -> CheckOutcome {
    let started = Instant::now();
    let outcome = check(targets, keyring, options, &Counter::new(terminal));
    let (files, seconds) = (outcome.counts.files, started.elapsed().as_secs_f64());
    terminal.detail(&format!("{files} files in {seconds:.3} s"));
    outcome
}

fn write_file(file: &FileReport<CheckFormat>, report: &CheckReport<'_>) -> anyhow::Result<()> {
    let earlier = std::fs::read_to_string(&file.path).ok();
    let last_success = earlier.as_deref().and_then(prometheus::last_success);
    file.write(|out| write(out, file.format, report, last_success))
}

fn write(
    out: &mut dyn Page,
    format: CheckFormat,
    report: &CheckReport<'_>,
    last_success: Option<i64>,
) -> std::io::Result<()> {
    match format {
        CheckFormat::Text => table::check(out, report),
        CheckFormat::Json => write_json(out, report),
        CheckFormat::Sarif => sarif::findings(out, &report.view()),
        CheckFormat::Junit => junit::findings(out, &report.view()),
        CheckFormat::Github => github::findings(out, &report.view()),
        CheckFormat::Gitlab => gitlab::findings(out, &report.view()),
        CheckFormat::Prometheus => {
            let now = jiff::Timestamp::now().as_second();
            prometheus::check(out, report, Times { now, last_success })
        }
    }
}

pub(crate) fn tell_failures(outcome: &CheckOutcome, terminal: &Terminal) {
    reports::tell_failures(&outcome.failures, terminal);
    if outcome.is_empty() && outcome.failures.is_empty() && outcome.shard.is_none() {
        terminal.error("no file was there to check");
    }
}

fn exit(report: &CheckReport<'_>) -> Exit {
    let failures = Exit::worst(report.failures.iter().map(|failure| failure.class));
    let findings = match report.summary.verdict {
        Verdict::NothingScanned => Exit::Work,
        Verdict::Fail => Exit::Findings,
        Verdict::Pass | Verdict::PartlyExamined | Verdict::Incomplete => Exit::Done,
    };
    failures.max(findings)
}
