//! The report of `binlogsec check`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::findings::report::{FindingCounts, FindingEntry, FindingsView, Verdict, count, seconds};
use crate::log_entry::Failure;
use crate::shard::entry::{ShardEntry, failures};
use binlogsec_checks::check::facts::{Facts, LogFacts, LogStatus};
use binlogsec_checks::check::{CheckOutcome, Counts, SealCounts};
use binlogsec_checks::finding::Finding;
use binlogsec_checks::finding::rules::{self, Family, Rule};

/// `binlogsec check --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CheckReport<'a> {
    /// `binlogsec.check/1`.
    pub schema: &'static str,
    /// When it began, in UTC (RFC 3339); of merged reports, when the first shard did.
    pub time: String,
    /// Which part of a run this is, if it is one: what takes more than one file is not judged then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardEntry>,
    /// The worst first, and by path.
    pub findings: Vec<FindingEntry<'a>>,
    /// What is known of each log (`files`) and what belongs to it.
    #[serde(flatten)]
    pub facts: &'a Facts,
    /// How the logs stand to a seal manifest, with `--sealed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed: Option<&'a SealCounts>,
    /// What could not be done at all.
    pub failures: Vec<Failure>,
    /// Counts, and what they come to.
    pub summary: CheckSummary,
}

/// Counts, and what they come to.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CheckSummary {
    /// `pass`, `fail`, `nothing-scanned` or `incomplete`.
    pub verdict: Verdict,
    /// The same as a sentence.
    pub text: String,
    /// Whether keys were given, so that encryption could be proven.
    pub with_keys: bool,
    /// Logs of all kinds.
    pub logs: usize,
    /// Logs of each kind.
    pub by_kind: BTreeMap<String, usize>,
    /// Logs by what is known of their protection; every status is there.
    pub by_status: BTreeMap<&'static str, usize>,
    /// Findings by weight.
    #[serde(flatten)]
    pub findings: FindingCounts,
    /// What was looked at.
    #[serde(flatten)]
    pub counts: Counts,
}

impl<'a> CheckReport<'a> {
    /// From what was found.
    #[must_use]
    pub(crate) fn new(outcome: &'a CheckOutcome) -> Self {
        Self {
            schema: "binlogsec.check/1",
            time: seconds(outcome.time),
            shard: None,
            findings: outcome.findings.iter().map(FindingEntry::new).collect(),
            facts: &outcome.facts,
            sealed: outcome.sealed.as_ref(),
            failures: failures(&outcome.failures),
            summary: CheckSummary::new(outcome),
        }
    }

    /// The report of one shard.
    #[must_use]
    pub(crate) fn of_shard(outcome: &'a CheckOutcome, shard: ShardEntry) -> Self {
        Self { shard: Some(shard), ..Self::new(outcome) }
    }

    /// The rules that were applied: those over seals only where a manifest was given.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &'static Rule> + use<> {
        let of_seals = self.sealed.map(|_| rules::of_family(Family::Seals));
        rules::of_family(Family::Logs).chain(of_seals.into_iter().flatten())
    }

    /// Its findings, for what renders those of any command.
    #[must_use]
    pub(crate) fn view(&self) -> FindingsView<'_> {
        FindingsView {
            command: "check",
            rules: self.rules().collect(),
            findings: &self.findings,
            failures: &self.failures,
            summary: &self.summary.text,
        }
    }
}

impl CheckSummary {
    fn new(outcome: &CheckOutcome) -> Self {
        let mut by_kind = BTreeMap::new();
        let mut by_status: BTreeMap<_, _> =
            LogStatus::ALL.into_iter().map(|status| (status.name(), 0_usize)).collect();
        // Neighbours are of one kind, as a rule: a name is made once for all of them.
        let alike = |log: &LogFacts| (log.kind.clone(), log.compression, log.status);
        for logs in outcome.facts.logs.chunk_by(|one, other| alike(one) == alike(other)) {
            let Some((kind, compression, status)) = logs.first().map(alike) else {
                continue;
            };
            let kind = match compression {
                None => kind.into_owned(),
                Some(compression) => format!("{kind}-{}", compression.name()),
            };
            add(by_kind.entry(kind).or_default(), logs.len());
            add(by_status.entry(status.name()).or_default(), logs.len());
        }
        let verdict = if !outcome.failures.is_empty() {
            Verdict::Incomplete
        } else if outcome.is_empty() && outcome.shard.is_none() {
            Verdict::NothingScanned
        } else if outcome.findings.iter().any(Finding::counts) {
            Verdict::Fail
        } else {
            Verdict::Pass
        };
        let mut summary = Self {
            verdict,
            text: String::new(),
            with_keys: outcome.with_keys,
            logs: outcome.facts.logs.len(),
            by_kind,
            by_status,
            findings: FindingCounts::new(&outcome.findings),
            counts: outcome.counts.clone(),
        };
        summary.text = summary.sentence();
        if let Some(sealed) = &outcome.sealed {
            let _ = write!(summary.text, "; {}", seals_in_words(sealed));
        }
        if let Some(shard) = outcome.shard {
            let _ = write!(
                summary.text,
                " (shard {shard} alone; report merge judges all of them together)"
            );
        }
        summary
    }

    fn status(&self, status: LogStatus) -> usize {
        self.by_status.get(status.name()).copied().unwrap_or(0)
    }

    fn sentence(&self) -> String {
        let what = match self.verdict {
            Verdict::NothingScanned => {
                return "NOTHING SCANNED: no file was there to look at".to_owned();
            }
            Verdict::Incomplete => "INCOMPLETE: not everything that was named could be checked",
            Verdict::Fail => "FAIL",
            Verdict::Pass | Verdict::PartlyExamined => "PASS",
        };
        let logs = if self.logs == 0 {
            format!("no log among {}", count(self.counts.files, "file"))
        } else {
            self.logs_in_words()
        };
        let findings = self.findings.sentence();
        format!("{what}: {logs}; {findings}")
    }

    fn logs_in_words(&self) -> String {
        let encrypted =
            self.status(LogStatus::Proven).saturating_add(self.status(LogStatus::Unproven));
        let proof = match (self.status(LogStatus::Proven), self.status(LogStatus::Unproven)) {
            (_, 0) => "proven".to_owned(),
            (0, _) if self.with_keys => "unproven".to_owned(),
            (0, _) => "unproven: no key was given".to_owned(),
            (proven, unproven) => format!("{proven} proven, {unproven} unproven"),
        };
        let mut parts = Vec::new();
        if encrypted > 0 {
            parts.push(format!("{encrypted} encrypted ({proof})"));
        }
        for (status, text) in [
            (LogStatus::Plain, "in plaintext"),
            (LogStatus::Refuted, "not the ciphertext they claim to be"),
            (LogStatus::Undetermined, "undetermined"),
        ] {
            if self.status(status) > 0 {
                parts.push(format!("{} {text}", self.status(status)));
            }
        }
        format!("{}: {}", count(self.logs as u64, "log"), parts.join(", "))
    }
}

fn seals_in_words(sealed: &SealCounts) -> String {
    let mut text = format!("{} as sealed", count(sealed.unchanged, "log"));
    for (number, words) in [
        (sealed.changed, "changed since"),
        (sealed.missing, "missing"),
        (sealed.unsealed, "not sealed"),
    ] {
        if number > 0 {
            let _ = write!(text, ", {number} {words}");
        }
    }
    text + " (lengths, headers and samples were compared)"
}

fn add(number: &mut usize, more: usize) {
    *number = number.saturating_add(more);
}
