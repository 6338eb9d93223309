//! START_ENCRYPTION_EVENT: from here on the log is encrypted.

use crate::bytes::{Cursor, OutOfBytes};
use crate::event::header::{EventHeader, flag};

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
        cursor.take(crate::event::header::LENGTH)?;
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
