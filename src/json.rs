//! JSON that acts on nobody who reads it: what is not seen, or obeyed by a terminal or by a runner of
//! continuous integration, is an escape, as JSON allows for every character.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use binlogsec_core::text::unseen::{is_unseen, starts_command};

/// One document, with a line for each member.
///
/// # Errors
/// What the writer answers.
pub(crate) fn pretty(out: &mut dyn Write, value: &(impl Serialize + ?Sized)) -> io::Result<()> {
    let formatter = Escaping(PrettyFormatter::new());
    value.serialize(&mut Serializer::with_formatter(&mut *out, formatter))?;
    writeln!(out)
}

/// A status by its name, as it stands in reports: that of a variant without members.
pub(crate) fn name(status: impl Serialize) -> String {
    match serde_json::to_value(status) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

/// One value on the line that has been begun.
///
/// # Errors
/// What the writer answers.
pub(crate) fn compact(out: &mut dyn Write, value: &(impl Serialize + ?Sized)) -> io::Result<()> {
    let formatter = Escaping(CompactFormatter);
    Ok(value.serialize(&mut Serializer::with_formatter(out, formatter))?)
}

/// A formatter of the crate's, but for the characters of strings.
struct Escaping<F>(F);

/// Hands a method on as it is.
macro_rules! as_it_is {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {
        $(fn $method<W: ?Sized + Write>(&mut self, out: &mut W, $($argument: $type),*) -> io::Result<()> {
            self.0.$method(out, $($argument),*)
        })*
    };
}

impl<F: Formatter> Formatter for Escaping<F> {
    as_it_is! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut kept = 0;
        for (at, character) in fragment.char_indices() {
            let rest = fragment.get(at..).unwrap_or_default();
            if !is_unseen(character) && !starts_command(rest) {
                continue;
            }
            out.write_all(fragment.get(kept..at).unwrap_or_default().as_bytes())?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            kept = at.saturating_add(character.len_utf8());
        }
        out.write_all(fragment.get(kept..).unwrap_or_default().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back_and_act_on_nobody() {
        let text = "a\u{9b}31m\u{202e}\u{7f}\u{e0041}\n\"##[error]é 日志 ##vso[x";
        let mut written = Vec::new();
        compact(&mut written, text).unwrap();
        let written = String::from_utf8(written).unwrap();
        assert_eq!(
            written,
            r#""a\u009b31m\u202e\u007f\udb40\udc41\n\"\u0023#[error]é 日志 \u0023#vso[x""#
        );
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }
}
