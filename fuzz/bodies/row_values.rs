//! Table maps and rows.

use binlogsec_core::event::rows::Rows;
use binlogsec_core::event::rows::json_diff::write_changed;
use binlogsec_core::event::rows::reader::{Row, RowReader};
use binlogsec_core::event::rows::table::Table;
use binlogsec_core::event::rows::value::Value;
use binlogsec_core::read::rows::sql::{Dialect, statement};

/// A row event's type, the length of a table map, u16 little-endian, the table map's body, and the row
/// event's. Rows are as many as are counted without their values; what is written of them is bounded
/// by their length.
pub(crate) fn rows(data: &[u8]) {
    let Some((&[event_type, low, high], rest)) = data.split_first_chunk::<3>() else {
        return;
    };
    let Some((map, body)) = rest.split_at_checked(usize::from(u16::from_le_bytes([low, high])))
    else {
        return;
    };
    let (Ok(table), Ok(rows)) = (Table::parse(map), Rows::parse(event_type, body)) else {
        return;
    };
    let Ok(bytes) = rows.plain() else {
        return;
    };
    let Ok(mut reader) = RowReader::new(rows, &bytes, &table) else {
        return;
    };
    let (mut row, mut count) = (Row::new(), 0_u64);
    let mut out = Vec::new();
    let whole = loop {
        match reader.next_row(&mut row) {
            Ok(true) => count += 1,
            Ok(false) => break true,
            Err(_) => break false,
        }
        out.clear();
        let _ = statement(&mut out, &table, &row, Dialect { is_mariadb: count % 2 == 0 });
        documents(&row, &mut out);
    };
    assert!(count <= bytes.len() as u64, "rows of no bytes");
    let _ = whole;
}

fn documents(row: &Row<'_>, out: &mut Vec<u8>) {
    for (before, after) in row.before.iter().zip(&row.after) {
        if let (Some(Value::Json(document)), Some(Value::JsonDiff(diff))) = (before, after) {
            out.clear();
            let _ = write_changed(out, document, diff);
        }
    }
}
