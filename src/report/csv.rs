//! Events as comma-separated values: a line each, under a line of names.

use std::io::Write;

use super::model::EventEntry;

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
pub struct EventsCsv<W: Write>(csv::Writer<W>);

impl<W: Write> std::fmt::Debug for EventsCsv<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventsCsv")
    }
}

impl<W: Write> EventsCsv<W> {
    /// Writes the names of the columns.
    ///
    /// # Errors
    /// What the writer answers.
    pub fn new(out: W) -> std::io::Result<Self> {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(COLUMNS)?;
        Ok(Self(writer))
    }

    /// Writes one event.
    ///
    /// # Errors
    /// What the writer answers.
    pub fn event(&mut self, path: &str, entry: &EventEntry) -> std::io::Result<()> {
        let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        self.0.write_record([
            path,
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
        ])?;
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// What the writer answers.
    pub fn finish(mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}
