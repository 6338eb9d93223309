//! Findings that are known and accepted for a time, from a TOML file.
//!
//! A path may be spelled in any way: that of an entry and that of a finding are compared as they are
//! and as absolute ones. A relative path in a baseline is one from the directory of the baseline.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use jiff::civil::Date;
use serde::Deserialize;

use super::policy::{PolicyError, bad_value, from_toml, read_text};
use super::rules::RuleId;
use super::{Acceptance, Finding, Subject};

/// What is known and accepted.
#[derive(Debug, Default)]
pub struct Baseline {
    entries: Vec<Entry>,
    /// The entries' patterns, so many at once as one automaton holds. A finding is held against all
    /// of them in one go: there may be as many findings as there are files.
    patterns: Vec<GlobSet>,
    /// Entries by what they say, letter by letter.
    literal: HashMap<PathBuf, Vec<usize>>,
    /// The directory that relative paths of findings start from.
    working_directory: PathBuf,
}

/// Patterns of one automaton.
const TOGETHER: usize = 256;
/// Patterns of one entry: as it is written, and as an absolute path.
const SPELLINGS: usize = 2;

#[derive(Debug)]
struct Entry {
    rule: RuleId,
    path: String,
    acceptance: Acceptance,
    used: AtomicBool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BaselineFile {
    #[serde(default)]
    finding: Vec<EntryFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryFile {
    id: String,
    path: String,
    reason: String,
    expires: toml::value::Datetime,
}

impl Baseline {
    /// The first line of a baseline that was written.
    pub const HEADLINE: &str =
        "# Findings of binlogsec that are known, and accepted up to a date: see docs/check.md.";

    /// Reads a baseline from a file.
    ///
    /// # Errors
    /// [`PolicyError`]; an unknown key or rule, and an entry without a reason, is an error.
    pub fn open(path: &Path) -> Result<Self, PolicyError> {
        Self::parse(&read_text(path)?, path)
    }

    /// Reads a baseline from text; `path` is what messages call it.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, PolicyError> {
        let file: BaselineFile = from_toml(text, path)?;
        let working_directory = std::env::current_dir().unwrap_or_default();
        let directory = path.parent().unwrap_or(Path::new(""));
        let directory = absolute(directory, &working_directory);
        let mut baseline = Self { working_directory, ..Self::default() };
        let mut globs = Vec::new();
        for (number, entry) in file.finding.into_iter().enumerate() {
            let (entry, spellings) = Entry::new(entry, number, (path, &directory))?;
            let literal = baseline.literal.entry(PathBuf::from(&entry.path));
            literal.or_default().push(number);
            baseline.entries.push(entry);
            globs.extend(spellings);
        }
        for together in globs.chunks(TOGETHER) {
            let mut set = GlobSetBuilder::new();
            together.iter().cloned().for_each(|glob| {
                set.add(glob);
            });
            let set = set.build();
            let set = set.map_err(|error| bad_value(path, "finding.path", &error))?;
            baseline.patterns.push(set);
        }
        Ok(baseline)
    }

    /// Marks a finding that is accepted on this day; says so in one whose acceptance has expired.
    pub(super) fn apply(&self, finding: &mut Finding, today: Date) {
        if self.entries.is_empty() {
            return;
        }
        let mut fitting = Vec::new();
        for text in self.spellings(&finding.subject) {
            fitting.extend(self.literal.get(&text).into_iter().flatten());
            for (number, set) in self.patterns.iter().enumerate() {
                let first = number.saturating_mul(TOGETHER);
                let matches = set.matches(&text).into_iter();
                fitting.extend(matches.map(|at| at.saturating_add(first) / SPELLINGS));
            }
        }
        fitting.sort_unstable();
        fitting.dedup();
        let fitting = fitting.iter().filter_map(|at| self.entries.get(*at));
        let fitting: Vec<_> = fitting.filter(|it| it.rule == finding.rule).collect();
        for entry in &fitting {
            entry.used.store(true, Ordering::Relaxed);
        }
        let latest = fitting.into_iter().max_by_key(|entry| entry.acceptance.expires);
        if let Some(Entry { acceptance, .. }) = latest {
            if acceptance.expires >= today {
                finding.accepted = Some(acceptance.clone());
            } else {
                let Acceptance { reason, expires } = acceptance;
                finding.message =
                    format!("{} (was accepted until {expires}: {reason})", finding.message);
            }
        }
    }

    /// The ways in which a finding's subject can be written in a baseline.
    fn spellings(&self, subject: &Subject) -> impl Iterator<Item = PathBuf> {
        let name = PathBuf::from(subject.name());
        let is_path = subject.path().is_some_and(|path| !is_address(path));
        let other = is_path.then(|| absolute(&name, &self.working_directory));
        // By their letters: as paths `./a` and `a` are equal.
        let other = other.filter(|other| other.as_os_str() != name.as_os_str());
        std::iter::once(name).chain(other)
    }

    /// A baseline of the entries of this one that fitted findings and have not expired, and of every
    /// finding that still counts, as TOML. `directory` is that of the file to be: paths below it are
    /// written from there.
    #[must_use]
    pub fn renewed(
        &self,
        findings: &[Finding],
        acceptance: &Acceptance,
        (directory, today): (&Path, Date),
    ) -> (String, usize) {
        let mut text = format!("{}\n", Self::HEADLINE);
        let is_kept = |entry: &&Entry| {
            entry.used.load(Ordering::Relaxed) && entry.acceptance.expires >= today
        };
        for entry in self.entries.iter().filter(is_kept) {
            push(&mut text, entry.rule, &entry.path, &entry.acceptance);
        }
        let directory = absolute(directory, &self.working_directory);
        let mut count = 0_usize;
        for finding in findings.iter().filter(|finding| finding.counts()) {
            let name = PathBuf::from(finding.subject.name());
            let is_path = finding.subject.path().is_some_and(|path| !is_address(path));
            let name = if is_path { absolute(&name, &self.working_directory) } else { name };
            let from_there = name.strip_prefix(&directory).ok();
            let from_there = from_there.filter(|path| is_path && path.components().count() > 0);
            let name = from_there.unwrap_or(&name).to_string_lossy();
            push(&mut text, finding.rule, &escaped(&name), acceptance);
            count = count.saturating_add(1);
        }
        (text, count)
    }

    /// Entries that fitted no finding: what they were for is gone, and so may they.
    pub fn unused(&self) -> impl Iterator<Item = String> {
        self.entries
            .iter()
            .filter(|entry| !entry.used.load(Ordering::Relaxed))
            .map(|entry| format!("{} {}", entry.rule, entry.path))
    }
}

impl Entry {
    fn new(
        entry: EntryFile,
        number: usize,
        (path, directory): (&Path, &Path),
    ) -> Result<(Self, [Glob; SPELLINGS]), PolicyError> {
        let EntryFile { id, path: pattern, reason, expires } = entry;
        let key = |name: &str| format!("finding[{number}].{name}");
        let rule = id.parse().map_err(|error| bad_value(path, &key("id"), &error))?;
        let glob = |pattern: &str| {
            let glob = GlobBuilder::new(pattern).literal_separator(true).build();
            glob.map_err(|error| bad_value(path, &key("path"), &error))
        };
        let spellings = [glob(&pattern)?, glob(&from_directory(&pattern, directory))?];
        if reason.trim().is_empty() {
            return Err(bad_value(path, &key("reason"), &"a reason is needed"));
        }
        let expires = match expires.date {
            Some(date) if expires.time.is_none() => date.to_string().parse().ok(),
            _ => None,
        };
        let expires: Date = expires.ok_or_else(|| {
            bad_value(path, &key("expires"), &"a date such as 2027-01-31 is expected")
        })?;
        let entry = Self {
            rule,
            path: pattern,
            acceptance: Acceptance { reason, expires },
            used: AtomicBool::new(false),
        };
        Ok((entry, spellings))
    }
}

/// Whether a path is an address of an object store, which has one spelling.
fn is_address(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.contains("://"))
}

/// A pattern as one for absolute paths. Of an account or an object in a store nothing is made.
fn from_directory(pattern: &str, directory: &Path) -> String {
    let path = Path::new(pattern);
    if path.is_absolute() || is_address(path) || pattern.starts_with("**") {
        return pattern.to_owned();
    }
    let directory = escaped(&directory.to_string_lossy());
    absolute(path, Path::new(&directory)).to_string_lossy().into_owned()
}

/// A path from the root on, without `.` and `..`. Links are not looked at.
fn absolute(path: &Path, from: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for component in from.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                whole.pop();
            }
            other => whole.push(other),
        }
    }
    whole
}

/// A path as a pattern that fits it alone.
fn escaped(path: &str) -> String {
    globset::escape(&path.replace('\\', "\\\\"))
}

/// Appends an entry. JSON's strings are strings of TOML, but for one character.
fn push(text: &mut String, rule: RuleId, path: &str, acceptance: &Acceptance) {
    let quoted =
        |text: &str| serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f");
    let (path, reason) = (quoted(path), quoted(&acceptance.reason));
    let expires = acceptance.expires;
    let _ = write!(
        text,
        "\n[[finding]]\nid = \"{rule}\"\npath = {path}\nreason = {reason}\nexpires = {expires}\n"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    const TEXT: &str = "[[finding]]\nid = \"BLS001\"\npath = \"/old/*.000001\"\n\
                        reason = \"purged on Monday\"\nexpires = 2027-01-31\n";

    fn finding(path: &str) -> Finding {
        Finding::new(RuleId::Bls001, Path::new(path), "plaintext")
    }

    #[test]
    fn the_last_day_still_counts_as_accepted() {
        let baseline = Baseline::parse(TEXT, Path::new("b.toml")).unwrap();
        for (path, day, accepted) in [
            ("/old/b.000001", date(2027, 1, 31), true),
            ("/old/b.000001", date(2027, 2, 1), false),
            ("/old/sub/b.000001", date(2027, 1, 1), false),
        ] {
            let mut finding = finding(path);
            baseline.apply(&mut finding, day);
            assert_eq!(finding.accepted.is_some(), accepted, "{path} {day}");
            assert_eq!(finding.counts(), !accepted);
        }
        assert_eq!(baseline.unused().count(), 0);
    }

    #[test]
    fn an_expired_entry_says_so_and_an_unused_one_is_told() {
        let baseline = Baseline::parse(TEXT, Path::new("b.toml")).unwrap();
        assert_eq!(baseline.unused().collect::<Vec<_>>(), ["BLS001 /old/*.000001"]);
        let mut finding = finding("/old/b.000001");
        baseline.apply(&mut finding, date(2030, 1, 1));
        assert!(finding.message.contains("2027-01-31: purged on Monday"), "{}", finding.message);
    }

    #[test]
    fn names_with_wildcards_in_them_can_be_meant_literally() {
        let text = TEXT.replace("/old/*.000001", "/old/[x].000001");
        let baseline = Baseline::parse(&text, Path::new("b.toml")).unwrap();
        let mut finding = finding("/old/[x].000001");
        baseline.apply(&mut finding, date(2027, 1, 1));
        assert!(finding.accepted.is_some());
    }

    #[test]
    fn a_path_may_be_spelled_in_any_way() {
        let here = std::env::current_dir().unwrap();
        let name = here.file_name().unwrap().to_str().unwrap();
        let day = date(2027, 1, 1);
        for entry in ["logs/b.1", "./logs/b.1", "logs/x/../b.1", "logs/*.1", "**/b.1"] {
            let text = TEXT.replace("/old/*.000001", entry);
            let baseline = Baseline::parse(&text, Path::new("b.toml")).unwrap();
            let whole = here.join("logs/b.1");
            let around = format!("../{name}/logs/b.1");
            for path in ["logs/b.1", "./logs/b.1", whole.to_str().unwrap(), &around] {
                let mut finding = finding(path);
                baseline.apply(&mut finding, day);
                assert!(finding.accepted.is_some(), "{entry} {path}");
            }
            let mut other = finding("other/logs/b.1");
            baseline.apply(&mut other, day);
            assert_eq!(other.accepted.is_some(), entry == "**/b.1", "{entry}");
        }
        let elsewhere = TEXT.replace("/old/*.000001", "b.1");
        let baseline = Baseline::parse(&elsewhere, Path::new("/old/b.toml")).unwrap();
        let mut there = finding("/old/b.1");
        baseline.apply(&mut there, day);
        assert!(there.accepted.is_some(), "from the baseline's directory");
    }

    #[test]
    fn a_baseline_that_was_written_accepts_what_it_was_written_from() {
        let acceptance =
            Acceptance { reason: "a \"word\"\n\u{7f}".into(), expires: date(2027, 1, 31) };
        let names =
            ["/data/a[1].log", "/data/b*\\x{c}\"\u{7f}.log", "/elsewhere/d", "s3://logs/e*"];
        let findings: Vec<_> = names.iter().map(|name| finding(name)).collect();
        let earlier = Baseline::parse(TEXT, Path::new("b.toml")).unwrap();
        let mut old = finding("/old/x.000001");
        earlier.apply(&mut old, date(2027, 1, 1));
        let whole = [findings.as_slice(), &[old]].concat();
        let place = (Path::new("/data"), date(2027, 1, 1));
        let (text, count) = earlier.renewed(&whole, &acceptance, place);
        assert_eq!(count, names.len());
        assert!(text.contains("path = \"a[[]1[]].log\""), "{text}");
        let written = Baseline::parse(&text, Path::new("/data/b.toml")).unwrap();
        for mut finding in whole {
            finding.accepted = None;
            written.apply(&mut finding, date(2027, 1, 31));
            assert!(finding.accepted.is_some(), "{:?}\n{text}", finding.subject);
        }
        let mut other = finding("/data/a1.log");
        written.apply(&mut other, date(2027, 1, 31));
        assert!(other.accepted.is_none());
        assert_eq!(written.unused().count(), 0);
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for (old, new) in [
            ("reason", "reasons"),
            ("BLS001", "BLS999"),
            ("purged on Monday", " "),
            ("2027-01-31", "\"2027-01-31\""),
            ("2027-01-31", "2027-01-31T00:00:00Z"),
            ("/old/*", "/old/[*"),
            ("[[finding]]", "[[findings]]"),
        ] {
            let text = TEXT.replace(old, new);
            assert!(Baseline::parse(&text, Path::new("b.toml")).is_err(), "{text}");
        }
    }
}
