//! A log in blocks of whole events, each with what must be known of the events before it: so blocks
//! can be listed by themselves.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::context::{Context, Mapped, Tables};
use super::spare::Spare;
use super::{EventFilter, IsStrange};
use crate::event::checksum::ChecksumAlgorithm;
use crate::event::gtid::TransactionStart;
use crate::event::header::{self, EventHeader};
use crate::event::walker::{EventForm, EventView, Events, WalkError, check_extent};
use crate::event::{FIRST_EVENT, event_type};
use crate::file::TransferError;
use crate::file::pipeline::CHUNK;
use crate::file::source::at_least;
use crate::log::error::Error;
use crate::log::walk::{Depth, MAX_HELD, PlainSource, PlainView, Walker};

/// So much is read for a block, and to where a chunk of the file ends.
const TARGET: usize = 256 << 10;

/// What a block's buffer should hold: a block, and one more event as they mostly are.
const BUFFER: usize = TARGET + ROOM;
/// Room before a chunk for the event that the chunk before it has the beginning of. Not a number of whole
/// pages: some processors copy many times slower to where a page is that begins a few bytes behind the
/// source's, as large buffers do by their allocator's header.
const ROOM: usize = TARGET / 8 + (2 << 10);
/// A buffer that is larger had to grow for a large event, and is not kept.
const LARGEST_KEPT: usize = BUFFER * 8;

/// Buffers for blocks.
pub(super) const fn spare() -> Spare<Vec<u8>> {
    Spare::new(|| Vec::with_capacity(BUFFER), |buffer| buffer.capacity() <= LARGEST_KEPT)
}

/// Events, one behind the other.
#[derive(Debug)]
pub(in crate::read) struct Block<T> {
    /// Their bytes, and behind them what is left from before. Of an event larger than is held, which
    /// has a block for itself, the beginning.
    buffer: Vec<u8>,
    /// Where in it the last one ends.
    length: usize,
    /// Where the first one is, and in what form.
    start: Place,
    /// Where in a transaction the first one is.
    pub(in crate::read) context: Context,
    /// The tables before the first one.
    pub(in crate::read) tables: Tables<T>,
}

/// Bytes of the log that were read before it was known which event begins in them.
pub(super) struct Chunk {
    /// [`ROOM`], and the bytes.
    buffer: Vec<u8>,
    /// Plain offsets.
    range: Range<u64>,
}

impl Chunk {
    /// Reads it into a buffer that is given.
    pub(super) fn read(
        source: &dyn PlainSource,
        range: Range<u64>,
        mut buffer: Vec<u8>,
    ) -> Result<Self, TransferError> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or_default();
        let place = at_least(&mut buffer, ROOM.saturating_add(length));
        // Not by a map, of which neighbouring chunks, which are other threads', would be a part.
        source.read_plain_at(range.start, place.get_mut(ROOM..).unwrap_or_default())?;
        Ok(Self { buffer, range })
    }
}

/// Where a chunk ends that begins at an offset.
pub(super) fn chunk_end(source: &dyn PlainSource, start: u64) -> u64 {
    let chunk = u64::try_from(CHUNK).unwrap_or(u64::MAX);
    let in_file = source.file_offset(start);
    let boundary = in_file.saturating_add(1).next_multiple_of(chunk);
    start.saturating_add(boundary.saturating_sub(in_file)).min(source.plain_length())
}

/// Where an event is.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// In its block.
    at: usize,
    /// In the plaintext of its log.
    offset: u64,
    /// The checksums and the headers there.
    form: EventForm,
}

impl<T> Block<T> {
    /// Each event in turn.
    pub(in crate::read) fn for_each<E>(
        &self,
        take: impl FnMut(&EventView<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_from(self.start, take)
    }

    /// Each event from one on.
    fn each_from<E>(
        &self,
        place: Place,
        mut take: impl FnMut(&EventView<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let bytes = self.buffer.get(place.at..self.length).unwrap_or_default();
        for event in Events::in_form(bytes, place.offset, place.form) {
            match event {
                Ok(event) => take(&event)?,
                // The scanner lets no other through.
                Err(_) => return self.beginning().map_or(Ok(()), |event| take(&event)),
            }
        }
        Ok(())
    }

    /// One event, if it is whole.
    fn event(&self, place: Place) -> Option<EventView<'_>> {
        let bytes = self.buffer.get(place.at..self.length)?;
        Events::in_form(bytes, place.offset, place.form).next()?.ok()
    }

    /// Its buffer, of which others can be made.
    pub(in crate::read) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// The event of which there is the beginning alone.
    fn beginning(&self) -> Option<EventView<'_>> {
        let Place { at, offset, form } = self.start;
        let bytes = self.buffer.get(at..self.length)?;
        let header = form.header(bytes).ok()?;
        Some(EventView { offset, header, bytes, checksum: form.checksum })
    }
}

/// Goes through a log and makes blocks of it. It looks at each event's length and type, and at the
/// event itself only where the next block needs to know of it: the rest is for those who take the
/// blocks.
pub(in crate::read) struct Scanner<'a, T> {
    source: &'a dyn PlainSource,
    view: Box<dyn PlainView + 'a>,
    /// Plain offset of the next event.
    next: u64,
    form: EventForm,
    /// What was read of it with those before it.
    begun: Vec<u8>,
    stop_position: Option<u64>,
    is_strange: &'a IsStrange<'a>,
    context: Context,
    tables: Tables<T>,
    stopped: Option<WalkError>,
    /// There is no further block.
    ended: bool,
}

/// What matters, of the events of a block, to those behind it.
#[derive(Default)]
struct Found {
    /// Events that begin transactions.
    starts: Vec<Place>,
    /// Table maps.
    maps: Vec<Place>,
}

/// What stands where an event should.
enum Ahead {
    /// An event, with so many of its bytes at hand as are held of it.
    Event(EventHeader, usize),
    /// One of which so many bytes must be read.
    Cut(usize),
    /// Nothing: the log ends, or the part of it that is wanted.
    Nothing,
}

impl<'a, T: Mapped> Scanner<'a, T> {
    pub(in crate::read) fn new(
        source: &'a dyn PlainSource,
        filter: &EventFilter,
        is_strange: &'a IsStrange<'a>,
    ) -> Result<Self, Error> {
        let (mut next, mut form) = (FIRST_EVENT, EventForm::new(ChecksumAlgorithm::None));
        if let Some(start) = filter.start_position {
            let mut walker = Walker::new(source, Depth::Whole);
            walker.start_at(start)?;
            (next, form) = (walker.offset(), walker.form());
        }
        Ok(Self {
            source,
            view: source.plain_view(),
            next,
            form,
            begun: Vec::new(),
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

    /// The next block, in a buffer that is given: what it holds is of no matter.
    pub(in crate::read) fn next_block(
        &mut self,
        buffer: Vec<u8>,
    ) -> Result<Option<Block<T>>, Error> {
        if self.ended {
            return Ok(None);
        }
        let mut block = self.begin_block(buffer, 0);
        let mut filled = self.begun.len();
        let buffer = at_least(&mut block.buffer, filled);
        buffer.copy_from_slice(&self.begun);
        self.begun.clear();
        self.fill(&mut block, &mut filled, TARGET)?;
        self.gather(block, filled)
    }

    /// Where what was not read yet begins.
    pub(super) fn unread(&self) -> u64 {
        self.next.saturating_add(u64::try_from(self.begun.len()).unwrap_or(u64::MAX))
    }

    pub(super) const fn source(&self) -> &'a dyn PlainSource {
        self.source
    }

    /// Up to where the log can be read in chunks by several threads: to its beginning alone where one
    /// reads it better.
    pub(super) fn chunks_end(&self) -> u64 {
        let length = self.source.plain_length();
        let end = if self.source.is_read_by_many() { length } else { 0 };
        end.min(self.stop_position.unwrap_or(end))
    }

    /// The next block, of a chunk that has the first byte that was not read yet.
    pub(super) fn block_of(&mut self, chunk: Chunk) -> Result<Option<Block<T>>, Error> {
        if self.ended {
            return Ok(None);
        }
        let unread = self.unread();
        let length = |from: u64, to: u64| usize::try_from(to.saturating_sub(from)).unwrap_or(0);
        let Chunk { mut buffer, range } = chunk;
        let mut from = ROOM.saturating_add(length(range.start, unread));
        let wanted = length(unread, range.end);
        let begun = self.begun.len();
        if from < begun {
            // A large event's.
            let end = from.saturating_add(wanted);
            at_least(&mut buffer, begun.saturating_add(wanted));
            buffer.copy_within(from..end, begun);
            from = begun;
        }
        let at = from.saturating_sub(begun);
        let mut block = self.begin_block(buffer, at);
        if let Some(target) = block.buffer.get_mut(at..from) {
            target.copy_from_slice(&self.begun);
        }
        self.begun.clear();
        self.gather(block, from.saturating_add(wanted))
    }

    /// A block that has nothing yet, and begins at a place in its buffer.
    fn begin_block(&self, buffer: Vec<u8>, at: usize) -> Block<T> {
        Block {
            buffer,
            length: at,
            start: Place { at, offset: self.next, form: self.form },
            context: self.context.clone(),
            tables: self.tables.clone(),
        }
    }

    /// Takes the whole events of what a block's buffer was filled with up to a place.
    fn gather(
        &mut self,
        mut block: Block<T>,
        mut filled: usize,
    ) -> Result<Option<Block<T>>, Error> {
        let at = block.start.at;
        let mut found = Found::default();
        loop {
            let bytes = block.buffer.get(block.length..filled).unwrap_or_default();
            match self.ahead(bytes) {
                Ahead::Nothing => {
                    self.ended = true;
                    break;
                }
                Ahead::Cut(length) if block.length == at => {
                    self.fill(&mut block, &mut filled, length)?;
                }
                Ahead::Cut(_) => break,
                Ahead::Event(header, length) => {
                    let is_whole = usize::try_from(header.length) == Ok(length);
                    if !is_whole && block.length > at {
                        break;
                    }
                    let bytes = bytes.get(..length).unwrap_or_default();
                    self.pass(header, bytes, (block.length, &mut found));
                    block.length = block.length.saturating_add(length);
                    if !is_whole {
                        // What was read behind it is of the same event.
                        filled = block.length;
                        break;
                    }
                }
            }
        }
        let left = block.buffer.get(block.length..filled).unwrap_or_default();
        self.begun.extend_from_slice(left);
        self.remember(&block, &found);
        Ok(Some(block).filter(|block| block.length > at))
    }

    /// Fills the buffer of a block that begins with the next event, and has some of it, with so many bytes
    /// at the least; to the end of the log, if that comes before.
    fn fill(
        &mut self,
        block: &mut Block<T>,
        filled: &mut usize,
        needed: usize,
    ) -> Result<(), TransferError> {
        let chunk = u64::try_from(CHUNK).unwrap_or(u64::MAX);
        let end = self.next.saturating_add(u64::try_from(needed).unwrap_or(u64::MAX));
        // Chunks of the file, so that the reads are aligned and end where the windows do.
        let file_end = self.source.file_offset(end);
        let to_boundary = file_end.next_multiple_of(chunk).saturating_sub(file_end);
        let end = end.saturating_add(to_boundary).min(self.source.plain_length());
        let wanted = usize::try_from(end.saturating_sub(self.next)).unwrap_or(needed);
        let wanted = block.start.at.saturating_add(wanted);
        // It is not emptied before: what is written over need not be zeroed.
        let Some(missing) = at_least(&mut block.buffer, wanted).get_mut(*filled..) else {
            return Ok(());
        };
        let there = filled.saturating_sub(block.start.at);
        let from = self.next.saturating_add(u64::try_from(there).unwrap_or(u64::MAX));
        self.view.fill(from, missing)?;
        *filled = wanted;
        Ok(())
    }

    /// What the bytes begin with that were read from where the next event is.
    #[inline]
    fn ahead(&mut self, bytes: &[u8]) -> Ahead {
        let (offset, log_length) = (self.next, self.source.plain_length());
        let available = log_length.saturating_sub(offset);
        if available == 0 || self.stop_position.is_some_and(|stop| offset >= stop) {
            return Ahead::Nothing;
        }
        let Ok(header) = self.form.header(bytes) else {
            if available >= u64::try_from(header::LENGTH).unwrap_or(0) {
                return Ahead::Cut(header::LENGTH);
            }
            self.stopped = Some(WalkError::HeaderCut { offset, available });
            return Ahead::Nothing;
        };
        if let Err(error) = check_extent(&header, offset, log_length) {
            self.stopped = Some(error);
            return Ahead::Nothing;
        }
        let held = header.byte_length().unwrap_or(MAX_HELD).min(MAX_HELD);
        if bytes.len() < held { Ahead::Cut(held) } else { Ahead::Event(header, held) }
    }

    /// Goes on behind an event, and takes note of it where later ones need it.
    #[inline]
    fn pass(&mut self, header: EventHeader, bytes: &[u8], (at, found): (usize, &mut Found)) {
        let offset = self.next;
        self.next = offset.saturating_add(u64::from(header.length));
        let place = Place { at, offset, form: self.form };
        match header.event_type {
            event_type::FORMAT_DESCRIPTION => self.form = self.form.after(bytes),
            event_type::TABLE_MAP => found.maps.push(place),
            event_type::TRANSACTION_PAYLOAD => {
                let checksum = self.form.checksum;
                self.context.enter_payload(&EventView { offset, header, bytes, checksum });
            }
            kind if event_type::begins_transaction(kind) => found.starts.push(place),
            _ => {}
        }
    }

    /// Finds out where in a transaction the block ends, and which tables the next one may need. Nothing
    /// before the last event that begins a transaction matters.
    fn remember(&mut self, block: &Block<T>, found: &Found) {
        let begins = |place: &&Place| {
            let event = block.event(**place);
            event.is_some_and(|event| {
                !is_damaged(&event, self.is_strange)
                    && TransactionStart::parse(&event).is_some_and(|start| start.is_ok())
            })
        };
        let last = found.starts.iter().rev().find(begins).copied();
        if last.is_some() {
            self.tables.clear();
        }
        self.context.follow(|context| {
            let _ = block.each_from(last.unwrap_or(block.start), |event| {
                let begins = event_type::begins_transaction(event.header.event_type);
                context.enter(event, begins && is_damaged(event, self.is_strange));
                context.leave();
                Ok::<(), ()>(())
            });
        });
        let from = last.map_or(0, |place| place.at);
        let maps = found.maps.iter().filter(|place| place.at >= from);
        self.read_tables(block, maps);
    }

    /// Reads table maps, of several of one table the last.
    fn read_tables<'p>(
        &mut self,
        block: &Block<T>,
        maps: impl DoubleEndedIterator<Item = &'p Place>,
    ) {
        let mut last: Vec<(u64, Arc<T>)> = Vec::new();
        let mut known = HashSet::new();
        for place in maps.rev() {
            let Some(event) = block.event(*place) else {
                continue;
            };
            let number = event.body().first_chunk::<6>();
            if number.is_some_and(|number| known.contains(number))
                || is_damaged(&event, self.is_strange)
            {
                continue;
            }
            if let Some((id, table)) = T::read(&event) {
                known.extend(number.copied());
                last.push((id, Arc::new(table)));
            }
        }
        for (id, table) in last.into_iter().rev() {
            self.tables.insert(id, table);
        }
    }
}

/// Whether nothing in an event can be relied on. What is too large to be held is not summed.
#[inline]
pub(in crate::read) fn is_damaged(event: &EventView<'_>, is_strange: &IsStrange<'_>) -> bool {
    is_strange(event) || event.is_whole() && event.verify_checksum().is_err()
}
