//! What lies below a prefix of a store.

use std::path::Path;

use super::location::ObjectUrl;
use super::store::Entry;
use super::{TransferError, store};

/// Hands over all objects that a URL stands for ([`ObjectUrl::is_prefix`],
/// [`ObjectUrl::is_pattern`]), in the order of their keys, many at a time. Listing goes on while
/// they are worked on. `false` from `page` ends it.
///
/// # Errors
/// [`TransferError::File`] when the store refuses, or the pattern is none; what was listed before
/// that has been handed over. [`TransferError::NoObjects`].
pub fn list(url: &Path, page: &mut dyn FnMut(Vec<Entry>) -> bool) -> Result<(), TransferError> {
    match ObjectUrl::of(url) {
        Some(object) => store::of(url)?.list(url, &object, page),
        None => Ok(()),
    }
}

/// Whether something is there under a path or URL. A link counts, wherever it leads.
///
/// # Errors
/// [`TransferError::File`] when a store or the system does not say.
pub fn exists(path: &Path) -> Result<bool, TransferError> {
    if !super::location::is_url(path) {
        let path = &*super::location::local(path);
        return match path.symlink_metadata() {
            Ok(_) => Ok(true),
            Err(error) if is_absence(&error) => Ok(false),
            Err(error) => Err(TransferError::at(path, "examine")(error)),
        };
    }
    match super::source::FileSource::open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// A part of the path that is no directory is as good as none.
fn is_absence(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename
    )
}
