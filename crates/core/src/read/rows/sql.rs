//! Rows as statements that a server runs.
//!
//! Every literal means what it says under the session settings of [`PRELUDE`], whatever the character set
//! of a column.

pub(super) mod json;

use std::io::Write as _;

use super::number;
use crate::event::rows::charset::Charset;
use crate::event::rows::kind::Kind;
use crate::event::rows::op::Op;
use crate::event::rows::reader::Row;
use crate::event::rows::table::{Column, Meaning, Table};
use crate::event::rows::value::{Image, Value};

/// The statement that makes a session strict, in which each literal means what it says.
macro_rules! strict {
    () => {
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES';\n"
    };
}

/// What a session must be set to before the statements.
pub const PRELUDE: &str =
    concat!("SET NAMES utf8mb4;\n", "SET SESSION time_zone = '+00:00';\n", strict!());

/// What stands before a statement that no strict session runs; [`STRICT`] stands behind it.
const LENIENT: &str = "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES';\n";
const STRICT: &str = strict!();

/// Whether an image has the value of an ENUM that is none of its members: servers put it there where
/// they are not strict, and take it there alone.
pub(super) fn has_error_value(image: &Image<'_>) -> bool {
    image.iter().any(|value| matches!(value, Some(Value::Enum(0))))
}

/// Appends statements, for a session that is not strict where that is needed.
pub(super) fn leniently<E>(
    out: &mut Vec<u8>,
    is_lenient: bool,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    if !is_lenient {
        return write(out);
    }
    out.extend_from_slice(LENIENT.as_bytes());
    write(out)?;
    out.extend_from_slice(STRICT.as_bytes());
    Ok(())
}

/// Whose SQL is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dialect {
    /// MariaDB's; else MySQL's.
    pub is_mariadb: bool,
}

/// Why a row is no statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoStatement {
    /// A column has no name.
    #[error(
        "the names of the columns are not known; --schema FILE, a dump of the table, tells them"
    )]
    Unnamed,
    /// A JSON document is damaged.
    #[error("a JSON document cannot be read")]
    Json,
    /// Its transaction was prepared, and the logs do not tell how it ended.
    #[error(
        "its transaction was prepared (XA), and these logs do not tell whether it was committed; name those behind \
         them, too"
    )]
    Prepared,
    /// The server writes rows of the table by itself.
    #[error(
        "the table keeps old rows (WITH SYSTEM VERSIONING), which the server writes by itself; --format json has \
         the values"
    )]
    Versioned,
    /// There is nothing by which the row could be found.
    #[error("the row image has no column")]
    Empty,
}

/// Appends a name in backticks.
pub fn identifier(out: &mut Vec<u8>, name: &[u8]) {
    out.push(b'`');
    if !name.contains(&b'`') {
        out.extend_from_slice(name);
        out.push(b'`');
        return;
    }
    let mut pieces = name.split(|&byte| byte == b'`');
    out.extend_from_slice(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.extend_from_slice(b"``");
        out.extend_from_slice(piece);
    }
    out.push(b'`');
}

/// Appends the table's full name.
pub fn table_name(out: &mut Vec<u8>, table: &Table) {
    identifier(out, &table.database);
    out.push(b'.');
    identifier(out, &table.name);
}

pub(super) fn column_name(out: &mut Vec<u8>, column: &Column) -> Result<(), NoStatement> {
    let name = column.name.as_deref().ok_or(NoStatement::Unnamed)?;
    identifier(out, name);
    Ok(())
}

/// Appends the statement that does to a row what was done to it, without a semicolon.
///
/// # Errors
/// [`NoStatement`]; what was appended before is not to be used then.
pub fn statement(
    out: &mut Vec<u8>,
    table: &Table,
    row: &Row<'_>,
    dialect: Dialect,
) -> Result<(), NoStatement> {
    if table.is_versioned && dialect.is_mariadb {
        return Err(NoStatement::Versioned);
    }
    match row.op {
        Op::Insert => insert(out, table, &row.after, dialect),
        Op::Update => update(out, table, (&row.before, &row.after), dialect),
        Op::Delete => delete(out, table, &row.before, dialect),
    }
}

/// Appends an INSERT of an image. Columns that the server computes are left out.
///
/// # Errors
/// [`NoStatement`].
pub fn insert(
    out: &mut Vec<u8>,
    table: &Table,
    image: &Image<'_>,
    dialect: Dialect,
) -> Result<(), NoStatement> {
    out.extend_from_slice(b"INSERT INTO ");
    table_name(out, table);
    let is_whole = || {
        table.columns.iter().zip(image).all(|(column, value)| value.is_some() && !column.generated)
    };
    // Without names the values stand in the table's order, if all are there.
    if table.has_names() {
        let mut separator: &[u8] = b" (";
        for (column, _) in settable(table, image) {
            out.extend_from_slice(separator);
            column_name(out, column)?;
            separator = b", ";
        }
        out.extend_from_slice(if separator == b" (" { b" ()" } else { b")" });
    } else if image.iter().all(Option::is_none) {
        out.extend_from_slice(b" ()");
    } else if !is_whole() {
        return Err(NoStatement::Unnamed);
    }
    out.extend_from_slice(b" VALUES (");
    for (at, (column, value)) in settable(table, image).enumerate() {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        literal(out, value, column, dialect)?;
    }
    out.push(b')');
    Ok(())
}

fn settable<'i, 'v>(
    table: &'i Table,
    image: &'i Image<'v>,
) -> impl Iterator<Item = (&'i Column, &'i Value<'v>)> {
    let there = table.columns.iter().zip(image).filter(|(column, _)| !column.generated);
    there.filter_map(|(column, value)| Some((column, value.as_ref()?)))
}

/// Appends an UPDATE that makes the second image of the first.
///
/// # Errors
/// [`NoStatement`].
pub fn update(
    out: &mut Vec<u8>,
    table: &Table,
    (before, after): (&Image<'_>, &Image<'_>),
    dialect: Dialect,
) -> Result<(), NoStatement> {
    out.extend_from_slice(b"UPDATE ");
    table_name(out, table);
    out.extend_from_slice(b" SET ");
    assignments(out, table, (before, after), dialect)?;
    out.extend_from_slice(b" WHERE ");
    condition(out, table, before, dialect)?;
    out.extend_from_slice(b" LIMIT 1");
    Ok(())
}

/// Appends a DELETE of the row that an image shows.
///
/// # Errors
/// [`NoStatement`].
pub fn delete(
    out: &mut Vec<u8>,
    table: &Table,
    image: &Image<'_>,
    dialect: Dialect,
) -> Result<(), NoStatement> {
    out.extend_from_slice(b"DELETE FROM ");
    table_name(out, table);
    out.extend_from_slice(b" WHERE ");
    condition(out, table, image, dialect)?;
    out.extend_from_slice(b" LIMIT 1");
    Ok(())
}

/// Appends `column = value, …` for what the second image changes of the first, and for all moments: an
/// UPDATE that does not name a column with ON UPDATE CURRENT_TIMESTAMP would change it.
///
/// # Errors
/// [`NoStatement`].
pub fn assignments(
    out: &mut Vec<u8>,
    table: &Table,
    (before, after): (&Image<'_>, &Image<'_>),
    dialect: Dialect,
) -> Result<(), NoStatement> {
    let is_moment = |value: &Value<'_>| matches!(value, Value::Timestamp(_) | Value::DateTime(_));
    let is_same = |index: usize, value: &Value<'_>| {
        before.get(index).and_then(Option::as_ref).is_some_and(|old| old == value)
    };
    let mut written = 0_usize;
    for keep_same in [false, true] {
        for (index, (column, value)) in table.columns.iter().zip(after).enumerate() {
            let Some(value) = value.as_ref().filter(|_| !column.generated) else {
                continue;
            };
            let same = is_same(index, value);
            if if keep_same { written > 0 } else { same && !is_moment(value) } {
                continue;
            }
            if written > 0 {
                out.extend_from_slice(b", ");
            }
            // A row that is as it was gets its first column anew: some statement must stand here.
            written = written.saturating_add(1);
            column_name(out, column)?;
            out.extend_from_slice(b" = ");
            assigned(out, value, column, dialect)?;
        }
        if written > 0 {
            return Ok(());
        }
    }
    Err(NoStatement::Empty)
}

fn assigned(
    out: &mut Vec<u8>,
    value: &Value<'_>,
    column: &Column,
    dialect: Dialect,
) -> Result<(), NoStatement> {
    let Value::JsonDiff(diff) = value else {
        return literal(out, value, column, dialect);
    };
    let mut name = Vec::new();
    column_name(&mut name, column)?;
    json::changed(out, &name, diff)
}

/// Appends the condition that finds a row by its image: the columns of the primary key where it is
/// known, else all that are there.
///
/// # Errors
/// [`NoStatement`].
pub fn condition(
    out: &mut Vec<u8>,
    table: &Table,
    image: &Image<'_>,
    dialect: Dialect,
) -> Result<(), NoStatement> {
    let there = |index: usize| Some((table.columns.get(index)?, image.get(index)?.as_ref()?));
    let key = &table.primary_key;
    let has_key = !key.is_empty() && key.iter().all(|&index| there(index).is_some());
    let mut written = 0_usize;
    let mut write = |index: usize| {
        let Some((column, value)) = there(index) else {
            return Ok(());
        };
        if written > 0 {
            out.extend_from_slice(b" AND ");
        }
        written = written.saturating_add(1);
        equals(out, value, column, dialect)
    };
    if has_key {
        key.iter().try_for_each(|&index| write(index))?;
    } else {
        (0..table.columns.len()).try_for_each(write)?;
    }
    if written == 0 { Err(NoStatement::Empty) } else { Ok(()) }
}

/// Appends `column <=> value`, true for NULL, too.
pub(super) fn equals(
    out: &mut Vec<u8>,
    value: &Value<'_>,
    column: &Column,
    dialect: Dialect,
) -> Result<(), NoStatement> {
    let padded = padded_bytes(value, column);
    if padded.is_some() {
        out.push(b'(');
    }
    // Servers compare a SET with a large number as if both were rounded, and vectors not at all.
    let cast: Option<&[u8]> = match (value, column.kind) {
        (Value::Set(_), _) => Some(b" AS UNSIGNED)"),
        (_, Kind::Vector { .. }) => Some(b" AS BINARY)"),
        _ => None,
    };
    out.extend_from_slice(if cast.is_some() { b"CAST(" } else { b"" });
    column_name(out, column)?;
    out.extend_from_slice(cast.unwrap_or_default());
    out.extend_from_slice(b" <=> ");
    match value {
        Value::Json(document) if !dialect.is_mariadb => json::as_json(out, document)?,
        value => literal(out, value, column, dialect)?,
    }
    if let Some(padded) = padded {
        out.extend_from_slice(b" OR ");
        column_name(out, column)?;
        out.extend_from_slice(b" <=> ");
        hex(out, &padded);
        out.push(b')');
    }
    Ok(())
}

/// What a value of a column is with the zero bytes that BINARY has at its end, and logs do not, where
/// it is not known whether the column is BINARY or CHAR.
fn padded_bytes(value: &Value<'_>, column: &Column) -> Option<Vec<u8>> {
    let (Value::Bytes(bytes), Kind::Fixed { longest, .. }) = (value, column.kind) else {
        return None;
    };
    let is_short = bytes.len() < usize::from(longest);
    let is_open = column.charset == Charset::Unknown && column.meaning.is_none();
    (is_short && is_open).then(|| padded(bytes, longest))
}

pub(super) fn padded(bytes: &[u8], longest: u16) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.resize(usize::from(longest).max(bytes.len()), 0);
    padded
}

/// Appends a value as a literal.
///
/// # Errors
/// [`NoStatement::Json`].
pub fn literal(
    out: &mut Vec<u8>,
    value: &Value<'_>,
    column: &Column,
    dialect: Dialect,
) -> Result<(), NoStatement> {
    match value {
        Value::Null => out.extend_from_slice(b"NULL"),
        Value::Int(value) => number::signed(out, *value),
        Value::UInt(value) => number::unsigned(out, *value),
        // As the DOUBLE that it exactly is: the nearest shorter number may be out of range.
        Value::Float(value) => double(out, f64::from(*value)),
        Value::Double(value) => double(out, *value),
        Value::Decimal(value) => value.write(out),
        Value::Bit { bits, width } => {
            let _ = write!(out, "b'{bits:0width$b}'", width = usize::from(*width));
        }
        Value::Year(year) => number::unsigned(out, u64::from(*year)),
        Value::Date(_) | Value::Time(_) | Value::DateTime(_) | Value::Timestamp(_) => {
            out.push(b'\'');
            temporal(out, value);
            out.push(b'\'');
        }
        Value::Bytes(bytes) => text(out, bytes, column),
        Value::Enum(number) => member(out, *number, column),
        Value::Set(bits) => number::unsigned(out, *bits),
        Value::Json(document) => json::literal(out, document)?,
        Value::JsonDiff(_) => return Err(NoStatement::Json),
        Value::Geometry(bytes) => geometry(out, bytes, dialect),
        Value::Vector(bytes) => hex(out, bytes),
    }
    Ok(())
}

/// Appends a date or a time as the server prints it.
pub(super) fn temporal(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Date(date) => date.write(out),
        Value::Time(time) => time.write(out),
        Value::DateTime(time) => time.write(out),
        Value::Timestamp(time) => time.write(out),
        _ => {}
    }
}

fn double(out: &mut Vec<u8>, value: f64) {
    let _ = write!(out, "{value:e}");
}

/// Appends `X'…'`.
pub fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(b"X'");
    out.reserve(bytes.len().saturating_mul(2));
    let digit = |four: u8| DIGITS.get(usize::from(four & 15)).copied().unwrap_or(b'0');
    for byte in bytes {
        out.extend_from_slice(&[digit(byte >> 4), digit(*byte)]);
    }
    out.push(b'\'');
}

/// Texts as they are where they are UTF-8 and nothing in them acts on who reads them, else in
/// hexadecimal digits with the name of their character set. Where that is not known `_binary` keeps the
/// server from converting them.
fn text(out: &mut Vec<u8>, bytes: &[u8], column: &Column) {
    if let Some(meaning) = column.meaning {
        return network(out, bytes, meaning);
    }
    if bytes.is_empty() && column.charset != Charset::Binary {
        out.extend_from_slice(b"''");
        return;
    }
    match column.charset {
        Charset::Binary => hex(out, bytes),
        Charset::Unknown if is_readable(bytes) => {
            out.extend_from_slice(b"_binary");
            quoted(out, bytes);
        }
        Charset::Unknown => hex(out, bytes),
        charset if charset.is_utf8() && is_readable(bytes) => quoted(out, bytes),
        charset if charset.has_ascii() && bytes.is_ascii() && is_readable(bytes) => {
            quoted(out, bytes);
        }
        Charset::Named(name) => {
            let _ = write!(out, "_{name} ");
            hex(out, bytes);
        }
    }
}

/// Whether bytes are UTF-8 without characters that a terminal obeys; lines and tabs aside, which are
/// written as escapes.
pub(super) fn is_readable(bytes: &[u8]) -> bool {
    let is_control = |byte: &u8| matches!(byte, 1..=8 | 11 | 12 | 14..=25 | 27..=31 | 127);
    if bytes.is_ascii() {
        // Every byte is looked at, so that many are at once.
        return !bytes.iter().fold(false, |any, byte| any | is_control(byte));
    }
    let acts = |character: char| {
        matches!(character, '\u{80}'..='\u{9F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
            || character.is_ascii() && u8::try_from(character).is_ok_and(|byte| is_control(&byte))
    };
    std::str::from_utf8(bytes).is_ok_and(|text| !text.contains(acts))
}

/// Appends a string in quotes.
pub(super) fn quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'\'');
    let mut rest = text;
    let is_odd = |byte: &u8| matches!(byte, b'\'' | b'\\' | 0 | b'\n' | b'\r' | b'\t' | 26);
    // Most have none, which many bytes at once tell.
    if !text.iter().fold(false, |any, byte| any | is_odd(byte)) {
        out.extend_from_slice(text);
        out.push(b'\'');
        return;
    }
    while let Some(at) = rest.iter().position(is_odd) {
        let (plain, behind) = rest.split_at_checked(at).unwrap_or_default();
        out.extend_from_slice(plain);
        let Some((&byte, behind)) = behind.split_first() else {
            break;
        };
        let escape = match byte {
            0 => b'0',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            26 => b'Z',
            same => same,
        };
        out.extend_from_slice(&[b'\\', escape]);
        rest = behind;
    }
    out.extend_from_slice(rest);
    out.push(b'\'');
}

/// UUID, INET6 and INET4 as their texts.
fn network(out: &mut Vec<u8>, bytes: &[u8], meaning: Meaning) {
    match super::network::text(bytes, meaning) {
        Some(text) => quoted(out, text.as_bytes()),
        None => hex(out, bytes),
    }
}

/// A member of an ENUM by its name where that says the same in every session, else by its number.
fn member(out: &mut Vec<u8>, number: u16, column: &Column) {
    let index = usize::from(number).checked_sub(1);
    let name = index.and_then(|index| column.members.get(index));
    match name {
        Some(name) if is_readable(name) && (column.charset.is_utf8() || name.is_ascii()) => {
            quoted(out, name);
        }
        _ => number::unsigned(out, u64::from(number)),
    }
}

/// A geometry of which there is no more than a part of the head is written as it is.
fn geometry(out: &mut Vec<u8>, bytes: &[u8], dialect: Dialect) {
    let Some((srid, wkb)) = bytes.split_first_chunk::<4>() else {
        return hex(out, bytes);
    };
    let srid = u32::from_le_bytes(*srid);
    out.extend_from_slice(b"ST_GeomFromWKB(");
    hex(out, wkb);
    if srid != 0 {
        let _ = write!(out, ", {srid}");
        if !dialect.is_mariadb {
            // In a log the longitude always stands first.
            out.extend_from_slice(b", 'axis-order=long-lat'");
        }
    }
    out.push(b')');
}
