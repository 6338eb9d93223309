//! Server UUIDs: 16 bytes, written as 8-4-4-4-12 hexadecimal digits.

use std::fmt;
use std::str::FromStr;

/// Characters of a UUID as text.
const LENGTH: usize = 36;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A server's UUID, bytes in the order in which they are written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In one piece: a listing has one of each transaction.
        const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
        let mut text = [b'-'; LENGTH];
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
        for (byte, place) in self.0.iter().zip(PLACES) {
            if let Some(two) = text.get_mut(place..).and_then(<[u8]>::first_chunk_mut) {
                *two = [digit(byte >> 4), digit(byte & 0x0F)];
            }
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("32 hexadecimal digits are expected, with or without dashes")]
pub struct NotAUuid;

impl FromStr for Uuid {
    type Err = NotAUuid;

    /// As the server does: 32 digits with dashes in the usual places or without any; braces around
    /// are allowed.
    fn from_str(text: &str) -> Result<Self, NotAUuid> {
        let text = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
        let dashes: Vec<_> = text.match_indices('-').map(|(index, _)| index).collect();
        if !dashes.is_empty() && dashes != [8, 13, 18, 23] {
            return Err(NotAUuid);
        }
        let digits: Option<Vec<u32>> =
            text.chars().filter(|&c| c != '-').map(|c| c.to_digit(16)).collect();
        let digits = digits.filter(|digits| digits.len() == 32).ok_or(NotAUuid)?;
        let mut uuid = [0; 16];
        for (byte, pair) in uuid.iter_mut().zip(digits.chunks_exact(2)) {
            let value = pair.iter().fold(0, |value: u32, digit| (value << 4) | digit);
            *byte = u8::try_from(value).map_err(|_| NotAUuid)?;
        }
        Ok(Self(uuid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_the_server_takes() {
        let uuid = Uuid::from_str("0f1e2d3c-4b5a-11ef-8a69-7887a6b5c4d3").unwrap();
        for text in [
            "0f1e2d3c4b5a11ef8a697887a6b5c4d3",
            "0F1E2D3C-4B5A-11EF-8A69-7887A6B5C4D3",
            "{0f1e2d3c-4b5a-11ef-8a69-7887a6b5c4d3}",
        ] {
            assert_eq!(Uuid::from_str(text), Ok(uuid), "{text}");
        }
        for text in [
            "",
            "0f1e2d3c-4b5a-11ef-8a697887a6b5c4d3",
            "0f1e2d3c4-b5a-11ef-8a69-7887a6b5c4d3",
            "0f1e2d3c4b5a11ef8a697887a6b5c4d",
            "0f1e2d3c4b5a11ef8a697887a6b5c4d30",
            "0f1e2d3c4b5a11ef8a697887a6b5c4dg",
        ] {
            assert!(Uuid::from_str(text).is_err(), "{text}");
        }
    }
}
