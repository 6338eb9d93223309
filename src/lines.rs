//! Reports for people: tables, and a line that sums up. A module for each command.

use std::io;

use anstyle::{AnsiColor, Style};

use super::table;
use super::terminal::{Page, sentence};
use crate::log_entry::LogEntry;

pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const PLAIN: Style = Style::new();

/// The generation of a MySQL server's key, the id of a MariaDB server's.
pub(crate) fn key(file: &LogEntry) -> Option<String> {
    let generation = file.key_seqno.map(|number| number.to_string());
    generation.or_else(|| file.cipher.as_ref().and(file.key_id.clone()))
}

/// A line for a file that came with an index or a directory and was passed over.
pub(crate) fn left_out(
    out: &mut dyn Page,
    path: Option<&str>,
    reason: Option<&str>,
) -> io::Result<()> {
    let path = table::printable(path.unwrap_or_default());
    let reason = table::printable(reason.unwrap_or_default());
    sentence(out, format_args!("{DIM}left out {path}: {reason}{DIM:#}"))
}

/// What the user of a file should know.
pub(crate) fn notes(out: &mut dyn Page, path: &str, notes: &[String]) -> io::Result<()> {
    let path = table::printable(path);
    notes.iter().try_for_each(|note| {
        sentence(out, format_args!("{WARN}{path}: {}{WARN:#}", table::printable(note)))
    })
}

/// A time of a report's model, shorter by what every time in a column has.
pub(crate) fn time(rfc3339: &str) -> String {
    rfc3339.trim_end_matches('Z').replace('T', " ")
}

pub(crate) fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A size as people say it: three digits and a binary unit.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 5] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];
    let (unit, shift) =
        UNITS.iter().find(|(_, shift)| bytes >> shift > 0).copied().unwrap_or(("B", 0));
    if shift == 0 {
        return format!("{bytes} {unit}");
    }
    let tenths = (u128::from(bytes).saturating_mul(10)) >> shift;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (102_070, "99.6 KiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
