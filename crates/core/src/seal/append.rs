//! Seals logs: begins a manifest, or goes on with one.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use super::digest::{self, Digest, Extent};
use super::examine::{Examined, examine};
use super::key::{PublicKey, Signer};
use super::manifest::{
    BEFORE_SIGNATURE, Beginning, LogRecord, Manifest, ManifestError, Record, SignatureRecord,
};
use super::names::{self, LogName, Named, NamedTargets};
use super::proof::prove;
use super::{FORMAT, SealError};
use crate::batch::listed::IndexNotice;
use crate::batch::shard::Shard;
use crate::batch::targets::Origin;
use crate::event::format_description::FormatDescription;
use crate::file::pipeline::{CHUNK, Progress};
use crate::file::sink::{AtomicFile, Existing, PRIVATE, SinkOptions};
use crate::file::source::FileSource;
use crate::file::{TransferError, listing, location};
use crate::keyring::Keyring;
use crate::log::error::Error;
use crate::log::log_error::LogError;
use crate::log::open::OpenLog;
use crate::log::walk::is_in_use;
use crate::random;
use crate::read::verify::{Gap, Gtids, Link, check_continuity};
use crate::text::reported;

/// How logs are sealed.
#[derive(Debug)]
pub struct SealOptions<'a> {
    /// What signs.
    pub signer: &'a Signer,
    /// Public keys with which the manifest may have been signed so far, besides the signer's own.
    pub public_keys: &'a [PublicKey],
    /// Take logs whose in-use flag is set as they are, those of a server that crashed.
    pub allow_in_use: bool,
    /// Seal a log that is in use, too, up to this plain offset.
    pub stop_position: Option<u64>,
    /// Seal the logs of one part alone, into a manifest of that part, which [`merge`](super::merge())
    /// joins with those of the others.
    pub shard: Option<Shard>,
}

/// A log that was sealed in this run.
#[derive(Debug)]
pub struct SealedLog {
    /// What it is called in the manifest.
    pub name: LogName,
    /// Where it is.
    pub path: PathBuf,
    /// Its record, without the leaves.
    pub record: LogRecord,
}

/// A log that was left for another time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LeftLog {
    /// As given, or as found.
    #[serde(serialize_with = "reported::path")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub path: PathBuf,
    /// `in-use`, or `last-relay-log`, which has no flag that says so.
    pub reason: Left,
}

/// Why a log was left for another time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Left {
    /// Its in-use flag is set.
    InUse,
    /// A relay log, which has no such flag, and the last one of its series.
    LastRelayLog,
}

/// What became of a run.
#[derive(Debug)]
pub struct SealOutcome {
    /// The manifest.
    pub manifest: PathBuf,
    /// Whether it was begun.
    pub is_new: bool,
    /// Whether anything was added to it.
    pub is_written: bool,
    /// Logs in it now.
    pub logs: u64,
    /// What was sealed, in order.
    pub sealed: Vec<SealedLog>,
    /// How many of the logs were sealed before.
    pub sealed_before: usize,
    /// What was left, by name.
    pub left: Vec<LeftLog>,
    /// What does not join one log to the next.
    pub gaps: Vec<Gap>,
    /// What is to be told of indexes.
    pub notices: Vec<IndexNotice>,
}

/// Seals all logs that `paths` stand for and that are not sealed yet, and adds them to the manifest at
/// `output`, which is begun if it is not there. It is replaced as a whole, or stays as it was: a log
/// that cannot be read ends the run.
///
/// # Errors
/// [`SealError`]: a log cannot be read; the manifest is damaged, or nothing proves that it is the one
/// that was signed; two logs would have one name.
pub fn seal(
    output: &Path,
    paths: &[PathBuf],
    keys: &Keyring,
    options: &SealOptions<'_>,
    progress: &dyn Progress,
) -> Result<SealOutcome, SealError> {
    let manifest = earlier(output, keys, options)?;
    if let Some(manifest) = manifest.as_ref().filter(|it| it.shard != options.shard) {
        return Err(other_part(manifest, options.shard));
    }
    let NamedTargets { files, failures, notices, .. } = names::expand(paths);
    if let Some(failure) = failures.into_iter().next() {
        return Err(failure.into());
    }
    let files = each_name_once(files, output)?;
    let is_ours = |name: &LogName| options.shard.is_none_or(|part| part.has(name.as_path()));
    let ours: Vec<_> = files.iter().filter(|named| is_ours(&named.name)).collect();
    let mut outcome = SealOutcome { notices, ..SealOutcome::new(output, manifest.as_ref()) };
    let mut writer = Appender::new(output, manifest.as_ref(), options)?;
    let mut links = Vec::new();
    // So many at a time, that what is kept of each stays little.
    for batch in ours.chunks(rayon::current_num_threads().max(1)) {
        let looked: Vec<_> = batch
            .par_iter()
            .map(|named| look(named, &files, manifest.as_ref(), keys, options, progress))
            .collect::<Result<_, _>>()?;
        for (named, looked) in batch.iter().zip(looked) {
            take(named, looked, &mut writer, &mut outcome, &mut links)?;
        }
    }
    links.extend(link_before(manifest.as_ref(), &outcome.sealed)?);
    // The neighbours of a part's logs are in other parts.
    if options.shard.is_none() {
        outcome.gaps = check_continuity(&links);
    }
    finish(writer, outcome)
}

fn other_part(manifest: &Manifest, asked: Option<Shard>) -> SealError {
    let of = |part: Option<Shard>| match part {
        Some(part) => format!("part {part} of the logs"),
        None => "all logs".to_owned(),
    };
    let reason = format!(
        "it is about {}, and this run about {}: a part has a manifest of its own, and `seal merge` \
         makes one of them all",
        of(manifest.shard),
        of(asked)
    );
    SealError::Part { path: manifest.path().to_owned(), reason }
}

/// Signs what was added, or what another key signed so far.
pub(super) fn finish(
    writer: Appender<'_>,
    mut outcome: SealOutcome,
) -> Result<SealOutcome, SealError> {
    outcome.logs = writer.logs;
    let (manifest, signer) = (writer.manifest, writer.options.signer);
    let is_other_key = manifest.is_some_and(|manifest| {
        manifest.signed_by() != (signer.algorithm(), signer.key().as_str())
    });
    // A part has a manifest even while no log is in it: the merge asks for all of them.
    let is_first_of_part = manifest.is_none() && writer.options.shard.is_some();
    if !outcome.sealed.is_empty() || is_other_key || is_first_of_part {
        writer.sign()?.commit(manifest)?;
        outcome.is_written = true;
    }
    Ok(outcome)
}

impl SealOutcome {
    pub(super) fn new(output: &Path, manifest: Option<&Manifest>) -> Self {
        Self {
            manifest: output.to_owned(),
            is_new: manifest.is_none(),
            is_written: false,
            logs: manifest.map_or(0, |manifest| manifest.logs),
            sealed: Vec::new(),
            sealed_before: 0,
            left: Vec::new(),
            gaps: Vec::new(),
            notices: Vec::new(),
        }
    }
}

/// What was found of one file.
enum Looked {
    Examined(Box<Examined>),
    Left(Left),
    SealedBefore,
    /// It came with a directory, and is no log.
    NoLog,
}

fn take(
    named: &Named,
    looked: Looked,
    writer: &mut Appender<'_>,
    outcome: &mut SealOutcome,
    links: &mut Vec<Link>,
) -> Result<(), SealError> {
    match looked {
        Looked::NoLog => {}
        Looked::SealedBefore => outcome.sealed_before = outcome.sealed_before.saturating_add(1),
        Looked::Left(reason) => {
            outcome.left.push(LeftLog { path: named.target.path.clone(), reason });
        }
        Looked::Examined(examined) => {
            let Examined { mut record, mut link } = *examined;
            record.name = named.name.as_str().to_owned();
            writer.add(&mut record)?;
            record.leaves = Vec::new();
            // Of sets of many logs there is no room to be kept: the next log has to tell.
            if links.len() > MAX_LINKS {
                link.gtids = Gtids::default();
            }
            links.push(link);
            let (name, path) = (named.name.clone(), named.target.path.clone());
            outcome.sealed.push(SealedLog { name, path, record });
        }
    }
    Ok(())
}

/// Logs of a run whose GTIDs are held against each other.
const MAX_LINKS: usize = 256;

/// The last sealed logs before the first ones of this run.
pub(super) fn link_before(
    manifest: Option<&Manifest>,
    sealed: &[SealedLog],
) -> Result<Vec<Link>, SealError> {
    let mut links = Vec::new();
    let mut last_base = None;
    for log in sealed {
        let Some((base, number)) = log.name.series() else { continue };
        if last_base.replace(base) == Some(base) {
            continue;
        }
        let before = manifest.and_then(|manifest| manifest.last_of_series(base));
        let before = before.filter(|name| name.series().is_some_and(|(_, last)| last < number));
        let record = match (manifest, before) {
            (Some(manifest), Some(name)) => manifest.last_record(name)?,
            _ => None,
        };
        let Some(record) = record else { continue };
        let file = Path::new(&record.name).file_name().unwrap_or_default().to_owned();
        links.push(link_of(log.path.with_file_name(file), &record));
    }
    Ok(links)
}

/// What a record tells of how a log joins the next.
pub(super) fn link_of(path: PathBuf, record: &LogRecord) -> Link {
    Link {
        path,
        is_relay: record.is_relay,
        is_whole: record.damaged_at.is_none(),
        gtids: Gtids::default(),
        server_id: record.server_id,
        next_log: record.next_log.clone(),
    }
}

/// The manifest so far, which must be proven: what is added to a forged one would make it look right.
pub(super) fn earlier(
    output: &Path,
    keys: &Keyring,
    options: &SealOptions<'_>,
) -> Result<Option<Manifest>, SealError> {
    if !listing::exists(output)? {
        return Ok(None);
    }
    let manifest = Manifest::open(output, &[]).map_err(|error| match error {
        SealError::Manifest { path, source: ManifestError::NotAManifest } => {
            TransferError::Spared { path, what: "no seal manifest" }.into()
        }
        other => other,
    })?;
    let own = PublicKey::of(options.signer);
    let public_keys: Vec<_> = own.into_iter().chain(options.public_keys.iter().cloned()).collect();
    match prove(&manifest, keys, &public_keys)? {
        (_, None) => Ok(Some(manifest)),
        (_, Some(reason)) => Err(SealError::Unproven { path: output.to_owned(), reason }),
    }
}

fn each_name_once(files: Vec<Named>, output: &Path) -> Result<Vec<Named>, SealError> {
    let real = |path: &Path| location::local(path).canonicalize().ok();
    let own = real(output);
    let mut kept: Vec<Named> = Vec::new();
    for named in files {
        if own.is_some() && real(&named.target.path) == own {
            continue;
        }
        match kept.last() {
            Some(last) if last.name == named.name => {
                let (one, other) = (real(&last.target.path), real(&named.target.path));
                if one.is_none() || one != other {
                    return Err(TransferError::SameName {
                        first: last.target.path.clone(),
                        second: named.target.path,
                    }
                    .into());
                }
            }
            _ => kept.push(named),
        }
    }
    Ok(kept)
}

fn look(
    named: &Named,
    files: &[Named],
    manifest: Option<&Manifest>,
    keys: &Keyring,
    options: &SealOptions<'_>,
    progress: &dyn Progress,
) -> Result<Looked, SealError> {
    let target = &named.target;
    let spots = manifest.and_then(|manifest| manifest.sealed.get(&named.name));
    if spots.is_some_and(|spots| spots.iter().any(|spot| spot.is_whole)) {
        return Ok(Looked::SealedBefore);
    }
    let opened = FileSource::open(&target.path)
        .map_err(Error::from)
        .and_then(|source| OpenLog::new(source, keys));
    let log = match opened {
        Ok(log) => log,
        Err(Error::Log { source: LogError::NotALog | LogError::Empty, .. })
            if target.origin == Origin::Directory =>
        {
            return Ok(Looked::NoLog);
        }
        Err(error) if target.has_vanished(&error) => return Ok(Looked::NoLog),
        Err(error) => return Err(error.into()),
    };
    let description = log.probe().description();
    let is_relay = description.is_some_and(FormatDescription::is_relay_log);
    let left = if is_in_use(&log, description)? {
        Some(Left::InUse)
    } else {
        (is_relay && is_last(named, files)).then_some(Left::LastRelayLog)
    };
    let mut up_to = None;
    if let Some(left) = left.filter(|_| !options.allow_in_use) {
        match options.stop_position {
            None => return Ok(Looked::Left(left)),
            end => up_to = end,
        }
    }
    if let Some(manifest) = manifest {
        check_beginning(&log, named, manifest, up_to)?;
    }
    Ok(Looked::Examined(Box::new(examine(&log, up_to, progress)?)))
}

/// Whether no log of the series has a higher number.
fn is_last(named: &Named, files: &[Named]) -> bool {
    let series = named.name.series();
    let of_series = files.iter().filter_map(|file| file.name.series());
    let last = of_series.filter(|other| Some(other.0) == series.map(|it| it.0)).max();
    last == series
}

/// Whether what is sealed of a log that went on is as it was.
fn check_beginning(
    log: &OpenLog,
    named: &Named,
    manifest: &Manifest,
    end: Option<u64>,
) -> Result<(), SealError> {
    let Some(record) = manifest.last_record(&named.name)? else {
        return Ok(());
    };
    let path = || log.source().path().to_owned();
    let up_to = record.plain_length;
    if let Some(end) = end.filter(|end| *end <= up_to) {
        let reason =
            format!("it is sealed up to position {up_to} already, which {end} is not beyond");
        return Err(SealError::StopPosition { path: path(), reason });
    }
    let extent = Extent::up_to(log, up_to);
    let is_there = up_to <= log.plain_length();
    let numbers: Vec<u64> = (0..extent.chunks(record.chunk)).collect();
    if !is_there || digest::leaves(log.source(), extent, record.chunk, &numbers)? != record.leaves {
        return Err(SealError::BeginningChanged { path: path(), up_to });
    }
    Ok(())
}

/// A manifest in the making: all of the earlier one, and new lines.
pub(super) struct Appender<'a> {
    output: &'a Path,
    options: &'a SealOptions<'a>,
    /// Begun with the first line that is added.
    open: Option<Open>,
    manifest: Option<&'a Manifest>,
    pub(super) logs: u64,
    head: Digest,
}

struct Open {
    sink: AtomicFile,
    at: u64,
}

impl<'a> Appender<'a> {
    pub(super) fn new(
        output: &'a Path,
        manifest: Option<&'a Manifest>,
        seal: &'a SealOptions<'a>,
    ) -> Result<Self, SealError> {
        if manifest.is_none() {
            AtomicFile::check(output, options(None)?)?;
        }
        Ok(Self {
            output,
            options: seal,
            open: None,
            manifest,
            logs: manifest.map_or(0, |manifest| manifest.logs),
            head: manifest.map_or(Digest::of(&[]), |manifest| manifest.head),
        })
    }

    pub(super) fn add(&mut self, record: &mut LogRecord) -> Result<(), SealError> {
        self.begin()?;
        self.logs = self.logs.saturating_add(1);
        record.number = self.logs;
        record.previous = self.head;
        self.write_line(text(&Record::Log(Box::new(record.clone()))))
    }

    /// Signs all lines up to here.
    fn sign(mut self) -> Result<Open, SealError> {
        self.begin()?;
        let signer = self.options.signer;
        let line = text(&Record::Signature(SignatureRecord {
            format: FORMAT.to_owned(),
            signed: super::now(),
            algorithm: signer.algorithm(),
            key: signer.key(),
            fingerprint: signer.fingerprint(),
            logs: self.logs,
            previous: self.head,
            signature: String::new(),
        }));
        let (message, _) = line.rsplit_once(BEFORE_SIGNATURE).unwrap_or((&line, ""));
        let signature = signer.sign(message.as_bytes());
        let line = format!("{message}{BEFORE_SIGNATURE}{signature}\"}}");
        self.write_line(line)?;
        self.open.ok_or_else(|| SealError::manifest(self.output, ManifestError::Changed))
    }

    fn begin(&mut self) -> Result<(), SealError> {
        if self.open.is_some() {
            return Ok(());
        }
        let sink = match self.manifest {
            Some(manifest) if location::is_url(self.output) => {
                AtomicFile::replace_object(&manifest.source)?
            }
            manifest => AtomicFile::create(self.output, options(manifest)?)?,
        };
        let mut at = 0;
        if let Some(manifest) = self.manifest {
            at = manifest.source.length();
            copy(&manifest.source, &sink)?;
        }
        self.open = Some(Open { sink, at });
        if self.manifest.is_none() {
            let id = random::bytes::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect();
            let (format, created) = (FORMAT.to_owned(), super::now());
            let shard = self.options.shard.map(|shard| shard.to_string());
            self.write_line(text(&Record::Manifest(Beginning { format, id, created, shard })))?;
        }
        Ok(())
    }

    fn write_line(&mut self, mut line: String) -> Result<(), SealError> {
        self.head = Digest::of(line.as_bytes());
        line.push('\n');
        if let Some(open) = &mut self.open {
            open.sink.write_at(open.at, line.as_bytes())?;
            open.at = open.at.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        }
        Ok(())
    }
}

impl Open {
    /// Gives the manifest its name, unless somebody else went on with the earlier one meanwhile.
    fn commit(self, manifest: Option<&Manifest>) -> Result<(), SealError> {
        if let Some(manifest) = manifest
            && let Ok(before) = manifest.source.state()
        {
            let now = FileSource::glance(manifest.path())?.state()?;
            if now != before {
                return Err(SealError::manifest(manifest.path(), ManifestError::Changed));
            }
        }
        Ok(self.sink.commit()?)
    }
}

/// A record as a line, without the line end.
fn text(record: &Record) -> String {
    // Nothing in a record refuses to be written.
    serde_json::to_string(record).unwrap_or_default()
}

fn copy(source: &FileSource, sink: &AtomicFile) -> Result<(), SealError> {
    let mut writer = BufWriter::with_capacity(CHUNK, sink.writer());
    let mut reader = crate::file::source::SourceReader::new(source);
    std::io::copy(&mut reader, &mut writer)
        .and_then(|_| writer.flush())
        .map_err(TransferError::at(sink.target(), "copy the earlier lines into"))?;
    Ok(())
}

fn options(manifest: Option<&Manifest>) -> Result<SinkOptions, SealError> {
    use std::os::unix::fs::PermissionsExt;
    let file = manifest.and_then(|manifest| manifest.source.file().ok());
    let mode = match file.map(std::fs::File::metadata).transpose() {
        Ok(Some(metadata)) => metadata.permissions().mode() & 0o777,
        _ => PRIVATE,
    };
    Ok(SinkOptions {
        force: manifest.is_some(),
        replaces_input: manifest.is_some(),
        sync: true,
        spares: spared,
        mode,
    })
}

/// What a manifest never replaces: anything else.
fn spared(there: &Existing<'_>) -> Option<&'static str> {
    let begins = br#"{"record":"manifest","format":"binlogsec.seal/"#;
    (!there.start.starts_with(begins)).then_some("no seal manifest")
}
