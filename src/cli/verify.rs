//! `binlogsec verify`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use binlogsec::error::Error;
use binlogsec::keyring::Keyring;
use binlogsec::ops::targets::{Target, Targets};
use binlogsec::ops::verify::{self, GapKind, Verified};
use binlogsec::report::human;
use binlogsec::report::model::VerifyReport;
use clap::Args;

use super::args::{Format, KeyArgs};
use super::exit::Exit;
use super::progress::Bar;
use super::terminal::{Terminal, write_json};
use super::{events, keys};

const VERIFY_EXAMPLES: &str = "\
Examples:
  binlogsec verify binlog.000042 --keyring component_keyring_file
  binlogsec verify /var/lib/mysql/binlog.index --keyring component_keyring_file
  binlogsec verify backup/ --keyring component_keyring_file --format json

Exit codes: 0 whole; 1 whole, but logs are missing between them or do not follow one another;
4 damaged. A log that was never closed may end within an event: that is a warning.";

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
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

pub(crate) fn run(args: &VerifyArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let keyring = keys::open(&args.keys, terminal)?;
    let Targets {
        files,
        mut failures,
    } = Targets::expand(&args.logs);
    let size = |target: &Target| target.path.metadata().map_or(0, |metadata| metadata.len());
    let total = files.iter().map(size).fold(0, u64::saturating_add);
    let bar = Bar::new(Some(total), terminal);
    let mut verified = Vec::new();
    // One after the other: each is checked on all threads.
    for target in &files {
        match one(target, &keyring, &bar) {
            Ok(Some(log)) => verified.push(log),
            Ok(None) => {}
            Err(error) => failures.push(error),
        }
    }
    drop(bar);
    if verified.is_empty() && failures.is_empty() {
        bail!("nothing to verify");
    }
    let mut gaps = verify::check_continuity(&verified.iter().collect::<Vec<_>>());
    // A server purges the oldest logs first: if what is missing was purged while others were read,
    // so was the log before it.
    gaps.retain(|gap| {
        let are_missing = matches!(gap.kind, GapKind::NumbersMissing { .. });
        !are_missing || gap.before.symlink_metadata().is_ok()
    });
    let report = VerifyReport::new(&verified, &gaps, &failures);
    let mut out = terminal.out();
    match args.format {
        Format::Text => human::verify(&mut out, &report)?,
        Format::Json => write_json(&mut out, &report)?,
    }
    out.flush()?;
    for failure in &failures {
        terminal.error(&failure.to_string());
    }
    let findings = if gaps.is_empty() {
        Exit::Done
    } else {
        Exit::Findings
    };
    let problems = verified.iter().filter_map(Verified::problem);
    let classes = problems.chain(failures.iter().map(Error::class));
    Ok(Exit::worst(classes).max(findings))
}

/// `None` for what came with a directory and is no log.
fn one(target: &Target, keyring: &Keyring, bar: &Bar) -> Result<Option<Verified>, Error> {
    events::open(target, keyring)?
        .map(|log| verify::verify(&log, bar))
        .transpose()
}
