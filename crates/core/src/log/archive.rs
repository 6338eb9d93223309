//! From the JSON file beside a log of Percona Binlog Server's archive, and a keyring, to the log's
//! stream.

use std::path::{Path, PathBuf};

use crate::event;
use crate::event::format_description::FormatDescription;
use crate::file::source::FileSource;
use crate::file::{TransferError, listing, location};
use crate::keyring::Keyring;
use crate::log::kind::LogKind;
use crate::log::log_error::LogError;
use crate::log::unlock::{Fit, judge};
use crate::mysql::key_id::KeyId;
use crate::mysql::stream::CtrStream;
use crate::percona::sidecar::{EXTENSION, MAX_BYTES, Sidecar, SidecarError};
use crate::secret::SecretBytes;

/// The file beside a log that says how it is encrypted.
#[must_use]
pub(crate) fn sidecar_path(log: &Path) -> PathBuf {
    let mut path = log.as_os_str().to_owned();
    path.push(EXTENSION);
    PathBuf::from(path)
}

/// What stands beside a file that is no log by its own first bytes; `None` when it is one, or when
/// nothing beside it says that it is encrypted.
///
/// # Errors
/// [`TransferError`] when there is such a file and it cannot be read.
pub fn beside(
    path: &Path,
    file_start: &[u8],
) -> Result<Option<Result<Sidecar, SidecarError>>, TransferError> {
    let is_of_another_kind = !matches!(
        LogKind::classify(file_start),
        LogKind::Unknown | LogKind::Truncated { magic: None, .. }
    );
    // In a store each question is a request: there only files that are named as logs are asked for.
    if is_of_another_kind || (location::is_url(path) && !is_named_like_a_log(path)) {
        return Ok(None);
    }
    Ok(read(path)?.and_then(|bytes| Sidecar::parse(&bytes)))
}

/// Whether a name ends in a sequence number, as the archive's do.
fn is_named_like_a_log(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        let digits = extension.as_encoded_bytes();
        digits.len() >= 6 && digits.iter().all(u8::is_ascii_digit)
    })
}

/// The bytes of the JSON file beside a log, if there is one.
///
/// # Errors
/// As [`beside`].
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, TransferError> {
    let path = sidecar_path(path);
    // What cannot be told is opened, which then says why.
    if !listing::exists(&path).unwrap_or(true) {
        return Ok(None);
    }
    let source = FileSource::open(&path)?;
    if source.length() > MAX_BYTES {
        return Ok(None);
    }
    let mut bytes = vec![0; usize::try_from(source.length()).unwrap_or(0)];
    let read = source.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// A log whose key is proven.
#[derive(Debug)]
pub(crate) struct Unwrapped {
    /// What the JSON file keeps under the wrapping key.
    pub(crate) file_key: SecretBytes,
    /// What turns the file into plaintext.
    pub(crate) stream: CtrStream,
    /// `None` when the log ends within it.
    pub(crate) description: Option<FormatDescription>,
}

/// Tries every key of the id that wrapped the file key on the beginning of the file.
pub(crate) fn unlock(
    sidecar: &Sidecar,
    file_start: &[u8],
    keys: &Keyring,
) -> Result<Unwrapped, LogError> {
    let key_id = KeyId::new(sidecar.kek_id.as_bytes());
    if keys.is_empty() {
        return Err(LogError::NoKeys { key_id });
    }
    let searched = keys.describe_sources();
    let candidates = keys.wrapping_candidates(&sidecar.kek_id);
    if candidates.is_empty() {
        return Err(LogError::KeyMissing { key_id, searched });
    }
    if file_start.len() < event::MAGIC.len() {
        return Err(LogError::Truncated {
            available: file_start.len(),
            part: "encrypted magic, so that no key can be proven",
        });
    }
    let mut reason = String::new();
    for candidate in candidates {
        let file_key = match file_key(sidecar, candidate.cipher, candidate.key) {
            Ok(file_key) => file_key,
            Err(error) => {
                reason = error;
                continue;
            }
        };
        let stream = stream(sidecar, &file_key)?;
        let mut plain = file_start.to_vec();
        stream.apply(0, &mut plain);
        match judge(&plain) {
            Fit::Fits(description) => {
                return Ok(Unwrapped { file_key, stream, description });
            }
            Fit::FitsDamaged(error) => return Err(error),
            Fit::No => "no log comes out".clone_into(&mut reason),
        }
    }
    Err(LogError::WrongWrappingKey { key_id, searched, reason })
}

/// The stream under a file key.
pub(crate) fn stream(sidecar: &Sidecar, file_key: &SecretBytes) -> Result<CtrStream, LogError> {
    let stream = CtrStream::counting_from(&sidecar.iv, file_key.expose());
    let fits = sidecar.file_key_length() == Some(file_key.len());
    stream
        .filter(|_| fits)
        .ok_or_else(|| LogError::Unsupported { format: refused(&sidecar.cipher) })
}

/// What is said of a log under a cipher that is not read. OpenSSL, whose names the server takes, has
/// two others of the same mode and lengths.
fn refused(cipher: &str) -> &'static str {
    let cipher = cipher.to_ascii_uppercase();
    if cipher.starts_with("ARIA-") {
        "Percona Binlog Server's, under ARIA in place of AES,"
    } else if cipher.starts_with("CAMELLIA-") {
        "Percona Binlog Server's, under Camellia in place of AES,"
    } else {
        "Percona Binlog Server's, under another cipher than AES in CTR mode or with a file key of another length,"
    }
}

/// The file key out of its wrapping, or why it does not come out.
pub(crate) fn file_key(
    sidecar: &Sidecar,
    cipher: Option<crate::percona::cipher::Cipher>,
    key: &SecretBytes,
) -> Result<SecretBytes, String> {
    let cipher = cipher.ok_or("its cipher is not read: AES in mode ECB, CBC, CTR or GCM is")?;
    let file_key = cipher.unwrap(key.expose(), &sidecar.file_key);
    file_key.map_err(|error| error.to_string())
}
