//! Up to where a recovery goes.

use crate::event::gtid::TransactionId;
use crate::read::recover::state::LogPosition;

/// Up to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// The last transaction of the logs.
    End,
    /// The first transaction of this time (seconds since 1970 UTC) or later is left out.
    Time(i64),
    /// This transaction is the last.
    With(TransactionId),
    /// This transaction is left out.
    Before(TransactionId),
    /// The transaction that begins here is left out.
    Position(LogPosition),
}

impl Moment {
    /// The transaction that it names.
    #[must_use]
    pub const fn transaction(&self) -> Option<&TransactionId> {
        match self {
            Self::With(id) | Self::Before(id) => Some(id),
            _ => None,
        }
    }
}
