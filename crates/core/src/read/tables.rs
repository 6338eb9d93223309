//! Which tables are meant: by name, by pattern, in statements.

use std::fmt;

use super::pattern;
use super::wild::Pattern;

/// A table's full name; bytes that are not UTF-8 are replaced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TableName {
    /// Its database.
    pub database: String,
    /// Its name.
    pub table: String,
}

impl TableName {
    /// From the bytes in an event.
    #[must_use]
    pub fn new(database: &[u8], table: &[u8]) -> Self {
        Self {
            database: String::from_utf8_lossy(database).into_owned(),
            table: String::from_utf8_lossy(table).into_owned(),
        }
    }

    /// From `database.table`; `None` without a dot. A database with dots in its name cannot be
    /// written so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (database, table) = text.split_once('.')?;
        Some(Self { database: database.to_owned(), table: table.to_owned() })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// Names of tables, `shop.ord*`, or of a database's tables all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableGlob {
    /// As it was written, for messages.
    pub text: String,
    database: Pattern,
    table: Pattern,
    /// The same in lower case, for statements: some servers take a name in any case.
    in_statements: (Pattern, Pattern),
}

impl TableGlob {
    /// From `database.table`, either of which may have `*` and `?`; `None` without a dot.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (database, table) = text.split_once('.')?;
        Some(Self::new(text, (database, table)))
    }

    fn new(text: &str, (database, table): (&str, &str)) -> Self {
        let lower = |text: &str| Pattern::glob(&text.to_lowercase());
        Self {
            text: text.to_owned(),
            database: Pattern::glob(database),
            table: Pattern::glob(table),
            in_statements: (lower(database), lower(table)),
        }
    }

    /// All tables of the databases whose names fit.
    #[must_use]
    pub fn of_database(text: &str) -> Self {
        Self::new(text, (text, "*"))
    }

    /// Whether a table of this name may fit, whatever its database is.
    pub(super) fn may_name(&self, table: &str) -> bool {
        self.table.fits(table)
    }

    /// Whether a table is meant.
    #[must_use]
    pub fn fits(&self, database: &str, table: &str) -> bool {
        self.database.fits(database) && self.table.fits(table)
    }

    /// Whether a statement, run with this default database, names such a table. Words in its texts count,
    /// too: what a statement does is known to a server alone.
    pub(super) fn is_named_in(&self, statement: &str, database: &str) -> bool {
        const OF_TRANSACTIONS: [&str; 6] =
            ["begin", "commit", "rollback", "savepoint", "start", "xa"];
        let words = pattern::names_in(&statement.to_lowercase());
        let first = words.first().map_or("", String::as_str);
        // They stand in every transaction of a session that has the database for its default.
        if OF_TRANSACTIONS.contains(&first) {
            return false;
        }
        let (of_database, of_table) = &self.in_statements;
        let is_default = of_database.fits(&database.to_lowercase());
        words.iter().any(|word| match word.split_once('.') {
            Some((of, table)) => of_database.fits(of) && of_table.fits(table),
            None => is_default && of_table.fits(word),
        })
    }
}
