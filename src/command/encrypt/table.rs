//! The table of `binlogsec encrypt`.

use std::io;

use binlogsec_core::text::path_text;

use crate::command::encrypt::report::{EncryptEntry, EncryptReport, EncryptStatus};
use crate::json;
use crate::lines::{DIM, GOOD, WARN, size, time};
use crate::table::{self, Cell};
use crate::terminal::{Page, sentence};

/// The table of `binlogsec encrypt`.
///
/// # Errors
/// What the writer answers.
pub(crate) fn encrypt(out: &mut dyn Page, report: &EncryptReport) -> io::Result<()> {
    let done: Vec<_> = report.results.files.iter().filter_map(row).collect();
    if !done.is_empty() {
        let headings = ["LOG", "STATUS", "KEY", "SERVER", "CREATED (UTC)", "ENCRYPTED", "SIZE", ""];
        table::write(out, &headings, &done)?;
    }
    for file in report.results.files.iter().filter(|file| file.status == EncryptStatus::LeftOut) {
        crate::lines::left_out(out, Some(&file.path), file.reason.as_deref())?;
    }
    for path in &report.leftovers {
        let path = table::printable(&path_text::text(path));
        sentence(out, format_args!("{DIM}left over from an interrupted run: {path}{DIM:#}"))?;
    }
    for file in &report.results.files {
        crate::lines::notes(out, &file.path, &file.notes)?;
    }
    Ok(())
}

fn row(file: &EncryptEntry) -> Option<Vec<Cell>> {
    let output = file.output.as_deref()?;
    let style = if matches!(file.status, EncryptStatus::Encrypted | EncryptStatus::Kept) {
        GOOD
    } else {
        WARN
    };
    let note = if file.in_use == Some(true) { "in use: not closed by its server" } else { "" };
    Some(vec![
        Cell::new(&file.path),
        Cell::new(json::name(file.status)).styled(style),
        Cell::or_dash(file.key_id.as_deref()),
        Cell::or_dash(file.server_version.as_deref()),
        Cell::or_dash(file.created.as_deref().map(time)),
        Cell::new(if output == file.path { "in place" } else { output }),
        Cell::new(file.size.map(size).unwrap_or_default()).right(),
        Cell::new(note).styled(WARN),
    ])
}
