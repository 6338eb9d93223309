//! All objects below a prefix, page by page.

use std::path::Path;

use futures_util::StreamExt;
use globset::{GlobBuilder, GlobMatcher};
use object_store::path::Path as Key;
use tokio::sync::mpsc;

use super::client::Store;
use super::{refused, runtime};
use crate::io::TransferError;
use crate::io::listing::Entry;
use crate::io::location::ObjectUrl;

/// Objects that are handed over at once: as many as stores list by one request.
const PAGE: usize = 1000;
/// Pages that are listed ahead.
const PAGES_AHEAD: usize = 8;

/// Hands over all objects that a URL stands for, in the order of their keys, a thousand at a time.
/// Listing goes on while they are worked on. `false` from `page` ends it.
///
/// # Errors
/// [`TransferError::File`] when the store refuses, or a pattern is none.
pub(in crate::io) fn list(
    path: &Path,
    url: &ObjectUrl,
    page: &mut dyn FnMut(Vec<Entry>) -> bool,
) -> Result<(), TransferError> {
    let store = Store::of(url, path)?;
    let pattern = pattern(url, path)?;
    let base = url.base().to_owned();
    let prefix = Key::parse(&base).map_err(|error| refused(path, "list", error.into()))?;
    let (sender, mut pages) = mpsc::channel(PAGES_AHEAD);
    let runtime = runtime().map_err(TransferError::at(path, "list"))?;
    let listing = runtime.spawn(async move {
        let mut objects = store.objects.list(Some(&prefix)).chunks(PAGE);
        while let Some(page) = objects.next().await {
            if sender.send(page).await.is_err() {
                return;
            }
        }
    });
    while let Some(found) = pages.blocking_recv() {
        let mut entries = Vec::with_capacity(found.len());
        let mut failure = None;
        for object in found {
            match object {
                Ok(object) => {
                    let key = object.location.as_ref();
                    // What stands for a "directory" has the name of the prefix itself.
                    let is_below = key.starts_with(&base);
                    if is_below && pattern.as_ref().is_none_or(|it| it.is_match(key)) {
                        entries.push(Entry {
                            path: url.with_key(key),
                            size: object.size,
                        });
                    }
                }
                Err(error) => {
                    failure = Some(refused(path, "list", error));
                    break;
                }
            }
        }
        if !page(entries) {
            listing.abort();
            return Ok(());
        }
        if let Some(failure) = failure {
            listing.abort();
            return Err(failure);
        }
    }
    Ok(())
}

fn pattern(url: &ObjectUrl, path: &Path) -> Result<Option<GlobMatcher>, TransferError> {
    if !url.is_pattern() {
        return Ok(None);
    }
    let glob = GlobBuilder::new(&url.key)
        .literal_separator(true)
        .build()
        .map_err(|error| {
            let error = std::io::Error::new(std::io::ErrorKind::InvalidInput, error);
            TransferError::at(path, "understand the pattern")(error)
        })?;
    Ok(Some(glob.compile_matcher()))
}
