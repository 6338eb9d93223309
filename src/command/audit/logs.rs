//! The logs of the data directories that were looked at: which are proven to be encrypted.

use std::io;

use crate::command::audit::report::AuditReport;
use crate::lines::{BAD, DIM, GOOD, WARN};
use crate::table::{self, Cell, printable};
use crate::terminal::{Page, sentence};
use binlogsec_checks::check::facts::{LogFacts, LogStatus};
use binlogsec_core::text::path_text;

/// Logs of one data directory that are listed one by one.
const LISTED: usize = 50;

/// A line for each log, directory by directory.
pub(super) fn logs(out: &mut dyn Page, report: &AuditReport<'_>) -> io::Result<()> {
    let directories = report.facts.all_files().filter_map(|files| files.data_directory.as_ref());
    for directory in directories.filter(|directory| !directory.logs.logs.is_empty()) {
        let logs = &directory.logs.logs;
        let of = |status| logs.iter().filter(|log| log.status == status).count();
        let (all, proven) = (logs.len(), of(LogStatus::Proven));
        let place = printable(&path_text::text(&directory.path));
        sentence(out, format_args!("Logs of {place}: {all}, proven to be encrypted: {proven}"))?;
        if proven == 0 && of(LogStatus::Unproven) > 0 {
            sentence(
                out,
                format_args!(
                    "{DIM}with its keys (--keyring) each is proven by its own bytes{DIM:#}"
                ),
            )?;
        }
        let rows: Vec<_> = logs.iter().take(LISTED).map(row).collect();
        table::write(out, &["LOG", "KIND", "AT REST", "KEY"], &rows)?;
        if all > LISTED {
            let more = all.saturating_sub(LISTED);
            sentence(out, format_args!("{DIM}and {more} more: see the JSON report{DIM:#}"))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn row(log: &LogFacts) -> Vec<Cell> {
    let (words, style) = match log.status {
        LogStatus::Proven => ("encrypted, proven", GOOD),
        LogStatus::Unproven => ("encrypted, not proven", WARN),
        LogStatus::Refuted => ("says encrypted, and is not", BAD),
        LogStatus::Plain => ("in the clear", BAD),
        LogStatus::Undetermined => ("not known", WARN),
    };
    let key = log.encryption.as_ref().and_then(|it| it.key_seqno).map(|it| it.to_string());
    let path = log.path.join();
    let name = path.file_name().map_or_else(|| path.clone(), Into::into);
    vec![
        Cell::new(printable(&path_text::text(&name))),
        Cell::new(printable(&log.kind)),
        Cell::new(words).styled(style),
        Cell::or_dash(key.as_ref()),
    ]
}
