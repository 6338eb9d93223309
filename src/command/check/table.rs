//! The text of `binlogsec check`.

use std::io;

use crate::command::check::report::{CheckReport, CheckSummary};
use crate::findings::report::Verdict;
use crate::findings::table::findings;
use crate::lines::{BAD, DIM, GOOD, plural};
use crate::table::printable;
use crate::terminal::{Page, sentence};

/// Findings by kind, then by file, and a line with the verdict at the end.
///
/// # Errors
/// What the writer answers.
pub(crate) fn check(out: &mut dyn Page, report: &CheckReport<'_>) -> io::Result<()> {
    findings(out, &report.findings)?;
    unseen(out, &report.summary)?;
    let style = match report.summary.verdict {
        Verdict::Pass => GOOD,
        _ => BAD,
    };
    sentence(out, format_args!("{style}{}{style:#}", printable(&report.summary.text)))
}

/// What was not looked at, so that nobody takes the verdict for more than it is.
fn unseen(out: &mut dyn Page, summary: &CheckSummary) -> io::Result<()> {
    let counts = &summary.counts;
    for (count, noun, hint) in [
        (counts.links, "symbolic link", " not followed (--follow does)"),
        (counts.special_files, "device, pipe or socket", " not opened"),
        (counts.vanished, "file", " removed while this ran"),
    ] {
        if count > 0 {
            let noun = plural(usize::try_from(count).unwrap_or(usize::MAX), noun);
            sentence(out, format_args!("{DIM}{noun}{hint}{DIM:#}"))?;
        }
    }
    Ok(())
}
