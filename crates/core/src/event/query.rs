//! QUERY: a statement as text; QUERY_COMPRESSED of MariaDB: the same, by zlib.

use std::borrow::Cow;

use super::compressed::Compressed;
use super::event_type;
use super::walker::EventView;
use crate::bytes::{Cursor, OutOfBytes};

/// So many bytes of a compressed statement are unfolded: more than is ever shown of one.
const UNFOLDED: usize = 1 << 10;

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query<'a> {
    /// The connection that ran it.
    pub thread_id: u32,
    /// How long it took, in seconds.
    pub execution_time: u32,
    /// The error that it ended in, 0 for none.
    pub error_code: u16,
    /// The default database, empty for none; in the server's character set, UTF-8 as a rule.
    pub database: &'a [u8],
    /// The session's settings that the statement was run with, as status variables.
    pub variables: &'a [u8],
    /// The statement, in the character set of its connection; of a compressed one its first bytes,
    /// 1024 unless more were asked for.
    pub statement: Cow<'a, [u8]>,
    /// Length of the whole statement in bytes.
    pub length: usize,
}

impl<'a> Query<'a> {
    /// Reads an event's statement, whichever of the two types it has; `None` for other events, and
    /// for those whose body no server writes so.
    #[must_use]
    pub fn of(event: &EventView<'a>) -> Option<Self> {
        Self::of_at_most(event, UNFOLDED)
    }

    /// The same with so many bytes of a compressed statement.
    #[must_use]
    pub fn of_at_most(event: &EventView<'a>, unfolded: usize) -> Option<Self> {
        match event.header.event_type {
            event_type::QUERY => Self::parse(event.body()).ok(),
            event_type::MARIADB_QUERY_COMPRESSED => Self::parse_compressed(event.body(), unfolded),
            _ => None,
        }
    }

    /// Reads the event's body: thread u32, time u32, length of the database's name u8, error u16,
    /// length of the status variables u16; then these, the name, a zero byte, and the statement up
    /// to the end (server source: `Query_event`). Little-endian.
    ///
    /// # Errors
    /// [`OutOfBytes`].
    pub fn parse(body: &'a [u8]) -> Result<Self, OutOfBytes> {
        let mut cursor = Cursor::new(body);
        let (thread_id, execution_time) = (cursor.u32_le()?, cursor.u32_le()?);
        let database_length = usize::from(cursor.u8()?);
        let error_code = cursor.u16_le()?;
        let variables = usize::from(cursor.u16_le()?);
        let variables = cursor.take(variables)?;
        let database = cursor.take(database_length)?;
        cursor.u8()?;
        let statement = cursor.rest();
        Ok(Self {
            thread_id,
            execution_time,
            error_code,
            database,
            variables,
            statement: Cow::Borrowed(statement),
            length: statement.len(),
        })
    }

    /// The same with a compressed statement behind the zero byte (MariaDB server source:
    /// `query_event_uncompress`).
    fn parse_compressed(body: &'a [u8], unfolded: usize) -> Option<Self> {
        let stored = Self::parse(body).ok()?;
        let compressed = Compressed::parse(&stored.statement)?;
        Some(Self {
            statement: Cow::Owned(compressed.unfold(unfolded)?),
            length: usize::try_from(compressed.length).unwrap_or(usize::MAX),
            ..stored
        })
    }

    /// Whether the statement opens a transaction, so that more of it follows.
    #[must_use]
    pub fn is_begin(&self) -> bool {
        self.is(b"BEGIN") || starts_with(&self.statement, b"XA START")
    }

    /// Whether it is part of a transaction that it does not end.
    #[must_use]
    pub fn is_inside_transaction(&self) -> bool {
        self.is_begin()
            || starts_with(&self.statement, b"SAVEPOINT")
            || self.is_rollback_to_savepoint()
            || starts_with(&self.statement, b"XA END")
    }

    /// Whether it takes back what a transaction did since a savepoint.
    #[must_use]
    pub fn is_rollback_to_savepoint(&self) -> bool {
        starts_with(self.statement.trim_ascii_start(), b"ROLLBACK TO")
    }

    /// Whether it ends one.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.is(b"COMMIT") || self.is(b"ROLLBACK")
    }

    fn is(&self, statement: &[u8]) -> bool {
        self.statement.trim_ascii().eq_ignore_ascii_case(statement)
    }
}

fn starts_with(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
