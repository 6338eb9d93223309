//! What reports say of commands that do the same work for many logs: `decrypt`, `encrypt`, `rekey`.

use std::path::Path;

use binlogsec_core::batch::{FileOutcome, FileResult};
use binlogsec_core::log::error::{Error, describe};
use serde::Serialize;

use crate::log_entry::Failure;

/// The results of all of them, as part of a report.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct FilesReport<E> {
    /// Every input.
    pub files: Vec<E>,
    /// What could not be read at all.
    pub failures: Vec<Failure>,
}

/// One log and what came of it.
pub(crate) trait FileEntry: Sized {
    /// What the work comes to where it is done.
    type Done;

    /// The work is done, and its result is at `output`.
    fn done(input: &Path, output: &Path, done: &Self::Done) -> Self;

    /// It was not, for this reason.
    fn not_done(input: &Path, why: NotDone, reason: String) -> Self;
}

/// Why nothing was done with a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotDone {
    /// It came with an index or a directory, and there was nothing to do.
    LeftOut,
    /// It could not be done.
    Failed,
}

impl<E: FileEntry> FilesReport<E> {
    /// From the results of one run.
    pub(crate) fn new<R: std::error::Error>(
        results: &[FileResult<E::Done, R>],
        failures: &[Error],
    ) -> Self {
        let entry = |FileResult { input, result }: &FileResult<E::Done, R>| match result {
            Ok(FileOutcome::Done(output, done)) => E::done(input, output, done),
            Ok(FileOutcome::LeftOut(why)) => E::not_done(input, NotDone::LeftOut, describe(why)),
            Err(error) => E::not_done(input, NotDone::Failed, describe(error)),
        };
        Self {
            files: results.iter().map(entry).collect(),
            failures: failures.iter().map(Failure::new).collect(),
        }
    }
}
