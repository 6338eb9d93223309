//! The report of `binlogsec salvage`.

use std::path::Path;

use serde::Serialize;

use crate::ops::salvage::{Gap, Salvaged};
use crate::text::path_text;

/// `binlogsec salvage --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SalvageReport {
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
    /// Whether the format description event is that of another log.
    pub description_borrowed: bool,
    /// Alignments of file and stream that were tried.
    pub shifts_tried: u64,
}

/// One gap.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SalvagedGap {
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
    pub fn new(path: &Path, output: &Path, salvaged: &Salvaged) -> Self {
        Self {
            schema: "binlogsec.salvage/1",
            path: path_text::text(path),
            output: path_text::text(output),
            status: if salvaged.is_whole() {
                "whole"
            } else {
                "salvaged"
            },
            access: salvaged.access.clone(),
            events: salvaged.events,
            written_events: salvaged.written_events,
            written: salvaged.written,
            lost: salvaged.lost,
            gaps: salvaged.gaps.iter().map(SalvagedGap::new).collect(),
            incomplete_transactions: salvaged.incomplete.clone(),
            incomplete_count: salvaged.incomplete_count,
            description_damaged: salvaged.description_damaged,
            description_borrowed: salvaged.description_borrowed,
            shifts_tried: salvaged.shifts_tried,
        }
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
        Self {
            file_offset: gap.file_offset,
            length: gap.length,
            shift: gap.shift,
            kind,
        }
    }
}
