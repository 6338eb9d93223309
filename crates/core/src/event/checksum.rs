//! Event checksums: the zlib CRC-32 (IEEE), not CRC-32C.

use std::fmt;

use super::header::flag;

/// Length of a checksum in bytes.
pub const LENGTH: usize = 4;

/// Where the flags stand in the common header.
const FLAGS_OFFSET: usize = 17;

/// What a format description event says of the checksums in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChecksumAlgorithm {
    /// `binlog_checksum=NONE`: the format description event alone has one.
    None,
    /// The server is older than the feature: not even its format description event has one.
    Never,
    /// `binlog_checksum=CRC32`: four bytes, little-endian, at the end of each event.
    Crc32,
    /// A number that no known server writes.
    Unknown(u8),
}

impl ChecksumAlgorithm {
    /// From the byte in the format description event (server source: `enum_binlog_checksum_alg`).
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::None,
            1 => Self::Crc32,
            other => Self::Unknown(other),
        }
    }
}

impl fmt::Display for ChecksumAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None | Self::Never => f.write_str("NONE"),
            Self::Crc32 => f.write_str("CRC32"),
            Self::Unknown(number) => write!(f, "unknown ({number})"),
        }
    }
}

/// A checksum that is not that of its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("checksum {stored:08x} is stored, {computed:08x} is that of the bytes")]
pub struct ChecksumMismatch {
    /// As it stands in the event.
    pub stored: u32,
    /// As it should be.
    pub computed: u32,
}

/// Checks the CRC-32 at the end of an event.
///
/// The in-use bit of a format description event is left out of the sum: the server sets and clears
/// it in place without touching the checksum.
///
/// # Errors
/// [`ChecksumMismatch`]; an event shorter than a checksum mismatches too.
pub fn verify(event: &[u8], is_format_description: bool) -> Result<(), ChecksumMismatch> {
    let Some((summed, stored)) = event.split_last_chunk::<LENGTH>() else {
        return Err(ChecksumMismatch { stored: 0, computed: crc32fast::hash(event) });
    };
    let stored = u32::from_le_bytes(*stored);
    let computed =
        if is_format_description { hash_without_in_use(summed) } else { crc32fast::hash(summed) };
    if stored == computed { Ok(()) } else { Err(ChecksumMismatch { stored, computed }) }
}

fn hash_without_in_use(summed: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let [in_use_bits, _] = flag::IN_USE.to_le_bytes();
    match summed.split_at_checked(FLAGS_OFFSET) {
        Some((before, [flags, after @ ..])) => {
            hasher.update(before);
            hasher.update(&[flags & !in_use_bits]);
            hasher.update(after);
        }
        _ => hasher.update(summed),
    }
    hasher.finalize()
}
