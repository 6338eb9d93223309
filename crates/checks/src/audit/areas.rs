//! What each area of each server comes to: in order, not in order, or not examined and why. Nothing
//! passes that was not looked at.

use serde::Serialize;

use super::Work;
use super::facts::server::{Area, Flavour, NotAsked, ServerFacts, Verification};
use super::facts::{AuditFacts, FileFacts};
use super::judge::Found;
use super::topology::{State, Topology, is_of};
use crate::check::facts::LogStatus;
use crate::finding::{Finding, RuleId, Severity, Subject};

/// Every area, in the order of reports.
pub const ALL: [Area; 6] =
    [Area::Transit, Area::AtRest, Area::Accounts, Area::Keys, Area::Certificates, Area::Channels];

/// An area of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AreaResult {
    /// Which server, as findings name it; the option file or data directory of one that was not asked.
    pub server: String,
    /// Which area.
    pub area: Area,
    /// `yes`: in order; `no`: a finding says otherwise; `unknown`: not examined.
    pub result: State,
    /// Why it was not examined, or not all of it; the rules that have findings, where it is `no`.
    pub because: Vec<String>,
}

impl Area {
    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transit => "transit",
            Self::AtRest => "at rest",
            Self::Accounts => "accounts",
            Self::Keys => "keys",
            Self::Certificates => "certificates",
            Self::Channels => "channels",
        }
    }
}

/// The area that a rule is about; `None` for those that say nothing about privacy now.
const fn area_of(rule: RuleId) -> Option<Area> {
    use RuleId::*;
    match rule {
        Blr020 | Blr021 | Blr022 | Blr024 | Blr025 | Blr026 | Blr063 | Blr064 => {
            Some(Area::Transit)
        }
        Bls001 | Bls003 | Bls004 | Blr001 | Blr002 | Blr008 | Blr009 | Blr017 => Some(Area::AtRest),
        Blr050 | Blr051 | Blr052 | Blr053 | Blr054 | Blr055 | Blr056 | Blr057 | Blr058 | Blr074
        | Blr011 | Blr012 => Some(Area::Accounts),
        Bls002 | Bls011 | Bls013 | Bls018 | Blr003 | Blr004 | Blr007 => Some(Area::Keys),
        Blr023 | Blr030 | Blr032 | Blr033 | Blr034 | Blr035 | Blr036 | Blr037 | Blr038 | Blr039
        | Blr040 | Blr041 => Some(Area::Certificates),
        Blr059 | Blr060 | Blr061 | Blr062 | Blr066 | Blr067 | Blr068 | Blr069 => {
            Some(Area::Channels)
        }
        _ => None,
    }
}

/// What of a live server was not examined.
fn of_server(facts: &AuditFacts, server: &ServerFacts) -> Vec<NotAsked> {
    let mut found = server.not_asked.clone();
    let mut add = |area, because: &str| found.push(NotAsked { area, because: because.to_owned() });
    for missing in &server.missing_privileges {
        let area = match &*missing.what {
            what if what.contains("account") => Area::Accounts,
            what if what.contains("keyring") || what.contains("keys") => Area::Keys,
            what if what.contains("channel") => Area::Channels,
            what if what.contains("replicas") => Area::Transit,
            _ => Area::AtRest,
        };
        add(area, &format!("{}: {} is missing", missing.what, missing.privilege));
    }
    let has_directory =
        facts.all_files().any(|files| files.data_directory.is_some() && is_of(files, server));
    if !server.channels.is_empty() && !has_directory {
        add(
            Area::AtRest,
            "relay logs on the disk: name the replica's data directory there (--datadir)",
        );
    }
    let unseen = server.connection.certificate.is_none() && server.certificate_end.is_none();
    if unseen && server.flavour != Flavour::Mariadb {
        add(Area::Certificates, "the server showed none: ask it over TLS");
    } else if server.connection.certificate.is_none() {
        add(Area::Certificates, "only its end is known through a socket: ask the server over TLS");
    } else if server.connection.verified == Verification::None {
        add(Area::Certificates, "nobody verified it: name the authority (--server-ca)");
    }
    found
}

/// What of a server that is known by its files alone was not examined.
fn of_files(facts: &FileFacts) -> Vec<NotAsked> {
    let mut found = Vec::new();
    let mut add = |area, because: &str| found.push(NotAsked { area, because: because.to_owned() });
    let Some(settings) = &facts.options else {
        return found;
    };
    add(Area::Accounts, "they are in tables: ask the server (--server)");
    add(Area::Transit, "whether TLS starts, and who is connected: ask the server (--server)");
    let in_tables = !settings.is_mariadb()
        && settings.product.is_none_or(|product| product.version >= (8, 0, 0))
        || settings
            .get("master_info_repository")
            .is_some_and(|it| it.eq_ignore_ascii_case("TABLE"));
    if in_tables {
        add(Area::Channels, "this version keeps them in tables: ask the server (--server)");
    }
    match &facts.data_directory {
        None => {
            add(Area::AtRest, "no data directory was looked at (--datadir)");
            add(Area::Keys, "no data directory was looked at (--datadir)");
            if !in_tables {
                add(Area::Channels, "no data directory was looked at (--datadir)");
            }
        }
        Some(directory) => {
            let mut logs = directory.logs.logs.iter();
            if logs.any(|log| log.status == LogStatus::Undetermined) {
                add(Area::AtRest, "what some files are could not be told");
            }
            if directory.local_manifest_counts.is_none() && !settings.is_mariadb() {
                add(
                    Area::Keys,
                    "what stands beside the server's program: it is not on this machine",
                );
            }
        }
    }
    if facts.certificates.is_empty() {
        add(Area::Certificates, "no file of one was there to look at");
    }
    found
}

/// The servers of an audit, each with what was not examined of it.
fn servers(facts: &AuditFacts) -> Vec<(String, Vec<NotAsked>)> {
    let mut found: Vec<_> = facts
        .servers
        .iter()
        .map(|server| (server.address.clone(), of_server(facts, server)))
        .collect();
    for files in facts.all_files() {
        let is_asked = facts.servers.iter().any(|server| is_of(files, server));
        if let Some(settings) = files.options.as_ref().filter(|_| !is_asked) {
            found.push((settings.subject.name(), of_files(files)));
        }
    }
    found
}

/// BLR072: one note for each area that was not examined, or not as a whole.
pub(super) fn judge(work: &mut Work) {
    let lacks = servers(&work.facts);
    let judgement = &mut work.judgement;
    judgement.applied.insert(RuleId::Blr072);
    for (server, lacks) in lacks {
        for area in ALL {
            let why: Vec<_> =
                lacks.iter().filter(|it| it.area == area).map(|it| &*it.because).collect();
            judgement.report_unless(RuleId::Blr072, why.is_empty(), || {
                let subject = Subject::Server {
                    server: server.clone(),
                    object: Some(area.name().to_owned()),
                };
                Found::about(subject, format!("not examined: {}", why.join("; ")))
            });
        }
    }
}

/// What each area comes to.
pub(super) fn of(facts: &AuditFacts, findings: &[Finding]) -> Vec<AreaResult> {
    let mut results = Vec::new();
    let servers = servers(facts);
    // Files of a server that was asked are its own.
    let owner_of = |owner: &str| {
        let files = facts.all_files().find(|files| files.name().as_deref() == Some(owner))?;
        facts.servers.iter().find(|it| is_of(files, it)).map(|it| it.address.clone())
    };
    for (server, lacks) in &servers {
        for area in ALL {
            let is_of = |finding: &&Finding| match &finding.subject {
                Subject::Server { server: of, .. } => of == server,
                Subject::File { .. } => finding.owner.as_deref().is_some_and(|owner| {
                    owner == server || owner_of(owner).as_ref() == Some(server)
                }),
            };
            let opens = |finding: &&Finding| {
                finding.severity >= Severity::Warning && area_of(finding.rule) == Some(area)
            };
            let mut rules: Vec<String> =
                findings.iter().filter(is_of).filter(opens).map(|it| it.rule.to_string()).collect();
            rules.dedup();
            let why = lacks.iter().filter(|it| it.area == area).map(|it| it.because.clone());
            let (result, because) = if rules.is_empty() {
                let why: Vec<_> = why.collect();
                (if why.is_empty() { State::Yes } else { State::Unknown }, why)
            } else {
                (State::No, rules)
            };
            results.push(AreaResult { server: server.clone(), area, result, because });
        }
    }
    results
}

/// Makes a way as private as its ends are.
pub(super) fn weigh(topology: &mut Topology, areas: &[AreaResult]) {
    for edge in &mut topology.edges {
        for (end, node) in [("source", edge.source), ("replica", edge.replica)] {
            let Some(node) = topology.nodes.get(node) else {
                continue;
            };
            for area in areas.iter().filter(|it| it.server == node.label) {
                // Relay logs are the replica's half of what it has at rest.
                if area.area == Area::AtRest && area.result == State::Unknown && end == "replica" {
                    edge.replica_at_rest = edge.replica_at_rest.and(State::Unknown);
                }
                edge.ends = edge.ends.and(area.result);
                let reason = match area.result {
                    State::Yes => continue,
                    State::No => {
                        format!("{} of the {end}: {}", area.area.name(), area.because.join(", "))
                    }
                    State::Unknown => format!("{} of the {end} not examined", area.area.name()),
                };
                edge.reasons.push(reason);
            }
        }
    }
}
