//! How XA transactions ended: their rows stand where they were prepared, and whether these stayed is
//! told later, in the same log or in one behind it.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use crate::event::xa::XaHalf;
use crate::log::open::OpenLog;
use crate::log::walk::{Depth, Walker};

/// More ends are not remembered: each takes 16 bytes.
const MOST: usize = 4 << 20;
/// Bits of a place that tell the log, the offset, and whether it is a commit.
const OFFSET_BITS: u32 = 44;

/// How an XA transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XaEnd {
    /// Its rows stayed.
    Committed,
    /// They did not.
    RolledBack,
}

/// Opens a log by its number.
pub type Open<'a> = dyn Fn(usize) -> Option<OpenLog> + Sync + 'a;

/// The ends of the XA transactions of some logs, which are looked for when the first of these
/// transactions is met, and once.
pub struct XaEnds<'a> {
    logs: usize,
    open: &'a Open<'a>,
    found: OnceLock<Found>,
}

impl std::fmt::Debug for XaEnds<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("XaEnds").field("logs", &self.logs).finish_non_exhaustive()
    }
}

impl<'a> XaEnds<'a> {
    /// Of so many logs in their order. One that cannot be opened tells nothing.
    #[must_use]
    pub const fn new(logs: usize, open: &'a Open<'a>) -> Self {
        Self { logs, open, found: OnceLock::new() }
    }

    /// As one of these logs sees them, which is open already.
    #[must_use]
    pub const fn seen_from<'l>(&'l self, log: &'l OpenLog, number: usize) -> XaView<'l> {
        XaView { ends: self, log, number }
    }
}

/// See [`XaEnds::seen_from`].
#[derive(Debug, Clone, Copy)]
pub struct XaView<'a> {
    ends: &'a XaEnds<'a>,
    log: &'a OpenLog,
    number: usize,
}

impl XaView<'_> {
    /// How the transaction of an id ended that begins at a plain offset of the log; `None` where the
    /// logs do not tell.
    pub(super) fn end(&self, offset: u64, id: &str) -> Option<XaEnd> {
        // Those before this log end none of its transactions.
        let found = self.ends.found.get_or_init(|| {
            let mut found = Found::default();
            found.add(self.log, self.number);
            for number in self.number.saturating_add(1)..self.ends.logs {
                if let Some(log) = (self.ends.open)(number) {
                    found.add(&log, number);
                }
            }
            found.ends.sort_unstable();
            found
        });
        found.next(place(self.number, offset)?, id)
    }
}

/// Ends by the hash of the id, and by place.
#[derive(Debug, Default)]
struct Found {
    ends: Vec<(u64, u64)>,
    hasher: RandomState,
}

impl Found {
    fn add(&mut self, log: &OpenLog, number: usize) {
        let mut walker = Walker::new(log, Depth::Whole);
        // Behind a damage nothing is known of what stands there.
        while let Ok(Some(event)) = walker.next_event() {
            let (id, is_commit) = match XaHalf::of(&event) {
                Some(XaHalf::Ended { id, is_commit }) => (id, is_commit),
                Some(XaHalf::CommittedAtOnce(id)) => (id, true),
                Some(XaHalf::Prepared(_)) | None => continue,
            };
            if let Some(place) = place(number, event.offset)
                && self.ends.len() < MOST
            {
                self.ends.push((self.hasher.hash_one(id), place | u64::from(is_commit)));
            }
        }
    }

    /// The first end behind a place.
    fn next(&self, place: u64, id: &str) -> Option<XaEnd> {
        let hash = self.hasher.hash_one(id);
        let after = self.ends.partition_point(|end| *end < (hash, place));
        let (_, end) = self.ends.get(after).filter(|(of, _)| *of == hash)?;
        Some(if end & 1 == 1 { XaEnd::Committed } else { XaEnd::RolledBack })
    }
}

/// A log's number and an offset in it, in the order of logs and offsets, the last bit free.
fn place(log: usize, offset: u64) -> Option<u64> {
    let offset = Some(offset).filter(|offset| offset >> (OFFSET_BITS - 1) == 0)?;
    let log = u64::try_from(log).ok().filter(|log| log >> (u64::BITS - OFFSET_BITS) == 0)?;
    Some(log << OFFSET_BITS | offset << 1)
}
