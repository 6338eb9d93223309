//! The arguments of every command, and their help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  What is encrypted in this data directory, and are the keys at hand?
    binlogsec inspect /var/lib/mysql --keyring /var/lib/mysql-keyring/component_keyring_file

  One log as plaintext for mysqlbinlog, without a file in between
    binlogsec decrypt binlog.000042 -o - --keyring component_keyring_file | mysqlbinlog -

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables for people
    Text,
    /// One JSON document, see docs/json.md
    Json,
}

const INSPECT_EXAMPLES: &str = "\
Examples:
  binlogsec inspect binlog.000042
  binlogsec inspect /var/lib/mysql/binlog.index --keyring component_keyring_file
  binlogsec inspect /backup --format json | jq '.files[] | select(.kind == \"mysql-plain\").path'";

/// Show the encryption status of logs: kind, key, server, and whether the key is at hand
///
/// Reads a few kilobytes of each file. With a keyring, the key is proven: the beginning of the log
/// must decrypt to a plausible one.
#[derive(Debug, Args)]
#[command(after_help = INSPECT_EXAMPLES)]
pub(crate) struct InspectArgs {
    /// Logs, directories (searched at every depth), index files; `-` is standard input
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    /// Report files in directories that are no logs, too
    #[arg(long)]
    pub(crate) all: bool,
}

const DECRYPT_EXAMPLES: &str = "\
Examples:
  binlogsec decrypt binlog.000042 -o plain.000042 --keyring component_keyring_file
  binlogsec decrypt binlog.index --output-dir plain/ --keyring component_keyring_file
  binlogsec decrypt binlog.000042 -o - --keyring component_keyring_file | mysqlbinlog -";

/// Write the plaintext of encrypted logs, byte for byte
///
/// A missing or wrong key is found before any output exists. Outputs are private (mode 0600) and
/// appear under their names when they are whole.
#[derive(Debug, Args)]
#[command(after_help = DECRYPT_EXAMPLES)]
#[command(group = clap::ArgGroup::new("target").required(true).args(["output", "output_dir"]))]
pub(crate) struct DecryptArgs {
    /// Encrypted logs; with --output-dir also directories and index files; `-` is standard input
    #[arg(value_name = "INPUT", required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    /// File for the plaintext of one log; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Directory for the plaintext of many, each under its own name; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// Replace outputs that are there
    #[arg(long)]
    pub(crate) force: bool,
    /// Write outputs through to the disk before saying that they are done
    #[arg(long)]
    pub(crate) sync: bool,
    /// How to report; the report goes to standard error when the log goes to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

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
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// Print the manual page, or write the pages of all commands into a directory
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Directory for binlogsec.1, binlogsec-inspect.1 …
    #[arg(long, value_name = "DIR", value_parser = value_parser!(PathBuf))]
    pub(crate) output_dir: Option<PathBuf>,
}

pub(crate) fn parse() -> Arguments {
    Arguments::parse()
}
