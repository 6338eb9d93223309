//! The lines of `binlogsec keyring new`, `add-key` and `convert`.

use std::io;

use binlogsec_core::text::path_text;
use binlogsec_core::write::keyring::KeyringWritten;

use crate::command::keyring::change::KeyringChangeReport;
use crate::json;
use crate::table::printable;
use crate::terminal::{Page, sentence};

/// The lines of `binlogsec keyring new`, `add-key` and `convert`.
///
/// # Errors
/// What the writer answers.
pub(crate) fn keyring_change(
    out: &mut dyn Page,
    report: &KeyringChangeReport<'_>,
) -> io::Result<()> {
    let KeyringWritten { path, format, entries, key_id, notes } = report.written;
    let (path, status) = (path_text::text(path), json::name(report.status).replace('-', " "));
    sentence(out, format_args!("{}: {status}; {format}, {entries} entries", printable(&path)))?;
    if let Some(key_id) = key_id {
        let key_id = printable(&key_id.to_string());
        sentence(out, format_args!("new key, in use from now on: {key_id}"))?;
    }
    crate::lines::notes(out, &path, notes)
}
