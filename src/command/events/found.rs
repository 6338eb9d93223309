//! `binlogsec events --find`: the transactions that have words in a statement, with where each begins.

use std::io::{self, Write};

use binlogsec_core::log::error::Error;
use binlogsec_core::log::open::OpenLog;
use binlogsec_core::read::pattern::Pattern;
use binlogsec_core::read::recover::find::{self, Found};
use binlogsec_core::text::path_text;
use serde::Serialize;

use super::{ListFormat, csv, not_written};
use crate::json;
use crate::lines;
use crate::log_entry::rfc3339;
use crate::table::printable;
use crate::terminal::{Page, Terminal, sentence};

/// The name of the schema.
const SCHEMA: &str = "binlogsec.events-found/1";
/// The columns of CSV, in order.
const COLUMNS: &str = "path,position,time,gtid,statement\n";
/// Characters of a statement on a line for people.
const SHOWN: usize = 200;

/// `binlogsec events --find PATTERN --format json`, which the command writes piece by piece.
#[cfg(test)]
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct FoundReport {
    /// `binlogsec.events-found/1`.
    schema: &'static str,
    /// Every transaction, in the order of the logs.
    found: Vec<FoundEntry>,
    /// What could not be read.
    failures: Vec<crate::log_entry::Failure>,
}

/// A transaction in which something was found.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct FoundEntry {
    /// The log, as given or as found.
    pub path: String,
    /// Where the transaction begins: its GTID event, where it has one.
    pub position: u64,
    /// When it began (RFC 3339, UTC).
    pub time: String,
    /// Its GTID, if it has one.
    pub gtid: Option<String>,
    /// The statement, or the type of the row events and their table; of long ones the beginning.
    pub statement: String,
}

impl FoundEntry {
    fn new(found: &Found) -> Self {
        Self {
            path: path_text::text(&found.path),
            position: found.position,
            time: rfc3339(found.time),
            gtid: found.id.as_ref().map(ToString::to_string),
            statement: found.what.clone(),
        }
    }
}

/// The list in the making.
pub(super) struct FoundList {
    out: Box<dyn Page>,
    format: ListFormat,
    csv_safe: bool,
    /// Transactions so far.
    pub(super) count: u64,
}

impl FoundList {
    pub(super) fn begin(
        (format, csv_safe): (ListFormat, bool),
        terminal: &Terminal,
    ) -> io::Result<Self> {
        let mut out = Box::new(io::BufWriter::new(terminal.out()));
        match format {
            ListFormat::Text => {}
            ListFormat::Json => write!(out, "{{\"schema\":\"{SCHEMA}\",\"found\":[")?,
            ListFormat::Csv => out.write_all(COLUMNS.as_bytes())?,
        }
        Ok(Self { out, format, csv_safe, count: 0 })
    }

    /// Looks through one log. Returns how many of its events are damaged.
    pub(super) fn log(&mut self, log: &OpenLog, pattern: &Pattern) -> Result<u64, Error> {
        find::each(log, pattern, (None, None), &mut |found| {
            self.write(&FoundEntry::new(&found)).map_err(not_written)?;
            self.count = self.count.saturating_add(1);
            Ok(())
        })
    }

    fn write(&mut self, entry: &FoundEntry) -> io::Result<()> {
        match self.format {
            ListFormat::Text => {
                let FoundEntry { path, position, time, gtid, statement } = entry;
                let (path, time) = (printable(path), lines::time(time));
                let gtid = gtid.as_ref().map(|gtid| format!("{gtid}  ")).unwrap_or_default();
                let statement: String = printable(statement).chars().take(SHOWN).collect();
                let line = format_args!("{time}  {path}:{position}  {gtid}{statement}");
                sentence(&mut self.out, line)
            }
            ListFormat::Json => {
                self.out.write_all(if self.count > 0 { b",\n" } else { b"\n" })?;
                json::compact(&mut self.out, entry)
            }
            ListFormat::Csv => {
                let position = entry.position.to_string();
                let gtid = entry.gtid.as_deref().unwrap_or_default();
                let cells = [&entry.path, &position, &entry.time, gtid, &entry.statement];
                csv::line(&mut self.out, &cells, self.csv_safe)
            }
        }
    }

    pub(super) fn end(mut self, failures: &[Error]) -> io::Result<()> {
        super::end_document(&mut self.out, self.format, failures)
    }
}
