//! The table of `binlogsec verify`.

use std::io;

use crate::command::verify::report::{VerifyEntry, VerifyReport, VerifyStatus};
use crate::json;
use crate::lines::{BAD, DIM, GOOD, WARN, plural, size};
use crate::table::{self, Cell, printable};
use crate::terminal::{Page, sentence};

/// The table of `binlogsec verify`, the damages, and a line that sums up.
///
/// # Errors
/// What the writer answers.
pub(crate) fn verify(out: &mut dyn Page, report: &VerifyReport) -> io::Result<()> {
    if !report.files.is_empty() {
        let rows: Vec<_> = report.files.iter().map(row).collect();
        table::write(out, &["LOG", "STATUS", "EVENTS", "GOOD", "CHECKSUMS", "SIZE", ""], &rows)?;
    }
    for file in report.files.iter().filter(|file| file.damage_count > 0) {
        damages(out, file)?;
    }
    for gap in &report.gaps {
        let (before, reason) = (printable(&gap.before), printable(&gap.reason));
        sentence(out, format_args!("{WARN}gap after {before}{WARN:#}: {reason}"))?;
    }
    let sum = &report.summary;
    let unread = match sum.failures {
        0 => String::new(),
        many => format!(", {many} not readable"),
    };
    sentence(
        out,
        format_args!(
            "{DIM}{}, {} whole, {} damaged{unread}; {} events; {}{DIM:#}",
            plural(sum.files, "log"),
            sum.whole,
            sum.damaged,
            sum.events,
            plural(sum.gaps, "gap")
        ),
    )
}

fn row(file: &VerifyEntry) -> Vec<Cell> {
    let style = match file.status {
        VerifyStatus::Whole => GOOD,
        VerifyStatus::Cut => WARN,
        VerifyStatus::Damaged => BAD,
    };
    let notes: Vec<_> = file.notes.iter().map(|note| note.message.as_str()).collect();
    vec![
        Cell::new(&file.path),
        Cell::new(json::name(file.status)).styled(style),
        Cell::new(file.events.to_string()).right(),
        Cell::new(file.good_events.to_string()).right(),
        Cell::new(file.checksums.to_string()).right(),
        Cell::new(size(file.size)).right(),
        Cell::new(notes.join("; ")).styled(DIM),
    ]
}

fn damages(out: &mut dyn Page, file: &VerifyEntry) -> io::Result<()> {
    const SHOWN: usize = 10;
    let path = printable(&file.path);
    for damage in file.damages.iter().take(SHOWN) {
        let what = printable(damage.event_type.as_deref().unwrap_or("no event"));
        sentence(
            out,
            format_args!(
                "{BAD}damaged{BAD:#} {path}: file offset {}, plain offset {}, after {} events, {what}: {}",
                damage.file_offset,
                damage.plain_offset,
                damage.events_before,
                printable(&damage.reason)
            ),
        )?;
    }
    let shown = u64::try_from(file.damages.len().min(SHOWN)).unwrap_or(0);
    let more = file.damage_count.saturating_sub(shown);
    if more > 0 {
        sentence(out, format_args!("{DIM}… and {more} more in {path}{DIM:#}"))?;
    }
    Ok(())
}
