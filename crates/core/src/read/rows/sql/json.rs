//! JSON documents as SQL.

use std::io::Write as _;

use super::{NoStatement, hex, number, quoted};
use crate::event::column_type as ty;
use crate::event::rows::json::{Budget, Json, JsonError, Opaque};
use crate::event::rows::json_diff::{Change, Operation, changes, ends_in_cell};

impl From<JsonError> for NoStatement {
    fn from(_: JsonError) -> Self {
        Self::Json
    }
}

/// Appends what is assigned to a JSON column: the document as text, or where text would say less, as an
/// expression.
pub(super) fn literal(out: &mut Vec<u8>, document: &[u8]) -> Result<(), NoStatement> {
    let json = Json::parse(document)?;
    if json.has_opaque(document.len())? {
        return expression(out, json, &mut Budget::new(document.len()), true);
    }
    text(out, json, document.len())
}

/// Appends a document as a value of type JSON, to be compared or to be part of another.
pub(in crate::read::rows) fn as_json(
    out: &mut Vec<u8>,
    document: &[u8],
) -> Result<(), NoStatement> {
    let json = Json::parse(document)?;
    if json.has_opaque(document.len())? {
        return expression(out, json, &mut Budget::new(document.len()), true);
    }
    out.extend_from_slice(b"CAST(");
    text(out, json, document.len())?;
    out.extend_from_slice(b" AS JSON)");
    Ok(())
}

fn text(out: &mut Vec<u8>, json: Json<'_>, length: usize) -> Result<(), NoStatement> {
    let mut text = Vec::new();
    json.write(&mut text, length)?;
    quoted(out, &text);
    Ok(())
}

/// Appends JSON_OBJECT(…) and JSON_ARRAY(…) with the values of SQL's types in them. At the top a value
/// alone must be made JSON, within others it becomes that by itself.
fn expression(
    out: &mut Vec<u8>,
    json: Json<'_>,
    budget: &mut Budget,
    is_top: bool,
) -> Result<(), NoStatement> {
    match json {
        Json::Array(container) => {
            let mut inside = budget.enter()?;
            out.extend_from_slice(b"JSON_ARRAY(");
            for (at, element) in container.elements().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                inside.take(3)?;
                expression(out, element?.1, &mut inside, false)?;
            }
            out.push(b')');
            budget.leave(&inside);
        }
        Json::Object(container) => {
            let mut inside = budget.enter()?;
            out.extend_from_slice(b"JSON_OBJECT(");
            for (at, element) in container.elements().enumerate() {
                let (key, value) = element?;
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                inside.take(key.len().saturating_add(3))?;
                quoted(out, key);
                out.extend_from_slice(b", ");
                expression(out, value, &mut inside, false)?;
            }
            out.push(b')');
            budget.leave(&inside);
        }
        Json::Opaque(value) => {
            budget.take(value.data.len())?;
            if is_top {
                out.extend_from_slice(b"CAST(");
            }
            opaque(out, value);
            if is_top {
                out.extend_from_slice(b" AS JSON)");
            }
        }
        Json::Null => out.extend_from_slice(b"NULL"),
        Json::Int(value) => number::signed(out, value),
        Json::UInt(value) => {
            let _ = write!(out, "CAST({value} AS UNSIGNED)");
        }
        Json::Double(value) => {
            let _ = write!(out, "{value:e}");
        }
        Json::Bool(value) => out.extend_from_slice(if value { b"TRUE" } else { b"FALSE" }),
        Json::String(text) => {
            budget.take(text.len())?;
            quoted(out, text);
        }
    }
    Ok(())
}

fn opaque(out: &mut Vec<u8>, value: Opaque<'_>) {
    if let Some(decimal) = value.decimal() {
        let [precision, scale, ..] = value.data else {
            return;
        };
        out.extend_from_slice(b"CAST(");
        decimal.write(out);
        let _ = write!(out, " AS DECIMAL({precision},{scale}))");
        return;
    }
    let Some(text) = value.temporal() else {
        return hex(out, value.data);
    };
    out.extend_from_slice(b"CAST(");
    quoted(out, &text);
    out.extend_from_slice(match value.column_type {
        ty::DATE | ty::NEWDATE => b" AS DATE)",
        ty::TIME => b" AS TIME(6))",
        _ => b" AS DATETIME(6))",
    });
}

/// Appends what the changes make of a column: functions around its name. Several changes of one kind
/// that follow each other share one.
pub(in crate::read::rows) fn changed(
    out: &mut Vec<u8>,
    column: &[u8],
    diff: &[u8],
) -> Result<(), NoStatement> {
    let all =
        changes(diff).collect::<Result<Vec<Change<'_>>, _>>().map_err(|_| NoStatement::Json)?;
    let mut groups: Vec<(&str, Vec<Change<'_>>)> = Vec::new();
    for change in all {
        let function = function(&change);
        match groups.last_mut() {
            Some((last, group)) if *last == function => group.push(change),
            _ => groups.push((function, vec![change])),
        }
    }
    for (function, _) in groups.iter().rev() {
        let _ = write!(out, "{function}(");
    }
    out.extend_from_slice(column);
    for (_, group) in &groups {
        for change in group {
            out.extend_from_slice(b", ");
            quoted(out, change.path);
            if change.operation != Operation::Remove {
                out.extend_from_slice(b", ");
                as_json(out, change.value)?;
            }
        }
        out.push(b')');
    }
    Ok(())
}

fn function(change: &Change<'_>) -> &'static str {
    match change.operation {
        Operation::Replace => "JSON_REPLACE",
        Operation::Remove => "JSON_REMOVE",
        Operation::Insert if ends_in_cell(change.path) => "JSON_ARRAY_INSERT",
        Operation::Insert => "JSON_INSERT",
    }
}
