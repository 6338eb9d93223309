//! Makes a large log for measurements: the transactions of a real one, over and over, with end
//! positions, transaction numbers and checksums made anew. From an encrypted log it makes an
//! encrypted one under the same header: for measurements alone, as two texts then share one key
//! stream.
//!
//! `cargo run --release --example make_log -- SOURCE MEBIBYTES TARGET [KEYRING]`
#![allow(clippy::print_stderr)]

#[path = "../../tests/common/logs.rs"]
mod logs;

use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::open::OpenLog;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let made = match arguments.as_slice() {
        [source, size, target] => make(source, size, target, &Keyring::new()),
        [source, size, target, keyring] => Keyring::open(keyring)
            .map_err(Into::into)
            .and_then(|keyring| make(source, size, target, &keyring)),
        _ => Err("make_log SOURCE MEBIBYTES TARGET [KEYRING]".into()),
    };
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn make(
    source: &str,
    size: &str,
    target: &str,
    keys: &Keyring,
) -> Result<(), Box<dyn std::error::Error>> {
    let log = OpenLog::open(Path::new(source), keys)?;
    let mut plain = Vec::new();
    log.reader().read_to_end(&mut plain)?;
    let size: usize = size.parse()?;
    let mut made = logs::grow(&plain, size.saturating_mul(1 << 20));
    let mut header = vec![0; usize::try_from(log.probe().body_offset())?];
    log.source().read_at(0, &mut header)?;
    if let Some(stream) = log.probe().stream() {
        stream.apply(0, &mut made);
    }
    let mut file = std::fs::File::create(target)?;
    file.write_all(&header)?;
    file.write_all(&made)?;
    Ok(())
}
