//! Completions and manual pages, made from the same definitions as the help.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use binlogsec_core::file::sink::{AtomicFile, SinkOptions};
use binlogsec_core::text::path_text;
use clap::{Args, Command};
use clap_complete::Shell;

use crate::exit::Exit;

/// Manual pages are for every user of a machine.
const PAGE_MODE: u32 = 0o644;

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

pub(crate) fn completions(args: &CompletionsArgs, mut command: Command) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "binlogsec", &mut script);
    io::stdout().write_all(&script)?;
    Ok(Exit::Done)
}

pub(crate) fn man(args: &ManArgs, command: Command) -> anyhow::Result<Exit> {
    match &args.output_dir {
        Some(directory) => {
            let name = path_text::text(directory);
            std::fs::create_dir_all(directory)
                .with_context(|| format!("cannot make the directory {name}"))?;
            write_pages(directory, command)
                .with_context(|| format!("cannot write manual pages into {name}"))?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            io::stdout().write_all(&page)?;
        }
    }
    Ok(Exit::Done)
}

/// Pages are made in a directory of their own and go from there, one by one, to where they replace
/// older ones and nothing else.
fn write_pages(directory: &Path, command: Command) -> anyhow::Result<()> {
    let options = SinkOptions {
        force: true,
        mode: PAGE_MODE,
        spares: |there| {
            let is_page = there.start.windows(4).any(|window| window == b"\n.TH");
            (!there.start.is_empty() && !is_page).then_some("no manual page")
        },
        ..SinkOptions::default()
    };
    let pages = tempfile::tempdir()?;
    clap_mangen::generate_to(command, pages.path())?;
    for page in pages.path().read_dir()? {
        let page = page?;
        let sink = AtomicFile::create(&directory.join(page.file_name()), options)?;
        sink.write_at(0, &std::fs::read(page.path())?)?;
        sink.commit()?;
    }
    Ok(())
}
