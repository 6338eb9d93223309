//! A table as statements define it.

use super::types::DataType;

/// A column as statements define it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaColumn {
    /// Its name; UTF-8. Two names that differ in case alone are one.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether it is an integer, a decimal or a float without sign.
    pub unsigned: bool,
    /// Whether it is BINARY, BLOB and the like: bytes, not text.
    pub is_binary: bool,
    /// Its character set in lower case, its own or its table's; `None` where neither is named.
    pub charset: Option<String>,
    /// Its collation in lower case, its own or its table's, if it is named.
    pub collation: Option<String>,
    /// Whether it takes NULL. `None` where that hangs on the server's settings (TIMESTAMP).
    pub nullable: Option<bool>,
    /// What makes its values, if no statement may set them.
    pub generated: Option<Generated>,
    /// Whether `SELECT *` leaves it out.
    pub invisible: bool,
    /// Whether MariaDB stores its values compressed.
    pub compressed: bool,
    /// Whether an UPDATE that does not name it sets it to the present time.
    pub on_update_now: bool,
}

/// What makes the values of a column that no statement may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generated {
    /// An expression over other columns.
    Expression,
    /// MariaDB's history of rows: from when on, or until when, a row was the present one.
    RowVersion,
}

/// A key of which no two rows have the same values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueKey {
    /// Its name, if it is told; the primary key has none.
    pub name: Option<String>,
    /// Names of its columns, in order.
    pub columns: Vec<String>,
    /// Whether it is of whole columns: of the others a prefix is unique, or an expression.
    pub whole: bool,
}

/// What a change to a parent's row does to the rows that refer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing: the server refuses the change.
    Refuse,
    /// The rows are changed, too, or deleted.
    Cascade,
    /// Their columns are set to NULL, or to their defaults.
    SetNull,
}

/// A foreign key of a table: its rows refer to rows of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Its name, if it is told.
    pub name: Option<String>,
    /// The database of the table that is referred to; `None` for the same.
    pub database: Option<String>,
    /// The table that is referred to.
    pub table: String,
    /// When a row that is referred to is deleted.
    pub on_delete: Reaction,
    /// When the key of a row that is referred to changes.
    pub on_update: Reaction,
}

/// A table as statements define it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Its columns, in the order in which row events have them.
    pub columns: Vec<SchemaColumn>,
    /// Its primary key.
    pub primary_key: Option<UniqueKey>,
    /// Its other unique keys, in order.
    pub unique_keys: Vec<UniqueKey>,
    /// Its foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// Its default character set, if it is named.
    pub charset: Option<String>,
    /// Its default collation, if it is named.
    pub collation: Option<String>,
    /// Events that fire triggers of it: `INSERT`, `UPDATE`, `DELETE`.
    pub triggers: Vec<Trigger>,
}

/// A trigger of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// `INSERT`, `UPDATE` or `DELETE`.
    pub event: String,
}

/// Whether two names of columns or keys are one: servers do not look at their case.
pub(super) fn same(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

impl Table {
    /// Where a column is; `None` for a name that the table does not have.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        let mut columns = self.columns.iter();
        columns.position(|column| same(&column.name, name))
    }

    /// Where the columns of the primary key are, in the key's order; none without one.
    #[must_use]
    pub fn primary_key_positions(&self) -> Vec<usize> {
        let key = self.primary_key.as_ref();
        key.map(|key| self.positions(key)).unwrap_or_default()
    }

    /// Where the columns of a key are, in the key's order.
    #[must_use]
    pub fn positions(&self, key: &UniqueKey) -> Vec<usize> {
        let names = key.columns.iter();
        names.filter_map(|name| self.position(name)).collect()
    }

    /// Forgets a column in all keys.
    pub(super) fn forget_in_keys(&mut self, name: &str) {
        let forget = |key: &mut UniqueKey| key.columns.retain(|column| !same(column, name));
        self.primary_key.iter_mut().for_each(forget);
        self.unique_keys.iter_mut().for_each(forget);
        self.primary_key.take_if(|key| key.columns.is_empty());
        self.unique_keys.retain(|key| !key.columns.is_empty());
    }

    /// What holds once all of a definition is known: the columns of a primary key take no NULL, and
    /// those without a character set of their own have the table's.
    pub(super) fn settle(&mut self) {
        let (charset, collation) = (self.charset.clone(), self.collation.clone());
        for column in &mut self.columns {
            if column.charset.is_none() && !column.is_binary {
                column.charset.clone_from(&charset);
                column.collation.clone_from(&collation);
            }
        }
        self.forbid_null_in_primary_key();
    }

    pub(super) fn forbid_null_in_primary_key(&mut self) {
        for position in self.primary_key_positions() {
            if let Some(column) = self.columns.get_mut(position) {
                column.nullable = Some(false);
            }
        }
    }

    /// About how many bytes the table takes in memory.
    pub(super) fn weight(&self) -> usize {
        let of_type = |data_type: &DataType| match data_type {
            DataType::Enum { members } | DataType::Set { members } => {
                let each = members.iter().map(|member| member.len().saturating_add(24));
                each.fold(0, usize::saturating_add)
            }
            _ => 0,
        };
        let of_column = |column: &SchemaColumn| {
            let names = column.name.len().saturating_mul(2);
            names.saturating_add(of_type(&column.data_type)).saturating_add(200)
        };
        let columns = self.columns.iter().map(of_column);
        let keys = self.unique_keys.len().saturating_add(self.foreign_keys.len());
        columns.fold(keys.saturating_mul(300).saturating_add(300), usize::saturating_add)
    }
}

/// The character set that a collation is of, by its name: that begins with the set's.
pub(super) fn charset_of(collation: &str) -> Option<String> {
    // MariaDB's of Unicode 14 are of every character set.
    let is_of_all = collation.starts_with("uca1400");
    let charset = collation.split('_').next()?;
    (!is_of_all).then(|| charset.to_owned())
}
