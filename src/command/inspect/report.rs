//! The report of `binlogsec inspect`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::log_entry::{Failure, LogEntry};
use crate::shard::entry::{ShardEntry, failures, in_order};
use binlogsec_core::log::error_class::ErrorClass;
use binlogsec_core::read::inspect::InspectOutcome;

/// `binlogsec inspect --format json`.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct InspectReport {
    /// `binlogsec.inspect/1`.
    pub schema: Cow<'static, str>,
    /// Which part of a run this is, if it is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shard: Option<ShardEntry>,
    /// Every file that was looked at.
    pub files: Vec<LogEntry>,
    /// What could not be read.
    pub failures: Vec<Failure>,
    /// Counts.
    pub summary: InspectSummary,
}

/// Counts over all files.
#[derive(Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct InspectSummary {
    /// Files in the report.
    pub files: usize,
    /// Encrypted logs of every dialect, whole or damaged.
    pub encrypted: usize,
    /// Plaintext logs of every dialect, whole or damaged.
    pub plain: usize,
    /// Files of each kind.
    pub by_kind: BTreeMap<Cow<'static, str>, usize>,
    /// Encrypted logs by the status of their key.
    pub by_key_status: BTreeMap<Cow<'static, str>, usize>,
    /// Files in directories that are no logs and are not in the report.
    pub other_files: usize,
    /// Failures.
    pub failures: usize,
}

impl InspectReport {
    /// From what was found.
    #[must_use]
    pub(crate) fn new(outcome: &InspectOutcome) -> Self {
        let files = outcome.files.iter().map(LogEntry::new).collect();
        Self::of_files(files, failures(&outcome.failures), outcome.other_files)
    }

    /// The report of one shard.
    #[must_use]
    pub(crate) fn of_shard(outcome: &InspectOutcome, shard: ShardEntry) -> Self {
        let mut report = Self::new(outcome);
        for (entry, file) in report.files.iter_mut().zip(&outcome.files) {
            entry.position = Some(file.position);
        }
        report.shard = Some(shard);
        report
    }

    /// One report of those of all shards of a run.
    #[must_use]
    pub(crate) fn merged(shards: Vec<Self>) -> Self {
        let (mut files, mut failures, mut other_files) = (Vec::new(), Vec::new(), 0_usize);
        for shard in shards {
            files.extend(shard.files);
            failures.extend(shard.failures);
            other_files = other_files.saturating_add(shard.summary.other_files);
        }
        files.sort_by(|one, other| {
            let key = |file: &LogEntry| file.position;
            key(one).cmp(&key(other)).then_with(|| one.path.cmp(&other.path))
        });
        files.iter_mut().for_each(|file| file.position = None);
        Self::of_files(files, in_order(failures), other_files)
    }

    fn of_files(files: Vec<LogEntry>, failures: Vec<Failure>, other_files: usize) -> Self {
        let mut summary = InspectSummary {
            files: files.len(),
            other_files,
            failures: failures.len(),
            ..InspectSummary::default()
        };
        for file in &files {
            count(&mut summary.by_kind, file.kind.clone());
            if let Some(status) = &file.key_status {
                count(&mut summary.by_key_status, status.clone());
            }
            let of = |part| usize::from(file.kind.contains(part));
            summary.encrypted = summary.encrypted.saturating_add(of("encrypted"));
            summary.plain = summary.plain.saturating_add(of("plain"));
        }
        Self { schema: "binlogsec.inspect/1".into(), shard: None, files, failures, summary }
    }

    /// What is wrong with files, and what could not be read.
    pub(crate) fn problems(&self) -> impl Iterator<Item = ErrorClass> {
        let failures = self.failures.iter().map(|failure| failure.class);
        self.files.iter().filter_map(|file| file.problem).chain(failures)
    }
}

fn count(counts: &mut BTreeMap<Cow<'static, str>, usize>, name: Cow<'static, str>) {
    let count = counts.entry(name).or_default();
    *count = count.saturating_add(1);
}
