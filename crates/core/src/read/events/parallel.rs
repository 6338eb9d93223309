//! The work on the blocks of a log, done by several threads, and what comes of it in order.
//!
//! A thread that has nothing to do takes the next block from the scanner, one thread at a time, and
//! works on it while it is in its processor's cache; what comes of it is handed on in pieces. The first
//! thread gives the pieces of one block away after those of the block before. Memory is bounded by the
//! number of blocks and pieces under way, whatever a block unfolds to.

use std::sync::mpsc::{Receiver as Channel, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use super::blocks::{self, Block, Scanner};
use super::context::Mapped;
use crate::file::TransferError;
use crate::log::error::Error;

/// So many pieces of a block wait to be written; then its thread waits, too.
const PIECES_WAITING: usize = 4;
/// So many blocks are ahead of the one whose pieces are given away, and of those that threads are at
/// work on.
const BLOCKS_AHEAD: usize = 3;
/// More threads have nothing to do: one at a time finds the events for all of them.
const MOST_THREADS: usize = 32;

/// Buffers of one kind, for the next who needs one: the kernel maps each page anew of what is allocated
/// anew.
pub(in crate::read) struct Spare<B> {
    buffers: Mutex<Vec<B>>,
    new: fn() -> B,
    is_kept: fn(&B) -> bool,
}

impl<B> Spare<B> {
    /// Buffers that are made so; those that are not worth it are not kept.
    pub(in crate::read) const fn new(new: fn() -> B, is_kept: fn(&B) -> bool) -> Self {
        Self { buffers: Mutex::new(Vec::new()), new, is_kept }
    }

    /// One as it was given.
    pub(in crate::read) fn take(&self) -> B {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.pop().unwrap_or_else(self.new)
    }

    pub(in crate::read) fn give(&self, buffer: B) {
        if (self.is_kept)(&buffer) {
            let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
            buffers.push(buffer);
        }
    }
}

/// One thread's work on blocks, in any order.
pub(in crate::read) trait Work<T>: Send {
    /// What comes of a block, bit by bit.
    type Piece: Send;
    /// What there is to be told of a block at its end.
    type Figures: Send;

    /// Works on a block, and hands on what comes of it but the last piece, which is given in the end:
    /// what was made before is shown, whatever came then.
    fn block(
        &mut self,
        block: &Block<T>,
        hand_on: &mut dyn FnMut(Self::Piece) -> Result<(), TransferError>,
    ) -> (Self::Piece, Result<Self::Figures, Error>);
}

/// Takes pieces in the order of the blocks.
pub(in crate::read) type Take<'a, P> = dyn FnMut(P) -> Result<(), TransferError> + 'a;

/// Takes the figures of each block.
type Add<'a, F> = dyn FnMut(F) + 'a;

/// What comes of a block: its pieces, and with the last one its figures. Each wakes the thread that
/// takes it, so there are to be few.
enum Made<P, F> {
    Piece(P),
    End(P, Result<F, Error>),
}

/// What comes of each block, in order; or why there is no further one.
type Order<P, F> = Result<Channel<Made<P, F>>, Error>;

/// Where threads find their next block, one at a time.
struct Feed<'f, 'a, T, P, F> {
    scanner: &'f mut Scanner<'a, T>,
    /// The first block, which was made before.
    first: Option<Block<T>>,
    order: SyncSender<Order<P, F>>,
}

/// Has every block of a log worked on by as many threads as the current rayon pool has.
pub(in crate::read) fn run<T: Mapped, W: Work<T>>(
    scanner: &mut Scanner<'_, T>,
    new_work: &dyn Fn() -> W,
    take: &mut Take<'_, W::Piece>,
    add: &mut Add<'_, W::Figures>,
) -> Result<(), Error> {
    let threads = rayon::current_num_threads().min(MOST_THREADS);
    let spare = blocks::spare();
    let first = scanner.next_block(spare.take())?;
    if threads < 2 || scanner.has_ended() {
        return here(scanner, first, (new_work(), &spare), (take, add));
    }
    let (order, blocks) = sync_channel(threads.saturating_add(BLOCKS_AHEAD));
    let feed = Mutex::new(Some(Feed { scanner, first, order }));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let work = new_work();
            // They end when no block comes any more.
            scope.spawn(|| serve(work, &feed, &spare));
        }
        in_order(blocks, (take, add))
    })
}

/// All of it in this thread.
fn here<T: Mapped, W: Work<T>>(
    scanner: &mut Scanner<'_, T>,
    first: Option<Block<T>>,
    (mut work, spare): (W, &Spare<Vec<u8>>),
    (take, add): (&mut Take<'_, W::Piece>, &mut Add<'_, W::Figures>),
) -> Result<(), Error> {
    let mut next = first;
    while let Some(block) = next {
        let (last, figures) = work.block(&block, take);
        take(last)?;
        add(figures?);
        spare.give(block.into_buffer());
        next = scanner.next_block(spare.take())?;
    }
    Ok(())
}

/// Gives what comes of the blocks away in their order. The channels end with it, however it ends: then
/// no thread waits any more for what it made to be taken.
fn in_order<P, F>(
    blocks: Channel<Order<P, F>>,
    (take, add): (&mut Take<'_, P>, &mut Add<'_, F>),
) -> Result<(), Error> {
    for block in blocks {
        // What was made before is shown, whatever comes then.
        for made in block? {
            match made {
                Made::Piece(piece) => take(piece)?,
                Made::End(last, figures) => {
                    take(last)?;
                    add(figures?);
                }
            }
        }
    }
    Ok(())
}

/// Where the threads find their blocks; nothing, when there is no further one.
type Feeds<'f, 'a, T, P, F> = Mutex<Option<Feed<'f, 'a, T, P, F>>>;

fn serve<T: Mapped, W: Work<T>>(
    mut work: W,
    feed: &Feeds<'_, '_, T, W::Piece, W::Figures>,
    spare: &Spare<Vec<u8>>,
) {
    while let Some((block, made)) = next(feed, spare) {
        let (last, figures) = work.block(&block, &mut |piece| {
            let sent = made.send(Made::Piece(piece));
            sent.map_err(|_| TransferError::Cancelled)
        });
        spare.give(block.into_buffer());
        // Nobody listens any more where writing has failed.
        let _ = made.send(Made::End(last, figures));
    }
}

/// A block and where to what comes of it goes.
type Job<T, P, F> = (Block<T>, SyncSender<Made<P, F>>);

/// The next block; `None` where there is none, or nobody wants it any more.
fn next<T: Mapped, P, F>(
    feeds: &Feeds<'_, '_, T, P, F>,
    spare: &Spare<Vec<u8>>,
) -> Option<Job<T, P, F>> {
    let mut feeds = feeds.lock().unwrap_or_else(PoisonError::into_inner);
    let feed = feeds.as_mut()?;
    let block = match feed.first.take() {
        Some(block) => Ok(Some(block)),
        None => feed.scanner.next_block(spare.take()),
    };
    let (sender, made) = sync_channel(PIECES_WAITING);
    let (job, order) = match block {
        Ok(Some(block)) => (Some((block, sender)), Ok(made)),
        Ok(None) => {
            *feeds = None;
            return None;
        }
        Err(error) => (None, Err(error)),
    };
    // Waits, and has the others wait, where the work is far ahead of what is given away.
    let is_wanted = feed.order.send(order).is_ok();
    if !is_wanted || job.is_none() {
        *feeds = None;
    }
    job.filter(|_| is_wanted)
}
