//! Transactions that lack events although every event that is there is whole: within a transaction, one
//! event ends where the next one begins, by the positions that their server gave them. Nobody leaves
//! events of a transaction out of a log, or of what is sent to a replica, but for the ANNOTATE_ROWS of
//! MariaDB that a replica need not ask for.

use super::log_facts::LogFacts;
use crate::event::header::{LENGTH, event_type, flag};
use crate::event::transaction::Progress;
use crate::event::walker::EventView;

/// Where an event begins by its server's positions, which wrap.
#[derive(Debug, Clone, Copy)]
struct Start {
    position: u32,
    plain_offset: u64,
}

/// The places in a part of a log at which a transaction lacks events.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Torn {
    /// The first event of the part, if it may belong to what stands before the part.
    first: Option<Start>,
    /// Whether any event was there.
    is_begun: bool,
    /// Whether rows were there before anything told where a transaction begins: they are of one.
    has_rows: bool,
    /// Where the last event ends, if what follows must begin there.
    last_end: Option<u32>,
    pub(super) count: u64,
    pub(super) first_torn: Option<u64>,
}

impl Torn {
    /// A whole event, before which its transaction was so far.
    pub(super) fn add(&mut self, event: &EventView<'_>, before: Progress, log: &LogFacts) {
        let header = &event.header;
        let kind = header.event_type;
        if matches!(kind, event_type::ROTATE | event_type::FORMAT_DESCRIPTION) {
            // From here on it may be another log of the source, or another place in it.
            self.break_off();
            return;
        }
        let is_sources = !header.has(flag::ARTIFICIAL) && !header.has(flag::RELAY_LOG);
        if header.end_position == 0 || !is_sources || !log.has_right_positions {
            return;
        }
        let start = Start {
            position: header.end_position.wrapping_sub(header.length),
            plain_offset: event.offset,
        };
        let may_follow_annotation = log.is_relay && log.is_mariadb && kind == event_type::TABLE_MAP;
        if !std::mem::replace(&mut self.is_begun, true) {
            self.first = Some(start).filter(|_| !may_follow_annotation);
        }
        let is_known_within = self.has_rows || is_row_part(kind);
        let is_within = before.is_unfinished() || before == Progress::Unknown && is_known_within;
        if is_within && !may_follow_annotation {
            self.compare(start);
        }
        self.has_rows |= before == Progress::Unknown && is_row_part(kind);
        self.last_end = Some(header.end_position);
    }

    /// An event of which nothing can be relied on: what it costs is told by others.
    pub(super) const fn break_off(&mut self) {
        self.is_begun = true;
        self.last_end = None;
    }

    fn compare(&mut self, start: Start) {
        let gap = |end: u32| start.position.wrapping_sub(end).cast_signed();
        // A checksum that was added or left out on the way takes 4 bytes, the smallest event 19.
        let smallest = i32::try_from(LENGTH).unwrap_or(i32::MAX);
        if self.last_end.is_some_and(|end| gap(end) >= smallest) {
            self.count = self.count.saturating_add(1);
            self.first_torn.get_or_insert(start.plain_offset);
        }
    }

    /// Puts the next part behind this one, at whose end a transaction is so far.
    pub(super) fn append(&mut self, next: Self, progress: Progress) {
        if let Some(start) = next.first
            && progress.is_unfinished()
        {
            self.compare(start);
        }
        self.count = self.count.saturating_add(next.count);
        self.first_torn = self.first_torn.or(next.first_torn);
        if next.is_begun {
            self.last_end = next.last_end;
            self.is_begun = true;
        }
    }
}

/// Whether an event is of a statement's rows, or ends a transaction: never the first one of it.
const fn is_row_part(kind: u8) -> bool {
    matches!(kind, event_type::TABLE_MAP | event_type::XID) || event_type::is_rows(kind)
}
