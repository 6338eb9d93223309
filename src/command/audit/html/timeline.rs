//! Logs by key generation, as pictures: a column for each log, a lane for each key.

use std::collections::BTreeSet;
use std::fmt::{self, Write};
use std::path::Path;

use super::markup::{escaped, shortened};
use binlogsec_checks::check::Facts;
use binlogsec_checks::check::facts::{LogFacts, LogStatus};
use binlogsec_core::text::path_text;

const WIDTH: usize = 980;
const LABELS: usize = 190;
const LANE: usize = 26;
/// Beyond, a column stands for several logs.
const MOST_COLUMNS: usize = 390;
/// Wider columns than this look like blocks.
const WIDEST: usize = 22;
/// Series that are shown, of those with most logs.
const MOST_SERIES: usize = 8;

/// What a log is under, in the order of lanes from top to bottom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Plain,
    Undetermined,
    /// Encrypted without a generation: MariaDB's.
    Encrypted,
    Generation(u32, String),
}

impl Lane {
    fn of(log: &LogFacts) -> Self {
        match (log.status, &log.encryption) {
            (LogStatus::Plain | LogStatus::Refuted, _) => Self::Plain,
            (LogStatus::Undetermined, _) => Self::Undetermined,
            (_, Some(encryption)) => match encryption.key_seqno {
                Some(number) => {
                    let uuid = encryption.server_uuid.as_deref().unwrap_or_default();
                    Self::Generation(number, uuid.to_owned())
                }
                None => Self::Encrypted,
            },
            (_, None) => Self::Encrypted,
        }
    }

    fn label(&self) -> String {
        match self {
            Self::Plain => "plaintext".to_owned(),
            Self::Undetermined => "undetermined".to_owned(),
            Self::Encrypted => "encrypted".to_owned(),
            Self::Generation(number, uuid) => {
                let server = uuid.split('-').next().unwrap_or_default();
                format!("key {number} of {server}")
            }
        }
    }

    const fn class(&self) -> &'static str {
        match self {
            Self::Plain => "cell plain",
            Self::Undetermined => "cell undetermined",
            Self::Encrypted | Self::Generation(..) => "cell",
        }
    }
}

/// Writes a picture for each series of logs, of all data directories.
pub(super) fn figures(page: &mut String, directories: &[&Facts]) -> fmt::Result {
    let logs = directories.iter().map(|facts| &*facts.logs);
    let mut series: Vec<_> = logs
        .flat_map(|logs| logs.chunk_by(|one, other| series_of(one) == series_of(other)))
        .collect();
    if series.is_empty() {
        return Ok(());
    }
    series.sort_by_key(|logs| std::cmp::Reverse(logs.len()));
    page.push_str(
        "<section aria-labelledby=\"logs\">\n<h2 id=\"logs\">Logs by key generation</h2>\n",
    );
    for logs in series.iter().take(MOST_SERIES) {
        figure(page, logs)?;
    }
    let hidden = series.len().saturating_sub(MOST_SERIES);
    if hidden > 0 {
        writeln!(page, "<p class=\"dim\">And {hidden} more series of logs.</p>")?;
    }
    page.push_str("</section>\n");
    Ok(())
}

fn series_of(log: &LogFacts) -> (&Path, String) {
    let name = name_of(log);
    let base = name.split_once('.').map_or(&*name, |(base, _)| base);
    (log.path.directory(), base.to_owned())
}

fn figure(page: &mut String, logs: &[LogFacts]) -> fmt::Result {
    let name = |log: Option<&LogFacts>| log.map(name_of).unwrap_or_default();
    let lanes: Vec<_> = logs.iter().map(Lane::of).collect();
    // The newest key on top, plaintext at the bottom.
    let rows: Vec<_> = lanes.iter().collect::<BTreeSet<_>>().into_iter().rev().collect();
    let height = rows.len().saturating_mul(LANE).saturating_add(24);
    let (first, last) = (name(logs.first()), name(logs.last()));
    let counts: Vec<_> = rows
        .iter()
        .map(|row| {
            let count = lanes.iter().filter(|lane| lane == row).count();
            format!("{}: {count}", row.label())
        })
        .collect();
    let words = counts.join(", ");
    write!(
        page,
        "<figure class=\"card\">\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Logs {first} to {last}\">\n\
         <svg role=\"img\" aria-label=\"{words}\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\">\n",
        first = escaped(&first),
        last = escaped(&last),
        words = escaped(&words),
    )?;
    for (number, row) in rows.iter().enumerate() {
        let y = number.saturating_mul(LANE);
        writeln!(
            page,
            "<line class=\"lane\" x1=\"{LABELS}\" x2=\"{WIDTH}\" y1=\"{line}\" y2=\"{line}\"/>\
             <text x=\"0\" y=\"{text}\">{}</text>",
            escaped(&row.label()),
            line = y.saturating_add(LANE).saturating_sub(3),
            text = y.saturating_add(LANE / 2 + 4),
        )?;
    }
    cells(page, logs, &lanes, &rows)?;
    let directory = logs.first().map(|log| path_text::text(log.path.directory()));
    writeln!(
        page,
        "<text class=\"small\" x=\"{LABELS}\" y=\"{y}\">{start}</text></svg>\n</div>\n\
         <figcaption>{directory}: {first} to {last}, {count} ({words})</figcaption>\n</figure>",
        y = height.saturating_sub(6),
        start = escaped(&shortened(&first, 30)),
        directory = escaped(&directory.unwrap_or_default()),
        first = escaped(&first),
        last = escaped(&last),
        count = super::plural(logs.len(), "log"),
        words = escaped(&words),
    )
}

fn name_of(log: &LogFacts) -> String {
    path_text::text(Path::new(log.path.name()))
}

/// A cell for each log, or for several where there are too many.
fn cells(page: &mut String, logs: &[LogFacts], lanes: &[Lane], rows: &[&Lane]) -> fmt::Result {
    let columns = logs.len().clamp(1, MOST_COLUMNS);
    let room = WIDTH.saturating_sub(LABELS);
    let step = room.checked_div(columns).unwrap_or(1).clamp(1, WIDEST);
    let mut drawn = BTreeSet::new();
    for (index, (lane, log)) in lanes.iter().zip(logs).enumerate() {
        let column = index.saturating_mul(columns).checked_div(logs.len());
        let column = column.unwrap_or(0);
        let row = rows.iter().position(|row| *row == lane).unwrap_or(0);
        if !drawn.insert((row, column)) {
            continue;
        }
        writeln!(
            page,
            "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}</title></rect>",
            lane.class(),
            LABELS.saturating_add(column.saturating_mul(step)),
            row.saturating_mul(LANE).saturating_add(4),
            step.saturating_sub(1).max(1),
            LANE.saturating_sub(9),
            escaped(&name_of(log)),
        )?;
    }
    Ok(())
}
