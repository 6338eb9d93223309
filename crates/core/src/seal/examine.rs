//! What a manifest says of a log: found out by reading all of it.

use std::path::Path;

use super::SealError;
use super::digest::{self, Digest, Extent};
use super::manifest::{LogRecord, Place};
use crate::event::FIRST_EVENT;
use crate::event::format_description::FormatDescription;
use crate::file::TransferError;
use crate::file::pipeline::{NoProgress, Progress};
use crate::file::source::FileSource;
use crate::log::archive;
use crate::log::kind::LogKind;
use crate::log::open::OpenLog;
use crate::log::walk::{PlainSource, PlainView};
use crate::mysql::header;
use crate::mysql::key_id::{KeyId, KeyIdParts};
use crate::read::verify::{self, Link, Verified, VerifyOptions};

/// Longer texts of GTIDs are left out, in bytes.
const MAX_GTIDS: usize = 64 << 10;

/// The record of a log, which still lacks its number, name and place in the chain, and what there is
/// to join it to the next.
pub(super) struct Examined {
    pub(super) record: LogRecord,
    pub(super) link: Link,
}

/// Reads a log: all of it, or up to a plain offset at which an event must end.
///
/// # Errors
/// [`SealError::Log`]; [`SealError::StopPosition`] when no event ends there.
pub(super) fn examine(
    log: &OpenLog,
    up_to: Option<u64>,
    progress: &dyn Progress,
) -> Result<Examined, SealError> {
    let verified = match up_to {
        None => verify::verify_with(log, VerifyOptions::default(), &NoProgress)?,
        Some(end) => verify_beginning(log, end)?,
    };
    let extent = match up_to {
        None => Extent::whole(log),
        Some(end) => Extent::up_to(log, end),
    };
    let chunk = digest::chunk_length(extent.stored);
    let numbers: Vec<u64> = (0..extent.chunks(chunk)).collect();
    // The plaintext in order, by one thread; the chunks by the others.
    let (plaintext, leaves) = rayon::join(
        || digest::plaintext(log, extent, progress),
        || digest::leaves(log.source(), extent, chunk, &numbers),
    );
    let leaves = leaves?;
    let key = key_id(log.kind());
    let parts = key.as_ref().and_then(KeyId::parts);
    let own_gtids = if verified.gtids.last.is_empty() {
        verified.gtids.own.to_string()
    } else {
        verified.gtids.last.to_string()
    };
    let is_short = own_gtids.len() <= MAX_GTIDS && !verified.gtids.overflowed;
    let description = verified.description.as_ref();
    let record = LogRecord {
        number: 0,
        name: String::new(),
        sealed: super::now(),
        kind: log.kind().name().to_owned(),
        length: extent.body.saturating_add(extent.stored),
        up_to,
        body: extent.body,
        header: header_of(log.source(), log.kind().name())?,
        key_id: key.as_ref().map(KeyId::to_string),
        server_uuid: parts.as_ref().map(|parts: &KeyIdParts<'_>| parts.server_uuid.to_owned()),
        key_seqno: parts.map(|parts| parts.sequence_number),
        server_id: description.map(|description| description.header.server_id),
        is_relay: description.is_some_and(FormatDescription::is_relay_log),
        gtids: is_short.then_some(own_gtids),
        events: verified.events,
        first: Place {
            position: FIRST_EVENT,
            time: description.map(|description| description.header.timestamp),
        },
        last: Place { position: verified.checked_up_to, time: verified.last_time },
        next_log: verified.next_log.clone(),
        damaged_at: (!verified.is_whole()).then_some(verified.good_up_to),
        plain_length: extent.plain,
        plaintext: plaintext?,
        chunk,
        root: digest::root(&leaves),
        leaves,
        previous: Digest::of(&[]),
    };
    Ok(Examined { record, link: Link::from(verified) })
}

/// The key id of a log: in its header, or in the JSON file beside it.
fn key_id(kind: &LogKind) -> Option<KeyId> {
    match kind {
        LogKind::MysqlEncrypted(header) => Some(header.key_id.clone()),
        LogKind::BinlogServerEncrypted(sidecar) => Some(KeyId::new(sidecar.kek_id.as_bytes())),
        _ => None,
    }
}

/// Digest of what stands before, or beside, the stored bytes of a log of this kind, and `rekey`
/// writes anew.
pub(super) fn header_of(source: &FileSource, kind: &str) -> Result<Option<Digest>, TransferError> {
    match kind {
        "mysql-encrypted" => {
            let mut bytes = [0; header::LENGTH];
            let read = source.read_at(0, &mut bytes)?;
            Ok(bytes.get(..read).map(Digest::of))
        }
        "binlog-server-encrypted" => {
            Ok(archive::read(source.path())?.map(|bytes| Digest::of(&bytes)))
        }
        _ => Ok(None),
    }
}

fn verify_beginning(log: &OpenLog, end: u64) -> Result<Verified, SealError> {
    let wrong =
        |reason: String| SealError::StopPosition { path: log.source().path().to_owned(), reason };
    let length = log.plain_length();
    if end <= FIRST_EVENT || end > length {
        return Err(wrong(format!(
            "its plaintext ends at {length}, and cannot be sealed up to position {end}"
        )));
    }
    let beginning = Beginning { log, length: end };
    let description = log.probe().description().cloned();
    let verified = verify::verify_plain(&beginning, description, &NoProgress)?;
    if verified.checked_up_to != end || verified.has_cut_tail() {
        let last = verified.good_up_to.min(end);
        return Err(wrong(format!(
            "no event ends at position {end}; `binlogsec events` lists the positions (the events are \
             whole up to {last})"
        )));
    }
    Ok(verified)
}

/// A log up to a plain offset.
struct Beginning<'a> {
    log: &'a OpenLog,
    length: u64,
}

impl PlainSource for Beginning<'_> {
    fn path(&self) -> &Path {
        self.log.source().path()
    }

    fn plain_length(&self) -> u64 {
        self.length
    }

    fn file_offset(&self, plain_offset: u64) -> u64 {
        self.log.file_offset(plain_offset)
    }

    fn read_plain_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, TransferError> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        self.log.read_at(offset, buffer.get_mut(..wanted).unwrap_or_default())
    }

    fn plain_view(&self) -> Box<dyn PlainView + '_> {
        self.log.plain_view()
    }

    fn check_size(&self) -> Result<(), TransferError> {
        self.log.source().check_size()
    }
}
