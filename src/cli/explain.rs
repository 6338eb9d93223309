//! `binlogsec explain`.

use std::io::Write;

use binlogsec::finding::{RuleId, rules};
use binlogsec::report::{human, markdown};
use clap::Args;
use serde::Serialize;

use super::args::Format;
use super::exit::Exit;
use super::terminal::{Terminal, write_json};

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  binlogsec explain BLS001
  binlogsec explain plaintext-log rotation-interrupted
  binlogsec explain --format json | jq -r '.rules[] | [.id, .severity, .title] | @tsv'";

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

#[derive(Serialize)]
struct Rules {
    schema: &'static str,
    rules: Vec<RuleEntry>,
}

#[derive(Serialize)]
struct RuleEntry {
    id: &'static str,
    name: &'static str,
    title: &'static str,
    severity: &'static str,
    meaning: &'static str,
    risk: &'static str,
    remedy: &'static str,
    remedy_language: rules::Language,
    advice: &'static str,
    controls: &'static [rules::Control],
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
        args.ids
            .iter()
            .map(|id| id.parse())
            .collect::<Result<_, _>>()?
    };
    match args.format {
        Format::Text => {
            for (number, id) in ids.iter().enumerate() {
                if number > 0 {
                    writeln!(out)?;
                }
                human::explain(&mut out, id.rule())?;
            }
        }
        Format::Json => {
            let rules = ids.into_iter().map(entry).collect();
            let schema = "binlogsec.explain/1";
            write_json(&mut out, &Rules { schema, rules })?;
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn entry(id: RuleId) -> RuleEntry {
    let rule = id.rule();
    RuleEntry {
        id: rule.code,
        name: rule.name,
        title: rule.title,
        severity: rule.severity.name(),
        meaning: rule.meaning,
        risk: rule.risk,
        remedy: rule.remedy,
        remedy_language: rule.language,
        advice: rule.advice,
        controls: rule.controls,
    }
}
