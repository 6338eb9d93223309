//! `binlogsec undo`.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::bail;
use binlogsec_core::batch::targets::{Target, Targets};
use binlogsec_core::file::sink::AtomicFile;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::error::{Error, describe};
use binlogsec_core::log::error_class::ErrorClass;
use binlogsec_core::read::rows::schema::History;
use binlogsec_core::read::rows::undo::{Check, Direction, Plan, UndoOptions, Written};
use binlogsec_core::read::rows::xa::XaEnds;
use clap::{Args, ValueEnum};

use crate::args::{KeyArgs, WriteArgs};
use crate::command::events::judge;
use crate::command::rows::schema_args::SchemaArgs;
use crate::command::rows::{ChosenArgs, reopened, rolled_back};
use crate::exit::Exit;
use crate::terminal::Terminal;
use crate::{keys, transfer};

const UNDO_EXAMPLES: &str = "\
Examples:
  Take back what one transaction did
    binlogsec undo binlog.000042 \\
        --gtid 3e11fa47-71ca-11e1-9e33-c80aa9429562:23 \\
        -o undo.sql --keyring component_keyring_file
    mysql < undo.sql

  A DELETE without WHERE at ten past two; names of columns from a dump of the tables
    binlogsec undo binlog.000041 binlog.000042 --table shop.orders --op delete \\
        --from '2026-11-21 14:10' --to '2026-11-21 14:11' --schema tables.sql \\
        | mysql

Give all logs from the change up to now, so that a table that was altered since is noticed. \
A row that is not as the log says any more is left as it is, and the server's answer names it. \
Nothing is written when something that was chosen cannot be taken back. Exit codes: 1 when no row was chosen; 2 when it is refused.";

/// Write the SQL that takes changes of rows back, the last one first
#[derive(Debug, Args)]
#[command(after_help = UNDO_EXAMPLES)]
pub(crate) struct UndoArgs {
    /// Logs in their order, directories (searched at every depth), index files
    #[arg(value_name = "LOG", required = true)]
    pub(crate) logs: Vec<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    chosen: ChosenArgs,
    #[command(flatten)]
    schema: SchemaArgs,
    /// What becomes of a row that is not as the log says any more
    #[arg(long, value_enum, default_value = "rows")]
    check: CheckMode,
    /// SQL that takes the changes back, or makes them once more
    #[arg(long = "as", value_enum, value_name = "WHAT", default_value = "undo")]
    direction: As,
    /// Write to this file, which only its owner may read, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    write: WriteArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CheckMode {
    /// It stays as it is, and the server's answer names it
    Rows,
    /// The same, and its whole transaction is left as it is
    Transactions,
    /// It is overwritten: rows are found by their keys alone
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum As {
    Undo,
    Redo,
}

pub(crate) fn run(args: &UndoArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    if args.logs.iter().any(|log| transfer::is_dash(log)) {
        bail!("undo reads logs twice, which standard input cannot be: name a file");
    }
    let mut history = args.schema.history(terminal)?;
    let keyring = keys::open(&args.keys, terminal)?;
    let Targets { files, failures, notices, .. } = Targets::expand(&args.logs);
    transfer::tell(&notices, terminal);
    let mut plan = Plan::new(UndoOptions {
        filter: args.chosen.filter(terminal)?,
        check: match args.check {
            CheckMode::Rows => Check::Rows,
            CheckMode::Transactions => Check::Transactions,
            CheckMode::Off => Check::Off,
        },
        direction: match args.direction {
            As::Undo => Direction::Undo,
            As::Redo => Direction::Redo,
        },
    });
    let mut classes: Vec<_> = failures.iter().map(Error::class).collect();
    for failure in &failures {
        terminal.error(&describe(failure));
    }
    classes.extend(add_all(&files, &keyring, (&mut plan, &mut history), terminal)?);
    for note in history.take_notes().iter().chain(plan.notes()) {
        terminal.warning(note);
    }
    let (refusals, refused) = plan.refusals(&history);
    for refusal in refusals {
        terminal.error(&refusal.to_string());
    }
    let told = u64::try_from(refusals.len()).unwrap_or(u64::MAX);
    if refused > told {
        terminal
            .error(&format!("and {} more that cannot be taken back", refused.saturating_sub(told)));
    }
    let worst = Exit::worst(classes);
    if refused > 0 {
        terminal.error("nothing is written: choose what can be taken back");
        return Ok(worst.max(Exit::Work));
    }
    if worst != Exit::Done {
        terminal.error("nothing is written, as not all of the logs could be read");
        return Ok(worst);
    }
    if plan.rows() == 0 {
        terminal.warning("no row was chosen");
        return Ok(Exit::Findings);
    }
    let written = write(args, plan, &keyring, terminal)?;
    terminal.detail(&format!("{} rows of {} transactions", written.rows, written.transactions));
    Ok(Exit::Done)
}

/// The first pass over all logs; the classes of what went wrong.
fn add_all(
    files: &[Target],
    keyring: &Keyring,
    (plan, history): (&mut Plan, &mut History),
    terminal: &Terminal,
) -> anyhow::Result<Vec<ErrorClass>> {
    let mut classes = Vec::new();
    let mut logs = 0_usize;
    let reopen = |number| files.get(number).and_then(|target| reopened(target, keyring));
    let ends = XaEnds::new(files.len(), &reopen);
    for (number, target) in files.iter().enumerate() {
        let added = match transfer::open_log(target, keyring) {
            Ok(Some(log)) => {
                logs = logs.saturating_add(1);
                plan.add(&log, history, ends.seen_from(&log, number)).map(|listed| {
                    classes.extend(judge(&log, &listed.events, terminal));
                    if let Some(first) = listed.rolled_back.first() {
                        terminal.warning(&rolled_back(&log, listed.rolled_back.len(), *first));
                    }
                })
            }
            Ok(None) => continue,
            Err(error) => Err(error),
        };
        if let Err(error) = added {
            terminal.error(&describe(&error));
            classes.push(error.class());
        }
    }
    if logs == 0 && classes.is_empty() {
        bail!("there is no log to undo anything of");
    }
    Ok(classes)
}

fn write(
    args: &UndoArgs,
    plan: Plan,
    keyring: &Keyring,
    terminal: &Terminal,
) -> anyhow::Result<Written> {
    let mut reopen = |path: &Path| {
        let source = transfer::open_source(path)?;
        binlogsec_core::log::open::OpenLog::new(source, keyring)
    };
    match &args.output {
        Some(path) if !transfer::is_dash(path) => {
            let file = AtomicFile::create(path, args.write.sink_options()).map_err(Error::from)?;
            let mut out = BufWriter::new(file.writer());
            let written = plan.write(&mut reopen, (&mut out, path))?;
            out.flush()?;
            drop(out);
            file.commit().map_err(Error::from)?;
            Ok(written)
        }
        _ => {
            let (out, _) = terminal.plain_out(false);
            let mut out = BufWriter::with_capacity(64 << 10, out);
            Ok(plan.write(&mut reopen, (&mut out, Path::new("<standard output>")))?)
        }
    }
}
