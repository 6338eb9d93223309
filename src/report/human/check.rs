//! The text of `binlogsec check` and of `binlogsec explain`.

use std::io::{self, Write};

use anstyle::Style;

use super::{BAD, DIM, GOOD, WARN, plural};
use crate::check::Rule;
use crate::report::model::{CheckReport, CheckSummary, FindingEntry, Verdict};
use crate::report::table::printable;

/// Notes of one kind that are shown; errors and warnings are shown all.
const SHOWN_NOTES: usize = 5;

/// Findings by kind, then by file, and a line with the verdict at the end.
///
/// # Errors
/// What the writer answers.
pub fn check(out: &mut dyn Write, report: &CheckReport<'_>) -> io::Result<()> {
    let counted: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| finding.accepted.is_none())
        .collect();
    let accepted: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| finding.accepted.is_some())
        .collect();
    for group in counted.chunk_by(|one, other| (one.id, one.severity) == (other.id, other.severity))
    {
        findings(out, group)?;
    }
    for finding in accepted {
        let reason = finding
            .accepted
            .map(|accepted| printable(&accepted.reason))
            .unwrap_or_default();
        let (id, path) = (finding.id, printable(&finding.path));
        writeln!(out, "{DIM}accepted {id} {path}: {reason}{DIM:#}")?;
    }
    unseen(out, &report.summary)?;
    let style = match report.summary.verdict {
        Verdict::Pass => GOOD,
        _ => BAD,
    };
    writeln!(out, "{style}{}{style:#}", printable(&report.summary.text))
}

fn findings(out: &mut dyn Write, group: &[&FindingEntry<'_>]) -> io::Result<()> {
    let Some(first) = group.first() else {
        return Ok(());
    };
    let style = severity_style(first.severity);
    let (severity, id, title) = (first.severity, first.id, first.title);
    let bold = Style::new().bold();
    let files = plural(group.len(), "finding");
    writeln!(
        out,
        "{style}{severity} {id}{style:#} {bold}{title}{bold:#} ({files})"
    )?;
    let shown = if severity == "note" {
        SHOWN_NOTES
    } else {
        group.len()
    };
    for finding in group.iter().take(shown) {
        let (path, message) = (printable(&finding.path), printable(finding.message));
        if severity == "note" {
            writeln!(out, "  {path}: {message}")?;
            continue;
        }
        writeln!(out, "  {path}")?;
        writeln!(out, "      {message}")?;
        for evidence in finding.evidence {
            let (offset, meaning) = (evidence.offset, &evidence.meaning);
            writeln!(out, "      {DIM}offset {offset}: {meaning}{DIM:#}")?;
        }
    }
    let hidden = group.len().saturating_sub(shown);
    if hidden > 0 {
        writeln!(out, "  and {hidden} more; --format json has them all")?;
    }
    writeln!(out, "  {DIM}remedy:{DIM:#} {}", printable(&first.remedy))?;
    writeln!(out, "  {DIM}more:{DIM:#} binlogsec explain {id}\n")
}

/// What was not looked at, so that nobody takes the verdict for more than it is.
fn unseen(out: &mut dyn Write, summary: &CheckSummary) -> io::Result<()> {
    let counts = &summary.counts;
    for (count, noun, hint) in [
        (
            counts.links,
            "symbolic link",
            " not followed (--follow does)",
        ),
        (
            counts.special_files,
            "device, pipe or socket",
            " not opened",
        ),
        (counts.vanished, "file", " removed while this ran"),
    ] {
        if count > 0 {
            let noun = plural(usize::try_from(count).unwrap_or(usize::MAX), noun);
            writeln!(out, "{DIM}{noun}{hint}{DIM:#}")?;
        }
    }
    Ok(())
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
pub fn explain(out: &mut dyn Write, rule: &Rule) -> io::Result<()> {
    let bold = Style::new().bold();
    let style = severity_style(rule.severity.name());
    let severity = rule.severity;
    writeln!(
        out,
        "{bold}{} {}{bold:#}: {}",
        rule.code, rule.name, rule.title
    )?;
    writeln!(out, "Severity: {style}{severity}{style:#}\n")?;
    for (heading, text) in [("What", rule.meaning), ("Why it matters", rule.risk)] {
        writeln!(out, "{bold}{heading}{bold:#}\n{}\n", wrapped(text, "  "))?;
    }
    writeln!(out, "{bold}What to do{bold:#}\n    {}\n", rule.remedy)?;
    writeln!(out, "{}\n", wrapped(rule.advice, "  "))?;
    let controls: Vec<_> = rule
        .controls
        .iter()
        .map(|it| format!("{} {}", it.catalogue, it.number))
        .collect();
    writeln!(out, "{bold}Controls{bold:#}\n  {}", controls.join("; "))
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
