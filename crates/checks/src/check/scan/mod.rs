//! Looks at every file once: its first bytes, and its metadata where that matters.

mod expected;
pub(in crate::check) mod log_rules;

use crate::check::content::Opened;
use crate::check::facts::{COMPARED, Facts, FilePath, IndexFacts, ServerFacts};
use crate::check::settle::{RetryBudget, is_new};
use crate::check::targets::{Roots, real};
use crate::check::{CheckOptions, Counts};
use crate::config::option_file::OptionFile;
use crate::finding::{Finding, RuleId};
use binlogsec_core::batch::listed::read_index;
use binlogsec_core::batch::targets::{has_log_extension, is_index};
use binlogsec_core::file::TransferError;
use binlogsec_core::file::compressed;
use binlogsec_core::file::listing;
use binlogsec_core::file::pipeline::Progress;
use binlogsec_core::file::tree::{Batch, Directory, Visitor};
use binlogsec_core::keyring::{Keyring, KeyringFile};
use binlogsec_core::log::error::Error;
use binlogsec_core::log::kind::{INNODB_MAGIC, LogKind, PROBE_LENGTH};
use binlogsec_core::log::open;
use binlogsec_core::mysql::header;
use binlogsec_core::mysql::key_id::{PREFIX, is_uuid};
use binlogsec_core::text::path_text;
use expected::Expected;
use log_rules::KeyTexts;
use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a scan brings.
#[derive(Debug, Default)]
pub(in crate::check) struct Collected {
    pub(in crate::check) facts: Facts,
    pub(in crate::check) findings: Vec<Finding>,
    pub(in crate::check) counts: Counts,
    pub(in crate::check) failures: Vec<Error>,
}

impl Collected {
    pub(in crate::check) fn append(&mut self, mut other: Self) {
        self.facts.append(other.facts);
        self.findings.append(&mut other.findings);
        self.counts.add(&other.counts);
        self.failures.append(&mut other.failures);
    }
}

/// What one worker fills, batch by batch.
pub(in crate::check) struct Local {
    pub(in crate::check) collected: Collected,
    /// The key id of the last log: that of the next one, as a rule.
    last_key: Option<KeyTexts>,
    buffer: Vec<u8>,
}

impl Local {
    fn new() -> Self {
        Self { collected: Collected::default(), last_key: None, buffer: vec![0; PROBE_LENGTH] }
    }

    pub(in crate::check) fn find(&mut self, finding: Finding) {
        self.collected.findings.push(finding);
    }
}

/// Why a file is looked at, which decides what is expected of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check) enum Reason {
    /// It lies in a directory.
    Found,
    /// It was named, or an index lists it: it should be a log.
    Named,
    /// Both: it should be a log, and may say something of the logs beside it.
    NamedAndFound,
}

/// One run over all targets.
pub(in crate::check) struct Scan<'a> {
    pub(in crate::check) keys: &'a Keyring,
    pub(in crate::check) options: &'a CheckOptions,
    progress: &'a dyn Progress,
    pub(in crate::check) roots: &'a Roots,
    pub(in crate::check) cancelled: AtomicBool,
    collected: Mutex<Collected>,
    expected: Expected,
    /// Indexes that were read, so that a named one is not read again in its directory.
    indexes: Mutex<HashSet<PathBuf>>,
    retries: RetryBudget,
    /// Device and inode of the keyrings in use.
    pub(in crate::check) given_keyrings: HashSet<(u64, u64)>,
}

impl<'a> Scan<'a> {
    pub(in crate::check) fn new(
        keys: &'a Keyring,
        options: &'a CheckOptions,
        roots: &'a Roots,
        progress: &'a dyn Progress,
    ) -> Self {
        let identity =
            |file: &KeyringFile| file.path().metadata().ok().map(|it| (it.dev(), it.ino()));
        Self {
            keys,
            options,
            progress,
            roots,
            cancelled: AtomicBool::new(false),
            collected: Mutex::default(),
            expected: Expected::default(),
            indexes: Mutex::default(),
            retries: RetryBudget::default(),
            given_keyrings: keys.files().iter().filter_map(identity).collect(),
        }
    }

    pub(in crate::check) fn into_collected(self) -> Collected {
        self.collected.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a path belongs to the shard that this run is.
    pub(in crate::check) fn owns(&self, path: &Path) -> bool {
        let shard = self.options.shard;
        shard.is_none_or(|shard| shard.has(&self.roots.name(path)))
    }

    pub(in crate::check) fn with_local(&self, work: impl FnOnce(&mut Local)) {
        let mut local = Local::new();
        work(&mut local);
        self.gather(local);
    }

    fn gather(&self, local: Local) {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner).append(local.collected);
    }

    /// The logs that were looked at so far, by their paths without links.
    pub(in crate::check) fn logs(&self) -> HashSet<PathBuf> {
        let collected = self.collected.lock();
        let collected = collected.unwrap_or_else(PoisonError::into_inner);
        let logs = collected.facts.logs.iter();
        logs.map(|log| real(&log.path.join())).collect()
    }

    pub(in crate::check) fn advance(&self, files: usize) {
        if self.progress.advance(u64::try_from(files).unwrap_or(u64::MAX)).is_break() {
            self.cancelled.store(true, Ordering::Relaxed);
        }
    }

    pub(in crate::check) fn unreadable(
        &self,
        local: &mut Local,
        path: &Path,
        error: &TransferError,
    ) {
        local.collected.counts.count_file();
        let count = &mut local.collected.counts.unreadable;
        *count = count.saturating_add(1);
        local.find(Finding::new(RuleId::Bls009, path, binlogsec_core::log::error::describe(error)));
    }

    /// One file of a batch.
    fn found(&self, local: &mut Local, directory: &Directory, path: &Arc<Path>, name: &CStr) {
        let os_name = OsStr::from_bytes(name.to_bytes());
        let whole = || path.join(os_name);
        let selection = &self.options.selection;
        if !selection.is_everything() && !selection.has_file(&whole()) {
            return;
        }
        if self.options.shard.is_some() && !self.owns(&whole()) {
            if is_index(Path::new(os_name)) {
                self.index_of_another_shard(local, directory, name, &whole());
            }
            return;
        }
        match directory.open(name) {
            Ok(file) => {
                let reason = self.meet(os_name, whole);
                self.look(local, &Opened::new(path, os_name, &file), reason);
            }
            // Servers purge logs while somebody looks.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                local.collected.counts.vanished = local.collected.counts.vanished.saturating_add(1);
            }
            Err(error) => {
                self.meet(os_name, whole);
                let path = whole();
                self.unreadable(local, &path, &TransferError::at(&path, "open")(error));
            }
        }
    }

    /// What an index lists may be of this shard, although the index is not.
    fn index_of_another_shard(
        &self,
        local: &mut Local,
        directory: &Directory,
        name: &CStr,
        path: &Path,
    ) {
        let mut start = [0; PROBE_LENGTH];
        let read = directory.open(name).and_then(|file| file.read_at(&mut start, 0));
        let start = start.get(..read.unwrap_or(0)).unwrap_or_default();
        if !starts_a_log(start) && lists_logs(start) {
            // Whose index it is says why it cannot be read.
            self.expect_listed(self.index(local, path).unwrap_or_default());
        }
    }

    /// Reads the first bytes of a file and judges them.
    pub(in crate::check) fn look(&self, local: &mut Local, opened: &Opened<'_>, reason: Reason) {
        let mut buffer = std::mem::take(&mut local.buffer);
        match self.read_settled(opened, &mut buffer, reason) {
            Ok(read) => {
                local.collected.counts.count_read(read);
                let start = buffer.get(..read).unwrap_or_default();
                self.judge(local, opened, start, reason);
            }
            Err(error) => {
                let path = opened.path();
                self.unreadable(local, &path, &TransferError::at(&path, "read")(error));
            }
        }
        local.buffer = buffer;
    }

    /// The first bytes; of an empty log that a server has just made, those that it is about to
    /// write.
    fn read_settled(
        &self,
        opened: &Opened<'_>,
        buffer: &mut [u8],
        reason: Reason,
    ) -> std::io::Result<usize> {
        let mut read = read_start(opened, buffer)?;
        let is_meant = reason != Reason::Found || is_named_like_a_log(opened.name, &[]);
        if read == 0 && is_meant && is_new(opened) {
            while read == 0 && !self.cancelled.load(Ordering::Relaxed) && self.retries.wait() {
                read = read_start(opened, buffer)?;
            }
        }
        Ok(read)
    }

    fn judge(&self, local: &mut Local, opened: &Opened<'_>, start: &[u8], reason: Reason) {
        local.collected.counts.count_file();
        let is_log = starts_a_log(start);
        let reader = || opened.reader();
        let copy = (!is_log).then(|| compressed::inside(start, reader, PROBE_LENGTH));
        if let Some(copy) = copy.flatten() {
            if starts_a_log(&copy.start) {
                let compression = Some(copy.compression);
                return log_rules::apply(self, local, opened, &copy.start, compression);
            }
            let is_meant = reason != Reason::Found || is_copy_of_a_log(opened.name);
            if copy.says_nothing() && is_meant {
                return local.find(log_rules::silent_copy(&opened.path(), copy.compression));
            }
        }
        let is_expected = is_log || is_named_like_a_log(opened.name, start);
        if is_expected || reason != Reason::Found {
            log_rules::apply(self, local, opened, start, None);
        }
        if !is_expected && reason != Reason::Named {
            self.other(local, opened, start);
        }
    }

    /// What is no log may still say something of the logs beside it.
    fn other(&self, local: &mut Local, opened: &Opened<'_>, start: &[u8]) {
        local.collected.counts.other_files = local.collected.counts.other_files.saturating_add(1);
        let path = || opened.path();
        if opened.name == "auto.cnf" {
            let server = server_uuid(start, &path()).map(|server_uuid| ServerFacts {
                directory: path_text::text(opened.directory),
                server_uuid,
            });
            local.collected.facts.servers.extend(server);
        } else if is_index(Path::new(opened.name)) && lists_logs(start) {
            match self.index(local, &path()) {
                Ok(logs) => self.expect_listed(logs),
                Err(error) => self.unreadable(local, &path(), &error),
            }
        } else if looks_like_a_keyring(start) {
            self.keyring_in_the_tree(local, opened);
        }
    }

    /// Reads an index; its logs that are there.
    pub(in crate::check) fn index(
        &self,
        local: &mut Local,
        path: &Path,
    ) -> Result<Vec<PathBuf>, TransferError> {
        let is_new = self.indexes.lock().unwrap_or_else(PoisonError::into_inner).insert(real(path));
        if !is_new {
            return Ok(Vec::new());
        }
        let directory = path.parent().unwrap_or(Path::new(""));
        let is_owner = self.owns(path);
        let (mut there, mut names, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for entry in read_index(path)? {
            if !seen.insert(entry.named.clone()) {
                continue;
            }
            let name = entry.path.file_name().unwrap_or_default();
            names.push(path_text::text(Path::new(name)));
            // What cannot be told is looked at, which then says why.
            if listing::exists(&entry.path).unwrap_or(true) {
                there.push(entry.path);
            } else if is_owner {
                gone.push(entry.named);
            }
        }
        local.collected.findings.extend(missing(path, gone)?);
        let logs_directory = there.first().and_then(|log| log.parent()).unwrap_or(directory);
        if is_owner {
            names.sort();
            local.collected.facts.indexes.push(IndexFacts {
                path: FilePath::of(path),
                directory: path_text::text(logs_directory),
                logs: names,
            });
        }
        Ok(there)
    }
}

impl Visitor for Scan<'_> {
    fn enters(&self, path: &Path) -> bool {
        !self.cancelled.load(Ordering::Relaxed) && self.options.selection.enters(path)
    }

    fn files(&self, batch: &Batch) {
        if self.cancelled.load(Ordering::Relaxed) {
            return;
        }
        // Of its own, so that threads do not share a count of references.
        let path = Arc::from(&**batch.directory().path());
        self.with_local(|local| {
            for name in batch.names() {
                self.found(local, batch.directory(), &path, name);
            }
        });
        self.advance(batch.count());
    }

    fn link(&self, path: &Path) {
        if !self.owns(path) {
            return;
        }
        self.with_local(|local| {
            local.collected.counts.links = local.collected.counts.links.saturating_add(1);
        });
    }

    fn special(&self, path: &Path) {
        if !self.owns(path) {
            return;
        }
        self.with_local(|local| {
            local.collected.counts.special_files =
                local.collected.counts.special_files.saturating_add(1);
        });
    }

    fn failed(&self, path: &Path, error: TransferError) {
        if !self.owns(path) {
            return;
        }
        self.with_local(|local| self.unreadable(local, path, &error));
    }
}

/// As many of the first bytes as it takes to judge a file by them.
fn read_start(opened: &Opened<'_>, buffer: &mut [u8]) -> std::io::Result<usize> {
    if let Some(at_hand) = opened.at_hand() {
        let part = buffer.get_mut(..at_hand).unwrap_or_default();
        let read = opened.read_start(part, |_| false)?;
        let start = part.get(..read).unwrap_or_default();
        let (size, _) = opened.size_and_mode();
        if open::is_enough(start, size) && !has_more_to_say(opened.name, start) {
            return Ok(read);
        }
    }
    opened.read_start(buffer, |start| {
        let is_log = starts_a_log(start) || has_log_extension(Path::new(opened.name));
        !is_log && !has_more_to_say(opened.name, start)
    })
}

/// Whether the rules look for more in a file than its kind and its key, and further into it.
fn has_more_to_say(name: &OsStr, start: &[u8]) -> bool {
    if starts_a_log(start) {
        return start.len() < COMPARED;
    }
    // It may have a damaged magic, or say something of the logs beside it.
    start.len() < header::LENGTH
        || log_rules::has_description_but_for_magic(start)
        || name == "auto.cnf"
        || is_index(Path::new(name))
        || start.trim_ascii_start().starts_with(b"{")
}

/// Whether bytes start like a log of any kind, with a byte of the magic changed or without.
fn starts_a_log(start: &[u8]) -> bool {
    start.starts_with(&header::MAGIC)
        || start.starts_with(&binlogsec_core::event::MAGIC)
        || start.starts_with(&INNODB_MAGIC)
        || log_rules::is_plain_but_for_magic(start)
        || log_rules::is_encrypted_but_for_magic(start)
}

/// Whether a file is named as logs are, so that it is told if it does not start like one. Where the
/// content is of no known kind, the number must have six digits: eight are a date.
fn is_named_like_a_log(name: &OsStr, start: &[u8]) -> bool {
    let name = Path::new(name);
    has_log_extension(name)
        && (has_six_digits(name) || !matches!(LogKind::classify(start), LogKind::Unknown))
}

fn has_six_digits(name: &Path) -> bool {
    let is_six = |digits: &OsStr| digits.len() == 6;
    has_log_extension(name) && name.extension().is_some_and(is_six)
}

/// Whether a compressed file is named as one of a log: `binlog.000001.gz`.
fn is_copy_of_a_log(name: &OsStr) -> bool {
    let stem = Path::new(name).file_stem();
    stem.is_some_and(|stem| has_six_digits(Path::new(stem)))
}

fn lists_logs(start: &[u8]) -> bool {
    let Some(first) = binlogsec_core::log::index::entries(start).next() else {
        return false;
    };
    has_log_extension(Path::new(OsStr::from_bytes(first)))
}

fn looks_like_a_keyring(start: &[u8]) -> bool {
    let has = |text: &[u8]| contains(start, text);
    start.starts_with(b"Keyring file version:")
        || (start.trim_ascii_start().starts_with(b"{")
            && has(b"\"keys\"")
            && has(b"\"cipher\"")
            && has(b"\"data_hex\""))
        || (start.trim_ascii_start().starts_with(b"{")
            && has(b"\"data_id\"")
            && (has(PREFIX.as_bytes()) || has(b"\"data_type\"")))
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

fn server_uuid(start: &[u8], path: &Path) -> Option<String> {
    let options = OptionFile::parse(start, path).ok()?;
    let setting = options
        .settings
        .iter()
        .rfind(|setting| setting.group == "auto" && setting.name == "server_uuid")?;
    let uuid = String::from_utf8(setting.value.clone()?).ok()?;
    is_uuid(&uuid).then_some(uuid)
}

/// What an index lists and is not there. A server that purges logs takes them out of its index
/// first: so what the index lists no longer was not missing, only purged meanwhile.
fn missing(index: &Path, gone: Vec<PathBuf>) -> Result<Vec<Finding>, TransferError> {
    if gone.is_empty() {
        return Ok(Vec::new());
    }
    let listed = read_index(index)?.into_iter();
    let listed: HashSet<_> = listed.map(|log| log.named).collect();
    let still = gone.into_iter().filter(|entry| listed.contains(entry));
    Ok(still
        .map(|entry| {
            let message = format!("lists {}, which is not there", path_text::text(&entry));
            Finding::new(RuleId::Bls007, index, message).related_to([entry])
        })
        .collect())
}
