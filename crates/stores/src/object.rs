//! One object, read by ranges.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectStoreExt};

use super::client::Store;
use super::{refused, wait};
use binlogsec_core::file::TransferError;
use binlogsec_core::file::location::ObjectUrl;
use binlogsec_core::file::store::{self, Version};

/// The first bytes, which come with the answer that says how long the object is: MySQL's encryption
/// header, and as much of the body as its first event and a comparison with other logs need.
const HEAD: u64 = 1024;
/// Where these do not tell, so many do, as a rule: they are one more small request.
const START: u64 = 4096;
/// Smaller reads are made of blocks of this size, a few of which are kept: a walk from event to
/// event would else be a request each.
const BLOCK: u64 = 256 << 10;
const BLOCKS_KEPT: usize = 16;

/// An object, as it was when it was opened: what has taken its place later is not read.
#[derive(Debug)]
pub(crate) struct Object {
    store: Store,
    key: Key,
    path: PathBuf,
    length: u64,
    version: Version,
    head: Mutex<Bytes>,
    blocks: Mutex<VecDeque<(u64, Bytes)>>,
}

impl Object {
    /// Opens an object by reading its first bytes: one request.
    ///
    /// # Errors
    /// [`TransferError::File`] when it is not there or the store refuses.
    pub(crate) fn open(path: &Path, url: &ObjectUrl) -> Result<Self, TransferError> {
        let store = Store::of(url, path)?;
        let key = Key::parse(&url.key).map_err(|error| refused(path, "open", error.into()))?;
        let options =
            GetOptions { range: Some(GetRange::Bounded(0..HEAD)), ..GetOptions::default() };
        let first = wait(path, "open", async {
            let answer = store.objects.get_opts(&key, options).await?;
            let meta = answer.meta.clone();
            Ok((meta, answer.bytes().await?))
        });
        let (meta, head) = match first {
            Ok(found) => found,
            // No range lies in an object without a byte.
            Err(error) if !error.is_not_found() => {
                match wait(path, "open", store.objects.head(&key)) {
                    Ok(meta) if meta.size == 0 => (meta, Bytes::new()),
                    _ => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        let head_length = head.len();
        let object = Self {
            store,
            key,
            path: path.to_owned(),
            length: meta.size,
            version: Version { e_tag: meta.e_tag, version: meta.version },
            head: Mutex::new(head),
            blocks: Mutex::default(),
        };
        object.check_length(head_length, 0..HEAD.min(object.length))?;
        Ok(object)
    }

    /// The first bytes, as many as have been read.
    fn first(&self) -> Bytes {
        let head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        head.clone()
    }

    /// Some bytes from `offset` on, of which `wanted` are.
    fn piece(&self, offset: u64, wanted: usize) -> Result<Bytes, TransferError> {
        let from = |bytes: &Bytes, start: u64| {
            let skip = usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
            bytes.slice(skip.min(bytes.len())..)
        };
        let head = self.first();
        let head_length = u64::try_from(head.len()).unwrap_or(0);
        if offset < head_length {
            return Ok(from(&head, 0));
        }
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
        if offset.saturating_add(wanted) <= START.min(self.length) {
            let more = self.range(head_length..START.min(self.length))?;
            let head = Bytes::from([&*head, &*more].concat());
            *self.head.lock().unwrap_or_else(PoisonError::into_inner) = head.clone();
            return Ok(from(&head, 0));
        }
        if wanted >= BLOCK {
            return self.range(offset..offset.saturating_add(wanted).min(self.length));
        }
        let start = (offset / BLOCK).saturating_mul(BLOCK);
        if let Some((_, block)) = self.blocks().iter().find(|(known, _)| *known == start) {
            return Ok(from(block, start));
        }
        let block = self.range(start..start.saturating_add(BLOCK).min(self.length))?;
        let mut blocks = self.blocks();
        if blocks.len() >= BLOCKS_KEPT {
            blocks.pop_front();
        }
        blocks.push_back((start, block.clone()));
        Ok(from(&block, start))
    }

    fn blocks(&self) -> std::sync::MutexGuard<'_, VecDeque<(u64, Bytes)>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request.
    fn range(&self, range: Range<u64>) -> Result<Bytes, TransferError> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            if_match: self.version.e_tag.clone(),
            ..GetOptions::default()
        };
        let bytes = wait(&self.path, "read", async {
            let answer = self.store.objects.get_opts(&self.key, options).await?;
            // A store may not know the condition.
            let is_same =
                answer.meta.e_tag == self.version.e_tag && answer.meta.size == self.length;
            Ok((is_same, answer.bytes().await?))
        });
        let (is_same, bytes) = bytes?;
        if !is_same {
            return Err(TransferError::Replaced { path: self.path.clone() });
        }
        self.check_length(bytes.len(), range)?;
        Ok(bytes)
    }

    fn check_length(&self, length: usize, range: Range<u64>) -> Result<(), TransferError> {
        let wanted = range.end.saturating_sub(range.start);
        if u64::try_from(length) == Ok(wanted) {
            return Ok(());
        }
        Err(self.too_short(length, range))
    }

    fn too_short(&self, length: usize, range: Range<u64>) -> TransferError {
        let Range { start, end } = range;
        let error = std::io::Error::new(
            std::io::ErrorKind::UnexpectedEof,
            format!("the store gave {length} bytes of those from offset {start} to {end}"),
        );
        TransferError::at(&self.path, "read")(error)
    }
}

impl store::Object for Object {
    fn length(&self) -> u64 {
        self.length
    }

    fn version(&self) -> Version {
        self.version.clone()
    }

    fn head(&self) -> Vec<u8> {
        self.first().to_vec()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), TransferError> {
        let mut offset = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let piece = self.piece(offset, rest.len())?;
            let length = piece.len().min(rest.len());
            if length == 0 {
                return Err(self.too_short(0, offset..self.length));
            }
            let (target, later) = rest.split_at_mut_checked(length).unwrap_or_default();
            target.copy_from_slice(piece.get(..length).unwrap_or_default());
            offset = offset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            rest = later;
        }
        Ok(())
    }
}
