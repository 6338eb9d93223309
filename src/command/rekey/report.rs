//! The reports of `binlogsec rekey` and `binlogsec header`.

use std::path::Path;

use serde::Serialize;

use crate::log_entry::Failure;
use binlogsec_core::log::error::{Error, describe};
use binlogsec_core::mysql::key_id::KeyId;
use binlogsec_core::text::path_text;
use binlogsec_core::write::header::{Anatomy, Restored};
use binlogsec_core::write::rekey::{
    Change, FileOutcome, FileResult, OLD_HEADER_NOTE, Recovery, Rekeyed,
};
use binlogsec_core::write::rekey_archive::OLD_JSON_NOTE;

/// `binlogsec rekey --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RekeyReport {
    /// `binlogsec.rekey/1`.
    pub schema: &'static str,
    /// Every log.
    pub files: Vec<RekeyEntry>,
    /// What could not be read at all.
    pub failures: Vec<Failure>,
    /// What rekeying does not do; `null` when no log was rekeyed.
    pub note: Option<&'static str>,
}

/// One log and what came of it.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RekeyEntry {
    /// As given, or as found; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// `rekeyed`, `would-rekey`, `unchanged`, `left-out` or `failed`.
    #[cfg_attr(test, schemars(extend("enum" = ["rekeyed", "would-rekey", "unchanged", "left-out", "failed"])))]
    pub status: &'static str,
    /// The key that the log was under.
    pub old_key_id: Option<String>,
    /// The key that it is under now, or would be.
    pub new_key_id: Option<String>,
    /// Version of the server that wrote the log.
    pub server_version: Option<String>,
    /// What an interrupted run had left and was brought to an end: `backup-removed` or
    /// `old-header-restored`.
    #[cfg_attr(test, schemars(extend("enum" = ["backup-removed", "old-header-restored", null])))]
    pub recovery: Option<&'static str>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// Why it failed or was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl RekeyReport {
    /// From the results of one run.
    #[must_use]
    pub(crate) fn new(results: &[FileResult], failures: &[Error]) -> Self {
        let files: Vec<_> = results.iter().map(RekeyEntry::new).collect();
        // Logs without a header have a note of their own.
        let has_header = |file: &RekeyEntry| !file.notes.iter().any(|note| note == OLD_JSON_NOTE);
        let any = files.iter().any(|file| file.status == "rekeyed" && has_header(file));
        Self {
            schema: "binlogsec.rekey/1",
            files,
            failures: failures.iter().map(Failure::new).collect(),
            note: any.then_some(OLD_HEADER_NOTE),
        }
    }
}

impl RekeyEntry {
    fn new(file: &FileResult) -> Self {
        let path = &file.input;
        match &file.result {
            Ok(FileOutcome::Done(_, done)) => Self::rekeyed(path, done),
            Ok(FileOutcome::LeftOut(reason)) => Self::not("left-out", path, describe(reason)),
            Err(error) => Self::not("failed", path, describe(error)),
        }
    }

    fn rekeyed(path: &Path, done: &Rekeyed) -> Self {
        let version = done.description.as_ref();
        Self {
            path: path_text::text(path),
            status: match done.change {
                Change::Written => "rekeyed",
                Change::WouldWrite => "would-rekey",
                Change::None => "unchanged",
            },
            old_key_id: done.old_key_id.as_ref().map(KeyId::to_string),
            new_key_id: done.new_key_id.as_ref().map(KeyId::to_string),
            server_version: version.map(|description| description.server_version.clone()),
            recovery: done.recovery.map(Recovery::name),
            notes: done.notes.clone(),
            reason: None,
        }
    }

    fn not(status: &'static str, path: &Path, reason: String) -> Self {
        Self { path: path_text::text(path), status, reason: Some(reason), ..Self::default() }
    }
}

/// `binlogsec header restore --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct HeaderReport<'a> {
    /// `binlogsec.header/1`.
    pub schema: &'static str,
    /// The log, as given.
    pub path: String,
    /// What came of it.
    #[serde(flatten)]
    pub restored: &'a Restored,
}

impl<'a> HeaderReport<'a> {
    /// The report of one result.
    #[must_use]
    pub(crate) fn new(log: &Path, restored: &'a Restored) -> Self {
        Self { schema: "binlogsec.header/1", path: path_text::text(log), restored }
    }
}

/// `binlogsec header dump --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct HeaderDumpReport<'a> {
    /// `binlogsec.header-dump/1`.
    pub schema: &'static str,
    /// The log, as given.
    pub path: String,
    /// What the header consists of.
    #[serde(flatten)]
    pub anatomy: &'a Anatomy,
}

impl<'a> HeaderDumpReport<'a> {
    /// The report of one result.
    #[must_use]
    pub(crate) fn new(log: &Path, anatomy: &'a Anatomy) -> Self {
        Self { schema: "binlogsec.header-dump/1", path: path_text::text(log), anatomy }
    }
}
