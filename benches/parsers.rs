//! What is read before any plaintext: classification, headers, the proof of a key, keyrings.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::hint::black_box;

use binlogsec_core::keyring::{Keyring, component, plugin};
use binlogsec_core::log::kind::{LogKind, PROBE_LENGTH};
use binlogsec_core::log::probe::Probe;
use binlogsec_core::mariadb::key_file;
use common::{fixture, path};
use criterion::{Criterion, criterion_group, criterion_main};

const FOLDER: &str = "mysql-9.7/mixed-key3-running";

fn start(name: &str) -> Vec<u8> {
    let mut log = fixture(name);
    log.truncate(PROBE_LENGTH);
    log
}

fn classification(c: &mut Criterion) {
    let mut group = c.benchmark_group("classify");
    for (kind, name) in [
        ("mysql-encrypted", "mixed-key3-running/binlog.000003"),
        ("mysql-plain", "mixed-key3-running/binlog.000001"),
    ] {
        let start = start(&format!("mysql-9.7/{name}"));
        group.bench_function(kind, |b| b.iter(|| LogKind::classify(black_box(&start))));
    }
    let encrypted = start("mariadb-10.11/cbc128-crc32-row/logs/binlog.000002");
    group.bench_function("mariadb-encrypted", |b| {
        b.iter(|| LogKind::classify(black_box(&encrypted)));
    });
    let text = vec![b'x'; PROBE_LENGTH];
    group.bench_function("no log", |b| b.iter(|| LogKind::classify(black_box(&text))));
    group.finish();
}

fn probe(c: &mut Criterion) {
    let log = start(&format!("{FOLDER}/binlog.000003"));
    let keys = Keyring::open(path(FOLDER).join("component_keyring_file")).unwrap();
    let none = Keyring::new();
    let mut group = c.benchmark_group("probe");
    group.bench_function("without key", |b| {
        b.iter(|| Probe::new(black_box(&log), &none));
    });
    group.bench_function("with key", |b| {
        b.iter(|| Probe::new(black_box(&log), &keys));
    });
    group.finish();
}

fn keyrings(c: &mut Criterion) {
    let mut group = c.benchmark_group("keyring");
    let json = fixture("mysql-9.7/rotation-interrupted/component_keyring_file");
    group.bench_function("component", |b| {
        b.iter(|| component::parse(black_box(&json)));
    });
    for kind in ["v1.0-be32", "v2.0-le64"] {
        let file = fixture(&format!("keyring-plugin/{kind}.keyring"));
        group.bench_function(format!("plugin {kind}"), |b| {
            b.iter(|| plugin::parse(black_box(&file)));
        });
    }
    let lines: String =
        (1..=100).map(|id| format!("{id};{}\n", "0123456789abcdef".repeat(4))).collect();
    group.bench_function("mariadb, 100 keys", |b| {
        b.iter(|| key_file::parse(black_box(lines.as_bytes()), None));
    });
    group.finish();
}

criterion_group!(name = benches; config = common::short(); targets = classification, probe, keyrings);
criterion_main!(benches);
