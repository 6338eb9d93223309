//! `binlogsec explain`.

pub(crate) mod report;

use std::io::Write;

use crate::findings::markdown;
use binlogsec_checks::finding::{RuleId, rules};
use clap::Args;
use report::ExplainReport;

use crate::args::Format;
use crate::exit::Exit;
use crate::terminal::{Terminal, write_json};

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  binlogsec explain BLS001
  binlogsec explain plaintext-log rotation-interrupted
  binlogsec explain --format json | jq -r \\
      '.rules[] | [.id, .severity, .title] | @tsv'";

/// Explain findings: what each means, why it matters, what to do, which controls it bears on
#[derive(Debug, Args)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// Ids or names of findings; all of them where none is given
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    /// Print docs/checks.md
    #[arg(long, conflicts_with_all = ["ids", "format"])]
    pub(crate) markdown: bool,
}

pub(crate) fn run(args: &ExplainArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let mut out = terminal.out();
    if args.markdown {
        markdown::checks(&mut out)?;
        out.flush()?;
        return Ok(Exit::Done);
    }
    let ids: Vec<RuleId> = if args.ids.is_empty() {
        rules::all().map(|rule| rule.id).collect()
    } else {
        args.ids.iter().map(|id| id.parse()).collect::<Result<_, _>>()?
    };
    match args.format {
        Format::Text => {
            for (number, id) in ids.iter().enumerate() {
                if number > 0 {
                    writeln!(out)?;
                }
                crate::findings::table::explain(&mut out, id.rule())?;
            }
        }
        Format::Json => write_json(&mut out, &ExplainReport::new(&ids))?,
    }
    out.flush()?;
    Ok(Exit::Done)
}
