//! The listing of `binlogsec events`, line by line, and its figures.

use std::io::{self, Write};

use super::{BAD, DIM, GOOD, PLAIN, plural, size, time};
use crate::report::model::{EventEntry, MinuteEntry, StatsReport};
use crate::report::table::{self, Cell, printable};

/// So many characters of a statement fit a line.
const STATEMENT_SHOWN: usize = 100;
/// The longest bar of a chart.
const BAR: u64 = 40;
/// So many minutes, or tables, are shown.
const ROWS_SHOWN: usize = 40;

/// What stands above the events of a log.
///
/// # Errors
/// What the writer answers.
pub fn events_head(out: &mut dyn Write, path: &str) -> io::Result<()> {
    writeln!(out, "{DIM}{}{DIM:#}", printable(path))?;
    writeln!(
        out,
        "{:>12}  {:<19}  {:<20} {:>10}  {:>10}  SUMMARY",
        "POSITION", "TIME (UTC)", "TYPE", "SIZE", "SERVER"
    )
}

/// One event; one inside a payload stands to the right of where the others begin.
///
/// # Errors
/// What the writer answers.
pub fn event(out: &mut dyn Write, entry: &EventEntry) -> io::Result<()> {
    let style = match entry.type_code {
        _ if entry.damaged.is_some() => BAD,
        _ if entry.xid.is_some() || entry.query.as_deref() == Some("COMMIT") => GOOD,
        _ => PLAIN,
    };
    let (position, kind) = if entry.inner {
        (String::new(), format!("  {}", entry.event_type))
    } else {
        (entry.position.to_string(), entry.event_type.clone())
    };
    writeln!(
        out,
        "{position:>12}  {:<19}  {style}{kind:<20}{style:#} {:>10}  {:>10}  {}",
        time(&entry.time),
        entry.size,
        entry.server_id,
        summary(entry)
    )
}

fn summary(entry: &EventEntry) -> String {
    if let Some(damaged) = entry.damaged {
        return match damaged {
            "checksum" => "damaged: its checksum is wrong".to_owned(),
            _ => "its body cannot be read".to_owned(),
        };
    }
    if let (Some(database), Some(table)) = (&entry.database, &entry.table) {
        let rows = entry.rows.map(|rows| {
            let count = usize::try_from(rows).unwrap_or(usize::MAX);
            format!("  {}", plural(count, "row"))
        });
        let name = printable(&format!("{database}.{table}"));
        return format!("{name}{}", rows.unwrap_or_default());
    }
    if let Some(query) = &entry.query {
        let database = entry.database.as_deref().map(|name| format!("[{name}] "));
        let statement = one_line(query, entry.query_cut == Some(true));
        return printable(&format!("{}{statement}", database.unwrap_or_default()));
    }
    if let Some(next) = &entry.next_log {
        return format!("next: {}", printable(next));
    }
    if let Some(previous) = &entry.previous_gtids {
        let previous = if previous.is_empty() {
            "none"
        } else {
            previous
        };
        return format!("previous: {previous}");
    }
    if let (Some(compressed), Some(unfolded)) = (entry.compressed_size, entry.uncompressed_size) {
        return format!("{compressed} bytes hold {unfolded}");
    }
    if let Some(version) = &entry.server_version {
        return printable(&format!("server {version}"));
    }
    match (entry.xid, entry.table_id, &entry.gtid) {
        (Some(xid), ..) => format!("xid {xid}"),
        (_, Some(table_id), _) => format!("table {table_id}, whose map was not read"),
        (_, _, Some(gtid)) if entry.event_type.contains("GTID") => gtid.clone(),
        _ => String::new(),
    }
}

/// A statement on one line, cut to what fits.
fn one_line(statement: &str, cut: bool) -> String {
    let words: Vec<_> = statement.split_whitespace().collect();
    let line = words.join(" ");
    let shown: String = line.chars().take(STATEMENT_SHOWN).collect();
    let dots = if cut || shown.len() < line.len() {
        "…"
    } else {
        ""
    };
    format!("{shown}{dots}")
}

/// The figures of one log.
///
/// # Errors
/// What the writer answers.
pub fn stats(out: &mut dyn Write, path: &str, report: &StatsReport) -> io::Result<()> {
    writeln!(out, "{DIM}{}{DIM:#}", printable(path))?;
    let types: Vec<_> = report
        .by_type
        .iter()
        .map(|entry| {
            let indent = if entry.inner { "  in payloads: " } else { "" };
            vec![
                Cell::new(format!("{indent}{}", entry.event_type)),
                Cell::new(entry.events.to_string()).right(),
                Cell::new(size(entry.bytes)).right(),
            ]
        })
        .collect();
    table::write(out, &["TYPE", "EVENTS", "BYTES"], &types)?;
    if !report.by_table.is_empty() {
        writeln!(out)?;
        tables(out, report)?;
    }
    if !report.biggest_transactions.is_empty() {
        writeln!(out)?;
        biggest(out, report)?;
    }
    writeln!(out)?;
    chart(out, &report.by_minute)?;
    let count = usize::try_from(report.transactions).unwrap_or(usize::MAX);
    writeln!(out, "{DIM}{}{DIM:#}", plural(count, "transaction"))
}

fn tables(out: &mut dyn Write, report: &StatsReport) -> io::Result<()> {
    let row = |entry: &crate::report::model::TableEntry| {
        let rows = match entry.uncounted_events {
            0 => entry.rows.to_string(),
            uncounted => format!("{} and those of {uncounted} events", entry.rows),
        };
        vec![
            Cell::new(format!("{}.{}", entry.database, entry.table)),
            Cell::new(entry.events.to_string()).right(),
            Cell::new(rows).right(),
            Cell::new(size(entry.bytes)).right(),
        ]
    };
    let rows: Vec<_> = report.by_table.iter().take(ROWS_SHOWN).map(row).collect();
    table::write(out, &["TABLE", "ROW EVENTS", "ROWS", "BYTES"], &rows)?;
    more(out, report.by_table.len(), "tables")
}

fn biggest(out: &mut dyn Write, report: &StatsReport) -> io::Result<()> {
    let row = |entry: &crate::report::model::TransactionEntry| {
        vec![
            Cell::new(&entry.gtid),
            Cell::new(entry.position.to_string()).right(),
            Cell::new(time(&entry.time)),
            Cell::new(size(entry.bytes)).right(),
        ]
    };
    let rows: Vec<_> = report.biggest_transactions.iter().map(row).collect();
    let headings = ["BIGGEST TRANSACTIONS", "POSITION", "TIME (UTC)", "BYTES"];
    table::write(out, &headings, &rows)
}

fn chart(out: &mut dyn Write, minutes: &[MinuteEntry]) -> io::Result<()> {
    let counts = || minutes.iter().map(|minute| minute.transactions);
    let most = counts().max().unwrap_or(1).max(1);
    let row = |entry: &MinuteEntry| {
        // At least one block for at least one transaction.
        let length = entry.transactions.saturating_mul(BAR).div_ceil(most);
        let bar = "█".repeat(usize::try_from(length).unwrap_or_default());
        vec![
            Cell::new(time(&entry.minute).trim_end_matches(":00")),
            Cell::new(entry.transactions.to_string()).right(),
            Cell::new(bar).styled(GOOD),
        ]
    };
    let rows: Vec<_> = minutes.iter().take(ROWS_SHOWN).map(row).collect();
    if !rows.is_empty() {
        table::write(out, &["MINUTE (UTC)", "TRANSACTIONS", ""], &rows)?;
        more(out, minutes.len(), "minutes")?;
    }
    Ok(())
}

fn more(out: &mut dyn Write, count: usize, noun: &str) -> io::Result<()> {
    match count.saturating_sub(ROWS_SHOWN) {
        0 => Ok(()),
        left => writeln!(out, "{DIM}… and {left} more {noun}{DIM:#}"),
    }
}
