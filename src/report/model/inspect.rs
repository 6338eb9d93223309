//! The report of `binlogsec inspect`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Failure, LogEntry};
use crate::ops::inspect::InspectOutcome;

/// `binlogsec inspect --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InspectReport {
    /// `binlogsec.inspect/1`.
    pub schema: &'static str,
    /// Every file that was looked at.
    pub files: Vec<LogEntry>,
    /// What could not be read.
    pub failures: Vec<Failure>,
    /// Counts.
    pub summary: InspectSummary,
}

/// Counts over all files.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InspectSummary {
    /// Files in the report.
    pub files: usize,
    /// Encrypted logs of every dialect, whole or damaged.
    pub encrypted: usize,
    /// Plaintext logs of every dialect, whole or damaged.
    pub plain: usize,
    /// Files of each kind.
    pub by_kind: BTreeMap<&'static str, usize>,
    /// Encrypted logs by the status of their key.
    pub by_key_status: BTreeMap<&'static str, usize>,
    /// Files in directories that are no logs and are not in the report.
    pub other_files: usize,
    /// Failures.
    pub failures: usize,
}

impl InspectReport {
    /// From what was found.
    #[must_use]
    pub fn new(outcome: &InspectOutcome) -> Self {
        let files: Vec<_> = outcome.files.iter().map(LogEntry::new).collect();
        let failures: Vec<_> = outcome.failures.iter().map(Failure::new).collect();
        let mut summary = InspectSummary {
            files: files.len(),
            other_files: outcome.other_files,
            failures: failures.len(),
            ..InspectSummary::default()
        };
        for file in &files {
            count(&mut summary.by_kind, file.kind);
            if let Some(status) = file.key_status {
                count(&mut summary.by_key_status, status);
            }
            let of = |part| usize::from(file.kind.contains(part));
            summary.encrypted = summary.encrypted.saturating_add(of("encrypted"));
            summary.plain = summary.plain.saturating_add(of("plain"));
        }
        Self {
            schema: "binlogsec.inspect/1",
            files,
            failures,
            summary,
        }
    }
}

fn count(counts: &mut BTreeMap<&'static str, usize>, name: &'static str) {
    let count = counts.entry(name).or_default();
    *count = count.saturating_add(1);
}
