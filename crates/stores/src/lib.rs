//! Logs in object storage, S3's, Google's and Azure's, as `binlogsec-core` asks for them:
//! [`Stores`] is what it is given.
//!
//! A small runtime of its own does the waiting; callers block. Many objects at once are many
//! threads at once.

mod client;
mod list;
mod object;
mod transport;
mod upload;

pub use list::list_answers;

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use object::Object;
use tokio::runtime::Runtime;
use upload::Upload;

use binlogsec_core::file::TransferError;
use binlogsec_core::file::location::ObjectUrl;
use binlogsec_core::file::store::Entry;
use binlogsec_core::file::store::{self, Condition, Version};
use object_store::UpdateVersion;

/// S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage; configured by the environment.
#[derive(Debug, Clone, Copy)]
pub struct Stores;

impl store::Store for Stores {
    fn list(
        &self,
        path: &Path,
        url: &ObjectUrl,
        page: &mut dyn FnMut(Vec<Entry>) -> bool,
    ) -> Result<(), TransferError> {
        list::list(path, url, page)
    }

    fn open(&self, path: &Path, url: &ObjectUrl) -> Result<Box<dyn store::Object>, TransferError> {
        Ok(Box::new(Object::open(path, url)?))
    }

    fn create(
        &self,
        path: &Path,
        url: &ObjectUrl,
        condition: Condition,
    ) -> Result<Box<dyn store::Upload>, TransferError> {
        Ok(Box::new(Upload::create(path, url, condition)?))
    }

    fn end_uploads(&self, longest: Duration) {
        upload::abort_all(longest);
    }
}

/// A version as the crate of the stores' protocols has it.
fn update_of(version: &Version) -> UpdateVersion {
    UpdateVersion { e_tag: version.e_tag.clone(), version: version.version.clone() }
}

/// Threads that talk to the stores: they only wait, and decrypt TLS.
const NETWORK_THREADS: usize = 2;

fn runtime() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(NETWORK_THREADS)
        .thread_name("objects")
        .enable_all()
        .build()?;
    // Another thread may have been first: one of the two is dropped unused.
    Ok(RUNTIME.get_or_init(|| runtime))
}

/// Waits for an answer of a store.
fn wait<T>(
    path: &Path,
    operation: &'static str,
    answer: impl Future<Output = Result<T, object_store::Error>>,
) -> Result<T, TransferError> {
    let runtime = runtime().map_err(TransferError::at(path, operation))?;
    runtime.block_on(answer).map_err(|error| refused(path, operation, error))
}

/// What a store's refusal means here.
fn refused(path: &Path, operation: &'static str, error: object_store::Error) -> TransferError {
    use object_store::Error;
    let kind = match &error {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            io::ErrorKind::PermissionDenied
        }
        Error::AlreadyExists { .. } => {
            return TransferError::Exists { path: path.to_owned() };
        }
        Error::Precondition { .. } => {
            return TransferError::Replaced { path: path.to_owned() };
        }
        _ => io::ErrorKind::Other,
    };
    TransferError::at(path, operation)(io::Error::new(kind, Refusal(error)))
}

/// The store's error, without what our own says already.
#[derive(Debug)]
struct Refusal(object_store::Error);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use object_store::Error;
        match &self.0 {
            Error::NotFound { .. } => f.write_str(
                "there is no such object (a prefix, for all objects below it, ends with a slash)",
            ),
            Error::Generic { source, .. }
            | Error::PermissionDenied { source, .. }
            | Error::Unauthenticated { source, .. } => f.write_str(&shown(&whole(&**source))),
            other => f.write_str(&shown(&other.to_string())),
        }
    }
}

impl std::error::Error for Refusal {}

/// What a store says, in part: it may say anything.
fn shown(text: &str) -> std::borrow::Cow<'_, str> {
    const SHOWN: usize = 2 << 10;
    binlogsec_core::bytes::beginning(text, SHOWN)
}

/// An error and what is behind it, down to why a connection failed. Many of the crates' errors
/// repeat their source, or say so little as "builder error".
fn whole(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| cause.source()) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
