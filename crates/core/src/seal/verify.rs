//! Holds logs against a manifest.
//!
//! What is stored is compared first, chunk by chunk, which takes no key. Where all of it is as it was,
//! header included, so is the plaintext. Where the header is new, as after `rekey`, or the log was
//! encrypted anew, a key shows whether the plaintext is the one that was sealed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rayon::prelude::*;

use super::SealError;
use super::digest::{self, Digest, Extent};
use super::examine::header_of;
use super::manifest::{LogRecord, Manifest};
use super::names::{self, LogName, Named, NamedTargets};
use super::verdict::{Change, ChunkRange, LogVerdict, Note, Standing};
use crate::batch::listed::IndexNotice;
use crate::batch::shard::Shard;
use crate::batch::targets::Origin;
use crate::file::TransferError;
use crate::file::pipeline::{NoProgress, Progress};
use crate::file::source::{Access, FileSource};
use crate::keyring::Keyring;
use crate::log::error::{Error, describe};
use crate::log::kind::LogKind;
use crate::log::open::{OpenLog, read_start};
use crate::random;

/// Chunks of each log that a quick look takes: the first, the last, and others at random.
const SAMPLES: usize = 8;
/// Ranges of changed bytes of one log that are kept.
pub(super) const MAX_RANGES: usize = 100;

/// How logs are held against a manifest.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// Lengths, headers and samples of the chunks alone.
    pub quick: bool,
    /// Logs of a series before this one were purged, and need not be there.
    pub purged_to: Option<LogName>,
    /// Look at the logs of one shard alone.
    pub shard: Option<Shard>,
}

/// What became of a comparison.
#[derive(Debug)]
pub struct SealVerified {
    /// Each log, in the order of the names.
    pub logs: Vec<LogVerdict>,
    /// Names and directories that could not be read.
    pub failures: Vec<Error>,
    /// What is to be told of indexes.
    pub notices: Vec<IndexNotice>,
    /// Sealed logs that nobody asked for: files were named, and no directory or index.
    pub not_looked_at: u64,
}

/// Compares the logs that `paths` stand for with a manifest, on all threads of the current rayon pool.
///
/// Whether the manifest itself is to be believed, [`prove`](super::prove) tells.
///
/// # Errors
/// [`SealError::Manifest`] when the manifest changes meanwhile. What is wrong with a log is part of
/// the outcome.
pub fn verify(
    manifest: &Manifest,
    paths: &[PathBuf],
    keys: &Keyring,
    options: &VerifyOptions,
    progress: &dyn Progress,
) -> Result<SealVerified, SealError> {
    let NamedTargets { mut files, failures, notices, is_complete } = names::expand(paths);
    // The manifest may itself be about a part.
    let parts = [options.shard, manifest.shard];
    let is_ours = |name: &LogName| parts.iter().flatten().all(|shard| shard.has(name.as_path()));
    files.retain(|named| is_ours(&named.name));
    let looked: Vec<Option<LogVerdict>> = files
        .par_iter()
        .map(|named| look(manifest, named, keys, options, progress))
        .collect::<Result<_, _>>()?;
    let mut logs: Vec<_> = looked.into_iter().flatten().collect();
    let found: BTreeSet<_> = logs.iter().map(|log| log.name.clone()).collect();
    let absent = manifest.sealed.keys().filter(|name| is_ours(name) && !found.contains(*name));
    let mut not_looked_at = 0_u64;
    for name in absent {
        if is_complete {
            logs.push(LogVerdict::new(name, None, absence(name, options)));
        } else {
            not_looked_at = not_looked_at.saturating_add(1);
        }
    }
    for log in &mut logs {
        // An index may list what is gone.
        if log.path.is_none() {
            log.standing = absence(&log.name, options);
        }
    }
    // Logs that share a header may be in two shards: that is for the merge.
    if options.shard.is_none() {
        tell_shared_headers(&mut logs);
    }
    logs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(SealVerified { logs, failures, notices, not_looked_at })
}

fn absence(name: &LogName, options: &VerifyOptions) -> Standing {
    let is_purged =
        options.purged_to.as_ref().is_some_and(|first| match (name.series(), first.series()) {
            (Some((base, number)), Some((of, first))) => base == of && number < first,
            _ => false,
        });
    if is_purged { Standing::Purged } else { Standing::Missing }
}

fn tell_shared_headers(logs: &mut [LogVerdict]) {
    let headers: Vec<_> = logs.iter().map(|log| (log.name.as_str(), log.new_header)).collect();
    let changes = shared_headers(&headers);
    for (log, change) in logs.iter_mut().zip(changes) {
        if let Some(change) = change {
            log.change(change);
        }
    }
}

/// New headers that two logs share were copied from one to the other: of logs, by name and digest of
/// the new header, those to which that applies, and what to say.
#[must_use]
pub fn shared_headers<H: Ord>(logs: &[(&str, Option<H>)]) -> Vec<Option<Change>> {
    let mut by_header: BTreeMap<&H, BTreeSet<&str>> = BTreeMap::new();
    for (name, header) in logs {
        if let Some(header) = header {
            by_header.entry(header).or_default().insert(name);
        }
    }
    let change = |(name, header): &(&str, Option<H>)| {
        let names = by_header.get(header.as_ref()?)?;
        let other = names.iter().find(|other| *other != name)?;
        Some(Change::HeaderOf { name: (*other).to_owned() })
    };
    logs.iter().map(change).collect()
}

/// `None` for what came with a directory and is no log.
fn look(
    manifest: &Manifest,
    named: &Named,
    keys: &Keyring,
    options: &VerifyOptions,
    progress: &dyn Progress,
) -> Result<Option<LogVerdict>, SealError> {
    let (name, path) = (&named.name, named.target.path.as_path());
    let spots = manifest.sealed.get(name);
    let source = match FileSource::open(path) {
        Ok(source) => source,
        Err(error) if error.is_not_found() && spots.is_some() => {
            return Ok(Some(LogVerdict::new(name, None, Standing::Missing)));
        }
        Err(error) => {
            let error = Error::from(error);
            let has_vanished = named.target.has_vanished(&error);
            return Ok((!has_vanished).then(|| LogVerdict::failed(name, path, &error)));
        }
    };
    let Some(spots) = spots else {
        return unsealed(manifest, named, &source, keys);
    };
    let mut verdict = LogVerdict::new(name, Some(path), Standing::Unchanged);
    verdict.size = source.length();
    let mut source = source;
    if spots.iter().any(|spot| spot.is_whole) {
        source.set_access(Access::Mapped);
    }
    for spot in spots {
        let record = manifest.record(spot)?;
        let comparison = Comparison { manifest, record: &record, source: &source, keys, options };
        if let Err(error) = comparison.run(&mut verdict, progress) {
            return Ok(Some(LogVerdict::failed(name, path, &error.into())));
        }
    }
    Ok(Some(verdict))
}

/// One record and its log.
struct Comparison<'a> {
    manifest: &'a Manifest,
    record: &'a LogRecord,
    source: &'a FileSource,
    keys: &'a Keyring,
    options: &'a VerifyOptions,
}

impl Comparison<'_> {
    fn run(&self, verdict: &mut LogVerdict, progress: &dyn Progress) -> Result<(), TransferError> {
        let record = self.record;
        let header = header_of(self.source, &record.kind)?;
        let is_header_new = header != record.header;
        let found = self.source.length();
        let is_open = record.up_to.is_some();
        let is_as_long = if is_open { found >= record.length } else { found == record.length };
        let ranges = self.changed_chunks(verdict, progress)?;
        let is_body_same = ranges.is_empty() && is_as_long;
        if is_header_new && is_body_same {
            self.judge_header(header, verdict)?;
        } else if !is_body_same && !self.is_reencrypted(verdict)? {
            if found < record.length {
                verdict.change(Change::Shorter { sealed: record.length, found });
            } else if !is_as_long {
                verdict.change(Change::Longer { sealed: record.length, found });
            }
            let more = ranges.len().saturating_sub(MAX_RANGES);
            let kept = ranges.into_iter().take(MAX_RANGES);
            kept.for_each(|range| verdict.change(Change::Bytes(range)));
            if more > 0 {
                verdict.change(Change::MoreBytes { more });
            }
        }
        if let Some(up_to) = record.up_to {
            let behind = found.saturating_sub(record.length);
            // A later record may have sealed the rest.
            verdict.notes.retain(|note| !matches!(note, Note::UpTo { .. }));
            verdict.note(Note::UpTo { up_to, behind });
        } else {
            verdict.notes.retain(|note| !matches!(note, Note::UpTo { .. }));
        }
        if let Some(at) = record.damaged_at {
            verdict.note(Note::SealedDamaged { at });
        }
        Ok(())
    }

    /// Compares the chunks that there are; those behind the file's end are left to its length.
    fn changed_chunks(
        &self,
        verdict: &mut LogVerdict,
        progress: &dyn Progress,
    ) -> Result<Vec<ChunkRange>, TransferError> {
        let record = self.record;
        let stored = self.source.length().saturating_sub(record.body).min(record.stored());
        let is_open = record.up_to.is_some();
        let extent = Extent { body: record.body, stored, plain: 0, is_open };
        let chunks = u64::try_from(record.leaves.len()).unwrap_or(u64::MAX);
        let there = extent.chunks(record.chunk).min(chunks);
        let numbers = if self.options.quick { sample(there) } else { (0..there).collect() };
        let leaves = digest::leaves(self.source, extent, record.chunk, &numbers)?;
        verdict.chunks = chunks;
        verdict.checked = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        let mut ranges: Vec<ChunkRange> = Vec::new();
        for (number, leaf) in numbers.into_iter().zip(leaves) {
            let sealed = usize::try_from(number).ok().and_then(|at| record.leaves.get(at));
            if sealed == Some(&leaf) {
                continue;
            }
            let (start, length) = extent.chunk(number, record.chunk);
            let end = start.saturating_add(length);
            match ranges.last_mut() {
                Some(range) if range.last.saturating_add(1) == number => {
                    (range.last, range.end) = (number, end);
                }
                _ => ranges.push(ChunkRange { first: number, last: number, start, end }),
            }
        }
        if progress.advance(stored).is_break() {
            return Err(TransferError::Cancelled);
        }
        Ok(ranges)
    }

    /// The stored bytes are as they were, and the header is not.
    fn judge_header(
        &self,
        header: Option<Digest>,
        verdict: &mut LogVerdict,
    ) -> Result<(), TransferError> {
        let other = header.and_then(|header| self.manifest.headers.get(&header));
        if let Some(other) = other.filter(|other| **other != verdict.name) {
            verdict.change(Change::HeaderOf { name: other.as_str().to_owned() });
            return Ok(());
        }
        verdict.new_header = header;
        if self.keys.is_empty() {
            let reason = "no key was given, so nothing shows that it opens the log; name its keyring \
                          by --keyring FILE";
            verdict.note(Note::HeaderUnproven { reason: reason.to_owned() });
            return Ok(());
        }
        match self.open() {
            Ok(_) if self.options.quick => {
                let reason = "it opens the log; a quick look goes no further";
                verdict.note(Note::HeaderUnproven { reason: reason.to_owned() });
            }
            Ok(log) if self.has_plaintext(&log)? => {
                // It is this log's own, whoever has a copy of it.
                verdict.new_header = None;
                verdict.note(Note::Rekeyed);
            }
            Ok(_) => verdict.change(Change::Plaintext),
            Err(Error::Transfer(error)) => return Err(error),
            Err(error) if is_without_key(&error) => {
                let reason = describe(&error);
                verdict.note(Note::HeaderUnproven { reason });
            }
            Err(error) => verdict.change(Change::Header { reason: describe(&error) }),
        }
        Ok(())
    }

    /// Whether other bytes are stored, and yet the plaintext is the one that was sealed.
    fn is_reencrypted(&self, verdict: &mut LogVerdict) -> Result<bool, TransferError> {
        let is_plain = read_start(self.source)
            .map(|start| LogKind::classify(&start).plain_description().is_some())?;
        if self.options.quick || (self.keys.is_empty() && !is_plain) {
            return Ok(false);
        }
        match self.open() {
            Ok(log) => {
                let is_same = self.has_plaintext(&log)?;
                if is_same {
                    verdict.note(Note::Reencrypted { kind: log.kind().name().to_owned() });
                }
                Ok(is_same)
            }
            Err(Error::Transfer(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    fn open(&self) -> Result<OpenLog, Error> {
        OpenLog::new(FileSource::open(self.source.path())?, self.keys)
    }

    fn has_plaintext(&self, log: &OpenLog) -> Result<bool, TransferError> {
        let record = self.record;
        let extent = match record.up_to {
            None => Extent::whole(log),
            Some(end) => Extent::up_to(log, end),
        };
        let is_long_enough = log.plain_length() >= record.plain_length;
        if !is_long_enough || extent.plain != record.plain_length {
            return Ok(false);
        }
        Ok(digest::plaintext(log, extent, &NoProgress)? == record.plaintext)
    }
}

/// Whether a log stays closed because its key was not given. A key that was given and does not fit
/// speaks against the header.
fn is_without_key(error: &Error) -> bool {
    use crate::log::log_error::LogError;
    matches!(
        error,
        Error::Log { source: LogError::NoKeys { .. } | LogError::KeyMissing { .. }, .. }
            | Error::Keyring(_)
    )
}

/// Numbers of chunks for a quick look, in order.
fn sample(chunks: u64) -> Vec<u64> {
    let Some(last) = chunks.checked_sub(1) else {
        return Vec::new();
    };
    let mut numbers = BTreeSet::from([0, last]);
    // Where nobody can know them before. Without random bytes those in even distances.
    let numbers_left = SAMPLES.saturating_sub(numbers.len());
    for turn in 0..numbers_left {
        let even = u64::try_from(turn).unwrap_or(0).saturating_mul(chunks) / 8;
        let random = random::bytes::<8>().map_or(even, u64::from_le_bytes);
        numbers.insert(random.checked_rem(chunks).unwrap_or(0));
    }
    numbers.into_iter().collect()
}

/// A file that the manifest does not know.
fn unsealed(
    manifest: &Manifest,
    named: &Named,
    source: &FileSource,
    keys: &Keyring,
) -> Result<Option<LogVerdict>, SealError> {
    let (name, path) = (&named.name, named.target.path.as_path());
    let start = match read_start(source) {
        Ok(start) => start,
        Err(error) => return Ok(Some(LogVerdict::failed(name, path, &error.into()))),
    };
    let kind = LogKind::classify(&start);
    let of_series = name.series().and_then(|(base, number)| {
        let last = manifest.last_of_series(base)?;
        Some((last, number > last.series()?.1))
    });
    // Of an archive the log itself says nothing.
    if !kind.is_log() && of_series.is_none() && named.target.origin == Origin::Directory {
        return Ok(None);
    }
    let mut verdict = LogVerdict::new(name, Some(path), Standing::Unsealed);
    verdict.size = source.length();
    let change = match of_series {
        Some((last, true)) => {
            let record = manifest.last_record(last)?;
            record.and_then(|record| other_server(&record, &kind, source, keys))
        }
        _ => Some(Change::NotSealed),
    };
    if let Some(change) = change {
        verdict.change(change);
        verdict.standing = Standing::Added;
    }
    Ok(Some(verdict))
}

/// Whether a log is of another server than a sealed one: by the UUID in its key's id, or by the
/// server id in its first event, as far as either can be read.
fn other_server(
    sealed: &LogRecord,
    kind: &LogKind,
    source: &FileSource,
    keys: &Keyring,
) -> Option<Change> {
    let change = |sealed: String, found: String| {
        (sealed != found).then_some(Change::OtherServer { sealed, found })
    };
    if let (LogKind::MysqlEncrypted(header), Some(sealed)) = (kind, &sealed.server_uuid)
        && let Some(parts) = header.key_id.parts()
        && let Some(change) = change(sealed.clone(), parts.server_uuid.to_owned())
    {
        return Some(change);
    }
    let start = read_start(source).ok()?;
    let probe = crate::log::probe::Probe::of_file(source.path(), &start, keys).ok()?;
    let found = probe.description()?.header.server_id;
    sealed.server_id.and_then(|sealed| change(sealed.to_string(), found.to_string()))
}
