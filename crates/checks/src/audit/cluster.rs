//! The configuration of an NDB Cluster (`config.ini`): whether the ways between its nodes are held to TLS.
//!
//! Source: MySQL's reference manual, "NDB Cluster Configuration: Basic Example" for the form, "TLS Link
//! Encryption for NDB Cluster" and "NDB Cluster: added node configuration parameters" for `RequireTls`
//! (of data nodes and of management servers, from 8.3.0 on, false unless said otherwise).

use super::NamedCluster;
use super::judge::{Found, Judgement};
use crate::finding::rules::Language;
use crate::finding::{Evidence, Remedy, RuleId, Severity, Subject};
use binlogsec_core::text::path_text;

/// A section of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Section {
    /// Its name in lower case, with one blank at most: `ndbd default`.
    name: String,
    /// On which line it begins, counted from 1.
    line: usize,
    /// Its parameters, names in lower case.
    parameters: Vec<(String, String)>,
}

impl Section {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// `name=value` or `name: value` in sections; `#` begins a comment.
pub(super) fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let name = name.to_ascii_lowercase();
            let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
            // The manual's older names.
            let name = match &*name {
                "db" => "ndbd".to_owned(),
                "db default" => "ndbd default".to_owned(),
                "mgm" => "ndb_mgmd".to_owned(),
                "mgm default" => "ndb_mgmd default".to_owned(),
                _ => name,
            };
            sections.push(Section { name, line: number, parameters: Vec::new() });
        } else if let (Some((name, value)), Some(section)) =
            (line.split_once(['=', ':']), sections.last_mut())
        {
            let name = name.trim().to_ascii_lowercase();
            section.parameters.push((name, value.trim().to_owned()));
        }
    }
    sections
}

/// Whether a switch of `config.ini` is on: NDB's files know `y`, which those of servers do not.
fn is_on(value: &str) -> bool {
    ["1", "true", "yes", "y", "on"].iter().any(|on| value.eq_ignore_ascii_case(on))
}

/// BLR025 of the links of data nodes, and of what management servers hand out.
pub(super) fn judge(cluster: &NamedCluster, judgement: &mut Judgement) {
    let sections = sections(&cluster.text);
    for (kind, what) in [
        (
            "ndbd",
            "data nodes send each other, and every SQL node, all rows in the clear if they like",
        ),
        ("ndb_mgmd", "whoever reaches the management server is answered without TLS"),
    ] {
        let default = sections.iter().rfind(|it| it.name == format!("{kind} default"));
        let by_default = default.and_then(|it| it.get("requiretls")).is_some_and(is_on);
        for section in sections.iter().filter(|it| it.name == kind) {
            let own = section.get("requiretls");
            let requires = own.map_or(by_default, is_on);
            judgement.report_unless(RuleId::Blr025, requires, || {
                let host = section.get("hostname").map_or_else(String::new, |it| format!("{it}: "));
                let subject =
                    Subject::File { path: cluster.path.clone(), line: Some(section.line) };
                Found::about(subject, format!("{host}{what}"))
                    .weighing(Severity::Warning)
                    .seen(Evidence::Value {
                        name: "RequireTls".to_owned(),
                        value: own.unwrap_or("false, the default").to_owned(),
                        source: format!("{}:{}", path_text::text(&cluster.path), section.line),
                    })
                    .remedied(remedy(kind, cluster))
            });
        }
    }
}

fn remedy(kind: &str, cluster: &NamedCluster) -> Remedy {
    let path = path_text::quoted(&cluster.path);
    Remedy {
        language: Language::Shell,
        text: format!(
            "# NDB 8.3 and later. Certificates for every node first (ndb_sign_keys), then, in {path}:\n\
             #   [{kind} default]\n#   RequireTls=true\n\
             # and a rolling restart. Before 8.3: a network of its own for the cluster, or a VPN\n\
             ndb_mgm --test-tls"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_told_apart_and_parameters_stand_in_either_form() {
        let text =
            "[NDBD  DEFAULT]\nNoOfReplicas=2 # two\nRequireTls: true\n[db]\nHostName=a\n[TCP]\n";
        let sections = sections(text);
        let names: Vec<_> = sections.iter().map(|it| &*it.name).collect();
        assert_eq!(names, ["ndbd default", "ndbd", "tcp"]);
        assert_eq!(sections[0].get("requiretls"), Some("true"));
        assert_eq!(sections[0].get("noofreplicas"), Some("2"));
        assert_eq!(sections[1].get("hostname"), Some("a"));
        assert_eq!(sections[1].line, 4);
    }
}
