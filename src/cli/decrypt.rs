//! `binlogsec decrypt`.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::bail;
use binlogsec::error::Error;
use binlogsec::io::sink::SinkOptions;
use binlogsec::io::source::FileSource;
use binlogsec::keyring::Keyring;
use binlogsec::ops::decrypt::{self, FileOutcome, FileResult, Input, Output};
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

/// What messages call the standard streams.
const STDIN: &str = "<standard input>";
const STDOUT: &str = "<standard output>";

const DECRYPT_EXAMPLES: &str = "\
Examples:
  binlogsec decrypt binlog.000042 -o plain.000042 --keyring component_keyring_file
  binlogsec decrypt binlog.index --output-dir plain/ --keyring component_keyring_file
  binlogsec decrypt binlog.000042 -o - --keyring component_keyring_file | mysqlbinlog -";

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
    /// How to report; the report goes to standard error when the log goes to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

pub(crate) fn run(args: &DecryptArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let keyring = keys::open(&args.keys, terminal)?;
    process::clean_up_on_signals()?;
    let started = Instant::now();
    let (results, failures) = match (&args.output, &args.output_dir) {
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
    let bar = Bar::new(total, terminal);
    let result = if is_dash(output) {
        let mut stdout = io::stdout().lock();
        decrypt::decrypt(
            input,
            Output::Stream(&mut stdout, Path::new(STDOUT)),
            keyring,
            &bar,
        )
    } else {
        decrypt::decrypt(
            input,
            Output::File(output, sink_options(args)),
            keyring,
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
    let results = decrypt::decrypt_all(files, directory, sink_options(args), keyring, &bar)?;
    Ok((results, failures))
}

fn sink_options(args: &DecryptArgs) -> SinkOptions {
    SinkOptions {
        force: args.force,
        sync: args.sync,
        ..SinkOptions::default()
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

fn redirected_file() -> Option<File> {
    let mut file = File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
    let is_file = file.metadata().ok()?.is_file();
    (is_file && file.stream_position().ok()? == 0).then_some(file)
}
