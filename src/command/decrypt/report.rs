//! The report of `binlogsec decrypt`.

use std::path::Path;

use serde::Serialize;

use crate::files_report::{FileEntry, FilesReport, NotDone};
use crate::log_entry::LogEntry;
use crate::note_entry::NoteEntry;
use binlogsec_core::log::error::describe;
use binlogsec_core::log::kind::LogKind;
use binlogsec_core::log::probe::KeyStatus;
use binlogsec_core::read::decrypt::Decrypted;
use binlogsec_core::text::path_text;

/// `binlogsec decrypt --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DecryptReport {
    /// `binlogsec.decrypt/1`.
    pub schema: &'static str,
    /// What came of each.
    #[serde(flatten)]
    pub results: FilesReport<DecryptEntry>,
}

/// One input and what came of it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DecryptEntry {
    /// `decrypted`; `sealed` where the output is an age file; `kept` where an earlier run had made
    /// it; `left-out` or `failed`.
    pub status: DecryptStatus,
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

/// What came of one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DecryptStatus {
    /// Its plaintext was written.
    Decrypted,
    /// An age file of its plaintext was written.
    Sealed,
    /// An earlier run had written it.
    Kept,
    /// It came with an index or a directory and is not encrypted, or no log.
    LeftOut,
    /// It could not be decrypted.
    Failed,
}

impl FileEntry for DecryptEntry {
    type Done = Decrypted;

    fn done(path: &Path, output: &Path, decrypted: &Decrypted) -> Self {
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
                (true, _) => DecryptStatus::Kept,
                (false, None) => DecryptStatus::Decrypted,
                (false, Some(_)) => DecryptStatus::Sealed,
            },
            output: Some(path_text::text(output)),
            recipients,
            plain_size: Some(decrypted.plain_length),
            log: Some(log),
            path: None,
            notes: NoteEntry::all(&decrypted.notes),
            reason: None,
        }
    }

    fn not_done(path: &Path, why: NotDone, reason: String) -> Self {
        Self {
            status: match why {
                NotDone::LeftOut => DecryptStatus::LeftOut,
                NotDone::Failed => DecryptStatus::Failed,
            },
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
