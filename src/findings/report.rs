//! Findings, as every report that has some shows them.

use jiff::Timestamp;
use serde::Serialize;

use crate::log_entry::Failure;
#[cfg(test)]
use crate::schema_values;
use binlogsec_checks::finding::rules::{Control, Language, Rule};
use binlogsec_checks::finding::{Acceptance, Evidence, Finding, Severity, Subject};
use binlogsec_core::text::path_text;

/// One finding.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct FindingEntry<'a> {
    /// `BLS001` …
    #[cfg_attr(test, schemars(extend("enum" = schema_values::rule_codes())))]
    pub id: &'static str,
    /// `plaintext-log` …
    #[cfg_attr(test, schemars(extend("enum" = schema_values::rule_names())))]
    pub name: &'static str,
    /// What was found, in words that are the same for every finding of this id.
    pub title: &'static str,
    /// `error`, `warning` or `note`.
    #[cfg_attr(test, schemars(with = "Severity"))]
    pub severity: &'static str,
    /// Whether it counts for the exit code.
    pub counts: bool,
    /// What it is about.
    #[serde(flatten)]
    pub subject: SubjectEntry<'a>,
    /// The message: what is found, in a sentence.
    pub message: &'a str,
    /// Where that can be seen.
    pub evidence: &'a [Evidence],
    /// The remedy.
    pub remedy: String,
    /// What the remedy is written in: `shell`, `sql` or `options`.
    pub remedy_language: Language,
    /// The controls it bears on.
    pub controls: &'static [Control],
    /// Other files that it takes to see it.
    pub related: Vec<String>,
    /// Why it does not count, if a baseline accepts it.
    pub accepted: Option<&'a Acceptance>,
    /// The server whose files showed it, as an audit's `areas` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<&'a str>,
    #[serde(skip)]
    pub(crate) source: &'a Finding,
}

/// What a finding is about: a file or directory, or a server and something of it.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SubjectEntry<'a> {
    /// Which file or directory; bytes that are not UTF-8 as `\xNN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Which line of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Which server: host and port, or socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<&'a str>,
    /// What of it: an account, a channel, a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<&'a str>,
}

impl<'a> SubjectEntry<'a> {
    fn new(subject: &'a Subject) -> Self {
        match subject {
            Subject::File { path, line } => {
                Self { path: Some(path_text::text(path)), line: *line, ..Self::default() }
            }
            Subject::Server { server, object } => {
                Self { server: Some(server), object: object.as_deref(), ..Self::default() }
            }
        }
    }
}

/// What a subject is called in reports: `path`, `path:line`, `server`, `server object`.
impl std::fmt::Display for SubjectEntry<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.path.as_deref().or(self.server);
        f.write_str(name.unwrap_or_default())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(object) = self.object {
            write!(f, " {object}")?;
        }
        Ok(())
    }
}

impl<'a> FindingEntry<'a> {
    pub(crate) fn new(finding: &'a Finding) -> Self {
        let rule = finding.rule();
        let remedy = finding.remedy();
        Self {
            id: rule.code,
            name: rule.name,
            title: rule.title,
            severity: finding.severity.name(),
            counts: finding.counts(),
            subject: SubjectEntry::new(&finding.subject),
            message: &finding.message,
            evidence: &finding.evidence,
            remedy: remedy.text,
            remedy_language: remedy.language,
            controls: rule.controls,
            related: finding.related.iter().map(|path| path_text::text(path)).collect(),
            accepted: finding.accepted.as_ref(),
            owner: finding.owner.as_deref(),
            source: finding,
        }
    }
}

/// What a run with findings comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// No finding that counts.
    Pass,
    /// No finding that counts, and not everything was examined.
    PartlyExamined,
    /// Findings that count.
    Fail,
    /// Nothing was there to look at.
    NothingScanned,
    /// Something that was named could not be looked at.
    Incomplete,
}

/// Findings by weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct FindingCounts {
    /// Findings of each weight that no baseline accepts.
    pub errors: usize,
    /// Findings that are warnings.
    pub warnings: usize,
    /// Findings that are notes.
    pub notes: usize,
    /// Findings that a baseline accepts.
    pub accepted: usize,
}

impl FindingCounts {
    pub(crate) fn new(findings: &[Finding]) -> Self {
        let of = |severity| {
            let is_meant =
                |finding: &&Finding| finding.accepted.is_none() && finding.severity == severity;
            findings.iter().filter(is_meant).count()
        };
        Self {
            errors: of(Severity::Error),
            warnings: of(Severity::Warning),
            notes: of(Severity::Note),
            accepted: findings.iter().filter(|finding| finding.accepted.is_some()).count(),
        }
    }

    pub(crate) fn sentence(&self) -> String {
        let parts: Vec<_> =
            [(self.errors, "error"), (self.warnings, "warning"), (self.notes, "note")]
                .into_iter()
                .filter(|(number, _)| *number > 0)
                .map(|(number, noun)| count(number as u64, noun))
                .chain(
                    (self.accepted > 0)
                        .then(|| format!("{} accepted by the baseline", self.accepted)),
                )
                .collect();
        if parts.is_empty() { "nothing found".to_owned() } else { parts.join(", ") }
    }
}

/// A time to the second, in UTC (RFC 3339).
pub(crate) fn seconds(time: Timestamp) -> String {
    time.round(jiff::Unit::Second).unwrap_or(time).to_string()
}

pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// What renderers of findings need, whichever command made them.
#[derive(Debug)]
pub(crate) struct FindingsView<'a> {
    /// `check` or `audit`.
    pub command: &'static str,
    /// The rules that were applied.
    pub rules: Vec<&'static Rule>,
    /// The worst first.
    pub findings: &'a [FindingEntry<'a>],
    /// What could not be done at all.
    pub failures: &'a [Failure],
    /// The verdict as a sentence.
    pub summary: &'a str,
}
