//! Writing, as a machine of a given kind would.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::*;

/// Writes a whole file as a machine of this kind would.
///
/// # Errors
/// [`PluginError::TooLong`] when an entry does not fit 32-bit words.
pub fn serialize<'a>(
    version: PluginVersion,
    word: Word,
    entries: impl IntoIterator<Item = &'a Entry>,
) -> Result<Zeroizing<Vec<u8>>, PluginError> {
    let entries: Vec<&Entry> = entries.into_iter().collect();
    let records = serialize_records(word, &entries)?;
    let around = RECORDS_OFFSET.saturating_add(EOF_TAG.len()).saturating_add(DIGEST_BYTES);
    let mut out = Zeroizing::new(Vec::with_capacity(records.len().saturating_add(around)));
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(version.name().as_bytes());
    out.extend_from_slice(&records);
    out.extend_from_slice(EOF_TAG);
    if version == PluginVersion::V2_0 {
        out.extend_from_slice(&Sha256::digest(&*records));
    }
    Ok(out)
}

pub(super) fn serialize_records(
    word: Word,
    entries: &[&Entry],
) -> Result<Zeroizing<Vec<u8>>, PluginError> {
    let mut total = 0_usize;
    for entry in entries {
        let size = record_length(word, entry).and_then(|length| total.checked_add(length));
        total = size.ok_or(PluginError::TooLong { word })?;
    }
    let mut out = Zeroizing::new(Vec::with_capacity(total));
    for entry in entries {
        let length = record_length(word, entry).ok_or(PluginError::TooLong { word })?;
        let end = out.len().checked_add(length).ok_or(PluginError::TooLong { word })?;
        let [id, key_type, user, key] = parts(entry);
        for value in [length, id.len(), key_type.len(), user.len(), key.len()] {
            word.write(value, &mut out)?;
        }
        out.extend_from_slice(id);
        out.extend_from_slice(key_type);
        out.extend_from_slice(user);
        out.extend(obfuscated(key));
        out.resize(end, 0);
    }
    Ok(out)
}

fn parts(entry: &Entry) -> [&[u8]; 4] {
    [entry.id.as_bytes(), entry.key_type.as_bytes(), &entry.user, entry.data.expose()]
}

/// The length of a record with its padding; `None` past `usize`.
fn record_length(word: Word, entry: &Entry) -> Option<usize> {
    let parts = parts(entry).into_iter().map(<[u8]>::len);
    parts
        .into_iter()
        .try_fold(word.lengths_width(), usize::checked_add)?
        .checked_next_multiple_of(word.width())
}
