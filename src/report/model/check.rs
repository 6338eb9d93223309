//! The report of `binlogsec check`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::Failure;
#[cfg(test)]
use super::schema;
use crate::check::facts::{Facts, LogFacts, LogStatus};
use crate::check::findings::{Acceptance, Evidence, Finding};
use crate::check::rules::Control;
use crate::check::{CheckOutcome, Counts, path_text};

/// `binlogsec check --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CheckReport<'a> {
    /// `binlogsec.check/1`.
    pub schema: &'static str,
    /// The worst first, and by path.
    pub findings: Vec<FindingEntry<'a>>,
    /// What is known of each log (`files`) and what belongs to it.
    #[serde(flatten)]
    pub facts: &'a Facts,
    /// What could not be done at all.
    pub failures: Vec<Failure>,
    /// Counts, and what they come to.
    pub summary: CheckSummary,
}

/// One finding.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FindingEntry<'a> {
    /// `BLS001` …
    #[cfg_attr(test, schemars(extend("enum" = schema::rule_codes())))]
    pub id: &'static str,
    /// `plaintext-log` …
    #[cfg_attr(test, schemars(extend("enum" = schema::rule_names())))]
    pub name: &'static str,
    /// What was found, in words that are the same for every finding of this id.
    pub title: &'static str,
    /// `error`, `warning` or `note`.
    #[cfg_attr(test, schemars(with = "crate::check::Severity"))]
    pub severity: &'static str,
    /// Whether it counts for the exit code.
    pub counts: bool,
    /// Which file or directory; bytes that are not UTF-8 as `\xNN`.
    pub path: String,
    /// What is the case with this file.
    pub message: &'a str,
    /// Where that can be seen.
    pub evidence: &'a [Evidence],
    /// A command that helps.
    pub remedy: String,
    /// The controls it bears on.
    pub controls: &'static [Control],
    /// Other files that it takes to see it.
    pub related: Vec<String>,
    /// Why it does not count, if a baseline accepts it.
    pub accepted: Option<&'a Acceptance>,
    #[serde(skip)]
    pub(crate) source: &'a Finding,
}

/// Counts, and what they come to.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CheckSummary {
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
    /// Findings of each weight that no baseline accepts.
    pub errors: usize,
    /// See `errors`.
    pub warnings: usize,
    /// See `errors`.
    pub notes: usize,
    /// Findings that a baseline accepts.
    pub accepted: usize,
    /// What was looked at.
    #[serde(flatten)]
    pub counts: Counts,
}

/// What a check comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No finding that counts.
    Pass,
    /// Findings that count.
    Fail,
    /// No file was there to look at.
    NothingScanned,
    /// Something that was named could not be looked at.
    Incomplete,
}

impl<'a> CheckReport<'a> {
    /// From what was found.
    #[must_use]
    pub fn new(outcome: &'a CheckOutcome) -> Self {
        Self {
            schema: "binlogsec.check/1",
            findings: outcome.findings.iter().map(FindingEntry::new).collect(),
            facts: &outcome.facts,
            failures: outcome.failures.iter().map(Failure::new).collect(),
            summary: CheckSummary::new(outcome),
        }
    }
}

impl<'a> FindingEntry<'a> {
    fn new(finding: &'a Finding) -> Self {
        let rule = finding.rule();
        Self {
            id: rule.code,
            name: rule.name,
            title: rule.title,
            severity: finding.severity.name(),
            counts: finding.counts(),
            path: path_text::text(&finding.path),
            message: &finding.message,
            evidence: &finding.evidence,
            remedy: finding.remedy(),
            controls: rule.controls,
            related: finding
                .related
                .iter()
                .map(|path| path_text::text(path))
                .collect(),
            accepted: finding.accepted.as_ref(),
            source: finding,
        }
    }

    /// The path, byte for byte.
    pub(crate) fn exact_path(&self) -> &Path {
        &self.source.path
    }
}

impl CheckSummary {
    fn new(outcome: &CheckOutcome) -> Self {
        let mut by_kind = BTreeMap::new();
        let mut by_status: BTreeMap<_, _> = LogStatus::ALL
            .into_iter()
            .map(|status| (status.name(), 0_usize))
            .collect();
        // Neighbours are of one kind, as a rule: a name is made once for all of them.
        let alike = |log: &LogFacts| (log.kind.clone(), log.compression, log.status);
        for logs in outcome
            .facts
            .logs
            .chunk_by(|one, other| alike(one) == alike(other))
        {
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
        let of = |severity: &str| {
            let findings = outcome.findings.iter();
            findings
                .filter(|finding| finding.accepted.is_none() && finding.severity.name() == severity)
                .count()
        };
        let verdict = if !outcome.failures.is_empty() {
            Verdict::Incomplete
        } else if outcome.is_empty() {
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
            errors: of("error"),
            warnings: of("warning"),
            notes: of("note"),
            accepted: outcome
                .findings
                .iter()
                .filter(|finding| finding.accepted.is_some())
                .count(),
            counts: outcome.counts.clone(),
        };
        summary.text = summary.sentence();
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
            Verdict::Pass => "PASS",
        };
        let logs = if self.logs == 0 {
            format!("no log among {}", count(self.counts.files, "file"))
        } else {
            self.logs_in_words()
        };
        let findings: Vec<_> = [
            (self.errors, "error"),
            (self.warnings, "warning"),
            (self.notes, "note"),
        ]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, noun)| count(number as u64, noun))
        .chain((self.accepted > 0).then(|| format!("{} accepted by the baseline", self.accepted)))
        .collect();
        let findings = if findings.is_empty() {
            "nothing found".to_owned()
        } else {
            findings.join(", ")
        };
        format!("{what}: {logs}; {findings}")
    }

    fn logs_in_words(&self) -> String {
        let encrypted = self
            .status(LogStatus::Proven)
            .saturating_add(self.status(LogStatus::Unproven));
        let proof = match (
            self.status(LogStatus::Proven),
            self.status(LogStatus::Unproven),
        ) {
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

fn add(number: &mut usize, more: usize) {
    *number = number.saturating_add(more);
}

fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
