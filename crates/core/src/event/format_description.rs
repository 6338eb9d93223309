//! The format description event: the first event of every log of binary log version 4.

use super::checksum::{self, ChecksumAlgorithm, ChecksumMismatch};
use super::header::{self, EventHeader, event_type, flag};
use crate::bytes::{Cursor, OutOfBytes};

/// The binary log version since MySQL 5.0.
const BINLOG_VERSION: u16 = 4;
/// Bytes given to the server version, zero-filled.
const SERVER_VERSION_LENGTH: usize = 50;
/// Common header, version, server version, creation time, header length; no post-header lengths.
const MIN_LENGTH: usize = header::LENGTH + 2 + SERVER_VERSION_LENGTH + 4 + 1;
/// The longest there can be: with a post-header length for each of 255 types, the checksum algorithm
/// and the checksum.
pub const MAX_LENGTH: usize = MIN_LENGTH + 255 + 1 + checksum::LENGTH;
/// MySQL numbers its events below this; a server with more post-header lengths is a MariaDB.
const FIRST_MARIADB_TYPE: usize = 160;
/// The last servers without checksums know 27 types, the first ones with them 35. A tail longer
/// than this has the checksum fields whatever the version, which may be damaged, says.
const OLD_MOST_TYPES: usize = 32;

/// Google's patched servers of the 5.1 series, which have no checksum fields, write headers of 23, 27
/// or 31 bytes: four for a checksum of their own, eight for the number of a transaction.
const LONGEST_HEADER: u8 = 64;

/// Why bytes are no format description event. Offsets count from the start of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatDescriptionError {
    /// What is there fits, but the log ends within the event.
    #[error("the log ends within the format description event: {0}")]
    Truncated(#[from] OutOfBytes),
    /// The first event is something else.
    #[error("the first event has type {found}, 15 (format description) was expected")]
    WrongType {
        /// The type byte at offset 4.
        found: u8,
    },
    /// The length cannot be that of a format description event.
    #[error("a format description event of {found} bytes cannot be")]
    WrongLength {
        /// The length at offset 9.
        found: u32,
    },
    /// Another binary log version.
    #[error("binary log version {found}, {BINLOG_VERSION} was expected")]
    WrongVersion {
        /// The version at offset 19.
        found: u16,
    },
    /// Common headers of another length than the event's server writes.
    #[error("common headers of {found} bytes, 19 were expected")]
    WrongHeaderLength {
        /// The header length at offset 75.
        found: u8,
    },
}

/// What the format description event says of its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatDescription {
    /// The common header.
    pub header: EventHeader,
    /// Version of the server that wrote the log, up to its first zero byte; bytes that are not
    /// UTF-8 are replaced.
    pub server_version: String,
    /// When the server that wrote the log was started, in seconds since 1970 UTC; 0 in a log that
    /// is not the first since then.
    pub created: u32,
    /// How many event types the server knows.
    pub event_types: usize,
    /// Bytes in the headers of the events behind this one.
    pub header_length: u8,
    /// The checksums in this log.
    pub checksum: ChecksumAlgorithm,
    /// Whether the event's own checksum, if it has one, is right.
    pub own_checksum: Result<(), ChecksumMismatch>,
}

impl FormatDescription {
    /// Reads the event at the start of `bytes`, which may go on after it.
    ///
    /// A wrong checksum is no error here but is kept in [`FormatDescription::own_checksum`]: a log
    /// with one bad bit can still be read.
    ///
    /// # Errors
    /// Whatever makes the bytes implausible, see [`FormatDescriptionError`]. `Truncated` only when
    /// all that is there fits.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatDescriptionError> {
        check_prefix(bytes)?;
        let header = EventHeader::parse(bytes)?;
        let length = plausible_length(header.length)?;
        let mut cursor = Cursor::new(bytes);
        let event = cursor.take(length)?;
        let mut cursor = Cursor::new(event);
        cursor.take(header::LENGTH)?;
        cursor.u16_le()?;
        let server_version = server_version(cursor.take(SERVER_VERSION_LENGTH)?);
        let created = cursor.u32_le()?;
        let header_length = cursor.u8()?;
        let has_checksum_field =
            cursor.remaining() > OLD_MOST_TYPES || knows_checksums(&server_version);
        if has_checksum_field && header_length != header::USUAL_LENGTH {
            let found = header_length;
            return Err(FormatDescriptionError::WrongHeaderLength { found });
        }
        let (event_types, checksum) = if has_checksum_field {
            tail_with_checksum(cursor.rest())
        } else {
            (cursor.remaining(), ChecksumAlgorithm::Never)
        };
        let own_checksum = if has_checksum_field { checksum::verify(event, true) } else { Ok(()) };
        Ok(Self {
            header,
            server_version,
            created,
            event_types,
            header_length,
            checksum,
            own_checksum,
        })
    }

    /// The numbers in the server's version: `9.7.4-2` gives 9, 7 and 4.
    #[must_use]
    pub fn version(&self) -> (u32, u32, u32) {
        version_numbers(&self.server_version)
    }

    /// Whether the server has not closed the log, or crashed before it could. Never set in relay
    /// logs.
    #[must_use]
    pub const fn in_use(&self) -> bool {
        self.header.has(flag::IN_USE)
    }

    /// Whether a replica wrote the log as its relay log.
    #[must_use]
    pub const fn is_relay_log(&self) -> bool {
        self.header.has(flag::RELAY_LOG)
    }

    /// Whether every event's end position can be expected to be where it ends. Servers before MySQL
    /// 5.1.18, and those of the 5.2 series that became 6.0, wrote positions within the cache of a
    /// transaction (seen on 5.1.15, 5.1.17 and 5.2.2).
    #[must_use]
    pub fn has_sound_positions(&self) -> bool {
        const LAST_WITHOUT: (u32, u32, u32) = (5, 1, 17);
        let version = self.version();
        let is_early = version <= LAST_WITHOUT || (version.0, version.1) == (5, 2);
        self.checksum != ChecksumAlgorithm::Never || self.is_mariadb() || !is_early
    }

    /// Whether a MariaDB server wrote the log: by its version, or by the number of event types.
    #[must_use]
    pub fn is_mariadb(&self) -> bool {
        self.event_types >= FIRST_MARIADB_TYPE || is_mariadb_version(&self.server_version)
    }
}

/// Whether bytes that may end anywhere can start a format description event.
fn check_prefix(bytes: &[u8]) -> Result<(), FormatDescriptionError> {
    if let Some(&found) = bytes.get(4)
        && found != event_type::FORMAT_DESCRIPTION
    {
        return Err(FormatDescriptionError::WrongType { found });
    }
    if let Ok(header) = EventHeader::parse(bytes) {
        plausible_length(header.length)?;
    }
    let mut cursor = Cursor::new(bytes);
    if cursor.take(header::LENGTH).is_ok()
        && let Ok(found) = cursor.u16_le()
        && found != BINLOG_VERSION
    {
        return Err(FormatDescriptionError::WrongVersion { found });
    }
    if let Some(&found) = bytes.get(MIN_LENGTH.saturating_sub(1))
        && !(header::USUAL_LENGTH..=LONGEST_HEADER).contains(&found)
    {
        return Err(FormatDescriptionError::WrongHeaderLength { found });
    }
    Ok(())
}

fn plausible_length(found: u32) -> Result<usize, FormatDescriptionError> {
    usize::try_from(found)
        .ok()
        .filter(|length| (MIN_LENGTH..=MAX_LENGTH).contains(length))
        .ok_or(FormatDescriptionError::WrongLength { found })
}

fn server_version(field: &[u8]) -> String {
    let text = field.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// Post-header lengths, then the algorithm byte, then the checksum that is always there.
fn tail_with_checksum(tail: &[u8]) -> (usize, ChecksumAlgorithm) {
    match tail.split_last_chunk::<{ checksum::LENGTH }>() {
        Some(([types @ .., algorithm], _)) => {
            (types.len(), ChecksumAlgorithm::from_byte(*algorithm))
        }
        _ => (tail.len(), ChecksumAlgorithm::None),
    }
}

/// Servers write the algorithm and the checksum since MySQL 5.6.1 and MariaDB 5.3.0 (server
/// source: `checksum_version_split`).
fn knows_checksums(server_version: &str) -> bool {
    let since = if is_mariadb_version(server_version) { (5, 3, 0) } else { (5, 6, 1) };
    version_numbers(server_version) >= since
}

fn is_mariadb_version(server_version: &str) -> bool {
    server_version.to_ascii_lowercase().contains("mariadb")
}

fn version_numbers(server_version: &str) -> (u32, u32, u32) {
    let mut numbers = server_version
        .split(|c: char| !c.is_ascii_digit())
        .map(|digits| digits.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A format description event of the given version and number of types, with its checksum.
    fn event(version: &str, types: usize, with_checksum: bool) -> Vec<u8> {
        let length = MIN_LENGTH + types + if with_checksum { 5 } else { 0 };
        let mut bytes = vec![1, 0, 0, 0, 15, 7, 0, 0, 0];
        bytes.extend(u32::try_from(length).unwrap().to_le_bytes());
        bytes.extend([0; 6]);
        bytes.extend(4_u16.to_le_bytes());
        let mut field = [0; SERVER_VERSION_LENGTH];
        field[..version.len()].copy_from_slice(version.as_bytes());
        bytes.extend(field);
        bytes.extend(99_u32.to_le_bytes());
        bytes.push(19);
        bytes.extend(vec![8; types]);
        if with_checksum {
            bytes.push(1);
            bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        }
        bytes
    }

    #[test]
    fn reads_every_field() {
        let bytes = event("9.7.4-2", 42, true);
        let description = FormatDescription::parse(&bytes).unwrap();
        assert_eq!(description.server_version, "9.7.4-2");
        assert_eq!((description.created, description.event_types), (99, 42));
        assert_eq!(description.header.server_id, 7);
        assert_eq!(description.checksum, ChecksumAlgorithm::Crc32);
        assert_eq!(description.own_checksum, Ok(()));
        assert!(!description.in_use() && !description.is_mariadb());
    }

    #[test]
    fn the_in_use_bit_is_outside_the_checksum_and_every_other_bit_within() {
        let good = event("9.7.4-2", 42, true);
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(description) = FormatDescription::parse(&bytes) else {
                continue;
            };
            let in_use_bit = bit == FLAGS_BIT;
            assert_eq!(description.own_checksum.is_ok(), in_use_bit, "bit {bit}");
            assert_eq!(description.in_use(), in_use_bit, "bit {bit}");
        }
    }
    const FLAGS_BIT: usize = 17 * 8;

    #[test]
    fn old_servers_have_no_checksum_field() {
        let description = FormatDescription::parse(&event("5.5.62-log", 27, false)).unwrap();
        assert_eq!(description.event_types, 27);
        assert_eq!(description.checksum, ChecksumAlgorithm::Never);
        // The most that can be types alone; one more, and the last five are no types.
        for (types, told) in [(OLD_MOST_TYPES, 32), (OLD_MOST_TYPES + 1, 28)] {
            let event = event("5.5.62-log", types, false);
            let description = FormatDescription::parse(&event).unwrap();
            assert_eq!(description.event_types, told);
        }
    }

    #[test]
    fn mariadb_is_told_by_version_or_by_types() {
        assert!(FormatDescription::parse(&event("5.5.68-MariaDB", 27, true)).unwrap().is_mariadb());
        assert!(FormatDescription::parse(&event("10.11.19", 171, true)).unwrap().is_mariadb());
    }

    #[test]
    fn every_cut_is_truncated_and_nothing_else() {
        let bytes = event("9.7.4-2", 42, true);
        for end in 0..bytes.len() {
            let error = FormatDescription::parse(&bytes[..end]).unwrap_err();
            assert!(matches!(error, FormatDescriptionError::Truncated(_)), "{end}: {error}");
        }
    }

    #[test]
    fn each_defect_has_its_name() {
        let with = |offset: usize, value: u8| {
            let mut bytes = event("9.7.4-2", 42, true);
            bytes[offset] = value;
            FormatDescription::parse(&bytes).unwrap_err()
        };
        assert_eq!(with(4, 1), FormatDescriptionError::WrongType { found: 1 });
        assert!(matches!(with(10, 1), FormatDescriptionError::WrongLength { found: 379 }));
        assert!(matches!(with(11, 1), FormatDescriptionError::WrongLength { .. }));
        assert_eq!(with(19, 3), FormatDescriptionError::WrongVersion { found: 3 });
        assert_eq!(with(75, 13), FormatDescriptionError::WrongHeaderLength { found: 13 });
    }
}
