//! `binlogsec keyring`.

use std::io::Write;

use binlogsec::error::Error;
use binlogsec::keyring::KeyringFile;
use binlogsec::report::human;
use binlogsec::report::model::KeyringReport;

use super::args::{Format, KeyringArgs};
use super::exit::Exit;
use super::terminal::{Terminal, write_json};

pub(crate) fn run(args: &KeyringArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let (mut keyrings, mut failures) = (Vec::new(), Vec::new());
    for path in &args.files {
        match KeyringFile::open(path) {
            Ok(keyring) => keyrings.push(keyring),
            Err(error) => failures.push(Error::from(error)),
        }
    }
    let report = KeyringReport::new(&keyrings, &failures);
    let mut out = terminal.out();
    match args.format {
        Format::Text => human::keyring(&mut out, &report)?,
        Format::Json => write_json(&mut out, &report)?,
    }
    out.flush()?;
    for note in keyrings.iter().flat_map(KeyringFile::notes) {
        terminal.warning(&note.to_string());
    }
    failures
        .iter()
        .for_each(|failure| terminal.error(&failure.to_string()));
    Ok(Exit::worst(failures.iter().map(Error::class)))
}
