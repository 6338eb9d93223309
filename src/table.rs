//! Aligned columns, coloured cells.

use std::io::{self, Write};

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

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

/// Writes rows under headings. Every row has as many cells as there are headings.
pub(crate) fn write(out: &mut dyn Write, headings: &[&str], rows: &[Vec<Cell>]) -> io::Result<()> {
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
    for row in all() {
        // Empty cells at the end would leave blanks behind.
        let used = row.iter().rposition(|cell| !cell.text.is_empty());
        let used = used.map_or(0, |last| last.saturating_add(1));
        for (column, (cell, width)) in row.iter().zip(&widths).take(used).enumerate() {
            let last = column.saturating_add(1) == used;
            cell.write(out, *width, last)?;
            out.write_all(if last { b"" } else { GAP.as_bytes() })?;
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}
