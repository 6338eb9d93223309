//! Which of MariaDB's sequence numbers a log leaves out.
//!
//! A domain's numbers follow one another, whichever server writes. A log says the last one before it,
//! and none of those within it: a transaction that was left out shows as a jump, as it does where a
//! replica filtered it.

use std::collections::BTreeMap;
use std::fmt;

use crate::event::gtid::TransactionId;

/// So many holes are kept apart, and so many domains followed.
const MAX_KEPT: usize = 1000;

/// Numbers that do not occur although their domain has some before and behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    domain: u32,
    /// The server of the transaction behind the hole.
    server_id: u32,
    first: u64,
    last: u64,
}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, server_id, first, last } = self;
        write!(f, "{domain}-{server_id}-{first}")?;
        if first < last {
            write!(f, "..{domain}-{server_id}-{last}")?;
        }
        Ok(())
    }
}

/// The numbers of a log so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Of each domain.
    first: BTreeMap<u32, u64>,
    /// The highest of each domain.
    last: BTreeMap<u32, u64>,
    falls: bool,
    holes: Vec<Hole>,
}

impl Numbers {
    /// Takes the next transaction.
    pub(super) fn note(&mut self, id: &TransactionId) {
        let &TransactionId::Mariadb { domain, server_id, sequence } = id else { return };
        let Some(last) = self.last.get_mut(&domain) else {
            if self.last.len() < MAX_KEPT {
                self.first.insert(domain, sequence);
                self.last.insert(domain, sequence);
            }
            return;
        };
        let next = last.saturating_add(1);
        if sequence < next {
            self.falls = true;
            self.fill(domain, sequence);
            return;
        }
        *last = sequence;
        if next < sequence && self.holes.len() < MAX_KEPT {
            let last = sequence.saturating_sub(1);
            self.holes.push(Hole { domain, server_id, first: next, last });
        }
    }

    /// A number that comes later than one behind it is no hole.
    fn fill(&mut self, domain: u32, sequence: u64) {
        let is_of = |hole: &&mut Hole| {
            hole.domain == domain && hole.first <= sequence && sequence <= hole.last
        };
        let Some(hole) = self.holes.iter_mut().find(is_of) else { return };
        let behind = Hole { first: sequence.saturating_add(1), ..*hole };
        hole.last = sequence.saturating_sub(1);
        if behind.first <= behind.last {
            self.holes.push(behind);
        }
        self.holes.retain(|hole| hole.first <= hole.last);
    }

    /// Takes the numbers of a log behind this one, of the same choice of transactions.
    pub(super) fn append(&mut self, next: &Self) {
        let falls =
            |(domain, first): (&u32, &u64)| self.last.get(domain).is_some_and(|last| first <= last);
        self.falls |= next.falls || next.first.iter().any(falls);
        for (domain, first) in &next.first {
            self.first.entry(*domain).or_insert(*first);
        }
        for (domain, last) in &next.last {
            let own = self.last.entry(*domain).or_insert(*last);
            *own = (*own).max(*last);
        }
    }

    /// Whether a domain has a number that is not above all before it.
    pub(super) const fn falls(&self) -> bool {
        self.falls
    }

    /// What is left out, by domains and numbers.
    pub(super) fn holes(mut self) -> Vec<Hole> {
        self.holes.sort_by_key(|hole| (hole.domain, hole.first));
        self.holes
    }
}
