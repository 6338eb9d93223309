//! The figures of `binlogsec events --stats`.

use std::io;

use binlogsec_core::read::events::ByOp;

use crate::command::events::lines::shortened;
use crate::command::events::report::{
    HotKeyEntry, HourEntry, MinuteEntry, RowSizeEntry, StatsReport, WideRowEntry,
};
use crate::lines::{DIM, GOOD, plural, size, time};
use crate::table::{self, Cell, printable};
use crate::terminal::Page;

/// So many characters of a key are shown.
const KEY_SHOWN: usize = 100;
/// The longest bar of a chart.
const BAR: u64 = 40;
/// So many minutes, or tables, are shown.
const ROWS_SHOWN: usize = 40;

/// The figures of one log.
///
/// # Errors
/// What the writer answers.
pub(crate) fn stats(out: &mut dyn Page, path: &str, report: &StatsReport) -> io::Result<()> {
    writeln!(out, "{DIM}{}{DIM:#}", printable(path))?;
    let types: Vec<_> = report
        .by_type
        .iter()
        .map(|entry| {
            let indent = if entry.inner { "  in payloads: " } else { "" };
            vec![
                Cell::new(format!("{indent}{}", entry.event_type)),
                Cell::new(entry.figures.events.to_string()).right(),
                Cell::new(size(entry.figures.bytes)).right(),
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
    for part in [hours, sizes, widest, hottest] {
        part(out, report)?;
    }
    writeln!(out)?;
    chart(out, &report.by_minute)?;
    let count = usize::try_from(report.transactions).unwrap_or(usize::MAX);
    writeln!(out, "{DIM}{}{DIM:#}", plural(count, "transaction"))
}

fn tables(out: &mut dyn Page, report: &StatsReport) -> io::Result<()> {
    let row = |entry: &crate::command::events::report::TableEntry| {
        let figures = &entry.figures;
        let rows = match figures.uncounted {
            0 => figures.rows.to_string(),
            uncounted => format!("{} and those of {uncounted} events", figures.rows),
        };
        let mut cells = vec![
            Cell::new(entry.name.to_string()),
            Cell::new(figures.events.to_string()).right(),
            Cell::new(rows).right(),
        ];
        cells.extend(ops(&figures.by_op));
        cells.push(Cell::new(size(figures.bytes)).right());
        cells
    };
    let rows: Vec<_> = report.by_table.iter().take(ROWS_SHOWN).map(row).collect();
    let headings = ["TABLE", "ROW EVENTS", "ROWS", "INSERTED", "UPDATED", "DELETED", "BYTES"];
    table::write(out, &headings, &rows)?;
    more(out, report.by_table.len(), "tables")
}

fn ops(ops: &ByOp) -> [Cell; 3] {
    [&ops.insert, &ops.update, &ops.delete].map(|op| Cell::new(op.rows.to_string()).right())
}

fn hours(out: &mut dyn Page, report: &StatsReport) -> io::Result<()> {
    let row = |entry: &HourEntry| {
        let all = [&entry.ops.insert, &entry.ops.update, &entry.ops.delete];
        let bytes = all.iter().map(|op| op.bytes).fold(0, u64::saturating_add);
        let mut cells = vec![Cell::new(time(&entry.hour).trim_end_matches(":00"))];
        cells.extend(ops(&entry.ops));
        cells.push(Cell::new(size(bytes)).right());
        cells
    };
    let rows: Vec<_> = report.by_hour.iter().take(ROWS_SHOWN).map(row).collect();
    part(out, &["ROWS BY HOUR (UTC)", "INSERTED", "UPDATED", "DELETED", "BYTES"], &rows)?;
    more(out, report.by_hour.len(), "hours")
}

fn sizes(out: &mut dyn Page, report: &StatsReport) -> io::Result<()> {
    let row = |entry: &RowSizeEntry| {
        vec![Cell::new(size(entry.up_to)).right(), Cell::new(entry.rows.to_string()).right()]
    };
    let rows: Vec<_> = report.by_row_size.iter().map(row).collect();
    part(out, &["ROWS OF UP TO", "ROWS"], &rows)
}

fn widest(out: &mut dyn Page, report: &StatsReport) -> io::Result<()> {
    let row = |entry: &WideRowEntry| {
        vec![
            Cell::new(format!("{}.{}", entry.database, entry.table)),
            Cell::new(entry.op),
            Cell::new(size(entry.bytes)).right(),
            Cell::new(entry.position.to_string()).right(),
            Cell::new(entry.row.to_string()).right(),
        ]
    };
    let rows: Vec<_> = report.widest_rows.iter().map(row).collect();
    part(out, &["WIDEST ROWS", "", "BYTES", "POSITION", "ROW"], &rows)
}

fn hottest(out: &mut dyn Page, report: &StatsReport) -> io::Result<()> {
    let row = |entry: &HotKeyEntry| {
        let changes = match entry.at_most {
            most if most == entry.changes => most.to_string(),
            most => format!("{} to {most}", entry.changes),
        };
        vec![
            Cell::new(format!("{}.{}", entry.database, entry.table)),
            Cell::new(shortened(&entry.key, KEY_SHOWN, false)),
            Cell::new(changes).right(),
        ]
    };
    let rows: Vec<_> = report.hottest_keys.iter().map(row).collect();
    part(out, &["HOTTEST ROWS", "KEY", "CHANGES"], &rows)
}

/// A table below the others, if it has any row.
fn part(out: &mut dyn Page, headings: &[&str], rows: &[Vec<Cell>]) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    table::write(out, headings, rows)
}

fn biggest(out: &mut dyn Page, report: &StatsReport) -> io::Result<()> {
    let row = |entry: &crate::command::events::report::TransactionEntry| {
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

fn chart(out: &mut dyn Page, minutes: &[MinuteEntry]) -> io::Result<()> {
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

fn more(out: &mut dyn Page, count: usize, noun: &str) -> io::Result<()> {
    match count.saturating_sub(ROWS_SHOWN) {
        0 => Ok(()),
        left => writeln!(out, "{DIM}… and {left} more {noun}{DIM:#}"),
    }
}
