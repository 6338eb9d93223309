//! Key files of MariaDB's `file_key_management`: lines of key id and key, plain or encrypted.
//!
//! ```text
//! # comment
//! 1;770A8A65DA156D24EE2A093277530142
//! ```
//!
//! The server reads them so (server source, `plugin/file_key_management/parser.cc`; confirmed with
//! MariaDB 10.11): blanks before the id are skipped, none may stand around `;`, what follows the
//! key is ignored, a later line of the same id wins, a NUL ends the file, and id 1 must be there.
//! An encrypted file starts with `Salted__` and 8 bytes of salt, as `openssl enc -aes-256-cbc`
//! writes it.

use std::fmt;

use aes::Aes256;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use pbkdf2::hmac::EagerHash;
use sha1::Sha1;
use sha2::digest::{Digest, Output, Update};
use sha2::{Sha224, Sha256, Sha384, Sha512};
use zeroize::{Zeroize, Zeroizing};

use crate::secret::{Secret, SecretBytes};

/// How an encrypted key file starts.
pub const SALTED: &[u8; 8] = b"Salted__";
/// Length of the salt, in bytes; the ciphertext follows it.
pub const SALT_LENGTH: usize = 8;
/// A longer password is cut by the server, in bytes.
pub const MAX_PASSWORD: usize = 256;
/// The id of the key that encrypts logs (server source: `ENCRYPTION_KEY_SYSTEM_DATA`).
pub const LOG_KEY_ID: u32 = 1;

/// AES-256 key, then the IV.
const DERIVED: usize = 48;
const KEY: usize = 32;

/// One key of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct MariadbKey {
    /// 1 to 4294967295; logs are encrypted under 1.
    pub id: u32,
    /// 16, 24 or 32 bytes.
    pub key: SecretBytes,
}

/// The digest of a key derivation (`file_key_management_digest`). Servers older than the option
/// know SHA-1 alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DerivationDigest {
    /// The default.
    #[default]
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// What opens an encrypted key file.
pub struct Unlock {
    password: SecretBytes,
    /// The digest, SHA-1 by default.
    pub digest: DerivationDigest,
    /// PBKDF2 iterations (`file_key_management_use_pbkdf2`); 0 is OpenSSL's older derivation.
    pub iterations: u32,
}

impl Unlock {
    /// With the server's defaults. Like the server with a password file: CR and LF at the end do
    /// not count, nor does what lies behind [`MAX_PASSWORD`] bytes.
    #[must_use]
    pub fn new(password: &[u8]) -> Self {
        let end = password
            .iter()
            .rposition(|byte| !matches!(byte, b'\r' | b'\n'))
            .map_or(0, |last| last.saturating_add(1));
        let kept = password.get(..end.min(MAX_PASSWORD)).unwrap_or_default();
        Self {
            password: SecretBytes::new(kept.to_vec()),
            digest: DerivationDigest::default(),
            iterations: 0,
        }
    }

    /// The key and the IV under a salt.
    fn derive(&self, salt: &[u8]) -> Secret<DERIVED> {
        match self.digest {
            DerivationDigest::Sha1 => self.derive_with::<Sha1>(salt),
            DerivationDigest::Sha224 => self.derive_with::<Sha224>(salt),
            DerivationDigest::Sha256 => self.derive_with::<Sha256>(salt),
            DerivationDigest::Sha384 => self.derive_with::<Sha384>(salt),
            DerivationDigest::Sha512 => self.derive_with::<Sha512>(salt),
        }
    }

    fn derive_with<D>(&self, salt: &[u8]) -> Secret<DERIVED>
    where
        D: Digest + Update + EagerHash,
        <D as EagerHash>::Core: Sync,
    {
        let mut derived = Secret::zeroed();
        if self.iterations > 0 {
            let target = derived.expose_mut();
            pbkdf2::pbkdf2_hmac::<D>(self.password.expose(), salt, self.iterations, target);
        } else {
            bytes_to_key::<D>(self.password.expose(), salt, derived.expose_mut());
        }
        derived
    }
}

impl fmt::Debug for Unlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unlock")
            .field("password", &"redacted")
            .field("digest", &self.digest)
            .field("iterations", &self.iterations)
            .finish()
    }
}

/// OpenSSL's `EVP_BytesToKey` with one round: D1 = hash(password, salt), Dn = hash(Dn-1, password,
/// salt), cut to what is needed.
fn bytes_to_key<D: Digest>(password: &[u8], salt: &[u8], target: &mut [u8]) {
    let mut previous: Option<Output<D>> = None;
    for piece in target.chunks_mut(<D as Digest>::output_size().max(1)) {
        let mut hasher = D::new();
        if let Some(mut previous) = previous.take() {
            Digest::update(&mut hasher, previous.as_slice());
            previous.as_mut_slice().zeroize();
        }
        Digest::update(&mut hasher, password);
        Digest::update(&mut hasher, salt);
        let digest = hasher.finalize();
        piece.iter_mut().zip(digest.iter()).for_each(|(target, byte)| *target = *byte);
        previous = Some(digest);
    }
    if let Some(mut last) = previous {
        last.as_mut_slice().zeroize();
    }
}

/// What is wrong with a line of a key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineDefect {
    /// No digit where the key id should be.
    NoId,
    /// The key id is 0 or above 4294967295.
    IdOutOfRange,
    /// No `;` right after the key id.
    NoSemicolon,
    /// Fewer or more hexadecimal digits than a key has.
    KeyLength {
        /// How many digits there are.
        digits: usize,
    },
}

impl fmt::Display for LineDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoId => f.write_str("a key id (a number) is expected"),
            Self::IdOutOfRange => f.write_str("a key id is from 1 to 4294967295"),
            Self::NoSemicolon => f.write_str("`;` is expected right after the key id"),
            Self::KeyLength { digits } => {
                write!(f, "{digits} hexadecimal digits right after `;`, a key has 32, 48 or 64")
            }
        }
    }
}

/// Why a key file cannot be used. Nothing of its content is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// A line that the server would refuse.
    #[error("line {line}, offset {offset}: {defect}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// Where in the text, in bytes.
        offset: usize,
        /// What is wrong there.
        defect: LineDefect,
    },
    /// The server does not start on such a file.
    #[error("no key has the id 1, without which the server does not start")]
    NoKeyOne,
    /// `Salted__`, and no password was offered.
    #[error("it is encrypted: name its password by --mariadb-keys-password-file FILE")]
    PasswordNeeded,
    /// The ciphertext is not a whole number of blocks, or none.
    #[error(
        "it is encrypted and cut short: {available} bytes after the salt, a multiple of 16 and not 0 was expected"
    )]
    Truncated {
        /// Bytes of ciphertext.
        available: usize,
    },
    /// What comes out is no text.
    #[error(
        "the password does not open it, or it was encrypted with another digest or PBKDF2 setting"
    )]
    WrongPassword,
}

/// Reads a key file, plain or encrypted; keys in the order of their first lines.
///
/// # Errors
/// [`KeyFileError`].
pub fn parse(bytes: &[u8], unlock: Option<&Unlock>) -> Result<Vec<MariadbKey>, KeyFileError> {
    if !is_encrypted(bytes) {
        return parse_text(bytes);
    }
    let text = decrypt(bytes, unlock.ok_or(KeyFileError::PasswordNeeded)?)?;
    // One wrong password in 256 leaves what looks like a padding.
    match parse_text(&text) {
        Err(_) if std::str::from_utf8(&text).is_err() => Err(KeyFileError::WrongPassword),
        parsed => parsed,
    }
}

/// Whether a key file is an encrypted one.
#[must_use]
pub fn is_encrypted(bytes: &[u8]) -> bool {
    bytes.starts_with(SALTED)
}

fn decrypt(bytes: &[u8], unlock: &Unlock) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let body = bytes.get(SALTED.len()..).unwrap_or_default();
    let (salt, ciphertext) =
        body.split_first_chunk::<SALT_LENGTH>().ok_or(KeyFileError::Truncated { available: 0 })?;
    if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(16) {
        return Err(KeyFileError::Truncated { available: ciphertext.len() });
    }
    let derived = unlock.derive(salt);
    let (key, iv) = derived.expose().split_at(KEY);
    let cipher = cbc::Decryptor::<Aes256>::new_from_slices(key, iv)
        .map_err(|_| KeyFileError::WrongPassword)?;
    let mut text = Zeroizing::new(ciphertext.to_vec());
    let length =
        cipher.decrypt_padded::<Pkcs7>(&mut text).map_err(|_| KeyFileError::WrongPassword)?.len();
    text.truncate(length);
    Ok(text)
}

/// An encrypted key file as the server reads it.
#[must_use]
pub fn encrypt(text: &[u8], salt: [u8; SALT_LENGTH], unlock: &Unlock) -> Vec<u8> {
    let derived = unlock.derive(&salt);
    let (key, iv) = derived.expose().split_at(KEY);
    // Room for the padding; what it holds at first is plaintext.
    let mut body = Zeroizing::new(text.to_vec());
    body.resize(text.len().saturating_add(16), 0);
    let encrypted = cbc::Encryptor::<Aes256>::new_from_slices(key, iv)
        .ok()
        .and_then(|cipher| {
            cipher.encrypt_padded::<Pkcs7>(&mut body, text.len()).ok().map(<[u8]>::to_vec)
        })
        .unwrap_or_default();
    [SALTED.as_slice(), &salt, &encrypted].concat()
}

fn parse_text(text: &[u8]) -> Result<Vec<MariadbKey>, KeyFileError> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let mut keys: Vec<MariadbKey> = Vec::new();
    let mut offset = 0_usize;
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let parsed = parse_line(line).map_err(|(within, defect)| KeyFileError::Line {
            line: index.saturating_add(1),
            offset: offset.saturating_add(within),
            defect,
        })?;
        if let Some(new) = parsed {
            match keys.iter_mut().find(|old| old.id == new.id) {
                Some(old) => *old = new,
                None => keys.push(new),
            }
        }
        offset = offset.saturating_add(line.len()).saturating_add(1);
    }
    if keys.iter().any(|key| key.id == LOG_KEY_ID) { Ok(keys) } else { Err(KeyFileError::NoKeyOne) }
}

/// The key of a line, or the place and kind of its defect; nothing for a comment or blanks.
fn parse_line(line: &[u8]) -> Result<Option<MariadbKey>, (usize, LineDefect)> {
    let blanks = count(line, is_blank);
    let text = line.get(blanks..).unwrap_or_default();
    if text.is_empty() || text.starts_with(b"#") {
        return Ok(None);
    }
    let digits = count(text, |byte| byte.is_ascii_digit());
    if digits == 0 {
        return Err((blanks, LineDefect::NoId));
    }
    let (number, rest) = text.split_at_checked(digits).unwrap_or_default();
    let id = std::str::from_utf8(number)
        .ok()
        .and_then(|number| number.parse::<u32>().ok())
        .filter(|&id| id > 0)
        .ok_or((blanks, LineDefect::IdOutOfRange))?;
    let semicolon = blanks.saturating_add(digits);
    let Some((b';', rest)) = rest.split_first() else {
        return Err((semicolon, LineDefect::NoSemicolon));
    };
    let digits = count(rest, |byte| byte.is_ascii_hexdigit());
    if !matches!(digits, 32 | 48 | 64) {
        let at = semicolon.saturating_add(1);
        return Err((at, LineDefect::KeyLength { digits }));
    }
    let key = rest.chunks_exact(2).take(digits >> 1).map(|pair| {
        pair.iter().fold(0_u8, |value, &digit| {
            let digit = char::from(digit).to_digit(16).unwrap_or_default();
            value << 4 | u8::try_from(digit).unwrap_or_default()
        })
    });
    let mut bytes = Vec::with_capacity(digits >> 1);
    bytes.extend(key);
    let key = SecretBytes::new(bytes);
    Ok(Some(MariadbKey { id, key }))
}

fn count(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|&&byte| wanted(byte)).count()
}

/// What C's `isspace` takes, the end of the line aside.
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0x0B | 0x0C)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_16: &str = "00112233445566778899aAbBcCdDeEfF";

    fn ids(text: &str) -> Result<Vec<(u32, usize)>, KeyFileError> {
        let keys = parse(text.as_bytes(), None)?;
        Ok(keys.iter().map(|key| (key.id, key.key.len())).collect())
    }

    fn line(
        line: usize,
        offset: usize,
        defect: LineDefect,
    ) -> Result<Vec<(u32, usize)>, KeyFileError> {
        Err(KeyFileError::Line { line, offset, defect })
    }

    #[test]
    fn lines_are_read_as_the_server_reads_them() {
        let k = KEY_16;
        let half = k.split_at(16).0;
        assert_eq!(ids(&format!("1;{k}")), Ok(vec![(1, 16)]));
        let all =
            format!("# x\n\n \t\r\n  1;{k}{half} # note\r\n4294967295;{k}{k}\n007;{k};rest\n");
        assert_eq!(ids(&all), Ok(vec![(1, 24), (u32::MAX, 32), (7, 16)]));
        let later = format!("1;{k}\n2;{k}\n1;{k}{k}\n");
        assert_eq!(ids(&later), Ok(vec![(1, 32), (2, 16)]));
        assert_eq!(ids(&format!("1;{k}\0\nrubbish")), Ok(vec![(1, 16)]));
        assert_eq!(ids(&format!("2;{k}\n")), Err(KeyFileError::NoKeyOne));
        assert_eq!(ids(""), Err(KeyFileError::NoKeyOne));
        assert_eq!(ids(&format!("1;{k}\n0;{k}")), line(2, 35, LineDefect::IdOutOfRange));
        assert_eq!(ids(&format!("4294967296;{k}")), line(1, 0, LineDefect::IdOutOfRange));
        assert_eq!(ids(&format!("-1;{k}")), line(1, 0, LineDefect::NoId));
        assert_eq!(ids(&format!("\u{feff}1;{k}")), line(1, 0, LineDefect::NoId));
        assert_eq!(ids(&format!(" 1 ;{k}")), line(1, 2, LineDefect::NoSemicolon));
        let digits = |digits| LineDefect::KeyLength { digits };
        assert_eq!(ids(&format!("1; {k}")), line(1, 2, digits(0)));
        assert_eq!(ids(&format!("1;0x{k}")), line(1, 2, digits(1)));
        assert_eq!(ids(&format!("1;{half}")), line(1, 2, digits(16)));
        assert_eq!(ids(&format!("1;{k}{k}a")), line(1, 2, digits(65)));
    }

    #[test]
    fn what_is_encrypted_is_read_again_and_a_wrong_password_is_one() {
        let text = format!("1;{KEY_16}\n");
        for digest in [DerivationDigest::Sha1, DerivationDigest::Sha512] {
            for iterations in [0, 3] {
                let unlock =
                    |password: &[u8]| Unlock { digest, iterations, ..Unlock::new(password) };
                let file = encrypt(text.as_bytes(), *b"saltsalt", &unlock(b"secret"));
                let keys = parse(&file, Some(&unlock(b"secret\r\n"))).unwrap();
                assert_eq!(keys, parse(text.as_bytes(), None).unwrap());
                for wrong in 0..600_u32 {
                    let wrong = unlock(wrong.to_string().as_bytes());
                    assert_eq!(parse(&file, Some(&wrong)), Err(KeyFileError::WrongPassword));
                }
                assert_eq!(parse(&file, None), Err(KeyFileError::PasswordNeeded));
                for length in 8..file.len() {
                    assert!(parse(&file[..length], Some(&unlock(b"secret"))).is_err(), "{length}");
                }
            }
        }
        let long = |extra: &str| Unlock::new(format!("{}{extra}", "x".repeat(256)).as_bytes());
        let file = encrypt(text.as_bytes(), [0; 8], &long("a"));
        assert!(parse(&file, Some(&long("b"))).is_ok(), "cut at 256 bytes");
    }

    #[test]
    fn nothing_secret_is_shown() {
        let text = format!("{:?}", Unlock::new(b"hunter2"));
        assert!(text.contains("redacted") && !text.contains("hunter2"), "{text}");
        let text = format!("{:?}", parse(format!("1;{KEY_16}").as_bytes(), None));
        assert!(text.contains("16 bytes, redacted"), "{text}");
    }
}
