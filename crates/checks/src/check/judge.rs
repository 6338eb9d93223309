//! The rules that take more than one file, judged from facts alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use super::facts::{EncryptionFacts, Facts, FilePath, IndexFacts, LogFacts, Mark};
use crate::finding::{Finding, Policy, RuleId, Severity};
use binlogsec_core::mysql::header;
use binlogsec_core::text::path_text;

/// Different bodies under one key that are kept apart; beyond, the first stands for all.
const MOST_BODIES: usize = 8;
/// Other files that one finding names.
const MOST_RELATED: usize = 20;

/// What follows from the facts of one scan, or of several together.
///
/// The logs must be sorted by path.
#[must_use]
pub fn judge(facts: &Facts, policy: &Policy) -> Vec<Finding> {
    let rules = [old_generations, shared_keys, not_indexed, open_logs, foreign_servers];
    let found = rules.into_par_iter().map(|rule| rule(facts, policy));
    found.flatten_iter().collect()
}

fn encrypted(facts: &Facts) -> impl Iterator<Item = (&LogFacts, &EncryptionFacts)> {
    facts.logs.iter().filter_map(|log| Some((log, log.encryption.as_deref()?)))
}

/// BLS005.
fn old_generations(facts: &Facts, policy: &Policy) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut current: HashMap<&str, (u32, &str)> = HashMap::new();
    let mut last = None;
    for (_, encryption) in encrypted(facts) {
        if let (Some(uuid), Some(number)) = (&encryption.server_uuid, encryption.key_seqno) {
            // Most logs are under the key of the one before.
            if last.replace((uuid, number)) == Some((uuid, number)) {
                continue;
            }
            let newest = current.entry(uuid).or_default();
            *newest = (*newest).max((number, "by the newest log"));
        }
    }
    // What a keyring says outweighs what the logs at hand suggest.
    for keyring in facts.keyrings.iter().filter(|keyring| keyring.used) {
        for (uuid, number) in &keyring.current {
            current.insert(uuid, (*number, "by the keyring"));
        }
    }
    let mut up_to_date = None;
    for (log, encryption) in encrypted(facts) {
        let (Some(uuid), Some(number)) = (&encryption.server_uuid, encryption.key_seqno) else {
            continue;
        };
        if up_to_date == Some((uuid, number)) {
            continue;
        }
        let &(newest, source) = current.get(&**uuid).unwrap_or(&(number, ""));
        let behind = newest.saturating_sub(number);
        let severity = match policy.max_generations_behind {
            _ if behind == 0 => {
                up_to_date = Some((uuid, number));
                continue;
            }
            Some(allowed) if behind <= allowed => continue,
            Some(_) => Severity::Warning,
            None => RuleId::Bls005.rule().severity,
        };
        let message = format!(
            "under key generation {number} of server {uuid}; {source}, {newest} is current"
        );
        let finding = Finding::new(RuleId::Bls005, &log.path.join(), message)
            .weighing(severity)
            .seen_at(7, key_id_length(encryption), "the key id in the encryption header");
        findings.push(finding);
    }
    findings
}

fn key_id_length(encryption: &EncryptionFacts) -> u64 {
    u64::try_from(encryption.key_id.len()).unwrap_or(0)
}

/// BLS006.
fn shared_keys(facts: &Facts, _: &Policy) -> Vec<Finding> {
    let mut findings = Vec::new();
    let used = facts.keyrings.iter().filter(|keyring| keyring.used);
    let keyrings: Vec<_> = used.map(|keyring| keyring.path.join()).collect();
    let mut reported = BTreeSet::new();
    let by_header: &MarkOf = &|encryption| Some(encryption.wrapping);
    let by_key: &MarkOf = &|encryption| encryption.file_key;
    for (mark, how) in [
        (by_header, "the same wrapped password and IV in its header as"),
        (by_key, "the same file key and nonce, behind another wrapping, as"),
    ] {
        let mut marked: Vec<(Mark, usize)> = facts
            .logs
            .iter()
            .enumerate()
            .filter_map(|(index, log)| Some((mark(log.encryption.as_deref()?)?, index)))
            .collect();
        marked.par_sort_unstable();
        let groups = marked.chunk_by(|one, other| one.0 == other.0);
        for group in groups.filter(|group| group.len() > 1) {
            let logs = group.iter().filter_map(|(_, index)| facts.logs.get(*index));
            for (log, other) in of_different_bodies(logs) {
                if reported.insert(&log.path) {
                    let finding = shared_key(log, other, how);
                    findings.push(finding.remedied_by(inspection(&log.path.join(), &keyrings)));
                }
            }
        }
    }
    findings
}

type MarkOf = dyn Fn(&EncryptionFacts) -> Option<Mark>;

/// Those logs of a group that differ from another one, each with that one.
fn of_different_bodies<'a>(
    logs: impl Iterator<Item = &'a LogFacts>,
) -> Vec<(&'a LogFacts, &'a LogFacts)> {
    let logs: Vec<_> = logs.collect();
    let body = |log: &LogFacts| {
        log.encryption.as_ref().map(|encryption| encryption.body).unwrap_or_default()
    };
    let differ = |one: &LogFacts, other: &LogFacts| body(one).differ(body(other)) == Some(true);
    let mut bodies: Vec<&LogFacts> = Vec::new();
    for log in &logs {
        if bodies.len() < MOST_BODIES && bodies.iter().all(|known| differ(known, log)) {
            bodies.push(log);
        }
    }
    logs.into_iter()
        .filter_map(|log| {
            let other = bodies.iter().find(|known| differ(known, log))?;
            Some((log, *other))
        })
        .collect()
}

fn shared_key(log: &LogFacts, other: &LogFacts, how: &str) -> Finding {
    let other_path = other.path.join();
    let message = format!("{how} {}, and other contents", path_text::text(&other_path));
    Finding::new(RuleId::Bls006, &log.path.join(), message)
        .seen_at(5, 507, "wrapped file password and its IV, in the encryption header")
        .seen_at(header::BODY_OFFSET, 128, "the ciphertext, which differs from the other log's")
        .related_to([other_path])
}

/// The command that shows a log, and whether a key of these keyrings opens it.
pub(super) fn inspection(log: &Path, keyrings: &[PathBuf]) -> String {
    let mut command = format!("binlogsec inspect {}", path_text::quoted(log));
    for keyring in keyrings {
        command.push_str(" --keyring ");
        command.push_str(&path_text::quoted(keyring));
    }
    command
}

/// BLS008.
fn not_indexed(facts: &Facts, _: &Policy) -> Vec<Finding> {
    let found = unlisted(facts).map(|(log, index)| {
        let index_path = index.path.join();
        let message = format!("not listed in {}", path_text::text(&index_path));
        Finding::new(RuleId::Bls008, &log.path.join(), message).related_to([index_path])
    });
    found.collect()
}

/// Logs beside an index of their series that none of the indexes there lists, each with one.
pub(super) fn unlisted(facts: &Facts) -> impl Iterator<Item = (&LogFacts, &IndexFacts)> {
    let mut by_directory: HashMap<&str, Vec<&IndexFacts>> = HashMap::new();
    for index in &facts.indexes {
        by_directory.entry(&index.directory).or_default().push(index);
    }
    let mut last: Option<(&Path, Vec<&IndexFacts>)> = None;
    let is_of_interest = !by_directory.is_empty();
    let logs = facts.logs.iter().filter(move |_| is_of_interest);
    logs.filter(|log| log.compression.is_none()).filter_map(move |log| {
        let directory = log.path.directory();
        if last.as_ref().is_none_or(|(known, _)| known.as_os_str() != directory.as_os_str()) {
            let indexes = by_directory.get(&*path_text::text(directory));
            last = Some((directory, indexes.cloned().unwrap_or_default()));
        }
        let (_, indexes) = last.as_ref()?;
        if indexes.is_empty() {
            return None;
        }
        let name = path_text::text(Path::new(log.path.name()));
        let base = series(&name)?;
        let of_series = indexes.iter().find(|index| has_series(index, base));
        let index = of_series.filter(|_| !is_listed(indexes, &name));
        index.map(|index| (log, *index))
    })
}

fn is_listed(indexes: &[&IndexFacts], name: &String) -> bool {
    indexes.iter().any(|index| index.logs.binary_search(name).is_ok())
}

/// What stands before the sequence number.
fn series(name: &str) -> Option<&str> {
    let (base, digits) = name.rsplit_once('.')?;
    let is_number = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(base)
}

fn has_series(index: &IndexFacts, base: &str) -> bool {
    Path::new(index.path.name()).file_stem().is_some_and(|stem| stem == base)
        || index.logs.iter().any(|log| series(log) == Some(base))
}

/// BLS010 of logs: one finding for all logs of a directory that have the same mode.
fn open_logs(facts: &Facts, policy: &Policy) -> Vec<Finding> {
    let mut findings = Vec::new();
    for logs in by_directory(facts) {
        let mut modes: BTreeMap<(u32, u32), Vec<&LogFacts>> = BTreeMap::new();
        for log in logs {
            let allowed = allowed(log, policy);
            if exceeds(log.mode, allowed) {
                modes.entry((log.mode, allowed)).or_default().push(log);
            }
        }
        for ((mode, allowed), logs) in modes {
            let mut paths = logs.iter().map(|log| log.path.join());
            let Some(first) = paths.next() else { continue };
            let others: Vec<_> = paths.take(MOST_RELATED).collect();
            let mut message = mode_message("log", mode, allowed);
            match logs.len().saturating_sub(1) {
                0 => {}
                1 => message.push_str("; so has 1 other log of this directory"),
                more => message = format!("{message}; so have {more} other logs of this directory"),
            }
            let others_named = others.len().saturating_add(1) == logs.len();
            let remedy = narrowing(mode, allowed, &first, others_named.then_some(&*others));
            findings.push(
                Finding::new(RuleId::Bls010, &first, message)
                    .related_to(others)
                    .remedied_by(remedy),
            );
        }
    }
    findings
}

/// MariaDB gives its logs 0660, and its group is its own; a policy that says otherwise counts.
fn allowed(log: &LogFacts, policy: &Policy) -> u32 {
    const OF_MARIADB: u32 = 0o660;
    let usual = policy.max_log_mode == Policy::default().max_log_mode;
    if usual && log.kind.starts_with("mariadb") { OF_MARIADB } else { policy.max_log_mode }
}

/// The command that takes from group and others what is not allowed: from these files, or from all
/// of that mode in the directory where they are too many to name.
fn narrowing(mode: u32, allowed: u32, first: &Path, others: Option<&[PathBuf]>) -> String {
    let narrow = mode & (allowed | 0o7700);
    let Some(others) = others else {
        let directory = match first.parent() {
            Some(directory) if directory != Path::new("") => directory,
            _ => Path::new("."),
        };
        let directory = path_text::quoted(directory);
        return format!(
            "find {directory} -maxdepth 1 -type f -perm {mode:04o} -exec chmod {narrow:04o} {{}} +"
        );
    };
    let mut command = format!("chmod {narrow:04o} {}", path_text::quoted(first));
    for path in others {
        command.push(' ');
        command.push_str(&path_text::quoted(path));
    }
    command
}

/// Logs of one directory after those of another; the facts are sorted.
fn by_directory(facts: &Facts) -> impl Iterator<Item = &[LogFacts]> {
    facts.logs.chunk_by(|one, other| {
        one.path.directory().as_os_str() == other.path.directory().as_os_str()
    })
}

/// Whether a mode gives group or others more than another one does.
pub(super) const fn exceeds(mode: u32, allowed: u32) -> bool {
    mode & !allowed & 0o077 != 0
}

pub(super) fn mode_message(what: &str, mode: u32, allowed: u32) -> String {
    let mode = mode & 0o777;
    format!("a {what} of mode {mode:04o}; at most {allowed:04o} is allowed")
}

/// BLS012.
fn foreign_servers(facts: &Facts, policy: &Policy) -> Vec<Finding> {
    let mut findings = Vec::new();
    for logs in by_directory(facts) {
        let logs: Vec<(&FilePath, &str)> = logs
            .iter()
            .filter_map(|log| Some((&log.path, &**log.encryption.as_ref()?.server_uuid.as_ref()?)))
            .collect();
        let Some((path, _)) = logs.first() else {
            continue;
        };
        let directory = path.directory();
        let home = Home::of(directory, &logs, facts, policy);
        for (path, uuid) in logs {
            if let Some(reason) = home.refuses(uuid) {
                let message = format!("under a key of server {uuid}; {reason}");
                let finding = Finding::new(RuleId::Bls012, &path.join(), message).seen_at(
                    27,
                    36,
                    "the server UUID in the key id of the encryption header",
                );
                findings.push(finding);
            }
        }
    }
    findings
}

/// Whose directory it is.
enum Home<'a> {
    Allowed(&'a BTreeSet<String>),
    Server(&'a str),
    Most(&'a str),
}

impl<'a> Home<'a> {
    fn of(
        directory: &Path,
        logs: &[(&FilePath, &'a str)],
        facts: &'a Facts,
        policy: &'a Policy,
    ) -> Self {
        if !policy.allowed_server_uuids.is_empty() {
            return Self::Allowed(&policy.allowed_server_uuids);
        }
        let directory = PathBuf::from(path_text::text(directory));
        let servers =
            facts.servers.iter().filter(|server| directory.starts_with(&server.directory));
        if let Some(server) = servers.max_by_key(|server| server.directory.len()) {
            return Self::Server(&server.server_uuid);
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for run in logs.chunk_by(|one, other| one.1 == other.1) {
            let uuid = run.first().map_or("", |(_, uuid)| uuid);
            let count = counts.entry(uuid).or_default();
            *count = count.saturating_add(run.len());
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        Self::Most(most.map_or("", |(uuid, _)| uuid))
    }

    fn refuses(&self, uuid: &str) -> Option<String> {
        match self {
            Self::Allowed(allowed) if !allowed.contains(&uuid.to_ascii_lowercase()) => {
                Some("the policy does not allow it".to_owned())
            }
            Self::Server(home) if !home.eq_ignore_ascii_case(uuid) => {
                Some(format!("auto.cnf names server {home}"))
            }
            Self::Most(home) if *home != uuid => {
                Some(format!("most logs of this directory are of server {home}"))
            }
            _ => None,
        }
    }
}
