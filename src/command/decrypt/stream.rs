//! `binlogsec decrypt` of many logs, or of a slice, into one output.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::bail;
use binlogsec_core::batch::targets::{Origin, Target, Targets, names_index};
use binlogsec_core::batch::transfer::Output;
use binlogsec_core::file::location;
use binlogsec_core::file::sealed::Recipients;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::error::Error;
use binlogsec_core::log::open::OpenLog;
use binlogsec_core::read::decrypt::{self, Decrypted, FileOutcome, FileResult};
use binlogsec_core::read::slice::SliceOptions;
use binlogsec_core::read::stream::{self, StreamPlan};

use super::DecryptArgs;
use crate::progress::Bar;
use crate::terminal::Terminal;
use crate::transfer::{self, STDOUT, is_dash, open_source, tell, tell_numbers, tell_xa};

/// Whether inputs stand for more than one log, or may.
pub(super) fn is_of_many(inputs: &[PathBuf]) -> bool {
    let stands_for_many =
        |input: &PathBuf| location::is_directory(input) || input.is_dir() || names_index(input);
    inputs.len() != 1 || inputs.iter().any(stands_for_many)
}

/// What a stream came to: each log's result, in order, and the transactions in all of them.
pub(super) struct Streamed {
    pub(super) results: (Vec<FileResult>, Vec<Error>),
    transactions: u64,
}

impl Streamed {
    /// Whether all logs were read, and nothing of them was wanted.
    pub(super) fn selected_nothing(&self) -> bool {
        self.results.1.is_empty() && self.transactions == 0
    }
}

/// Writes the transactions that are wanted of all logs, one log behind the other. Plaintext logs are
/// as good as encrypted ones here. Nothing is written unless all of them can be read to their ends.
pub(super) fn run(
    args: &DecryptArgs,
    (options, recipients): (&SliceOptions, Option<&Recipients>),
    output: &Path,
    keyring: &Keyring,
    terminal: &Terminal,
) -> anyhow::Result<Streamed> {
    let Targets { files, mut failures, notices, .. } = Targets::expand(&args.inputs);
    tell(&notices, terminal);
    let files = each_once_in_order(files);
    let (mut plan, mut done) = (StreamPlan::default(), Vec::new());
    let last = files.len().saturating_sub(1);
    for (number, target) in files.iter().enumerate() {
        // Of the logs behind the last moment nothing is wanted.
        if plan.is_over() {
            break;
        }
        let own = of_log(options, number == 0, number == last);
        match add(&mut plan, target, &own, keyring, args) {
            Ok(Some(decrypted)) => done.push((target.path.clone(), decrypted)),
            Ok(None) => {}
            Err(error) => failures.push(error),
        }
    }
    if let Some((relay, binary)) = plan.relay_and_binary_log() {
        bail!(
            "{} is a relay log and {} a binary log: both may have the same transactions; name the logs of one kind, or their index",
            relay.display(),
            binary.display()
        );
    }
    if failures.is_empty() && !done.is_empty() {
        tell_order(&plan, terminal);
        if let Err(error) = write(args, &plan, recipients, output, keyring, terminal) {
            match error {
                Error::Transfer(error) if error.is_broken_pipe() => {
                    return Err(Error::from(error).into());
                }
                error => failures.push(error),
            }
        }
    }
    // One that failed leaves nothing of the others.
    if !failures.is_empty() {
        done.clear();
    }
    let lengths = plan.parts().iter().map(|part| part.plan().length());
    let results = done.into_iter().zip(lengths).map(|((input, decrypted), length)| {
        let decrypted = Decrypted { plain_length: length, ..decrypted };
        FileResult { input, result: Ok(FileOutcome::Done(output.to_owned(), decrypted)) }
    });
    Ok(Streamed { results: (results.collect(), failures), transactions: plan.transactions() })
}

/// What is wanted of one log: positions are those of the first and of the last.
fn of_log(options: &SliceOptions, is_first: bool, is_last: bool) -> SliceOptions {
    SliceOptions {
        start_position: options.start_position.filter(|_| is_first),
        stop_position: options.stop_position.filter(|_| is_last),
        ..options.clone()
    }
}

/// Looks at one log from its first event to its last. `None` for what came with a directory and is
/// no log.
fn add(
    plan: &mut StreamPlan,
    target: &Target,
    options: &SliceOptions,
    keyring: &Keyring,
    args: &DecryptArgs,
) -> Result<Option<Decrypted>, Error> {
    let Some(log) = transfer::open_log(target, keyring)? else {
        return Ok(None);
    };
    let notes = if args.verify { decrypt::refuse_damaged(&log, args.strict)? } else { Vec::new() };
    let decrypted = Decrypted { notes, ..Decrypted::of(&log, 0, None) };
    plan.add(log, options)?;
    Ok(Some(decrypted))
}

fn write(
    args: &DecryptArgs,
    plan: &StreamPlan,
    recipients: Option<&Recipients>,
    output: &Path,
    keyring: &Keyring,
    terminal: &Terminal,
) -> Result<(), Error> {
    let bar = Bar::new(Some(plan.length()), terminal);
    let open = |path: &Path| OpenLog::new(open_source(path)?, keyring);
    if is_dash(output) {
        let mut stdout = io::stdout().lock();
        let target = Output::Stream(&mut stdout, Path::new(STDOUT));
        stream::write(plan, &open, target, recipients, &bar)?;
    } else {
        let target = Output::File(output, args.write.sink_options());
        stream::write(plan, &open, target, recipients, &bar)?;
    }
    drop(bar);
    if plan.incomplete() > 0 {
        terminal.warning(&format!(
            "{} transactions that the range or the end of a log cuts were left out",
            plan.incomplete()
        ));
    }
    tell_numbers(plan, terminal);
    tell_xa(&plan.prepared(), &plan.ended(), terminal);
    terminal.detail(&format!("{} transactions", plan.transactions()));
    Ok(())
}

/// The same files in their order, none twice whatever its names. Those of a directory are in the order
/// of their numbers: behind 999999 comes 1000000.
fn each_once_in_order(mut files: Vec<Target>) -> Vec<Target> {
    let is_of_directory = |file: &Target| file.origin == Origin::Directory;
    for run in files.chunk_by_mut(|one, next| is_of_directory(one) && is_of_directory(next)) {
        run.sort_by_cached_key(|file| {
            (file.path.with_extension(""), number(&file.path), file.path.clone())
        });
    }
    let mut seen = HashSet::new();
    let is_first = |file: &Target| {
        let real = file.path.canonicalize();
        seen.insert(real.unwrap_or_else(|_| file.path.clone()))
    };
    files.into_iter().filter(is_first).collect()
}

/// The number that a log has in its series, if its name ends in one.
fn number(path: &Path) -> Option<u64> {
    path.extension().and_then(OsStr::to_str)?.parse().ok()
}

/// Says which logs are not among the inputs although those before and behind them are, by their
/// numbers, and where one series of logs ends and another begins: in which order their transactions
/// were committed, names do not tell.
fn tell_order(plan: &StreamPlan, terminal: &Terminal) {
    for pair in plan.parts().windows(2) {
        let [before, after] = pair else { continue };
        let (before, after) = (before.path(), after.path());
        let is_one_series = before.with_extension("") == after.with_extension("");
        if !is_one_series {
            terminal.warning(&format!(
                "{} is of another series of logs than {}: the transactions of one come behind those of the \
                 other, whenever they were committed",
                after.display(),
                before.display()
            ));
        }
        if let (true, Some(from), Some(to)) = (is_one_series, number(before), number(after))
            && to != from.saturating_add(1)
        {
            terminal.warning(&format!(
                "{} does not follow {}: what stands between them is missing, or their order is another",
                after.display(),
                before.display()
            ));
        }
    }
}
