//! `CREATE TABLE`, and definitions of columns and keys wherever they stand.

use super::parser::{self, NotUnderstood, Parser};
use super::table::{
    ForeignKey, Generated, Reaction, SchemaColumn, Table, UniqueKey, charset_of, same,
};
use super::types::{self, DataType};

/// More columns no server takes: MySQL 4096, MariaDB fewer.
pub(super) const MAX_COLUMNS: usize = 4096;
/// More keys of one kind no server takes.
const MAX_KEYS: usize = 4096;

/// What `CREATE TABLE` makes a table of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Definition {
    Columns(Box<Table>),
    Like(parser::Named),
}

/// A definition of a column, and what it says of the table's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnDefinition {
    pub(super) column: SchemaColumn,
    is_primary: bool,
    is_unique: bool,
    foreign_key: Option<ForeignKey>,
}

impl ColumnDefinition {
    /// Adds to a table's keys what stands beside the column.
    pub(super) fn add_keys(&self, table: &mut Table) {
        let key = || UniqueKey { name: None, columns: vec![self.column.name.clone()], whole: true };
        if self.is_primary {
            table.primary_key = Some(key());
        }
        if self.is_unique {
            let name = Some(self.column.name.clone());
            table.unique_keys.push(UniqueKey { name, ..key() });
        }
        table.foreign_keys.extend(self.foreign_key.clone());
    }
}

/// A key among the definitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyDefinition {
    Primary(UniqueKey),
    Unique(UniqueKey),
    Foreign(ForeignKey),
    /// Of no matter here: other keys, checks, periods.
    Other,
}

impl KeyDefinition {
    pub(super) fn add(self, table: &mut Table) {
        match self {
            Self::Primary(key) => table.primary_key = Some(key),
            Self::Unique(key) => table.unique_keys.push(key),
            Self::Foreign(key) => table.foreign_keys.push(key),
            Self::Other => {}
        }
    }
}

/// What follows the table's name. `is_part`: the text may go on with something else behind the
/// statement, as a listing of `SHOW CREATE TABLE` does.
pub(super) fn definition(
    parser: &mut Parser<'_, '_>,
    is_part: bool,
) -> Result<Definition, NotUnderstood> {
    if parser.word("LIKE") {
        return parser.table().map(Definition::Like);
    }
    if !parser.symbol(b'(') {
        return Err(parser.not_understood());
    }
    if parser.word("LIKE") {
        return parser.table().map(Definition::Like);
    }
    let mut table = Table::default();
    loop {
        item(parser, &mut table)?;
        if parser.symbol(b')') {
            break;
        }
        let is_full = table.columns.len() >= MAX_COLUMNS
            || table.unique_keys.len().max(table.foreign_keys.len()) > MAX_KEYS;
        if is_full || !parser.symbol(b',') {
            return Err(parser.not_understood());
        }
    }
    table_options(parser, &mut table, is_part)?;
    table.settle();
    Ok(Definition::Columns(Box::new(table)))
}

/// A column or a key.
fn item(parser: &mut Parser<'_, '_>, table: &mut Table) -> Result<(), NotUnderstood> {
    if let Some(key) = key(parser)? {
        key.add(table);
        return Ok(());
    }
    let definition = column(parser)?;
    let is_double = table.position(&definition.column.name).is_some();
    if is_double {
        return Err(parser.not_understood());
    }
    definition.add_keys(table);
    table.columns.push(definition.column);
    Ok(())
}

/// Character set, collation, and what adds columns; all else is passed over.
fn table_options(
    parser: &mut Parser<'_, '_>,
    table: &mut Table,
    is_part: bool,
) -> Result<(), NotUnderstood> {
    while let Some(_token) = parser.peek() {
        if charset_option(parser, &mut table.charset, &mut table.collation)? {
            continue;
        }
        if parser.words(&["WITH", "SYSTEM", "VERSIONING"]) {
            add_row_versions(table);
        } else if parser.words(&["PARTITION", "BY"]) {
            // Nothing that matters can follow; a SELECT would have to be looked for.
            return after_partitions(parser, is_part);
        } else if parser.words(&["START", "TRANSACTION"]) || parser.symbol(b',') {
        } else if is_query(parser) {
            return Err(parser.not_understood());
        } else if parser.name().is_ok() {
            // `ENGINE=InnoDB`, `DATA DIRECTORY '…'`, `UNION=(a, b)`.
            let _ = parser.one_of(&["DIRECTORY"]);
            parser.assigned();
        } else if is_part {
            return Ok(());
        } else {
            return Err(parser.not_understood());
        }
    }
    Ok(())
}

/// Columns that a query gives are not told by the statement.
fn is_query(parser: &Parser<'_, '_>) -> bool {
    ["SELECT", "AS", "IGNORE", "REPLACE", "WITH", "TABLE", "VALUES"]
        .iter()
        .any(|word| parser.is_word(word))
        || parser.is_symbol(b'(')
}

fn after_partitions(parser: &mut Parser<'_, '_>, is_part: bool) -> Result<(), NotUnderstood> {
    while let Some(_token) = parser.peek() {
        if parser.is_word("SELECT") && !is_part {
            return Err(parser.not_understood());
        }
        if !parser.group() {
            parser.skip();
        }
    }
    Ok(())
}

/// `[DEFAULT] CHARACTER SET [=] name` or `[DEFAULT] COLLATE [=] name`, if it comes next.
pub(super) fn charset_option(
    parser: &mut Parser<'_, '_>,
    charset: &mut Option<String>,
    collation: &mut Option<String>,
) -> Result<bool, NotUnderstood> {
    let mut ahead = parser.clone();
    ahead.word("DEFAULT");
    let is_charset = ahead.word("CHARSET")
        || ahead.words(&["CHARACTER", "SET"])
        || ahead.words(&["CHAR", "SET"]);
    if !is_charset && !ahead.word("COLLATE") {
        return Ok(false);
    }
    ahead.symbol(b'=');
    let name = match ahead.text() {
        Some(name) => name,
        None => ahead.name()?,
    };
    let name = name.to_ascii_lowercase();
    *parser = ahead;
    let is_default = name == "default";
    if is_charset {
        *charset = (!is_default).then_some(name);
        *collation = None;
    } else {
        if charset.is_none() {
            *charset = charset_of(&name);
        }
        *collation = (!is_default).then_some(name);
    }
    Ok(true)
}

/// MariaDB's columns of system-versioned tables, where they are not named.
pub(super) fn add_row_versions(table: &mut Table) {
    let is_named = |column: &SchemaColumn| column.generated == Some(Generated::RowVersion);
    if table.columns.iter().any(is_named) {
        return;
    }
    for name in ["row_start", "row_end"] {
        table.columns.push(SchemaColumn {
            generated: Some(Generated::RowVersion),
            invisible: true,
            nullable: Some(false),
            ..blank(name.to_owned(), DataType::Timestamp { fraction: 6 })
        });
    }
}

const fn blank(name: String, data_type: DataType) -> SchemaColumn {
    SchemaColumn {
        name,
        data_type,
        unsigned: false,
        is_binary: false,
        charset: None,
        collation: None,
        nullable: Some(true),
        generated: None,
        invisible: false,
        compressed: false,
        on_update_now: false,
    }
}

/// A key or a check, if one comes next.
pub(super) fn key(parser: &mut Parser<'_, '_>) -> Result<Option<KeyDefinition>, NotUnderstood> {
    let name = if parser.word("CONSTRAINT") { constraint_name(parser)? } else { None };
    if parser.words(&["PRIMARY", "KEY"]) {
        let (_, key) = unique(parser, None)?;
        return Ok(Some(KeyDefinition::Primary(UniqueKey { name: None, ..key })));
    }
    if parser.word("UNIQUE") {
        let _ = parser.word("KEY") || parser.word("INDEX");
        let (_, key) = unique(parser, name)?;
        return Ok(Some(KeyDefinition::Unique(key)));
    }
    if parser.words(&["FOREIGN", "KEY"]) {
        return foreign_key(parser, name).map(Some);
    }
    let is_other = parser.one_of(&["KEY", "INDEX", "FULLTEXT", "SPATIAL", "CHECK"])
        || parser.words(&["VECTOR", "KEY"])
        || parser.words(&["VECTOR", "INDEX"])
        || parser.words(&["PERIOD", "FOR"]);
    if is_other {
        parser.skip_item();
        return Ok(Some(KeyDefinition::Other));
    }
    Ok(None)
}

/// The name behind `CONSTRAINT`, which may be missing.
fn constraint_name(parser: &mut Parser<'_, '_>) -> Result<Option<String>, NotUnderstood> {
    let is_missing =
        ["PRIMARY", "UNIQUE", "FOREIGN", "CHECK"].iter().any(|word| parser.is_word(word));
    if is_missing {
        return Ok(None);
    }
    parser.words(&["IF", "NOT", "EXISTS"]);
    parser.name().map(Some)
}

/// `[name] [USING type] (part, …) [option …]`.
pub(super) fn unique(
    parser: &mut Parser<'_, '_>,
    constraint: Option<String>,
) -> Result<(bool, UniqueKey), NotUnderstood> {
    let if_not_exists = parser.words(&["IF", "NOT", "EXISTS"]);
    let mut name = constraint;
    if !parser.is_word("USING") && !parser.is_word("TYPE") && !parser.is_symbol(b'(') {
        name = Some(parser.name()?);
    }
    if parser.word("USING") || parser.word("TYPE") {
        parser.skip();
    }
    let (columns, whole) = key_parts(parser)?;
    parser.skip_item();
    let name = name.or_else(|| columns.first().cloned());
    Ok((if_not_exists, UniqueKey { name, columns, whole }))
}

/// `(column [(length)] [ASC|DESC], …)`, and whether all of it is whole columns.
pub(super) fn key_parts(parser: &mut Parser<'_, '_>) -> Result<(Vec<String>, bool), NotUnderstood> {
    let (mut columns, mut whole) = (Vec::new(), true);
    if !parser.symbol(b'(') {
        return Err(parser.not_understood());
    }
    loop {
        if parser.group() {
            whole = false;
        } else {
            let name = parser.name()?;
            whole &= !parser.group();
            columns.push(name);
        }
        parser.one_of(&["ASC", "DESC"]);
        whole &= !parser.words(&["WITHOUT", "OVERLAPS"]);
        if parser.symbol(b')') {
            return Ok((columns, whole));
        }
        if !parser.symbol(b',') || columns.len() > MAX_COLUMNS {
            return Err(parser.not_understood());
        }
    }
}

fn foreign_key(
    parser: &mut Parser<'_, '_>,
    constraint: Option<String>,
) -> Result<KeyDefinition, NotUnderstood> {
    parser.words(&["IF", "NOT", "EXISTS"]);
    let name = if parser.is_symbol(b'(') { constraint } else { Some(parser.name()?) };
    parser.group();
    if !parser.word("REFERENCES") {
        return Err(parser.not_understood());
    }
    let foreign_key = references(parser, name)?;
    Ok(KeyDefinition::Foreign(foreign_key))
}

/// What follows `REFERENCES`.
fn references(
    parser: &mut Parser<'_, '_>,
    name: Option<String>,
) -> Result<ForeignKey, NotUnderstood> {
    let table = parser.table()?;
    parser.group();
    let mut foreign_key = ForeignKey {
        name,
        database: table.database,
        table: table.table,
        on_delete: Reaction::Refuse,
        on_update: Reaction::Refuse,
    };
    loop {
        if parser.word("MATCH") {
            parser.skip();
        } else if parser.words(&["ON", "DELETE"]) {
            foreign_key.on_delete = reaction(parser)?;
        } else if parser.words(&["ON", "UPDATE"]) {
            foreign_key.on_update = reaction(parser)?;
        } else {
            return Ok(foreign_key);
        }
    }
}

fn reaction(parser: &mut Parser<'_, '_>) -> Result<Reaction, NotUnderstood> {
    if parser.word("CASCADE") {
        Ok(Reaction::Cascade)
    } else if parser.words(&["SET", "NULL"]) || parser.words(&["SET", "DEFAULT"]) {
        Ok(Reaction::SetNull)
    } else if parser.word("RESTRICT") || parser.words(&["NO", "ACTION"]) {
        Ok(Reaction::Refuse)
    } else {
        Err(parser.not_understood())
    }
}

/// A column's name and definition.
pub(super) fn column(parser: &mut Parser<'_, '_>) -> Result<ColumnDefinition, NotUnderstood> {
    let name = parser.name()?;
    column_named(parser, name)
}

/// A column's definition; it ends with a comma, a closing parenthesis, or `FIRST` and `AFTER`.
pub(super) fn column_named(
    parser: &mut Parser<'_, '_>,
    name: String,
) -> Result<ColumnDefinition, NotUnderstood> {
    let named = types::parse(parser)?;
    let mut definition = ColumnDefinition {
        column: blank(name, named.data_type),
        is_primary: false,
        is_unique: named.is_serial,
        foreign_key: None,
    };
    let column = &mut definition.column;
    column.is_binary = named.is_binary;
    column.unsigned = named.is_serial;
    if named.is_binary {
        column.charset = Some("binary".to_owned());
    }
    if named.is_national {
        column.charset = Some("utf8mb3".to_owned());
    }
    if named.is_serial {
        column.nullable = Some(false);
    }
    if matches!(column.data_type, DataType::Timestamp { .. }) {
        column.nullable = None;
    }
    while !is_end_of_column(parser) {
        attribute(parser, &mut definition)?;
    }
    let column = &mut definition.column;
    if column.charset.as_deref() == Some("binary") {
        column.is_binary = true;
    }
    // Virtual columns take NULL unless they say otherwise, and so do all but TIMESTAMP.
    if definition.is_primary {
        column.nullable = Some(false);
    }
    Ok(definition)
}

fn is_end_of_column(parser: &Parser<'_, '_>) -> bool {
    parser.is_at_end()
        || parser.is_symbol(b',')
        || parser.is_symbol(b')')
        || parser.is_word("FIRST")
        || parser.is_word("AFTER")
}

/// One attribute of a column. Those that are not known are not understood: they could change what
/// the column is.
fn attribute(
    parser: &mut Parser<'_, '_>,
    definition: &mut ColumnDefinition,
) -> Result<(), NotUnderstood> {
    let column = &mut definition.column;
    if parser.words(&["NOT", "NULL"]) {
        column.nullable = Some(false);
    } else if parser.word("NULL") {
        column.nullable = Some(true);
    } else if parser.word("UNSIGNED") || parser.word("ZEROFILL") {
        column.unsigned = true;
    } else if parser.word("DEFAULT") {
        parser.value();
    } else if parser.words(&["ON", "UPDATE"]) {
        column.on_update_now = true;
        parser.value();
    } else if parser.words(&["CHARACTER", "SET"]) || parser.word("CHARSET") {
        column.charset = Some(name_or_text(parser)?);
        column.collation = None;
    } else if parser.word("COLLATE") {
        let collation = name_or_text(parser)?;
        if column.charset.is_none() {
            column.charset = charset_of(&collation);
        }
        column.collation = Some(collation);
    } else if parser.word("BYTE") {
        column.charset = Some("binary".to_owned());
    } else if parser.word("ASCII") {
        column.charset = Some("latin1".to_owned());
    } else if parser.word("UNICODE") {
        column.charset = Some("ucs2".to_owned());
    } else if parser.words(&["PRIMARY", "KEY"]) || parser.word("KEY") {
        definition.is_primary = true;
    } else if parser.word("UNIQUE") {
        parser.word("KEY");
        definition.is_unique = true;
    } else if parser.words(&["GENERATED", "ALWAYS", "AS"]) || parser.word("AS") {
        generated(parser, column)?;
    } else if parser.word("REFERENCES") {
        // Without effect beside a column in MySQL, and a foreign key in MariaDB from 10.5 on.
        definition.foreign_key = Some(references(parser, None)?);
    } else {
        return passed_over(parser, column);
    }
    Ok(())
}

/// `(expression)`, or MariaDB's `ROW START` and `ROW END`.
fn generated(parser: &mut Parser<'_, '_>, column: &mut SchemaColumn) -> Result<(), NotUnderstood> {
    column.generated = Some(Generated::Expression);
    if parser.words(&["ROW", "START"]) || parser.words(&["ROW", "END"]) {
        column.generated = Some(Generated::RowVersion);
        column.nullable = Some(false);
        return Ok(());
    }
    if parser.group() {
        return Ok(());
    }
    Err(parser.not_understood())
}

/// Attributes that change nothing of a row.
fn passed_over(
    parser: &mut Parser<'_, '_>,
    column: &mut SchemaColumn,
) -> Result<(), NotUnderstood> {
    if parser.word("INVISIBLE") {
        column.invisible = true;
    } else if parser.word("COMPRESSED") {
        column.compressed = true;
        if parser.symbol(b'=') {
            parser.skip();
        }
    } else if parser.word("CHECK") {
        parser.group();
        parser.word("NOT");
        parser.word("ENFORCED");
    } else if parser.word("CONSTRAINT") {
        // The name of the check that follows, or of nothing.
        if !parser.is_word("CHECK") {
            parser.name()?;
        }
    } else if parser.one_of(&["COMMENT", "COLUMN_FORMAT", "STORAGE", "SRID"]) {
        parser.skip();
    } else if parser.one_of(&["ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE", "REF_SYSTEM_ID"]) {
        parser.assigned();
    } else if parser.words(&["WITHOUT", "SYSTEM", "VERSIONING"])
        || parser.words(&["WITH", "SYSTEM", "VERSIONING"])
        || parser.words(&["NOT", "SECONDARY"])
        || parser.words(&["SERIAL", "DEFAULT", "VALUE"])
        || parser.one_of(&[
            "AUTO_INCREMENT",
            "SIGNED",
            "BINARY",
            "VISIBLE",
            "VIRTUAL",
            "STORED",
            "PERSISTENT",
            "ENFORCED",
        ])
    {
    } else {
        let mut ahead = parser.clone();
        // MariaDB's engines have attributes of their own: `name=value`.
        if ahead.name().is_err() || !ahead.symbol(b'=') {
            return Err(parser.not_understood());
        }
        ahead.value();
        *parser = ahead;
    }
    Ok(())
}

fn name_or_text(parser: &mut Parser<'_, '_>) -> Result<String, NotUnderstood> {
    let name = match parser.text() {
        Some(name) => name,
        None => parser.name()?,
    };
    Ok(name.to_ascii_lowercase())
}

/// Whether a key is the one of this name.
pub(super) fn is_named(key: &UniqueKey, name: &str) -> bool {
    key.name.as_deref().is_some_and(|it| same(it, name))
}
