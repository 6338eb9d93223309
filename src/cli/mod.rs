//! The command line over the library. Nothing imports this, and nothing of it is public.

pub(crate) mod args;
pub(crate) mod check;
pub(crate) mod decrypt;
pub(crate) mod exit;
pub(crate) mod explain;
pub(crate) mod inspect;
pub(crate) mod keyring;
pub(crate) mod keys;
pub(crate) mod manual;
pub(crate) mod process;
pub(crate) mod progress;
pub(crate) mod terminal;

use args::{Command, Global};
use exit::Exit;
use terminal::Terminal;

/// Does what one command says, on as many threads as `--jobs` asks for.
pub(crate) fn run(command: &Command, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(global.jobs.unwrap_or(0))
        .build()?;
    pool.install(|| match command {
        Command::Inspect(args) => inspect::run(args, terminal),
        Command::Decrypt(args) => decrypt::run(args, terminal),
        Command::Check(args) => check::run(args, terminal),
        Command::Explain(args) => explain::run(args, terminal),
        Command::Keyring(args) => keyring::run(args, terminal),
        Command::Completions(args) => manual::completions(args),
        Command::Man(args) => manual::man(args),
    })
}
