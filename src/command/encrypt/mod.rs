//! `binlogsec encrypt`.

pub(crate) mod report;
pub(crate) mod table;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::bail;
use binlogsec_core::batch::transfer::Output;
use binlogsec_core::log::error::Error;
use binlogsec_core::mysql::key_id::KeyId;
use binlogsec_core::write::encrypt::{self, EncryptOptions};
use binlogsec_core::write::encrypt_mariadb;
use binlogsec_core::write::in_place::{self, InPlaceKeys, InPlaceOptions};
use clap::Args;
use report::EncryptReport;

use crate::args::{Format, KeyArgs, WriteArgs, key_id};
use crate::exit::Exit;
use crate::files_report::FilesReport;
use crate::progress::Bar;
use crate::shard::ShardArgs;
use crate::terminal::Terminal;
use crate::{keys, process, transfer};

const ENCRYPT_EXAMPLES: &str = "\
Examples:
  binlogsec encrypt binlog.000007 -o encrypted.000007 \\
      --keyring component_keyring_file
  binlogsec encrypt binlog.index --output-dir encrypted/ \\
      --keyring component_keyring_file
  binlogsec encrypt --in-place /var/lib/mysql/binlog.index \\
      --keyring component_keyring_file --dry-run
  zcat binlog.000007.gz | binlogsec encrypt - -o - \\
      --keyring component_keyring_file | aws s3 cp - …";

/// Encrypt plaintext logs as the server would, under a key of a keyring
///
/// Every log gets a file password and an IV of its own from the operating system. The server reads
/// the result like a log that it encrypted itself, as long as the key is in its keyring. An
/// encrypted log is 512 bytes longer; positions within it stay the same.
#[derive(Debug, Args)]
#[command(after_help = ENCRYPT_EXAMPLES)]
#[command(group = clap::ArgGroup::new("target").required(true).args(["output", "output_dir", "in_place"]))]
pub(crate) struct EncryptArgs {
    /// Plaintext logs; with --output-dir and --in-place also directories and index files; `-` is
    /// standard input
    #[arg(value_name = "INPUT", required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    /// File for the encrypted form of one log; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Directory for the encrypted form of many, each under its own name; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,
    /// Encrypt logs where they lie: each is verified before it is replaced in one step, and keeps
    /// owner, mode, times and extended attributes
    #[arg(long)]
    pub(crate) in_place: bool,
    /// With --in-place: say what would happen, and do nothing
    #[arg(long, requires = "in_place")]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// Key to encrypt under [default: the one that the keyring says is in use]
    #[arg(long, value_name = "ID", value_parser = key_id, help_heading = "Keys")]
    pub(crate) key_id: Option<KeyId>,
    /// Take logs that are in use: with the in-use flag set; with --in-place also those that are last
    /// in their index, or open for reading. One that is open for writing is refused all the same
    #[arg(long)]
    pub(crate) allow_in_use: bool,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    #[command(flatten)]
    pub(crate) shard: ShardArgs,
    /// How to report; the report goes to standard error when the log goes to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

pub(crate) fn run(args: &EncryptArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    args.shard.check_target(args.output_dir.is_some())?;
    if args.output.as_deref().is_some_and(transfer::is_dash) {
        transfer::refuse_terminal()?;
    }
    let keyring = keys::open(&args.keys, terminal)?;
    if keyring.is_of_mariadb() {
        if args.shard.resume {
            bail!(
                "--resume is for logs of MySQL: what encrypts one of MariaDB stands in the log itself"
            );
        }
        return run_under(args, InPlaceKeys::Mariadb(&keyring), terminal);
    }
    let key = keyring.choose(args.key_id.as_ref()).map_err(Error::from)?;
    terminal.detail(&format!("encrypting under key {}", key.id));
    run_under(args, InPlaceKeys::Mysql(&key, &keyring), terminal)
}

fn run_under(
    args: &EncryptArgs,
    keys: InPlaceKeys<'_>,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    process::clean_up_on_signals()?;
    let started = Instant::now();
    let options = EncryptOptions { allow_in_use: args.allow_in_use, resume: args.shard.resume };
    let sink = args.write.sink_options();
    let one = |input, output: Output<'_>, bar: &Bar| match keys {
        InPlaceKeys::Mysql(key, _) => encrypt::encrypt(input, output, key, options, bar),
        InPlaceKeys::Mariadb(keys) => encrypt_mariadb::encrypt(input, output, keys, options, bar),
    };
    let all = |files, to: &Path, bar: &Bar| match keys {
        InPlaceKeys::Mysql(key, _) => encrypt::encrypt_all(files, to, sink, key, options, bar),
        InPlaceKeys::Mariadb(keys) => {
            encrypt_mariadb::encrypt_all(files, to, sink, keys, options, bar)
        }
    };
    let (mut leftovers, mut notes) = (Vec::new(), Vec::new());
    let results = match (&args.output, &args.output_dir) {
        _ if args.in_place => transfer::in_place(&args.inputs, terminal, |bar| {
            let outcome =
                in_place::encrypt_in_place(&args.inputs, keys, in_place_options(args), bar);
            leftovers = outcome.leftovers;
            notes = outcome.notes;
            (outcome.files, outcome.failures)
        })?,
        (Some(output), _) => transfer::one(&args.inputs, output, sink, terminal, one)?,
        (None, Some(directory)) => {
            let inputs = (&*args.inputs, args.shard.shard);
            transfer::many(inputs, "--output-dir", terminal, |files, bar| {
                all(files, directory, bar)
            })?
        }
        (None, None) => bail!("name an output: -o FILE, --output-dir DIR or --in-place"),
    };
    notes.iter().for_each(|note| terminal.warning(note));
    transfer::speak_of_speed(&results, |done| done.plain_length, started, terminal);
    let model = EncryptReport {
        schema: "binlogsec.encrypt/1",
        results: FilesReport::new(&results.0, &results.1),
        leftovers,
    };
    let output = args.output.as_deref();
    transfer::report(&model, args.format, output, terminal, table::encrypt)?;
    transfer::conclude(&results, "encrypt", args.shard.shard.is_some(), terminal)
}

const fn in_place_options(args: &EncryptArgs) -> InPlaceOptions {
    InPlaceOptions { allow_in_use: args.allow_in_use, dry_run: args.dry_run }
}
