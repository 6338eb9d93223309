//! What was found, and how a site weighs it: findings, the rules behind them, policy, baseline.
//! Whoever judges something makes findings of these types; every report renders them.

pub mod baseline;
pub mod policy;
pub mod rules;

pub use baseline::Baseline;
pub use policy::{Policy, PolicyError};
pub use rules::{Rule, RuleId, Severity};

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use binlogsec_core::text::path_text;
use rules::Language;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: RuleId,
    /// How much it weighs here: the rule's own weight, or what the policy says.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// The message: what is found, in a sentence.
    pub message: String,
    /// Where that can be seen.
    pub evidence: Vec<Evidence>,
    /// Other files that it takes to see it.
    pub related: Vec<PathBuf>,
    /// What helps here, if it is not what the rule says.
    pub own_remedy: Option<Remedy>,
    /// Why it does not count, if it does not.
    pub accepted: Option<Acceptance>,
    /// Whose files showed it, where an audit looked at those of several servers: the option file or
    /// data directory, as [`crate::audit::areas::AreaResult`] has it.
    pub owner: Option<String>,
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A file or directory.
    File {
        /// The file.
        path: PathBuf,
        /// Which line of it, counted from 1.
        line: Option<usize>,
    },
    /// A server that was asked.
    Server {
        /// Its name: host and port, or socket.
        server: String,
        /// What of it: an account, a channel, a connection.
        object: Option<String>,
    },
}

impl Subject {
    /// A file or directory as a whole.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self::File { path: path.to_owned(), line: None }
    }

    /// The file, byte for byte, if it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } => Some(path),
            Self::Server { .. } => None,
        }
    }

    /// What a baseline's `path` is held against: a path, or server and object joined by a blank.
    /// Bytes that are not UTF-8 are `\xNN`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File { path, .. } => path_text::text(path),
            Self::Server { server, object: None } => server.clone(),
            Self::Server { server, object: Some(object) } => format!("{server} {object}"),
        }
    }
}

/// What shows a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Evidence {
    /// Bytes: where they are and what they mean, never what they are.
    Bytes {
        /// File offset of the first one.
        offset: u64,
        /// How many.
        length: u64,
        /// What they mean.
        meaning: Cow<'static, str>,
    },
    /// Something with a name that has a value, such as a server's variable.
    Value {
        /// Its name.
        name: String,
        /// Its value. Never a secret.
        value: String,
        /// Where it was seen: `my.cnf:12`, `default of MySQL 8.4`, `SHOW REPLICA STATUS`.
        source: String,
    },
}

impl Evidence {
    /// A line for people.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Bytes { offset, meaning, .. } => format!("offset {offset}: {meaning}"),
            Self::Value { name, value, source } => format!("{name} = {value} ({source})"),
        }
    }
}

/// The remedy of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// What it is written in.
    pub language: Language,
    /// Ready to be run or written; may have several lines.
    pub text: String,
}

/// A finding that a baseline knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Acceptance {
    /// Why it is accepted.
    pub reason: String,
    /// Until when, that day included.
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("format" = "date")))]
    pub expires: jiff::civil::Date,
}

impl Finding {
    pub(crate) fn new(rule: RuleId, path: &Path, message: impl Into<String>) -> Self {
        Self::about(rule, Subject::file(path), message)
    }

    pub(crate) fn about(rule: RuleId, subject: Subject, message: impl Into<String>) -> Self {
        Self {
            rule,
            severity: rule.rule().severity,
            subject,
            message: message.into(),
            evidence: Vec::new(),
            related: Vec::new(),
            own_remedy: None,
            accepted: None,
            owner: None,
        }
    }

    pub(crate) const fn weighing(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    pub(crate) fn seen_at(
        mut self,
        offset: u64,
        length: u64,
        meaning: impl Into<Cow<'static, str>>,
    ) -> Self {
        // There may be as many findings as files: none has room that it does not need.
        self.evidence.reserve_exact(1);
        self.evidence.push(Evidence::Bytes { offset, length, meaning: meaning.into() });
        self
    }

    pub(crate) fn related_to(mut self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        self.related.extend(paths);
        self
    }

    /// Helped by a command of its own.
    pub(crate) fn remedied_by(mut self, command: String) -> Self {
        self.own_remedy = Some(Remedy { language: Language::Shell, text: command });
        self
    }

    /// The rule behind it.
    #[must_use]
    pub fn rule(&self) -> &'static Rule {
        self.rule.rule()
    }

    /// The remedy of a finding.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        self.own_remedy.clone().unwrap_or_else(|| Remedy {
            language: self.rule().language,
            text: match self.subject.path() {
                Some(path) => self.rule().remedy_for(path),
                None => self.rule().remedy.to_owned(),
            },
        })
    }

    /// Whether it counts for the exit code: an error or a warning that no baseline accepts.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.severity >= Severity::Warning && self.accepted.is_none()
    }

    /// The order of reports: the worst first, then by rule, subject and message.
    #[must_use]
    pub fn report_order(&self, other: &Self) -> std::cmp::Ordering {
        let weight = |finding: &Self| (std::cmp::Reverse(finding.severity), finding.rule);
        weight(self)
            .cmp(&weight(other))
            .then_with(|| self.subject.report_order(&other.subject))
            .then_with(|| self.message.cmp(&other.message))
    }
}

impl Subject {
    /// Files by the bytes of their paths, which is faster than by their parts.
    fn report_order(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::File { path, line }, Self::File { path: other, line: other_line }) => {
                path.as_os_str().cmp(other.as_os_str()).then_with(|| line.cmp(other_line))
            }
            (one, other) => one.cmp(other),
        }
    }
}

/// Findings as a site weighs them, in the order of reports.
#[must_use]
pub fn weigh(
    findings: Vec<Finding>,
    policy: &Policy,
    baseline: &Baseline,
    today: jiff::civil::Date,
) -> Vec<Finding> {
    let mut findings: Vec<_> =
        findings.into_iter().filter_map(|finding| policy.weigh(finding)).collect();
    for finding in &mut findings {
        baseline.apply(finding, today);
    }
    findings.sort_by(Finding::report_order);
    findings
}
