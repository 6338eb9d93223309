//! `binlogsec decrypt`.

pub(crate) mod report;
pub(crate) mod slice;
mod stream;
pub(crate) mod table;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::bail;
use binlogsec_core::file::sealed::Recipients;
use binlogsec_core::log::error::describe;
use binlogsec_core::read::decrypt::{self, DecryptOptions, FileOutcome, FileResult};
use clap::Args;
use report::DecryptReport;

use crate::args::{Format, KeyArgs, WriteArgs};
use crate::exit::Exit;
use crate::files_report::FilesReport;
use crate::shard::ShardArgs;
use crate::terminal::Terminal;
use crate::transfer::is_dash;
use crate::{keys, process, transfer};
use slice::SliceArgs;

const DECRYPT_EXAMPLES: &str = "\
Examples:
  binlogsec decrypt binlog.000042 -o plain.000042 \\
      --keyring component_keyring_file
  binlogsec decrypt binlog.index --output-dir plain/ \\
      --keyring component_keyring_file
  binlogsec decrypt binlog.000042 -o - --keyring component_keyring_file \\
      | mysqlbinlog -
  binlogsec decrypt binlog.index -o - --to '2026-11-21 14:03' \\
      --time-zone local | mysqlbinlog - | mysql
  binlogsec decrypt s3://logs/host1/ --output-dir s3://archive/host1 \\
      --recipient age1…";

/// Write the plaintext of encrypted logs, byte for byte
///
/// A missing or wrong key is found before any output exists. Outputs are private (mode 0600) and
/// appear under their names when they are whole.
#[derive(Debug, Args)]
#[command(after_help = DECRYPT_EXAMPLES)]
#[command(group = clap::ArgGroup::new("target").required(true).args(["output", "output_dir"]))]
pub(crate) struct DecryptArgs {
    /// Encrypted logs, directories, index files; `-` is standard input
    #[arg(value_name = "INPUT", required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    /// File for the plaintext: of one log byte for byte; of several, in the order given, their whole
    /// transactions in one stream for one `mysqlbinlog -`. `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Directory for the plaintext of many, each under its own name; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    /// Check every event before the plaintext appears under its name; a damaged log gives no output
    /// and exit code 4
    #[arg(long)]
    pub(crate) verify: bool,
    /// With --verify: take a log that has no end for damaged, as a backup should have none
    #[arg(long, requires = "verify")]
    pub(crate) strict: bool,
    /// Write age files for these recipients instead of plaintext: age1…, or a file with one on each
    /// line; with --output-dir the names get `.age`; repeatable
    #[arg(long = "recipient", value_name = "age1…|FILE")]
    pub(crate) recipients: Vec<OsString>,
    #[command(flatten)]
    pub(crate) slice: SliceArgs,
    #[command(flatten)]
    pub(crate) shard: ShardArgs,
    /// How to report; the report goes to standard error when the log goes to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

/// What the table would say, where there is none.
fn tell_cut(file: &FileResult, terminal: &Terminal) {
    if let Ok(FileOutcome::Done(_, done)) = &file.result
        && let Some(damage) = &done.damage
    {
        terminal.warning(&format!("{}: {}", file.input.display(), describe(damage)));
    }
    if let Ok(FileOutcome::Done(_, done)) = &file.result {
        for note in &done.notes {
            terminal.warning(&format!("{}: {note}", file.input.display()));
        }
    }
}

pub(crate) fn run(args: &DecryptArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let recipients = match args.recipients.as_slice() {
        [] => None,
        names => Some(Recipients::open(names)?),
    };
    let recipients = recipients.as_ref();
    if args.output.as_deref().is_some_and(is_dash) {
        transfer::refuse_terminal()?;
        if recipients.is_none() {
            transfer::warn_if_others_read_stdout(terminal);
        }
    }
    let keyring = keys::open(&args.keys, terminal)?;
    process::clean_up_on_signals()?;
    let started = Instant::now();
    let (sink, slice) = (args.write.sink_options(), args.slice.options(terminal)?);
    let mut selected_nothing = false;
    let checks = DecryptOptions {
        verify: args.verify,
        strict: args.strict,
        resume: args.shard.resume,
        recipients,
    };
    args.shard.check_target(args.output_dir.is_some())?;
    let results = match (&args.output, &args.output_dir) {
        (Some(output), _) if !slice.is_whole_log() || stream::is_of_many(&args.inputs) => {
            let what = (&slice, recipients);
            let streamed = stream::run(args, what, output, &keyring, terminal)?;
            selected_nothing = !slice.is_whole_log() && streamed.selected_nothing();
            streamed.results
        }
        (None, Some(_)) if !slice.is_whole_log() => {
            bail!("a slice goes into one output, whatever the number of logs: use -o FILE or -o -")
        }
        (Some(output), _) => transfer::one(&args.inputs, output, sink, terminal, |i, o, bar| {
            decrypt::decrypt(i, o, &keyring, checks, bar)
        })?,
        (None, Some(directory)) => {
            let inputs = (&*args.inputs, args.shard.shard);
            transfer::many(inputs, "--output-dir", terminal, |files, bar| {
                decrypt::decrypt_all(files, directory, sink, &keyring, checks, bar)
            })?
        }
        (None, None) => bail!("name an output: -o FILE or --output-dir DIR"),
    };
    transfer::speak_of_speed(&results, |done| done.plain_length, started, terminal);
    let results_of_files = FilesReport::new(&results.0, &results.1);
    let model = DecryptReport { schema: "binlogsec.decrypt/1", results: results_of_files };
    let output = args.output.as_deref();
    // A report in JSON says so itself.
    if output.is_some_and(is_dash) && args.format == Format::Text {
        results.0.iter().for_each(|file| tell_cut(file, terminal));
    }
    transfer::report(&model, args.format, output, terminal, table::decrypt)?;
    let exit = transfer::conclude(&results, "decrypt", args.shard.shard.is_some(), terminal)?;
    if selected_nothing {
        terminal.warning("no transaction is in the slice");
        return Ok(exit.max(Exit::Findings));
    }
    Ok(exit)
}
