//! `binlogsec audit`.

mod html;
mod inventory;
mod logs;
mod plan;
pub(crate) mod report;
pub(crate) mod saved;
pub(crate) mod servers;
pub(crate) mod table;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::findings::report::Verdict;
use crate::findings::{github, junit, sarif};
use anyhow::Context;
use binlogsec_checks::audit::before::Before;
use binlogsec_checks::audit::facts::settings::Product;
use binlogsec_checks::audit::{
    AuditOptions, AuditOutcome, AuditTargets, FileTarget, NamedCluster, NamedOptions, audit,
};
use binlogsec_checks::config::option_file::OptionFile;
use binlogsec_core::file::small::{self, Pipes};
use binlogsec_core::log::error::Error;
use clap::{Args, ValueEnum};
use report::AuditReport;

use crate::args::KeySourceArgs;
use crate::exit::Exit;
use crate::findings::show::{self, FindingArgs};
use crate::progress::Counter;
use crate::reports::{self, FileReport, file_report};
use crate::terminal::{Page, Terminal, write_json};
use crate::{keys, process};
use servers::ServerArgs;

const AUDIT_EXAMPLES: &str = "\
Examples:
  Does this server's configuration keep its logs private, at rest and on the wire?
    binlogsec audit --defaults-file /etc/mysql/my.cnf

  An option file of another machine, for the version that runs there
    binlogsec audit --defaults-file replica.cnf --server-version 8.4.3

  Two live servers and what goes on between them; the password comes from a file
    binlogsec audit --server mysql://audit@db1.example/ \\
        --server mysql://audit@db2.example/ \\
        --server-ca ca.pem --password-file audit.password

  Configuration, logs, keyring and certificates, as a page for an auditor
    binlogsec audit --defaults-file /etc/mysql/my.cnf --report html=audit.html

  What closes the holes, in order; and what a failover has changed since
    binlogsec audit --plan --server mysql://audit@db1.example/ \\
        --server mysql://audit@db2.example/
    binlogsec audit --compare before.json --server mysql://audit@db2.example/

  A fleet, asked all at once: hosts, files and sockets from a file, passwords from files that it names
    binlogsec audit --inventory fleet.toml --report html=fleet.html \\
        --report json=fleet.json

Exit codes: 0 nothing found that counts; 1 errors or warnings (notes do not count); 2 something \
could not be audited, or nothing was there; 3 and 4 a keyring that cannot be used.";

/// Audit whether a replication set-up is private from end to end
///
/// Reads option files, the data directory's logs, keyring and certificates, asks live servers by
/// SELECT and SHOW, and changes nothing.
/// `binlogsec explain` tells what each finding means.
#[derive(Debug, Args)]
#[command(after_help = AUDIT_EXAMPLES)]
#[command(group(clap::ArgGroup::new("asked").args(["servers", "inventory"]).multiple(true)))]
pub(crate) struct AuditArgs {
    /// Option file of a server, with what it includes
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present_any = ["datadir", "servers", "inventory"]
    )]
    pub(crate) defaults_file: Option<PathBuf>,
    /// Data directory of a server; outweighs that of the option file
    #[arg(long, value_name = "DIR")]
    pub(crate) datadir: Option<PathBuf>,
    /// Version that the option file is for, such as 8.4.3 or 10.11.6-MariaDB [default: what the
    /// data directory says, else a current one]
    #[arg(long, value_name = "VERSION")]
    pub(crate) server_version: Option<Product>,
    /// Configuration of the NDB Cluster that the option file's server is an SQL node of (config.ini)
    #[arg(long, value_name = "FILE", requires = "defaults_file")]
    pub(crate) cluster_config: Option<PathBuf>,
    /// Servers from a file (TOML): hosts, sockets, option files, data directories, and the files that
    /// have their passwords; see docs/audit.md
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: Option<PathBuf>,
    /// Print the remedies of what counts as one script, in the order in which they apply, in place of
    /// the report
    #[arg(long, conflicts_with = "format")]
    pub(crate) plan: bool,
    /// Write the JSON report into a file, for a later --compare; replaced as a whole
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
    /// Hold channels and accounts of live servers against an earlier JSON report (--save)
    #[arg(long, value_name = "FILE", requires = "asked")]
    pub(crate) compare: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) servers: ServerArgs,
    #[command(flatten)]
    pub(crate) keys: KeySourceArgs,
    #[command(flatten)]
    pub(crate) weighing: FindingArgs,
    /// How to report on standard output
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: AuditFormat,
    /// Write a report into a file as well, replacing it as a whole; repeatable
    #[arg(long = "report", value_name = "FORMAT=FILE", value_parser = file_report::<AuditFormat>)]
    pub(crate) reports: Vec<FileReport<AuditFormat>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditFormat {
    /// Findings for people, with a verdict as the last line
    Text,
    /// One JSON document, see docs/json/audit.md
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// One self-contained page
    Html,
    /// JUnit XML, for continuous integration
    Junit,
    /// Annotations of a GitHub workflow
    Github,
}

pub(crate) fn run(args: &AuditArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let (keys, weighing) = (args.keys.files(), args.weighing.files());
    let of_inventory = args.inventory.as_deref().map(inventory::paths).transpose()?;
    let of_inventory = of_inventory.unwrap_or_default();
    let inputs = [
        args.defaults_file.as_slice(),
        args.cluster_config.as_slice(),
        &keys,
        &weighing,
        args.compare.as_slice(),
        &of_inventory,
    ];
    let mut files = args.reports.clone();
    let saved = args.save.iter().cloned();
    files.extend(saved.map(|path| FileReport { format: AuditFormat::Json, path }));
    reports::check_files(&files, &inputs)?;
    let targets = targets(args, terminal)?;
    let options = options(args)?;
    let keyring = keys::open_sources(&args.keys, terminal)?;
    process::clean_up_on_signals()?;
    let outcome = audit(&targets, &keyring, &options, &Counter::new(terminal));
    publish(&outcome, &options, (args.format, &files, args.plan), terminal)
}

/// Writes reports, and the plan in place of the one on standard output.
pub(crate) fn publish(
    outcome: &AuditOutcome,
    options: &AuditOptions,
    (format, files, is_plan): (AuditFormat, &[FileReport<AuditFormat>], bool),
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let report = AuditReport::new(outcome, options.now);
    for file in files {
        file.write(|out| write(out, file.format, &report))?;
    }
    if !(terminal.is_quiet() && format == AuditFormat::Text) {
        let mut out = BufWriter::new(terminal.out());
        if is_plan {
            plan::write_plan(&mut out, &report.plan)?;
        } else {
            write(&mut out, format, &report)?;
        }
        out.flush()?;
    }
    show::tell_unused(&options.baseline, terminal);
    reports::tell_failures(&outcome.failures, terminal);
    Ok(exit(outcome, report.summary.verdict))
}

fn targets(args: &AuditArgs, terminal: &Terminal) -> anyhow::Result<AuditTargets> {
    let mut targets =
        AuditTargets { files: Vec::new(), servers: servers::targets(&args.servers, terminal)? };
    if args.defaults_file.is_some() || args.datadir.is_some() {
        targets.files.push(FileTarget {
            options: args.defaults_file.as_deref().map(named_options).transpose()?,
            data_directory: args.datadir.clone(),
            product: args.server_version,
            cluster: args.cluster_config.as_deref().map(cluster).transpose()?,
            ..FileTarget::default()
        });
    }
    if let Some(path) = &args.inventory {
        inventory::add(&mut targets, path, (&args.servers, &args.keys), terminal)?;
    }
    Ok(targets)
}

fn named_options(path: &Path) -> anyhow::Result<NamedOptions> {
    Ok(NamedOptions { file: OptionFile::open(path)?, path: path.to_owned() })
}

/// More is no configuration of a cluster.
const LARGEST_CLUSTER: u64 = 1 << 20;

fn cluster(path: &Path) -> anyhow::Result<NamedCluster> {
    let text = small::read(path, LARGEST_CLUSTER, Pipes::Refused).map_err(Error::from)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(NamedCluster { path: path.to_owned(), text })
}

fn options(args: &AuditArgs) -> anyhow::Result<AuditOptions> {
    Ok(AuditOptions {
        policy: args.weighing.policy()?,
        baseline: args.weighing.baseline()?,
        before: args.compare.as_deref().map(before).transpose()?,
        ..AuditOptions::default()
    })
}

/// More is no report.
const LARGEST_REPORT: u64 = 256 << 20;

fn before(path: &Path) -> anyhow::Result<Before> {
    let text = small::read(path, LARGEST_REPORT, Pipes::Taken).map_err(Error::from)?;
    Before::parse(&text).with_context(|| path.display().to_string())
}

fn write(out: &mut dyn Page, format: AuditFormat, report: &AuditReport<'_>) -> std::io::Result<()> {
    match format {
        AuditFormat::Text => table::audit(out, report),
        AuditFormat::Json => write_json(out, report),
        AuditFormat::Sarif => sarif::findings(out, &report.view()),
        AuditFormat::Html => html::audit(out, report),
        AuditFormat::Junit => junit::findings(out, &report.view()),
        AuditFormat::Github => github::findings(out, &report.view()),
    }
}

fn exit(outcome: &AuditOutcome, verdict: Verdict) -> Exit {
    let failures = Exit::worst(outcome.failures.iter().map(Error::class));
    let findings = match verdict {
        Verdict::NothingScanned => Exit::Work,
        Verdict::Fail => Exit::Findings,
        Verdict::Pass | Verdict::PartlyExamined | Verdict::Incomplete => Exit::Done,
    };
    failures.max(findings)
}
