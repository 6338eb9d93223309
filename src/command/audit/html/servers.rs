//! What each server comes to: its areas, who replicates from whom as a table, and its plan.

use std::fmt::{self, Write};

use super::markup::{escaped, escaped_lines};
use crate::command::audit::report::AuditReport;
use binlogsec_checks::audit::areas;
use binlogsec_checks::audit::plan::Step;
use binlogsec_checks::audit::topology::{CrossTable, State};
use binlogsec_checks::finding::rules::Language;

/// A row for each server, a column for each area.
pub(super) fn areas(page: &mut String, report: &AuditReport<'_>) -> fmt::Result {
    let mut servers: Vec<&str> = report.areas.iter().map(|area| &*area.server).collect();
    servers.dedup();
    if servers.is_empty() {
        return Ok(());
    }
    page.push_str(
        "<section aria-labelledby=\"areas\">\n<h2 id=\"areas\">Servers</h2>\n\
         <div class=\"card scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Areas\"><table>\n<thead><tr><th scope=\"col\">Server</th>",
    );
    for area in areas::ALL {
        write!(page, "<th scope=\"col\">{}</th>", escaped(area.name()))?;
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for server in servers {
        write!(page, "<tr><th scope=\"row\">{}</th>", escaped(server))?;
        for area in report.areas.iter().filter(|area| area.server == server) {
            let (state, words) = words(area.result);
            let why = escaped(&area.because.join("; "));
            write!(page, "<td title=\"{why}\"><span class=\"badge {state}\">{words}</span></td>")?;
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table></div>\n</section>\n");
    Ok(())
}

const fn words(state: State) -> (&'static str, &'static str) {
    match state {
        State::Yes => ("yes", "yes"),
        State::No => ("no", "no"),
        State::Unknown => ("unknown", "not examined"),
    }
}

/// Sources down, replicas across: whether the way between them is private.
pub(super) fn cross_table(page: &mut String, table: &CrossTable) -> fmt::Result {
    if table.rows.is_empty() {
        return Ok(());
    }
    page.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Private from source to replica\">\n\
         <table data-cross-table>\n<caption>Private from source (down) to replica (across)</caption>\n<thead><tr><th scope=\"col\">Source</th>",
    );
    for replica in &table.replicas {
        write!(page, "<th scope=\"col\">{}</th>", escaped(replica))?;
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for (source, cells) in table.sources.iter().zip(&table.rows) {
        write!(page, "<tr><th scope=\"row\">{}</th>", escaped(source))?;
        for cell in cells {
            match cell {
                None => page.push_str("<td>–</td>"),
                Some(state) => {
                    let state = state.name();
                    write!(page, "<td><span class=\"badge {state}\">{state}</span></td>")?;
                }
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n</div>\n");
    Ok(())
}

/// The plan, a list for each server; the numbers are those of the whole.
pub(super) fn plan(page: &mut String, steps: &[Step]) -> fmt::Result {
    if steps.is_empty() {
        return Ok(());
    }
    page.push_str(
        "<section aria-labelledby=\"plan\">\n<h2 id=\"plan\">Plan</h2>\n<p class=\"dim\">The numbers are an order over all servers: \
         each step finds what it needs when those before it are done.</p>\n",
    );
    let mut servers: Vec<&str> = Vec::new();
    for step in steps {
        if !servers.contains(&&*step.server) {
            servers.push(&step.server);
        }
    }
    for server in servers {
        let own: Vec<_> = steps.iter().filter(|step| step.server == server).collect();
        writeln!(
            page,
            "<details class=\"card\"><summary>{}: {}</summary>\n<ol>",
            escaped(server),
            super::plural(own.len(), "step")
        )?;
        for step in own {
            entry(page, step)?;
        }
        page.push_str("</ol></details>\n");
    }
    page.push_str("</section>\n");
    Ok(())
}

fn entry(page: &mut String, step: &Step) -> fmt::Result {
    let language = match step.language {
        Language::Shell => "shell",
        Language::Sql => "SQL",
        Language::Options => "option file",
    };
    let role = if step.role.is_empty() { String::new() } else { format!(" ({})", step.role) };
    writeln!(
        page,
        "<li value=\"{}\">{language} at {}{role}: {} {}",
        step.number,
        escaped(&step.place),
        step.rules.join(", "),
        escaped(step.title)
    )?;
    let notes = step
        .effect
        .into_iter()
        .chain(step.placeholder.then_some("has a PLACEHOLDER: put in what is yours first"));
    for note in notes {
        writeln!(page, "<p class=\"dim\">{}</p>", escaped(note))?;
    }
    writeln!(page, "<pre><code>{}</code></pre></li>", escaped_lines(&step.text))
}
