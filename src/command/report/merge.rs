//! Reports of the shards of one run, read back and put together.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::command::audit::saved::SavedAudit;
use crate::command::check::saved::SavedCheck;
use crate::command::inspect::report::InspectReport;
use crate::command::seal::report::SealVerifyReport;
use crate::command::verify::report::VerifyReport;
use crate::shard::entry::ShardEntry;
use crate::shard::saved::SavedReport;
use binlogsec_checks::audit::Part;
use binlogsec_checks::check::CheckOutcome;
use binlogsec_core::batch::shard::ShardError;
use binlogsec_core::event::gtid_set::GtidError;

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
    Shard(Box<ShardPart>),
    /// Of an audit, which has no shards: of other servers, or of another time.
    Audit(AuditPart),
}

/// The report of an audit.
#[derive(Debug)]
pub(crate) struct AuditPart {
    path: PathBuf,
    time: Timestamp,
    part: Box<Part>,
}

/// The report of one shard.
#[derive(Debug)]
pub(crate) struct ShardPart {
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

impl Saved {
    /// Reads the report of a shard.
    ///
    /// # Errors
    /// [`MergeError`] when it is none.
    pub(crate) fn parse(bytes: Vec<u8>, path: PathBuf) -> Result<Self, MergeError> {
        let malformed = |source| MergeError::Malformed { path: path.clone(), source };
        let saved = SavedReport::parse(bytes).map_err(malformed)?;
        if saved.head.schema == "binlogsec.audit/1" {
            let body: SavedAudit = saved.body().map_err(malformed)?;
            let time = body.time;
            let part = Box::new(body.part().map_err(malformed)?);
            return Ok(Self::Audit(AuditPart { path, time, part }));
        }
        let part =
            saved.part().map_err(|source| MergeError::Shard { path: path.clone(), source })?;
        let Some(part) = part else { return Err(MergeError::NoShard { path }) };
        let body = match saved.head.schema.as_str() {
            "binlogsec.check/1" => {
                let body: SavedCheck = saved.body().map_err(malformed)?;
                Body::Check(Box::new(body.outcome(part).map_err(malformed)?))
            }
            "binlogsec.inspect/1" => Body::Inspect(saved.body().map_err(malformed)?),
            "binlogsec.verify/1" => Body::Verify(saved.body().map_err(malformed)?),
            "binlogsec.seal-verify/1" => Body::SealVerify(saved.body().map_err(malformed)?),
            _ => return Err(MergeError::Schema { path, schema: saved.head.schema }),
        };
        let Some(shard) = saved.head.shard else { return Err(MergeError::NoShard { path }) };
        Ok(Self::Shard(Box::new(ShardPart { path, shard, body })))
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
        // All are of one command: that was looked at.
        let (mut checks, mut inspects) = (Vec::new(), Vec::new());
        let (mut verifies, mut seals) = (Vec::new(), Vec::new());
        for report in reports {
            match report.body {
                Body::Check(outcome) => checks.push(*outcome),
                Body::Inspect(report) => inspects.push(report),
                Body::Verify(report) => verifies.push(report),
                Body::SealVerify(report) => seals.push(*report),
            }
        }
        Ok(if !inspects.is_empty() {
            Self::Inspect(inspects)
        } else if !verifies.is_empty() {
            Self::Verify(verifies)
        } else if !seals.is_empty() {
            Self::SealVerify(seals)
        } else {
            Self::Check(checks)
        })
    }
}

/// The reports are sorted by their numbers.
fn check_set(reports: &[ShardPart]) -> Result<(), MergeError> {
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
