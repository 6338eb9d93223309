//! Stores of objects, behind the calls that files have: read at an offset, write at an offset, list.
//!
//! The library has none itself. A program that wants logs at URLs gives it one ([`install`]), as the
//! command does with `binlogsec-stores`; without one, URLs are refused with
//! [`TransferError::NoObjects`].

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

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

/// What a store calls a version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its entity tag.
    pub e_tag: Option<String>,
    /// Its number or name, in a store that keeps versions.
    pub version: Option<String>,
}

/// What must be true of the name when the object gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    None,
    /// That no object has it.
    Absent,
    /// That the object still has it which the store calls so.
    Version(Version),
}

/// All stores that a program can reach. Paths are what messages call the object or prefix.
pub trait Store: Debug + Send + Sync {
    /// Hands over all objects that a URL stands for, in the order of their keys, many at a time.
    /// `false` from `page` ends it.
    ///
    /// # Errors
    /// [`TransferError::File`] when the store refuses, or a pattern is none.
    fn list(
        &self,
        path: &Path,
        url: &ObjectUrl,
        page: &mut dyn FnMut(Vec<Entry>) -> bool,
    ) -> Result<(), TransferError>;

    /// Opens an object as it is now.
    ///
    /// # Errors
    /// [`TransferError::File`] when it is not there or the store refuses.
    fn open(&self, path: &Path, url: &ObjectUrl) -> Result<Box<dyn Object>, TransferError>;

    /// Starts an object.
    ///
    /// # Errors
    /// [`TransferError::Exists`] or [`TransferError::Replaced`] when the condition does not hold,
    /// [`TransferError::File`].
    fn create(
        &self,
        path: &Path,
        url: &ObjectUrl,
        condition: Condition,
    ) -> Result<Box<dyn Upload>, TransferError>;

    /// Ends every upload of this process, for the moment before a signal ends it. Waits for the
    /// stores, but no longer than this.
    fn end_uploads(&self, longest: Duration);
}

/// An object, as it was when it was opened: what has taken its place later is not read.
pub trait Object: Debug + Send + Sync {
    /// Its size in bytes.
    fn length(&self) -> u64;

    /// What the store calls this version of it.
    fn version(&self) -> Version;

    /// The first bytes, as many as have been read.
    fn head(&self) -> Vec<u8>;

    /// Fills `buffer` from `offset` on, which must all lie within the object.
    ///
    /// # Errors
    /// [`TransferError::Replaced`] when another object has its place, [`TransferError::File`].
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), TransferError>;
}

/// An object in the making. Nothing is under its name before [`Upload::commit`]; dropped before, it
/// leaves nothing.
pub trait Upload: Debug + Send + Sync {
    /// Writes at an offset; safe from several threads at once. Every byte must be written once.
    ///
    /// # Errors
    /// [`TransferError::File`] when the store refuses this part or one before.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), TransferError>;

    /// Gives the object its name.
    ///
    /// # Errors
    /// [`TransferError::Exists`] when something took the name meanwhile, [`TransferError::Replaced`],
    /// [`TransferError::File`]; what was there before is untouched.
    fn commit(self: Box<Self>) -> Result<(), TransferError>;
}

static INSTALLED: OnceLock<&'static dyn Store> = OnceLock::new();

/// Says where URLs lead, for the rest of the process. The first one stays.
pub fn install(store: &'static dyn Store) {
    let _ = INSTALLED.set(store);
}

/// The stores for an object.
///
/// # Errors
/// [`TransferError::NoObjects`] where there are none.
pub(super) fn of(path: &Path) -> Result<&'static dyn Store, TransferError> {
    let installed = INSTALLED.get().copied();
    installed.ok_or_else(|| TransferError::NoObjects { path: path.to_owned() })
}

/// See [`Store::end_uploads`]; where there are no stores, there are no uploads.
pub fn end_uploads(longest: Duration) {
    if let Some(store) = INSTALLED.get() {
        store.end_uploads(longest);
    }
}
