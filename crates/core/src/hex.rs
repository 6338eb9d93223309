//! Hexadecimal text to bytes, into a buffer the caller wipes, and back.

/// The value of one digit of either case.
const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
        b'A'..=b'F' => Some(byte.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    }
}

/// Decodes as many pairs of digits as `out` has bytes.
///
/// # Errors
/// The position of the first character that is no digit.
pub(crate) fn decode(text: &[u8], out: &mut [u8]) -> Result<(), usize> {
    if let Some(position) = text.iter().position(|byte| digit(*byte).is_none()) {
        return Err(position);
    }
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *byte = pair
            .iter()
            .fold(0, |value, &character| value << 4 | digit(character).unwrap_or_default());
    }
    Ok(())
}

/// The two upper-case digits of a byte, as the server writes them.
pub(crate) fn upper(byte: u8) -> [u8; 2] {
    const fn character(nibble: u8) -> u8 {
        match nibble {
            0..=9 => nibble.wrapping_add(b'0'),
            _ => nibble.wrapping_sub(10).wrapping_add(b'A'),
        }
    }
    [character(byte >> 4), character(byte & 0x0F)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back_in_either_case() {
        for byte in 0..=u8::MAX {
            let text = upper(byte);
            assert_eq!(text, format!("{byte:02X}").as_bytes());
            let mut out = [0];
            assert_eq!(decode(&text, &mut out), Ok(()));
            assert_eq!(out, [byte]);
            assert_eq!(decode(&text.to_ascii_lowercase(), &mut out), Ok(()));
            assert_eq!(out, [byte]);
        }
    }

    #[test]
    fn the_first_other_character_is_named() {
        for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_hexdigit()) {
            assert_eq!(decode(&[b'0', b'1', byte, b'g'], &mut [0; 2]), Err(2));
        }
    }
}
