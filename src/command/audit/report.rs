//! The report of `binlogsec audit`.

use jiff::Timestamp;
use serde::Serialize;

use crate::findings::report::{FindingCounts, FindingEntry, FindingsView, Verdict, count, seconds};
use crate::log_entry::Failure;
use binlogsec_checks::audit::AuditOutcome;
use binlogsec_checks::audit::areas::AreaResult;
use binlogsec_checks::audit::facts::AuditFacts;
use binlogsec_checks::audit::plan::{Step, plan};
use binlogsec_checks::audit::topology::{CrossTable, Topology};
use binlogsec_checks::check::facts::LogStatus;
use binlogsec_checks::finding::{Finding, RuleId};

/// `binlogsec audit --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct AuditReport<'a> {
    /// `binlogsec.audit/1`.
    pub schema: &'static str,
    /// When it was made (RFC 3339, UTC).
    pub time: String,
    /// The worst first, then by rule and subject.
    pub findings: Vec<FindingEntry<'a>>,
    /// Ids of the rules that something was held against.
    pub applied: Vec<&'static str>,
    /// What was collected.
    pub facts: &'a AuditFacts,
    /// Who replicates from whom.
    pub topology: &'a Topology,
    /// Who replicates from whom, as a table.
    pub cross_table: CrossTable,
    /// What each area of each server comes to: `yes`, `no`, or `unknown` where it was not examined.
    pub areas: &'a [AreaResult],
    /// The remedies of what counts, in the order in which they apply.
    pub plan: Vec<Step>,
    /// What could not be done at all.
    pub failures: Vec<Failure>,
    /// Counts, and what they come to.
    pub summary: AuditSummary,
    #[serde(skip)]
    source: &'a AuditOutcome,
}

/// Counts, and what they come to.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct AuditSummary {
    /// `pass`, `partly-examined`, `fail`, `nothing-scanned` or `incomplete`.
    pub verdict: Verdict,
    /// The same as a sentence.
    pub text: String,
    /// Servers that were asked.
    pub servers: usize,
    /// Replication channels.
    pub channels: usize,
    /// Certificates that were looked at.
    pub certificates: usize,
    /// Logs in the data directory, and those of them that are encrypted.
    pub logs: usize,
    /// See `logs`.
    pub encrypted_logs: usize,
    /// Rules that something was held against without a finding.
    pub passed_rules: usize,
    /// Findings by weight.
    #[serde(flatten)]
    pub findings: FindingCounts,
}

impl<'a> AuditReport<'a> {
    /// From what was found, at a time.
    #[must_use]
    pub(crate) fn new(outcome: &'a AuditOutcome, now: Timestamp) -> Self {
        Self {
            schema: "binlogsec.audit/1",
            time: seconds(now),
            findings: outcome.findings.iter().map(FindingEntry::new).collect(),
            applied: outcome.applied.iter().map(|id| id.rule().code).collect(),
            facts: &outcome.facts,
            topology: &outcome.topology,
            cross_table: outcome.topology.cross_table(),
            areas: &outcome.areas,
            plan: plan(outcome),
            failures: outcome.failures.iter().map(Failure::new).collect(),
            summary: AuditSummary::new(outcome),
            source: outcome,
        }
    }

    /// Its findings, for what renders those of any command.
    #[must_use]
    pub(crate) fn view(&self) -> FindingsView<'_> {
        FindingsView {
            command: "audit",
            rules: self.source.applied.iter().map(|id| id.rule()).collect(),
            findings: &self.findings,
            failures: &self.failures,
            summary: &self.summary.text,
        }
    }
}

/// Whether a finding says that something was not looked at, and nobody has accepted that.
fn is_not_examined(finding: &Finding) -> bool {
    finding.rule == RuleId::Blr072 && finding.accepted.is_none()
}

impl AuditSummary {
    fn new(outcome: &AuditOutcome) -> Self {
        let facts = &outcome.facts;
        let verdict = if !outcome.failures.is_empty() {
            Verdict::Incomplete
        } else if facts.is_empty() {
            Verdict::NothingScanned
        } else if outcome.findings.iter().any(Finding::counts) {
            Verdict::Fail
        } else if outcome.findings.iter().any(is_not_examined) {
            Verdict::PartlyExamined
        } else {
            Verdict::Pass
        };
        let directories = facts.all_files().filter_map(|it| it.data_directory.as_ref());
        let logs: Vec<_> = directories.flat_map(|it| &it.logs.logs).collect();
        let is_encrypted =
            |status: LogStatus| matches!(status, LogStatus::Proven | LogStatus::Unproven);
        let with_finding = |id| outcome.findings.iter().any(|finding| finding.rule == id);
        let passed = outcome.applied.iter().filter(|id| !with_finding(**id));
        let mut summary = Self {
            verdict,
            text: String::new(),
            servers: facts.servers.len(),
            channels: outcome.topology.edges.len(),
            certificates: facts.all_files().map(|it| it.certificates.len()).sum(),
            logs: logs.len(),
            encrypted_logs: logs.iter().filter(|log| is_encrypted(log.status)).count(),
            passed_rules: passed.count(),
            findings: FindingCounts::new(&outcome.findings),
        };
        summary.text = summary.sentence();
        summary
    }

    fn sentence(&self) -> String {
        let what = match self.verdict {
            Verdict::NothingScanned => {
                return "NOTHING AUDITED: nothing was there to look at".to_owned();
            }
            Verdict::Incomplete => "INCOMPLETE: not everything that was named could be audited",
            Verdict::Fail => "FAIL",
            Verdict::PartlyExamined => {
                "PARTLY EXAMINED: nothing found in what was looked at (BLR072 says what was not)"
            }
            Verdict::Pass => "PASS",
        };
        let seen: Vec<_> = [
            (self.servers, "server"),
            (self.channels, "channel"),
            (self.certificates, "certificate"),
            (self.logs, "log"),
        ]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, noun)| count(number as u64, noun))
        .chain([format!("{} passed", count(self.passed_rules as u64, "rule"))])
        .collect();
        format!("{what}: {}; {}", seen.join(", "), self.findings.sentence())
    }
}
