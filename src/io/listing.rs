//! What lies below a prefix of a store.

use std::path::{Path, PathBuf};

use super::TransferError;
use super::location::ObjectUrl;

/// What a listing says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its URL.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
}

/// Hands over all objects that a URL stands for ([`ObjectUrl::is_prefix`],
/// [`ObjectUrl::is_pattern`]), in the order of their keys, many at a time. Listing goes on while
/// they are worked on. `false` from `page` ends it.
///
/// # Errors
/// [`TransferError::File`] when the store refuses, or the pattern is none; what was listed before
/// that has been handed over.
#[cfg(feature = "objects")]
pub fn list(url: &Path, page: &mut dyn FnMut(Vec<Entry>) -> bool) -> Result<(), TransferError> {
    match ObjectUrl::of(url) {
        Some(object) => super::objects::list(url, &object, page),
        None => Ok(()),
    }
}

/// Built without the feature `objects`, there is nothing to ask.
///
/// # Errors
/// [`TransferError::NoObjects`].
#[cfg(not(feature = "objects"))]
pub fn list(url: &Path, _page: &mut dyn FnMut(Vec<Entry>) -> bool) -> Result<(), TransferError> {
    match ObjectUrl::of(url) {
        Some(_) => Err(TransferError::NoObjects {
            path: url.to_owned(),
        }),
        None => Ok(()),
    }
}

/// Whether something is there under a path or URL. A link counts, wherever it leads.
#[must_use]
pub fn exists(path: &Path) -> bool {
    if super::location::is_url(path) {
        super::source::FileSource::open(path).is_ok()
    } else {
        path.symlink_metadata().is_ok()
    }
}
