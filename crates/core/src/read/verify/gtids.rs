//! Which transactions a log holds, and which those before it do, in a bounded amount of memory.

use crate::event::event_type;
use crate::event::gtid::{TransactionId, TransactionStart};
use crate::event::gtid_list::GtidList;
use crate::event::gtid_set::{GtidSet, TSID_WEIGHT};
use crate::event::walker::EventView;

/// The most that a set of one log may weigh, in intervals of numbers, see [`GtidSet::weight`]: some 20
/// MiB. Of a log that has more, GTIDs are not judged.
pub const MAX_WEIGHT: usize = 250_000;
/// The same for a part of a log, of which many are held at once. No log has so much in 4 MiB in which
/// transactions are whole.
const MAX_WEIGHT_OF_PART: usize = 20_000;

/// GTIDs of a log, or of a part of one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gtids {
    /// The set in its PREVIOUS_GTIDS event.
    pub previous: Option<GtidSet>,
    /// Those of its own transactions.
    pub own: GtidSet,
    /// Those of its own that occur twice in it.
    pub repeated: GtidSet,
    /// Of a log of MariaDB: the GTID_LIST that it begins with, the last GTIDs of older logs.
    pub list: Option<GtidList>,
    /// Of a log of MariaDB: the last GTIDs of its own transactions.
    pub last: GtidList,
    /// Whether there were too many of them, so that none is kept.
    pub overflowed: bool,
}

impl Gtids {
    /// How much memory all of them take, in intervals of numbers.
    #[must_use]
    pub fn weight(&self) -> usize {
        let sets = self.previous.iter().chain([&self.own, &self.repeated]);
        let lists = self.list.iter().chain([&self.last]);
        let of_lists = lists.map(|list| list.len().saturating_mul(TSID_WEIGHT));
        sets.map(GtidSet::weight).chain(of_lists).fold(0, usize::saturating_add)
    }

    /// Keeps none of them, and says so.
    pub fn overflow(&mut self) {
        *self = Self { overflowed: true, ..Self::default() };
    }

    /// Takes what a whole event tells.
    pub(super) fn learn(&mut self, event: &EventView<'_>, start: Option<TransactionStart>) {
        if self.overflowed {
            return;
        }
        if let Some(start) = start {
            self.add(start);
        }
        match event.header.event_type {
            event_type::PREVIOUS_GTIDS => {
                match GtidSet::parse_encoded_within(event.body(), MAX_WEIGHT) {
                    Ok(Some(previous)) => self.previous = Some(previous),
                    Ok(None) => self.overflow(),
                    Err(_) => self.previous = None,
                }
            }
            event_type::MARIADB_GTID_LIST => {
                let most = MAX_WEIGHT.checked_div(TSID_WEIGHT).unwrap_or(0);
                match GtidList::parse_within(event.body(), most) {
                    Ok(Some(list)) => self.list = Some(list),
                    Ok(None) => self.overflow(),
                    Err(_) => self.list = None,
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, start: TransactionStart) {
        match start.id {
            TransactionId::Gtid(gtid) if !self.own.insert(&gtid) => {
                self.repeated.insert(&gtid);
            }
            TransactionId::Mariadb { domain, server_id, sequence } => {
                self.last.insert(domain, server_id, sequence);
            }
            TransactionId::Gtid(_) | TransactionId::Anonymous => {}
        }
        let of_lists = self.last.len().saturating_mul(TSID_WEIGHT);
        if self.own.weight().saturating_add(of_lists) > MAX_WEIGHT_OF_PART {
            self.overflow();
        }
    }

    /// Puts those of the next part behind these.
    pub(super) fn append(&mut self, next: Self) {
        if self.overflowed || next.overflowed {
            return self.overflow();
        }
        self.previous = self.previous.take().or(next.previous);
        let new = next.own.difference(&self.own);
        if new.len() < next.own.len() {
            self.repeated.extend(&next.own.difference(&new));
        }
        self.own.extend(&new);
        self.repeated.extend(&next.repeated);
        self.list = self.list.take().or(next.list);
        self.last.extend(&next.last);
        if self.weight() > MAX_WEIGHT.saturating_mul(2) {
            self.overflow();
        }
    }
}
