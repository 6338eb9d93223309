//! Reading, without a copy of a key that is not wiped.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess};
use serde_json::error::Category;
use zeroize::Zeroizing;

use super::*;
use crate::hex;
use crate::keyring::{KeyType, abbreviated, find_duplicate};
use crate::mysql::key_id::KeyId;
use crate::secret::SecretBytes;

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
        let id = entries.get(second).map_or(&[][..], |entry| entry.id.as_bytes());
        return Err(ComponentError::Duplicate { id: KeyId::new(id), first, second });
    }
    Ok(ComponentKeyring { version, entries })
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
        let member = Member { element: self.element.get(), name: self.name.get() };
        match (self.defect.take(), error.classify()) {
            (Some(Defect::Missing), _) => ComponentError::MissingMember { member, at },
            (Some(Defect::Repeated), _) => ComponentError::RepeatedMember { member, at },
            (Some(Defect::OddHex { digits }), _) => ComponentError::OddHex { member, digits, at },
            (Some(Defect::BadHex { character }), _) => {
                ComponentError::BadHex { member, character, at }
            }
            (None, Category::Syntax | Category::Io) => ComponentError::Syntax { at },
            (None, Category::Eof) => ComponentError::Truncated { at },
            (None, Category::Data) => {
                let expected = match member.name {
                    DOCUMENT | ELEMENT => "an object",
                    "elements" | "extension" => "an array",
                    _ => "a string",
                };
                ComponentError::WrongType { member, expected, at }
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
            Some(other) => Err(ComponentError::UnsupportedVersion { found: abbreviated(other) }),
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
