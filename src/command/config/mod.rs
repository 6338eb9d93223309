//! `binlogsec config`.

pub(crate) mod report;
pub(crate) mod table;

use std::io::Write;

use clap::{Args, Subcommand};
use report::ConfigReport;

use crate::args::Format;
use crate::exit::Exit;
use crate::settings;
use crate::terminal::{Terminal, write_json};

const CONFIG_EXAMPLES: &str = "\
Examples:
  What is in force here, and from where?
    binlogsec config show

A file, /etc/binlogsec/binlogsec.toml for one:
    keyring = [\"/var/lib/mysql-keyring/component_keyring_file\"]
    policy = \"policy.toml\"
    baseline = \"baseline.toml\"
    time_zone = \"Europe/Berlin\"
    color = \"never\"

BINLOGSEC_CONFIG names the file; else it is binlogsec.toml in the working directory, or the one above.";

/// Show which settings are in force, and where each comes from
///
/// An option on the command line outweighs the environment, that outweighs the file. Relative paths in
/// the file start from its directory. A binlogsec.toml in the working directory that another user may
/// have written is not read.
#[derive(Debug, Args)]
#[command(after_help = CONFIG_EXAMPLES)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    Show(ShowArgs),
}

/// Show which settings are in force, and where each comes from
#[derive(Debug, Args)]
#[command(after_help = CONFIG_EXAMPLES)]
pub(crate) struct ShowArgs {
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

pub(crate) fn run(args: &ConfigArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let ConfigCommand::Show(args) = &args.command;
    let report = ConfigReport::new(settings::of_this_run(), &settings::find());
    let mut out = terminal.out();
    match args.format {
        Format::Text => table::config(&mut out, &report)?,
        Format::Json => write_json(&mut out, &report)?,
    }
    out.flush()?;
    Ok(Exit::Done)
}
