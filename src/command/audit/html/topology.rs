//! Who replicates from whom, as a picture: sources to the left of their replicas.

use std::fmt::{self, Write};

use super::markup::{escaped, shortened};
use binlogsec_checks::audit::topology::{Edge, State, Topology};

const BOX_WIDTH: usize = 220;
const BOX_HEIGHT: usize = 58;
const COLUMN: usize = 400;
const ROW: usize = 96;
const MARGIN: usize = 12;
/// Room below for ways that lead back.
const LOOP_ROOM: usize = 70;
const LABEL_LENGTH: usize = 27;

/// Writes the picture with its caption.
pub(super) fn figure(page: &mut String, topology: &Topology) -> fmt::Result {
    let places = places(topology);
    let at_most = |axis: fn(&Place) -> usize| places.iter().map(axis).max().unwrap_or(0);
    let width = at_most(|place| place.x).saturating_add(BOX_WIDTH + MARGIN);
    let back = topology.edges.iter().any(|edge| leads_back(edge, &places));
    let height = at_most(|place| place.y)
        .saturating_add(BOX_HEIGHT + MARGIN)
        .saturating_add(if back { LOOP_ROOM } else { 0 });
    write!(
        page,
        "<figure>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Topology\">\n\
         <svg role=\"img\" aria-labelledby=\"topology-title\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
         <title id=\"topology-title\">{}</title>\n<defs>",
        escaped(&description(topology))
    )?;
    for state in [State::Yes, State::No, State::Unknown] {
        let state = state.name();
        write!(
            page,
            "<marker id=\"head-{state}\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto-start-reverse\"><path class=\"head {state}\" d=\"M0 0L10 5L0 10z\"/></marker>"
        )?;
    }
    page.push_str("</defs>\n");
    for (number, edge) in topology.edges.iter().enumerate() {
        let earlier = topology.edges.iter().take(number);
        let parallel = earlier
            .filter(|other| (other.source, other.replica) == (edge.source, edge.replica))
            .count();
        way(page, edge, &places, parallel)?;
    }
    for (node, place) in topology.nodes.iter().zip(&places) {
        server(page, &node.label, node.at_rest, place)?;
    }
    page.push_str(
        "</svg>\n</div>\n<figcaption>Solid: private from end to end. Dashed: not private. Dotted: not known. \
         The bar of a server is its encryption at rest.</figcaption>\n</figure>\n",
    );
    Ok(())
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    x: usize,
    y: usize,
}

impl Place {
    const fn middle(self) -> usize {
        self.y.saturating_add(BOX_HEIGHT / 2)
    }
}

/// Columns by distance from a server without a source; rows in order.
fn places(topology: &Topology) -> Vec<Place> {
    let count = topology.nodes.len();
    let mut depths = vec![0_usize; count];
    // A longer path than there are servers is a circle.
    for _ in 0..count {
        for edge in &topology.edges {
            let deeper = depths.get(edge.source).copied().unwrap_or(0).saturating_add(1);
            match depths.get_mut(edge.replica) {
                Some(depth) if *depth < deeper && deeper < count => *depth = deeper,
                _ => {}
            }
        }
    }
    // Circles push each other to the right: close the gaps.
    let mut used: Vec<_> = depths.clone();
    used.sort_unstable();
    used.dedup();
    let mut rows = vec![0_usize; used.len()];
    depths
        .iter()
        .map(|depth| {
            let column = used.binary_search(depth).unwrap_or(0);
            let row = rows.get_mut(column);
            let y = row.as_ref().map_or(0, |row| **row);
            if let Some(row) = row {
                *row = row.saturating_add(1);
            }
            Place {
                x: column.saturating_mul(COLUMN).saturating_add(MARGIN),
                y: y.saturating_mul(ROW).saturating_add(MARGIN),
            }
        })
        .collect()
}

fn ends(edge: &Edge, places: &[Place]) -> Option<(Place, Place)> {
    Some((*places.get(edge.source)?, *places.get(edge.replica)?))
}

fn leads_back(edge: &Edge, places: &[Place]) -> bool {
    ends(edge, places).is_some_and(|(from, to)| to.x <= from.x)
}

fn way(page: &mut String, edge: &Edge, places: &[Place], parallel: usize) -> fmt::Result {
    let Some((from, to)) = ends(edge, places) else {
        return Ok(());
    };
    let state = edge.private().name();
    let shift = parallel.saturating_mul(16);
    let (path, x, y) = if leads_back(edge, places) {
        let (x1, x2) =
            (from.x.saturating_add(BOX_WIDTH / 2 + 20), to.x.saturating_add(BOX_WIDTH / 2 - 20));
        let (y1, y2) = (from.y.saturating_add(BOX_HEIGHT), to.y.saturating_add(BOX_HEIGHT));
        let low = y1.max(y2).saturating_add(LOOP_ROOM - 8).saturating_add(shift);
        (
            format!("M{x1} {y1}C{x1} {low} {x2} {low} {x2} {y2}"),
            x1.saturating_add(x2) / 2,
            y1.max(y2).saturating_add(LOOP_ROOM - 18),
        )
    } else {
        let (x1, y1) = (from.x.saturating_add(BOX_WIDTH), from.middle().saturating_add(shift));
        let (x2, y2) = (to.x, to.middle().saturating_add(shift));
        let half = x1.saturating_add(x2) / 2;
        (
            format!("M{x1} {y1}C{half} {y1} {half} {y2} {x2} {y2}"),
            half,
            (y1.saturating_add(y2) / 2).saturating_sub(8),
        )
    };
    writeln!(
        page,
        "<g><title>{}</title><path class=\"edge {state}\" d=\"{path}\" marker-end=\"url(#head-{state})\"/>\
         <text class=\"label {state}\" x=\"{x}\" y=\"{y}\">{}</text></g>",
        escaped(&edge.reasons.join("; ")),
        escaped(&label(edge))
    )
}

/// What the way itself is like, in two words; its ends have their own bars.
fn label(edge: &Edge) -> String {
    let transit = match (edge.in_transit, edge.verified) {
        (State::No, _) => "no TLS",
        (State::Yes, State::Yes) => "TLS, verified",
        (State::Yes, State::No) => "TLS, not verified",
        (State::Yes, State::Unknown) => "TLS",
        (State::Unknown, _) => "TLS not known",
    };
    if edge.channel.is_empty() {
        transit.to_owned()
    } else {
        format!("{}: {transit}", shortened(&edge.channel, 14))
    }
}

fn server(page: &mut String, label: &str, at_rest: State, place: &Place) -> fmt::Result {
    let Place { x, y } = *place;
    let state = at_rest.name();
    let words = match at_rest {
        State::Yes => "encrypted at rest",
        State::No => "not encrypted at rest",
        State::Unknown => "at rest: not known",
    };
    let text_x = x.saturating_add(18);
    writeln!(
        page,
        "<g><title>{}</title><rect class=\"box\" x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"8\"/>\
         <rect class=\"strip {state}\" x=\"{x}\" y=\"{y}\" width=\"7\" height=\"{BOX_HEIGHT}\" rx=\"3\"/>\
         <text x=\"{text_x}\" y=\"{}\">{}</text><text class=\"small\" x=\"{text_x}\" y=\"{}\">{words}</text></g>",
        escaped(label),
        y.saturating_add(25),
        escaped(&shortened(label, LABEL_LENGTH)),
        y.saturating_add(43),
    )
}

/// The picture in words, for who cannot see it.
fn description(topology: &Topology) -> String {
    let name = |node: usize| topology.nodes.get(node).map_or("", |node| &node.label);
    let ways: Vec<_> = topology
        .edges
        .iter()
        .map(|edge| {
            let state = match edge.private() {
                State::Yes => "private",
                State::No => "not private",
                State::Unknown => "not known to be private",
            };
            format!("{} replicates from {} ({state})", name(edge.replica), name(edge.source))
        })
        .collect();
    ways.join("; ")
}
