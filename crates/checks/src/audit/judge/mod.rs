//! From facts to findings.

pub(super) mod accounts;
pub(super) mod at_rest;
pub(super) mod broken;
pub(super) mod certificates;
pub(super) mod channel;
pub(super) mod files;
pub(super) mod key_store;
pub(super) mod options;
pub(super) mod revocation;
pub(super) mod server;
pub(super) mod words;

use std::collections::BTreeSet;

use super::facts::server::ServerFacts;
use super::facts::settings::Settings;
use super::sql;
use crate::finding::rules::Language;
use crate::finding::{Evidence, Finding, Remedy, RuleId, Severity, Subject};

/// What judges come to.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    /// What is not as it should be.
    pub(super) findings: Vec<Finding>,
    /// The rules that something was held against, with or without a finding.
    pub(super) applied: BTreeSet<RuleId>,
}

impl Judgement {
    /// Notes that a rule was applied, and reports its finding where it is broken: `finding` is made only
    /// then.
    pub(super) fn report_unless(
        &mut self,
        rule: RuleId,
        is_kept: bool,
        finding: impl FnOnce() -> Found,
    ) {
        self.applied.insert(rule);
        if !is_kept {
            self.findings.push(finding().into_finding(rule));
        }
    }
}

/// A live server as judges take it: what it answered, and its variables as the settings that they are, so
/// that what holds for option files holds for it.
#[derive(Debug)]
pub(super) struct Server<'a> {
    /// What it answered.
    pub(super) facts: &'a ServerFacts,
    /// Its variables.
    pub(super) settings: Settings,
}

impl<'a> Server<'a> {
    pub(super) fn new(facts: &'a ServerFacts) -> Self {
        Self { facts, settings: Settings::of_server(facts) }
    }
}

/// In place of a remedy that cannot be shown as it would have to be written.
const IN_WORDS: &str = "-- No statement can be shown: a name in it has characters that cannot be seen \
                        (line ends, control characters, marks of direction). Give what has that name \
                        another one first.";

/// A finding but for its rule, which stands once: where it is applied ([`Judgement::report_unless`]).
#[derive(Debug)]
pub(super) struct Found {
    subject: Subject,
    message: String,
    evidence: Vec<Evidence>,
    remedy: Option<Remedy>,
    severity: Option<Severity>,
}

impl Found {
    pub(super) fn about(subject: Subject, message: impl Into<String>) -> Self {
        Self {
            subject,
            message: message.into(),
            evidence: Vec::new(),
            remedy: None,
            severity: None,
        }
    }

    /// In place of the rule's weight.
    pub(super) const fn weighing(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }

    pub(super) fn seen(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }

    /// In place of the rule's remedy.
    pub(super) fn remedied(mut self, remedy: Remedy) -> Self {
        self.remedy = Some(if remedy.text.contains(sql::UNWRITABLE) {
            Remedy { language: Language::Sql, text: IN_WORDS.to_owned() }
        } else {
            remedy
        });
        self
    }

    fn into_finding(self, rule: RuleId) -> Finding {
        let mut finding = Finding::about(rule, self.subject, self.message);
        finding.evidence = self.evidence;
        finding.own_remedy = self.remedy;
        finding.severity = self.severity.unwrap_or(finding.severity);
        finding
    }
}

/// A finding about a live server, or about something of it.
fn of_server(facts: &ServerFacts, object: Option<String>, message: impl Into<String>) -> Found {
    let server = facts.address.clone();
    Found::about(Subject::Server { server, object }, message)
}

/// What a server answered.
fn seen(name: &str, value: &str, source: &str) -> Evidence {
    Evidence::Value { name: name.to_owned(), value: value.to_owned(), source: source.to_owned() }
}
