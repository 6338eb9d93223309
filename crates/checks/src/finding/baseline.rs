//! Findings that are known and accepted for a time, from a TOML file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use jiff::civil::Date;
use serde::Deserialize;

use super::policy::{PolicyError, bad_value, from_toml, read_text};
use super::rules::RuleId;
use super::{Acceptance, Finding};

/// What is known and accepted.
#[derive(Debug, Default)]
pub struct Baseline {
    entries: Vec<Entry>,
    /// The entries' patterns, so many at once as one automaton holds. A finding is held against all
    /// of them in one go: there may be as many findings as there are files.
    patterns: Vec<GlobSet>,
    /// Entries by what they say, letter by letter.
    literal: HashMap<PathBuf, Vec<usize>>,
}

/// Patterns of one automaton.
const TOGETHER: usize = 256;

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
        let mut baseline = Self::default();
        let mut globs = Vec::new();
        for (number, entry) in file.finding.into_iter().enumerate() {
            let (entry, glob) = Entry::new(entry, number, path)?;
            let literal = baseline.literal.entry(PathBuf::from(&entry.path));
            literal.or_default().push(number);
            baseline.entries.push(entry);
            globs.push(glob);
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
        let text = PathBuf::from(finding.subject.name());
        let mut fitting = self.literal.get(&text).cloned().unwrap_or_default();
        for (number, set) in self.patterns.iter().enumerate() {
            let first = number.saturating_mul(TOGETHER);
            let matches = set.matches(&text).into_iter();
            fitting.extend(matches.map(|at| at.saturating_add(first)));
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

    /// Entries that fitted no finding: what they were for is gone, and so may they.
    pub fn unused(&self) -> impl Iterator<Item = String> {
        self.entries
            .iter()
            .filter(|entry| !entry.used.load(Ordering::Relaxed))
            .map(|entry| format!("{} {}", entry.rule, entry.path))
    }
}

impl Entry {
    fn new(entry: EntryFile, number: usize, path: &Path) -> Result<(Self, Glob), PolicyError> {
        let EntryFile { id, path: pattern, reason, expires } = entry;
        let key = |name: &str| format!("finding[{number}].{name}");
        let rule = id.parse().map_err(|error| bad_value(path, &key("id"), &error))?;
        let glob = GlobBuilder::new(&pattern)
            .literal_separator(true)
            .build()
            .map_err(|error| bad_value(path, &key("path"), &error))?;
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
        Ok((entry, glob))
    }
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
