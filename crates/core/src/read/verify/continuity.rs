//! What stands between the logs of a set.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Gtids, Verified};
use crate::batch::targets::name_of_log;
use crate::event::format_description::FormatDescription;
use crate::event::gtid_list::GtidList;
use crate::event::gtid_set::GtidSet;
use crate::text::reported;

/// Two logs that do not follow one another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Gap {
    /// The log before.
    #[serde(serialize_with = "reported::path")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub before: PathBuf,
    /// The log after.
    #[serde(serialize_with = "reported::path")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub after: PathBuf,
    /// What is amiss.
    #[serde(rename = "reason", serialize_with = "reported::display")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
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
        /// The name that it has.
        named: String,
    },
    /// The later log does not know of transactions in the earlier one.
    #[error("the next log's PREVIOUS_GTIDS lacks {gtids}")]
    GtidsLost {
        /// The GTIDs.
        gtids: GtidSet,
    },
    /// The later log knows of transactions that neither the earlier one nor those before it have.
    #[error("the next log's PREVIOUS_GTIDS has {gtids}, which this log and those before it do not")]
    GtidsUnexplained {
        /// The GTIDs.
        gtids: GtidSet,
    },
    /// MariaDB: the later log does not know of transactions in the earlier one.
    #[error("the next log's GTID_LIST does not reach {gtids}")]
    ListLacks {
        /// The last ones that are there.
        gtids: GtidList,
    },
    /// MariaDB: the later log knows of transactions that neither the earlier one nor those before it
    /// have.
    #[error(
        "the next log's GTID_LIST has {gtids}, which this log and those before it do not reach"
    )]
    ListUnexplained {
        /// The last ones that are known there.
        gtids: GtidList,
    },
    /// Another server wrote the later log, and no GTIDs say that it follows.
    #[error("server {before} wrote this log, and server {after} the next one")]
    OtherServer {
        /// The server id in the earlier log.
        before: u32,
        /// The server id in the later log.
        after: u32,
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
    /// Which transactions it holds, and which those before it do.
    pub gtids: Gtids,
    /// The id of the server that wrote the log.
    pub server_id: Option<u32>,
    /// The log that ROTATE names.
    pub next_log: Option<String>,
}

impl From<Verified> for Link {
    fn from(log: Verified) -> Self {
        let description = log.description.as_ref();
        Self {
            is_relay: description.is_some_and(FormatDescription::is_relay_log),
            server_id: description.map(|description| description.header.server_id),
            is_whole: log.is_whole(),
            path: log.path,
            gtids: log.gtids,
            next_log: log.next_log,
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
            series.entry((directory, base)).or_default().insert(number, log);
        }
    }
    let mut gaps = Vec::new();
    for logs in series.values() {
        for ((number, before), (next_number, after)) in logs.iter().zip(logs.iter().skip(1)) {
            let missing = next_number.saturating_sub(*number).saturating_sub(1);
            let mut add = |kind| {
                gaps.push(Gap { before: before.path.clone(), after: after.path.clone(), kind });
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
        && Path::new(named).file_name() != Some(name_of_log(&after.path).as_os_str())
    {
        let named = named.clone();
        add(GapKind::OtherNext { named });
    }
    // A relay log's PREVIOUS_GTIDS is what its replica has received, by whatever way.
    let is_known = by_gtids(&before.gtids, &after.gtids, |kind| {
        if before.is_whole && !before.is_relay {
            add(kind);
        }
    });
    if let (Some(server), Some(next)) = (before.server_id, after.server_id)
        && server != next
        && (before.is_relay || !is_known)
    {
        add(GapKind::OtherServer { before: server, after: next });
    }
}

/// Compares what the later log knows of with what the earlier one leads to. `false` if GTIDs say
/// nothing.
fn by_gtids(before: &Gtids, after: &Gtids, mut add: impl FnMut(GapKind)) -> bool {
    if let (Some(list), Some(next)) = (&before.list, &after.list) {
        let mut expected = list.clone();
        expected.extend(&before.last);
        let unexplained = next.beyond(&expected);
        if !unexplained.is_empty() {
            add(GapKind::ListUnexplained { gtids: unexplained });
        }
        // A domain of which nothing is left in any log may be deleted from the list.
        let mut known = next.clone();
        known.extend(&before.last);
        let lacking = expected.in_domains_of(&known).beyond(next);
        if !lacking.is_empty() {
            add(GapKind::ListLacks { gtids: lacking });
        }
        return !(expected.is_empty() && next.is_empty());
    }
    let (Some(previous), Some(next)) = (&before.previous, &after.previous) else {
        return false;
    };
    let mut expected = previous.clone();
    expected.extend(&before.own);
    let lost = expected.difference(next);
    if !lost.is_empty() {
        add(GapKind::GtidsLost { gtids: lost });
    }
    let unexplained = next.difference(&expected);
    if !unexplained.is_empty() {
        add(GapKind::GtidsUnexplained { gtids: unexplained });
    }
    !(expected.is_empty() && next.is_empty())
}

/// Directory, base name and number.
fn parts(path: &Path) -> Option<(PathBuf, OsString, u64)> {
    let log = name_of_log(path);
    let number = log.extension()?.to_str()?;
    let is_number = number.len() >= 6 && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|_| is_number)?;
    let directory = path.parent().unwrap_or(Path::new("")).to_owned();
    Some((directory, log.file_stem()?.to_owned(), number))
}
