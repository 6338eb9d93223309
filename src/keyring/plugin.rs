//! The file of the `keyring_file` plugin (MySQL 5.7.11 to 8.x), versions 1.0 and 2.0.
//!
//! ```text
//! "Keyring file version:2.0"   24 bytes
//! record…                      each a multiple of the word size
//! "EOF"                        3 bytes
//! SHA-256 of all records       32 bytes, version 2.0 only
//! ```
//!
//! A record is five words (its length with padding, then the lengths of key id, key type, user id
//! and key), these four, and padding to the word size. A word is the `size_t` of the machine that
//! wrote the file: 8 or 4 bytes of either byte order, told by which reading walks all records
//! exactly to `EOF`. Key bytes are combined by XOR with a fixed
//! text, which hides nothing.
//!
//! Source: server source, `plugin/keyring` (`common/keyring_key.cc` for the record,
//! `checker/checker.cc` and `converter.cc` for the four machine kinds, `buffered_file_io.cc` for
//! the digest); version 1.0 with 64-bit little-endian words checked on a server's file.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Entry, KeyType, abbreviated, find_duplicate};
use crate::bytes::{Cursor, OutOfBytes};
use crate::log::key_id::KeyId;
use crate::secret::SecretBytes;

/// What every such file starts with; the version follows.
pub const SIGNATURE: &[u8] = b"Keyring file version:";

const VERSION_BYTES: usize = 3;
const RECORDS_OFFSET: usize = 24;
const EOF_TAG: &[u8] = b"EOF";
const DIGEST_BYTES: usize = 32;
const OBFUSCATION: &[u8; 24] = b"*305=Ljt0*!@$Hnm(*-9-w;:";

/// The version of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PluginVersion {
    /// Without a digest.
    V1_0,
    /// With a SHA-256 digest of the records at the end.
    V2_0,
}

impl PluginVersion {
    const fn name(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V2_0 => "2.0",
        }
    }

    const fn digest_bytes(self) -> usize {
        match self {
            Self::V1_0 => 0,
            Self::V2_0 => DIGEST_BYTES,
        }
    }
}

impl fmt::Display for PluginVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The machine kind that wrote the file: width and byte order of its `size_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Word {
    /// 8 bytes, least significant first.
    Le64,
    /// 4 bytes, least significant first.
    Le32,
    /// 8 bytes, most significant first.
    Be64,
    /// 4 bytes, most significant first.
    Be32,
}

impl Word {
    /// All four, in the order in which the server tries them.
    pub const ALL: [Self; 4] = [Self::Le64, Self::Le32, Self::Be64, Self::Be32];

    /// That of this machine.
    pub const NATIVE: Self = match (cfg!(target_endian = "little"), size_of::<usize>()) {
        (true, 8) => Self::Le64,
        (true, _) => Self::Le32,
        (false, 8) => Self::Be64,
        (false, _) => Self::Be32,
    };

    /// Bytes a word takes.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::Le64 | Self::Be64 => 8,
            Self::Le32 | Self::Be32 => 4,
        }
    }

    const fn lengths_width(self) -> usize {
        match self {
            Self::Le64 | Self::Be64 => 40,
            Self::Le32 | Self::Be32 => 20,
        }
    }

    fn read(self, cursor: &mut Cursor<'_>) -> Result<u64, OutOfBytes> {
        match self {
            Self::Le64 => cursor.u64_le(),
            Self::Le32 => cursor.u32_le().map(u64::from),
            Self::Be64 => cursor.u64_be(),
            Self::Be32 => cursor.u32_be().map(u64::from),
        }
    }

    fn write(self, value: usize, out: &mut Vec<u8>) -> Result<(), PluginError> {
        let too_long = |_| PluginError::TooLong { word: self };
        let wide = u64::try_from(value).map_err(too_long)?;
        match self {
            Self::Le64 => out.extend(wide.to_le_bytes()),
            Self::Le32 => out.extend(u32::try_from(value).map_err(too_long)?.to_le_bytes()),
            Self::Be64 => out.extend(wide.to_be_bytes()),
            Self::Be32 => out.extend(u32::try_from(value).map_err(too_long)?.to_be_bytes()),
        }
        Ok(())
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Le64 => "64-bit little-endian",
            Self::Le32 => "32-bit little-endian",
            Self::Be64 => "64-bit big-endian",
            Self::Be32 => "32-bit big-endian",
        })
    }
}

/// A file that was read whole.
#[derive(Debug, PartialEq, Eq)]
pub struct PluginKeyring {
    /// The version line.
    pub version: PluginVersion,
    /// The machine kind of the records; `None` when there are none, since every kind fits then.
    pub word: Option<Word>,
    /// The machine kind in whose form the records were when the digest was made; `None` without
    /// records or without a digest. It differs from `word` after a server of another machine kind
    /// has changed the file: that server keeps the file's kind and digests its own form.
    pub digest_word: Option<Word>,
    /// The records in file order.
    pub entries: Vec<Entry>,
}

/// Why a file is no readable `keyring_file` keyring. Offsets and sizes are bytes of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// The file does not start like one.
    #[error("offset 0: `Keyring file version:` expected: this is no keyring_file keyring")]
    Signature,
    /// Another version than 1.0 and 2.0.
    #[error(
        "offset 21: keyring_file version {found:?} is not supported (1.0 and 2.0 are); \
         let the server that wrote it migrate the keys to another keyring"
    )]
    UnsupportedVersion {
        /// The three bytes that stand there, escaped.
        found: String,
    },
    /// The file ends within something that has a fixed size.
    #[error(
        "offset {offset}: {what} takes {needed} bytes, {available} available: the file is cut \
         off; take a complete copy of it"
    )]
    Truncated {
        /// What is incomplete.
        what: &'static str,
        /// Where it starts.
        offset: usize,
        /// How many bytes it takes.
        needed: usize,
        /// How many bytes were left.
        available: usize,
    },
    /// `EOF` is not where the version and the size of the file say, nor after the last record.
    #[error(
        "offset {offset}: `EOF` expected there in a version {version} file of this size: the \
         file is cut off or damaged; take a complete copy of it"
    )]
    NoEof {
        /// Where the tag should be.
        offset: usize,
        /// The version of the file.
        version: PluginVersion,
    },
    /// Something follows what should be the end.
    #[error(
        "offset {offset}: {available} bytes follow where the file should end: it was appended \
         to or overwritten; take a fresh copy of it"
    )]
    TrailingBytes {
        /// Where the file should end.
        offset: usize,
        /// How many bytes follow.
        available: usize,
    },
    /// No machine kind's reading walks the records to the end. This is the reading that came
    /// furthest.
    #[error(
        "offset {offset}: record {record} (counted from 0, read as {word}): {defect}; the \
         records fit no word size and byte order: the file is damaged, take another copy of it"
    )]
    Record {
        /// Which record.
        record: usize,
        /// Where it starts.
        offset: usize,
        /// The reading.
        word: Word,
        /// What is wrong with it.
        defect: RecordDefect,
    },
    /// The digest is not that of the records.
    #[error(
        "offset {offset}: the SHA-256 digest is not that of the records at offsets 24 to {end}: \
         the file was changed or damaged; take another copy of it"
    )]
    DigestMismatch {
        /// Where the digest stands.
        offset: usize,
        /// Where the records end.
        end: usize,
    },
    /// Two records have id and user in common; the server refuses such a file.
    #[error(
        "offset {offset}: record {second} (counted from 0) has the key id and user of record \
         {first}, `{}`: which of the two is meant cannot be told; take another copy of the file",
        abbreviated(.id.as_bytes())
    )]
    Duplicate {
        /// The key id of both.
        id: KeyId,
        /// The earlier record.
        first: usize,
        /// The later record.
        second: usize,
        /// Where the later record starts.
        offset: usize,
    },
    /// When writing: an entry is longer than the machine kind can express.
    #[error("an entry is too long for {word} words; write 64-bit words")]
    TooLong {
        /// The machine kind.
        word: Word,
    },
}

/// What is wrong with a record under one reading. Sizes are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordDefect {
    /// The records end within the five lengths.
    #[error("its five lengths take {needed} bytes, {available} available")]
    LengthsCut {
        /// Bytes the lengths take.
        needed: usize,
        /// Bytes left.
        available: usize,
    },
    /// The record's length is no multiple of the word size.
    #[error("its length {length} is no multiple of {width}")]
    Unaligned {
        /// The record's length.
        length: u64,
        /// The word size.
        width: usize,
    },
    /// The record passes the end of the records.
    #[error("its length says {needed} bytes, {available} available")]
    PastEnd {
        /// The record's length.
        needed: u64,
        /// Bytes left, from the record's start.
        available: usize,
    },
    /// The parts are longer than the record.
    #[error("its parts take {needed} bytes, its length says {available}")]
    PartsPastRecord {
        /// What lengths and parts take together.
        needed: u64,
        /// The record's length.
        available: u64,
    },
    /// A word or more is left over after the parts.
    #[error("its parts take {used} bytes, its length {length} leaves more than padding")]
    ExcessPadding {
        /// What lengths and parts take together.
        used: u64,
        /// The record's length.
        length: u64,
    },
}

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
    Ok(PluginKeyring {
        version,
        word,
        digest_word,
        entries,
    })
}

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
    let around = RECORDS_OFFSET
        .saturating_add(EOF_TAG.len())
        .saturating_add(DIGEST_BYTES);
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
        return Err(if starts_right {
            cut
        } else {
            PluginError::Signature
        });
    };
    if signature != SIGNATURE {
        return Err(PluginError::Signature);
    }
    match cursor.take(VERSION_BYTES) {
        Ok(b"1.0") => Ok(PluginVersion::V1_0),
        Ok(b"2.0") => Ok(PluginVersion::V2_0),
        Ok(other) => Err(PluginError::UnsupportedVersion {
            found: other.escape_ascii().to_string(),
        }),
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
        Some(available) => PluginError::TrailingBytes {
            offset: in_file(end.saturating_add(needed)),
            available,
        },
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

        let past_end = || {
            (
                RecordDefect::PastEnd {
                    needed: length,
                    available,
                },
                true,
            )
        };
        let mut part = |length: u64| {
            let length = usize::try_from(length).map_err(|_| past_end())?;
            cursor.take(length).map_err(|_| past_end())
        };
        let [id, key_type, user, key] = parts;
        let (id, key_type, user, key) = (part(id)?, part(key_type)?, part(user)?, part(key)?);
        let taken = cursor.position().saturating_sub(offset);
        let padding = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .saturating_sub(taken);
        cursor.take(padding).map_err(|_| past_end())?;
        Ok(Self {
            offset,
            id,
            key_type,
            user,
            key,
        })
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
    let used = parts
        .into_iter()
        .fold(wide(word.lengths_width()), u64::saturating_add);
    let plausible = used <= wide(available);
    let defect = if length.checked_rem(wide(width)) != Some(0) {
        RecordDefect::Unaligned { length, width }
    } else if length > wide(available) {
        RecordDefect::PastEnd {
            needed: length,
            available,
        }
    } else if used > length {
        RecordDefect::PartsPastRecord {
            needed: used,
            available: length,
        }
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
        let record =
            RawRecord::read(&mut cursor, word).map_err(|(defect, plausible)| FailedReading {
                word,
                record: found.len(),
                offset,
                defect,
                plausible,
            })?;
        found.push(record);
    }
    Ok(found)
}

/// XOR with the repeated text; the same both ways.
fn obfuscated(key: &[u8]) -> impl ExactSizeIterator<Item = u8> {
    // `take` keeps the exact length, which `zip` with an endless iterator does not promise.
    let mut text = OBFUSCATION.iter().cycle();
    key.iter().map(move |byte| byte ^ text.next().unwrap_or(&0))
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
    PluginError::DigestMismatch {
        offset: end.saturating_add(EOF_TAG.len()),
        end,
    }
}

fn serialize_records(word: Word, entries: &[&Entry]) -> Result<Zeroizing<Vec<u8>>, PluginError> {
    let mut total = 0_usize;
    for entry in entries {
        let size = record_length(word, entry).and_then(|length| total.checked_add(length));
        total = size.ok_or(PluginError::TooLong { word })?;
    }
    let mut out = Zeroizing::new(Vec::with_capacity(total));
    for entry in entries {
        let length = record_length(word, entry).ok_or(PluginError::TooLong { word })?;
        let end = out
            .len()
            .checked_add(length)
            .ok_or(PluginError::TooLong { word })?;
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
    [
        entry.id.as_bytes(),
        entry.key_type.as_bytes(),
        &entry.user,
        entry.data.expose(),
    ]
}

/// The length of a record with its padding; `None` past `usize`.
fn record_length(word: Word, entry: &Entry) -> Option<usize> {
    let parts = parts(entry).into_iter().map(<[u8]>::len);
    parts
        .into_iter()
        .try_fold(word.lengths_width(), usize::checked_add)?
        .checked_next_multiple_of(word.width())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(id: &[u8], user: &[u8], key_type: &[u8], data: &[u8]) -> Entry {
        Entry {
            id: KeyId::new(id),
            user: user.into(),
            key_type: KeyType::from_bytes(key_type),
            data: SecretBytes::new(data.to_vec()),
        }
    }

    #[test]
    fn the_obfuscation_starts_again_at_every_key() {
        let zeros: Vec<u8> = obfuscated(&[0; 50]).collect();
        assert_eq!(
            &zeros,
            b"*305=Ljt0*!@$Hnm(*-9-w;:*305=Ljt0*!@$Hnm(*-9-w;:*3"
        );
        assert_eq!(
            obfuscated(&[0; 50]).len(),
            50,
            "collected into a buffer of its exact size"
        );
    }

    #[test]
    fn a_record_is_laid_out_as_documented() {
        let entry = entry(b"x", b"u@h", b"AES", &[0; 4]);
        let file = serialize(PluginVersion::V1_0, Word::Be32, [&entry]).unwrap();
        let expected = b"Keyring file version:1.0\
            \0\0\0\x20\0\0\0\x01\0\0\0\x03\0\0\0\x03\0\0\0\x04xAESu@h*305\0EOF";
        assert_eq!(file.as_slice(), expected);
    }

    #[test]
    fn without_records_no_machine_kind_is_named() {
        for version in [PluginVersion::V1_0, PluginVersion::V2_0] {
            let file = serialize(version, Word::Be32, []).unwrap();
            let keyring = parse(&file).unwrap();
            assert_eq!(
                (keyring.version, keyring.word, keyring.entries.len()),
                (version, None, 0)
            );
        }
        let mut file = serialize(PluginVersion::V2_0, Word::Be32, []).unwrap();
        *file.last_mut().unwrap() ^= 1;
        assert_eq!(
            parse(&file),
            Err(PluginError::DigestMismatch {
                offset: 27,
                end: 24
            })
        );
    }

    #[test]
    fn what_the_version_line_says_decides() {
        assert_eq!(parse(b""), Err(PluginError::Signature));
        assert_eq!(
            parse(b"keyring file version:1.0EOF"),
            Err(PluginError::Signature)
        );
        let cut = |available| PluginError::Truncated {
            what: "the version line",
            offset: 0,
            needed: 24,
            available,
        };
        assert_eq!(parse(b"Key"), Err(cut(3)));
        assert_eq!(parse(b"Keyring file version:2."), Err(cut(23)));
        let found = r"9\n9".to_owned();
        let error = PluginError::UnsupportedVersion { found };
        assert_eq!(parse(b"Keyring file version:9\n9EOF"), Err(error));
    }

    #[test]
    fn padding_of_any_content_is_accepted_but_it_must_be_there() {
        let entry = entry(b"x", b"", b"AES", &[7; 3]);
        let mut file = serialize(PluginVersion::V1_0, Word::Le64, [&entry]).unwrap();
        let last = file.len() - 4;
        file[last] = 0xFF;
        assert_eq!(parse(&file).unwrap().entries, [entry]);
        file.remove(last);
        assert!(matches!(
            parse(&file),
            Err(PluginError::Record {
                record: 0,
                offset: 24,
                ..
            })
        ));
    }

    #[test]
    fn a_whole_word_of_padding_is_refused() {
        let mut file = b"Keyring file version:1.0".to_vec();
        for value in [32_u32, 1, 3, 0, 4] {
            file.extend(value.to_le_bytes());
        }
        file.extend(b"xAES\0\0\0\0\0\0\0\0EOF");
        let defect = RecordDefect::ExcessPadding {
            used: 28,
            length: 32,
        };
        let error = PluginError::Record {
            record: 0,
            offset: 24,
            word: Word::Le32,
            defect,
        };
        assert_eq!(parse(&file), Err(error));
    }

    prop_compose! {
        fn any_entry()(
            id in prop::collection::vec(any::<u8>(), 0..80),
            user in prop::collection::vec(any::<u8>(), 0..20),
            key_type in prop_oneof![
                Just(b"AES".to_vec()),
                prop::collection::vec(any::<u8>(), 0..9),
            ],
            data in prop::collection::vec(any::<u8>(), 0..70),
        ) -> Entry {
            entry(&id, &user, &key_type, &data)
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            mut entries in prop::collection::vec(any_entry(), 1..6),
            word in prop::sample::select(Word::ALL.to_vec()),
            version in prop::sample::select(vec![PluginVersion::V1_0, PluginVersion::V2_0]),
        ) {
            while let Some((_, later)) = find_duplicate(&entries) {
                entries.remove(later);
            }
            let file = serialize(version, word, &entries).unwrap();
            let keyring = parse(&file).unwrap();
            prop_assert_eq!(&keyring.entries, &entries);
            prop_assert_eq!(keyring.word, Some(word));
            prop_assert_eq!(keyring.version, version);
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            version in prop::sample::select(vec!["1.0", "2.0", "3.0"]),
            with_tag in any::<bool>(),
        ) {
            let _ = parse(&bytes);
            let mut file = [SIGNATURE, version.as_bytes(), &bytes].concat();
            if with_tag {
                file.extend(EOF_TAG);
            }
            let _ = parse(&file);
        }
    }
}
