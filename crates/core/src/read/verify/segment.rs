//! A part of a log: found its first event, checked all that start in it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};

use super::gtids::Gtids;
use super::log_facts::LogFacts;
use super::orphans::Transactions;
use super::positions::Positions;
use super::torn::Torn;
use super::{Damage, DamageKind, MAX_DAMAGES_KEPT};
use crate::event::checksum::ChecksumAlgorithm;
use crate::event::event_type;
use crate::event::gtid::TransactionStart;
use crate::event::header::{self, EventHeader, flag};
use crate::event::payload::{Payload, Unfolder};
use crate::event::readable::{TypeOfEvent, Unfolded, is_readable, unfold};
use crate::event::rotate::Rotate;
use crate::event::walker::{
    EventForm, EventView, WalkError, check_extent, could_end_there, has_plausible_flags,
    is_plausible,
};
use crate::file::TransferError;
use crate::file::pipeline::{CHUNK, Progress};
use crate::log::error::Error;
use crate::log::walk::{Depth, PartReader, PlainSource, Walker};

/// More server ids than this in one log tell nothing.
const MAX_SERVER_IDS: usize = 64;
/// Bytes that are searched for the first event at a time: it is among the first of most parts.
const LOOK: usize = 4 << 10;
/// An event that is used to find the alignment is no larger than this.
const MAX_ANCHOR: u32 = 1 << 20;

/// What is known of a log before a part of it is read.
#[derive(Debug, Clone)]
pub(super) struct Basis {
    pub(super) log: LogFacts,
    pub(super) form: EventForm,
    pub(super) server_ids: BTreeSet<u32>,
    /// How far end positions are from where events end, modulo 2^32; 0 in an ordinary log.
    pub(super) shift: u32,
}

/// Bytes to which the compressed transactions of one part may unfold together. Parts have a few MiB, and
/// servers' transactions unfold to a few times their length; a forged log could keep a reader busy for
/// as long as it likes.
const MAX_UNFOLDED: u64 = 1 << 30;

/// What a part of a log holds.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// Where its first event starts.
    pub(super) start: u64,
    /// Where its last one ends.
    pub(super) end: u64,
    /// The form of events that was assumed at its start, and the one in force at its end.
    pub(super) assumed: EventForm,
    pub(super) form: EventForm,
    /// Why it could not be read to its end.
    pub(super) stop: Option<WalkError>,
    pub(super) events: u64,
    pub(super) bad_events: u64,
    pub(super) checksums: u64,
    pub(super) damages: Vec<Damage>,
    pub(super) damage_count: u64,
    pub(super) positions: Positions,
    pub(super) server_ids: BTreeSet<u32>,
    pub(super) transactions: Transactions,
    pub(super) torn: Torn,
    pub(super) ends_properly: bool,
    pub(super) gtids: Gtids,
    pub(super) next_log: Option<String>,
    /// The time of the last event that has one.
    pub(super) last_time: Option<u32>,
    /// Events of types that are not known here: how many, and the first one's type.
    pub(super) unknown: u64,
    pub(super) unknown_type: Option<u8>,
    /// Compressed transactions that were not read to their end: too many bytes would have come of them.
    pub(super) left_folded: u64,
}

impl Segment {
    pub(super) fn starting_at(start: u64, assumed: EventForm, log: LogFacts) -> Self {
        Self {
            start,
            end: start,
            assumed,
            form: assumed,
            stop: None,
            events: 0,
            bad_events: 0,
            checksums: 0,
            damages: Vec::new(),
            damage_count: 0,
            positions: Positions::new(log.has_sound_positions),
            server_ids: BTreeSet::new(),
            transactions: Transactions::default(),
            torn: Torn::default(),
            ends_properly: false,
            gtids: Gtids::default(),
            next_log: None,
            last_time: None,
            unknown: 0,
            unknown_type: None,
            left_folded: 0,
        }
    }

    /// Puts the next part behind this one.
    pub(super) fn append(&mut self, next: Self) {
        self.positions.append(next.positions, self.events);
        self.torn.append(next.torn, self.transactions.progress);
        self.transactions.append(next.transactions, self.events);
        for damage in next.damages {
            self.keep(damage.behind(self.events));
        }
        self.damage_count = self.damage_count.saturating_add(next.damage_count);
        self.end = next.end;
        self.form = next.form;
        self.stop = next.stop;
        self.events = self.events.saturating_add(next.events);
        self.bad_events = self.bad_events.saturating_add(next.bad_events);
        self.checksums = self.checksums.saturating_add(next.checksums);
        self.server_ids.extend(next.server_ids);
        self.ends_properly = next.ends_properly;
        self.gtids.append(next.gtids);
        self.next_log = next.next_log.or_else(|| self.next_log.take());
        self.last_time = next.last_time.or(self.last_time);
        self.unknown = self.unknown.saturating_add(next.unknown);
        self.unknown_type = self.unknown_type.or(next.unknown_type);
        self.left_folded = self.left_folded.saturating_add(next.left_folded);
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
    let mut walker = Walker::starting_at(source, Depth::Whole, from, basis.form);
    walker.stop_reading_ahead_at(to);
    let segment = match find_start(&mut walker, source, basis, from, to)? {
        Some(start) => run(walker, source, basis, start, to)?,
        None => Segment::starting_at(to, basis.form, basis.log),
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
    let mut walker = Walker::starting_at(source, Depth::Whole, from, basis.form);
    walker.stop_reading_ahead_at(to);
    let segment = run(walker, source, basis, from, to)?;
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
    let (offsets, is_relay) = (at..u64::MAX, basis.log.is_relay);
    bytes
        .windows(header::LENGTH)
        .zip(offsets)
        .filter(move |(window, offset)| is_relay || could_end_there(window, *offset, basis.shift))
        .filter_map(|(window, offset)| Some((offset, EventHeader::parse(window).ok()?)))
        .filter(|(_, header)| is_plausible(header) && header.length <= MAX_ANCHOR)
        .filter(move |(_, header)| !is_relay || basis.server_ids.contains(&header.server_id))
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
    if basis.form.checksum == ChecksumAlgorithm::Crc32 {
        let event = EventView {
            offset,
            header: *header,
            bytes: walker.peek(offset, length)?,
            checksum: basis.form.checksum,
        };
        return Ok(event.verify_checksum().is_ok());
    }
    let next = EventHeader::parse(walker.peek(end, header::LENGTH)?);
    Ok(next.is_ok_and(|next| {
        is_plausible(&next)
            && (basis.log.is_relay || shift_of(&next, end) == basis.shift)
            && basis.server_ids.contains(&next.server_id)
    }))
}

/// The low 32 bits, in which positions are written.
fn low_bits(offset: u64) -> u32 {
    u32::try_from(offset & u64::from(u32::MAX)).unwrap_or_default()
}

/// How far an event's end position is from its end, modulo 2^32.
fn shift_of(header: &EventHeader, offset: u64) -> u32 {
    header.end_position.wrapping_sub(low_bits(offset).wrapping_add(header.length))
}

fn run(
    mut walker: Walker<'_>,
    source: &dyn PlainSource,
    basis: &Basis,
    from: u64,
    to: u64,
) -> Result<Segment, Error> {
    let mut segment = Segment::starting_at(from, basis.form, basis.log);
    let mut unfolder = Unfolder::default();
    unfolder.limit = MAX_UNFOLDED;
    walker.seek(from);
    while walker.offset() < to && segment.stop.is_none() {
        let large = match walker.next_event() {
            Ok(Some(event)) => segment.add(&event, basis, &mut unfolder),
            Ok(None) => break,
            Err(Error::Walk { source, .. }) => {
                segment.stop = Some(source);
                None
            }
            Err(error) => return Err(error),
        };
        if let Some(large) = large {
            segment.check_large(&large, &mut walker, source, &mut unfolder)?;
        }
        segment.go_on(&mut walker, source, basis)?;
    }
    segment.form = walker.form();
    Ok(segment)
}

/// An event that has to be taken from the source.
#[derive(Debug, Clone, Copy)]
struct Large {
    offset: u64,
    event_type: u8,
    length: u32,
    has_checksum: bool,
    /// Of a compressed transaction: its fields, and where its bytes begin in the event.
    payload: Option<(Payload<'static>, usize)>,
}

impl Segment {
    /// Checks one event and takes what it tells.
    fn add(
        &mut self,
        event: &EventView<'_>,
        basis: &Basis,
        unfolder: &mut Unfolder,
    ) -> Option<Large> {
        let header = &event.header;
        let shift_before = self.positions.shift().unwrap_or(basis.shift);
        let wrong = self.what_is_wrong(event, basis);
        let start = TransactionStart::parse(event).filter(|_| wrong.is_none());
        // Of a whole event, by its checksum or its position, the type and the body may be rubbish.
        let strange = wrong
            .is_none()
            .then(|| self.what_is_strange(event, basis, unfolder))
            .flatten()
            .or(matches!(start, Some(Err(_))).then_some(DamageKind::Unreadable));
        if let Some(kind) = wrong.or(strange) {
            self.damage(event.offset, Some(header.event_type), kind);
            self.bad_events = self.bad_events.saturating_add(1);
            self.transactions.damaged();
            self.torn.break_off();
        } else {
            self.last_time = Some(header.timestamp).filter(|&time| time > 0).or(self.last_time);
            self.learn(event, start.and_then(Result::ok), basis);
        }
        self.events = self.events.saturating_add(1);
        self.end = event.end();
        if self.server_ids.len() < MAX_SERVER_IDS {
            self.server_ids.insert(header.server_id);
        }
        if wrong.is_some()
            && basis.log.has_sound_positions
            && shift_of(header, event.offset) != shift_before
        {
            // Neither the checksum nor the position speaks for this length.
            let (offset, length) = (event.offset, header.length);
            self.end = offset;
            self.stop = Some(WalkError::Lost { offset, length });
        }
        (!event.is_whole()).then(|| Large::new(event))
    }

    /// A length that nothing speaks for is right all the same where a sound event stands behind it.
    fn go_on(
        &mut self,
        walker: &mut Walker<'_>,
        source: &dyn PlainSource,
        basis: &Basis,
    ) -> Result<(), TransferError> {
        let Some(WalkError::Lost { offset, length }) = self.stop else { return Ok(()) };
        let next = offset.saturating_add(u64::from(length));
        let Ok(header) = EventHeader::parse(walker.peek(next, header::LENGTH)?) else {
            return Ok(());
        };
        let shift = self.positions.shift().unwrap_or(basis.shift);
        let is_in_place = is_plausible(&header) && shift_of(&header, next) == shift;
        if is_in_place && is_event(walker, source, basis, next, &header)? {
            self.stop = None;
            self.end = next;
        }
        Ok(())
    }

    fn what_is_wrong(&mut self, event: &EventView<'_>, basis: &Basis) -> Option<DamageKind> {
        let header = &event.header;
        let own_event =
            header.has(flag::ARTIFICIAL) || (basis.log.is_relay && header.has(flag::RELAY_LOG));
        let has_position = !own_event && header.end_position != 0;
        let shift = shift_of(header, event.offset);
        let is_proven = event.is_whole() && event.checksum_length() > 0;
        if is_proven {
            self.checksums = self.checksums.saturating_add(1);
            if let Err(mismatch) = event.verify_checksum() {
                return Some(DamageKind::Checksum(mismatch));
            }
        } else if !self.is_believable(event, basis, has_position.then_some(shift)) {
            return Some(DamageKind::Implausible {
                event_type: header.event_type,
                flags: header.flags,
            });
        }
        if has_position {
            let events_before = self.events;
            self.positions.add(shift, is_proven, || Damage {
                plain_offset: event.offset,
                file_offset: event.offset,
                events_before,
                event_type: Some(header.event_type),
                kind: DamageKind::Position {
                    found: header.end_position,
                    expected: header.end_position.wrapping_sub(shift),
                },
            });
        }
        None
    }

    /// Whether a header can be one, of an event without a checksum: by its type and its flags, and
    /// of a type that is not known here by its position, too.
    fn is_believable(&self, event: &EventView<'_>, basis: &Basis, shift: Option<u32>) -> bool {
        let header = &event.header;
        if is_plausible(header) {
            return true;
        }
        let expected = self.positions.shift().unwrap_or(basis.shift);
        has_plausible_flags(header)
            && TypeOfEvent::of(header, basis.log.event_types) == TypeOfEvent::Foreign
            && shift == Some(expected)
    }

    /// What cannot be of an event whose bytes are as they were written.
    fn what_is_strange(
        &mut self,
        event: &EventView<'_>,
        basis: &Basis,
        unfolder: &mut Unfolder,
    ) -> Option<DamageKind> {
        match TypeOfEvent::of(&event.header, basis.log.event_types) {
            TypeOfEvent::Known => {}
            TypeOfEvent::Foreign => {
                self.unknown = self.unknown.saturating_add(1);
                self.unknown_type.get_or_insert(event.header.event_type);
                return None;
            }
            TypeOfEvent::Impossible => return Some(DamageKind::ImpossibleType),
        }
        // Events of servers before checksums have parts less.
        if !event.is_whole() || event.checksum == ChecksumAlgorithm::Never {
            return None;
        }
        // GTID events are read once, where they are learnt from.
        let is_gtid = event_type::begins_transaction(event.header.event_type);
        if !is_gtid && !is_readable(event) {
            return Some(DamageKind::Unreadable);
        }
        if event.header.event_type == event_type::TRANSACTION_PAYLOAD {
            let payload = Payload::parse(event.body()).ok()?;
            return self.unfold(&payload, unfolder, payload.data);
        }
        None
    }

    /// Whether a compressed transaction can be unfolded, as far as it may.
    fn unfold(
        &mut self,
        payload: &Payload<'_>,
        unfolder: &mut Unfolder,
        data: impl BufRead,
    ) -> Option<DamageKind> {
        match unfold(payload, unfolder, data) {
            Unfolded::Whole => None,
            Unfolded::Broken => Some(DamageKind::Unreadable),
            Unfolded::TooMuch => {
                self.left_folded = self.left_folded.saturating_add(1);
                None
            }
        }
    }

    fn check_large(
        &mut self,
        large: &Large,
        walker: &mut Walker<'_>,
        source: &dyn PlainSource,
        unfolder: &mut Unfolder,
    ) -> Result<(), Error> {
        let mut kind = None;
        if large.has_checksum {
            self.checksums = self.checksums.saturating_add(1);
            let checked = walker.verify_large(large.offset, large.length)?;
            kind = checked.err().map(DamageKind::Checksum);
        }
        if let (None, Some((payload, head))) = (kind, &large.payload) {
            let head = u64::try_from(*head).unwrap_or(0);
            let (start, length) = (large.offset.saturating_add(head), u64::from(large.length));
            let part = PartReader::new(source, start, large.offset.saturating_add(length));
            kind = self.unfold(payload, unfolder, BufReader::with_capacity(CHUNK, part));
        }
        if let Some(kind) = kind {
            self.bad_events = self.bad_events.saturating_add(1);
            self.damage_count = self.damage_count.saturating_add(1);
            self.transactions.damaged();
            self.torn.break_off();
            self.keep(Damage {
                plain_offset: large.offset,
                file_offset: large.offset,
                // It has been counted itself.
                events_before: self.events.saturating_sub(1),
                event_type: Some(large.event_type),
                kind,
            });
        }
        Ok(())
    }

    fn learn(&mut self, event: &EventView<'_>, start: Option<TransactionStart>, basis: &Basis) {
        let (header, events_before) = (&event.header, self.events);
        self.torn.add(event, self.transactions.progress, &basis.log);
        self.transactions.add(event, || Damage {
            plain_offset: event.offset,
            file_offset: event.offset,
            events_before,
            event_type: Some(header.event_type),
            kind: DamageKind::NoGtid,
        });
        let artificial = header.has(flag::ARTIFICIAL);
        self.ends_properly =
            matches!(header.event_type, event_type::ROTATE | event_type::STOP) && !artificial;
        if header.event_type == event_type::ROTATE && !artificial && is_own(header, basis) {
            let rotate = Rotate::parse(event.body()).ok();
            let name = rotate.map(|r| String::from_utf8_lossy(r.next_log).into_owned());
            self.next_log = name.or_else(|| self.next_log.take());
        }
        if basis.log.wants_gtids {
            self.gtids.learn(event, start);
        }
    }
}

/// Whether an event is about the log in which it stands: a relay log has those about its source's
/// logs, too.
const fn is_own(header: &EventHeader, basis: &Basis) -> bool {
    !basis.log.is_relay || header.has(flag::RELAY_LOG) || header.server_id == basis.log.server_id
}

impl Large {
    fn new(event: &EventView<'_>) -> Self {
        let is_payload = event.header.event_type == event_type::TRANSACTION_PAYLOAD;
        let payload = is_payload.then(|| Payload::parse(event.body()).ok()).flatten();
        Self {
            offset: event.offset,
            event_type: event.header.event_type,
            length: event.header.length,
            has_checksum: event.checksum == ChecksumAlgorithm::Crc32,
            payload: payload.map(|payload| {
                let head = usize::from(event.header.header_length);
                let head = head.saturating_add(payload.data_offset);
                (Payload { data: &[], ..payload }, head)
            }),
        }
    }
}
