//! The keyring of Percona Binlog Server: keys that wrap the file keys of its archive.
//!
//! A JSON object with `version`, which is 1, and `keys`, an array of objects with `id`, `cipher`
//! (AES in mode ECB, CBC, CTR or GCM, or another one of OpenSSL's) and `data_hex`, the key. No two
//! have one id; a key is as long as its cipher takes (documentation of Percona Binlog Server,
//! "Keyring file format"; source: `keyring_record_collection`).

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, Visitor};
use zeroize::Zeroizing;

use super::{Entry, KeyType, abbreviated};
use crate::hex;
use crate::mysql::key_id::KeyId;
use crate::percona::cipher::Cipher;
use crate::secret::SecretBytes;

/// The only version there is.
const VERSION: u64 = 1;

/// Why a file is no such keyring. No value of it is in the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BinlogServerError {
    /// No JSON of this kind: something is missing, or of another type, or no row of hexadecimal
    /// digits.
    #[error(
        "line {line}, column {column}: each key has `id`, `cipher` and `data_hex`, which are texts, the last one pairs of hexadecimal digits"
    )]
    Member {
        /// Where.
        line: usize,
        /// Where.
        column: usize,
    },
    /// Another version.
    #[error("version {found} is not known, only version 1 is")]
    Version {
        /// What the file says.
        found: u64,
    },
    /// Two keys of one id.
    #[error("two keys have the id {id}, with which the server does not start")]
    Duplicate {
        /// The id.
        id: String,
    },
    /// A key that its cipher cannot take.
    #[error("the key {id} has {available} bytes, where {cipher} takes {}", cipher.key_length)]
    Length {
        /// The key's id.
        id: String,
        /// Its cipher.
        cipher: Cipher,
        /// Its length.
        available: usize,
    },
}

/// Whether JSON is such a keyring, damaged or not: its keys are objects.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Outline {
        version: Option<IgnoredAny>,
        keys: Vec<Object>,
        elements: Option<IgnoredAny>,
    }
    #[derive(serde::Deserialize)]
    struct Object {}
    let outline = serde_json::from_slice::<Outline>(bytes);
    outline.is_ok_and(|outline| {
        outline.elements.is_none() && (outline.version.is_some() || !outline.keys.is_empty())
    })
}

/// Reads a whole file.
///
/// # Errors
/// [`BinlogServerError`].
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>, BinlogServerError> {
    #[derive(serde::Deserialize)]
    struct Document {
        version: u64,
        keys: Vec<Record>,
    }
    #[derive(serde::Deserialize)]
    struct Record {
        id: String,
        cipher: String,
        data_hex: Hex,
    }
    // What serde says may quote a key.
    let document: Document = serde_json::from_slice(bytes).map_err(|error| {
        BinlogServerError::Member { line: error.line(), column: error.column() }
    })?;
    if document.version != VERSION {
        let found = document.version;
        return Err(BinlogServerError::Version { found });
    }
    let mut seen = HashSet::new();
    let mut entries = Vec::new();
    for Record { id, cipher, data_hex: Hex(data) } in document.keys {
        if !seen.insert(id.clone()) {
            let id = abbreviated(id.as_bytes());
            return Err(BinlogServerError::Duplicate { id });
        }
        if let Ok(known) = cipher.parse::<Cipher>()
            && known.key_length != data.len()
        {
            return Err(BinlogServerError::Length {
                id: abbreviated(id.as_bytes()),
                cipher: known,
                available: data.len(),
            });
        }
        entries.push(Entry {
            id: KeyId::new(id.as_bytes()),
            user: Box::default(),
            key_type: KeyType::from_bytes(cipher.as_bytes()),
            data,
        });
    }
    Ok(entries)
}

/// Hexadecimal digits, straight into a buffer of their own.
struct Hex(SecretBytes);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;

        impl Visitor<'_> for Digits {
            type Value = Hex;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("pairs of hexadecimal digits")
            }

            fn visit_bytes<E: serde::de::Error>(self, digits: &[u8]) -> Result<Hex, E> {
                let mut bytes = Zeroizing::new(vec![0; digits.len() >> 1]);
                let is_even = digits.len() & 1 == 0;
                if !is_even || hex::decode(digits, &mut bytes).is_err() {
                    return Err(E::custom("no pairs of hexadecimal digits"));
                }
                Ok(Hex(SecretBytes::new(std::mem::take(&mut *bytes))))
            }
        }

        deserializer.deserialize_bytes(Digits).map_err(D::Error::custom)
    }
}
