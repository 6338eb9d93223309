//! Changes to a JSON document, as `binlog_row_value_options=PARTIAL_JSON` logs them.
//!
//! One behind the other: operation u8 (0 replace, 1 insert, 2 remove), the path behind its packed
//! length, and but for removals the value in binary form behind its packed length (server source:
//! `Json_diff::write_binary`).

use super::json::{Budget, Json, JsonError, string};
use crate::bytes::{Cursor, OutOfBytes};
use crate::event::table_map::length;

/// The steps of the longest path: as deep as servers let a document be.
const MAX_STEPS: usize = 100;

/// What happens at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// The value there gets another one.
    Replace,
    /// There was none; in an array those from there on move up.
    Insert,
    /// It goes.
    Remove,
}

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// What happens.
    pub operation: Operation,
    /// Where, as MySQL writes paths: `$.a[3]`.
    pub path: &'a [u8],
    /// The new value in binary form; empty for removals.
    pub value: &'a [u8],
}

/// Why changes cannot be read or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiffError {
    /// They end too early.
    #[error("the changes to a JSON document are cut short: {0}")]
    OutOfBytes(#[from] OutOfBytes),
    /// No operation has this number.
    #[error("operation {found} on a JSON document is not known")]
    UnknownOperation {
        /// The number.
        found: u8,
    },
    /// The document or a value cannot be read.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The path is not written as MySQL writes it, or leads nowhere in the document.
    #[error("a path does not fit the JSON document")]
    Path,
}

/// The changes, in the order in which they are to be made.
pub fn changes(diff: &[u8]) -> impl Iterator<Item = Result<Change<'_>, DiffError>> {
    let mut cursor = Cursor::new(diff);
    std::iter::from_fn(move || {
        if cursor.remaining() == 0 {
            return None;
        }
        let change = one(&mut cursor);
        if change.is_err() {
            cursor = Cursor::new(&[]);
        }
        Some(change)
    })
}

fn one<'a>(cursor: &mut Cursor<'a>) -> Result<Change<'a>, DiffError> {
    let operation = match cursor.u8()? {
        0 => Operation::Replace,
        1 => Operation::Insert,
        2 => Operation::Remove,
        found => return Err(DiffError::UnknownOperation { found }),
    };
    let path_length = length(cursor)?;
    let path = cursor.take(path_length)?;
    let value: &[u8] = if operation == Operation::Remove {
        &[]
    } else {
        let value_length = length(cursor)?;
        cursor.take(value_length)?
    };
    Ok(Change { operation, path, value })
}

/// Appends, as JSON text, what the changes make of a document.
///
/// # Errors
/// [`DiffError`]; what was appended before is not to be used then.
pub fn write_changed(out: &mut Vec<u8>, before: &[u8], diff: &[u8]) -> Result<(), DiffError> {
    let mut document = Node::parse(before)?;
    for change in changes(diff) {
        document.change(&change?)?;
    }
    document.write(out)
}

/// A document whose parts can be changed.
#[derive(Debug)]
enum Node<'a> {
    Scalar(Json<'a>),
    Array(Vec<Node<'a>>),
    Object(Vec<(Vec<u8>, Node<'a>)>),
}

/// A step of a path.
#[derive(Debug)]
enum Step {
    Key(Vec<u8>),
    Cell(usize),
}

impl<'a> Node<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, DiffError> {
        let json = Json::parse(bytes)?;
        Ok(Self::of(json, &mut Budget::new(bytes.len()))?)
    }

    fn of(json: Json<'a>, budget: &mut Budget) -> Result<Self, JsonError> {
        let mut inside = budget.enter()?;
        let node = match json {
            Json::Array(container) => {
                let mut elements = Vec::new();
                for element in container.elements() {
                    inside.take(3)?;
                    elements.push(Self::of(element?.1, &mut inside)?);
                }
                Self::Array(elements)
            }
            Json::Object(container) => {
                let mut members = Vec::new();
                for element in container.elements() {
                    let (key, value) = element?;
                    inside.take(key.len().saturating_add(3))?;
                    members.push((key.to_vec(), Self::of(value, &mut inside)?));
                }
                Self::Object(members)
            }
            scalar => Self::Scalar(scalar),
        };
        budget.leave(&inside);
        Ok(node)
    }

    fn change(&mut self, change: &Change<'a>) -> Result<(), DiffError> {
        let steps = steps(change.path).ok_or(DiffError::Path)?;
        let Some((last, way)) = steps.split_last() else {
            if change.operation == Operation::Replace {
                *self = Self::parse(change.value)?;
                return Ok(());
            }
            return Err(DiffError::Path);
        };
        let mut parent = self;
        for step in way {
            parent = parent.child(step).ok_or(DiffError::Path)?;
        }
        match change.operation {
            Operation::Replace => {
                *parent.child(last).ok_or(DiffError::Path)? = Self::parse(change.value)?;
            }
            Operation::Insert => parent.insert(last, Self::parse(change.value)?)?,
            Operation::Remove => parent.remove(last)?,
        }
        Ok(())
    }

    fn child(&mut self, step: &Step) -> Option<&mut Self> {
        match (self, step) {
            (Self::Array(elements), Step::Cell(index)) => elements.get_mut(*index),
            (Self::Object(members), Step::Key(key)) => {
                members.iter_mut().find(|(own, _)| own == key).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    fn insert(&mut self, step: &Step, value: Self) -> Result<(), DiffError> {
        match (self, step) {
            (Self::Array(elements), Step::Cell(index)) => {
                elements.insert((*index).min(elements.len()), value);
            }
            (Self::Object(members), Step::Key(key)) => {
                // The server sorts keys by length, then by bytes.
                let is_before = |own: &[u8]| (own.len(), own) < (key.len(), &**key);
                let at = members.partition_point(|(own, _)| is_before(own));
                members.insert(at, (key.clone(), value));
            }
            _ => return Err(DiffError::Path),
        }
        Ok(())
    }

    fn remove(&mut self, step: &Step) -> Result<(), DiffError> {
        match (self, step) {
            (Self::Array(elements), Step::Cell(index)) if *index < elements.len() => {
                elements.remove(*index);
            }
            (Self::Object(members), Step::Key(key)) => {
                members.retain(|(own, _)| own != key);
            }
            _ => return Err(DiffError::Path),
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), DiffError> {
        match self {
            Self::Scalar(json) => json.write(out, usize::MAX)?,
            Self::Array(elements) => {
                out.push(b'[');
                for (at, element) in elements.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    element.write(out)?;
                }
                out.push(b']');
            }
            Self::Object(members) => {
                out.push(b'{');
                for (at, (key, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    string(out, key);
                    out.push(b':');
                    value.write(out)?;
                }
                out.push(b'}');
            }
        }
        Ok(())
    }
}

/// The steps of a path: `$`, then `.name`, `."name in quotes"` or `[number]`.
fn steps(path: &[u8]) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix(b"$")?;
    let mut steps = Vec::new();
    while let Some((&first, behind)) = rest.split_first() {
        // As deep as a document can be.
        (steps.len() < MAX_STEPS).then_some(())?;
        if first == b'[' {
            let end = behind.iter().position(|&byte| byte == b']')?;
            let (number, after) = behind.split_at_checked(end)?;
            steps.push(Step::Cell(std::str::from_utf8(number).ok()?.parse().ok()?));
            rest = after.get(1..)?;
            continue;
        }
        if first != b'.' {
            return None;
        }
        let length = if behind.first() == Some(&b'"') {
            quoted_length(behind)?
        } else {
            let is_end = |byte: &u8| matches!(byte, b'.' | b'[');
            behind.iter().position(is_end).unwrap_or(behind.len())
        };
        let (name, after) = behind.split_at_checked(length)?;
        steps.push(Step::Key(if name.first() == Some(&b'"') {
            serde_json::from_slice::<String>(name).ok()?.into_bytes()
        } else {
            name.to_vec()
        }));
        rest = after;
    }
    Some(steps)
}

/// Bytes of a string in quotes, these included.
fn quoted_length(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    for (at, &byte) in text.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at.checked_add(1),
            _ => {}
        }
    }
    None
}

/// Whether the last step of a path is a cell of an array.
#[must_use]
pub fn ends_in_cell(path: &[u8]) -> bool {
    steps(path).is_some_and(|steps| matches!(steps.last(), Some(Step::Cell(_))))
}
