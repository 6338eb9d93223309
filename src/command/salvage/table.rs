//! The report of `binlogsec salvage` for people.

use std::io;

use binlogsec_core::read::salvage::halves::{CutXa, XaFate, XaVerb};
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
        if log.key_id.is_empty() {
            sentence(
                out,
                format_args!("{WARN}another log{WARN:#} begins at file offset {offset}: {what}"),
            )?;
            continue;
        }
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
    salvaged.xa.iter().try_for_each(|cut| cut_xa(out, cut))?;
    let named = u64::try_from(salvaged.xa.len()).unwrap_or(u64::MAX);
    if salvaged.xa_count > named {
        let count = salvaged.xa_count;
        sentence(
            out,
            format_args!("{WARN}XA transactions{WARN:#} cut by what is lost, in all: {count}"),
        )?;
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

/// What to do about an XA transaction that has lost one half.
fn cut_xa(out: &mut dyn Page, cut: &CutXa) -> io::Result<()> {
    let (xid, position) = (printable(&cut.xid), cut.position);
    let gtid = cut.gtid.as_deref().map(|gtid| format!("{}, ", printable(gtid)));
    let place = format!("({}position {position})", gtid.unwrap_or_default());
    let verb = match cut.end {
        Some(XaVerb::Commit) => "XA COMMIT",
        Some(XaVerb::Rollback) => "XA ROLLBACK",
        None => "XA COMMIT or XA ROLLBACK",
    };
    match cut.fate {
        XaFate::PrepareLost => sentence(
            out,
            format_args!(
                "{BAD}left out{BAD:#} {verb} {xid} {place}: what it ends is lost, its XA PREPARE or a part of it"
            ),
        ),
        XaFate::PrepareUnknown => sentence(
            out,
            format_args!(
                "{BAD}left out{BAD:#} {verb} {xid} {place}: its XA PREPARE is lost, or in a log before; where XA RECOVER lists it when all is applied, run: {verb} {xid}"
            ),
        ),
        XaFate::EndLost => sentence(
            out,
            format_args!(
                "{WARN}prepared (XA){WARN:#} {xid} {place}: its end is lost, or in a log behind; its rows stay locked until it comes: {verb} {xid}"
            ),
        ),
    }
}
