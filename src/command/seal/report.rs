//! The reports of `binlogsec seal`.

use std::borrow::Cow;
use std::path::Path;

use serde::{Deserialize, Serialize};

use binlogsec_core::log::error_class::ErrorClass;
use binlogsec_core::read::verify::Gap;
use binlogsec_core::seal::{
    self, Algorithm, Change, ChunkRange, LeftLog, LogName, LogVerdict, Manifest, Proof, PublicKey,
    SealOutcome, SealVerified, SealedLog, Signer, Standing,
};
use binlogsec_core::text::path_text;

use crate::exit::Exit;
use crate::json;
use crate::lines::plural;
use crate::log_entry::Failure;
use crate::shard::entry::{ShardEntry, failures, in_order};

/// `binlogsec seal --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SealReport<'a> {
    /// `binlogsec.seal/1`.
    pub schema: &'static str,
    /// The manifest.
    pub manifest: String,
    /// `created`, `extended`, or `unchanged` where there was nothing to add.
    pub status: SealStatus,
    /// `hmac-sha256` or `ed25519`.
    pub algorithm: Algorithm,
    /// The key that signs: a key id, or a public key in hexadecimal digits.
    pub key: String,
    /// The logs that were sealed, in order.
    pub sealed: Vec<SealedEntry>,
    /// The logs that were left for another time, but for those that are sealed already.
    pub left: &'a [LeftLog],
    /// What does not join one log to the next.
    pub gaps: &'a [Gap],
    /// Counts.
    pub summary: SealSummary,
}

/// Counts.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SealSummary {
    /// Logs in the manifest now; one that was sealed up to a position first counts for each time.
    pub logs: u64,
    /// Logs that were sealed in this run.
    pub sealed: usize,
    /// Of them, those that are damaged.
    pub damaged: usize,
    /// Logs that were sealed before.
    pub sealed_before: usize,
    /// Logs that were left for another time.
    pub left: usize,
}

/// A log that was sealed.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SealedEntry {
    /// As given, or as found.
    pub path: String,
    /// What it is called in the manifest.
    pub name: String,
    /// Its kind, as `inspect` names it.
    pub kind: String,
    /// Bytes that are sealed, header included.
    pub length: u64,
    /// The plain offset up to which it is sealed; `null` for all of it.
    pub up_to: Option<u64>,
    /// Number of events.
    pub events: u64,
    /// Plain offset of the first damage, if there is any.
    pub damaged_at: Option<u64>,
    /// SHA-256 of the plaintext.
    pub plaintext: String,
}

/// What became of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SealStatus {
    /// It was begun.
    Created,
    /// Logs were added to it.
    Extended,
    /// There was nothing to add.
    Unchanged,
}

impl<'a> SealReport<'a> {
    pub(crate) fn new(outcome: &'a SealOutcome, signer: &Signer) -> Self {
        let sealed: Vec<_> = outcome.sealed.iter().map(SealedEntry::new).collect();
        Self {
            schema: "binlogsec.seal/1",
            manifest: path_text::text(&outcome.manifest),
            status: match (outcome.is_written, outcome.is_new) {
                (true, true) => SealStatus::Created,
                (true, false) => SealStatus::Extended,
                (false, _) => SealStatus::Unchanged,
            },
            algorithm: signer.algorithm(),
            key: signer.key(),
            gaps: &outcome.gaps,
            summary: SealSummary {
                logs: outcome.logs,
                sealed: sealed.len(),
                damaged: sealed.iter().filter(|log| log.damaged_at.is_some()).count(),
                sealed_before: outcome.sealed_before,
                left: outcome.left.len(),
            },
            sealed,
            left: &outcome.left,
        }
    }
}

impl SealedEntry {
    fn new(log: &SealedLog) -> Self {
        Self {
            path: path_text::text(&log.path),
            name: log.name.as_str().to_owned(),
            kind: log.record.kind.clone(),
            length: log.record.length,
            up_to: log.record.up_to,
            events: log.record.events,
            damaged_at: log.record.damaged_at,
            plaintext: log.record.plaintext.to_string(),
        }
    }
}

/// `binlogsec seal verify --format json`.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SealVerifyReport {
    /// `binlogsec.seal-verify/1`.
    pub schema: Cow<'static, str>,
    /// The manifest, and what proves it.
    pub manifest: ManifestEntry,
    /// Whether lengths, headers and samples alone were compared.
    pub quick: bool,
    /// Which part of a run this is, if it is one: headers that two logs share are told when all are
    /// merged.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shard: Option<ShardEntry>,
    /// Each log, by name.
    pub logs: Vec<VerdictEntry>,
    /// What could not be read at all.
    pub failures: Vec<Failure>,
    /// Counts, and what they come to.
    pub summary: SealVerifySummary,
}

/// A manifest.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ManifestEntry {
    /// Where it is.
    pub path: String,
    /// Records of logs in it.
    pub logs: u64,
    /// What proves it, in words: its signature, anchors.
    pub proofs: Vec<String>,
    /// What is missing, where nothing proves it.
    pub unproven: Option<String>,
}

/// One log.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct VerdictEntry {
    /// What it is called in the manifest, or would be.
    pub name: String,
    /// Where it is; `null` where it is not there.
    pub path: Option<String>,
    /// `unchanged`, `changed`, `missing`, `added`, `unsealed` (later than all that is sealed),
    /// `purged` or `failed`.
    pub status: Standing,
    /// What is not as it was.
    pub changes: Vec<ChangeEntry>,
    /// What else there is to say.
    pub notes: Vec<String>,
    /// Chunks that were compared.
    pub chunks_checked: u64,
    /// Chunks that it has.
    pub chunks: u64,
    /// Size of the file in bytes.
    pub size: u64,
    /// SHA-256 of the header, if it is new, and no key has shown that it opens this log.
    pub new_header: Option<String>,
    /// Why it could not be read.
    pub failure: Option<Failure>,
}

/// Something that is not as it was.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ChangeEntry {
    /// In words.
    pub message: String,
    /// Which chunks and bytes, where it is about those.
    pub chunks: Option<ChunkRange>,
}

/// What comes of a manifest and its logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SealVerdict {
    /// All that was looked at is as it was sealed.
    #[default]
    Unchanged,
    /// There are findings.
    Changed,
    /// Logs could not be read.
    Incomplete,
    /// Nothing proves the manifest.
    Unproven,
}

/// Counts.
#[derive(Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SealVerifySummary {
    /// `unchanged`; `changed` where there are findings; `incomplete` where logs could not be read;
    /// `unproven` where nothing proves the manifest.
    pub verdict: SealVerdict,
    /// The same as a sentence.
    pub text: String,
    /// Logs that are as they were sealed.
    pub unchanged: usize,
    /// Logs that are not.
    pub changed: usize,
    /// Sealed logs that are not there.
    pub missing: usize,
    /// Logs that are neither sealed nor later than what is.
    pub added: usize,
    /// Logs that wait to be sealed.
    pub unsealed: usize,
    /// Sealed logs that were purged.
    pub purged: usize,
    /// Logs that could not be read.
    pub failed: usize,
    /// Sealed logs that nobody asked for.
    pub not_looked_at: u64,
}

impl SealVerifyReport {
    pub(crate) fn new(
        manifest: &Manifest,
        (proofs, unproven): (Vec<Proof>, Option<String>),
        verified: &SealVerified,
        quick: bool,
        shard: Option<ShardEntry>,
    ) -> Self {
        let manifest = ManifestEntry {
            path: path_text::text(manifest.path()),
            logs: manifest.logs(),
            proofs: proofs.iter().map(proof_in_words).collect(),
            unproven,
        };
        Self {
            schema: "binlogsec.seal-verify/1".into(),
            quick,
            shard,
            logs: verified.logs.iter().map(VerdictEntry::new).collect(),
            failures: failures(&verified.failures),
            manifest,
            summary: SealVerifySummary::default(),
        }
        .summed(verified.not_looked_at)
    }

    /// One report of those of all shards of a run, with what is told of two logs.
    pub(crate) fn merged(shards: Vec<Self>) -> Option<Self> {
        let mut shards = shards.into_iter();
        let mut whole = shards.next()?;
        let mut not_looked_at = whole.summary.not_looked_at;
        for shard in shards {
            whole.logs.extend(shard.logs);
            whole.failures.extend(shard.failures);
            not_looked_at = not_looked_at.saturating_add(shard.summary.not_looked_at);
        }
        whole.failures = in_order(whole.failures);
        whole.logs.sort_by_cached_key(|log| LogName::new(&log.name));
        let headers: Vec<_> = whole.logs.iter().map(VerdictEntry::header).collect();
        let changes = seal::shared_headers(&headers);
        for (log, change) in whole.logs.iter_mut().zip(changes) {
            if let Some(change) = change {
                log.status = Standing::Changed;
                log.changes.push(ChangeEntry::new(&change));
            }
        }
        whole.shard = None;
        Some(whole.summed(not_looked_at))
    }

    fn summed(mut self, not_looked_at: u64) -> Self {
        self.summary = SealVerifySummary::new(&self, not_looked_at);
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        let of_logs = self.logs.iter().filter_map(|log| log.failure.as_ref());
        let failures = of_logs.chain(&self.failures).map(|failure| failure.class);
        let unproven = self.manifest.unproven.as_ref().map(|_| ErrorClass::Key);
        let sum = &self.summary;
        let findings = sum.changed.saturating_add(sum.missing).saturating_add(sum.added);
        let exit = if findings > 0 { Exit::Findings } else { Exit::Done };
        Exit::worst(failures.chain(unproven)).max(exit)
    }
}

fn proof_in_words(proof: &Proof) -> String {
    match proof {
        Proof::Signature { algorithm, key } => {
            format!("signed with {key} ({})", algorithm.name())
        }
        Proof::Anchor(anchor) => {
            format!("anchored at line {} with {} logs", anchor.line, anchor.logs)
        }
    }
}

impl SealVerifySummary {
    fn new(report: &SealVerifyReport, not_looked_at: u64) -> Self {
        let count =
            |standing: Standing| report.logs.iter().filter(|log| log.status == standing).count();
        let mut sum = Self {
            unchanged: count(Standing::Unchanged),
            changed: count(Standing::Changed),
            missing: count(Standing::Missing),
            added: count(Standing::Added),
            unsealed: count(Standing::Unsealed),
            purged: count(Standing::Purged),
            failed: count(Standing::Failed),
            not_looked_at,
            ..Self::default()
        };
        let findings = sum.changed.saturating_add(sum.missing).saturating_add(sum.added);
        sum.verdict = if findings > 0 {
            SealVerdict::Changed
        } else if sum.failed > 0 || !report.failures.is_empty() {
            SealVerdict::Incomplete
        } else if report.manifest.unproven.is_some() {
            SealVerdict::Unproven
        } else {
            SealVerdict::Unchanged
        };
        sum.text = sum.sentence(report);
        sum
    }

    fn sentence(&self, report: &SealVerifyReport) -> String {
        let mut parts = vec![format!("{} as sealed", plural(self.unchanged, "log"))];
        for (number, words) in [
            (self.changed, "changed"),
            (self.missing, "missing"),
            (self.added, "added"),
            (self.failed, "not readable"),
            (self.unsealed, "not sealed yet"),
            (self.purged, "purged"),
        ] {
            if number > 0 {
                parts.push(format!("{number} {words}"));
            }
        }
        let is_new =
            |log: &&VerdictEntry| log.status == Standing::Unchanged && log.new_header.is_some();
        let new = report.logs.iter().filter(is_new).count();
        if new > 0 {
            parts.push(format!(
                "{new} of them with a new header, which nothing shows to be its log's"
            ));
        }
        if self.not_looked_at > 0 {
            parts.push(format!("{} sealed and not looked at", self.not_looked_at));
        }
        let mut text = format!("{}: {}", json::name(self.verdict).to_uppercase(), parts.join(", "));
        if report.quick {
            text.push_str("; quick: lengths, headers and samples alone were compared");
        }
        if let Some(shard) = &report.shard {
            text.push_str(&format!("; shard {}/{} alone", shard.index, shard.count));
        }
        text
    }
}

impl VerdictEntry {
    fn new(log: &LogVerdict) -> Self {
        Self {
            name: log.name.as_str().to_owned(),
            path: log.path.as_deref().map(path_text::text),
            status: log.standing,
            changes: log.changes.iter().map(ChangeEntry::new).collect(),
            notes: log.notes.iter().map(ToString::to_string).collect(),
            chunks_checked: log.checked,
            chunks: log.chunks,
            size: log.size,
            new_header: log.new_header.map(|header| header.to_string()),
            failure: log
                .failure
                .as_ref()
                .map(|(message, class)| Failure { message: message.clone(), class: *class }),
        }
    }
}

impl VerdictEntry {
    fn header(&self) -> (&str, Option<&str>) {
        (&self.name, self.new_header.as_deref())
    }
}

impl ChangeEntry {
    fn new(change: &Change) -> Self {
        let chunks = match change {
            Change::Bytes(range) => Some(*range),
            _ => None,
        };
        Self { message: change.to_string(), chunks }
    }
}

/// `binlogsec seal anchor --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct AnchorReport {
    /// `binlogsec.seal-anchor/1`.
    pub schema: &'static str,
    /// The manifest.
    pub manifest: String,
    /// The whole line, for `seal verify --anchor`.
    pub anchor: String,
    /// The number of the line that it names, from 1.
    pub line: u64,
    /// Logs up to there.
    pub logs: u64,
    /// SHA-256 of that line: what a time stamp is taken of.
    pub digest: String,
}

impl AnchorReport {
    pub(crate) fn new(manifest: &Manifest) -> Self {
        let anchor = manifest.anchor();
        Self {
            schema: "binlogsec.seal-anchor/1",
            manifest: path_text::text(manifest.path()),
            anchor: anchor.to_string(),
            line: anchor.line,
            logs: anchor.logs,
            digest: anchor.digest.to_string(),
        }
    }
}

/// `binlogsec seal keygen --format json`. Never the private key.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct KeygenReport {
    /// `binlogsec.seal-keygen/1`.
    pub schema: &'static str,
    /// Where the private key is.
    pub private_key: String,
    /// Where the public key is.
    pub public_key: String,
    /// The public key in hexadecimal digits, as manifests name it.
    pub key: String,
}

impl KeygenReport {
    pub(crate) fn new(private: &Path, public: &Path, key: &PublicKey) -> Self {
        Self {
            schema: "binlogsec.seal-keygen/1",
            private_key: path_text::text(private),
            public_key: path_text::text(public),
            key: key.to_string(),
        }
    }
}
