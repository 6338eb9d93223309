//! The JSON file of `component_keyring_file` (MySQL 8.0.24 and later), version 1.0.
//!
//! An object with `version` (a string) and `elements` (an array of objects). Every element has
//! `user`, `data_id`, `data_type`, `data` (strings, the last one hexadecimal) and `extension` (an
//! array). All of these are required; members of other names are ignored.
//!
//! Source: server source, `components/keyrings/common/json_data` (the schema in `json_reader.cc`,
//! which leaves other members free; `json_writer.cc`), checked on files of MySQL 9.7.
//!
//! Names and users may be any bytes: the server's JSON library does not check UTF-8.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess};
use serde_json::error::Category;
use zeroize::Zeroizing;

use super::{Entry, KeyType, abbreviated, find_duplicate, hex};
use crate::log::key_id::KeyId;
use crate::secret::SecretBytes;

const ELEMENT_MEMBERS: [&str; 5] = ["user", "data_id", "data_type", "data", "extension"];
const DOCUMENT: &str = "the document";
const ELEMENT: &str = "the element itself";

/// The version of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ComponentVersion {
    /// `"1.0"`, the only one so far.
    V1_0,
}

impl fmt::Display for ComponentVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V1_0 => f.write_str("1.0"),
        }
    }
}

/// A file that was read whole.
#[derive(Debug, PartialEq, Eq)]
pub struct ComponentKeyring {
    /// The member `version`.
    pub version: ComponentVersion,
    /// The elements in file order.
    pub entries: Vec<Entry>,
}

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
    fn of(error: &serde_json::Error, bytes: &[u8]) -> Self {
        let (line, column) = (error.line(), error.column());
        let earlier = bytes
            .split_inclusive(|byte| *byte == b'\n')
            .take(line.saturating_sub(1));
        let offset = earlier
            .map(<[u8]>::len)
            .fold(column.saturating_sub(1), usize::saturating_add);
        let offset = if error.is_eof() { bytes.len() } else { offset };
        Self {
            offset,
            line,
            column,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            offset,
            line,
            column,
        } = self;
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
        /// Which.
        member: Member,
        /// Where the object ends that lacks it.
        at: Place,
    },
    /// A member is there twice.
    #[error("{at}: {member} is there twice; take another copy of the file")]
    RepeatedMember {
        /// Which.
        member: Member,
        /// Where.
        at: Place,
    },
    /// A value of another type.
    #[error("{at}: {member}: {expected} expected; take another copy of the file")]
    WrongType {
        /// Which.
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
        /// Which.
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
        /// Which.
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

/// Reads a whole file.
///
/// Memory for a key is wiped when the key is dropped. Only when the digits of `data` are spelled
/// with escapes (`\u0041`), which no server does, the JSON reader keeps a copy that is not wiped.
///
/// # Errors
/// [`ComponentError`], with the place of what is wrong.
pub fn parse(bytes: &[u8]) -> Result<ComponentKeyring, ComponentError> {
    let context = Context::default();
    let outline: Outline = run(bytes, &context, OutlineSeed(&context))?;
    let version = outline.version()?;
    let entries = run(bytes, &context, DocumentSeed(&context))?;
    if let Some((first, second)) = find_duplicate(&entries) {
        let id = entries
            .get(second)
            .map_or(&[][..], |entry| entry.id.as_bytes());
        return Err(ComponentError::Duplicate {
            id: KeyId::new(id),
            first,
            second,
        });
    }
    Ok(ComponentKeyring { version, entries })
}

/// Writes a whole file, byte for byte as the server would.
///
/// Source: server source, `json_writer.cc`, and `rapidjson::Writer` for the escapes: short forms
/// where JSON has them, `\u00XX` in upper case for other control characters, nothing else.
#[must_use]
pub fn serialize<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Zeroizing<Vec<u8>> {
    // The frame and an element's names take under 80 bytes; a byte becomes at most six.
    let entries: Vec<&Entry> = entries.into_iter().collect();
    let size = entries.iter().fold(80_usize, |size, entry| {
        let names = entry.id.as_bytes().len().saturating_add(entry.user.len());
        let names = names
            .saturating_add(entry.key_type.as_bytes().len())
            .saturating_mul(6);
        let hex = entry.data.len().saturating_mul(2);
        size.saturating_add(names)
            .saturating_add(hex)
            .saturating_add(80)
    });
    let mut out = Zeroizing::new(Vec::with_capacity(size));
    out.extend_from_slice(br#"{"version":"1.0","elements":["#);
    for (position, entry) in entries.into_iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        out.extend_from_slice(br#"{"user":""#);
        escape(&entry.user, &mut out);
        out.extend_from_slice(br#"","data_id":""#);
        escape(entry.id.as_bytes(), &mut out);
        out.extend_from_slice(br#"","data_type":""#);
        escape(entry.key_type.as_bytes(), &mut out);
        out.extend_from_slice(br#"","data":""#);
        for byte in entry.data.expose() {
            out.extend_from_slice(&hex::upper(*byte));
        }
        out.extend_from_slice(br#"","extension":[]}"#);
    }
    out.extend_from_slice(b"]}");
    out
}

fn escape(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            8 => out.extend_from_slice(br"\b"),
            9 => out.extend_from_slice(br"\t"),
            10 => out.extend_from_slice(br"\n"),
            12 => out.extend_from_slice(br"\f"),
            13 => out.extend_from_slice(br"\r"),
            0..=0x1F => {
                out.extend_from_slice(br"\u00");
                out.extend_from_slice(&hex::upper(byte));
            }
            _ => out.push(byte),
        }
    }
}

/// Where the reader is, and what it refused: serde's own errors may quote values, so nothing of
/// them but the place is used.
#[derive(Default)]
struct Context {
    element: Cell<Option<usize>>,
    name: Cell<&'static str>,
    defect: Cell<Option<Defect>>,
}

#[derive(Clone, Copy)]
enum Defect {
    Missing,
    Repeated,
    OddHex { digits: usize },
    BadHex { character: usize },
}

impl Context {
    fn enter(&self, element: Option<usize>, name: &'static str) {
        self.element.set(element);
        self.name.set(name);
    }

    fn refuse<E: serde::de::Error>(&self, defect: Defect) -> E {
        self.defect.set(Some(defect));
        E::custom("refused")
    }

    /// Puts a value where none is yet.
    fn fill<T, E: serde::de::Error>(&self, place: &mut Option<T>, value: T) -> Result<(), E> {
        if place.replace(value).is_some() {
            return Err(self.refuse(Defect::Repeated));
        }
        Ok(())
    }

    fn require<T, E: serde::de::Error>(
        &self,
        name: &'static str,
        value: Option<T>,
    ) -> Result<T, E> {
        value.ok_or_else(|| {
            self.name.set(name);
            self.refuse(Defect::Missing)
        })
    }

    fn explain(&self, error: &serde_json::Error, bytes: &[u8]) -> ComponentError {
        let at = Place::of(error, bytes);
        let member = Member {
            element: self.element.get(),
            name: self.name.get(),
        };
        match (self.defect.take(), error.classify()) {
            (Some(Defect::Missing), _) => ComponentError::MissingMember { member, at },
            (Some(Defect::Repeated), _) => ComponentError::RepeatedMember { member, at },
            (Some(Defect::OddHex { digits }), _) => ComponentError::OddHex { member, digits, at },
            (Some(Defect::BadHex { character }), _) => ComponentError::BadHex {
                member,
                character,
                at,
            },
            (None, Category::Syntax | Category::Io) => ComponentError::Syntax { at },
            (None, Category::Eof) => ComponentError::Truncated { at },
            (None, Category::Data) => {
                let expected = match member.name {
                    DOCUMENT | ELEMENT => "an object",
                    "elements" | "extension" => "an array",
                    _ => "a string",
                };
                ComponentError::WrongType {
                    member,
                    expected,
                    at,
                }
            }
        }
    }
}

/// Reads the whole text as one value.
fn run<'b, S: DeserializeSeed<'b>>(
    bytes: &'b [u8],
    context: &Context,
    seed: S,
) -> Result<S::Value, ComponentError> {
    context.enter(None, DOCUMENT);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = seed.deserialize(&mut deserializer);
    value
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| context.explain(&error, bytes))
}

/// What tells a keyring from other JSON, and its version.
#[derive(Default)]
struct Outline {
    version: Option<Box<[u8]>>,
    elements: bool,
    hint: Option<&'static str>,
}

impl Outline {
    fn version(&self) -> Result<ComponentVersion, ComponentError> {
        match self.version.as_deref() {
            Some(b"1.0") => Ok(ComponentVersion::V1_0),
            Some(other) => Err(ComponentError::UnsupportedVersion {
                found: abbreviated(other),
            }),
            None => Err(ComponentError::OtherJson { hint: self.hint }),
        }
    }

    /// The files that lie beside a component and are easily mistaken for its keyring.
    fn note(&mut self, name: Option<&'static str>) {
        match name {
            Some("elements") => self.elements = true,
            Some("path" | "read_local_config") => {
                self.hint = Some(
                    ": it looks like the component's configuration; give the file that its \
                     member `path` names",
                );
            }
            Some("components") => {
                self.hint = Some(
                    ": it looks like the manifest `mysqld.my`; give the file that the \
                     component's configuration names in its member `path`",
                );
            }
            _ => {}
        }
    }
}

/// A visitor whose seed is the visitor itself, for one kind of JSON value.
macro_rules! seed {
    ($seed:ty => $value:ty, $expecting:literal, $method:ident, $($visit:tt)*) => {
        impl<'de> DeserializeSeed<'de> for $seed {
            type Value = $value;

            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<$value, D::Error> {
                from.$method(self)
            }
        }

        impl<'de> serde::de::Visitor<'de> for $seed {
            type Value = $value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($expecting)
            }

            $($visit)*
        }
    };
}

/// The name of a member, if it is one of these.
struct Name<'c>(&'c [&'static str]);

seed! { Name<'_> => Option<&'static str>, "a name", deserialize_bytes,
    fn visit_bytes<E>(self, name: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.iter().copied().find(|known| known.as_bytes() == name))
    }
}

/// A string as bytes.
struct Text;

seed! { Text => Box<[u8]>, "a string", deserialize_bytes,
    fn visit_bytes<E>(self, text: &[u8]) -> Result<Box<[u8]>, E> {
        Ok(text.into())
    }
}

/// A string of hexadecimal digits, straight into a buffer of its own.
struct Hex<'c>(&'c Context);

seed! { Hex<'_> => SecretBytes, "a string", deserialize_bytes,
    fn visit_bytes<E: serde::de::Error>(self, digits: &[u8]) -> Result<SecretBytes, E> {
        let mut bytes = Zeroizing::new(vec![0; digits.len() >> 1]);
        if let Err(character) = hex::decode(digits, &mut bytes) {
            return Err(self.0.refuse(Defect::BadHex { character }));
        }
        if digits.len() & 1 == 1 {
            return Err(self.0.refuse(Defect::OddHex { digits: digits.len() }));
        }
        Ok(SecretBytes::new(std::mem::take(&mut *bytes)))
    }
}

struct OutlineSeed<'c>(&'c Context);

seed! { OutlineSeed<'_> => Outline, "an object", deserialize_map,
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Outline, A::Error> {
        const NAMES: [&str; 5] =
            ["version", "elements", "path", "read_local_config", "components"];
        let mut outline = Outline::default();
        while let Some(name) = members.next_key_seed(Name(&NAMES))? {
            outline.note(name);
            if name == Some("version") {
                self.0.enter(None, "version");
                let version = members.next_value_seed(Text)?;
                self.0.fill(&mut outline.version, version)?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        if outline.elements && outline.version.is_none() {
            self.0.enter(None, "version");
            return Err(self.0.refuse(Defect::Missing));
        }
        Ok(outline)
    }
}

struct DocumentSeed<'c>(&'c Context);

seed! { DocumentSeed<'_> => Vec<Entry>, "an object", deserialize_map,
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Vec<Entry>, A::Error> {
        let mut entries = None;
        while let Some(name) = members.next_key_seed(Name(&["elements"]))? {
            if name.is_none() {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            self.0.enter(None, "elements");
            let elements = members.next_value_seed(Elements(self.0))?;
            self.0.enter(None, "elements");
            self.0.fill(&mut entries, elements)?;
        }
        self.0.require("elements", entries)
    }
}

struct Elements<'c>(&'c Context);

seed! { Elements<'_> => Vec<Entry>, "an array", deserialize_seq,
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<Entry>, A::Error> {
        let mut entries = Vec::new();
        loop {
            self.0.enter(Some(entries.len()), ELEMENT);
            match items.next_element_seed(Element(self.0))? {
                Some(entry) => entries.push(entry),
                None => return Ok(entries),
            }
        }
    }
}

struct Element<'c>(&'c Context);

seed! { Element<'_> => Entry, "an object", deserialize_map,
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Entry, A::Error> {
        let (mut user, mut id, mut key_type, mut data) = (None, None, None, None);
        let mut extension = None;
        let context = self.0;
        while let Some(name) = members.next_key_seed(Name(&ELEMENT_MEMBERS))? {
            context.name.set(name.unwrap_or(ELEMENT));
            match name {
                Some("user") => context.fill(&mut user, members.next_value_seed(Text)?)?,
                Some("data_id") => context.fill(&mut id, members.next_value_seed(Text)?)?,
                Some("data_type") => {
                    context.fill(&mut key_type, members.next_value_seed(Text)?)?;
                }
                Some("data") => context.fill(&mut data, members.next_value_seed(Hex(context))?)?,
                Some("extension") => {
                    context.fill(&mut extension, members.next_value::<Vec<IgnoredAny>>()?)?;
                }
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        let entry = Entry {
            user: context.require("user", user)?,
            id: KeyId::new(&context.require("data_id", id)?),
            key_type: KeyType::from_bytes(&context.require("data_type", key_type)?),
            data: context.require("data", data)?,
        };
        context.require("extension", extension)?;
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn document(element: &str) -> String {
        format!(r#"{{"version":"1.0","elements":[{element}]}}"#)
    }

    fn element_with(data: &str) -> String {
        document(&format!(
            r#"{{"user":"","data_id":"k","data_type":"AES","data":{data},"extension":[]}}"#
        ))
    }

    fn fails(text: &str) -> ComponentError {
        parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn either_case_escapes_and_other_members_are_read() {
        let text = r#" {"elements" : [ {"extension":[{"a":[1]}], "data":"aBCd\u0030\u0031",
            "data_type":"AES", "data_id":"k\u00e9\n", "user":"r@\"%", "more": {"x": [null]}} ],
            "version":"1.0", "comment": 1.5e3 } "#;
        let keyring = parse(text.as_bytes()).unwrap();
        let [entry] = keyring.entries.as_slice() else {
            panic!("one entry")
        };
        assert_eq!(entry.id.as_bytes(), "k\u{e9}\n".as_bytes());
        assert_eq!(&*entry.user, br#"r@"%"#);
        assert_eq!(entry.data.expose(), [0xAB, 0xCD, 0x01]);
        assert_eq!(keyring.version.to_string(), "1.0");
    }

    #[test]
    fn the_layout_is_the_servers() {
        let entry = Entry {
            id: KeyId::new(b"k\xff/\"\\\x01\x7f"),
            user: b"\n"[..].into(),
            key_type: KeyType::Secret,
            data: SecretBytes::new(vec![0x0A, 0xF0]),
        };
        let expected = b"{\"version\":\"1.0\",\"elements\":[{\"user\":\"\\n\",\
            \"data_id\":\"k\xff/\\\"\\\\\\u0001\x7f\",\"data_type\":\"SECRET\",\
            \"data\":\"0AF0\",\"extension\":[]}]}";
        assert_eq!(*serialize([&entry]), expected);
        assert_eq!(parse(expected).unwrap().entries, [entry]);
        assert_eq!(*serialize([]), br#"{"version":"1.0","elements":[]}"#);
    }

    #[test]
    fn bad_data_names_the_element_and_not_the_value() {
        let error = fails(&element_with(r#""C0FFEE0""#));
        assert!(
            matches!(error, ComponentError::OddHex { digits: 7, .. }),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains("element 0 (counted from 0), member `data`"),
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains("C0FFEE"), "{error}");
        let error = fails(&element_with(r#""C0FFEx""#));
        assert!(
            matches!(error, ComponentError::BadHex { character: 5, .. }),
            "{error}"
        );
        let error = fails(&element_with("271828182845"));
        assert!(
            matches!(
                error,
                ComponentError::WrongType {
                    expected: "a string",
                    ..
                }
            ),
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains("2718"), "{error}");
        let error = fails(&element_with("[192,255]"));
        assert!(matches!(error, ComponentError::WrongType { .. }), "{error}");
    }

    #[test]
    fn every_member_is_required_and_only_once() {
        let members = [
            (r#""user":"""#, "user"),
            (r#""data_id":"k""#, "data_id"),
            (r#""data_type":"AES""#, "data_type"),
            (r#""data":"00""#, "data"),
            (r#""extension":[]"#, "extension"),
        ];
        for (_, left_out) in members {
            let others: Vec<&str> = members
                .iter()
                .filter(|(_, name)| *name != left_out)
                .map(|(text, _)| *text)
                .collect();
            let error = fails(&document(&format!("{{{}}}", others.join(","))));
            let member = Member {
                element: Some(0),
                name: left_out,
            };
            assert!(
                matches!(error, ComponentError::MissingMember { member: m, .. } if m == member),
                "{error}"
            );
        }
        let all: Vec<&str> = members.iter().map(|(text, _)| *text).collect();
        for (text, _) in members {
            let error = fails(&document(&format!("{{{},{text}}}", all.join(","))));
            assert!(
                matches!(error, ComponentError::RepeatedMember { .. }),
                "{error}"
            );
        }
        let error = fails(r#"{"version":"1.0"}"#);
        let member = Member {
            element: None,
            name: "elements",
        };
        assert!(matches!(error, ComponentError::MissingMember { member: m, .. } if m == member));
        assert!(matches!(
            fails(r#"{"elements":[]}"#),
            ComponentError::MissingMember { .. }
        ));
    }

    #[test]
    fn types_are_checked() {
        for (text, expected) in [
            ("[]", "an object"),
            (r#"{"version":1.0,"elements":[]}"#, "a string"),
            (r#"{"version":"1.0","elements":{}}"#, "an array"),
            (r#"{"version":"1.0","elements":["C0FFEE"]}"#, "an object"),
        ] {
            let error = fails(text);
            let matched =
                matches!(error, ComponentError::WrongType { expected: e, .. } if e == expected);
            assert!(matched, "{text}: {error}");
            assert!(!error.to_string().contains("C0FFEE"));
        }
        let text = r#"{"user":"","data_id":"k","data_type":"AES","data":"00","extension":""}"#;
        let error = fails(&document(text));
        assert!(
            matches!(
                error,
                ComponentError::WrongType {
                    expected: "an array",
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn other_versions_and_other_json_are_told_apart() {
        let error = fails(r#"{"version":"2.0","elements":"of another shape"}"#);
        assert_eq!(
            error,
            ComponentError::UnsupportedVersion {
                found: "2.0".to_owned()
            }
        );
        assert_eq!(fails("{}"), ComponentError::OtherJson { hint: None });
        let error = fails(r#"{"path":"/var/lib/mysql-keyring/keyring","read_only":false}"#);
        assert!(error.to_string().contains("configuration"), "{error}");
        let error = fails(r#"{"components":"file://component_keyring_file"}"#);
        assert!(error.to_string().contains("mysqld.my"), "{error}");
    }

    #[test]
    fn a_place_is_given_in_bytes_lines_and_columns() {
        let error = fails("{\"version\":\"1.0\",\n\n \"elements\":[}");
        let ComponentError::Syntax { at } = error else {
            panic!("{error}")
        };
        assert_eq!((at.line, at.column, at.offset), (3, 14, 32), "{at}");
        let error = fails("{\"version\":\"1.0\",\n");
        let ComponentError::Truncated { at } = error else {
            panic!("{error}")
        };
        assert_eq!(at.offset, 18, "{at}");
        let error = fails("{\"version\":\"1.0\",\"elements\":[]} x");
        assert!(matches!(error, ComponentError::Syntax { .. }), "{error}");
    }

    #[test]
    fn deep_nesting_is_no_danger() {
        let deep = "[".repeat(1 << 20);
        let error = fails(&format!(r#"{{"x":{deep}"#));
        assert!(matches!(error, ComponentError::Truncated { .. }), "{error}");
        let closed = format!("{deep}{}", "]".repeat(1 << 20));
        let text = format!(r#"{{"version":"1.0","elements":[],"x":{closed}}}"#);
        assert!(parse(text.as_bytes()).unwrap().entries.is_empty());
        let text = format!(
            r#"{{"user":"","data_id":"k","data_type":"AES","data":"00","extension":{closed}}}"#
        );
        assert_eq!(parse(document(&text).as_bytes()).unwrap().entries.len(), 1);
    }

    #[test]
    fn two_elements_of_one_name_are_refused() {
        let element = r#"{"user":"","data_id":"k","data_type":"AES","data":"00","extension":[]}"#;
        let error = fails(&document(&format!("{element},{element}")));
        assert_eq!(
            error,
            ComponentError::Duplicate {
                id: KeyId::new(b"k"),
                first: 0,
                second: 1
            }
        );
    }

    prop_compose! {
        fn any_entry()(
            id in prop::collection::vec(any::<u8>(), 0..60),
            user in prop::collection::vec(any::<u8>(), 0..20),
            key_type in prop::collection::vec(any::<u8>(), 0..8),
            data in prop::collection::vec(any::<u8>(), 0..70),
        ) -> Entry {
            Entry {
                id: KeyId::new(&id),
                user: user.into(),
                key_type: KeyType::from_bytes(&key_type),
                data: SecretBytes::new(data),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            mut entries in prop::collection::vec(any_entry(), 0..6),
        ) {
            while let Some((_, later)) = find_duplicate(&entries) {
                entries.remove(later);
            }
            prop_assert_eq!(parse(&serialize(&entries)).unwrap().entries, entries);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            let _ = parse(&[br#"{"version":"1.0","elements":["#, &bytes[..]].concat());
        }
    }
}
