//! The plaintext of a damaged log, under any alignment of file and stream.

use rayon::prelude::*;

use super::events::{EventLog, EventReader};
use crate::event::MAGIC;
use crate::file::TransferError;
use crate::file::pipeline::CHUNK;
use crate::file::source::{FileSource, View};
use crate::mysql::stream::CtrStream;

/// Less is read by position: a window is not mapped for it.
const MAPPED: usize = 64 << 10;

/// An offset in the file, and how far stream and file are apart there.
pub(super) type Place = (u64, i64);

/// The damaged log, and what gives its plaintext.
#[derive(Debug)]
pub(super) struct Body<'a> {
    pub(super) source: &'a FileSource,
    pub(super) stream: Option<CtrStream>,
    /// A log that MariaDB encrypted event by event.
    pub(super) events: Option<EventLog>,
    /// Where the stream starts in the file; 0 of a plaintext log.
    pub(super) start: u64,
}

impl Body<'_> {
    /// The plaintext offset that a byte of the file had in the whole log.
    pub(super) fn plain_offset(&self, file_offset: u64, shift: i64) -> u64 {
        file_offset.saturating_add_signed(shift).saturating_sub(self.start)
    }

    /// Whether a byte of the file would stand within the stream, and not before its beginning.
    pub(super) fn has_stream(&self, file_offset: u64, shift: i64) -> bool {
        i128::from(file_offset).saturating_add(shift.into()) >= self.start.into()
    }

    /// Of a log that is encrypted event by event, an event must start there.
    pub(super) fn read(
        &self,
        file_offset: u64,
        shift: i64,
        buffer: &mut [u8],
    ) -> Result<usize, TransferError> {
        if let Some(log) = &self.events {
            return log.from(self.source, file_offset, shift).read(buffer);
        }
        let read = self.source.read_at(file_offset, buffer)?;
        let bytes = buffer.get_mut(..read).unwrap_or_default();
        self.decipher(file_offset, shift, bytes);
        Ok(read)
    }

    /// The same by way of a view, which spares a copy of what is deciphered.
    pub(super) fn read_by(
        &self,
        view: &mut View<'_>,
        file_offset: u64,
        shift: i64,
        buffer: &mut [u8],
    ) -> Result<usize, TransferError> {
        let left = self.source.length().saturating_sub(file_offset);
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let is_whole_stream = self.stream.is_some() && self.has_stream(file_offset, shift);
        if !is_whole_stream || length < MAPPED {
            return self.read(file_offset, shift, buffer);
        }
        let stored = view.bytes(file_offset, length)?;
        let pieces = buffer.par_chunks_mut(CHUNK).zip(stored.par_chunks(CHUNK)).enumerate();
        pieces.for_each(|(index, (target, stored))| {
            let before = u64::try_from(index.saturating_mul(CHUNK)).unwrap_or(u64::MAX);
            self.plain(file_offset.saturating_add(before), shift, stored, target);
        });
        view.confirm()?;
        Ok(length)
    }

    /// Plaintext from an event on, in order.
    pub(super) fn reader(&self, file_offset: u64, shift: i64) -> BodyReader<'_> {
        let events = self.events.as_ref();
        BodyReader {
            body: self,
            at: file_offset,
            shift,
            events: events.map(|log| log.from(self.source, file_offset, shift)),
        }
    }

    /// The plaintext of stored bytes: they themselves, of a plaintext log, or what is put into the
    /// target, which is as long.
    pub(super) fn plain<'b>(
        &self,
        file_offset: u64,
        shift: i64,
        stored: &'b [u8],
        target: &'b mut [u8],
    ) -> &'b [u8] {
        let Some(stream) = &self.stream else {
            return stored;
        };
        if self.has_stream(file_offset, shift) {
            stream.apply_to(self.plain_offset(file_offset, shift), stored, target);
        } else {
            target.iter_mut().zip(stored).for_each(|(target, stored)| *target = *stored);
            self.decipher(file_offset, shift, target);
        }
        target
    }

    /// What would stand before the first byte of the stream stays as it is.
    pub(super) fn decipher(&self, file_offset: u64, shift: i64, bytes: &mut [u8]) {
        let before =
            i128::from(self.start).saturating_sub(file_offset.into()).saturating_sub(shift.into());
        let before = usize::try_from(before.max(0)).unwrap_or(usize::MAX);
        if let (Some(stream), Some(bytes)) = (&self.stream, bytes.get_mut(before..)) {
            stream.apply(self.plain_offset(file_offset, shift), bytes);
        }
    }

    /// Whether the plaintext starts as one, where it should.
    pub(super) fn has_magic(&self) -> Result<bool, TransferError> {
        let mut magic = [0; MAGIC.len()];
        let read = self.read(self.start, 0, &mut magic)?;
        Ok(read == magic.len() && magic == MAGIC)
    }
}

/// See [`Body::reader`].
#[derive(Debug)]
pub(super) struct BodyReader<'a> {
    body: &'a Body<'a>,
    at: u64,
    shift: i64,
    events: Option<EventReader<'a>>,
}

impl BodyReader<'_> {
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TransferError> {
        let read = match &mut self.events {
            Some(events) => events.read(buffer)?,
            None => self.body.read(self.at, self.shift, buffer)?,
        };
        self.at = self.at.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}
