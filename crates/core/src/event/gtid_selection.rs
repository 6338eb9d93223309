//! Which transactions, by their ids: those of MySQL as sets, those of MariaDB one by one or by
//! domain and number.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use super::gtid::TransactionId;
use super::gtid_set::{GtidError, GtidSet};

/// A GTID of MariaDB: domain, server, sequence number.
type MariadbGtid = (u32, u32, u64);

/// Transactions of either dialect.
///
/// MySQL's are written as its sets, `UUID:1-5:tag:7`. A GTID of MariaDB, `0-1-100`, names one
/// transaction; `0-1-5..0-1-10` names those of the domain from one sequence number to the other,
/// whichever server wrote them, as numbers go on in a domain when another server becomes the
/// primary. Parts are separated by commas, and may be of both kinds.
///
/// ```
/// use binlogsec_core::event::gtid::TransactionId;
/// use binlogsec_core::event::gtid_selection::GtidSelection;
///
/// let chosen: GtidSelection = "0-1-100,1-2-5..1-2-9".parse().unwrap();
/// let gtid = |domain, server_id, sequence| TransactionId::Mariadb { domain, server_id, sequence };
/// assert!(chosen.contains(&gtid(0, 1, 100)) && !chosen.contains(&gtid(0, 2, 100)));
/// assert!(chosen.contains(&gtid(1, 7, 6)) && !chosen.contains(&gtid(1, 2, 10)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GtidSelection {
    mysql: GtidSet,
    mariadb: BTreeSet<MariadbGtid>,
    /// First and last number, by domain.
    ranges: Vec<(u32, u64, u64)>,
}

impl GtidSelection {
    /// Whether a transaction is one of these. One without an id never is.
    #[must_use]
    pub fn contains(&self, id: &TransactionId) -> bool {
        match id {
            TransactionId::Gtid(gtid) => self.mysql.contains(gtid),
            TransactionId::Mariadb { domain, server_id, sequence } => {
                let is_within = |(of, first, last): &(u32, u64, u64)| {
                    of == domain && (first..=last).contains(&sequence)
                };
                self.mariadb.contains(&(*domain, *server_id, *sequence))
                    || self.ranges.iter().any(is_within)
            }
            TransactionId::Anonymous => false,
        }
    }
}

impl GtidSelection {
    /// The same with all of a set of MySQL's.
    #[must_use]
    pub fn with(mut self, more: &GtidSet) -> Self {
        self.mysql.extend(more);
        self
    }

    /// The same with the numbers of a MariaDB domain from one to another, both included.
    #[must_use]
    pub fn with_numbers(mut self, domain: u32, first: u64, last: u64) -> Self {
        self.ranges.push((domain, first, last));
        self
    }
}

impl From<GtidSet> for GtidSelection {
    fn from(mysql: GtidSet) -> Self {
        Self { mysql, ..Self::default() }
    }
}

/// Why there is no selection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GtidSelectionError {
    /// A part of MySQL's kind.
    #[error(transparent)]
    Mysql(#[from] GtidError),
    /// A part of MariaDB's kind.
    #[error(
        "{text:?} is no GTID of MariaDB: DOMAIN-SERVER-NUMBER is expected, e.g. 0-1-100, or two of one domain, the lower first, e.g. 0-1-5..0-1-10"
    )]
    Mariadb {
        /// What is there instead.
        text: String,
    },
    /// Two GTIDs of one domain where one says how far the domain is.
    #[error("domain {domain} is named twice: one GTID says how far it is")]
    DomainTwice {
        /// The domain.
        domain: u32,
    },
}

impl FromStr for GtidSelection {
    type Err = GtidSelectionError;

    fn from_str(text: &str) -> Result<Self, GtidSelectionError> {
        let mut selection = Self::default();
        let mut of_mysql = Vec::new();
        for part in text.split(',').map(str::trim) {
            if part.is_empty() {
                continue;
            }
            if !is_of_mariadb(part) {
                of_mysql.push(part);
                continue;
            }
            let wrong = || GtidSelectionError::Mariadb { text: part.to_owned() };
            if let Some((first, last)) = part.split_once("..") {
                let (first, last) = (gtid(first), gtid(last));
                let (first, last) = first.zip(last).ok_or_else(wrong)?;
                let is_range = first.0 == last.0 && first.2 <= last.2;
                is_range.then_some(()).ok_or_else(wrong)?;
                selection.ranges.push((first.0, first.2, last.2));
            } else {
                selection.mariadb.insert(gtid(part).ok_or_else(wrong)?);
            }
        }
        selection.mysql = of_mysql.join(",").parse()?;
        Ok(selection)
    }
}

/// Digits, dashes and dots alone, as no set of MySQL's has them: numbers stand behind a colon there.
fn is_of_mariadb(part: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b' ');
    let dashes = part.bytes().filter(|&byte| byte == b'-').count();
    // Four are those of a UUID, if it is no range.
    part.bytes().all(is_part) && (dashes != 4 || part.contains(".."))
}

fn gtid(text: &str) -> Option<MariadbGtid> {
    let mut numbers = text.trim().split('-');
    let gtid = (
        numbers.next()?.parse().ok()?,
        numbers.next()?.parse().ok()?,
        numbers.next()?.parse().ok()?,
    );
    numbers.next().is_none().then_some(gtid)
}

/// How far each domain of MariaDB is: a list of GTIDs, one for a domain, as `gtid_slave_pos` and
/// the positions of `mariadb-binlog` have them. The server in each is of no matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GtidPosition(BTreeMap<u32, u64>);

impl GtidPosition {
    /// Whether a transaction comes behind this position, as `--start-position` of `mariadb-binlog`
    /// means it: one of a domain that is not named does.
    #[must_use]
    pub fn is_before(&self, id: &TransactionId) -> bool {
        match id {
            TransactionId::Mariadb { domain, sequence, .. } => {
                self.0.get(domain).is_none_or(|reached| sequence > reached)
            }
            _ => false,
        }
    }

    /// Whether a transaction is part of this position, as `--stop-position` of `mariadb-binlog`
    /// means it: one of a domain that is not named is not.
    #[must_use]
    pub fn includes(&self, id: &TransactionId) -> bool {
        match id {
            TransactionId::Mariadb { domain, sequence, .. } => {
                self.0.get(domain).is_some_and(|reached| sequence <= reached)
            }
            _ => false,
        }
    }
}

impl FromStr for GtidPosition {
    type Err = GtidSelectionError;

    fn from_str(text: &str) -> Result<Self, GtidSelectionError> {
        let mut position = BTreeMap::new();
        for part in text.split(',').map(str::trim) {
            let (domain, _, sequence) =
                gtid(part).ok_or_else(|| GtidSelectionError::Mariadb { text: part.to_owned() })?;
            if position.insert(domain, sequence).is_some() {
                return Err(GtidSelectionError::DomainTwice { domain });
            }
        }
        Ok(Self(position))
    }
}
