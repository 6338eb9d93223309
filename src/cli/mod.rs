//! The command line over the library. Nothing imports this, and nothing of it is public.

pub(crate) mod args;
pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod decrypt;
pub(crate) mod encrypt;
pub(crate) mod events;
pub(crate) mod exit;
pub(crate) mod explain;
pub(crate) mod findings;
pub(crate) mod header;
pub(crate) mod inspect;
pub(crate) mod keyring;
pub(crate) mod keys;
pub(crate) mod manual;
pub(crate) mod mariadb;
pub(crate) mod process;
pub(crate) mod progress;
pub(crate) mod rekey;
pub(crate) mod report;
pub(crate) mod reports;
pub(crate) mod rows;
pub(crate) mod salvage;
pub(crate) mod servers;
pub(crate) mod shard;
pub(crate) mod slice;
pub(crate) mod terminal;
pub(crate) mod time;
pub(crate) mod transfer;
pub(crate) mod undo;
pub(crate) mod verify;

use std::path::Path;

use args::{Command, Global};
use binlogsec::io::location::is_url;
use exit::Exit;
use terminal::Terminal;

/// Does what one command says, on as many threads as `--jobs` asks for.
pub(crate) fn run(command: &Command, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads(global))
        .build()?;
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
        Command::Verify(args) => verify::run(args, terminal),
        Command::Report(args) => report::run(args, terminal),
        Command::Check(args) => check::run(args, terminal),
        Command::Audit(args) => audit::run(args, terminal),
        Command::Explain(args) => explain::run(args, terminal),
        Command::Keyring(args) => keyring::run(args, terminal),
        Command::Completions(args) => manual::completions(args),
        Command::Man(args) => manual::man(args),
    })
}

/// One for each core; or, where objects of stores are named, as many as may wait for an answer.
fn threads(global: &Global) -> usize {
    let names_objects = std::env::args_os().any(|argument| is_url(Path::new(&argument)));
    let jobs = global.jobs.unwrap_or(0);
    if names_objects {
        global.concurrency.max(jobs)
    } else {
        jobs
    }
}
