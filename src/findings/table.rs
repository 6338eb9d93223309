//! Findings and rules as text.

use std::io;

use anstyle::Style;

use crate::findings::report::FindingEntry;
use crate::lines::{BAD, DIM, WARN, plural};
use crate::table::printable;
use crate::terminal::{Page, sentence};
use binlogsec_checks::finding::Rule;

/// Notes of one kind that are shown; errors and warnings are shown all.
const SHOWN_NOTES: usize = 5;

/// Findings by kind, then by subject; those that a baseline accepts after the others.
pub(crate) fn findings(out: &mut dyn Page, all: &[FindingEntry<'_>]) -> io::Result<()> {
    let counted: Vec<_> = all.iter().filter(|finding| finding.accepted.is_none()).collect();
    let accepted = all.iter().filter(|finding| finding.accepted.is_some());
    for group in counted.chunk_by(|one, other| (one.id, one.severity) == (other.id, other.severity))
    {
        kind(out, group)?;
    }
    for finding in accepted {
        let reason =
            finding.accepted.map(|accepted| printable(&accepted.reason)).unwrap_or_default();
        let (id, path) = (finding.id, printable(&finding.subject.to_string()));
        sentence(out, format_args!("{DIM}accepted {id} {path}: {reason}{DIM:#}"))?;
    }
    Ok(())
}

fn kind(out: &mut dyn Page, group: &[&FindingEntry<'_>]) -> io::Result<()> {
    let Some(first) = group.first() else {
        return Ok(());
    };
    let style = severity_style(first.severity);
    let (severity, id, title) = (first.severity, first.id, first.title);
    let bold = Style::new().bold();
    let files = plural(group.len(), "finding");
    sentence(out, format_args!("{style}{severity} {id}{style:#} {bold}{title}{bold:#} ({files})"))?;
    let shown = if severity == "note" { SHOWN_NOTES } else { group.len() };
    let same_remedy = group.iter().all(|finding| finding.remedy == first.remedy);
    for finding in group.iter().take(shown) {
        one(out, finding)?;
        if !same_remedy {
            remedy(out, finding, "      ")?;
        }
    }
    let hidden = group.len().saturating_sub(shown);
    if hidden > 0 {
        sentence(out, format_args!("  and {hidden} more; --format json has them all"))?;
    }
    if same_remedy {
        remedy(out, first, "  ")?;
    }
    writeln!(out, "  {DIM}more:{DIM:#} binlogsec explain {id}\n")
}

fn one(out: &mut dyn Page, finding: &FindingEntry<'_>) -> io::Result<()> {
    let subject = printable(&finding.subject.to_string());
    let message = printable(finding.message);
    if finding.severity == "note" {
        return sentence(out, format_args!("  {subject}: {message}"));
    }
    writeln!(out, "  {subject}")?;
    sentence(out, format_args!("      {message}"))?;
    for evidence in finding.evidence {
        sentence(out, format_args!("      {DIM}{}{DIM:#}", printable(&evidence.text())))?;
    }
    Ok(())
}

/// One line after its label, several below it.
fn remedy(out: &mut dyn Page, finding: &FindingEntry<'_>, indent: &str) -> io::Result<()> {
    let lines: Vec<_> = finding.remedy.lines().map(printable).collect();
    match &*lines {
        [line] => writeln!(out, "{indent}{DIM}remedy:{DIM:#} {line}"),
        lines => {
            writeln!(out, "{indent}{DIM}remedy:{DIM:#}")?;
            lines.iter().try_for_each(|line| writeln!(out, "{indent}    {line}"))
        }
    }
}

fn severity_style(severity: &str) -> Style {
    match severity {
        "error" => BAD,
        "warning" => WARN,
        _ => DIM,
    }
}

/// What one rule is about.
///
/// # Errors
/// What the writer answers.
pub(crate) fn explain(out: &mut dyn Page, rule: &Rule) -> io::Result<()> {
    let bold = Style::new().bold();
    let style = severity_style(rule.severity.name());
    let severity = rule.severity;
    sentence(out, format_args!("{bold}{} {}{bold:#}: {}", rule.code, rule.name, rule.title))?;
    writeln!(out, "Severity: {style}{severity}{style:#}\n")?;
    for (heading, text) in [("What", rule.meaning), ("Why it matters", rule.risk)] {
        writeln!(out, "{bold}{heading}{bold:#}\n{}\n", wrapped(text, "  "))?;
    }
    let remedy = rule.remedy.replace('\n', "\n    ");
    writeln!(out, "{bold}What to do{bold:#}\n    {remedy}\n")?;
    writeln!(out, "{}\n", wrapped(rule.advice, "  "))?;
    let controls: Vec<_> =
        rule.controls.iter().map(|it| format!("{} {}", it.catalogue, it.number)).collect();
    writeln!(out, "{bold}Controls{bold:#}")?;
    sentence(out, format_args!("  {}", controls.join("; ")))
}

/// Lines of at most 80 characters.
fn wrapped(text: &str, indent: &str) -> String {
    const WIDTH: usize = 80;
    let mut lines = vec![indent.to_owned()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        let length = line.chars().count().saturating_add(word.chars().count());
        if length >= WIDTH && line.len() > indent.len() {
            lines.push(format!("{indent}{word}"));
        } else {
            if line.len() > indent.len() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}
