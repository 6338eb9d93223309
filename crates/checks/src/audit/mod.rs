//! Is a replication set-up private from end to end?
//!
//! Facts are collected first ([`facts`]): from option files, a data directory and certificates, and
//! from live servers. [`topology`] joins the servers to who replicates from whom. Judges turn facts
//! into findings; the same rule is used whether a fact came from a file or from a server.

pub mod areas;
pub mod before;
mod certificates;
mod cluster;
mod data_directory;
pub mod facts;
mod files;
mod judge;
mod key_stores;
pub mod live;
mod merge;
mod offline;
mod options;
mod pem;
pub mod plan;
mod revocation;
mod servers;
mod sql;
pub mod topology;
mod versions;
mod x509;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::option_file::OptionFile;
use crate::finding::{self, Baseline, Finding, Policy, RuleId};
use areas::AreaResult;
use before::Before;
use binlogsec_core::file::pipeline::Progress;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::error::Error;
use facts::AuditFacts;
use facts::settings::Product;
use judge::Judgement;
use live::{Credentials, ServerAddress};
pub use merge::{Part, merge};
use topology::Topology;

/// What to audit.
#[derive(Debug, Clone, Default)]
pub struct AuditTargets {
    /// Servers whose files are at hand.
    pub files: Vec<FileTarget>,
    /// Live servers.
    pub servers: Vec<LiveTarget>,
}

/// The files of one server.
#[derive(Debug, Clone, Default)]
pub struct FileTarget {
    /// Its option file, with what that includes.
    pub options: Option<NamedOptions>,
    /// Its data directory; outweighs that of the option file.
    pub data_directory: Option<PathBuf>,
    /// Product and version, where the files do not say themselves.
    pub product: Option<Product>,
    /// Configuration of the NDB Cluster that it is an SQL node of (`config.ini`).
    pub cluster: Option<NamedCluster>,
    /// Its own keys; those of the whole run prove its logs otherwise.
    pub keys: Option<Arc<Keyring>>,
    /// The live server whose files these are, by its address as reports have it.
    pub of_server: Option<String>,
}

/// A live server, and as whom to ask it.
#[derive(Debug, Clone)]
pub struct LiveTarget {
    /// Where it is.
    pub address: ServerAddress,
    /// As whom.
    pub credentials: Arc<Credentials>,
}

/// Option files that were read.
#[derive(Debug, Clone)]
pub struct NamedOptions {
    /// The first of them.
    pub path: PathBuf,
    /// What they say.
    pub file: OptionFile,
}

/// The configuration of an NDB Cluster, read.
#[derive(Debug, Clone)]
pub struct NamedCluster {
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// How to audit.
#[derive(Debug)]
pub struct AuditOptions {
    /// What the site demands.
    pub policy: Policy,
    /// What is known and accepted.
    pub baseline: Baseline,
    /// When certificates and the baseline are judged.
    pub now: Timestamp,
    /// What servers were like before.
    pub before: Option<Before>,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            baseline: Baseline::default(),
            now: Timestamp::now(),
            before: None,
        }
    }
}

/// What an audit found.
#[derive(Debug, Default)]
pub struct AuditOutcome {
    /// The worst first, then by rule and subject.
    pub findings: Vec<Finding>,
    /// The rules that something was held against, with or without a finding.
    pub applied: BTreeSet<RuleId>,
    /// What was collected.
    pub facts: AuditFacts,
    /// Who replicates from whom.
    pub topology: Topology,
    /// What each area of each server comes to: in order, not, or not examined.
    pub areas: Vec<AreaResult>,
    /// What could not be done at all.
    pub failures: Vec<Error>,
}

/// What was collected and judged so far.
#[derive(Debug, Default)]
struct Work {
    facts: AuditFacts,
    judgement: Judgement,
    failures: Vec<Error>,
}

/// Audits everything that `targets` stand for; `keys` prove that logs are encrypted.
#[must_use]
pub fn audit(
    targets: &AuditTargets,
    keys: &Keyring,
    options: &AuditOptions,
    progress: &dyn Progress,
) -> AuditOutcome {
    let mut work = Work::default();
    for target in &targets.files {
        offline::examine(&mut work, target, keys, options, progress);
    }
    servers::collect(&mut work, targets);
    finish(work, options)
}

/// Judges what was collected, and joins it.
fn finish(mut work: Work, options: &AuditOptions) -> AuditOutcome {
    let live = servers::judge(&mut work, options.now);
    if let Some(before) = &options.before {
        before::judge(before, &work.facts.servers, &mut work.judgement);
    }
    areas::judge(&mut work);
    let areas = areas::of(&work.facts, &work.judgement.findings);
    let mut topology = topology::with_files(live, &work.facts);
    areas::weigh(&mut topology, &areas);
    let Work { facts, judgement: Judgement { findings, applied }, failures } = work;
    let today = options.now.to_zoned(TimeZone::UTC).date();
    AuditOutcome {
        findings: finding::weigh(findings, &options.policy, &options.baseline, today),
        applied,
        topology,
        areas,
        facts,
        failures,
    }
}
