//! What options choose of logs, where several commands have the same ones: tables, positions.

use binlogsec_core::event::gtid_selection::GtidPosition;
use binlogsec_core::read::tables::TableGlob;

/// A pattern of tables, as options have it.
pub(crate) fn table(text: &str) -> Result<TableGlob, String> {
    TableGlob::parse(text).ok_or_else(|| {
        "DATABASE.TABLE is expected, e.g. shop.orders, or shop.* for all of a database".to_owned()
    })
}

/// What --database and --table choose together.
pub(crate) fn tables(databases: &[String], tables: &[TableGlob]) -> Vec<TableGlob> {
    let databases = databases.iter().map(|name| TableGlob::of_database(name));
    databases.chain(tables.iter().cloned()).collect()
}

/// Where to begin or end.
#[derive(Debug, Clone)]
pub(crate) enum Position {
    /// At a plain offset.
    Offset(u64),
    /// By MariaDB's GTIDs.
    Gtids(GtidPosition),
}

impl Position {
    pub(crate) const fn offset(&self) -> Option<u64> {
        match self {
            Self::Offset(offset) => Some(*offset),
            Self::Gtids(_) => None,
        }
    }

    pub(crate) fn gtids(&self) -> Option<GtidPosition> {
        match self {
            Self::Offset(_) => None,
            Self::Gtids(gtids) => Some(gtids.clone()),
        }
    }
}

pub(crate) fn position(text: &str) -> Result<Position, String> {
    if let Ok(offset) = text.parse() {
        return Ok(Position::Offset(offset));
    }
    if !text.contains('-') {
        return Err("a position is a number, or a list of MariaDB's GTIDs, e.g. 0-1-100".to_owned());
    }
    let gtids = text.parse::<GtidPosition>();
    gtids.map(Position::Gtids).map_err(|error| error.to_string())
}
