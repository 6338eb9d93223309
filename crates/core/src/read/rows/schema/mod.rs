//! What tables look like: from dumps of a schema, and from the statements in the logs that change
//! it.
//!
//! A binary log says of a column little more than its type. [`Schema::open`] reads what
//! `mysqldump --no-data`, `mariadb-dump --no-data`, MySQL Shell's dumps and `SHOW CREATE TABLE`
//! print, as the tables were at the start of the logs; [`Schema::follow`] carries out each statement
//! of the logs, so that names fit at each position. [`Table::fits`] holds the outcome against the
//! table map. What is not understood makes a table unknown from there on: nothing is guessed.

mod alter;
mod create;
mod files;
mod fit;
mod follow;
mod history;
mod parser;
mod split;
mod statement;
mod table;
mod tokens;
mod types;

pub use files::SchemaError;
pub use fit::{LoggedType, Misfit};
pub(super) use follow::{Beside, beside};
pub use follow::{Change, ChangeKind, Followed};
pub use history::{History, LastChange, Moment};
pub use table::{ForeignKey, Generated, Reaction, SchemaColumn, Table, Trigger, UniqueKey};
pub use types::DataType;

use std::collections::BTreeMap;
use std::sync::Arc;

use create::Definition;
use follow::Target;
use parser::Named;

/// About how many bytes all tables together may take in memory.
const MAX_WEIGHT: usize = 256 << 20;
/// How many names are kept at most, of tables that are known or not.
const MAX_TABLES: usize = 1 << 20;

/// A database and a table in it. A dump that does not tell its database has none: such a table is
/// that of its name in any database.
type Key = (Option<Arc<str>>, Arc<str>);

/// What is known of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Known {
        table: Arc<Table>,
        /// Whether it comes from a file, perhaps altered since: that may be of another time.
        is_of_file: bool,
    },
    /// What it looks like cannot be said, for this reason.
    Unknown(Arc<str>),
    Dropped,
}

/// What can be said of a table at this place of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// It looks like this.
    Known(&'a Arc<Table>),
    /// Something was known of it, until this happened.
    Unknown(&'a str),
    /// Nothing tells of it.
    Absent,
}

/// The tables as they are at one place of the logs.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    tables: BTreeMap<Key, Entry>,
    databases: BTreeMap<Arc<str>, Database>,
    weight: usize,
    /// Something was left out, as it came to too much.
    is_full: bool,
    /// What was set since this was emptied, and what stood there before.
    touched: Vec<(Key, Option<Entry>)>,
}

#[derive(Debug, Clone, Default)]
struct Database {
    charset: Option<String>,
    collation: Option<String>,
    /// Made by a statement of the logs: it had no table before.
    is_of_log: bool,
}

impl Schema {
    /// One that knows no table yet: statements of the logs alone tell.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many tables are known.
    #[must_use]
    pub fn len(&self) -> usize {
        let entries = self.tables.values();
        entries.filter(|entry| matches!(entry, Entry::Known { .. })).count()
    }

    /// Whether no table is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Databases and names of the tables that are known; the database is empty where a dump does
    /// not tell it.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        let known = self.tables.iter().filter(|(_, entry)| matches!(entry, Entry::Known { .. }));
        known.map(|((database, table), _)| (database.as_deref().unwrap_or_default(), &**table))
    }

    /// What is known of a table, by the names in a table map.
    #[must_use]
    pub fn find(&self, database: &[u8], table: &[u8]) -> Found<'_> {
        let (Ok(database), Ok(table)) = (str::from_utf8(database), str::from_utf8(table)) else {
            return Found::Absent;
        };
        match self.entry(&key(Some(database), table)) {
            Some(Entry::Known { table, .. }) => Found::Known(table),
            Some(Entry::Unknown(reason)) => Found::Unknown(reason),
            Some(Entry::Dropped) | None => Found::Absent,
        }
    }

    /// Tables with a foreign key to this one, each with the key.
    pub fn referring_to<'s>(
        &'s self,
        database: &'s str,
        table: &'s str,
    ) -> impl Iterator<Item = (&'s str, &'s str, &'s ForeignKey)> {
        let keys = self.tables.iter().flat_map(|((of, name), entry)| {
            let of = of.as_deref().unwrap_or(database);
            let keys: &[ForeignKey] = match entry {
                Entry::Known { table, .. } => &table.foreign_keys,
                _ => &[],
            };
            keys.iter().map(move |foreign| (of, &**name, foreign))
        });
        keys.filter(move |(of, _, key)| {
            key.table == table && key.database.as_deref().unwrap_or(of) == database
        })
    }

    fn entry(&self, key: &Key) -> Option<&Entry> {
        let of_any = || self.tables.get(&(None, Arc::clone(&key.1)));
        self.tables.get(key).or_else(of_any)
    }

    fn known(&self, key: &Key) -> Option<(&Arc<Table>, bool)> {
        match self.entry(key) {
            Some(Entry::Known { table, is_of_file }) => Some((table, *is_of_file)),
            _ => None,
        }
    }

    fn set(&mut self, key: Key, entry: Entry) {
        let weigh = |entry: &Entry| match entry {
            Entry::Known { table, .. } => table.weight(),
            _ => 0,
        };
        let more = weigh(&entry);
        let less = self.tables.get(&key).map_or(0, weigh);
        let weight = self.weight.saturating_sub(less).saturating_add(more);
        let is_new = !self.tables.contains_key(&key);
        if weight > MAX_WEIGHT && more > 0 || is_new && self.tables.len() >= MAX_TABLES {
            self.is_full = true;
            self.weight = self.weight.saturating_sub(less);
            let before = self.tables.remove(&key);
            self.touched.push((key, before));
            return;
        }
        self.weight = weight;
        let before = self.tables.insert(key.clone(), entry);
        self.touched.push((key, before));
    }

    fn set_known(&mut self, key: Key, table: Table, is_of_file: bool) {
        let table = Arc::new(table);
        self.set(key, Entry::Known { table, is_of_file });
    }

    /// The full name of a table in a statement.
    fn key(named: &Named, default: Option<&str>) -> Key {
        key(named.database.as_deref().or(default), &named.table)
    }

    /// What a definition makes: its columns, or those of another table.
    fn made_by(&self, definition: Definition, target: &Target<'_>) -> Result<Table, String> {
        match definition {
            Definition::Columns(table) => Ok(*table),
            Definition::Like(other) => {
                let key = Self::key(&other, target.database);
                let Some((table, _)) = self.known(&key) else {
                    return Err(format!(
                        "it is made like `{}`, of which nothing is known",
                        other.table
                    ));
                };
                // Foreign keys and triggers are not taken along.
                Ok(Table { foreign_keys: Vec::new(), triggers: Vec::new(), ..(**table).clone() })
            }
        }
    }

    /// Gives a new table its database's character set, if it has none of its own.
    fn inherit(&self, table: &mut Table, key: &Key) {
        let database = key.0.as_ref().and_then(|name| self.databases.get(name));
        if let (Some(database), None) = (database, &table.charset) {
            table.charset.clone_from(&database.charset);
            table.collation.clone_from(&database.collation);
            table.settle();
        }
    }
}

fn key(database: Option<&str>, table: &str) -> Key {
    (database.map(Arc::from), Arc::from(table))
}
