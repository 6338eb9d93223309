//! The options that several commands share. Each command's own arguments stand beside it.

use std::convert::Infallible;
use std::path::PathBuf;

use binlogsec_core::batch::existing::spared_by_logs;
use binlogsec_core::file::sink::SinkOptions;
use binlogsec_core::mysql::key_id::KeyId;
use clap::{Args, ValueEnum};

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
    /// Objects of stores that are worked on at once
    #[arg(long, value_name = "N", global = true, value_parser = at_least_one, default_value = "64")]
    pub(crate) concurrency: usize,
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

/// Where keys come from, the server's own configuration included.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keys")]
pub(crate) struct KeyArgs {
    #[command(flatten)]
    pub(crate) sources: KeySourceArgs,
    #[command(flatten)]
    pub(crate) server: ServerKeyArgs,
}

/// The server whose configuration leads to keys.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keys")]
pub(crate) struct ServerKeyArgs {
    /// Data directory of a server: its keys are where its manifest and its option files say
    #[arg(long, value_name = "DIR")]
    pub(crate) datadir: Option<PathBuf>,
    /// Option file of that server [default: those of packages that name this data directory]
    #[arg(long, value_name = "FILE")]
    pub(crate) defaults_file: Option<PathBuf>,
}

/// Keys that are named. None of these takes a key itself: arguments are seen by every user.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keys")]
pub(crate) struct KeySourceArgs {
    /// Keyring, told by content: a keyring file of a server, the configuration of its key store
    /// (Vault, KMIP), or a file aws-kms-key.ID.VERSION; repeatable, see docs/keys.md [env:
    /// BINLOGSEC_KEYRING, several separated by `:`]
    #[arg(long = "keyring", value_name = "FILE")]
    pub(crate) keyrings: Vec<PathBuf>,
    /// File with one bare key: 32 bytes, or as hex or base64; `KEY_ID=FILE` for that id alone;
    /// repeatable
    #[arg(long = "key-file", value_name = "FILE")]
    pub(crate) key_files: Vec<PathBuf>,
    /// Command that prints a key as hex or base64, run without a shell, for stores that are not read
    /// here; `{key_id}` stands for the id, `{key_id_base64_percona}` for the name of Percona's secret
    #[arg(long = "key-command", value_name = "COMMAND")]
    pub(crate) key_command: Option<String>,
    /// Seconds that the key command may take for a key; then it is ended with all that it started
    #[arg(
        long = "key-command-timeout",
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(1..=3600),
        default_value = "30",
        requires = "key_command"
    )]
    pub(crate) key_command_timeout: u32,
    #[command(flatten)]
    pub(crate) stores: StoreArgs,
    #[command(flatten)]
    pub(crate) mariadb: MariadbArgs,
}

/// How key stores are asked, and files under a password opened.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keys")]
pub(crate) struct StoreArgs {
    /// File with the password of a keyring that component_percona_keyring_encrypted_file wrote;
    /// else BINLOGSEC_KEYRING_PASSWORD has it, or a terminal is asked
    #[arg(
        long = "keyring-password-file",
        value_name = "FILE",
        env = "BINLOGSEC_KEYRING_PASSWORD_FILE"
    )]
    pub(crate) keyring_password_file: Option<PathBuf>,
    /// Ask key stores by http, too: everybody on the way sees the token and the keys
    #[arg(long)]
    pub(crate) allow_http: bool,
}

/// What MariaDB's logs and key files do not say themselves.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keys of MariaDB")]
pub(crate) struct MariadbArgs {
    /// Key file of MariaDB's file_key_management, plain or encrypted; repeatable (--keyring detects
    /// them, too)
    #[arg(long = "mariadb-keys", value_name = "FILE")]
    pub(crate) mariadb_keys: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
    /// Cipher mode of the logs [default: found out]
    #[arg(long = "mariadb-cipher", value_enum, value_name = "MODE")]
    pub(crate) mariadb_cipher: Option<MariadbCipher>,
    /// Use the key of this id alone [default: found out; servers use 1]
    #[arg(long = "mariadb-key-id", value_name = "ID")]
    pub(crate) mariadb_key_id: Option<u32>,
    /// The keys come from another plugin than file_key_management: take them for every key version
    #[arg(long = "mariadb-any-key-version")]
    pub(crate) any_key_version: bool,
}

/// What opens an encrypted key file. A password is never an argument: those are seen by every user.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Keys of MariaDB")]
pub(crate) struct UnlockArgs {
    /// File with the password of an encrypted key file; else the environment variable
    /// BINLOGSEC_MARIADB_KEYS_PASSWORD has it, or a terminal is asked
    #[arg(
        long = "mariadb-keys-password-file",
        value_name = "FILE",
        env = "BINLOGSEC_MARIADB_KEYS_PASSWORD_FILE"
    )]
    pub(crate) mariadb_password_file: Option<PathBuf>,
    /// As the server's file_key_management_digest
    #[arg(long = "mariadb-keys-digest", value_enum, default_value = "sha1")]
    pub(crate) mariadb_digest: MariadbDigest,
    /// PBKDF2 iterations, as the server's file_key_management_use_pbkdf2; 0 for the older derivation
    #[arg(long = "mariadb-keys-pbkdf2", value_name = "N", default_value = "0")]
    pub(crate) mariadb_pbkdf2: u32,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum MariadbCipher {
    Cbc,
    Ctr,
    Ecb,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum MariadbDigest {
    #[default]
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// A key id on the command line: any text, as a keyring may have any.
pub(crate) fn key_id(text: &str) -> Result<KeyId, Infallible> {
    Ok(KeyId::new(text.as_bytes()))
}

/// How outputs are written.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct WriteArgs {
    /// Replace outputs that are there
    #[arg(long)]
    force: bool,
    /// Write outputs through to the disk before saying that they are done
    #[arg(long)]
    sync: bool,
}

impl WriteArgs {
    pub(crate) fn sink_options(self) -> SinkOptions {
        SinkOptions {
            force: self.force,
            sync: self.sync,
            spares: spared_by_logs,
            ..SinkOptions::default()
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables for people
    Text,
    /// One JSON document, see docs/json.md
    Json,
}
