//! What was found.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::rules::{Rule, RuleId, Severity};

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: RuleId,
    /// How much it weighs here: the rule's own weight, or what the policy says.
    pub severity: Severity,
    /// Which file or directory.
    pub path: PathBuf,
    /// What is the case with this file.
    pub message: String,
    /// Where that can be seen.
    pub evidence: Vec<Evidence>,
    /// Other files that it takes to see it.
    pub related: Vec<PathBuf>,
    /// Why it does not count, if it does not.
    pub accepted: Option<Acceptance>,
}

/// Bytes that show a finding: where they are and what they mean, never what they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Evidence {
    /// File offset of the first one.
    pub offset: u64,
    /// How many.
    pub length: u64,
    /// What they mean.
    pub meaning: String,
}

/// A finding that a baseline knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Acceptance {
    /// Why it is accepted.
    pub reason: String,
    /// Until when, that day included.
    #[cfg_attr(test, schemars(with = "String", extend("format" = "date")))]
    pub expires: jiff::civil::Date,
}

impl Finding {
    pub(super) fn new(rule: RuleId, path: &Path, message: impl Into<String>) -> Self {
        Self {
            rule,
            severity: rule.rule().severity,
            path: path.to_owned(),
            message: message.into(),
            evidence: Vec::new(),
            related: Vec::new(),
            accepted: None,
        }
    }

    pub(super) const fn weighing(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    pub(super) fn seen_at(mut self, offset: u64, length: u64, meaning: impl Into<String>) -> Self {
        self.evidence.push(Evidence {
            offset,
            length,
            meaning: meaning.into(),
        });
        self
    }

    pub(super) fn related_to(mut self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        self.related.extend(paths);
        self
    }

    /// The rule behind it.
    #[must_use]
    pub fn rule(&self) -> &'static Rule {
        self.rule.rule()
    }

    /// A command that helps.
    #[must_use]
    pub fn remedy(&self) -> String {
        self.rule().remedy_for(&self.path)
    }

    /// Whether it counts for the exit code: an error or a warning that no baseline accepts.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.severity >= Severity::Warning && self.accepted.is_none()
    }
}
