//! The listing of `binlogsec events`, line by line.

use std::borrow::Cow;
use std::io::{self, Write};

use anstyle::Style;
use binlogsec_core::bytes::put_number;
use binlogsec_core::event::event_type;
use binlogsec_core::event::gtid::TransactionId;
use binlogsec_core::read::events::{EventRecord, Summary};
use binlogsec_core::text::unseen::is_harmless;

use crate::command::events::report::{EventTexts, Micros};
use crate::lines::{BAD, DIM, GOOD, PLAIN};
use crate::table::printable;

/// Terminals with fewer columns get short lines.
const WIDE: usize = 100;
/// The columns before the summary in a wide line and in a short one.
const BEFORE: (usize, usize) = (80, 37);
/// Columns of the type in a short line.
const SHORT_TYPE: usize = 11;
/// So much of a statement is shown, however narrow the terminal is.
const LEAST_SHOWN: usize = 20;

/// How lines are laid out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) colour: bool,
    /// Columns of the terminal; `None` where there is none.
    pub(crate) columns: Option<usize>,
    /// Whether all is shown that there is.
    pub(crate) full: bool,
    /// Whether the log stands in each line, and not above them.
    pub(crate) is_prefixed: bool,
}

impl Layout {
    /// Without the year, the size and the server.
    fn is_short(self) -> bool {
        self.columns.is_some_and(|columns| columns < WIDE)
    }

    /// Characters of a statement that have room.
    fn room(self) -> usize {
        let before = if self.is_short() { BEFORE.1 } else { BEFORE.0 };
        match self.columns.filter(|_| !self.full) {
            Some(columns) => columns.saturating_sub(before).max(LEAST_SHOWN),
            None => usize::MAX,
        }
    }
}

/// What stands above the events of a log.
///
/// # Errors
/// What the writer answers.
pub(crate) fn events_head(out: &mut dyn Write, path: &str, layout: Layout) -> io::Result<()> {
    let style = if layout.colour { DIM } else { PLAIN };
    writeln!(out, "{style}{}{style:#}", printable(path))?;
    if layout.is_short() {
        let [position, time, kind] = ["POSITION", "TIME (UTC)", "TYPE"];
        return writeln!(out, "{position:>9} {time:<14} {kind:<SHORT_TYPE$} SUMMARY");
    }
    writeln!(
        out,
        "{:>12}  {:<19}  {:<20} {:>10}  {:>10}  SUMMARY",
        "POSITION", "TIME (UTC)", "TYPE", "SIZE", "SERVER"
    )
}

/// Makes the lines of a log's events.
pub(crate) struct EventLines {
    layout: Layout,
    is_short: bool,
    texts: EventTexts,
    columns: Columns,
}

impl EventLines {
    pub(crate) fn new(layout: Layout) -> Self {
        let (texts, columns) = (EventTexts::default(), Columns::default());
        Self { layout, is_short: layout.is_short(), texts, columns }
    }

    /// Appends one event as a line; one inside a payload stands to the right of where the others begin.
    pub(crate) fn event(&mut self, out: &mut Vec<u8>, record: &EventRecord<'_>) {
        let kind = event_type::name(record.event_type);
        let colour = self.layout.colour;
        if self.is_short {
            let time = self.texts.time(record.timestamp);
            short_columns(out, (record, &kind, time), style(record, colour));
        } else {
            let columns = self.columns.of(record, &kind, &mut self.texts).filter(|_| !colour);
            match columns {
                Some(columns) => out.extend_from_slice(columns),
                None => {
                    let time = self.texts.time(record.timestamp);
                    columns_by_hand(out, (record, &kind, time), style(record, colour));
                }
            }
        }
        if self.layout.full {
            details(out, record);
        }
        self.summary(out, record, &kind);
        out.push(b'\n');
    }

    fn summary(&mut self, out: &mut Vec<u8>, record: &EventRecord<'_>, kind: &str) {
        match &record.summary {
            Summary::Damaged => out.extend_from_slice(b"damaged: its checksum is wrong"),
            Summary::Unreadable => out.extend_from_slice(b"its body cannot be read"),
            Summary::Table { name, .. } => table(out, &name.database, &name.table),
            Summary::Rows { name: Some(name), rows, .. } => {
                table(out, &name.database, &name.table);
                count(out, *rows);
            }
            Summary::Rows { name: None, table_id, .. } => {
                out.extend_from_slice(b"table ");
                number(out, *table_id, 0);
                out.extend_from_slice(b", whose map was not read");
            }
            Summary::Query { database, statement, cut, .. } => {
                self.query(out, database, (statement, *cut));
            }
            Summary::RowsQuery { statement, cut } => self.query(out, "", (statement, *cut)),
            Summary::Variable(text) => one_line(out, text, self.layout.room(), false),
            Summary::Rotate { next_log, .. } => {
                out.extend_from_slice(b"next: ");
                visible(out, next_log);
            }
            Summary::PreviousGtids(set) => previous(out, &set.to_string()),
            Summary::GtidList(list) => previous(out, &list.to_string()),
            Summary::Payload { compressed: Some(compressed), uncompressed: Some(unfolded) } => {
                number(out, *compressed, 0);
                out.extend_from_slice(b" bytes hold ");
                number(out, *unfolded, 0);
            }
            Summary::Description(version) => {
                out.extend_from_slice(b"server ");
                visible(out, version);
            }
            Summary::Xid(xid) => {
                out.extend_from_slice(b"xid ");
                number(out, *xid, 0);
            }
            Summary::Transaction { .. } | Summary::Nothing | Summary::Payload { .. } => {
                if let Some(id) = record.transaction.as_deref().filter(|_| kind.contains("GTID")) {
                    self.transaction(out, id);
                }
            }
        }
    }

    fn transaction(&mut self, out: &mut Vec<u8>, id: &TransactionId) {
        match id {
            TransactionId::Gtid(gtid) => {
                out.extend_from_slice(self.texts.prefix(&gtid.tsid).as_bytes());
                number(out, gtid.number, 0);
            }
            TransactionId::Anonymous => out.extend_from_slice(b"anonymous"),
            TransactionId::Mariadb { domain, server_id, sequence } => {
                number(out, u64::from(*domain), 0);
                out.push(b'-');
                number(out, u64::from(*server_id), 0);
                out.push(b'-');
                number(out, *sequence, 0);
            }
        }
    }

    fn query(&self, out: &mut Vec<u8>, database: &str, (statement, cut): (&str, bool)) {
        let mut room = self.layout.room();
        if !database.is_empty() {
            out.push(b'[');
            visible(out, database);
            out.extend_from_slice(b"] ");
            let taken = database.chars().count().saturating_add(3);
            room = room.saturating_sub(taken).max(LEAST_SHOWN);
        }
        one_line(out, statement, room.max(LEAST_SHOWN), cut);
    }
}

/// The columns before the summary where each has room for its text, as nearly always: made in one
/// piece, which takes a fourth of the time of one after the other. What the last line had is kept.
struct Columns {
    row: [u8; 80],
    /// Whose time is in it.
    timestamp: Option<u32>,
    /// Which server's number is in it.
    server_id: Option<u32>,
}

impl Default for Columns {
    fn default() -> Self {
        Self { row: [b' '; 80], timestamp: None, server_id: None }
    }
}

impl Columns {
    fn of(
        &mut self,
        record: &EventRecord<'_>,
        kind: &str,
        texts: &mut EventTexts,
    ) -> Option<&[u8; 80]> {
        if self.timestamp != Some(record.timestamp) {
            self.timestamp = None;
            put_time(self.row.get_mut(14..33)?, texts.time(record.timestamp))?;
            self.timestamp = Some(record.timestamp);
        }
        if self.server_id != Some(record.server_id) {
            self.server_id = None;
            let place = self.row.get_mut(68..78)?;
            place.fill(b' ');
            put_number(place, u64::from(record.server_id))?;
            self.server_id = Some(record.server_id);
        }
        let position = self.row.first_chunk_mut::<12>()?;
        *position = [b' '; 12];
        put_number(position, record.position)?;
        let place = self.row.get_mut(35..55)?;
        place.fill(b' ');
        let start = if record.inner_offset.is_some() { 2 } else { 0 };
        let place = place.get_mut(start..)?.get_mut(..kind.len())?;
        place.copy_from_slice(kind.as_bytes());
        let place = self.row.get_mut(56..66)?;
        place.fill(b' ');
        put_number(place, u64::from(record.size))?;
        Some(&self.row)
    }
}

/// A time as it is in most logs, with a blank in its middle.
fn put_time(place: &mut [u8], time: &str) -> Option<()> {
    const SECONDS: usize = 19;
    let (seconds, zone) = time.as_bytes().split_first_chunk::<SECONDS>()?;
    (zone.len() == 1).then_some(())?;
    place.copy_from_slice(seconds);
    *place.get_mut(10)? = b' ';
    Some(())
}

const fn style(record: &EventRecord<'_>, colour: bool) -> Style {
    match record.summary {
        _ if !colour => PLAIN,
        Summary::Damaged | Summary::Unreadable => BAD,
        Summary::Xid(_) => GOOD,
        _ => PLAIN,
    }
}

/// An event, the name of its type, and its time.
type Named<'r> = (&'r EventRecord<'r>, &'r Cow<'static, str>, &'r str);

/// The columns of a short line: `198 11-20 22:38:59 GTID        `.
fn short_columns(out: &mut Vec<u8>, (record, name, time): Named<'_>, style: Style) {
    number(out, record.position, 9);
    out.push(b' ');
    let start = out.len();
    out.extend_from_slice(time.trim_end_matches('Z').get(5..).unwrap_or_default().as_bytes());
    for byte in out.iter_mut().skip(start).filter(|byte| **byte == b'T') {
        *byte = b' ';
    }
    fill(out, start, 14);
    out.push(b' ');
    let indent = if record.inner_offset.is_some() { 2 } else { 0 };
    let name = beginning(name, SHORT_TYPE.saturating_sub(indent));
    kind(out, (record, &name), style, SHORT_TYPE);
    out.push(b' ');
}

/// A name, or as much of its beginning as has room: its first letters tell which one it is, and what stands
/// to the right of it stays in its column.
fn beginning(name: &str, room: usize) -> Cow<'_, str> {
    let beginning = name.get(..room.saturating_sub(1)).filter(|_| name.len() > room);
    beginning.map_or(Cow::Borrowed(name), |beginning| Cow::Owned(format!("{beginning}…")))
}

/// The type, to the right of where the others begin for an event inside of a payload.
fn kind(out: &mut Vec<u8>, (record, name): (&EventRecord<'_>, &str), style: Style, width: usize) {
    let styled = style != PLAIN;
    if styled {
        let _ = write!(out, "{style}");
    }
    let start = out.len();
    out.extend_from_slice(if record.inner_offset.is_some() { b"  " } else { b"" });
    out.extend_from_slice(name.as_bytes());
    fill(out, start, width);
    if styled {
        let _ = write!(out, "{style:#}");
    }
}

/// The columns with colour, and with such as are wider than they should be.
fn columns_by_hand(out: &mut Vec<u8>, (record, name, time): Named<'_>, style: Style) {
    number(out, record.position, 12);
    out.extend_from_slice(b"  ");
    let start = out.len();
    out.extend_from_slice(time.trim_end_matches('Z').as_bytes());
    for byte in out.iter_mut().skip(start).filter(|byte| **byte == b'T') {
        *byte = b' ';
    }
    fill(out, start, 19);
    out.extend_from_slice(b"  ");
    kind(out, (record, name), style, 20);
    out.push(b' ');
    number(out, u64::from(record.size), 10);
    out.extend_from_slice(b"  ");
    number(out, u64::from(record.server_id), 10);
    out.extend_from_slice(b"  ");
}

/// Blanks, so that what began at `start` takes at least `width` places. All of it is ASCII.
fn fill(out: &mut Vec<u8>, start: usize, width: usize) {
    let used = out.len().saturating_sub(start);
    blanks(out, width.saturating_sub(used));
}

/// So many blanks, of which no column needs more than there are.
fn blanks(out: &mut Vec<u8>, count: usize) {
    const BLANKS: &[u8; 32] = &[b' '; 32];
    out.extend_from_slice(BLANKS.get(..count).unwrap_or(BLANKS));
}

/// A number to the right of so many places.
fn number(out: &mut Vec<u8>, value: u64, width: usize) {
    let mut digits = [b' '; 20];
    // Twenty digits are enough for any number of 64 bits.
    let _ = put_number(&mut digits, value);
    let length = value.checked_ilog10().map_or(1, |last| last.saturating_add(1));
    let length = usize::try_from(length).unwrap_or(digits.len());
    blanks(out, width.saturating_sub(length));
    let unused = digits.len().saturating_sub(length);
    out.extend_from_slice(digits.get(unused..).unwrap_or_default());
}

fn table(out: &mut Vec<u8>, database: &str, table: &str) {
    visible(out, database);
    out.push(b'.');
    visible(out, table);
}

/// How many rows there are, where that is known.
fn count(out: &mut Vec<u8>, rows: Option<u64>) {
    if let Some(rows) = rows {
        out.extend_from_slice(b"  ");
        number(out, rows, 0);
        out.extend_from_slice(if rows == 1 { b" row" } else { b" rows" });
    }
}

fn previous(out: &mut Vec<u8>, set: &str) {
    out.extend_from_slice(b"previous: ");
    out.extend_from_slice(if set.is_empty() { b"none" } else { set.as_bytes() });
}

/// The connection and the error of a statement, the time of a commit.
fn details(out: &mut Vec<u8>, record: &EventRecord<'_>) {
    match record.summary {
        Summary::Query { thread_id, error_code, .. } => {
            let _ = write!(out, "thread {thread_id} ");
            if error_code != 0 {
                let _ = write!(out, "error {error_code} ");
            }
        }
        Summary::Transaction { committed: Some(time), .. } => {
            let _ = write!(out, "committed {} ", Micros(time));
        }
        _ => {}
    }
}

/// Text without anything unseen; as it is, where that shows at a glance.
fn visible(out: &mut Vec<u8>, text: &str) {
    // All of it by one look at each byte, as nearly always.
    let is_plain = |byte: &u8| matches!(byte, 0x20..=0x7e) & (*byte != b'#') & (*byte != b':');
    if text.bytes().fold(true, |all, byte| all & is_plain(&byte)) || is_harmless(text) {
        out.extend_from_slice(text.as_bytes());
    } else {
        out.extend_from_slice(printable(text).as_bytes());
    }
}

/// Appends a statement on one line, cut to so many characters.
fn one_line(out: &mut Vec<u8>, statement: &str, room: usize, cut: bool) {
    // As nearly all are, and then there is little to do.
    if !cut && statement.len() < room && put_plain(out, statement.as_bytes()) {
        return;
    }
    visible(out, &shortened(statement, room, cut));
}

/// Appends a statement on one line as it is, but for its blanks; `false`, and nothing is appended, where
/// it has anything besides that might not be shown so.
fn put_plain(out: &mut Vec<u8>, statement: &[u8]) -> bool {
    if is_line(statement) {
        out.extend_from_slice(statement);
        return true;
    }
    let start = out.len();
    let mut put = |part: &[u8]| {
        let is_plain = is_line(part);
        if is_plain {
            out.extend_from_slice(if out.len() > start { b" " } else { b"" });
            out.extend_from_slice(part);
        }
        is_plain
    };
    let is_plain = statement.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).all(|line| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        line.is_empty() || put(line) || words.all(&mut put)
    });
    if !is_plain {
        out.truncate(start);
    }
    is_plain
}

/// A statement on one line, cut to so many characters.
pub(crate) fn shortened(statement: &str, room: usize, cut: bool) -> String {
    // The last one says that more follows.
    let mut left = room.saturating_sub(1);
    let mut line = String::with_capacity(statement.len().min(left).saturating_add(4));
    let is_whole = if is_simple(statement) {
        statement.split_ascii_whitespace().all(|word| put_word(&mut line, word, &mut left))
    } else {
        statement.split_whitespace().all(|word| put_word(&mut line, word, &mut left))
    };
    if cut || !is_whole {
        line.push('…');
    }
    line
}

/// Appends a word, and a blank before it; `false` where all of it has no room.
fn put_word(line: &mut String, word: &str, left: &mut usize) -> bool {
    let blank = if line.is_empty() { "" } else { " " };
    // No text has more characters than bytes.
    let bytes = word.len().saturating_add(blank.len());
    if bytes <= *left {
        line.push_str(blank);
        line.push_str(word);
        *left = left.saturating_sub(if word.is_ascii() {
            bytes
        } else {
            word.chars().count().saturating_add(blank.len())
        });
        return true;
    }
    for character in blank.chars().chain(word.chars()) {
        if *left == 0 {
            return false;
        }
        *left = left.saturating_sub(1);
        line.push(character);
    }
    true
}

/// Whether a text has the blanks of ASCII alone that all take for blanks. Every byte is looked at, so
/// that many are at once; so it is below.
fn is_simple(text: &str) -> bool {
    const VERTICAL_TAB: u8 = 0x0b;
    text.bytes().fold(true, |all, byte| all & byte.is_ascii() & (byte != VERTICAL_TAB))
}

/// Whether a text is words of ASCII with one blank between them, which are shown as they are: see
/// [`is_harmless`].
fn is_line(bytes: &[u8]) -> bool {
    let is_shown = bytes.iter().fold(true, |all, byte| all & matches!(byte, 0x20..=0x7e));
    let behind = bytes.get(1..).unwrap_or_default();
    let is_doubled = |byte: u8| (byte == b' ') | (byte == b'#') | (byte == b':');
    let pairs = bytes.iter().zip(behind);
    let is_single = pairs.fold(true, |all, (one, next)| all & !((one == next) & is_doubled(*one)));
    is_shown & is_single && bytes.first() != Some(&b' ') && bytes.last() != Some(&b' ')
}
