//! Why a key store gives no answer.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Why a store gave no answer. It can be cloned, as one answer is for many logs.
#[derive(Debug, Clone)]
pub struct StoreFailure {
    source: Arc<dyn StdError + Send + Sync>,
    pub(super) is_of_store: bool,
    is_missing_key: bool,
}

impl StoreFailure {
    /// From the store's own error; `is_of_store` says that every other question would fail alike.
    #[must_use]
    pub fn new(source: impl StdError + Send + Sync + 'static, is_of_store: bool) -> Self {
        Self { source: Arc::new(source), is_of_store, is_missing_key: false }
    }

    /// The store answered, and there is no such key to be had: what holds it is damaged, or what it
    /// is encrypted under is gone.
    #[must_use]
    pub const fn of_missing_key(mut self) -> Self {
        self.is_missing_key = true;
        self
    }

    /// Whether it is about the key, and not about the store.
    #[must_use]
    pub const fn is_missing_key(&self) -> bool {
        self.is_missing_key
    }
}

impl fmt::Display for StoreFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl StdError for StoreFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.source()
    }
}
