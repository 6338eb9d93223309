//! Keys that manifests are signed with, and those that prove a signature.
//!
//! Two kinds. HMAC-SHA-256 under a key that HKDF makes of a replication encryption key: nothing more
//! to manage, and whoever can read the logs can also seal. Ed25519: who verifies cannot seal.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::SealError;
use super::digest::Digest;
use crate::file::TransferError;
use crate::file::sink::{AtomicFile, SinkOptions};
use crate::file::small::{self, Pipes};
use crate::hex;
use crate::keyring::{Fingerprint, NamedKey};
use crate::mysql::key_id::KeyId;
use crate::random;
use crate::secret::Secret32;

/// The info of the HKDF-SHA-256 (RFC 5869, no salt) that makes the HMAC's key.
const INFO: &[u8] = b"binlogsec.seal/1 hmac-sha256";
/// What a private key's file ends the name of its public one with.
pub const PUBLIC_EXTENSION: &str = ".pub";
/// A file of a key is no longer.
const MAX_KEY_FILE: u64 = 64 << 10;

/// What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410, section 7).
const PRIVATE_PREFIX: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// The same of the public key (RFC 8410, section 4).
const PUBLIC_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// How a manifest is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Algorithm {
    /// HMAC-SHA-256 under a key made of a replication encryption key.
    #[serde(rename = "hmac-sha256")]
    Hmac,
    /// Ed25519 (RFC 8032).
    #[serde(rename = "ed25519")]
    Ed25519,
}

impl Algorithm {
    /// Its name in manifests and reports. Stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hmac => "hmac-sha256",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// What signs a manifest.
pub enum Signer {
    /// By a replication encryption key.
    Hmac(NamedKey),
    /// By a private key of its own.
    Ed25519(Box<SigningKey>),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({}, redacted)", self.key())
    }
}

impl Signer {
    /// How it signs.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Hmac(_) => Algorithm::Hmac,
            Self::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// The name of its key: a key id, or a public key in hexadecimal digits.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Hmac(key) => key.id.to_string(),
            Self::Ed25519(key) => PublicKey(key.verifying_key()).to_string(),
        }
    }

    /// The fingerprint of a replication encryption key.
    pub(super) fn fingerprint(&self) -> Option<String> {
        match self {
            Self::Hmac(key) => Some(Fingerprint::of(key.key.expose()).to_string()),
            Self::Ed25519(_) => None,
        }
    }

    /// The signature in hexadecimal digits.
    pub(super) fn sign(&self, message: &[u8]) -> String {
        let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Self::Hmac(key) => {
                let mut mac = hmac(&key.key);
                mac.update(message);
                digits(&mac.finalize().into_bytes())
            }
            Self::Ed25519(key) => digits(&key.sign(message).to_bytes()),
        }
    }
}

/// The HMAC under the key that is made of a replication encryption key.
fn hmac(key: &Secret32) -> Hmac<Sha256> {
    // A block of the hash: 32 bytes and zeros behind them are the same key to HMAC.
    let mut made = Zeroizing::new([0; 64]);
    let (key_bytes, _) = made.split_at_mut(32);
    // HKDF refuses only outputs of more than 255 hashes; this is one.
    let expanded = Hkdf::<Sha256>::new(None, key.expose()).expand(INFO, key_bytes);
    debug_assert!(expanded.is_ok());
    Hmac::<Sha256>::new((&*made).into())
}

/// Whether the HMAC of a message is this one, in constant time.
pub(super) fn is_hmac(key: &Secret32, message: &[u8], signature: &str) -> bool {
    let mut mac = hmac(key);
    mac.update(message);
    Digest::parse(signature).is_some_and(|found| mac.verify_slice(&found.0).is_ok())
}

/// A public key; 64 hexadecimal digits in text.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl PublicKey {
    /// Reads a file in PEM form (`BEGIN PUBLIC KEY`), as `seal keygen` and `openssl pkey -pubout`
    /// write it.
    ///
    /// # Errors
    /// [`SealError::KeyFile`], [`SealError::Log`] when it cannot be read.
    pub fn open(path: &Path) -> Result<Self, SealError> {
        let bytes = read_key(path, "PUBLIC KEY", &PUBLIC_PREFIX)?;
        let key = VerifyingKey::from_bytes(bytes.expose()).ok().filter(|key| !key.is_weak());
        key.map(Self).ok_or_else(|| SealError::key_file(path, "its bytes are no Ed25519 key"))
    }

    /// The public key of a private one.
    #[must_use]
    pub fn of(signer: &Signer) -> Option<Self> {
        match signer {
            Signer::Hmac(_) => None,
            Signer::Ed25519(key) => Some(Self(key.verifying_key())),
        }
    }

    pub(super) fn has_signed(&self, message: &[u8], signature: &str) -> bool {
        let mut bytes = [0; 64];
        let is_text =
            signature.len() == 128 && hex::decode(signature.as_bytes(), &mut bytes).is_ok();
        let signature = ed25519_dalek::Signature::from_bytes(&bytes);
        is_text && self.0.verify_strict(message, &signature).is_ok()
    }
}

/// Reads a private key in PEM form (PKCS #8, `BEGIN PRIVATE KEY`), as `seal keygen` and
/// `openssl genpkey -algorithm ed25519` write it.
///
/// # Errors
/// [`SealError::KeyFile`], [`SealError::Log`] when it cannot be read.
pub fn open_private(path: &Path) -> Result<Signer, SealError> {
    let seed = read_key(path, "PRIVATE KEY", &PRIVATE_PREFIX)?;
    Ok(Signer::Ed25519(Box::new(SigningKey::from_bytes(seed.expose()))))
}

/// The 32 bytes of a key that stands in PEM form behind this prefix.
fn read_key(path: &Path, label: &str, prefix: &[u8]) -> Result<Secret32, SealError> {
    let text = small::read(path, MAX_KEY_FILE, Pipes::Taken)?;
    let expected = || {
        let of = if prefix.len() == PRIVATE_PREFIX.len() { "private" } else { "public" };
        format!(
            "an Ed25519 {of} key in PEM form (-----BEGIN {label}-----) is expected; \
                 `binlogsec seal keygen` makes a pair, and an encrypted one is not read"
        )
    };
    let wrong = || SealError::key_file(path, expected());
    let text = std::str::from_utf8(&text).map_err(|_| wrong())?;
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let body = text.split_once(&begin).and_then(|(_, rest)| Some(rest.split_once(&end)?.0));
    let body = body.ok_or_else(wrong)?;
    let mut compact = Zeroizing::new(String::with_capacity(body.len()));
    compact.extend(body.split_ascii_whitespace());
    // 48 bytes and a few more, so that a longer one does not fit.
    let mut der = Zeroizing::new([0; 96]);
    let length = STANDARD.decode_slice(compact.as_bytes(), &mut *der).map_err(|_| wrong())?;
    let key = der.get(..length).and_then(|der| der.strip_prefix(prefix));
    key.and_then(Secret32::from_slice).ok_or_else(wrong)
}

/// Makes a pair of keys: the private one at `path`, mode 0600, the public one beside it with
/// [`PUBLIC_EXTENSION`] behind its name, for everybody. Returns the public one and where it is.
///
/// # Errors
/// [`SealError::Log`] when one of the two is there already, which is never replaced, or cannot be
/// written, or no random bytes are to be had.
pub fn generate(path: &Path) -> Result<(PublicKey, PathBuf), SealError> {
    const FOR_ALL: u32 = 0o644;
    let seed = random::secret()?;
    let key = SigningKey::from_bytes(seed.expose());
    let mut der = Zeroizing::new([0; 48]);
    let parts = PRIVATE_PREFIX.iter().chain(seed.expose());
    der.iter_mut().zip(parts).for_each(|(target, byte)| *target = *byte);
    let mut public_path = path.as_os_str().to_owned();
    public_path.push(PUBLIC_EXTENSION);
    let public_path = PathBuf::from(public_path);
    let options = SinkOptions { sync: true, ..SinkOptions::default() };
    // Both are begun before either has its name.
    let private = AtomicFile::create(path, options).map_err(is_there)?;
    AtomicFile::check(&public_path, options).map_err(is_there)?;
    let public = AtomicFile::create(&public_path, SinkOptions { mode: FOR_ALL, ..options })?;
    write_pem(&private, "PRIVATE KEY", &*der)?;
    let verifying = key.verifying_key();
    let parts = PUBLIC_PREFIX.iter().chain(verifying.as_bytes());
    let mut der = [0; 44];
    der.iter_mut().zip(parts).for_each(|(target, byte)| *target = *byte);
    write_pem(&public, "PUBLIC KEY", &der)?;
    private.commit().map_err(is_there)?;
    public.commit().map_err(is_there)?;
    Ok((PublicKey(verifying), public_path))
}

fn is_there(error: TransferError) -> SealError {
    match error {
        TransferError::Exists { path } => SealError::KeyIsThere { path },
        other => other.into(),
    }
}

fn write_pem(sink: &AtomicFile, label: &str, der: &[u8]) -> Result<(), SealError> {
    let mut body = Zeroizing::new([0; 64]);
    let length = STANDARD.encode_slice(der, &mut *body).unwrap_or(0);
    let (begin, end) = (format!("-----BEGIN {label}-----\n"), format!("\n-----END {label}-----\n"));
    let mut at = 0_u64;
    for piece in [begin.as_bytes(), body.get(..length).unwrap_or_default(), end.as_bytes()] {
        sink.write_at(at, piece)?;
        at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
    }
    Ok(())
}

/// The key id that a manifest names, escaped as it is there.
pub(super) fn key_id(text: &str) -> KeyId {
    KeyId::new(text.as_bytes())
}
