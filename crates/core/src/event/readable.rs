//! Whether an event can be what its type says: what a server wrote and summed up may still be
//! rubbish.

use super::event_type;
use super::format_description::FormatDescription;
use super::gtid::TransactionStart;
use super::gtid_list::GtidList;
use super::gtid_set::GtidSet;
use super::header::{EventHeader, flag};
use super::payload::{Payload, PayloadError, Unfolder};
use super::query::Query;
use super::rotate::Rotate;
use super::rows::Rows;
use super::table_map;
use super::walker::EventView;
use crate::bytes::Cursor;

/// Types up to these may become those of later servers: MySQL's and MariaDB's numbers go on.
const LATER_MYSQL: std::ops::RangeInclusive<u8> = 43..=63;
const LATER_MARIADB: std::ops::RangeInclusive<u8> = 172..=191;
/// What Aurora writes to fill its logs.
const AURORA_PADDING: u8 = 100;

/// What an event's type tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TypeOfEvent {
    /// A type that is known here.
    Known,
    /// One that another or a later server may write.
    Foreign,
    /// One that no server writes.
    Impossible,
}

impl TypeOfEvent {
    /// Judges a header in a log whose server knows types up to `known_to_server`.
    #[must_use]
    pub(crate) fn of(header: &EventHeader, known_to_server: usize) -> Self {
        let event_type = header.event_type;
        let may_be_foreign = header.has(flag::IGNORABLE)
            || usize::from(event_type) <= known_to_server
            || event_type == AURORA_PADDING
            || LATER_MYSQL.contains(&event_type)
            || LATER_MARIADB.contains(&event_type);
        match event_type {
            0 => Self::Impossible,
            known if event_type::known_name(known).is_some() => Self::Known,
            _ if may_be_foreign => Self::Foreign,
            _ => Self::Impossible,
        }
    }
}

/// Whether the body of a whole event has the parts that its type asks for. What is not looked into
/// passes: values of rows, statements, and what a compressed transaction holds.
#[must_use]
pub(crate) fn is_readable(event: &EventView<'_>) -> bool {
    let (kind, body) = (event.header.event_type, event.body());
    let least = usize::from(event.header.header_length).saturating_add(event.checksum_length());
    if event.bytes.len() < least {
        return false;
    }
    match kind {
        event_type::QUERY | event_type::MARIADB_QUERY_COMPRESSED => Query::parse(body).is_ok(),
        event_type::ROTATE => Rotate::parse(body).is_ok(),
        event_type::XID => Cursor::new(body).u64_le().is_ok(),
        event_type::FORMAT_DESCRIPTION => FormatDescription::parse(event.bytes).is_ok(),
        event_type::PREVIOUS_GTIDS => GtidSet::parse_encoded_within(body, 0).is_ok(),
        event_type::MARIADB_GTID_LIST => GtidList::parse_within(body, 0).is_ok(),
        event_type::TABLE_MAP => table_map::check(body).is_ok(),
        event_type::TRANSACTION_PAYLOAD => Payload::parse(body).is_ok(),
        kind if event_type::is_rows(kind) => Rows::parse(kind, body).is_ok(),
        kind if event_type::begins_transaction(kind) => {
            TransactionStart::parse(event).is_none_or(|start| start.is_ok())
        }
        _ => true,
    }
}

/// What came of unfolding a compressed transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfolded {
    /// It has been read to its end.
    Whole,
    /// It cannot be unfolded, or what is in it cannot be read.
    Broken,
    /// It would unfold to more than it may.
    TooMuch,
}

/// Unfolds a compressed transaction and reads what is in it; `data` is a reader of its bytes. What it
/// unfolds to is taken from the unfolder's limit.
#[must_use]
pub(crate) fn unfold(
    payload: &Payload<'_>,
    unfolder: &mut Unfolder,
    data: impl std::io::BufRead,
) -> Unfolded {
    let limit = unfolder.limit;
    if limit == 0 {
        return Unfolded::TooMuch;
    }
    let (outcome, unfolded) = {
        let Ok(mut events) = payload.events_by(&mut *unfolder, data) else {
            return Unfolded::Broken;
        };
        let outcome = loop {
            match events.next_event() {
                Ok(Some(inner)) if !inner.is_whole() || is_readable(&inner) => {}
                Ok(None) => break Unfolded::Whole,
                Err(PayloadError::OverLimit { .. }) => break Unfolded::TooMuch,
                _ => break Unfolded::Broken,
            }
        };
        (outcome, events.unfolded())
    };
    // What is left of the limit after one that was too large is nothing.
    unfolder.limit = match outcome {
        Unfolded::TooMuch => 0,
        _ => limit.saturating_sub(unfolded),
    };
    outcome
}
