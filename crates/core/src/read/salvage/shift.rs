//! Bytes that are missing or were put in, in an encrypted log: from there on file and key stream do
//! not fit, and the alignment under which they do has to be found.

use super::events::could_be;
use super::judge::{Evidence, is_without_position};
use super::scan::{Place, Scanner};
use crate::event::checksum::ChecksumAlgorithm;
use crate::event::header::{self, EventHeader, flag};
use crate::file::TransferError;

/// Blocks that files lose whole.
pub(super) const BLOCK: u64 = 512;

/// How far a search goes before the next one goes further. Most damage is small, and so is then what
/// it costs to find out.
#[derive(Debug)]
pub(super) struct Round {
    /// So far behind the damage the alignment is tried that was right before.
    pub(super) near: u64,
    /// So far file and stream may have moved against each other, if that is allowed at all.
    reach: u64,
    /// Where behind the damage any alignment is looked for, and in how many pieces of which length.
    joined_from: u64,
    joined: u64,
    pieces: u64,
    /// How many places, of which nearly all are events, are tried under all alignments.
    places: usize,
}

pub(super) const ROUNDS: [Round; 3] = [
    Round {
        near: 16 << 10,
        reach: 8 << 10,
        joined_from: 0,
        joined: 16 << 10,
        pieces: 1,
        places: 4,
    },
    Round {
        near: 1 << 20,
        reach: u64::MAX,
        joined_from: 0,
        joined: 64 << 10,
        pieces: 1,
        places: 64,
    },
    Round {
        near: 16 << 20,
        reach: u64::MAX,
        joined_from: 64 << 10,
        joined: 1 << 20,
        pieces: 16,
        places: 0,
    },
];
/// Key stream that is made at a time.
const STREAM_PIECE: usize = 64 << 10;
/// Larger events are not believed to be one under another alignment unless something confirms it.
pub(super) const MAX_UNCONFIRMED: u32 = 1 << 20;

/// Flags of the events with which logs begin: in use, of a relay log, artificial, ignorable.
const FIRST_FLAGS: &[u16] = &[
    0,
    flag::IN_USE,
    flag::RELAY_LOG,
    flag::RELAY_LOG | flag::IN_USE,
    flag::ARTIFICIAL,
    flag::IGNORABLE,
];

/// Bytes of a header that are known whatever the event: its fields are found by them under all
/// alignments at once.
#[derive(Debug, Clone, Copy)]
enum Known {
    /// Of a length below 64 KiB the upper half, which is zero, and these flags.
    Flags(u16),
    /// The id of a server that wrote other events.
    Server(u32),
}

impl Known {
    /// What of a header the known bytes are compared with.
    const fn word(self, header: &[u8; header::LENGTH]) -> u32 {
        let [_, _, _, _, _, a, b, c, d, _, _, e, f, _, _, _, _, g, h] = *header;
        match self {
            Self::Flags(_) => u32::from_le_bytes([e, f, g, h]),
            Self::Server(_) => u32::from_le_bytes([a, b, c, d]),
        }
    }

    const fn value(self) -> u32 {
        match self {
            Self::Flags(flags) => {
                let [low, high] = flags.to_le_bytes();
                u32::from_le_bytes([0, 0, low, high])
            }
            Self::Server(id) => id,
        }
    }
}

impl Scanner<'_> {
    /// The first whole event behind a damage under another alignment: at the very place where none
    /// is under this one, where bytes are missing between two events. Each round looks further.
    pub(super) fn find_shifted(
        &mut self,
        place: Place,
        round: &Round,
    ) -> Result<Option<Place>, TransferError> {
        let reach = self.reach().min(round.reach);
        let found = if self.body.events.is_some() {
            self.find_moved(place, round.places, reach)?
        } else if self.body.stream.is_some() {
            let is_first = round.joined_from == 0;
            let predicted = if is_first { self.find_predicted(place, reach)? } else { None };
            match predicted {
                Some(found) => Some(found),
                None => self.find_joined(place, round, reach)?,
            }
        } else {
            None
        };
        let Some((found, shift)) = found else {
            return Ok(None);
        };
        // There may be others before it, now that the alignment is known.
        let first = self.find(place.0, (found, shift), None)?;
        Ok(Some((first.unwrap_or(found), shift)))
    }

    /// Whether the header at a place says that it was written there.
    pub(super) fn is_confirmed(&self, header: &EventHeader, place: Place) -> bool {
        self.judge.evidence(header, self.plain_offset(place)) == Evidence::Position
            && !is_without_position(header)
    }

    /// Whether file and stream may have moved so far against each other.
    pub(super) fn is_allowed(&self, distance: i64) -> bool {
        let distance = distance.unsigned_abs();
        distance != 0
            && (distance <= self.max_shift
                || (distance.is_multiple_of(BLOCK) && distance <= self.reach()))
    }

    pub(super) const fn reach(&self) -> u64 {
        self.max_shift.saturating_mul(10)
    }

    /// The damaged event's own header tells where the next one was written. Under the alignment
    /// that is looked for it stands as many bytes nearer, or further away, as are missing or were
    /// put in; so its header is deciphered at each of these places.
    fn find_predicted(
        &mut self,
        (at, shift): Place,
        reach: u64,
    ) -> Result<Option<Place>, TransferError> {
        let Some(stream) = &self.body.stream else {
            return Ok(None);
        };
        let Ok(header) = EventHeader::parse(self.peek_small((at, shift))?.as_slice()) else {
            return Ok(None);
        };
        if header.byte_length().is_none() {
            return Ok(None);
        }
        let length = self.file_end();
        let expected = at.saturating_add(u64::from(header.length));
        let next_plain = self.plain_offset((expected, shift));
        let from = expected.saturating_sub(reach).max(at);
        let to = expected.saturating_add(reach).min(length);
        let mut key = [0; header::LENGTH];
        stream.apply(next_plain, &mut key);
        let wanted = usize::try_from(to.saturating_sub(from)).unwrap_or_default();
        let mut stored = vec![0; wanted];
        let read = self.body.source.read_at(from, &mut stored)?;
        stored.truncate(read);
        let mut places: Vec<(u64, i64)> = (from..length)
            .zip(stored.windows(header::LENGTH))
            .filter_map(|(offset, bytes)| {
                let head = deciphered(bytes.first_chunk()?, &key);
                let left = length.saturating_sub(offset);
                if !self.could_be_here(&head, next_plain, left) {
                    return None;
                }
                let distance = i64::try_from(i128::from(expected).saturating_sub(offset.into()));
                let distance = distance.ok().filter(|distance| self.is_allowed(*distance))?;
                Some((offset, distance))
            })
            .collect();
        let tried = u64::try_from(stored.len()).unwrap_or_default();
        self.shifts_tried = self.shifts_tried.saturating_add(tried);
        places.sort_by_key(|(_, distance)| distance.unsigned_abs());
        for (offset, distance) in places {
            let place = (offset, shift.saturating_add(distance));
            if self.is_event_here(place)? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// The header at a place, whatever is held.
    pub(super) fn peek_small(&self, (at, shift): Place) -> Result<Vec<u8>, TransferError> {
        let mut bytes = vec![0; header::LENGTH];
        let read = self.body.read(at, shift, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Whether bytes may be a header, so that its checksum is worth a look.
    fn could_be_here(&self, head: &[u8; header::LENGTH], plain_offset: u64, left: u64) -> bool {
        // Nearly all are none, and their length or their position says so.
        if !could_be(head, left) {
            return false;
        }
        let Ok(header) = EventHeader::parse(head) else {
            return false;
        };
        let evidence = if header.length <= MAX_UNCONFIRMED {
            self.judge.evidence(&header, plain_offset)
        } else {
            self.judge.position(&header, plain_offset)
        };
        let is_confirmed = evidence == Evidence::Position && !is_without_position(&header);
        is_confirmed
            || (header.length <= MAX_UNCONFIRMED
                && self.checksum == ChecksumAlgorithm::Crc32
                && self.judge.likeness(&header) >= Evidence::Likely)
    }

    /// Any event behind the damage gives the alignment away. In a header some bytes are known, and
    /// known bytes and what stands in the file give the key stream there: so the words that the
    /// file would need are looked up among those that the stream has, for all alignments at once.
    fn find_joined(
        &mut self,
        (at, shift): Place,
        round: &Round,
        reach: u64,
    ) -> Result<Option<Place>, TransferError> {
        let end = self.file_end();
        let mut from = at.saturating_add(round.joined_from);
        for _ in 0..round.pieces {
            if from >= end || reach == 0 {
                break;
            }
            let to = from.saturating_add(round.joined).min(end);
            let joined = Joined { from, to, shift, reach, known: None };
            if let Some(found) = self.join(&joined)? {
                return Ok(Some(found));
            }
            from = to;
        }
        Ok(None)
    }

    pub(super) fn join(&mut self, joined: &Joined) -> Result<Option<Place>, TransferError> {
        let &Joined { from, to, shift, reach, .. } = joined;
        let length = usize::try_from(to.saturating_sub(from)).unwrap_or_default();
        let mut stored = vec![0; length.saturating_add(header::LENGTH)];
        let read = self.body.source.read_at(from, &mut stored)?;
        stored.truncate(read);
        let servers: Vec<u32> = self.judge.server_ids().take(8).collect();
        // Nearly all events have none. Before any event is known, those with which logs begin count.
        let flags = if servers.is_empty() { FIRST_FLAGS } else { &[0] };
        let flags = flags.iter().copied().map(Known::Flags);
        let servers = servers.into_iter().map(Known::Server);
        let words: Vec<Words> =
            flags.chain(servers).map(|known| Words::new(&stored, known)).collect();
        let mut places = self.matches(&words, &stored, joined);
        self.shifts_tried = self.shifts_tried.saturating_add(reach.saturating_mul(2));
        places.sort_unstable();
        for (offset, distance) in places {
            let place = (offset, shift.saturating_add(distance));
            if self.is_event_here(place)? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Goes over the key stream of all places at which the stored bytes may have been written.
    fn matches(&self, words: &[Words], stored: &[u8], joined: &Joined) -> Vec<(u64, i64)> {
        let &Joined { from, shift, reach, .. } = joined;
        let Some(stream) = &self.body.stream else {
            return Vec::new();
        };
        let end = joined.known.map_or(self.file_end(), |(known, _)| known);
        let length = u64::try_from(stored.len()).unwrap_or_default();
        let here = self.plain_offset((from, shift));
        let mut plain = here.saturating_sub(reach);
        let last = here.saturating_add(length).saturating_add(reach);
        let mut found = Vec::new();
        let piece = usize::try_from(last.saturating_sub(plain)).unwrap_or(STREAM_PIECE);
        let mut key = vec![0; piece.min(STREAM_PIECE).saturating_add(header::LENGTH)];
        let mut look_at = |place: u64, key: &[u8; header::LENGTH], within: usize| {
            let offset = from.saturating_add(u64::try_from(within).unwrap_or(u64::MAX));
            let standing = self.plain_offset((offset, shift));
            let distance = i128::from(place).saturating_sub(standing.into());
            let distance = i64::try_from(distance).ok().filter(|by| match joined.known {
                Some(known) => self.is_allowed_between(shift.saturating_add(*by), shift, known.1),
                None => self.is_allowed(*by),
            });
            let bytes = stored.get(within..).and_then(<[u8]>::first_chunk);
            let (Some(distance), Some(bytes)) = (distance, bytes) else {
                return;
            };
            let left = end.saturating_sub(offset);
            let head = deciphered(bytes, key);
            let is_meant = joined.known.is_none()
                || EventHeader::parse(&head).is_ok_and(|header| {
                    self.is_confirmed(&header, (offset, shift.saturating_add(distance)))
                });
            if is_meant && self.could_be_here(&head, place, left) {
                found.push((offset, distance));
            }
        };
        while plain < last {
            key.fill(0);
            stream.apply(plain, &mut key);
            let places = (plain..last).zip(key.windows(header::LENGTH).take(STREAM_PIECE));
            for (place, key) in places {
                let Some(key) = key.first_chunk() else {
                    continue;
                };
                for words in words {
                    words.each(stored, key, |within| look_at(place, key, within));
                }
            }
            plain = plain.saturating_add(STREAM_PIECE as u64);
        }
        found
    }
}

/// A part of the file in which an event is looked for under any alignment.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) from: u64,
    pub(super) to: u64,
    /// The alignment before it, and how far from that others are tried.
    pub(super) shift: i64,
    pub(super) reach: u64,
    /// A whole event behind it: the one that is looked for ends before it, and says by its position that it
    /// was written where the alignment has it.
    pub(super) known: Option<Place>,
}

/// What stands in the file, with the key stream.
fn deciphered(stored: &[u8; header::LENGTH], key: &[u8; header::LENGTH]) -> [u8; header::LENGTH] {
    let mut head = *stored;
    head.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
    head
}

/// The words of the key stream that stored bytes would need to be headers with certain known bytes.
#[derive(Debug)]
struct Words {
    known: Known,
    /// Which values of a hash there are, so that most words of a stream cost one look at few bytes.
    filter: Vec<u64>,
    bits: u32,
    /// By the filter's hash, coarser: the first place that has one, and for each place the next.
    first: Vec<u32>,
    next: Vec<u32>,
}

/// No further place.
const NOWHERE: u32 = u32::MAX;

impl Words {
    fn new(stored: &[u8], known: Known) -> Self {
        // Four to eight bits of the filter for each place.
        let bits = stored.len().max(64).ilog2().saturating_add(3);
        let mut words = Self {
            known,
            filter: vec![0; 1 << bits.saturating_sub(6)],
            bits,
            first: vec![NOWHERE; 1 << bits.saturating_sub(3)],
            next: vec![NOWHERE; stored.len()],
        };
        for (within, bytes) in (0_u32..).zip(stored.windows(header::LENGTH)) {
            let Some(word) = words.needed(bytes) else {
                continue;
            };
            let hash = words.hash(word);
            let slots = words.filter.get_mut(hash >> 6).zip(words.first.get_mut(hash >> 3));
            let next = words.next.get_mut(usize::try_from(within).unwrap_or(usize::MAX));
            if let (Some((filter, first)), Some(next)) = (slots, next) {
                *filter |= 1 << (hash & 63);
                *next = std::mem::replace(first, within);
            }
        }
        words
    }

    fn needed(&self, stored: &[u8]) -> Option<u32> {
        Some(self.known.word(stored.first_chunk()?) ^ self.known.value())
    }

    fn hash(&self, word: u32) -> usize {
        let hash = word.wrapping_mul(0x9E37_79B1) >> 32_u32.saturating_sub(self.bits);
        usize::try_from(hash).unwrap_or_default()
    }

    /// Calls back with each place in the stored bytes that needs what a piece of the stream has.
    #[inline]
    fn each(&self, stored: &[u8], key: &[u8; header::LENGTH], mut found: impl FnMut(usize)) {
        let word = self.known.word(key);
        let hash = self.hash(word);
        if self.filter.get(hash >> 6).is_none_or(|filter| filter & (1 << (hash & 63)) == 0) {
            return;
        }
        let mut place = self.first.get(hash >> 3).copied().unwrap_or(NOWHERE);
        while place != NOWHERE {
            let within = usize::try_from(place).unwrap_or(usize::MAX);
            let bytes = stored.get(within..).unwrap_or_default();
            if self.needed(bytes) == Some(word) {
                found(within);
            }
            place = self.next.get(within).copied().unwrap_or(NOWHERE);
        }
    }
}
