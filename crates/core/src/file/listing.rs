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

/// The same from answers that are there already, one for each page, for tests of what a store (of S3's
/// protocol) may answer: no network is involved.
///
/// # Errors
/// As [`list`].
#[cfg(feature = "objects")]
pub fn list_answers(
    url: &Path,
    answers: Vec<Vec<u8>>,
    page: &mut dyn FnMut(Vec<Entry>) -> bool,
) -> Result<(), TransferError> {
    match ObjectUrl::of(url) {
        Some(object) => super::objects::list_answers(url, &object, answers, page),
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
        Some(_) => Err(TransferError::NoObjects { path: url.to_owned() }),
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
