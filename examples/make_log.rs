//! Makes a large plaintext log for measurements: the transactions of a real one, over and over,
//! with end positions, transaction numbers and checksums made anew.
//!
//! `cargo run --release --example make_log -- SOURCE MEBIBYTES TARGET`
#![allow(clippy::print_stderr)]

#[path = "../tests/common/logs.rs"]
mod logs;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, source, size, target] = arguments.as_slice() else {
        eprintln!("make_log SOURCE MEBIBYTES TARGET");
        return ExitCode::FAILURE;
    };
    let made = std::fs::read(source).and_then(|plain| {
        let size: usize = size.parse().map_err(std::io::Error::other)?;
        std::fs::write(target, logs::grow(&plain, size.saturating_mul(1 << 20)))
    });
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
