//! The report of `binlogsec salvage` for people.

use std::io::{self, Write};

use super::{BAD, DIM, GOOD, WARN, size};
use crate::report::model::SalvageReport;
use crate::report::table::{self, Cell, printable};

/// Gaps, what they cost, and what was written.
///
/// # Errors
/// What the writer answers.
pub fn salvage(out: &mut dyn Write, report: &SalvageReport) -> io::Result<()> {
    if !report.gaps.is_empty() {
        let rows: Vec<_> = report
            .gaps
            .iter()
            .map(|gap| {
                let words = match gap.kind {
                    "bytes-missing" => format!("{} bytes are missing here", gap.shift),
                    "bytes-inserted" => format!("{} foreign bytes here", gap.shift.unsigned_abs()),
                    "tail" => "nothing whole up to the end".to_owned(),
                    _ => "changed bytes".to_owned(),
                };
                vec![
                    Cell::new(gap.file_offset.to_string()).right(),
                    Cell::new(gap.length.to_string()).right(),
                    Cell::new(words).styled(WARN),
                ]
            })
            .collect();
        table::write(out, &["GAP AT FILE OFFSET", "BYTES", ""], &rows)?;
    }
    if report.description_damaged {
        writeln!(
            out,
            "{WARN}the format description event is damaged{WARN:#}; kept, as no log can be read without"
        )?;
    }
    if report.description_borrowed {
        writeln!(
            out,
            "{WARN}the format description event is another log's{WARN:#}"
        )?;
    }
    for gtid in &report.incomplete_transactions {
        writeln!(out, "{BAD}incomplete{BAD:#} transaction {gtid}")?;
    }
    let (path, output) = (printable(&report.path), printable(&report.output));
    writeln!(
        out,
        "{GOOD}{}{GOOD:#} {path}: {} of {} whole events in {output}, {}; {} lost",
        report.status,
        report.written_events,
        report.events,
        size(report.written),
        size(report.lost),
    )?;
    let (access, tried) = (printable(&report.access), report.shifts_tried);
    writeln!(
        out,
        "{DIM}read by {access}; {tried} alignments tried{DIM:#}"
    )
}
