//! One log from one place to another, or many into a directory: what `decrypt` and `encrypt` have
//! in common on the command line.

use std::fs::{File, Metadata};
use std::io::{self, IsTerminal, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::bail;
use binlogsec_core::batch::listed::IndexNotice;
use binlogsec_core::batch::shard::Shard;
use binlogsec_core::batch::targets::{Origin, Target, Targets};
use binlogsec_core::batch::transfer::{Input, Output};
use binlogsec_core::batch::{FileOutcome, FileResult};
use binlogsec_core::file::sink::SinkOptions;
use binlogsec_core::file::source::FileSource;
use binlogsec_core::file::{TransferError, inputs, pipeline};
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::error::{Error, describe};
use binlogsec_core::log::log_error::LogError;
use binlogsec_core::log::open::{self, OpenLog};
use binlogsec_core::log::refusal::Refusal;
use binlogsec_core::read::pairs::PartedXa;
use binlogsec_core::read::stream::StreamPlan;
use serde::Serialize;

use super::args::Format;
use super::exit::Exit;
use super::lines::plural;
use super::process;
use super::progress::Bar;
use super::terminal::{Page, Terminal, write_json};

/// What messages call the standard streams.
const STDIN: &str = "<standard input>";
pub(crate) const STDOUT: &str = "<standard output>";

/// Every input's result, and what could not be read at all.
pub(crate) type Results<T, R> = (Vec<FileResult<T, R>>, Vec<Error>);

/// Takes one input to one output.
pub(crate) fn one<T, R>(
    inputs: &[PathBuf],
    output: &Path,
    options: SinkOptions,
    terminal: &Terminal,
    work: impl FnOnce(Input, Output<'_>, &Bar) -> Result<T, Error>,
) -> anyhow::Result<Results<T, R>> {
    let [path] = inputs else {
        let count = inputs.len();
        bail!("-o takes one input, {count} were named; use --output-dir DIR");
    };
    let transfer = |input: Input| {
        let total = match &input {
            Input::File(source) => Some(source.length()),
            Input::Stream(..) => None,
        };
        let bar = Bar::new(total, terminal);
        if is_dash(output) {
            let mut stdout = raw(io::stdout()).map_err(|source| TransferError::File {
                path: PathBuf::from(STDOUT),
                operation: "write",
                source,
            })?;
            work(input, Output::Stream(&mut stdout, Path::new(STDOUT)), &bar)
        } else {
            work(input, Output::File(output, options), &bar)
        }
    };
    match input(path).and_then(transfer) {
        // Ends the command by its own exit code, without a report.
        Err(Error::Transfer(error)) if error.is_broken_pipe() => Err(Error::from(error).into()),
        result => {
            let result = result.map(|done| FileOutcome::Done(output.to_owned(), done));
            let input = path.clone();
            Ok((vec![FileResult { input, result }], Vec::new()))
        }
    }
}

/// Takes many inputs through `work`, which has a progress bar over the bytes of all of them;
/// `option` is what says where they go.
pub(crate) fn many<T, R>(
    (inputs, shard): (&[PathBuf], Option<Shard>),
    option: &str,
    terminal: &Terminal,
    work: impl FnOnce(Vec<Target>, &Bar) -> Result<Vec<FileResult<T, R>>, Error>,
) -> anyhow::Result<Results<T, R>> {
    let Targets { files, failures, .. } = expand((inputs, shard), option, terminal)?;
    let bar = bar_over(&files, terminal);
    Ok((work(files, &bar)?, failures))
}

/// The same where results take the place of the inputs.
pub(crate) fn in_place<T, R>(
    inputs: &[PathBuf],
    terminal: &Terminal,
    work: impl FnOnce(&Bar) -> Results<T, R>,
) -> anyhow::Result<Results<T, R>> {
    let bar = bar_over(&expand((inputs, None), "--in-place", terminal)?.files, terminal);
    Ok(work(&bar))
}

fn expand(
    (inputs, shard): (&[PathBuf], Option<Shard>),
    option: &str,
    terminal: &Terminal,
) -> anyhow::Result<Targets> {
    if inputs.iter().any(|input| is_dash(input)) {
        bail!("standard input has no name for {option}; use -o FILE");
    }
    let targets = Targets::expand_shard(inputs, shard);
    tell(&targets.notices, terminal);
    Ok(targets)
}

/// Says where logs are read that do not lie where their index names them, or not beside it.
pub(crate) fn tell(notices: &[IndexNotice], terminal: &Terminal) {
    for notice in notices {
        terminal.warning(&notice.to_string());
    }
}

/// Says which XA transactions are cut by the ends of what is written: prepared in it and not ended, or
/// ended in it and prepared elsewhere.
pub(crate) fn tell_xa(prepared: &[PartedXa], ended: &[PartedXa], terminal: &Terminal) {
    if !prepared.is_empty() {
        terminal.warning(&format!(
            "prepared (XA) in these, and not ended: {}: {}. Their rows stay locked until XA COMMIT or XA \
             ROLLBACK; XA RECOVER lists them",
            plural(prepared.len(), "transaction"),
            each(prepared, "XA COMMIT or XA ROLLBACK")
        ));
    }
    if !ended.is_empty() {
        terminal.warning(&format!(
            "prepared (XA) before the first of these, or left out, and ended by XA COMMIT or XA ROLLBACK in them: \
             {}: {}. A server that does not have them prepared answers ERROR 1397: begin with a backup and logs from \
             before, or leave these out by --exclude-gtid. A dump does not have what is prepared",
            plural(ended.len(), "transaction"),
            each(ended, "XA PREPARE")
        ));
    }
}

/// Their ids, the transaction that has the half that is taken, and the one that has the other, if that is
/// there and left out.
fn each(cut: &[PartedXa], other: &str) -> String {
    const MOST: usize = 20;
    let name = |cut: &PartedXa| {
        let left_out = cut.left_out.as_deref();
        let left_out = left_out.map(|name| format!("; {name}, its {other}, is left out"));
        format!("{} ({}{})", cut.xid, cut.taken, left_out.unwrap_or_default())
    };
    let mut names: Vec<String> = cut.iter().take(MOST).map(name).collect();
    if cut.len() > MOST {
        names.push(format!("{} more", cut.len().saturating_sub(MOST)));
    }
    names.join(", ")
}

/// Says how the server's own reader takes numbers of MariaDB that do not rise.
pub(crate) fn tell_numbers(plan: &StreamPlan, terminal: &Terminal) {
    if plan.falls() {
        terminal.warning(
            "several servers write into one domain, and its numbers do not rise: read this with \
             `mariadb-binlog --skip-gtid-strict-mode`. Without that option it stops: `Found out of order GTID`",
        );
    }
}

fn bar_over(files: &[Target], terminal: &Terminal) -> Bar {
    let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    let sizes = files.iter().map(|file| size(&file.path));
    Bar::new(Some(sizes.fold(0, u64::saturating_add)), terminal)
}

/// Writes a report: to standard error when a log went to standard output.
pub(crate) fn report<M: Serialize>(
    model: &M,
    format: Format,
    output: Option<&Path>,
    terminal: &Terminal,
    human: impl FnOnce(&mut dyn Page, &M) -> io::Result<()>,
) -> anyhow::Result<()> {
    process::let_signal_end();
    let to_stdout = output.is_some_and(is_dash);
    let mut out: Box<dyn Page> =
        if to_stdout { Box::new(terminal.err()) } else { Box::new(terminal.out()) };
    match format {
        Format::Json => write_json(&mut out, model)?,
        // Somebody pipes the log on; a table would be in the way.
        Format::Text if to_stdout || terminal.is_quiet() => {}
        Format::Text => human(&mut out, model)?,
    }
    Ok(out.flush()?)
}

/// Says what went wrong with which file, and gives the code for all of them. Nothing to do is an
/// error, but for a shard, in which `may_be_nothing`.
pub(crate) fn conclude<T, R>(
    (results, failures): &Results<T, R>,
    what: &str,
    may_be_nothing: bool,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let errors = || results.iter().filter_map(|file| file.result.as_ref().err()).chain(failures);
    let is_stopped =
        |error: &&Error| matches!(error, Error::Refused { source: Refusal::Stopped { .. }, .. });
    let (stopped, told): (Vec<_>, Vec<_>) = errors().partition(is_stopped);
    told.iter().for_each(|error| terminal.error(&describe(error)));
    // One by one they stand in the report.
    if let Some(first) = stopped.first() {
        let others = match stopped.len() {
            1 => String::new(),
            count => format!(" (and {} more that were not begun)", count.saturating_sub(1)),
        };
        terminal.error(&format!("{}{others}", describe(first)));
    }
    if results.is_empty() && failures.is_empty() && !may_be_nothing {
        bail!("nothing to {what}");
    }
    Ok(Exit::worst(errors().map(Error::class)))
}

/// Says how fast it was, if that is asked for.
pub(crate) fn speak_of_speed<T, R>(
    (results, _): &Results<T, R>,
    length: impl Fn(&T) -> u64,
    started: Instant,
    terminal: &Terminal,
) {
    let bytes = results.iter().filter_map(|file| match &file.result {
        Ok(FileOutcome::Done(_, done)) => Some(length(done)),
        _ => None,
    });
    let bytes: u64 = bytes.fold(0, u64::saturating_add);
    let seconds = started.elapsed().as_secs_f64();
    terminal.detail(&format!("{bytes} bytes in {seconds:.3} s"));
}

pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Refuses to write bytes of a log to a terminal, which would take some of them for commands.
pub(crate) fn refuse_terminal() -> anyhow::Result<()> {
    if io::stdout().is_terminal() {
        bail!(
            "standard output is a terminal, and what goes there is binary: name a file, or use a pipe as in `… -o - | mysqlbinlog -`"
        );
    }
    Ok(())
}

/// Warns of plaintext that goes to a file which a shell has made, and made for others, too. What
/// `-o` makes is for its owner alone.
pub(crate) fn warn_if_others_read_stdout(terminal: &Terminal) {
    const OTHERS_READ: u32 = 0o044;
    let Ok(file) = io::stdout().as_fd().try_clone_to_owned().map(File::from) else {
        return;
    };
    let Some(metadata) = file.metadata().ok().filter(Metadata::is_file) else {
        return;
    };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & OTHERS_READ != 0 {
        terminal.warning(&format!(
            "standard output gets plaintext and is a file that others than its owner may read \
             (mode {mode:03o}); -o FILE makes one for its owner alone"
        ));
    }
}

/// Opens an input. A regular file that a shell redirects is as good as a named one.
pub(crate) fn input(path: &Path) -> Result<Input, Error> {
    if !is_dash(path) {
        return Ok(Input::File(open::source(path)?));
    }
    let name = Path::new(STDIN);
    let failed = |source| TransferError::File { path: name.to_owned(), operation: "read", source };
    let mut stdin = raw(io::stdin()).map_err(failed)?;
    let metadata = stdin.metadata().map_err(failed)?;
    let is_file = metadata.is_file();
    if is_file {
        inputs::note(&metadata);
    }
    if is_file && stdin.stream_position().map_err(failed)? == 0 {
        return Ok(Input::File(FileSource::from_file(stdin, name)?));
    }
    Ok(Input::Stream(Box::new(stdin), name.to_owned()))
}

/// A standard stream without the buffers that the standard library puts around it, and with room
/// for more if it is a pipe.
pub(crate) fn raw(stream: impl AsFd) -> io::Result<File> {
    let file = File::from(stream.as_fd().try_clone_to_owned()?);
    pipeline::widen_pipe(&file);
    Ok(file)
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
    let failed = |source| TransferError::File { path: name.to_owned(), operation: "copy", source };
    io::copy(&mut stream, &mut file).map_err(failed)?;
    Ok(FileSource::from_file(file, name)?)
}

/// Opens a log of many. `None` for what came with a directory and is no log, or is not there any more.
pub(crate) fn open_log(target: &Target, keyring: &Keyring) -> Result<Option<OpenLog>, Error> {
    let opened = open_source(&target.path).and_then(|source| OpenLog::new(source, keyring));
    match opened {
        Ok(log) => Ok(Some(log)),
        Err(Error::Log { source: LogError::NotALog | LogError::Empty, .. })
            if target.origin == Origin::Directory =>
        {
            Ok(None)
        }
        Err(error) if target.has_vanished(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
