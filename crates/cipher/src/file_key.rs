//! File password to file key and nonce: one SHA-512.

use sha2::{Digest, Sha512};
use zeroize::Zeroize;

use crate::secret::{Secret, Secret32};

/// What encrypts a log's body.
#[derive(Debug)]
pub struct FileKey {
    /// AES-256 key: bytes 0..32 of the digest.
    pub key: Secret32,
    /// First half of the counter block: bytes 32..40 of the digest. The second half counts blocks.
    pub nonce: Secret<8>,
}

impl FileKey {
    /// Derives the file key as OpenSSL's `EVP_BytesToKey` does with SHA-512, no salt, one round
    /// (server source: `Aes_ctr_cipher::init`).
    #[must_use]
    pub fn derive(password: &Secret32) -> Self {
        let mut digest = Sha512::digest(password.expose());
        let (mut key, mut nonce) = (Secret32::zeroed(), Secret::<8>::zeroed());
        let sources = digest.iter();
        let targets = key.expose_mut().iter_mut().chain(nonce.expose_mut());
        targets.zip(sources).for_each(|(target, source)| *target = *source);
        digest.as_mut_slice().zeroize();
        Self { key, nonce }
    }
}
