//! docs/checks.md: every rule, from the words that `explain` prints.

use std::io::{self, Write};

use binlogsec_checks::finding::rules;

/// Writes the page.
///
/// # Errors
/// What the writer answers.
pub(crate) fn checks(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "# Checks\n\nWhat `binlogsec check` (BLS) and `binlogsec audit` (BLS and BLR) find. `binlogsec explain ID` prints the same; this page is made \
         by\n`binlogsec explain --markdown`. Ids are stable for ever. Errors and warnings count for the \
         exit code,\nnotes do not; a policy changes the weight of each (see [check.md](check.md)).\n"
    )?;
    writeln!(out, "| id | severity | finding |\n|---|---|---|")?;
    for rule in rules::all() {
        let (code, severity, title) = (rule.code, rule.severity, rule.title);
        writeln!(out, "| [{code}](#{}) | {severity} | {title} |", code.to_lowercase())?;
    }
    for rule in rules::all() {
        writeln!(out, "\n## {}\n\n`{}`: {}\n", rule.code, rule.name, rule.title)?;
        writeln!(out, "- Severity: {}", rule.severity)?;
        let controls: Vec<_> = rule
            .controls
            .iter()
            .map(|control| format!("{} {}", control.catalogue, control.number))
            .collect();
        writeln!(out, "- Controls: {}\n", controls.join("; "))?;
        writeln!(out, "{}\n\n**Why it matters.** {}\n", rule.meaning, rule.risk)?;
        writeln!(
            out,
            "**What to do.** {}\n\n```{}\n{}\n```",
            rule.advice,
            rule.language.code_block(),
            rule.remedy
        )?;
    }
    Ok(())
}
