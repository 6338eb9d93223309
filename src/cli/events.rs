//! `binlogsec events`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::bail;
use binlogsec::error::{Error, ErrorClass, describe};
use binlogsec::event::event_type;
use binlogsec::event::gtid_set::GtidSet;
use binlogsec::io::TransferError;
use binlogsec::keyring::Keyring;
use binlogsec::open::{LogError, OpenLog};
use binlogsec::ops::events::{self, EventFilter, EventRecord, Listed, Stats, TableName};
use binlogsec::ops::targets::{Origin, Target, Targets};
use binlogsec::report::csv::EventsCsv;
use binlogsec::report::model::{EVENTS_SCHEMA, EventEntry, EventsEnd, Failure, StatsReport};
use binlogsec::report::{human, json};
use binlogsec::text::path_text;
use clap::{Args, ValueEnum};

use super::args::KeyArgs;
use super::exit::Exit;
use super::terminal::Terminal;
use super::{keys, time, transfer};

const EVENTS_EXAMPLES: &str = "\
Examples:
  binlogsec events binlog.000042 --keyring component_keyring_file
  binlogsec events binlog.000042 --table shop.orders --from '2026-11-21 14:00' --to '2026-11-21 15:00'
  binlogsec events binlog.index --gtid 3e11fa47-71ca-11e1-9e33-c80aa9429562:23-25 --format json
  binlogsec events binlog.000042 --stats

Times without an offset are UTC. Rows are counted and not shown; to see them:
  binlogsec decrypt binlog.000042 -o - | mysqlbinlog -v -";

/// List the events of logs: transactions, statements, tables, from compressed transactions too
#[derive(Debug, Args)]
#[command(after_help = EVENTS_EXAMPLES)]
pub(crate) struct EventsArgs {
    /// Logs, directories (searched at every depth), index files; `-` is standard input
    #[arg(value_name = "LOG", required = true)]
    logs: Vec<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
    /// Only events of this type, e.g. QUERY, WRITE_ROWS; repeatable, or separated by commas
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = event_type_of)]
    types: Vec<u8>,
    /// Only events from this time on, e.g. '2026-11-21 14:00:00' (UTC) or 2026-11-21T15:00:00+01:00
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    from: Option<i64>,
    /// Only events before this time
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    to: Option<i64>,
    /// Begin at the event that starts at this position
    #[arg(long, value_name = "N")]
    start_position: Option<u64>,
    /// End before the first event at or behind this position
    #[arg(long, value_name = "N")]
    stop_position: Option<u64>,
    /// Only transactions in this set, e.g. UUID:1-5:tag:7
    #[arg(long, value_name = "SET")]
    gtid: Option<GtidSet>,
    /// Only table maps and row events of this table; repeatable
    #[arg(long = "table", value_name = "DB.TABLE", value_parser = table)]
    tables: Vec<TableName>,
    /// Only events that this server wrote; repeatable
    #[arg(long = "server-id", value_name = "ID")]
    server_ids: Vec<u32>,
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

fn event_type_of(text: &str) -> Result<u8, String> {
    event_type::from_name(text).ok_or_else(|| {
        "no type of event; names are those of `--stats`, e.g. QUERY or WRITE_ROWS".to_owned()
    })
}

fn table(text: &str) -> Result<TableName, String> {
    TableName::parse(text).ok_or_else(|| "DATABASE.TABLE is expected".to_owned())
}

pub(crate) fn run(args: &EventsArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    if args.stats && args.format == ListFormat::Csv {
        bail!("--stats has the formats text and json");
    }
    if args.csv_safe && args.format != ListFormat::Csv {
        bail!("--csv-safe is for --format csv");
    }
    let keyring = keys::open(&args.keys, terminal)?;
    let Targets {
        files,
        mut failures,
        ..
    } = Targets::expand(&args.logs);
    let out = io::BufWriter::with_capacity(64 << 10, terminal.out());
    let mut listing = Listing::begin(out, args)?;
    let mut classes = Vec::new();
    let mut logs = 0_usize;
    for target in &files {
        match open(target, &keyring) {
            Ok(Some(log)) => {
                logs = logs.saturating_add(1);
                match listing.log(&log, args) {
                    Ok(listed) => classes.extend(judge(&log, &listed, terminal)),
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
    Ok(Exit::worst(classes))
}

/// Says what a listing cannot, and gives its class.
fn judge(log: &OpenLog, listed: &Listed, terminal: &Terminal) -> Option<ErrorClass> {
    let path = log.source().path().display();
    if let Some(error) = &listed.stopped {
        if listed.cut_tail {
            terminal.warning(&format!("{path}: {}; it was never closed", describe(error)));
        } else {
            terminal.error(&format!("{path}: {}", describe(error)));
        }
    }
    if listed.damaged > 0 {
        terminal.error(&format!(
            "{path}: {} damaged; `binlogsec verify` says where",
            listed.damaged
        ));
    }
    if listed.left_folded > 0 {
        terminal.error(&format!(
            "{path}: {} compressed transactions were not listed to their end: together they unfold to \
             more than 4 GiB and 64 times the log, which no server's do; list them one by one \
             (--start-position, --stop-position) if they are to be trusted",
            listed.left_folded
        ));
    }
    let stopped = listed.stopped.is_some() && !listed.cut_tail;
    let is_damaged = stopped || listed.damaged > 0;
    let is_partial = (listed.left_folded > 0).then_some(ErrorClass::Work);
    is_damaged.then_some(ErrorClass::Damage).or(is_partial)
}

/// `None` for what came with a directory and is no log, or is not there any more.
pub(crate) fn open(target: &Target, keyring: &Keyring) -> Result<Option<OpenLog>, Error> {
    let opened =
        transfer::open_source(&target.path).and_then(|source| OpenLog::new(source, keyring));
    match opened {
        Ok(log) => Ok(Some(log)),
        Err(Error::Log {
            source: LogError::NotALog | LogError::Empty,
            ..
        }) if target.origin == Origin::Directory => Ok(None),
        Err(error) if target.has_vanished(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

impl EventsArgs {
    fn filter(&self) -> EventFilter {
        EventFilter {
            types: self.types.iter().copied().collect(),
            from: self.from,
            to: self.to,
            start_position: self.start_position,
            stop_position: self.stop_position,
            gtids: self.gtid.clone(),
            tables: self.tables.iter().cloned().collect(),
            server_ids: self.server_ids.iter().copied().collect(),
        }
    }
}

/// The document in the making.
enum Listing<W: Write> {
    Text(W),
    Json { out: W, files: usize },
    Csv(Box<EventsCsv<W>>),
}

impl<W: Write> Listing<W> {
    fn begin(mut out: W, args: &EventsArgs) -> io::Result<Self> {
        Ok(match args.format {
            ListFormat::Text => Self::Text(out),
            ListFormat::Json => {
                write!(out, "{{\"schema\":\"{EVENTS_SCHEMA}\",\"files\":[")?;
                Self::Json { out, files: 0 }
            }
            ListFormat::Csv => Self::Csv(Box::new(EventsCsv::new(out, args.csv_safe)?)),
        })
    }

    fn log(&mut self, log: &OpenLog, args: &EventsArgs) -> Result<Listed, Error> {
        let path = path_text::text(log.source().path());
        self.open_file(&path, args.stats).map_err(not_written)?;
        if args.stats {
            let mut stats = Stats::default();
            let listed = events::list(log, &args.filter(), &mut |record| {
                stats.add(record);
                Ok(())
            })?;
            stats.finish();
            let report = StatsReport::new(&stats);
            self.stats(&path, &report, &listed).map_err(not_written)?;
            return Ok(listed);
        }
        let mut first = true;
        let listed = events::list(log, &args.filter(), &mut |record| {
            let written = self.event(&path, record, first).map_err(not_written);
            first = false;
            written
        })?;
        self.close_file(&listed).map_err(not_written)?;
        Ok(listed)
    }

    fn open_file(&mut self, path: &str, stats: bool) -> io::Result<()> {
        match self {
            Self::Text(out) if !stats => human::events_head(out, path),
            Self::Json { out, files } => {
                let comma = if *files > 0 { "," } else { "" };
                *files = files.saturating_add(1);
                write!(out, "{comma}\n{{\"path\":")?;
                json::compact(out, path)?;
                out.write_all(if stats { b"" } else { b",\"events\":[" })
            }
            _ => Ok(()),
        }
    }

    fn event(&mut self, path: &str, record: &EventRecord, first: bool) -> io::Result<()> {
        let entry = EventEntry::new(record);
        match self {
            Self::Text(out) => human::event(out, &entry),
            Self::Json { out, .. } => {
                out.write_all(if first { b"\n" } else { b",\n" })?;
                json::compact(out, &entry)
            }
            Self::Csv(csv) => csv.event(path, &entry),
        }
    }

    fn close_file(&mut self, listed: &Listed) -> io::Result<()> {
        if let Self::Json { out, .. } = self {
            write!(out, "],\n\"summary\":")?;
            json::compact(out, &end(listed))?;
            write!(out, "}}")?;
        }
        Ok(())
    }

    fn stats(&mut self, path: &str, report: &StatsReport, listed: &Listed) -> io::Result<()> {
        match self {
            Self::Text(out) => human::stats(out, path, report),
            Self::Json { out, .. } => {
                write!(out, ",\"stats\":")?;
                json::compact(out, report)?;
                write!(out, ",\"summary\":")?;
                json::compact(out, &end(listed))?;
                write!(out, "}}")
            }
            Self::Csv(_) => Ok(()),
        }
    }

    fn end(self, failures: &[Error]) -> io::Result<()> {
        match self {
            Self::Text(mut out) => out.flush(),
            Self::Json { mut out, .. } => {
                let failures: Vec<_> = failures.iter().map(Failure::new).collect();
                write!(out, "],\n\"failures\":")?;
                json::compact(&mut out, &failures)?;
                writeln!(out, "}}")?;
                out.flush()
            }
            Self::Csv(csv) => csv.finish(),
        }
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

fn not_written(source: io::Error) -> TransferError {
    TransferError::File {
        path: Path::new("<standard output>").to_owned(),
        operation: "write",
        source,
    }
}
