//! The commands, a room each: its arguments and how it runs, its report, its table.

pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod decrypt;
pub(crate) mod encrypt;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod header;
pub(crate) mod inspect;
pub(crate) mod keyring;
pub(crate) mod manual;
pub(crate) mod recover;
pub(crate) mod rekey;
pub(crate) mod report;
pub(crate) mod rows;
pub(crate) mod salvage;
pub(crate) mod seal;
pub(crate) mod undo;
pub(crate) mod verify;

use std::path::PathBuf;

use crate::args::{Command, Global};
use crate::exit::Exit;
use crate::terminal::Terminal;
use binlogsec_core::file::location::is_url;

/// Does what one command says, on as many threads as `--jobs` asks for.
pub(crate) fn run(command: &Command, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads(command, global)).build()?;
    pool.install(|| match command {
        Command::Inspect(args) => inspect::run(args, terminal),
        Command::Decrypt(args) => decrypt::run(args, terminal),
        Command::Encrypt(args) => encrypt::run(args, terminal),
        Command::Rekey(args) => rekey::run(args, terminal),
        Command::Header(args) => header::run(args, terminal),
        Command::Events(args) => events::run(args, terminal),
        Command::Rows(args) => rows::run(args, terminal),
        Command::Undo(args) => undo::run(args, terminal),
        Command::Salvage(args) => salvage::run(args, terminal),
        Command::Recover(args) => recover::run(args, terminal),
        Command::Verify(args) => verify::run(args, terminal),
        Command::Seal(args) => seal::run(args, terminal),
        Command::Report(args) => report::run(args, terminal),
        Command::Check(args) => check::run(args, terminal),
        Command::Audit(args) => audit::run(args, terminal),
        Command::Explain(args) => explain::run(args, terminal),
        Command::Config(args) => config::run(args, terminal),
        Command::Keyring(args) => keyring::run(args, terminal),
        Command::Completions(args) => manual::completions(args),
        Command::Man(args) => manual::man(args),
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
