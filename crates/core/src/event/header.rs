//! The common header that starts every event.

use crate::bytes::OutOfBytes;

/// Length of the common header in bytes.
pub const LENGTH: usize = 19;

pub use super::event_type;

/// Flag bits of the common header.
pub mod flag {
    /// The log has not been closed cleanly; on the format description event alone.
    pub const IN_USE: u16 = 0x0001;
    /// Made up by the server for the connection, not part of the source's log.
    pub const ARTIFICIAL: u16 = 0x0020;
    /// Written by a replica into its relay log.
    pub const RELAY_LOG: u16 = 0x0040;
    /// A reader that does not know the event may skip it.
    pub const IGNORABLE: u16 = 0x0080;
}

/// The common header. All integers are little-endian in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventHeader {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub timestamp: u32,
    /// What the event is, see [`event_type`].
    pub event_type: u8,
    /// The server that the event was first written by.
    pub server_id: u32,
    /// Bytes in the event: header, body and checksum.
    pub length: u32,
    /// Where the event ends in its log; wraps past 4 GiB, and in a relay log it is the source's.
    pub end_position: u32,
    /// See [`flag`].
    pub flags: u16,
    /// Bytes in this header: [`LENGTH`], or more in a log whose format description event says so, as
    /// those of patched servers of the 5.1 series do. What more there is stands behind the flags.
    pub header_length: u8,
}

/// [`LENGTH`] as a format description event says it.
pub const USUAL_LENGTH: u8 = 19;
const _: () = assert!(USUAL_LENGTH as usize == LENGTH);

impl EventHeader {
    /// Reads a header from the start of `bytes`.
    ///
    /// # Errors
    /// [`OutOfBytes`] when there are fewer than [`LENGTH`] bytes.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Self, OutOfBytes> {
        // One check for all of it: every walk reads the header of every event.
        let Some(head) = bytes.first_chunk::<LENGTH>() else {
            return Err(OutOfBytes { offset: 0, needed: LENGTH, available: bytes.len() });
        };
        let four = |at: usize| {
            let bytes = head.get(at..).and_then(<[u8]>::first_chunk);
            u32::from_le_bytes(bytes.copied().unwrap_or_default())
        };
        let [.., low, high] = *head;
        Ok(Self {
            timestamp: four(0),
            event_type: head[4],
            server_id: four(5),
            length: four(9),
            end_position: four(13),
            flags: u16::from_le_bytes([low, high]),
            header_length: USUAL_LENGTH,
        })
    }

    /// Whether every bit of `flags` is set.
    #[must_use]
    pub const fn has(&self, flags: u16) -> bool {
        self.flags & flags == flags
    }

    /// The length as a count of bytes in memory, if it can be one: at least a header long.
    #[must_use]
    pub fn byte_length(&self) -> Option<usize> {
        usize::try_from(self.length).ok().filter(|&length| length >= LENGTH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_header_of_a_real_event() {
        // The format description event of a MySQL 9.7 relay log.
        let bytes =
            [0x03, 0xcc, 0x00, 0x6b, 0x0f, 0x66, 0, 0, 0, 0x7b, 0, 0, 0, 0x7f, 0, 0, 0, 0x40, 0x00];
        let header = EventHeader::parse(&bytes).unwrap();
        assert_eq!(header.timestamp, 0x6b00_cc03);
        assert_eq!(header.event_type, event_type::FORMAT_DESCRIPTION);
        assert_eq!(header.server_id, 102);
        assert_eq!((header.length, header.end_position), (123, 127));
        assert!(header.has(flag::RELAY_LOG) && !header.has(flag::IN_USE));
        assert_eq!(
            EventHeader::parse(&bytes[..18]),
            Err(OutOfBytes { offset: 0, needed: 19, available: 18 })
        );
    }

    #[test]
    fn a_length_below_the_header_is_none() {
        let header = |length| EventHeader {
            timestamp: 0,
            event_type: 0,
            server_id: 0,
            length,
            end_position: 0,
            flags: 0,
            header_length: USUAL_LENGTH,
        };
        assert_eq!(header(18).byte_length(), None);
        assert_eq!(header(19).byte_length(), Some(19));
    }
}
