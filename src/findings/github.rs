//! Annotations of a GitHub workflow run.

use std::io::{self, Write};

use crate::findings::report::{FindingsView, SubjectEntry};
use binlogsec_core::text::unseen::{printable, printable_lines};

/// Workflow commands, one for each finding that no baseline accepts, and the verdict.
///
/// # Errors
/// What the writer answers.
pub(crate) fn findings(out: &mut dyn Write, report: &FindingsView<'_>) -> io::Result<()> {
    let command_name = report.command;
    for finding in report.findings.iter().filter(|finding| finding.accepted.is_none()) {
        let command = match finding.severity {
            "error" => "error",
            "warning" => "warning",
            _ => "notice",
        };
        let title = property(&format!("{} {}", finding.id, finding.title));
        let (place, about) = place(&finding.subject);
        let message = format!("{about}{}", finding.message);
        let message = format!("{}\nRemedy: {}", printable(&message), finding.remedy);
        writeln!(out, "::{command} {place}title={title}::{}", data(&message))?;
    }
    for failure in report.failures {
        writeln!(
            out,
            "::error title=binlogsec {command_name}::{}",
            data(&printable(&failure.message))
        )?;
    }
    writeln!(out, "::notice title=binlogsec {command_name}::{}", data(report.summary))
}

/// The properties that name a file; what is no file is named in the message.
fn place(subject: &SubjectEntry<'_>) -> (String, String) {
    let Some(path) = &subject.path else {
        return (String::new(), format!("{subject}: "));
    };
    let line = subject.line.map(|line| format!("line={line},"));
    let line = line.unwrap_or_default();
    (format!("file={},{line}", property(path)), String::new())
}

/// A text whose lines are our own, as a command's message: they come out as lines again.
fn data(text: &str) -> String {
    printable_lines(text).replace('%', "%25").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(&printable(text)).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_can_forge_a_command() {
        assert_eq!(property("a,b:c\n::error::x%"), "a%2Cb%3Ac\\n%3A%3Aerror%3A%3Ax%25");
        assert_eq!(data("\x1b[31m\u{202e}\r\n"), "\\u{1b}[31m\\u{202e}\\r%0A");
    }
}
