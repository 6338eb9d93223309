//! `binlogsec decrypt`.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::bail;
use binlogsec::error::Error;
use binlogsec::event::gtid_set::GtidSet;
use binlogsec::io::TransferError;
use binlogsec::io::sink::SinkOptions;
use binlogsec::io::source::FileSource;
use binlogsec::keyring::Keyring;
use binlogsec::open::OpenLog;
use binlogsec::ops::decrypt::{
    self, DecryptOptions, Decrypted, FileOutcome, FileResult, Input, Output,
};
use binlogsec::ops::slice::{self, SliceOptions, SliceOutput};
use binlogsec::ops::targets::Targets;
use binlogsec::report::human;
use binlogsec::report::model::DecryptReport;
use clap::Args;

use super::args::{Format, KeyArgs};
use super::exit::Exit;
use super::keys;
use super::process;
use super::progress::Bar;
use super::terminal::{Terminal, write_json};
use super::time;

/// What messages call the standard streams.
const STDIN: &str = "<standard input>";
const STDOUT: &str = "<standard output>";

const DECRYPT_EXAMPLES: &str = "\
Examples:
  binlogsec decrypt binlog.000042 -o plain.000042 --keyring component_keyring_file
  binlogsec decrypt binlog.index --output-dir plain/ --keyring component_keyring_file
  binlogsec decrypt binlog.000042 -o - --keyring component_keyring_file | mysqlbinlog -
  binlogsec decrypt binlog.000042 -o - --stop-datetime '2026-11-21 14:03' | mysqlbinlog - | mysql";

/// Write the plaintext of encrypted logs, byte for byte
///
/// A missing or wrong key is found before any output exists. Outputs are private (mode 0600) and
/// appear under their names when they are whole.
#[derive(Debug, Args)]
#[command(after_help = DECRYPT_EXAMPLES)]
#[command(group = clap::ArgGroup::new("target").required(true).args(["output", "output_dir"]))]
pub(crate) struct DecryptArgs {
    /// Encrypted logs; with --output-dir also directories and index files; `-` is standard input
    #[arg(value_name = "INPUT", required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    /// File for the plaintext of one log; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Directory for the plaintext of many, each under its own name; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// Replace outputs that are there
    #[arg(long)]
    pub(crate) force: bool,
    /// Write outputs through to the disk before saying that they are done
    #[arg(long)]
    pub(crate) sync: bool,
    /// Check every event before the plaintext appears under its name; a damaged log gives no output
    /// and exit code 4
    #[arg(long)]
    pub(crate) verify: bool,
    #[command(flatten)]
    pub(crate) slice: SliceArgs,
    /// How to report; the report goes to standard error when the log goes to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

/// Which transactions; as the options of mysqlbinlog of the same names, but whole transactions.
#[derive(Debug, Args)]
#[command(next_help_heading = "Slices: only some transactions (with -o FILE)")]
pub(crate) struct SliceArgs {
    /// Transactions that begin at this position or behind it; an event must start there
    #[arg(long, value_name = "N")]
    start_position: Option<u64>,
    /// Transactions that end at this position or before it
    #[arg(long, value_name = "N")]
    stop_position: Option<u64>,
    /// From the first transaction on that began at this time (UTC, or with an offset)
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    start_datetime: Option<i64>,
    /// Up to the first transaction that began at this time or later
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    stop_datetime: Option<i64>,
    /// Transactions in this set, e.g. UUID:1-5:tag:7
    #[arg(long, value_name = "SET")]
    include_gtids: Option<GtidSet>,
    /// Transactions not in this set
    #[arg(long, value_name = "SET")]
    exclude_gtids: Option<GtidSet>,
}

impl SliceArgs {
    fn options(&self) -> SliceOptions {
        SliceOptions {
            start_position: self.start_position,
            stop_position: self.stop_position,
            start_time: self.start_datetime,
            stop_time: self.stop_datetime,
            include_gtids: self.include_gtids.clone(),
            exclude_gtids: self.exclude_gtids.clone(),
        }
    }
}

pub(crate) fn run(args: &DecryptArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let keyring = keys::open(&args.keys, terminal)?;
    process::clean_up_on_signals()?;
    let started = Instant::now();
    let slice = args.slice.options();
    let (results, failures) = match (&args.output, &args.output_dir) {
        (Some(output), _) if !slice.is_whole_log() => (
            vec![one_slice(args, &slice, output, &keyring, terminal)?],
            Vec::new(),
        ),
        (None, Some(_)) if !slice.is_whole_log() => {
            bail!("a slice is made of one log: use -o FILE")
        }
        (Some(output), _) => (vec![one(args, output, &keyring, terminal)?], Vec::new()),
        (None, Some(directory)) => many(args, directory, &keyring, terminal)?,
        (None, None) => bail!("name an output: -o FILE or --output-dir DIR"),
    };
    speak_of_speed(&results, started, terminal);
    report(args, &results, &failures, terminal)
}

fn one(
    args: &DecryptArgs,
    output: &Path,
    keyring: &Keyring,
    terminal: &Terminal,
) -> anyhow::Result<FileResult> {
    let [path] = args.inputs.as_slice() else {
        bail!(
            "-o takes one input, {} were named; use --output-dir DIR",
            args.inputs.len()
        );
    };
    let input = match input(path) {
        Ok(input) => input,
        Err(error) => {
            return Ok(FileResult {
                input: path.clone(),
                result: Err(error),
            });
        }
    };
    let total = match &input {
        Input::File(source) => Some(source.length()),
        Input::Stream(..) => None,
    };
    if args.verify && is_dash(output) && matches!(input, Input::Stream(..)) {
        bail!(
            "--verify needs a file as input or as output: a stream cannot be checked before it is passed on"
        );
    }
    let options = DecryptOptions {
        verify: args.verify,
    };
    let bar = Bar::new(total, terminal);
    let result = if is_dash(output) {
        let mut stdout = io::stdout().lock();
        decrypt::decrypt(
            input,
            Output::Stream(&mut stdout, Path::new(STDOUT)),
            keyring,
            options,
            &bar,
        )
    } else {
        decrypt::decrypt(
            input,
            Output::File(output, sink_options(args)),
            keyring,
            options,
            &bar,
        )
    };
    match result {
        // Ends the command by its own exit code, without a report.
        Err(Error::Transfer(error)) if error.is_broken_pipe() => Err(Error::from(error).into()),
        result => {
            let outcome = |decrypted| FileOutcome::Decrypted(output.to_owned(), decrypted);
            Ok(FileResult {
                input: path.clone(),
                result: result.map(outcome),
            })
        }
    }
}

/// A part of one log. Plaintext logs are as good as encrypted ones here.
fn one_slice(
    args: &DecryptArgs,
    options: &SliceOptions,
    output: &Path,
    keyring: &Keyring,
    terminal: &Terminal,
) -> anyhow::Result<FileResult> {
    let [path] = args.inputs.as_slice() else {
        bail!(
            "a slice is made of one log, {} were named",
            args.inputs.len()
        );
    };
    let result = open_source(path)
        .and_then(|source| OpenLog::new(source, keyring))
        .and_then(|log| write_slice(args, &log, options, output, terminal));
    match result {
        Err(Error::Transfer(error)) if error.is_broken_pipe() => Err(Error::from(error).into()),
        result => {
            let outcome = |decrypted| FileOutcome::Decrypted(output.to_owned(), decrypted);
            Ok(FileResult {
                input: path.clone(),
                result: result.map(outcome),
            })
        }
    }
}

fn write_slice(
    args: &DecryptArgs,
    log: &OpenLog,
    options: &SliceOptions,
    output: &Path,
    terminal: &Terminal,
) -> Result<Decrypted, Error> {
    let plan = slice::plan(log, options)?;
    let bar = Bar::new(Some(plan.length()), terminal);
    if is_dash(output) {
        let mut stdout = io::stdout().lock();
        let target = SliceOutput::Stream(&mut stdout, Path::new(STDOUT));
        slice::write(log, &plan, target, &bar)?;
    } else {
        let target = SliceOutput::File(output, sink_options(args));
        slice::write(log, &plan, target, &bar)?;
    }
    drop(bar);
    if plan.incomplete > 0 {
        terminal.warning(&format!(
            "{} transactions that the range cuts were left out",
            plan.incomplete
        ));
    }
    if plan.transactions == 0 {
        terminal.warning("no transaction is in the slice");
    }
    terminal.detail(&format!("{} transactions", plan.transactions));
    Ok(Decrypted {
        kind: log.kind().clone(),
        description: log.probe().description().cloned(),
        plain_length: plan.length(),
    })
}

fn many(
    args: &DecryptArgs,
    directory: &Path,
    keyring: &Keyring,
    terminal: &Terminal,
) -> anyhow::Result<(Vec<FileResult>, Vec<Error>)> {
    if args.inputs.iter().any(|input| is_dash(input)) {
        bail!("standard input has no name for --output-dir; use -o FILE");
    }
    let Targets { files, failures } = Targets::expand(&args.inputs);
    let size = |path: &PathBuf| path.metadata().map_or(0, |metadata| metadata.len());
    let total = files
        .iter()
        .map(|file| size(&file.path))
        .fold(0, u64::saturating_add);
    let bar = Bar::new(Some(total), terminal);
    let options = DecryptOptions {
        verify: args.verify,
    };
    let results =
        decrypt::decrypt_all(files, directory, sink_options(args), keyring, options, &bar)?;
    Ok((results, failures))
}

const fn sink_options(args: &DecryptArgs) -> SinkOptions {
    SinkOptions {
        force: args.force,
        sync: args.sync,
    }
}

fn report(
    args: &DecryptArgs,
    results: &[FileResult],
    failures: &[Error],
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let report = DecryptReport::new(results, failures);
    let to_stdout = args.output.as_deref().is_some_and(is_dash);
    let mut out: Box<dyn Write> = if to_stdout {
        Box::new(terminal.err())
    } else {
        Box::new(terminal.out())
    };
    match args.format {
        Format::Json => write_json(&mut out, &report)?,
        // Somebody pipes the log on; a table would be in the way.
        Format::Text if to_stdout || terminal.is_quiet() => {}
        Format::Text => human::decrypt(&mut out, &report)?,
    }
    out.flush()?;
    drop(out);
    let errors = || {
        results
            .iter()
            .filter_map(|file| file.result.as_ref().err())
            .chain(failures)
    };
    errors().for_each(|error| terminal.error(&error.to_string()));
    if results.is_empty() && failures.is_empty() {
        bail!("nothing to decrypt");
    }
    Ok(Exit::worst(errors().map(Error::class)))
}

fn speak_of_speed(results: &[FileResult], started: Instant, terminal: &Terminal) {
    let bytes = results.iter().filter_map(|file| match &file.result {
        Ok(FileOutcome::Decrypted(_, decrypted)) => Some(decrypted.plain_length),
        _ => None,
    });
    let bytes: u64 = bytes.fold(0, u64::saturating_add);
    let seconds = started.elapsed().as_secs_f64();
    terminal.detail(&format!("{bytes} bytes in {seconds:.3} s"));
}

pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Opens an input. A regular file that a shell redirects is as good as a named one.
fn input(path: &Path) -> Result<Input, Error> {
    if !is_dash(path) {
        return Ok(Input::File(FileSource::open(path)?));
    }
    if let Some(file) = redirected_file() {
        return Ok(Input::File(FileSource::from_file(file, Path::new(STDIN))?));
    }
    Ok(Input::Stream(Box::new(io::stdin()), PathBuf::from(STDIN)))
}

/// Opens a log for a command that reads it here and there. A stream is kept in a file without a
/// name, as it comes: what is encrypted stays so.
pub(crate) fn open_source(path: &Path) -> Result<FileSource, Error> {
    let mut stream = match input(path)? {
        Input::File(source) => return Ok(source),
        Input::Stream(stream, _) => stream,
    };
    let name = Path::new(STDIN);
    let mut file = tempfile::tempfile().map_err(|source| TransferError::File {
        path: std::env::temp_dir(),
        operation: "create a temporary file in",
        source,
    })?;
    let failed = |source| TransferError::File {
        path: name.to_owned(),
        operation: "copy",
        source,
    };
    io::copy(&mut stream, &mut file).map_err(failed)?;
    Ok(FileSource::from_file(file, name)?)
}

fn redirected_file() -> Option<File> {
    let mut file = File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
    let is_file = file.metadata().ok()?.is_file();
    (is_file && file.stream_position().ok()? == 0).then_some(file)
}
