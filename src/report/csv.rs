//! Events as comma-separated values: a line each, under a line of names. What is not seen in names and
//! statements, line ends among it, is shown as an escape.

use std::io::Write;

use super::model::EventEntry;
use crate::text::unseen::printable;

/// The columns, in order.
const COLUMNS: [&str; 17] = [
    "path",
    "position",
    "end_position",
    "type",
    "size",
    "timestamp",
    "time",
    "server_id",
    "inner",
    "gtid",
    "database",
    "table",
    "rows",
    "xid",
    "query",
    "next_log",
    "damaged",
];

/// Writes events as lines of comma-separated values (RFC 4180).
pub struct EventsCsv<W: Write> {
    out: csv::Writer<W>,
    is_safe: bool,
}

impl<W: Write> std::fmt::Debug for EventsCsv<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventsCsv")
    }
}

impl<W: Write> EventsCsv<W> {
    /// Writes the names of the columns. Where cells are to be safe for spreadsheets, no text of
    /// others' is a formula: one that starts like one has a `'` before it.
    ///
    /// # Errors
    /// What the writer answers.
    pub fn new(out: W, is_safe: bool) -> std::io::Result<Self> {
        let mut out = csv::Writer::from_writer(out);
        out.write_record(COLUMNS)?;
        Ok(Self { out, is_safe })
    }

    /// A text of somebody else.
    fn cell(&self, text: &str) -> String {
        let shown = printable(text);
        let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
        if self.is_safe && is_formula {
            format!("'{shown}")
        } else {
            shown
        }
    }

    /// Writes one event.
    ///
    /// # Errors
    /// What the writer answers.
    pub fn event(&mut self, path: &str, entry: &EventEntry) -> std::io::Result<()> {
        let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        let text = |value: &Option<String>| self.cell(value.as_deref().unwrap_or_default());
        let record = [
            &self.cell(path),
            &entry.position.to_string(),
            &entry.end_position.to_string(),
            &entry.event_type,
            &entry.size.to_string(),
            &entry.timestamp.to_string(),
            &entry.time,
            &entry.server_id.to_string(),
            &entry.inner.to_string(),
            &text(&entry.gtid),
            &text(&entry.database),
            &text(&entry.table),
            &number(entry.rows),
            &number(entry.xid),
            &text(&entry.query),
            &text(&entry.next_log),
            entry.damaged.unwrap_or_default(),
        ];
        Ok(self.out.write_record(record)?)
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// What the writer answers.
    pub fn finish(mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
