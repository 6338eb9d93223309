//! The report of an audit, read back.

use jiff::Timestamp;
use serde::Deserialize;

use crate::findings::saved::{SavedFinding, reported};
use crate::log_entry::Failure;
use binlogsec_checks::audit::Part;
use binlogsec_checks::audit::facts::AuditFacts;

/// What of the report is judged again.
#[derive(Deserialize)]
pub(crate) struct SavedAudit {
    pub(crate) time: Timestamp,
    findings: Vec<SavedFinding>,
    applied: Vec<String>,
    facts: AuditFacts,
    failures: Vec<Failure>,
}

impl SavedAudit {
    /// What it found, for another judgement.
    ///
    /// # Errors
    /// When an id of a finding is not known.
    pub(crate) fn part(self) -> Result<Part, serde_json::Error> {
        let applied = self.applied.iter().map(|id| id.parse().map_err(serde::de::Error::custom));
        Ok(Part {
            facts: self.facts,
            findings: self
                .findings
                .into_iter()
                .map(SavedFinding::finding)
                .collect::<Result<_, _>>()?,
            applied: applied.collect::<Result<_, _>>()?,
            failures: self.failures.into_iter().map(reported).collect(),
        })
    }
}
