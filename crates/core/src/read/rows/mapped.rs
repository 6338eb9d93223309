//! Table maps as listings of rows keep them, and the tables that threads made of them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::RowFilter;
use super::names::{Names, Place};
use crate::event::rows::table::Table;
use crate::event::walker::EventView;
use crate::read::events::context::Mapped;

/// Tables that each thread keeps.
const MAX_KNOWN: usize = 256;
/// Bytes of a table's number, with which a table map begins.
const NUMBER: usize = 6;

/// A table map as it is in the log: the thread that needs it reads it.
#[derive(Debug)]
pub(super) struct RawMap {
    /// Plain offset of the event, or of the payload that it is in.
    position: u64,
    body: Box<[u8]>,
}

impl Mapped for RawMap {
    fn read(event: &EventView<'_>) -> Option<(u64, Self)> {
        let number = number(event.body())?;
        Some((number, Self { position: event.offset, body: event.body().into() }))
    }
}

/// The number of the table that a table map or a row event is about.
pub(super) fn number(body: &[u8]) -> Option<u64> {
    let [a, b, c, d, e, f] = *body.first_chunk::<NUMBER>()?;
    Some(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
}

/// A table as a listing wants it, or not.
#[derive(Debug)]
pub(super) struct KnownTable {
    pub(super) table: Result<Table, String>,
    /// `database.table`, for messages.
    pub(super) name: String,
    /// Which of the filter's names fit it.
    pub(super) fitting: Vec<usize>,
    /// Whether its rows are wanted.
    pub(super) is_wanted: bool,
    /// Whether it has all columns of the conditions.
    pub(super) has_columns: bool,
    /// The columns one of which must be changed.
    pub(super) changed: Vec<usize>,
}

/// Tables by their numbers, made anew where the table map is another.
pub(super) struct KnownTables {
    tables: HashMap<u64, (Box<[u8]>, Arc<KnownTable>)>,
    is_mariadb: bool,
}

impl KnownTables {
    /// Of a log of MariaDB, or of MySQL.
    pub(super) fn new(is_mariadb: bool) -> Self {
        Self { tables: HashMap::new(), is_mariadb }
    }

    /// The table of a map; `None` when the map tells no table's name.
    pub(super) fn of_map(
        &mut self,
        map: &RawMap,
        (filter, names, log): (&RowFilter, &dyn Names, &Path),
    ) -> Option<(u64, Arc<KnownTable>)> {
        self.of_body(&map.body, map.position, (filter, names, log))
    }

    /// The same of the body of an event.
    pub(super) fn of_body(
        &mut self,
        body: &[u8],
        position: u64,
        (filter, names, log): (&RowFilter, &dyn Names, &Path),
    ) -> Option<(u64, Arc<KnownTable>)> {
        let number = number(body)?;
        if let Some((known, table)) = self.tables.get(&number)
            && **known == *body
        {
            return Some((number, Arc::clone(table)));
        }
        let table =
            Arc::new(known((body, self.is_mariadb), Place { log, position }, (filter, names))?);
        if self.tables.len() >= MAX_KNOWN {
            self.tables.clear();
        }
        self.tables.insert(number, (body.into(), Arc::clone(&table)));
        Some((number, table))
    }
}

fn known(
    (body, is_mariadb): (&[u8], bool),
    place: Place<'_>,
    (filter, names): (&RowFilter, &dyn Names),
) -> Option<KnownTable> {
    let named = Table::names_only(body)?;
    let name = format!(
        "{}.{}",
        String::from_utf8_lossy(&named.database),
        String::from_utf8_lossy(&named.name)
    );
    let fitting: Vec<usize> = filter.fitting(&named).collect();
    let is_wanted = filter.tables.is_empty() || !fitting.is_empty();
    let table = Table::parse_of(body, Some(is_mariadb)).map_err(|error| error.to_string());
    // What is not wanted is not asked for: its schema may contradict as it likes.
    let table = if is_wanted {
        table.and_then(|table| names.improve(place, table).map_err(|error| error.to_string()))
    } else {
        table
    };
    let of = |test: &dyn Fn(&Table) -> bool| table.as_ref().map_or(true, test);
    let has_columns = of(&|table| filter.conditions.of_table(table).is_some());
    let changed = table.as_ref().map_or_else(|_| Vec::new(), |table| filter.changed_of(table));
    let has_changed = filter.changed.is_empty() || !changed.is_empty() || table.is_err();
    Some(KnownTable {
        table,
        name,
        fitting,
        is_wanted,
        has_columns: has_columns && has_changed,
        changed,
    })
}
