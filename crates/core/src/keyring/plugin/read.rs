//! Reading: which machine kind's reading fits, and what is wrong if none does.

use sha2::{Digest, Sha256};

use super::write::serialize_records;
use super::*;
use crate::keyring::{KeyType, find_duplicate};
use crate::mysql::key_id::KeyId;
use crate::secret::SecretBytes;

/// Reads a whole file.
///
/// Padding must be there, its content is not looked at; owners and key ids may be any bytes. Both
/// is as in the server. An empty slice is not a file of this format: a file of 0 bytes is an empty
/// keyring of no format at all, which the caller decides.
///
/// # Errors
/// [`PluginError`], with the offset of what is wrong.
pub fn parse(bytes: &[u8]) -> Result<PluginKeyring, PluginError> {
    let version = parse_version(bytes)?;
    let (records, digest) = split_end(bytes, version)?;
    let (word, records_found) = fitting_reading(records)?;
    let entries: Vec<Entry> = records_found.iter().map(RawRecord::to_entry).collect();
    let digest_word = match word.filter(|_| version == PluginVersion::V2_0) {
        Some(word) => Some(digest_word(records, digest, word, &entries)?),
        None => None,
    };
    if records.is_empty() && !digest.is_empty() && Sha256::digest(records).as_slice() != digest {
        return Err(digest_mismatch(records));
    }
    if let Some((first, second)) = find_duplicate(&entries) {
        let later = records_found.get(second);
        return Err(PluginError::Duplicate {
            id: later.map_or_else(|| KeyId::new(b""), |record| KeyId::new(record.id)),
            first,
            second,
            offset: later.map_or(RECORDS_OFFSET, |record| in_file(record.offset)),
        });
    }
    Ok(PluginKeyring { version, word, digest_word, entries })
}

fn in_file(offset_in_records: usize) -> usize {
    offset_in_records.saturating_add(RECORDS_OFFSET)
}

fn parse_version(bytes: &[u8]) -> Result<PluginVersion, PluginError> {
    let mut cursor = Cursor::new(bytes);
    let cut = PluginError::Truncated {
        what: "the version line",
        offset: 0,
        needed: RECORDS_OFFSET,
        available: bytes.len(),
    };
    let Ok(signature) = cursor.take(SIGNATURE.len()) else {
        let starts_right = !bytes.is_empty() && SIGNATURE.starts_with(bytes);
        return Err(if starts_right { cut } else { PluginError::Signature });
    };
    if signature != SIGNATURE {
        return Err(PluginError::Signature);
    }
    match cursor.take(VERSION_BYTES) {
        Ok(b"1.0") => Ok(PluginVersion::V1_0),
        Ok(b"2.0") => Ok(PluginVersion::V2_0),
        Ok(other) => {
            Err(PluginError::UnsupportedVersion { found: other.escape_ascii().to_string() })
        }
        Err(_) => Err(cut),
    }
}

/// The records, and the digest (empty in version 1.0), from where the server looks for them: at
/// the end of the file.
fn split_end(bytes: &[u8], version: PluginVersion) -> Result<(&[u8], &[u8]), PluginError> {
    let body = bytes.get(RECORDS_OFFSET..).unwrap_or_default();
    let split = body
        .len()
        .checked_sub(version.digest_bytes())
        .and_then(|end| body.split_at_checked(end))
        .and_then(|(rest, digest)| Some((rest.strip_suffix(EOF_TAG)?, digest)));
    split.ok_or_else(|| diagnose_end(body, version))
}

/// Why `EOF` is not at its place: looks for it behind the last record of any reading.
fn diagnose_end(body: &[u8], version: PluginVersion) -> PluginError {
    let end = Word::ALL.into_iter().find_map(|word| {
        let mut cursor = Cursor::new(body);
        while !cursor.rest().starts_with(EOF_TAG) {
            RawRecord::read(&mut cursor, word).ok()?;
        }
        Some(cursor.position().saturating_add(EOF_TAG.len()))
    });
    let Some(end) = end else {
        let tail = EOF_TAG.len().saturating_add(version.digest_bytes());
        let offset = in_file(body.len().saturating_sub(tail));
        return PluginError::NoEof { offset, version };
    };
    let available = body.len().saturating_sub(end);
    let needed = version.digest_bytes();
    match available.checked_sub(needed) {
        Some(available) => {
            PluginError::TrailingBytes { offset: in_file(end.saturating_add(needed)), available }
        }
        None => PluginError::Truncated {
            what: "the digest after `EOF`",
            offset: in_file(end),
            needed,
            available,
        },
    }
}

/// One record as it stands in the file, under one reading.
struct RawRecord<'a> {
    offset: usize,
    id: &'a [u8],
    key_type: &'a [u8],
    user: &'a [u8],
    key: &'a [u8],
}

/// A reading that failed, and how near the truth it looks.
struct FailedReading {
    word: Word,
    record: usize,
    offset: usize,
    defect: RecordDefect,
    plausible: bool,
}

impl<'a> RawRecord<'a> {
    fn read(cursor: &mut Cursor<'a>, word: Word) -> Result<Self, (RecordDefect, bool)> {
        let offset = cursor.position();
        let available = cursor.remaining();
        let mut lengths = [0; 5];
        for length in &mut lengths {
            let needed = word.lengths_width();
            let cut = RecordDefect::LengthsCut { needed, available };
            *length = word.read(cursor).map_err(|_| (cut, false))?;
        }
        let [length, parts @ ..] = lengths;
        check_lengths(length, parts, available, word)?;

        let past_end = || (RecordDefect::PastEnd { needed: length, available }, true);
        let mut part = |length: u64| {
            let length = usize::try_from(length).map_err(|_| past_end())?;
            cursor.take(length).map_err(|_| past_end())
        };
        let [id, key_type, user, key] = parts;
        let (id, key_type, user, key) = (part(id)?, part(key_type)?, part(user)?, part(key)?);
        let taken = cursor.position().saturating_sub(offset);
        let padding = usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(taken);
        cursor.take(padding).map_err(|_| past_end())?;
        Ok(Self { offset, id, key_type, user, key })
    }

    fn to_entry(&self) -> Entry {
        Entry {
            id: KeyId::new(self.id),
            user: self.user.into(),
            key_type: KeyType::from_bytes(self.key_type),
            data: SecretBytes::new(obfuscated(self.key).collect()),
        }
    }
}

/// Whether the five lengths can be those of a record with `available` bytes left from its start.
/// The defect comes with whether the parts at least would fit: then the reading looks right.
fn check_lengths(
    length: u64,
    parts: [u64; 4],
    available: usize,
    word: Word,
) -> Result<(), (RecordDefect, bool)> {
    let width = word.width();
    let wide = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
    let used = parts.into_iter().fold(wide(word.lengths_width()), u64::saturating_add);
    let plausible = used <= wide(available);
    let defect = if length.checked_rem(wide(width)) != Some(0) {
        RecordDefect::Unaligned { length, width }
    } else if length > wide(available) {
        RecordDefect::PastEnd { needed: length, available }
    } else if used > length {
        RecordDefect::PartsPastRecord { needed: used, available: length }
    } else if length.saturating_sub(used) >= wide(width) {
        RecordDefect::ExcessPadding { used, length }
    } else {
        return Ok(());
    };
    Err((defect, plausible))
}

/// The first reading, in the server's order, that walks all records to their end.
fn fitting_reading(records: &[u8]) -> Result<(Option<Word>, Vec<RawRecord<'_>>), PluginError> {
    if records.is_empty() {
        return Ok((None, Vec::new()));
    }
    let mut best: Option<FailedReading> = None;
    for word in Word::ALL {
        let failed = match walk(records, word) {
            Ok(found) => return Ok((Some(word), found)),
            Err(failed) => failed,
        };
        let rank = |reading: &FailedReading| (reading.record, reading.plausible);
        if best.as_ref().is_none_or(|best| rank(&failed) > rank(best)) {
            best = Some(failed);
        }
    }
    best.map_or(Ok((None, Vec::new())), |best| {
        Err(PluginError::Record {
            record: best.record,
            offset: in_file(best.offset),
            word: best.word,
            defect: best.defect,
        })
    })
}

fn walk(records: &[u8], word: Word) -> Result<Vec<RawRecord<'_>>, FailedReading> {
    let mut cursor = Cursor::new(records);
    let mut found = Vec::new();
    while cursor.remaining() > 0 {
        let offset = cursor.position();
        let record = RawRecord::read(&mut cursor, word).map_err(|(defect, plausible)| {
            FailedReading { word, record: found.len(), offset, defect, plausible }
        })?;
        found.push(record);
    }
    Ok(found)
}

/// In whose machine's form the records have this digest. The server digests what it has in
/// memory, which is its own form, and then writes the records in the form the file had.
fn digest_word(
    records: &[u8],
    digest: &[u8],
    word: Word,
    entries: &[Entry],
) -> Result<Word, PluginError> {
    if Sha256::digest(records).as_slice() == digest {
        return Ok(word);
    }
    let entries: Vec<&Entry> = entries.iter().collect();
    let in_other_form = |other: &Word| {
        serialize_records(*other, &entries)
            .is_ok_and(|records| Sha256::digest(&*records).as_slice() == digest)
    };
    Word::ALL
        .into_iter()
        .filter(|other| *other != word)
        .find(in_other_form)
        .ok_or_else(|| digest_mismatch(records))
}

fn digest_mismatch(records: &[u8]) -> PluginError {
    let end = in_file(records.len());
    PluginError::DigestMismatch { offset: end.saturating_add(EOF_TAG.len()), end }
}
