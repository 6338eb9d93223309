//! A table as its rows need it: how each column is read, and what is known of its name and meaning.

use std::sync::Arc;

use super::charset::Charset;
use super::kind::Kind;
use crate::bytes::OutOfBytes;
use crate::event::table_map;

/// More columns than this no server has (MySQL and MariaDB: 4096).
pub const MAX_COLUMNS: usize = 4096;

/// A table's columns, from its table map, and perhaps from a schema.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// The number that row events name it by.
    pub table_id: u64,
    /// Its database, as bytes of UTF-8.
    pub database: Vec<u8>,
    /// Its name, as bytes of UTF-8.
    pub name: Vec<u8>,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The columns of its primary key, by number from 0 and in the key's order; empty where it is
    /// not known or there is none.
    pub primary_key: Vec<usize>,
    /// Whether MariaDB keeps old rows in it (WITH SYSTEM VERSIONING): by the names of the two columns
    /// that it has then, or by a schema.
    pub is_versioned: bool,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its type and metadata as the table map has them.
    pub logged: table_map::Column,
    /// The form of its values in row images.
    pub kind: Kind,
    /// Its name, as bytes of UTF-8; `None` where nothing tells it.
    pub name: Option<Arc<[u8]>>,
    /// Whether its numbers have no sign; `None` where nothing tells it.
    pub unsigned: Option<bool>,
    /// The character set of its texts.
    pub charset: Charset,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// The members of an ENUM or SET, in the column's character set; empty where nothing tells
    /// them.
    pub members: Arc<[Box<[u8]>]>,
    /// Whether `SELECT *` shows it; `None` where nothing tells it.
    pub visible: Option<bool>,
    /// Whether the server computes it, so that no statement may set it; only a schema tells this.
    pub generated: bool,
    /// What its bytes are beyond the type in the table map; only a schema tells this.
    pub meaning: Option<Meaning>,
}

/// Types of MariaDB that table maps show as BINARY or VARBINARY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Meaning {
    /// UUID: 16 bytes, for most versions of UUIDs with their parts in reverse order.
    Uuid,
    /// INET6: 16 bytes, in network order.
    Inet6,
    /// INET4: 4 bytes, in network order.
    Inet4,
    /// VECTOR: FLOATs, little-endian.
    Vector,
}

/// Why a table map tells no columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The event ends too early.
    #[error("the table map is cut short: {0}")]
    OutOfBytes(#[from] OutOfBytes),
    /// No metadata: servers before 5.1.18.
    #[error("the table map has no metadata, as those of servers before 5.1.18")]
    NoMetadata,
    /// More columns than a server can have.
    #[error("the table map has {found} columns, more than the {MAX_COLUMNS} that a table can have")]
    TooManyColumns {
        /// How many there are.
        found: usize,
    },
}

impl Table {
    /// Number and names alone, from the body of a TABLE_MAP event, however many columns it has;
    /// `None` where it is cut before their end.
    #[must_use]
    pub fn names_only(body: &[u8]) -> Option<Self> {
        let (table_id, database, name) = table_map::names(body).ok()?;
        Some(Self { table_id, database: database.to_vec(), name: name.to_vec(), ..Self::default() })
    }

    /// The number of the column of this name, from 0; `@3` is the third, whatever it is called.
    #[must_use]
    pub fn column_number(&self, name: &[u8]) -> Option<usize> {
        let by_name = |column: &Column| {
            let own = column.name.as_deref();
            own.is_some_and(|own| own.eq_ignore_ascii_case(name))
        };
        if let Some(found) = self.columns.iter().position(by_name) {
            return Some(found);
        }
        let digits = std::str::from_utf8(name.strip_prefix(b"@")?).ok()?;
        let number = digits.parse::<usize>().ok()?.checked_sub(1)?;
        (number < self.columns.len()).then_some(number)
    }

    /// Whether it has the two columns that MariaDB gives a table whose old rows it keeps.
    pub(super) fn has_row_versions(&self) -> bool {
        ["row_start", "row_end"].iter().all(|name| {
            self.columns.iter().any(|column| {
                let is_time = matches!(column.kind, Kind::Timestamp { digits: 6 });
                is_time && column.name.as_deref() == Some(name.as_bytes())
            })
        })
    }

    /// Whether it is what MariaDB keeps a sequence in: by the names of its columns.
    #[must_use]
    pub fn is_sequence(&self) -> bool {
        const NAMES: [&str; 8] = [
            "next_not_cached_value",
            "minimum_value",
            "maximum_value",
            "start_value",
            "increment",
            "cache_size",
            "cycle_option",
            "cycle_count",
        ];
        let names = self.columns.iter().map(|column| column.name.as_deref());
        names.eq(NAMES.iter().map(|name| Some(name.as_bytes())))
    }

    /// Whether every column has a name.
    #[must_use]
    pub fn has_names(&self) -> bool {
        self.columns.iter().all(|column| column.name.is_some())
    }
}
