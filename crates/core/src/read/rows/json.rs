//! Rows as JSON, an object on each line.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::lines::RowMaker;
use super::sql::{NoStatement, temporal};
use super::{RowRecord, network, number, render};
use crate::event::gtid::TransactionId;
use crate::event::rows::charset::Charset;
use crate::event::rows::json::{Json, double, string};
use crate::event::rows::json_diff::{Operation, changes, write_changed};
use crate::event::rows::table::{Column, Meaning, Table};
use crate::event::rows::value::{Image, Value};

/// The largest integer up to which every one is a DOUBLE, and so a number that every reader of JSON
/// keeps.
const EXACT: u64 = 1 << 53;

/// Makes the lines.
#[derive(Debug)]
pub struct JsonMaker {
    /// `{"log":"…","position":`
    head: Vec<u8>,
}

impl JsonMaker {
    /// For the rows of a log of this name.
    #[must_use]
    pub fn new(log: &str) -> Self {
        let mut head = b"{\"log\":".to_vec();
        string(&mut head, log.as_bytes());
        head.extend_from_slice(b",\"position\":");
        Self { head }
    }
}

impl RowMaker for JsonMaker {
    fn row(&mut self, record: &RowRecord<'_>, out: &mut Vec<u8>) -> Result<(), NoStatement> {
        out.extend_from_slice(&self.head);
        number::unsigned(out, record.position);
        if let Some(inner) = record.inner_offset {
            out.extend_from_slice(b",\"inner_offset\":");
            number::unsigned(out, inner);
        }
        out.extend_from_slice(b",\"row\":");
        number::unsigned(out, record.number);
        let _ = write!(out, ",\"time\":\"{}\",\"gtid\":", super::rfc3339(record.timestamp));
        match record.transaction {
            None | Some(TransactionId::Anonymous) => out.extend_from_slice(b"null"),
            Some(id) => {
                let _ = write!(out, "\"{id}\"");
            }
        }
        out.extend_from_slice(b",\"server_id\":");
        number::unsigned(out, u64::from(record.server_id));
        if let Some(thread) = record.thread_id {
            out.extend_from_slice(b",\"thread_id\":");
            number::unsigned(out, u64::from(thread));
        }
        if record.is_prepared {
            out.extend_from_slice(b",\"xa\":\"prepared\"");
        }
        out.extend_from_slice(b",\"database\":");
        string(out, &record.table.database);
        out.extend_from_slice(b",\"table\":");
        string(out, &record.table.name);
        let _ = write!(out, ",\"op\":\"{}\",\"before\":", record.row.op.name());
        let (before, after) = (&record.row.before, &record.row.after);
        image(out, record.table, before, &Vec::new());
        out.extend_from_slice(b",\"after\":");
        image(out, record.table, after, before);
        out.extend_from_slice(b"}\n");
        Ok(())
    }
}

/// Appends the values by their columns' names; `before` is what changes to JSON documents apply to.
fn image(out: &mut Vec<u8>, table: &Table, image: &Image<'_>, before: &Image<'_>) {
    if image.is_empty() {
        return out.extend_from_slice(b"null");
    }
    let mut separator = b'{';
    for (index, (column, value)) in table.columns.iter().zip(image).enumerate() {
        let Some(value) = value else {
            continue;
        };
        out.push(separator);
        separator = b',';
        match &column.name {
            Some(name) => string(out, name),
            None => {
                let _ = write!(out, "\"@{}\"", index.saturating_add(1));
            }
        }
        out.push(b':');
        let old = before.get(index).and_then(Option::as_ref);
        self::value(out, value, column, old);
    }
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}

fn value(out: &mut Vec<u8>, value: &Value<'_>, column: &Column, before: Option<&Value<'_>>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Int(value) if value.unsigned_abs() > EXACT => {
            let _ = write!(out, "\"{value}\"");
        }
        Value::Int(value) => number::signed(out, *value),
        Value::UInt(value) | Value::Bit { bits: value, .. } => unsigned(out, *value),
        Value::Year(year) => number::unsigned(out, u64::from(*year)),
        Value::Float(value) if value.is_finite() => {
            let _ = write!(out, "{value:?}");
        }
        Value::Float(_) => out.extend_from_slice(b"null"),
        Value::Double(value) => double(out, *value),
        Value::Decimal(value) => {
            out.push(b'"');
            value.write(out);
            out.push(b'"');
        }
        Value::Date(_) | Value::Time(_) | Value::DateTime(_) | Value::Timestamp(_) => {
            out.push(b'"');
            temporal(out, value);
            out.push(b'"');
        }
        Value::Bytes(bytes) => text(out, bytes, column),
        Value::Enum(number) => match render::member(*number, column) {
            Some(name) => string(out, name.as_bytes()),
            None => number::unsigned(out, u64::from(*number)),
        },
        Value::Set(bits) => match render::members(*bits, column) {
            Some(names) => string(out, names.as_bytes()),
            None => unsigned(out, *bits),
        },
        Value::Json(document) => json(out, document),
        Value::JsonDiff(diff) => changed(out, diff, before),
        Value::Geometry(bytes) => match bytes.split_first_chunk::<4>() {
            Some((srid, wkb)) => {
                let _ = write!(out, "{{\"srid\":{},\"wkb\":", u32::from_le_bytes(*srid));
                base64(out, wkb);
                out.push(b'}');
            }
            None => base64(out, bytes),
        },
        Value::Vector(bytes) => vector(out, bytes),
    }
}

fn unsigned(out: &mut Vec<u8>, value: u64) {
    if value > EXACT {
        let _ = write!(out, "\"{value}\"");
    } else {
        number::unsigned(out, value);
    }
}

fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    // Piece by piece, as a value may be as long as an event.
    const PIECE: usize = 3 << 14;
    out.extend_from_slice(b"{\"base64\":\"");
    let mut text = [0; PIECE / 3 * 4];
    for piece in bytes.chunks(PIECE) {
        let length = STANDARD.encode_slice(piece, &mut text).unwrap_or_default();
        out.extend_from_slice(text.get(..length).unwrap_or_default());
    }
    out.extend_from_slice(b"\"}");
}

fn text(out: &mut Vec<u8>, bytes: &[u8], column: &Column) {
    if column.meaning == Some(Meaning::Vector) {
        return vector(out, bytes);
    }
    if let Some(text) = column.meaning.and_then(|meaning| network::text(bytes, meaning)) {
        return string(out, text.as_bytes());
    }
    match column.charset {
        Charset::Unknown if std::str::from_utf8(bytes).is_ok() => string(out, bytes),
        charset => match charset.decode(bytes) {
            Some(text) => string(out, text.as_bytes()),
            None => base64(out, bytes),
        },
    }
}

fn json(out: &mut Vec<u8>, document: &[u8]) {
    let start = out.len();
    let written = Json::parse(document).and_then(|json| json.write(out, document.len()));
    if written.is_err() {
        out.truncate(start);
        base64(out, document);
    }
}

/// The document that comes of the changes, where it is known what they change; else the changes.
fn changed(out: &mut Vec<u8>, diff: &[u8], before: Option<&Value<'_>>) {
    let start = out.len();
    if let Some(Value::Json(document)) = before
        && write_changed(out, document, diff).is_ok()
    {
        return;
    }
    out.truncate(start);
    out.extend_from_slice(b"{\"changes\":[");
    for (at, change) in changes(diff).enumerate() {
        let Ok(change) = change else {
            out.truncate(start);
            return base64(out, diff);
        };
        if at > 0 {
            out.push(b',');
        }
        let operation = match change.operation {
            Operation::Replace => "replace",
            Operation::Insert => "insert",
            Operation::Remove => "remove",
        };
        let _ = write!(out, "{{\"op\":\"{operation}\",\"path\":");
        string(out, change.path);
        if change.operation != Operation::Remove {
            out.extend_from_slice(b",\"value\":");
            json(out, change.value);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
}

fn vector(out: &mut Vec<u8>, bytes: &[u8]) {
    let (floats, []) = bytes.as_chunks::<4>() else {
        return base64(out, bytes);
    };
    out.push(b'[');
    for (at, float) in floats.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let float = f32::from_le_bytes(*float);
        if float.is_finite() {
            let _ = write!(out, "{float:?}");
        } else {
            out.extend_from_slice(b"null");
        }
    }
    out.push(b']');
}
