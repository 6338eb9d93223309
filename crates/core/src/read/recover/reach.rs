//! How far a server is: the GTIDs of either dialect as sets, so that one kind of arithmetic does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::event::gtid::TransactionId;
use crate::event::gtid_list::GtidList;
use crate::event::gtid_selection::GtidSelection;
use crate::event::gtid_set::{Gtid, GtidSet, Tag, Tsid};
use crate::event::uuid::Uuid;

/// Transactions that a server, a backup or a log has.
///
/// MariaDB's GTIDs count up within a domain, whichever server writes: a position `0-1-100` has the
/// numbers 1 to 100 of domain 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    set: GtidSet,
    /// Of MariaDB's domains: the server that was named last.
    domains: BTreeMap<u32, u32>,
}

/// Text that is no GTIDs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no list of GTIDs: UUID:1-100 is expected, or of MariaDB 0-1-100, its last of each domain"
)]
pub struct NoGtids {
    /// What is there instead.
    pub text: String,
}

impl From<GtidSet> for Reach {
    fn from(set: GtidSet) -> Self {
        Self { set, domains: BTreeMap::new() }
    }
}

impl From<&GtidList> for Reach {
    fn from(list: &GtidList) -> Self {
        let mut reach = Self::default();
        for (domain, server_id, sequence) in list.iter() {
            reach.advance(domain, server_id, sequence);
        }
        reach
    }
}

/// A domain's numbers, in the place of a server's.
fn of_domain(domain: u32) -> Tsid {
    let mut uuid = [0; 16];
    for (byte, of_domain) in uuid.iter_mut().rev().zip(domain.to_le_bytes()) {
        *byte = of_domain;
    }
    Tsid { uuid: Uuid(uuid), tag: Tag::default() }
}

impl Reach {
    /// Reads a set of MySQL's, or a position of MariaDB's: the last GTID of each domain.
    ///
    /// # Errors
    /// [`NoGtids`].
    pub fn parse(text: &str) -> Result<Self, NoGtids> {
        let text: String = text.chars().filter(|sign| !sign.is_whitespace()).collect();
        let wrong = || NoGtids { text: text.clone() };
        if let Ok(list) = text.parse::<GtidList>() {
            return Ok(Self::from(&list));
        }
        text.parse::<GtidSet>().map(Self::from).map_err(|_| wrong())
    }

    /// Reads transactions, one by one or by ranges: `UUID:5-9`, or of MariaDB `0-1-5..0-1-9`.
    ///
    /// # Errors
    /// [`NoGtids`].
    pub fn parse_ranges(text: &str) -> Result<Self, NoGtids> {
        let wrong = || NoGtids { text: text.to_owned() };
        if let Ok(set) = text.parse::<GtidSet>() {
            return Ok(Self::from(set));
        }
        let mut reach = Self::default();
        for part in text.split(',').map(str::trim) {
            let (first, last) = part.split_once("..").unwrap_or((part, part));
            let one = |text: &str| {
                let list = text.parse::<GtidList>().ok().filter(|list| list.len() == 1)?;
                list.iter().next()
            };
            let (from, to) = one(first).zip(one(last)).ok_or_else(wrong)?;
            (from.0 == to.0).then_some(()).ok_or_else(wrong)?;
            reach.insert_range(from.0, to.1, (from.2, to.2));
        }
        Ok(reach)
    }

    /// Whether there is no transaction.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// How many transactions there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.set.len()
    }

    /// Whether these are MariaDB's.
    #[must_use]
    pub fn is_mariadb(&self) -> bool {
        !self.domains.is_empty()
    }

    /// Takes a domain up to a number.
    fn advance(&mut self, domain: u32, server_id: u32, sequence: u64) {
        self.domains.insert(domain, server_id);
        self.set.insert_interval(of_domain(domain), 1, sequence.saturating_add(1));
    }

    /// Adds numbers of a domain of MariaDB's, the first and the last of them.
    pub(super) fn insert_range(&mut self, domain: u32, server_id: u32, (first, last): (u64, u64)) {
        self.domains.insert(domain, server_id);
        self.set.insert_interval(of_domain(domain), first, last.saturating_add(1));
    }

    /// These and those.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.extend(other);
        both
    }

    /// Those that both have.
    #[must_use]
    pub(super) fn intersection(&self, other: &Self) -> Self {
        self.difference(&self.difference(other))
    }

    /// One of these.
    pub(super) fn any(&self) -> Option<TransactionId> {
        let (tsid, number, _) = self.set.intervals().next()?;
        let gtid = Gtid { tsid: tsid.clone(), number };
        let domain = self.domains.iter().find(|(domain, _)| of_domain(**domain) == gtid.tsid);
        Some(match domain {
            Some((&domain, &server_id)) => {
                TransactionId::Mariadb { domain, server_id, sequence: gtid.number }
            }
            None => TransactionId::Gtid(gtid),
        })
    }

    /// Adds a transaction, and of MariaDB none before it.
    pub(super) fn insert_one(&mut self, id: &TransactionId) {
        match id {
            TransactionId::Mariadb { domain, server_id, sequence } => {
                self.insert_range(*domain, *server_id, (*sequence, *sequence));
            }
            other => self.insert(other),
        }
    }

    /// Adds a transaction; of MariaDB, all that its domain has before it. An anonymous one is none.
    pub fn insert(&mut self, id: &TransactionId) {
        match id {
            TransactionId::Gtid(gtid) => drop(self.set.insert(gtid)),
            TransactionId::Mariadb { domain, server_id, sequence } => {
                self.advance(*domain, *server_id, *sequence);
            }
            TransactionId::Anonymous => {}
        }
    }

    /// Whether a transaction is among these.
    #[must_use]
    pub fn contains(&self, id: &TransactionId) -> bool {
        match id {
            TransactionId::Gtid(gtid) => self.set.contains(gtid),
            TransactionId::Mariadb { domain, sequence, .. } => {
                let mut one = GtidSet::new();
                one.insert_interval(of_domain(*domain), *sequence, sequence.saturating_add(1));
                self.set.contains_all(&one)
            }
            TransactionId::Anonymous => false,
        }
    }

    /// Whether all of another are among these.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        self.set.contains_all(&other.set)
    }

    /// Adds all of another.
    pub fn extend(&mut self, other: &Self) {
        self.set.extend(&other.set);
        self.domains.extend(&other.domains);
    }

    /// These without those of another.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self { set: self.set.difference(&other.set), domains: self.domains.clone() }
    }

    /// Those in domains of which another has some; of MySQL's, all.
    pub(super) fn within_domains_of(&self, other: &Self) -> Self {
        if !self.is_mariadb() {
            return self.clone();
        }
        let known: BTreeSet<&Tsid> = other.set.intervals().map(|(tsid, ..)| tsid).collect();
        let mut within = Self { domains: self.domains.clone(), ..Self::default() };
        for (tsid, start, end) in self.set.intervals().filter(|it| known.contains(it.0)) {
            within.set.insert_interval(tsid.clone(), start, end);
        }
        within
    }

    /// Numbers that are not among these although the same server, or domain, has some before and behind
    /// them.
    pub(super) fn holes(&self) -> Self {
        let mut holes = Self { domains: self.domains.clone(), ..Self::default() };
        let mut before: Option<(&Tsid, u64)> = None;
        for (tsid, start, end) in self.set.intervals() {
            if let Some((of, from)) = before
                && of == tsid
            {
                holes.set.insert_interval(tsid.clone(), from, start);
            }
            before = Some((tsid, end));
        }
        holes
    }

    /// What a transaction of MariaDB skips if it comes next: the numbers of its domain that are neither
    /// among these nor its own.
    #[must_use]
    pub fn skipped_by(&self, id: &TransactionId) -> Option<Self> {
        let TransactionId::Mariadb { domain, server_id, sequence } = id else { return None };
        let mut before = Self::default();
        before.advance(*domain, *server_id, sequence.saturating_sub(1));
        let skipped = before.difference(self);
        (!skipped.is_empty()).then_some(skipped)
    }

    /// The first of them.
    #[must_use]
    pub fn first(&self) -> Option<String> {
        let (tsid, start, _) = self.set.intervals().next()?;
        Some(self.one(tsid, start))
    }

    /// Whether all of them are in a choice; not where they are too many to be looked at one by one.
    pub(super) fn is_within(&self, chosen: &GtidSelection) -> bool {
        const MOST: u64 = 1 << 20;
        let each = self.set.intervals().flat_map(|(tsid, start, end)| {
            (start..end).map(|number| TransactionId::Gtid(Gtid { tsid: tsid.clone(), number }))
        });
        self.len() <= MOST && !self.is_mariadb() && each.into_iter().all(|id| chosen.contains(&id))
    }

    /// The same as a choice of transactions.
    #[must_use]
    pub fn selection(&self, more: Option<&GtidSelection>) -> GtidSelection {
        let base = more.cloned().unwrap_or_default();
        if !self.is_mariadb() {
            return base.with(&self.set);
        }
        self.set.intervals().fold(base, |chosen, (tsid, start, end)| {
            chosen.with_numbers(domain(tsid), start, end.saturating_sub(1))
        })
    }

    /// The same as text in which a number of MariaDB stands for itself alone, as
    /// [`Reach::parse_ranges`] reads it.
    #[must_use]
    pub fn ranges(&self) -> String {
        if !self.is_mariadb() {
            return self.to_string();
        }
        let range = |(tsid, start, end): (&Tsid, u64, u64)| match end.saturating_sub(1) {
            last if last == start => self.one(tsid, last),
            last => format!("{}..{}", self.one(tsid, start), self.one(tsid, last)),
        };
        self.set.intervals().map(range).collect::<Vec<_>>().join(",")
    }

    fn one(&self, tsid: &Tsid, number: u64) -> String {
        if !self.is_mariadb() {
            return format!("{tsid}:{number}");
        }
        let domain = domain(tsid);
        let server_id = self.domains.get(&domain).copied().unwrap_or(0);
        format!("{domain}-{server_id}-{number}")
    }
}

fn domain(tsid: &Tsid) -> u32 {
    let bytes = tsid.uuid.0;
    let last = bytes.last_chunk::<4>().copied().unwrap_or_default();
    u32::from_be_bytes(last)
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_mariadb() {
            return self.set.fmt(f);
        }
        // From the first number on it is a position; else a range.
        for (index, (tsid, start, end)) in self.set.intervals().enumerate() {
            f.write_str(if index > 0 { "," } else { "" })?;
            let last = end.saturating_sub(1);
            if start > 1 && start < last {
                write!(f, "{}..", self.one(tsid, start))?;
            }
            f.write_str(&self.one(tsid, last))?;
        }
        Ok(())
    }
}
