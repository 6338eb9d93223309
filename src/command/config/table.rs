//! `binlogsec config show` for people.

use std::io;

use super::report::{ConfigReport, SettingEntry, Source};
use crate::table::{self, Cell, printable};
use crate::terminal::{Page, sentence};

pub(crate) fn config(out: &mut dyn Page, report: &ConfigReport) -> io::Result<()> {
    if let Some(not_read) = &report.not_read {
        let (path, reason) = (printable(&not_read.path), printable(&not_read.reason));
        sentence(out, format_args!("not read: {path}, as {reason}"))?;
    }
    match &report.file {
        Some(file) => writeln!(out, "file: {}\n", printable(file))?,
        None => writeln!(out, "file: none\n")?,
    }
    let rows: Vec<_> = report.settings.iter().flat_map(rows).collect();
    table::write(out, &["SETTING", "FROM", "VALUE"], &rows)
}

/// A line for each value.
fn rows(setting: &SettingEntry) -> Vec<Vec<Cell>> {
    let from = match setting.source {
        Source::File => "file",
        Source::Environment => "environment",
        Source::Default => "default",
    };
    let row = |name: &str, from: &str, value: Cell| vec![Cell::new(name), Cell::new(from), value];
    let Some((first, more)) = setting.values.split_first() else {
        return vec![row(setting.name, from, Cell::or_dash(None::<&str>))];
    };
    let mut rows = vec![row(setting.name, from, Cell::new(first))];
    rows.extend(more.iter().map(|value| row("", "", Cell::new(value))));
    rows
}
