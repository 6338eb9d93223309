//! From blocks of events to records of those that are wanted.

use std::borrow::Cow;

use super::blocks::{Block, is_damaged};
use super::context::{Context, KnownMaps, Table, Tables};
use super::inner::{self, Inner};
use super::parallel::Work;
use super::spare::Spare;
use super::{EventFilter, EventRecord, IsStrange, Listed, Receiver, Summary, summary};
use crate::event::event_type;
use crate::event::gtid::TransactionStart;
use crate::event::header::EventHeader;
use crate::event::payload::{PayloadError, Unfolder};
use crate::event::walker::EventView;
use crate::file::TransferError;
use crate::log::error::Error;
use crate::log::walk::PlainSource;

/// Lists blocks, in any order.
pub(super) struct Lister<'a> {
    source: &'a dyn PlainSource,
    filter: &'a EventFilter,
    is_strange: &'a IsStrange<'a>,
    /// Whether every event is wanted: asked once, and not of each of them.
    takes_all: bool,
    /// Bytes of a statement that are read.
    statement_head: usize,
    known: KnownMaps,
    unfolder: Unfolder,
    /// Whether rows are counted for the summaries.
    counts_rows: bool,
}

/// What a record was made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'e> {
    pub(super) event: &'e EventView<'e>,
    /// The table of its rows.
    pub(super) table: Option<&'e Table>,
}

/// Takes records one by one, and what they were made of.
pub(super) type Seer<'a> =
    dyn FnMut(&mut EventRecord<'_>, &Seen<'_>) -> Result<(), TransferError> + 'a;

impl<'a> Lister<'a> {
    pub(super) fn new(
        source: &'a dyn PlainSource,
        filter: &'a EventFilter,
        is_strange: &'a IsStrange<'a>,
    ) -> Self {
        Self {
            source,
            filter,
            is_strange,
            takes_all: filter.takes_all(),
            statement_head: filter.statement_head(),
            known: KnownMaps::default(),
            unfolder: Unfolder::default(),
            counts_rows: true,
        }
    }

    /// The same, and whoever takes the records counts their rows.
    pub(super) fn without_counts(self) -> Self {
        Self { counts_rows: false, ..self }
    }

    /// Every event of a block, and those inside of them; the figures of this block alone.
    pub(super) fn block(
        &mut self,
        block: &Block<Table>,
        receive: &mut Receiver<'_>,
    ) -> Result<Listed, Error> {
        self.see(block, &mut |record, _| receive(record))
    }

    /// The same with the events themselves.
    pub(super) fn see(
        &mut self,
        block: &Block<Table>,
        receive: &mut Seer<'_>,
    ) -> Result<Listed, Error> {
        let mut listing = Listing {
            lister: self,
            receive,
            context: block.context.clone(),
            tables: block.tables.clone(),
            listed: Listed::default(),
        };
        block.for_each(|event| listing.event(event))?;
        Ok(listing.listed)
    }
}

/// Lines are handed on in pieces of about this length.
const PIECE: usize = 128 << 10;
/// What a buffer for a piece should hold: one, and one more line as they mostly are.
const BUFFER: usize = PIECE + PIECE / 8;
/// A buffer that is larger had to grow for a long line, and is not kept.
const LARGEST_KEPT: usize = BUFFER * 2;

/// Buffers for pieces.
pub(super) const fn spare() -> Spare<Vec<u8>> {
    Spare::new(|| Vec::with_capacity(BUFFER), |buffer| buffer.capacity() <= LARGEST_KEPT)
}

/// Makes the text of events.
pub trait LineMaker: Send {
    /// Appends one event's.
    ///
    /// # Errors
    /// What stands against it, which ends the listing.
    fn line(&mut self, record: &EventRecord<'_>, out: &mut Vec<u8>) -> std::io::Result<()>;
}

/// Makes lines of blocks.
pub(super) struct LineWork<'a> {
    lister: Lister<'a>,
    maker: Box<dyn LineMaker>,
    spare: &'a Spare<Vec<u8>>,
}

impl<'a> LineWork<'a> {
    /// Its pieces are buffers of `spare`, for whoever takes them to give back.
    pub(super) fn new(
        lister: Lister<'a>,
        maker: Box<dyn LineMaker>,
        spare: &'a Spare<Vec<u8>>,
    ) -> Self {
        Self { lister, maker, spare }
    }
}

impl Work<Table> for LineWork<'_> {
    type Piece = Vec<u8>;
    type Figures = Listed;

    fn block(
        &mut self,
        block: &Block<Table>,
        hand_on: &mut dyn FnMut(Vec<u8>) -> Result<(), TransferError>,
    ) -> (Vec<u8>, Result<Listed, Error>) {
        let (maker, spare) = (&mut *self.maker, self.spare);
        let mut lines = spare.take();
        let listed = self.lister.block(block, &mut |record| {
            let made = maker.line(record, &mut lines);
            made.map_err(|source| {
                TransferError::at("<standard output>".as_ref(), "write")(source)
            })?;
            if lines.len() >= PIECE {
                hand_on(std::mem::replace(&mut lines, spare.take()))?;
            }
            Ok(())
        });
        (lines, listed)
    }
}

struct Listing<'l, 'a, 'r, 's> {
    lister: &'l mut Lister<'a>,
    receive: &'r mut Seer<'s>,
    context: Context,
    tables: Tables<Table>,
    listed: Listed,
}

impl Listing<'_, '_, '_, '_> {
    /// One event of the log itself, and those in it.
    fn event(&mut self, event: &EventView<'_>) -> Result<(), Error> {
        let damaged = is_damaged(event, self.lister.is_strange);
        let start = self.context.enter(event, damaged);
        if start.is_some() {
            self.tables.clear();
        }
        self.record(event, None, (damaged, start.as_ref()))?;
        if event.header.event_type == event_type::TRANSACTION_PAYLOAD && !damaged {
            self.unfold(event)?;
        }
        self.context.leave();
        Ok(())
    }

    fn unfold(&mut self, event: &EventView<'_>) -> Result<(), Error> {
        // A payload is a transaction: its tables are of no matter outside of it.
        let outside = std::mem::take(&mut self.tables);
        let result = self.inner_events(event);
        self.tables = outside;
        // A payload that cannot be unfolded is damage, not the end of the listing.
        match result {
            Ok(()) => Ok(()),
            Err(Inner::Payload(PayloadError::OverLimit { .. })) => {
                self.listed.left_folded = self.listed.left_folded.saturating_add(1);
                Ok(())
            }
            Err(Inner::Payload(_)) => {
                self.listed.damaged = self.listed.damaged.saturating_add(1);
                Ok(())
            }
            Err(Inner::Other(error)) => Err(error),
        }
    }

    fn inner_events(&mut self, event: &EventView<'_>) -> Result<(), Inner> {
        let (source, limit) = (self.lister.source, self.context.allowed());
        // Lent to the payload, and back in its place when that is read.
        let mut unfolder = std::mem::take(&mut self.lister.unfolder);
        let read = inner::each(source, event, (&mut unfolder, limit), &mut |view| {
            self.context.enter_statement(view);
            self.record(view, Some(event.offset), (false, None))
        });
        self.lister.unfolder = unfolder;
        read
    }

    /// Whether an event is wanted by all that its header and its transaction tell.
    fn takes(&self, header: &EventHeader) -> bool {
        let filter = self.lister.filter;
        filter.takes_header(header)
            && filter.takes_time(self.context.time(header.timestamp))
            && filter.takes_transaction(self.context.transaction.as_ref())
            && filter.takes_thread(self.context.thread_id)
    }

    /// Takes the table of a table map, and gives its number; `None` when it cannot be read.
    fn map(&mut self, event: &EventView<'_>) -> Option<u64> {
        let (number, table) = self.lister.known.read(event.body())?;
        self.tables.insert(number, table);
        Some(number)
    }

    fn record(
        &mut self,
        event: &EventView<'_>,
        payload: Option<u64>,
        (damaged, start): (bool, Option<&TransactionStart>),
    ) -> Result<(), Error> {
        let header = &event.header;
        let is_map = header.event_type == event_type::TABLE_MAP && !damaged;
        let mapped = is_map.then(|| self.map(event));
        self.listed.events = self.listed.events.saturating_add(1);
        self.listed.damaged = self.listed.damaged.saturating_add(u64::from(damaged));
        // Before the summary is made, which takes longer.
        if !self.lister.takes_all && !self.takes(header) {
            return Ok(());
        }
        let summary = match mapped {
            _ if damaged => Summary::Damaged,
            Some(number) => number
                .and_then(|table_id| Some((table_id, self.tables.get(table_id)?)))
                .map_or(Summary::Unreadable, |(table_id, table)| Summary::Table {
                    name: Cow::Borrowed(&table.name),
                    table_id,
                }),
            None => match start {
                Some(start) => {
                    Summary::Transaction { length: start.length, committed: start.committed }
                }
                None => summary::of_event(
                    event,
                    &self.tables,
                    (self.lister.counts_rows, self.lister.statement_head),
                ),
            },
        };
        if !self.lister.takes_all && !self.lister.filter.takes_summary(&summary) {
            return Ok(());
        }
        self.listed.listed = self.listed.listed.saturating_add(1);
        let table = event.body().first_chunk::<6>().filter(|_| !self.lister.counts_rows);
        let number =
            table.map(|[a, b, c, d, e, f]| u64::from_le_bytes([*a, *b, *c, *d, *e, *f, 0, 0]));
        let seen = Seen { event, table: number.and_then(|number| self.tables.get(number)) };
        let mut record = EventRecord {
            position: payload.unwrap_or(event.offset),
            inner_offset: payload.map(|_| event.offset),
            event_type: header.event_type,
            size: header.length,
            timestamp: header.timestamp,
            server_id: header.server_id,
            end_position: header.end_position,
            flags: header.flags,
            transaction: self.context.transaction.as_ref().map(Cow::Borrowed),
            summary,
            damaged,
        };
        Ok((self.receive)(&mut record, &seen)?)
    }
}
