//! What a log file says of itself before any key is used.

use crate::mysql::header;

use crate::log::ancient::AncientLog;
use crate::mysql::header::{EncryptionHeader, HeaderError};

use crate::event::format_description::{FormatDescription, FormatDescriptionError};
use crate::event::header::{EventHeader, event_type};
use crate::mariadb::start_encryption::StartEncryption;
use crate::percona::sidecar::{Sidecar, SidecarError};

/// How many leading bytes of a file decide its kind and prove its key: the encryption header, the
/// format description event, and room for the few events in which MariaDB's start event stands.
pub const PROBE_LENGTH: usize = 4096;

/// The first four bytes of a log that MariaDB keeps in pages of `InnoDB`: 0x010DFEFE, little-endian
/// (MariaDB documentation, "Binlog file format"; server source: `IBB_MAGIC`).
pub const INNODB_MAGIC: [u8; 4] = *b"\xFE\xFE\x0D\x01";

/// How many events after the format description event are looked at for one that starts
/// encryption. Servers put it first.
const EVENTS_LOOKED_AT: usize = 4;

/// What a file is, by its leading bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogKind {
    /// No byte at all.
    Empty,
    /// Too short to tell: the file ends within the magic, the encryption header, or the format
    /// description event.
    Truncated {
        /// What the magic, if it is whole, says.
        magic: Option<Magic>,
        /// How many bytes there are.
        available: usize,
    },
    /// MySQL's encrypted log, version 1.
    MysqlEncrypted(EncryptionHeader),
    /// MySQL's magic of encrypted logs with another version.
    MysqlEncryptedUnknownVersion {
        /// The version byte at offset 4.
        version: u8,
    },
    /// MySQL's magic of encrypted logs with a header that the server would refuse.
    MysqlEncryptedDamaged(HeaderError),
    /// A plaintext log of a MySQL server, or of a fork that writes the same.
    MysqlPlain(FormatDescription),
    /// A plaintext log of a MariaDB server.
    MariadbPlain(FormatDescription),
    /// A log that MariaDB encrypted event by event.
    MariadbEncrypted(FormatDescription, StartEncryption),
    /// A log that Percona Server 5.7 encrypted event by event.
    Percona57Encrypted(FormatDescription),
    /// A plaintext log of a server before MySQL 5.0, which is not read.
    Ancient(AncientLog),
    /// A log in the pages of `InnoDB` (MariaDB 12.3 and later, `binlog_storage_engine=innodb`), which
    /// its server never encrypts.
    MariadbInnodb,
    /// A log that Percona Binlog Server encrypted: the file itself is ciphertext from its first byte
    /// on, what it is says the JSON file beside it.
    BinlogServerEncrypted(Box<Sidecar>),
    /// The JSON file beside it says that it is encrypted, and not how.
    BinlogServerDamaged(SidecarError),
    /// The magic of a plaintext log, and then no format description event.
    PlainDamaged(FormatDescriptionError),
    /// Not a log.
    Unknown,
}

/// The two magics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Magic {
    /// `FE 62 69 6E`.
    Plain,
    /// `FD 62 69 6E`.
    MysqlEncrypted,
}

/// Every name that [`LogKind::name`] gives.
#[cfg(any(test, feature = "schema"))]
pub const KINDS: [&str; 15] = [
    "empty",
    "truncated",
    "mysql-encrypted",
    "mysql-encrypted-unknown-version",
    "mysql-encrypted-damaged",
    "mysql-plain",
    "mariadb-plain",
    "mariadb-encrypted",
    "percona57-encrypted",
    "mysql-before-5.0",
    "mariadb-innodb-plain",
    "binlog-server-encrypted",
    "binlog-server-damaged",
    "plain-damaged",
    "unknown",
];

impl LogKind {
    /// Tells a file's kind from its first [`PROBE_LENGTH`] bytes, or from all of a shorter file.
    #[must_use]
    pub fn classify(file_start: &[u8]) -> Self {
        Self::classify_part(file_start).0
    }

    /// The same from fewer bytes of a longer file, and whether more of them could not change it.
    #[must_use]
    pub fn classify_part(file_start: &[u8]) -> (Self, bool) {
        let truncated = |magic| {
            let available = file_start.len();
            (Self::Truncated { magic, available }, false)
        };
        let kind = match file_start.first_chunk::<4>() {
            None if file_start.is_empty() => return (Self::Empty, false),
            None if starts_a_magic(file_start) => return truncated(None),
            Some(&header::MAGIC) => match EncryptionHeader::parse(file_start) {
                Ok(header) => Self::MysqlEncrypted(header),
                Err(HeaderError::Truncated { .. }) => {
                    return truncated(Some(Magic::MysqlEncrypted));
                }
                Err(HeaderError::UnknownVersion { found: version }) => {
                    Self::MysqlEncryptedUnknownVersion { version }
                }
                Err(error) => Self::MysqlEncryptedDamaged(error),
            },
            Some(&crate::event::MAGIC) => {
                let events = file_start.get(crate::event::MAGIC.len()..).unwrap_or_default();
                match FormatDescription::parse(events) {
                    Ok(description) => return classify_plain(description, events),
                    Err(FormatDescriptionError::Truncated(_)) => {
                        return truncated(Some(Magic::Plain));
                    }
                    Err(error) => {
                        AncientLog::parse(events).map_or(Self::PlainDamaged(error), Self::Ancient)
                    }
                }
            }
            Some(&INNODB_MAGIC) => Self::MariadbInnodb,
            _ => Self::Unknown,
        };
        (kind, true)
    }

    /// The name of the kind in reports. Stable.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Truncated { .. } => "truncated",
            Self::MysqlEncrypted(_) => "mysql-encrypted",
            Self::MysqlEncryptedUnknownVersion { .. } => "mysql-encrypted-unknown-version",
            Self::MysqlEncryptedDamaged(_) => "mysql-encrypted-damaged",
            Self::MysqlPlain(_) => "mysql-plain",
            Self::MariadbPlain(_) => "mariadb-plain",
            Self::MariadbEncrypted(..) => "mariadb-encrypted",
            Self::Percona57Encrypted(_) => "percona57-encrypted",
            Self::Ancient(_) => "mysql-before-5.0",
            Self::MariadbInnodb => "mariadb-innodb-plain",
            Self::BinlogServerEncrypted(_) => "binlog-server-encrypted",
            Self::BinlogServerDamaged(_) => "binlog-server-damaged",
            Self::PlainDamaged(_) => "plain-damaged",
            Self::Unknown => "unknown",
        }
    }

    /// The format description event, where it can be read without a key.
    #[must_use]
    pub const fn plain_description(&self) -> Option<&FormatDescription> {
        match self {
            Self::MysqlPlain(description)
            | Self::MariadbPlain(description)
            | Self::MariadbEncrypted(description, _)
            | Self::Percona57Encrypted(description) => Some(description),
            _ => None,
        }
    }

    /// Whether the file is a log of any kind, whole or damaged.
    #[must_use]
    pub const fn is_log(&self) -> bool {
        !matches!(self, Self::Empty | Self::Unknown | Self::Truncated { magic: None, .. })
    }
}

fn starts_a_magic(bytes: &[u8]) -> bool {
    header::MAGIC.starts_with(bytes) || crate::event::MAGIC.starts_with(bytes)
}

/// Looks for an event that starts encryption, right after the format description event; and says
/// whether the bytes went far enough for that.
fn classify_plain(description: FormatDescription, events: &[u8]) -> (LogKind, bool) {
    let mut is_sure = true;
    let mut rest = skip(events, &description.header);
    for _ in 0..EVENTS_LOOKED_AT {
        let Ok(header) = EventHeader::parse(rest) else {
            is_sure = false;
            break;
        };
        match header.event_type {
            event_type::PERCONA_START_ENCRYPTION => {
                return (LogKind::Percona57Encrypted(description), true);
            }
            event_type::MARIADB_START_ENCRYPTION => {
                return match StartEncryption::parse(rest) {
                    Ok(start) if start.is_in_force() => {
                        (LogKind::MariadbEncrypted(description, start), true)
                    }
                    parsed => (LogKind::MariadbPlain(description), parsed.is_ok()),
                };
            }
            _ => rest = skip(rest, &header),
        }
    }
    let kind = if description.is_mariadb() {
        LogKind::MariadbPlain(description)
    } else {
        LogKind::MysqlPlain(description)
    };
    (kind, is_sure)
}

/// What follows an event; nothing when its length leads out of the bytes at hand.
fn skip<'a>(bytes: &'a [u8], header: &EventHeader) -> &'a [u8] {
    header.byte_length().and_then(|length| bytes.get(length..)).unwrap_or_default()
}
