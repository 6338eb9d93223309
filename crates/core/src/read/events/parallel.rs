//! The work on the blocks of a log, done by several threads, and what comes of it in order.
//!
//! One thread goes from event to event and makes blocks; the others take the blocks in their order,
//! work on them, and hand on what comes of it in pieces. The first thread gives the pieces of one
//! block away after those of another. Memory is bounded by the number of blocks and pieces under way,
//! whatever a block unfolds to.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver as Channel, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};

use super::blocks::{self, Block, Scanner};
use super::context::Mapped;
use crate::file::TransferError;
use crate::log::error::Error;

/// So many pieces of a block wait to be written; then its thread waits, too.
const PIECES_WAITING: usize = 4;
/// So many blocks are made ahead of those that threads are at work on.
const BLOCKS_AHEAD: usize = 3;
/// More threads have nothing to do: one alone finds the events for all of them.
const MOST_THREADS: usize = 32;

/// Emptied buffers of one kind, for the next who needs one: the kernel maps each page anew of what is
/// allocated anew.
pub(in crate::read) struct Spare {
    buffers: Mutex<Vec<Vec<u8>>>,
    capacity: usize,
}

impl Spare {
    pub(in crate::read) const fn new(capacity: usize) -> Self {
        let buffers = Mutex::new(Vec::new());
        Self { buffers, capacity }
    }

    pub(in crate::read) fn take(&self) -> Vec<u8> {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = buffers.pop();
        spare.unwrap_or_else(|| Vec::with_capacity(self.capacity))
    }

    pub(in crate::read) fn give(&self, mut buffer: Vec<u8>) {
        // One that had to grow for a large event would keep its size.
        if buffer.capacity() <= self.capacity.saturating_mul(2) {
            buffer.clear();
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

    /// Works on a block, and hands on what comes of it.
    fn block(
        &mut self,
        block: &Block<T>,
        hand_on: &mut dyn FnMut(Self::Piece) -> Result<(), TransferError>,
    ) -> Result<Self::Figures, Error>;
}

/// Takes pieces in the order of the blocks.
pub(in crate::read) type Take<'a, P> = dyn FnMut(P) -> Result<(), TransferError> + 'a;

/// Takes the figures of blocks.
type Add<'a, F> = dyn FnMut(F) + 'a;

/// Where workers get their blocks.
type Queue<T, W> = Channel<Job<T, <W as Work<T>>::Piece, <W as Work<T>>::Figures>>;

/// What comes of a block: its pieces, and at last its figures.
enum Made<P, F> {
    Piece(P),
    End(Result<F, Error>),
}

struct Job<T, P, F> {
    block: Block<T>,
    made: SyncSender<Made<P, F>>,
}

/// Has every block of a log worked on by as many threads as the current rayon pool has.
pub(in crate::read) fn run<T: Mapped, W: Work<T>>(
    scanner: &mut Scanner<'_, T>,
    new_work: &dyn Fn() -> W,
    take: &mut Take<'_, W::Piece>,
    add: &mut dyn FnMut(W::Figures),
) -> Result<(), Error> {
    let threads = rayon::current_num_threads().min(MOST_THREADS);
    let spare = Spare::new(blocks::BUFFER);
    let first = scanner.next_block(spare.take())?;
    if threads < 2 || scanner.has_ended() {
        return here(scanner, (first, &spare), new_work(), (take, add));
    }
    let (jobs, queue) = channel();
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let work = new_work();
            // They end when no block comes any more.
            scope.spawn(|| serve(work, &queue, &spare));
        }
        in_order(scanner, (first, &spare), (jobs, threads), (take, add))
    })
}

/// All of it in this thread.
fn here<T: Mapped, W: Work<T>>(
    scanner: &mut Scanner<'_, T>,
    (first, spare): (Option<Block<T>>, &Spare),
    mut work: W,
    (take, add): (&mut Take<'_, W::Piece>, &mut Add<'_, W::Figures>),
) -> Result<(), Error> {
    let mut next = first;
    while let Some(block) = next {
        add(work.block(&block, take)?);
        spare.give(block.into_buffer());
        next = scanner.next_block(spare.take())?;
    }
    Ok(())
}

/// Gives blocks to the workers, and what comes of them away in the order of the blocks.
fn in_order<T: Mapped, P, F>(
    scanner: &mut Scanner<'_, T>,
    (first, spare): (Option<Block<T>>, &Spare),
    (jobs, threads): (Sender<Job<T, P, F>>, usize),
    (take, add): (&mut Take<'_, P>, &mut dyn FnMut(F)),
) -> Result<(), Error> {
    let most = threads.saturating_add(BLOCKS_AHEAD);
    let mut next = Ok(first);
    let mut waiting: VecDeque<Channel<Made<P, F>>> = VecDeque::new();
    loop {
        while waiting.len() < most {
            let block = match next {
                Ok(Some(block)) => block,
                end => {
                    next = end;
                    break;
                }
            };
            let (sender, made) = sync_channel(PIECES_WAITING);
            let job = Job { block, made: sender };
            if jobs.send(job).is_err() {
                return Err(TransferError::Cancelled.into());
            }
            waiting.push_back(made);
            next = scanner.next_block(spare.take());
        }
        let Some(oldest) = waiting.pop_front() else {
            // What was made before is shown, whatever came then.
            return next.map(drop);
        };
        for made in oldest {
            match made {
                Made::Piece(piece) => take(piece)?,
                Made::End(figures) => add(figures?),
            }
        }
    }
}

fn serve<T, W: Work<T>>(mut work: W, queue: &Mutex<Queue<T, W>>, spare: &Spare) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else {
            return;
        };
        let end = work.block(&job.block, &mut |piece| {
            let sent = job.made.send(Made::Piece(piece));
            sent.map_err(|_| TransferError::Cancelled)
        });
        spare.give(job.block.into_buffer());
        // Nobody listens any more where writing has failed.
        let _ = job.made.send(Made::End(end));
    }
}
