//! The output: its head, and behind it pieces of the file, which are written while the walk goes on.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::ScopeFifo;

use super::held::Block;
use super::keeper::Piece;
use super::open::Opened;
use super::scan::Scanner;
use crate::file::TransferError;
use crate::file::pipeline::CHUNK;
use crate::file::sink::AtomicFile;
use crate::file::source::{View, at_least};

/// So much is written by a thread at a time.
const BATCH: u64 = 2 << 20;
/// When more batches wait than these the walk writes some itself.
const MOST_WAITING: usize = 3;
/// So much room is taken on the disk at a time.
const RESERVED: u64 = 64 << 20;

/// What the threads share that write.
#[derive(Debug)]
pub(super) struct Shared {
    sink: AtomicFile,
    failure: Mutex<Option<TransferError>>,
    /// Buffers that no thread has.
    buffers: Mutex<Vec<Vec<u8>>>,
    /// Batches that are not written yet.
    waiting: AtomicUsize,
}

impl Shared {
    pub(super) const fn new(sink: AtomicFile) -> Self {
        Self {
            sink,
            failure: Mutex::new(None),
            buffers: Mutex::new(Vec::new()),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The output, when every thread is done.
    pub(super) fn into_sink(self) -> Result<AtomicFile, TransferError> {
        match self.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(failure) => Err(failure),
            None => Ok(self.sink),
        }
    }

    fn has_failed(&self) -> bool {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Writes pieces; after a failure, none.
    fn write(&self, batch: &Batch<'_>) {
        if self.has_failed() {
            return;
        }
        let spare = self.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffer = spare.unwrap_or_default();
        if let Err(error) = self.write_all(batch, &mut buffer) {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(error);
        }
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }

    fn write_all(&self, batch: &Batch<'_>, buffer: &mut Vec<u8>) -> Result<(), TransferError> {
        let mut view: Option<View<'_>> = None;
        for piece in &batch.pieces {
            let body = &piece.log.body;
            if body.events.is_some() {
                self.write_in_order(piece, buffer)?;
            } else {
                let view = view.get_or_insert_with(|| body.source.view(Vec::new()));
                let blocks = if piece.is_last_log { batch.blocks.as_slice() } else { &[] };
                self.write_piece((piece, blocks), view, buffer)?;
            }
        }
        Ok(())
    }

    /// From the blocks that the walk has read; what is in none of them is read again.
    fn write_piece(
        &self,
        (piece, blocks): (&Placed<'_>, &[Arc<Block>]),
        view: &mut View<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), TransferError> {
        let body = &piece.log.body;
        let mut left = piece.clone();
        while left.length() > 0 {
            let most = usize::try_from(left.length()).unwrap_or(usize::MAX);
            let held = blocks.iter().filter_map(|block| block.from((left.file.start, left.shift)));
            let written = if let Some(held) = held.max_by_key(|held| held.len()) {
                let plain = held.get(..most).unwrap_or(held);
                self.sink.write_at(left.place, plain)?;
                plain.len()
            } else {
                let (_, file) = left.chunks().next().unwrap_or_default();
                let length = usize::try_from(file.end.saturating_sub(file.start)).unwrap_or(CHUNK);
                let stored = view.bytes(file.start, length)?;
                let target = at_least(buffer, length);
                let plain = body.plain(file.start, left.shift, stored, target);
                self.sink.write_at(left.place, plain)?;
                // Before the output is believed, which comes last of all.
                view.confirm()?;
                length
            };
            let written = u64::try_from(written).unwrap_or(u64::MAX);
            left.file.start = left.file.start.saturating_add(written);
            left.place = left.place.saturating_add(written);
        }
        Ok(())
    }

    /// The same of a log that was encrypted event by event: each event has to be deciphered from its
    /// start on.
    fn write_in_order(
        &self,
        piece: &Placed<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), TransferError> {
        let mut reader = piece.log.body.reader(piece.file.start, piece.shift);
        for (place, file) in piece.chunks() {
            let length = usize::try_from(file.end.saturating_sub(file.start)).unwrap_or(CHUNK);
            let target = at_least(buffer, length);
            let read = reader.read(target)?;
            self.sink.write_at(place, target.get(..read).unwrap_or_default())?;
        }
        Ok(())
    }
}

/// The output as it grows.
pub(super) struct Output<'o, 's> {
    shared: &'s Shared,
    scope: &'o ScopeFifo<'s>,
    /// Where the next piece goes; 0 before the head is written.
    at: u64,
    /// Up to where there is room on the disk.
    reserved: u64,
}

impl<'o, 's> Output<'o, 's> {
    pub(super) const fn new(shared: &'s Shared, scope: &'o ScopeFifo<'s>) -> Self {
        Self { shared, scope, at: 0, reserved: 0 }
    }

    /// Whether the head is written.
    pub(super) const fn has_head(&self) -> bool {
        self.at > 0
    }

    /// Writes magic and format description event.
    pub(super) fn begin(&mut self, head: &[u8]) -> Result<(), TransferError> {
        self.shared.sink.write_at(0, head)?;
        self.at = u64::try_from(head.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Lets other threads write pieces behind those before, if there are enough of them, or if these
    /// are the last ones, as they are when the walk is over. What has failed is told at the end; the
    /// walk need not go on.
    pub(super) fn write(
        &mut self,
        pieces: &mut Vec<Piece>,
        logs: &[Arc<Opened<'s>>],
        walk: Option<&mut Scanner<'_>>,
    ) -> Result<bool, TransferError> {
        let are_last = walk.is_none();
        let length = pieces.iter().map(Piece::length).fold(0, u64::saturating_add);
        if length == 0 || (length < BATCH && !are_last) {
            return Ok(!self.shared.has_failed());
        }
        self.reserve(self.at.saturating_add(length), are_last)?;
        let blocks: Vec<_> = walk.iter().flat_map(|scanner| scanner.passed()).cloned().collect();
        let (mut batch, mut batched) = (Vec::new(), 0_u64);
        for piece in pieces.drain(..) {
            let Some(log) = logs.get(piece.log) else {
                continue;
            };
            let is_last_log = piece.log.saturating_add(1) == logs.len();
            for placed in Placed::split((log, is_last_log), &piece, self.at) {
                self.at = self.at.saturating_add(placed.length());
                batched = batched.saturating_add(placed.length());
                batch.push(placed);
                if batched >= BATCH {
                    self.spawn(std::mem::take(&mut batch), &blocks);
                    batched = 0;
                }
            }
        }
        self.spawn(batch, &blocks);
        if let Some(scanner) = walk {
            scanner.release();
        }
        // What waits holds memory.
        while self.shared.waiting.load(Ordering::Relaxed) > MOST_WAITING
            && rayon::yield_now() == Some(rayon::Yield::Executed)
        {}
        Ok(!self.shared.has_failed())
    }

    /// Takes room on the disk, more than is needed now, as what follows needs it, too.
    fn reserve(&mut self, needed: u64, are_last: bool) -> Result<(), TransferError> {
        if needed > self.reserved {
            let ahead = if are_last { 0 } else { RESERVED };
            self.reserved = needed.saturating_add(ahead);
            self.shared.sink.reserve(self.reserved)?;
        }
        Ok(())
    }

    fn spawn(&self, pieces: Vec<Placed<'s>>, blocks: &[Arc<Block>]) {
        if pieces.is_empty() {
            return;
        }
        let is_of = |block: &Block, piece: &Placed<'_>| {
            piece.is_last_log && block.has_any_of(&piece.file, piece.shift)
        };
        let is_needed = |block: &&Arc<Block>| pieces.iter().any(|piece| is_of(block, piece));
        let blocks = blocks.iter().filter(is_needed).cloned().collect();
        let batch = Batch { pieces, blocks };
        let shared = self.shared;
        shared.waiting.fetch_add(1, Ordering::Relaxed);
        self.scope.spawn_fifo(move |_| {
            shared.write(&batch);
            drop(batch);
            shared.waiting.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// The number of bytes that the output has when all is written. Gives back room that was taken
    /// and is not needed.
    pub(super) fn finish(self) -> Result<u64, TransferError> {
        if self.reserved > self.at && self.shared.sink.file().is_ok() {
            self.shared.sink.cut(self.at)?;
        }
        Ok(self.at)
    }
}

/// What a thread writes at a time, and what the walk has read of it.
#[derive(Debug)]
struct Batch<'s> {
    pieces: Vec<Placed<'s>>,
    blocks: Vec<Arc<Block>>,
}

/// A piece, its log, and where it goes.
#[derive(Debug, Clone)]
struct Placed<'s> {
    log: Arc<Opened<'s>>,
    /// Whether it is of the log that is walked, of which there are blocks.
    is_last_log: bool,
    file: Range<u64>,
    shift: i64,
    place: u64,
}

impl<'s> Placed<'s> {
    /// A piece in parts that a thread writes at a time. What is encrypted event by event cannot be
    /// taken apart: only its beginning is known to be that of an event.
    fn split<'p>(
        (log, is_last_log): (&'p Arc<Opened<'s>>, bool),
        piece: &'p Piece,
        place: u64,
    ) -> impl Iterator<Item = Self> + 'p {
        let most = if log.body.events.is_some() { u64::MAX } else { BATCH };
        parts(place, piece.file.clone(), most).map(move |(place, file)| Self {
            log: Arc::clone(log),
            is_last_log,
            file,
            shift: piece.shift,
            place,
        })
    }

    fn length(&self) -> u64 {
        self.file.end.saturating_sub(self.file.start)
    }

    /// Chunks end where chunks of the output do: a page that two writes share costs both of them.
    fn chunks(&self) -> impl Iterator<Item = (u64, Range<u64>)> + use<> {
        parts(self.place, self.file.clone(), CHUNK as u64)
    }
}

/// Parts of a range of the file and their places in the output, which end at multiples of `most`
/// there.
fn parts(
    place: u64,
    file: Range<u64>,
    most: u64,
) -> impl Iterator<Item = (u64, Range<u64>)> + use<> {
    let (mut at, mut place) = (file.start, place);
    std::iter::from_fn(move || {
        let left = file.end.checked_sub(at).filter(|left| *left > 0)?;
        let length = left.min(most.saturating_sub(place.checked_rem(most).unwrap_or(0)));
        let part = (place, at..at.saturating_add(length));
        (at, place) = (part.1.end, place.saturating_add(length));
        Some(part)
    })
}
