//! The events that begin a transaction.

use std::fmt;

use super::event_type;
use super::gtid_set::{Gtid, GtidError, Tag, Tsid};
use super::serialization::{fixed_bytes, signed, string, unsigned};
use super::uuid::Uuid;
use super::walker::EventView;
use crate::bytes::{Cursor, OutOfBytes};

/// What begins a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionId {
    /// A GTID, with a tag or without.
    Gtid(Gtid),
    /// None: `gtid_mode=OFF`.
    Anonymous,
    /// MariaDB's: domain, server, sequence number.
    Mariadb {
        /// Replication domain.
        domain: u32,
        /// Server id.
        server_id: u32,
        /// Sequence number within the domain.
        sequence: u64,
    },
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gtid(gtid) => gtid.fmt(f),
            Self::Anonymous => f.write_str("anonymous"),
            Self::Mariadb { domain, server_id, sequence } => {
                write!(f, "{domain}-{server_id}-{sequence}")
            }
        }
    }
}

/// The beginning of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionStart {
    /// Its id.
    pub id: TransactionId,
    /// Bytes in the transaction, this event included, before any compression; `None` from servers
    /// older than 8.0.2 and from MariaDB.
    pub length: Option<u64>,
    /// When it was committed on this server, in microseconds since 1970 UTC; `None` as above.
    pub committed: Option<u64>,
    /// When it was committed where it was first, in microseconds since 1970 UTC: a replica keeps it, and
    /// so does a replay; `None` as above.
    pub committed_first: Option<u64>,
    /// Whether one event and no COMMIT is the whole transaction, where the event says so
    /// (MariaDB).
    pub standalone: bool,
}

impl TransactionStart {
    /// Reads a GTID event of any kind; `None` for other events.
    ///
    /// # Errors
    /// [`GtidError`].
    pub fn parse(event: &EventView<'_>) -> Option<Result<Self, GtidError>> {
        match event.header.event_type {
            event_type::GTID | event_type::ANONYMOUS_GTID => Some(untagged(event)),
            event_type::GTID_TAGGED => Some(tagged(event.body())),
            event_type::MARIADB_GTID => Some(mariadb(event).map_err(GtidError::from)),
            _ => None,
        }
    }
}

/// Flags u8, UUID, number i64; then, with type code 2, two logical clocks of 8 bytes; then times of
/// 7 bytes (the highest bit says that a second one follows), and the length (server source:
/// `Gtid_event`). All little-endian.
fn untagged(event: &EventView<'_>) -> Result<TransactionStart, GtidError> {
    const CLOCKS: u8 = 2;
    let mut cursor = Cursor::new(event.body());
    cursor.u8()?;
    let uuid = Uuid(cursor.array()?);
    let number = cursor.u64_le()?;
    let id = if event.header.event_type == event_type::ANONYMOUS_GTID {
        TransactionId::Anonymous
    } else {
        let tag = Tag::default();
        TransactionId::Gtid(Gtid { tsid: Tsid { uuid, tag }, number })
    };
    // What follows came with later versions.
    let mut tail = || {
        (cursor.u8()? == CLOCKS).then_some(()).ok_or(OutOfBytes {
            offset: cursor.position(),
            needed: 0,
            available: 0,
        })?;
        cursor.take(16)?;
        let committed = time(&mut cursor)?;
        Ok::<_, OutOfBytes>((committed, packed_length(&mut cursor)?))
    };
    let tail = tail().ok();
    Ok(TransactionStart {
        id,
        committed: tail.map(|(committed, _)| committed.0),
        committed_first: tail.map(|(committed, _)| committed.1),
        length: tail.map(|(_, length)| length),
        standalone: false,
    })
}

/// The time of the commit here, and the one on the server of origin, which stands behind it if it is
/// another.
fn time(cursor: &mut Cursor<'_>) -> Result<(u64, u64), OutOfBytes> {
    const ANOTHER_FOLLOWS: u64 = 1 << 55;
    let mut seven = || {
        let mut bytes = [0; 8];
        for (target, source) in bytes.iter_mut().zip(cursor.take(7)?) {
            *target = *source;
        }
        Ok(u64::from_le_bytes(bytes))
    };
    let value = seven()?;
    let here = value & !ANOTHER_FOLLOWS;
    let first = if value == here { here } else { seven()? };
    Ok((here, first))
}

/// An integer as in MySQL's protocol: one byte up to 250; 252, 253, 254 announce 2, 3, 8 bytes,
/// little-endian.
///
/// # Errors
/// [`OutOfBytes`].
pub fn packed_length(cursor: &mut Cursor<'_>) -> Result<u64, OutOfBytes> {
    let width = match cursor.u8()? {
        252 => 2,
        253 => 3,
        254 => 8,
        value => return Ok(u64::from(value)),
    };
    let bytes = cursor.take(width)?;
    Ok(bytes.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
}

/// Fields of a tagged GTID event (server source: `Gtid_event::define_fields`; confirmed on events
/// of MySQL 9.7).
mod field {
    pub(super) const FLAGS: u64 = 0;
    pub(super) const UUID: u64 = 1;
    pub(super) const NUMBER: u64 = 2;
    pub(super) const TAG: u64 = 3;
    pub(super) const LAST_COMMITTED: u64 = 4;
    pub(super) const SEQUENCE_NUMBER: u64 = 5;
    pub(super) const COMMITTED: u64 = 6;
    pub(super) const COMMITTED_ORIGINALLY: u64 = 7;
    pub(super) const LENGTH: u64 = 8;
}

fn tagged(body: &[u8]) -> Result<TransactionStart, GtidError> {
    let mut cursor = Cursor::new(body);
    let _version = unsigned(&mut cursor)?;
    let _message_length = unsigned(&mut cursor)?;
    let last_that_matters = unsigned(&mut cursor)?;
    let (mut uuid, mut number, mut tag) = (Uuid([0; 16]), 0, Tag::default());
    let (mut committed, mut committed_first, mut length) = (None, None, None);
    while cursor.remaining() > 0 {
        match unsigned(&mut cursor)? {
            field::FLAGS => drop(fixed_bytes::<1>(&mut cursor)?),
            field::UUID => uuid = Uuid(fixed_bytes(&mut cursor)?),
            field::NUMBER => number = signed(&mut cursor)?.cast_unsigned(),
            field::TAG => tag = Tag::new(string(&mut cursor)?)?,
            field::LAST_COMMITTED | field::SEQUENCE_NUMBER => drop(signed(&mut cursor)),
            field::COMMITTED => committed = Some(unsigned(&mut cursor)?),
            field::COMMITTED_ORIGINALLY => committed_first = Some(unsigned(&mut cursor)?),
            field::LENGTH => length = Some(unsigned(&mut cursor)?),
            // Fields of unknown type cannot be skipped. Servers number them upwards, so what is
            // wanted has been read by now, unless this one must be known.
            found if found <= last_that_matters => return Err(GtidError::UnknownField { found }),
            _ => break,
        }
    }
    let tsid = Tsid { uuid, tag };
    Ok(TransactionStart {
        id: TransactionId::Gtid(Gtid { tsid, number }),
        length,
        committed,
        committed_first: committed_first.or(committed),
        standalone: false,
    })
}

/// Sequence number u64, domain u32, flags u8 (MariaDB server source: `Gtid_log_event`).
fn mariadb(event: &EventView<'_>) -> Result<TransactionStart, OutOfBytes> {
    const STANDALONE: u8 = 1;
    let mut cursor = Cursor::new(event.body());
    let (sequence, domain) = (cursor.u64_le()?, cursor.u32_le()?);
    let flags = cursor.u8()?;
    Ok(TransactionStart {
        id: TransactionId::Mariadb { domain, server_id: event.header.server_id, sequence },
        length: None,
        committed: None,
        committed_first: None,
        standalone: flags & STANDALONE != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::sample;

    fn start(event_type: u8, body: &[u8]) -> TransactionStart {
        let bytes = sample::event(event_type, body);
        TransactionStart::parse(&sample::view(&bytes)).unwrap().unwrap()
    }

    /// Flags, UUID, number 9.
    fn head() -> Vec<u8> {
        [&[1][..], &[0xAB; 16], &[9, 0, 0, 0, 0, 0, 0, 0]].concat()
    }

    #[test]
    fn time_and_length_stand_behind_the_clocks() {
        const TIME: u64 = 0x7a_bbcc_dd01_0203;
        let mut time = TIME.to_le_bytes()[..7].to_vec();
        let length = [252, 0x22, 0x01];
        let clocks = [&[2][..], &[7; 16]].concat();
        let plain = [&head()[..], &clocks, &time, &length].concat();
        time[6] |= 0x80; // another time follows: that of the server of origin
        let other = [&head()[..], &clocks, &time, &[5; 7], &length].concat();
        for body in [plain, other] {
            for event_type in [event_type::GTID, event_type::ANONYMOUS_GTID] {
                let start = start(event_type, &body);
                assert_eq!((start.committed, start.length), (Some(TIME), Some(290)));
                let is_anonymous = matches!(start.id, TransactionId::Anonymous);
                assert_eq!(is_anonymous, event_type == event_type::ANONYMOUS_GTID);
                if let TransactionId::Gtid(gtid) = start.id {
                    assert_eq!((gtid.tsid.uuid, gtid.number), (Uuid([0xAB; 16]), 9));
                }
            }
        }
        // Older servers stop earlier, or have no clocks.
        for tail in [vec![], [&[1][..], &[7; 40]].concat()] {
            let start = start(event_type::GTID, &[head(), tail].concat());
            assert_eq!((start.committed, start.length), (None, None));
        }
    }

    #[test]
    fn a_tagged_one_has_the_same_as_fields() {
        // Numbers of one byte are doubled; signed ones once more.
        let uuid = [2; 16];
        let head = [&[2, 0, 0, 0, 2][..], &[2], &uuid.map(|byte| byte << 1)].concat();
        let known = [&head[..], &[4, 36, 6, 4, b'a', b'b'], &[8, 4, 10, 8]].concat();
        let rest = [&known[..], &[12, 82, 14, 84, 16, 86]].concat();
        let read = tagged(&rest).unwrap();
        let TransactionId::Gtid(gtid) = &read.id else {
            panic!("{read:?}");
        };
        assert_eq!((gtid.tsid.uuid, gtid.number), (Uuid(uuid), 9));
        assert_eq!(gtid.tsid.tag.as_str(), "ab");
        assert_eq!((read.committed, read.length), (Some(41), Some(43)));
        // Of a newer server: what follows cannot be read, and need not be.
        let newer = [&known[..], &[40, 1, 16, 86]].concat();
        assert_eq!(tagged(&newer).unwrap().length, None);
        let mut needed = newer;
        needed[2] = 40;
        assert!(matches!(tagged(&needed), Err(GtidError::UnknownField { found: 20 })));
    }

    #[test]
    fn mariadbs_has_a_domain_and_may_stand_alone() {
        for (flags, standalone) in [(0, false), (1, true), (2, false)] {
            let body = [&[5, 0, 0, 0, 0, 0, 0, 0], &[4, 0, 0, 0][..], &[flags]].concat();
            let start = start(event_type::MARIADB_GTID, &body);
            let TransactionId::Mariadb { domain, server_id, sequence } = start.id else {
                panic!("{start:?}");
            };
            assert_eq!((domain, server_id, sequence), (4, 3, 5));
            assert_eq!(start.standalone, standalone);
        }
    }

    #[test]
    fn packed_lengths_take_as_many_bytes_as_they_need() {
        for (bytes, value) in [
            (&[250][..], 250),
            (&[252, 1, 2], 0x0201),
            (&[253, 1, 2, 3], 0x03_0201),
            (&[254, 1, 2, 3, 4, 5, 6, 7, 8], 0x0807_0605_0403_0201),
        ] {
            let mut cursor = Cursor::new(bytes);
            assert_eq!(packed_length(&mut cursor), Ok(value));
            assert_eq!(cursor.remaining(), 0);
            assert!(packed_length(&mut Cursor::new(&bytes[..bytes.len() - 1])).is_err());
        }
    }
}
