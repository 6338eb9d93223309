//! What reports say, as data: a module for each command. Its JSON is a contract: docs/json.md.

use std::path::Path;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use binlogsec_core::event::format_description::FormatDescription;
use binlogsec_core::log::error::{Error, describe};
use binlogsec_core::log::error_class::ErrorClass;
use binlogsec_core::log::kind::LogKind;
use binlogsec_core::mysql::key_id::KeyId;
use binlogsec_core::read::inspect::Inspected;
use binlogsec_core::text::path_text;

/// One file and what it says of itself.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct LogEntry {
    /// As given, or as found; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// See [`LogKind::name`].
    #[cfg_attr(test, schemars(extend("enum" = binlogsec_core::log::kind::KINDS)))]
    pub kind: Cow<'static, str>,
    /// `binlog` or `relaylog`, where the log says.
    #[cfg_attr(test, schemars(extend("enum" = ["binlog", "relaylog", null])))]
    pub role: Option<Cow<'static, str>>,
    /// Key id in the header, or in the JSON file beside the log, unprintable bytes escaped.
    pub key_id: Option<String>,
    /// Server UUID in the key id.
    pub server_uuid: Option<String>,
    /// Sequence number in the key id: the generation of the key.
    pub key_seqno: Option<u32>,
    /// See [`KeyStatus::name`](binlogsec_core::log::probe::KeyStatus::name).
    #[cfg_attr(test, schemars(extend("enum" = ["present", "missing", "wrong", "unchecked", null])))]
    pub key_status: Option<Cow<'static, str>>,
    /// Cipher of a log that MariaDB encrypted, once a key proved it; of one that Percona Binlog Server
    /// encrypted, as the JSON file beside it says.
    pub cipher: Option<String>,
    /// Version of the server that wrote the log.
    pub server_version: Option<String>,
    /// Its server id.
    pub server_id: Option<u32>,
    /// When the log was begun (RFC 3339, UTC).
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    pub created: Option<String>,
    /// `CRC32`, `NONE` …
    pub checksum: Option<String>,
    /// Whether the server has not closed the log, or crashed before it could.
    pub in_use: Option<bool>,
    /// What is wrong with it, or why it cannot be read.
    pub error: Option<String>,
    /// How much that weighs, if it does: what is no log, or lacks nothing but a key that was not
    /// named, is no problem.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub problem: Option<ErrorClass>,
    /// In the report of a shard: its number among all files, those of the other shards included.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub position: Option<u64>,
}

/// Something that could not be read at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Failure {
    /// Which, why, and what to do.
    pub message: String,
    /// `work`, `key` or `damage`.
    pub class: ErrorClass,
}

impl LogEntry {
    pub(crate) fn new(file: &Inspected) -> Self {
        let mut entry = Self::of_log(&file.path, &file.kind, file.description.as_ref());
        entry.size = file.size;
        entry.key_status = file.key_status.name().map(Cow::Borrowed);
        entry.problem = file.problem();
        if let Some((cipher, key_id)) = &file.mariadb_key {
            entry.cipher = Some(cipher.clone());
            entry.key_id = key_id.map(|id| id.to_string());
        }
        entry.error = match (&file.key_failure, &file.obstacle) {
            (Some(failure), _) => Some(describe(failure)),
            (None, obstacle) => obstacle.as_ref().map(|obstacle| describe(obstacle)),
        };
        entry
    }

    pub(crate) fn of_log(
        path: &Path,
        kind: &LogKind,
        description: Option<&FormatDescription>,
    ) -> Self {
        let key_id = match kind {
            LogKind::MysqlEncrypted(header) => Some(&header.key_id),
            _ => None,
        };
        let archive = match kind {
            LogKind::BinlogServerEncrypted(sidecar) => Some(sidecar),
            _ => None,
        };
        let wrapping_key = archive.map(|sidecar| KeyId::new(sidecar.kek_id.as_bytes()));
        let parts = key_id.and_then(KeyId::parts);
        Self {
            path: path_text::text(path),
            size: 0,
            kind: kind.name().into(),
            role: description.map(role),
            key_id: key_id.or(wrapping_key.as_ref()).map(ToString::to_string),
            server_uuid: parts.map(|parts| parts.server_uuid.to_owned()),
            key_seqno: parts.map(|parts| parts.sequence_number),
            key_status: None,
            cipher: archive.map(|sidecar| sidecar.cipher.clone()),
            server_version: match kind {
                LogKind::Ancient(log) => Some(log.server_version.clone()),
                _ => description.map(|description| description.server_version.clone()),
            },
            server_id: description.map(|description| description.header.server_id),
            created: description.map(|description| rfc3339(description.header.timestamp)),
            checksum: description.map(|description| description.checksum.to_string()),
            in_use: description.map(FormatDescription::in_use),
            error: None,
            problem: None,
            position: None,
        }
    }
}

pub(crate) fn role(description: &FormatDescription) -> Cow<'static, str> {
    if description.is_relay_log() { "relaylog".into() } else { "binlog".into() }
}

impl Failure {
    /// From an error on its way to the terminal.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        let class = error.downcast_ref::<Error>().map_or(ErrorClass::Work, Error::class);
        Self { message: format!("{error:#}"), class }
    }

    /// From an error.
    #[must_use]
    pub(crate) fn new(error: &Error) -> Self {
        Self { message: describe(error), class: error.class() }
    }
}

/// Seconds since 1970 as a date and time that every reader agrees on.
pub(crate) fn rfc3339(seconds: u32) -> String {
    jiff::Timestamp::from_second(i64::from(seconds)).unwrap_or_default().to_string()
}
