//! The two halves of XA transactions: XA_PREPARE, and the statement that ends what was prepared.

use std::fmt::Write as _;

use super::event_type;
use super::query::Query;
use super::walker::EventView;
use crate::bytes::Cursor;

/// The most bytes of an XA_PREPARE's body: two parts of an id of 64 bytes each, and what is before them.
pub const LONGEST_PREPARE: usize = 13 + 128;

/// No id is longer as text: its two parts in hexadecimal digits, and a number.
const LONGEST_ID: usize = 2 * 128 + 32;

/// One half of an XA transaction. The id is text as servers write it into statements, in lower case:
/// `x'7831',x'',1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum XaHalf {
    /// It is prepared: its rows are locked until it is ended.
    Prepared(String),
    /// It is prepared and committed in one phase.
    CommittedAtOnce(String),
    /// What was prepared is committed or rolled back.
    Ended {
        /// Which one.
        id: String,
        /// Whether its rows stay.
        is_commit: bool,
    },
}

impl XaHalf {
    /// Reads an event; `None` for all that is neither.
    ///
    /// XA_PREPARE: 1 where it commits at once u8, format of the id i32, lengths of its two parts u32 each,
    /// and these (server source: `XA_prepare_event`; MariaDB's `XA_prepare_log_event`). Little-endian.
    #[must_use]
    pub fn of(event: &EventView<'_>) -> Option<Self> {
        if event.header.event_type == event_type::XA_PREPARE {
            return prepared(event.body());
        }
        let query = Query::of(event)?;
        let id = |verb| id_in(&query.statement, verb);
        if let Some(id) = id("commit") {
            return Some(Self::Ended { id, is_commit: true });
        }
        id("rollback").map(|id| Self::Ended { id, is_commit: false })
    }
}

/// The id of the XA transaction that begins with a statement; `None` for any other statement.
#[must_use]
pub fn begun(statement: &[u8]) -> Option<String> {
    id_in(statement, "start")
}

/// The id in a statement `XA VERB id`.
fn id_in(statement: &[u8], wanted: &str) -> Option<String> {
    let text = std::str::from_utf8(statement).ok()?.trim();
    let mut words = text.splitn(3, char::is_whitespace);
    let (xa, verb, id) = (words.next()?, words.next()?, words.next()?);
    let is_wanted = xa.eq_ignore_ascii_case("xa") && verb.eq_ignore_ascii_case(wanted);
    // Others are kept by those who ask, and a statement may be as long as an event.
    (is_wanted && id.len() <= LONGEST_ID).then(|| {
        let id = id.chars().filter(|sign| !sign.is_whitespace());
        id.collect::<String>().to_lowercase()
    })
}

fn prepared(body: &[u8]) -> Option<XaHalf> {
    let mut cursor = Cursor::new(body);
    let is_at_once = cursor.u8().ok()? != 0;
    let format = cursor.u32_le().ok()?.cast_signed();
    let lengths = [cursor.u32_le().ok()?, cursor.u32_le().ok()?];
    let [first, second] = lengths.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    let id = id_of(format, [cursor.take(first).ok()?, cursor.take(second).ok()?]);
    Some(if is_at_once { XaHalf::CommittedAtOnce(id) } else { XaHalf::Prepared(id) })
}

/// The id of the XA transaction that is prepared in the one that a GTID event of MariaDB begins.
///
/// Flags u8 at 12: 2 has 8 bytes of a commit's number behind it, 64 is of a transaction that is prepared.
/// Then format i32, lengths of the id's two parts u8 each, and these (MariaDB server source:
/// `Gtid_log_event`; seen in logs of 10.11 and 11.8). Little-endian.
#[must_use]
pub fn prepared_in_gtid(body: &[u8]) -> Option<String> {
    const FLAGS: usize = 12;
    const WITH_COMMIT_NUMBER: u8 = 2;
    const PREPARED: u8 = 64;
    let (_, rest) = body.split_at_checked(FLAGS)?;
    let (flags, rest) = rest.split_first()?;
    if flags & PREPARED == 0 {
        return None;
    }
    let mut cursor = Cursor::new(rest);
    if flags & WITH_COMMIT_NUMBER != 0 {
        cursor.take(8).ok()?;
    }
    let format = cursor.u32_le().ok()?.cast_signed();
    let lengths = [cursor.u8().ok()?, cursor.u8().ok()?].map(usize::from);
    let [first, second] = lengths;
    Some(id_of(format, [cursor.take(first).ok()?, cursor.take(second).ok()?]))
}

fn id_of(format: i32, parts: [&[u8]; 2]) -> String {
    let mut id = String::new();
    for part in parts {
        id.push_str("x'");
        for byte in part {
            let _ = write!(id, "{byte:02x}");
        }
        id.push_str("',");
    }
    let _ = write!(id, "{format}");
    id
}
