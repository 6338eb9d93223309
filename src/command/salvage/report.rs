//! The report of `binlogsec salvage`.

use std::path::Path;

use serde::Serialize;

use binlogsec_core::read::salvage::{FurtherLog, Gap, Resume, Salvaged};
use binlogsec_core::text::path_text;

/// `binlogsec salvage --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SalvageReport {
    /// `binlogsec.salvage/1`.
    pub schema: &'static str,
    /// The damaged log.
    pub path: String,
    /// Where what is whole has been written.
    pub output: String,
    /// `whole` when nothing is missing, else `salvaged`.
    #[cfg_attr(test, schemars(extend("enum" = ["whole", "salvaged"])))]
    pub status: &'static str,
    /// How the plaintext was had.
    pub access: String,
    /// Whole events found.
    pub events: u64,
    /// Of them, those written.
    pub written_events: u64,
    /// Bytes written.
    pub written: u64,
    /// Bytes of the file that are in gaps.
    pub lost: u64,
    /// What is missing, in order.
    pub gaps: Vec<SalvagedGap>,
    /// Transactions that have lost events.
    pub incomplete_transactions: Vec<String>,
    /// How many there are, as not all may be named.
    pub incomplete_count: u64,
    /// Whether the format description event is damaged and was kept.
    pub description_damaged: bool,
    /// Whether one bit of the format description event was put right.
    pub description_mended: bool,
    /// Whether the format description event is that of another log, or, in a relay log, the
    /// source's.
    pub description_borrowed: bool,
    /// Alignments of file and stream that were tried.
    pub shifts_tried: u64,
    /// How often an event follows that was written before the one that it follows.
    pub out_of_order: u64,
    /// Where in the file the first of these stands.
    pub first_out_of_order: Option<u64>,
    /// Of a relay log: from where its replica has to fetch again what is lost.
    pub resume: Option<SalvageResume>,
    /// Encrypted logs that follow the first one in the file.
    pub further_logs: Vec<SalvagedLog>,
}

/// A place in the source's logs.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SalvageResume {
    /// The source's log; `null` if the event is lost that names it.
    pub source_log: Option<String>,
    /// Where the last transaction ends in it that is all there before the first gap.
    pub position: Option<u64>,
    /// The GTID of that one.
    pub after_gtid: Option<String>,
}

/// An encrypted log behind another one in the same file.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SalvagedLog {
    /// Where its encryption header starts in the file.
    pub file_offset: u64,
    /// The key under which it is encrypted.
    pub key_id: String,
    /// Whether that key opened it, so that its events are in the output.
    pub is_open: bool,
}

/// One gap.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SalvagedGap {
    /// Where it starts in the file.
    pub file_offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// By how many bytes the stream is further on behind it than before it.
    pub shift: i64,
    /// `changed`, `bytes-missing`, `bytes-inserted` or `tail`.
    #[cfg_attr(test, schemars(extend("enum" = ["changed", "bytes-missing", "bytes-inserted", "tail"])))]
    pub kind: &'static str,
}

impl SalvageReport {
    /// From the outcome of one run.
    #[must_use]
    pub(crate) fn new(path: &Path, output: &Path, salvaged: &Salvaged) -> Self {
        Self {
            schema: "binlogsec.salvage/1",
            path: path_text::text(path),
            output: path_text::text(output),
            status: if salvaged.is_whole() { "whole" } else { "salvaged" },
            access: salvaged.access.clone(),
            events: salvaged.events,
            written_events: salvaged.written_events,
            written: salvaged.written,
            lost: salvaged.lost,
            gaps: salvaged.gaps.iter().map(SalvagedGap::new).collect(),
            incomplete_transactions: salvaged.incomplete.clone(),
            incomplete_count: salvaged.incomplete_count,
            description_damaged: salvaged.description_damaged,
            description_mended: salvaged.description_mended,
            description_borrowed: salvaged.description_borrowed,
            shifts_tried: salvaged.shifts_tried,
            out_of_order: salvaged.out_of_order,
            first_out_of_order: salvaged.first_out_of_order,
            resume: salvaged.resume.as_ref().map(SalvageResume::new),
            further_logs: salvaged.further_logs.iter().map(SalvagedLog::new).collect(),
        }
    }
}

impl SalvageResume {
    fn new(resume: &Resume) -> Self {
        Self {
            source_log: resume.source_log.clone(),
            position: resume.position,
            after_gtid: resume.after_gtid.clone(),
        }
    }
}

impl SalvagedLog {
    fn new(log: &FurtherLog) -> Self {
        Self { file_offset: log.file_offset, key_id: log.key_id.clone(), is_open: log.is_open }
    }
}

impl SalvagedGap {
    fn new(gap: &Gap) -> Self {
        let kind = match gap.shift {
            _ if gap.is_tail => "tail",
            0 => "changed",
            1.. => "bytes-missing",
            _ => "bytes-inserted",
        };
        Self { file_offset: gap.file_offset, length: gap.length, shift: gap.shift, kind }
    }
}
