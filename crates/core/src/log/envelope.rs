//! What stands around a log's plaintext: a file password, wrapped into a header.

use crate::keyring::{ChoiceError, NamedKey};
use crate::log::error::Error;
use crate::mysql::file_key::FileKey;
use crate::mysql::header::{self, EncryptionHeader, HeaderError};
use crate::mysql::password;
use crate::mysql::stream::CtrStream;
use crate::random;
use crate::secret::Secret32;

/// For one file and never for another: the body is a stream cipher's, and two bodies under one
/// password would give away both.
#[derive(Debug)]
pub(crate) struct Envelope {
    /// The first 512 bytes of the encrypted log.
    pub header: [u8; header::LENGTH],
    /// What encrypts its body.
    pub stream: CtrStream,
}

impl Envelope {
    /// A fresh file password and a fresh IV from the operating system, wrapped under `key`.
    pub(crate) fn fresh(key: &NamedKey) -> Result<Self, Error> {
        let password = random::secret()?;
        let header = wrap(key, &password)?;
        let stream = CtrStream::new(FileKey::derive(&password));
        Ok(Self { header, stream })
    }
}

/// The stream of a log whose header is given, with the key that it names.
pub(crate) fn unseal(key: &NamedKey, header: &[u8]) -> Result<CtrStream, HeaderError> {
    let password = unwrap_password(key, &EncryptionHeader::parse(header)?);
    Ok(CtrStream::new(FileKey::derive(&password)))
}

/// The file password in a header. Any key gives some password.
pub(crate) fn unwrap_password(key: &NamedKey, header: &EncryptionHeader) -> Secret32 {
    password::unwrap(&key.key, &header.iv, &header.wrapped_password)
}

/// A header for a file password, wrapped under `key` with a fresh IV.
pub(crate) fn wrap(key: &NamedKey, password: &Secret32) -> Result<[u8; header::LENGTH], Error> {
    let iv = random::bytes()?;
    let header = EncryptionHeader {
        key_id: key.id.clone(),
        wrapped_password: password::wrap(&key.key, &iv, password),
        iv,
    };
    header.serialize().map_err(|_| {
        let (id, length) = (key.id.clone(), key.id.as_bytes().len());
        ChoiceError::IdTooLong { id, length }.into()
    })
}
