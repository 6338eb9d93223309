//! The binary log event layer, on plaintext bytes.

pub mod checksum;
pub mod event_type;
pub mod format_description;
pub mod gtid;
pub mod gtid_set;
pub mod header;
pub mod payload;
pub mod query;
pub mod rotate;
pub mod rows;
pub mod serialization;
pub mod table_map;
pub mod transaction;
pub mod uuid;
pub mod walker;

/// The first four bytes of a plaintext log: `FE 62 69 6E` (server source: `BINLOG_MAGIC`).
pub const MAGIC: [u8; 4] = *b"\xFEbin";

/// How long [`MAGIC`] is, and so where the first event starts.
pub const FIRST_EVENT: u64 = MAGIC.len() as u64;
