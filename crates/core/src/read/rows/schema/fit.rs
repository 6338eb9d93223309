//! Whether a table as it is known is the one that a table map describes.

use std::fmt;

use super::table::{SchemaColumn, Table};
use super::types::DataType;
use crate::event::column_type as ty;
use crate::event::table_map::Column;

/// Why a table as it is known is not the one that a table map describes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misfit {
    /// Another number of columns.
    #[error("the schema has {schema} columns, the log {log}")]
    Count {
        /// Columns in the schema.
        schema: usize,
        /// Columns in the table map.
        log: usize,
    },
    /// A column of another type.
    #[error("column {number} is `{name}` {schema} in the schema, and {log} in the log")]
    Type {
        /// The column's place, counted from 1.
        number: usize,
        /// Its name in the schema.
        name: String,
        /// Its type in the schema.
        schema: String,
        /// Its type in the log.
        log: LoggedType,
    },
    /// A column that takes NULL in one of the two alone.
    #[error("column {number}, `{name}`, {} in the schema and {} in the log", takes(*.schema), takes(!*.schema))]
    Nullability {
        /// The column's place, counted from 1.
        number: usize,
        /// Its name in the schema.
        name: String,
        /// Whether it takes NULL in the schema.
        schema: bool,
    },
}

const fn takes(null: bool) -> &'static str {
    if null { "takes NULL" } else { "is NOT NULL" }
}

impl Table {
    /// Whether the table may be the one of a table map, by its number of columns, their types with
    /// all that belongs to them, and whether they take NULL. `nulls`: the bits of the columns that
    /// do, the first in the lowest bit of the first byte; where it is too short nothing is said of
    /// them.
    ///
    /// # Errors
    /// [`Misfit`]: the first one that is found.
    pub fn fits(&self, columns: &[Column], nulls: &[u8]) -> Result<(), Misfit> {
        if self.columns.len() != columns.len() {
            return Err(Misfit::Count { schema: self.columns.len(), log: columns.len() });
        }
        let both = self.columns.iter().zip(columns).enumerate();
        for (index, (schema, column)) in both {
            let number = index.saturating_add(1);
            if !is_logged_as(schema, *column) {
                return Err(Misfit::Type {
                    number,
                    name: schema.name.clone(),
                    schema: declared(schema),
                    log: LoggedType(*column),
                });
            }
            let takes_null = nulls.get(index / 8).map(|byte| byte >> (index % 8) & 1 == 1);
            if let (Some(in_schema), Some(in_log)) = (schema.nullable, takes_null)
                && in_schema != in_log
            {
                let name = schema.name.clone();
                return Err(Misfit::Nullability { number, name, schema: in_schema });
            }
        }
        Ok(())
    }
}

/// A column's type in words, with what decides how it is logged.
fn declared(column: &SchemaColumn) -> String {
    let name = column.data_type.to_string();
    let name = match (&column.data_type, column.is_binary) {
        (DataType::Char { .. } | DataType::VarChar { .. }, true) => name.replace("CHAR", "BINARY"),
        (DataType::Text { .. }, true) => name.replace("TEXT", "BLOB"),
        _ => name,
    };
    if column.compressed { format!("{name} COMPRESSED") } else { name }
}

/// Whether servers log a column of the schema with this type and metadata (server sources:
/// `Field_*::do_save_field_metadata`, `binlog_type`).
fn is_logged_as(schema: &SchemaColumn, column: Column) -> bool {
    let [first, second] = column.metadata;
    let kind = column.column_type;
    let is = |expected: u8| kind == expected;
    match &schema.data_type {
        DataType::TinyInt => is(ty::TINY),
        DataType::SmallInt => is(ty::SHORT),
        DataType::MediumInt => is(ty::INT24),
        DataType::Int => is(ty::LONG),
        DataType::BigInt => is(ty::LONGLONG),
        DataType::Float => is(ty::FLOAT),
        DataType::Double => is(ty::DOUBLE),
        DataType::Decimal { precision, scale } => {
            is(ty::NEWDECIMAL) && (first, second) == (*precision, *scale)
        }
        DataType::Bit { bits } => is(ty::BIT) && (first, second) == (bits % 8, bits / 8),
        DataType::Year => is(ty::YEAR),
        DataType::Date => is(ty::DATE) || is(ty::NEWDATE),
        // The types from before fractions have no metadata; MariaDB may still write them.
        DataType::Time { fraction } => is(ty::TIME) || is(ty::TIME2) && first == *fraction,
        DataType::DateTime { fraction } => {
            is(ty::DATETIME) || is(ty::DATETIME2) && first == *fraction
        }
        DataType::Timestamp { fraction } => {
            is(ty::TIMESTAMP) || is(ty::TIMESTAMP2) && first == *fraction
        }
        DataType::Char { length } => {
            is(ty::STRING)
                && !matches!(first, ty::ENUM | ty::SET)
                && fits_length(schema, *length, char_bytes(column))
        }
        DataType::VarChar { length } => is_varchar(schema, *length, column),
        DataType::Text { width } => {
            let kind_fits = if schema.compressed { is(ty::BLOB_COMPRESSED) } else { is(ty::BLOB) };
            kind_fits && width.is_none_or(|width| width == first)
        }
        // MariaDB's JSON is LONGTEXT.
        DataType::Json => is(ty::JSON) || is(ty::BLOB) && first == 4,
        DataType::Geometry => is(ty::GEOMETRY),
        // MariaDB stores vectors as VARBINARY.
        DataType::Vector { .. } => is(ty::VECTOR) || is(ty::VARCHAR),
        DataType::Enum { members } => is_packed(column, ty::ENUM, enum_bytes(members.len())),
        DataType::Set { members } => is_packed(column, ty::SET, set_bytes(members.len())),
        DataType::Uuid | DataType::Inet6 => is_fixed(column, 16),
        DataType::Inet4 => is_fixed(column, 4),
    }
}

fn is_varchar(schema: &SchemaColumn, length: u32, column: Column) -> bool {
    let kind_fits = match column.column_type {
        ty::VARCHAR_COMPRESSED => schema.compressed,
        // Tables from before 5.0.3 have the last one.
        ty::VARCHAR | ty::VAR_STRING => !schema.compressed,
        _ => false,
    };
    let bytes = u32::from(u16::from_le_bytes(column.metadata));
    // A compressed one counts the byte that tells how.
    let bytes = bytes.saturating_sub(u32::from(schema.compressed));
    kind_fits && fits_length(schema, length, bytes)
}

/// Whether so many characters may take so many bytes at most: as many for each as the character
/// set's longest one takes.
fn fits_length(schema: &SchemaColumn, length: u32, bytes: u32) -> bool {
    if length == 0 || bytes == 0 {
        return length == bytes;
    }
    if schema.is_binary {
        return length == bytes;
    }
    let each = bytes.checked_div(length).unwrap_or_default();
    bytes.is_multiple_of(length) && (1..=4).contains(&each)
}

/// The longest value of a CHAR in bytes. Two bits of it hide, inverted, in the byte of the type.
fn char_bytes(column: Column) -> u32 {
    let [first, second] = column.metadata;
    let high = u32::from(!first & 0x30) << 4;
    high | u32::from(second)
}

/// ENUM and SET stand in the disguise of CHAR.
fn is_packed(column: Column, real: u8, bytes: u8) -> bool {
    let disguised = column.column_type == ty::STRING && column.metadata == [real, bytes];
    disguised || column.column_type == real && column.metadata.contains(&bytes)
}

fn is_fixed(column: Column, bytes: u32) -> bool {
    column.column_type == ty::STRING && char_bytes(column) == bytes
}

const fn enum_bytes(members: usize) -> u8 {
    if members < 256 { 1 } else { 2 }
}

/// A bit each; five bytes and more are eight.
fn set_bytes(members: usize) -> u8 {
    let bytes = members.div_ceil(8);
    u8::try_from(bytes).map_or(8, |bytes| if bytes > 4 { 8 } else { bytes })
}

/// The type of a column as a table map has it, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggedType(pub Column);

impl fmt::Display for LoggedType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(column) = self;
        let [first, second] = column.metadata;
        let bytes = u16::from_le_bytes(column.metadata);
        match column.column_type {
            ty::TINY => f.write_str("TINYINT"),
            ty::SHORT => f.write_str("SMALLINT"),
            ty::INT24 => f.write_str("MEDIUMINT"),
            ty::LONG => f.write_str("INT"),
            ty::LONGLONG => f.write_str("BIGINT"),
            ty::FLOAT => f.write_str("FLOAT"),
            ty::DOUBLE => f.write_str("DOUBLE"),
            ty::NEWDECIMAL => write!(f, "DECIMAL({first},{second})"),
            ty::BIT => {
                let bits = u16::from(second).saturating_mul(8).saturating_add(u16::from(first));
                write!(f, "BIT({bits})")
            }
            ty::YEAR => f.write_str("YEAR"),
            ty::DATE | ty::NEWDATE => f.write_str("DATE"),
            ty::TIME => f.write_str("TIME"),
            ty::DATETIME => f.write_str("DATETIME"),
            ty::TIMESTAMP => f.write_str("TIMESTAMP"),
            ty::TIME2 => write!(f, "TIME({first})"),
            ty::DATETIME2 => write!(f, "DATETIME({first})"),
            ty::TIMESTAMP2 => write!(f, "TIMESTAMP({first})"),
            ty::VARCHAR | ty::VAR_STRING => write!(f, "VARCHAR of up to {bytes} bytes"),
            ty::VARCHAR_COMPRESSED => write!(f, "VARCHAR COMPRESSED of up to {bytes} bytes"),
            ty::STRING if first == ty::ENUM => write!(f, "ENUM of {second} bytes"),
            ty::STRING if first == ty::SET => write!(f, "SET of {second} bytes"),
            ty::STRING => write!(f, "CHAR of {} bytes", char_bytes(*column)),
            ty::BLOB => f.write_str(match first {
                1 => "TINYTEXT or TINYBLOB",
                3 => "MEDIUMTEXT or MEDIUMBLOB",
                4 => "LONGTEXT or LONGBLOB",
                _ => "TEXT or BLOB",
            }),
            ty::BLOB_COMPRESSED => f.write_str("TEXT or BLOB COMPRESSED"),
            ty::JSON => f.write_str("JSON"),
            ty::GEOMETRY => f.write_str("GEOMETRY"),
            ty::VECTOR => f.write_str("VECTOR"),
            other => write!(f, "type {other}"),
        }
    }
}
