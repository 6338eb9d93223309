//! All objects below a prefix, page by page.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::{Duration, Instant};

use globset::{GlobBuilder, GlobMatcher};
use object_store::ObjectMeta;
use object_store::list::{PaginatedListOptions, PaginatedListResult};
use object_store::path::Path as Key;
use tokio::sync::mpsc;

use super::client::Store;
use super::{refused, runtime};
use binlogsec_core::file::TransferError;
use binlogsec_core::file::location::ObjectUrl;
use binlogsec_core::file::store::Entry;

/// Objects that are handed over at once: as many as stores list by one request.
const PAGE: usize = 1000;
/// Pages that are listed ahead.
const PAGES_AHEAD: usize = 8;

/// A hundred million objects.
const MOST_PAGES: usize = 100_000;
/// What stores list at once, and more.
const MOST_ON_PAGE: usize = 20_000;
/// A page with fewer objects, and more to come, is short. Stores have some behind deleted objects.
const SHORT: usize = 10;
/// Short pages in a row.
const MOST_SHORT: usize = 250;
/// So many times as long as for one answer a store is waited for in all,
const PATIENCE_IN_TIMEOUTS: u32 = 3;
/// and so long for each page that was not short.
const PATIENCE_FOR_PAGE: Duration = Duration::from_secs(2);

/// Hands over all objects that a URL stands for, in the order of their keys, a thousand at a time.
/// Listing goes on while they are worked on. `false` from `page` ends it.
///
/// # Errors
/// [`TransferError::File`] when the store refuses, or a pattern is none.
pub(crate) fn list(
    path: &Path,
    url: &ObjectUrl,
    page: &mut dyn FnMut(Vec<Entry>) -> bool,
) -> Result<(), TransferError> {
    let store = Store::of(url, path)?;
    list_of(store, path, url, page)
}

/// Lists what a URL stands for from answers that are there already, one for each page, for tests of what
/// a store (of S3's protocol) may answer: no network is involved.
///
/// # Errors
/// [`TransferError::File`] when an answer is none, or the pattern is none.
pub fn list_answers(
    path: &Path,
    answers: Vec<Vec<u8>>,
    page: &mut dyn FnMut(Vec<Entry>) -> bool,
) -> Result<(), TransferError> {
    let Some(url) = ObjectUrl::of(path) else { return Ok(()) };
    let store = Store::answering(answers).map_err(|error| refused(path, "list", error))?;
    list_of(store, path, &url, page)
}

fn list_of(
    store: Store,
    path: &Path,
    url: &ObjectUrl,
    page: &mut dyn FnMut(Vec<Entry>) -> bool,
) -> Result<(), TransferError> {
    let pattern = pattern(url, path)?;
    let base = url.base().to_owned();
    let prefix = Key::parse(&base).map_err(|error| refused(path, "list", error.into()))?;
    let (sender, mut pages) = mpsc::channel(PAGES_AHEAD);
    let runtime = runtime().map_err(TransferError::at(path, "list"))?;
    let listing = runtime.spawn(async move {
        let mut listing = Listing::new(store, &prefix);
        loop {
            let (found, failure) = match listing.next().await {
                Ok(Some(found)) => (found, None),
                Ok(None) => return,
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            let is_over = failure.is_some();
            let mut objects = found.into_iter().map(Ok).chain(failure).peekable();
            while objects.peek().is_some() {
                let piece: Vec<_> = objects.by_ref().take(PAGE).collect();
                if sender.send(piece).await.is_err() {
                    return;
                }
            }
            if is_over {
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
                        entries.push(Entry { path: url.with_key(key), size: object.size });
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

/// Why a listing goes on no longer.
#[derive(Debug, thiserror::Error)]
enum Endless {
    #[error("the store lists the same page over and over")]
    Again,
    #[error("the store has listed {MOST_PAGES} pages and says that there are more")]
    Pages,
    #[error(
        "{MOST_SHORT} pages in a row had next to nothing on them, and there are said to be more"
    )]
    Short,
    #[error("{objects} objects on one page, of which {MOST_ON_PAGE} are the most that stores list")]
    Wide { objects: usize },
    #[error(
        "the store has taken {} s for {pages} pages; AWS_TIMEOUT (GOOGLE_, AZURE_) allows more",
        .waited.as_secs()
    )]
    Late { pages: usize, waited: Duration },
}

impl From<Endless> for object_store::Error {
    fn from(endless: Endless) -> Self {
        Self::Generic { store: "listing", source: Box::new(endless) }
    }
}

/// A listing page by page, which ends, whatever a store says.
struct Listing {
    store: Store,
    prefix: Option<String>,
    token: Option<String>,
    /// Marks of the tokens so far.
    tokens: HashSet<u64>,
    hasher: RandomState,
    /// Pages so far, and those of them without an end that had next to nothing on them, in a row.
    pages: usize,
    short: usize,
    waited: Duration,
    is_over: bool,
}

impl Listing {
    fn new(store: Store, prefix: &Key) -> Self {
        let prefix = Some(prefix.as_ref()).filter(|prefix| !prefix.is_empty());
        Self {
            store,
            prefix: prefix.map(|prefix| format!("{prefix}/")),
            token: None,
            tokens: HashSet::new(),
            hasher: RandomState::new(),
            pages: 0,
            short: 0,
            waited: Duration::ZERO,
            is_over: false,
        }
    }

    /// The objects of the next page; `None` behind the last.
    async fn next(&mut self) -> Result<Option<Vec<ObjectMeta>>, object_store::Error> {
        if self.is_over {
            return Ok(None);
        }
        let found = self.page().await?;
        self.pages = self.pages.saturating_add(1);
        self.token = found.page_token;
        self.is_over = self.token.is_none();
        let objects = found.result.objects;
        if objects.len() > MOST_ON_PAGE {
            let objects = objects.len();
            return Err(Endless::Wide { objects }.into());
        }
        let is_short = !self.is_over && objects.len() < SHORT;
        self.short = if is_short { self.short.saturating_add(1) } else { 0 };
        if let Some(token) = &self.token
            && !self.tokens.insert(self.hasher.hash_one(token))
        {
            return Err(Endless::Again.into());
        }
        if self.short > MOST_SHORT {
            return Err(Endless::Short.into());
        }
        if self.pages >= MOST_PAGES && !self.is_over {
            return Err(Endless::Pages.into());
        }
        Ok(Some(objects))
    }

    /// One request, with those that it is repeated by. Waiting for the store counts, not for those who
    /// work on what it has listed.
    async fn page(&mut self) -> Result<PaginatedListResult, object_store::Error> {
        let options = PaginatedListOptions {
            page_token: self.token.take(),
            ..PaginatedListOptions::default()
        };
        let full = u32::try_from(self.pages.saturating_sub(self.short)).unwrap_or(u32::MAX);
        let allowed = self.store.timeout.saturating_mul(PATIENCE_IN_TIMEOUTS);
        let allowed = allowed.saturating_add(PATIENCE_FOR_PAGE.saturating_mul(full));
        let start = Instant::now();
        let left = allowed.saturating_sub(self.waited);
        let answer = self.store.pages.list_paginated(self.prefix.as_deref(), options);
        let answer = tokio::time::timeout(left, answer).await;
        self.waited = self.waited.saturating_add(start.elapsed());
        answer.map_err(|_| Endless::Late { pages: self.pages, waited: self.waited })?
    }
}

fn pattern(url: &ObjectUrl, path: &Path) -> Result<Option<GlobMatcher>, TransferError> {
    if !url.is_pattern() {
        return Ok(None);
    }
    let glob = GlobBuilder::new(&url.key).literal_separator(true).build().map_err(|error| {
        let error = std::io::Error::new(std::io::ErrorKind::InvalidInput, error);
        TransferError::at(path, "understand the pattern")(error)
    })?;
    Ok(Some(glob.compile_matcher()))
}
