//! The lines of `binlogsec keyring new`, `add-key` and `convert`.

use std::io;

use crate::command::keyring::change::KeyringChangeReport;
use crate::table::printable;
use crate::terminal::{Page, sentence};

/// The lines of `binlogsec keyring new`, `add-key` and `convert`.
///
/// # Errors
/// What the writer answers.
pub(crate) fn keyring_change(out: &mut dyn Page, report: &KeyringChangeReport) -> io::Result<()> {
    let path = printable(&report.path);
    let KeyringChangeReport { status, format, entries, .. } = report;
    let status = status.replace('-', " ");
    sentence(out, format_args!("{path}: {status}; {format}, {entries} entries"))?;
    if let Some(key_id) = &report.key_id {
        sentence(out, format_args!("new key, in use from now on: {}", printable(key_id)))?;
    }
    crate::lines::notes(out, &report.path, &report.notes)
}
