//! Whether MariaDB's sequence numbers rise. A domain's numbers follow one another where one server at a time
//! writes into it, and only then.

use std::collections::BTreeMap;

use crate::event::gtid::TransactionId;

/// So many domains are followed.
const MAX_DOMAINS: usize = 1000;

/// The numbers of transactions in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Of each domain.
    first: BTreeMap<u32, u64>,
    /// The highest of each domain.
    last: BTreeMap<u32, u64>,
    falls: bool,
}

impl Numbers {
    /// Takes the next transaction.
    pub(super) fn note(&mut self, id: &TransactionId) {
        let &TransactionId::Mariadb { domain, sequence, .. } = id else { return };
        let has_room = self.last.len() < MAX_DOMAINS;
        match self.last.get_mut(&domain) {
            Some(last) if sequence <= *last => self.falls = true,
            Some(last) => *last = sequence,
            None if has_room => {
                self.first.insert(domain, sequence);
                self.last.insert(domain, sequence);
            }
            None => {}
        }
    }

    /// Takes the transactions of a log behind these.
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
}
