//! The tables of `binlogsec seal`.

use std::io;
use std::path::Path;

use binlogsec_core::seal::{Left, Standing};
use binlogsec_core::text::path_text;

use crate::command::seal::report::{
    KeygenReport, SealReport, SealVerdict, SealVerifyReport, VerdictEntry,
};
use crate::json;
use crate::lines::{BAD, DIM, GOOD, WARN, plural, size};
use crate::table::{self, Cell, printable};
use crate::terminal::{Page, sentence};

/// What was sealed, what was left, and a line that sums up.
///
/// # Errors
/// What the writer answers.
pub(crate) fn seal(out: &mut dyn Page, report: &SealReport<'_>) -> io::Result<()> {
    if !report.sealed.is_empty() {
        let rows: Vec<_> = report
            .sealed
            .iter()
            .map(|log| {
                let note = match (log.damaged_at, log.up_to) {
                    (Some(at), _) => format!("damaged at plain offset {at}"),
                    (None, Some(up_to)) => format!("up to position {up_to}"),
                    (None, None) => String::new(),
                };
                let plaintext = log.plaintext.get(..16).unwrap_or_default();
                vec![
                    Cell::new(&log.name),
                    Cell::new(&log.kind),
                    Cell::new(size(log.length)).right(),
                    Cell::new(log.events.to_string()).right(),
                    Cell::new(format!("{plaintext}…")),
                    Cell::new(note).styled(WARN),
                ]
            })
            .collect();
        table::write(out, &["SEALED", "KIND", "SIZE", "EVENTS", "PLAINTEXT SHA-256", ""], &rows)?;
    }
    let shown = |path: &Path| printable(&path_text::text(path));
    for log in report.left {
        let why = match log.reason {
            Left::InUse => "in use",
            Left::LastRelayLog => "the last relay log, which its server may be writing",
        };
        let path = shown(&log.path);
        sentence(out, format_args!("{DIM}left for the next time: {path} ({why}){DIM:#}"))?;
    }
    for gap in report.gaps {
        let (before, reason) = (shown(&gap.before), printable(&gap.kind.to_string()));
        sentence(out, format_args!("{WARN}gap after {before}{WARN:#}: {reason}"))?;
    }
    let sum = &report.summary;
    let logs = usize::try_from(sum.logs).unwrap_or(usize::MAX);
    sentence(
        out,
        format_args!(
            "{DIM}{} {}: {} sealed, {} sealed before, {} left; {} in all, signed with {} ({}){DIM:#}",
            printable(&report.manifest),
            json::name(report.status),
            sum.sealed,
            sum.sealed_before,
            sum.left,
            plural(logs, "record"),
            printable(&report.key),
            report.algorithm.name()
        ),
    )
}

/// The logs, what changed in them, and the verdict.
///
/// # Errors
/// What the writer answers.
pub(crate) fn verify(out: &mut dyn Page, report: &SealVerifyReport) -> io::Result<()> {
    if !report.logs.is_empty() {
        let rows: Vec<_> = report.logs.iter().map(row).collect();
        table::write(out, &["LOG", "STATUS", "SIZE", "CHUNKS", ""], &rows)?;
    }
    for log in &report.logs {
        for change in &log.changes {
            let (name, message) = (printable(&log.name), printable(&change.message));
            sentence(out, format_args!("{BAD}{}{BAD:#} {name}: {message}", log.status.name()))?;
        }
    }
    for proof in &report.manifest.proofs {
        sentence(out, format_args!("{DIM}manifest: {}{DIM:#}", printable(proof)))?;
    }
    let style = match report.summary.verdict {
        SealVerdict::Unchanged => GOOD,
        _ => BAD,
    };
    sentence(out, format_args!("{style}{}{style:#}", printable(&report.summary.text)))
}

fn row(log: &VerdictEntry) -> Vec<Cell> {
    let style = match log.status {
        Standing::Unchanged => GOOD,
        Standing::Unsealed | Standing::Purged => WARN,
        _ => BAD,
    };
    let is_there = log.path.is_some();
    vec![
        Cell::new(&log.name),
        Cell::new(log.status.name()).styled(style),
        Cell::or_dash(is_there.then(|| size(log.size))).right(),
        Cell::or_dash((log.chunks > 0).then(|| format!("{}/{}", log.chunks_checked, log.chunks)))
            .right(),
        Cell::new(log.notes.join("; ")).styled(DIM),
    ]
}

/// Where the keys are.
///
/// # Errors
/// What the writer answers.
pub(crate) fn keygen(out: &mut dyn Page, report: &KeygenReport) -> io::Result<()> {
    sentence(
        out,
        format_args!(
            "private key: {} (mode 0600; keep it off the server)",
            printable(&report.private_key)
        ),
    )?;
    sentence(out, format_args!("public key:  {} ({})", printable(&report.public_key), report.key))
}
