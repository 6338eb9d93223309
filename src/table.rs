//! Aligned columns, coloured cells. In a terminal with fewer columns than a table has, its rows take
//! several lines each.

use std::io::{self, Write};
use std::ops::Range;

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use crate::terminal::{Page, sentence};

pub(crate) use binlogsec_core::text::unseen::printable;

/// What stands between two columns.
const GAP: &str = "  ";

/// One cell.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    style: Style,
    right: bool,
}

impl Cell {
    /// Plain text, to the left. Unseen characters, which a file name may have, are escaped.
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self { text: printable(text.as_ref()), style: Style::new(), right: false }
    }

    /// A value, or a dash where there is none.
    pub(crate) fn or_dash(text: Option<impl AsRef<str>>) -> Self {
        text.map_or_else(|| Self::new("-").styled(Style::new().dimmed()), Self::new)
    }

    /// In this style.
    pub(crate) const fn styled(mut self, style: Style) -> Self {
        self.style = style;
        self
    }

    /// To the right, as numbers are.
    pub(crate) const fn right(mut self) -> Self {
        self.right = true;
        self
    }

    fn width(&self) -> usize {
        self.text.width()
    }

    fn write(&self, out: &mut dyn Write, width: usize, last: bool) -> io::Result<()> {
        let padding = " ".repeat(width.saturating_sub(self.width()));
        let Self { text, style, right } = self;
        match (right, last) {
            (true, _) => write!(out, "{padding}{style}{text}{style:#}"),
            (false, true) => write!(out, "{style}{text}{style:#}"),
            (false, false) => write!(out, "{style}{text}{style:#}{padding}"),
        }
    }
}

/// The lines of a row but the first stand so far to the right of it.
const FURTHER: usize = 4;

/// Writes rows under headings. Every row has as many cells as there are headings.
pub(crate) fn write(out: &mut dyn Page, headings: &[&str], rows: &[Vec<Cell>]) -> io::Result<()> {
    let bold = Style::new().bold();
    let heading = |column: usize, text: &str| {
        let is_right = rows.first().and_then(|row| row.get(column)).is_some_and(|cell| cell.right);
        let cell = Cell::new(text).styled(bold);
        if is_right { cell.right() } else { cell }
    };
    let head: Vec<_> =
        headings.iter().enumerate().map(|(column, text)| heading(column, text)).collect();
    let all = || std::iter::once(&head).chain(rows);
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| all().filter_map(|row| row.get(column)).map(Cell::width).max().unwrap_or(0))
        .collect();
    let lines = lines(&widths, out.columns().unwrap_or(usize::MAX));
    for row in all() {
        for columns in &lines {
            let cells = row.get(columns.clone()).unwrap_or_default();
            let widths = widths.get(columns.clone()).unwrap_or_default();
            write_line(out, cells, widths, columns.start > 0)?;
        }
    }
    Ok(())
}

/// The columns of each line of a row, so that no line is wider than the terminal if that can be.
fn lines(widths: &[usize], terminal: usize) -> Vec<Range<usize>> {
    let (mut lines, mut start, mut taken) = (Vec::new(), 0, 0_usize);
    for (column, &width) in widths.iter().enumerate() {
        let gap = if column == start { 0 } else { GAP.len() };
        // What has no text takes no room.
        let more = if width == 0 { 0 } else { width.saturating_add(gap) };
        if column > start && taken.saturating_add(more) > terminal {
            lines.push(start..column);
            (start, taken) = (column, FURTHER.saturating_add(width));
        } else {
            taken = taken.saturating_add(more);
        }
    }
    lines.push(start..widths.len());
    lines
}

fn write_line(
    out: &mut dyn Page,
    cells: &[Cell],
    widths: &[usize],
    is_further: bool,
) -> io::Result<()> {
    // Empty cells at the end would leave blanks behind.
    let used = cells.iter().rposition(|cell| !cell.text.is_empty());
    let used = used.map_or(0, |last| last.saturating_add(1));
    let indent = if is_further { FURTHER } else { 0 };
    match cells {
        // All that a further line of other rows has.
        _ if used == 0 && is_further => return Ok(()),
        // Words that may take several lines.
        [Cell { text, style, right: false }] if is_further => {
            return sentence(out, format_args!("{:indent$}{style}{text}{style:#}", ""));
        }
        _ => write!(out, "{:indent$}", "")?,
    }
    for (column, (cell, width)) in cells.iter().zip(widths).take(used).enumerate() {
        let last = column.saturating_add(1) == used;
        cell.write(out, *width, last)?;
        out.write_all(if last { b"" } else { GAP.as_bytes() })?;
    }
    out.write_all(b"\n")
}
