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
use super::source::{FileSource, WINDOW, at_least};

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
    let segments = job
        .range
        .end
        .saturating_sub(job.range.start)
        .div_ceil(WINDOW);
    let threads = u64::try_from(rayon::current_num_threads()).unwrap_or(1);
    if segments <= 1 || threads <= 1 {
        job.work();
    } else {
        rayon::scope(|scope| {
            (0..threads.min(segments)).for_each(|_| scope.spawn(|_| job.work()));
        });
    }
    match job
        .failure
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
    {
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
        if read.len().max(buffer.len()) <= CHUNK {
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
    let (turn, most) = if source.is_object() {
        (WINDOW, OBJECT_READERS)
    } else {
        (BYTES, u64::MAX)
    };
    let threads = u64::try_from(threads).unwrap_or(1).min(most);
    let threads = threads.min(length.div_ceil(turn)).max(1);
    let worker = |first: u64| -> Box<Producer<'_>> {
        let mut within = first.saturating_mul(turn);
        // What is left of the turn.
        let (mut stored, mut done) = (Vec::new(), 0_usize);
        Box::new(move |buffer: &mut [u8]| {
            if done == stored.len() {
                let left = length.saturating_sub(within).min(turn);
                stored.resize(usize::try_from(left).unwrap_or(usize::MAX), 0);
                source.read_at(range.start.saturating_add(within), &mut stored)?;
                done = 0;
            }
            let rest = stored.get(done..).unwrap_or_default();
            let piece = rest.get(..buffer.len()).unwrap_or(rest);
            let read = piece.len();
            let at = within.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
            transform(at, piece, buffer.get_mut(..read).unwrap_or_default());
            done = done.saturating_add(read);
            if done == stored.len() {
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
            let buffer = produced?;
            writer
                .write_all(&buffer)
                .map_err(TransferError::at(name, "write"))?;
            let length = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
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
    filled: mpsc::Receiver<Result<Vec<u8>, TransferError>>,
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
                buffer.resize(CHUNK, 0);
                let produced = producer(&mut buffer).map(|length| {
                    buffer.truncate(length);
                    buffer
                });
                let last = !matches!(&produced, Ok(buffer) if buffer.len() == CHUNK);
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
mod tests {
    use super::*;
    use crate::io::sink::SinkOptions;
    use crate::io::source::Access;

    /// Adds the offset, so that a byte in the wrong place shows.
    fn mark(offset: u64, source: &[u8], target: &mut [u8]) {
        for (index, (target, source)) in target.iter_mut().zip(source).enumerate() {
            *target = source.wrapping_add(u8::try_from((offset + index as u64) % 251).unwrap());
        }
    }

    #[test]
    fn every_byte_arrives_transformed_in_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let input = directory.path().join("in");
        let content: Vec<u8> = (0..9_500_000_u32).map(|n| (n % 241) as u8).collect();
        std::fs::write(&input, &content).unwrap();
        for (index, start) in [0, 1, 512, WINDOW - 1, WINDOW, 9_499_999, 9_500_000]
            .into_iter()
            .enumerate()
        {
            for access in [Access::Mapped, Access::Positioned] {
                let mut source = FileSource::open(&input).unwrap();
                source.set_access(access);
                let target = directory.path().join(format!("{index}-{access:?}"));
                let sink = AtomicFile::create(&target, SinkOptions::default()).unwrap();
                let range = start..source.length();
                file_to_file(&source, range, &sink, 0, &mark, &NoProgress).unwrap();
                sink.commit().unwrap();
                let body = &content[usize::try_from(start).unwrap()..];
                let mut expected = vec![0; body.len()];
                mark(0, body, &mut expected);
                assert!(
                    std::fs::read(&target).unwrap() == expected,
                    "{start} {access:?}"
                );
                for threads in [1, 3] {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                    let mut output = Vec::new();
                    let range = start..source.length();
                    let written = pool.unwrap().install(|| {
                        let name = Path::new("-");
                        file_to_stream(
                            &source,
                            range,
                            &mut output,
                            name,
                            &mark,
                            (threads, &NoProgress),
                        )
                    });
                    assert_eq!(written.unwrap(), expected.len() as u64);
                    assert!(output == expected, "{start} {access:?} {threads}");
                }
            }
        }
    }

    #[test]
    fn writes_end_where_pages_do() {
        let directory = tempfile::tempdir().unwrap();
        let input = directory.path().join("in");
        std::fs::write(&input, vec![1; usize::try_from(WINDOW * 2 + 1000).unwrap()]).unwrap();
        let source = FileSource::open(&input).unwrap();
        for (start, sink_offset) in [(0_u64, 0_u64), (0, 512), (512, 0)] {
            let starts = Mutex::new(Vec::new());
            let note = |within: u64, _: &[u8], _: &mut [u8]| starts.lock().unwrap().push(within);
            let target = directory.path().join(format!("{start}-{sink_offset}"));
            let sink = AtomicFile::create(&target, SinkOptions::default()).unwrap();
            let range = start..source.length();
            file_to_file(&source, range, &sink, sink_offset, &note, &NoProgress).unwrap();
            let starts = starts.into_inner().unwrap();
            assert!(starts.len() > 30);
            let mut inner = starts.into_iter().filter(|&within| within > 0);
            assert!(inner.all(|within| (within + sink_offset) % CHUNK as u64 == 0));
        }
    }

    #[test]
    fn a_file_cut_under_the_map_is_an_error() {
        struct Cut<'a>(&'a std::fs::File);
        impl Progress for Cut<'_> {
            fn advance(&self, _: u64) -> ControlFlow<()> {
                self.0.set_len(1_000_000).unwrap();
                ControlFlow::Continue(())
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let input = directory.path().join("in");
        std::fs::write(&input, vec![1; 12 << 20]).unwrap();
        let writer = std::fs::File::options().write(true).open(&input).unwrap();
        for access in [Access::Mapped, Access::Positioned] {
            writer.set_len(12 << 20).unwrap();
            let mut source = FileSource::open(&input).unwrap();
            source.set_access(access);
            let target = directory.path().join("out");
            let sink = AtomicFile::create(&target, SinkOptions::default()).unwrap();
            let range = 0..source.length();
            let error = file_to_file(&source, range, &sink, 0, &mark, &Cut(&writer)).unwrap_err();
            assert!(
                matches!(
                    error,
                    TransferError::Shrank {
                        size_now: 1_000_000,
                        ..
                    }
                ),
                "{access:?}: {error}"
            );
        }
        writer.set_len(12 << 20).unwrap();
        let source = FileSource::open(&input).unwrap();
        let (range, name) = (0..source.length(), Path::new("-"));
        let mut output = std::io::sink();
        let error = file_to_stream(&source, range, &mut output, name, &mark, (2, &Cut(&writer)));
        assert!(matches!(error, Err(TransferError::Shrank { .. })));
    }

    #[test]
    fn cancelling_stops_the_work() {
        struct Stop;
        impl Progress for Stop {
            fn advance(&self, _: u64) -> ControlFlow<()> {
                ControlFlow::Break(())
            }
        }
        let mut endless = |buffer: &mut [u8]| Ok(buffer.len());
        let error = stream(&mut endless, &mut std::io::sink(), Path::new("-"), &Stop).unwrap_err();
        assert!(matches!(error, TransferError::Cancelled));
    }

    #[test]
    fn a_stream_ends_with_the_producer_or_the_writer() {
        let mut left = 3 * CHUNK + 17;
        let mut producer = |buffer: &mut [u8]| {
            let length = left.min(buffer.len());
            left -= length;
            Ok(length)
        };
        let mut output = Vec::new();
        let written = stream(&mut producer, &mut output, Path::new("-"), &NoProgress).unwrap();
        assert_eq!((written, output.len()), (786_449, 786_449));

        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut endless = |buffer: &mut [u8]| Ok(buffer.len());
        let error = stream(&mut endless, &mut Closed, Path::new("-"), &NoProgress).unwrap_err();
        assert!(error.is_broken_pipe());
    }

    #[test]
    fn a_large_file_is_shared_and_a_small_one_stays_with_its_thread() {
        let directory = tempfile::tempdir().unwrap();
        let input = directory.path().join("in");
        let file = std::fs::File::create(&input).unwrap();
        let threads = Mutex::new(std::collections::HashSet::new());
        let own = std::thread::current().id();
        let note = || {
            let mut threads = threads.lock().unwrap();
            threads.insert(std::thread::current().id());
            threads.len()
        };

        file.set_len(WINDOW).unwrap();
        let source = FileSource::open(&input).unwrap();
        let visit = |_: u64, _: &[u8], _: &mut Vec<u8>| {
            note();
            Ok(())
        };
        each_chunk(&source, 0..WINDOW, &visit, &NoProgress).unwrap();
        assert_eq!(*threads.lock().unwrap(), [own].into());

        threads.lock().unwrap().clear();
        file.set_len(2 * WINDOW).unwrap();
        let source = FileSource::open(&input).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        // Each waits for the other, so that none does the work of both.
        let visit = |_: u64, _: &[u8], _: &mut Vec<u8>| {
            while note() < 2 {
                assert!(std::time::Instant::now() < deadline, "one thread alone");
                std::thread::yield_now();
            }
            Ok(())
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
        pool.unwrap()
            .install(|| each_chunk(&source, 0..2 * WINDOW, &visit, &NoProgress))
            .unwrap();
        assert_eq!(threads.lock().unwrap().len(), 2);
    }

    #[test]
    fn after_a_failure_no_segment_is_begun() {
        const THREADS: u8 = 8;
        let directory = tempfile::tempdir().unwrap();
        let input = directory.path().join("in");
        let length = 2 * u64::from(THREADS) * WINDOW;
        std::fs::File::create(&input)
            .unwrap()
            .set_len(length)
            .unwrap();
        let source = FileSource::open(&input).unwrap();
        let begun = AtomicU64::new(0);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let visit = |within: u64, _: &[u8], _: &mut Vec<u8>| {
            if !within.is_multiple_of(WINDOW) {
                return Ok(());
            }
            begun.fetch_add(1, Ordering::SeqCst);
            while begun.load(Ordering::SeqCst) < u64::from(THREADS) {
                assert!(std::time::Instant::now() < deadline, "too few threads");
                std::thread::yield_now();
            }
            if within == 0 {
                return Err(TransferError::Cancelled);
            }
            // Until the failure is known to all.
            std::thread::sleep(std::time::Duration::from_millis(100));
            Ok(())
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(THREADS.into());
        let outcome = pool
            .build()
            .unwrap()
            .install(|| each_chunk(&source, 0..length, &visit, &NoProgress));
        assert!(matches!(outcome, Err(TransferError::Cancelled)));
        assert_eq!(begun.into_inner(), u64::from(THREADS));
    }

    #[test]
    fn one_output_has_all_threads_and_each_of_many_has_one() {
        assert_eq!(threads_for_one(), rayon::current_num_threads());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build();
        assert_eq!(pool.unwrap().install(threads_for_one), 1);
    }

    #[test]
    fn a_pipe_gets_room() {
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        let before = rustix::pipe::fcntl_getpipe_size(&reader).unwrap();
        widen_pipe(&reader);
        let room = rustix::pipe::fcntl_getpipe_size(&reader).unwrap();
        assert!(room > before && room >= 1 << 20, "{before}, {room}");
        widen_pipe(std::fs::File::open("/dev/null").unwrap());
    }
}
