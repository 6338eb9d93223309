//! The report of a check, read back.

use jiff::Timestamp;
use serde::Deserialize;

use crate::findings::saved::{SavedFinding, reported};
use crate::log_entry::Failure;
use crate::shard::saved::SavedReport;
use binlogsec_checks::check::facts::{Facts, IndexFacts, KeyringFacts, LogFacts, ServerFacts};
use binlogsec_checks::check::{CheckOutcome, Counts};
use binlogsec_core::batch::shard::Shard;

/// What of the report is judged again.
#[derive(Deserialize)]
pub(crate) struct SavedCheck {
    time: Timestamp,
    findings: Vec<SavedFinding>,
    files: Vec<LogFacts>,
    indexes: Vec<IndexFacts>,
    servers: Vec<ServerFacts>,
    keyrings: Vec<KeyringFacts>,
    failures: Vec<Failure>,
    summary: SavedSummary,
}

#[derive(Deserialize)]
struct SavedSummary {
    with_keys: bool,
    #[serde(flatten)]
    counts: Counts,
}

impl SavedCheck {
    /// What an earlier run found, if it was one of this command.
    pub(crate) fn earlier(saved: &SavedReport) -> Option<CheckOutcome> {
        let shard = saved.part().ok()??;
        saved.body_of::<Self>("binlogsec.check/1")?.outcome(shard).ok()
    }

    /// What a shard found.
    ///
    /// # Errors
    /// When an id of a finding is not known.
    pub(crate) fn outcome(self, shard: Shard) -> Result<CheckOutcome, serde_json::Error> {
        let findings = self.findings.into_iter().map(SavedFinding::finding);
        Ok(CheckOutcome {
            sealed: None,
            findings: findings.collect::<Result<_, _>>()?,
            facts: Facts {
                logs: self.files,
                indexes: self.indexes,
                servers: self.servers,
                keyrings: self.keyrings,
            },
            counts: self.summary.counts,
            failures: self.failures.into_iter().map(reported).collect(),
            with_keys: self.summary.with_keys,
            shard: Some(shard),
            time: self.time,
        })
    }
}
