//! The part of an audit that asks live servers.

use rayon::prelude::*;

use super::facts::server::ServerFacts;
use super::judge::{self, Judgement};
use super::live::{self, LiveError};
use super::{AuditTargets, Work};
use crate::finding::{Evidence, RuleId, Subject};
use binlogsec_core::log::error::Error;

/// Asks them all at once: each takes as long as its network does.
pub(super) fn collect(work: &mut Work, targets: &AuditTargets) {
    let answers: Vec<_> = targets
        .servers
        .par_iter()
        .map(|target| live::collect(&target.address, &target.credentials))
        .collect();
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

/// Judges each, and whether all ends of their channels were there.
pub(super) fn judge(work: &mut Work) {
    let Work { facts, judgement, .. } = work;
    for server in &facts.servers {
        let settings = judge::live_settings(server);
        judge::server::judge(server, &settings, judgement);
        judge::channel::judge(server, &settings, judgement);
        judge::accounts::judge(server, judgement);
    }
    ends(&facts.servers, judgement);
}

/// BLR070.
fn ends(servers: &[ServerFacts], judgement: &mut Judgement) {
    let topology = super::topology::live::of_servers(servers);
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
