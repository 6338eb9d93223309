//! `binlogsec keyring`.

pub(crate) mod change;
pub(crate) mod change_table;
pub(crate) mod coverage;
pub(crate) mod coverage_report;
pub(crate) mod coverage_table;
pub(crate) mod remote;
pub(crate) mod report;
pub(crate) mod table;

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use binlogsec_core::keyring::edit::KeyringKind;
use binlogsec_core::keyring::{Keyring, KeyringFile};
use binlogsec_core::log::error::Error;
use binlogsec_core::write::keyring;
use change::{ChangeStatus, KeyringChangeReport};
use clap::{Args, Subcommand, ValueEnum};
use report::{KeyringReport, Listed};

use crate::args::{Format, ServerKeyArgs, StoreArgs, UnlockArgs};
use crate::exit::Exit;
use crate::log_entry::Failure;
use crate::terminal::{Terminal, write_json};
use crate::{keys, process, transfer};

const KEYRING_EXAMPLES: &str = "\
Examples:
  binlogsec keyring /var/lib/mysql-keyring/component_keyring_file
  binlogsec keyring old-keyring new-keyring --format json
  binlogsec keyring convert /var/lib/mysql-keyring/keyring \\
      component_keyring_file --as component
  binlogsec keyring new component_keyring_file \\
      --server-uuid 2bc92730-e533-11f1-b7bc-02fc00000001";

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
    /// Keyring files, and configurations of key stores; one whose name is that of an action is given
    /// as `./list`
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The same, named as with all other commands; repeatable [env: BINLOGSEC_KEYRING, several
    /// separated by `:`]
    #[arg(long = "keyring", value_name = "FILE", conflicts_with = "files", help_heading = "Keys")]
    pub(crate) keyrings: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) server: ServerKeyArgs,
    #[command(flatten)]
    pub(crate) stores: StoreArgs,
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
    Coverage(coverage::CoverageArgs),
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
        /// Keyring, or the configuration of a Vault of Percona's; all other keys and the format stay
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Server UUID [default: that of the keys that are there]
        #[arg(long, value_name = "UUID")]
        server_uuid: Option<String>,
        /// Kind of keyring, for a file that is empty
        #[arg(long = "as", value_enum)]
        kind: Option<Kind>,
        #[command(flatten)]
        stores: StoreArgs,
        /// How to report
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Write a keyring as one of another kind, or of another machine as this one's; from and to a
    /// Vault of Percona's, too
    Convert {
        /// Keyring to read, or the configuration of a Vault or KMIP server
        #[arg(value_name = "FROM")]
        from: PathBuf,
        /// File to make, mode 0600; or the configuration of a Vault, into which the keys go
        #[arg(value_name = "TO")]
        to: PathBuf,
        /// Kind of keyring; a Vault has none
        #[arg(long = "as", value_enum)]
        kind: Option<TargetKind>,
        #[command(flatten)]
        stores: StoreArgs,
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

/// What `convert` writes.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum TargetKind {
    /// component_keyring_file: MySQL 8.0.24 and later
    Component,
    /// keyring_file plugin: MySQL 5.7.11 to 8.x
    Plugin,
    /// component_percona_keyring_encrypted_file: Percona Server 9.7; under the password of
    /// --keyring-password-file, BINLOGSEC_KEYRING_PASSWORD, or the terminal
    Encrypted,
}

impl From<Kind> for KeyringKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Component => Self::Component,
            Kind::Plugin => Self::Plugin,
        }
    }
}

impl ListArgs {
    /// The keyrings that are named besides those of a server. Who names files means no others: not
    /// those of the environment, nor of the configuration file.
    fn named(&self) -> anyhow::Result<Vec<PathBuf>> {
        if let Some(given) = [&self.files, &self.keyrings].into_iter().find(|it| !it.is_empty()) {
            return Ok(given.clone());
        }
        if self.server.datadir.is_some() || self.server.defaults_file.is_some() {
            return Ok(Vec::new());
        }
        let of_environment = keys::paths_of_environment();
        if of_environment.is_empty() {
            bail!(
                "no keyring is named: add FILE, --keyring FILE or --datadir DIR, or set {}",
                keys::KEYRING_VARIABLE
            );
        }
        Ok(of_environment)
    }
}

pub(crate) fn run(args: &KeyringArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    match &args.action {
        None => list(&args.list, terminal),
        Some(KeyringAction::List(args)) => list(args, terminal),
        Some(KeyringAction::Coverage(args)) => coverage::run(args, terminal),
        Some(action) => change(action, terminal),
    }
}

fn change(action: &KeyringAction, terminal: &Terminal) -> anyhow::Result<Exit> {
    process::clean_up_on_signals()?;
    let (status, written, format) = match action {
        KeyringAction::List(args) => return list(args, terminal),
        KeyringAction::Coverage(args) => return coverage::run(args, terminal),
        KeyringAction::New { file, server_uuid, kind, force, format } => {
            let written = keyring::create(file, (*kind).into(), server_uuid, *force)?;
            (ChangeStatus::Created, written, format)
        }
        KeyringAction::AddKey { file, server_uuid, kind, stores, format } => {
            let uuid = server_uuid.as_deref();
            let written = match remote::store(file, stores, terminal)? {
                Some(keyring) => remote::add_key(&keyring, uuid)?,
                None => keyring::add_key(file, kind.map(KeyringKind::from), uuid)?,
            };
            (ChangeStatus::KeyAdded, written, format)
        }
        KeyringAction::Convert { from, to, kind, stores, force, format } => {
            let written = remote::convert((from, to), *kind, *force, (stores, terminal))?;
            (ChangeStatus::Converted, written, format)
        }
    };
    let report = KeyringChangeReport::new(status, &written);
    transfer::report(&report, *format, None, terminal, change_table::keyring_change)?;
    Ok(Exit::Done)
}

fn list(args: &ListArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let (mut keyrings, mut failures) = (Vec::new(), Vec::new());
    if args.server.datadir.is_some() || args.server.defaults_file.is_some() {
        keyrings.push(keys::open_server(&args.server, (&args.stores, &args.unlock), terminal)?);
    }
    for path in &args.named()? {
        match keys::open_one(path, (&args.stores, &args.unlock), terminal) {
            Ok(keyring) => keyrings.push(keyring),
            Err(error) => failures.push(Failure::of(&error)),
        }
    }
    // Entries of stores live here; those of files in their keyrings.
    let mut stored = Vec::new();
    for store in keyrings.iter().flat_map(Keyring::stores) {
        match store.entries(|_| true) {
            Ok(entries) => stored.push((store, entries)),
            Err(error) => failures.push(Failure::new(&Error::from(error))),
        }
    }
    let files = keyrings.iter().flat_map(Keyring::files).map(Listed::of_file);
    let stores = stored.iter().map(|(store, entries)| Listed::of_store(store, entries));
    let listed: Vec<_> = files.chain(stores).collect();
    let report = KeyringReport::new(&listed, &failures);
    let mut out = terminal.out();
    match args.format {
        Format::Text => table::keyring(&mut out, &report)?,
        Format::Json => write_json(&mut out, &report)?,
    }
    out.flush()?;
    let files = keyrings.iter().flat_map(Keyring::files);
    for note in files.clone().flat_map(KeyringFile::notes) {
        terminal.warning(&note.to_string());
    }
    files.for_each(|keyring| keys::warn_if_open(keyring.path(), "keys", terminal));
    let stores = keyrings.iter().flat_map(Keyring::stores);
    stores.for_each(|store| keys::warn_of_store(store, terminal));
    failures.iter().for_each(|failure| terminal.error(&failure.message));
    Ok(Exit::worst(failures.iter().map(|failure| failure.class)))
}
