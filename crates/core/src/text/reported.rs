//! Outcomes are what reports show, as data: here is how their members become text, for
//! `#[serde(serialize_with = …)]`.

use std::fmt::Display;
use std::path::Path;

use serde::Serializer;

use super::path_text;

/// A path, by [`path_text::text`].
///
/// # Errors
/// What the serializer answers.
pub fn path<P: AsRef<Path>, S: Serializer>(path: &P, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path_text::text(path.as_ref()))
}

/// Several paths.
///
/// # Errors
/// What the serializer answers.
pub fn paths<P: AsRef<Path>, S: Serializer>(paths: &[P], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path_text::text(path.as_ref())))
}

/// Whatever has a form for people.
///
/// # Errors
/// What the serializer answers.
pub fn display<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// The same, where it may not be there.
///
/// # Errors
/// What the serializer answers.
pub fn display_or_null<T: Display, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(there) => serializer.collect_str(there),
        None => serializer.serialize_none(),
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Hex(bytes))
}

struct Hex<'a>(&'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
