//! Small files, read whole.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use binlogsec_core::file::TransferError;
use binlogsec_core::file::small::{self, Pipes};

/// The bytes of a regular file of at most `largest` bytes.
///
/// # Errors
/// Those of [`small::read`].
pub(super) fn read(path: &Path, largest: u64) -> Result<Zeroizing<Vec<u8>>, TransferError> {
    small::read(path, largest, Pipes::Refused)
}

/// Permission bits and whether the owner is root; `None` where the file is not there.
pub(super) fn mode(path: &Path) -> Option<(u32, bool)> {
    let metadata = path.metadata().ok()?;
    Some((metadata.mode() & 0o7777, metadata.uid() == 0))
}
