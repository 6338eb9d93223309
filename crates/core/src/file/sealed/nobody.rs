//! Built without the feature `age`, there is nobody to seal for.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use crate::file::TransferError;

/// Those who can read an output: none.
#[derive(Debug)]
pub enum Recipients {}

/// Why there are no recipients.
#[derive(Debug, thiserror::Error)]
#[error(
    "this program was built without age files: build it with the feature `age` (or `full`), or leave the recipients out"
)]
pub struct RecipientError;

impl Recipients {
    /// Refuses recipients, whoever they are.
    ///
    /// # Errors
    /// [`RecipientError`], always.
    pub const fn open(_names: &[OsString]) -> Result<Self, RecipientError> {
        Err(RecipientError)
    }

    /// How many they are.
    #[must_use]
    pub const fn count(&self) -> usize {
        match *self {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn seal<T>(
        &self,
        _writer: &mut dyn Write,
        _name: &Path,
        _write: impl FnOnce(&mut dyn Write) -> Result<T, TransferError>,
    ) -> Result<T, TransferError> {
        match *self {}
    }
}
