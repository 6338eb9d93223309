//! The report of `binlogsec decrypt`.

use std::path::Path;

use serde::Serialize;

use crate::command::verify::report::NoteEntry;
use crate::log_entry::{Failure, LogEntry};
use binlogsec_core::log::error::Error;
use binlogsec_core::log::error::describe;
use binlogsec_core::log::kind::LogKind;
use binlogsec_core::log::probe::KeyStatus;
use binlogsec_core::read::decrypt::{Decrypted, FileOutcome, FileResult};
use binlogsec_core::text::path_text;

/// `binlogsec decrypt --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DecryptReport {
    /// `binlogsec.decrypt/1`.
    pub schema: &'static str,
    /// Every input.
    pub files: Vec<DecryptEntry>,
    /// What could not be read at all.
    pub failures: Vec<Failure>,
}

/// One input and what came of it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DecryptEntry {
    /// `decrypted`; `sealed` where the output is an age file; `kept` where an earlier run had made
    /// it; `left-out` or `failed`.
    #[cfg_attr(test, schemars(extend("enum" = ["decrypted", "sealed", "kept", "left-out", "failed"])))]
    pub status: &'static str,
    /// Where the plaintext, or the age file of it, is; `-` for standard output.
    pub output: Option<String>,
    /// For how many recipients an age file is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients: Option<usize>,
    /// Length of the plaintext in bytes.
    pub plain_size: Option<u64>,
    /// The log, as `inspect` shows it.
    #[serde(flatten)]
    pub log: Option<LogEntry>,
    /// Which input, when there is nothing more to say of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What there is to say of a log that was verified.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<NoteEntry>,
    /// Why it failed or was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl DecryptReport {
    /// From the results of one run.
    #[must_use]
    pub(crate) fn new(results: &[FileResult], failures: &[Error]) -> Self {
        let files = results.iter().map(DecryptEntry::new).collect();
        let failures = failures.iter().map(Failure::new).collect();
        Self { schema: "binlogsec.decrypt/1", files, failures }
    }
}

impl DecryptEntry {
    fn new(file: &FileResult) -> Self {
        let path = &file.input;
        match &file.result {
            Ok(FileOutcome::Done(output, decrypted)) => {
                Self::decrypted(path, &path_text::text(output), decrypted)
            }
            Ok(FileOutcome::LeftOut(reason)) => Self::not("left-out", path, describe(reason)),
            Err(error) => Self::not("failed", path, describe(error)),
        }
    }

    fn decrypted(path: &Path, output: &str, decrypted: &Decrypted) -> Self {
        let mut log = LogEntry::of_log(path, &decrypted.kind, decrypted.description.as_ref());
        let header = match decrypted.kind {
            LogKind::MysqlEncrypted(_) => binlogsec_core::mysql::header::BODY_OFFSET,
            _ => 0,
        };
        log.size = decrypted.plain_length.saturating_add(header);
        log.error = decrypted.damage.as_ref().map(|damage| describe(damage));
        if let Some((cipher, key_id)) = decrypted.mariadb_key.as_deref() {
            log.cipher = Some(cipher.clone());
            log.key_id = key_id.map(|id| id.to_string());
        }
        log.key_status = KeyStatus::Present.name().map(Into::into);
        let recipients = (decrypted.recipients > 0).then_some(decrypted.recipients);
        Self {
            status: match (decrypted.kept, recipients) {
                (true, _) => "kept",
                (false, None) => "decrypted",
                (false, Some(_)) => "sealed",
            },
            output: Some(output.to_owned()),
            recipients,
            plain_size: Some(decrypted.plain_length),
            log: Some(log),
            path: None,
            notes: NoteEntry::all(&decrypted.notes),
            reason: None,
        }
    }

    fn not(status: &'static str, path: &Path, reason: String) -> Self {
        Self {
            status,
            output: None,
            recipients: None,
            plain_size: None,
            log: None,
            path: Some(path_text::text(path)),
            notes: Vec::new(),
            reason: Some(reason),
        }
    }
}
