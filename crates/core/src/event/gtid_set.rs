//! GTIDs, and sets of them in the server's notation: `uuid:1-3:5:tag:7,uuid:…`.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::str::FromStr;

use super::uuid::Uuid;
use crate::bytes::{Cursor, OutOfBytes};

/// Bytes that a tag may have.
const MAX_TAG_LENGTH: usize = 32;

/// The tag of a GTID (MySQL 8.3 and later): empty, or a letter or underscore and then letters,
/// digits and underscores, 32 at most; upper case counts as lower.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tag(String);

impl Tag {
    /// From the bytes in an event.
    ///
    /// # Errors
    /// [`GtidError::Tag`] for anything that the server would not take.
    pub fn new(bytes: &[u8]) -> Result<Self, GtidError> {
        let is_start = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let fits = bytes.len() <= MAX_TAG_LENGTH
            && bytes.first().is_none_or(is_start)
            && bytes.iter().all(is_part);
        let text = std::str::from_utf8(bytes).ok().filter(|_| fits);
        text.map(|text| Self(text.to_ascii_lowercase())).ok_or(GtidError::Tag)
    }

    /// Its text; empty for no tag.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whose numbers: a UUID, and a tag or none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tsid {
    /// The server that numbered the transaction.
    pub uuid: Uuid,
    /// The tag.
    pub tag: Tag,
}

impl fmt::Display for Tsid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.uuid)?;
        if self.tag.as_str().is_empty() {
            return Ok(());
        }
        write!(f, ":{}", self.tag.as_str())
    }
}

/// A transaction's global id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gtid {
    /// Whose number.
    pub tsid: Tsid,
    /// The number, from 1.
    pub number: u64,
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.tsid, self.number)
    }
}

/// Why there is no GTID or set of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GtidError {
    /// The bytes ended before the value did.
    #[error("cut short: {0}")]
    OutOfBytes(#[from] OutOfBytes),
    /// No tag that the server would take.
    #[error("a tag is a letter or _ and up to 31 letters, digits and _")]
    Tag,
    /// No interval of numbers.
    #[error("{text:?} is no number or interval; 1 is the least number, and 5-9 an interval")]
    Interval {
        /// What is there instead.
        text: String,
    },
    /// No UUID at the start of a part.
    #[error("{text:?} is no UUID: 32 hexadecimal digits are expected, with or without dashes")]
    Uuid {
        /// What is there instead.
        text: String,
    },
    /// An encoding that this toolkit does not know.
    #[error("encoding {found} of a GTID set is not known")]
    UnknownFormat {
        /// The format byte.
        found: u8,
    },
    /// No GTID of MariaDB.
    #[error(transparent)]
    Mariadb(#[from] super::gtid_list::GtidListError),
    /// A field of a tagged GTID event that must be known and is not.
    #[error("field {found} of a tagged GTID event is not known")]
    UnknownField {
        /// The field's number.
        found: u64,
    },
}

/// By their first numbers: disjoint, not touching; the second number is not in the interval. A map,
/// so that a log whose numbers come in the worst order takes no longer than another.
type Intervals = BTreeMap<u64, u64>;

/// A set of GTIDs.
///
/// ```
/// use binlogsec_core::event::gtid_set::GtidSet;
///
/// let set: GtidSet = "3E11FA47-71CA-11E1-9E33-C80AA9429562:1-3:4:nightly:7".parse().unwrap();
/// assert_eq!(set.to_string(), "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-4:nightly:7");
/// assert_eq!(set.len(), 5);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GtidSet {
    tsids: BTreeMap<Tsid, Intervals>,
    /// How many intervals there are in all of them.
    intervals: usize,
}

impl GtidSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { tsids: BTreeMap::new(), intervals: 0 }
    }

    /// How much of memory it takes, in intervals: a UUID, or a tag of one, counts as
    /// [`TSID_WEIGHT`] more.
    #[must_use]
    pub fn weight(&self) -> usize {
        let tsids = self.tsids.len().saturating_mul(TSID_WEIGHT);
        self.intervals.saturating_add(tsids)
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tsids.is_empty()
    }

    /// Its intervals: whose numbers, the first of them, and the one behind the last.
    pub fn intervals(&self) -> impl Iterator<Item = (&Tsid, u64, u64)> {
        let of_tsid = |(tsid, intervals)| {
            let intervals: &Intervals = intervals;
            intervals.iter().map(move |(&start, &end)| (tsid, start, end))
        };
        self.tsids.iter().flat_map(of_tsid)
    }

    /// How many GTIDs are in it; as many as can be counted, if there are more.
    #[must_use]
    pub fn len(&self) -> u64 {
        let lengths = self.tsids.values().flatten();
        lengths.fold(0, |sum, (start, end)| sum.saturating_add(end.saturating_sub(*start)))
    }

    /// Whether a GTID is in it.
    #[must_use]
    pub fn contains(&self, gtid: &Gtid) -> bool {
        self.tsids
            .get(&gtid.tsid)
            .is_some_and(|intervals| holds(intervals, gtid.number, gtid.number.saturating_add(1)))
    }

    /// Whether every GTID of another set is in this one.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        other.tsids.iter().all(|(tsid, theirs)| {
            let ours = self.tsids.get(tsid);
            let mut theirs = theirs.iter();
            ours.is_some_and(|ours| theirs.all(|(&start, &end)| holds(ours, start, end)))
        })
    }

    /// Puts one GTID in; `false` if it was there.
    pub fn insert(&mut self, gtid: &Gtid) -> bool {
        let end = gtid.number.saturating_add(1);
        // Without a copy of the key where it is there already, as it nearly always is.
        let Some(intervals) = self.tsids.get_mut(&gtid.tsid) else {
            let first = Intervals::from([(gtid.number, end)]);
            self.tsids.insert(gtid.tsid.clone(), first);
            self.intervals = self.intervals.saturating_add(1);
            return true;
        };
        if holds(intervals, gtid.number, end) {
            return false;
        }
        let before = intervals.len();
        add(intervals, gtid.number, end);
        self.intervals = changed(self.intervals, before, intervals.len());
        true
    }

    /// Puts all of another set in.
    pub fn extend(&mut self, other: &Self) {
        for (tsid, intervals) in &other.tsids {
            for (&start, &end) in intervals {
                self.insert_interval(tsid.clone(), start, end);
            }
        }
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut left = Self::new();
        for (tsid, ours) in &self.tsids {
            let none = Intervals::new();
            let theirs = other.tsids.get(tsid).unwrap_or(&none);
            for (&start, &end) in ours {
                let mut from = start;
                let first = theirs.range(..=start).next_back();
                let first = first.map_or(start, |(&their_start, _)| their_start);
                for (&their_start, &their_end) in theirs.range(first..end) {
                    left.insert_interval(tsid.clone(), from, their_start);
                    from = from.max(their_end);
                }
                left.insert_interval(tsid.clone(), from, end);
            }
        }
        left
    }

    /// Numbers from `start` up to and not including `end`; nothing if there are none.
    pub fn insert_interval(&mut self, tsid: Tsid, start: u64, end: u64) {
        if start < end {
            let intervals = self.tsids.entry(tsid).or_default();
            let before = intervals.len();
            add(intervals, start, end);
            self.intervals = changed(self.intervals, before, intervals.len());
        }
    }

    /// Reads the body of a PREVIOUS_GTIDS event (server source: `Gtid_set::encode`).
    ///
    /// Untagged: count of UUIDs u64, then for each 16 bytes, a count of intervals u64, and start
    /// and end (exclusive) u64 each, all little-endian. With tags: the count has 1 as its lowest
    /// and highest byte, the number is the six between, and a tag follows each UUID.
    ///
    /// # Errors
    /// [`GtidError`].
    pub fn parse_encoded(body: &[u8]) -> Result<Self, GtidError> {
        let mut set = Self::new();
        for_each_encoded(body, &mut |tsid, start, end| {
            set.insert_interval(tsid.clone(), start, end);
        })?;
        Ok(set)
    }

    /// The same, but no set that weighs more than `most`: `None` then.
    ///
    /// # Errors
    /// [`GtidError`].
    pub fn parse_encoded_within(body: &[u8], most: usize) -> Result<Option<Self>, GtidError> {
        let (mut set, mut fits) = (Self::new(), true);
        for_each_encoded(body, &mut |tsid, start, end| {
            if fits {
                set.insert_interval(tsid.clone(), start, end);
                fits = set.weight() <= most;
            }
        })?;
        Ok(fits.then_some(set))
    }
}

/// How much a UUID, or a tag of one, weighs against an interval of numbers.
pub const TSID_WEIGHT: usize = 8;

/// A count in which `before` became `after`.
const fn changed(count: usize, before: usize, after: usize) -> usize {
    count.saturating_add(after).saturating_sub(before)
}

/// See [`GtidSet::parse_encoded`]: whose numbers, the first of an interval, the one behind its last.
fn for_each_encoded(
    body: &[u8],
    receive: &mut dyn FnMut(&Tsid, u64, u64),
) -> Result<(), GtidError> {
    let mut cursor = Cursor::new(body);
    let counted = cursor.u64_le()?;
    let [_, .., format] = counted.to_le_bytes();
    let count = match format {
        0 => counted,
        1 => (counted & 0x00FF_FFFF_FFFF_FFFF) >> 8,
        found => return Err(GtidError::UnknownFormat { found }),
    };
    // Ends at the end of the bytes at the latest, whatever the count says.
    for _ in 0..count {
        let uuid = Uuid(cursor.array()?);
        let tag = match format {
            0 => Tag::default(),
            _ => Tag::new(super::serialization::string(&mut cursor)?)?,
        };
        let tsid = Tsid { uuid, tag };
        for _ in 0..cursor.u64_le()? {
            let (start, end) = (cursor.u64_le()?, cursor.u64_le()?);
            receive(&tsid, start, end);
        }
    }
    Ok(())
}

fn holds(intervals: &Intervals, start: u64, end: u64) -> bool {
    let before = intervals.range(..=start).next_back();
    before.is_some_and(|(_, &last)| end <= last)
}

/// Adds an interval; those that it overlaps or touches become one with it.
fn add(intervals: &mut Intervals, mut start: u64, mut end: u64) {
    if let Some((&first, &last)) = intervals.range(..=start).next_back()
        && last >= start
    {
        (start, end) = (first, end.max(last));
    }
    let behind = |end| (Bound::Excluded(start), Bound::Included(end));
    while let Some((&next, &last)) = intervals.range(behind(end)).next() {
        intervals.remove(&next);
        end = end.max(last);
    }
    intervals.insert(start, end);
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before: Option<Uuid> = None;
        for (tsid, intervals) in &self.tsids {
            // The server writes a UUID once, and its tags behind it.
            if before == Some(tsid.uuid) {
                write!(f, ":{}", tsid.tag.as_str())?;
            } else {
                f.write_str(if before.is_some() { "," } else { "" })?;
                write!(f, "{tsid}")?;
            }
            before = Some(tsid.uuid);
            for (start, end) in intervals {
                match end.saturating_sub(1) {
                    last if last == *start => write!(f, ":{start}")?,
                    last => write!(f, ":{start}-{last}")?,
                }
            }
        }
        Ok(())
    }
}

impl FromStr for GtidSet {
    type Err = GtidError;

    fn from_str(text: &str) -> Result<Self, GtidError> {
        let mut set = Self::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let mut pieces = part.split(':').map(str::trim);
            let uuid = pieces.next().unwrap_or_default();
            let uuid: Uuid = uuid.parse().map_err(|_| GtidError::Uuid { text: uuid.to_owned() })?;
            let mut tag = Tag::default();
            for piece in pieces {
                if piece.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                    tag = Tag::new(piece.as_bytes())?;
                    continue;
                }
                let (start, end) = interval(piece)?;
                let tsid = Tsid { uuid, tag: tag.clone() };
                set.insert_interval(tsid, start, end);
            }
        }
        Ok(set)
    }
}

fn interval(text: &str) -> Result<(u64, u64), GtidError> {
    let wrong = || GtidError::Interval { text: text.to_owned() };
    let number = |text: &str| text.trim().parse::<u64>().ok().filter(|&number| number > 0);
    let (start, last) = match text.split_once('-') {
        Some((start, last)) => (number(start), number(last)),
        None => (number(text), number(text)),
    };
    match (start, last) {
        (Some(start), Some(last)) => Ok((start, last.checked_add(1).ok_or_else(wrong)?)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";

    fn set(text: &str) -> GtidSet {
        text.parse().unwrap()
    }

    #[test]
    fn notation_as_the_server_writes_it() {
        for text in [
            "",
            "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee:foo:7,d487cab6-e56b-11f1-acc5-02fc00000001:1-8:backup:1-3:zz_last_tag:1",
        ] {
            assert_eq!(set(text).to_string(), text);
        }
        let messy = format!(" {} : 5-9 : 1 :2,\n{A}:FOO:3", A.to_uppercase());
        assert_eq!(set(&messy).to_string(), format!("{A}:1-2:5-9:foo:3"));
        for wrong in ["x", "aaaa:1", &format!("{A}:0"), &format!("{A}:1-b"), &format!("{A}:t%g:1")]
        {
            assert!(wrong.parse::<GtidSet>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_set_with_tags_as_a_server_encoded_it() {
        let mut body = vec![1, 2, 0, 0, 0, 0, 0, 1];
        for (tag, end) in [(&b"\x00"[..], 9_u64), (b"\x06foo", 4)] {
            body.extend([0xaa; 16]);
            body.extend(tag);
            body.extend(1_u64.to_le_bytes());
            body.extend(1_u64.to_le_bytes());
            body.extend(end.to_le_bytes());
        }
        let parsed = GtidSet::parse_encoded(&body).unwrap();
        assert_eq!(parsed.to_string(), "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa:1-8:foo:1-3");
        for end in 0..body.len() {
            assert!(GtidSet::parse_encoded(&body[..end]).is_err());
        }
    }

    #[test]
    fn the_worst_order_takes_no_longer() {
        const COUNT: u64 = 300_000;
        let mut body = [1_u64, 0, 0, COUNT].map(u64::to_le_bytes).concat();
        let numbers = (0..COUNT).rev().map(|number| 10 + 2 * number);
        body.extend(numbers.flat_map(|start| [start, start + 1].map(u64::to_le_bytes)).flatten());
        let set = GtidSet::parse_encoded(&body).unwrap();
        assert!(set.len() == COUNT && !set.is_empty());
        let other = set.difference(&set);
        assert!(other.is_empty() && set.contains_all(&set));
    }

    proptest! {
        #[test]
        fn sets_behave_as_sets(
            ours in proptest::collection::btree_set(1_u64..60, 0..40),
            theirs in proptest::collection::btree_set(1_u64..60, 0..40),
        ) {
            let tsid = Tsid { uuid: Uuid([7; 16]), tag: Tag::default() };
            let gtid = |number| Gtid { tsid: tsid.clone(), number };
            let make = |numbers: &std::collections::BTreeSet<u64>| {
                let mut set = GtidSet::new();
                numbers.iter().rev().for_each(|&number| { set.insert(&gtid(number)); });
                set
            };
            let (a, b) = (make(&ours), make(&theirs));
            prop_assert_eq!(a.len(), ours.len() as u64);
            let runs = ours.iter().filter(|&&number| !ours.contains(&(number - 1))).count();
            let tsids = usize::from(!ours.is_empty()) * TSID_WEIGHT;
            prop_assert_eq!(a.weight(), runs + tsids);
            prop_assert_eq!(&a.to_string().parse::<GtidSet>().unwrap(), &a);
            let difference = a.difference(&b);
            let mut union = a.clone();
            union.extend(&b);
            for number in 1..60 {
                let (in_a, in_b) = (ours.contains(&number), theirs.contains(&number));
                prop_assert_eq!(a.contains(&gtid(number)), in_a);
                prop_assert_eq!(difference.contains(&gtid(number)), in_a && !in_b);
                prop_assert_eq!(union.contains(&gtid(number)), in_a || in_b);
            }
            prop_assert!(union.contains_all(&a) && a.contains_all(&difference));
            prop_assert_eq!(a.contains_all(&b), theirs.is_subset(&ours));
        }
    }
}
