//! XA transactions of a damaged log: what is prepared may be lost while its XA COMMIT or XA ROLLBACK is
//! whole, and the other way round. A server answers `ERROR 1397` to what ends a transaction that is not
//! prepared there, and a replay stops.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::event::event_type;
use crate::event::gtid::TransactionId;
use crate::event::payload::Unfolder;
use crate::event::query::Query;
use crate::event::walker::EventView;
use crate::event::xa::{self, XaHalf};
use crate::read::events::inner;

/// More XA transactions are not remembered at a time.
const MAX_REMEMBERED: usize = 1 << 16;
/// A compressed transaction is unfolded up to so many bytes for its end; its beginning has its id.
const MOST_UNFOLDED: u64 = 64 << 20;

/// An XA transaction of which the output does not have both halves, as something before or behind
/// was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "SalvagedXa"))]
pub struct CutXa {
    /// Its id, as statements have it, in lower case: `x'7831',x'',1`.
    pub xid: String,
    /// Which half is not there, and what was done with the other one.
    pub fate: XaFate,
    /// `commit` or `rollback`: how it ends; `null` if that is lost, or in a log behind.
    pub end: Option<XaVerb>,
    /// The GTID of the other half; `null` if it has none.
    pub gtid: Option<String>,
    /// The plain offset of that half: of XA COMMIT or XA ROLLBACK, or of the event that prepares.
    pub position: u64,
}

/// Which half of an XA transaction is not there, and what was done with the other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "SalvagedXaFate"))]
#[serde(rename_all = "kebab-case")]
pub enum XaFate {
    /// What is prepared is lost, and its end was left out.
    PrepareLost,
    /// No whole transaction of this log prepares it, and one that may is lost: its end was left out. If it
    /// was prepared in a log before, its end is wanted.
    PrepareUnknown,
    /// What is prepared was written. Its end is lost, or in a log behind.
    EndLost,
}

/// How an XA transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "SalvagedXaVerb"))]
#[serde(rename_all = "kebab-case")]
pub enum XaVerb {
    /// XA COMMIT.
    Commit,
    /// XA ROLLBACK.
    Rollback,
}

/// What is prepared and was kept.
#[derive(Debug)]
struct Prepared {
    gtid: Option<String>,
    position: u64,
    /// How often something had been lost by then that may have been an end.
    ends_lost: u64,
}

/// What may be lost between a transaction that has begun and the next one that does.
#[derive(Debug, Clone, Copy)]
struct Hole {
    /// Of the transaction that it is in only the GTID is known: it may be any.
    is_unknown: bool,
    /// The GTID tells that it prepares nothing.
    prepares_nothing: bool,
    /// How it ended stands behind the hole.
    has_end: bool,
}

/// Follows the two halves of each.
#[derive(Debug, Default)]
pub(super) struct Halves {
    /// The id of the one that is being read.
    begun: Option<String>,
    prepared: BTreeMap<String, Prepared>,
    /// Those that were left out.
    lost: BTreeSet<String>,
    /// Whether something was lost that may have prepared any.
    is_any_lost: bool,
    /// How often something was lost that may have ended any.
    ends_lost: u64,
    hole: Option<Hole>,
    /// Where the transaction ends that is being read, if its GTID event says so and it is not compressed.
    expected_end: Option<u64>,
    unfolder: Unfolder,
}

impl Halves {
    /// Takes the event with which a transaction begins that may be one.
    pub(super) fn begin(&mut self, event: &EventView<'_>, length: Option<u64>) {
        self.expected_end = length.map(|length| event.offset.saturating_add(length));
        let is_mariadb = event.header.event_type == event_type::MARIADB_GTID;
        self.begun = if is_mariadb { xa::prepared_in_gtid(event.body()) } else { None };
    }

    /// Which half an event is, or has within.
    pub(super) fn half(&mut self, event: &EventView<'_>) -> Option<XaHalf> {
        if event.header.event_type == event_type::TRANSACTION_PAYLOAD {
            return inner::xa_half_at_hand(event, (&mut self.unfolder, MOST_UNFOLDED));
        }
        let half = XaHalf::of(event);
        if half.is_none() {
            let begun = Query::of(event).and_then(|query| xa::begun(&query.statement));
            self.begun = begun.or(self.begun.take());
        }
        half
    }

    /// A whole transaction prepares one, and was kept.
    pub(super) fn keep(&mut self, id: String, gtid: Option<String>, position: u64) {
        self.begun = None;
        self.lost.remove(&id);
        if self.prepared.len() < MAX_REMEMBERED {
            let ends_lost = self.ends_lost;
            self.prepared.insert(id, Prepared { gtid, position, ends_lost });
        }
    }

    /// The transaction is left out that is being read.
    pub(super) fn lose_begun(&mut self) {
        if let Some(id) = self.begun.take() {
            self.lose(id);
        }
    }

    pub(super) fn lose(&mut self, id: String) {
        if self.lost.len() < MAX_REMEMBERED {
            self.lost.insert(id);
        }
    }

    /// One is ended here, in a transaction of this GTID and at this plain offset: what of it is not
    /// there, if something is not. `is_left_out` if its end is left out in any case.
    pub(super) fn end(
        &mut self,
        (xid, is_commit): (String, bool),
        (gtid, position): (Option<String>, u64),
        is_left_out: bool,
    ) -> Option<CutXa> {
        let prepared = self.prepared.remove(&xid);
        let is_lost = self.lost.remove(&xid);
        let end = Some(if is_commit { XaVerb::Commit } else { XaVerb::Rollback });
        let fate = match (is_left_out, prepared) {
            (true, prepared) => {
                let Prepared { gtid, position, .. } = prepared?;
                return Some(CutXa { xid, fate: XaFate::EndLost, end, gtid, position });
            }
            (false, Some(_)) => return None,
            (false, None) if is_lost => XaFate::PrepareLost,
            (false, None) if self.is_any_lost => XaFate::PrepareUnknown,
            (false, None) => return None,
        };
        Some(CutXa { xid, fate, end, gtid, position })
    }

    /// Something is lost. `is_begun` if a transaction has begun and no more of it is known,
    /// `prepares_nothing` if that tells all the same that it is not to be prepared.
    pub(super) fn open_hole(&mut self, is_begun: bool, prepares_nothing: bool) {
        self.hole.get_or_insert(Hole { is_unknown: is_begun, prepares_nothing, has_end: false });
    }

    /// How the transaction ends in which something is lost.
    pub(super) fn see_end(&mut self) {
        if let Some(hole) = &mut self.hole {
            hole.has_end = true;
        }
    }

    /// The next transaction begins: whether others may be lost before it. `offset` is where it does.
    pub(super) fn close_hole(
        &mut self,
        (last, next): (Option<&TransactionId>, Option<&TransactionId>),
        offset: u64,
    ) {
        let Some(hole) = self.hole.take() else {
            return;
        };
        let is_next = last.zip(next).is_some_and(|(last, next)| follows(last, next));
        let is_alone = is_next || self.expected_end == Some(offset);
        let is_unknown = hole.is_unknown && !hole.has_end;
        self.is_any_lost |= !is_alone || (is_unknown && !hole.prepares_nothing);
        self.ends_lost = self.ends_lost.saturating_add(u64::from(!is_alone || is_unknown));
    }

    /// All is read: those that were prepared, and have no end although one may be lost.
    pub(super) fn conclude(&mut self) -> Vec<CutXa> {
        self.close_hole((None, None), u64::MAX);
        let lost = self.ends_lost;
        let left = self.prepared.iter().filter(|(_, prepared)| prepared.ends_lost < lost);
        let mut left: Vec<CutXa> = left
            .map(|(id, prepared)| CutXa {
                xid: id.clone(),
                fate: XaFate::EndLost,
                end: None,
                gtid: prepared.gtid.clone(),
                position: prepared.position,
            })
            .collect();
        left.sort_by_key(|cut| cut.position);
        left
    }
}

/// Whether a transaction has the number that is next to another's.
fn follows(last: &TransactionId, next: &TransactionId) -> bool {
    match (last, next) {
        (TransactionId::Gtid(last), TransactionId::Gtid(next)) => {
            last.tsid == next.tsid && last.number.checked_add(1) == Some(next.number)
        }
        (
            TransactionId::Mariadb { domain: last_domain, sequence: last, .. },
            TransactionId::Mariadb { domain, sequence: next, .. },
        ) => last_domain == domain && last.checked_add(1) == Some(*next),
        _ => false,
    }
}
