//! What a file is, by its first bytes.

use std::fmt;

use super::{encrypted_file, plugin};
use crate::bytes::Cursor;

/// What a file looks like that is no keyring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LooksLike {
    /// A binary or relay log, encrypted.
    EncryptedLog,
    /// A binary or relay log in plaintext.
    PlainLog,
    /// Settings in sections: `my.cnf`, `auto.cnf`.
    OptionFile,
    /// A tablespace of `InnoDB`.
    InnoDb,
    /// A certificate or key in PEM form.
    Pem,
    /// One bare key.
    BareKey,
    /// Cannot be told.
    Unknown,
}

impl LooksLike {
    /// What to do next, where that is known; empty or from `; ` on.
    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::EncryptedLog | Self::PlainLog => "; give the log as the input instead",
            Self::OptionFile => {
                "; give the file that `keyring_file_data`, or `path` in the component's \
                 configuration, names"
            }
            Self::InnoDb | Self::Pem => "; give the server's keyring instead",
            Self::BareKey => "; give it as a key file instead",
            Self::Unknown => "; if it should be one, its start is damaged: take another copy",
        }
    }
}

impl fmt::Display for LooksLike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EncryptedLog => "it looks like an encrypted binary log",
            Self::PlainLog => "it looks like a plaintext binary log",
            Self::OptionFile => "it looks like an option file such as my.cnf or auto.cnf",
            Self::InnoDb => "it looks like an InnoDB tablespace",
            Self::Pem => "it looks like a PEM file (a certificate or a key)",
            Self::BareKey => "it looks like one bare key",
            Self::Unknown => "its first bytes are of no known kind",
        })
    }
}

/// Which reader a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// No bytes: a keyring before its first key.
    Empty,
    /// The `keyring_file` plugin's.
    Plugin,
    /// JSON, of `component_keyring_file` or not.
    Json,
    /// That of `component_percona_keyring_encrypted_file`.
    EncryptedFile,
    /// A key file of `MariaDB`.
    MariaDb,
    /// None of these.
    Other(LooksLike),
}

pub(super) fn content(bytes: &[u8]) -> Content {
    let start = bytes.get(..plugin::SIGNATURE.len()).unwrap_or(bytes);
    let text = bytes.trim_ascii_start();
    if bytes.is_empty() {
        Content::Empty
    } else if plugin::SIGNATURE.starts_with(start) {
        Content::Plugin
    } else if text.starts_with(b"{") || (text.starts_with(b"[") && !is_option_file(bytes)) {
        Content::Json
    } else if bytes.starts_with(b"Salted__") || is_mariadb_key_file(bytes) {
        Content::MariaDb
    } else if encrypted_file::is_one(bytes) {
        Content::EncryptedFile
    } else {
        Content::Other(looks_like(bytes))
    }
}

/// Whether a file that starts with these bytes (its first 4096, or all of it) holds keys: it is a
/// keyring of any kind, damaged or not, or one bare key.
#[must_use]
pub fn holds_keys(start: &[u8]) -> bool {
    // Members of JSON keyrings, which no report has: of components, and of Percona Binlog Server.
    let has = |member: &[u8]| start.windows(member.len()).any(|window| window == member);
    let has_keys = || has(b"\"elements\"") || has(b"\"data_hex\"");
    match content(start) {
        Content::Empty => false,
        Content::Plugin | Content::MariaDb | Content::EncryptedFile => true,
        Content::Json => has_keys(),
        Content::Other(looks_like) => looks_like == LooksLike::BareKey,
    }
}

fn looks_like(bytes: &[u8]) -> LooksLike {
    if bytes.starts_with(b"\xFDbin") {
        LooksLike::EncryptedLog
    } else if bytes.starts_with(b"\xFEbin") {
        LooksLike::PlainLog
    } else if bytes.starts_with(b"-----BEGIN ") {
        LooksLike::Pem
    } else if is_option_file(bytes) {
        LooksLike::OptionFile
    } else if is_innodb(bytes) {
        LooksLike::InnoDb
    } else if super::raw::parse(bytes).is_ok() {
        LooksLike::BareKey
    } else {
        LooksLike::Unknown
    }
}

/// The first line that is neither blank nor a comment, without blanks around it. A longer start of
/// the file than any such line needs is not looked at.
fn first_line<'a>(bytes: &'a [u8], comments: &[u8]) -> Option<&'a [u8]> {
    const LOOKED_AT: usize = 64 << 10;
    bytes
        .get(..LOOKED_AT)
        .unwrap_or(bytes)
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .find(|line| line.first().is_some_and(|first| !comments.contains(first)))
}

/// `[mysqld]` and the like.
fn is_option_file(bytes: &[u8]) -> bool {
    first_line(bytes, b"#;").is_some_and(|line| match line {
        [b'[', name @ .., b']'] => {
            name.first().is_some_and(u8::is_ascii_alphabetic)
                && name.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
        }
        _ => false,
    })
}

/// A line `1;` and 32, 48 or 64 hexadecimal digits.
fn is_mariadb_key_file(bytes: &[u8]) -> bool {
    let line = first_line(bytes, b"#").unwrap_or_default();
    let mut halves = line.splitn(2, |byte| *byte == b';');
    let (Some(id), Some(key)) = (halves.next(), halves.next()) else {
        return false;
    };
    let digits = key.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    !id.is_empty() && id.iter().all(u8::is_ascii_digit) && matches!(digits, 32 | 48 | 64)
}

/// Page 0 of a tablespace: page number 0, type 8 (file space header), and the space id in the page
/// header and again in the file space header (server source, `storage/innobase/include/fil0types.h`
/// and `fsp0types.h`; all big-endian).
fn is_innodb(bytes: &[u8]) -> bool {
    let at = |offset: usize| Some(Cursor::new(bytes.get(offset..)?));
    let page_number = at(4).and_then(|mut page| page.u32_be().ok());
    let page_type = at(24).and_then(|mut page| page.array::<2>().ok());
    let space_ids = at(34).and_then(|mut page| Some((page.u32_be().ok()?, page.u32_be().ok()?)));
    page_number == Some(0)
        && page_type == Some([0, 8])
        && space_ids.is_some_and(|(page, header)| page == header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_told_by_its_content() {
        let mut page = vec![0; 16384];
        page[25] = 8;
        page[37] = 5;
        page[41] = 5;
        let other = |kind| Content::Other(kind);
        for (bytes, expected) in [
            (&b""[..], Content::Empty),
            (b"Keyring file version:2.0", Content::Plugin),
            (b"Keyr", Content::Plugin),
            (b" \n{", Content::Json),
            (b"[1,2]", Content::Json),
            (b"1;770A8A65DA156D24EE2A093277530142\n", Content::MariaDb),
            (b"# keys\n\n 2;770A8A65DA156D24EE2A093277530142 x", Content::MariaDb),
            (b"Salted__12345678", Content::MariaDb),
            (b"\xFDbin\x01", other(LooksLike::EncryptedLog)),
            (b"\xFEbin", other(LooksLike::PlainLog)),
            (b"# x\n[mysqld]\nport=1\n", other(LooksLike::OptionFile)),
            (b"[auto]\nserver-uuid=x\n", other(LooksLike::OptionFile)),
            (&page, other(LooksLike::InnoDb)),
            (b"-----BEGIN CERTIFICATE-----", other(LooksLike::Pem)),
            (&[0x9C; 32], other(LooksLike::BareKey)),
            (b"Xeyring file version:2.0", other(LooksLike::Unknown)),
            (b"1;770A", other(LooksLike::Unknown)),
            (b"x;770A8A65DA156D24EE2A093277530142", other(LooksLike::Unknown)),
            (b";770A8A65DA156D24EE2A093277530142", other(LooksLike::Unknown)),
            (b"#\n[a b]\n", other(LooksLike::Unknown)),
            (b"#\n[-]\n", other(LooksLike::Unknown)),
            (&[0; 16384], other(LooksLike::Unknown)),
        ] {
            assert_eq!(content(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn every_kind_says_what_to_do_next() {
        for (kind, next) in [
            (LooksLike::EncryptedLog, "as the input"),
            (LooksLike::PlainLog, "as the input"),
            (LooksLike::OptionFile, "`keyring_file_data`"),
            (LooksLike::InnoDb, "the server's keyring"),
            (LooksLike::Pem, "the server's keyring"),
            (LooksLike::BareKey, "as a key file"),
            (LooksLike::Unknown, "take another copy"),
        ] {
            let hint = kind.hint();
            assert!(hint.starts_with("; ") && hint.contains(next), "{hint}");
        }
    }
}
