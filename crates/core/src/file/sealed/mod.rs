//! Output for the eyes of its recipients alone: the age file format, version 1
//! (age-encryption.org/v1), by the crate `age`.
//!
//! Nothing here can read what was written: for that it takes a recipient's identity.

#[cfg(not(feature = "age"))]
mod nobody;
#[cfg(feature = "age")]
mod recipients;

#[cfg(not(feature = "age"))]
pub use nobody::{RecipientError, Recipients};
#[cfg(feature = "age")]
pub use recipients::{RecipientError, Recipients};

use super::TransferError;
use super::source::FileSource;

/// What the names of age files end with.
pub const EXTENSION: &str = ".age";

/// How every age file begins.
const FIRST_LINE: &[u8] = b"age-encryption.org/v1\n";
/// How the last line of a file's header begins, with the end of the line before.
const LAST_LINE: &[u8] = b"\n---";
/// Bytes between header and payload.
const NONCE: u64 = 16;
/// Plaintext of one chunk of the payload, and what encryption adds to each.
const CHUNK: u64 = 64 << 10;
const TAG: u64 = 16;
/// Longest header that is looked into.
const LONGEST_HEADER: usize = 64 << 10;

/// Whether a file is an age file with so many bytes of plaintext. Whose they are is not known.
///
/// # Errors
/// [`TransferError`] when it cannot be read.
pub fn has_plain_length(file: &FileSource, plain_length: u64) -> Result<bool, TransferError> {
    let mut start = vec![0; LONGEST_HEADER];
    let read = file.read_at(0, &mut start)?;
    start.truncate(read);
    let expected = header_length(&start).and_then(|header| {
        let chunks = plain_length.div_ceil(CHUNK).max(1);
        let payload = plain_length.checked_add(chunks.checked_mul(TAG)?)?;
        header.checked_add(NONCE)?.checked_add(payload)
    });
    Ok(expected == Some(file.length()))
}

fn header_length(start: &[u8]) -> Option<u64> {
    if !start.starts_with(FIRST_LINE) {
        return None;
    }
    let is_last = |bytes: &[u8]| bytes == LAST_LINE;
    let last = start.windows(LAST_LINE.len()).position(is_last)?;
    let behind = start.get(last.checked_add(1)?..)?;
    let end = behind.iter().position(|byte| *byte == b'\n')?;
    u64::try_from(last.checked_add(end)?.checked_add(2)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_ends_with_its_last_line() {
        let header = b"age-encryption.org/v1\n-> X25519 abc\ndef\n--- mac\n";
        let length = u64::try_from(header.len()).unwrap();
        let file = [&header[..], b"\x00 nonce\n--- no header\n"].concat();
        assert_eq!(header_length(&file), Some(length));
        for cut in [0, 10, 30, header.len() - 1] {
            assert_eq!(header_length(&header[..cut]), None, "{cut}");
        }
        assert_eq!(header_length(b"\xfebin\n--- mac\n"), None);
    }
}
