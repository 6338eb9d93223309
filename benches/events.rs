//! Events of a plaintext log in memory: walking from header to header, taking each whole, and
//! verifying all of them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;
#[path = "../tests/common/logs.rs"]
mod logs;

use std::path::Path;

use binlogsec_core::event::checksum::ChecksumAlgorithm;
use binlogsec_core::event::format_description::FormatDescription;
use binlogsec_core::event::walker::Events;
use binlogsec_core::file::pipeline::NoProgress;
use binlogsec_core::log::walk::{Depth, MemorySource, Walker};
use binlogsec_core::read::verify::verify_plain;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn log() -> Vec<u8> {
    let plain = common::fixture("mysql-9.7/mixed-key3-running/binlog.000001");
    logs::grow(&plain, 8 << 20)
}

fn walkers(c: &mut Criterion) {
    let log = log();
    let source = MemorySource::new(Path::new("log"), &log);
    let mut group = c.benchmark_group("walk, 8 MiB");
    group.throughput(Throughput::Bytes(log.len() as u64));
    for depth in [Depth::Headers, Depth::Whole] {
        group.bench_function(format!("{depth:?}"), |b| {
            b.iter(|| {
                let mut walker = Walker::new(&source, depth);
                let mut count = 0_u64;
                while walker.next_event().unwrap().is_some() {
                    count += 1;
                }
                count
            });
        });
    }
    let events = log.get(4..).unwrap();
    group.bench_function("slices, checksums", |b| {
        b.iter(|| {
            Events::new(events, 4, ChecksumAlgorithm::Crc32)
                .filter(|event| event.as_ref().unwrap().verify_checksum().is_ok())
                .count()
        });
    });
    group.finish();
}

fn verification(c: &mut Criterion) {
    let log = log();
    let source = MemorySource::new(Path::new("log"), &log);
    let description = FormatDescription::parse(log.get(4..).unwrap()).unwrap();
    let mut group = c.benchmark_group("verify, 8 MiB");
    group.throughput(Throughput::Bytes(log.len() as u64));
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        group.bench_function(format!("{threads} threads"), |b| {
            b.iter(|| {
                pool.install(|| verify_plain(&source, Some(description.clone()), &NoProgress))
                    .unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(name = benches; config = common::short(); targets = walkers, verification);
criterion_main!(benches);
