//! Values of JSON documents that are secrets: straight into memory that is wiped.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use binlogsec_core::secret::SecretBytes;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use zeroize::Zeroizing;

/// A text as it stands.
pub(crate) struct Text(pub(crate) SecretBytes);
/// Bytes in base64.
pub(crate) struct Base64(pub(crate) SecretBytes);
/// Bytes in hexadecimal digits.
pub(crate) struct Hex(pub(crate) SecretBytes);

/// Reads a text by a function; what it refuses is told without the text.
struct Reads<T>(fn(&str) -> Option<T>, &'static str);

impl<T> Visitor<'_> for Reads<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).ok_or_else(|| E::custom(self.1))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = |text: &str| Some(Self(SecretBytes::new(text.trim().as_bytes().to_vec())));
        from.deserialize_str(Reads(read, "a text"))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = |text: &str| {
            let mut bytes = Zeroizing::new(vec![0; text.len()]);
            let length = BASE64_STANDARD.decode_slice(text, &mut bytes).ok()?;
            bytes.truncate(length);
            Some(Self(SecretBytes::new(std::mem::take(&mut *bytes))))
        };
        from.deserialize_str(Reads(read, "base64"))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let read = |text: &str| {
            let digits = text.as_bytes();
            if digits.len() & 1 == 1 {
                return None;
            }
            let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len() >> 1));
            for pair in digits.chunks_exact(2) {
                let mut value = 0_u8;
                for &digit in pair {
                    let digit = u8::try_from(char::from(digit).to_digit(16)?).ok()?;
                    value = value << 4 | digit;
                }
                bytes.push(value);
            }
            Some(Self(SecretBytes::new(std::mem::take(&mut *bytes))))
        };
        from.deserialize_str(Reads(read, "hexadecimal digits"))
    }
}
