//! The plaintext of an encrypted log, for whatever parser comes next.
//!
//! `cargo run -p binlogsec-core --example plaintext -- LOG KEYRING`

use std::io::{BufReader, Read, stdout};

use binlogsec_core::{Keyring, OpenLog};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(path), Some(keyring)) = (arguments.next(), arguments.next()) else {
        return Err("plaintext LOG KEYRING".into());
    };
    let keys = Keyring::open(keyring)?;
    let log = OpenLog::open(path, &keys)?;
    let mut reader = BufReader::new(log.reader()); // Read + Seek over the plaintext
    let mut magic = [0; 4];
    reader.read_exact(&mut magic)?;
    std::io::copy(&mut (&magic[..]).chain(reader), &mut stdout().lock())?;
    Ok(())
}
