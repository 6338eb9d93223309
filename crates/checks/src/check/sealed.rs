//! Logs against a seal manifest: BLS015 to BLS017.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::CheckTargets;
use crate::config::server::LogLocations;
use crate::finding::{Finding, RuleId, Severity};
use binlogsec_core::file::location;
use binlogsec_core::file::pipeline::NoProgress;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::error::{Error, describe};
use binlogsec_core::seal::{
    self, Algorithm, Change, LogName, LogVerdict, Manifest, SealVerified, Standing, VerifyOptions,
};
use binlogsec_core::text::path_text;

/// What was seen of the sealed logs, in figures. Lengths, headers and samples were compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SealCounts {
    /// Logs that are as they were sealed.
    pub unchanged: u64,
    /// Logs that are not.
    pub changed: u64,
    /// Sealed logs that are not there.
    pub missing: u64,
    /// Logs that are not sealed.
    pub unsealed: u64,
    /// When the oldest log that is not sealed was last written, in seconds since 1970 UTC.
    pub oldest_unsealed: Option<u64>,
}

/// What a manifest says of the logs below the paths that are checked.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    pub(super) counts: SealCounts,
    pub(super) findings: Vec<Finding>,
    pub(super) failures: Vec<Error>,
}

/// Compares lengths, headers and samples.
pub(super) fn look(manifest: &Manifest, targets: &CheckTargets, keys: &Keyring) -> Sealed {
    let mut paths = targets.paths.clone();
    paths.extend(targets.locations.iter().flat_map(LogLocations::directories));
    let options = VerifyOptions { quick: true, ..VerifyOptions::default() };
    let mut sealed = Sealed::default();
    let verified = match seal::verify(manifest, &paths, keys, &options, &NoProgress) {
        Ok(verified) => verified,
        Err(error) => {
            let (message, class) = (describe(&error), error.class());
            sealed.failures.push(Error::Reported { message, class });
            return sealed;
        }
    };
    let commands = Commands::new(manifest, &paths, keys);
    for log in &verified.logs {
        sealed.count(log);
        if let Some(finding) = judge(log, &verified, manifest) {
            sealed.findings.push(commands.remedy(finding));
        }
    }
    // What cannot be read the scan has told.
    sealed
}

impl Sealed {
    fn count(&mut self, log: &LogVerdict) {
        let counts = &mut self.counts;
        let count = match log.standing {
            Standing::Unchanged => &mut counts.unchanged,
            Standing::Changed => &mut counts.changed,
            Standing::Missing => &mut counts.missing,
            Standing::Added | Standing::Unsealed => {
                let written = log.path.as_deref().and_then(written);
                let oldest = counts.oldest_unsealed.into_iter().chain(written).min();
                counts.oldest_unsealed = oldest;
                &mut counts.unsealed
            }
            Standing::Purged | Standing::Failed => return,
        };
        *count = count.saturating_add(1);
    }
}

/// When a file was last written; of an object nothing is asked.
fn written(path: &Path) -> Option<u64> {
    let metadata = (!location::is_url(path)).then(|| path.metadata().ok())??;
    let since = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

fn judge(log: &LogVerdict, all: &SealVerified, manifest: &Manifest) -> Option<Finding> {
    let changes: Vec<_> = log.changes.iter().map(ToString::to_string).collect();
    let of_manifest = path_text::text(manifest.path());
    let path = log.path.as_deref().unwrap_or(Path::new(log.name.as_str()));
    let new = |rule, message: String| {
        Finding::new(rule, path, message).related_to([manifest.path().to_owned()])
    };
    match log.standing {
        Standing::Changed => {
            let finding = new(RuleId::Bls016, changes.join("; "));
            let range = log.changes.iter().find_map(|change| match change {
                Change::Bytes(range) => Some(*range),
                _ => None,
            });
            Some(match range {
                Some(range) => finding.seen_at(
                    range.start,
                    range.end.saturating_sub(range.start),
                    "the first chunks that are not as they were sealed",
                ),
                None => finding,
            })
        }
        Standing::Missing => {
            Some(new(RuleId::Bls017, format!("sealed in {of_manifest}, and not there")))
        }
        Standing::Added => Some(new(RuleId::Bls015, changes.join("; ")).weighing(Severity::Error)),
        Standing::Unsealed => {
            let finding = new(RuleId::Bls015, format!("not sealed in {of_manifest}"));
            let is_last = is_last(&log.name, all);
            Some(if is_last { finding.weighing(Severity::Note) } else { finding })
        }
        Standing::Unchanged | Standing::Purged | Standing::Failed => None,
    }
}

/// Whether no log of the series has a higher number: its server may be writing it.
fn is_last(name: &LogName, all: &SealVerified) -> bool {
    let Some((base, number)) = name.series() else {
        return false;
    };
    let of_series = all.logs.iter().filter_map(|log| log.name.series());
    !of_series.into_iter().any(|(of, other)| of == base && other > number)
}

/// Commands that take the paths of this check.
struct Commands {
    seal: String,
    verify: String,
}

impl Commands {
    fn new(manifest: &Manifest, paths: &[PathBuf], keys: &Keyring) -> Self {
        let quoted: Vec<_> = paths.iter().map(|path| path_text::quoted(path)).collect();
        let (paths, manifest_path) = (quoted.join(" "), path_text::quoted(manifest.path()));
        let mut keyrings = String::new();
        for file in keys.files() {
            keyrings.push_str(" --keyring ");
            keyrings.push_str(&path_text::quoted(file.path()));
        }
        if keyrings.is_empty() {
            keyrings.push_str(" --keyring KEYRING");
        }
        let (how, proof) = match manifest.signed_by().0 {
            Algorithm::Hmac => ("--hmac", ""),
            Algorithm::Ed25519 => ("--sign-key PRIVATE-KEY", " --public-key PUBLIC-KEY"),
        };
        Self {
            seal: format!("binlogsec seal {paths} -o {manifest_path} {how}{keyrings}"),
            verify: format!("binlogsec seal verify {manifest_path} {paths}{keyrings}{proof}"),
        }
    }

    fn remedy(&self, finding: Finding) -> Finding {
        let is_added = finding.severity == Severity::Error;
        let command = match finding.rule {
            RuleId::Bls015 if !is_added => &self.seal,
            _ => &self.verify,
        };
        finding.remedied_by(command.clone())
    }
}
