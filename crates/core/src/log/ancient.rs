//! Logs of servers before MySQL 5.0: binary log versions 1 to 3. They begin with another event than a
//! format description event, and are told apart, not read.

use crate::bytes::Cursor;
use crate::event::header;

/// START_V3, the first event of such a log.
const START_V3: u8 = 1;
/// Version u16, server version in 50 bytes, creation time u32 (server source: `Start_log_event_v3`).
const BODY: usize = 2 + SERVER_VERSION_LENGTH + 4;
const SERVER_VERSION_LENGTH: usize = 50;
/// Headers of version 1, MySQL 3.23, have neither end position nor flags.
const FIRST_HEADER: usize = header::LENGTH - 6;
/// The last version without a format description event.
const LAST_VERSION: u16 = 3;

/// What such a log says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AncientLog {
    /// The binary log version: 1 of MySQL 3.23, 2 and 3 of MySQL 4.
    pub binlog_version: u16,
    /// The server that wrote the log; bytes that are not UTF-8 are replaced.
    pub server_version: String,
}

impl AncientLog {
    /// Reads the event behind a log's magic; `None` if it is another, or not all there.
    #[must_use]
    pub fn parse(events: &[u8]) -> Option<Self> {
        let length_field: [u8; 4] = events.get(9..13)?.try_into().ok()?;
        let length = usize::try_from(u32::from_le_bytes(length_field)).ok()?;
        let header_length = length.checked_sub(BODY)?;
        let is_start = events.get(4) == Some(&START_V3)
            && matches!(header_length, FIRST_HEADER | header::LENGTH);
        let mut cursor = Cursor::new(events.get(..length).filter(|_| is_start)?);
        cursor.take(header_length).ok()?;
        let binlog_version = cursor.u16_le().ok()?;
        let text = cursor.take(SERVER_VERSION_LENGTH).ok()?;
        let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
        (1..=LAST_VERSION).contains(&binlog_version).then(|| Self {
            binlog_version,
            server_version: String::from_utf8_lossy(text).into_owned(),
        })
    }
}
