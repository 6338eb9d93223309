//! The pipeline from file to file, mapped and positioned, and to a stream.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::path::Path;

use binlogsec_core::file::pipeline::{NoProgress, file_to_file, file_to_stream, threads_for_one};
use binlogsec_core::file::sink::{AtomicFile, SinkOptions};
use binlogsec_core::file::source::{Access, FileSource};
use binlogsec_core::mysql::file_key::FileKey;
use binlogsec_core::mysql::stream::CtrStream;
use binlogsec_core::secret::Secret32;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const SIZE: u64 = 64 << 20;

fn files(c: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in");
    std::fs::write(&input, vec![0x5A; usize::try_from(SIZE).unwrap()]).unwrap();
    let stream = CtrStream::new(FileKey::derive(&Secret32::from_slice(&[7; 32]).unwrap()));
    let apply = |offset, source: &[u8], target: &mut [u8]| stream.apply_to(offset, source, target);
    let mut group = c.benchmark_group("file to file, 64 MiB");
    group.throughput(Throughput::Bytes(SIZE));
    for access in [Access::Mapped, Access::Positioned] {
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let name = BenchmarkId::new(format!("{access:?}"), threads);
            group.bench_function(name, |b| {
                b.iter(|| {
                    let mut source = FileSource::open(&input).unwrap();
                    source.set_access(access);
                    let target = directory.path().join("out");
                    let sink = AtomicFile::create(&target, SinkOptions::default()).unwrap();
                    pool.install(|| {
                        file_to_file(&source, 0..SIZE, &sink, 0, &apply, &NoProgress).unwrap();
                    });
                });
            });
        }
    }
    group.finish();
    let mut group = c.benchmark_group("file to stream, 64 MiB");
    group.throughput(Throughput::Bytes(SIZE));
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let source = FileSource::open(&input).unwrap();
        group.bench_function(BenchmarkId::from_parameter(threads), |b| {
            b.iter(|| {
                let (mut sink, name) = (std::io::sink(), Path::new("-"));
                pool.install(|| {
                    file_to_stream(
                        &source,
                        0..SIZE,
                        &mut sink,
                        name,
                        &apply,
                        (threads_for_one(), &NoProgress),
                    )
                })
                .unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(name = benches; config = common::short(); targets = files);
criterion_main!(benches);
