//! The report of `binlogsec explain`.

use serde::Serialize;

use binlogsec_checks::finding::RuleId;
use binlogsec_checks::finding::rules::{Control, Language};

/// `binlogsec explain --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ExplainReport {
    /// `binlogsec.explain/1`.
    pub schema: &'static str,
    /// What was asked for, in that order.
    pub rules: Vec<RuleEntry>,
}

/// One rule.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RuleEntry {
    /// `BLS001` …
    pub id: &'static str,
    /// `plaintext-log` …
    pub name: &'static str,
    /// What was found, in one line.
    pub title: &'static str,
    /// `error`, `warning` or `note`, unless a policy says otherwise.
    #[cfg_attr(test, schemars(with = "binlogsec_checks::finding::Severity"))]
    pub severity: &'static str,
    /// What it means, and how it is found.
    pub meaning: &'static str,
    /// Why it matters.
    pub risk: &'static str,
    /// What helps, with `{path}` or `{directory}` for the place.
    pub remedy: &'static str,
    /// What the remedy is written in: `shell`, `sql` or `options`.
    pub remedy_language: Language,
    /// What to know about the remedy.
    pub advice: &'static str,
    /// The controls it bears on.
    pub controls: &'static [Control],
}

impl ExplainReport {
    /// Of these rules.
    #[must_use]
    pub(crate) fn new(ids: &[RuleId]) -> Self {
        Self {
            schema: "binlogsec.explain/1",
            rules: ids.iter().map(|id| RuleEntry::new(*id)).collect(),
        }
    }
}

impl RuleEntry {
    fn new(id: RuleId) -> Self {
        let rule = id.rule();
        Self {
            id: rule.code,
            name: rule.name,
            title: rule.title,
            severity: rule.severity.name(),
            meaning: rule.meaning,
            risk: rule.risk,
            remedy: rule.remedy,
            remedy_language: rule.language,
            advice: rule.advice,
            controls: rule.controls,
        }
    }
}
