//! The report of `binlogsec recover`.

use std::path::Path;

use binlogsec_core::read::recover::catalogue::Unread;
use binlogsec_core::read::recover::plan::{Doubled, Gap, GapKind, Moment, Slice};
use binlogsec_core::read::recover::reach::Reach;
use binlogsec_core::text::path_text;
use serde::Serialize;

use super::Planned;
use crate::log_entry::rfc3339;

/// `binlogsec recover --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RecoverReport {
    /// `binlogsec.recover/1`.
    pub schema: &'static str,
    /// Where the recovery begins.
    pub from: FromEntry,
    /// Where it ends.
    pub to: ToEntry,
    /// Whether the moment can be reached: nothing is missing that was not allowed to be.
    pub complete: bool,
    /// Whether every event of the logs that are needed was checked; else most were judged by their
    /// heads.
    pub verified: bool,
    /// What to apply, in order.
    pub slices: Vec<SliceEntry>,
    /// What is missing.
    pub gaps: Vec<GapEntry>,
    /// Copies of logs that are there twice: the longer one is used.
    pub doubled: Vec<Doubled>,
    /// Logs that cannot be read and are not needed, as far as is known.
    pub unread: Vec<Unread>,
    /// Relay logs, which are not used.
    pub relay_logs: Vec<String>,
    /// The GTIDs that are there at the end, those of the backup included.
    pub reached: Option<String>,
    /// GTIDs up to the moment that stand in none of the logs, although there are transactions of the
    /// same server before and behind them, or of the same domain within a log that was read to its end
    /// (MariaDB).
    pub holes: Option<String>,
}

/// Where a recovery begins.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct FromEntry {
    /// What says so: a file, or what was given.
    pub origin: String,
    /// The log of the server that was backed up.
    pub log: Option<String>,
    /// The position in it.
    pub position: Option<u64>,
    /// The GTIDs that are in the backup.
    pub gtids: Option<String>,
}

/// Where a recovery ends.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ToEntry {
    /// `end`, `time`, `with` a transaction, `before` a transaction, or `position`.
    pub kind: ToKind,
    /// The time (RFC 3339, UTC), GTID or LOG:POSITION.
    pub moment: Option<String>,
    /// The statement that was found by `--find`.
    pub found: Option<String>,
    /// When its transaction began (RFC 3339, UTC).
    pub found_time: Option<String>,
    /// Where its transaction begins: LOG:POSITION.
    pub found_at: Option<String>,
}

/// A part of a log.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SliceEntry {
    /// The log.
    pub path: String,
    /// The server that wrote it.
    pub server_id: u32,
    /// Position from which on it is taken; the log's beginning without.
    pub start_position: Option<u64>,
    /// Position before which it ends; the log's end without.
    pub stop_position: Option<u64>,
    /// The GTIDs that it adds, where the log has GTIDs.
    pub gtids: Option<String>,
    /// How many that are.
    pub transactions: Option<u64>,
    /// Whether some of its transactions are left out, as they are there already.
    pub partial: bool,
}

/// Something that is needed and not there.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct GapEntry {
    /// `missing` between logs, `not-reached` behind them, `lacking` in a log, `diverged`: on one server only,
    /// or `renumbered`: other transactions have the same GTIDs.
    pub kind: GapKind,
    /// What it is, in a sentence.
    pub message: String,
    /// The GTIDs that are missing, where GTIDs tell.
    pub gtids: Option<String>,
    /// The first of them.
    pub first: Option<String>,
    /// Names of the logs that are missing; of many the first and the last.
    pub logs: Vec<String>,
    /// The log before it.
    pub after: Option<String>,
    /// The log behind it.
    pub before: Option<String>,
    /// Files of the missing logs that cannot be read.
    pub unread: Vec<Unread>,
    /// Whether `--allow-gap` names it.
    pub allowed: bool,
}

/// What says where a recovery ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ToKind {
    /// The end of the logs.
    End,
    /// A time: what begins then is left out.
    Time,
    /// A transaction, the last one.
    With,
    /// A transaction, the first one that is left out.
    Before,
    /// A position of a log.
    Position,
}

impl RecoverReport {
    /// From a plan.
    pub(super) fn new(planned: &Planned) -> Self {
        let (state, plan) = (&planned.wanted.state, &planned.plan);
        let text = |path: &Path| path_text::text(path);
        Self {
            schema: "binlogsec.recover/1",
            from: FromEntry {
                origin: state.origin.clone(),
                log: state.position.as_ref().map(|it| it.log.clone()),
                position: state.position.as_ref().map(|it| it.position),
                gtids: state.gtids.as_ref().map(|it| it.union(&state.besides).to_string()),
            },
            to: ToEntry::new(planned),
            complete: plan.open_gaps().next().is_none(),
            verified: planned.is_verified,
            slices: plan.slices.iter().map(SliceEntry::new).collect(),
            gaps: plan.gaps.iter().map(GapEntry::new).collect(),
            doubled: plan.doubled.clone(),
            unread: plan.unread.clone(),
            relay_logs: plan.relay_logs.iter().map(|path| text(path)).collect(),
            reached: plan.reached.as_ref().map(ToString::to_string),
            holes: plan.holes.as_ref().map(Reach::ranges),
        }
    }
}

impl ToEntry {
    fn new(planned: &Planned) -> Self {
        let (kind, moment) = match &planned.wanted.moment {
            Moment::End => (ToKind::End, None),
            Moment::Time(seconds) => {
                let time = u32::try_from(*seconds).map(rfc3339).ok();
                (ToKind::Time, time.or_else(|| Some(seconds.to_string())))
            }
            Moment::With(id) => (ToKind::With, Some(id.to_string())),
            Moment::Before(id) => (ToKind::Before, Some(id.to_string())),
            Moment::Position(it) => (ToKind::Position, Some(format!("{}:{}", it.log, it.position))),
        };
        let found = planned.found.as_ref();
        Self {
            kind,
            moment,
            found: found.map(|found| found.what.clone()),
            found_time: found.map(|found| rfc3339(found.time)),
            found_at: found
                .map(|found| format!("{}:{}", path_text::text(&found.path), found.position)),
        }
    }
}

impl SliceEntry {
    fn new(slice: &Slice) -> Self {
        Self {
            path: path_text::text(&slice.path),
            server_id: slice.server_id,
            start_position: slice.start_position,
            stop_position: slice.stop_position,
            gtids: slice.adds.as_ref().map(ToString::to_string),
            transactions: slice.adds.as_ref().map(Reach::len),
            partial: slice.without.is_some(),
        }
    }
}

impl GapEntry {
    fn new(gap: &Gap) -> Self {
        let text = |path: &Option<std::path::PathBuf>| path.as_ref().map(|it| path_text::text(it));
        Self {
            kind: gap.kind,
            message: sentence(gap),
            gtids: gap.missing.as_ref().map(Reach::ranges),
            first: gap.missing.as_ref().and_then(Reach::first),
            logs: gap.logs.clone(),
            after: text(&gap.after),
            before: text(&gap.before),
            unread: gap.unread.clone(),
            allowed: gap.is_allowed,
        }
    }
}

/// What is missing, where, why, and how to go on without it.
pub(super) fn sentence(gap: &Gap) -> String {
    let name = |path: &Option<std::path::PathBuf>| path.as_ref().map(|it| path_text::text(it));
    let gtids = gap.missing.as_ref().map(Reach::ranges);
    let logs = match gap.logs.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        [first, .., last] => Some(format!("{first} to {last}")),
    };
    let what = match (&logs, &gtids) {
        (Some(logs), Some(gtids)) => format!("{gtids} ({logs})"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => "the moment".to_owned(),
    };
    let place = match (name(&gap.after), name(&gap.before)) {
        (Some(after), Some(before)) => format!(" between {after} and {before}"),
        (None, Some(before)) => format!(" before {before}"),
        (Some(after), None) => format!(" behind {after}"),
        (None, None) => String::new(),
    };
    let mut text = match gap.kind {
        GapKind::Missing => format!("missing{place}: {what}"),
        GapKind::NotReached => format!("not reached{place}: {what}"),
        GapKind::Renumbered => {
            return format!(
                "renumbered: {} are other transactions in {} than in {}: the server began its numbers anew \
                 between them (RESET); name the logs from before that alone, or those from after it",
                gtids.unwrap_or_default(),
                name(&gap.after).unwrap_or_default(),
                name(&gap.before).unwrap_or_default()
            );
        }
        GapKind::Lacking => {
            let (log, gtids) = (name(&gap.after).unwrap_or_default(), gtids.unwrap_or_default());
            return format!(
                "lacking: {log} does not have {gtids}, which the log behind it says were before it: left out of it \
                 (salvaged, or chosen by GTIDs). Name a whole copy of it, or go on without by --allow-gap {gtids}. If \
                 no copy has them, these may be logs of two servers or of two lives of one (name the directories of \
                 each alone), or the server was told that it has them (gtid_purged: begin with a backup that has them)"
            );
        }
        GapKind::Diverged => {
            let after = name(&gap.after).unwrap_or_default();
            let before = name(&gap.before).unwrap_or_default();
            let gtids = gtids.clone().unwrap_or_default();
            if gap.missing.as_ref().is_some_and(Reach::is_mariadb) {
                return format!(
                    "diverged: {after} has {gtids}, and {before} has other transactions under these \
                     numbers, which are applied; name the servers that count by --server-id, or leave \
                     the first ones out by --allow-gap {gtids}"
                );
            }
            return format!(
                "diverged: {after} has {gtids}, which the server that wrote {before} never had; leave out \
                 the log, or apply them all the same by --allow-gap {gtids}"
            );
        }
    };
    for unread in &gap.unread {
        text += &format!("; {}", unread.reason);
    }
    let how = gtids.or_else(|| gap.logs.first().cloned());
    if let (Some(how), true) = (how, gap.kind == GapKind::Missing) {
        text += &format!("; find the log, or go on without by --allow-gap {how}");
    }
    text
}
