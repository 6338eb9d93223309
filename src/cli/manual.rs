//! Completions and manual pages, made from the same definitions as the help.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use binlogsec::text::path_text;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::args::Arguments;
use super::exit::Exit;

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
    /// Directory for binlogsec.1, binlogsec-inspect.1 …; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,
}

pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut Arguments::command(),
        "binlogsec",
        &mut script,
    );
    io::stdout().write_all(&script)?;
    Ok(Exit::Done)
}

pub(crate) fn man(args: &ManArgs) -> anyhow::Result<Exit> {
    match &args.output_dir {
        Some(directory) => {
            let name = path_text::text(directory);
            std::fs::create_dir_all(directory)
                .with_context(|| format!("cannot make the directory {name}"))?;
            clap_mangen::generate_to(Arguments::command(), directory)
                .with_context(|| format!("cannot write manual pages into {name}"))?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
            io::stdout().write_all(&page)?;
        }
    }
    Ok(Exit::Done)
}
