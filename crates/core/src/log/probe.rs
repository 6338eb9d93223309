//! What a log's first bytes and the keys at hand tell.

use std::path::Path;

use super::unlock::{unlock, without_key};
use crate::event::format_description::FormatDescription;
use crate::keyring::{Keyring, KeyringError};
use crate::log::archive;
use crate::log::kind::{LogKind, Magic};
use crate::log::log_error::LogError;
use crate::log::per_event::{PerEvent, ProvenKey};
use crate::mariadb::cipher::EventCipher;
use crate::mariadb::error::MariadbError;
use crate::mysql::header;
use crate::mysql::stream::CtrStream;
use crate::percona::sidecar::{Sidecar, SidecarError};

/// What is known of a log's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyStatus {
    /// The log has no key, or a kind without one.
    NotApplicable,
    /// No key was offered, or the log is too short to prove one.
    Unchecked,
    /// At hand, and it fits: the log's beginning decrypts.
    Present,
    /// Keys were offered, none of this id.
    Missing,
    /// A key of this id was offered, and it does not fit.
    Wrong,
}

impl KeyStatus {
    /// Its name in reports; `None` where there is nothing to say. Stable.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::NotApplicable => None,
            Self::Unchecked => Some("unchecked"),
            Self::Present => Some("present"),
            Self::Missing => Some("missing"),
            Self::Wrong => Some("wrong"),
        }
    }
}

/// What the leading bytes of a file and the keys at hand tell, without any output.
#[derive(Debug)]
pub struct Probe {
    kind: LogKind,
    body: Body,
    description: Option<FormatDescription>,
}

/// How the plaintext is had.
#[derive(Debug)]
enum Body {
    Plain,
    Ciphertext(Box<CtrStream>),
    PerEvent(Box<PerEvent>),
    Unreadable(LogError),
}

impl Probe {
    /// Classifies a file by its first [`PROBE_LENGTH`](crate::log::kind::PROBE_LENGTH) bytes (or all of a shorter one) and, if it
    /// is encrypted, proves the key on them.
    ///
    /// # Errors
    /// [`KeyringError`] when the key's source fails. What is wrong with the log itself is no error
    /// here: it is part of the answer.
    pub fn new(file_start: &[u8], keys: &Keyring) -> Result<Self, KeyringError> {
        let kind = LogKind::classify(file_start);
        let LogKind::MysqlEncrypted(header) = &kind else {
            return Ok(Self::of_kind(kind, file_start, Some(keys)));
        };
        let (body, description) = match unlock(header, file_start, keys)? {
            Ok(unlocked) => (Body::Ciphertext(Box::new(unlocked.stream)), unlocked.description),
            Err(error) => (Body::Unreadable(error), None),
        };
        Ok(Self { kind, body, description })
    }

    /// The same when there are no keys to ask.
    #[must_use]
    pub fn without_keys(file_start: &[u8]) -> Self {
        let kind = LogKind::classify(file_start);
        match &kind {
            LogKind::MysqlEncrypted(header) => {
                let body = Body::Unreadable(without_key(header, file_start));
                Self { kind, body, description: None }
            }
            _ => Self::of_kind(kind, file_start, None),
        }
    }

    /// Of a log that Percona Binlog Server wrote, by what stands beside it.
    #[must_use]
    pub fn of_archive(
        sidecar: Result<Sidecar, SidecarError>,
        file_start: &[u8],
        keys: &Keyring,
    ) -> Self {
        let sidecar = match sidecar {
            Ok(sidecar) => sidecar,
            Err(error) => {
                return Self {
                    kind: LogKind::BinlogServerDamaged(error.clone()),
                    body: Body::Unreadable(LogError::Sidecar(error)),
                    description: None,
                };
            }
        };
        let (body, description) = match archive::unlock(&sidecar, file_start, keys) {
            Ok(unwrapped) => (Body::Ciphertext(Box::new(unwrapped.stream)), unwrapped.description),
            Err(error) => (Body::Unreadable(error), None),
        };
        Self { kind: LogKind::BinlogServerEncrypted(Box::new(sidecar)), body, description }
    }

    /// Of a file: by its first bytes, or if they are no log's by what stands beside it.
    ///
    /// # Errors
    /// [`Error::Keyring`](crate::log::error::Error::Keyring) as for [`Probe::new`],
    /// [`Error::Transfer`](crate::log::error::Error::Transfer) when what stands beside it cannot be read.
    pub fn of_file(
        path: &Path,
        file_start: &[u8],
        keys: &Keyring,
    ) -> Result<Self, crate::log::error::Error> {
        match archive::beside(path, file_start)? {
            Some(sidecar) => Ok(Self::of_archive(sidecar, file_start, keys)),
            None => Ok(Self::new(file_start, keys)?),
        }
    }

    /// Of a log that MariaDB encrypted, with a cipher that need not be found out.
    pub(super) fn under(file_start: &[u8], cipher: EventCipher) -> Result<Self, LogError> {
        let kind = LogKind::classify(file_start);
        let LogKind::MariadbEncrypted(description, _) = &kind else {
            return Err(LogError::NotALog);
        };
        let key = ProvenKey { id: None, cipher, has_foreign_positions: false };
        let log = PerEvent::under(file_start, description, key)?;
        let description = kind.plain_description().cloned();
        Ok(Self { kind, body: Body::PerEvent(Box::new(log)), description })
    }

    /// Of a kind that needs no key, or that no key helps, or that tries all of them.
    fn of_kind(kind: LogKind, file_start: &[u8], keys: Option<&Keyring>) -> Self {
        let body = match &kind {
            LogKind::MysqlPlain(_) | LogKind::MariadbPlain(_) => Body::Plain,
            LogKind::MariadbEncrypted(description, start) => {
                match PerEvent::new(file_start, (description, start), keys) {
                    Ok(log) => Body::PerEvent(Box::new(log)),
                    Err(error) => Body::Unreadable(error),
                }
            }
            unreadable => Body::Unreadable(why_unreadable(unreadable)),
        };
        let description = kind.plain_description().cloned();
        Self { kind, body, description }
    }

    /// What the file is.
    #[must_use]
    pub const fn kind(&self) -> &LogKind {
        &self.kind
    }

    /// The format description event, where it could be read; that of an encrypted log with its key.
    #[must_use]
    pub const fn description(&self) -> Option<&FormatDescription> {
        self.description.as_ref()
    }

    /// What is known of the key.
    #[must_use]
    pub const fn key_status(&self) -> KeyStatus {
        match &self.body {
            Body::Ciphertext(_) | Body::Unreadable(LogError::BodyDamaged { .. }) => {
                KeyStatus::Present
            }
            Body::PerEvent(log) if log.key().is_some() => KeyStatus::Present,
            Body::Unreadable(
                LogError::KeyMissing { .. }
                | LogError::Mariadb(
                    MariadbError::KeyVersion { .. } | MariadbError::VersionMissing { .. },
                ),
            ) => KeyStatus::Missing,
            Body::Unreadable(
                LogError::WrongKey { .. }
                | LogError::WrongWrappingKey { .. }
                | LogError::Mariadb(MariadbError::WrongKey { .. }),
            ) => KeyStatus::Wrong,
            Body::PerEvent(_) => KeyStatus::Unchecked,
            Body::Unreadable(_)
                if matches!(
                    self.kind,
                    LogKind::MysqlEncrypted(_)
                        | LogKind::MariadbEncrypted(..)
                        | LogKind::BinlogServerEncrypted(_)
                ) =>
            {
                KeyStatus::Unchecked
            }
            _ => KeyStatus::NotApplicable,
        }
    }

    /// Why there is no plaintext, if there is none.
    #[must_use]
    pub const fn obstacle(&self) -> Option<&LogError> {
        match &self.body {
            Body::Unreadable(error) => Some(error),
            _ => None,
        }
    }

    /// Where the log's own bytes start in the file.
    #[must_use]
    pub const fn body_offset(&self) -> u64 {
        match self.kind {
            LogKind::MysqlEncrypted(_) => header::BODY_OFFSET,
            _ => 0,
        }
    }

    /// The stream that turns the body into plaintext; `None` when it is plaintext, or unreadable.
    #[must_use]
    pub const fn stream(&self) -> Option<&CtrStream> {
        match &self.body {
            Body::Ciphertext(stream) => Some(stream),
            _ => None,
        }
    }

    /// What opens a log that MariaDB encrypted event by event.
    #[must_use]
    pub const fn per_event(&self) -> Option<&PerEvent> {
        match &self.body {
            Body::PerEvent(log) => Some(log),
            _ => None,
        }
    }

    /// Name of the cipher and id of the key by which such a log opens, if they are proven.
    #[must_use]
    pub fn mariadb_key(&self) -> Option<(String, Option<u32>)> {
        let key = self.per_event()?.key()?;
        Some((key.cipher.name(), key.id))
    }

    /// The probe again if there is plaintext to be had.
    ///
    /// # Errors
    /// The [`LogError`] that stands in the way.
    pub fn readable(self) -> Result<Self, LogError> {
        match self.body {
            Body::Unreadable(error) => Err(error),
            _ => Ok(self),
        }
    }
}

fn why_unreadable(kind: &LogKind) -> LogError {
    match kind {
        LogKind::Empty => LogError::Empty,
        LogKind::Truncated { magic, available } => LogError::Truncated {
            available: *available,
            part: match magic {
                None => "magic",
                Some(Magic::MysqlEncrypted) => "encryption header (512 bytes)",
                Some(Magic::Plain) => "format description event",
            },
        },
        LogKind::MysqlEncryptedUnknownVersion { version } => {
            LogError::UnknownVersion { version: *version }
        }
        LogKind::MysqlEncryptedDamaged(error) => LogError::HeaderDamaged(error.clone()),
        LogKind::Ancient(log) => LogError::Ancient {
            server_version: log.server_version.clone(),
            binlog_version: log.binlog_version,
        },
        LogKind::PlainDamaged(error) => LogError::PlainDamaged(*error),
        LogKind::MariadbInnodb => LogError::InnodbLog,
        LogKind::Percona57Encrypted(_) => {
            LogError::Unsupported { format: "Percona Server 5.7's encrypted" }
        }
        _ => LogError::NotALog,
    }
}
