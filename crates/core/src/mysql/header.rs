//! The 512-byte header of a MySQL encrypted log, version 1.
//!
//! Magic `FD 62 69 6E`, a version byte, then fields of a type byte and a value until type 0 or the
//! end; the rest is zero. Confirmed on logs written by MySQL 9.7; what is accepted and refused
//! follows the server (source: `Rpl_encryption_header_v1::deserialize`).

use std::fmt;

use super::key_id::KeyId;
use crate::bytes::Cursor;

/// Length of the header; the encrypted log follows.
pub const LENGTH: usize = 512;
/// [`LENGTH`] as a file offset.
pub const BODY_OFFSET: u64 = LENGTH as u64;
/// The first four bytes of an encrypted log (server source: `Rpl_encryption_header::ENCRYPTION_MAGIC`).
pub const MAGIC: [u8; 4] = *b"\xFDbin";
/// The only version that servers write.
pub const VERSION: u8 = 1;
/// Length of the wrapped file password.
pub const WRAPPED_PASSWORD_LENGTH: usize = 32;
/// Length of the IV of that wrapping.
pub const IV_LENGTH: usize = 16;

const FIELDS_OFFSET: usize = 5;
const END_OF_FIELDS: u8 = 0;

/// The kinds of field in the header, with their type bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FieldType {
    /// Key id: a length byte, then the bytes.
    KeyId = 1,
    /// The file password, wrapped under the replication encryption key: 32 bytes.
    WrappedPassword = 2,
    /// The IV of the wrapping: 16 bytes.
    Iv = 3,
}

impl FieldType {
    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::KeyId),
            2 => Some(Self::WrappedPassword),
            3 => Some(Self::Iv),
            _ => None,
        }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyId => "key id",
            Self::WrappedPassword => "wrapped file password",
            Self::Iv => "wrapping IV",
        })
    }
}

/// Why 512 bytes are no header that the server would read. Offsets are file offsets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The file ends within the header.
    #[error("the file ends at offset {available}, within the {LENGTH}-byte encryption header")]
    Truncated {
        /// How many bytes there are.
        available: usize,
    },
    /// Other leading bytes.
    #[error("offset 0: no encryption header: {found:02x?} found, [fd, 62, 69, 6e] expected")]
    WrongMagic {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// A version that this toolkit, and the server, do not know.
    #[error("offset 4: encryption header version {found}, {VERSION} was expected")]
    UnknownVersion {
        /// The version byte.
        found: u8,
    },
    /// A field type that this toolkit, and the server, do not know.
    #[error("offset {offset}: unknown field type {found} in the encryption header")]
    UnknownField {
        /// Where the type byte stands.
        offset: usize,
        /// The type byte.
        found: u8,
    },
    /// A field that passes the end of the header.
    #[error(
        "offset {offset}: the {field} takes {needed} bytes, {available} are left in the encryption header"
    )]
    FieldPastEnd {
        /// Where the value starts.
        offset: usize,
        /// Which field.
        field: FieldType,
        /// How long its value is.
        needed: usize,
        /// How much room is left.
        available: usize,
    },
    /// A field that must be there is not.
    #[error("the encryption header has no {field}")]
    MissingField {
        /// The field.
        field: FieldType,
    },
}

/// One field as it stands in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// File offset of the type byte.
    pub offset: usize,
    /// What it is.
    pub field_type: FieldType,
    /// Its value, without type and length byte.
    pub value: &'a [u8],
}

/// A header that the server would read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptionHeader {
    /// Under which id the keyring holds the replication encryption key.
    pub key_id: KeyId,
    /// The file password, wrapped: AES-256-CBC, no padding.
    pub wrapped_password: [u8; WRAPPED_PASSWORD_LENGTH],
    /// The IV of that wrapping.
    pub iv: [u8; IV_LENGTH],
}

impl EncryptionHeader {
    /// Reads a header from the start of a file.
    ///
    /// As the server does: fields in any order, a later duplicate wins, the padding may hold
    /// anything.
    ///
    /// # Errors
    /// Each defect is a [`HeaderError`] of its own.
    pub fn parse(file_start: &[u8]) -> Result<Self, HeaderError> {
        let (mut key_id, mut wrapped_password, mut iv) = (None, None, None);
        for field in fields(file_start)? {
            let Field { field_type, value, .. } = field?;
            match field_type {
                FieldType::KeyId => key_id = Some(KeyId::new(value)),
                FieldType::WrappedPassword => wrapped_password = value.try_into().ok(),
                FieldType::Iv => iv = value.try_into().ok(),
            }
        }
        let missing = |field| HeaderError::MissingField { field };
        Ok(Self {
            key_id: key_id.ok_or(missing(FieldType::KeyId))?,
            wrapped_password: wrapped_password.ok_or(missing(FieldType::WrappedPassword))?,
            iv: iv.ok_or(missing(FieldType::Iv))?,
        })
    }

    /// The 512 bytes as the server writes them: key id, wrapped password, IV, then zeros.
    ///
    /// # Errors
    /// [`HeaderError::FieldPastEnd`] when the key id is longer than a length byte can say.
    pub fn serialize(&self) -> Result<[u8; LENGTH], HeaderError> {
        let key_id = self.key_id.as_bytes();
        let key_id_length = u8::try_from(key_id.len()).map_err(|_| HeaderError::FieldPastEnd {
            offset: FIELDS_OFFSET.saturating_add(2),
            field: FieldType::KeyId,
            needed: key_id.len(),
            available: usize::from(u8::MAX),
        })?;
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend(MAGIC);
        bytes.extend([VERSION, FieldType::KeyId as u8, key_id_length]);
        bytes.extend(key_id);
        bytes.push(FieldType::WrappedPassword as u8);
        bytes.extend(self.wrapped_password);
        bytes.push(FieldType::Iv as u8);
        bytes.extend(self.iv);
        bytes.resize(LENGTH, 0);
        let mut header = [0; LENGTH];
        header.copy_from_slice(&bytes);
        Ok(header)
    }
}

/// The fields of a header in the order in which they stand, for those who look at a damaged one.
///
/// # Errors
/// [`HeaderError`] for what stands before the fields: length, magic, version.
pub fn fields(
    file_start: &[u8],
) -> Result<impl Iterator<Item = Result<Field<'_>, HeaderError>>, HeaderError> {
    let header =
        file_start.get(..LENGTH).ok_or(HeaderError::Truncated { available: file_start.len() })?;
    let mut cursor = Cursor::new(header);
    // Both reads lie within the 512 bytes that are there.
    let found = cursor.array().unwrap_or_default();
    if found != MAGIC {
        return Err(HeaderError::WrongMagic { found });
    }
    let found = cursor.u8().unwrap_or_default();
    if found != VERSION {
        return Err(HeaderError::UnknownVersion { found });
    }
    let mut done = false;
    Ok(std::iter::from_fn(move || {
        if done {
            return None;
        }
        let field = next_field(&mut cursor).transpose();
        done = !matches!(field, Some(Ok(_)));
        field
    }))
}

fn next_field<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Field<'a>>, HeaderError> {
    let offset = cursor.position();
    let found = cursor.u8().unwrap_or(END_OF_FIELDS);
    if found == END_OF_FIELDS {
        return Ok(None);
    }
    let field_type =
        FieldType::from_byte(found).ok_or(HeaderError::UnknownField { offset, found })?;
    let past_end = |error: crate::bytes::OutOfBytes| HeaderError::FieldPastEnd {
        offset: error.offset,
        field: field_type,
        needed: error.needed,
        available: error.available,
    };
    let length = match field_type {
        FieldType::KeyId => usize::from(cursor.u8().map_err(past_end)?),
        FieldType::WrappedPassword => WRAPPED_PASSWORD_LENGTH,
        FieldType::Iv => IV_LENGTH,
    };
    let value = cursor.take(length).map_err(past_end)?;
    Ok(Some(Field { offset, field_type, value }))
}
