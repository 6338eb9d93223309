//! What speaks for an event where no event before it leads to it.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::event::event_type;
use crate::event::header::{EventHeader, flag};

/// Bits that servers set (server sources: `LOG_EVENT_*_F`): MySQL's lowest ten, MariaDB's highest
/// three.
const KNOWN_FLAGS: u16 = 0xE3FF;
/// More server ids than these say nothing.
const MAX_SERVER_IDS: usize = 1024;
/// So many parts of a log are remembered from which events were kept: each damage makes one more.
const MAX_KEPT: usize = 1024;

/// How much a header looks like that of an event at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Evidence {
    /// Chance gives as much.
    None,
    /// Two of these: a type that is known, flags that are known, a server that wrote other events.
    Likely,
    /// All of them.
    VeryLikely,
    /// It ends where it says, or as far from there as the events before it.
    Position,
}

/// What the events up to here say of those that follow.
#[derive(Debug, Clone, Default)]
pub(super) struct Judge {
    server_ids: BTreeSet<u32>,
    /// How far end positions are from where events end, modulo 2^32: 0 in an ordinary log, anything
    /// in a relay log and in a slice.
    pub(super) drift: Option<u32>,
    /// From where to where the events were written that are kept, by their own end positions.
    kept: Vec<Range<u32>>,
}

impl Judge {
    /// Takes what a whole event tells.
    pub(super) fn learn(&mut self, header: &EventHeader, plain_offset: u64) {
        if self.server_ids.len() < MAX_SERVER_IDS {
            self.server_ids.insert(header.server_id);
        }
        if matches!(header.event_type, event_type::ROTATE | event_type::FORMAT_DESCRIPTION) {
            // What follows may have the positions of another log.
            self.kept.clear();
        }
        if !is_without_position(header) {
            self.drift = Some(drift(header, plain_offset));
            self.keep(written(header));
        }
    }

    fn keep(&mut self, written: Range<u32>) {
        if let Some(before) = self.kept.iter_mut().rev().find(|kept| kept.end == written.start) {
            before.end = written.end;
            return;
        }
        if self.kept.len() == MAX_KEPT {
            self.kept.remove(0);
        }
        self.kept.push(written);
    }

    /// Whether no event is kept that was written where this one says that it was.
    pub(super) fn is_free(&self, header: &EventHeader) -> bool {
        let written = written(header);
        written.start < written.end && !self.kept.iter().any(|kept| overlap(kept, &written))
    }

    pub(super) fn server_ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.server_ids.iter().copied()
    }

    pub(super) fn evidence(&self, header: &EventHeader, plain_offset: u64) -> Evidence {
        match self.position(header, plain_offset) {
            Evidence::Position => Evidence::Position,
            _ => self.likeness(header),
        }
    }

    /// The same by a look at the position alone.
    #[inline]
    pub(super) fn position(&self, header: &EventHeader, plain_offset: u64) -> Evidence {
        let drift = drift(header, plain_offset);
        if drift == 0 || Some(drift) == self.drift || header.end_position == 0 {
            return Evidence::Position;
        }
        Evidence::None
    }

    /// The same without a look at the position.
    pub(super) fn likeness(&self, header: &EventHeader) -> Evidence {
        let has_known_type =
            header.event_type != 0 && event_type::known_name(header.event_type).is_some();
        let has_known_flags = header.flags & !KNOWN_FLAGS == 0;
        let has_known_server = self.server_ids.contains(&header.server_id);
        let all = [has_known_type, has_known_flags, has_known_server];
        match all.into_iter().filter(|speaks| *speaks).count() {
            3 => Evidence::VeryLikely,
            2 => Evidence::Likely,
            _ => Evidence::None,
        }
    }
}

/// Whether an event's end position is nowhere in its log.
pub(super) const fn is_without_position(header: &EventHeader) -> bool {
    header.end_position == 0 || header.has(flag::ARTIFICIAL)
}

/// From where to where an event was written, by what it says itself.
pub(super) const fn written(header: &EventHeader) -> Range<u32> {
    header.end_position.saturating_sub(header.length)..header.end_position
}

pub(super) const fn overlap(left: &Range<u32>, right: &Range<u32>) -> bool {
    left.start < right.end && right.start < left.end
}

/// How far an event's end position is from its end, modulo 2^32.
pub(super) fn drift(header: &EventHeader, plain_offset: u64) -> u32 {
    let low = u32::try_from(plain_offset & u64::from(u32::MAX)).unwrap_or_default();
    header.end_position.wrapping_sub(low.wrapping_add(header.length))
}
