//! A code quality report of GitLab.

use std::collections::HashMap;
use std::io::{self, Write};

use binlogsec_core::text::unseen::printable;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::findings::report::{FindingEntry, FindingsView};
use crate::json;

/// A JSON array with an issue for each finding that no baseline accepts.
///
/// # Errors
/// What the writer answers.
pub(crate) fn findings(out: &mut dyn Write, report: &FindingsView<'_>) -> io::Result<()> {
    json::pretty(out, &Issues(report.findings))
}

/// The findings of a report, each made when it is written.
struct Issues<'a>(&'a [FindingEntry<'a>]);

impl Serialize for Issues<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let counted = self.0.iter().filter(|finding| finding.accepted.is_none());
        let mut seen: HashMap<String, usize> = HashMap::new();
        to.collect_seq(counted.map(|finding| {
            let mut issue = Issue::new(finding);
            // A rule may find something twice in one file; no two issues may have one fingerprint.
            let before = seen.entry(issue.fingerprint.clone()).or_default();
            if *before > 0 {
                issue.fingerprint = hex(&format!("{}\0{before}", issue.fingerprint));
            }
            *before = before.saturating_add(1);
            issue
        }))
    }
}

fn hex(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The fields that GitLab asks for.
#[derive(Serialize)]
struct Issue {
    description: String,
    check_name: &'static str,
    fingerprint: String,
    severity: &'static str,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: usize,
}

impl Issue {
    fn new(finding: &FindingEntry<'_>) -> Self {
        let subject = &finding.subject;
        // A server has no path: what it is called stands in its place.
        let path = subject.path.clone().unwrap_or_else(|| subject.to_string());
        let path = match path.strip_prefix("./") {
            Some(rest) if !rest.is_empty() => rest.to_owned(),
            _ => path,
        };
        // The same finding of the same subject is the same issue, run after run.
        Self {
            description: printable(&format!("{}: {}", finding.title, finding.message)),
            check_name: finding.id,
            fingerprint: hex(&format!("{}\0{path}", finding.id)),
            severity: match finding.severity {
                "error" => "critical",
                "warning" => "major",
                _ => "info",
            },
            location: Location { path, lines: Lines { begin: subject.line.unwrap_or(1) } },
        }
    }
}
