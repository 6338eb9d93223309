//! The command line: which commands there are, how it is read, and who does what it says.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use binlogsec_core::file::location::is_url;
use binlogsec_core::text::unseen::printable;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::args::Global;
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
use crate::exit::Exit;
use crate::terminal::Terminal;
use crate::{command, settings};

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

/// Does what one command says, on as many threads as `--jobs` asks for.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> anyhow::Result<Exit> {
    let Arguments { global, command } = arguments;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads(command, global)).build()?;
    pool.install(|| match command {
        Command::Inspect(args) => command::inspect::run(args, terminal),
        Command::Decrypt(args) => command::decrypt::run(args, terminal),
        Command::Encrypt(args) => command::encrypt::run(args, terminal),
        Command::Rekey(args) => command::rekey::run(args, terminal),
        Command::Header(args) => command::header::run(args, terminal),
        Command::Events(args) => command::events::run(args, terminal),
        Command::Rows(args) => command::rows::run(args, terminal),
        Command::Undo(args) => command::undo::run(args, terminal),
        Command::Salvage(args) => command::salvage::run(args, terminal),
        Command::Recover(args) => command::recover::run(args, terminal),
        Command::Verify(args) => command::verify::run(args, terminal),
        Command::Seal(args) => command::seal::run(args, terminal),
        Command::Report(args) => command::report::run(args, terminal),
        Command::Check(args) => command::check::run(args, terminal),
        Command::Audit(args) => command::audit::run(args, terminal),
        Command::Explain(args) => command::explain::run(args, terminal),
        Command::Config(args) => command::config::run(args, terminal),
        Command::Keyring(args) => command::keyring::run(args, terminal),
        Command::Completions(args) => command::manual::completions(args, Arguments::command()),
        Command::Man(args) => command::manual::man(args, Arguments::command()),
    })
}

/// One for each core; or, where logs are objects of stores, as many as may wait for an answer.
fn threads(command: &Command, global: &Global) -> usize {
    let jobs = global.jobs.unwrap_or(0);
    if logs(command).into_iter().any(|path| is_url(path)) {
        global.concurrency.max(jobs)
    } else {
        jobs
    }
}

/// The logs that a command reads and writes.
fn logs(command: &Command) -> Vec<&PathBuf> {
    match command {
        Command::Inspect(args) => args.paths.iter().collect(),
        Command::Check(args) => args.paths.iter().chain(&args.datadir).collect(),
        Command::Events(args) => args.logs.iter().collect(),
        Command::Rows(args) => args.logs.iter().chain(&args.output).collect(),
        Command::Undo(args) => args.logs.iter().chain(&args.output).collect(),
        Command::Verify(args) => args.logs.iter().collect(),
        Command::Rekey(args) => args.logs.iter().collect(),
        Command::Seal(args) => args.logs(),
        Command::Decrypt(args) => {
            let outputs = args.output.iter().chain(&args.output_dir);
            args.inputs.iter().chain(outputs).collect()
        }
        Command::Encrypt(args) => {
            let outputs = args.output.iter().chain(&args.output_dir);
            args.inputs.iter().chain(outputs).collect()
        }
        Command::Recover(args) => args.paths.iter().chain(&args.output).collect(),
        Command::Salvage(args) => vec![&args.log, &args.output],
        // One file, or none.
        Command::Header(_)
        | Command::Report(_)
        | Command::Audit(_)
        | Command::Explain(_)
        | Command::Config(_)
        | Command::Keyring(_)
        | Command::Completions(_)
        | Command::Man(_) => Vec::new(),
    }
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
