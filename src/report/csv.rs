//! Events as comma-separated values: a line each, under a line of names.

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

/// The line of names.
#[must_use]
pub fn events_head() -> Vec<u8> {
    let mut line = COLUMNS.join(",").into_bytes();
    line.push(b'\n');
    line
}

/// Appends one event as a line of comma-separated values (RFC 4180).
///
/// # Errors
/// What the writer answers, which has the memory for it.
pub fn event(out: &mut Vec<u8>, path: &str, entry: &EventEntry<'_>) -> std::io::Result<()> {
    /// Lines are short, and the writer goes with each.
    const BUFFER: usize = 512;
    let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    let mut line = csv::WriterBuilder::new()
        .buffer_capacity(BUFFER)
        .from_writer(out);
    line.write_record([
        path,
        &entry.position.to_string(),
        &entry.end_position.to_string(),
        &entry.event_type,
        &entry.size.to_string(),
        &entry.timestamp.to_string(),
        entry.time,
        &entry.server_id.to_string(),
        &entry.inner.to_string(),
        entry.gtid.unwrap_or_default(),
        entry.database.unwrap_or_default(),
        entry.table.unwrap_or_default(),
        &number(entry.rows),
        &number(entry.xid),
        entry.query.unwrap_or_default(),
        entry.next_log.unwrap_or_default(),
        entry.damaged.unwrap_or_default(),
    ])?;
    line.flush()
}
