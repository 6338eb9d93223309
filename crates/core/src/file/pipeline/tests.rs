//! Each byte in its place, whatever number of threads brings it; ends, cuts and failures.

use super::*;
use crate::file::sink::SinkOptions;
use crate::file::source::Access;

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
    for (index, start) in
        [0, 1, 512, WINDOW - 1, WINDOW, 9_499_999, 9_500_000].into_iter().enumerate()
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
            assert!(std::fs::read(&target).unwrap() == expected, "{start} {access:?}");
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                let mut output = Vec::new();
                let range = start..source.length();
                let written = pool.unwrap().install(|| {
                    let name = Path::new("-");
                    file_to_stream(&source, range, &mut output, name, &mark, (threads, &NoProgress))
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
            matches!(error, TransferError::Shrank { size_now: 1_000_000, .. }),
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
    pool.unwrap().install(|| each_chunk(&source, 0..2 * WINDOW, &visit, &NoProgress)).unwrap();
    assert_eq!(threads.lock().unwrap().len(), 2);
}

#[test]
fn after_a_failure_no_segment_is_begun_anew() {
    const THREADS: u8 = 8;
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in");
    let length = 2 * u64::from(THREADS) * WINDOW;
    std::fs::File::create(&input).unwrap().set_len(length).unwrap();
    let source = FileSource::open(&input).unwrap();
    let begun = Mutex::new(Vec::new());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let visit = |within: u64, _: &[u8], _: &mut Vec<u8>| {
        if !within.is_multiple_of(WINDOW) {
            return Ok(());
        }
        begun.lock().unwrap().push(within);
        while begun.lock().unwrap().len() < THREADS.into() {
            assert!(std::time::Instant::now() < deadline, "too few threads");
            std::thread::yield_now();
        }
        if within == 0 {
            return Err(TransferError::Cancelled);
        }
        // Until the failure is known to all, as a rule.
        std::thread::sleep(std::time::Duration::from_millis(100));
        Ok(())
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(THREADS.into());
    let outcome =
        pool.build().unwrap().install(|| each_chunk(&source, 0..length, &visit, &NoProgress));
    assert!(matches!(outcome, Err(TransferError::Cancelled)));
    let mut begun = begun.into_inner().unwrap();
    let all = begun.len();
    begun.sort_unstable();
    begun.dedup();
    assert_eq!(begun.len(), all);
}

#[test]
fn one_output_has_all_threads_and_each_of_many_has_one() {
    assert_eq!(threads_for_one(), rayon::current_num_threads());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build();
    assert_eq!(pool.unwrap().install(threads_for_one), 1);
}

#[test]
fn a_pipe_gets_room() {
    const ROOM: usize = 1 << 20;
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let (other, _writer) = rustix::pipe::pipe().unwrap();
    if rustix::pipe::fcntl_setpipe_size(&other, ROOM).is_err() {
        println!("skipped: pipes have no more room here");
        return;
    }
    drop((other, writer));
    let before = rustix::pipe::fcntl_getpipe_size(&reader).unwrap();
    widen_pipe(&reader);
    let room = rustix::pipe::fcntl_getpipe_size(&reader).unwrap();
    assert!(room > before && room >= ROOM, "{before}, {room}");
    widen_pipe(std::fs::File::open("/dev/null").unwrap());
}
