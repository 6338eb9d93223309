//! Completions and manual pages, made from the same definitions as the help.

use std::io::{self, Write};

use clap::CommandFactory;

use super::args::{Arguments, CompletionsArgs, ManArgs};
use super::exit::Exit;

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
        Some(directory) => clap_mangen::generate_to(Arguments::command(), directory)?,
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
            io::stdout().write_all(&page)?;
        }
    }
    Ok(Exit::Done)
}
