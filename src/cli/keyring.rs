//! `binlogsec keyring`.

use std::io::Write;
use std::path::PathBuf;

use binlogsec::error::{Error, describe};
use binlogsec::keyring::KeyringFile;
use binlogsec::report::human;
use binlogsec::report::model::KeyringReport;
use clap::Args;

use super::args::{Format, UnlockArgs};
use super::exit::Exit;
use super::mariadb;
use super::terminal::{Terminal, write_json};

const KEYRING_EXAMPLES: &str = "\
Examples:
  binlogsec keyring /var/lib/mysql-keyring/component_keyring_file
  binlogsec keyring old-keyring new-keyring --format json";

/// List what keyrings hold: key ids, types, lengths, fingerprints, rotation state; never a key
///
/// Fingerprints (HKDF-SHA-256) can be compared between hosts and say nothing about the key.
#[derive(Debug, Args)]
#[command(after_help = KEYRING_EXAMPLES)]
pub(crate) struct KeyringArgs {
    /// Keyring files
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

pub(crate) fn run(args: &KeyringArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let (mut keyrings, mut failures) = (Vec::new(), Vec::new());
    let unlock = mariadb::unlock(&args.unlock, &args.files)?;
    for path in &args.files {
        match KeyringFile::open_with(path, unlock.as_ref()) {
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
        .for_each(|failure| terminal.error(&describe(failure)));
    Ok(Exit::worst(failures.iter().map(Error::class)))
}
