//! Events as comma-separated values: a line each, under a line of names. What is not seen in names and
//! statements, line ends among it, is shown as an escape.

use std::borrow::Cow;
use std::io::Write;

use crate::command::events::report::EventEntry;
use binlogsec_core::text::unseen::{is_harmless, printable};

/// The columns, in order.
const COLUMNS: [&str; 22] = [
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
    "query_cut",
    "thread_id",
    "error_code",
    "commit_time",
    "variable",
];

/// The line of names.
#[must_use]
pub(crate) fn events_head() -> Vec<u8> {
    let mut line = COLUMNS.join(",").into_bytes();
    line.push(b'\n');
    line
}

/// A text of somebody else's. Where cells are to be safe for spreadsheets, one that starts like a
/// formula has a `'` before it.
fn cell(text: &str, is_safe: bool) -> Cow<'_, str> {
    let is_formula = is_safe && text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula {
        Cow::Owned(format!("'{}", printable(text)))
    } else if is_harmless(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(printable(text))
    }
}

/// Writes a line of cells; see [`event`] for `is_safe`.
///
/// # Errors
/// What the writer answers.
pub(crate) fn line(out: &mut dyn Write, cells: &[&str], is_safe: bool) -> std::io::Result<()> {
    let mut line = csv::Writer::from_writer(out);
    line.write_record(cells.iter().map(|text| cell(text, is_safe).into_owned()))?;
    line.flush()
}

/// Appends one event as a line of comma-separated values (RFC 4180). With `is_safe`, no text of
/// others' is a formula to a spreadsheet.
///
/// # Errors
/// What the writer answers, which has the memory for it.
pub(crate) fn event(
    out: &mut Vec<u8>,
    path: &str,
    entry: &EventEntry<'_>,
    is_safe: bool,
) -> std::io::Result<()> {
    /// Lines are short, and the writer goes with each.
    const BUFFER: usize = 512;
    let text = |value: Option<&'_ str>| cell(value.unwrap_or_default(), is_safe).into_owned();
    let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    let mut line = csv::WriterBuilder::new().buffer_capacity(BUFFER).from_writer(out);
    line.write_record([
        &*cell(path, is_safe),
        &entry.position.to_string(),
        &entry.end_position.to_string(),
        &entry.event_type,
        &entry.size.to_string(),
        &entry.timestamp.to_string(),
        entry.time,
        &entry.server_id.to_string(),
        &entry.inner.to_string(),
        &text(entry.gtid),
        &text(entry.database),
        &text(entry.table),
        &number(entry.rows),
        &number(entry.xid),
        &text(entry.query),
        &text(entry.next_log),
        entry.damaged.unwrap_or_default(),
        entry.query_cut.map_or("", |is_cut| if is_cut { "true" } else { "false" }),
        &number(entry.thread_id.map(u64::from)),
        &number(entry.error_code.map(u64::from)),
        &entry.commit_time.map(|time| time.to_string()).unwrap_or_default(),
        &text(entry.variable),
    ])?;
    line.flush()
}
