//! Findings and failures of a report, read back.

use serde::Deserialize;

use crate::log_entry::Failure;
use binlogsec_checks::finding::rules::Language;
use binlogsec_checks::finding::{Evidence, Finding, Remedy, Severity, Subject};
use binlogsec_core::log::error::Error;
use binlogsec_core::text::path_text;

/// A finding as reports have it.
#[derive(Deserialize)]
pub(crate) struct SavedFinding {
    id: String,
    severity: Severity,
    path: Option<String>,
    line: Option<usize>,
    server: Option<String>,
    object: Option<String>,
    owner: Option<String>,
    message: String,
    evidence: Vec<Evidence>,
    remedy: String,
    remedy_language: Language,
    related: Vec<String>,
}

/// What could not be done, in the words that it was told in.
pub(crate) fn reported(failure: Failure) -> Error {
    Error::Reported { message: failure.message, class: failure.class }
}

impl SavedFinding {
    /// The finding.
    ///
    /// # Errors
    /// When its id is not known, or nothing says what it is about.
    pub(crate) fn finding(self) -> Result<Finding, serde_json::Error> {
        let related = self.related.iter().map(|path| path_text::parse(path));
        let subject = match (self.path, self.server) {
            (Some(path), _) => Subject::File { path: path_text::parse(&path), line: self.line },
            (None, Some(server)) => Subject::Server { server, object: self.object },
            (None, None) => return Err(serde::de::Error::missing_field("path")),
        };
        let mut finding = Finding {
            rule: self.id.parse().map_err(serde::de::Error::custom)?,
            severity: self.severity,
            subject,
            message: self.message,
            evidence: self.evidence,
            related: related.collect(),
            own_remedy: None,
            accepted: None,
            owner: self.owner,
        };
        let remedy = Remedy { language: self.remedy_language, text: self.remedy };
        if finding.remedy() != remedy {
            finding.own_remedy = Some(remedy);
        }
        Ok(finding)
    }
}
