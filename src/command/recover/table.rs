//! The plan of `binlogsec recover` as text, in 80 columns where names allow it.

use std::io;
use std::path::{Path, PathBuf};

use binlogsec_core::text::path_text;

use super::report::{RecoverReport, SliceEntry, ToKind};
use crate::lines::{BAD, DIM, GOOD, WARN, plural};
use crate::table::{self, Cell, printable};
use crate::terminal::{Page, sentence};

/// The plan.
///
/// # Errors
/// What the writer answers.
pub(crate) fn recover(out: &mut dyn Page, report: &RecoverReport) -> io::Result<()> {
    let from = &report.from;
    let place = from.log.as_ref().zip(from.position);
    let place = place.map(|(log, position)| format!(", {log}:{position}")).unwrap_or_default();
    sentence(out, format_args!("from  {}{}", printable(&from.origin), printable(&place)))?;
    if let Some(gtids) = from.gtids.as_ref().filter(|it| **it != from.origin && !it.is_empty()) {
        sentence(out, format_args!("      {gtids}"))?;
    }
    let to = &report.to;
    let moment = to.moment.as_deref().unwrap_or_default();
    let kind = match to.kind {
        ToKind::End => "the end of the logs".to_owned(),
        ToKind::Before => format!("just before {moment}"),
        ToKind::With => format!("{moment}, with it"),
        ToKind::Time => format!("{moment}, without what begins then"),
        ToKind::Position => moment.to_owned(),
    };
    sentence(out, format_args!("to    {kind}"))?;
    if let (Some(what), Some(time)) = (&to.found, &to.found_time) {
        let what: String = what.chars().take(70).collect();
        sentence(out, format_args!("      {time}  {}", printable(&what)))?;
    }
    writeln!(out)?;
    slices(out, report)?;
    for gap in &report.gaps {
        let style = if gap.allowed { WARN } else { BAD };
        let word = if gap.allowed { "allowed  " } else { "" };
        sentence(out, format_args!("{style}{word}{}{style:#}", printable(&gap.message)))?;
    }
    let shown = |path: &Path| printable(&path_text::text(path));
    for doubled in &report.doubled {
        let (used, other) = (shown(&doubled.used), shown(&doubled.other));
        sentence(
            out,
            format_args!("{DIM}doubled: {other} is a copy of {used}, which is used{DIM:#}"),
        )?;
    }
    for unread in &report.unread {
        sentence(
            out,
            format_args!("{DIM}not needed, not readable: {}{DIM:#}", printable(&unread.reason)),
        )?;
    }
    if let [_, ..] = report.relay_logs.as_slice() {
        let many = report.relay_logs.len();
        sentence(
            out,
            format_args!("{DIM}{many} relay logs are not used: they have what others wrote{DIM:#}"),
        )?;
    }
    let how = if report.verified { "every event checked" } else { "by the heads of most logs" };
    if report.complete {
        let logs = plural(report.slices.len(), "log");
        sentence(out, format_args!("{GOOD}complete{GOOD:#}: {logs}, {how}"))
    } else {
        sentence(
            out,
            format_args!("{BAD}incomplete{BAD:#}: nothing is written while something is missing"),
        )
    }
}

fn slices(out: &mut dyn Page, report: &RecoverReport) -> io::Result<()> {
    // The directory that all are in stands above them, once: so the table fits most terminals.
    let paths: Vec<&Path> = report.slices.iter().map(|slice| Path::new(&slice.path)).collect();
    let common = common_directory(&paths);
    if !common.as_os_str().is_empty() {
        writeln!(out, "in    {}\n", printable(&common.to_string_lossy()))?;
    }
    let rows: Vec<_> = report.slices.iter().map(|slice| row(slice, &common)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    table::write(out, &["LOG", "SERVER", "FROM", "TO", "TRANSACTIONS"], &rows)?;
    writeln!(out)
}

/// The directory that all paths are below; an empty one if there is none, or one path alone.
fn common_directory(paths: &[&Path]) -> PathBuf {
    let Some((first, more)) = paths.split_first().filter(|(_, more)| !more.is_empty()) else {
        return PathBuf::new();
    };
    let parents = first.ancestors().skip(1);
    let is_above_all = |parent: &&Path| more.iter().all(|path| path.starts_with(parent));
    let found = parents.into_iter().find(is_above_all);
    found.filter(|found| *found != Path::new("/")).unwrap_or(Path::new("")).to_owned()
}

fn row(slice: &SliceEntry, directory: &Path) -> Vec<Cell> {
    let path = Path::new(&slice.path);
    let path = path.strip_prefix(directory).unwrap_or(path);
    let from = match (slice.start_position, slice.partial) {
        (Some(position), _) => position.to_string(),
        (None, true) => "rest".to_owned(),
        (None, false) => "start".to_owned(),
    };
    let to = slice.stop_position.map_or_else(|| "end".to_owned(), |it| it.to_string());
    vec![
        Cell::new(path.to_string_lossy()),
        Cell::new(slice.server_id.to_string()).right(),
        Cell::new(from).right(),
        Cell::new(to).right(),
        Cell::or_dash(slice.transactions.map(|many| many.to_string())).right(),
    ]
}
