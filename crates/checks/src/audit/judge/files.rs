//! What of a server's configuration and data was not looked at, or does not count.

use super::{Found, Judgement};
use crate::audit::NamedOptions;
use crate::audit::facts::settings::Settings;
use crate::config::option_file::{Omission, OmissionReason};
use crate::finding::rules::Language;
use crate::finding::{Remedy, RuleId, Severity, Subject};
use binlogsec_core::text::path_text;

/// Judges what option files leave out, and whether there was a data directory to look at.
pub(in crate::audit) fn judge(
    named: &NamedOptions,
    settings: &Settings,
    has_data_directory: bool,
    judgement: &mut Judgement,
) {
    judgement.applied.insert(RuleId::Blr015);
    for omission in &named.file.omissions {
        judgement.report_unless(RuleId::Blr015, false, || omitted(omission));
    }
    judgement.report_unless(RuleId::Blr016, has_data_directory, || {
        let message = match settings.given("datadir") {
            Some(directory) => format!("{directory} is no directory on this machine"),
            None => "no data directory is named".to_owned(),
        };
        Found::about(settings.subject.clone(), message).seen(settings.evidence("datadir"))
    });
}

fn omitted(omission: &Omission) -> Found {
    let subject = Subject::File { path: omission.path.clone(), line: omission.line };
    let found = Found::about(subject, omission.reason.to_string());
    match (&omission.reason, omission.line) {
        (OmissionReason::WorldWritable { .. }, _) => found,
        (reason, line) => {
            // What a server reads, and this audit did not, may say anything.
            let severity = match reason {
                OmissionReason::Relative { .. } => Severity::Warning,
                _ => Severity::Note,
            };
            let path = path_text::quoted(&omission.path);
            let line = line.unwrap_or(1);
            found.weighing(severity).remedied(Remedy {
                language: Language::Shell,
                text: format!("sed -n {line}p {path}"),
            })
        }
    }
}
