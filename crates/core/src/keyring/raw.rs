//! One bare key: 32 bytes, or a text of 64 hexadecimal digits or of the base64 of 32 bytes.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::hex;
use crate::secret::Secret32;

const KEY_BYTES: usize = 32;
const HEX_DIGITS: usize = 64;
/// More than any text of a key takes, and what it could decode to.
const MAX_BASE64: usize = 64;
const MAX_DECODED: usize = 48;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why some bytes are no key. Nothing of the bytes is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RawKeyError {
    /// Nothing, or blanks alone.
    #[error("nothing is there; 32 bytes, 64 hexadecimal digits or base64 of 32 bytes expected")]
    Empty,
    /// Hexadecimal digits, but not 64.
    #[error("{available} hexadecimal digits found, {needed} expected for a key of 32 bytes")]
    HexLength {
        /// Digits expected.
        needed: usize,
        /// Digits found.
        available: usize,
    },
    /// Base64, but not of 32 bytes.
    #[error("base64 of {available} bytes found, of {needed} expected")]
    Base64Length {
        /// Bytes expected.
        needed: usize,
        /// Bytes found.
        available: usize,
    },
    /// Anything else.
    #[error(
        "{available} bytes of another form found; 32 bytes, 64 hexadecimal digits or base64 of 32 \
         bytes expected"
    )]
    OtherForm {
        /// Bytes found.
        available: usize,
    },
}

/// The key in the bytes of a key file: exactly 32 bytes are the key itself, whatever they are;
/// otherwise the bytes are a text, blanks around it aside.
///
/// # Errors
/// [`RawKeyError`].
pub fn parse(bytes: &[u8]) -> Result<Secret32, RawKeyError> {
    Secret32::from_slice(bytes).map_or_else(|| parse_text(bytes), Ok)
}

/// The key in the output of a command: a text first of all; 32 bytes are taken as the key itself
/// only when they are no text, since a command may print 32 characters of a message.
///
/// # Errors
/// [`RawKeyError`].
pub fn parse_output(bytes: &[u8]) -> Result<Secret32, RawKeyError> {
    let is_text = bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    if is_text { parse_text(bytes) } else { parse(bytes) }
}

fn parse_text(bytes: &[u8]) -> Result<Secret32, RawKeyError> {
    let text = bytes.trim_ascii();
    if text.is_empty() {
        return Err(RawKeyError::Empty);
    }
    let available = bytes.len();
    let all_hex = text.iter().all(u8::is_ascii_hexdigit);
    let mut key = Secret32::zeroed();
    if all_hex && text.len() == HEX_DIGITS {
        let decoded = hex::decode(text, key.expose_mut());
        return decoded.map(|()| key).map_err(|_| RawKeyError::OtherForm { available });
    }
    if text.len() > MAX_BASE64 {
        return Err(if all_hex {
            RawKeyError::HexLength { needed: HEX_DIGITS, available: text.len() }
        } else {
            RawKeyError::OtherForm { available }
        });
    }
    let mut buffer = Zeroizing::new([0; MAX_DECODED]);
    match BASE64.decode_slice(text, buffer.as_mut_slice()) {
        Ok(KEY_BYTES) => {
            let decoded = buffer.get(..KEY_BYTES).unwrap_or_default();
            key.expose_mut().copy_from_slice(decoded);
            Ok(key)
        }
        _ if all_hex => Err(RawKeyError::HexLength { needed: HEX_DIGITS, available: text.len() }),
        Ok(available) => Err(RawKeyError::Base64Length { needed: KEY_BYTES, available }),
        // The decoder's error quotes a character of the text.
        Err(_) => Err(RawKeyError::OtherForm { available }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 00 to 1f, as Python's `base64.b64encode(bytes(range(32)))` writes it.
    const COUNTING: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const COUNTING_HEX: &str = "000102030405060708090a0b0c0d0E0F101112131415161718191A1b1c1d1e1f";

    fn counting() -> Secret32 {
        let bytes: Vec<u8> = (0..32).collect();
        Secret32::from_slice(&bytes).unwrap()
    }

    #[test]
    fn all_forms_are_the_same_key() {
        for text in [
            COUNTING.to_owned(),
            COUNTING.trim_end_matches('=').to_owned(),
            format!(" {COUNTING}\r\n"),
            COUNTING_HEX.to_owned(),
            format!("{COUNTING_HEX}\n"),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(counting()), "{text}");
            assert_eq!(parse_output(text.as_bytes()), Ok(counting()), "{text}");
        }
        assert_eq!(parse(counting().expose()), Ok(counting()));
        assert_eq!(parse_output(counting().expose()), Ok(counting()));
    }

    #[test]
    fn thirty_two_characters_are_a_key_in_a_file_and_none_from_a_command() {
        let text = [b'a'; 32];
        assert!(parse(&text).is_ok());
        let error = RawKeyError::HexLength { needed: 64, available: 32 };
        assert_eq!(parse_output(&text), Err(error));
    }

    #[test]
    fn other_contents_have_errors_of_their_own() {
        let (whole, long) = ("A".repeat(63) + "+", "A".repeat(64) + "+");
        for (bytes, expected) in [
            (&b""[..], RawKeyError::Empty),
            (b" \n", RawKeyError::Empty),
            (b"00112233", RawKeyError::HexLength { needed: 64, available: 8 }),
            (&[b'A'; 65], RawKeyError::HexLength { needed: 64, available: 65 }),
            // The longest that is read as base64, and one more.
            (whole.as_bytes(), RawKeyError::Base64Length { needed: 32, available: 48 }),
            (long.as_bytes(), RawKeyError::OtherForm { available: 65 }),
            (b"c2VjcmV0IQ==", RawKeyError::Base64Length { needed: 32, available: 7 }),
            (b"not a key", RawKeyError::OtherForm { available: 9 }),
            (&[0xFF; 33], RawKeyError::OtherForm { available: 33 }),
            (&[b'~'; 100], RawKeyError::OtherForm { available: 100 }),
        ] {
            assert_eq!(parse(bytes), Err(expected), "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&bytes);
            let _ = parse_output(&bytes);
        }

        #[test]
        fn arbitrary_text_never_panics(text in "[0-9a-fA-F+/= \n]{0,100}") {
            let _ = parse(text.as_bytes());
        }
    }
}
