//! `binlogsec keyring`.

pub(crate) mod change;
pub(crate) mod change_table;
pub(crate) mod report;
pub(crate) mod table;

use std::io::Write;
use std::path::PathBuf;

use binlogsec_core::keyring::KeyringFile;
use binlogsec_core::keyring::edit::KeyringKind;
use binlogsec_core::log::error::{Error, describe};
use binlogsec_core::write::keyring;
use change::KeyringChangeReport;
use clap::{Args, Subcommand, ValueEnum};
use report::KeyringReport;

use crate::args::{Format, UnlockArgs};
use crate::exit::Exit;
use crate::mariadb_keys;
use crate::terminal::{Terminal, write_json};
use crate::{keys, process, transfer};

const KEYRING_EXAMPLES: &str = "\
Examples:
  binlogsec keyring /var/lib/mysql-keyring/component_keyring_file
  binlogsec keyring old-keyring new-keyring --format json
  binlogsec keyring convert /var/lib/mysql-keyring/keyring component_keyring_file --as component
  binlogsec keyring new component_keyring_file --server-uuid 2bc92730-e533-11f1-b7bc-02fc00000001";

/// List what keyrings hold, or write one: `new`, `add-key`, `convert`
///
/// The list has key ids, types, lengths, fingerprints and the state of rotation; never a key.
/// Fingerprints (HKDF-SHA-256) can be compared between hosts and say nothing about the key.
#[derive(Debug, Args)]
#[command(after_help = KEYRING_EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct KeyringArgs {
    #[command(subcommand)]
    pub(crate) action: Option<KeyringAction>,
    #[command(flatten)]
    pub(crate) list: ListArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Keyring files; one whose name is that of an action is given as `./list`
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyringAction {
    /// List what keyrings hold; the same as without `list`
    List(ListArgs),
    /// Make a keyring with a fresh binary log key for a server
    New {
        /// File to make, mode 0600
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Server UUID, as in auto.cnf in its data directory
        #[arg(long, value_name = "UUID")]
        server_uuid: String,
        /// Kind of keyring
        #[arg(long = "as", value_enum, default_value = "component")]
        kind: Kind,
        /// Replace the file if it is there, with all keys in it
        #[arg(long)]
        force: bool,
        /// How to report
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Add the next generation of a server's binary log key and take it into use; stop the server
    /// first, which has its keyring in memory
    AddKey {
        /// Keyring; all other keys and its format stay
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Server UUID [default: that of the keys that are there]
        #[arg(long, value_name = "UUID")]
        server_uuid: Option<String>,
        /// Kind of keyring, for a file that is empty
        #[arg(long = "as", value_enum)]
        kind: Option<Kind>,
        /// How to report
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Write a keyring of either kind as one of the other, or of another machine as this one's
    Convert {
        /// Keyring to read
        #[arg(value_name = "FROM")]
        from: PathBuf,
        /// File to make, mode 0600
        #[arg(value_name = "TO")]
        to: PathBuf,
        /// Kind of keyring
        #[arg(long = "as", value_enum)]
        kind: Kind,
        /// Replace the file if it is there, with all keys in it
        #[arg(long)]
        force: bool,
        /// How to report
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// component_keyring_file: MySQL 8.0.24 and later
    Component,
    /// keyring_file plugin: MySQL 5.7.11 to 8.x
    Plugin,
}

impl From<Kind> for KeyringKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Component => Self::Component,
            Kind::Plugin => Self::Plugin,
        }
    }
}

pub(crate) fn run(args: &KeyringArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    match &args.action {
        None => list(&args.list, terminal),
        Some(KeyringAction::List(args)) => list(args, terminal),
        Some(action) => change(action, terminal),
    }
}

fn change(action: &KeyringAction, terminal: &Terminal) -> anyhow::Result<Exit> {
    process::clean_up_on_signals()?;
    let (status, written, format) = match action {
        KeyringAction::List(args) => return list(args, terminal),
        KeyringAction::New { file, server_uuid, kind, force, format } => {
            let written = keyring::create(file, (*kind).into(), server_uuid, *force)?;
            ("created", written, format)
        }
        KeyringAction::AddKey { file, server_uuid, kind, format } => {
            let kind = kind.map(KeyringKind::from);
            let written = keyring::add_key(file, kind, server_uuid.as_deref())?;
            ("key-added", written, format)
        }
        KeyringAction::Convert { from, to, kind, force, format } => {
            let written = keyring::convert(from, to, (*kind).into(), *force)?;
            ("converted", written, format)
        }
    };
    let report = KeyringChangeReport::new(status, &written);
    transfer::report(&report, *format, None, terminal, change_table::keyring_change)?;
    Ok(Exit::Done)
}

fn list(args: &ListArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let (mut keyrings, mut failures) = (Vec::new(), Vec::new());
    let unlock = mariadb_keys::unlock(&args.unlock, &args.files)?;
    for path in &args.files {
        match KeyringFile::open_with(path, unlock.as_ref()) {
            Ok(keyring) => keyrings.push(keyring),
            Err(error) => failures.push(Error::from(error)),
        }
    }
    let report = KeyringReport::new(&keyrings, &failures);
    let mut out = terminal.out();
    match args.format {
        Format::Text => table::keyring(&mut out, &report)?,
        Format::Json => write_json(&mut out, &report)?,
    }
    out.flush()?;
    for note in keyrings.iter().flat_map(KeyringFile::notes) {
        terminal.warning(&note.to_string());
    }
    keyrings.iter().for_each(|keyring| keys::warn_if_open(keyring.path(), "keys", terminal));
    failures.iter().for_each(|failure| terminal.error(&describe(failure)));
    Ok(Exit::worst(failures.iter().map(Error::class)))
}
