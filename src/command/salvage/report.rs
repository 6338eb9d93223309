//! The report of `binlogsec salvage`.

use std::path::Path;

use serde::Serialize;

use binlogsec_core::read::salvage::Salvaged;
use binlogsec_core::text::path_text;

/// `binlogsec salvage --format json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SalvageReport<'a> {
    /// `binlogsec.salvage/1`.
    pub schema: &'static str,
    /// The damaged log.
    pub path: String,
    /// Where what is whole has been written.
    pub output: String,
    /// `whole` when nothing is missing, else `salvaged`.
    pub status: SalvageStatus,
    /// What was salvaged, and what was not.
    #[serde(flatten)]
    pub salvaged: &'a Salvaged,
}

/// What came of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SalvageStatus {
    /// Nothing is missing.
    Whole,
    /// Something is missing, or was put right.
    Salvaged,
}

impl<'a> SalvageReport<'a> {
    /// From the outcome of one run.
    #[must_use]
    pub(crate) fn new(path: &Path, output: &Path, salvaged: &'a Salvaged) -> Self {
        let is_whole = salvaged.is_whole();
        Self {
            schema: "binlogsec.salvage/1",
            path: path_text::text(path),
            output: path_text::text(output),
            status: if is_whole { SalvageStatus::Whole } else { SalvageStatus::Salvaged },
            salvaged,
        }
    }
}
