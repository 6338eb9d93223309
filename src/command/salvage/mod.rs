//! `binlogsec salvage`.

pub(crate) mod report;
pub(crate) mod table;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use binlogsec_core::file::source::{Access, FileSource};
use binlogsec_core::keyring::{Keyring, raw};
use binlogsec_core::log::error::Error;
use binlogsec_core::log::open::OpenLog;
use binlogsec_core::mysql::header::{self, EncryptionHeader};
use binlogsec_core::read::salvage::{self, SalvageOptions};
use binlogsec_core::secret::Secret32;
use clap::Args;
use report::SalvageReport;

use crate::args::{Format, KeyArgs, WriteArgs};
use crate::exit::Exit;
use crate::progress::Bar;
use crate::terminal::{Terminal, write_json};
use crate::{keys, process, transfer};

const SALVAGE_EXAMPLES: &str = "\
Examples:
  binlogsec salvage binlog.000042 -o replay.000042 \\
      --whole-transactions --keyring component_keyring_file
  binlogsec salvage binlog.000042 -o saved.000042 --header header.bak \\
      --keyring component_keyring_file
  binlogsec salvage binlog.000042 -o saved.000042 --password-file password.hex

Exit codes: 0 nothing was missing; 1 what is whole was saved, and some is lost; 3 key missing or \
wrong; 4 nothing could be saved.";

/// Save what is whole of a damaged log, as a plaintext log, and say what is not
///
/// Flipped bits, zeroed blocks, junk, a cut tail, a lost header. In an encrypted log, MySQL's or
/// MariaDB's, bytes that are missing or were put in move the rest against its key: other alignments
/// are tried. An event whose checksum is right is whole, whatever its type.
///
/// Every whole event is kept. What is to be replayed takes --whole-transactions: a transaction that
/// has lost its GTID, or any other event, stops a replay or is applied in part. Such transactions
/// are named in any case.
///
/// Encrypted logs that follow one another in one file are salvaged into one output, in their order.
/// Of a relay log, the place in the source's log is named from which to fetch again what is lost.
///
/// Nothing is invented: every byte of the output was in the log, but for the magic, which is always
/// the same, the in-use flag, which is cleared, and one bit of a format description event that
/// nothing could be read without.
#[derive(Debug, Args)]
#[command(after_help = SALVAGE_EXAMPLES)]
pub(crate) struct SalvageArgs {
    /// The damaged log, encrypted or not
    #[arg(value_name = "LOG")]
    pub(crate) log: PathBuf,
    /// File for what is whole, as plaintext
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    keys: KeyArgs,
    /// A copy of the log's encryption header (512 bytes, or a file that starts with them)
    #[arg(long, value_name = "FILE")]
    header: Option<PathBuf>,
    /// File with the log's file password: 32 bytes, or as hex or base64; in place of header and key
    #[arg(long, value_name = "FILE", conflicts_with = "header")]
    password_file: Option<PathBuf>,
    /// Another log of the same server, for a lost or damaged format description event
    #[arg(long, value_name = "LOG")]
    description_from: Option<PathBuf>,
    /// Leave out transactions that have lost events: for what is to be replayed
    #[arg(long)]
    whole_transactions: bool,
    /// By how many bytes an encrypted log may have moved against its key; ten times as far, blocks of
    /// 512 are tried
    #[arg(long, value_name = "BYTES", default_value_t = 65_536, value_parser = clap::value_parser!(u64).range(0..=16_777_216))]
    max_shift: u64,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(crate) fn run(args: &SalvageArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    if transfer::is_dash(&args.output) {
        bail!(
            "salvage writes a file: it reads the log here and there before it knows what is whole"
        );
    }
    let keyring = keys::open(&args.keys, terminal)?;
    process::clean_up_on_signals()?;
    let mut source = transfer::open_source(&args.log)?;
    // No server writes a damaged log any more, even where it was not closed.
    source.set_access(Access::Mapped);
    let options = options(args, &keyring)?;
    let sink_options = args.write.sink_options();
    let bar = Bar::new(Some(source.length()), terminal);
    let salvaged = salvage::salvage(&source, &args.output, sink_options, &keyring, &options, &bar)?;
    drop(bar);
    let report = SalvageReport::new(&args.log, &args.output, &salvaged);
    let mut out = terminal.out();
    match args.format {
        Format::Text => table::salvage(&mut out, &report)?,
        Format::Json => write_json(&mut out, &report)?,
    }
    out.flush()?;
    Ok(if salvaged.is_whole() { Exit::Done } else { Exit::Findings })
}

fn options(args: &SalvageArgs, keyring: &Keyring) -> anyhow::Result<SalvageOptions> {
    let header = args.header.as_deref().map(read_header).transpose()?;
    let password = args.password_file.as_deref().map(read_password).transpose()?;
    let description = match &args.description_from {
        Some(path) => Some(read_description(path, keyring)?),
        None => None,
    };
    Ok(SalvageOptions {
        header,
        password,
        description,
        whole_transactions: args.whole_transactions,
        max_shift: args.max_shift,
    })
}

fn read_header(path: &Path) -> anyhow::Result<EncryptionHeader> {
    let mut bytes = vec![0; header::LENGTH];
    let source = FileSource::open(path).map_err(Error::from)?;
    let read = source.read_at(0, &mut bytes).map_err(Error::from)?;
    bytes.truncate(read);
    EncryptionHeader::parse(&bytes).with_context(|| format!("{}", path.display()))
}

fn read_password(path: &Path) -> anyhow::Result<Secret32> {
    const MOST: usize = 256;
    let source = FileSource::open(path).map_err(Error::from)?;
    // Grown once, so that no copy is left behind; wiped at the end.
    let mut bytes = zeroize::Zeroizing::new(vec![0; MOST]);
    let read = source.read_at(0, &mut bytes).map_err(Error::from)?;
    let text = bytes.get(..read).unwrap_or_default();
    raw::parse(text).with_context(|| format!("{}: no file password", path.display()))
}

/// Magic and format description event are the first bytes of a plaintext.
fn read_description(path: &Path, keyring: &Keyring) -> anyhow::Result<Vec<u8>> {
    let log = OpenLog::open(path, keyring)?;
    let Some(description) = log.probe().description() else {
        bail!("{} has no format description event", path.display());
    };
    let length = u64::from(description.header.length);
    let mut bytes = Vec::new();
    let mut reader = log.reader();
    std::io::Seek::seek(&mut reader, std::io::SeekFrom::Start(4))
        .and_then(|_| reader.take(length).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes)
}
