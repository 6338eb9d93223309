//! One object in the making: pieces in, parts out, and under its name when it is whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use object_store::multipart::PartId;
use object_store::path::Path as Key;
use object_store::{HeaderValue, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::client::{Precondition, Store, ending_on};
use super::{refused, runtime, update_of, wait};
use binlogsec_core::file::TransferError;
use binlogsec_core::file::location::ObjectUrl;
use binlogsec_core::file::store::{self, Condition};

/// Bytes in a part. Stores want at least 5 MiB, and take at most 10,000 parts: 80 GiB.
const PART: usize = 8 << 20;
/// Where the end of an upload in parts takes no condition: parts that are held until it is known
/// whether one request can do, which has one.
const PARTS_HELD: usize = 8;
/// Parts of one object that are on their way at once. With those that are being filled they bound
/// the memory of an upload.
const PARTS_IN_FLIGHT: usize = 4;

/// A condition as a header of the request that ends an upload in parts.
fn header(condition: &Condition) -> Option<Precondition> {
    match condition {
        Condition::None => None,
        Condition::Absent => Some(("if-none-match", HeaderValue::from_static("*"))),
        Condition::Version(version) => {
            let tag = HeaderValue::from_str(version.e_tag.as_deref()?).ok()?;
            Some(("if-match", tag))
        }
    }
}

/// An object in the making. Nothing is under its name before [`Upload::commit`]; dropped before,
/// it leaves nothing.
#[derive(Debug)]
pub(crate) struct Upload {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    key: Key,
    path: PathBuf,
    condition: Condition,
    room: Arc<Semaphore>,
    state: Mutex<State>,
    /// Held by who ends the upload: another one waits until it is.
    ending: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Parts that have not got all of their bytes, by number.
    filling: BTreeMap<usize, Filling>,
    /// Parts that are full and held.
    full: BTreeMap<usize, Vec<u8>>,
    /// What the store calls the upload, once a part was full.
    id: Option<String>,
    sent: JoinSet<Result<(usize, PartId), object_store::Error>>,
    /// Parts that the store has.
    done: BTreeMap<usize, PartId>,
    /// Nothing may begin any more.
    is_ended: bool,
}

impl State {
    fn keep(&mut self, done: Sent) -> Result<(), object_store::Error> {
        let (number, part) = done??;
        self.done.insert(number, part);
        Ok(())
    }
}

type Sent = Result<Result<(usize, PartId), object_store::Error>, tokio::task::JoinError>;

#[derive(Debug, Default)]
struct Filling {
    bytes: Vec<u8>,
    filled: usize,
}

/// Those that a signal would leave behind.
static OPEN: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

/// Ends every upload of this process, all at once; for the moment before a signal ends the process.
/// Waits no longer than this for the stores.
pub(crate) fn abort_all(longest: Duration) {
    let open = std::mem::take(&mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner));
    let (sender, ended) = mpsc::channel();
    for shared in open.iter().filter_map(Weak::upgrade) {
        let sender = sender.clone();
        let abort = move || {
            shared.abort();
            let _ = sender.send(());
        };
        // Without a thread for it, the upload stays as it would with a crash.
        let _ = std::thread::Builder::new().spawn(abort);
    }
    drop(sender);
    let deadline = Instant::now().checked_add(longest);
    let left = || deadline.map_or(longest, |end| end.saturating_duration_since(Instant::now()));
    while ended.recv_timeout(left()).is_ok() {}
}

impl Upload {
    /// Starts an object.
    ///
    /// # Errors
    /// [`TransferError::Exists`] without `force`, [`TransferError::File`].
    pub(crate) fn create(
        path: &Path,
        url: &ObjectUrl,
        condition: Condition,
    ) -> Result<Self, TransferError> {
        let store = Store::of(url, path)?;
        let key = Key::parse(&url.key).map_err(|error| refused(path, "write", error.into()))?;
        let shared = Arc::new(Shared {
            store,
            key,
            path: path.to_owned(),
            condition,
            room: Arc::new(Semaphore::new(PARTS_IN_FLIGHT)),
            state: Mutex::default(),
            ending: Mutex::default(),
        });
        shared.check_condition()?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|other| other.strong_count() > 0);
        open.push(Arc::downgrade(&shared));
        drop(open);
        Ok(Self { shared })
    }
}

impl store::Upload for Upload {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), TransferError> {
        let (mut offset, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let at = usize::try_from(offset).unwrap_or(usize::MAX);
            let (number, within) = (at / PART, at % PART);
            let length = rest.len().min(PART.saturating_sub(within));
            let (piece, later) = rest.split_at_checked(length).unwrap_or_default();
            for (number, full) in self.shared.fill(number, within, piece) {
                self.shared.send(number, full)?;
            }
            offset = offset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            rest = later;
        }
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), TransferError> {
        let shared = &self.shared;
        let (rest, is_in_parts) = {
            let mut state = shared.state();
            let mut rest = std::mem::take(&mut state.full);
            let filling = std::mem::take(&mut state.filling);
            rest.extend(filling.into_iter().map(|(number, part)| (number, part.bytes)));
            (rest, state.id.is_some())
        };
        if !is_in_parts {
            return shared.put(rest.into_values().map(Bytes::from).collect());
        }
        for (number, bytes) in rest {
            shared.send(number, bytes)?;
        }
        shared.complete()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.shared.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_condition(&self) -> Result<(), TransferError> {
        if self.condition == Condition::None {
            return Ok(());
        }
        let path = self.path.clone();
        let there = match wait(&path, "examine", self.store.objects.head(&self.key)) {
            Ok(meta) => Some(meta.e_tag),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        match (&self.condition, there) {
            (Condition::Absent, Some(_)) => Err(TransferError::Exists { path }),
            (Condition::Version(version), there) if there.as_ref() != Some(&version.e_tag) => {
                Err(TransferError::Replaced { path })
            }
            _ => Ok(()),
        }
    }

    /// Puts a piece into its part; gives the parts that are to be sent now.
    fn fill(&self, number: usize, within: usize, piece: &[u8]) -> BTreeMap<usize, Vec<u8>> {
        let mut state = self.state();
        let part = state.filling.entry(number).or_default();
        let end = within.saturating_add(piece.len());
        if part.bytes.len() < end {
            part.bytes.resize(end, 0);
        }
        if let Some(target) = part.bytes.get_mut(within..end) {
            target.copy_from_slice(piece);
        }
        part.filled = part.filled.saturating_add(piece.len());
        if part.filled < PART {
            return BTreeMap::new();
        }
        if let Some(part) = state.filling.remove(&number) {
            state.full.insert(number, part.bytes);
        }
        let held = match self.condition {
            Condition::Version(_) if state.id.is_none() && !self.store.ends_on_condition => {
                PARTS_HELD
            }
            _ => 0,
        };
        if state.full.len() > held { std::mem::take(&mut state.full) } else { BTreeMap::new() }
    }

    /// Sends a part, as soon as there is room for one more on its way.
    fn send(self: &Arc<Self>, number: usize, bytes: Vec<u8>) -> Result<(), TransferError> {
        let runtime = runtime().map_err(TransferError::at(&self.path, "write"))?;
        let room = runtime.block_on(Arc::clone(&self.room).acquire_owned());
        let mut state = self.state();
        if state.is_ended {
            return Err(TransferError::Cancelled);
        }
        while let Some(done) = state.sent.try_join_next() {
            let kept = state.keep(done);
            kept.map_err(|error| refused(&self.path, "write", error))?;
        }
        let id = match state.id.clone() {
            Some(id) => id,
            None => {
                let id =
                    wait(&self.path, "write", self.store.multipart.create_multipart(&self.key))?;
                state.id = Some(id.clone());
                id
            }
        };
        let shared = Arc::clone(self);
        let part = async move {
            let payload = PutPayload::from(bytes);
            let sent = shared.store.multipart.put_part(&shared.key, &id, number, payload).await;
            drop(room);
            Ok((number, sent?))
        };
        state.sent.spawn_on(part, runtime.handle());
        Ok(())
    }

    /// One that fits into one request.
    fn put(&self, payload: PutPayload) -> Result<(), TransferError> {
        let mode = match &self.condition {
            Condition::None => PutMode::Overwrite,
            Condition::Absent => PutMode::Create,
            Condition::Version(version) => PutMode::Update(update_of(version)),
        };
        let options = PutOptions { mode, ..PutOptions::default() };
        let put = self.store.objects.put_opts(&self.key, payload, options);
        let put = wait(&self.path, "write", put);
        put.map(|_| ()).map_err(|error| self.as_condition(error))
    }

    /// Stores differ in how they say that a condition does not hold.
    fn as_condition(&self, error: TransferError) -> TransferError {
        match (&self.condition, error) {
            (Condition::Absent, TransferError::Replaced { path }) => TransferError::Exists { path },
            (Condition::Version(_), TransferError::Exists { path }) => {
                TransferError::Replaced { path }
            }
            (_, error) => error,
        }
    }

    fn complete(&self) -> Result<(), TransferError> {
        let mut sent = std::mem::take(&mut self.state().sent);
        while let Some(done) = wait(&self.path, "write", async { Ok(sent.join_next().await) })? {
            let kept = self.state().keep(done);
            kept.map_err(|error| refused(&self.path, "write", error))?;
        }
        let (id, parts) = {
            let mut state = self.state();
            (state.id.clone(), std::mem::take(&mut state.done))
        };
        // As late as can be, for stores that take no condition, or do not heed it.
        self.check_condition()?;
        let precondition = header(&self.condition);
        let precondition = precondition.filter(|_| self.store.ends_on_condition);
        let parts = parts.into_values().collect();
        let id = id.unwrap_or_default();
        let complete = self.store.multipart.complete_multipart(&self.key, &id, parts);
        let completed = wait(&self.path, "write", ending_on(precondition, complete));
        completed.map_err(|error| self.as_condition(error))?;
        self.state().id = None;
        Ok(())
    }

    fn abort(&self) {
        let _ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        let (id, mut sent) = {
            let mut state = self.state();
            state.is_ended = true;
            (state.id.take(), std::mem::take(&mut state.sent))
        };
        let Some(id) = id else { return };
        // Best effort: who drops an upload has an error of its own to tell.
        let _ = wait(&self.path, "end the upload of", async {
            sent.shutdown().await;
            self.store.multipart.abort_multipart(&self.key, &id).await
        });
    }
}
