//! The types of columns as statements name them.

use std::fmt;

use super::parser::{NotUnderstood, Parser};

/// The type of a column, as a statement or a dump declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataType {
    /// TINYINT, BOOL.
    TinyInt,
    /// SMALLINT.
    SmallInt,
    /// MEDIUMINT.
    MediumInt,
    /// INT.
    Int,
    /// BIGINT, SERIAL.
    BigInt,
    /// FLOAT, up to 24 bits of precision.
    Float,
    /// DOUBLE, REAL, and FLOAT of more than 24 bits.
    Double,
    /// DECIMAL, NUMERIC.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// BIT.
    Bit {
        /// How many bits.
        bits: u8,
    },
    /// YEAR.
    Year,
    /// DATE.
    Date,
    /// TIME.
    Time {
        /// Digits of the second's fraction.
        fraction: u8,
    },
    /// DATETIME.
    DateTime {
        /// Digits of the second's fraction.
        fraction: u8,
    },
    /// TIMESTAMP.
    Timestamp {
        /// Digits of the second's fraction.
        fraction: u8,
    },
    /// CHAR, BINARY; a column of the character set `binary` is BINARY.
    Char {
        /// Characters, or bytes.
        length: u32,
    },
    /// VARCHAR, VARBINARY.
    VarChar {
        /// Characters, or bytes.
        length: u32,
    },
    /// TINYTEXT to LONGTEXT, TINYBLOB to LONGBLOB.
    Text {
        /// Bytes that a value's length takes: 1 to 4. `None` where that hangs on a character set
        /// (`TEXT(100)`).
        width: Option<u8>,
    },
    /// JSON; MariaDB's is LONGTEXT.
    Json,
    /// GEOMETRY and its kinds.
    Geometry,
    /// VECTOR.
    Vector {
        /// Dimensions, if they are told.
        dimensions: Option<u32>,
    },
    /// ENUM.
    Enum {
        /// Its members, in order; the first is number 1.
        members: Vec<String>,
    },
    /// SET.
    Set {
        /// Its members, in order; the first is bit 0.
        members: Vec<String>,
    },
    /// MariaDB's UUID.
    Uuid,
    /// MariaDB's INET4.
    Inet4,
    /// MariaDB's INET6.
    Inet6,
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TinyInt => f.write_str("TINYINT"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::MediumInt => f.write_str("MEDIUMINT"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision},{scale})"),
            Self::Bit { bits } => write!(f, "BIT({bits})"),
            Self::Year => f.write_str("YEAR"),
            Self::Date => f.write_str("DATE"),
            Self::Time { fraction } => write!(f, "TIME({fraction})"),
            Self::DateTime { fraction } => write!(f, "DATETIME({fraction})"),
            Self::Timestamp { fraction } => write!(f, "TIMESTAMP({fraction})"),
            Self::Char { length } => write!(f, "CHAR({length})"),
            Self::VarChar { length } => write!(f, "VARCHAR({length})"),
            Self::Text { width } => f.write_str(match width {
                Some(1) => "TINYTEXT",
                Some(3) => "MEDIUMTEXT",
                Some(4) => "LONGTEXT",
                _ => "TEXT",
            }),
            Self::Json => f.write_str("JSON"),
            Self::Geometry => f.write_str("GEOMETRY"),
            Self::Vector { .. } => f.write_str("VECTOR"),
            Self::Enum { members } => write!(f, "ENUM of {}", members.len()),
            Self::Set { members } => write!(f, "SET of {}", members.len()),
            Self::Uuid => f.write_str("UUID"),
            Self::Inet4 => f.write_str("INET4"),
            Self::Inet6 => f.write_str("INET6"),
        }
    }
}

/// A type with what its name alone says besides.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) data_type: DataType,
    /// BLOB, BINARY and the like.
    pub(super) is_binary: bool,
    /// NCHAR and the like: of a character set of their own.
    pub(super) is_national: bool,
    /// SERIAL: unsigned, NOT NULL, and unique.
    pub(super) is_serial: bool,
}

/// The type at which a parser stands.
pub(super) fn parse(parser: &mut Parser<'_, '_>) -> Result<Named, NotUnderstood> {
    let Some(word) = parser.take_word() else {
        return Err(parser.not_understood());
    };
    let word = word.to_ascii_uppercase();
    let mut named = Named {
        data_type: DataType::Int,
        is_binary: false,
        is_national: false,
        is_serial: word == "SERIAL",
    };
    named.data_type = match word.as_str() {
        "TINYINT" | "INT1" | "BOOL" | "BOOLEAN" => display_width(parser, DataType::TinyInt),
        "SMALLINT" | "INT2" => display_width(parser, DataType::SmallInt),
        "MEDIUMINT" | "INT3" | "MIDDLEINT" => display_width(parser, DataType::MediumInt),
        "INT" | "INTEGER" | "INT4" => display_width(parser, DataType::Int),
        "BIGINT" | "INT8" | "SERIAL" => display_width(parser, DataType::BigInt),
        "FLOAT" | "FLOAT4" => float(parser)?,
        "DOUBLE" | "REAL" | "FLOAT8" => {
            parser.word("PRECISION");
            display_width(parser, DataType::Double)
        }
        "DECIMAL" | "DEC" | "NUMERIC" | "FIXED" | "NUMBER" => decimal(parser)?,
        "BIT" => DataType::Bit { bits: small(parser)?.unwrap_or(1) },
        "YEAR" => display_width(parser, DataType::Year),
        "DATE" => DataType::Date,
        "TIME" => DataType::Time { fraction: small(parser)?.unwrap_or(0) },
        "DATETIME" => DataType::DateTime { fraction: small(parser)?.unwrap_or(0) },
        "TIMESTAMP" => DataType::Timestamp { fraction: small(parser)?.unwrap_or(0) },
        "JSON" => DataType::Json,
        "GEOMETRY" | "POINT" | "LINESTRING" | "POLYGON" | "MULTIPOINT" | "MULTILINESTRING"
        | "MULTIPOLYGON" | "GEOMETRYCOLLECTION" | "GEOMCOLLECTION" => DataType::Geometry,
        "VECTOR" => DataType::Vector { dimensions: number(parser)? },
        "ENUM" => DataType::Enum { members: members(parser)? },
        "SET" => DataType::Set { members: members(parser)? },
        "UUID" => DataType::Uuid,
        "INET4" => DataType::Inet4,
        "INET6" => DataType::Inet6,
        _ => string(parser, &word, &mut named)?,
    };
    Ok(named)
}

fn display_width(parser: &mut Parser<'_, '_>, data_type: DataType) -> DataType {
    parser.group();
    data_type
}

/// FLOAT, FLOAT(bits), FLOAT(digits, decimals).
fn float(parser: &mut Parser<'_, '_>) -> Result<DataType, NotUnderstood> {
    let (bits, decimals) = two_numbers(parser)?;
    Ok(match (bits, decimals) {
        (Some(25..), None) => DataType::Double,
        _ => DataType::Float,
    })
}

fn decimal(parser: &mut Parser<'_, '_>) -> Result<DataType, NotUnderstood> {
    let (precision, scale) = two_numbers(parser)?;
    let byte = |number: Option<u32>| number.and_then(|it| u8::try_from(it).ok());
    Ok(DataType::Decimal {
        // DECIMAL(0) is the default, too.
        precision: byte(precision).filter(|it| *it > 0).unwrap_or(10),
        scale: byte(scale).unwrap_or(0),
    })
}

/// All types of text and bytes.
fn string(
    parser: &mut Parser<'_, '_>,
    word: &str,
    named: &mut Named,
) -> Result<DataType, NotUnderstood> {
    let text = |width| DataType::Text { width: Some(width) };
    named.is_binary =
        matches!(word, "BINARY" | "VARBINARY" | "TINYBLOB" | "BLOB" | "MEDIUMBLOB" | "LONGBLOB");
    Ok(match word {
        "TINYBLOB" | "TINYTEXT" => text(1),
        "MEDIUMBLOB" | "MEDIUMTEXT" => text(3),
        "LONGBLOB" | "LONGTEXT" => text(4),
        "BLOB" => text(number(parser)?.map_or(2, width_of)),
        "TEXT" => match number(parser)? {
            // How many bytes a character takes is the character set's.
            Some(_) => DataType::Text { width: None },
            None => text(2),
        },
        "LONG" => {
            named.is_binary = parser.word("VARBINARY");
            let _ = parser.words(&["CHAR", "VARYING"]) || parser.word("VARCHAR");
            text(3)
        }
        "NATIONAL" => {
            named.is_national = true;
            let Some(next) = parser.take_word() else {
                return Err(parser.not_understood());
            };
            character(parser, &next.to_ascii_uppercase())?
        }
        "NCHAR" => {
            named.is_national = true;
            character(parser, "CHAR")?
        }
        "NVARCHAR" => {
            named.is_national = true;
            character(parser, "VARCHAR")?
        }
        _ => character(parser, word)?,
    })
}

/// CHAR and VARCHAR by all of their names, and the binary ones.
fn character(parser: &mut Parser<'_, '_>, word: &str) -> Result<DataType, NotUnderstood> {
    let is_char = matches!(word, "CHAR" | "CHARACTER");
    let varies = is_char && (parser.word("VARYING") || parser.word("VARCHAR"));
    match word {
        _ if varies => {}
        "VARCHAR" | "VARCHARACTER" | "VARBINARY" | "VARCHAR2" => {}
        "CHAR" | "CHARACTER" | "BINARY" => {
            let length = number(parser)?.unwrap_or(1);
            return Ok(DataType::Char { length });
        }
        _ => return Err(parser.not_understood()),
    }
    match number(parser)? {
        Some(length) => Ok(DataType::VarChar { length }),
        None => Err(parser.not_understood()),
    }
}

/// Bytes that the length of a value takes, of which the longest has so many.
const fn width_of(longest: u32) -> u8 {
    match longest {
        0 => 2,
        1..=0xFF => 1,
        0x100..=0xFFFF => 2,
        0x1_0000..=0xFF_FFFF => 3,
        _ => 4,
    }
}

/// `(n)`, if it is there.
fn number(parser: &mut Parser<'_, '_>) -> Result<Option<u32>, NotUnderstood> {
    two_numbers(parser).map(|(first, _)| first)
}

/// The same as a number below 256.
fn small(parser: &mut Parser<'_, '_>) -> Result<Option<u8>, NotUnderstood> {
    let number = number(parser)?;
    let small = number.map(u8::try_from).transpose();
    small.map_err(|_| parser.not_understood())
}

/// `(n)` or `(n, m)`, if they are there.
fn two_numbers(parser: &mut Parser<'_, '_>) -> Result<(Option<u32>, Option<u32>), NotUnderstood> {
    if !parser.symbol(b'(') {
        return Ok((None, None));
    }
    let first = parser.number();
    let second = if parser.symbol(b',') { parser.number() } else { None };
    if first.is_none() || !parser.symbol(b')') {
        return Err(parser.not_understood());
    }
    Ok((first, second))
}

/// `('a', 'b')`.
fn members(parser: &mut Parser<'_, '_>) -> Result<Vec<String>, NotUnderstood> {
    /// Servers' own limit.
    const MAX_MEMBERS: usize = 65_535;
    let mut members = Vec::new();
    if !parser.symbol(b'(') {
        return Err(parser.not_understood());
    }
    loop {
        // An introducer says no more than the bytes do.
        let _ = parser.word("_utf8mb4") || parser.word("_utf8mb3") || parser.word("_utf8");
        let Some(member) = parser.text() else {
            return Err(parser.not_understood());
        };
        // Servers strip trailing spaces of members.
        members.push(member.trim_end_matches(' ').to_owned());
        if parser.symbol(b')') && members.len() <= MAX_MEMBERS {
            return Ok(members);
        }
        if !parser.symbol(b',') || members.len() > MAX_MEMBERS {
            return Err(parser.not_understood());
        }
    }
}
