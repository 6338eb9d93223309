//! Types that hold key bytes: wiped when dropped, silent in `Debug`, compared in constant time.
//!
//! None of them is `Clone`, `Display` or serializable. [`Secret::expose`] is the only way to the
//! bytes, so that every use can be found by its name.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The environment variable that has the password of `MariaDB`'s encrypted key files.
pub const MARIADB_KEYS_PASSWORD: &str = "BINLOGSEC_MARIADB_KEYS_PASSWORD";
/// The environment variable that has the password of every server that has none of its own.
pub const SERVER_PASSWORD: &str = "BINLOGSEC_SERVER_PASSWORD";
/// The environment variable that has the password of keyring files of
/// `component_percona_keyring_encrypted_file`.
pub const KEYRING_PASSWORD: &str = "BINLOGSEC_KEYRING_PASSWORD";
/// The environment variables that hold a password. No other program inherits them.
pub const PASSWORD_VARIABLES: [&str; 3] =
    [MARIADB_KEYS_PASSWORD, SERVER_PASSWORD, KEYRING_PASSWORD];

/// `N` secret bytes on the heap, where a move leaves no copy behind.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>(Box<[u8; N]>);

/// A replication encryption key, a file password, or a file key: 32 bytes each.
pub type Secret32 = Secret<32>;

impl<const N: usize> Secret<N> {
    /// Moves bytes in and wipes the place they came from.
    #[must_use]
    pub fn take(bytes: &mut [u8; N]) -> Self {
        let mut secret = Self::zeroed();
        secret.0.copy_from_slice(bytes);
        bytes.zeroize();
        secret
    }

    /// Copies from a slice of exactly `N` bytes; `None` for any other length.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self::zeroed();
        if bytes.len() != N {
            return None;
        }
        secret.0.copy_from_slice(bytes);
        Some(secret)
    }

    /// All zero, to be filled in place by [`Secret::expose_mut`].
    #[must_use]
    pub fn zeroed() -> Self {
        Self(Box::new([0; N]))
    }

    /// The bytes themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// The bytes themselves, to be written.
    pub fn expose_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(other.0.as_slice()).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({N} bytes, redacted)")
    }
}

/// Secret bytes of any length: what a keyring holds under one key id.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes over a buffer. The buffer must have been grown once to its full size: a vector that
    /// grows step by step leaves copies behind.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for SecretBytes {}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes, redacted)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_byte() {
        let mut bytes = [0xAB; 32];
        let secret = Secret::take(&mut bytes);
        assert_eq!(bytes, [0; 32], "the source is wiped");
        assert_eq!(format!("{secret:?}"), "Secret(32 bytes, redacted)");
        let secret = SecretBytes::new(vec![0xAB; 16]);
        assert_eq!(format!("{secret:?}"), "SecretBytes(16 bytes, redacted)");
    }

    #[test]
    fn only_the_exact_length_is_taken() {
        assert!(Secret32::from_slice(&[1; 31]).is_none());
        assert!(Secret32::from_slice(&[1; 33]).is_none());
        assert_eq!(Secret32::from_slice(&[1; 32]).unwrap().expose(), &[1; 32]);
    }

    #[test]
    fn equality_is_of_the_bytes() {
        assert_eq!(Secret32::from_slice(&[7; 32]), Secret32::from_slice(&[7; 32]));
        assert_ne!(Secret32::from_slice(&[7; 32]), Secret32::from_slice(&[8; 32]));
        assert_ne!(SecretBytes::new(vec![1]), SecretBytes::new(vec![1, 2]));
    }
}
