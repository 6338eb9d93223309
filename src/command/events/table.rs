//! The listing of `binlogsec events`, line by line, and its figures.

use std::io::{self, Write};

use crate::command::events::report::{
    EventEntry, HotKeyEntry, HourEntry, MinuteEntry, OpsEntry, RowSizeEntry, StatsReport,
    WideRowEntry,
};
use crate::lines::{BAD, DIM, GOOD, PLAIN, plural, size, time};
use crate::table::{self, Cell, printable};
use crate::terminal::Page;
use anstyle::Style;
use binlogsec_core::text::unseen::is_harmless;

/// So many characters of a key are shown.
const KEY_SHOWN: usize = 100;
/// Terminals with fewer columns get short lines.
const WIDE: usize = 100;
/// The columns before the summary in a wide line and in a short one.
const BEFORE: (usize, usize) = (80, 37);
/// So much of a statement is shown, however narrow the terminal is.
const LEAST_SHOWN: usize = 20;

/// How lines are laid out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) colour: bool,
    /// Columns of the terminal; `None` where there is none.
    pub(crate) columns: Option<usize>,
    /// Whether all is shown that there is.
    pub(crate) full: bool,
    /// Whether the log stands in each line, and not above them.
    pub(crate) is_prefixed: bool,
}

impl Layout {
    /// Without the year, the size and the server.
    fn is_short(self) -> bool {
        self.columns.is_some_and(|columns| columns < WIDE)
    }

    /// Characters of a statement that have room.
    fn room(self) -> usize {
        let before = if self.is_short() { BEFORE.1 } else { BEFORE.0 };
        match self.columns.filter(|_| !self.full) {
            Some(columns) => columns.saturating_sub(before).max(LEAST_SHOWN),
            None => usize::MAX,
        }
    }
}
/// The longest bar of a chart.
const BAR: u64 = 40;
/// So many minutes, or tables, are shown.
const ROWS_SHOWN: usize = 40;

/// What stands above the events of a log.
///
/// # Errors
/// What the writer answers.
pub(crate) fn events_head(out: &mut dyn Page, path: &str, layout: Layout) -> io::Result<()> {
    let style = if layout.colour { DIM } else { PLAIN };
    writeln!(out, "{style}{}{style:#}", printable(path))?;
    if layout.is_short() {
        return writeln!(out, "{:>9} {:<14} {:<11} SUMMARY", "POSITION", "TIME (UTC)", "TYPE");
    }
    writeln!(
        out,
        "{:>12}  {:<19}  {:<20} {:>10}  {:>10}  SUMMARY",
        "POSITION", "TIME (UTC)", "TYPE", "SIZE", "SERVER"
    )
}

/// Appends one event as a line; one inside a payload stands to the right of where the others begin.
pub(crate) fn event(out: &mut Vec<u8>, entry: &EventEntry<'_>, layout: Layout) {
    if layout.is_short() {
        short_columns(out, entry, layout.colour);
    } else {
        match columns(entry).filter(|_| !layout.colour) {
            Some(columns) => out.extend_from_slice(&columns),
            None => columns_by_hand(out, entry, layout.colour),
        }
    }
    summary(out, entry, layout);
    out.push(b'\n');
}

/// The columns before the summary where each has room for its text, as nearly always: made in one
/// piece, which takes a fourth of the time of one after the other.
fn columns(entry: &EventEntry<'_>) -> Option<[u8; 80]> {
    const SECONDS: usize = 19;
    let mut row = [b' '; 80];
    put_number(row.get_mut(..12)?, entry.position)?;
    let time = entry.time.as_bytes().first_chunk::<SECONDS>()?;
    if entry.time.len() != SECONDS.saturating_add(1) {
        return None;
    }
    row.get_mut(14..33)?.copy_from_slice(time);
    *row.get_mut(24)? = b' ';
    let kind = entry.event_type.as_bytes();
    let start = if entry.inner { 37_usize } else { 35 };
    let end = start.saturating_add(kind.len());
    row.get_mut(..55)?.get_mut(start..end)?.copy_from_slice(kind);
    put_number(row.get_mut(56..66)?, u64::from(entry.size))?;
    put_number(row.get_mut(68..78)?, u64::from(entry.server_id))?;
    Some(row)
}

/// A number at the right end of a place; `None` where it is too long.
fn put_number(place: &mut [u8], value: u64) -> Option<()> {
    let mut rest = value;
    let mut left = place;
    // Two at a time: a division takes longer than all else.
    while rest >= 10 {
        let [at, ..] = (rest % 100).to_le_bytes();
        let (before, two) = left.split_last_chunk_mut::<2>()?;
        *two = *PAIRS.get(usize::from(at))?;
        rest /= 100;
        left = before;
        if rest == 0 {
            return Some(());
        }
    }
    let [low, ..] = rest.to_le_bytes();
    *left.last_mut()? = b'0'.wrapping_add(low);
    Some(())
}

/// The digits of the numbers below a hundred.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let (mut rest, mut tens) = (pairs.as_mut_slice(), b'0');
    while let Some((ten, later)) = rest.split_first_chunk_mut::<10>() {
        let (mut ones, mut digit) = (ten.as_mut_slice(), b'0');
        while let Some((pair, others)) = ones.split_first_mut() {
            *pair = [tens, digit];
            digit = digit.wrapping_add(1);
            ones = others;
        }
        tens = tens.wrapping_add(1);
        rest = later;
    }
    pairs
};

const fn style(entry: &EventEntry<'_>, colour: bool) -> Style {
    match entry.damaged {
        _ if !colour => PLAIN,
        Some(_) => BAD,
        None if entry.xid.is_some() => GOOD,
        None => PLAIN,
    }
}

/// The columns of a short line: `198 11-20 22:38:59 GTID        `.
fn short_columns(out: &mut Vec<u8>, entry: &EventEntry<'_>, colour: bool) {
    number(out, entry.position, 9);
    out.push(b' ');
    let (start, style) = (out.len(), style(entry, colour));
    out.extend_from_slice(entry.time.trim_end_matches('Z').get(5..).unwrap_or_default().as_bytes());
    for byte in out.iter_mut().skip(start).filter(|byte| **byte == b'T') {
        *byte = b' ';
    }
    fill(out, start, 14);
    out.push(b' ');
    kind(out, entry, style, 11);
    out.push(b' ');
}

/// The type, to the right of where the others begin for an event inside of a payload.
fn kind(out: &mut Vec<u8>, entry: &EventEntry<'_>, style: Style, width: usize) {
    let styled = style != PLAIN;
    if styled {
        let _ = write!(out, "{style}");
    }
    let start = out.len();
    out.extend_from_slice(if entry.inner { b"  " } else { b"" });
    out.extend_from_slice(entry.event_type.as_bytes());
    fill(out, start, width);
    if styled {
        let _ = write!(out, "{style:#}");
    }
}

/// The columns with colour, and with such as are wider than they should be.
fn columns_by_hand(out: &mut Vec<u8>, entry: &EventEntry<'_>, colour: bool) {
    let style = style(entry, colour);
    number(out, entry.position, 12);
    out.extend_from_slice(b"  ");
    let time = out.len();
    out.extend_from_slice(entry.time.trim_end_matches('Z').as_bytes());
    for byte in out.iter_mut().skip(time).filter(|byte| **byte == b'T') {
        *byte = b' ';
    }
    fill(out, time, 19);
    out.extend_from_slice(b"  ");
    kind(out, entry, style, 20);
    out.push(b' ');
    number(out, u64::from(entry.size), 10);
    out.extend_from_slice(b"  ");
    number(out, u64::from(entry.server_id), 10);
    out.extend_from_slice(b"  ");
}

/// Blanks, so that what began at `start` takes at least `width` places. All of it is ASCII.
fn fill(out: &mut Vec<u8>, start: usize, width: usize) {
    let used = out.len().saturating_sub(start);
    blanks(out, width.saturating_sub(used));
}

/// So many blanks, of which no column needs more than there are.
fn blanks(out: &mut Vec<u8>, count: usize) {
    const BLANKS: &[u8; 32] = &[b' '; 32];
    out.extend_from_slice(BLANKS.get(..count).unwrap_or(BLANKS));
}

/// Text to the right of so many places.
fn right(out: &mut Vec<u8>, text: &[u8], width: usize) {
    blanks(out, width.saturating_sub(text.len()));
    out.extend_from_slice(text);
}

/// A number to the right of so many places.
fn number(out: &mut Vec<u8>, value: u64, width: usize) {
    let mut digits = [b' '; 20];
    // Twenty digits are enough for any number of 64 bits.
    let _ = put_number(&mut digits, value);
    right(out, digits.trim_ascii_start(), width);
}

fn summary(out: &mut Vec<u8>, entry: &EventEntry<'_>, layout: Layout) {
    if layout.full {
        details(out, entry);
    }
    if let Some(damaged) = entry.damaged {
        let text: &[u8] = match damaged {
            "checksum" => b"damaged: its checksum is wrong",
            _ => b"its body cannot be read",
        };
        out.extend_from_slice(text);
    } else if let (Some(database), Some(table)) = (entry.database, entry.table) {
        visible(out, database);
        out.push(b'.');
        visible(out, table);
        if let Some(rows) = entry.rows {
            out.extend_from_slice(b"  ");
            number(out, rows, 0);
            out.extend_from_slice(if rows == 1 { b" row" } else { b" rows" });
        }
    } else if let Some(query) = entry.query {
        if let Some(database) = entry.database {
            out.push(b'[');
            visible(out, database);
            out.extend_from_slice(b"] ");
        }
        let database = entry.database.map_or(0, |it| it.chars().count().saturating_add(3));
        let room = layout.room().saturating_sub(database).max(LEAST_SHOWN);
        visible(out, &one_line(query, room, entry.query_cut == Some(true)));
    } else if let Some(variable) = entry.variable {
        visible(out, &one_line(variable, layout.room(), false));
    } else if let Some(next) = entry.next_log {
        out.extend_from_slice(b"next: ");
        visible(out, next);
    } else if let Some(previous) = &entry.previous_gtids {
        let none = previous.is_empty();
        out.extend_from_slice(b"previous: ");
        out.extend_from_slice(if none { b"none" } else { previous.as_bytes() });
    } else if let (Some(compressed), Some(unfolded)) =
        (entry.compressed_size, entry.uncompressed_size)
    {
        number(out, compressed, 0);
        out.extend_from_slice(b" bytes hold ");
        number(out, unfolded, 0);
    } else if let Some(version) = entry.server_version {
        out.extend_from_slice(b"server ");
        visible(out, version);
    } else if let Some(xid) = entry.xid {
        out.extend_from_slice(b"xid ");
        number(out, xid, 0);
    } else if let Some(table_id) = entry.table_id {
        out.extend_from_slice(b"table ");
        number(out, table_id, 0);
        out.extend_from_slice(b", whose map was not read");
    } else if let Some(gtid) = entry.gtid
        && entry.event_type.contains("GTID")
    {
        out.extend_from_slice(gtid.as_bytes());
    }
}

/// The connection and the error of a statement, the time of a commit.
fn details(out: &mut Vec<u8>, entry: &EventEntry<'_>) {
    if let Some(thread) = entry.thread_id {
        let _ = write!(out, "thread {thread} ");
    }
    if let Some(error) = entry.error_code {
        let _ = write!(out, "error {error} ");
    }
    if let Some(time) = entry.commit_time {
        let _ = write!(out, "committed {time} ");
    }
}

/// Text without anything unseen; as it is, where that shows at a glance.
fn visible(out: &mut Vec<u8>, text: &str) {
    if is_harmless(text) {
        out.extend_from_slice(text.as_bytes());
    } else {
        out.extend_from_slice(printable(text).as_bytes());
    }
}

/// A statement on one line, cut to so many characters.
fn one_line(statement: &str, room: usize, cut: bool) -> String {
    let mut line = String::with_capacity(statement.len().min(256));
    // The last one says that more follows.
    let mut left = room.saturating_sub(1);
    let mut goes_on = cut;
    'words: for (index, word) in statement.split_whitespace().enumerate() {
        let blank = (index > 0).then_some(' ');
        for character in blank.into_iter().chain(word.chars()) {
            if left == 0 {
                goes_on = true;
                break 'words;
            }
            left = left.saturating_sub(1);
            line.push(character);
        }
    }
    if goes_on {
        line.push('…');
    }
    line
}

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
        let rows = match entry.uncounted_events {
            0 => entry.rows.to_string(),
            uncounted => format!("{} and those of {uncounted} events", entry.rows),
        };
        let mut cells = vec![
            Cell::new(format!("{}.{}", entry.database, entry.table)),
            Cell::new(entry.events.to_string()).right(),
            Cell::new(rows).right(),
        ];
        cells.extend(ops(&entry.ops));
        cells.push(Cell::new(size(entry.bytes)).right());
        cells
    };
    let rows: Vec<_> = report.by_table.iter().take(ROWS_SHOWN).map(row).collect();
    let headings = ["TABLE", "ROW EVENTS", "ROWS", "INSERTED", "UPDATED", "DELETED", "BYTES"];
    table::write(out, &headings, &rows)?;
    more(out, report.by_table.len(), "tables")
}

fn ops(ops: &OpsEntry) -> [Cell; 3] {
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
            Cell::new(one_line(&entry.key, KEY_SHOWN, false)),
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
