//! What is known of tables beyond their table maps.

use std::path::Path;

use crate::event::rows::table::Table;

/// Where a table map stands.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The log.
    pub log: &'a Path,
    /// Plain offset of the table map, or of the payload that it is in.
    pub position: u64,
}

/// A schema that does not fit a table map: what differs, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NamesError(pub String);

/// Knows more of tables than their table maps tell: names, keys, character sets, generated columns.
pub trait Names: Sync {
    /// Adds what is known of a table at a place. Asked once for each table map that differs from
    /// those before it, by several threads and in no order.
    ///
    /// # Errors
    /// [`NamesError`] when what is known contradicts the table map: its rows are then not read.
    fn improve(&self, place: Place<'_>, table: Table) -> Result<Table, NamesError>;
}

/// Knows nothing more.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoNames;

impl Names for NoNames {
    fn improve(&self, _: Place<'_>, table: Table) -> Result<Table, NamesError> {
        Ok(table)
    }
}
