//! The remedies as an ordered plan: what each server needs, in an order in which each step still
//! applies when the ones before it are done.

use serde::Serialize;

use super::AuditOutcome;
use crate::finding::rules::Language;
use crate::finding::{Finding, RuleId, Subject};
use binlogsec_core::text::path_text;

/// What is done in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Step {
    /// Its place in the plan, counted from 1.
    pub number: usize,
    /// The server, or the file.
    pub place: String,
    /// The server whose step it is, as `areas` has it: that of a file is the one whose files were
    /// looked at.
    pub server: String,
    /// `source`, `replica`, `source and replica`; empty where nobody knows.
    pub role: &'static str,
    /// What it is written in.
    pub language: Language,
    /// The rules it answers, by code.
    pub rules: Vec<&'static str>,
    /// What they are about, in words.
    pub title: &'static str,
    /// What else to know before it is done: `needs a restart`.
    pub effect: Option<&'static str>,
    /// Whether something in it stands for what only you know (`PLACEHOLDER` says what).
    pub placeholder: bool,
    /// Ready to be run or written, comments among it.
    pub text: String,
    #[serde(skip)]
    stage: Stage,
}

/// In this order, each step finds what it needs: keys before encryption, channels before accounts
/// demand of them what they show, statements about an account before it gets another name, and what
/// ends connections last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Keyring,
    Files,
    ServerTls,
    Encryption,
    Channel,
    Privileges,
    Password,
    Requirement,
    Certificate,
    Name,
    Transport,
    Purge,
    Connection,
}

const fn stage(rule: RuleId) -> Stage {
    use RuleId::*;
    match rule {
        Blr017 | Blr003 | Blr004 | Blr005 => Stage::Keyring,
        Blr021 | Blr022 | Blr023 | Blr024 | Blr025 | Blr026 | Blr030 | Blr031 | Blr032 | Blr033
        | Blr034 | Blr035 | Blr036 | Blr038 => Stage::ServerTls,
        Blr001 | Blr002 | Blr006 | Blr009 => Stage::Encryption,
        Blr059 | Blr060 | Blr061 | Blr062 | Blr066 | Blr067 | Blr069 | Blr068 => Stage::Channel,
        Blr053 | Blr057 | Blr058 => Stage::Privileges,
        Blr054 | Blr055 => Stage::Password,
        Blr050 | Blr074 => Stage::Requirement,
        Blr051 => Stage::Certificate,
        Blr052 | Blr056 => Stage::Name,
        Blr020 => Stage::Transport,
        Bls001 => Stage::Purge,
        Blr063 | Blr064 => Stage::Connection,
        _ => Stage::Files,
    }
}

/// What a step does besides what it says.
const fn effect(stage: Stage, language: Language) -> Option<&'static str> {
    match (stage, language) {
        (_, Language::Options) => Some("needs a restart of this server"),
        (Stage::Keyring, _) => Some("needs a restart of this server"),
        (Stage::Channel, Language::Sql) => Some("interrupts this channel for a moment"),
        (Stage::Requirement | Stage::Certificate | Stage::Name | Stage::Password, _) => {
            Some("who does not meet it is let in no more at its next connection")
        }
        (Stage::Transport, _) => Some("clients without TLS are let in no more"),
        (Stage::Purge, _) => Some("removes logs: only once every replica and backup has them"),
        (Stage::Connection, _) => Some("ends a connection"),
        _ => None,
    }
}

/// The plan for what counts.
#[must_use]
pub fn plan(outcome: &AuditOutcome) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for finding in outcome.findings.iter().filter(|finding| finding.counts()) {
        let Some(step) = step(outcome, finding) else {
            continue;
        };
        let same =
            steps.iter_mut().find(|known| known.place == step.place && known.text == step.text);
        match same {
            Some(known) => known.rules.extend(step.rules),
            None => steps.push(step),
        }
    }
    for step in &mut steps {
        step.rules.dedup();
    }
    steps.sort_by_key(|step| step.stage);
    steps.iter_mut().zip(1..).for_each(|(step, number)| step.number = number);
    steps
}

fn step(outcome: &AuditOutcome, finding: &Finding) -> Option<Step> {
    let remedy = finding.remedy();
    // An account that comes from the source is changed there.
    if remedy.text.starts_with("-- nothing here") {
        return None;
    }
    let stage = stage(finding.rule);
    let rule = finding.rule();
    let (place, text) = match &finding.subject {
        Subject::Server { server, .. } => (server.clone(), remedy.text),
        Subject::File { path, .. } => (path_text::text(path), remedy.text),
    };
    let server = finding.owner.clone().unwrap_or_else(|| place.clone());
    Some(Step {
        number: 0,
        role: role(outcome, &place),
        server,
        place,
        placeholder: text.contains("PLACEHOLDER"),
        language: remedy.language,
        rules: vec![rule.code],
        title: rule.title,
        effect: effect(stage, remedy.language),
        text,
        stage,
    })
}

fn role(outcome: &AuditOutcome, place: &str) -> &'static str {
    let nodes = &outcome.topology.nodes;
    let is = |node: usize| nodes.get(node).is_some_and(|node| node.label == place);
    let is_source = outcome.topology.edges.iter().any(|edge| is(edge.source));
    let is_replica = outcome.topology.edges.iter().any(|edge| is(edge.replica));
    match (is_source, is_replica) {
        (true, true) => "source and replica",
        (true, false) => "source",
        (false, true) => "replica",
        (false, false) => "",
    }
}
