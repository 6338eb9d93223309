//! What there is to say of a log.

use std::fmt;

use super::gtids::MAX_WEIGHT;
use crate::event::checksum::ChecksumMismatch;
use crate::event::walker::WalkError;
use crate::log::error::describe;

/// What is wrong with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DamageKind {
    /// Its checksum is not that of its bytes.
    #[error("{0}")]
    Checksum(ChecksumMismatch),
    /// It ends elsewhere than its end position says, in a log without checksums.
    #[error("its end position is {found}, {expected} was expected")]
    Position {
        /// In the header.
        found: u32,
        /// By offset and length, modulo 2^32.
        expected: u32,
    },
    /// Its header cannot be one.
    #[error("its header is none: type {event_type}, flags {flags:#06x}")]
    Implausible {
        /// Type byte.
        event_type: u8,
        /// Flags.
        flags: u16,
    },
    /// There is no event where one should start.
    #[error("{0}")]
    NoEvent(WalkError),
    /// The log ends within an event, although it was closed.
    #[error("{0}")]
    Cut(WalkError),
    /// It is as its server wrote it, and yet no server can read it.
    #[error(
        "its bytes are as they were written, but its body cannot be read: its server wrote it so"
    )]
    Unreadable,
    /// It is as its server wrote it, of a type that no server writes.
    #[error("its bytes are as they were written, but no server has events of this type")]
    ImpossibleType,
    /// A transaction begins without the GTID that every other one has.
    #[error("the GTID event of its transaction is not there, so that no server replays it")]
    NoGtid,
    /// The log has no end, where one is asked for.
    #[error(
        "the log was never closed, or was cut: it ends in neither ROTATE nor STOP, or is marked as in use"
    )]
    NotClosed,
}

/// One event that is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// Where it starts in the plaintext.
    pub plain_offset: u64,
    /// Where that is in the file.
    pub file_offset: u64,
    /// How many events stand before it.
    pub events_before: u64,
    /// Its type, if there is an event.
    pub event_type: Option<u8>,
    /// What is wrong.
    pub kind: DamageKind,
}

impl Damage {
    /// The same with so many more events before it.
    pub(super) const fn behind(self, events: u64) -> Self {
        Self { events_before: self.events_before.saturating_add(events), ..self }
    }
}

/// What is noteworthy and no damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The log is in use, or its server crashed: it was not closed.
    InUse,
    /// It ends within an event, as a log does whose server is writing it or crashed.
    CutTail(WalkError),
    /// It ends within a transaction.
    UnfinishedTransaction,
    /// It was closed, and its last event is neither a ROTATE nor a STOP: a crash and a recovery, or
    /// a cut between two events.
    NoLastEvent,
    /// Events are whole and stand elsewhere than they did: the log is a slice, or was salvaged.
    Moved {
        /// Where the first such event is.
        plain_offset: u64,
        /// How often the difference changes.
        count: u64,
    },
    /// In a relay log: the source's positions jump, as they do when events are filtered out or the
    /// connection was made anew.
    SourceJumps {
        /// How often.
        count: u64,
    },
    /// End positions of a server that wrote wrong ones: they were not checked.
    UnsoundPositions {
        /// How often they are off.
        count: u64,
    },
    /// Events of types that are not known here, as a later server writes them, or another's.
    UnknownEvents {
        /// The type of the first.
        event_type: u8,
        /// How many.
        count: u64,
    },
    /// Compressed transactions that were not looked into: they would unfold to more than servers' do.
    LeftFolded {
        /// How many.
        count: u64,
    },
    /// Transactions that lost their GTID events by the damage before them.
    LostGtids {
        /// Where the first of them goes on.
        plain_offset: u64,
        /// How many.
        count: u64,
    },
    /// Within transactions, events are not there: by the positions of those around them.
    TornTransactions {
        /// Where the first of them goes on.
        plain_offset: u64,
        /// How often.
        count: u64,
    },
    /// Too many GTIDs to be kept: whether logs follow one another is not judged by them.
    GtidsNotJudged,
    /// Events without checksums: only their lengths and positions were checked. In a relay log
    /// those of a source that writes none.
    NoChecksums,
}

impl Note {
    /// Its name in reports. Stable.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::InUse => "in-use",
            Self::CutTail(_) => "cut-tail",
            Self::UnfinishedTransaction => "unfinished-transaction",
            Self::NoLastEvent => "no-last-event",
            Self::Moved { .. } => "moved",
            Self::SourceJumps { .. } => "source-jumps",
            Self::UnsoundPositions { .. } => "unsound-positions",
            Self::UnknownEvents { .. } => "unknown-events",
            Self::LeftFolded { .. } => "left-folded",
            Self::LostGtids { .. } => "lost-gtids",
            Self::TornTransactions { .. } => "torn-transactions",
            Self::GtidsNotJudged => "gtids-not-judged",
            Self::NoChecksums => "no-checksums",
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("in use, or its server crashed: not closed"),
            Self::CutTail(error) => f.write_str(&describe(error)),
            Self::UnfinishedTransaction => f.write_str("ends within a transaction"),
            Self::NoLastEvent => f.write_str(
                "closed, but ends in neither ROTATE nor STOP: recovered after a crash, or cut between events",
            ),
            Self::Moved { plain_offset, count } => write!(
                f,
                "from plain offset {plain_offset} on, whole events stand elsewhere than they were written ({count} times): a slice, or salvaged"
            ),
            Self::SourceJumps { count: 1 } => f.write_str("the source's positions jump once"),
            Self::SourceJumps { count } => {
                write!(f, "the source's positions jump {count} times")
            }
            Self::UnsoundPositions { count } => write!(
                f,
                "its server wrote wrong end positions, as servers before 5.1.18 did ({count} times): they were not checked"
            ),
            Self::UnknownEvents { event_type, count } => write!(
                f,
                "{} of a type that is not known here ({event_type})",
                plural(*count, "event")
            ),
            Self::LeftFolded { count } => write!(
                f,
                "{} not looked into: they would unfold to more than any server's do",
                plural(*count, "compressed transaction")
            ),
            Self::LostGtids { plain_offset, count } => write!(
                f,
                "{} lost the GTID event, so that no server replays it (plain offset {plain_offset})",
                plural(*count, "transaction")
            ),
            Self::TornTransactions { plain_offset, count } => write!(
                f,
                "events are missing within transactions, by the positions of those around them ({}, the first at plain offset {plain_offset}): no server replays these as they were; `salvage --whole-transactions` leaves them out",
                plural(*count, "place")
            ),
            Self::GtidsNotJudged => write!(
                f,
                "too many GTIDs (more than {MAX_WEIGHT} intervals): whether logs follow one another is not judged by them"
            ),
            Self::NoChecksums => f.write_str(
                "without checksums, at least in parts: lengths and positions alone were checked there",
            ),
        }
    }
}

fn plural(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        several => format!("{several} {noun}s"),
    }
}
