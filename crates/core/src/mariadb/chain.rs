//! Where the events of an encrypted log begin: their lengths are in clear.

use super::error::MariadbError;
use crate::event::header;
use crate::mariadb::cipher::EventSpan;

/// Bytes of an event up to the end of its length.
pub(crate) const LENGTH_KNOWN: usize = 13;
/// An event is remembered for each multiple of this, in bytes: little memory for a large log, and a
/// short way from there to any other event.
pub(crate) const STRIDE: u64 = 64 << 10;

/// How far ahead of a hop bytes are touched, so that they are in the cache when it comes there.
const AHEAD: usize = 2 << 10;

/// How a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// With its last event.
    Whole,
    /// Before the length of an event.
    CutHeader {
        /// Where the event starts.
        offset: u64,
        /// How many bytes are left of it.
        available: u64,
    },
    /// Within an event, if the length of that one can be believed.
    Cut {
        /// The event.
        event: EventSpan,
        /// How many bytes are left of it.
        available: u64,
    },
    /// An event says that it is shorter than its header.
    BadLength(EventSpan),
}

impl Tail {
    /// As an error; `None` for a whole log.
    #[must_use]
    pub(crate) fn error(self) -> Option<MariadbError> {
        match self {
            Self::Whole => None,
            Self::CutHeader { offset, available } => {
                Some(MariadbError::Cut { offset, needed: None, available })
            }
            Self::Cut { event, available } => Some(MariadbError::Cut {
                offset: event.offset,
                needed: Some(event.length),
                available,
            }),
            Self::BadLength(event) => {
                Some(MariadbError::BadLength { offset: event.offset, length: event.length })
            }
        }
    }
}

/// The events of a log from the first encrypted one on, found by hopping over their lengths.
#[derive(Debug)]
pub(crate) struct Chain {
    /// The event that has the byte at each multiple of [`STRIDE`]; the first one has the first.
    anchors: Vec<EventSpan>,
    next: u64,
    end: u64,
    tail: Option<Tail>,
}

impl Chain {
    /// Of a log with a first encrypted event at `from` and `end` bytes, as yet unknown.
    #[must_use]
    pub(crate) const fn new(from: u64, end: u64) -> Self {
        Self { anchors: Vec::new(), next: from, end, tail: None }
    }

    /// Where the next event starts; `None` when the end is reached. [`Chain::extend`] wants
    /// [`LENGTH_KNOWN`] bytes from there on, or all that the file has, and takes more.
    #[must_use]
    pub(crate) fn wants(&self) -> Option<u64> {
        self.tail.is_none().then_some(self.next)
    }

    /// Hops as far as `bytes`, which stand at `offset` in the file, lead.
    pub(crate) fn extend(&mut self, offset: u64, bytes: &[u8]) {
        while self.tail.is_none() {
            let left = self.end.saturating_sub(self.next);
            let at = self.next.checked_sub(offset);
            let header = at
                .and_then(|at| usize::try_from(at).ok())
                .and_then(|at| bytes.get(at..)?.first_chunk::<LENGTH_KNOWN>());
            let Some(&[.., a, b, c, d]) = header else {
                if left < LENGTH_KNOWN as u64 {
                    self.tail = Some(self.short_tail(left));
                }
                return;
            };
            let event = EventSpan { offset: self.next, length: u32::from_le_bytes([a, b, c, d]) };
            // Each hop needs the length before it, so a processor cannot look ahead by itself.
            let ahead =
                at.and_then(|at| bytes.get(usize::try_from(at).ok()?.saturating_add(AHEAD)));
            std::hint::black_box(ahead.copied());
            self.add(event, left);
        }
    }

    fn short_tail(&self, available: u64) -> Tail {
        match available {
            0 => Tail::Whole,
            _ => Tail::CutHeader { offset: self.next, available },
        }
    }

    fn add(&mut self, event: EventSpan, left: u64) {
        if u64::from(event.length) < header::LENGTH as u64 {
            self.tail = Some(Tail::BadLength(event));
            return;
        }
        let end = event.end().min(self.end);
        while self.boundary() < end {
            self.anchors.push(event);
        }
        if u64::from(event.length) > left {
            let available = left;
            self.tail = Some(Tail::Cut { event, available });
        }
        self.next = end;
    }

    /// The offset that the next anchor is for.
    fn boundary(&self) -> u64 {
        u64::try_from(self.anchors.len()).unwrap_or(u64::MAX).saturating_mul(STRIDE)
    }

    /// How the log ends; `None` as long as that is not known.
    #[must_use]
    pub(crate) const fn tail(&self) -> Option<Tail> {
        self.tail
    }

    /// Whether no event of the chain reaches to an offset.
    #[must_use]
    pub(crate) fn is_over_before(&self, offset: u64) -> bool {
        self.tail.is_some() && offset >= self.next
    }

    /// The last event that is remembered and starts at `offset` or before; a hop of up to
    /// [`STRIDE`] bytes leads from there to the event that has the byte at `offset`.
    #[must_use]
    pub(crate) fn anchor(&self, offset: u64) -> Option<EventSpan> {
        let index = usize::try_from(offset / STRIDE).ok()?;
        self.anchors.get(index).or_else(|| self.anchors.last()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lengths: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; 300];
        for &length in lengths {
            let start = bytes.len();
            bytes.resize(start + length as usize, 7);
            bytes[start + 9..start + 13].copy_from_slice(&length.to_le_bytes());
        }
        bytes
    }

    /// Hops with as many bytes at a time.
    fn hop(bytes: &[u8], window: usize) -> Chain {
        let mut chain = Chain::new(300, bytes.len() as u64);
        while let Some(at) = chain.wants() {
            let start = usize::try_from(at).unwrap();
            let end = bytes.len().min(start + window);
            chain.extend(at, &bytes[start..end]);
        }
        chain
    }

    #[test]
    fn every_offset_is_near_its_anchor() {
        let lengths: Vec<u32> = (0..900).map(|n| [19, 20, 400, 31, 150_000][n % 5]).collect();
        let bytes = log(&lengths);
        for window in [13, 100, 4096, 1 << 20] {
            let chain = hop(&bytes, window);
            assert_eq!(chain.tail(), Some(Tail::Whole));
            let mut start = 300;
            for &length in &lengths {
                let end = start + u64::from(length);
                for offset in [start, end - 1] {
                    let mut event = chain.anchor(offset).unwrap();
                    assert!(event.offset <= offset && offset - event.offset < STRIDE + 150_000);
                    while event.end() <= offset {
                        let at = usize::try_from(event.end()).unwrap();
                        let length = bytes[at + 9..at + 13].try_into().unwrap();
                        let length = u32::from_le_bytes(length);
                        event = EventSpan { offset: event.end(), length };
                    }
                    assert_eq!(event, EventSpan { offset: start, length });
                }
                start = end;
            }
        }
    }

    #[test]
    fn every_cut_is_told() {
        let bytes = log(&[40, 60]);
        for length in 300..bytes.len() {
            let tail = hop(&bytes[..length], 64).tail().unwrap();
            let left = length as u64 - 300;
            let within = if left < 40 { (300, left, 40) } else { (340, left - 40, 60) };
            let (offset, available, length) = within;
            let expected = match available {
                0 => Tail::Whole,
                1..13 => Tail::CutHeader { offset, available },
                _ => Tail::Cut { event: EventSpan { offset, length }, available },
            };
            assert_eq!(tail, expected);
        }
    }

    #[test]
    fn lengths_that_cannot_be_end_the_chain() {
        for length in [0, 7, 18] {
            let mut bytes = log(&[40, 60]);
            bytes[349..353].copy_from_slice(&u32::to_le_bytes(length));
            let expected = Tail::BadLength(EventSpan { offset: 340, length });
            assert_eq!(hop(&bytes, 64).tail(), Some(expected));
        }
        let mut bytes = log(&[40, 60]);
        bytes[349..353].copy_from_slice(&u32::MAX.to_le_bytes());
        let chain = hop(&bytes, 64);
        assert!(matches!(chain.tail(), Some(Tail::Cut { available: 60, .. })));
        assert_eq!(chain.anchors.len(), 1, "no memory for what is not there");
    }
}
