//! Rows as comma-separated values: a section for each table, and each form of it.

use std::io::Write as _;

use super::lines::RowMaker;
use super::sql::NoStatement;
use super::{RowRecord, number, render};
use crate::event::gtid::TransactionId;
use crate::event::rows::json_diff::write_changed;
use crate::event::rows::table::Table;
use crate::event::rows::value::{Image, Value};

/// What stands for NULL, as the servers' LOAD DATA reads it.
const NULL: &[u8] = b"\\N";

/// Makes the lines: an update has two, `before` and `after`.
#[derive(Debug)]
pub struct CsvMaker {
    log: Vec<u8>,
    /// Whether what a spreadsheet would take for a formula gets a `'` before it.
    safe: bool,
    /// The table of the last row.
    last: Option<Table>,
}

impl CsvMaker {
    /// For the rows of a log of this name.
    #[must_use]
    pub fn new(log: &str, safe: bool) -> Self {
        Self { log: log.as_bytes().to_vec(), safe, last: None }
    }

    fn field(&self, out: &mut Vec<u8>, text: &[u8]) {
        let is_formula = matches!(text.first(), Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r'));
        let guard = self.safe && is_formula && !is_number(text);
        // What reads `\N` as NULL must not take a text for it.
        let is_odd = text.is_empty()
            || text == NULL
            || text.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'));
        if guard || is_odd {
            out.push(b'"');
            out.extend_from_slice(if guard { b"'" } else { b"" });
            for piece in text.split_inclusive(|&byte| byte == b'"') {
                out.extend_from_slice(piece);
                if piece.ends_with(b"\"") {
                    out.push(b'"');
                }
            }
            out.push(b'"');
        } else {
            out.extend_from_slice(text);
        }
    }

    fn line(&self, out: &mut Vec<u8>, record: &RowRecord<'_>, image: &Image<'_>, is_after: bool) {
        self.field(out, &self.log);
        out.push(b',');
        number::unsigned(out, record.position);
        out.push(b',');
        number::unsigned(out, record.number);
        let _ = write!(out, ",{},", super::rfc3339(record.timestamp));
        match record.transaction {
            None | Some(TransactionId::Anonymous) => {}
            Some(id) => {
                let _ = write!(out, "{id}");
            }
        }
        out.push(b',');
        number::unsigned(out, u64::from(record.server_id));
        out.push(b',');
        if let Some(thread) = record.thread_id {
            number::unsigned(out, u64::from(thread));
        }
        let side = if is_after { "after" } else { "before" };
        let _ = write!(out, ",{},{side}", record.row.op.name());
        for (index, column) in record.table.columns.iter().enumerate() {
            out.push(b',');
            match image.get(index).and_then(Option::as_ref) {
                // A column that the image leaves out: nothing, not even a text of no characters.
                None => {}
                Some(Value::Null) => out.extend_from_slice(NULL),
                Some(Value::JsonDiff(diff)) => {
                    let before = record.row.before.get(index).and_then(Option::as_ref);
                    self.field(out, &changed(diff, before));
                }
                Some(value) => self.field(out, render::plain(value, column).as_bytes()),
            }
        }
        out.push(b'\n');
    }
}

fn changed(diff: &[u8], before: Option<&Value<'_>>) -> Vec<u8> {
    let mut text = Vec::new();
    if let Some(Value::Json(document)) = before
        && write_changed(&mut text, document, diff).is_ok()
    {
        return text;
    }
    text.clear();
    super::sql::hex(&mut text, diff);
    text
}

fn is_number(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<f64>().is_ok())
}

impl RowMaker for CsvMaker {
    fn section(&mut self, record: &RowRecord<'_>, key: &mut Vec<u8>, head: &mut Vec<u8>) -> bool {
        let table = record.table;
        let is_same = |last: &Table| std::ptr::eq(last, table) || *last == *table;
        if self.last.as_ref().is_some_and(is_same) {
            return false;
        }
        self.last = Some(table.clone());
        let start = head.len();
        head.extend_from_slice(b"log,position,row,time,gtid,server_id,thread_id,op,image");
        for (index, column) in table.columns.iter().enumerate() {
            head.push(b',');
            match &column.name {
                Some(name) => self.field(head, name),
                None => {
                    let _ = write!(head, "@{}", index.saturating_add(1));
                }
            }
        }
        head.push(b'\n');
        let own = head.get(start..).unwrap_or_default();
        for part in [&table.database, &b"\0"[..], &table.name, b"\0", own] {
            key.extend_from_slice(part);
        }
        true
    }

    fn restart(&mut self) {
        self.last = None;
    }

    fn row(&mut self, record: &RowRecord<'_>, out: &mut Vec<u8>) -> Result<(), NoStatement> {
        for (image, is_after) in [(&record.row.before, false), (&record.row.after, true)] {
            if !image.is_empty() {
                self.line(out, record, image, is_after);
            }
        }
        Ok(())
    }
}
