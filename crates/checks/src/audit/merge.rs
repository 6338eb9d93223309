//! Reports of several runs, put together as if one run had looked at everything.

use super::facts::server::ServerFacts;
use super::facts::{AuditFacts, FileFacts};
use super::{AuditOptions, AuditOutcome, Work, finish};
use crate::finding::{Finding, RuleId, Subject};
use binlogsec_core::log::error::Error;

/// What one report says.
#[derive(Debug, Default)]
pub struct Part {
    /// What was collected.
    pub facts: AuditFacts,
    /// What was found.
    pub findings: Vec<Finding>,
    /// The rules that something was held against.
    pub applied: Vec<RuleId>,
    /// What could not be done.
    pub failures: Vec<Error>,
}

/// One outcome of many reports, the later of one server, or of its files, in place of the earlier. Live servers are judged
/// anew, as the ends of a channel may stand in two reports; what files showed is taken as it was
/// found, and weighed by the policy and the baseline of `options`.
#[must_use]
pub fn merge(parts: Vec<Part>, options: &AuditOptions) -> AuditOutcome {
    let mut work = Work::default();
    for part in parts {
        let owners: Vec<_> = part.facts.all_files().filter_map(FileFacts::name).collect();
        let is_old =
            |finding: &Finding| finding.owner.as_ref().is_some_and(|it| owners.contains(it));
        work.judgement.findings.retain(|finding| !is_old(finding));
        let AuditFacts { files, more_files, servers } = part.facts;
        std::iter::once(files).chain(more_files).for_each(|files| work.facts.add_files(files));
        servers.into_iter().for_each(|server| put(&mut work.facts.servers, server));
        let kept = part.findings.into_iter().filter(|finding| {
            matches!(finding.subject, Subject::File { .. }) || finding.rule == RuleId::Blr068
        });
        work.judgement.findings.extend(kept);
        work.judgement.applied.extend(part.applied);
        work.failures.extend(part.failures);
    }
    finish(work, options)
}

/// Adds a server, or puts it in the place of what an earlier report said of it.
fn put(servers: &mut Vec<ServerFacts>, server: ServerFacts) {
    let is_same = |known: &&mut ServerFacts| {
        known.address == server.address
            || known.server_uuid.is_some() && known.server_uuid == server.server_uuid
    };
    match servers.iter_mut().find(is_same) {
        Some(known) => *known = server,
        None => servers.push(server),
    }
}
