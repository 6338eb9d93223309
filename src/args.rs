//! The commands, and the options that several of them share. Each command's own arguments stand
//! beside it.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use binlogsec_core::batch::existing::spared_by_logs;
use binlogsec_core::file::sink::SinkOptions;
use binlogsec_core::mysql::key_id::KeyId;
use binlogsec_core::text::unseen::printable;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use super::exit::Exit;
use super::settings;
use super::terminal::Terminal;
use crate::command::audit::AuditArgs;
use crate::command::check::CheckArgs;
use crate::command::config::ConfigArgs;
use crate::command::decrypt::DecryptArgs;
use crate::command::encrypt::EncryptArgs;
use crate::command::events::EventsArgs;
use crate::command::explain::ExplainArgs;
use crate::command::header::HeaderArgs;
use crate::command::inspect::InspectArgs;
use crate::command::keyring::KeyringArgs;
use crate::command::manual::{CompletionsArgs, ManArgs};
use crate::command::recover::RecoverArgs;
use crate::command::rekey::RekeyArgs;
use crate::command::report::ReportArgs;
use crate::command::rows::RowsArgs;
use crate::command::salvage::SalvageArgs;
use crate::command::seal::SealArgs;
use crate::command::undo::UndoArgs;
use crate::command::verify::VerifyArgs;

const EXAMPLES: &str = "\
Examples:
  What is encrypted in this data directory, and are the keys at hand?
    binlogsec inspect /var/lib/mysql \\
        --keyring /var/lib/mysql-keyring/component_keyring_file

  One log as plaintext for mysqlbinlog, without a file in between
    binlogsec decrypt binlog.000042 -o - --keyring component_keyring_file \\
        | mysqlbinlog -

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

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Inspect(InspectArgs),
    Decrypt(DecryptArgs),
    Encrypt(EncryptArgs),
    Rekey(RekeyArgs),
    Header(HeaderArgs),
    Events(EventsArgs),
    Rows(RowsArgs),
    Undo(UndoArgs),
    Verify(VerifyArgs),
    Salvage(SalvageArgs),
    Recover(RecoverArgs),
    Seal(SealArgs),
    Check(CheckArgs),
    Report(ReportArgs),
    Audit(AuditArgs),
    Explain(ExplainArgs),
    Config(ConfigArgs),
    Keyring(KeyringArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
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

/// The arguments, or the code to end with when they are wrong.
pub(crate) fn parse() -> Result<Arguments, ExitCode> {
    // Read once: what is looked at here is what is parsed.
    let given: Vec<OsString> = std::env::args_os().collect();
    if let Some(refusal) = given.iter().skip(1).find_map(|argument| misplaced_key(argument)) {
        let _ = writeln!(std::io::stderr(), "error: {refusal}");
        return Err(Exit::Work.into());
    }
    Arguments::try_parse_from(&given).and_then(|arguments| configured(arguments, &given)).map_err(
        |error| {
            let is_odd = |argument: &OsString| {
                let text = argument.to_string_lossy();
                printable(&text) != text
            };
            if !error.use_stderr() || !given.iter().any(is_odd) {
                error.exit();
            }
            // clap shows arguments as they are, and a pattern of the shell may have made them of names.
            let text = error.to_string();
            let _ = writeln!(std::io::stderr(), "{}", printable(text.trim_end()));
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(u8::MAX))
        },
    )
}

/// The arguments with what the configuration file says in the place of options that are not given.
fn configured(arguments: Arguments, given: &[OsString]) -> Result<Arguments, clap::Error> {
    let found = settings::find();
    if let Some((path, reason)) = &found.distrusted {
        let path = path.display();
        let message = format!("{path} is not read, as {reason}; name it by {}", settings::VARIABLE);
        Terminal::new(&arguments.global).warning(&message);
    }
    let invalid = |error: &dyn std::error::Error| {
        Arguments::command().error(clap::error::ErrorKind::InvalidValue, describe_all(error))
    };
    match settings::load(&found).map_err(|error| invalid(&error))? {
        None => Ok(arguments),
        Some(settings) => {
            let matches = settings.apply(Arguments::command()).try_get_matches_from(given)?;
            Arguments::from_arg_matches(&matches)
        }
    }
}

/// An error and what it came of.
fn describe_all(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    printable(&causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

/// What to say of an argument that is a key where the name of a file belongs: it is shown by nobody,
/// cut to its beginning. `None` for one that is no key, or the name of a file that is there.
fn misplaced_key(argument: &OsStr) -> Option<String> {
    let text = argument.to_str()?;
    // `--key-file=KEY_ID=HEX`, and MariaDB's `1;HEX`.
    let mut parts = text.match_indices(['=', ';']).map(|(at, _)| at);
    let starts = std::iter::once(0).chain(parts.by_ref().map(|at| at.saturating_add(1)));
    let key = starts.filter_map(|start| text.get(start..)).find(|part| looks_like_key(part))?;
    if Path::new(key).exists() || Path::new(text).exists() {
        return None;
    }
    let beginning = key.get(..4).unwrap_or_default();
    Some(format!(
        "an argument looks like a key ({beginning}…, {} characters): arguments are seen by every user \
         of this machine and kept in a shell's history. Put the key into a file (--key-file FILE), and \
         think of it as no longer secret. A file of such a name is written ./NAME",
        key.len()
    ))
}

/// 16, 24 or 32 bytes in hexadecimal digits, or 32 in base64.
fn looks_like_key(text: &str) -> bool {
    let is_hex =
        matches!(text.len(), 32 | 48 | 64) && text.bytes().all(|it| it.is_ascii_hexdigit());
    let is_base64 = |text: &str| {
        text.len() == 43
            && text.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'+' | b'/'))
    };
    is_hex || text.strip_suffix('=').is_some_and(is_base64)
}
