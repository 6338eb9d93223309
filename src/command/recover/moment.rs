//! Up to where, as a user writes it.

use anyhow::bail;
use binlogsec_core::event::gtid::TransactionId;
use binlogsec_core::event::gtid_list::GtidList;
use binlogsec_core::event::gtid_set::Gtid;
use binlogsec_core::event::gtid_set::GtidSet;
use binlogsec_core::read::recover::catalogue::name_of;
use binlogsec_core::read::recover::find::Found;
use binlogsec_core::read::recover::plan::Moment;
use binlogsec_core::read::recover::state::LogPosition;

use super::RecoverArgs;
use crate::log_entry::rfc3339;
use crate::terminal::Terminal;
use crate::time;

/// The moment that the options name; the end for one that is still to be found.
pub(super) fn of(args: &RecoverArgs, terminal: &Terminal) -> anyhow::Result<Moment> {
    if let Some(text) = &args.to_before {
        return match transaction(text) {
            Some(id) => Ok(Moment::Before(id)),
            None => bail!("--to-before takes one GTID: UUID:4711, UUID:tag:7, or 0-1-4711"),
        };
    }
    let text = args.to.as_str();
    if text == "end" {
        return Ok(Moment::End);
    }
    if let Some(id) = transaction(text) {
        return Ok(Moment::With(id));
    }
    if let Ok(time) = time::parse(text) {
        let [seconds] = args.zone.seconds([("--to", &Some(time))], terminal)?;
        return Ok(seconds.map_or(Moment::End, Moment::Time));
    }
    match LogPosition::parse(text) {
        Some(position) => Ok(Moment::Position(position)),
        None => bail!(
            "--to {text:?} is neither a time ('2026-11-21 14:00:00'), a GTID (UUID:4711 or 0-1-4711), a \
             place (binlog.000042:1234) nor `end`"
        ),
    }
}

/// One GTID of either dialect.
fn transaction(text: &str) -> Option<TransactionId> {
    if let Ok(set) = text.parse::<GtidSet>() {
        let mut intervals = set.intervals();
        let (tsid, number, _) = intervals.next().filter(|_| set.len() == 1)?;
        return Some(TransactionId::Gtid(Gtid { tsid: tsid.clone(), number }));
    }
    let list = text.parse::<GtidList>().ok().filter(|list| list.len() == 1)?;
    let (domain, server_id, sequence) = list.iter().next()?;
    Some(TransactionId::Mariadb { domain, server_id, sequence })
}

/// A transaction that was found, in one line.
pub(super) fn line(found: &Found) -> String {
    let place = format!("{}:{}", name_of(&found.path), found.position);
    let id = found.id.as_ref().map(|id| format!("{id}  ")).unwrap_or_default();
    let what: String = found.what.chars().take(100).collect();
    format!("{}  {place}  {id}{what}", rfc3339(found.time))
}
