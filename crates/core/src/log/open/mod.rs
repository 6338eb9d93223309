//! A log, its kind and the keys: plaintext at any offset, whatever the dialect.

use std::path::Path;

use crate::event::format_description::FormatDescription;
use crate::event::{MAGIC, format_description};
use crate::file::TransferError;
use crate::file::compressed::{self, Inside};
use crate::file::source::{Access, FileSource};
use crate::keyring::Keyring;
use crate::log::error::Error;
use crate::log::kind::{LogKind, PROBE_LENGTH};
use crate::log::log_error::LogError;
use crate::log::per_event;
use crate::log::probe::Probe;
use crate::log::walk::{PlainSource, PlainView};
use crate::mariadb::cipher::EventCipher;
use crate::mysql::header;

mod reader;

pub use reader::PlainReader;

use reader::LogView;

/// What is looked at of a compressed copy to tell whether a log is in it.
const HEAD_OF_COPY: usize = 64 << 10;

/// Opens a log as a source of bytes. A compressed copy of one is unpacked into a file without a name,
/// below `TMPDIR`; what is encrypted stays so. What is compressed and no log is left as it is.
///
/// # Errors
/// [`TransferError`] when it cannot be opened, or not be unpacked.
pub fn source(path: &Path) -> Result<FileSource, TransferError> {
    let source = FileSource::open(path)?;
    match copy_of_log(&source)? {
        Some(inside) => compressed::unpack(&source, inside.compression),
        None => Ok(source),
    }
}

/// What a compressed copy of a log begins with; `None` of all other files.
pub(crate) fn copy_of_log(source: &FileSource) -> Result<Option<Inside>, TransferError> {
    let inside = compressed::peek(source, HEAD_OF_COPY)?;
    let begins_log =
        |it: &Inside| it.start.starts_with(&MAGIC) || it.start.starts_with(&header::MAGIC);
    Ok(inside.filter(begins_log))
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
    /// A compressed copy (gzip, Zstandard, xz, bzip2, LZ4) is unpacked first, see [`source`].
    /// A log that its server may still be writing is read as far as it reached at this moment.
    ///
    /// # Errors
    /// [`Error::Transfer`] when the file cannot be read, [`Error::Keyring`] when a key's source
    /// fails, [`Error::Log`] when there is no plaintext to be had.
    pub fn open(path: impl AsRef<Path>, keys: &Keyring) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::new(source(path)?, keys)
    }

    /// The same for a file that is open already.
    ///
    /// # Errors
    /// As [`OpenLog::open`].
    pub fn new(source: FileSource, keys: &Keyring) -> Result<Self, Error> {
        let log = Self::without_survey(source, keys)?;
        log.survey()?;
        Ok(log)
    }

    /// The same for those who read the log from its beginning to its end, and can do without
    /// knowing before how it ends: its plaintext is no longer than [`OpenLog::plain_length`] says
    /// until [`OpenLog::survey`].
    pub(crate) fn without_survey(mut source: FileSource, keys: &Keyring) -> Result<Self, Error> {
        let probe = Probe::of_file(source.path(), &read_enough(&source)?, keys)?
            .readable()
            .map_err(|error| Error::log(source.path(), error))?;
        let in_use = probe.description().is_none_or(FormatDescription::in_use);
        source.set_access(if in_use { Access::Positioned } else { Access::Mapped });
        let events = probe.per_event();
        let events = events.map(|log| per_event::Events::new(&source, log));
        Ok(Self { source, probe, events })
    }

    /// Finds out where the log ends, if that is not known yet.
    ///
    /// # Errors
    /// [`TransferError`] when the file cannot be read.
    pub(crate) fn survey(&self) -> Result<(), TransferError> {
        match self.probe.per_event().zip(self.events.as_ref()) {
            Some((log, events)) => events.survey(&self.source, log),
            None => Ok(()),
        }
    }

    /// A log that MariaDB encrypted, with a cipher that need not be found out.
    pub(crate) fn under(source: FileSource, cipher: EventCipher) -> Result<Self, Error> {
        let probe = Probe::under(&read_start(&source)?, cipher)
            .and_then(Probe::readable)
            .map_err(|error| Error::log(source.path(), error))?;
        let events = probe.per_event();
        let events = events.map(|log| per_event::Events::new(&source, log));
        let log = Self { source, probe, events };
        log.survey()?;
        Ok(log)
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
    pub fn plain_length(&self) -> u64 {
        let body = || {
            let start = self.probe.body_offset();
            self.source.length().saturating_sub(start)
        };
        let surveyed = self.events.as_ref().and_then(per_event::Events::plain_length);
        surveyed.unwrap_or_else(body)
    }

    /// What is wrong with the end of a log whose events are encrypted one by one: there the
    /// plaintext ends as far as it can be had. Of other logs nothing is known before they are
    /// walked.
    #[must_use]
    pub fn tail_damage(&self) -> Option<LogError> {
        let tail = self.events.as_ref()?.tail()?;
        Some(tail.into())
    }

    /// Whether the plaintext stands in the file as it is.
    pub(super) fn is_plain(&self) -> bool {
        self.probe.stream().is_none() && self.events.is_none()
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
        if let Some(stream) = self.probe.stream() {
            stream.apply_to(offset, stored, plain);
        } else if let Some((log, events)) = self.probe.per_event().zip(self.events.as_ref()) {
            per_event::decipher((log, events, &self.source), offset, stored, plain)?;
        } else {
            plain.iter_mut().zip(stored).for_each(|(plain, byte)| *plain = *byte);
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
        let Some((log, events)) = self.probe.per_event().zip(self.events.as_ref()) else {
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

    /// The plaintext as a stream, for parsers that take [`Read`](std::io::Read) and [`Seek`](std::io::Seek).
    #[must_use]
    pub const fn reader(&self) -> PlainReader<'_> {
        PlainReader { log: self, position: 0 }
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

    fn file_length(&self) -> u64 {
        self.source.length()
    }

    fn read_plain_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, TransferError> {
        self.read_at(offset, buffer)
    }

    /// Not an object, of which each request is to bring much; and not a log that is deciphered event by
    /// event, where those around a part are to be found for each part.
    fn is_read_by_many(&self) -> bool {
        !self.source.is_object() && self.events.is_none()
    }

    fn plain_view(&self) -> Box<dyn PlainView + '_> {
        Box::new(LogView { log: self, view: self.source.view(Vec::new()) })
    }

    fn check_size(&self) -> Result<(), TransferError> {
        self.source.check_size()
    }
}

/// The first bytes of a file: those that are at hand if they are enough, else as many as a probe
/// wants.
///
/// # Errors
/// [`TransferError`] when they cannot be read.
pub fn read_enough(source: &FileSource) -> Result<Vec<u8>, TransferError> {
    let start = source.at_hand();
    if is_enough(&start, source.length()) {
        return Ok(start);
    }
    read_start(source)
}

/// Whether a probe of the first [`PROBE_LENGTH`] bytes of a file would tell no more than one of
/// these, whatever the keys.
#[must_use]
pub fn is_enough(start: &[u8], file_length: u64) -> bool {
    /// Of MySQL's encrypted logs: the header, and the first event however long it is.
    const ENCRYPTED: usize = header::LENGTH + MAGIC.len() + format_description::MAX_LENGTH;
    if start.len() >= PROBE_LENGTH || u64::try_from(start.len()) == Ok(file_length) {
        return true;
    }
    match LogKind::classify_part(start) {
        (LogKind::MysqlEncrypted(_), _) => start.len() >= ENCRYPTED,
        // Its key is proven by as many events as there are.
        (LogKind::MariadbEncrypted(..), _) => false,
        (_, is_sure) => is_sure,
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
