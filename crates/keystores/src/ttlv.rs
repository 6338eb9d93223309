//! The encoding of KMIP: items of tag, type, length and value, padded to eight bytes.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 3 | tag, big-endian |
//! | 3 | 1 | type |
//! | 4 | 4 | length of the value without its padding, big-endian |
//! | 8 | length | value; integers big-endian |
//!
//! Source: OASIS, Key Management Interoperability Protocol Specification 1.0, section 9.1.

use binlogsec_core::bytes::Cursor;

/// Tag, type and length.
pub(crate) const HEADER: usize = 8;
/// Values are padded to a multiple of this.
const ALIGNMENT: usize = 8;

/// The types of values that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Type {
    Structure = 1,
    Integer = 2,
    Enumeration = 5,
    Text = 7,
    Bytes = 8,
    DateTime = 9,
}

/// Writes items one after the other.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An item with items in it.
    pub(crate) fn structure(mut self, tag: u32, write: impl FnOnce(Self) -> Self) -> Self {
        let inner = write(Self::default()).bytes;
        self.item(tag, Type::Structure, &inner);
        self
    }

    pub(crate) fn integer(mut self, tag: u32, value: u32) -> Self {
        self.item(tag, Type::Integer, &value.to_be_bytes());
        self
    }

    pub(crate) fn enumeration(mut self, tag: u32, value: u32) -> Self {
        self.item(tag, Type::Enumeration, &value.to_be_bytes());
        self
    }

    /// Bytes that are a text: what is written here are names and ids, as a store or a log has them.
    pub(crate) fn text(mut self, tag: u32, value: &[u8]) -> Self {
        self.item(tag, Type::Text, value);
        self
    }

    fn item(&mut self, tag: u32, kind: Type, value: &[u8]) {
        let [_, tag @ ..] = tag.to_be_bytes();
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&tag);
        self.bytes.push(kind as u8);
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(value);
        let end = self.bytes.len().next_multiple_of(ALIGNMENT);
        self.bytes.resize(end, 0);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// An item as it stands in a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a> {
    tag: u32,
    kind: u8,
    value: &'a [u8],
}

impl<'a> Item<'a> {
    /// In the place of one that is not there.
    pub(crate) const NONE: Self = Self { tag: 0, kind: Type::Structure as u8, value: &[] };

    /// The first item of these bytes.
    pub(crate) fn first(bytes: &'a [u8]) -> Option<Self> {
        Items(bytes).next()
    }

    /// The items in a structure; none in what is no structure.
    pub(crate) const fn items(self) -> Items<'a> {
        Items(if self.kind == Type::Structure as u8 { self.value } else { &[] })
    }

    /// The first item of a structure with this tag.
    pub(crate) fn find(self, tag: u32) -> Option<Self> {
        self.items().find(|item| item.tag == tag)
    }

    pub(crate) fn has_tag(self, tag: u32) -> bool {
        self.tag == tag
    }

    pub(crate) fn enumeration(self) -> Option<u32> {
        let is_one = self.kind == Type::Enumeration as u8 && self.value.len() == 4;
        is_one.then(|| Cursor::new(self.value).u32_be().ok()).flatten()
    }

    /// Seconds since 1970.
    pub(crate) fn date_time(self) -> Option<i64> {
        let bytes = self.value.try_into().ok()?;
        (self.kind == Type::DateTime as u8).then(|| i64::from_be_bytes(bytes))
    }

    pub(crate) fn text(self) -> Option<&'a [u8]> {
        (self.kind == Type::Text as u8).then_some(self.value)
    }

    pub(crate) fn bytes(self) -> Option<&'a [u8]> {
        (self.kind == Type::Bytes as u8).then_some(self.value)
    }
}

/// Items one after the other; they end where one is not whole.
#[derive(Debug, Clone)]
pub(crate) struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let (header, rest) = self.0.split_at_checked(HEADER)?;
        let (tag, kind, length) = parse_header(header)?;
        let (value, rest) = rest.split_at_checked(length)?;
        // The last item may come without its padding.
        let padding = length.next_multiple_of(ALIGNMENT).saturating_sub(length);
        self.0 = rest.get(padding..).unwrap_or_default();
        Some(Item { tag, kind, value })
    }
}

/// Tag, type, and the length of the value.
fn parse_header(header: &[u8]) -> Option<(u32, u8, usize)> {
    let mut cursor = Cursor::new(header);
    let word = cursor.u32_be().ok()?;
    let length = usize::try_from(cursor.u32_be().ok()?).ok()?;
    let [.., kind] = word.to_be_bytes();
    Some((word >> 8, kind, length))
}

/// How long a message is behind a header that has this tag and is a structure.
pub(crate) fn message_length(header: &[u8], tag: u32) -> Option<usize> {
    let (found, kind, length) = parse_header(header)?;
    (found == tag && kind == Type::Structure as u8).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_those_of_the_specification() {
        // The examples of section 9.1.2.
        let item = |writer: Writer| writer.into_bytes();
        let tag = 0x42_00_20;
        let integer = [0x42, 0, 0x20, 2, 0, 0, 0, 4, 0, 0, 0, 8, 0, 0, 0, 0];
        assert_eq!(item(Writer::default().integer(tag, 8)), integer);
        let enumeration = [0x42, 0, 0x20, 5, 0, 0, 0, 4, 0, 0, 0, 0xFF, 0, 0, 0, 0];
        assert_eq!(item(Writer::default().enumeration(tag, 255)), enumeration);
        let text = item(Writer::default().text(tag, b"Hello World"));
        assert_eq!(text, b"\x42\0\x20\x07\0\0\0\x0BHello World\0\0\0\0\0");
        let inner = |writer: Writer| writer.enumeration(0x42_00_04, 254).integer(0x42_00_05, 255);
        let structure = item(Writer::default().structure(tag, inner));
        assert_eq!(structure.len(), 40);
        assert_eq!(message_length(&structure, tag), Some(32));
        let read = Item::first(&structure).unwrap();
        assert_eq!(read.find(0x42_00_04).unwrap().enumeration(), Some(254));
        assert!(read.find(0x42_00_06).is_none());
        assert_eq!(Item::first(&text).unwrap().text(), Some(&b"Hello World"[..]));
    }

    #[test]
    fn no_cut_or_changed_message_panics_or_is_read_beyond_its_end() {
        let name = |writer: Writer| writer.text(0x42_00_55, b"name").enumeration(0x42_00_54, 1);
        let message = Writer::default().structure(0x42_00_7B, name).into_bytes();
        for at in 0..message.len() {
            for byte in [0, 1, 0x42, 0x7F, 0xFF] {
                let mut changed = message.clone();
                changed[at] = byte;
                for bytes in [&message[..at], &changed] {
                    let items = Items(bytes).flat_map(Item::items);
                    let seen: usize = items.map(|item| item.value.len()).sum();
                    assert!(seen <= bytes.len());
                }
            }
        }
    }
}
