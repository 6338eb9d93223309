//! Values as plain texts and bytes, for comparisons and for people.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::sql::{hex, temporal};
use super::{network, number};
use crate::bytes::Cursor;
use crate::event::rows::json::Json;
use crate::event::rows::table::Column;
use crate::event::rows::value::Value;
use crate::read::events::HotKey;

/// A value as text: numbers in digits, texts as they are, bytes that are no text as `X'…'`.
pub(super) fn plain<'v>(value: &'v Value<'_>, column: &Column) -> Cow<'v, str> {
    if let Value::Bytes(bytes) = value {
        return text_of(bytes, column);
    }
    let mut out = Vec::new();
    match value {
        Value::Int(value) => number::signed(&mut out, *value),
        Value::UInt(value) => number::unsigned(&mut out, *value),
        Value::Decimal(value) => value.write(&mut out),
        Value::Year(year) => out.extend_from_slice(format!("{year:04}").as_bytes()),
        Value::Json(document) => json(&mut out, document),
        Value::Date(_) | Value::Time(_) | Value::DateTime(_) | Value::Timestamp(_) => {
            temporal(&mut out, value);
        }
        Value::Geometry(bytes) | Value::Vector(bytes) | Value::JsonDiff(bytes) => {
            hex(&mut out, bytes);
        }
        _ => return Cow::Owned(short(value, column)),
    }
    Cow::Owned(
        String::from_utf8(out)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    )
}

/// A hot key as a condition for `--where`: `id = 7`, `@1 = 'a' AND @2 = 3`. Values that cannot be read
/// are shown as bytes.
#[must_use]
pub fn key_condition(key: &HotKey) -> String {
    let mut cursor = Cursor::new(&key.values);
    let mut text = String::new();
    for (index, column) in &key.columns {
        let and = if text.is_empty() { "" } else { " AND " };
        let name = match &column.name {
            Some(name) => condition_name(&String::from_utf8_lossy(name)),
            None => format!("@{}", index.saturating_add(1)),
        };
        let Ok(value) = column.kind.read(&mut cursor, column.unsigned.unwrap_or(false)) else {
            let mut bytes = Vec::new();
            hex(&mut bytes, cursor.rest());
            let _ = write!(text, "{and}{name} = {}", String::from_utf8_lossy(&bytes));
            break;
        };
        let plain = plain(&value, column);
        let is_number = matches!(
            value,
            Value::Int(_)
                | Value::UInt(_)
                | Value::Decimal(_)
                | Value::Year(_)
                | Value::Double(_)
                | Value::Float(_)
        );
        let is_bytes = plain.starts_with("X'") && plain.ends_with('\'');
        if is_number || is_bytes {
            let _ = write!(text, "{and}{name} = {plain}");
        } else {
            let _ = write!(text, "{and}{name} = '{}'", plain.replace('\'', "''"));
        }
    }
    text
}

/// A column's name, in backticks where it is no word.
fn condition_name(name: &str) -> String {
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    if is_word { name.to_owned() } else { format!("`{}`", name.replace('`', "``")) }
}

fn short(value: &Value<'_>, column: &Column) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Float(value) => value.to_string(),
        Value::Double(value) => value.to_string(),
        Value::Bit { bits, width } => format!("b'{bits:0width$b}'", width = usize::from(*width)),
        Value::Enum(number) => member(*number, column).unwrap_or_else(|| number.to_string()),
        Value::Set(bits) => members(*bits, column).unwrap_or_else(|| bits.to_string()),
        _ => String::new(),
    }
}

fn json(out: &mut Vec<u8>, document: &[u8]) {
    let written = Json::parse(document).and_then(|json| json.write(out, document.len()));
    if written.is_err() {
        out.clear();
        hex(out, document);
    }
}

fn text_of<'v>(bytes: &'v [u8], column: &Column) -> Cow<'v, str> {
    use crate::event::rows::charset::Charset;
    if let Some(meaning) = column.meaning
        && let Some(text) = network::text(bytes, meaning)
    {
        return Cow::Owned(text);
    }
    let decoded = match column.charset {
        Charset::Unknown => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        charset => charset.decode(bytes),
    };
    decoded.unwrap_or_else(|| {
        let mut out = Vec::new();
        hex(&mut out, bytes);
        Cow::Owned(String::from_utf8(out).unwrap_or_default())
    })
}

/// The name of an ENUM's member; `None` where it is not known.
pub(super) fn member(number: u16, column: &Column) -> Option<String> {
    if number == 0 {
        return Some(String::new());
    }
    let index = usize::from(number).checked_sub(1)?;
    name(column.members.get(index)?, column)
}

/// The names of a SET's members, with commas between; `None` where one is not known.
pub(super) fn members(bits: u64, column: &Column) -> Option<String> {
    let mut names = String::new();
    let mut left = bits;
    for member in column.members.iter() {
        if left & 1 == 1 {
            let comma = if names.is_empty() { "" } else { "," };
            let _ = write!(names, "{comma}{}", name(member, column)?);
        }
        left >>= 1;
    }
    (left == 0 && (bits == 0 || !column.members.is_empty())).then_some(names)
}

fn name(member: &[u8], column: &Column) -> Option<String> {
    let as_utf8 = || std::str::from_utf8(member).ok().map(str::to_owned);
    column.charset.decode(member).map(Cow::into_owned).or_else(as_utf8)
}

/// The bytes of a value, of numbers their digits.
pub(super) fn bytes<'v>(value: &'v Value<'_>) -> Cow<'v, [u8]> {
    match value {
        Value::Bytes(bytes) => Cow::Borrowed(bytes),
        Value::Json(bytes)
        | Value::JsonDiff(bytes)
        | Value::Geometry(bytes)
        | Value::Vector(bytes) => Cow::Borrowed(bytes),
        Value::Bit { bits, width } => {
            let bytes = bits.to_be_bytes();
            let skip = bytes.len().saturating_sub(usize::from(*width).div_ceil(8));
            Cow::Owned(bytes.get(skip..).unwrap_or_default().to_vec())
        }
        _ => Cow::Borrowed(&[]),
    }
}
