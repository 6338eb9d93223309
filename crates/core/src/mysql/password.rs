//! Wrapping and unwrapping the file password: AES-256-CBC, no padding, two blocks.

use aes::Aes256;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};

use crate::secret::Secret32;

/// Length of a file password in bytes.
pub const LENGTH: usize = 32;

/// The file password out of a header's wrapped bytes. Any key gives some password.
#[must_use]
pub fn unwrap(key: &Secret32, iv: &[u8; 16], wrapped: &[u8; LENGTH]) -> Secret32 {
    let mut password = Secret32::zeroed();
    *password.expose_mut() = *wrapped;
    let cipher = cbc::Decryptor::<Aes256>::new(key.expose().into(), iv.into());
    // Two whole blocks without padding cannot be refused.
    let _ = cipher.decrypt_padded::<NoPadding>(password.expose_mut());
    password
}

/// The wrapped bytes for a header.
#[must_use]
pub fn wrap(key: &Secret32, iv: &[u8; 16], password: &Secret32) -> [u8; LENGTH] {
    let mut wrapped = *password.expose();
    let cipher = cbc::Encryptor::<Aes256>::new(key.expose().into(), iv.into());
    let _ = cipher.encrypt_padded::<NoPadding>(&mut wrapped, LENGTH);
    wrapped
}
