//! The report of `binlogsec encrypt`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::log_entry::{Failure, rfc3339};
use binlogsec_core::log::error::{Error, describe};
use binlogsec_core::text::path_text;
use binlogsec_core::write::encrypt::{Encrypted, FileOutcome, FileResult};

/// `binlogsec encrypt --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct EncryptReport {
    /// `binlogsec.encrypt/1`.
    pub schema: &'static str,
    /// Every input.
    pub files: Vec<EncryptEntry>,
    /// What could not be read at all.
    pub failures: Vec<Failure>,
    /// What killed runs had left in the directories of logs that are encrypted in place. It is
    /// removed, or put back under the log's name, but for a dry run.
    pub leftovers: Vec<String>,
}

/// One input and what came of it.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct EncryptEntry {
    /// As given, or as found; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// `encrypted`, `kept`, `would-encrypt`, `left-out` or `failed`.
    #[cfg_attr(test, schemars(extend("enum" = ["encrypted", "kept", "would-encrypt", "left-out", "failed"])))]
    pub status: &'static str,
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

impl EncryptReport {
    /// From the results of one run.
    #[must_use]
    pub(crate) fn new(results: &[FileResult], failures: &[Error], leftovers: &[PathBuf]) -> Self {
        let files = results.iter().map(EncryptEntry::new).collect();
        let failures = failures.iter().map(Failure::new).collect();
        Self {
            schema: "binlogsec.encrypt/1",
            files,
            failures,
            leftovers: leftovers.iter().map(|path| path_text::text(path)).collect(),
        }
    }
}

impl EncryptEntry {
    fn new(file: &FileResult) -> Self {
        let path = &file.input;
        match &file.result {
            Ok(FileOutcome::Done(output, done)) => Self::encrypted(path, output, done),
            Ok(FileOutcome::LeftOut(reason)) => Self::not("left-out", path, describe(reason)),
            Err(error) => Self::not("failed", path, describe(error)),
        }
    }

    fn encrypted(path: &Path, output: &Path, done: &Encrypted) -> Self {
        let description = &done.description;
        Self {
            path: path_text::text(path),
            status: match (done.kept, done.written) {
                (true, _) => "kept",
                (false, true) => "encrypted",
                (false, false) => "would-encrypt",
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

    fn not(status: &'static str, path: &Path, reason: String) -> Self {
        Self { path: path_text::text(path), status, reason: Some(reason), ..Self::default() }
    }
}
