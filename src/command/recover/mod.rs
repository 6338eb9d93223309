//! `binlogsec recover`.

mod apply;
mod directory;
mod moment;
pub(crate) mod report;
pub(crate) mod table;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use binlogsec_core::batch::targets::Targets;
use binlogsec_core::batch::transfer::Output;
use binlogsec_core::event::gtid_selection::GtidSelection;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::error::{Error, describe};
use binlogsec_core::log::open::OpenLog;
use binlogsec_core::read::decrypt;
use binlogsec_core::read::pairs::PartedXa;
use binlogsec_core::read::pattern::Pattern;
use binlogsec_core::read::recover::catalogue::{self, Catalogue, Stop};
use binlogsec_core::read::recover::find::{self, Found};
use binlogsec_core::read::recover::plan::{self, Allowed, Moment, Plan, PlanError, Slice, Wanted};
use binlogsec_core::read::recover::reach::Reach;
use binlogsec_core::read::recover::state::{LogPosition, State};
use binlogsec_core::read::slice::SliceOptions;
use binlogsec_core::read::stream::{self, StreamPlan};
use binlogsec_core::read::verify::Note;
use binlogsec_core::text::path_text;
use clap::Args;
use report::RecoverReport;

use crate::args::{Format, KeyArgs, WriteArgs};
use crate::exit::Exit;
use crate::lines::plural;
use crate::progress::Bar;
use crate::terminal::{Page, Terminal, write_json};
use crate::time::ZoneArgs;
use crate::transfer::{self, STDOUT, is_dash, open_source};
use crate::{keys, process};
use apply::Server;

const RECOVER_EXAMPLES: &str = "\
Examples:
  What leads from this backup to half past two?
    binlogsec recover /archive --from /backup/full --to '2026-11-21 14:30' \\
        --time-zone local --plan

  Everything up to the accident, and not the accident
    binlogsec recover /archive --from /backup/full \\
        --find 'DROP TABLE shop.orders' -o - | mysqlbinlog - | mysql

  Straight into the restored server, whose own GTIDs say where it is; again, if it was cut off
    binlogsec recover s3://logs/ \\
        --from mysql://root@localhost?socket=/run/mysqld/mysqld.sock --apply

Exit codes: 0 done, and the plan has no gap; 1 something is missing, or nothing was to be done; 2 usage \
or I/O, or a client program failed; 3 a key is missing; 4 a log that is needed is damaged. With a gap \
nothing is written.";

/// Plan a recovery to a moment from a backup and archives of logs, and carry it out
///
/// Reads what the backup says of itself, finds the logs that lead from there to the moment, of any
/// number of servers and places, and says what is missing before anything is written.
#[derive(Debug, Args)]
#[command(after_help = RECOVER_EXAMPLES)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["plan", "output", "apply"]))]
pub(crate) struct RecoverArgs {
    /// Logs, directories (searched at every depth), index files: all that there is, in any order
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Where the backup is: its folder or its file (xtrabackup_binlog_info, xtrabackup_info,
    /// mariadb_backup_binlog_info, a dump of mysqldump or mariadb-dump, mydumper's metadata, MySQL
    /// Shell's @.json), GTIDs (UUID:1-100, or 0-1-100), LOG:POSITION, `beginning`, or a running
    /// server, mysql://user@host or mariadb://user@host
    #[arg(long, value_name = "STATE")]
    from: String,
    /// Up to where: a time (the first transaction of that time or later is left out), a GTID, which is
    /// the last to be applied, LOG:POSITION, or `end`
    #[arg(long, value_name = "MOMENT", default_value = "end")]
    to: String,
    /// Up to this transaction, which is left out
    #[arg(long, value_name = "GTID", conflicts_with = "to")]
    to_before: Option<String>,
    /// Up to the transaction that has these words in a statement, e.g. 'DROP TABLE shop.orders', which
    /// is left out. If there are several, they are listed, and nothing is done
    #[arg(long, value_name = "PATTERN", conflicts_with_all = ["to", "to_before"])]
    find: Option<String>,
    #[command(flatten)]
    zone: ZoneArgs,
    /// Leave these transactions out, e.g. the accident alone: UUID:7, or of MariaDB 0-1-7
    #[arg(long, value_name = "SET", visible_alias = "exclude-gtids")]
    exclude_gtid: Option<GtidSelection>,
    /// Go on although these are missing: the name of a log, or GTIDs as the plan tells them; repeatable
    #[arg(long, value_name = "LOG|GTIDS")]
    allow_gap: Vec<String>,
    /// Use logs of this server alone; repeatable
    #[arg(long = "server-id", value_name = "ID")]
    server_ids: Vec<u32>,
    /// Show the plan and write nothing; of most logs their heads alone are read
    #[arg(long)]
    plan: bool,
    /// With --plan: check every event of the logs that are needed, as is done before anything is written
    #[arg(long, requires = "plan")]
    verify: bool,
    /// File for the transactions, as one log for one `mysqlbinlog`; `-` is standard output; a name that
    /// ends in `/` is a new directory, which gets a log for each that is needed, for one `mysqlbinlog DIR/*`
    #[arg(short, long, value_name = "FILE|DIR/")]
    pub(crate) output: Option<PathBuf>,
    /// Apply the transactions to a server through its own client programs, mysqlbinlog and mysql or
    /// mariadb-binlog and mariadb; without a URL, to the server of --from. What the server has by its
    /// GTIDs is left out
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    apply: Option<String>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    write: WriteArgs,
    /// How to report; the report goes to standard error when the transactions go to standard output
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// What was planned, and what it was planned by.
pub(super) struct Planned {
    pub(super) wanted: Wanted,
    pub(super) plan: Plan,
    pub(super) found: Option<Found>,
    /// Whether every event of the logs that are needed was checked.
    pub(super) is_verified: bool,
}

pub(crate) fn run(args: &RecoverArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    if args.output.as_deref().is_some_and(is_dash) {
        transfer::refuse_terminal()?;
        transfer::warn_if_others_read_stdout(terminal);
    }
    let server = target_server(args)?;
    let keyring = keys::open(&args.keys, terminal)?;
    process::clean_up_on_signals()?;
    let Targets { files, failures, notices, .. } = Targets::expand(&args.paths);
    transfer::tell(&notices, terminal);
    if let Some(failure) = failures.into_iter().next() {
        return Err(failure.into());
    }
    let catalogue = Catalogue::read(&files, &keyring);
    let (state, goes_on) = state(args, server.as_ref(), &catalogue)?;
    if let (Some(server), false, false) = (&server, goes_on, args.plan) {
        terminal.warning(&server.cannot_go_on());
    }
    let planned = match make_plan(args, &catalogue, state, &keyring, terminal) {
        Ok(planned) => planned,
        Err(error) => return conclude_without(error, terminal),
    };
    let report = RecoverReport::new(&planned);
    show(&report, args, terminal)?;
    let exit = judge(&planned, terminal);
    if args.plan || exit != Exit::Done {
        // What would be written is known where every event was looked at.
        if args.verify && exit == Exit::Done {
            let open = |path: &Path| OpenLog::new(open_source(path)?, &keyring);
            let stream = stream_of(args, &planned, &open)?;
            transfer::tell_xa(&stream.prepared(), &stream.ended(), terminal);
        }
        return Ok(exit);
    }
    write(args, &planned, &keyring, server.as_ref().map(|it| (it, goes_on)), terminal)
}

/// Where transactions are applied, if they are.
fn target_server(args: &RecoverArgs) -> anyhow::Result<Option<Server>> {
    let Some(url) = &args.apply else { return Ok(None) };
    let url = if url.is_empty() { &args.from } else { url };
    if !Server::is_url(url) {
        bail!("--apply needs a server: --apply mysql://user@host, or --from mysql://user@host");
    }
    Server::parse(url).map(Some)
}

/// The state of the backup, and what the server has besides which is to get the transactions; and
/// whether a run that is cut off can be gone on with.
fn state(
    args: &RecoverArgs,
    target: Option<&Server>,
    catalogue: &Catalogue,
) -> anyhow::Result<(State, bool)> {
    if Server::is_url(&args.from) {
        return Ok((Server::parse(&args.from)?.state(catalogue)?, true));
    }
    let mut state = State::open(&args.from)?;
    let Some(server) = target else { return Ok((state, true)) };
    let besides = server.besides(catalogue, &state)?;
    state.besides = besides.gtids;
    Ok((state, besides.can_tell))
}

/// An error that a plan ended in, by its own exit code.
fn conclude_without(error: anyhow::Error, terminal: &Terminal) -> anyhow::Result<Exit> {
    match error.downcast::<PlanError>() {
        Ok(PlanError::Unreadable { source, .. }) => Err((*source).into()),
        Ok(error) => {
            terminal.error(&describe(&error));
            Ok(Exit::Work)
        }
        Err(error) => Err(error),
    }
}

fn make_plan(
    args: &RecoverArgs,
    catalogue: &Catalogue,
    state: State,
    keyring: &Keyring,
    terminal: &Terminal,
) -> anyhow::Result<Planned> {
    let mut wanted = Wanted {
        state,
        moment: moment::of(args, terminal)?,
        allowed: allowed(&args.allow_gap)?,
        server_ids: args.server_ids.iter().copied().collect(),
    };
    let open = |path: &Path| OpenLog::new(open_source(path)?, keyring);
    let mut scan = |path: &Path, stop: &Stop| catalogue::scan(&open(path)?, stop);
    // What is looked through for a pattern is read as a whole, and must be sound for that, too.
    let is_verified = args.verify || !args.plan || args.find.is_some();
    // Of each sound log: whether its events stand where they were written.
    let mut sound = HashMap::new();
    let mut check = |path: &Path| {
        if sound.contains_key(path) {
            return None;
        }
        match open(path).and_then(|log| decrypt::refuse_damaged(&log, false)) {
            Ok(notes) => {
                let is_moved = notes.iter().any(|note| matches!(note, Note::Moved { .. }));
                sound.insert(path.to_owned(), is_moved);
                None
            }
            Err(error) => Some(error),
        }
    };
    let mut unchecked = |_: &Path| None;
    let mut found = None;
    if let Some(pattern) = &args.find {
        let pattern = Pattern::parse(pattern).context("--find: there is no word in the pattern")?;
        let all = plan::plan(catalogue.clone(), &wanted, &mut scan, &mut check)?;
        let Some(one) = search(&all, &pattern, &open, args)? else {
            // What stands in the way says why it was not found.
            let what = args.find.as_deref().unwrap_or_default();
            terminal
                .error(&format!("no log that can be read has {what:?}, and others are missing"));
            return Ok(Planned { wanted, plan: all, found: None, is_verified });
        };
        wanted.moment = match &one.id {
            Some(id) => Moment::Before(id.clone()),
            None => Moment::Position(LogPosition {
                log: catalogue::name_of(&one.path),
                position: one.position,
            }),
        };
        found = Some(one);
    }
    // With nothing but a plan wanted, heads are enough.
    let check: &mut plan::Checker<'_> = if is_verified { &mut check } else { &mut unchecked };
    let mut plan = plan::plan(catalogue.clone(), &wanted, &mut scan, check)?;
    if is_verified {
        plan::tell_lacking(&mut plan, &wanted, args.exclude_gtid.as_ref(), &mut scan)?;
    }
    tell_moved(&plan, &|path| sound.get(path) == Some(&true), terminal);
    Ok(Planned { wanted, plan, found, is_verified })
}

/// Says which logs may lack transactions that nothing names.
fn tell_moved(plan: &Plan, is_moved: &dyn Fn(&Path) -> bool, terminal: &Terminal) {
    let without_gtids = plan.slices.iter().filter(|slice| slice.adds.is_none());
    for slice in without_gtids.filter(|slice| is_moved(&slice.path)) {
        terminal.warning(&format!(
            "{} is a part of a log, or was salvaged: its events stand elsewhere than they were written. Its \
             transactions have no GTIDs, so whether some are missing in it cannot be told",
            path_text::text(&slice.path)
        ));
    }
}

fn allowed(texts: &[String]) -> anyhow::Result<Allowed> {
    let (mut logs, mut gtids) = (BTreeSet::new(), Reach::default());
    for text in texts {
        match Reach::parse_ranges(text) {
            Ok(some) => gtids.extend(&some),
            Err(_) if text.contains('.') && !text.contains(':') => {
                logs.insert(catalogue::name_of(Path::new(text)));
            }
            Err(error) => bail!("--allow-gap: neither the name of a log nor GTIDs: {error}"),
        }
    }
    Ok(Allowed { logs, gtids })
}

/// So many transactions are named where one was looked for.
const NAMED: usize = 50;

/// The one transaction that a pattern means; `None` where it may be in logs that are not there or
/// cannot be read.
fn search(
    plan: &Plan,
    pattern: &Pattern,
    open: &dyn Fn(&Path) -> Result<OpenLog, Error>,
    args: &RecoverArgs,
) -> anyhow::Result<Option<Found>> {
    let (mut all, mut count) = (Vec::new(), 0_u64);
    for slice in &plan.slices {
        let part = (slice.start_position, slice.stop_position);
        let is_there = |found: &Found| {
            let known = slice.without.as_ref().zip(found.id.as_ref());
            known.is_some_and(|(without, id)| without.contains(id))
        };
        find::each(&open(&slice.path)?, pattern, part, &mut |found| {
            if !is_there(&found) {
                count = count.saturating_add(1);
                if all.len() < NAMED {
                    all.push(found);
                }
            }
            Ok(())
        })?;
    }
    let what = args.find.as_deref().unwrap_or_default();
    match all.as_slice() {
        [] if plan.open_gaps().next().is_some() => Ok(None),
        [] => bail!(
            "no transaction behind the backup has {what:?}: name a table with its database (shop.orders), \
             or look at `binlogsec events`"
        ),
        [one] => Ok(Some(one.clone())),
        several => {
            let more = count.saturating_sub(NAMED as u64);
            let more = match more {
                0 => String::new(),
                more => format!("\n  and {more} more; `binlogsec events --find` lists them all"),
            };
            let lines = several.iter().map(moment::line).collect::<Vec<_>>().join("\n  ");
            bail!(
                "{count} transactions have {what:?}; choose one by --to-before GTID, or --to LOG:POSITION:\n  {lines}{more}"
            )
        }
    }
}

fn show(report: &RecoverReport, args: &RecoverArgs, terminal: &Terminal) -> anyhow::Result<()> {
    let to_stdout = args.output.as_deref().is_some_and(is_dash);
    let mut out: Box<dyn Page> =
        if to_stdout { Box::new(terminal.err()) } else { Box::new(terminal.out()) };
    match args.format {
        Format::Json => write_json(&mut out, report)?,
        Format::Text if terminal.is_quiet() => {}
        Format::Text => table::recover(&mut out, report)?,
    }
    Ok(out.flush()?)
}

/// Says what stands in the way, and gives the exit code that it comes to.
fn judge(planned: &Planned, terminal: &Terminal) -> Exit {
    let plan = &planned.plan;
    for gap in plan.open_gaps() {
        terminal.error(&report::sentence(gap));
    }
    if plan.open_gaps().next().is_some() {
        return plan.worst().map_or(Exit::Findings, |class| Exit::from(class).max(Exit::Findings));
    }
    if plan.anonymous > 0 {
        terminal.warning(&format!(
            "{} transactions without GTIDs are in logs that are chosen by GTIDs: some of them may be in \
             the backup already",
            plan.anonymous
        ));
    }
    if let [first, ..] = plan.without_gtids.as_slice() {
        terminal.warning(&format!(
            "{} not used, the first of them {}: the transactions in them have no GTIDs, and those of the backup do \
             not say whether it has them. If it does not, name its place: --from LOG:POSITION",
            plural(plan.without_gtids.len(), "log"),
            path_text::text(first)
        ));
    }
    if let Some(holes) = &plan.holes {
        terminal.warning(&format!(
            "{} stands in none of these logs up to that moment, although there are transactions of the same \
             server before and behind: it was left out of a log (as by salvage, --exclude-gtid, or a replica's \
             filter), comes later in the log, or never was",
            holes.ranges()
        ));
    }
    if plan.slices.is_empty() {
        terminal.warning("nothing is to be applied: the backup has all up to that moment");
        return Exit::Findings;
    }
    Exit::Done
}

/// The slice as the options that choose it.
fn options(slice: &Slice, exclude: Option<&GtidSelection>) -> SliceOptions {
    let without = slice.without.as_ref().map(|reach| reach.selection(exclude));
    SliceOptions {
        start_position: slice.start_position,
        stop_position: slice.stop_position,
        exclude_gtids: without.or_else(|| exclude.cloned()),
        ..SliceOptions::default()
    }
}

fn write(
    args: &RecoverArgs,
    planned: &Planned,
    keyring: &Keyring,
    server: Option<(&Server, bool)>,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let open = |path: &Path| OpenLog::new(open_source(path)?, keyring);
    if let Some(directory) = args.output.as_deref().filter(|it| directory::is_one(it)) {
        let written = directory::write(directory, args, planned, &open, terminal)?;
        return Ok(told(&written, terminal));
    }
    let stream = stream_of(args, planned, &open)?;
    if server.is_none() {
        transfer::tell_numbers(&stream, terminal);
    }
    let total = Some(stream.length());
    // A server takes a few megabytes a second.
    let bar =
        if server.is_some() { Bar::at_once(total, terminal) } else { Bar::new(total, terminal) };
    match (&args.output, server) {
        (_, Some((server, goes_on))) => server.apply(goes_on, stream.falls(), &mut |writer| {
            let target = Output::Stream(writer, Path::new("<client program>"));
            stream::write(&stream, &open, target, None, &bar)
        })?,
        (Some(output), _) if is_dash(output) => {
            let mut stdout = io::stdout().lock();
            let target = Output::Stream(&mut stdout, Path::new(STDOUT));
            stream::write(&stream, &open, target, None, &bar)?;
        }
        (Some(output), _) => {
            let target = Output::File(output, args.write.sink_options());
            stream::write(&stream, &open, target, None, &bar)?;
        }
        (None, None) => bail!("name an output: -o FILE, --apply or --plan"),
    }
    drop(bar);
    Ok(told(&Written::of(&stream), terminal))
}

/// The transactions of the plan, in order.
fn stream_of(
    args: &RecoverArgs,
    planned: &Planned,
    open: &dyn Fn(&Path) -> Result<OpenLog, Error>,
) -> anyhow::Result<StreamPlan> {
    let mut stream = StreamPlan::default();
    for slice in &planned.plan.slices {
        stream.add(open(&slice.path)?, &options(slice, args.exclude_gtid.as_ref()))?;
    }
    Ok(stream)
}

/// What was written.
#[derive(Debug, Default)]
struct Written {
    transactions: u64,
    incomplete: u64,
    prepared: Vec<PartedXa>,
    ended: Vec<PartedXa>,
    logs: usize,
}

impl Written {
    fn of(stream: &StreamPlan) -> Self {
        let (transactions, incomplete) = (stream.transactions(), stream.incomplete());
        let (prepared, ended) = (stream.prepared(), stream.ended());
        Self { transactions, incomplete, prepared, ended, logs: stream.parts().len() }
    }
}

fn told(written: &Written, terminal: &Terminal) -> Exit {
    if written.incomplete > 0 {
        terminal.warning(&format!(
            "{} transactions that the end of a log or a position cuts were left out",
            written.incomplete
        ));
    }
    transfer::tell_xa(&written.prepared, &written.ended, terminal);
    let transactions = usize::try_from(written.transactions).unwrap_or(usize::MAX);
    let (transactions, logs) = (plural(transactions, "transaction"), plural(written.logs, "log"));
    terminal.note(&format!("{transactions} of {logs}"));
    if written.transactions == 0 { Exit::Findings } else { Exit::Done }
}
