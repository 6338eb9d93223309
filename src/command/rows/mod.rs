//! `binlogsec rows`.

mod output;
pub(crate) mod schema_args;
mod table;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::bail;
use binlogsec_core::batch::targets::{Target, Targets};
use binlogsec_core::event::gtid_selection::GtidSelection;
use binlogsec_core::event::rows::op::Op;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::error::{Error, describe};
use binlogsec_core::log::error_class::ErrorClass;
use binlogsec_core::log::open::OpenLog;
use binlogsec_core::read::events::EventFilter;
use binlogsec_core::read::rows::csv::CsvMaker;
use binlogsec_core::read::rows::json::JsonMaker;
use binlogsec_core::read::rows::names::{Names, NoNames};
use binlogsec_core::read::rows::schema::History;
use binlogsec_core::read::rows::sql_maker::SqlMaker;
use binlogsec_core::read::rows::xa::XaEnds;
use binlogsec_core::read::rows::{
    self, Conditions, MAX_EVENT, RowFilter, RowMaker, RowsListed, Statements, TableGlob,
};
use binlogsec_core::text::path_text;
use clap::{Args, ValueEnum};
use schema_args::SchemaArgs;
use table::{Look, RowText};

use crate::args::{KeyArgs, WriteArgs};
use crate::chosen::{Position, position, table, tables};
use crate::command::events::judge;
use crate::exit::Exit;
use crate::lines::plural;
use crate::terminal::Terminal;
use crate::time::{self, Time, ZoneArgs};
use crate::{keys, transfer};
use output::Output;

const ROWS_EXAMPLES: &str = "\
Examples:
  Who changed this order, and how?
    binlogsec rows binlog.index --table shop.orders --where 'id = 4711' \\
        --keyring component_keyring_file

  What one transaction did, as statements that a server runs
    binlogsec rows binlog.000042 \\
        --gtid 3e11fa47-71ca-11e1-9e33-c80aa9429562:23 --format sql

  All deletions of an hour, for a program
    binlogsec rows binlog.000042 --op delete --from '2026-11-21 14:00' \\
        --to '2026-11-21 15:00' --format json

TIMESTAMP values are in UTC. Columns have their names where the log tells them \
(binlog_row_metadata=FULL) or --schema does, else they are @1, @2. Exit codes: 1 when no row was \
chosen; 2 when rows could not be read or written in the format.";

/// Show which rows were changed, from what and to what: as text, JSON, CSV or SQL
#[derive(Debug, Args)]
#[command(after_help = ROWS_EXAMPLES)]
pub(crate) struct RowsArgs {
    /// Logs, directories (searched at every depth), index files; `-` is standard input
    #[arg(value_name = "LOG", required = true)]
    pub(crate) logs: Vec<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    chosen: ChosenArgs,
    #[command(flatten)]
    schema: SchemaArgs,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: RowFormat,
    /// Write to this file, which only its owner may read, instead of standard output
    #[arg(short, long, value_name = "FILE", conflicts_with = "output_dir")]
    pub(crate) output: Option<PathBuf>,
    /// Write a file for each table into this directory, `DATABASE.TABLE.csv`; for --format csv
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    #[command(flatten)]
    write: WriteArgs,
    /// Put a ' before what a spreadsheet would take for a formula (=, +, -, @, tab or carriage return
    /// first); for --format csv
    #[arg(long)]
    csv_safe: bool,
}

/// Which rows. All that is set must fit.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which rows")]
pub(crate) struct ChosenArgs {
    /// Only rows from this time on, e.g. '2026-11-21 14:00:00' or 2026-11-21T15:00:00+01:00; the
    /// time of a transaction's first event counts for all of it
    #[arg(long, value_name = "TIME", value_parser = time::parse, visible_alias = "start-datetime")]
    from: Option<Time>,
    /// Only rows before this time
    #[arg(long, value_name = "TIME", value_parser = time::parse, visible_alias = "stop-datetime")]
    to: Option<Time>,
    #[command(flatten)]
    zone: ZoneArgs,
    /// Begin at the event that starts at this position; or, in logs of MariaDB, behind these GTIDs,
    /// one of each domain
    #[arg(long, value_name = "N|GTIDS", value_parser = position)]
    start_position: Option<Position>,
    /// End before the first event at or behind this position; or, in logs of MariaDB, with these
    /// GTIDs
    #[arg(long, value_name = "N|GTIDS", value_parser = position)]
    stop_position: Option<Position>,
    /// Only transactions in this set, e.g. UUID:1-5:tag:7, or of MariaDB 0-1-100,0-1-105..0-1-110
    #[arg(long, value_name = "SET", visible_alias = "include-gtids")]
    gtid: Option<GtidSelection>,
    /// Only transactions not in this set
    #[arg(long, value_name = "SET", visible_alias = "exclude-gtids")]
    exclude_gtid: Option<GtidSelection>,
    /// Only transactions of this MariaDB domain; repeatable
    #[arg(long = "domain-id", value_name = "ID")]
    domain_ids: Vec<u32>,
    /// Only tables of this database; `*` and `?` stand for any characters; repeatable
    #[arg(long = "database", value_name = "DB")]
    databases: Vec<String>,
    /// Only this table; `*` and `?` stand for any characters, e.g. 'shop.order*'; repeatable
    #[arg(long = "table", value_name = "DB.TABLE", value_parser = table)]
    tables: Vec<TableGlob>,
    /// Only rows that this server wrote; repeatable
    #[arg(long = "server-id", value_name = "ID")]
    server_ids: Vec<u32>,
    /// Only rows that this connection changed, where the log tells it; repeatable
    #[arg(long = "thread-id", value_name = "ID")]
    thread_ids: Vec<u32>,
    /// Only these changes
    #[arg(long, value_enum, value_name = "OP", value_delimiter = ',')]
    op: Vec<RowOp>,
    /// Only rows whose values meet this before or after, e.g. "id = 7 AND name LIKE 'a%'": COLUMN (or
    /// @3) =, !=, <, >, <=, >= VALUE, LIKE 'PATTERN', NOT LIKE 'PATTERN', IS NULL, IS NOT NULL, joined by AND; texts are
    /// told apart by case; repeatable, all must be met
    #[arg(long = "where", value_name = "CONDITION")]
    conditions: Vec<Conditions>,
    /// Only updates that change this column; repeatable, one is enough
    #[arg(long, value_name = "COLUMN")]
    changed: Vec<String>,
    /// The largest row event that is read, in MiB: some times as much memory may be taken
    #[arg(long, value_name = "MIB", default_value_t = MAX_EVENT >> 20, value_parser = clap::value_parser!(u32).range(1..=4095))]
    max_event: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RowFormat {
    /// Lines for people
    Text,
    /// A JSON object on each line
    Json,
    /// Comma-separated values of one table, or a file for each (--output-dir)
    Csv,
    /// Statements that a server runs
    Sql,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RowOp {
    Insert,
    Update,
    Delete,
}

impl ChosenArgs {
    pub(crate) fn filter(&self, terminal: &Terminal) -> anyhow::Result<RowFilter> {
        let [from, to] =
            self.zone.seconds([("--from", &self.from), ("--to", &self.to)], terminal)?;
        let offset = |position: &Option<Position>| position.as_ref().and_then(Position::offset);
        let gtids = |position: &Option<Position>| position.as_ref().and_then(Position::gtids);
        let events = EventFilter {
            from,
            to,
            start_position: offset(&self.start_position),
            stop_position: offset(&self.stop_position),
            gtids: self.gtid.clone(),
            after_gtids: gtids(&self.start_position),
            up_to_gtids: gtids(&self.stop_position),
            domain_ids: self.domain_ids.iter().copied().collect(),
            server_ids: self.server_ids.iter().copied().collect(),
            ..EventFilter::default()
        };
        let op = |op: &RowOp| match op {
            RowOp::Insert => Op::Insert,
            RowOp::Update => Op::Update,
            RowOp::Delete => Op::Delete,
        };
        let conditions = self.conditions.iter().flat_map(|conditions| conditions.0.clone());
        Ok(RowFilter {
            events,
            exclude_gtids: self.exclude_gtid.clone(),
            thread_ids: self.thread_ids.iter().copied().collect(),
            tables: tables(&self.databases, &self.tables),
            ops: self.op.iter().map(op).collect(),
            conditions: Conditions(conditions.collect()),
            changed: self.changed.clone(),
            max_event: self.max_event << 20,
        })
    }
}

pub(crate) fn run(args: &RowsArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    if args.csv_safe && args.format != RowFormat::Csv {
        bail!("--csv-safe is for --format csv");
    }
    if args.output_dir.is_some() && args.format != RowFormat::Csv {
        bail!("--output-dir is for --format csv");
    }
    let filter = args.chosen.filter(terminal)?;
    let keyring = keys::open(&args.keys, terminal)?;
    let Targets { files, mut failures, notices, .. } = Targets::expand(&args.logs);
    transfer::tell(&notices, terminal);
    let mut history = match args.schema.is_empty() {
        true => None,
        false => Some(args.schema.history(terminal)?),
    };
    let (mut output, look) = Output::begin(args, terminal)?;
    let (mut classes, mut told) = (Vec::new(), Told::new(&filter));
    let mut logs = 0_usize;
    let reopen = |number| files.get(number).and_then(|target| reopened(target, &keyring));
    let ends = XaEnds::new(files.len(), &reopen);
    for (number, target) in files.iter().enumerate() {
        let log = match transfer::open_log(target, &keyring) {
            Ok(Some(log)) => log,
            Ok(None) => continue,
            Err(error) => {
                failures.push(error);
                continue;
            }
        };
        logs = logs.saturating_add(1);
        let path = path_text::text(log.source().path());
        let maker = || maker(args, &path, look);
        let scanned = history.as_mut().map_or(Ok(()), |history| history.scan(&log));
        let names: &dyn Names = history.as_ref().map_or(&NoNames, |history| history);
        let listed = scanned.and_then(|()| {
            let asked = (&filter, names, ends.seen_from(&log, number));
            rows::list_lines(&log, asked, &maker, &mut |lines| output.take(lines))
        });
        for note in history.iter().flat_map(History::take_notes) {
            terminal.warning(&note);
        }
        match listed {
            Ok(listed) => {
                classes.extend(judge(&log, &listed.events, terminal));
                classes.extend(unreadable(&log, &listed, terminal));
                tell_xa(&log, &listed, terminal);
                tell_statements(&log, &listed, args.format, terminal);
                told.add(listed);
            }
            Err(Error::Transfer(error)) if error.is_broken_pipe() => {
                return Err(Error::from(error).into());
            }
            Err(error) => {
                output.check()?;
                // Nothing gets its name of which a part is missing.
                if output.has_failed() {
                    return Err(error.into());
                }
                failures.push(error);
            }
        }
    }
    for failure in &failures {
        terminal.error(&describe(failure));
    }
    if logs == 0 && failures.is_empty() {
        bail!("nothing to read rows from");
    }
    classes.extend(failures.iter().map(Error::class));
    output.end()?;
    Ok(told.tell(&filter, terminal, classes))
}

/// A log once more, to look for the ends of XA transactions: `None` for standard input, which is read once,
/// and for what cannot be opened, which is told where its rows are read.
pub(crate) fn reopened(target: &Target, keyring: &Keyring) -> Option<OpenLog> {
    if transfer::is_dash(&target.path) {
        return None;
    }
    transfer::open_log(target, keyring).ok().flatten()
}

/// Says which XA transactions did not stay, and of which that is not known.
fn tell_xa(log: &OpenLog, listed: &RowsListed, terminal: &Terminal) {
    if let Some(first) = listed.rolled_back.first() {
        terminal.warning(&rolled_back(log, listed.rolled_back.len(), *first));
    }
    if let Some(first) = listed.prepared.first() {
        terminal.warning(&format!(
            "{}: {} with rows prepared, and these logs do not tell whether it was committed or rolled back. \
             Name the logs behind, too. The first begins at position {first}",
            log.source().path().display(),
            plural(listed.prepared.len(), "XA transaction")
        ));
    }
}

/// Says what row events do not show.
fn tell_statements(log: &OpenLog, listed: &RowsListed, format: RowFormat, terminal: &Terminal) {
    let path = log.source().path().display();
    let warn = |statements: Statements, noun: &str, what: &str| {
        if let Some(first) = statements.first {
            let count = plural(usize::try_from(statements.count).unwrap_or(usize::MAX), noun);
            terminal.warning(&format!("{path}: {count} {what}. The first is at position {first}"));
        }
    };
    warn(
        listed.statements,
        "statement",
        "by which rows were changed, and of which the log does not say which rows: they are not shown. \
         `binlogsec events --full` shows the statements",
    );
    match format {
        RowFormat::Sql => warn(
            listed.alterations,
            "statement",
            "about the tables themselves (CREATE, ALTER, DROP …), not among these: run them yourself, or replay \
             the log with `binlogsec decrypt LOG -o - | mysqlbinlog -`",
        ),
        RowFormat::Json | RowFormat::Csv => warn(
            listed.turns,
            "ROLLBACK",
            "by which rows before it in its transaction were taken back, all or those since a savepoint: of them \
             only rows of tables without transactions stayed. --format text shows the places",
        ),
        RowFormat::Text => {}
    }
}

/// What is said of XA transactions that were rolled back.
pub(crate) fn rolled_back(log: &OpenLog, count: usize, first: u64) -> String {
    format!(
        "{}: {} rolled back, whose rows are left out. The first begins at position {first}",
        log.source().path().display(),
        plural(count, "XA transaction")
    )
}

fn maker(args: &RowsArgs, path: &str, look: Look) -> Box<dyn RowMaker> {
    match args.format {
        RowFormat::Text => Box::new(RowText::new(look)),
        RowFormat::Json => Box::new(JsonMaker::new(path)),
        RowFormat::Csv => Box::new(CsvMaker::new(path, args.csv_safe)),
        RowFormat::Sql => Box::new(SqlMaker::default()),
    }
}

/// Says which row events could not be read, and gives the class of that.
fn unreadable(log: &OpenLog, listed: &RowsListed, terminal: &Terminal) -> Option<ErrorClass> {
    let path = log.source().path().display();
    for example in &listed.examples {
        let inner = example
            .inner_offset
            .map_or(String::new(), |at| format!(" (at {at} of the payload there)"));
        let table = example.table.as_deref().map_or(String::new(), |table| format!(", {table}"));
        terminal.error(&format!(
            "{path}: position {}{inner}{table}: rows cannot be read: {}",
            example.position, example.reason
        ));
    }
    let told = u64::try_from(listed.examples.len()).unwrap_or(u64::MAX);
    let more = listed.unreadable.saturating_sub(told);
    if more > 0 {
        terminal.error(&format!("{path}: and {more} more row events that cannot be read"));
    }
    (listed.unreadable > 0).then_some(ErrorClass::Work)
}

/// What is to be said of all logs together.
struct Told {
    rows: u64,
    unnamed: u64,
    fitting: Vec<bool>,
    without_column: BTreeSet<String>,
    tables: BTreeSet<String>,
}

impl Told {
    fn new(filter: &RowFilter) -> Self {
        Self {
            rows: 0,
            unnamed: 0,
            fitting: vec![false; filter.tables.len()],
            without_column: BTreeSet::new(),
            tables: BTreeSet::new(),
        }
    }

    fn add(&mut self, listed: RowsListed) {
        self.rows = self.rows.saturating_add(listed.events.listed);
        self.unnamed = self.unnamed.saturating_add(listed.unnamed);
        for (all, one) in self.fitting.iter_mut().zip(listed.fitting) {
            *all |= one;
        }
        self.without_column.extend(listed.without_column);
        self.tables.extend(listed.tables);
    }

    fn tell(self, filter: &RowFilter, terminal: &Terminal, classes: Vec<ErrorClass>) -> Exit {
        for (glob, _) in filter.tables.iter().zip(&self.fitting).filter(|(_, fits)| !**fits) {
            terminal.warning(&format!("no table in these logs is named {}", glob.text));
        }
        if !self.without_column.is_empty() {
            let names: Vec<_> = self.without_column.iter().map(String::as_str).collect();
            terminal.warning(&format!(
                "no row was chosen of tables without a column of the name in --where or --changed: {}. Where a \
                 log does not tell the names (binlog_row_metadata=FULL does), --schema FILE tells them; else \
                 columns are @1, @2",
                names.join(", ")
            ));
        }
        let worst = Exit::worst(classes);
        if self.unnamed > 0 {
            terminal.error(&format!(
                "{} rows are not written as statements: the logs do not tell the names of their columns \
                 (binlog_row_metadata=FULL does); --schema FILE tells them, and --format json has the values",
                self.unnamed
            ));
            return worst.max(Exit::Work);
        }
        // Of what could not be read, nothing was chosen or left out.
        if self.rows == 0 && worst == Exit::Done {
            terminal.warning("no row was chosen");
            return Exit::Findings;
        }
        worst
    }
}
