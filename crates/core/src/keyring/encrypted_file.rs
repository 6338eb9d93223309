//! The file of Percona Server's `component_percona_keyring_encrypted_file`: the JSON of
//! `component_keyring_file` under a password.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 32 | salt |
//! | 33 | 4 | iterations, big-endian |
//! | 37 | 16 | IV |
//! | 53 | rest | AES-256-CBC with PKCS#7; the key is PBKDF2-HMAC-SHA256 of password and salt |
//!
//! Source: server source, `components/keyrings/percona_keyring_encrypted_file/backend/backend.cc`;
//! confirmed with files that the `openssl` command made. There is no checksum: a wrong password
//! shows in the padding, or in what is no JSON.

use aes::Aes256;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::component::{self, ComponentError, ComponentKeyring};
use crate::bytes::Cursor;
use crate::secret::{Secret32, SecretBytes};

const VERSION: u8 = 1;
/// Length of the salt in bytes.
pub const SALT: usize = 32;
/// Length of the IV in bytes.
pub const IV: usize = 16;
/// What the server takes if its configuration says nothing else.
const ITERATIONS: u32 = 600_000;
const BLOCK: usize = 16;
/// Version, salt, iterations and IV.
const HEADER: usize = 1 + SALT + 4 + IV;
/// More would take minutes: the server's default is 600,000.
pub const MAX_ITERATIONS: u32 = 20_000_000;

/// Why such a file cannot be used. Nothing of its content is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptedFileError {
    /// No password was offered.
    #[error(
        "it is encrypted: name its password by --keyring-password-file FILE, or its component's configuration in the place of it"
    )]
    PasswordNeeded,
    /// What comes out is no JSON, or has no padding.
    #[error("the password does not open it, or it is damaged: nothing in the file tells which")]
    WrongPassword,
    /// The header or the ciphertext is not whole.
    #[error("{available} bytes, where {HEADER} and a multiple of {BLOCK}, not 0, are expected")]
    Length {
        /// The file's length in bytes.
        available: usize,
    },
    /// So many iterations that it would take minutes, or none.
    #[error("{iterations} iterations at offset 33, where 1 to {MAX_ITERATIONS} are expected")]
    Iterations {
        /// What the header says.
        iterations: u32,
    },
    /// The password is right, and the JSON is damaged.
    #[error("the password opens it, but what it holds is damaged")]
    Content(#[source] Box<ComponentError>),
}

/// Whether a file (or its first 4096 bytes) has this form: nothing but its version and length tells.
#[must_use]
pub fn is_one(bytes: &[u8]) -> bool {
    let iterations = read_iterations(bytes).unwrap_or(0);
    let body = bytes.len().checked_sub(HEADER).filter(|&body| body > 0);
    let is_whole = body.is_some_and(|body| body.is_multiple_of(BLOCK));
    let is_start = bytes.len() == 4096;
    bytes.first() == Some(&VERSION)
        && (1..=MAX_ITERATIONS).contains(&iterations)
        && (is_whole || is_start)
}

fn read_iterations(bytes: &[u8]) -> Option<u32> {
    Cursor::new(bytes.get(1 + SALT..)?).u32_be().ok()
}

/// Reads a whole file.
///
/// # Errors
/// [`EncryptedFileError`].
pub fn parse(
    bytes: &[u8],
    password: Option<&SecretBytes>,
) -> Result<ComponentKeyring, EncryptedFileError> {
    let length = EncryptedFileError::Length { available: bytes.len() };
    let (header, body) = bytes.split_at_checked(HEADER).ok_or_else(|| length.clone())?;
    if body.is_empty() || !body.len().is_multiple_of(BLOCK) {
        return Err(length);
    }
    let iterations = read_iterations(header).unwrap_or(0);
    if !(1..=MAX_ITERATIONS).contains(&iterations) {
        return Err(EncryptedFileError::Iterations { iterations });
    }
    let password = password.ok_or(EncryptedFileError::PasswordNeeded)?.expose();
    let opened = open((header, body), password, iterations);
    // The server takes all bytes of a password's file. An editor ends the line that it did not have.
    let line = password.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    match (opened, line) {
        (Err(EncryptedFileError::WrongPassword), Some(line)) => {
            open((header, body), line, iterations)
        }
        (opened, _) => opened,
    }
}

/// Encrypts the JSON of a keyring under a password. Salt and IV must be new and random each time.
/// `None` if the cipher refuses, as it never does with these lengths.
#[must_use]
pub fn serialize(
    text: &[u8],
    password: &SecretBytes,
    (salt, iv): ([u8; SALT], [u8; IV]),
) -> Option<Vec<u8>> {
    let key = derived(password.expose(), &salt, ITERATIONS);
    let cipher = cbc::Encryptor::<Aes256>::new_from_slices(key.expose(), &iv).ok()?;
    // The padding is a block at the most.
    let mut body = Zeroizing::new(vec![0; text.len().saturating_add(BLOCK)]);
    body.get_mut(..text.len()).unwrap_or_default().copy_from_slice(text);
    let body = cipher.encrypt_padded::<Pkcs7>(&mut body, text.len()).ok()?;
    let mut file = vec![VERSION];
    file.extend_from_slice(&salt);
    file.extend_from_slice(&ITERATIONS.to_be_bytes());
    file.extend_from_slice(&iv);
    file.extend_from_slice(body);
    Some(file)
}

fn derived(password: &[u8], salt: &[u8], iterations: u32) -> Secret32 {
    let mut key = Secret32::zeroed();
    pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, key.expose_mut());
    key
}

fn open(
    (header, body): (&[u8], &[u8]),
    password: &[u8],
    iterations: u32,
) -> Result<ComponentKeyring, EncryptedFileError> {
    let salt = header.get(1..=SALT).unwrap_or_default();
    let iv = header.get(HEADER - IV..).unwrap_or_default();
    let key = derived(password, salt, iterations);
    let cipher = cbc::Decryptor::<Aes256>::new_from_slices(key.expose(), iv)
        .map_err(|_| EncryptedFileError::WrongPassword)?;
    let mut text = Zeroizing::new(body.to_vec());
    let length = cipher
        .decrypt_padded::<Pkcs7>(&mut text)
        .map_err(|_| EncryptedFileError::WrongPassword)?
        .len();
    text.truncate(length);
    // One wrong password in 256 leaves what looks like a padding, and no JSON object.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(EncryptedFileError::WrongPassword);
    }
    component::parse(&text).map_err(|error| EncryptedFileError::Content(Box::new(error)))
}
