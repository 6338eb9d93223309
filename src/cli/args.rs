//! The commands, and the options that several of them share. Each command's own arguments stand
//! beside it.

use std::convert::Infallible;
use std::path::PathBuf;

use binlogsec::log::key_id::KeyId;
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::check::CheckArgs;
use super::decrypt::DecryptArgs;
use super::encrypt::EncryptArgs;
use super::events::EventsArgs;
use super::explain::ExplainArgs;
use super::header::HeaderArgs;
use super::inspect::InspectArgs;
use super::keyring::KeyringArgs;
use super::manual::{CompletionsArgs, ManArgs};
use super::rekey::RekeyArgs;
use super::salvage::SalvageArgs;
use super::verify::VerifyArgs;

const EXAMPLES: &str = "\
Examples:
  What is encrypted in this data directory, and are the keys at hand?
    binlogsec inspect /var/lib/mysql --keyring /var/lib/mysql-keyring/component_keyring_file

  One log as plaintext for mysqlbinlog, without a file in between
    binlogsec decrypt binlog.000042 -o - --keyring component_keyring_file | mysqlbinlog -

  Is there a plaintext log anywhere on this disk?
    binlogsec check /var/lib/mysql /backup

Exit codes: 0 done; 1 findings; 2 usage or I/O; 3 key missing or wrong; 4 log or keyring damaged.";

/// Read, verify and manage MySQL's encrypted binary and relay logs, offline.
#[derive(Debug, Parser)]
#[command(name = "binlogsec", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Colour in reports; `auto` honours NO_COLOR
    #[arg(long, value_enum, default_value = "auto", global = true)]
    pub(crate) color: Color,
    /// Say nothing but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more: where keys came from, how long it took
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Threads to use [default: one for each core]
    #[arg(short, long, value_name = "N", global = true, value_parser = at_least_one)]
    pub(crate) jobs: Option<usize>,
    /// No progress bar
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(jobs @ 1..=256) => Ok(jobs),
        _ => Err("a number from 1 to 256 is expected".to_owned()),
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Inspect(InspectArgs),
    Decrypt(DecryptArgs),
    Encrypt(EncryptArgs),
    Rekey(RekeyArgs),
    Header(HeaderArgs),
    Events(EventsArgs),
    Verify(VerifyArgs),
    Salvage(SalvageArgs),
    Check(CheckArgs),
    Explain(ExplainArgs),
    Keyring(KeyringArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Where keys come from. None of these takes a key itself: arguments are seen by every user.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keys")]
pub(crate) struct KeyArgs {
    /// Keyring: keyring_file plugin or component_keyring_file, told by content; repeatable
    /// [env: BINLOGSEC_KEYRING, several separated by `:`]
    #[arg(long = "keyring", value_name = "FILE")]
    pub(crate) keyrings: Vec<PathBuf>,
    /// File with one bare key: 32 bytes, or as hex or base64; `KEY_ID=FILE` for that id alone;
    /// repeatable
    #[arg(long = "key-file", value_name = "FILE")]
    pub(crate) key_files: Vec<PathBuf>,
    /// Command that prints a key as hex or base64, run without a shell; `{key_id}` stands for the
    /// id, e.g. 'vault kv get -field=key secret/{key_id}'
    #[arg(long = "key-command", value_name = "COMMAND")]
    pub(crate) key_command: Option<String>,
}

/// A key id on the command line: any text, as a keyring may have any.
pub(crate) fn key_id(text: &str) -> Result<KeyId, Infallible> {
    Ok(KeyId::new(text.as_bytes()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables for people
    Text,
    /// One JSON document, see docs/json.md
    Json,
}

pub(crate) fn parse() -> Arguments {
    Arguments::parse()
}
