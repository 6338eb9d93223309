//! Small files, read whole.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use binlogsec_core::file::TransferError;
use binlogsec_core::file::source::FileSource;

/// The bytes of a regular file of at most `largest` bytes. They may be a key: they are wiped.
///
/// # Errors
/// What the operating system answers; a larger file.
pub(super) fn read(path: &Path, largest: u64) -> Result<Zeroizing<Vec<u8>>, TransferError> {
    let source = FileSource::open(path)?;
    if source.length() > largest {
        let too_large = std::io::Error::from(std::io::ErrorKind::FileTooLarge);
        return Err(TransferError::at(path, "read")(too_large));
    }
    let mut bytes = Zeroizing::new(vec![0; usize::try_from(source.length()).unwrap_or(0)]);
    let read = source.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Permission bits and whether the owner is root; `None` where the file is not there.
pub(super) fn mode(path: &Path) -> Option<(u32, bool)> {
    let metadata = path.metadata().ok()?;
    Some((metadata.mode() & 0o7777, metadata.uid() == 0))
}
