//! A part of a log: found its first event, checked all that start in it.

use std::collections::BTreeSet;

use super::{Damage, DamageKind, MAX_DAMAGES_KEPT, continued};
use crate::error::Error;
use crate::event::checksum::ChecksumAlgorithm;
use crate::event::event_type;
use crate::event::gtid::{TransactionId, TransactionStart};
use crate::event::gtid_set::GtidSet;
use crate::event::header::{self, EventHeader, flag};
use crate::event::rotate::Rotate;
use crate::event::transaction::Progress as TransactionProgress;
use crate::event::walker::{EventView, WalkError, check_extent, could_end_there, is_plausible};
use crate::io::TransferError;
use crate::io::pipeline::Progress;
use crate::walk::{Depth, PlainSource, Walker};

/// More server ids than this in one log tell nothing.
const MAX_SERVER_IDS: usize = 64;
/// Bytes that are searched for the first event at a time: it is among the first of most parts.
const LOOK: usize = 4 << 10;
/// An event that is used to find the alignment is no larger than this.
const MAX_ANCHOR: u32 = 1 << 20;

/// What is known of a log before a part of it is read.
#[derive(Debug, Clone)]
pub(super) struct Basis {
    pub(super) checksum: ChecksumAlgorithm,
    pub(super) server_ids: BTreeSet<u32>,
    pub(super) is_relay: bool,
    /// How far end positions are from where events end, modulo 2^32; 0 in an ordinary log.
    pub(super) shift: u32,
}

/// What a part of a log holds.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// Where its first event starts.
    pub(super) start: u64,
    /// Where its last one ends.
    pub(super) end: u64,
    /// The checksums that were assumed at its start, and those in force at its end.
    pub(super) assumed: ChecksumAlgorithm,
    pub(super) checksum: ChecksumAlgorithm,
    /// Why it could not be read to its end.
    pub(super) stop: Option<WalkError>,
    pub(super) events: u64,
    pub(super) bad_events: u64,
    pub(super) checksums: u64,
    pub(super) damages: Vec<Damage>,
    pub(super) damage_count: u64,
    pub(super) first_shift: Option<u32>,
    pub(super) last_shift: Option<u32>,
    pub(super) first_shifted: Option<u64>,
    pub(super) shifts: u64,
    pub(super) server_ids: BTreeSet<u32>,
    pub(super) transaction: TransactionProgress,
    pub(super) ends_properly: bool,
    pub(super) previous_gtids: Option<GtidSet>,
    pub(super) gtids: GtidSet,
    pub(super) repeated_gtids: GtidSet,
    pub(super) next_log: Option<String>,
}

impl Segment {
    pub(super) fn starting_at(start: u64) -> Self {
        Self {
            start,
            end: start,
            assumed: ChecksumAlgorithm::None,
            checksum: ChecksumAlgorithm::None,
            stop: None,
            events: 0,
            bad_events: 0,
            checksums: 0,
            damages: Vec::new(),
            damage_count: 0,
            first_shift: None,
            last_shift: None,
            first_shifted: None,
            shifts: 0,
            server_ids: BTreeSet::new(),
            transaction: TransactionProgress::Unknown,
            ends_properly: false,
            previous_gtids: None,
            gtids: GtidSet::new(),
            repeated_gtids: GtidSet::new(),
            next_log: None,
        }
    }

    /// Puts the next part behind this one.
    pub(super) fn append(&mut self, next: Self, is_relay: bool) {
        // The very first event of a log stands where it says, or has been moved.
        let before = self.last_shift.or((!is_relay).then_some(0));
        if let (Some(before), Some(first)) = (before, next.first_shift)
            && before != first
        {
            self.note_shift(next.start);
        }
        self.last_shift = next.last_shift.or(self.last_shift);
        self.first_shifted = self.first_shifted.or(next.first_shifted);
        self.shifts = self.shifts.saturating_add(next.shifts);
        for damage in next.damages {
            self.keep(Damage {
                events_before: damage.events_before.saturating_add(self.events),
                ..damage
            });
        }
        self.damage_count = self.damage_count.saturating_add(next.damage_count);
        self.end = next.end;
        self.checksum = next.checksum;
        self.stop = next.stop;
        self.events = self.events.saturating_add(next.events);
        self.bad_events = self.bad_events.saturating_add(next.bad_events);
        self.checksums = self.checksums.saturating_add(next.checksums);
        self.server_ids.extend(next.server_ids);
        self.transaction = continued(self.transaction, next.transaction);
        self.ends_properly = next.ends_properly;
        self.previous_gtids = self.previous_gtids.take().or(next.previous_gtids);
        let new = next.gtids.difference(&self.gtids);
        if new.len() < next.gtids.len() {
            self.repeated_gtids.extend(&next.gtids.difference(&new));
        }
        self.gtids.extend(&new);
        self.repeated_gtids.extend(&next.repeated_gtids);
        self.next_log = next.next_log.or_else(|| self.next_log.take());
    }

    pub(super) fn damage(&mut self, offset: u64, event_type: Option<u8>, kind: DamageKind) {
        self.damage_count = self.damage_count.saturating_add(1);
        self.keep(Damage {
            plain_offset: offset,
            file_offset: offset,
            events_before: self.events,
            event_type,
            kind,
        });
    }

    fn keep(&mut self, damage: Damage) {
        if self.damages.len() < MAX_DAMAGES_KEPT {
            self.damages.push(damage);
        }
    }

    fn note_shift(&mut self, offset: u64) {
        self.first_shifted.get_or_insert(offset);
        self.shifts = self.shifts.saturating_add(1);
    }
}

/// Checks a part whose first event is not known yet. Where none is found the part starts, and ends,
/// at its end.
pub(super) fn guess(
    source: &dyn PlainSource,
    basis: &Basis,
    from: u64,
    to: u64,
    progress: &dyn Progress,
) -> Result<Segment, Error> {
    let mut walker = Walker::starting_at(source, Depth::Whole, from, basis.checksum);
    walker.stop_reading_ahead_at(to);
    let segment = match find_start(&mut walker, source, basis, from, to)? {
        Some(start) => run(walker, basis, start, to)?,
        None => Segment {
            assumed: basis.checksum,
            ..Segment::starting_at(to)
        },
    };
    tell(progress, from, to)?;
    Ok(segment)
}

/// Checks a part from an event on.
pub(super) fn check(
    source: &dyn PlainSource,
    basis: &Basis,
    from: u64,
    to: u64,
    progress: Option<&dyn Progress>,
) -> Result<Segment, Error> {
    let mut walker = Walker::starting_at(source, Depth::Whole, from, basis.checksum);
    walker.stop_reading_ahead_at(to);
    let segment = run(walker, basis, from, to)?;
    if let Some(progress) = progress {
        tell(progress, from, to)?;
    }
    Ok(segment)
}

fn tell(progress: &dyn Progress, from: u64, to: u64) -> Result<(), TransferError> {
    if progress.advance(to.saturating_sub(from)).is_break() {
        return Err(TransferError::Cancelled);
    }
    Ok(())
}

/// The first offset at which an event starts beyond reasonable doubt: it ends where it says (or,
/// in a relay log, a server that occurs in the log wrote it), and its checksum is right; without
/// checksums the one after it ends where it says, too.
fn find_start(
    walker: &mut Walker<'_>,
    source: &dyn PlainSource,
    basis: &Basis,
    from: u64,
    to: u64,
) -> Result<Option<u64>, TransferError> {
    let step = LOOK.saturating_sub(header::LENGTH.saturating_sub(1));
    let mut at = from;
    while at < to {
        let bytes = walker.peek(at, LOOK)?;
        let candidates: Vec<(u64, EventHeader)> = candidates(bytes, at, basis).collect();
        for (offset, header) in candidates.into_iter().filter(|(offset, _)| *offset < to) {
            if is_event(walker, source, basis, offset, &header)? {
                return Ok(Some(offset));
            }
        }
        at = at.saturating_add(u64::try_from(step).unwrap_or(1));
    }
    Ok(None)
}

fn candidates<'a>(
    bytes: &'a [u8],
    at: u64,
    basis: &'a Basis,
) -> impl Iterator<Item = (u64, EventHeader)> + 'a {
    let offsets = at..u64::MAX;
    bytes
        .windows(header::LENGTH)
        .zip(offsets)
        .filter(|(window, offset)| basis.is_relay || could_end_there(window, *offset, basis.shift))
        .filter_map(|(window, offset)| Some((offset, EventHeader::parse(window).ok()?)))
        .filter(|(_, header)| is_plausible(header) && header.length <= MAX_ANCHOR)
        .filter(|(_, header)| !basis.is_relay || basis.server_ids.contains(&header.server_id))
}

fn is_event(
    walker: &mut Walker<'_>,
    source: &dyn PlainSource,
    basis: &Basis,
    offset: u64,
    header: &EventHeader,
) -> Result<bool, TransferError> {
    let Ok(end) = check_extent(header, offset, source.plain_length()) else {
        return Ok(false);
    };
    let length = header.byte_length().unwrap_or_default();
    if basis.checksum == ChecksumAlgorithm::Crc32 {
        let event = EventView {
            offset,
            header: *header,
            bytes: walker.peek(offset, length)?,
            checksum: basis.checksum,
        };
        return Ok(event.verify_checksum().is_ok());
    }
    let next = EventHeader::parse(walker.peek(end, header::LENGTH)?);
    Ok(next.is_ok_and(|next| {
        is_plausible(&next)
            && (basis.is_relay || shift_of(&next, end) == basis.shift)
            && basis.server_ids.contains(&next.server_id)
    }))
}

/// The low 32 bits, in which positions are written.
fn low_bits(offset: u64) -> u32 {
    u32::try_from(offset & u64::from(u32::MAX)).unwrap_or_default()
}

/// How far an event's end position is from its end, modulo 2^32.
fn shift_of(header: &EventHeader, offset: u64) -> u32 {
    header
        .end_position
        .wrapping_sub(low_bits(offset).wrapping_add(header.length))
}

fn run(mut walker: Walker<'_>, basis: &Basis, from: u64, to: u64) -> Result<Segment, Error> {
    let mut segment = Segment {
        assumed: basis.checksum,
        ..Segment::starting_at(from)
    };
    walker.seek(from);
    while walker.offset() < to && segment.stop.is_none() {
        let large = match walker.next_event() {
            Ok(Some(event)) => segment.add(&event, basis),
            Ok(None) => break,
            Err(Error::Walk { source, .. }) => {
                segment.stop = Some(source);
                None
            }
            Err(error) => return Err(error),
        };
        if let Some((offset, event_type, length)) = large {
            segment.checksums = segment.checksums.saturating_add(1);
            if let Err(mismatch) = walker.verify_large(offset, length)? {
                segment.bad_events = segment.bad_events.saturating_add(1);
                segment.damage(offset, Some(event_type), DamageKind::Checksum(mismatch));
            }
        }
    }
    segment.checksum = walker.checksum();
    Ok(segment)
}

/// An event whose checksum has to be taken from the source: offset, type, length.
type Large = (u64, u8, u32);

impl Segment {
    /// Checks one event and takes what it tells.
    fn add(&mut self, event: &EventView<'_>, basis: &Basis) -> Option<Large> {
        let header = &event.header;
        let wrong = self.what_is_wrong(event, basis);
        if let Some(kind) = wrong {
            self.damage(event.offset, Some(header.event_type), kind);
            self.bad_events = self.bad_events.saturating_add(1);
        }
        self.events = self.events.saturating_add(1);
        self.end = event.end();
        if self.server_ids.len() < MAX_SERVER_IDS {
            self.server_ids.insert(header.server_id);
        }
        if wrong.is_none() {
            self.learn(event);
        } else if !basis.is_relay
            && shift_of(header, event.offset) != self.last_shift.unwrap_or(basis.shift)
        {
            // Neither the checksum nor the position speaks for this length.
            let (offset, length) = (event.offset, header.length);
            self.end = offset;
            self.stop = Some(WalkError::Lost { offset, length });
        }
        let large = !event.is_whole() && event.checksum == ChecksumAlgorithm::Crc32;
        large.then_some((event.offset, header.event_type, header.length))
    }

    fn what_is_wrong(&mut self, event: &EventView<'_>, basis: &Basis) -> Option<DamageKind> {
        let header = &event.header;
        if event.is_whole() && event.checksum_length() > 0 {
            self.checksums = self.checksums.saturating_add(1);
            if let Err(mismatch) = event.verify_checksum() {
                return Some(DamageKind::Checksum(mismatch));
            }
        } else if !is_plausible(header) {
            return Some(DamageKind::Implausible {
                event_type: header.event_type,
                flags: header.flags,
            });
        }
        let own_event =
            header.has(flag::ARTIFICIAL) || (basis.is_relay && header.has(flag::RELAY_LOG));
        if own_event || header.end_position == 0 {
            return None;
        }
        let shift = shift_of(header, event.offset);
        let before = self.last_shift;
        self.first_shift.get_or_insert(shift);
        if before.unwrap_or(basis.shift) != shift && !basis.is_relay && event.checksum_length() == 0
        {
            return Some(DamageKind::Position {
                found: header.end_position,
                expected: header.end_position.wrapping_sub(shift),
            });
        }
        self.last_shift = Some(shift);
        if before.is_some_and(|before| before != shift) {
            self.note_shift(event.offset);
        }
        None
    }

    fn learn(&mut self, event: &EventView<'_>) {
        let event_type = event.header.event_type;
        self.transaction = self.transaction.after(event);
        let artificial = event.header.has(flag::ARTIFICIAL);
        self.ends_properly =
            matches!(event_type, event_type::ROTATE | event_type::STOP) && !artificial;
        match event_type {
            event_type::ROTATE if !artificial => {
                let rotate = Rotate::parse(event.body()).ok();
                let name = rotate.map(|r| String::from_utf8_lossy(r.next_log).into_owned());
                self.next_log = name.or_else(|| self.next_log.take());
            }
            event_type::PREVIOUS_GTIDS => {
                self.previous_gtids = GtidSet::parse_encoded(event.body()).ok();
            }
            _ => {}
        }
        if let Some(Ok(TransactionStart {
            id: TransactionId::Gtid(gtid),
            ..
        })) = TransactionStart::parse(event)
            && !self.gtids.insert(&gtid)
        {
            self.repeated_gtids.insert(&gtid);
        }
    }
}
