//! `binlogsec events`.

pub(crate) mod csv;
pub(crate) mod found;
pub(crate) mod lines;
pub(crate) mod report;
pub(crate) mod table;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::json;
use crate::log_entry::Failure;
use anyhow::bail;
use binlogsec_core::batch::targets::{Target, Targets};
use binlogsec_core::event::event_type;
use binlogsec_core::event::gtid_selection::GtidSelection;
use binlogsec_core::file::TransferError;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::error::{Error, describe};
use binlogsec_core::log::error_class::ErrorClass;
use binlogsec_core::log::open::OpenLog;
use binlogsec_core::read::events::{self, EventFilter, EventRecord, LineMaker, Listed};
use binlogsec_core::read::pattern::Pattern;
use binlogsec_core::read::tables::TableGlob;
use binlogsec_core::text::path_text;
use binlogsec_core::text::unseen::printable;
use clap::{Args, ValueEnum};
use lines::{EventLines, Layout};
use report::{EVENTS_SCHEMA, EventEntry, EventTexts, EventsEnd, StatsReport};

use crate::args::KeyArgs;
use crate::chosen::{Position, position, table, tables};
use crate::exit::Exit;
use crate::terminal::{Page, Terminal};
use crate::time::{self, Time, ZoneArgs};
use crate::{keys, transfer};

/// Output that is shorter is gathered; a piece of a listing as a rule is longer, and written as it is.
const BUFFER: usize = 16 << 10;

const EVENTS_EXAMPLES: &str = "\
Examples:
  binlogsec events binlog.000042 --keyring component_keyring_file
  binlogsec events binlog.000042 --table shop.orders --from '2026-11-21 14:00' \\
      --to '2026-11-21 15:00'
  binlogsec events binlog.index \\
      --gtid 3e11fa47-71ca-11e1-9e33-c80aa9429562:23-25 --format json
  binlogsec events mariadb-bin.000042 --gtid 0-1-4711 --mariadb-keys keys.txt
  binlogsec events binlog.000042 --stats
  binlogsec events binlog.index --find 'DROP TABLE shop.orders'

Times without an offset are UTC. Rows are counted and not shown; to see them:
  binlogsec rows binlog.000042";

/// List the events of logs: transactions, statements, tables, from compressed transactions too
#[derive(Debug, Args)]
#[command(after_help = EVENTS_EXAMPLES)]
pub(crate) struct EventsArgs {
    /// Logs, directories (searched at every depth), index files; `-` is standard input
    #[arg(value_name = "LOG", required = true)]
    pub(crate) logs: Vec<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
    /// Only events of this type, e.g. GTID, QUERY, WRITE_ROWS, each in every form that servers have
    /// of it; a number is one type; repeatable, or separated by commas
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = types_of)]
    types: Vec<Types>,
    /// Only events from this time on, e.g. '2026-11-21 14:00:00' or 2026-11-21T15:00:00+01:00; the
    /// time of a transaction's first event counts for all of it
    #[arg(long, value_name = "TIME", value_parser = time::parse, visible_alias = "start-datetime")]
    from: Option<Time>,
    /// Only events before this time
    #[arg(long, value_name = "TIME", value_parser = time::parse, visible_alias = "stop-datetime")]
    to: Option<Time>,
    #[command(flatten)]
    zone: ZoneArgs,
    /// Begin at the event that starts at this position; or, in logs of MariaDB, behind these GTIDs,
    /// one of each domain
    #[arg(long, value_name = "N|GTIDS", value_parser = position)]
    start_position: Option<Position>,
    /// End before the first event at or behind this position; or, in logs of MariaDB, list
    /// transactions up to these GTIDs
    #[arg(long, value_name = "N|GTIDS", value_parser = position)]
    stop_position: Option<Position>,
    /// Only transactions in this set, e.g. UUID:1-5:tag:7, or of MariaDB 0-1-100,0-1-105..0-1-110
    #[arg(long, value_name = "SET", visible_alias = "include-gtids")]
    gtid: Option<GtidSelection>,
    /// Only transactions of this MariaDB domain; repeatable
    #[arg(long = "domain-id", value_name = "ID")]
    domain_ids: Vec<u32>,
    /// Only transactions not in this set
    #[arg(long, value_name = "SET", visible_alias = "exclude-gtids")]
    exclude_gtid: Option<GtidSelection>,
    /// Only table maps and row events of this database, and statements run in it or that name its tables;
    /// `*` and `?` stand for any characters; repeatable
    #[arg(long = "database", value_name = "DB")]
    databases: Vec<String>,
    /// The same for this table, e.g. 'shop.order*'; repeatable
    #[arg(long = "table", value_name = "DB.TABLE", value_parser = table)]
    tables: Vec<TableGlob>,
    /// Only what this connection did, from its first statement in a transaction on; repeatable
    #[arg(long = "thread-id", value_name = "ID")]
    thread_ids: Vec<u32>,
    /// Only statements with these words, e.g. 'ALTER TABLE shop.orders'; repeatable, one is enough
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    grep: Vec<Pattern>,
    /// Only events that this server wrote; repeatable
    #[arg(long = "server-id", value_name = "ID")]
    server_ids: Vec<u32>,
    /// Only the transactions that have these words in a statement, e.g. 'DROP TABLE shop.orders', a line
    /// each with the place where the transaction begins
    #[arg(
        long,
        value_name = "PATTERN",
        value_parser = pattern,
        conflicts_with_all = [
            "stats", "types", "from", "to", "start_position", "stop_position", "gtid", "domain_ids",
            "tables", "databases", "exclude_gtid", "thread_ids", "grep", "server_ids",
        ]
    )]
    find: Option<Pattern>,
    /// Whole statements on a terminal, too; with the time of each commit, the connection and the error
    /// of each statement
    #[arg(long)]
    full: bool,
    /// Figures instead of a listing: events and bytes by type and table, transactions by minute
    #[arg(long)]
    stats: bool,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: ListFormat,
    /// Put a ' before what a spreadsheet would take for a formula (=, +, -, @, tab or carriage return
    /// first); for --format csv
    #[arg(long)]
    csv_safe: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// A line for each event
    Text,
    /// One JSON document, written as it is made
    Json,
    /// Comma-separated values
    Csv,
}

/// The types of event that one name chooses.
#[derive(Debug, Clone)]
struct Types(Vec<u8>);

fn types_of(text: &str) -> Result<Types, String> {
    let types = event_type::chosen_by(text);
    if types.is_empty() {
        return Err(
            "no type of event; names are those of `--stats`, e.g. QUERY or WRITE_ROWS".to_owned()
        );
    }
    Ok(Types(types))
}

fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text).ok_or_else(|| "there is no word in it".to_owned())
}

pub(crate) fn run(args: &EventsArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    if args.stats && args.format == ListFormat::Csv {
        bail!("--stats has the formats text and json");
    }
    if args.csv_safe && args.format != ListFormat::Csv {
        bail!("--csv-safe is for --format csv");
    }
    let keyring = keys::open(&args.keys, terminal)?;
    let Targets { files, mut failures, notices, .. } = Targets::expand(&args.logs);
    transfer::tell(&notices, terminal);
    if let Some(pattern) = &args.find {
        return find(args, pattern, (&files, failures, &keyring), terminal);
    }
    let filter = args.filter(terminal)?;
    let mut listing = Listing::begin(args, files.len() > 1, terminal)?;
    let mut classes = Vec::new();
    let (mut logs, mut count) = (0_usize, 0_u64);
    for target in &files {
        match transfer::open_log(target, &keyring) {
            Ok(Some(log)) => {
                logs = logs.saturating_add(1);
                match listing.log(&log, args, &filter) {
                    Ok(listed) => {
                        count = count.saturating_add(listed.listed);
                        classes.extend(judge(&log, &listed, terminal));
                    }
                    Err(Error::Transfer(error)) if error.is_broken_pipe() => {
                        return Err(Error::from(error).into());
                    }
                    Err(error) => failures.push(error),
                }
            }
            Ok(None) => {}
            Err(error) => failures.push(error),
        }
    }
    listing.end(&failures)?;
    for failure in &failures {
        terminal.error(&describe(failure));
    }
    if logs == 0 && failures.is_empty() {
        bail!("nothing to list");
    }
    classes.extend(failures.iter().map(Error::class));
    Ok(Exit::worst(classes).max(nothing(args.chooses() && count == 0, terminal)))
}

/// The code for a choice that fits nothing, with a word.
fn nothing(is_so: bool, terminal: &Terminal) -> Exit {
    if !is_so {
        return Exit::Done;
    }
    terminal.note("nothing was chosen");
    Exit::Findings
}

/// Lists the transactions in which a pattern is.
fn find(
    args: &EventsArgs,
    pattern: &Pattern,
    (files, mut failures, keyring): (&[Target], Vec<Error>, &Keyring),
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let mut classes = Vec::new();
    let mut list = found::FoundList::begin((args.format, args.csv_safe), terminal)?;
    for target in files {
        let log = match transfer::open_log(target, keyring) {
            Ok(Some(log)) => log,
            Ok(None) => continue,
            Err(error) => {
                failures.push(error);
                continue;
            }
        };
        match list.log(&log, pattern) {
            Ok(0) => {}
            Ok(damaged) => {
                classes.push(ErrorClass::Damage);
                let path = log.source().path().display();
                terminal.error(&format!(
                    "{path}: {damaged} damaged, and not looked at; `binlogsec verify` says where"
                ));
            }
            Err(Error::Transfer(error)) if error.is_broken_pipe() => {
                return Err(Error::from(error).into());
            }
            Err(error) => failures.push(error),
        }
    }
    let is_nothing = list.count == 0 && failures.is_empty();
    list.end(&failures)?;
    for failure in &failures {
        terminal.error(&describe(failure));
    }
    classes.extend(failures.iter().map(Error::class));
    Ok(Exit::worst(classes).max(nothing(is_nothing, terminal)))
}

/// Says what a listing cannot, and gives its class.
pub(crate) fn judge(log: &OpenLog, listed: &Listed, terminal: &Terminal) -> Option<ErrorClass> {
    let path = log.source().path().display();
    if let Some(error) = &listed.stopped {
        if listed.cut_tail {
            terminal.warning(&format!("{path}: {}; it was never closed", describe(error)));
        } else {
            terminal.error(&format!("{path}: {}", describe(error)));
        }
    }
    if listed.damaged > 0 {
        terminal
            .error(&format!("{path}: {} damaged; `binlogsec verify` says where", listed.damaged));
    }
    if listed.left_folded > 0 {
        terminal.error(&format!(
            "{path}: {} compressed transactions were not listed: with them the log would unfold to more \
             than 4 GiB and 64 times its length, which no server's does; list them one by one \
             (--start-position, --stop-position) if they are to be trusted",
            listed.left_folded
        ));
    }
    let stopped = listed.stopped.is_some() && !listed.cut_tail;
    let is_damaged = stopped || listed.damaged > 0;
    let is_partial = (listed.left_folded > 0).then_some(ErrorClass::Work);
    is_damaged.then_some(ErrorClass::Damage).or(is_partial)
}

impl EventsArgs {
    /// Whether less than all is asked for.
    fn chooses(&self) -> bool {
        let is_part = self.from.is_some()
            || self.to.is_some()
            || self.start_position.is_some()
            || self.stop_position.is_some()
            || self.gtid.is_some()
            || self.exclude_gtid.is_some();
        let lists = [
            self.types.len(),
            self.domain_ids.len(),
            self.tables.len(),
            self.databases.len(),
            self.thread_ids.len(),
            self.grep.len(),
            self.server_ids.len(),
        ];
        is_part || lists.iter().any(|length| *length > 0)
    }

    /// Whether statements are told of as a whole: what reads a file or a pipe has room for them.
    fn shows_whole(&self) -> bool {
        self.full || !io::stdout().is_terminal()
    }

    fn filter(&self, terminal: &Terminal) -> anyhow::Result<EventFilter> {
        let [from, to] =
            self.zone.seconds([("--from", &self.from), ("--to", &self.to)], terminal)?;
        let offset = |position: &Option<Position>| position.as_ref().and_then(Position::offset);
        let gtids = |position: &Option<Position>| position.as_ref().and_then(Position::gtids);
        Ok(EventFilter {
            types: self.types.iter().flat_map(|types| types.0.clone()).collect(),
            from,
            to,
            start_position: offset(&self.start_position),
            stop_position: offset(&self.stop_position),
            gtids: self.gtid.clone(),
            after_gtids: gtids(&self.start_position),
            up_to_gtids: gtids(&self.stop_position),
            domain_ids: self.domain_ids.iter().copied().collect(),
            tables: tables(&self.databases, &self.tables),
            exclude_gtids: self.exclude_gtid.clone(),
            thread_ids: self.thread_ids.iter().copied().collect(),
            grep: self.grep.clone(),
            server_ids: self.server_ids.iter().copied().collect(),
            statement_head: self.shows_whole().then_some(usize::MAX),
        })
    }
}

/// The document in the making.
struct Listing {
    out: Box<dyn Page>,
    format: ListFormat,
    stats: bool,
    layout: Layout,
    files: usize,
    /// What stands above the next event.
    head: Option<String>,
}

impl Listing {
    fn begin(args: &EventsArgs, are_many: bool, terminal: &Terminal) -> io::Result<Self> {
        let (out, colour): (Box<dyn Page>, bool) = if args.stats {
            (Box::new(terminal.out()), true)
        } else {
            terminal.plain_out(args.format == ListFormat::Text)
        };
        let mut out = io::BufWriter::with_capacity(BUFFER, out);
        match args.format {
            ListFormat::Text => {}
            ListFormat::Json => write!(out, "{{\"schema\":\"{EVENTS_SCHEMA}\",\"files\":[")?,
            ListFormat::Csv => out.write_all(&csv::events_head())?,
        }
        let layout = Layout {
            colour,
            columns: out.columns(),
            full: args.full,
            is_prefixed: are_many && !io::stdout().is_terminal(),
        };
        let (format, stats) = (args.format, args.stats);
        Ok(Self { out: Box::new(out), format, stats, layout, files: 0, head: None })
    }

    fn log(
        &mut self,
        log: &OpenLog,
        args: &EventsArgs,
        filter: &EventFilter,
    ) -> Result<Listed, Error> {
        let path = path_text::text(log.source().path());
        self.open_file(&path).map_err(not_written)?;
        if self.stats {
            let (stats, listed) = events::stats(log, filter)?;
            let report = StatsReport::new(&stats);
            self.stats(&path, &report, &listed).map_err(not_written)?;
            return Ok(listed);
        }
        let (format, layout) = (self.format, self.layout);
        let prefix =
            if layout.is_prefixed { format!("{}: ", printable(&path)) } else { String::new() };
        let prefix = prefix.into_bytes();
        let maker = || -> Box<dyn LineMaker> {
            Box::new(Lines {
                format,
                lines: EventLines::new(layout),
                csv_safe: args.csv_safe,
                path: path.clone(),
                prefix: prefix.clone(),
                texts: EventTexts::default(),
            })
        };
        let (out, head) = (&mut self.out, &mut self.head);
        // Of JSON every event begins with the comma behind the one before it.
        let mut first = format == ListFormat::Json;
        let listed = events::list_lines(log, filter, &maker, &mut |piece| {
            let skip = usize::from(first && !piece.is_empty());
            first &= piece.is_empty();
            if !piece.is_empty()
                && let Some(path) = head.take()
            {
                lines::events_head(out, &path, layout).map_err(not_written)?;
            }
            out.write_all(piece.get(skip..).unwrap_or_default()).map_err(not_written)
        })?;
        self.close_file(&listed).map_err(not_written)?;
        Ok(listed)
    }

    fn open_file(&mut self, path: &str) -> io::Result<()> {
        match self.format {
            ListFormat::Text if !self.stats => {
                self.head = Some(path.to_owned()).filter(|_| !self.layout.is_prefixed);
                Ok(())
            }
            ListFormat::Json => {
                let comma = if self.files > 0 { "," } else { "" };
                self.files = self.files.saturating_add(1);
                write!(self.out, "{comma}\n{{\"path\":")?;
                json::compact(&mut self.out, path)?;
                let list: &[u8] = if self.stats { b"" } else { b",\"events\":[" };
                self.out.write_all(list)
            }
            _ => Ok(()),
        }
    }

    fn close_file(&mut self, listed: &Listed) -> io::Result<()> {
        if self.format == ListFormat::Json {
            write!(self.out, "],\n\"summary\":")?;
            json::compact(&mut self.out, &end(listed))?;
            write!(self.out, "}}")?;
        }
        Ok(())
    }

    fn stats(&mut self, path: &str, report: &StatsReport, listed: &Listed) -> io::Result<()> {
        match self.format {
            ListFormat::Text => table::stats(&mut self.out, path, report),
            ListFormat::Json => {
                write!(self.out, ",\"stats\":")?;
                json::compact(&mut self.out, report)?;
                write!(self.out, ",\"summary\":")?;
                json::compact(&mut self.out, &end(listed))?;
                write!(self.out, "}}")
            }
            ListFormat::Csv => Ok(()),
        }
    }

    fn end(mut self, failures: &[Error]) -> io::Result<()> {
        end_document(&mut self.out, self.format, failures)
    }
}

/// What stands behind all logs in a document whose list of them is open.
fn end_document(out: &mut dyn Write, format: ListFormat, failures: &[Error]) -> io::Result<()> {
    if format == ListFormat::Json {
        let failures: Vec<_> = failures.iter().map(Failure::new).collect();
        write!(out, "],\n\"failures\":")?;
        json::compact(out, &failures)?;
        writeln!(out, "}}")?;
    }
    out.flush()
}

/// One thread's way to make lines.
struct Lines {
    format: ListFormat,
    lines: EventLines,
    csv_safe: bool,
    path: String,
    /// What stands before each line.
    prefix: Vec<u8>,
    texts: EventTexts,
}

impl LineMaker for Lines {
    fn line(&mut self, record: &EventRecord<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        match self.format {
            ListFormat::Text => {
                out.extend_from_slice(&self.prefix);
                self.lines.event(out, record);
            }
            ListFormat::Json => {
                out.extend_from_slice(b",\n");
                json::compact(out, &EventEntry::new(record, &mut self.texts))?;
            }
            ListFormat::Csv => {
                let entry = EventEntry::new(record, &mut self.texts);
                csv::event(out, &self.path, &entry, self.csv_safe)?;
            }
        }
        Ok(())
    }
}

fn end(listed: &Listed) -> EventsEnd {
    EventsEnd {
        events: listed.events,
        left_folded: listed.left_folded,
        listed: listed.listed,
        damaged: listed.damaged,
        stopped: listed.stopped.as_ref().map(ToString::to_string),
        cut_tail: listed.cut_tail,
    }
}

pub(crate) fn not_written(source: io::Error) -> TransferError {
    TransferError::File {
        path: Path::new("<standard output>").to_owned(),
        operation: "write",
        source,
    }
}
