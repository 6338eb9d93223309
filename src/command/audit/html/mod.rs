//! An audit as one page: no script, nothing that is loaded from elsewhere, every text escaped.

mod markup;
mod servers;
mod timeline;
mod topology;

use std::fmt::{self, Write as _};
use std::io::{self, Write};

use self::markup::{escaped, escaped_lines};
use crate::command::audit::report::AuditReport;
use crate::findings::report::{FindingEntry, Verdict};
use binlogsec_checks::audit::facts::certificate::CertificateFacts;

const STYLE: &str = include_str!("style.css");

/// Writes the page.
///
/// # Errors
/// What the writer answers.
pub(crate) fn audit(out: &mut dyn Write, report: &AuditReport<'_>) -> io::Result<()> {
    let mut page = String::new();
    // Writing into a string does not fail.
    write_page(&mut page, report).map_err(io::Error::other)?;
    out.write_all(page.as_bytes())
}

fn write_page(page: &mut String, report: &AuditReport<'_>) -> fmt::Result {
    write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <title>Replication audit: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main class=\"page\">\n",
        verdict(report.summary.verdict)
    )?;
    head(page, report)?;
    failures(page, report)?;
    servers::areas(page, report)?;
    ways(page, report)?;
    let directories = report.facts.all_files().filter_map(|files| files.data_directory.as_ref());
    let logs: Vec<_> = directories.map(|directory| &directory.logs).collect();
    timeline::figures(page, &logs)?;
    findings(page, report)?;
    servers::plan(page, &report.plan)?;
    certificates(page, report)?;
    passed(page, report)?;
    page.push_str("</main>\n</body>\n</html>\n");
    Ok(())
}

const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::PartlyExamined => "partly examined",
        Verdict::Fail => "fail",
        Verdict::NothingScanned => "nothing audited",
        Verdict::Incomplete => "incomplete",
    }
}

fn head(page: &mut String, report: &AuditReport<'_>) -> fmt::Result {
    let class = match report.summary.verdict {
        Verdict::Pass => "pass",
        _ => "fail",
    };
    write!(
        page,
        "<header>\n<h1>Replication audit</h1>\n<p class=\"dim\"><time datetime=\"{time}\">{time}</time> · binlogsec {version}</p>\n\
         <p class=\"verdict {class}\" role=\"status\">{text}</p>\n<ul class=\"tiles\">\n",
        time = escaped(&report.time),
        version = env!("CARGO_PKG_VERSION"),
        text = escaped(&report.summary.text),
    )?;
    let counts = &report.summary.findings;
    for (number, noun) in [
        (counts.errors, "errors"),
        (counts.warnings, "warnings"),
        (counts.notes, "notes"),
        (counts.accepted, "accepted"),
        (report.summary.passed_rules, "rules passed"),
    ] {
        writeln!(page, "<li><b>{number}</b>{noun}</li>")?;
    }
    page.push_str("</ul>\n</header>\n");
    Ok(())
}

fn failures(page: &mut String, report: &AuditReport<'_>) -> fmt::Result {
    if report.failures.is_empty() {
        return Ok(());
    }
    page.push_str("<section aria-labelledby=\"failures\">\n<h2 id=\"failures\">Not audited</h2>\n<div class=\"card rule error\"><ul>\n");
    for failure in &report.failures {
        writeln!(page, "<li>{}</li>", escaped(&failure.message))?;
    }
    page.push_str("</ul></div>\n</section>\n");
    Ok(())
}

/// Who replicates from whom: a picture, and the same as a table.
fn ways(page: &mut String, report: &AuditReport<'_>) -> fmt::Result {
    let topology = report.topology;
    if topology.edges.is_empty() {
        return Ok(());
    }
    page.push_str("<section aria-labelledby=\"topology\">\n<h2 id=\"topology\">Who replicates from whom</h2>\n<div class=\"card\">\n");
    topology::figure(page, topology)?;
    servers::cross_table(page, &report.cross_table)?;
    page.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Channels\">\n<table>\n<thead><tr>\
         <th scope=\"col\">Source</th><th scope=\"col\">Replica</th><th scope=\"col\">Channel</th>\
         <th scope=\"col\">In transit</th><th scope=\"col\">Verified</th>\
         <th scope=\"col\">At rest, source</th><th scope=\"col\">At rest, replica</th><th scope=\"col\">Why</th>\
         </tr></thead>\n<tbody>\n",
    );
    let name = |node: usize| {
        let node = topology.nodes.get(node);
        node.map(|node| escaped(&node.label)).unwrap_or_default()
    };
    for edge in &topology.edges {
        let channel =
            if edge.channel.is_empty() { "default".to_owned() } else { escaped(&edge.channel) };
        write!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{channel}</td>",
            name(edge.source),
            name(edge.replica)
        )?;
        for state in [edge.in_transit, edge.verified, edge.source_at_rest, edge.replica_at_rest] {
            let state = state.name();
            write!(page, "<td><span class=\"badge {state}\">{state}</span></td>")?;
        }
        writeln!(page, "<td>{}</td></tr>", escaped(&edge.reasons.join("; ")))?;
    }
    page.push_str("</tbody>\n</table>\n</div>\n</div>\n</section>\n");
    Ok(())
}

fn findings(page: &mut String, report: &AuditReport<'_>) -> fmt::Result {
    page.push_str("<section aria-labelledby=\"findings\">\n<h2 id=\"findings\">Findings</h2>\n");
    if report.findings.is_empty() {
        page.push_str("<p class=\"card\">Nothing was found.</p>\n");
    }
    for group in
        report.findings.chunk_by(|one, other| (one.id, one.severity) == (other.id, other.severity))
    {
        rule(page, group)?;
    }
    page.push_str("</section>\n");
    Ok(())
}

/// All findings of one rule and weight.
fn rule(page: &mut String, group: &[FindingEntry<'_>]) -> fmt::Result {
    let Some(first) = group.first() else {
        return Ok(());
    };
    let (id, severity) = (first.id, first.severity);
    let rule = first.source.rule();
    writeln!(
        page,
        "<article class=\"card rule {severity}\">\n<div class=\"head\"><span class=\"badge {severity}\">{severity}</span>\
         <h3>{id} {}</h3></div>\n<p>{}</p>",
        escaped(first.title),
        prose(rule.risk),
    )?;
    let same = group.iter().all(|finding| finding.remedy == first.remedy);
    for finding in group {
        entry(page, finding, !same)?;
    }
    if same {
        remedy(page, first)?;
    }
    write!(
        page,
        "<p>{}</p>\n<details><summary>What {id} means</summary><p>{}</p></details>\n<ul class=\"chips\" aria-label=\"Controls\">",
        prose(rule.advice),
        prose(rule.meaning)
    )?;
    for control in first.controls {
        write!(page, "<li>{} {}</li>", control.catalogue, control.number)?;
    }
    page.push_str("</ul>\n</article>\n");
    Ok(())
}

fn entry(page: &mut String, finding: &FindingEntry<'_>, with_remedy: bool) -> fmt::Result {
    writeln!(
        page,
        "<div class=\"finding\" data-finding=\"{}\"><div class=\"subject\">{}</div>\n<p>{}</p>",
        finding.id,
        escaped(&finding.subject.to_string()),
        escaped(finding.message)
    )?;
    if let Some(accepted) = finding.accepted {
        writeln!(
            page,
            "<p><span class=\"badge accepted\">accepted until {}</span> {}</p>",
            accepted.expires,
            escaped(&accepted.reason)
        )?;
    }
    if !finding.evidence.is_empty() {
        page.push_str("<ul class=\"evidence\">");
        for evidence in finding.evidence {
            write!(page, "<li>{}</li>", escaped(&evidence.text()))?;
        }
        page.push_str("</ul>\n");
    }
    if with_remedy {
        remedy(page, finding)?;
    }
    page.push_str("</div>\n");
    Ok(())
}

fn remedy(page: &mut String, finding: &FindingEntry<'_>) -> fmt::Result {
    writeln!(page, "<pre><code>{}</code></pre>", escaped_lines(&finding.remedy))
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Text of a rule: what stands in backticks is code.
fn prose(text: &str) -> String {
    let mut html = String::new();
    for (number, part) in text.split('`').enumerate() {
        let part = escaped(part);
        if number % 2 == 1 {
            html.push_str(&format!("<code>{part}</code>"));
        } else {
            html.push_str(&part);
        }
    }
    html
}

fn certificates(page: &mut String, report: &AuditReport<'_>) -> fmt::Result {
    let certificates: Vec<&CertificateFacts> =
        report.facts.all_files().flat_map(|files| &files.certificates).collect();
    if certificates.is_empty() {
        return Ok(());
    }
    page.push_str(
        "<section aria-labelledby=\"certificates\">\n<h2 id=\"certificates\">Certificates</h2>\n\
         <div class=\"card scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Certificates\"><table>\n<thead><tr><th scope=\"col\">File</th>\
         <th scope=\"col\">Subject</th><th scope=\"col\">Valid until</th><th scope=\"col\">Key</th>\
         <th scope=\"col\">Signature</th><th scope=\"col\">Names</th></tr></thead>\n<tbody>\n",
    );
    for facts in certificates {
        let path = escaped(&binlogsec_core::text::path_text::text(&facts.path));
        let Some(certificate) = &facts.certificate else {
            let problem = facts.problem.as_deref().unwrap_or_default();
            writeln!(page, "<tr><td>{path}</td><td colspan=\"5\">{}</td></tr>", escaped(problem))?;
            continue;
        };
        let end = jiff::Timestamp::from_second(certificate.not_after)
            .map(|time| time.to_string())
            .unwrap_or_default();
        writeln!(
            page,
            "<tr><td>{path}</td><td>{}</td><td>{}</td><td>{} {}</td><td>{}</td><td>{}</td></tr>",
            escaped(&certificate.subject),
            end.get(..10).unwrap_or_default(),
            escaped(&certificate.key_algorithm),
            certificate.key_bits,
            escaped(&certificate.signature),
            escaped(&certificate.names.join(", ")),
        )?;
    }
    page.push_str("</tbody>\n</table></div>\n</section>\n");
    Ok(())
}

fn passed(page: &mut String, report: &AuditReport<'_>) -> fmt::Result {
    let view = report.view();
    let passed: Vec<_> = view
        .rules
        .iter()
        .filter(|rule| report.findings.iter().all(|it| it.id != rule.code))
        .collect();
    if passed.is_empty() {
        return Ok(());
    }
    page.push_str("<section aria-labelledby=\"passed\">\n<h2 id=\"passed\">Rules without a finding</h2>\n<div class=\"card\"><p class=\"dim\">None of this was the case:</p><ul class=\"columns\">\n");
    for rule in passed {
        writeln!(page, "<li>{} {}</li>", rule.code, escaped(rule.title))?;
    }
    page.push_str("</ul></div>\n</section>\n");
    Ok(())
}
