//! The binary log event layer, on plaintext bytes.

pub mod checksum;
pub mod column_type;
pub mod compressed;
mod early_rows;
pub mod event_type;
pub mod format_description;
pub mod gtid;
pub mod gtid_list;
pub mod gtid_selection;
pub mod gtid_set;
pub mod header;
pub mod payload;
pub mod query;
pub(crate) mod readable;
pub mod rotate;
pub mod rows;
pub(crate) mod serialization;
pub mod table_map;
pub(crate) mod transaction;
pub mod uuid;
pub mod variable;
pub mod walker;
pub mod xa;

/// The first four bytes of a plaintext log: `FE 62 69 6E` (server source: `BINLOG_MAGIC`).
pub const MAGIC: [u8; 4] = *b"\xFEbin";

/// How long [`MAGIC`] is, and so where the first event starts.
pub const FIRST_EVENT: u64 = MAGIC.len() as u64;

/// Where the flags of the first event, which may say that the log is in use, are in a log.
pub const FIRST_FLAGS: usize = MAGIC.len() + header::LENGTH - 2;

/// Events for tests.
#[cfg(test)]
pub(crate) mod sample {
    use super::checksum::ChecksumAlgorithm;
    use super::header::{EventHeader, LENGTH};
    use super::walker::EventView;

    /// The bytes of an event of this type without a checksum.
    pub(crate) fn event(event_type: u8, body: &[u8]) -> Vec<u8> {
        let length = u8::try_from(LENGTH + body.len()).unwrap();
        let mut bytes = vec![0, 0, 0, 0, event_type, 3, 0, 0, 0, length];
        bytes.resize(LENGTH, 0);
        bytes.extend(body);
        bytes
    }

    /// That event as the first one of a log.
    pub(crate) fn view(bytes: &[u8]) -> EventView<'_> {
        EventView {
            offset: super::FIRST_EVENT,
            header: EventHeader::parse(bytes).unwrap(),
            bytes,
            checksum: ChecksumAlgorithm::None,
        }
    }
}
