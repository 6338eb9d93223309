//! QUERY: a statement as text.

use crate::bytes::{Cursor, OutOfBytes};

/// A statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    /// The connection that ran it.
    pub thread_id: u32,
    /// How long it took, in seconds.
    pub execution_time: u32,
    /// The error that it ended in, 0 for none.
    pub error_code: u16,
    /// The default database, empty for none; in the server's character set, UTF-8 as a rule.
    pub database: &'a [u8],
    /// The statement, in the character set of its connection.
    pub statement: &'a [u8],
}

impl<'a> Query<'a> {
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
        cursor.take(variables)?;
        let database = cursor.take(database_length)?;
        cursor.u8()?;
        Ok(Self {
            thread_id,
            execution_time,
            error_code,
            database,
            statement: cursor.rest(),
        })
    }

    /// Whether the statement opens a transaction, so that more of it follows.
    #[must_use]
    pub fn is_begin(&self) -> bool {
        self.is(b"BEGIN") || starts_with(self.statement, b"XA START")
    }

    /// Whether it is part of a transaction that it does not end.
    #[must_use]
    pub fn is_inside_transaction(&self) -> bool {
        self.is_begin()
            || starts_with(self.statement, b"SAVEPOINT")
            || starts_with(self.statement, b"ROLLBACK TO")
            || starts_with(self.statement, b"XA END")
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
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
