//! The cipher stream by size and offset, the classification, and the keyring parsers.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;
use std::path::Path;

use binlogsec::crypto::derive::FileKey;
use binlogsec::crypto::stream::CtrStream;
use binlogsec::keyring::{Keyring, component, plugin};
use binlogsec::open::Probe;
use binlogsec::secret::Secret32;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn fixture(path: &str) -> Vec<u8> {
    std::fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures")
            .join(path),
    )
    .unwrap()
}

fn stream(c: &mut Criterion) {
    let stream = CtrStream::new(FileKey::derive(&Secret32::from_slice(&[7; 32]).unwrap()));
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

fn probe(c: &mut Criterion) {
    let folder = "mysql-9.7/mixed-key3-running";
    let mut log = fixture(&format!("{folder}/binlog.000003"));
    log.truncate(4096);
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(folder);
    let keys = Keyring::open(path.join("component_keyring_file")).unwrap();
    let none = Keyring::new();
    c.bench_function("probe/without key", |b| {
        b.iter(|| Probe::new(black_box(&log), &none));
    });
    c.bench_function("probe/with key", |b| {
        b.iter(|| Probe::new(black_box(&log), &keys));
    });
}

fn keyrings(c: &mut Criterion) {
    let json = fixture("mysql-9.7/rotation-interrupted/component_keyring_file");
    c.bench_function("keyring/component", |b| {
        b.iter(|| component::parse(black_box(&json)));
    });
    for kind in ["v1.0-be32", "v2.0-le64"] {
        let file = fixture(&format!("keyring-plugin/{kind}.keyring"));
        c.bench_function(&format!("keyring/plugin {kind}"), |b| {
            b.iter(|| plugin::parse(black_box(&file)));
        });
    }
}

criterion_group!(benches, stream, probe, keyrings);
criterion_main!(benches);
