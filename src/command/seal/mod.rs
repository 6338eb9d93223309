//! `binlogsec seal`.

pub(crate) mod report;
pub(crate) mod table;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;
use binlogsec_core::batch::shard::Shard;
use binlogsec_core::keyring::Keyring;
use binlogsec_core::log::error::Error;
use binlogsec_core::mysql::key_id::KeyId;
use binlogsec_core::seal::{
    self, Anchor, LogName, Manifest, Proof, PublicKey, SealOptions, Signer, VerifyOptions,
};
use clap::{ArgGroup, Args, Subcommand};
use report::{AnchorReport, KeygenReport, SealReport, SealVerifyReport};

use crate::args::{Format, KeyArgs, key_id};
use crate::exit::Exit;
use crate::progress::Bar;
use crate::reports::{self, FileReport, ReportArgs};
use crate::shard::entry::ShardEntry;
use crate::shard::{self, RunMark, ShardArgs};
use crate::terminal::{Terminal, write_json};
use crate::transfer::{is_dash, tell};
use crate::{keys, process};

const SEAL_EXAMPLES: &str = "\
Examples:
  Seal the closed logs of a server with the key that they are encrypted under; again after rotations
    binlogsec seal /var/lib/mysql/binlog.index -o binlog.seal \\
        --hmac --keyring component_keyring_file
  With a key pair: who has the public key verifies, and cannot seal
    binlogsec seal keygen seal.key
    binlogsec seal /var/lib/mysql/binlog.index -o binlog.seal \\
        --sign-key seal.key --keyring component_keyring_file
  Has anybody changed, cut, swapped, removed or added a log?
    binlogsec seal verify binlog.seal /var/lib/mysql/binlog.index \\
        --public-key seal.key.pub
  A line to be stored where nobody who writes the manifest can write
    binlogsec seal anchor binlog.seal
  Eight processes seal an archive, each into a manifest of its part; again after rotations
    seq 0 7 | parallel binlogsec seal /backup -o part-{}.seal --shard {}/8 \\
        --sign-key seal.key
    binlogsec seal merge part-*.seal -o backup.seal --sign-key seal.key

Exit codes: 0 sealed, or unchanged; 1 sealed, but logs are damaged or do not follow one another, or \
logs are not as they were sealed; 3 a key is missing, or nothing proves the manifest; 4 a log or the \
manifest is damaged, cut or forged.";

/// Seal logs, so that nobody changes them unseen: `verify`, `merge`, `anchor`, `keygen`
///
/// Writes a signed manifest with digests of each closed log, or goes on with the one that is there.
/// Logs in use are left for the next time. The logs themselves are not touched.
#[derive(Debug, Args)]
#[command(after_help = SEAL_EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct SealArgs {
    #[command(subcommand)]
    pub(crate) action: Option<SealAction>,
    #[command(flatten)]
    pub(crate) make: MakeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MakeArgs {
    /// Logs, directories (searched at every depth), index files; a log whose name is that of an
    /// action is given as `./verify`
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// The manifest; if it is there, it is gone on with
    #[arg(short, long, value_name = "MANIFEST", required = true)]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) signing: SigningArgs,
    /// Take logs whose in-use flag is set as they are, those of a server that crashed
    #[arg(long)]
    pub(crate) allow_in_use: bool,
    /// Seal the log that is in use, too, up to this position, at which an event ends
    #[arg(long, value_name = "POSITION", conflicts_with = "allow_in_use")]
    pub(crate) stop_position: Option<u64>,
    /// Seal part I of N of the logs alone, I from 0 to N-1, into a manifest of that part, for
    /// `seal merge`; which logs are in it follows from their names. `auto` takes I from
    /// JOB_COMPLETION_INDEX or SLURM_ARRAY_TASK_ID and N from BINLOGSEC_SHARDS
    #[arg(long, value_name = "I/N|auto", value_parser = shard::choice, help_heading = "Many processes")]
    pub(crate) shard: Option<Shard>,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

/// What a manifest is signed with.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("signer").required(true))]
pub(crate) struct SigningArgs {
    /// Sign with a key made of the replication encryption key; who has the keyring can seal
    #[arg(long, group = "signer")]
    pub(crate) hmac: bool,
    /// Sign with this Ed25519 private key, as `seal keygen` makes it
    #[arg(long, value_name = "FILE", group = "signer")]
    pub(crate) sign_key: Option<PathBuf>,
    /// The replication encryption key to sign with [default: the one that the keyring says is in use]
    #[arg(long, value_name = "ID", value_parser = key_id, requires = "hmac")]
    pub(crate) key_id: Option<KeyId>,
    /// Ed25519 public key with which the manifest was signed so far, if it is another; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) public_key: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SealAction {
    /// Hold logs against a manifest
    ///
    /// With the keyring, a log under a new header is unchanged if its plaintext is; without, what is
    /// stored is compared.
    Verify(Box<SealVerifyArgs>),
    /// Make one manifest of those of all parts (`--shard`), or go on with the one that is there
    ///
    /// No log is read. Each part must be there, once, and be proven by the keys that are named.
    Merge(Box<SealMergeArgs>),
    /// Print one line that stands for a manifest as it is now
    Anchor {
        /// The manifest
        #[arg(value_name = "MANIFEST")]
        manifest: PathBuf,
        /// How to report
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Make an Ed25519 key pair: FILE, mode 0600, and FILE.pub; never replaces a file
    Keygen {
        /// File for the private key
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// How to report
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SealMergeArgs {
    /// The manifests of all parts
    #[arg(value_name = "PART", required = true)]
    pub(crate) parts: Vec<PathBuf>,
    /// The manifest of all logs; if it is there, it is gone on with
    #[arg(short, long, value_name = "MANIFEST")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) signing: SigningArgs,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct SealVerifyArgs {
    /// The manifest
    #[arg(value_name = "MANIFEST")]
    pub(crate) manifest: PathBuf,
    /// The paths that were sealed, or copies of them: directories and indexes, of which all sealed
    /// logs must be there, or single logs
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Ed25519 public key that the manifest must be signed with; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) public_key: Vec<PathBuf>,
    /// A line of `seal anchor` that the manifest must still have; repeatable
    #[arg(long, value_name = "LINE")]
    pub(crate) anchor: Vec<Anchor>,
    /// Compare lengths, headers and samples of the chunks alone
    #[arg(long)]
    pub(crate) quick: bool,
    /// Logs of this series before this one were purged, and need not be there
    #[arg(long, value_name = "LOG")]
    pub(crate) purged_to: Option<String>,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    #[command(flatten)]
    pub(crate) shard: ShardArgs,
}

impl SealArgs {
    /// The logs that are read, and the manifest.
    pub(crate) fn logs(&self) -> Vec<&PathBuf> {
        match &self.action {
            None => self.make.paths.iter().chain(&self.make.output).collect(),
            Some(SealAction::Verify(args)) => args.paths.iter().chain([&args.manifest]).collect(),
            Some(SealAction::Merge(args)) => args.parts.iter().chain([&args.output]).collect(),
            Some(SealAction::Anchor { manifest, .. }) => vec![manifest],
            Some(SealAction::Keygen { .. }) => Vec::new(),
        }
    }
}

pub(crate) fn run(args: &SealArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    match &args.action {
        None => make(&args.make, terminal),
        Some(SealAction::Verify(args)) => verify(args, terminal),
        Some(SealAction::Merge(args)) => merge(args, terminal),
        Some(SealAction::Anchor { manifest, format }) => anchor(manifest, *format, terminal),
        Some(SealAction::Keygen { file, format }) => {
            process::clean_up_on_signals()?;
            let (key, public) = seal::generate(file)?;
            let report = KeygenReport::new(file, &public, &key);
            reports::publish(&report, table::keygen, (*format, &[]), terminal)?;
            Ok(Exit::Done)
        }
    }
}

fn make(args: &MakeArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let Some(output) = &args.output else { bail!("name the manifest by --output MANIFEST") };
    check_output(output)?;
    if args.paths.iter().any(|path| is_dash(path)) {
        bail!("standard input has no name under which it could be sealed");
    }
    let (keyring, signer, public_keys) = identity(&args.keys, &args.signing, terminal)?;
    let options = SealOptions {
        signer: &signer,
        public_keys: &public_keys,
        allow_in_use: args.allow_in_use,
        stop_position: args.stop_position,
        shard: args.shard,
    };
    let bar = Bar::new(None, terminal);
    let outcome = seal::seal(output, &args.paths, &keyring, &options, &bar)?;
    drop(bar);
    tell(&outcome.notices, terminal);
    // A part may have no log yet.
    let is_nothing =
        outcome.sealed.is_empty() && outcome.left.is_empty() && outcome.sealed_before == 0;
    if is_nothing && args.shard.is_none() {
        bail!("no log was there to seal");
    }
    publish(&SealReport::new(&outcome, &signer), args.format, terminal)
}

fn merge(args: &SealMergeArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    check_output(&args.output)?;
    let (keyring, signer, public_keys) = identity(&args.keys, &args.signing, terminal)?;
    let options = SealOptions {
        signer: &signer,
        public_keys: &public_keys,
        allow_in_use: false,
        stop_position: None,
        shard: None,
    };
    let outcome = seal::merge(&args.output, &args.parts, &keyring, &options)?;
    publish(&SealReport::new(&outcome, &signer), args.format, terminal)
}

/// The keys of the logs, who signs, and whose signatures before that are known; before anything is
/// written.
fn identity(
    keys: &KeyArgs,
    signing: &SigningArgs,
    terminal: &Terminal,
) -> anyhow::Result<(Keyring, Signer, Vec<PublicKey>)> {
    let keyring = keys::open(keys, terminal)?;
    let signer = signer(signing, &keyring, terminal)?;
    let public_keys = public_keys(&signing.public_key)?;
    process::clean_up_on_signals()?;
    Ok((keyring, signer, public_keys))
}

fn check_output(output: &Path) -> anyhow::Result<()> {
    if is_dash(output) {
        bail!("a manifest is gone on with, so it is a file: name it by --output MANIFEST");
    }
    Ok(())
}

fn publish(report: &SealReport<'_>, format: Format, terminal: &Terminal) -> anyhow::Result<Exit> {
    reports::publish(report, table::seal, (format, &[]), terminal)?;
    let is_amiss = !report.gaps.is_empty() || report.summary.damaged > 0;
    Ok(if is_amiss { Exit::Findings } else { Exit::Done })
}

fn signer(args: &SigningArgs, keyring: &Keyring, terminal: &Terminal) -> anyhow::Result<Signer> {
    if let Some(path) = &args.sign_key {
        let signer = seal::open_private(path)?;
        keys::warn_if_open(path, "a private key", terminal);
        return Ok(signer);
    }
    let key = keyring.choose(args.key_id.as_ref()).map_err(Error::from)?;
    Ok(Signer::Hmac(key))
}

fn public_keys(paths: &[PathBuf]) -> anyhow::Result<Vec<PublicKey>> {
    Ok(paths.iter().map(|path| PublicKey::open(path)).collect::<Result<_, _>>()?)
}

fn verify(args: &SealVerifyArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let manifest = std::slice::from_ref(&args.manifest);
    let inputs = [&args.paths, manifest, &args.keys.files(), &args.public_key];
    reports::check_files(&args.report.reports, &inputs)?;
    let keyring = keys::open(&args.keys, terminal)?;
    let public_keys = public_keys(&args.public_key)?;
    let manifest = Manifest::open(&args.manifest, &args.anchor)?;
    let proof = seal::prove(&manifest, &keyring, &public_keys)?;
    let entry = args.shard.entry(&run_mark(args, &manifest), None);
    let json = reports::of_format(&args.report.reports, &Format::Json);
    let earlier = args.shard.earlier(
        entry.as_ref(),
        json,
        |saved| saved.body_of("binlogsec.seal-verify/1"),
        terminal,
    )?;
    let report = match earlier {
        Some(report) => report,
        None => compare(args, (&manifest, proof), &keyring, entry, terminal)?,
    };
    publish_verified(&report, args.report.format, &args.report.reports, terminal)
}

fn compare(
    args: &SealVerifyArgs,
    (manifest, proof): (&Manifest, (Vec<Proof>, Option<String>)),
    keyring: &Keyring,
    entry: Option<ShardEntry>,
    terminal: &Terminal,
) -> anyhow::Result<SealVerifyReport> {
    let options = VerifyOptions {
        quick: args.quick,
        purged_to: args.purged_to.as_deref().map(LogName::new),
        shard: args.shard.shard,
    };
    let bar = Bar::new(None, terminal);
    let verified = seal::verify(manifest, &args.paths, keyring, &options, &bar)?;
    drop(bar);
    tell(&verified.notices, terminal);
    Ok(SealVerifyReport::new(manifest, proof, &verified, args.quick, entry))
}

/// Writes the report wherever it is wanted, and gives the exit code that it comes to.
pub(crate) fn publish_verified(
    report: &SealVerifyReport,
    format: Format,
    files: &[FileReport<Format>],
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    reports::publish(report, table::verify, (format, files), terminal)?;
    report.failures.iter().for_each(|failure| terminal.error(&failure.message));
    for log in &report.logs {
        if let (Some(failure), Some(path)) = (&log.failure, &log.path) {
            terminal.error(&format!("{path}: {}", failure.message));
        }
    }
    if let Some(reason) = &report.manifest.unproven {
        terminal.error(&format!("nothing proves the manifest: {reason}"));
    }
    Ok(report.exit())
}

/// What must be the same for all shards.
fn run_mark(args: &SealVerifyArgs, manifest: &Manifest) -> RunMark {
    let mut mark = RunMark::new("seal verify");
    mark.add(manifest.anchor().to_string());
    mark.add_paths(&args.paths);
    mark.add_paths(&args.public_key);
    mark.add_all(args.anchor.iter().map(ToString::to_string));
    mark.add(format!("quick {}", args.quick));
    mark.add_all(&args.purged_to);
    mark.add_keys(args.keys.sources());
    mark
}

fn anchor(manifest: &Path, format: Format, terminal: &Terminal) -> anyhow::Result<Exit> {
    let manifest = Manifest::open(manifest, &[])?;
    let report = AnchorReport::new(&manifest);
    let mut out = terminal.out();
    match format {
        Format::Text => writeln!(out, "{}", report.anchor)?,
        Format::Json => write_json(&mut out, &report)?,
    }
    out.flush()?;
    Ok(Exit::Done)
}
