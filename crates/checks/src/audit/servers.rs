//! The part of an audit that asks live servers.

use jiff::Timestamp;
use rayon::prelude::*;

use super::facts::server::ServerFacts;
use super::judge::{self, Judgement, Server};
use super::live::{self, LiveError};
use super::topology::Topology;
use super::{AuditTargets, Work};
use crate::finding::rules::Language;
use crate::finding::{Evidence, RuleId, Subject};
use binlogsec_core::log::error::Error;

/// So many are asked at a time: each takes as long as its network does, and hardly any of the
/// processor.
const AT_ONCE: usize = 64;

/// Asks them all at once.
pub(super) fn collect(work: &mut Work, targets: &AuditTargets) {
    let ask = || {
        let servers = targets.servers.par_iter().with_max_len(1);
        servers.map(|target| live::collect(&target.address, &target.credentials)).collect()
    };
    let threads = targets.servers.len().clamp(1, AT_ONCE);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    // Without threads of its own it goes on with those that there are.
    let answers: Vec<_> = pool.map_or_else(|_| ask(), |pool| pool.install(ask));
    for answer in answers {
        match answer {
            Ok(facts) => work.facts.servers.push(facts),
            Err(error) => work.failures.push(error.into()),
        }
    }
}

impl From<LiveError> for Error {
    fn from(error: LiveError) -> Self {
        Self::Server { server: error.server, source: Box::new(error.problem) }
    }
}

/// Judges each, and whether all ends of their channels were there. Gives who replicates from whom.
pub(super) fn judge(work: &mut Work, now: Timestamp) -> Topology {
    let Work { facts, judgement, .. } = work;
    let servers = &facts.servers;
    let judged: Vec<_> = servers.iter().map(Server::new).collect();
    let topology = super::topology::live::of_servers(&judged);
    for (index, one) in judged.iter().enumerate() {
        let server = one.facts;
        judge::server::judge(one, judgement);
        judge::certificates::judge_shown(server, now, judgement);
        judge::channel::judge(one, judgement);
        let mut sources = Vec::new();
        for channel in &server.channels {
            let source = super::topology::live::source_of(channel, index, &judged);
            if let Some(source) = source.and_then(|source| servers.get(source)) {
                judge::channel::judge_pair(source, one, channel, judgement);
                sources.push(source);
            }
        }
        judge::accounts::judge(server, &sources, judgement);
        failover(server, servers, judgement);
    }
    judge::key_store::judge_servers(servers, judgement);
    ends(&topology, judgement);
    quiet(servers, &topology, judgement);
    topology
}

/// Statements that fail where the account is not there stop a replica that lacks it: these are kept out of
/// the binary log. Neither RENAME USER nor REVOKE has an IF EXISTS in all versions.
fn quiet(servers: &[ServerFacts], topology: &Topology, judgement: &mut Judgement) {
    const FAIL: [&str; 2] = ["RENAME USER", "REVOKE "];
    let label = |node: usize| topology.nodes.get(node).map(|node| &*node.label);
    for finding in &mut judgement.findings {
        let Subject::Server { server, object: Some(account) } = &finding.subject else {
            continue;
        };
        let Some(remedy) = finding.own_remedy.as_mut().filter(|remedy| {
            remedy.language == Language::Sql && FAIL.iter().any(|it| remedy.text.contains(it))
        }) else {
            continue;
        };
        let below = topology.edges.iter().filter(|edge| label(edge.source) == Some(server));
        let replicas: Vec<_> = below
            .map(|edge| topology.nodes.get(edge.replica)?.server.and_then(|it| servers.get(it)))
            .collect();
        let has = |replica: &ServerFacts| {
            let known = replica.accounts.as_ref()?;
            let mut all = known.iter().chain(&replica.other_accounts);
            Some(all.any(|it| judge::accounts::name_of(replica, it) == *account))
        };
        let known: Vec<_> = replicas.iter().map(|replica| replica.and_then(has)).collect();
        let why = if known.contains(&Some(false)) {
            "-- not at every replica: the statement must not go there"
        } else if known.contains(&None) {
            "-- whether every replica has this account is not known, and one that lacks it would stop: where \
             all have it, leave SET sql_log_bin out, and the change goes to them as well"
        } else {
            continue;
        };
        remedy.text = format!("{why}\nSET sql_log_bin = 0;\n{}\nSET sql_log_bin = 1;", remedy.text);
    }
}

/// BLR070 of the sources that a channel may turn to by itself.
fn failover(server: &ServerFacts, servers: &[ServerFacts], judgement: &mut Judgement) {
    for source in &server.failover_sources {
        let is_at = |it: &ServerFacts| {
            let named =
                it.hostname.as_ref().zip(it.port).map(|(host, port)| format!("{host}:{port}"));
            it.address == source.place || named.as_ref() == Some(&source.place)
        };
        judgement.report_unless(RuleId::Blr070, servers.iter().any(is_at), || {
            let place = &source.place;
            let subject = Subject::Server {
                server: server.address.clone(),
                object: Some(format!("source {place}")),
            };
            let message = format!("a channel may turn to {place}, which was not audited");
            judge::Found::about(subject, message).seen(Evidence::Value {
                name: "HOST".to_owned(),
                value: place.clone(),
                source: "performance_schema.replication_asynchronous_connection_failover"
                    .to_owned(),
            })
        });
    }
}

/// BLR070.
fn ends(topology: &Topology, judgement: &mut Judgement) {
    for edge in &topology.edges {
        let node = |index: usize| topology.nodes.get(index);
        let (Some(source), Some(replica)) = (node(edge.source), node(edge.replica)) else {
            continue;
        };
        let (known, unknown, what) = match (source.server, replica.server) {
            (Some(_), Some(_)) => {
                judgement.applied.insert(RuleId::Blr070);
                continue;
            }
            (Some(_), None) => (source, replica, "replica"),
            _ => (replica, source, "source"),
        };
        judgement.report_unless(RuleId::Blr070, false, || {
            let subject = Subject::Server {
                server: known.label.clone(),
                object: Some(format!("{what} {}", unknown.label)),
            };
            judge::Found::about(subject, format!("its {what} {} was not audited", unknown.label))
                .seen(Evidence::Value {
                    name: what.to_owned(),
                    value: unknown.label.clone(),
                    source: known.label.clone(),
                })
        });
    }
}
