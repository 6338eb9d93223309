//! Writing, byte for byte as the server would.

use zeroize::Zeroizing;

use super::Entry;
use crate::hex;

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
        let names = names.saturating_add(entry.key_type.as_bytes().len()).saturating_mul(6);
        let hex = entry.data.len().saturating_mul(2);
        size.saturating_add(names).saturating_add(hex).saturating_add(80)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// RapidJSON's own short forms, for a file that is the same to the byte.
    #[test]
    fn control_characters_are_written_as_the_server_does() {
        let mut out = Vec::new();
        escape(b"a\"\\\x08\t\n\x0c\r\x01\x1f\x7f", &mut out);
        assert_eq!(out, b"a\\\"\\\\\\b\\t\\n\\f\\r\\u0001\\u001F\x7f");
    }
}
