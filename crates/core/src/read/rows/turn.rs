//! Statements by which a transaction takes rows back that stand before them in the log: they are there
//! where it changed tables without transactions, too, whose rows stay.

use std::path::Path;

use crate::event::gtid::TransactionId;

/// Such a statement, or the one that it goes back to.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'r> {
    /// The log.
    pub log: &'r Path,
    /// Plain offset of its event; of an inner event, that of the payload it is in.
    pub position: u64,
    /// Seconds since 1970 UTC.
    pub timestamp: u32,
    /// The connection that ran it.
    pub thread_id: Option<u32>,
    /// The transaction that it is part of.
    pub transaction: Option<&'r TransactionId>,
    /// Plain offset of the transaction's first event.
    pub transaction_start: u64,
    /// What it does.
    pub kind: TurnKind<'r>,
}

/// What such a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnKind<'r> {
    /// SAVEPOINT: gives this place a name.
    Savepoint(&'r [u8]),
    /// ROLLBACK TO: goes back to the place of this name.
    BackTo(&'r [u8]),
    /// ROLLBACK: takes the whole transaction back.
    Rollback,
}

impl<'r> TurnKind<'r> {
    /// Reads a statement; `None` for any other one, and for a name that no server writes so.
    #[must_use]
    pub fn of(statement: &'r [u8]) -> Option<Self> {
        let text = statement.trim_ascii();
        if let Some(name) = behind(text, b"SAVEPOINT") {
            return name_of(name).map(Self::Savepoint);
        }
        let rest = behind(text, b"ROLLBACK")?;
        if rest.is_empty() {
            return Some(Self::Rollback);
        }
        let name = behind(rest, b"TO")?;
        name_of(behind(name, b"SAVEPOINT").unwrap_or(name)).map(Self::BackTo)
    }
}

fn behind<'r>(text: &'r [u8], word: &[u8]) -> Option<&'r [u8]> {
    let (start, rest) = text.split_at_checked(word.len())?;
    let is_word = rest.first().is_none_or(|next| next.is_ascii_whitespace() || *next == b'`');
    (is_word && start.eq_ignore_ascii_case(word)).then(|| rest.trim_ascii_start())
}

/// A name in backticks or without; nothing behind it. One with a backtick in it is left to whoever
/// reads the log.
fn name_of(text: &[u8]) -> Option<&[u8]> {
    let is_plain =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || *byte >= 0x80;
    let name = match text.strip_prefix(b"`") {
        Some(quoted) => quoted.strip_suffix(b"`")?,
        None if text.iter().all(is_plain) => text,
        None => return None,
    };
    (!name.is_empty() && !name.contains(&b'`')).then_some(name)
}
