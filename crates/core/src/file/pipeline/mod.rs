//! Moves bytes from a source to a sink through a transformation, in parallel, in bounded memory.

use std::cell::Cell;
use std::io::Write;
use std::ops::{ControlFlow, Range};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

use super::TransferError;
use super::sink::AtomicFile;
use super::source::{ALIGNMENT, FileSource, WINDOW, aligned, at_least};

/// How much is transformed at a time: small enough for a core's second-level cache, large enough
/// that a system call each does not show. Measured in docs/performance.md.
pub const CHUNK: usize = 256 << 10;

/// Windows of one object that are read at once for a stream.
const OBJECT_READERS: u64 = 8;

/// Chunks that may wait between the thread that produces and the one that writes.
const CHUNKS_IN_FLIGHT: usize = 4;

/// Is told how the work gets on, from several threads.
pub trait Progress: Sync {
    /// So many more bytes, or files where the work is counted in files, are done.
    /// [`ControlFlow::Break`] cancels the work.
    fn advance(&self, bytes: u64) -> ControlFlow<()>;
}

/// Nobody watches.
#[derive(Debug, Clone, Copy)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn advance(&self, _bytes: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Turns `source` bytes, which start at the given offset of the range, into `target` bytes of the
/// same number.
pub type Transform<'a> = dyn Fn(u64, &[u8], &mut [u8]) + Sync + 'a;

/// What is done with one chunk: its offset in the range, its bytes, and a buffer that the worker
/// keeps from chunk to chunk.
pub type Visit<'a> = dyn Fn(u64, &[u8], &mut Vec<u8>) -> Result<(), TransferError> + Sync + 'a;

/// Transforms a range of a file into a file at `sink_offset`, on all threads of the current rayon
/// pool.
///
/// # Errors
/// The first [`TransferError`] of any worker; the others stop at their next chunk.
pub fn file_to_file(
    source: &FileSource,
    range: Range<u64>,
    sink: &AtomicFile,
    sink_offset: u64,
    transform: &Transform<'_>,
    progress: &dyn Progress,
) -> Result<(), TransferError> {
    let length = range.end.saturating_sub(range.start);
    sink.reserve(sink_offset.saturating_add(length))?;
    let visit = |within: u64, bytes: &[u8], target: &mut Vec<u8>| {
        let target = at_least(target, bytes.len());
        transform(within, bytes, target);
        sink.write_at(sink_offset.saturating_add(within), target)
    };
    // Chunks end where the sink's pages do: a page that two writes share costs both of them.
    let lead = sink_offset.wrapping_sub(range.start) % WINDOW;
    each_chunk_after(lead, source, range, &visit, progress)
}

/// Shows every chunk of a range of a file to `visit`, in no order, on all threads of the current
/// rayon pool.
///
/// # Errors
/// The first [`TransferError`] of any worker or visit; the others stop at their next chunk. What
/// was made of the chunks before is worth nothing then: some may have been cut away.
pub fn each_chunk(
    source: &FileSource,
    range: Range<u64>,
    visit: &Visit<'_>,
    progress: &dyn Progress,
) -> Result<(), TransferError> {
    each_chunk_after(0, source, range, visit, progress)
}

/// The same with chunks that end `lead` bytes before multiples of [`CHUNK`] in the source.
fn each_chunk_after(
    lead: u64,
    source: &FileSource,
    range: Range<u64>,
    visit: &Visit<'_>,
    progress: &dyn Progress,
) -> Result<(), TransferError> {
    let job = Job {
        source,
        range,
        lead,
        visit,
        progress,
        next: AtomicU64::new(0),
        failure: Mutex::new(None),
    };
    source.expect_reading();
    let segments = job.range.end.saturating_sub(job.range.start).div_ceil(WINDOW);
    let threads = u64::try_from(rayon::current_num_threads()).unwrap_or(1);
    if segments <= 1 || threads <= 1 {
        job.work();
    } else {
        rayon::scope(|scope| {
            (0..threads.min(segments)).for_each(|_| scope.spawn(|_| job.work()));
        });
    }
    match job.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => source.check_size(),
    }
}

thread_local! {
    /// A worker's buffers, for a view and for its visits, from one small file to the next: to make
    /// them anew would cost more than to decipher it.
    static BUFFERS: Cell<(Vec<u8>, Vec<u8>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

/// What the workers share.
struct Job<'a> {
    source: &'a FileSource,
    range: Range<u64>,
    lead: u64,
    visit: &'a Visit<'a>,
    progress: &'a dyn Progress,
    /// The next segment that nobody has taken: in order, so that the disk sees one front.
    next: AtomicU64,
    failure: Mutex<Option<TransferError>>,
}

impl Job<'_> {
    fn work(&self) {
        if let Err(error) = self.take_segments() {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(error);
            // No segment is left for the others.
            self.next.store(u64::MAX >> 1, Ordering::Relaxed);
        }
    }

    fn take_segments(&self) -> Result<(), TransferError> {
        let (read, mut buffer) = BUFFERS.take();
        let mut view = self.source.view(read);
        while let Some(segment) = self.next_segment() {
            if self.source.is_object() {
                // What a view has read ahead is the segment, and nothing of somebody else's.
                view = self.source.view(Vec::new());
            }
            for (offset, length) in chunks(segment, self.lead) {
                self.visit_chunk(&mut view, offset, length, &mut buffer)?;
            }
        }
        let read = view.into_buffer();
        if read.len().max(buffer.len()) <= CHUNK.saturating_add(ALIGNMENT) {
            BUFFERS.set((read, buffer));
        }
        Ok(())
    }

    /// Segments end where chunks do, and are a window long.
    fn next_segment(&self) -> Option<Range<u64>> {
        let segment = self.next.fetch_add(1, Ordering::Relaxed);
        let first = self.range.start.saturating_add(self.lead) / WINDOW;
        let window = first.saturating_add(segment).saturating_mul(WINDOW);
        let before = |offset: u64| offset.saturating_sub(self.lead);
        let start = before(window).max(self.range.start);
        let end = before(window.saturating_add(WINDOW)).min(self.range.end);
        (start < end).then_some(start..end)
    }

    fn visit_chunk(
        &self,
        view: &mut super::source::View<'_>,
        offset: u64,
        length: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), TransferError> {
        let within = offset.saturating_sub(self.range.start);
        let visited = (self.visit)(within, view.bytes(offset, length)?, buffer);
        // First: zeros that stood in for a cut file explain whatever the visit thought of them.
        view.confirm()?;
        visited?;
        let done = u64::try_from(length).unwrap_or(u64::MAX);
        match self.progress.advance(done) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(TransferError::Cancelled),
        }
    }
}

/// Offset and length of each chunk of a range; they end `lead` bytes before multiples of [`CHUNK`].
fn chunks(range: Range<u64>, lead: u64) -> impl Iterator<Item = (u64, usize)> {
    const BYTES: u64 = CHUNK as u64;
    let mut offset = range.start;
    std::iter::from_fn(move || {
        let left = range.end.checked_sub(offset).filter(|&left| left > 0)?;
        let to_boundary = BYTES.saturating_sub(offset.saturating_add(lead) % BYTES);
        let length = left.min(to_boundary);
        let start = offset;
        offset = offset.saturating_add(length);
        Some((start, usize::try_from(length).unwrap_or(CHUNK)))
    })
}

/// Fills a buffer with the next piece of output; less than asked only at the end, nothing after.
pub type Producer<'a> = dyn FnMut(&mut [u8]) -> Result<usize, TransferError> + Send + 'a;

/// Writes what `producer` gives in order. It runs in a thread of its own, so that reading and
/// deciphering go on while the writer waits for its pipe. Returns the bytes written.
///
/// # Errors
/// The first [`TransferError`] of producer or writer; `name` is what messages call the writer.
pub fn stream(
    producer: &mut Producer<'_>,
    writer: &mut dyn Write,
    name: &Path,
    progress: &dyn Progress,
) -> Result<u64, TransferError> {
    in_turns((vec![Box::new(producer)], 1), writer, name, progress)
}

/// How many threads may work on one output: one for each of a pool, but only one for an output of
/// many, which is a pool's worker's.
#[must_use]
pub fn threads_for_one() -> usize {
    match rayon::current_thread_index() {
        Some(_) => 1,
        None => rayon::current_num_threads(),
    }
}

/// Transforms a range of a file and writes it in order. So many threads transform, each in its
/// turn; they are others than the rayon pool's, which may have but one. Returns the bytes written.
///
/// The file is read by position: neighbouring chunks are different threads', so that each would
/// have to map all of it. Of an object a turn is a window, read by one request.
///
/// # Errors
/// The first [`TransferError`] in the order of the output.
pub fn file_to_stream(
    source: &FileSource,
    range: Range<u64>,
    writer: &mut dyn Write,
    name: &Path,
    transform: &Transform<'_>,
    (threads, progress): (usize, &dyn Progress),
) -> Result<u64, TransferError> {
    const BYTES: u64 = CHUNK as u64;
    source.expect_reading();
    let length = range.end.saturating_sub(range.start);
    let (turn, most) =
        if source.is_object() { (WINDOW, OBJECT_READERS) } else { (BYTES, u64::MAX) };
    let threads = u64::try_from(threads).unwrap_or(1).min(most);
    let threads = threads.min(length.div_ceil(turn)).max(1);
    let worker = |first: u64| -> Box<Producer<'_>> {
        let mut within = first.saturating_mul(turn);
        // What is left of the turn.
        let (mut stored, mut held, mut done) = (Vec::new(), 0_usize, 0_usize);
        Box::new(move |buffer: &mut [u8]| {
            if done == held {
                let left = length.saturating_sub(within).min(turn);
                held = usize::try_from(left).unwrap_or(usize::MAX);
                let next = aligned(&mut stored, held);
                source.read_at(range.start.saturating_add(within), next)?;
                done = 0;
            }
            let rest = aligned(&mut stored, held).get(done..).unwrap_or_default();
            let piece = rest.get(..buffer.len()).unwrap_or(rest);
            let read = piece.len();
            let at = within.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
            transform(at, piece, buffer.get_mut(..read).unwrap_or_default());
            done = done.saturating_add(read);
            if done == held {
                within = within.saturating_add(threads.saturating_mul(turn));
            }
            Ok(read)
        })
    };
    let workers = (0..threads).map(worker).collect();
    let in_a_row = usize::try_from(turn / BYTES).unwrap_or(1);
    let written = in_turns((workers, in_a_row), writer, name, progress)?;
    source.check_size()?;
    Ok(written)
}

/// Writes the pieces that several producers give in turn, so many in a row, each in a thread of its
/// own.
fn in_turns(
    (producers, in_a_row): (Vec<Box<Producer<'_>>>, usize),
    writer: &mut dyn Write,
    name: &Path,
    progress: &dyn Progress,
) -> Result<u64, TransferError> {
    std::thread::scope(|scope| {
        let start = |producer| Turn::start(scope, producer);
        let turns: Vec<Turn> = producers.into_iter().map(start).collect();
        let mut written = 0_u64;
        let in_turn = |turn| std::iter::repeat_n(turn, in_a_row);
        for turn in turns.iter().cycle().flat_map(in_turn) {
            // A producer that has come to its end, or failed, has said so before it went.
            let Ok(produced) = turn.filled.recv() else {
                break;
            };
            let (mut buffer, length) = produced?;
            let piece = aligned(&mut buffer, length);
            writer.write_all(piece).map_err(TransferError::at(name, "write"))?;
            let length = u64::try_from(length).unwrap_or(u64::MAX);
            written = written.saturating_add(length);
            if progress.advance(length).is_break() {
                return Err(TransferError::Cancelled);
            }
            let _ = turn.empty.send(buffer);
        }
        writer.flush().map_err(TransferError::at(name, "write"))?;
        Ok(written)
    })
}

/// The writer's end of a producer's thread: full buffers come, empty ones go back.
struct Turn {
    /// Each with how much of it is filled.
    filled: mpsc::Receiver<Result<(Vec<u8>, usize), TransferError>>,
    empty: mpsc::Sender<Vec<u8>>,
}

impl Turn {
    fn start<'scope>(
        scope: &'scope std::thread::Scope<'scope, '_>,
        mut producer: Box<Producer<'scope>>,
    ) -> Self {
        let (filled_sender, filled) = mpsc::sync_channel(CHUNKS_IN_FLIGHT);
        let (empty, given_back) = mpsc::channel();
        for _ in 0..CHUNKS_IN_FLIGHT {
            let _ = empty.send(Vec::new());
        }
        scope.spawn(move || {
            // Ends when the writer gives no buffer back any more.
            while let Ok(mut buffer) = given_back.recv() {
                let produced = producer(aligned(&mut buffer, CHUNK));
                let last = !matches!(&produced, Ok(CHUNK));
                let produced = produced.map(|length| (buffer, length));
                if filled_sender.send(produced).is_err() || last {
                    return;
                }
            }
        });
        Self { filled, empty }
    }
}

/// Gives a pipe the room for a few buffers, so that its two ends wait for each other less often.
/// What is no pipe, or may not grow, stays as it is.
pub fn widen_pipe(descriptor: impl AsFd) {
    const ROOM: usize = 1 << 20;
    let _ = rustix::pipe::fcntl_setpipe_size(descriptor, ROOM);
}

#[cfg(test)]
mod tests;
