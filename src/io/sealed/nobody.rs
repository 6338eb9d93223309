//! Built without the feature `age`, there is nobody to seal for.

use std::io::Write;
use std::path::Path;

use crate::io::TransferError;

/// Those who can read an output: none.
#[derive(Debug)]
pub enum Recipients {}

impl Recipients {
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
