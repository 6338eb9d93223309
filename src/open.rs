//! A log, its kind and the keys: plaintext at any offset, whatever the dialect.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::crypto::derive::FileKey;
use crate::crypto::password;
use crate::crypto::stream::CtrStream;
use crate::error::Error;
use crate::event;
use crate::event::format_description::{FormatDescription, FormatDescriptionError};
use crate::io::TransferError;
use crate::io::source::{Access, FileSource, View};
use crate::keyring::{Keyring, KeyringError};
use crate::log::header::{self, EncryptionHeader, HeaderError};
use crate::log::key_id::KeyId;
use crate::log::{LogKind, Magic, PROBE_LENGTH};
use crate::mariadb::error::MariadbError;
use crate::secret::Secret32;
use crate::walk::{PlainSource, PlainView};

mod per_event;

pub use per_event::{PerEvent, ProvenKey};

/// Why the plaintext of a log cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// No byte.
    #[error("the file is empty")]
    Empty,
    /// Other leading bytes than any log has.
    #[error(
        "not a log: it starts neither with fe 62 69 6e (plaintext) nor with fd 62 69 6e (encrypted)"
    )]
    NotALog,
    /// The file ends before it says enough.
    #[error("the log is cut short: it ends at offset {available}, within its {part}")]
    Truncated {
        /// The size of the file, in bytes.
        available: usize,
        /// What it ends in.
        part: &'static str,
    },
    /// A header that no server would read.
    #[error("its encryption header is damaged; if another copy of the log exists, use that")]
    HeaderDamaged(#[source] HeaderError),
    /// A version that nobody knew when this was written.
    #[error("encryption header version {version} at offset 4 is not known, only version 1 is")]
    UnknownVersion {
        /// The version byte.
        version: u8,
    },
    /// Plaintext log with an implausible beginning.
    #[error("its first event, at offset 4, is damaged")]
    PlainDamaged(#[source] FormatDescriptionError),
    /// A format that is recognised and not yet read.
    #[error("{format} logs are recognised, but cannot be decrypted by this version")]
    Unsupported {
        /// Whose format.
        format: &'static str,
    },
    /// The log needs a key and none was offered.
    #[error(
        "encrypted under key {key_id}, and no key was given: name its keyring by --keyring FILE"
    )]
    NoKeys {
        /// Under which id the key would be.
        key_id: KeyId,
    },
    /// The keys that were offered do not have this id.
    #[error(
        "key {key_id} is not in {searched}; a rotation removes older keys, so look for a copy of the keyring from before it"
    )]
    KeyMissing {
        /// Under which id the key would be.
        key_id: KeyId,
        /// Where it was looked for.
        searched: String,
    },
    /// There is a key of this id, and it gives no log.
    #[error(
        "the key under {key_id} ({searched}) does not open this log: either another key has that name, or the wrapped password in the header is damaged"
    )]
    WrongKey {
        /// Under which id the key is.
        key_id: KeyId,
        /// Where it was found.
        searched: String,
    },
    /// The header says encrypted, the body says plaintext.
    #[error(
        "the header says encrypted, but at offset 512 a plaintext log begins: somebody has put the two together"
    )]
    BodyNotCiphertext,
    /// The key fits, and the first event is damaged.
    #[error("the key fits, but the log is damaged at plain offset {plain_offset}: {reason}")]
    BodyDamaged {
        /// Where, counted from the first byte after the encryption header.
        plain_offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// Of a log that MariaDB encrypted.
    #[error(transparent)]
    Mariadb(#[from] MariadbError),
    /// No whole event under any key at hand.
    #[error(
        "no whole event was found: either the key or the header is another log's, or nothing of the log is left"
    )]
    NothingToSalvage,
    /// Whole events, and no format description event to read them by.
    #[error(
        "the format description event is lost, without which no log can be read: name another log of the same server by --description-from LOG"
    )]
    DescriptionLost,
    /// Plaintext where ciphertext was expected.
    #[error("not encrypted: this is a plaintext log already")]
    NotEncrypted,
}

impl LogError {
    /// Whether there is nothing wrong but that no key was named.
    #[must_use]
    pub const fn is_no_key_offered(&self) -> bool {
        matches!(
            self,
            Self::NoKeys { .. } | Self::Mariadb(MariadbError::NoKeys)
        )
    }
}

/// What is known of a log's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyStatus {
    /// The log has no key, or a kind without one.
    NotApplicable,
    /// No key was offered, or the log is too short to prove one.
    Unchecked,
    /// At hand, and it fits: the log's beginning decrypts.
    Present,
    /// Keys were offered, none of this id.
    Missing,
    /// A key of this id was offered, and it does not fit.
    Wrong,
}

impl KeyStatus {
    /// Its name in reports; `None` where there is nothing to say. Stable.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::NotApplicable => None,
            Self::Unchecked => Some("unchecked"),
            Self::Present => Some("present"),
            Self::Missing => Some("missing"),
            Self::Wrong => Some("wrong"),
        }
    }
}

/// What the leading bytes of a file and the keys at hand tell, without any output.
#[derive(Debug)]
pub struct Probe {
    kind: LogKind,
    body: Body,
    description: Option<FormatDescription>,
}

/// How the plaintext is had.
#[derive(Debug)]
enum Body {
    Plain,
    Ciphertext(Box<CtrStream>),
    PerEvent(Box<PerEvent>),
    Unreadable(LogError),
}

impl Probe {
    /// Classifies a file by its first [`PROBE_LENGTH`] bytes (or all of a shorter one) and, if it
    /// is encrypted, proves the key on them.
    ///
    /// # Errors
    /// [`KeyringError`] when the key's source fails. What is wrong with the log itself is no error
    /// here: it is part of the answer.
    pub fn new(file_start: &[u8], keys: &Keyring) -> Result<Self, KeyringError> {
        let kind = LogKind::classify(file_start);
        let LogKind::MysqlEncrypted(header) = &kind else {
            return Ok(Self::of_kind(kind, file_start, Some(keys)));
        };
        let (body, description) = match unlock(header, file_start, keys)? {
            Ok(unlocked) => (
                Body::Ciphertext(Box::new(unlocked.stream)),
                unlocked.description,
            ),
            Err(error) => (Body::Unreadable(error), None),
        };
        Ok(Self {
            kind,
            body,
            description,
        })
    }

    /// The same when there are no keys to ask.
    #[must_use]
    pub fn without_keys(file_start: &[u8]) -> Self {
        let kind = LogKind::classify(file_start);
        match &kind {
            LogKind::MysqlEncrypted(header) => {
                let body = Body::Unreadable(without_key(header, file_start));
                Self {
                    kind,
                    body,
                    description: None,
                }
            }
            _ => Self::of_kind(kind, file_start, None),
        }
    }

    /// Of a kind that needs no key, or that no key helps, or that tries all of them.
    fn of_kind(kind: LogKind, file_start: &[u8], keys: Option<&Keyring>) -> Self {
        let body = match &kind {
            LogKind::MysqlPlain(_) | LogKind::MariadbPlain(_) => Body::Plain,
            LogKind::MariadbEncrypted(description, start) => {
                match PerEvent::new(file_start, (description, start), keys) {
                    Ok(log) => Body::PerEvent(Box::new(log)),
                    Err(error) => Body::Unreadable(error),
                }
            }
            unreadable => Body::Unreadable(why_unreadable(unreadable)),
        };
        let description = kind.plain_description().cloned();
        Self {
            kind,
            body,
            description,
        }
    }

    /// What the file is.
    #[must_use]
    pub const fn kind(&self) -> &LogKind {
        &self.kind
    }

    /// The format description event, where it could be read; that of an encrypted log with its key.
    #[must_use]
    pub const fn description(&self) -> Option<&FormatDescription> {
        self.description.as_ref()
    }

    /// What is known of the key.
    #[must_use]
    pub const fn key_status(&self) -> KeyStatus {
        match &self.body {
            Body::Ciphertext(_) | Body::Unreadable(LogError::BodyDamaged { .. }) => {
                KeyStatus::Present
            }
            Body::PerEvent(log) if log.key().is_some() => KeyStatus::Present,
            Body::Unreadable(
                LogError::KeyMissing { .. } | LogError::Mariadb(MariadbError::KeyVersion { .. }),
            ) => KeyStatus::Missing,
            Body::Unreadable(
                LogError::WrongKey { .. } | LogError::Mariadb(MariadbError::WrongKey { .. }),
            ) => KeyStatus::Wrong,
            Body::PerEvent(_) => KeyStatus::Unchecked,
            Body::Unreadable(_)
                if matches!(
                    self.kind,
                    LogKind::MysqlEncrypted(_) | LogKind::MariadbEncrypted(..)
                ) =>
            {
                KeyStatus::Unchecked
            }
            _ => KeyStatus::NotApplicable,
        }
    }

    /// Why there is no plaintext, if there is none.
    #[must_use]
    pub const fn obstacle(&self) -> Option<&LogError> {
        match &self.body {
            Body::Unreadable(error) => Some(error),
            _ => None,
        }
    }

    /// Where the log's own bytes start in the file.
    #[must_use]
    pub const fn body_offset(&self) -> u64 {
        match self.kind {
            LogKind::MysqlEncrypted(_) => header::BODY_OFFSET,
            _ => 0,
        }
    }

    /// The stream that turns the body into plaintext; `None` when it is plaintext, or unreadable.
    #[must_use]
    pub const fn stream(&self) -> Option<&CtrStream> {
        match &self.body {
            Body::Ciphertext(stream) => Some(stream),
            _ => None,
        }
    }

    /// What opens a log that MariaDB encrypted event by event.
    #[must_use]
    pub const fn per_event(&self) -> Option<&PerEvent> {
        match &self.body {
            Body::PerEvent(log) => Some(log),
            _ => None,
        }
    }

    /// Name of the cipher and id of the key by which such a log opens, if they are proven.
    #[must_use]
    pub fn mariadb_key(&self) -> Option<(String, Option<u32>)> {
        let key = self.per_event()?.key()?;
        Some((key.cipher.name(), key.id))
    }

    /// The probe again if there is plaintext to be had.
    ///
    /// # Errors
    /// The [`LogError`] that stands in the way.
    pub fn readable(self) -> Result<Self, LogError> {
        match self.body {
            Body::Unreadable(error) => Err(error),
            _ => Ok(self),
        }
    }
}

fn why_unreadable(kind: &LogKind) -> LogError {
    match kind {
        LogKind::Empty => LogError::Empty,
        LogKind::Truncated { magic, available } => LogError::Truncated {
            available: *available,
            part: match magic {
                None => "magic",
                Some(Magic::MysqlEncrypted) => "encryption header (512 bytes)",
                Some(Magic::Plain) => "format description event",
            },
        },
        LogKind::MysqlEncryptedUnknownVersion { version } => {
            LogError::UnknownVersion { version: *version }
        }
        LogKind::MysqlEncryptedDamaged(error) => LogError::HeaderDamaged(error.clone()),
        LogKind::PlainDamaged(error) => LogError::PlainDamaged(*error),
        LogKind::Percona57Encrypted(_) => LogError::Unsupported {
            format: "Percona Server 5.7's encrypted",
        },
        _ => LogError::NotALog,
    }
}

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
        return Ok(Err(LogError::KeyMissing {
            key_id,
            searched: searched(),
        }));
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
                return Ok(Ok(Unlocked {
                    password,
                    stream,
                    description,
                }));
            }
            Fit::FitsDamaged(error) => return Ok(Err(error)),
            Fit::No => {}
        }
    }
    Ok(Err(LogError::WrongKey {
        key_id,
        searched: searched(),
    }))
}

/// What can be said of an encrypted log without any key.
fn without_key(header: &EncryptionHeader, file_start: &[u8]) -> LogError {
    let body = file_start.get(header::LENGTH..).unwrap_or_default();
    if body.starts_with(&event::MAGIC) {
        LogError::BodyNotCiphertext
    } else {
        LogError::NoKeys {
            key_id: header.key_id.clone(),
        }
    }
}

enum Fit {
    /// The magic is there, and a plausible format description event as far as the file goes.
    Fits(Option<FormatDescription>),
    /// One of the two is there, which chance does not give: the key is right, the log is not.
    FitsDamaged(LogError),
    No,
}

fn judge(plain: &[u8]) -> Fit {
    let has_magic = plain.starts_with(&event::MAGIC);
    let events = plain.get(event::MAGIC.len()..).unwrap_or_default();
    let damaged = |plain_offset, reason| {
        Fit::FitsDamaged(LogError::BodyDamaged {
            plain_offset,
            reason,
        })
    };
    match FormatDescription::parse(events) {
        Ok(description) if has_magic => Fit::Fits(Some(description)),
        Err(FormatDescriptionError::Truncated(_)) if has_magic => Fit::Fits(None),
        Err(error) if has_magic => damaged(event::FIRST_EVENT, error.to_string()),
        Ok(_) => damaged(0, "the magic fe 62 69 6e is not there".to_owned()),
        Err(_) => Fit::No,
    }
}

/// An open log whose plaintext can be read.
#[derive(Debug)]
pub struct OpenLog {
    source: FileSource,
    probe: Probe,
    /// Of a log that is encrypted event by event.
    events: Option<per_event::Events>,
}

impl OpenLog {
    /// Opens a log, encrypted or not, and proves its key.
    ///
    /// A log that its server may still be writing is read as far as it reached at this moment.
    ///
    /// # Errors
    /// [`Error::Transfer`] when the file cannot be read, [`Error::Keyring`] when a key's source
    /// fails, [`Error::Log`] when there is no plaintext to be had.
    pub fn open(path: &Path, keys: &Keyring) -> Result<Self, Error> {
        Self::new(FileSource::open(path)?, keys)
    }

    /// The same for a file that is open already.
    ///
    /// # Errors
    /// As [`OpenLog::open`].
    pub fn new(mut source: FileSource, keys: &Keyring) -> Result<Self, Error> {
        let probe = Probe::new(&read_start(&source)?, keys)?
            .readable()
            .map_err(|error| Error::log(source.path(), error))?;
        let in_use = probe.description().is_none_or(FormatDescription::in_use);
        source.set_access(if in_use {
            Access::Positioned
        } else {
            Access::Mapped
        });
        let events = match probe.per_event() {
            Some(log) => Some(per_event::Events::find(&source, log)?),
            None => None,
        };
        Ok(Self {
            source,
            probe,
            events,
        })
    }

    /// What the file is.
    #[must_use]
    pub const fn kind(&self) -> &LogKind {
        self.probe.kind()
    }

    /// Kind, key status and format description event together.
    #[must_use]
    pub const fn probe(&self) -> &Probe {
        &self.probe
    }

    /// The file underneath.
    #[must_use]
    pub const fn source(&self) -> &FileSource {
        &self.source
    }

    /// Length of the plaintext in bytes.
    #[must_use]
    pub const fn plain_length(&self) -> u64 {
        match &self.events {
            Some(events) => events.plain_length(),
            None => self
                .source
                .length()
                .saturating_sub(self.probe.body_offset()),
        }
    }

    /// What is wrong with the end of a log whose events are encrypted one by one: there the
    /// plaintext ends as far as it can be had. Of other logs nothing is known before they are
    /// walked.
    #[must_use]
    pub fn tail_damage(&self) -> Option<LogError> {
        let tail = self.events.as_ref()?.tail()?;
        Some(tail.clone().into())
    }

    /// Turns bytes of the file, those of plain offset `offset` and up, into as much plaintext. Of
    /// slices of unequal length the shorter counts.
    ///
    /// # Errors
    /// [`TransferError`] when the file cannot be read around them.
    pub fn decipher(
        &self,
        offset: u64,
        stored: &[u8],
        plain: &mut [u8],
    ) -> Result<(), TransferError> {
        match (&self.probe.body, &self.events) {
            (Body::Ciphertext(stream), _) => stream.apply_to(offset, stored, plain),
            (Body::PerEvent(log), Some(events)) => {
                per_event::decipher((log, events, &self.source), offset, stored, plain)?;
            }
            _ => plain
                .iter_mut()
                .zip(stored)
                .for_each(|(plain, byte)| *plain = *byte),
        }
        Ok(())
    }

    /// The same, and refuses what deciphers to no event, where that shows: with a key that is
    /// proven, events that somebody moved or changed.
    ///
    /// # Errors
    /// [`Error::Transfer`] as for [`OpenLog::decipher`], [`Error::Log`].
    pub fn decipher_strictly(
        &self,
        offset: u64,
        stored: &[u8],
        plain: &mut [u8],
    ) -> Result<(), Error> {
        let (Body::PerEvent(log), Some(events)) = (&self.probe.body, &self.events) else {
            return Ok(self.decipher(offset, stored, plain)?);
        };
        let event = per_event::decipher((log, events, &self.source), offset, stored, plain)?;
        match log.implausible(event, offset, plain) {
            Some(error) => Err(Error::log(self.source.path(), error.into())),
            None => Ok(()),
        }
    }

    /// Fills `buffer` with plaintext from plain offset `offset` on; returns how much there was.
    ///
    /// # Errors
    /// [`TransferError`] when the file cannot be read.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, TransferError> {
        let Some(file_offset) = offset.checked_add(self.probe.body_offset()) else {
            return Ok(0);
        };
        if let Some((log, events)) = self.probe.per_event().zip(self.events.as_ref()) {
            let left = usize::try_from(self.plain_length().saturating_sub(offset));
            let wanted = left.unwrap_or(usize::MAX).min(buffer.len());
            let target = buffer.get_mut(..wanted).unwrap_or_default();
            per_event::read_at((log, events, &self.source), offset, target)?;
            return Ok(wanted);
        }
        let read = self.source.read_at(file_offset, buffer)?;
        if let (Some(stream), Some(bytes)) = (self.probe.stream(), buffer.get_mut(..read)) {
            stream.apply(offset, bytes);
        }
        Ok(read)
    }

    /// The plaintext as a stream, for parsers that take [`Read`] and [`Seek`].
    #[must_use]
    pub const fn reader(&self) -> PlainReader<'_> {
        PlainReader {
            log: self,
            position: 0,
        }
    }
}

impl PlainSource for OpenLog {
    fn path(&self) -> &Path {
        self.source.path()
    }

    fn plain_length(&self) -> u64 {
        Self::plain_length(self)
    }

    fn file_offset(&self, plain_offset: u64) -> u64 {
        plain_offset.saturating_add(self.probe.body_offset())
    }

    fn read_plain_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, TransferError> {
        self.read_at(offset, buffer)
    }

    fn plain_view(&self) -> Box<dyn PlainView + '_> {
        Box::new(LogView {
            log: self,
            view: self.source.view(),
        })
    }

    fn check_size(&self) -> Result<(), TransferError> {
        self.source.check_size()
    }
}

/// Plaintext through a window of the file: deciphered on the way from the map to the buffer.
#[derive(Debug)]
struct LogView<'a> {
    log: &'a OpenLog,
    view: View<'a>,
}

impl PlainView for LogView<'_> {
    fn fill(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), TransferError> {
        const WINDOW: u64 = crate::io::source::WINDOW;
        let mut offset = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            // In pieces that lie within a window each.
            let file_offset = self.log.file_offset(offset);
            let to_boundary = WINDOW.saturating_sub(file_offset % WINDOW);
            let length = usize::try_from(to_boundary)
                .unwrap_or(rest.len())
                .min(rest.len());
            let (piece, later) = rest.split_at_mut_checked(length).unwrap_or_default();
            let bytes = self.view.bytes(file_offset, length)?;
            self.log.decipher(offset, bytes, piece)?;
            self.view.confirm()?;
            offset = offset.saturating_add(to_boundary);
            rest = later;
        }
        Ok(())
    }
}

/// The first bytes of a file, as many as a probe wants.
///
/// # Errors
/// [`TransferError`] when they cannot be read.
pub fn read_start(source: &FileSource) -> Result<Vec<u8>, TransferError> {
    let mut start = vec![0; PROBE_LENGTH];
    let read = source.read_at(0, &mut start)?;
    start.truncate(read);
    Ok(start)
}

/// The plaintext of an [`OpenLog`] as a stream. Unbuffered: wrap it in a
/// [`BufReader`](std::io::BufReader) for small reads.
#[derive(Debug, Clone)]
pub struct PlainReader<'a> {
    log: &'a OpenLog,
    position: u64,
}

impl Read for PlainReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self
            .log
            .read_at(self.position, buffer)
            .map_err(std::io::Error::other)?;
        self.position = self
            .position
            .saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

impl Seek for PlainReader<'_> {
    fn seek(&mut self, target: SeekFrom) -> std::io::Result<u64> {
        let position = match target {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.log.plain_length().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
