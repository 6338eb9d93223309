//! A log in blocks of whole events, each with what must be known of the events before it: so blocks
//! can be listed by themselves.

use super::context::{Context, Mapped, Tables};
use super::{EventFilter, IsStrange};
use crate::event::checksum::ChecksumAlgorithm;
use crate::event::event_type;
use crate::event::walker::{EventView, Events, WalkError};
use crate::log::error::Error;
use crate::log::walk::{Depth, PlainSource, Walker};

/// A block ends with the event that makes it so long.
const TARGET: usize = 256 << 10;

/// What a block's buffer should hold: a block, and one more event as they mostly are.
pub(in crate::read) const BUFFER: usize = TARGET + TARGET / 8;

/// Events, one behind the other.
#[derive(Debug)]
pub(in crate::read) struct Block<T> {
    /// Their bytes. Of an event larger than is held, which has a block for itself, the beginning.
    bytes: Vec<u8>,
    /// Plain offset of the first one.
    offset: u64,
    /// The checksums before the first one.
    checksum: ChecksumAlgorithm,
    /// Where in a transaction the first one is.
    pub(in crate::read) context: Context,
    /// The tables before the first one.
    pub(in crate::read) tables: Tables<T>,
}

impl<T> Block<T> {
    /// Each event in turn.
    pub(in crate::read) fn for_each<E>(
        &self,
        mut take: impl FnMut(&EventView<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut events = Events::new(&self.bytes, self.offset, self.checksum);
        for event in &mut events {
            match event {
                Ok(event) => take(&event)?,
                // The scanner lets no other through.
                Err(_) => return self.beginning().map_or(Ok(()), |event| take(&event)),
            }
        }
        Ok(())
    }

    /// Its buffer, of which others can be made.
    pub(in crate::read) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    /// The event of which there is the beginning alone.
    fn beginning(&self) -> Option<EventView<'_>> {
        let header = crate::event::header::EventHeader::parse(&self.bytes).ok()?;
        Some(EventView { offset: self.offset, header, bytes: &self.bytes, checksum: self.checksum })
    }
}

/// Goes through a log and makes blocks of it.
pub(in crate::read) struct Scanner<'a, T> {
    walker: Walker<'a>,
    stop_position: Option<u64>,
    is_strange: &'a IsStrange<'a>,
    context: Context,
    tables: Tables<T>,
    stopped: Option<WalkError>,
    /// There is no further block.
    ended: bool,
}

impl<'a, T: Mapped> Scanner<'a, T> {
    pub(in crate::read) fn new(
        source: &'a dyn PlainSource,
        filter: &EventFilter,
        is_strange: &'a IsStrange<'a>,
    ) -> Result<Self, Error> {
        let mut walker = Walker::new(source, Depth::Whole);
        if let Some(start) = filter.start_position {
            walker.start_at(start)?;
        }
        Ok(Self {
            walker,
            stop_position: filter.stop_position,
            is_strange,
            context: Context::new(source.file_length()),
            tables: Tables::default(),
            stopped: None,
            ended: false,
        })
    }

    /// Why the log could not be read to its end, if it could not.
    pub(in crate::read) const fn stopped(&self) -> Option<WalkError> {
        self.stopped
    }

    /// Whether there is nothing behind the blocks that were given.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// The next block, in an empty buffer that is given.
    pub(in crate::read) fn next_block(
        &mut self,
        buffer: Vec<u8>,
    ) -> Result<Option<Block<T>>, Error> {
        if self.ended {
            return Ok(None);
        }
        let mut block = Block {
            bytes: buffer,
            offset: self.walker.offset(),
            checksum: self.walker.checksum(),
            context: self.context.clone(),
            tables: self.tables.clone(),
        };
        // Table maps of the transaction that the block ends in.
        let mut maps: Vec<(usize, usize, u64, ChecksumAlgorithm)> = Vec::new();
        while block.bytes.len() < TARGET {
            if self.stop_position.is_some_and(|stop| self.walker.offset() >= stop) {
                self.ended = true;
                break;
            }
            let event = match self.walker.next_event() {
                Ok(Some(event)) => event,
                Ok(None) => {
                    self.ended = true;
                    break;
                }
                Err(Error::Walk { source, .. }) => {
                    self.stopped = Some(source);
                    self.ended = true;
                    break;
                }
                Err(error) => return Err(error),
            };
            if !event.is_whole() && !block.bytes.is_empty() {
                let offset = event.offset;
                self.walker.seek(offset);
                break;
            }
            let kind = event.header.event_type;
            let damaged =
                event_type::begins_transaction(kind) && is_damaged(&event, self.is_strange);
            if self.context.enter(&event, damaged).is_some() {
                maps.clear();
                self.tables.clear();
            }
            self.context.leave();
            if kind == event_type::TABLE_MAP {
                let place = (block.bytes.len(), event.bytes.len());
                maps.push((place.0, place.1, event.offset, event.checksum));
            }
            block.bytes.extend_from_slice(event.bytes);
            if !event.is_whole() {
                break;
            }
        }
        self.remember(&block, &maps);
        Ok(Some(block).filter(|block| !block.bytes.is_empty()))
    }

    /// Reads the tables that the next block may need.
    fn remember(&mut self, block: &Block<T>, maps: &[(usize, usize, u64, ChecksumAlgorithm)]) {
        for &(start, length, offset, checksum) in maps {
            let bytes = block.bytes.get(start..).unwrap_or_default();
            let bytes = bytes.get(..length).unwrap_or(bytes);
            let Some(Ok(event)) = Events::new(bytes, offset, checksum).next() else {
                continue;
            };
            if !is_damaged(&event, self.is_strange) {
                self.tables.read(&event);
            }
        }
    }
}

/// Whether nothing in an event can be relied on. What is too large to be held is not summed.
pub(in crate::read) fn is_damaged(event: &EventView<'_>, is_strange: &IsStrange<'_>) -> bool {
    is_strange(event) || event.is_whole() && event.verify_checksum().is_err()
}
