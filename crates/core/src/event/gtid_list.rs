//! MariaDB's GTIDs by their last numbers: GTID_LIST, with which each of its logs begins.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::bytes::{Cursor, OutOfBytes};

/// The last GTID of each replication domain and server, in the notation of the server's
/// `gtid_binlog_state`: `0-1-17,0-2-5`.
///
/// ```
/// use binlogsec_core::event::gtid_list::GtidList;
///
/// let list: GtidList = "0-2-5,0-1-17".parse().unwrap();
/// assert_eq!(list.to_string(), "0-1-17,0-2-5");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GtidList(BTreeMap<(u32, u32), u64>);

/// What is no GTID of MariaDB.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no GTID of MariaDB: domain, server id and number are expected, as in 0-1-17")]
pub struct GtidListError {
    /// What is there instead.
    pub text: String,
}

impl GtidList {
    /// No GTID.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many domains and servers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Domain, server id and number of each.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32, u64)> {
        self.0.iter().map(|(&(domain, server_id), &sequence)| (domain, server_id, sequence))
    }

    /// Puts a GTID in the place of an earlier one of its domain and server.
    pub fn insert(&mut self, domain: u32, server_id: u32, sequence: u64) {
        self.0.insert((domain, server_id), sequence);
    }

    /// Puts all of a later list in.
    pub fn extend(&mut self, later: &Self) {
        self.0.extend(&later.0);
    }

    /// GTIDs whose numbers are higher than those of another list, for domains and servers of which
    /// that has none, too.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Self {
        let is_beyond = |(key, sequence): &(&(u32, u32), &u64)| {
            other.0.get(key).is_none_or(|theirs| theirs < sequence)
        };
        Self(self.0.iter().filter(is_beyond).map(|(&key, &n)| (key, n)).collect())
    }

    /// The same without the domains of which another list has nothing.
    #[must_use]
    pub fn in_domains_of(&self, other: &Self) -> Self {
        let knows = |domain| other.0.range((domain, 0)..=(domain, u32::MAX)).next().is_some();
        let known = self.0.iter().filter(|((domain, _), _)| knows(*domain));
        Self(known.map(|(&key, &n)| (key, n)).collect())
    }

    /// Reads the body of a GTID_LIST event: a count in the lower 28 bits of a u32, whose other bits
    /// are flags; for each domain u32, server id u32, number u64 (MariaDB server source:
    /// `Gtid_list_log_event`). Little-endian. `None` for more than `most`.
    ///
    /// # Errors
    /// [`OutOfBytes`].
    pub fn parse_within(body: &[u8], most: usize) -> Result<Option<Self>, OutOfBytes> {
        const COUNT: u32 = (1 << 28) - 1;
        let mut cursor = Cursor::new(body);
        let count = cursor.u32_le()? & COUNT;
        let (mut list, mut fits) = (Self::new(), true);
        // Ends at the end of the bytes at the latest, whatever the count says.
        for _ in 0..count {
            let (domain, server_id) = (cursor.u32_le()?, cursor.u32_le()?);
            let sequence = cursor.u64_le()?;
            fits = fits && list.len() < most;
            if fits {
                list.insert(domain, server_id, sequence);
            }
        }
        Ok(fits.then_some(list))
    }
}

impl fmt::Display for GtidList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, ((domain, server_id), sequence)) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{domain}-{server_id}-{sequence}")?;
        }
        Ok(())
    }
}

impl FromStr for GtidList {
    type Err = GtidListError;

    fn from_str(text: &str) -> Result<Self, GtidListError> {
        let mut list = Self::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let wrong = || GtidListError { text: part.to_owned() };
            let mut numbers = part.split('-').map(str::trim);
            let mut next = || numbers.next().ok_or_else(wrong);
            let domain = next()?.parse().map_err(|_| wrong())?;
            let server_id = next()?.parse().map_err(|_| wrong())?;
            let sequence = next()?.parse().map_err(|_| wrong())?;
            if numbers.next().is_some() {
                return Err(wrong());
            }
            list.insert(domain, server_id, sequence);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_the_server_writes_it() {
        let mut body = (2_u32 | 1 << 28).to_le_bytes().to_vec();
        for (domain, server_id, sequence) in [(0_u32, 7_u32, 10_u64), (3, 1, 1 << 40)] {
            body.extend(domain.to_le_bytes());
            body.extend(server_id.to_le_bytes());
            body.extend(sequence.to_le_bytes());
        }
        let list = GtidList::parse_within(&body, 2).unwrap().unwrap();
        assert_eq!(list.to_string(), "0-7-10,3-1-1099511627776");
        assert_eq!(list.to_string().parse(), Ok(list));
        assert_eq!(GtidList::parse_within(&body, 1), Ok(None));
        for end in 0..body.len() {
            assert!(GtidList::parse_within(&body[..end], 9).is_err(), "{end}");
        }
        for wrong in ["0-1", "0-1-2-3", "a-1-2", "0-1--5", "uuid:1"] {
            assert!(wrong.parse::<GtidList>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_one_list_has_and_another_lacks() {
        let list = |text: &str| text.parse::<GtidList>().unwrap();
        let (ours, theirs) = (list("0-1-5,0-2-9,1-1-1"), list("0-1-5,0-2-8"));
        assert_eq!(ours.beyond(&theirs), list("0-2-9,1-1-1"));
        assert_eq!(ours.in_domains_of(&theirs), list("0-1-5,0-2-9"));
        assert!(theirs.beyond(&ours).is_empty() && !ours.is_empty() && ours.len() == 3);
        let mut both = theirs;
        both.extend(&ours);
        assert_eq!(both, ours);
    }
}
