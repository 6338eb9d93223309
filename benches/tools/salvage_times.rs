//! Damages a copy of a log, and takes the times of `verify` and `salvage` on it, one after the other.
//!
//! `cargo run --release --no-default-features --example salvage_times -- LOG DAMAGES KEYRING SCRATCH`
//!
//! Each damage overwrites 64 bytes. `verify` is timed on the log as it is, as it stops where no
//! length can be believed.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use binlogsec_core::file::pipeline::NoProgress;
use binlogsec_core::file::sink::SinkOptions;
use binlogsec_core::file::source::FileSource;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::read::salvage::{SalvageOptions, salvage};
use binlogsec_core::read::verify::verify_file;

/// As the command has it.
const MAX_SHIFT: u64 = 65_536;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [log, damages, keyring, scratch] = arguments.as_slice() else {
        eprintln!("salvage_times LOG DAMAGES KEYRING SCRATCH");
        return ExitCode::FAILURE;
    };
    match measure(log.as_ref(), damages, keyring.as_ref(), scratch.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(
    log: &Path,
    damages: &str,
    keyring: &Path,
    scratch: &Path,
) -> Result<(), Box<dyn Error>> {
    let keys = Keyring::open(keyring)?;
    let damages: u64 = damages.parse()?;
    let (copy, saved) = (scratch.join("damaged"), scratch.join("saved"));
    let size = std::fs::copy(log, &copy)?;
    let mut file = std::fs::OpenOptions::new().write(true).open(&copy)?;
    for damage in 1..=damages {
        // An odd step, so that all parts of events are hit.
        let at = size / damages.saturating_add(1) * damage + damage * 37 % 4096;
        file.seek(SeekFrom::Start(at.min(size.saturating_sub(64))))?;
        file.write_all(&[0xA5; 64])?;
    }
    drop(file);
    for _ in 0..3 {
        let started = Instant::now();
        let verified = verify_file(log, &keys, &NoProgress)?;
        let verify = started.elapsed();
        let started = Instant::now();
        let sink = SinkOptions { force: true, ..SinkOptions::default() };
        let options = SalvageOptions { max_shift: MAX_SHIFT, ..SalvageOptions::default() };
        let source = FileSource::open(&copy)?;
        let salvaged = salvage(&source, &saved, sink, &keys, &options, &NoProgress)?;
        let time = started.elapsed();
        println!(
            "{} events: verify {verify:.2?}; salvage {time:.2?}, {:.1} times as long: {} events, {} gaps, {} bytes lost",
            verified.events,
            time.as_secs_f64() / verify.as_secs_f64(),
            salvaged.events,
            salvaged.gaps.len(),
            salvaged.lost,
        );
    }
    Ok(())
}
