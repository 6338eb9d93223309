//! The report of `binlogsec encrypt`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::files_report::{FileEntry, FilesReport, NotDone};
use crate::log_entry::rfc3339;
use binlogsec_core::text::{path_text, reported};
use binlogsec_core::write::encrypt::Encrypted;

/// `binlogsec encrypt --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct EncryptReport {
    /// `binlogsec.encrypt/1`.
    pub schema: &'static str,
    /// What came of each.
    #[serde(flatten)]
    pub results: FilesReport<EncryptEntry>,
    /// What killed runs had left in the directories of logs that are encrypted in place. It is
    /// removed, or put back under the log's name, but for a dry run.
    #[serde(serialize_with = "reported::paths")]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub leftovers: Vec<PathBuf>,
}

/// One input and what came of it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct EncryptEntry {
    /// As given, or as found; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// `encrypted`, `kept`, `would-encrypt`, `left-out` or `failed`.
    pub status: EncryptStatus,
    /// Where the encrypted log is; `-` for standard output.
    pub output: Option<String>,
    /// Length of the plaintext in bytes.
    pub plain_size: Option<u64>,
    /// Length of the encrypted log in bytes: 512 more.
    pub size: Option<u64>,
    /// Under which key it is.
    pub key_id: Option<String>,
    /// Version of the server that wrote the log.
    pub server_version: Option<String>,
    /// When the log was begun (RFC 3339, UTC).
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    pub created: Option<String>,
    /// Whether its in-use flag is set.
    pub in_use: Option<bool>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// Why it failed or was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What came of one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EncryptStatus {
    /// It was encrypted.
    Encrypted,
    /// An earlier run had written it.
    Kept,
    /// It would be encrypted, but for a dry run.
    WouldEncrypt,
    /// It came with an index or a directory and is encrypted already, or no log.
    LeftOut,
    /// It could not be encrypted.
    Failed,
}

impl FileEntry for EncryptEntry {
    type Done = Encrypted;

    fn done(path: &Path, output: &Path, done: &Encrypted) -> Self {
        let description = &done.description;
        Self {
            path: path_text::text(path),
            status: match (done.kept, done.written) {
                (true, _) => EncryptStatus::Kept,
                (false, true) => EncryptStatus::Encrypted,
                (false, false) => EncryptStatus::WouldEncrypt,
            },
            output: Some(path_text::text(output)),
            plain_size: Some(done.plain_length),
            size: Some(done.encrypted_length),
            key_id: Some(done.key_id.to_string()),
            server_version: Some(description.server_version.clone()),
            created: Some(rfc3339(description.header.timestamp)),
            in_use: Some(description.in_use()),
            notes: done.notes.clone(),
            reason: None,
        }
    }

    fn not_done(path: &Path, why: NotDone, reason: String) -> Self {
        Self {
            path: path_text::text(path),
            status: match why {
                NotDone::LeftOut => EncryptStatus::LeftOut,
                NotDone::Failed => EncryptStatus::Failed,
            },
            output: None,
            plain_size: None,
            size: None,
            key_id: None,
            server_version: None,
            created: None,
            in_use: None,
            notes: Vec::new(),
            reason: Some(reason),
        }
    }
}
