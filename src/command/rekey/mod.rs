//! `binlogsec rekey`.

pub(crate) mod report;
pub(crate) mod table;

use std::path::PathBuf;

use anyhow::bail;
use binlogsec_core::batch::targets::{Target, Targets};
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::error::Error;
use binlogsec_core::mysql::key_id::KeyId;
use binlogsec_core::write::rekey::{self, FileResult, NewKey, RekeyOptions};
use binlogsec_core::write::rekey_archive;
use clap::Args;
use report::RekeyReport;

use crate::args::{Format, KeyArgs, key_id};
use crate::exit::Exit;
use crate::terminal::Terminal;
use crate::{keys, process, transfer};

const REKEY_EXAMPLES: &str = "\
Examples:
  Logs of a clone, from the source's key to the clone's own
    binlogsec rekey /var/lib/mysql/binlog.index --keyring source_keyring \\
        --new-keyring component_keyring_file
  Logs of Percona Binlog Server, to another key of its keyring
    binlogsec rekey /var/lib/pbs/vault --keyring keyring_data.json \\
        --key-id kek-2
  After a crash of the machine
    binlogsec rekey /var/lib/mysql/binlog.index --recover

The old header with the old key still opens the log: rekey is no remedy for a key that has leaked.
Decrypt and encrypt anew for that.";

/// Put encrypted logs under another key by rewriting their headers; bodies stay untouched
///
/// The old header is put aside before the new one is written, so that no crash loses it.
#[derive(Debug, Args)]
#[command(after_help = REKEY_EXAMPLES)]
pub(crate) struct RekeyArgs {
    /// Encrypted logs, directories, index files
    #[arg(value_name = "LOG", required = true)]
    pub(crate) logs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// Keyring with the new key [default: the same as --keyring]
    #[arg(long, value_name = "FILE", help_heading = "Keys")]
    pub(crate) new_keyring: Option<PathBuf>,
    /// The new key [default: the one that its keyring says is in use]
    #[arg(long, value_name = "ID", value_parser = key_id, help_heading = "Keys")]
    pub(crate) key_id: Option<KeyId>,
    /// Put back the old header where a crash has left one half written; without keys, do only that
    #[arg(long)]
    pub(crate) recover: bool,
    /// Write the old header, 512 bytes, into this file first; for one log
    #[arg(long, value_name = "FILE")]
    pub(crate) backup_header: Option<PathBuf>,
    /// Say what would happen, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

pub(crate) fn run(args: &RekeyArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let old = keys::open(&args.keys, terminal)?;
    let Targets { files, failures, notices, .. } = Targets::expand_to_change(&args.logs);
    transfer::tell(&notices, terminal);
    if args.backup_header.is_some() && files.len() != 1 {
        bail!("--backup-header takes one log, {} were named", files.len());
    }
    process::clean_up_on_signals()?;
    let results = if args.recover && old.is_empty() && args.new_keyring.is_none() {
        rekey::recover(files, args.dry_run)
    } else {
        let named = args.new_keyring.as_deref();
        let named = named.map(|path| {
            let sources = &args.keys.sources;
            keys::open_one(path, (&sources.stores, &sources.mariadb.unlock), terminal)
        });
        let named = named.transpose()?;
        let keyring = named.as_ref().unwrap_or(&old);
        let id = args.key_id.as_ref();
        if keyring.is_of_binlog_server() {
            return archive(args, (files, failures), (&old, keyring), terminal);
        }
        let key = keyring.choose(id).map_err(Error::from)?;
        terminal.detail(&format!("the new key is {}", key.id));
        let options = RekeyOptions {
            recover: args.recover,
            dry_run: args.dry_run,
            backup_header: args.backup_header.clone(),
        };
        let new = NewKey { key: &key, keyring };
        let outcome = rekey::rekey(files, &old, new, &options);
        outcome.note.iter().for_each(|note| terminal.warning(note));
        outcome.files
    };
    conclude(args, &(results, failures), terminal)
}

/// Logs of Percona Binlog Server's archive, whose keys stand in JSON files beside them.
fn archive(
    args: &RekeyArgs,
    (files, failures): (Vec<Target>, Vec<Error>),
    (old, new): (&Keyring, &Keyring),
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    if args.backup_header.is_some() {
        bail!("--backup-header: logs of Percona Binlog Server have no header");
    }
    let key = new.choose_wrapping_key(args.key_id.as_ref());
    let key = key.map_err(Error::from)?;
    terminal.detail(&format!("the new key is {}", key.id));
    let results = rekey_archive::rekey(files, old, key, args.dry_run);
    conclude(args, &(results, failures), terminal)
}

fn conclude(
    args: &RekeyArgs,
    results: &(Vec<FileResult>, Vec<Error>),
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let model = RekeyReport::new(&results.0, &results.1);
    transfer::report(&model, args.format, None, terminal, table::rekey)?;
    transfer::conclude(results, "rekey", false, terminal)
}
