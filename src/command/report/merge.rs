//! Reports of the shards of one run, read back and put together.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;

use crate::command::inspect::report::InspectReport;
use crate::command::seal::report::SealVerifyReport;
use crate::command::verify::report::VerifyReport;
use crate::log_entry::Failure;
use crate::shard::entry::ShardEntry;
use binlogsec_checks::audit::Part;
use binlogsec_checks::audit::facts::AuditFacts;
use binlogsec_checks::check::facts::{Facts, IndexFacts, KeyringFacts, LogFacts, ServerFacts};
use binlogsec_checks::check::{CheckOutcome, Counts};
use binlogsec_checks::finding::rules::Language;
use binlogsec_checks::finding::{Evidence, Finding, Remedy, Severity, Subject};
use binlogsec_core::batch::shard::{Shard, ShardError};
use binlogsec_core::event::gtid_set::GtidError;
use binlogsec_core::log::error::Error;
use binlogsec_core::text::path_text;

/// Missing shards that are named one by one.
const MOST_NAMED: usize = 20;

/// Why reports cannot be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum MergeError {
    /// No JSON, or not what a report has.
    #[error("{} is no report that can be read", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// Of a command whose reports are not merged, or of a version that is not known.
    #[error(
        "{} is a report {schema:?}; those of check, audit, inspect, verify and seal verify can be merged, version 1",
        path.display()
    )]
    Schema {
        /// Which file.
        path: PathBuf,
        /// What it says it is.
        schema: String,
    },
    /// Reports of audits beside those of another command.
    #[error("{} is a report of audit, and {} is none", path.display(), other.display())]
    Mixed {
        /// A report of an audit.
        path: PathBuf,
        /// Another one.
        other: PathBuf,
    },
    /// The report of a whole run.
    #[error("{} is the report of a whole run: there is nothing to merge it with", path.display())]
    NoShard {
        /// Which file.
        path: PathBuf,
    },
    /// A shard that cannot be.
    #[error("{}", path.display())]
    Shard {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: ShardError,
    },
    /// Two runs, or two commands.
    #[error(
        "{} is of another run than {}: {what} differ",
        path.display(),
        first.display()
    )]
    OtherRun {
        /// Which file.
        path: PathBuf,
        /// The one that it was compared with.
        first: PathBuf,
        /// In what they differ.
        what: &'static str,
    },
    /// The policy of the merge is not that of the shards.
    #[error(
        "{} was made under another policy than this merge has: name the same one by --policy",
        path.display()
    )]
    OtherPolicy {
        /// Which file.
        path: PathBuf,
    },
    /// One shard twice.
    #[error("{} and {} are both of shard {index}", first.display(), second.display())]
    Doubled {
        /// Which shard.
        index: u32,
        /// One report of it.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
    },
    /// Not all of them.
    #[error("of {count} shards {} missing: {missing}", if *.number == 1 { "one is" } else { "some are" })]
    Missing {
        /// How many there should be.
        count: u32,
        /// How many are not there.
        number: usize,
        /// Their numbers; the first of them if there are many.
        missing: String,
    },
    /// A set of GTIDs that is none.
    #[error("a report has a GTID set that cannot be read")]
    Gtids(#[from] GtidError),
}

/// The report of one shard, or of an audit, and where it came from.
#[derive(Debug)]
pub(crate) enum Saved {
    /// Of a shard.
    Shard(Box<SavedShard>),
    /// Of an audit, which has no shards: of other servers, or of another time.
    Audit(SavedAudit),
}

/// The report of an audit.
#[derive(Debug)]
pub(crate) struct SavedAudit {
    path: PathBuf,
    time: Timestamp,
    part: Box<Part>,
}

/// The report of one shard.
#[derive(Debug)]
pub(crate) struct SavedShard {
    path: PathBuf,
    shard: ShardEntry,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Check(Box<CheckOutcome>),
    Inspect(InspectReport),
    Verify(VerifyReport),
    SealVerify(Box<SealVerifyReport>),
}

/// All reports of one run, by the command that made them.
#[derive(Debug)]
pub(crate) enum Run {
    /// Of `check`: what each shard found.
    Check(Vec<CheckOutcome>),
    /// Of `inspect`.
    Inspect(Vec<InspectReport>),
    /// Of `verify`.
    Verify(Vec<VerifyReport>),
    /// Of `seal verify`.
    SealVerify(Vec<SealVerifyReport>),
    /// Of `audit`, the earliest first.
    Audit(Vec<Part>),
}

#[derive(Deserialize)]
struct SavedAuditReport {
    time: Timestamp,
    findings: Vec<SavedFinding>,
    applied: Vec<String>,
    facts: AuditFacts,
    failures: Vec<Failure>,
}

#[derive(Deserialize)]
struct Head {
    schema: String,
    shard: Option<ShardEntry>,
}

#[derive(Deserialize)]
struct SavedCheck {
    time: Timestamp,
    findings: Vec<SavedFinding>,
    files: Vec<LogFacts>,
    indexes: Vec<IndexFacts>,
    servers: Vec<ServerFacts>,
    keyrings: Vec<KeyringFacts>,
    failures: Vec<Failure>,
    summary: SavedSummary,
}

#[derive(Deserialize)]
struct SavedSummary {
    with_keys: bool,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Deserialize)]
struct SavedFinding {
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

impl Saved {
    /// Reads the report of a shard.
    ///
    /// # Errors
    /// [`MergeError`] when it is none.
    pub(crate) fn parse(bytes: &[u8], path: PathBuf) -> Result<Self, MergeError> {
        let malformed = |source| MergeError::Malformed { path: path.clone(), source };
        let Head { schema, shard } = serde_json::from_slice(bytes).map_err(malformed)?;
        if schema == "binlogsec.audit/1" {
            let saved: SavedAuditReport = serde_json::from_slice(bytes).map_err(malformed)?;
            let time = saved.time;
            let part = Box::new(saved.part().map_err(malformed)?);
            return Ok(Self::Audit(SavedAudit { path, time, part }));
        }
        let Some(shard) = shard else {
            return Err(MergeError::NoShard { path });
        };
        let part = Shard::new(shard.index, shard.count)
            .map_err(|source| MergeError::Shard { path: path.clone(), source })?;
        let body = match schema.as_str() {
            "binlogsec.check/1" => {
                let saved: SavedCheck = serde_json::from_slice(bytes).map_err(malformed)?;
                Body::Check(Box::new(saved.outcome(part).map_err(malformed)?))
            }
            "binlogsec.inspect/1" => {
                Body::Inspect(serde_json::from_slice(bytes).map_err(malformed)?)
            }
            "binlogsec.verify/1" => Body::Verify(serde_json::from_slice(bytes).map_err(malformed)?),
            "binlogsec.seal-verify/1" => {
                Body::SealVerify(serde_json::from_slice(bytes).map_err(malformed)?)
            }
            _ => return Err(MergeError::Schema { path, schema }),
        };
        Ok(Self::Shard(Box::new(SavedShard { path, shard, body })))
    }
}

impl Saved {
    /// The report of a shard; `None` where it is that of an audit.
    #[must_use]
    pub(crate) fn into_shard(self) -> Option<SavedShard> {
        match self {
            Self::Shard(shard) => Some(*shard),
            Self::Audit(_) => None,
        }
    }
}

impl SavedShard {
    /// Which part of which run it is.
    #[must_use]
    pub(crate) const fn shard(&self) -> &ShardEntry {
        &self.shard
    }

    /// When its run began; `None` where the report does not say.
    #[must_use]
    pub(crate) fn time(&self) -> Option<Timestamp> {
        match &self.body {
            Body::Check(outcome) => Some(outcome.time),
            _ => None,
        }
    }

    /// What `check` found; `None` when it is the report of another command.
    #[must_use]
    pub(crate) fn into_check(self) -> Option<CheckOutcome> {
        match self.body {
            Body::Check(outcome) => Some(*outcome),
            _ => None,
        }
    }

    /// What `inspect` reported.
    #[must_use]
    pub(crate) fn into_inspect(self) -> Option<InspectReport> {
        match self.body {
            Body::Inspect(report) => Some(report),
            _ => None,
        }
    }

    /// What `verify` reported.
    #[must_use]
    pub(crate) fn into_verify(self) -> Option<VerifyReport> {
        match self.body {
            Body::Verify(report) => Some(report),
            _ => None,
        }
    }
}

impl SavedShard {
    /// What `seal verify` reported.
    #[must_use]
    pub(crate) fn into_seal_verify(self) -> Option<SealVerifyReport> {
        match self.body {
            Body::SealVerify(report) => Some(*report),
            _ => None,
        }
    }
}

fn reported(failure: Failure) -> Error {
    Error::Reported { message: failure.message, class: failure.class }
}

impl SavedAuditReport {
    fn part(self) -> Result<Part, serde_json::Error> {
        let applied = self.applied.iter().map(|id| id.parse().map_err(serde::de::Error::custom));
        Ok(Part {
            facts: self.facts,
            findings: self
                .findings
                .into_iter()
                .map(SavedFinding::finding)
                .collect::<Result<_, _>>()?,
            applied: applied.collect::<Result<_, _>>()?,
            failures: self.failures.into_iter().map(reported).collect(),
        })
    }
}

impl SavedCheck {
    fn outcome(self, shard: Shard) -> Result<CheckOutcome, serde_json::Error> {
        let findings = self.findings.into_iter().map(SavedFinding::finding);
        Ok(CheckOutcome {
            sealed: None,
            findings: findings.collect::<Result<_, _>>()?,
            facts: Facts {
                logs: self.files,
                indexes: self.indexes,
                servers: self.servers,
                keyrings: self.keyrings,
            },
            counts: self.summary.counts,
            failures: self.failures.into_iter().map(reported).collect(),
            with_keys: self.summary.with_keys,
            shard: Some(shard),
            time: self.time,
        })
    }
}

impl SavedFinding {
    fn finding(self) -> Result<Finding, serde_json::Error> {
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

impl Run {
    /// Demands that the reports are those of all shards of one run, each once; `policy` stands for
    /// what the merge judges by.
    ///
    /// # Errors
    /// [`MergeError`] says which report does not belong here, or which is missing.
    pub(crate) fn of(saved: Vec<Saved>, policy: Option<&str>) -> Result<Self, MergeError> {
        let (mut reports, mut audits) = (Vec::new(), Vec::new());
        for one in saved {
            match one {
                Saved::Shard(shard) => reports.push(*shard),
                Saved::Audit(audit) => audits.push(audit),
            }
        }
        if let (Some(audit), Some(other)) = (audits.first(), reports.first()) {
            return Err(MergeError::Mixed { path: audit.path.clone(), other: other.path.clone() });
        }
        if !audits.is_empty() {
            audits.sort_by_key(|saved| saved.time);
            return Ok(Self::Audit(audits.into_iter().map(|saved| *saved.part).collect()));
        }
        reports.sort_by_key(|saved| saved.shard.index);
        check_set(&reports)?;
        if let Some(other) = reports.iter().find(|saved| saved.shard.policy.as_deref() != policy) {
            return Err(MergeError::OtherPolicy { path: other.path.clone() });
        }
        Ok(match reports.first().map(|saved| &saved.body) {
            None | Some(Body::Check(_)) => {
                Self::Check(reports.into_iter().filter_map(SavedShard::into_check).collect())
            }
            Some(Body::Inspect(_)) => {
                Self::Inspect(reports.into_iter().filter_map(SavedShard::into_inspect).collect())
            }
            Some(Body::Verify(_)) => {
                Self::Verify(reports.into_iter().filter_map(SavedShard::into_verify).collect())
            }
            Some(Body::SealVerify(_)) => Self::SealVerify(
                reports.into_iter().filter_map(SavedShard::into_seal_verify).collect(),
            ),
        })
    }
}

/// The reports are sorted by their numbers.
fn check_set(reports: &[SavedShard]) -> Result<(), MergeError> {
    let Some(first) = reports.first() else {
        return Ok(());
    };
    for saved in reports {
        let what = if std::mem::discriminant(&saved.body) != std::mem::discriminant(&first.body) {
            "the commands"
        } else if saved.shard.count != first.shard.count {
            "the numbers of shards"
        } else if saved.shard.run != first.shard.run {
            "what was named, or the options,"
        } else if saved.shard.policy != first.shard.policy {
            "the policies"
        } else {
            continue;
        };
        return Err(MergeError::OtherRun {
            path: saved.path.clone(),
            first: first.path.clone(),
            what,
        });
    }
    for (one, other) in reports.iter().zip(reports.iter().skip(1)) {
        if one.shard.index == other.shard.index {
            return Err(MergeError::Doubled {
                index: one.shard.index,
                first: one.path.clone(),
                second: other.path.clone(),
            });
        }
    }
    let there: std::collections::BTreeSet<_> =
        reports.iter().map(|saved| saved.shard.index).collect();
    let missing = || (0..first.shard.count).filter(|index| !there.contains(index));
    let number = missing().count();
    if number == 0 {
        return Ok(());
    }
    let mut named: Vec<_> = missing().take(MOST_NAMED).map(|index| index.to_string()).collect();
    if number > MOST_NAMED {
        named.push("…".to_owned());
    }
    Err(MergeError::Missing { count: first.shard.count, number, missing: named.join(", ") })
}
