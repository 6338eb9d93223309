//! The cipher stream by size and offset, beside the counter of 128 bits that other programs use.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::hint::black_box;

use aes::Aes256;
use aes::cipher::{KeyIvInit, StreamCipher};
use binlogsec_core::mysql::file_key::FileKey;
use binlogsec_core::mysql::stream::CtrStream;
use binlogsec_core::secret::Secret32;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn stream() -> CtrStream {
    CtrStream::new(FileKey::derive(&Secret32::from_slice(&[7; 32]).unwrap()))
}

fn sizes(c: &mut Criterion) {
    let stream = stream();
    let mut group = c.benchmark_group("stream");
    for size in [16_usize, 512, 16 << 10, 256 << 10, 4 << 20] {
        let source = vec![0xA5; size];
        let mut target = vec![0; size];
        group.throughput(Throughput::Bytes(size as u64));
        for offset in [0_u64, 5, (1 << 36) - 7] {
            group.bench_function(BenchmarkId::new(format!("{size} bytes"), offset), |b| {
                b.iter(|| stream.apply_to(black_box(offset), &source, &mut target));
            });
        }
    }
    group.finish();
}

fn in_place(c: &mut Criterion) {
    let stream = stream();
    let mut bytes = vec![0xA5; 256 << 10];
    let mut group = c.benchmark_group("256 KiB in place");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("64-bit counter", |b| {
        b.iter(|| stream.apply(black_box(0), &mut bytes));
    });
    group.bench_function("64-bit counter, the crate's own loop", |b| {
        b.iter(|| {
            let mut stream = ctr::Ctr64BE::<Aes256>::new(&[7; 32].into(), &[1; 16].into());
            stream.apply_keystream(black_box(&mut bytes));
        });
    });
    group.bench_function("128-bit counter, the crate's own loop", |b| {
        b.iter(|| {
            let mut stream = ctr::Ctr128BE::<Aes256>::new(&[7; 32].into(), &[1; 16].into());
            stream.apply_keystream(black_box(&mut bytes));
        });
    });
    group.finish();
}

criterion_group!(name = benches; config = common::short(); targets = sizes, in_place);
criterion_main!(benches);
