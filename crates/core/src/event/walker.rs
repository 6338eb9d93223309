//! From one event to the next, over bytes in memory.

use super::checksum::{self, ChecksumAlgorithm, ChecksumMismatch};
use super::event_type;
use super::format_description::FormatDescription;
use super::header::{self, EventHeader};
use crate::bytes::OutOfBytes;

/// One event, as a view of the bytes that hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventView<'a> {
    /// Where it starts in the plaintext of its log. 64 bits, whatever the header's position wrapped
    /// to.
    pub offset: u64,
    /// Its common header.
    pub header: EventHeader,
    /// Its bytes, header and checksum included. Fewer than the header's length says where a reader
    /// gave the beginning of a large event alone.
    pub bytes: &'a [u8],
    /// The checksums of its log at this place.
    pub checksum: ChecksumAlgorithm,
}

impl<'a> EventView<'a> {
    /// Whether [`EventView::bytes`] is the whole event.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        u32::try_from(self.bytes.len()) == Ok(self.header.length)
    }

    /// What stands between header and checksum.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        let bytes = if self.is_whole() {
            let length = self.bytes.len().saturating_sub(self.checksum_length());
            self.bytes.get(..length).unwrap_or_default()
        } else {
            self.bytes
        };
        let header_length = usize::from(self.header.header_length);
        bytes.get(header_length..).unwrap_or_default()
    }

    /// Bytes that the checksum takes at the event's end.
    #[must_use]
    pub const fn checksum_length(&self) -> usize {
        checksum_length(self.header.event_type, self.checksum)
    }

    /// Checks the event's CRC-32, if it has one.
    ///
    /// # Errors
    /// [`ChecksumMismatch`]. An event that is not whole mismatches.
    pub fn verify_checksum(&self) -> Result<(), ChecksumMismatch> {
        if self.checksum_length() == 0 {
            return Ok(());
        }
        let is_description = self.header.event_type == event_type::FORMAT_DESCRIPTION;
        checksum::verify(self.bytes, is_description)
    }

    /// Where the event ends in the plaintext of its log.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(u64::from(self.header.length))
    }
}

/// Bytes that a checksum takes. A format description event always has one, unless its server does
/// not know of checksums at all.
#[must_use]
pub const fn checksum_length(event_type: u8, algorithm: ChecksumAlgorithm) -> usize {
    match algorithm {
        ChecksumAlgorithm::Crc32 => checksum::LENGTH,
        ChecksumAlgorithm::Never => 0,
        _ if event_type == event_type::FORMAT_DESCRIPTION => checksum::LENGTH,
        _ => 0,
    }
}

/// Why there is no further event to be had. Offsets are those of the plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WalkError {
    /// Fewer bytes than a header takes.
    #[error("plain offset {offset}: the log ends {available} bytes into an event's header")]
    HeaderCut {
        /// Where the event starts.
        offset: u64,
        /// How many bytes there are.
        available: u64,
    },
    /// Fewer bytes than the event says it has.
    #[error(
        "plain offset {offset}: the log ends {available} bytes into an event of {length} bytes (type {event_type})"
    )]
    BodyCut {
        /// Where the event starts.
        offset: u64,
        /// Its length by its header.
        length: u32,
        /// How many bytes there are.
        available: u64,
        /// Its type by its header.
        event_type: u8,
        /// Whether length and end position agree, so that the length can be believed.
        consistent: bool,
    },
    /// A length that no event has: the walk cannot go on.
    #[error("plain offset {offset}: an event of {length} bytes cannot be, 19 are the least")]
    LengthTooSmall {
        /// Where the event starts.
        offset: u64,
        /// Its length by its header.
        length: u32,
    },
    /// Neither checksum nor position speak for an event's length: the walk cannot go on.
    #[error(
        "plain offset {offset}: no checksum and no position confirms that an event of {length} bytes is here; what follows it cannot be found by it"
    )]
    Lost {
        /// Where the event would start.
        offset: u64,
        /// Its length by its header.
        length: u32,
    },
    /// What the user names as the start of an event is none.
    #[error("plain offset {offset}: no event starts here")]
    NoEventHere {
        /// Where.
        offset: u64,
    },
}

impl WalkError {
    /// Where the event that cannot be read starts.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        match self {
            Self::HeaderCut { offset, .. }
            | Self::BodyCut { offset, .. }
            | Self::LengthTooSmall { offset, .. }
            | Self::Lost { offset, .. }
            | Self::NoEventHere { offset } => *offset,
        }
    }

    /// Whether this is how a log looks whose writer was stopped in the middle of an event.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        matches!(self, Self::HeaderCut { .. } | Self::BodyCut { consistent: true, .. })
    }
}

/// Checks that an event at `offset` lies within a log of `log_length` bytes. What it lets through
/// is at least a header long, so a walk always gets on.
///
/// # Errors
/// [`WalkError::BodyCut`] or [`WalkError::LengthTooSmall`].
pub fn check_extent(header: &EventHeader, offset: u64, log_length: u64) -> Result<u64, WalkError> {
    let length = header.length;
    if header.byte_length().is_none() {
        return Err(WalkError::LengthTooSmall { offset, length });
    }
    let available = log_length.saturating_sub(offset);
    if u64::from(length) > available {
        return Err(WalkError::BodyCut {
            offset,
            length,
            available,
            event_type: header.event_type,
            consistent: header.end_position == 0 || ends_where_it_says(header, offset),
        });
    }
    Ok(offset.saturating_add(u64::from(length)))
}

/// Whether the end position is that of an event at `offset`, modulo 2^32.
#[must_use]
pub fn ends_where_it_says(header: &EventHeader, offset: u64) -> bool {
    let end = offset.saturating_add(u64::from(header.length));
    u64::from(header.end_position) == end & u64::from(u32::MAX)
}

/// Whether a header's length (bytes 9 to 12) and end position (bytes 13 to 16), which are all of
/// `header` that is read, agree with an offset: the end position is offset plus length plus `shift`,
/// modulo 2^32.
///
/// `shift` is by how much the events behind stand elsewhere than they were written: with 100 bytes
/// missing before it, an event at offset 900 says that it ends at 1000 plus its length, and `shift` is
/// 100. This is asked of every byte of a damaged region, so it reads no more than it needs.
#[must_use]
pub fn could_end_there(header: &[u8], offset: u64, shift: u32) -> bool {
    let behind_server_id = header.split_first_chunk::<LENGTH_FIELD>();
    let Some((_, [l0, l1, l2, l3, e0, e1, e2, e3, ..])) = behind_server_id else {
        return false;
    };
    let length = u32::from_le_bytes([*l0, *l1, *l2, *l3]);
    let end = u32::from_le_bytes([*e0, *e1, *e2, *e3]);
    let low = u32::try_from(offset & u64::from(u32::MAX)).unwrap_or_default();
    end.wrapping_sub(length).wrapping_sub(shift) == low
}

/// Where a header has its event's length: behind the timestamp, the type and the server id.
const LENGTH_FIELD: usize = 9;

/// Whether bytes could be an event's header, whatever the position says: a type that some server
/// writes, flags that one sets, a length that can be.
#[must_use]
pub fn is_plausible(header: &EventHeader) -> bool {
    header.event_type != 0
        && event_type::known_name(header.event_type).is_some()
        && has_plausible_flags(header)
        && header.byte_length().is_some()
}

/// Whether all flags are such as servers set (server sources: `LOG_EVENT_*_F`): MySQL's lowest ten,
/// MariaDB's highest three.
#[must_use]
pub const fn has_plausible_flags(header: &EventHeader) -> bool {
    const KNOWN_FLAGS: u16 = 0xE3FF;
    header.flags & !KNOWN_FLAGS == 0
}

/// The events in bytes that start with one. Ends after the first error.
///
/// The bytes may be a whole log behind its magic, or the inside of a compressed transaction; a
/// format description event on the way changes the checksum algorithm for those after it.
///
/// ```
/// use binlogsec_core::event::checksum::ChecksumAlgorithm;
/// use binlogsec_core::event::walker::Events;
///
/// let stop = [0, 0, 0, 0, 3, 1, 0, 0, 0, 19, 0, 0, 0, 23, 0, 0, 0, 0, 0];
/// let events: Result<Vec<_>, _> = Events::new(&stop, 4, ChecksumAlgorithm::None).collect();
/// assert_eq!(events.unwrap()[0].header.event_type, 3);
/// ```
#[derive(Debug, Clone)]
pub struct Events<'a> {
    rest: &'a [u8],
    offset: u64,
    form: EventForm,
}

/// What a format description event says of the events behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventForm {
    /// Their checksums.
    pub checksum: ChecksumAlgorithm,
    /// Bytes in their headers, see [`EventHeader::header_length`].
    pub header_length: u8,
}

impl EventForm {
    /// With these checksums, and headers as nearly all servers write them.
    #[must_use]
    pub const fn new(checksum: ChecksumAlgorithm) -> Self {
        Self { checksum, header_length: header::USUAL_LENGTH }
    }

    /// What holds behind a format description event; the same as before if it cannot be read.
    #[must_use]
    pub fn after(self, description: &[u8]) -> Self {
        FormatDescription::parse(description).map_or(self, |description| Self {
            checksum: description.checksum,
            header_length: description.header_length,
        })
    }

    /// The header of an event, by its first bytes. A format description event's own header never
    /// has more than those.
    ///
    /// # Errors
    /// [`OutOfBytes`].
    pub fn header(self, bytes: &[u8]) -> Result<EventHeader, OutOfBytes> {
        let header = EventHeader::parse(bytes)?;
        let header_length = match header.event_type {
            event_type::FORMAT_DESCRIPTION => header::USUAL_LENGTH,
            _ => self.header_length,
        };
        Ok(EventHeader { header_length, ..header })
    }
}

impl<'a> Events<'a> {
    /// The events of `bytes`, the first of which is at `offset` of its log.
    #[must_use]
    pub const fn new(bytes: &'a [u8], offset: u64, checksum: ChecksumAlgorithm) -> Self {
        Self::in_form(bytes, offset, EventForm::new(checksum))
    }

    /// The same with headers that may be longer than usual.
    #[must_use]
    pub const fn in_form(bytes: &'a [u8], offset: u64, form: EventForm) -> Self {
        Self { rest: bytes, offset, form }
    }

    /// Where the next event starts.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    fn step(&mut self) -> Result<EventView<'a>, WalkError> {
        let (offset, available) = (self.offset, count(self.rest));
        let header =
            self.form.header(self.rest).map_err(|_| WalkError::HeaderCut { offset, available })?;
        let end = check_extent(&header, offset, offset.saturating_add(available))?;
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        let (bytes, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        if header.event_type == event_type::FORMAT_DESCRIPTION {
            self.form = self.form.after(bytes);
        }
        self.rest = rest;
        self.offset = end;
        Ok(EventView { offset, header, bytes, checksum: self.form.checksum })
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Result<EventView<'a>, WalkError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.rest = &[];
        }
        Some(step)
    }
}

fn count(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(length: u32, end: u32) -> Vec<u8> {
        let mut bytes = vec![0; 19];
        bytes[4] = event_type::STOP;
        bytes[9..13].copy_from_slice(&length.to_le_bytes());
        bytes[13..17].copy_from_slice(&end.to_le_bytes());
        bytes
    }

    #[test]
    fn positions_wrap_and_offsets_do_not() {
        let offset = u64::from(u32::MAX) - 5;
        let bytes = event(19, 13);
        let view = Events::new(&bytes, offset, ChecksumAlgorithm::None).next().unwrap().unwrap();
        assert_eq!((view.offset, view.end()), (offset, (1 << 32) + 13));
        assert!(ends_where_it_says(&view.header, offset));
    }

    #[test]
    fn a_header_tells_whether_it_could_be_one() {
        let could = |bytes: &[u8], offset, shift| could_end_there(bytes, offset, shift);
        assert!(could(&event(19, 123), 104, 0));
        assert!(!could(&event(19, 123), 105, 0) && !could(&event(19, 123), 104, 1));
        assert!(could(&event(19, 123), 100, 4));
        assert!(could(&event(19, 13), (1 << 40) + (1 << 32) - 6, 0));
        let header = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = event(19, 23);
            change(&mut bytes);
            is_plausible(&EventHeader::parse(&bytes).unwrap())
        };
        assert!(header(&|_| {}));
        assert!(!header(&|bytes| bytes[4] = 0));
        assert!(!header(&|bytes| bytes[4] = 130));
        assert!(!header(&|bytes| bytes[18] = 0x10));
        assert!(header(&|bytes| bytes[18] = 0x20));
        assert!(!header(&|bytes| bytes[9] = 18));
    }

    #[test]
    fn a_walk_knows_where_it_is() {
        let bytes = [event(19, 23), event(30, 53)].concat();
        let mut events = Events::new(&bytes, 4, ChecksumAlgorithm::None);
        assert_eq!(events.offset(), 4);
        let mut view = events.next().unwrap().unwrap();
        assert!(view.is_whole());
        view.bytes = &view.bytes[..18];
        assert!(!view.is_whole());
        assert_eq!(events.offset(), 23);
        assert_eq!(events.next().unwrap().unwrap_err().offset(), 23);
    }

    #[test]
    fn a_cut_and_a_wrong_length_differ() {
        let cut = |bytes: &[u8]| {
            Events::new(bytes, 4, ChecksumAlgorithm::None).next().unwrap().unwrap_err()
        };
        assert!(cut(&event(100, 104)).is_cut());
        assert!(cut(&event(100, 104)[..10]).is_cut());
        assert!(!cut(&event(100, 90)).is_cut());
        assert!(matches!(cut(&event(18, 22)), WalkError::LengthTooSmall { length: 18, .. }));
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
            let most = bytes.len() / header::LENGTH + 1;
            prop_assert!(Events::new(&bytes, 0, ChecksumAlgorithm::Crc32).count() <= most);
        }
    }
}
