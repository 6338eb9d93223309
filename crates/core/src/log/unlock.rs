//! From a header and a keyring to the stream of a log that MySQL encrypted.

use crate::event;
use crate::event::format_description::{FormatDescription, FormatDescriptionError};
use crate::keyring::{Keyring, KeyringError};
use crate::log::log_error::LogError;
use crate::mysql::file_key::FileKey;
use crate::mysql::header::{self, EncryptionHeader};
use crate::mysql::password;
use crate::mysql::stream::CtrStream;
use crate::secret::Secret32;

/// A body whose key is proven.
#[derive(Debug)]
pub(crate) struct Unlocked {
    /// What the header keeps under the key.
    pub(crate) password: Secret32,
    /// What turns the body into plaintext.
    pub(crate) stream: CtrStream,
    /// `None` when the log ends within it.
    pub(crate) description: Option<FormatDescription>,
}

/// Tries every key of the header's id on the beginning of the body, which `file_start` has from
/// offset 512 on. The header need not be the one that stands before it.
pub(crate) fn unlock(
    header: &EncryptionHeader,
    file_start: &[u8],
    keys: &Keyring,
) -> Result<Result<Unlocked, LogError>, KeyringError> {
    let without_key = without_key(header, file_start);
    if keys.is_empty() || without_key == LogError::BodyNotCiphertext {
        return Ok(Err(without_key));
    }
    let body = file_start.get(header::LENGTH..).unwrap_or_default();
    let key_id = header.key_id.clone();
    let candidates = keys.candidates(&key_id)?;
    let searched = || keys.describe_sources();
    if candidates.is_empty() {
        return Ok(Err(LogError::KeyMissing { key_id, searched: searched() }));
    }
    if body.len() < event::MAGIC.len() {
        return Ok(Err(LogError::Truncated {
            available: file_start.len(),
            part: "encrypted magic, so that no key can be proven",
        }));
    }
    for key in &candidates {
        let password = password::unwrap(key, &header.iv, &header.wrapped_password);
        let stream = CtrStream::new(FileKey::derive(&password));
        let mut plain = body.to_vec();
        stream.apply(0, &mut plain);
        match judge(&plain) {
            Fit::Fits(description) => {
                return Ok(Ok(Unlocked { password, stream, description }));
            }
            Fit::FitsDamaged(error) => return Ok(Err(error)),
            Fit::No => {}
        }
    }
    Ok(Err(LogError::WrongKey { key_id, searched: searched() }))
}

/// What can be said of an encrypted log without any key.
pub(super) fn without_key(header: &EncryptionHeader, file_start: &[u8]) -> LogError {
    let body = file_start.get(header::LENGTH..).unwrap_or_default();
    if body.starts_with(&event::MAGIC) {
        LogError::BodyNotCiphertext
    } else {
        LogError::NoKeys { key_id: header.key_id.clone() }
    }
}

/// Whether deciphered bytes are a log's beginning.
pub(super) enum Fit {
    /// The magic is there, and a plausible format description event as far as the file goes.
    Fits(Option<FormatDescription>),
    /// One of the two is there, which chance does not give: the key is right, the log is not.
    FitsDamaged(LogError),
    No,
}

pub(super) fn judge(plain: &[u8]) -> Fit {
    let has_magic = plain.starts_with(&event::MAGIC);
    let events = plain.get(event::MAGIC.len()..).unwrap_or_default();
    let damaged =
        |plain_offset, reason| Fit::FitsDamaged(LogError::BodyDamaged { plain_offset, reason });
    match FormatDescription::parse(events) {
        Ok(description) if has_magic => Fit::Fits(Some(description)),
        Err(FormatDescriptionError::Truncated(_)) if has_magic => Fit::Fits(None),
        Err(error) if has_magic => damaged(event::FIRST_EVENT, error.to_string()),
        Ok(_) => damaged(0, "the magic fe 62 69 6e is not there".to_owned()),
        Err(_) => Fit::No,
    }
}
