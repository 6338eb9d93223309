//! The floor under the command: the same reads and writes without a cipher. benches/compare.py runs
//! it beside the command, to show what the cipher costs.
//!
//! `floor INPUT OUTPUT THREADS mapped|positioned` copies what follows the first 512 bytes;
//! `floor INPUT - THREADS sum` maps the input and adds its bytes up, as 64-bit words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use binlogsec_core::file::pipeline::{NoProgress, each_chunk, file_to_file};
use binlogsec_core::file::sink::{AtomicFile, SinkOptions};
use binlogsec_core::file::source::{Access, FileSource};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, threads, what] = arguments.as_slice() else {
        panic!("floor INPUT OUTPUT|- THREADS mapped|positioned|sum");
    };
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(threads.parse().unwrap()).build().unwrap();
    let mut source = FileSource::open(Path::new(input)).unwrap();
    source.set_access(match what.as_str() {
        "mapped" | "sum" => Access::Mapped,
        "positioned" => Access::Positioned,
        other => panic!("{other}: neither mapped nor positioned nor sum"),
    });
    pool.install(|| match what.as_str() {
        "sum" => println!("{:016x}", sum(&source)),
        _ => copy(&source, Path::new(output)),
    });
}

fn copy(source: &FileSource, output: &Path) {
    let options = SinkOptions { force: true, ..SinkOptions::default() };
    let sink = AtomicFile::create(output, options).unwrap();
    let copy = |_: u64, source: &[u8], target: &mut [u8]| target.copy_from_slice(source);
    file_to_file(source, 512..source.length(), &sink, 0, &copy, &NoProgress).unwrap();
    sink.commit().unwrap();
}

fn sum(source: &FileSource) -> u64 {
    let total = AtomicU64::new(0);
    let add = |_: u64, bytes: &[u8], _: &mut Vec<u8>| {
        let (words, rest) = bytes.as_chunks::<8>();
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        let rest = rest.iter().copied().map(u64::from);
        let sum = words.chain(rest).fold(0, u64::wrapping_add);
        total.fetch_add(sum, Ordering::Relaxed);
        Ok(())
    };
    each_chunk(source, 0..source.length(), &add, &NoProgress).unwrap();
    total.into_inner()
}
