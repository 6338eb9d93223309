//! SARIF 2.1.0, as code scanning services read it.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::{Value, json};

use super::model::{FindingEntry, FindingsView};
use crate::finding::{Evidence, Rule, RuleId, Severity, Subject};
use crate::io::location::ObjectUrl;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// One run with all findings; those that a baseline accepts are suppressed.
///
/// # Errors
/// What the writer answers.
pub fn findings(out: &mut dyn Write, report: &FindingsView<'_>) -> io::Result<()> {
    let index = |id: RuleId| report.rules.iter().position(|rule| rule.id == id);
    let notifications: Vec<_> = report
        .failures
        .iter()
        .map(|failure| json!({"level": "error", "message": {"text": failure.message}}))
        .collect();
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "binlogsec",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": report.rules.iter().map(|it| rule(it)).collect::<Vec<_>>(),
            }},
            "invocations": [{
                "executionSuccessful": report.failures.is_empty(),
                "toolExecutionNotifications": notifications,
            }],
            "results": report.findings.iter().map(|it| result(it, index(it.source.rule))).collect::<Vec<_>>(),
            "properties": {"summary": report.summary},
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
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
    let mut location = json!({"artifactLocation": {"uri": uri(path)}});
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

/// A path as a URI reference: every byte that is not plain is escaped (RFC 3986). Of an object's
/// URL the scheme stays, and bucket and key are escaped.
fn uri(path: &Path) -> String {
    let mut uri = String::new();
    let mut bytes = path.as_os_str().as_bytes();
    if let Some(object) = ObjectUrl::of(path) {
        let scheme = object.scheme.prefix();
        uri.push_str(scheme);
        bytes = bytes.get(scheme.len()..).unwrap_or_default();
    } else if path.is_absolute() {
        uri.push_str("file://");
    }
    for (position, &byte) in bytes.iter().enumerate() {
        match byte {
            // Two slashes at the start would name a host.
            b'/' if position == 1 && uri.ends_with("///") => {}
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            other => {
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn any_path_is_a_uri() {
        for (path, expected) in [
            (&b"/var/lib/b.000001"[..], "file:///var/lib/b.000001"),
            (b"//host/b", "file:///host/b"),
            (b"a b/\xff\n", "a%20b/%FF%0A"),
            (b"http://x?y#z", "http%3A//x%3Fy%23z"),
            (b"s3://bucket/a b//c:1%", "s3://bucket/a%20b//c%3A1%25"),
            (b"az://box/\xc3\xa9", "az://box/%C3%A9"),
            (b"s3:/x", "s3%3A/x"),
        ] {
            assert_eq!(uri(Path::new(OsStr::from_bytes(path))), expected);
        }
    }
}
