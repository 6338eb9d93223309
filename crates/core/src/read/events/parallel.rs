//! Lines of a listing, made by several threads and written in order.
//!
//! One thread goes from event to event and makes blocks; the others take the blocks in their order,
//! make lines of them, and hand these on in pieces. The first thread writes the pieces of one block
//! after those of another. Memory is bounded by the number of blocks and pieces under way, whatever
//! a block unfolds to.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver as Channel, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};

use super::blocks::{self, Block, Scanner};
use super::lister::Lister;
use super::{EventFilter, EventRecord, IsStrange, Listed, Stop, Writer};
use crate::file::TransferError;
use crate::log::error::Error;
use crate::log::walk::PlainSource;

/// Lines are handed on in pieces of about this length.
const PIECE: usize = 128 << 10;
/// So many pieces of a block wait to be written; then its thread waits, too.
const PIECES_WAITING: usize = 4;
/// So many blocks are made ahead of those that threads are at work on.
const BLOCKS_AHEAD: usize = 3;
/// More threads have nothing to do: one alone finds the events for all of them.
const MOST_THREADS: usize = 32;

/// Makes the text of events.
pub trait LineMaker: Send {
    /// Appends one event's.
    ///
    /// # Errors
    /// What stands against it, which ends the listing.
    fn line(&mut self, record: &EventRecord, out: &mut Vec<u8>) -> std::io::Result<()>;
}

type MakeMaker<'a> = dyn Fn() -> Box<dyn LineMaker> + Sync + 'a;

/// What comes of a block: its lines, and at last its figures.
enum Piece {
    Lines(Vec<u8>),
    End(Result<Listed, Error>),
}

struct Job {
    block: Block,
    pieces: SyncSender<Piece>,
}

/// Emptied buffers of one kind, for the next who needs one: the kernel maps each page anew of what is
/// allocated anew.
struct Spare {
    buffers: Mutex<Vec<Vec<u8>>>,
    capacity: usize,
}

impl Spare {
    const fn new(capacity: usize) -> Self {
        let buffers = Mutex::new(Vec::new());
        Self { buffers, capacity }
    }

    fn take(&self) -> Vec<u8> {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = buffers.pop();
        spare.unwrap_or_else(|| Vec::with_capacity(self.capacity))
    }

    fn give(&self, mut buffer: Vec<u8>) {
        // One that had to grow for a large event would keep its size.
        if buffer.capacity() <= self.capacity.saturating_mul(2) {
            buffer.clear();
            let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
            buffers.push(buffer);
        }
    }
}

/// Of blocks, and of lines.
struct Spares {
    blocks: Spare,
    lines: Spare,
}

pub(super) fn list(
    source: &dyn PlainSource,
    (filter, is_strange): (&EventFilter, &IsStrange<'_>),
    maker: &MakeMaker<'_>,
    write: &mut Writer<'_>,
) -> Result<Listed, Error> {
    let mut scanner = Scanner::new(source, filter, is_strange)?;
    let lister = || Lister::new(source, filter, is_strange);
    let threads = rayon::current_num_threads().min(MOST_THREADS);
    let spares = Spares {
        blocks: Spare::new(blocks::BUFFER),
        lines: Spare::new(PIECE.saturating_add(PIECE / 8)),
    };
    let first = scanner.next_block(spares.blocks.take())?;
    let mut listed = if threads < 2 || scanner.has_ended() {
        here(&mut scanner, first, (lister(), maker()), (&spares.blocks, write))?
    } else {
        let (jobs, queue) = channel();
        let queue = Mutex::new(queue);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let worker = Worker { lister: lister(), maker: maker(), spares: &spares };
                // They end when no block comes any more.
                scope.spawn(|| worker.run(&queue));
            }
            in_order(&mut scanner, first, (jobs, threads), (&spares, write))
        })?
    };
    source.check_size()?;
    listed.stopped = scanner.stopped().map(Stop::from);
    Ok(listed)
}

/// All of it in this thread.
fn here(
    scanner: &mut Scanner<'_>,
    first: Option<Block>,
    (mut lister, mut maker): (Lister<'_>, Box<dyn LineMaker>),
    (spare, write): (&Spare, &mut Writer<'_>),
) -> Result<Listed, Error> {
    let (mut listed, mut next) = (Listed::default(), Ok(first));
    let mut lines = Vec::new();
    let failure = loop {
        let block = match next {
            Ok(Some(block)) => block,
            Ok(None) => break None,
            Err(error) => break Some(error),
        };
        let part = lister.block(&block, &mut |record| {
            add_line(&mut *maker, record, &mut lines)?;
            if lines.len() >= PIECE {
                write(&lines)?;
                lines.clear();
            }
            Ok(())
        });
        match part {
            Ok(part) => listed.add(&part),
            Err(error) => break Some(error),
        }
        spare.give(block.into_buffer());
        next = scanner.next_block(spare.take());
    };
    // What was made before is shown, whatever came then.
    write(&lines)?;
    failure.map_or(Ok(listed), Err)
}

/// Gives blocks to the workers, and writes what comes of them in the order of the blocks.
fn in_order(
    scanner: &mut Scanner<'_>,
    first: Option<Block>,
    (jobs, threads): (Sender<Job>, usize),
    (spares, write): (&Spares, &mut Writer<'_>),
) -> Result<Listed, Error> {
    let most = threads.saturating_add(BLOCKS_AHEAD);
    let mut listed = Listed::default();
    let mut next = Ok(first);
    let mut waiting: VecDeque<Channel<Piece>> = VecDeque::new();
    loop {
        while waiting.len() < most {
            let block = match next {
                Ok(Some(block)) => block,
                end => {
                    next = end;
                    break;
                }
            };
            let (pieces, made) = sync_channel(PIECES_WAITING);
            if jobs.send(Job { block, pieces }).is_err() {
                return Err(TransferError::Cancelled.into());
            }
            waiting.push_back(made);
            next = scanner.next_block(spares.blocks.take());
        }
        let Some(oldest) = waiting.pop_front() else {
            // What was made before is shown, whatever came then.
            return next.map(|_| listed);
        };
        for piece in oldest {
            match piece {
                Piece::Lines(lines) => {
                    write(&lines)?;
                    spares.lines.give(lines);
                }
                Piece::End(part) => listed.add(&part?),
            }
        }
    }
}

struct Worker<'a> {
    lister: Lister<'a>,
    maker: Box<dyn LineMaker>,
    spares: &'a Spares,
}

impl Worker<'_> {
    fn run(mut self, queue: &Mutex<Channel<Job>>) {
        loop {
            let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = job else {
                return;
            };
            let end = self.block(&job);
            self.spares.blocks.give(job.block.into_buffer());
            // Nobody listens any more where writing has failed.
            let _ = job.pieces.send(Piece::End(end));
        }
    }

    fn block(&mut self, job: &Job) -> Result<Listed, Error> {
        let spare = &self.spares.lines;
        let mut lines = spare.take();
        let maker = &mut *self.maker;
        let hand_on = |lines: &mut Vec<u8>| {
            let piece = std::mem::replace(lines, spare.take());
            let sent = job.pieces.send(Piece::Lines(piece));
            sent.map_err(|_| TransferError::Cancelled)
        };
        let listed = self.lister.block(&job.block, &mut |record| {
            add_line(maker, record, &mut lines)?;
            if lines.len() >= PIECE {
                hand_on(&mut lines)?;
            }
            Ok(())
        });
        hand_on(&mut lines)?;
        spare.give(lines);
        listed
    }
}

fn add_line(
    maker: &mut dyn LineMaker,
    record: &EventRecord,
    lines: &mut Vec<u8>,
) -> Result<(), TransferError> {
    let made = maker.line(record, lines);
    made.map_err(|source| TransferError::at("<standard output>".as_ref(), "write")(source))
}
