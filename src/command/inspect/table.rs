//! The tables of `binlogsec inspect`.

use std::collections::BTreeMap;
use std::io;

use anstyle::Style;

use crate::command::inspect::report::{InspectReport, InspectSummary};
use crate::lines::{BAD, DIM, GOOD, PLAIN, WARN, key, plural, size, time};
use crate::log_entry::LogEntry;
use crate::table::{self, Cell};
use crate::terminal::{Page, sentence};

/// Paths listed under one message; the table has them all.
const SHOWN_PATHS: usize = 5;

/// The table of `binlogsec inspect`.
///
/// # Errors
/// What the writer answers.
pub(crate) fn inspect(out: &mut dyn Page, report: &InspectReport) -> io::Result<()> {
    if !report.files.is_empty() {
        let headings = [
            "FILE",
            "KIND",
            "ROLE",
            "SIZE",
            "KEY",
            "STATUS",
            "SERVER",
            "ID",
            "CREATED (UTC)",
            "CHECKSUM",
            "",
        ];
        let rows: Vec<_> = report.files.iter().map(inspect_row).collect();
        table::write(out, &headings, &rows)?;
        keys(out, &report.files)?;
        problems(out, &report.files)?;
        writeln!(out)?;
    }
    let summary = inspect_summary(&report.summary);
    sentence(out, format_args!("{}", table::printable(&summary)))
}

fn inspect_row(file: &LogEntry) -> Vec<Cell> {
    let in_use = file.in_use.unwrap_or(false);
    vec![
        Cell::new(&file.path),
        Cell::new(&*file.kind).styled(kind_style(&file.kind)),
        Cell::or_dash(file.role.as_deref()),
        Cell::new(size(file.size)).right(),
        Cell::or_dash(key(file)).right(),
        Cell::or_dash(file.key_status.as_deref())
            .styled(file.key_status.as_deref().map_or(DIM, key_status_style)),
        Cell::or_dash(file.server_version.as_deref()),
        Cell::or_dash(file.server_id.map(|id| id.to_string())).right(),
        Cell::or_dash(file.created.as_deref().map(time)),
        Cell::or_dash(file.checksum.as_deref()),
        Cell::new(if in_use { "in use" } else { "" }).styled(WARN),
    ]
}

/// Which keys the logs want: the ids are too long for the table.
fn keys(out: &mut dyn Page, files: &[LogEntry]) -> io::Result<()> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for file in files {
        // A MariaDB server's is short, and stands in the table.
        let key_id = file.key_id.as_ref().filter(|_| file.cipher.is_none());
        if let (Some(key_id), Some(status)) = (key_id, file.key_status.as_deref()) {
            let count = counts.entry((key_id, status)).or_default();
            *count = count.saturating_add(1);
        }
    }
    if counts.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let rows: Vec<_> = counts
        .iter()
        .map(|((key_id, status), count)| {
            vec![
                Cell::new(key_id),
                Cell::new(status).styled(key_status_style(status)),
                Cell::new(count.to_string()).right(),
            ]
        })
        .collect();
    table::write(out, &["KEY ID", "STATUS", "LOGS"], &rows)
}

/// What is wrong, said once for all the logs it is wrong with.
fn problems(out: &mut dyn Page, files: &[LogEntry]) -> io::Result<()> {
    let mut by_message: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in files.iter().filter(|file| is_worth_saying(file)) {
        if let Some(error) = &file.error {
            by_message.entry(error).or_default().push(&file.path);
        }
    }
    for (message, paths) in by_message {
        writeln!(out)?;
        sentence(out, format_args!("{BAD}{}{BAD:#}", table::printable(message)))?;
        for path in paths.iter().take(SHOWN_PATHS) {
            sentence(out, format_args!("  {}", table::printable(path)))?;
        }
        if paths.len() > SHOWN_PATHS {
            sentence(out, format_args!("  and {} more", paths.len().saturating_sub(SHOWN_PATHS)))?;
        }
    }
    Ok(())
}

/// What is no log needs no sentence, and a key that nobody offered is seen in the table.
fn is_worth_saying(file: &LogEntry) -> bool {
    !matches!(&*file.kind, "unknown" | "empty") && !lacks_only_a_key(file)
}

/// Whether there is nothing wrong but that no key was named.
fn lacks_only_a_key(file: &LogEntry) -> bool {
    file.error.is_some()
        && file.problem.is_none()
        && matches!(
            &*file.kind,
            "mysql-encrypted" | "mariadb-encrypted" | "binlog-server-encrypted"
        )
}

fn inspect_summary(summary: &InspectSummary) -> String {
    let mut parts = vec![format!("{}:", plural(summary.files, "file"))];
    let mut kinds: Vec<String> =
        summary.by_kind.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    if summary.other_files > 0 {
        kinds.push(format!("{} left out that are no logs", summary.other_files));
    }
    if summary.failures > 0 {
        kinds.push(format!("{} unreadable", summary.failures));
    }
    if kinds.is_empty() {
        kinds.push("nothing to look at".to_owned());
    }
    parts.push(kinds.join(", "));
    let keys: Vec<String> =
        summary.by_key_status.iter().map(|(status, count)| format!("{count} {status}")).collect();
    if !keys.is_empty() {
        parts.push(format!("(keys: {})", keys.join(", ")));
    }
    parts.join(" ")
}

fn kind_style(kind: &str) -> Style {
    match kind {
        "mysql-encrypted"
        | "mariadb-encrypted"
        | "percona57-encrypted"
        | "binlog-server-encrypted" => GOOD,
        "mysql-plain" | "mariadb-plain" | "mariadb-innodb-plain" | "mysql-before-5.0" => WARN,
        "unknown" | "empty" => DIM,
        _ => BAD,
    }
}

fn key_status_style(status: &str) -> Style {
    match status {
        "present" => GOOD,
        "missing" | "wrong" => BAD,
        _ => PLAIN,
    }
}
