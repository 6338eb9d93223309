//! The table of `binlogsec keyring coverage`.

use std::io;

use super::coverage_report::{CoverageReport, NeededKey, NeededStatus, UnusedKey};
use crate::json;
use crate::lines::{BAD, GOOD, WARN, plural, size};
use crate::table::{self, Cell};
use crate::terminal::{Page, sentence};

/// The table of `binlogsec keyring coverage`.
///
/// # Errors
/// What the writer answers.
pub(crate) fn coverage(out: &mut dyn Page, report: &CoverageReport) -> io::Result<()> {
    if !report.keys.is_empty() {
        let headings = ["KEY", "STATUS", "LOGS", "SIZE", "HELD IN", ""];
        let rows: Vec<_> = report.keys.iter().map(needed).collect();
        table::write(out, &headings, &rows)?;
        writeln!(out)?;
    }
    for key in report.keys.iter().filter(|key| key.lost_without_it > 0) {
        let (name, logs) = (named(&key.key_id, key.version), plural(key.lost_without_it, "log"));
        let stays = if key.current { "; the server encrypts new logs under it" } else { "" };
        let line = format!("Destroying {name} makes {logs} unreadable{stays}.");
        sentence(out, format_args!("{}", table::printable(&line)))?;
    }
    for key in &report.unused_keys {
        sentence(out, format_args!("{}", table::printable(&unused(key))))?;
    }
    let summary = &report.summary;
    let undecided = match summary.undecided {
        0 => String::new(),
        count => format!(", {count} undecided"),
    };
    sentence(
        out,
        format_args!(
            "{}: {} readable, {} unreadable{undecided}, {} in plaintext",
            plural(summary.logs, "log"),
            summary.readable,
            summary.unreadable,
            summary.plaintext
        ),
    )
}

fn named(key_id: &str, version: Option<u32>) -> String {
    version.map_or_else(
        || format!("key {key_id}"),
        |version| format!("key {key_id}, version {version}"),
    )
}

fn unused(key: &UnusedKey) -> String {
    let name = named(&key.key_id, key.version);
    let source = key.held_in.join(", ");
    if key.current {
        format!(
            "No log here needs {name} ({source}), but the server encrypts new logs under it: keep it."
        )
    } else {
        format!(
            "No log here needs {name} ({source}). Logs elsewhere may: backups, replicas, archives."
        )
    }
}

fn needed(key: &NeededKey) -> Vec<Cell> {
    let style = match key.status {
        NeededStatus::Present => GOOD,
        NeededStatus::Unchecked => WARN,
        _ => BAD,
    };
    let name = key
        .version
        .map_or_else(|| key.key_id.clone(), |version| format!("{}, version {version}", key.key_id));
    vec![
        Cell::new(name),
        Cell::new(json::name(key.status)).styled(style),
        Cell::new(key.logs.to_string()).right(),
        Cell::new(size(key.bytes)).right(),
        Cell::or_dash(Some(key.held_in.join(", ")).filter(|it| !it.is_empty())),
        Cell::new(if key.current { "current" } else { "" }).styled(GOOD),
    ]
}
