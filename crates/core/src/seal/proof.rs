//! What proves that a manifest is the one that was written.

use super::anchor::Anchor;
use super::key::{Algorithm, PublicKey, is_hmac, key_id};
use super::manifest::{Manifest, ManifestError};
use super::{SealError, short};
use crate::keyring::{Fingerprint, Keyring};

/// Why a manifest is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Its last signature fits under a key that was given.
    Signature {
        /// How it was made.
        algorithm: Algorithm,
        /// The key id, or the public key.
        key: String,
    },
    /// It has the line that an anchor names.
    Anchor(Anchor),
}

/// Looks at a manifest's signature and at the anchors that it was held against. Nothing in the list
/// means that nothing was given that could prove anything, and the text says what is missing.
///
/// # Errors
/// [`SealError::Manifest`] when the signature is wrong; [`SealError::Unproven`] when keys were given,
/// and none of them is the one that the manifest was signed with; [`SealError::Log`] when a source of
/// keys fails.
pub fn prove(
    manifest: &Manifest,
    keys: &Keyring,
    public_keys: &[PublicKey],
) -> Result<(Vec<Proof>, Option<String>), SealError> {
    let anchors = manifest.anchors();
    let mut proofs: Vec<_> = anchors.iter().cloned().map(Proof::Anchor).collect();
    let (algorithm, key) = manifest.signed_by();
    let found = match algorithm {
        Algorithm::Hmac => by_keyring(manifest, keys)?,
        Algorithm::Ed25519 => by_public_key(manifest, public_keys)?,
    };
    match found {
        Found::Fits => {
            proofs.push(Proof::Signature { algorithm, key: key.to_owned() });
            Ok((proofs, None))
        }
        Found::OtherKeys(reason) if proofs.is_empty() => {
            Err(SealError::Unproven { path: manifest.path().to_owned(), reason })
        }
        Found::OtherKeys(reason) | Found::NoKeys(reason) => {
            let reason = proofs.is_empty().then_some(reason);
            Ok((proofs, reason))
        }
    }
}

enum Found {
    Fits,
    OtherKeys(String),
    NoKeys(String),
}

fn forged(manifest: &Manifest) -> SealError {
    let signature = &manifest.signature;
    let (line, key) = (signature.line, short(&signature.record.key));
    SealError::manifest(manifest.path(), ManifestError::Forged { line, key })
}

fn by_keyring(manifest: &Manifest, keys: &Keyring) -> Result<Found, SealError> {
    let signature = &manifest.signature;
    let key = &signature.record.key;
    if keys.is_empty() {
        let key = short(key);
        return Ok(Found::NoKeys(format!(
            "its signature was made with key {key}, and no keyring was named: name it by --keyring \
             FILE, or an anchor by --anchor LINE"
        )));
    }
    let candidates = keys.candidates(&key_id(key))?;
    let fits = |key| is_hmac(key, &signature.message, &signature.record.signature);
    if candidates.iter().any(fits) {
        return Ok(Found::Fits);
    }
    let fingerprint = |key: &crate::secret::Secret32| Fingerprint::of(key.expose()).to_string();
    let is_named =
        |it: &crate::secret::Secret32| signature.record.fingerprint == Some(fingerprint(it));
    if candidates.iter().any(is_named) {
        return Err(forged(manifest));
    }
    let (searched, key) = (keys.describe_sources(), short(key));
    Ok(Found::OtherKeys(if candidates.is_empty() {
        format!(
            "key {key}, with which it was signed, is not in {searched}; after a rotation the server \
             removes it: name a copy of the keyring from before, too"
        )
    } else {
        format!("key {key} in {searched} is another one than it was signed with")
    }))
}

fn by_public_key(manifest: &Manifest, keys: &[PublicKey]) -> Result<Found, SealError> {
    let signature = &manifest.signature;
    let key = &signature.record.key;
    if keys.is_empty() {
        let key = short(key);
        return Ok(Found::NoKeys(format!(
            "its signature was made with the Ed25519 key {key}, and nobody said that it is the right \
             one: name the public key by --public-key FILE, or an anchor by --anchor LINE"
        )));
    }
    let Some(public) = keys.iter().find(|public| public.to_string() == *key) else {
        let key = short(key);
        return Ok(Found::OtherKeys(format!(
            "it was signed with the Ed25519 key {key}, and not with one of those that were named"
        )));
    };
    if public.has_signed(&signature.message, &signature.record.signature) {
        Ok(Found::Fits)
    } else {
        Err(forged(manifest))
    }
}
