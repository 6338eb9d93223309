//! Reports for people: tables, and a line that sums up.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::model::{
    DecryptEntry, DecryptReport, InspectReport, InspectSummary, KeyEntry, KeyringReport, LogEntry,
    ServerEntry,
};
use super::table::{self, Cell};

const GOOD: Style = AnsiColor::Green.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();
const PLAIN: Style = Style::new();

/// Paths listed under one message; the table has them all.
const SHOWN_PATHS: usize = 5;

/// The table of `binlogsec inspect`.
///
/// # Errors
/// What the writer answers.
pub fn inspect(out: &mut dyn Write, report: &InspectReport) -> io::Result<()> {
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
    writeln!(out, "{}", inspect_summary(&report.summary))
}

fn inspect_row(file: &LogEntry) -> Vec<Cell> {
    let in_use = file.in_use.unwrap_or(false);
    vec![
        Cell::new(&file.path),
        Cell::new(file.kind).styled(kind_style(file.kind)),
        Cell::or_dash(file.role),
        Cell::new(size(file.size)).right(),
        Cell::or_dash(file.key_seqno.map(|number| number.to_string())).right(),
        Cell::or_dash(file.key_status).styled(file.key_status.map_or(DIM, key_status_style)),
        Cell::or_dash(file.server_version.as_deref()),
        Cell::or_dash(file.server_id.map(|id| id.to_string())).right(),
        Cell::or_dash(
            file.created
                .as_deref()
                .map(|created| created.trim_end_matches('Z').replace('T', " ")),
        ),
        Cell::or_dash(file.checksum.as_deref()),
        Cell::new(if in_use { "in use" } else { "" }).styled(WARN),
    ]
}

/// Which keys the logs want: the ids are too long for the table.
fn keys(out: &mut dyn Write, files: &[LogEntry]) -> io::Result<()> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for file in files {
        if let (Some(key_id), Some(status)) = (&file.key_id, file.key_status) {
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
fn problems(out: &mut dyn Write, files: &[LogEntry]) -> io::Result<()> {
    let mut by_message: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in files.iter().filter(|file| is_worth_saying(file)) {
        if let Some(error) = &file.error {
            by_message.entry(error).or_default().push(&file.path);
        }
    }
    for (message, paths) in by_message {
        writeln!(out, "\n{BAD}{}{BAD:#}", table::printable(message))?;
        for path in paths.iter().take(SHOWN_PATHS) {
            writeln!(out, "  {}", table::printable(path))?;
        }
        if paths.len() > SHOWN_PATHS {
            writeln!(
                out,
                "  and {} more",
                paths.len().saturating_sub(SHOWN_PATHS)
            )?;
        }
    }
    Ok(())
}

/// A key that nobody offered is seen in the table; what is broken deserves a sentence.
fn is_worth_saying(file: &LogEntry) -> bool {
    match file.kind {
        "unknown" | "empty" => false,
        "mysql-encrypted" => file.key_status != Some("unchecked"),
        _ => true,
    }
}

fn inspect_summary(summary: &InspectSummary) -> String {
    let mut parts = vec![format!("{}:", plural(summary.files, "file"))];
    let mut kinds: Vec<String> = summary
        .by_kind
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    if summary.other_files > 0 {
        kinds.push(format!("{} without a log left out", summary.other_files));
    }
    if summary.failures > 0 {
        kinds.push(format!("{} unreadable", summary.failures));
    }
    if kinds.is_empty() {
        kinds.push("nothing to look at".to_owned());
    }
    parts.push(kinds.join(", "));
    let keys: Vec<String> = summary
        .by_key_status
        .iter()
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    if !keys.is_empty() {
        parts.push(format!("(keys: {})", keys.join(", ")));
    }
    parts.join(" ")
}

/// The table of `binlogsec decrypt`.
///
/// # Errors
/// What the writer answers.
pub fn decrypt(out: &mut dyn Write, report: &DecryptReport) -> io::Result<()> {
    let done: Vec<_> = report.files.iter().filter_map(decrypt_row).collect();
    if !done.is_empty() {
        let headings = [
            "LOG",
            "KEY",
            "STATUS",
            "SERVER",
            "CREATED (UTC)",
            "PLAINTEXT",
            "SIZE",
            "",
        ];
        table::write(out, &headings, &done)?;
    }
    for file in report.files.iter().filter(|file| file.status == "left-out") {
        let path = table::printable(file.path.as_deref().unwrap_or_default());
        let reason = file.reason.as_deref().unwrap_or_default();
        writeln!(out, "{DIM}left out {path}: {reason}{DIM:#}")?;
    }
    Ok(())
}

fn decrypt_row(file: &DecryptEntry) -> Option<Vec<Cell>> {
    let log = file.log.as_ref()?;
    let created = log.created.as_deref();
    let note = match log.in_use {
        Some(true) => "in use: not closed by its server",
        Some(false) => "",
        None => "cut short",
    };
    Some(vec![
        Cell::new(&log.path),
        Cell::or_dash(log.key_seqno.map(|number| number.to_string())).right(),
        Cell::new(file.status).styled(GOOD),
        Cell::or_dash(log.server_version.as_deref()),
        Cell::or_dash(created.map(|created| created.trim_end_matches('Z').replace('T', " "))),
        Cell::or_dash(file.output.as_deref()),
        Cell::new(file.plain_size.map(size).unwrap_or_default()).right(),
        Cell::new(note).styled(WARN),
    ])
}

/// The tables of `binlogsec keyring`.
///
/// # Errors
/// What the writer answers.
pub fn keyring(out: &mut dyn Write, report: &KeyringReport) -> io::Result<()> {
    for (number, file) in report.files.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        let bold = Style::new().bold();
        let path = table::printable(&file.path);
        let count = plural(file.keys.len(), "entry").replace("entrys", "entries");
        writeln!(out, "{bold}{path}{bold:#}: {}, {count}", file.format)?;
        if file.keys.is_empty() {
            writeln!(
                out,
                "No key is in it; a server makes its keyring so, before the first key."
            )?;
            continue;
        }
        let headings = [
            "KEY ID",
            "OWNER",
            "TYPE",
            "BYTES",
            "FINGERPRINT OR VALUE",
            "",
        ];
        let rows: Vec<_> = file.keys.iter().map(keyring_row).collect();
        table::write(out, &headings, &rows)?;
        for server in &file.servers {
            writeln!(out, "{}", server_line(server))?;
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

fn server_line(server: &ServerEntry) -> String {
    let ServerEntry {
        server_uuid, state, ..
    } = server;
    let style = if server.clean { GOOD } else { WARN };
    let current = server
        .current
        .map_or("none".to_owned(), |number| number.to_string());
    let purged = server
        .last_purged
        .map(|number| format!(", purged up to {number}"))
        .unwrap_or_default();
    format!("server {server_uuid}: current {current}{purged}; {style}{state}{style:#}")
}

fn kind_style(kind: &str) -> Style {
    match kind {
        "mysql-encrypted" | "mariadb-encrypted" | "percona57-encrypted" => GOOD,
        "mysql-plain" | "mariadb-plain" => WARN,
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

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A size as people say it: three digits and a binary unit.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 5] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];
    let (unit, shift) = UNITS
        .iter()
        .find(|(_, shift)| bytes >> shift > 0)
        .copied()
        .unwrap_or(("B", 0));
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
