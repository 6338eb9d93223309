//! A log's encryption header by itself: put aside, and put back.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::header_backup::{self, Header};
use super::in_use::Lookout;
use super::rekey::{encryption_header, first_chunk, open, write_header};
use crate::batch::transfer::Output;
use crate::event;
use crate::file::TransferError;
use crate::file::source::FileSource;
use crate::keyring::Keyring;
use crate::log::error::Error;
use crate::log::log_error::LogError;
use crate::log::open::read_start;
use crate::log::refusal::Refusal;
use crate::log::unlock::unlock;
use crate::mysql::header::{self, EncryptionHeader, FieldType, HeaderError, LENGTH};
use crate::mysql::key_id::KeyId;
use crate::text::reported;

/// Copies the 512 bytes of a log's header. A damaged header is copied, too, as long as it has the
/// magic of one.
///
/// # Errors
/// [`Error::Log`] when the file is too short or starts otherwise, [`Error::Transfer`].
pub fn dump(log: &Path, output: Output<'_>) -> Result<(), Error> {
    let header = read(log)?;
    match output {
        Output::File(target, options) => write_header(target, &header, options.force)?,
        Output::Stream(writer, name) => write_all(writer, &header, name)?,
    }
    Ok(())
}

/// One part of a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "HeaderPart"))]
pub struct Part {
    /// `magic`, `version`, `key id`, `wrapped file password`, `wrapping IV`, `zeros`; `rest` where
    /// what follows cannot be read.
    pub name: String,
    /// File offset of its first byte.
    pub offset: u64,
    /// Its length in bytes.
    pub length: usize,
    /// Its bytes, hexadecimal: of a field its type, a key id's length, and its value.
    #[serde(rename = "hex", serialize_with = "reported::hex")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub bytes: Vec<u8>,
    /// What they say, where that is text.
    pub text: Option<String>,
}

/// What a header consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Anatomy {
    /// The parts in order, without a gap between them.
    pub parts: Vec<Part>,
    /// Why a server would not read the header, or null.
    #[serde(serialize_with = "reported::display_or_null")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub damage: Option<HeaderError>,
}

/// Takes a log's header apart. No key is needed, and none is in it: the file password is wrapped.
///
/// # Errors
/// As [`dump`]. Damage behind the magic is part of the outcome.
pub fn dissect(log: &Path) -> Result<Anatomy, Error> {
    Ok(dissect_bytes(&read(log)?))
}

/// The header of a log, damaged or not, as long as it has the magic of one.
fn read(log: &Path) -> Result<Header, Error> {
    let start = read_start(&FileSource::open(log)?)?;
    if !start.starts_with(&header::MAGIC) {
        // Says what it is instead.
        encryption_header(&start, log)?;
    }
    first_chunk(&start, log)
}

fn dissect_bytes(header: &Header) -> Anatomy {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut add = |name: &str, end: usize, text: Option<String>| {
        let bytes = header.get(start..end).unwrap_or_default();
        parts.push(Part {
            name: name.to_owned(),
            offset: u64::try_from(start).unwrap_or(u64::MAX),
            length: bytes.len(),
            bytes: bytes.to_vec(),
            text,
        });
        start = end;
    };
    let version = header::MAGIC.len().saturating_add(1);
    add("magic", header::MAGIC.len(), None);
    let number = header.get(header::MAGIC.len()).map(ToString::to_string);
    add("version", version, number);
    let mut end = version;
    // What cannot be read is told as damage.
    let fields = header::fields(header).into_iter().flatten();
    for field in fields.map_while(Result::ok) {
        let is_id = field.field_type == FieldType::KeyId;
        let before = if is_id { 2 } else { 1 };
        end = field.offset.saturating_add(before).saturating_add(field.value.len());
        let id = is_id.then(|| KeyId::new(field.value).to_string());
        add(&field.field_type.to_string(), end, id);
    }
    let rest = header.get(end..).unwrap_or_default();
    let is_zero = rest.iter().all(|byte| *byte == 0);
    add(if is_zero { "zeros" } else { "rest" }, LENGTH, None);
    let damage = EncryptionHeader::parse(header).err();
    Anatomy { parts, damage }
}

fn write_all(writer: &mut dyn Write, header: &Header, name: &Path) -> Result<(), TransferError> {
    writer.write_all(header).and_then(|()| writer.flush()).map_err(TransferError::at(name, "write"))
}

/// How to put a header back.
#[derive(Debug, Clone, Copy, Default)]
pub struct RestoreOptions {
    /// Without a key, too.
    pub force: bool,
}

/// What was put back.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Restored {
    /// `restored`, or `unchanged` when the log had this header already.
    pub status: RestoreStatus,
    /// The key that the log is under now.
    #[serde(serialize_with = "reported::display")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub key_id: KeyId,
    /// Whether a key has proven that header and body belong together.
    pub proven: bool,
}

/// Whether there was anything to put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RestoreStatus {
    /// The header was written.
    Restored,
    /// The log had this header already.
    Unchanged,
}

/// Puts a header before a log's body, with the same care as
/// [`rekey`](super::rekey::rekey). With keys, the header must open the body.
///
/// # Errors
/// [`Error::Log`] when `from` is no header, or does not open the body; [`Error::Refused`] when
/// there is no key and no `force`, when the log is a plaintext log, or when somebody may write it.
pub fn restore(
    log: &Path,
    from: &Path,
    keys: &Keyring,
    options: RestoreOptions,
) -> Result<Restored, Error> {
    let (header, parsed) = read_header(from)?;
    let source = open(log, &Lookout::default())?;
    header_backup::recover(&source, keys, false, false)?;
    let start = read_start(&source)?;
    let before = first_chunk(&start, log)?;
    if start.starts_with(&event::MAGIC) {
        return Err(Error::refused(log, Refusal::NotEncrypted));
    }
    let proven = !keys.is_empty();
    if proven {
        unlock(&parsed, &start, keys)?.map_err(|error| Error::log(log, error))?;
    } else if !options.force {
        return Err(Error::refused(log, Refusal::Unproven));
    }
    let status = if before == header {
        RestoreStatus::Unchanged
    } else {
        header_backup::replace(&source, before, header, &|| Ok(()))?;
        RestoreStatus::Restored
    };
    Ok(Restored { status, key_id: parsed.key_id, proven })
}

fn read_header(path: &Path) -> Result<(Header, EncryptionHeader), Error> {
    let source = FileSource::open(path)?;
    let damaged = |error| Error::log(path, LogError::HeaderDamaged(error));
    let start = read_start(&source)?;
    let parsed = EncryptionHeader::parse(&start).map_err(damaged)?;
    let header = start
        .first_chunk::<LENGTH>()
        .ok_or_else(|| damaged(HeaderError::Truncated { available: start.len() }))?;
    Ok((*header, parsed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_header_are_all_of_it() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
        let log = fixtures.join("mysql-9.7/mixed-key3-running/binlog.000003");
        let whole = std::fs::read(&log).unwrap();
        let anatomy = dissect(&log).unwrap();
        assert_eq!(anatomy.damage, None);
        let names: Vec<_> = anatomy.parts.iter().map(|part| &*part.name).collect();
        let fields = ["key id", "wrapped file password", "wrapping IV"];
        assert_eq!(names[..2], ["magic", "version"]);
        assert_eq!((&names[2..5], names[5]), (&fields[..], "zeros"));
        let bytes: Vec<_> = anatomy.parts.iter().flat_map(|part| &part.bytes).collect();
        assert!(bytes.into_iter().eq(&whole[..LENGTH]));
        let id = anatomy.parts[2].text.as_ref().unwrap();
        assert!(id.starts_with("MySQLReplicationKey_") && id.ends_with("_3"));

        let mut header: Header = *whole.first_chunk().unwrap();
        header[usize::try_from(anatomy.parts[3].offset).unwrap()] = 9;
        let damaged = dissect_bytes(&header);
        assert!(matches!(damaged.damage, Some(HeaderError::UnknownField { found: 9, .. })));
        assert_eq!(damaged.parts.len(), 4);
        assert_eq!(damaged.parts[3].name, "rest");
        header[4] = 2;
        let newer = dissect_bytes(&header);
        assert!(matches!(newer.damage, Some(HeaderError::UnknownVersion { found: 2 })));
        assert_eq!((newer.parts.len(), newer.parts[2].bytes.len()), (3, LENGTH - 5));
    }
}
