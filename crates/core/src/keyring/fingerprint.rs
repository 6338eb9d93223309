//! A name for a key that can be compared between hosts and reveals nothing of the key.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;

const SALT: &[u8] = b"binlogsec key fingerprint";
const INFO: &[u8] = b"version 1";

/// The first 16 bytes of HKDF-SHA-256 (RFC 5869) of a key, with the salt
/// `binlogsec key fingerprint` and the info `version 1`, both ASCII without a terminator. Salt and
/// info never change: fingerprints of different versions of this toolkit can be compared.
///
/// It is shown as eight groups of four lower-case hexadecimal digits:
/// `22e1-c614-9cd4-a1d0-ea75-3fd4-4d78-750d`.
///
/// It hides as much as there is to guess: everything of a random key, nothing of a value such as
/// a sequence number, of which no fingerprint should be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The fingerprint of these key bytes.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        let mut out = [0; 16];
        // HKDF refuses only outputs of more than 255 hashes; this is half a hash.
        let expanded = Hkdf::<Sha256>::new(Some(SALT), key).expand(INFO, &mut out);
        debug_assert!(expanded.is_ok());
        Self(out)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            if position > 0 && position & 1 == 0 {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Python's standard library, with nothing of this crate:
    /// ```text
    /// import hmac
    /// prk = hmac.digest(b"binlogsec key fingerprint", bytes(range(32)), "sha256")
    /// okm = hmac.digest(prk, b"version 1\x01", "sha256")[:16]
    /// print("-".join(okm.hex()[i:i+4] for i in range(0, 32, 4)))
    /// ```
    #[test]
    fn it_is_hkdf_as_an_independent_implementation_has_it() {
        let key: Vec<u8> = (0..32).collect();
        assert_eq!(Fingerprint::of(&key).to_string(), "22e1-c614-9cd4-a1d0-ea75-3fd4-4d78-750d");
        let bytes = *Fingerprint::of(&key).as_bytes();
        assert_eq!((bytes[0], bytes[15]), (0x22, 0x0d));
    }

    #[test]
    fn it_differs_by_key_and_not_by_call() {
        assert_eq!(Fingerprint::of(&[1; 32]), Fingerprint::of(&[1; 32]));
        assert_ne!(Fingerprint::of(&[1; 32]), Fingerprint::of(&[2; 32]));
        assert_ne!(Fingerprint::of(&[1; 32]), Fingerprint::of(&[1; 31]));
    }
}
