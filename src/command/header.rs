//! `binlogsec header`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::command::rekey::report::{HeaderDumpReport, HeaderReport};
use binlogsec_core::batch::transfer::Output;
use binlogsec_core::file::sink::SinkOptions;
use binlogsec_core::write::header::{self, RestoreOptions};
use clap::{Args, Subcommand};

use crate::args::{Format, KeyArgs};
use crate::exit::Exit;
use crate::terminal::{Terminal, write_json};
use crate::transfer::{STDOUT, is_dash, refuse_terminal};
use crate::{keys, process};

const HEADER_EXAMPLES: &str = "\
Examples:
  binlogsec header dump binlog.000042
  binlogsec header dump binlog.000042 -o binlog.000042.header
  binlogsec header restore binlog.000042 binlog.000042.header \\
      --keyring component_keyring_file";

/// Show a log's 512-byte encryption header, put it aside, or back
///
/// A header with its key opens the log, whatever was done to the log's own header since: keep it as
/// safe as the log.
#[derive(Debug, Args)]
#[command(after_help = HEADER_EXAMPLES)]
pub(crate) struct HeaderArgs {
    #[command(subcommand)]
    pub(crate) action: HeaderAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HeaderAction {
    /// Show the parts of an encrypted log's header, or copy it into a file
    Dump(DumpArgs),
    /// Put a header back before a log's body; its key must open the log
    Restore(Box<RestoreArgs>),
}

#[derive(Debug, Args)]
pub(crate) struct DumpArgs {
    /// The log
    pub(crate) log: PathBuf,
    /// Copy the 512 bytes into this file and show nothing; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
    /// How to show the parts
    #[arg(long, value_enum, default_value = "text", conflicts_with = "output")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The log
    pub(crate) log: PathBuf,
    /// File with the 512 bytes, or a copy of the log with its header
    pub(crate) header: PathBuf,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// Do without a key: nothing then proves that the header belongs to the log
    #[arg(long)]
    pub(crate) force: bool,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

pub(crate) fn run(args: &HeaderArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    process::clean_up_on_signals()?;
    match &args.action {
        HeaderAction::Dump(args) => match &args.output {
            Some(output) => dump(&args.log, output, args.force),
            None => show(args, terminal),
        },
        HeaderAction::Restore(args) => restore(args, terminal),
    }
}

fn dump(log: &Path, output: &Path, force: bool) -> anyhow::Result<Exit> {
    if is_dash(output) {
        refuse_terminal()?;
        let mut stdout = io::stdout().lock();
        header::dump(log, Output::Stream(&mut stdout, Path::new(STDOUT)))?;
    } else {
        let options = SinkOptions { force, sync: true, ..SinkOptions::default() };
        header::dump(log, Output::File(output, options))?;
    }
    Ok(Exit::Done)
}

fn show(args: &DumpArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let anatomy = header::dissect(&args.log)?;
    let report = HeaderDumpReport::new(&args.log, &anatomy);
    let mut out = terminal.out();
    match args.format {
        Format::Json => write_json(&mut out, &report)?,
        Format::Text => crate::command::rekey::table::header_dump(&mut out, &report)?,
    }
    out.flush()?;
    match &anatomy.damage {
        Some(damage) => {
            terminal.error(&format!("{}: {damage}", args.log.display()));
            Ok(Exit::Damage)
        }
        None => Ok(Exit::Done),
    }
}

fn restore(args: &RestoreArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let keyring = keys::open(&args.keys, terminal)?;
    let options = RestoreOptions { force: args.force };
    let restored = header::restore(&args.log, &args.header, &keyring, options)?;
    let report = HeaderReport::new(&args.log, &restored);
    let mut out = terminal.out();
    match args.format {
        Format::Json => write_json(&mut out, &report)?,
        Format::Text if terminal.is_quiet() => {}
        Format::Text => crate::command::rekey::table::header(&mut out, &report)?,
    }
    Ok(out.flush().map(|()| Exit::Done)?)
}
