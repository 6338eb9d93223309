//! What stands between the logs of a set.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Verified;
use crate::event::format_description::FormatDescription;
use crate::event::gtid_set::GtidSet;

/// Something that does not join one log to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The log before.
    pub before: PathBuf,
    /// The log after.
    pub after: PathBuf,
    /// What is amiss.
    pub kind: GapKind,
}

/// What is amiss between two logs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GapKind {
    /// Numbers are left out.
    #[error("{missing} in between {} missing", if *.missing == 1 { "is" } else { "are" })]
    NumbersMissing {
        /// How many.
        missing: u64,
    },
    /// The ROTATE event names another log.
    #[error("its ROTATE event names {named} as the next")]
    OtherNext {
        /// Which one.
        named: String,
    },
    /// The later log does not know of transactions in the earlier one.
    #[error("the next log's PREVIOUS_GTIDS lacks {gtids}")]
    GtidsLost {
        /// Which.
        gtids: GtidSet,
    },
    /// The later log knows of transactions that neither the earlier one nor those before it have.
    #[error("the next log's PREVIOUS_GTIDS has {gtids}, which this log and those before it do not")]
    GtidsUnexplained {
        /// Which.
        gtids: GtidSet,
    },
}

/// What a log says of those before and after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it is.
    pub path: PathBuf,
    /// Whether a replica wrote it, of what it received.
    pub is_relay: bool,
    /// Whether nothing in it is damaged.
    pub is_whole: bool,
    /// The set in PREVIOUS_GTIDS.
    pub previous_gtids: Option<GtidSet>,
    /// GTIDs of the log's own transactions.
    pub gtids: GtidSet,
    /// The log that ROTATE names.
    pub next_log: Option<String>,
}

impl From<&Verified> for Link {
    fn from(log: &Verified) -> Self {
        Self {
            path: log.path.clone(),
            is_relay: log
                .description
                .as_ref()
                .is_some_and(FormatDescription::is_relay_log),
            is_whole: log.is_whole(),
            previous_gtids: log.previous_gtids.clone(),
            gtids: log.gtids.clone(),
            next_log: log.next_log.clone(),
        }
    }
}

/// Joins logs of one directory and one base name in the order of their numbers. Logs that cannot
/// be read are left out, and show as numbers missing.
#[must_use]
pub fn check(logs: &[Link]) -> Vec<Gap> {
    let mut series: BTreeMap<(PathBuf, OsString), BTreeMap<u64, &Link>> = BTreeMap::new();
    for log in logs {
        if let Some((directory, base, number)) = parts(&log.path) {
            series
                .entry((directory, base))
                .or_default()
                .insert(number, log);
        }
    }
    let mut gaps = Vec::new();
    for logs in series.values() {
        for ((number, before), (next_number, after)) in logs.iter().zip(logs.iter().skip(1)) {
            let missing = next_number.saturating_sub(*number).saturating_sub(1);
            let mut add = |kind| {
                gaps.push(Gap {
                    before: before.path.clone(),
                    after: after.path.clone(),
                    kind,
                });
            };
            if missing > 0 {
                add(GapKind::NumbersMissing { missing });
            } else {
                pair(before, after, add);
            }
        }
    }
    gaps
}

/// Two logs, the later of which has the next number.
fn pair(before: &Link, after: &Link, mut add: impl FnMut(GapKind)) {
    if let Some(named) = &before.next_log
        && Path::new(named).file_name() != after.path.file_name()
    {
        let named = named.clone();
        add(GapKind::OtherNext { named });
    }
    // A relay log's PREVIOUS_GTIDS is what its replica has received, by whatever way.
    if !before.is_whole || before.is_relay {
        return;
    }
    let (Some(previous), Some(next)) = (&before.previous_gtids, &after.previous_gtids) else {
        return;
    };
    let mut expected = previous.clone();
    expected.extend(&before.gtids);
    let lost = expected.difference(next);
    if !lost.is_empty() {
        add(GapKind::GtidsLost { gtids: lost });
    }
    let unexplained = next.difference(&expected);
    if !unexplained.is_empty() {
        add(GapKind::GtidsUnexplained { gtids: unexplained });
    }
}

/// Directory, base name and number.
fn parts(path: &Path) -> Option<(PathBuf, OsString, u64)> {
    let number = path.extension()?.to_str()?;
    let is_number = number.len() >= 6 && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|_| is_number)?;
    let directory = path.parent().unwrap_or(Path::new("")).to_owned();
    Some((directory, path.file_stem()?.to_owned(), number))
}
