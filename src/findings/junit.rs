//! A JUnit report: what most systems of continuous integration read.

use std::io::{self, Write};

use crate::findings::report::{FindingEntry, FindingsView};
use binlogsec_core::text::unseen::{printable, printable_lines};

/// A test case for each finding, and one that passes for each rule without any. Findings that do
/// not count are skipped cases.
///
/// # Errors
/// What the writer answers.
pub(crate) fn findings(out: &mut dyn Write, report: &FindingsView<'_>) -> io::Result<()> {
    let command = report.command;
    let clean: Vec<_> = report
        .rules
        .iter()
        .filter(|rule| report.findings.iter().all(|finding| finding.id != rule.code))
        .collect();
    let tests = report.findings.len().saturating_add(clean.len());
    let failures = report.findings.iter().filter(|finding| finding.counts).count();
    let skipped = report.findings.len().saturating_sub(failures);
    let errors = report.failures.len();
    let tests = tests.saturating_add(errors);
    let totals = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"");
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"binlogsec\" {totals}>")?;
    writeln!(out, "  <testsuite name=\"binlogsec.{command}\" {totals} skipped=\"{skipped}\">")?;
    for finding in report.findings {
        case(out, finding)?;
    }
    for failure in report.failures {
        writeln!(out, "    <testcase classname=\"binlogsec.{command}\" name=\"target\">")?;
        writeln!(out, "      <error message=\"{}\"/>", escaped(&failure.message))?;
        writeln!(out, "    </testcase>")?;
    }
    for rule in clean {
        let (code, title) = (rule.code, escaped(rule.title));
        writeln!(out, "    <testcase classname=\"binlogsec.{code}\" name=\"no {title}\"/>")?;
    }
    writeln!(out, "    <system-out>{}</system-out>", escaped(report.summary))?;
    writeln!(out, "  </testsuite>\n</testsuites>")
}

fn case(out: &mut dyn Write, finding: &FindingEntry<'_>) -> io::Result<()> {
    let (id, name) = (finding.id, escaped(&finding.subject.to_string()));
    let message = escaped(finding.message);
    writeln!(out, "    <testcase classname=\"binlogsec.{id}\" name=\"{name}\">")?;
    if finding.counts {
        let mut details = printable(&format!("{}: {}", finding.title, finding.message));
        for evidence in finding.evidence {
            details.push_str(&format!("\n{}", printable(&evidence.text())));
        }
        details.push_str(&format!("\nremedy: {}", finding.remedy));
        let severity = finding.severity;
        let details = escaped_lines(&details);
        writeln!(
            out,
            "      <failure type=\"{severity}\" message=\"{message}\">{details}</failure>"
        )?;
    } else {
        let why = match finding.accepted {
            Some(accepted) => escaped(&format!("accepted: {}", accepted.reason)),
            None => message,
        };
        writeln!(out, "      <skipped message=\"{why}\"/>")?;
    }
    writeln!(out, "    </testcase>")
}

/// On one line, for attributes and text alike.
fn escaped(text: &str) -> String {
    escaped_lines(&printable(text))
}

/// The same of a text whose lines are our own. What XML 1.0 cannot hold, and what nobody sees, is shown
/// as an escape.
fn escaped_lines(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in printable_lines(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\n' => escaped.push_str("&#10;"),
            forbidden @ ('\u{fffe}' | '\u{ffff}') => escaped.extend(forbidden.escape_default()),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold_is_shown_as_an_escape() {
        assert_eq!(escaped_lines("<a b='c'>&\"\n"), "&lt;a b=&apos;c&apos;&gt;&amp;&quot;&#10;");
        assert_eq!(
            escaped("\0\x1b\u{85}\u{ffff}\u{202e}é\n"),
            "\\u{0}\\u{1b}\\u{85}\\u{ffff}\\u{202e}é\\n"
        );
    }
}
