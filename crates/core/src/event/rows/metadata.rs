//! A table from its table map, with the optional metadata: what `binlog_row_metadata` makes a server
//! write of a table's columns (MySQL 8.0.1 and later, MariaDB 10.5 and later).
//!
//! The metadata is fields, each a type byte, a packed length and that many bytes (server source:
//! `Table_map_log_event::init_metadata_fields`). Lists go over the columns of some types alone, in
//! the table's order. Bitmaps begin with the highest bit.

use std::sync::Arc;

use super::charset::Charset;
use super::kind::Kind;
use super::table::{Column, MAX_COLUMNS, Table, TableError};
use crate::bytes::{Cursor, OutOfBytes, bit};
use crate::event::column_type as ty;
use crate::event::table_map::{self, TableMap, length};

const SIGNEDNESS: u8 = 1;
const DEFAULT_CHARSET: u8 = 2;
const COLUMN_CHARSET: u8 = 3;
const COLUMN_NAME: u8 = 4;
const SET_STR_VALUE: u8 = 5;
const ENUM_STR_VALUE: u8 = 6;
const SIMPLE_PRIMARY_KEY: u8 = 8;
const PRIMARY_KEY_WITH_PREFIX: u8 = 9;
const ENUM_AND_SET_DEFAULT_CHARSET: u8 = 10;
const ENUM_AND_SET_COLUMN_CHARSET: u8 = 11;
const COLUMN_VISIBILITY: u8 = 12;

impl Table {
    /// Reads the body of a TABLE_MAP event, with what `binlog_row_metadata` put into it. Optional
    /// metadata that is damaged or cut is left aside from there on: rows can be read without.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn parse(body: &[u8]) -> Result<Self, TableError> {
        Self::parse_of(body, None)
    }

    /// The same where it is known whether MariaDB wrote it, or MySQL. Without that, character sets may be
    /// those of other columns in a table of MariaDB that has a geometry.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn parse_of(body: &[u8], is_mariadb: Option<bool>) -> Result<Self, TableError> {
        let map = TableMap::parse(body)?;
        if map.columns.len() > MAX_COLUMNS {
            return Err(TableError::TooManyColumns { found: map.columns.len() });
        }
        if !map.has_metadata {
            return Err(TableError::NoMetadata);
        }
        let column = |(index, &column): (usize, &table_map::Column)| Column {
            logged: column,
            kind: Kind::of(column),
            name: None,
            unsigned: None,
            charset: match column.column_type {
                ty::JSON => Charset::UTF8MB4,
                _ => Charset::Unknown,
            },
            nullable: bit(map.nullable, index),
            members: Arc::new([]),
            visible: None,
            generated: false,
            meaning: None,
        };
        let mut table = Self {
            table_id: map.table_id,
            database: map.database.to_vec(),
            name: map.table.to_vec(),
            columns: map.columns.iter().enumerate().map(column).collect(),
            primary_key: Vec::new(),
            is_versioned: false,
        };
        apply(&mut table, &map.columns, map.optional, is_mariadb);
        Ok(table)
    }
}

/// Puts what the fields tell into the table's columns.
fn apply(table: &mut Table, types: &[table_map::Column], fields: &[u8], is_mariadb: Option<bool>) {
    let mut cursor = Cursor::new(fields);
    while cursor.remaining() > 0 {
        let Ok((field, value)) = field(&mut cursor) else {
            return;
        };
        if one(table, (types, is_mariadb), field, value).is_err() {
            return;
        }
    }
}

fn field<'a>(cursor: &mut Cursor<'a>) -> Result<(u8, &'a [u8]), OutOfBytes> {
    let field = cursor.u8()?;
    let length = length(cursor)?;
    Ok((field, cursor.take(length)?))
}

fn one(
    table: &mut Table,
    (types, is_mariadb): (&[table_map::Column], Option<bool>),
    field: u8,
    value: &[u8],
) -> Result<(), OutOfBytes> {
    let mut cursor = Cursor::new(value);
    match field {
        SIGNEDNESS => signedness(table, types, value),
        COLUMN_NAME => names(table, &mut cursor)?,
        COLUMN_CHARSET => {
            let list = packed_list(&mut cursor)?;
            let columns = character_columns(types, Lists::of(is_mariadb, types, Some(list.len())));
            give_charsets(table, &columns, |at| list.get(at).copied());
        }
        DEFAULT_CHARSET => {
            let columns = character_columns(types, Lists::of(is_mariadb, types, None));
            default_charsets(table, &mut cursor, &columns)?;
        }
        ENUM_AND_SET_COLUMN_CHARSET => {
            let list = packed_list(&mut cursor)?;
            give_charsets(table, &member_columns(table), |at| list.get(at).copied());
        }
        ENUM_AND_SET_DEFAULT_CHARSET => {
            let columns = member_columns(table);
            default_charsets(table, &mut cursor, &columns)?;
        }
        ENUM_STR_VALUE => members(table, &mut cursor, |kind| matches!(kind, Kind::Enum { .. }))?,
        SET_STR_VALUE => members(table, &mut cursor, |kind| matches!(kind, Kind::Set { .. }))?,
        SIMPLE_PRIMARY_KEY => table.primary_key = key(table, packed_list(&mut cursor)?),
        PRIMARY_KEY_WITH_PREFIX => {
            let pairs = packed_list(&mut cursor)?;
            table.primary_key = key(table, pairs.into_iter().step_by(2).collect());
        }
        COLUMN_VISIBILITY => {
            for (index, column) in table.columns.iter_mut().enumerate() {
                column.visible = Some(high_bit(value, index));
            }
        }
        _ => {}
    }
    Ok(())
}

fn high_bit(bitmap: &[u8], index: usize) -> bool {
    let shift = 7_usize.saturating_sub(index % 8);
    bitmap.get(index / 8).is_some_and(|byte| byte >> shift & 1 == 1)
}

fn is_numeric(column_type: u8) -> bool {
    matches!(
        column_type,
        ty::TINY
            | ty::SHORT
            | ty::INT24
            | ty::LONG
            | ty::LONGLONG
            | ty::NEWDECIMAL
            | ty::FLOAT
            | ty::DOUBLE
            | ty::YEAR
    )
}

fn signedness(table: &mut Table, types: &[table_map::Column], bitmap: &[u8]) {
    let numeric =
        table.columns.iter_mut().zip(types).filter(|(_, column)| is_numeric(column.column_type));
    for (index, (column, _)) in numeric.enumerate() {
        column.unsigned = Some(high_bit(bitmap, index));
    }
}

fn names(table: &mut Table, cursor: &mut Cursor<'_>) -> Result<(), OutOfBytes> {
    for column in &mut table.columns {
        let length = length(cursor)?;
        column.name = Some(Arc::from(cursor.take(length)?));
    }
    table.is_versioned = table.has_row_versions();
    Ok(())
}

/// Packed numbers up to the end.
fn packed_list(cursor: &mut Cursor<'_>) -> Result<Vec<usize>, OutOfBytes> {
    let mut list = Vec::new();
    while cursor.remaining() > 0 {
        list.push(length(cursor)?);
    }
    Ok(list)
}

/// The columns that have a character set in the lists, binary ones with them; ENUM and SET have lists of
/// their own. Seen in table maps of MySQL 9.7, MariaDB 10.11 and 11.8 that have every type.
fn character_columns(types: &[table_map::Column], lists: Lists) -> Vec<usize> {
    let is = |column: &table_map::Column| match column.column_type {
        ty::VARCHAR | ty::VAR_STRING | ty::BLOB | ty::TINY_BLOB..=ty::LONG_BLOB => true,
        ty::STRING => !matches!(column.metadata, [ty::ENUM | ty::SET, _]),
        // MySQL's, and MariaDB's.
        ty::VECTOR | ty::BLOB_COMPRESSED | ty::VARCHAR_COMPRESSED => true,
        ty::GEOMETRY => lists.have_geometry,
        _ => false,
    };
    types.iter().enumerate().filter(|(_, column)| is(column)).map(|(index, _)| index).collect()
}

/// What differs between the lists of servers.
#[derive(Debug, Clone, Copy)]
struct Lists {
    /// MariaDB counts geometry among the texts, and MySQL does not.
    have_geometry: bool,
}

impl Lists {
    /// Where it is not known whose they are, a list tells by its length, if it has an entry for each
    /// column; MySQL's are the more frequent ones.
    fn of(is_mariadb: Option<bool>, types: &[table_map::Column], listed: Option<usize>) -> Self {
        let without = Self { have_geometry: false };
        let is_longer =
            || listed.is_some_and(|listed| listed != character_columns(types, without).len());
        Self { have_geometry: is_mariadb.unwrap_or_else(is_longer) }
    }
}

fn member_columns(table: &Table) -> Vec<usize> {
    let is = |kind| matches!(kind, Kind::Enum { .. } | Kind::Set { .. });
    let indexed = table.columns.iter().enumerate();
    indexed.filter(|(_, column)| is(column.kind)).map(|(index, _)| index).collect()
}

fn give_charsets(table: &mut Table, columns: &[usize], collation: impl Fn(usize) -> Option<usize>) {
    for (at, &index) in columns.iter().enumerate() {
        let charset = collation(at).map(Charset::of_collation);
        if let (Some(column), Some(charset)) = (table.columns.get_mut(index), charset) {
            column.charset = charset;
        }
    }
}

/// The most frequent collation; then pairs of a column, counted among those that have one, and its
/// own.
fn default_charsets(
    table: &mut Table,
    cursor: &mut Cursor<'_>,
    columns: &[usize],
) -> Result<(), OutOfBytes> {
    let default = length(cursor)?;
    give_charsets(table, columns, |_| Some(default));
    while cursor.remaining() > 0 {
        let (at, collation) = (length(cursor)?, length(cursor)?);
        let column = columns.get(at).and_then(|&index| table.columns.get_mut(index));
        if let Some(column) = column {
            column.charset = Charset::of_collation(collation);
        }
    }
    Ok(())
}

/// For each column: count of members, and each behind its length.
fn members(
    table: &mut Table,
    cursor: &mut Cursor<'_>,
    is: impl Fn(Kind) -> bool,
) -> Result<(), OutOfBytes> {
    for column in table.columns.iter_mut().filter(|column| is(column.kind)) {
        let count = length(cursor)?;
        let mut members: Vec<Box<[u8]>> = Vec::new();
        for _ in 0..count {
            let length = length(cursor)?;
            members.push(cursor.take(length)?.into());
        }
        column.members = members.into();
    }
    Ok(())
}

/// The columns of a key; none of it where one is not there.
fn key(table: &Table, columns: Vec<usize>) -> Vec<usize> {
    let width = table.columns.len();
    if columns.iter().all(|&column| column < width) { columns } else { Vec::new() }
}
