//! Transactions whose GTID event is not there: no server can replay them where GTIDs are asked for.

use super::{Damage, MAX_DAMAGES_KEPT, continued};
use crate::event::event_type;
use crate::event::query::Query;
use crate::event::transaction::{Progress, is_part_of_transaction};
use crate::event::walker::EventView;

/// So many at most, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// GTID events that are not there, although nothing is damaged before the transaction.
    pub(super) damages: Vec<Damage>,
    pub(super) damage_count: u64,
    /// Transactions behind a damage, in which their GTID events were.
    pub(super) lost: u64,
    pub(super) first_lost: Option<u64>,
}

impl Found {
    fn add(&mut self, damage: Damage, is_behind_damage: bool) {
        if is_behind_damage {
            self.lost = self.lost.saturating_add(1);
            self.first_lost.get_or_insert(damage.plain_offset);
            return;
        }
        self.damage_count = self.damage_count.saturating_add(1);
        if self.damages.len() < MAX_DAMAGES_KEPT {
            self.damages.push(damage);
        }
    }

    fn append(&mut self, next: Self, events: u64) {
        let room = MAX_DAMAGES_KEPT.saturating_sub(self.damages.len());
        let damages = next.damages.into_iter().take(room);
        self.damages.extend(damages.map(|damage| damage.behind(events)));
        self.damage_count = self.damage_count.saturating_add(next.damage_count);
        self.lost = self.lost.saturating_add(next.lost);
        self.first_lost = self.first_lost.or(next.first_lost);
    }
}

/// How far the transaction at the end of a part is, and those in it that lack their GTID.
#[derive(Debug, Clone, Default)]
pub(super) struct Transactions {
    pub(super) progress: Progress,
    /// Whether the part has a GTID event at all, of any kind.
    has_gtids: bool,
    /// Whether an event was damaged since the last of them.
    is_behind_damage: bool,
    /// Whether what follows is still the transaction that lacks its GTID.
    is_within: bool,
    /// Before the first GTID event of the part.
    early: Found,
    late: Found,
    /// The part's first event of a transaction, if it may be one that lacks its GTID: what stands
    /// before the part tells. And whether an event was damaged before it.
    undecided: Option<(Damage, bool)>,
}

impl Transactions {
    /// Those of a log from its beginning.
    pub(super) fn at_start(is_relay: bool) -> Self {
        // A relay log may begin within a transaction.
        let progress = if is_relay { Progress::Unknown } else { Progress::Outside };
        Self { progress, ..Self::default() }
    }

    /// A whole event, and the damage that it would be.
    pub(super) fn add(&mut self, event: &EventView<'_>, damage: impl FnOnce() -> Damage) {
        let (before, event_type) = (self.progress, event.header.event_type);
        self.progress = before.after(event);
        if event_type::begins_transaction(event_type) {
            self.has_gtids = true;
            (self.is_behind_damage, self.is_within) = (false, false);
        } else if is_part_of_transaction(event_type) {
            match before {
                Progress::Outside if !self.is_within => {
                    self.is_within = !is_alone(event, self.progress);
                    let is_behind_damage = std::mem::take(&mut self.is_behind_damage);
                    self.found().add(damage(), is_behind_damage);
                }
                Progress::Unknown if !self.has_gtids && self.undecided.is_none() => {
                    self.undecided = Some((damage(), self.is_behind_damage));
                }
                _ => {}
            }
            self.is_within &= !ends_one(event);
        }
    }

    /// An event of which nothing can be relied on.
    pub(super) const fn damaged(&mut self) {
        self.is_behind_damage = true;
    }

    const fn found(&mut self) -> &mut Found {
        if self.has_gtids { &mut self.late } else { &mut self.early }
    }

    /// Puts the next part behind this one, in which `events` come before.
    pub(super) fn append(&mut self, next: Self, events: u64) {
        if let Some((damage, is_behind_damage)) = next.undecided
            && self.progress == Progress::Outside
            && !self.is_within
        {
            let is_behind_damage = is_behind_damage || self.is_behind_damage;
            self.found().add(damage.behind(events), is_behind_damage);
        }
        self.found().append(next.early, events);
        self.has_gtids |= next.has_gtids;
        self.late.append(next.late, events);
        self.progress = continued(self.progress, next.progress);
        (self.is_behind_damage, self.is_within) = (next.is_behind_damage, next.is_within);
    }

    /// What lacks its GTID in a log whose server gives one to every transaction. Of a relay log what
    /// stands before the first GTID does not count: another source may have written it.
    pub(super) fn finish(self, is_relay: bool) -> Found {
        if !self.has_gtids {
            return Found::default();
        }
        let mut found = if is_relay { Found::default() } else { self.early };
        found.append(self.late, 0);
        found
    }
}

/// Whether an event is a whole transaction.
fn is_alone(event: &EventView<'_>, after: Progress) -> bool {
    let is_query =
        matches!(event.header.event_type, event_type::QUERY | event_type::MARIADB_QUERY_COMPRESSED);
    is_query && after == Progress::Outside || ends_one(event)
}

fn ends_one(event: &EventView<'_>) -> bool {
    match event.header.event_type {
        event_type::XID | event_type::XA_PREPARE | event_type::TRANSACTION_PAYLOAD => true,
        event_type::QUERY => Query::parse(event.body()).is_ok_and(|query| query.is_end()),
        _ => false,
    }
}
