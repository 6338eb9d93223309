//! An error of a transformation, which itself has no way to return one.

use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use crate::file::pipeline::Progress;
use crate::log::error::Error;

/// Keeps the first error, and cancels the work at its next chunk.
pub(crate) struct Guard<'a> {
    progress: &'a dyn Progress,
    failure: Mutex<Option<Error>>,
}

impl<'a> Guard<'a> {
    pub(crate) fn new(progress: &'a dyn Progress) -> Self {
        Self { progress, failure: Mutex::default() }
    }

    pub(crate) fn fail(&self, error: Error) {
        self.slot().get_or_insert(error);
    }

    /// The error, if there was one; whatever the pipeline says then follows from it.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.slot().take()
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Error>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Guard<'_> {
    fn advance(&self, bytes: u64) -> ControlFlow<()> {
        if self.slot().is_some() {
            return ControlFlow::Break(());
        }
        self.progress.advance(bytes)
    }
}
