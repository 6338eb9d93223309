//! The floor under `decrypt`: the same reads and writes without a cipher. benches/compare.py runs
//! it beside the command, to show what the cipher costs.
//!
//! `floor INPUT OUTPUT THREADS mapped|positioned`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use binlogsec::io::pipeline::{NoProgress, file_to_file};
use binlogsec::io::sink::{AtomicFile, SinkOptions};
use binlogsec::io::source::{Access, FileSource};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, threads, access] = arguments.as_slice() else {
        panic!("floor INPUT OUTPUT THREADS mapped|positioned");
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.parse().unwrap())
        .build();
    let mut source = FileSource::open(Path::new(input)).unwrap();
    let mapped = access == "mapped";
    source.set_access(if mapped {
        Access::Mapped
    } else {
        Access::Positioned
    });
    let options = SinkOptions {
        force: true,
        sync: false,
        ..SinkOptions::default()
    };
    let sink = AtomicFile::create(Path::new(output), options).unwrap();
    let copy = |_: u64, source: &[u8], target: &mut [u8]| target.copy_from_slice(source);
    let range = 512..source.length();
    pool.unwrap().install(|| {
        file_to_file(&source, range, &sink, 0, &copy, &NoProgress).unwrap();
    });
    sink.commit().unwrap();
}
