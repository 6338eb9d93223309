//! START_ENCRYPTION_EVENT: from here on the log is encrypted.

use super::SCHEME;
use super::error::MariadbError;
use crate::bytes::{Cursor, OutOfBytes};
use crate::event::checksum::{self, ChecksumAlgorithm};
use crate::event::header::{self, EventHeader, event_type, flag};

/// Length of the event without a checksum, in bytes.
pub const LENGTH: usize = 36;
/// How many events from the start of a log are looked at for this one. Servers put it second.
const EVENTS_LOOKED_AT: usize = 5;
/// Where the flags stand in the common header.
const FLAGS: usize = 17;

/// The event's own fields, confirmed on logs written by MariaDB 10.11.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartEncryption {
    /// The common header.
    pub header: EventHeader,
    /// Encryption scheme at offset 19; servers know 1 alone.
    pub scheme: u8,
    /// Key version at offset 20; with the file_key_management plugin always 1.
    pub key_version: u32,
    /// First 12 bytes of every event's IV; the last four are the event's offset in the file.
    pub nonce: [u8; 12],
}

impl StartEncryption {
    /// Reads the event at the start of `bytes`.
    ///
    /// # Errors
    /// [`OutOfBytes`] when the event is cut short.
    pub fn parse(bytes: &[u8]) -> Result<Self, OutOfBytes> {
        let header = EventHeader::parse(bytes)?;
        let mut cursor = Cursor::new(bytes);
        cursor.take(header::LENGTH)?;
        Ok(Self {
            header,
            scheme: cursor.u8()?,
            key_version: cursor.u32_le()?,
            nonce: cursor.array()?,
        })
    }

    /// Whether the rest of the log is encrypted. A server that sends a log in the clear leaves the
    /// event in place and flags it as ignorable.
    #[must_use]
    pub const fn is_in_force(&self) -> bool {
        !self.header.has(flag::IGNORABLE)
    }
}

/// What stands in clear before the first encrypted event, and how it reads in the plaintext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Where the event is that starts encryption.
    pub start_offset: u64,
    /// The first encrypted event, or the end of the file.
    pub first_event: u64,
    /// The event that starts encryption as the plaintext has it: flagged as ignorable, with the
    /// checksum of that. So the server itself writes it when it sends a log in the clear.
    neutralised: Vec<u8>,
}

impl Layout {
    /// Reads the beginning of a log, of which the event that starts encryption is a part.
    ///
    /// # Errors
    /// [`MariadbError::UnknownScheme`], [`MariadbError::StartDamaged`].
    pub fn parse(file_start: &[u8], checksums: ChecksumAlgorithm) -> Result<Self, MariadbError> {
        let (offset, event) = find(file_start).unwrap_or_default();
        let start_offset = u64::try_from(offset).unwrap_or(u64::MAX);
        let damaged = |reason: String| MariadbError::StartDamaged { offset: start_offset, reason };
        let start = StartEncryption::parse(event).map_err(|error| damaged(error.to_string()))?;
        let has_checksum = checksums == ChecksumAlgorithm::Crc32;
        let length = LENGTH.saturating_add(if has_checksum { checksum::LENGTH } else { 0 });
        if start.header.byte_length() != Some(length) {
            let found = start.header.length;
            return Err(damaged(format!("{found} bytes, {length} expected")));
        }
        let event =
            event.get(..length).ok_or_else(|| damaged("the log ends within it".to_owned()))?;
        if has_checksum {
            checksum::verify(event, false).map_err(|error| damaged(error.to_string()))?;
        }
        if start.scheme != SCHEME {
            return Err(MariadbError::UnknownScheme { offset: start_offset, scheme: start.scheme });
        }
        let flags = start.header.flags | flag::IGNORABLE;
        Ok(Self {
            start_offset,
            first_event: start_offset.saturating_add(u64::from(start.header.length)),
            neutralised: with_flags(event, flags, has_checksum),
        })
    }

    /// Of a log whose beginning is damaged: an event that is itself damaged stays as it is.
    #[must_use]
    pub fn of_damaged(start_offset: u64, event: &[u8], is_sound: bool) -> Self {
        let length = u64::try_from(event.len()).unwrap_or(u64::MAX);
        let neutralised = match EventHeader::parse(event) {
            Ok(header) if is_sound => {
                let flags = header.flags | flag::IGNORABLE;
                with_flags(event, flags, event.len() > LENGTH)
            }
            _ => event.to_vec(),
        };
        Self { start_offset, first_event: start_offset.saturating_add(length), neutralised }
    }

    /// Puts the event that starts encryption, as the plaintext has it, into a piece of plaintext
    /// from `offset` on.
    pub fn neutralise(&self, offset: u64, plain: &mut [u8]) {
        let distance = |from: u64, to: u64| usize::try_from(to.saturating_sub(from));
        let (Ok(skipped), Ok(at)) =
            (distance(self.start_offset, offset), distance(offset, self.start_offset))
        else {
            return;
        };
        let target = plain.iter_mut().skip(at);
        target
            .zip(self.neutralised.iter().skip(skipped))
            .for_each(|(target, byte)| *target = *byte);
    }
}

/// The event again with other flags, and the checksum that follows from them.
#[must_use]
pub fn with_flags(event: &[u8], flags: u16, has_checksum: bool) -> Vec<u8> {
    let mut event = event.to_vec();
    for (target, byte) in event.iter_mut().skip(FLAGS).zip(flags.to_le_bytes()) {
        *target = byte;
    }
    if has_checksum && let Some((summed, stored)) = event.split_last_chunk_mut::<4>() {
        *stored = crc32fast::hash(summed).to_le_bytes();
    }
    event
}

/// The event that starts encryption, to the end of the bytes, and its offset.
#[must_use]
pub fn find(file_start: &[u8]) -> Option<(usize, &[u8])> {
    let mut offset = crate::event::MAGIC.len();
    for _ in 0..EVENTS_LOOKED_AT {
        let event = file_start.get(offset..)?;
        let header = EventHeader::parse(event).ok()?;
        if header.event_type == event_type::MARIADB_START_ENCRYPTION {
            return Some((offset, event));
        }
        offset = offset.checked_add(header.byte_length()?)?;
    }
    None
}

// Header, scheme, key version, nonce.
const _: () = assert!(LENGTH == header::LENGTH + 1 + 4 + 12);
