//! The text of `binlogsec audit --plan`.

use std::io::{self, Write};

use binlogsec_checks::audit::plan::Step;
use binlogsec_checks::finding::rules::Language;

use crate::table::printable;

/// One script with comments, in the order in which its steps are to be taken. `#` begins a comment in
/// a shell, in an option file, and for the servers' clients.
///
/// # Errors
/// What the writer answers.
pub(crate) fn write_plan(out: &mut dyn Write, steps: &[Step]) -> io::Result<()> {
    if steps.is_empty() {
        return writeln!(out, "# plan: nothing to do");
    }
    let placeholders = steps.iter().filter(|step| step.placeholder).count();
    writeln!(
        out,
        "# plan: {} steps, in this order; audit again after each place is done",
        steps.len()
    )?;
    if placeholders > 0 {
        writeln!(out, "# {placeholders} of them have a PLACEHOLDER: put in what is yours first")?;
    }
    for step in steps {
        write_step(out, step)?;
    }
    Ok(())
}

fn write_step(out: &mut dyn Write, step: &Step) -> io::Result<()> {
    let language = match step.language {
        Language::Shell => "shell",
        Language::Sql => "sql",
        Language::Options => "options",
    };
    let role = if step.role.is_empty() { String::new() } else { format!(" ({})", step.role) };
    let place = printable(&step.place);
    writeln!(out, "\n# step {}: {language} at {place}{role}", step.number)?;
    writeln!(out, "# {}: {}", step.rules.join(", "), step.title)?;
    if let Some(effect) = step.effect {
        writeln!(out, "# {effect}")?;
    }
    for line in step.text.lines() {
        writeln!(out, "{}", printable(line))?;
    }
    Ok(())
}
