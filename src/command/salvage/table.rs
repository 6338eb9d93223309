//! The report of `binlogsec salvage` for people.

use std::io;

use binlogsec_core::read::salvage::{Gap, GapKind, Salvaged};

use crate::command::salvage::report::SalvageReport;
use crate::json;
use crate::lines::{BAD, DIM, GOOD, WARN, size};
use crate::table::{self, Cell, printable};
use crate::terminal::{Page, sentence};

/// Gaps, what they cost, and what was written.
///
/// # Errors
/// What the writer answers.
pub(crate) fn salvage(out: &mut dyn Page, report: &SalvageReport<'_>) -> io::Result<()> {
    let salvaged = report.salvaged;
    if !salvaged.gaps.is_empty() {
        let rows: Vec<_> = salvaged.gaps.iter().map(gap_row).collect();
        table::write(out, &["GAP AT FILE OFFSET", "BYTES", ""], &rows)?;
    }
    if salvaged.description_damaged {
        sentence(
            out,
            format_args!(
                "{WARN}the format description event is damaged{WARN:#}; kept, as no log can be read without"
            ),
        )?;
    }
    if salvaged.description_mended {
        sentence(
            out,
            format_args!(
                "{WARN}one bit of the format description event was wrong{WARN:#}; put right, as its checksum tells which"
            ),
        )?;
    }
    if salvaged.description_borrowed {
        sentence(out, format_args!("{WARN}the format description event is another log's{WARN:#}"))?;
    }
    for log in &salvaged.further_logs {
        let (offset, key) = (log.file_offset, printable(&log.key_id));
        let what = if log.is_open {
            "its events follow in the output"
        } else {
            "no key opens it, so it is lost"
        };
        sentence(
            out,
            format_args!(
                "{WARN}another encrypted log{WARN:#} begins at file offset {offset}, under key {key}: {what}"
            ),
        )?;
    }
    transactions(out, salvaged)?;
    let (path, output) = (printable(&report.path), printable(&report.output));
    sentence(
        out,
        format_args!(
            "{GOOD}{}{GOOD:#} {path}: {} of {} whole events in {output}, {}; {} lost",
            json::name(report.status),
            salvaged.written_events,
            salvaged.events,
            size(salvaged.written),
            size(salvaged.lost)
        ),
    )?;
    let (access, tried) = (printable(&salvaged.access), salvaged.shifts_tried);
    sentence(out, format_args!("{DIM}read by {access}; {tried} alignments tried{DIM:#}"))
}

fn gap_row(gap: &Gap) -> Vec<Cell> {
    let words = match gap.kind {
        GapKind::BytesMissing if gap.shift == 1 => "1 byte is missing here".to_owned(),
        GapKind::BytesMissing => format!("{} bytes are missing here", gap.shift),
        GapKind::BytesInserted => format!("{} foreign bytes here", gap.shift.unsigned_abs()),
        GapKind::Tail => "nothing whole up to the end".to_owned(),
        GapKind::Changed => "changed bytes".to_owned(),
    };
    vec![
        Cell::new(gap.file_offset.to_string()).right(),
        Cell::new(gap.length.to_string()).right(),
        Cell::new(words).styled(WARN),
    ]
}

/// What is to be known before the output is replayed.
fn transactions(out: &mut dyn Page, salvaged: &Salvaged) -> io::Result<()> {
    for gtid in &salvaged.incomplete {
        let gtid = printable(gtid);
        sentence(out, format_args!("{BAD}incomplete{BAD:#} transaction {gtid}"))?;
    }
    let named = u64::try_from(salvaged.incomplete.len()).unwrap_or(u64::MAX);
    let count = salvaged.incomplete_count;
    if count > named {
        sentence(out, format_args!("{BAD}incomplete{BAD:#} transactions in all: {count}"))?;
    }
    if count > 0 && salvaged.written_events == salvaged.events {
        sentence(
            out,
            format_args!(
                "{WARN}do not replay this output{WARN:#}: it has parts of transactions; --whole-transactions leaves them out"
            ),
        )?;
    }
    if let Some(offset) = salvaged.first_out_of_order {
        let count = salvaged.out_of_order;
        sentence(
            out,
            format_args!(
                "{WARN}out of order{WARN:#}: {count} times an event follows that was written before the one it follows, first at file offset {offset}; as after swapped blocks"
            ),
        )?;
    }
    if let Some(resume) = &salvaged.resume {
        let unknown = || "not known, the event that names it is lost".to_owned();
        let log = resume.source_log.as_deref().map(printable);
        let log = log.unwrap_or_else(unknown);
        let position = resume.position.map(|position| position.to_string());
        let position = position.unwrap_or_else(|| "not known".to_owned());
        let after = resume.after_gtid.as_deref().map(printable);
        let after = after.map(|gtid| format!(", after GTID {gtid}"));
        sentence(
            out,
            format_args!(
                "to fetch from the source again: source log {log}, position {position}{}",
                after.unwrap_or_default()
            ),
        )?;
    }
    Ok(())
}
