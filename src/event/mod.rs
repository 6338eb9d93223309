//! The binary log event layer, on plaintext bytes.

pub mod checksum;
pub mod format_description;
pub mod header;

/// The first four bytes of a plaintext log: `FE 62 69 6E` (server source: `BINLOG_MAGIC`).
pub const MAGIC: [u8; 4] = *b"\xFEbin";

/// How long [`MAGIC`] is, and so where the first event starts.
pub const FIRST_EVENT: u64 = MAGIC.len() as u64;
