//! Proves from the bytes on disk that every log is encrypted.
//!
//! Targets (files, directories, indexes, a server's configuration) are scanned in one pass: the
//! first bytes of each file, and nothing more of it. What is out of order becomes a [`Finding`];
//! of each log little is kept ([`facts`]), so that logs can be judged against each other
//! ([`judge`]). Memory grows with the logs and findings, by some two hundred bytes each, and not
//! with the other files.
//!
//! ```
//! use binlogsec_checks::{CheckOptions, CheckTargets, check};
//! use binlogsec_core::file::pipeline::NoProgress;
//! use binlogsec_core::Keyring;
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path();
//! std::fs::write(path.join("binlog.000001"), b"")?;
//! let targets = CheckTargets { paths: vec![path.to_owned()], ..CheckTargets::default() };
//! let outcome = check(&targets, &Keyring::new(), &CheckOptions::default(), &NoProgress);
//! assert_eq!(outcome.findings[0].rule.to_string(), "BLS009"); // empty, so nothing is proven
//! # Ok::<(), std::io::Error>(())
//! ```

mod content;
pub mod facts;
mod judge;
mod keyring_files;
mod objects;
mod scan;
mod sealed;
mod settle;
pub mod targets;

pub use facts::Facts;
pub use judge::judge;
pub use sealed::SealCounts;
pub use targets::{CheckTargets, Selection};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rayon::slice::ParallelSliceMut;
use serde::{Deserialize, Serialize};

use crate::finding::{self, Baseline, Finding, Policy};
use binlogsec_core::batch::shard::Shard;
use binlogsec_core::file::pipeline::Progress;
use binlogsec_core::file::tree::{self, WalkOptions};
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::error::{Error, describe};
use binlogsec_core::seal::Manifest;
use binlogsec_core::text::path_text;
use facts::ServerFacts;
use scan::{Collected, Scan};
use targets::Roots;

/// How to check.
#[derive(Debug)]
pub struct CheckOptions {
    /// Follow symbolic links within directories, out of the tree as well.
    pub follow: bool,
    /// Which files of directories count.
    pub selection: Selection,
    /// What the site demands.
    pub policy: Policy,
    /// What is known and accepted.
    pub baseline: Baseline,
    /// The day on which the baseline is judged.
    pub today: Date,
    /// Look at the files of one shard alone. What takes more than one file is not judged then:
    /// [`merge`] does it for all shards together.
    pub shard: Option<Shard>,
    /// A seal manifest, which is proven: logs are held against it, by lengths, headers and samples.
    pub sealed: Option<Manifest>,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            follow: false,
            selection: Selection::default(),
            policy: Policy::default(),
            baseline: Baseline::default(),
            today: Timestamp::now().to_zoned(TimeZone::UTC).date(),
            shard: None,
            sealed: None,
        }
    }
}

/// What was seen, in figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counts {
    /// Files that were looked at.
    pub files: u64,
    /// Files of these that are no logs.
    pub other_files: u64,
    /// Files and directories that could not be read.
    pub unreadable: u64,
    /// Symbolic links that were not followed.
    pub links: u64,
    /// Devices, pipes and sockets, which are never opened.
    pub special_files: u64,
    /// Files that were removed between listing and opening.
    pub vanished: u64,
    /// Bytes that were read.
    pub bytes_read: u64,
    /// Size of all logs together.
    pub log_bytes: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        let Self {
            files,
            other_files,
            unreadable,
            links,
            special_files,
            vanished,
            bytes_read,
            log_bytes,
        } = self;
        for (count, more) in [
            (files, other.files),
            (other_files, other.other_files),
            (unreadable, other.unreadable),
            (links, other.links),
            (special_files, other.special_files),
            (vanished, other.vanished),
            (bytes_read, other.bytes_read),
            (log_bytes, other.log_bytes),
        ] {
            *count = count.saturating_add(more);
        }
    }

    const fn count_file(&mut self) {
        self.files = self.files.saturating_add(1);
    }

    fn count_read(&mut self, bytes: usize) {
        self.bytes_read = self.bytes_read.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

/// What a check found.
#[derive(Debug)]
pub struct CheckOutcome {
    /// The worst first, and by path.
    pub findings: Vec<Finding>,
    /// What is known of each log and what belongs to it, by path.
    pub facts: Facts,
    /// What was seen.
    pub counts: Counts,
    /// What could not be done at all: names that are not there, sources of keys that failed.
    pub failures: Vec<Error>,
    /// Whether a source of keys was given.
    pub with_keys: bool,
    /// Which shard it was, if it was one.
    pub shard: Option<Shard>,
    /// When it began; of several shards together, when the first of them began.
    pub time: Timestamp,
    /// What was seen of sealed logs, if a manifest was given.
    pub sealed: Option<SealCounts>,
}

impl CheckOutcome {
    /// Whether no file was there to look at.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.counts.files == 0
    }
}

/// Checks everything that `targets` stand for, on the threads of the current rayon pool.
#[must_use]
pub fn check(
    targets: &CheckTargets,
    keys: &Keyring,
    options: &CheckOptions,
    progress: &dyn Progress,
) -> CheckOutcome {
    let time = Timestamp::now();
    let mut roots = Roots::new(targets);
    let failures = std::mem::take(&mut roots.failures);
    let mut scan = Scan::new(keys, options, &roots, progress);
    scan.expect_named();
    let walk = WalkOptions { follow: options.follow };
    tree::walk(&roots.directories, walk, &scan);
    scan.prefixes();
    scan.left();
    scan.keyrings();
    let mut collected = scan.into_collected();
    let purged = settle::settle(&mut collected.facts);
    collected.counts.vanished = collected.counts.vanished.saturating_add(purged);
    collected.failures.splice(0..0, failures);
    spread_server(targets, &mut collected.facts);
    let sealed = options.sealed.as_ref().map(|manifest| sealed::look(manifest, targets, keys));
    let counts = sealed.map(|sealed| {
        collected.findings.extend(sealed.findings);
        collected.failures.extend(sealed.failures);
        sealed.counts
    });
    CheckOutcome { sealed: counts, ..finish(collected, !keys.is_empty(), options, time) }
}

/// Puts together what the shards of one run found, and judges logs of all of them against each
/// other.
#[must_use]
pub fn merge(shards: Vec<CheckOutcome>, options: &CheckOptions) -> CheckOutcome {
    let mut all = Collected::default();
    let with_keys = shards.iter().any(|shard| shard.with_keys);
    let first = shards.iter().map(|shard| shard.time).min();
    let time = first.unwrap_or_else(Timestamp::now);
    for shard in shards {
        all.append(Collected {
            facts: shard.facts,
            findings: shard.findings,
            counts: shard.counts,
            failures: shard.failures,
        });
    }
    finish(all, with_keys, options, time)
}

/// What auto.cnf in the data directory says is true of the other directories of that server.
fn spread_server(targets: &CheckTargets, facts: &mut Facts) {
    let Some(locations) = &targets.locations else {
        return;
    };
    let text = path_text::text(&locations.data_directory);
    let mut servers = facts.servers.iter();
    let Some(server) = servers.find(|server| server.directory == text).cloned() else {
        return;
    };
    let former = locations.former_directories.iter().cloned();
    for directory in locations.directories().into_iter().chain(former) {
        facts.servers.push(ServerFacts {
            directory: path_text::text(&directory),
            server_uuid: server.server_uuid.clone(),
        });
    }
}

fn finish(
    collected: Collected,
    with_keys: bool,
    options: &CheckOptions,
    time: Timestamp,
) -> CheckOutcome {
    let Collected { mut facts, mut findings, counts, mut failures } = collected;
    facts.logs.par_sort_unstable_by(|one, other| one.path.cmp(&other.path));
    facts.indexes.sort_by(|one, other| one.path.cmp(&other.path));
    facts.keyrings.sort_by(|one, other| one.path.cmp(&other.path));
    facts.servers.sort_by(|one, other| one.directory.cmp(&other.directory));
    facts.servers.dedup();
    // Each once: one cause has one message for all logs that it touches.
    failures.sort_by_cached_key(|failure| describe(failure));
    failures.dedup_by_key(|failure| describe(failure));
    if options.shard.is_none() {
        findings.extend(judge(&facts, &options.policy));
    }
    let findings = finding::weigh(findings, &options.policy, &options.baseline, options.today);
    let (shard, sealed) = (options.shard, None);
    CheckOutcome { findings, facts, counts, failures, with_keys, shard, time, sealed }
}
