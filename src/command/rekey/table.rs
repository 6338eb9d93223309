//! The tables of `binlogsec rekey` and `header dump`, and the line of `header restore`.

use std::io;

use binlogsec_core::mysql::key_id::KeyId;
use binlogsec_core::write::header::Part;
use binlogsec_core::write::rekey::Recovery;

use crate::command::rekey::report::{
    HeaderDumpReport, HeaderReport, RekeyEntry, RekeyReport, RekeyStatus,
};
use crate::json;
use crate::lines::{GOOD, PLAIN, WARN};
use crate::table::{self, Cell};
use crate::terminal::{Page, sentence};

/// The table of `binlogsec rekey`.
///
/// # Errors
/// What the writer answers.
pub(crate) fn rekey(out: &mut dyn Page, report: &RekeyReport) -> io::Result<()> {
    let files = &report.results.files;
    let done =
        |file: &&RekeyEntry| !matches!(file.status, RekeyStatus::LeftOut | RekeyStatus::Failed);
    let rows: Vec<_> = files.iter().filter(done).map(row).collect();
    if !rows.is_empty() {
        let headings = ["LOG", "STATUS", "OLD KEY", "NEW KEY", "SERVER", ""];
        table::write(out, &headings, &rows)?;
    }
    for file in files.iter().filter(|file| file.status == RekeyStatus::LeftOut) {
        crate::lines::left_out(out, Some(&file.path), file.reason.as_deref())?;
    }
    for file in files {
        crate::lines::notes(out, &file.path, &file.done.notes)?;
    }
    if let Some(note) = report.note {
        sentence(out, format_args!("{WARN}Mind: {note}.{WARN:#}"))?;
    }
    Ok(())
}

fn row(file: &RekeyEntry) -> Vec<Cell> {
    let style = match file.status {
        RekeyStatus::Rekeyed => GOOD,
        RekeyStatus::WouldRekey => WARN,
        _ => PLAIN,
    };
    let key = |id: &Option<KeyId>| Cell::or_dash(id.as_ref().map(KeyId::to_string));
    let recovery = match file.done.recovery {
        Some(Recovery::OldHeaderRestored) => "half written: the old header was put back",
        Some(Recovery::BackupRemoved) => {
            "left over from an interrupted run: a header backup, removed"
        }
        None => "",
    };
    vec![
        Cell::new(&file.path),
        Cell::new(json::name(file.status)).styled(style),
        key(&file.done.old_key_id),
        key(&file.done.new_key_id),
        Cell::or_dash(file.done.server_version.as_deref()),
        Cell::new(recovery).styled(WARN),
    ]
}

/// The line of `binlogsec header restore`.
///
/// # Errors
/// What the writer answers.
pub(crate) fn header(out: &mut dyn Page, report: &HeaderReport<'_>) -> io::Result<()> {
    let path = table::printable(&report.path);
    let (key_id, status) = (&report.restored.key_id, json::name(report.restored.status));
    let proof = if report.restored.proven { "proven" } else { "not proven: no key was given" };
    sentence(out, format_args!("{path}: header {status}, under key {key_id}, {proof}"))
}

/// The table of `binlogsec header dump`.
///
/// # Errors
/// What the writer answers.
pub(crate) fn header_dump(out: &mut dyn Page, report: &HeaderDumpReport<'_>) -> io::Result<()> {
    sentence(out, format_args!("{}", table::printable(&report.path)))?;
    let headings = ["OFFSET", "LENGTH", "PART", "BYTES"];
    let rows: Vec<_> = report.anatomy.parts.iter().map(part_row).collect();
    table::write(out, &headings, &rows)
}

fn part_row(part: &Part) -> Vec<Cell> {
    // The zeros at the end are counted by the length.
    let zeros = part.bytes.iter().rev().take_while(|byte| **byte == 0).count();
    let shown = part.bytes.len().saturating_sub(zeros);
    let hex = || part.bytes.iter().take(shown).map(|byte| format!("{byte:02x}")).collect();
    let bytes = part.text.clone().unwrap_or_else(hex);
    vec![
        Cell::new(part.offset.to_string()).right(),
        Cell::new(part.length.to_string()).right(),
        Cell::new(&part.name),
        Cell::new(bytes),
    ]
}
