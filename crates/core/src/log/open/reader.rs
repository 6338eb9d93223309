//! The plaintext of an open log for those who want it in order: as a view, as a stream.

use std::io::{Read, Seek, SeekFrom};

use super::OpenLog;
use crate::file::TransferError;
use crate::file::source::View;
use crate::log::walk::{PlainSource, PlainView};

/// Plaintext through a window of the file: deciphered on the way from the map to the buffer.
#[derive(Debug)]
pub(super) struct LogView<'a> {
    pub(super) log: &'a OpenLog,
    pub(super) view: View<'a>,
}

impl PlainView for LogView<'_> {
    fn fill(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), TransferError> {
        const WINDOW: u64 = crate::file::source::WINDOW;
        if self.log.is_plain() && !self.log.source().is_object() {
            // Where nothing is deciphered on the way, the kernel's copy takes less than maps would.
            let read = self.log.source().read_at(self.log.file_offset(offset), buffer)?;
            return if read < buffer.len() { Err(self.log.source().shrank()) } else { Ok(()) };
        }
        let mut offset = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            // In pieces that lie within a window each.
            let file_offset = self.log.file_offset(offset);
            let to_boundary = WINDOW.saturating_sub(file_offset % WINDOW);
            let length = usize::try_from(to_boundary).unwrap_or(rest.len()).min(rest.len());
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

/// The plaintext of an [`OpenLog`] as a stream. Unbuffered: wrap it in a
/// [`BufReader`](std::io::BufReader) for small reads.
#[derive(Debug, Clone)]
pub struct PlainReader<'a> {
    pub(super) log: &'a OpenLog,
    pub(super) position: u64,
}

impl Read for PlainReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.log.read_at(self.position, buffer).map_err(std::io::Error::other)?;
        self.position = self.position.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
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
