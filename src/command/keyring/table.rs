//! The tables of `binlogsec keyring`.

use std::io;

use anstyle::Style;

use binlogsec_core::keyring::rotation::{RotationState, ServerKeys};

use crate::command::keyring::report::{KeyEntry, KeyringReport};
use crate::lines::{GOOD, WARN, plural};
use crate::table::{self, Cell};
use crate::terminal::{Page, sentence};

/// The tables of `binlogsec keyring`.
///
/// # Errors
/// What the writer answers.
pub(crate) fn keyring(out: &mut dyn Page, report: &KeyringReport) -> io::Result<()> {
    for (number, file) in report.files.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        let bold = Style::new().bold();
        let path = table::printable(&file.path);
        let count = plural(file.keys.len(), "entry").replace("entrys", "entries");
        sentence(out, format_args!("{bold}{path}{bold:#}: {}, {count}", file.format))?;
        if file.keys.is_empty() {
            sentence(
                out,
                format_args!(
                    "No key is in it; a server makes its keyring so, before the first key."
                ),
            )?;
            continue;
        }
        let headings = ["KEY ID", "OWNER", "TYPE", "BYTES", "FINGERPRINT OR VALUE", ""];
        let rows: Vec<_> = file.keys.iter().map(keyring_row).collect();
        table::write(out, &headings, &rows)?;
        for server in &file.servers {
            sentence(out, format_args!("{}", server_line(server)))?;
        }
    }
    Ok(())
}

fn keyring_row(key: &KeyEntry) -> Vec<Cell> {
    let value = match (&key.fingerprint, key.sequence_number) {
        (Some(fingerprint), _) => Cell::new(fingerprint),
        (None, Some(number)) => Cell::new(format!("number {number}")),
        (None, None) => Cell::or_dash(None::<&str>),
    };
    vec![
        Cell::new(&key.key_id),
        Cell::or_dash(Some(&key.owner).filter(|owner| !owner.is_empty())),
        Cell::new(&key.key_type),
        Cell::new(key.length.to_string()).right(),
        value,
        Cell::new(if key.current { "current" } else { "" }).styled(GOOD),
    ]
}

/// What copies of logs need that were made before a rotation.
fn purged_text(number: u32) -> String {
    format!(", purged up to {number} (logs copied before then need a keyring copied before then)")
}

fn server_line(server: &ServerKeys) -> String {
    let ServerKeys { server_uuid, state, .. } = server;
    let style = if *state == RotationState::Clean { GOOD } else { WARN };
    let current = server.current.map_or("none".to_owned(), |number| number.to_string());
    let purged =
        server.last_purged.filter(|&number| number > 0).map(purged_text).unwrap_or_default();
    format!("server {server_uuid}: current {current}{purged}; {style}{state}{style:#}")
}
