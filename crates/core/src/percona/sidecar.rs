//! The JSON file beside a log, `NAME.json`: what the log is encrypted with, and under which key of
//! the keyring that is wrapped.
//!
//! Its member `encryption` has two objects. `file_key_envelope`: `kek_id`, the id of the key
//! encryption key in the keyring; `data_hex`, the wrapped file key; `iv_hex` and `tag_hex`, IV and
//! tag of the wrapping, where the key encryption key's cipher has them. `file_data_envelope`:
//! `cipher`, AES in CTR mode as a rule without exception, and `iv_hex`, the first counter block of
//! the whole file, its magic included; `tag_hex` is for modes that are not written yet. Other
//! members (sizes, times, GTID sets) are the server's (source of Percona Binlog Server:
//! `binlog_encryption_record`, `storage_core::write_data_to_stream`; its documentation, "Binlog
//! storage encryption"; no file of a real server was at hand).

use serde_json::{Map, Value};

use super::cipher::{Cipher, Mode, Wrapped};
use crate::hex;

/// What the file's name has behind the log's.
pub const EXTENSION: &str = ".json";
/// A larger one is none: it would list millions of intervals of GTIDs.
pub const MAX_BYTES: u64 = 16 << 20;

const KEY: &str = "file_key_envelope";
const DATA: &str = "file_data_envelope";

/// What encrypts one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sidecar {
    /// Id of the key that wraps the file key.
    pub kek_id: String,
    /// The file key.
    pub file_key: Wrapped,
    /// The cipher of the log, as the file names it.
    pub cipher: String,
    /// The first counter block.
    pub iv: [u8; 16],
}

/// Why a JSON file that says a log is encrypted does not say how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SidecarError {
    /// A member is not there, or no text.
    #[error("encryption.{member} is not there, or no text")]
    Missing {
        /// The member of the JSON object.
        member: String,
    },
    /// Something else where pairs of hexadecimal digits were expected.
    #[error("encryption.{member} is no row of pairs of hexadecimal digits")]
    Hex {
        /// The member of the JSON object.
        member: String,
    },
    /// Another length than any cipher has.
    #[error("encryption.{member} has {available} bytes, where {needed} are expected")]
    Length {
        /// The member of the JSON object.
        member: String,
        /// What is expected.
        needed: &'static str,
        /// What there is.
        available: usize,
    },
}

impl Sidecar {
    /// Reads the bytes of a file; `None` when they are no JSON, or say nothing of encryption.
    ///
    /// # Errors
    /// [`SidecarError`].
    pub fn parse(bytes: &[u8]) -> Option<Result<Self, SidecarError>> {
        let document: Value = serde_json::from_slice(bytes).ok()?;
        let encryption = document.get("encryption")?.as_object()?;
        if !encryption.contains_key(KEY) && !encryption.contains_key(DATA) {
            return None;
        }
        Some(Self::read(encryption))
    }

    fn read(encryption: &Map<String, Value>) -> Result<Self, SidecarError> {
        let data = bytes(encryption, KEY, "data_hex")?;
        if !matches!(data.len(), 16 | 24 | 32) {
            return Err(SidecarError::Length {
                member: format!("{KEY}.data_hex"),
                needed: "16, 24 or 32",
                available: data.len(),
            });
        }
        let optional = |name| match member(encryption, KEY, name) {
            None => Ok(Vec::new()),
            Some(_) => bytes(encryption, KEY, name),
        };
        let iv = bytes(encryption, DATA, "iv_hex")?;
        Ok(Self {
            kek_id: text(encryption, KEY, "kek_id")?.to_owned(),
            file_key: Wrapped { data, iv: optional("iv_hex")?, tag: optional("tag_hex")? },
            cipher: text(encryption, DATA, "cipher")?.to_owned(),
            iv: iv.as_slice().try_into().map_err(|_| SidecarError::Length {
                member: format!("{DATA}.iv_hex"),
                needed: "16",
                available: iv.len(),
            })?,
        })
    }

    /// Bytes that the file key should have; `None` for a cipher that is not read here.
    #[must_use]
    pub fn file_key_length(&self) -> Option<usize> {
        let cipher: Cipher = self.cipher.parse().ok()?;
        (cipher.mode == Mode::Ctr).then_some(cipher.key_length)
    }

    /// The file with another wrapping of the file key; all else in it stays.
    ///
    /// # Errors
    /// [`SidecarError::Missing`] when `bytes` is not such a file.
    pub fn rewrap(bytes: &[u8], kek_id: &str, wrapped: &Wrapped) -> Result<Vec<u8>, SidecarError> {
        let missing = || SidecarError::Missing { member: KEY.to_owned() };
        let mut document: Value = serde_json::from_slice(bytes).map_err(|_| missing())?;
        let envelope = document
            .get_mut("encryption")
            .and_then(|encryption| encryption.get_mut(KEY))
            .and_then(Value::as_object_mut)
            .ok_or_else(missing)?;
        envelope.insert("kek_id".to_owned(), kek_id.into());
        for (name, bytes) in
            [("data_hex", &wrapped.data), ("iv_hex", &wrapped.iv), ("tag_hex", &wrapped.tag)]
        {
            if bytes.is_empty() {
                envelope.remove(name);
            } else {
                envelope.insert(name.to_owned(), digits(bytes).into());
            }
        }
        serde_json::to_vec(&document).map_err(|_| missing())
    }
}

fn member<'a>(encryption: &'a Map<String, Value>, object: &str, name: &str) -> Option<&'a Value> {
    let value = encryption.get(object)?.get(name)?;
    (!value.is_null()).then_some(value)
}

fn text<'a>(
    encryption: &'a Map<String, Value>,
    object: &str,
    name: &str,
) -> Result<&'a str, SidecarError> {
    member(encryption, object, name)
        .and_then(Value::as_str)
        .ok_or_else(|| SidecarError::Missing { member: format!("{object}.{name}") })
}

fn bytes(
    encryption: &Map<String, Value>,
    object: &str,
    name: &str,
) -> Result<Vec<u8>, SidecarError> {
    let digits = text(encryption, object, name)?.as_bytes();
    let mut bytes = vec![0; digits.len() >> 1];
    let is_even = digits.len() & 1 == 0;
    if !is_even || hex::decode(digits, &mut bytes).is_err() {
        return Err(SidecarError::Hex { member: format!("{object}.{name}") });
    }
    Ok(bytes)
}

/// In lower case, as the server writes them.
fn digits(bytes: &[u8]) -> String {
    let digits: Vec<u8> = bytes.iter().flat_map(|&byte| hex::upper(byte)).collect();
    String::from_utf8_lossy(&digits).to_ascii_lowercase()
}
