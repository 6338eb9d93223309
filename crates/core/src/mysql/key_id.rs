//! The key id: the name under which a keyring holds a replication encryption key.

use std::fmt;
use std::sync::Arc;

/// What the server puts before the UUID (server source:
/// `Rpl_encryption::get_key_id_with_suffix`).
pub const PREFIX: &str = "MySQLReplicationKey_";

const UUID_LENGTH: usize = 36;

/// A key id as it stands in a log's header or in a keyring.
///
/// The server writes `MySQLReplicationKey_<server uuid>_<sequence number>` and accepts any bytes,
/// so any bytes are kept; [`KeyId::parts`] is there when they have the server's form.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(Arc<[u8]>);

/// The two parts of a key id of the server's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyIdParts<'a> {
    /// UUID of the server that generated the key, 36 characters.
    pub server_uuid: &'a str,
    /// Sequence number of the key: its generation, counted from 1 by every rotation.
    pub sequence_number: u32,
}

impl KeyId {
    /// Keeps the bytes as they are.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The key id the server would use for this generation.
    #[must_use]
    pub fn for_server(server_uuid: &str, sequence_number: u32) -> Self {
        Self::new(format!("{PREFIX}{server_uuid}_{sequence_number}").as_bytes())
    }

    /// The bytes as they stand in the file.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// UUID and sequence number, or `None` when the id does not have the server's form.
    #[must_use]
    pub fn parts(&self) -> Option<KeyIdParts<'_>> {
        let text = std::str::from_utf8(&self.0).ok()?.strip_prefix(PREFIX)?;
        let (server_uuid, number) = text.split_at_checked(UUID_LENGTH)?;
        let digits = number.strip_prefix('_')?;
        if !is_uuid(server_uuid) || !is_plain_decimal(digits) {
            return None;
        }
        let sequence_number = digits.parse().ok()?;
        Some(KeyIdParts { server_uuid, sequence_number })
    }
}

/// Whether the text is a UUID in the server's spelling: hexadecimal in groups of 8-4-4-4-12.
#[must_use]
pub fn is_uuid(text: &str) -> bool {
    text.len() == UUID_LENGTH
        && text.bytes().enumerate().all(|(position, byte)| match position {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Digits alone, without the sign and the leading zeros that `str::parse` would let pass.
fn is_plain_decimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
}

/// Unprintable bytes are escaped: the id may come from a hostile file and goes to terminals.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "2bc92730-e533-11f1-b7bc-02fc00000001";

    #[test]
    fn the_servers_form_has_parts() {
        let id = KeyId::new(b"MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_42");
        let parts = id.parts().unwrap();
        assert_eq!((parts.server_uuid, parts.sequence_number), (UUID, 42));
        assert_eq!(KeyId::for_server(UUID, 42), id);
    }

    #[test]
    fn other_forms_have_none() {
        for id in [
            "MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001",
            "MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_",
            "MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_old",
            "MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_+1",
            "MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_01",
            "MySQLReplicationKey_2bc92730-e533-11f1-b7bc-02fc00000001_4294967296",
            "MySQLReplicationKey_2bc92730xe533-11f1-b7bc-02fc00000001_1",
            "MySQLReplicationKey_short_1",
            "INNODBKey_2bc92730-e533-11f1-b7bc-02fc00000001_1",
            "",
        ] {
            assert_eq!(KeyId::new(id.as_bytes()).parts(), None, "{id}");
        }
        assert_eq!(KeyId::new(b"MySQLReplicationKey_\xff").parts(), None);
    }

    #[test]
    fn display_escapes_what_a_terminal_would_obey() {
        assert_eq!(KeyId::new(b"a\x1b[31m\xffb").to_string(), r"a\x1b[31m\xffb");
    }
}
