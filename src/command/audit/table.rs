//! The text of `binlogsec audit`.

use std::io;

use anstyle::Style;

use crate::command::audit::report::AuditReport;
use crate::findings::report::Verdict;
use crate::findings::table::findings;
use crate::lines::{BAD, DIM, GOOD, WARN};
use crate::table::{self, Cell, printable};
use crate::terminal::{Page, sentence};
use binlogsec_checks::audit::areas::{self, AreaResult};
use binlogsec_checks::audit::topology::{Edge, State, Topology};

/// Findings by kind, who replicates from whom, and a line with the verdict at the end.
///
/// # Errors
/// What the writer answers.
pub(crate) fn audit(out: &mut dyn Page, report: &AuditReport<'_>) -> io::Result<()> {
    findings(out, &report.findings)?;
    if !report.topology.edges.is_empty() {
        tree(out, report.topology)?;
        edges(out, report.topology)?;
    }
    super::logs::logs(out, report)?;
    areas(out, report.areas)?;
    let style = match report.summary.verdict {
        Verdict::Pass => GOOD,
        Verdict::PartlyExamined => WARN,
        _ => BAD,
    };
    sentence(out, format_args!("{style}{}{style:#}", printable(&report.summary.text)))
}

/// A line for each server: what each of its areas comes to.
fn areas(out: &mut dyn Page, areas: &[AreaResult]) -> io::Result<()> {
    let mut servers: Vec<&str> = areas.iter().map(|area| &*area.server).collect();
    servers.dedup();
    if servers.is_empty() {
        return Ok(());
    }
    let cell = |area: &AreaResult| {
        let words = match area.result {
            State::Unknown => "not examined",
            state => state.name(),
        };
        Cell::new(words).styled(style(area.result))
    };
    let rows: Vec<_> = servers
        .into_iter()
        .map(|server| {
            let own = areas.iter().filter(|area| area.server == server).map(cell);
            std::iter::once(Cell::new(printable(server))).chain(own).collect()
        })
        .collect();
    let names: Vec<_> = areas::ALL.iter().map(|area| area.name().to_uppercase()).collect();
    let headings: Vec<_> =
        std::iter::once("SERVER").chain(names.iter().map(String::as_str)).collect();
    table::write(out, &headings, &rows)?;
    writeln!(out)
}

const fn style(state: State) -> Style {
    match state {
        State::Yes => GOOD,
        State::No => BAD,
        State::Unknown => WARN,
    }
}

fn name(topology: &Topology, node: usize) -> String {
    let node = topology.nodes.get(node);
    node.map(|node| printable(&node.label)).unwrap_or_default()
}

/// Every server below its source. In a circle, each server is shown once with its replicas.
fn tree(out: &mut dyn Page, topology: &Topology) -> io::Result<()> {
    let mut shown = vec![false; topology.nodes.len()];
    let is_replica = |node: usize| topology.edges.iter().any(|edge| edge.replica == node);
    let roots = (0..topology.nodes.len()).filter(|node| !is_replica(*node));
    for root in roots.chain(0..topology.nodes.len()) {
        if shown.get(root) == Some(&false) {
            sentence(out, format_args!("{}", name(topology, root)))?;
            branches(out, topology, root, "", &mut shown)?;
        }
    }
    writeln!(out)
}

fn branches(
    out: &mut dyn Page,
    topology: &Topology,
    source: usize,
    indent: &str,
    shown: &mut [bool],
) -> io::Result<()> {
    match shown.get_mut(source) {
        Some(seen) if !*seen => *seen = true,
        _ => return Ok(()),
    }
    let edges: Vec<_> = topology.edges.iter().filter(|edge| edge.source == source).collect();
    for (number, edge) in edges.iter().enumerate() {
        let last = number.saturating_add(1) == edges.len();
        let (branch, deeper) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let replica = name(topology, edge.replica);
        let state = edge.private();
        let (style, words) = (style(state), private(edge));
        sentence(out, format_args!("{indent}{branch}{replica}  {style}{words}{style:#}"))?;
        branches(out, topology, edge.replica, &format!("{indent}{deeper}"), shown)?;
    }
    Ok(())
}

fn private(edge: &Edge) -> String {
    let words = match edge.private() {
        State::Yes => return "private".to_owned(),
        State::No => "not private",
        State::Unknown => "not known to be private",
    };
    let reasons = printable(&edge.reasons.join("; "));
    if reasons.is_empty() { words.to_owned() } else { format!("{words}: {reasons}") }
}

fn edges(out: &mut dyn Page, topology: &Topology) -> io::Result<()> {
    let state = |state: State| Cell::new(state.name()).styled(style(state));
    let rows: Vec<_> = topology
        .edges
        .iter()
        .map(|edge| {
            let channel = Some(&edge.channel).filter(|channel| !channel.is_empty());
            vec![
                Cell::new(name(topology, edge.source)),
                Cell::new(name(topology, edge.replica)),
                Cell::or_dash(channel),
                state(edge.in_transit),
                state(edge.verified),
                state(edge.source_at_rest),
                state(edge.replica_at_rest),
            ]
        })
        .collect();
    let headings = [
        "SOURCE",
        "REPLICA",
        "CHANNEL",
        "IN TRANSIT",
        "VERIFIED",
        "AT REST (SOURCE)",
        "AT REST (REPLICA)",
    ];
    table::write(out, &headings, &rows)?;
    writeln!(out, "{DIM}yes, no, or not known{DIM:#}\n")
}
