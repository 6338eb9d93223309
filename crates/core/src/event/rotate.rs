//! ROTATE: which log comes next.

use crate::bytes::{Cursor, OutOfBytes};

/// The next log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotate<'a> {
    /// Where reading goes on in it; 4 as a rule.
    pub position: u64,
    /// Its name, without a directory.
    pub next_log: &'a [u8],
}

impl<'a> Rotate<'a> {
    /// Reads the event's body: position u64 little-endian, and the name up to the end (server
    /// source: `Rotate_event`).
    ///
    /// # Errors
    /// [`OutOfBytes`].
    pub fn parse(body: &'a [u8]) -> Result<Self, OutOfBytes> {
        let mut cursor = Cursor::new(body);
        Ok(Self { position: cursor.u64_le()?, next_log: cursor.rest() })
    }
}
