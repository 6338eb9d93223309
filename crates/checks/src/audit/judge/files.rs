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

/// BLR018: files for TLS in the groups of programs, which no channel reads.
pub(in crate::audit) fn client_groups(
    named: &NamedOptions,
    settings: &Settings,
    judgement: &mut Judgement,
) {
    const FILES: [&str; 2] = ["ssl_cert", "ssl_key"];
    // MariaDB's servers read [client-server] as well.
    let of_programs =
        |group: &str| matches!(group, "client" | "mysql" | "client-mariadb" | "mysqlbinlog");
    let found = named.file.settings.iter().find(|option| {
        of_programs(&option.group) && FILES.contains(&&*option.name.to_ascii_lowercase())
    });
    judgement.report_unless(RuleId::Blr018, found.is_none(), || {
        let (path, line, group, name) = found.map_or_else(
            || (named.path.clone(), None, "client", "ssl_cert"),
            |it| (it.path.clone(), Some(it.line), &*it.group, &*it.name),
        );
        let message = format!("[{group}] {name} is for programs: a replication channel shows and verifies nothing by it");
        let found = Found::about(Subject::File { path, line }, message);
        if settings.is_mariadb() || !settings.since((8, 0, 23)) {
            let text = RuleId::Blr018.rule().remedy.replace("SOURCE_", "MASTER_");
            let text = text.replace("CHANGE REPLICATION SOURCE", "CHANGE MASTER");
            let text = text.replace("REPLICA IO_THREAD", "SLAVE IO_THREAD");
            found.remedied(Remedy { language: Language::Sql, text })
        } else {
            found
        }
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
