//! The table of `binlogsec decrypt`.

use std::io;

use crate::command::decrypt::report::{DecryptEntry, DecryptReport, DecryptStatus};
use crate::json;
use crate::lines::{GOOD, WARN, key, size, time};
use crate::table::{self, Cell};
use crate::terminal::Page;

/// The table of `binlogsec decrypt`.
///
/// # Errors
/// What the writer answers.
pub(crate) fn decrypt(out: &mut dyn Page, report: &DecryptReport) -> io::Result<()> {
    let files = &report.results.files;
    let done: Vec<_> = files.iter().filter_map(decrypt_row).collect();
    if !done.is_empty() {
        let is_sealed = files.iter().any(|file| file.recipients.is_some());
        let headings = [
            "LOG",
            "KEY",
            "STATUS",
            "SERVER",
            "CREATED (UTC)",
            if is_sealed { "AGE FILE" } else { "PLAINTEXT" },
            "SIZE",
            "",
        ];
        table::write(out, &headings, &done)?;
    }
    let left_out = files.iter().filter(|file| file.status == DecryptStatus::LeftOut);
    left_out.into_iter().try_for_each(|file| {
        crate::lines::left_out(out, file.path.as_deref(), file.reason.as_deref())
    })
}

fn decrypt_row(file: &DecryptEntry) -> Option<Vec<Cell>> {
    let log = file.log.as_ref()?;
    let created = log.created.as_deref();
    let note = match log.in_use {
        Some(true) => "in use: not closed by its server",
        Some(false) => "",
        None => "cut short",
    };
    let notes: Vec<_> = file.notes.iter().map(|note| note.message.as_str()).collect();
    let note = match (&log.error, notes.is_empty()) {
        (Some(_), _) => "cut short",
        (None, true) => note,
        (None, false) => &notes.join("; "),
    };
    Some(vec![
        Cell::new(&log.path),
        Cell::or_dash(key(log)).right(),
        Cell::new(json::name(file.status)).styled(GOOD),
        Cell::or_dash(log.server_version.as_deref()),
        Cell::or_dash(created.map(time)),
        Cell::or_dash(file.output.as_deref()),
        Cell::new(file.plain_size.map(size).unwrap_or_default()).right(),
        Cell::new(note).styled(WARN),
    ])
}
