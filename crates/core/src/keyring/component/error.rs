//! What can be wrong with a `component_keyring_file` keyring, and where.

use std::fmt;

use super::{DOCUMENT, ELEMENT};
use crate::keyring::abbreviated;
use crate::mysql::key_id::KeyId;

/// A place in a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where the reader noticed, in bytes from the start of the file. For a value that was
    /// refused as a whole this is its last byte.
    pub offset: usize,
    /// Line, counted from 1.
    pub line: usize,
    /// Byte of the line, counted from 1.
    pub column: usize,
}

impl Place {
    pub(super) fn of(error: &serde_json::Error, bytes: &[u8]) -> Self {
        let (line, column) = (error.line(), error.column());
        let earlier = bytes.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1));
        let offset = earlier.map(<[u8]>::len).fold(column.saturating_sub(1), usize::saturating_add);
        let offset = if error.is_eof() { bytes.len() } else { offset };
        Self { offset, line, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, line, column } = self;
        write!(f, "offset {offset} (line {line}, column {column})")
    }
}

/// A member of the document or of one of its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The element, counted from 0; `None` for the document itself.
    pub element: Option<usize>,
    /// The member's name.
    pub name: &'static str,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(element) = self.element {
            write!(f, "element {element} (counted from 0), ")?;
        }
        match self.name {
            DOCUMENT | ELEMENT => f.write_str(self.name),
            name => write!(f, "member `{name}`"),
        }
    }
}

/// Why a file is no readable `component_keyring_file` keyring. No message contains a value that
/// may be a part of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// Not JSON.
    #[error("{at}: this is no valid JSON; take another copy of the file")]
    Syntax {
        /// Where.
        at: Place,
    },
    /// The JSON text ends too early.
    #[error("{at}: the JSON text ends here, before it is complete; take a complete copy of it")]
    Truncated {
        /// Where.
        at: Place,
    },
    /// JSON of another kind.
    #[error(
        "this is JSON, but neither member `version` nor member `elements` is there{}",
        .hint.unwrap_or_default()
    )]
    OtherJson {
        /// What it is instead, when that can be told, and what to give instead of it.
        hint: Option<&'static str>,
    },
    /// Another version than 1.0.
    #[error("member `version`: version \"{found}\" is not supported (\"1.0\" is)")]
    UnsupportedVersion {
        /// The version, escaped.
        found: String,
    },
    /// A member is not there.
    #[error("{at}: {member} is required and not there; take another copy of the file")]
    MissingMember {
        /// The member of the JSON object.
        member: Member,
        /// Where the object ends that lacks it.
        at: Place,
    },
    /// A member is there twice.
    #[error("{at}: {member} is there twice; take another copy of the file")]
    RepeatedMember {
        /// The member of the JSON object.
        member: Member,
        /// Where.
        at: Place,
    },
    /// A value of another type.
    #[error("{at}: {member}: {expected} expected; take another copy of the file")]
    WrongType {
        /// The member of the JSON object.
        member: Member,
        /// The type it should have.
        expected: &'static str,
        /// Where.
        at: Place,
    },
    /// An odd number of hexadecimal digits.
    #[error(
        "{at}: {member}: an even number of hexadecimal digits expected, {digits} found; take \
         another copy of the file"
    )]
    OddHex {
        /// The member of the JSON object.
        member: Member,
        /// How many digits.
        digits: usize,
        /// Where the value ends.
        at: Place,
    },
    /// A character that is no hexadecimal digit.
    #[error(
        "{at}: {member}: character {character} (counted from 0) is no hexadecimal digit; take \
         another copy of the file"
    )]
    BadHex {
        /// The member of the JSON object.
        member: Member,
        /// Which character of the value.
        character: usize,
        /// Where the value ends.
        at: Place,
    },
    /// Two elements have id and user in common; the server refuses such a file.
    #[error(
        "element {second} (counted from 0) has the data_id and user of element {first}, `{}`: \
         which of the two is meant cannot be told; take another copy of the file",
        abbreviated(.id.as_bytes())
    )]
    Duplicate {
        /// The key id of both.
        id: KeyId,
        /// The earlier element.
        first: usize,
        /// The later element.
        second: usize,
    },
}
