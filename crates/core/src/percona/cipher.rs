//! How file keys are wrapped: AES in four modes, under the names that OpenSSL has for them.
//!
//! CBC and ECB are without padding, GCM is without additional data, and CTR counts the whole block
//! of 16 bytes (source of Percona Binlog Server: `opensslpp::cipher_context`, which takes its
//! ciphers by name from OpenSSL).

use std::fmt;
use std::str::FromStr;

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use aes_gcm::AesGcm;
use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::consts::U12;

use crate::secret::SecretBytes;

/// Bytes of a block.
const BLOCK: usize = 16;
/// Bytes of a nonce for GCM (OpenSSL's `EVP_CIPHER_get_iv_length`).
const GCM_NONCE: usize = 12;
/// Bytes of GCM's tag.
const TAG: usize = 16;

/// A mode of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Mode {
    Ecb,
    Cbc,
    Ctr,
    Gcm,
}

/// AES with keys of one length in one mode: `AES-256-GCM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cipher {
    /// Bytes of a key: 16, 24 or 32.
    pub key_length: usize,
    /// The mode.
    pub mode: Mode,
}

/// A name of something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("AES-128, AES-192 or AES-256 in mode ECB, CBC, CTR or GCM is expected, e.g. AES-256-GCM")]
pub struct UnknownCipher;

impl FromStr for Cipher {
    type Err = UnknownCipher;

    /// In either case, as OpenSSL takes names.
    fn from_str(name: &str) -> Result<Self, UnknownCipher> {
        let name = name.to_ascii_uppercase();
        let mut parts = name.split('-');
        let parts = (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some("AES"), Some(bits), Some(mode), None) = parts else {
            return Err(UnknownCipher);
        };
        let key_length = match bits {
            "128" => 16,
            "192" => 24,
            "256" => 32,
            _ => return Err(UnknownCipher),
        };
        let mode = match mode {
            "ECB" => Mode::Ecb,
            "CBC" => Mode::Cbc,
            "CTR" => Mode::Ctr,
            "GCM" => Mode::Gcm,
            _ => return Err(UnknownCipher),
        };
        Ok(Self { key_length, mode })
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Ecb => "ECB",
            Mode::Cbc => "CBC",
            Mode::Ctr => "CTR",
            Mode::Gcm => "GCM",
        };
        write!(f, "AES-{}-{mode}", self.key_length.saturating_mul(8))
    }
}

/// A wrapped key and what is needed to unwrap it but the key that it is wrapped under.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wrapped {
    /// The wrapped bytes, as many as the key has.
    pub data: Vec<u8>,
    /// IV or nonce; empty for ECB.
    pub iv: Vec<u8>,
    /// GCM's tag; empty for other modes.
    pub tag: Vec<u8>,
}

/// Why a key cannot be unwrapped, or wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WrapError {
    /// The key has not the length that its cipher takes.
    #[error("a key of {available} bytes is no key of {cipher}, which takes {}", cipher.key_length)]
    KeyLength {
        /// The cipher.
        cipher: Cipher,
        /// The key's length.
        available: usize,
    },
    /// IV or tag are of another mode.
    #[error("{what} of {available} bytes does not go with {cipher}, which takes {needed}")]
    Length {
        /// `an IV` or `a tag`.
        what: &'static str,
        /// The cipher.
        cipher: Cipher,
        /// What it takes.
        needed: usize,
        /// What there is.
        available: usize,
    },
    /// ECB and CBC take whole blocks.
    #[error("{available} wrapped bytes are no whole blocks of 16, as {cipher} has them")]
    Blocks {
        /// The cipher.
        cipher: Cipher,
        /// How many bytes there are.
        available: usize,
    },
    /// GCM's tag does not fit: the key or the JSON is another one's.
    #[error("the tag says that this key, or the JSON file beside the log, is another one's")]
    Tag,
}

impl Cipher {
    /// Bytes of an IV.
    #[must_use]
    pub const fn iv_length(self) -> usize {
        match self.mode {
            Mode::Ecb => 0,
            Mode::Cbc | Mode::Ctr => BLOCK,
            Mode::Gcm => GCM_NONCE,
        }
    }

    const fn tag_length(self) -> usize {
        match self.mode {
            Mode::Gcm => TAG,
            _ => 0,
        }
    }

    /// The key out of its wrapping. Only GCM tells a wrong key.
    ///
    /// # Errors
    /// [`WrapError`].
    pub fn unwrap(self, key: &[u8], wrapped: &Wrapped) -> Result<SecretBytes, WrapError> {
        self.check("a tag", self.tag_length(), wrapped.tag.len())?;
        let mut bytes = Secret(wrapped.data.clone());
        let mut tag = wrapped.tag.clone();
        self.apply(key, &wrapped.iv, &mut bytes.0, &mut tag, false)?;
        Ok(SecretBytes::new(std::mem::take(&mut bytes.0)))
    }

    /// Wraps a key under another one, with an IV that must be fresh.
    ///
    /// # Errors
    /// [`WrapError`].
    pub fn wrap(self, key: &[u8], iv: Vec<u8>, plain: &[u8]) -> Result<Wrapped, WrapError> {
        let (mut data, mut tag) = (plain.to_vec(), vec![0; self.tag_length()]);
        self.apply(key, &iv, &mut data, &mut tag, true)?;
        Ok(Wrapped { data, iv, tag })
    }

    fn check(self, what: &'static str, needed: usize, available: usize) -> Result<(), WrapError> {
        if needed == available {
            return Ok(());
        }
        Err(WrapError::Length { what, cipher: self, needed, available })
    }

    fn apply(
        self,
        key: &[u8],
        iv: &[u8],
        bytes: &mut [u8],
        tag: &mut [u8],
        encrypt: bool,
    ) -> Result<(), WrapError> {
        self.check("an IV", self.iv_length(), iv.len())?;
        if matches!(self.mode, Mode::Ecb | Mode::Cbc) && !bytes.len().is_multiple_of(BLOCK) {
            return Err(WrapError::Blocks { cipher: self, available: bytes.len() });
        }
        let parts = (iv, bytes, tag);
        let applied = match self.key_length {
            16 => apply::<Aes128>(key, self.mode, parts, encrypt),
            24 => apply::<Aes192>(key, self.mode, parts, encrypt),
            _ => apply::<Aes256>(key, self.mode, parts, encrypt),
        };
        match applied {
            Applied::Done => Ok(()),
            Applied::Refused => Err(WrapError::Tag),
            Applied::NoKey => Err(WrapError::KeyLength { cipher: self, available: key.len() }),
        }
    }
}

/// Bytes on their way to a [`SecretBytes`], wiped if they do not get there.
struct Secret(Vec<u8>);

impl Drop for Secret {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

enum Applied {
    Done,
    Refused,
    NoKey,
}

fn apply<C>(
    key: &[u8],
    mode: Mode,
    (iv, bytes, tag): (&[u8], &mut [u8], &mut [u8]),
    encrypt: bool,
) -> Applied
where
    C: KeyInit
        + BlockCipherEncrypt
        + BlockCipherDecrypt
        + aes::cipher::BlockSizeUser<BlockSize = aes::cipher::consts::U16>,
{
    let Ok(cipher) = C::new_from_slice(key) else {
        return Applied::NoKey;
    };
    if mode == Mode::Gcm {
        return gcm(&AesGcm::<C, U12>::from(cipher), (iv, bytes, tag), encrypt);
    }
    let mut chain = [0; BLOCK];
    xor(&mut chain, iv);
    for piece in bytes.chunks_mut(BLOCK) {
        let mut block = [0; BLOCK];
        xor(&mut block, piece);
        let stored = block;
        match (mode, encrypt) {
            (Mode::Ctr, _) => {
                block = chain;
                cipher.encrypt_block((&mut block).into());
                xor(&mut block, &stored);
                chain = u128::from_be_bytes(chain).wrapping_add(1).to_be_bytes();
            }
            (_, true) => {
                xor(&mut block, if mode == Mode::Cbc { &chain } else { &[] });
                cipher.encrypt_block((&mut block).into());
                chain = block;
            }
            (_, false) => {
                cipher.decrypt_block((&mut block).into());
                xor(&mut block, if mode == Mode::Cbc { &chain } else { &[] });
                chain = stored;
            }
        }
        piece.iter_mut().zip(block).for_each(|(target, byte)| *target = byte);
        zeroize::Zeroize::zeroize(&mut block);
    }
    Applied::Done
}

fn gcm<A>(cipher: &A, (iv, bytes, tag): (&[u8], &mut [u8], &mut [u8]), encrypt: bool) -> Applied
where
    A: AeadInOut<NonceSize = U12, TagSize = aes::cipher::consts::U16>,
{
    let Ok(nonce) = iv.try_into() else {
        return Applied::Refused;
    };
    if encrypt {
        let Ok(made) = cipher.encrypt_inout_detached(nonce, b"", bytes.into()) else {
            return Applied::Refused;
        };
        tag.iter_mut().zip(made).for_each(|(target, byte)| *target = byte);
        return Applied::Done;
    }
    let Ok(tag) = (&*tag).try_into() else {
        return Applied::Refused;
    };
    match cipher.decrypt_inout_detached(nonce, b"", bytes.into(), tag) {
        Ok(()) => Applied::Done,
        Err(_) => Applied::Refused,
    }
}

/// As far as both go.
fn xor(target: &mut [u8], with: &[u8]) {
    target.iter_mut().zip(with).for_each(|(target, with)| *target ^= with);
}
