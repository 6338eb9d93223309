//! The work on the blocks of a log, done by several threads, and what comes of it in order.
//!
//! A thread that has nothing to do reads and deciphers the next chunk of the log, and takes the block that
//! the scanner makes of it, one thread at a time, in the order of the chunks. It works on the block while
//! it is in its processor's cache; what comes of it is handed on in pieces. The first
//! thread works as the others do, and between its blocks gives away what is ready, the pieces of one
//! block after those of the block before: a thread for that alone would have to be woken for every
//! block. Memory is bounded by the number of blocks and pieces under way, whatever a block unfolds to.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::mpsc::{Receiver as Channel, SyncSender, TryRecvError, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::blocks::{self, Block, Chunk, Scanner, chunk_end};
use super::context::Mapped;
use super::spare::Spare;
use crate::file::TransferError;
use crate::log::error::Error;
use crate::log::walk::PlainSource;

/// So many pieces of a block wait to be given away; then its thread waits, too.
const PIECES_WAITING: usize = 4;
/// So many blocks are ahead of the one whose pieces are given away, and of those that threads are at
/// work on.
const BLOCKS_AHEAD: usize = 3;
/// More threads have nothing to do: one at a time finds the events for all of them.
const MOST_THREADS: usize = 32;

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

/// What comes of a block: its pieces, and with the last one its figures.
enum Made<P, F> {
    Piece(P),
    End(P, Result<F, Error>),
}

/// Who works on a block.
enum Worker<P, F> {
    /// A thread that sends what it makes. Each piece may wake the one that waits for it, so there are
    /// to be few.
    Other(Channel<Made<P, F>>),
    /// The first thread itself.
    First,
}

/// Which chunk is read next. Each has a number, by which threads turn to the scanner.
struct Chunks {
    number: u64,
    /// Plain offset.
    start: u64,
    /// Up to where there are any; behind it blocks are read by the scanner.
    end: u64,
}

/// Where threads find their next block, one at a time.
struct Feed<'f, 'a, T> {
    scanner: &'f mut Scanner<'a, T>,
    /// The first block, which was made before.
    first: Option<Block<T>>,
    /// The number of the chunk whose turn it is.
    turn: u64,
}

/// The blocks that were begun, in order, without those that the first thread has turned to.
struct Order<P, F> {
    /// What comes of each; or why there is no further one.
    blocks: VecDeque<Result<Worker<P, F>, Error>>,
    /// How many are not given away as a whole.
    under_way: usize,
    /// Whether nothing more is wanted.
    is_closed: bool,
}

/// What the threads share.
struct Shared<'f, 'a, T, P, F> {
    source: &'a dyn PlainSource,
    chunks: Mutex<Chunks>,
    /// Nothing, when there is no further block.
    feed: Mutex<Option<Feed<'f, 'a, T>>>,
    /// It is another chunk's turn, or there is no further block.
    turned: Condvar,
    order: Mutex<Order<P, F>>,
    /// A block was given away, or nothing more is wanted.
    room: Condvar,
    /// So many blocks may be under way.
    most: usize,
}

/// What is one thread's: a chunk to read, and its turn at the scanner.
struct Turn<'s, 'f, 'a, T> {
    feed: &'s Mutex<Option<Feed<'f, 'a, T>>>,
    turned: &'s Condvar,
    number: u64,
    /// Plain offsets; none where the scanner reads for itself.
    range: Option<Range<u64>>,
}

impl<'s, 'f, 'a, T> Turn<'s, 'f, 'a, T> {
    /// Waits until it has come.
    fn wait(&self) -> MutexGuard<'s, Option<Feed<'f, 'a, T>>> {
        let is_before = |feed: &mut Option<Feed<'f, 'a, T>>| {
            feed.as_ref().is_some_and(|feed| feed.turn != self.number)
        };
        let feed = self.turned.wait_while(lock(self.feed), is_before);
        feed.unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Turn<'_, '_, '_, T> {
    fn drop(&mut self) {
        let mut feeds = lock(self.feed);
        match feeds.as_mut().filter(|feed| feed.turn == self.number) {
            Some(feed) => feed.turn = feed.turn.saturating_add(1),
            // It never came: its thread has panicked.
            None => *feeds = None,
        }
        drop(feeds);
        self.turned.notify_all();
    }
}

/// A block to work on, and where what another thread makes of it goes.
type Job<T, P, F> = (Block<T>, Option<SyncSender<Made<P, F>>>);

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
    let (source, start, end) = (scanner.source(), scanner.unread(), scanner.chunks_end());
    let shared = Shared {
        source,
        chunks: Mutex::new(Chunks { number: 0, start, end }),
        feed: Mutex::new(Some(Feed { scanner, first, turn: 0 })),
        turned: Condvar::new(),
        order: Mutex::new(Order { blocks: VecDeque::new(), under_way: 0, is_closed: false }),
        room: Condvar::new(),
        most: threads.saturating_add(BLOCKS_AHEAD),
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            let work = new_work();
            // They end when no block comes any more.
            scope.spawn(|| serve(work, &shared, &spare));
        }
        // However it ends, no thread waits any more for what it made to be taken.
        let _closing = Closing(&shared);
        serve_and_take(new_work(), &shared, &spare, (take, add))
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

/// The work of a thread that is not the first one.
fn serve<T: Mapped, W: Work<T>>(
    mut work: W,
    shared: &Shared<'_, '_, T, W::Piece, W::Figures>,
    spare: &Spare<Vec<u8>>,
) {
    let channel = || {
        let (sender, made) = sync_channel(PIECES_WAITING);
        (Some(sender), Worker::Other(made))
    };
    while shared.wait_for_room()
        && let Some((block, Some(made))) = shared.next(spare, channel)
    {
        let (last, figures) = work.block(&block, &mut |piece| {
            let sent = made.send(Made::Piece(piece));
            sent.map_err(|_| TransferError::Cancelled)
        });
        spare.give(block.into_buffer());
        // Nobody listens any more where writing has failed.
        let _ = made.send(Made::End(last, figures));
    }
}

/// The first thread's work, which is to give away what comes of the blocks, too.
fn serve_and_take<T: Mapped, W: Work<T>>(
    mut work: W,
    shared: &Shared<'_, '_, T, W::Piece, W::Figures>,
    spare: &Spare<Vec<u8>>,
    (take, add): (&mut Take<'_, W::Piece>, &mut Add<'_, W::Figures>),
) -> Result<(), Error> {
    let (mine, failure) = (VecDeque::new(), None);
    let mut taker = Taker { shared, current: None, mine, failure, take, add };
    loop {
        while taker.step(false)? {}
        if shared.is_full() {
            taker.step(true)?;
            continue;
        }
        let Some((block, _)) = shared.next(spare, || (None, Worker::First)) else {
            break;
        };
        let (last, figures) = work.block(&block, &mut |piece| taker.keep(piece));
        if let Some(error) = taker.failure.take() {
            return Err(error);
        }
        spare.give(block.into_buffer());
        taker.mine.push_back(Made::End(last, figures));
    }
    // Every block has its place in the order by now.
    while taker.step(true)? {}
    Ok(())
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'f, 'a, T: Mapped, P, F> Shared<'f, 'a, T, P, F> {
    /// The next block, which gets its place in the order; `None` where there is none, or nobody wants it.
    fn next(
        &self,
        spare: &Spare<Vec<u8>>,
        channel: impl FnOnce() -> (Option<SyncSender<Made<P, F>>>, Worker<P, F>),
    ) -> Option<Job<T, P, F>> {
        loop {
            let turn = self.claim();
            let read = |range: &Range<u64>| Chunk::read(self.source, range.clone(), spare.take());
            let chunk = turn.range.as_ref().map(read);
            let mut feeds = turn.wait();
            let feed = feeds.as_mut()?;
            let unread = feed.scanner.unread();
            if turn.range.as_ref().is_some_and(|range| range.end <= unread) {
                // A large event went on beyond it.
                continue;
            }
            let block = match (feed.first.take(), chunk) {
                (None, Some(Ok(chunk))) => feed.scanner.block_of(chunk),
                (None, Some(Err(error))) if !feed.scanner.has_ended() => Err(error.into()),
                (None, _) => feed.scanner.next_block(spare.take()),
                (first, _) => Ok(first),
            };
            let unread = feed.scanner.unread();
            let mut chunks = lock(&self.chunks);
            chunks.start = chunks.start.max(unread);
            drop(chunks);
            return self.place(&mut feeds, block, channel);
        }
    }

    /// The next chunk, for the thread that reads it.
    fn claim(&self) -> Turn<'_, 'f, 'a, T> {
        let mut chunks = lock(&self.chunks);
        let (number, start) = (chunks.number, chunks.start);
        chunks.number = number.saturating_add(1);
        // The first block is there already.
        let range =
            (number > 0 && start < chunks.end).then(|| start..chunk_end(self.source, start));
        if let Some(range) = &range {
            chunks.start = range.end;
        }
        Turn { feed: &self.feed, turned: &self.turned, number, range }
    }

    /// Gives a block its place in the order, while it is its turn.
    fn place(
        &self,
        feeds: &mut Option<Feed<'_, '_, T>>,
        block: Result<Option<Block<T>>, Error>,
        channel: impl FnOnce() -> (Option<SyncSender<Made<P, F>>>, Worker<P, F>),
    ) -> Option<Job<T, P, F>> {
        let (job, place) = match block {
            Ok(Some(block)) => {
                let (sender, worker) = channel();
                (Some((block, sender)), Ok(worker))
            }
            Ok(None) => {
                *feeds = None;
                return None;
            }
            Err(error) => (None, Err(error)),
        };
        let mut order = lock(&self.order);
        if order.is_closed || place.is_err() {
            *feeds = None;
        }
        if order.is_closed {
            return None;
        }
        order.blocks.push_back(place);
        order.under_way = order.under_way.saturating_add(1);
        job
    }

    fn is_full(&self) -> bool {
        lock(&self.order).under_way >= self.most
    }

    /// Waits where the work is far ahead of what is given away; `false` when nothing more is wanted.
    fn wait_for_room(&self) -> bool {
        let is_full = |order: &mut Order<P, F>| !order.is_closed && order.under_way >= self.most;
        let order = self.room.wait_while(lock(&self.order), is_full);
        !order.unwrap_or_else(PoisonError::into_inner).is_closed
    }
}

/// The end of all of it, whether it was reached or not.
struct Closing<'s, 'f, 'a, T, P, F>(&'s Shared<'f, 'a, T, P, F>);

impl<T, P, F> Drop for Closing<'_, '_, '_, T, P, F> {
    fn drop(&mut self) {
        let mut order = lock(&self.0.order);
        order.is_closed = true;
        order.blocks.clear();
        self.0.room.notify_all();
    }
}

/// Gives what comes of the blocks away in their order. The channels end with it, however it ends.
struct Taker<'t, 'w, 's, 'f, 'a, T, P, F> {
    shared: &'s Shared<'f, 'a, T, P, F>,
    /// The block whose pieces are next.
    current: Option<Worker<P, F>>,
    /// What came of the first thread's own blocks, and waits for those before.
    mine: VecDeque<Made<P, F>>,
    /// Why nothing more can be given away, where that came in the middle of its work on a block.
    failure: Option<Error>,
    take: &'t mut Take<'w, P>,
    add: &'t mut Add<'w, F>,
}

impl<T, P, F> Taker<'_, '_, '_, '_, '_, T, P, F> {
    /// Gives one thing away, if it is there, or waits for it; `false` where there is none.
    fn step(&mut self, waits: bool) -> Result<bool, Error> {
        if self.current.is_none() {
            let next = lock(&self.shared.order).blocks.pop_front();
            // What was made before is shown, whatever comes then.
            self.current = next.transpose()?;
        }
        let made = match &self.current {
            None => return Ok(false),
            Some(Worker::First) => self.mine.pop_front().ok_or(TryRecvError::Empty),
            Some(Worker::Other(channel)) if waits => {
                channel.recv().map_err(|_| TryRecvError::Disconnected)
            }
            Some(Worker::Other(channel)) => channel.try_recv(),
        };
        match made {
            Ok(Made::Piece(piece)) => (self.take)(piece)?,
            Ok(Made::End(last, figures)) => {
                (self.take)(last)?;
                (self.add)(figures?);
                self.leave();
            }
            Err(TryRecvError::Empty) => return Ok(false),
            // Its thread has panicked, as the end of the scope will say.
            Err(TryRecvError::Disconnected) => self.leave(),
        }
        Ok(true)
    }

    /// Turns to the next block.
    fn leave(&mut self) {
        self.current = None;
        let mut order = lock(&self.shared.order);
        order.under_way = order.under_way.saturating_sub(1);
        drop(order);
        self.shared.room.notify_one();
    }

    /// Takes a piece of the first thread's own block, and gives away what is ready.
    fn keep(&mut self, piece: P) -> Result<(), TransferError> {
        self.mine.push_back(Made::Piece(piece));
        self.make_room().map_err(|error| {
            self.failure = Some(error);
            TransferError::Cancelled
        })
    }

    fn make_room(&mut self) -> Result<(), Error> {
        while self.step(false)? {}
        while self.mine.len() > PIECES_WAITING && self.step(true)? {}
        Ok(())
    }
}
