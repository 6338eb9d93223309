//! Metrics for the textfile collector of a Prometheus node exporter.

use std::io::{self, Write};

use crate::command::check::report::CheckReport;
use crate::findings::report::Verdict;
use binlogsec_checks::finding::Severity;
use binlogsec_core::text::unseen::printable;

const LAST_SUCCESS: &str = "binlogsec_check_last_success_timestamp_seconds";

/// When a check ran, and when one last passed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// Seconds since 1970 UTC.
    pub now: i64,
    /// The same, of the last check that passed before this one.
    pub last_success: Option<i64>,
}

/// Gauges for one check. Every rule and weight is there, with 0 where nothing was found, so that
/// an alert fires on a change and not on a series that appears.
///
/// # Errors
/// What the writer answers.
pub(crate) fn check(out: &mut dyn Write, report: &CheckReport<'_>, times: Times) -> io::Result<()> {
    let summary = &report.summary;
    head(out, "binlogsec_check_logs", "Logs by kind.")?;
    for (kind, count) in &summary.by_kind {
        let kind = label(kind);
        writeln!(out, "binlogsec_check_logs{{kind=\"{kind}\"}} {count}")?;
    }
    head(out, "binlogsec_check_logs_by_status", "Logs by what is known of their protection.")?;
    for (status, count) in &summary.by_status {
        let status = label(status);
        writeln!(out, "binlogsec_check_logs_by_status{{status=\"{status}\"}} {count}")?;
    }
    findings(out, report)?;
    seals(out, report)?;
    let passed = summary.verdict == Verdict::Pass;
    let last_success = if passed { Some(times.now) } else { times.last_success };
    let counts = &summary.counts;
    for (name, help, value) in [
        ("files_scanned", "Files looked at.", Some(counts.files)),
        (
            "files_unreadable",
            "Files and directories that could not be read.",
            Some(counts.unreadable),
        ),
        ("scanned_bytes", "Bytes read.", Some(counts.bytes_read)),
        ("log_bytes", "Size of all logs together.", Some(counts.log_bytes)),
        ("success", "Whether the check passed.", Some(u64::from(passed))),
        ("last_run_timestamp_seconds", "When the check ran.", u64::try_from(times.now).ok()),
        (
            "last_success_timestamp_seconds",
            "When a check last passed.",
            last_success.and_then(|time| u64::try_from(time).ok()),
        ),
    ] {
        if let Some(value) = value {
            let name = format!("binlogsec_check_{name}");
            head(out, &name, help)?;
            writeln!(out, "{name} {value}")?;
        }
    }
    Ok(())
}

fn findings(out: &mut dyn Write, report: &CheckReport<'_>) -> io::Result<()> {
    let name = "binlogsec_check_findings";
    head(out, name, "Findings by id and weight, without accepted ones.")?;
    for rule in report.rules() {
        for severity in [Severity::Error, Severity::Warning, Severity::Note] {
            let is_meant = |finding: &&crate::findings::report::FindingEntry<'_>| {
                finding.id == rule.code
                    && finding.source.severity == severity
                    && finding.accepted.is_none()
            };
            let count = report.findings.iter().filter(is_meant).count();
            if count > 0 || severity == rule.severity {
                let code = rule.code;
                writeln!(out, "{name}{{id=\"{code}\",severity=\"{severity}\"}} {count}")?;
            }
        }
    }
    head(out, "binlogsec_check_findings_accepted", "Findings that the baseline accepts.")?;
    writeln!(out, "binlogsec_check_findings_accepted {}", report.summary.findings.accepted)
}

/// Gauges of the logs against a seal manifest, if one was given.
fn seals(out: &mut dyn Write, report: &CheckReport<'_>) -> io::Result<()> {
    let Some(sealed) = report.sealed else { return Ok(()) };
    let name = "binlogsec_check_logs_by_seal";
    head(out, name, "Logs by how they stand to the seal manifest; bytes by samples.")?;
    for (status, count) in [
        ("unchanged", sealed.unchanged),
        ("changed", sealed.changed),
        ("missing", sealed.missing),
        ("unsealed", sealed.unsealed),
    ] {
        writeln!(out, "{name}{{status=\"{status}\"}} {count}")?;
    }
    let name = "binlogsec_check_oldest_unsealed_log_timestamp_seconds";
    head(
        out,
        name,
        "When the oldest log that is not sealed was last written; 0 if there is none.",
    )?;
    writeln!(out, "{name} {}", sealed.oldest_unsealed.unwrap_or(0))
}

/// A label's value. Those of shards' reports are texts of others.
fn label(text: &str) -> String {
    printable(text).replace('\\', "\\\\").replace('"', "\\\"")
}

fn head(out: &mut dyn Write, name: &str, help: &str) -> io::Result<()> {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge")
}

/// The time of the last success in an earlier file of these metrics.
#[must_use]
pub(crate) fn last_success(metrics: &str) -> Option<i64> {
    let mut lines = metrics.lines();
    lines.find_map(|line| line.strip_prefix(LAST_SUCCESS)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_success_is_found_again() {
        let metrics =
            format!("# HELP {LAST_SUCCESS} x\n# TYPE {LAST_SUCCESS} gauge\n{LAST_SUCCESS} 17\n");
        assert_eq!(last_success(&metrics), Some(17));
        assert_eq!(last_success("nothing"), None);
    }
}
