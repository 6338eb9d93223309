//! TABLE_MAP: which table, and of which columns, the row events that follow are about.

use super::gtid::packed_length;
use crate::bytes::{Cursor, OutOfBytes};

/// A column's type byte and its metadata, which together tell how long a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// As in the server's `enum_field_types`.
    pub column_type: u8,
    /// The metadata in the order of its bytes; one byte alone is the first.
    pub metadata: [u8; 2],
}

/// A table as row events see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMap<'a> {
    /// The number that row events name it by.
    pub table_id: u64,
    /// Its database; UTF-8.
    pub database: &'a [u8],
    /// Its name; UTF-8.
    pub table: &'a [u8],
    /// Its columns, in order; none where the event has no metadata, by which their values could be
    /// told apart.
    pub columns: Vec<Column>,
    /// Whether the event has metadata: those of servers before 5.1.18 have none.
    pub has_metadata: bool,
    /// A bit for each column that may be NULL, the first one lowest.
    pub nullable: &'a [u8],
    /// What `binlog_row_metadata` adds: fields as they are in the event, see
    /// [`rows::table`](super::rows::table).
    pub optional: &'a [u8],
    /// The types of all of its columns, in order.
    pub types: &'a [u8],
}

impl<'a> TableMap<'a> {
    /// Reads the event's body: table id of 6 bytes, flags u16; name of the database behind its
    /// length and followed by a zero byte, name of the table likewise; count of columns, a type
    /// byte for each; length of the metadata, and the metadata (server source:
    /// `Table_map_event`). Little-endian; lengths and counts packed.
    ///
    /// # Errors
    /// [`OutOfBytes`].
    pub fn parse(body: &'a [u8]) -> Result<Self, OutOfBytes> {
        let parts = Parts::read(body)?;
        let mut columns = Vec::new();
        if let Some(metadata) = parts.metadata {
            let mut metadata = Cursor::new(metadata);
            columns.reserve(parts.types.len());
            for &column_type in parts.types {
                columns.push(column(column_type, &mut metadata)?);
            }
        }
        Ok(Self {
            table_id: parts.table_id,
            database: parts.database,
            table: parts.table,
            columns,
            has_metadata: parts.metadata.is_some(),
            nullable: parts.nullable,
            optional: parts.optional,
            types: parts.types,
        })
    }
}

/// Whether a body can be read, without keeping anything of it.
///
/// # Errors
/// As [`TableMap::parse`], and for an event without metadata.
pub fn check(body: &[u8]) -> Result<(), OutOfBytes> {
    let parts = Parts::read(body)?;
    // How much metadata a type has that is not known here cannot be said, nor where the next one's
    // begins.
    if !parts.types.iter().all(|&column_type| is_known(column_type)) {
        return Ok(());
    }
    let metadata =
        parts.metadata.ok_or(OutOfBytes { offset: body.len(), needed: 1, available: 0 })?;
    let mut metadata = Cursor::new(metadata);
    let mut types = parts.types.iter();
    types.try_for_each(|&column_type| column(column_type, &mut metadata).map(drop))
}

/// Number, database and name alone.
pub(super) fn names(body: &[u8]) -> Result<(u64, &[u8], &[u8]), OutOfBytes> {
    let mut cursor = Cursor::new(body);
    let table_id = table_id(&mut cursor)?;
    cursor.u16_le()?;
    Ok((table_id, name(&mut cursor)?, name(&mut cursor)?))
}

/// The parts of the body as bytes.
struct Parts<'a> {
    table_id: u64,
    database: &'a [u8],
    table: &'a [u8],
    types: &'a [u8],
    /// Servers of the 5.1 series wrote none before 5.1.18.
    metadata: Option<&'a [u8]>,
    nullable: &'a [u8],
    optional: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(body: &'a [u8]) -> Result<Self, OutOfBytes> {
        let mut cursor = Cursor::new(body);
        let table_id = table_id(&mut cursor)?;
        cursor.u16_le()?;
        let database = name(&mut cursor)?;
        let table = name(&mut cursor)?;
        let count = length(&mut cursor)?;
        let types = cursor.take(count)?;
        let metadata = if cursor.remaining() == 0 {
            None
        } else {
            let length = length(&mut cursor)?;
            Some(cursor.take(length)?)
        };
        // Old readers pass over what follows, and so do we where it is not there.
        let nullable = cursor.take(count.div_ceil(8)).unwrap_or_default();
        Ok(Self { table_id, database, table, types, metadata, nullable, optional: cursor.rest() })
    }
}

/// The number of a table: 6 bytes, little-endian.
pub(super) fn table_id(cursor: &mut Cursor<'_>) -> Result<u64, OutOfBytes> {
    let (low, high) = (cursor.u32_le()?, cursor.u16_le()?);
    Ok(u64::from(low) | (u64::from(high) << 32))
}

/// A packed number as a count of bytes in memory.
pub(crate) fn length(cursor: &mut Cursor<'_>) -> Result<usize, OutOfBytes> {
    packed_length(cursor).map(|value| usize::try_from(value).unwrap_or(usize::MAX))
}

fn name<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], OutOfBytes> {
    let length = length(cursor)?;
    let name = cursor.take(length)?;
    cursor.u8()?;
    Ok(name)
}

const fn is_known(column_type: u8) -> bool {
    use super::column_type as ty;
    matches!(
        column_type,
        ty::TINY
            ..=ty::TIME2
                | ty::BLOB_COMPRESSED
                | ty::VARCHAR_COMPRESSED
                | ty::VECTOR
                | ty::JSON
                | ty::NEWDECIMAL
                | ty::ENUM
                | ty::SET
                | ty::BLOB
                | ty::VAR_STRING
                | ty::STRING
                | ty::GEOMETRY
    )
}

fn column(column_type: u8, metadata: &mut Cursor<'_>) -> Result<Column, OutOfBytes> {
    use super::column_type as ty;
    let metadata = match column_type {
        ty::TYPED_ARRAY => return array_column(metadata),
        ty::FLOAT
        | ty::DOUBLE
        | ty::TIMESTAMP2
        | ty::DATETIME2
        | ty::TIME2
        | ty::VECTOR
        | ty::JSON
        | ty::TINY_BLOB..=ty::BLOB
        | ty::BLOB_COMPRESSED
        | ty::GEOMETRY => [metadata.u8()?, 0],
        ty::VARCHAR
        | ty::VARCHAR_COMPRESSED
        | ty::BIT
        | ty::NEWDECIMAL
        | ty::ENUM
        | ty::SET
        | ty::VAR_STRING
        | ty::STRING => metadata.array()?,
        _ => [0; 2],
    };
    Ok(Column { column_type, metadata })
}

/// The array of a multi-valued index: the type of its elements, and that type's metadata, which for
/// VARCHAR has three bytes (server source: `Field_typed_array`). Its values are JSON.
fn array_column(metadata: &mut Cursor<'_>) -> Result<Column, OutOfBytes> {
    use super::column_type as ty;
    match metadata.u8()? {
        ty::VARCHAR => drop(metadata.take(3)?),
        // Arrays of arrays are not.
        ty::TYPED_ARRAY => {}
        element => drop(column(element, metadata)?),
    }
    Ok(Column { column_type: ty::TYPED_ARRAY, metadata: [4, 0] })
}

#[cfg(test)]
mod tests {
    use super::super::column_type as ty;
    use super::*;

    #[test]
    fn every_type_takes_its_own_metadata() {
        let one = [
            ty::FLOAT,
            ty::DOUBLE,
            ty::TIMESTAMP2,
            ty::DATETIME2,
            ty::TIME2,
            ty::VECTOR,
            ty::JSON,
            ty::BLOB,
            ty::BLOB_COMPRESSED,
            ty::GEOMETRY,
        ];
        let two = [
            ty::VARCHAR,
            ty::VARCHAR_COMPRESSED,
            ty::BIT,
            ty::NEWDECIMAL,
            ty::ENUM,
            ty::SET,
            ty::VAR_STRING,
            ty::STRING,
        ];
        let types = [&[ty::LONG][..], &one, &two, &[ty::TINY]].concat();
        let metadata: Vec<u8> = (1..=26).collect();
        let head = b"\x01\0\0\0\x02\0\0\0\x02db\0\x01t\0";
        let body = [&head[..], &[20], &types, &[26], &metadata].concat();
        let map = TableMap::parse(&body).unwrap();
        assert_eq!(map.table_id, 0x2_0000_0001);
        assert_eq!((map.database, map.table), (&b"db"[..], &b"t"[..]));
        let found: Vec<_> = map.columns.iter().map(|c| c.column_type).collect();
        assert_eq!(found, types);
        let of_one = (1..=10).map(|byte| [byte, 0]);
        let of_two = (0..8).map(|n| [11 + 2 * n, 12 + 2 * n]);
        let expected = std::iter::once([0; 2]).chain(of_one).chain(of_two).chain([[0; 2]]);
        assert!(map.columns.iter().map(|c| c.metadata).eq(expected));
        assert!(TableMap::parse(&body[..body.len() - 1]).is_err());
    }
}
