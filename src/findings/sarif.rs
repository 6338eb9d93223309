//! SARIF 2.1.0, as code scanning services read it.

use std::io::{self, Write};
use std::path::Path;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::findings::report::{FindingEntry, FindingsView};
use crate::json;
use binlogsec_checks::finding::{Evidence, Rule, RuleId, Severity, Subject};
use binlogsec_core::text::path_text;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// One run with all findings; those that a baseline accepts are suppressed. They are written one by
/// one: there may be as many as there are files.
///
/// # Errors
/// What the writer answers.
pub(crate) fn findings(out: &mut dyn Write, report: &FindingsView<'_>) -> io::Result<()> {
    let notifications: Vec<_> = report
        .failures
        .iter()
        .map(|failure| json!({"level": "error", "message": {"text": failure.message}}))
        .collect();
    json::pretty(
        out,
        &Document {
            schema: SCHEMA,
            version: "2.1.0",
            runs: [Run {
                tool: json!({"driver": {
                    "name": "binlogsec",
                    "version": env!("CARGO_PKG_VERSION"),
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": report.rules.iter().map(|it| rule(it)).collect::<Vec<_>>(),
                }}),
                invocations: json!([{
                    "executionSuccessful": report.failures.is_empty(),
                    "toolExecutionNotifications": notifications,
                }]),
                results: Results(report),
                properties: json!({"summary": report.summary}),
            }],
        },
    )
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "$schema")]
    schema: &'a str,
    version: &'a str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
struct Run<'a> {
    tool: Value,
    invocations: Value,
    results: Results<'a>,
    properties: Value,
}

/// The findings of a report, each made when it is written.
struct Results<'a>(&'a FindingsView<'a>);

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(report) = self;
        let index = |id: RuleId| report.rules.iter().position(|rule| rule.id == id);
        to.collect_seq(
            report.findings.iter().map(|finding| result(finding, index(finding.source.rule))),
        )
    }
}

fn rule(rule: &Rule) -> Value {
    let controls: Vec<_> = rule
        .controls
        .iter()
        .map(|control| format!("{} {}", control.catalogue, control.number))
        .collect();
    // What GitHub sorts security findings by.
    let score = match rule.severity {
        Severity::Error => "8.0",
        Severity::Warning => "5.0",
        Severity::Note => "2.0",
    };
    json!({
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.meaning},
        "help": {"text": format!("{} {} {}", rule.risk, rule.advice, rule.remedy)},
        "defaultConfiguration": {"level": rule.severity.name()},
        "properties": {
            "tags": ["security", "mysql", "encryption"],
            "security-severity": score,
            "controls": controls,
        },
    })
}

fn physical(path: &Path, region: Option<Value>) -> Value {
    // As the repository's own tools write it.
    let path = path.strip_prefix(".").ok().filter(|path| *path != Path::new("")).unwrap_or(path);
    let mut location = json!({"artifactLocation": {"uri": path_text::uri(path)}});
    if let (Some(region), Some(object)) = (region, location.as_object_mut()) {
        object.insert("region".to_owned(), region);
    }
    location
}

fn location(finding: &FindingEntry<'_>) -> Value {
    let bytes = finding.evidence.iter().find_map(|it| match it {
        Evidence::Bytes { offset, length, .. } => {
            Some(json!({"byteOffset": offset, "byteLength": length}))
        }
        Evidence::Value { .. } => None,
    });
    match &finding.source.subject {
        Subject::File { path, line } => {
            let region = line.map(|line| json!({"startLine": line})).or(bytes);
            json!({"physicalLocation": physical(path, region)})
        }
        server @ Subject::Server { .. } => {
            json!({"logicalLocations": [{"fullyQualifiedName": server.name(), "kind": "resource"}]})
        }
    }
}

fn result(finding: &FindingEntry<'_>, rule_index: Option<usize>) -> Value {
    let related: Vec<_> = finding
        .source
        .related
        .iter()
        .map(|path| json!({"physicalLocation": physical(path, None)}))
        .collect();
    let mut result = json!({
        "ruleId": finding.id,
        "level": finding.severity,
        "message": {"text": format!("{}: {}", finding.title, finding.message)},
        "locations": [location(finding)],
        "relatedLocations": related,
        // The same finding of the same subject is the same alert, run after run.
        "partialFingerprints": {"binlogsec/v1": format!("{}:{}", finding.id, finding.source.subject.name())},
        "properties": {"evidence": finding.evidence, "remedy": finding.remedy},
    });
    if let (Some(accepted), Some(object)) = (finding.accepted, result.as_object_mut()) {
        let suppression = json!([{"kind": "external", "justification": accepted.reason}]);
        object.insert("suppressions".to_owned(), suppression);
    }
    if let (Some(index), Some(object)) = (rule_index, result.as_object_mut()) {
        object.insert("ruleIndex".to_owned(), json!(index));
    }
    result
}
