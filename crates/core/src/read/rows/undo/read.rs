//! Events by their places, mostly each before the last one.

use crate::event::checksum::{self, ChecksumAlgorithm};
use crate::event::header::{self, EventHeader};
use crate::event::walker::{EventView, WalkError};
use crate::file::TransferError;
use crate::log::error::Error;
use crate::log::open::OpenLog;
use crate::log::walk::{PlainSource as _, PlainView};

/// So much is read at a time, ending where the event does.
const WINDOW: u64 = 1 << 20;
/// What is read behind the place of an event, so that most are there whole.
const BEHIND: u64 = 64 << 10;

/// Reads events of a log by their places.
pub(super) struct EventReader<'l> {
    log: &'l OpenLog,
    view: Box<dyn PlainView + 'l>,
    header_length: u8,
    buffer: Vec<u8>,
    /// Plain offset of the buffer's first byte.
    start: u64,
}

impl<'l> EventReader<'l> {
    pub(super) fn new(log: &'l OpenLog, header_length: u8) -> Self {
        Self { log, view: log.plain_view(), header_length, buffer: Vec::new(), start: 0 }
    }

    /// The event that starts at a place where one was before.
    pub(super) fn event(&mut self, offset: u64) -> Result<EventView<'_>, Error> {
        let damaged = |log: &OpenLog, length| Error::Walk {
            path: log.source().path().to_owned(),
            source: WalkError::Lost { offset, length },
        };
        self.load(offset, header::LENGTH as u64)?;
        let header = EventHeader::parse(self.bytes(offset, header::LENGTH as u64));
        let Ok(header) = header else {
            return Err(damaged(self.log, 0));
        };
        let header = EventHeader { header_length: self.header_length, ..header };
        let end = offset.saturating_add(u64::from(header.length));
        if header.byte_length().is_none() || end > self.log.plain_length() {
            return Err(damaged(self.log, header.length));
        }
        self.load(offset, u64::from(header.length))?;
        let bytes = self.bytes(offset, u64::from(header.length));
        // A log may have events with checksums and such without; the first pass has read them all.
        let checksum = match checksum::verify(bytes, false) {
            Ok(()) => ChecksumAlgorithm::Crc32,
            Err(_) => ChecksumAlgorithm::None,
        };
        Ok(EventView { offset, header, bytes, checksum })
    }

    fn bytes(&self, offset: u64, length: u64) -> &[u8] {
        let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let from = index(offset.saturating_sub(self.start));
        let bytes = self.buffer.get(from..).unwrap_or_default();
        bytes.get(..index(length)).unwrap_or_default()
    }

    /// Has so many bytes at an offset in the buffer.
    fn load(&mut self, offset: u64, length: u64) -> Result<(), TransferError> {
        let end = offset.saturating_add(length);
        let held = self.start.saturating_add(u64::try_from(self.buffer.len()).unwrap_or(u64::MAX));
        if offset >= self.start && end <= held {
            return Ok(());
        }
        let end = end.max(offset.saturating_add(BEHIND)).min(self.log.plain_length());
        self.start = end.saturating_sub(WINDOW).min(offset);
        let length = usize::try_from(end.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.buffer.clear();
        self.buffer.resize(length, 0);
        let filled = self.view.fill(self.start, &mut self.buffer);
        if filled.is_err() {
            self.buffer.clear();
        }
        filled
    }
}

/// Rows written in their order, of which the last ones are kept: as many as may be held.
#[derive(Debug, Default)]
pub(super) struct Tail {
    text: Vec<u8>,
    /// Where each row that is kept begins.
    starts: Vec<usize>,
    /// How many were dropped.
    dropped: u64,
}

impl Tail {
    /// The most that is held, if it is more than one row.
    const HELD: usize = 8 << 20;

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.starts.clear();
        self.dropped = 0;
    }

    /// Whether the next row makes others be dropped.
    pub(super) const fn is_full(&self) -> bool {
        self.text.len() > Self::HELD
    }

    /// Adds what `write` appends as one row.
    pub(super) fn push<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.is_full() {
            self.drop_half();
        }
        self.starts.push(self.text.len());
        write(&mut self.text)
    }

    /// Drops the first half of the rows.
    fn drop_half(&mut self) {
        let count = self.starts.len().div_ceil(2);
        let Some(&cut) = self.starts.get(count) else {
            self.dropped =
                self.dropped.saturating_add(u64::try_from(self.starts.len()).unwrap_or(0));
            self.starts.clear();
            self.text.clear();
            return;
        };
        self.text.drain(..cut);
        self.starts.drain(..count);
        for start in &mut self.starts {
            *start = start.saturating_sub(cut);
        }
        self.dropped = self.dropped.saturating_add(u64::try_from(count).unwrap_or(0));
    }

    /// How many rows were dropped: they are to be made again.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The rows that are kept, in this order.
    pub(super) fn rows(&self, is_backward: bool) -> impl Iterator<Item = &[u8]> {
        let count = self.starts.len();
        (0..count).map(move |index| {
            let index =
                if is_backward { count.saturating_sub(index).saturating_sub(1) } else { index };
            let start = self.starts.get(index).copied().unwrap_or_default();
            let end = self.starts.get(index.saturating_add(1)).copied();
            self.text.get(start..end.unwrap_or(self.text.len())).unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_more_rows_than_are_held_the_last_ones_are_kept() {
        let row = vec![b'x'; 1 << 20];
        let mut tail = Tail::default();
        let mut end = 30_u8;
        let mut back = Vec::new();
        // As the writer does: what was dropped is made again.
        while end > 0 {
            tail.clear();
            for number in 0..end {
                let make = |out: &mut Vec<u8>| {
                    out.push(number);
                    out.extend_from_slice(&row);
                    Ok::<(), ()>(())
                };
                tail.push(make).unwrap();
                assert!(tail.text.len() <= Tail::HELD + 2 * row.len() + 2);
            }
            back.extend(tail.rows(true).map(|row| row[0]));
            assert!(u64::from(end) > tail.dropped());
            end = u8::try_from(tail.dropped()).unwrap();
        }
        assert!(back.iter().copied().eq((0..30).rev()), "{back:?}");
    }
}
