//! The reports of `binlogsec rekey` and `binlogsec header`.

use std::path::Path;

use serde::Serialize;

use crate::files_report::{FileEntry, FilesReport, NotDone};
use binlogsec_core::log::error::Error;
use binlogsec_core::text::path_text;
use binlogsec_core::write::header::{Anatomy, Restored};
use binlogsec_core::write::rekey::{Change, FileResult, OLD_HEADER_NOTE, Rekeyed};
use binlogsec_core::write::rekey_archive::OLD_JSON_NOTE;

/// `binlogsec rekey --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RekeyReport {
    /// `binlogsec.rekey/1`.
    pub schema: &'static str,
    /// What came of each.
    #[serde(flatten)]
    pub results: FilesReport<RekeyEntry>,
    /// What rekeying does not do; `null` when no log was rekeyed.
    pub note: Option<&'static str>,
}

/// One log and what came of it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RekeyEntry {
    /// As given, or as found; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// `rekeyed`, `would-rekey`, `unchanged`, `left-out` or `failed`.
    pub status: RekeyStatus,
    /// What was done.
    #[serde(flatten)]
    pub done: Rekeyed,
    /// Why it failed or was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What came of one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RekeyStatus {
    /// It is under the new key.
    Rekeyed,
    /// It would be, but for a dry run.
    WouldRekey,
    /// It was under that key already, or the run only recovers.
    Unchanged,
    /// It came with an index or a directory and is not encrypted, or no log.
    LeftOut,
    /// It could not be rekeyed.
    Failed,
}

impl RekeyReport {
    /// From the results of one run.
    #[must_use]
    pub(crate) fn new(results: &[FileResult], failures: &[Error]) -> Self {
        let results = FilesReport::<RekeyEntry>::new(results, failures);
        // Logs without a header have a note of their own.
        let has_header = |file: &RekeyEntry| !file.done.notes.iter().any(|it| it == OLD_JSON_NOTE);
        let was_rekeyed = |file: &RekeyEntry| file.status == RekeyStatus::Rekeyed;
        let any = results.files.iter().any(|file| was_rekeyed(file) && has_header(file));
        Self { schema: "binlogsec.rekey/1", results, note: any.then_some(OLD_HEADER_NOTE) }
    }
}

impl FileEntry for RekeyEntry {
    type Done = Rekeyed;

    fn done(path: &Path, _: &Path, done: &Rekeyed) -> Self {
        Self {
            path: path_text::text(path),
            status: match done.change {
                Change::Written => RekeyStatus::Rekeyed,
                Change::WouldWrite => RekeyStatus::WouldRekey,
                Change::None => RekeyStatus::Unchanged,
            },
            done: done.clone(),
            reason: None,
        }
    }

    fn not_done(path: &Path, why: NotDone, reason: String) -> Self {
        Self {
            path: path_text::text(path),
            status: match why {
                NotDone::LeftOut => RekeyStatus::LeftOut,
                NotDone::Failed => RekeyStatus::Failed,
            },
            done: Rekeyed::default(),
            reason: Some(reason),
        }
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
