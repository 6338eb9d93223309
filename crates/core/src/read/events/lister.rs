//! From blocks of events to records of those that are wanted.

use std::io::BufReader;

use super::blocks::{Block, is_damaged};
use super::context::{Context, KnownMaps, Tables};
use super::{EventFilter, EventRecord, IsStrange, Listed, Receiver, Summary, summary};
use crate::event::event_type;
use crate::event::gtid::TransactionStart;
use crate::event::payload::{InnerEvents, Payload, PayloadError, Unfolder};
use crate::event::walker::EventView;
use crate::log::error::Error;
use crate::log::walk::{PartReader, PlainSource};

/// Lists blocks, in any order.
pub(super) struct Lister<'a> {
    source: &'a dyn PlainSource,
    filter: &'a EventFilter,
    is_strange: &'a IsStrange<'a>,
    known: KnownMaps,
    unfolder: Unfolder,
}

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
            known: KnownMaps::default(),
            unfolder: Unfolder::default(),
        }
    }

    /// Every event of a block, and those inside of them; the figures of this block alone.
    pub(super) fn block(
        &mut self,
        block: &Block,
        receive: &mut Receiver<'_>,
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

struct Listing<'l, 'a, 'r, 's> {
    lister: &'l mut Lister<'a>,
    receive: &'r mut Receiver<'s>,
    context: Context,
    tables: Tables,
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
        let payload = Payload::parse(event.body()).map_err(PayloadError::from)?;
        let limit = self.context.allowed();
        if limit == 0 && payload.uncompressed_size != Some(0) {
            return Err(PayloadError::OverLimit { limit }.into());
        }
        // Lent to the payload, and back in its place when that is read.
        let mut unfolder = std::mem::take(&mut self.lister.unfolder);
        unfolder.limit = limit;
        let read = self.inner_events_by(&mut unfolder, event, &payload);
        self.lister.unfolder = unfolder;
        read
    }

    fn inner_events_by(
        &mut self,
        unfolder: &mut Unfolder,
        event: &EventView<'_>,
        payload: &Payload<'_>,
    ) -> Result<(), Inner> {
        let part;
        let mut inner = if event.is_whole() {
            payload.events_by(unfolder, payload.data)?
        } else {
            let head = crate::event::header::LENGTH.saturating_add(payload.data_offset);
            let start = event.offset.saturating_add(u64::try_from(head).unwrap_or(0));
            part = PartReader::new(self.lister.source, start, event.end());
            let data = BufReader::with_capacity(crate::file::pipeline::CHUNK, part);
            payload.events_by(unfolder, data)?
        };
        self.list_inner(&mut inner, event.offset)
    }

    fn list_inner(&mut self, inner: &mut InnerEvents<'_>, position: u64) -> Result<(), Inner> {
        while let Some(view) = inner.next_event()? {
            self.record(&view, Some(position), (false, None)).map_err(Inner::Other)?;
        }
        Ok(())
    }

    fn record(
        &mut self,
        event: &EventView<'_>,
        payload: Option<u64>,
        (damaged, start): (bool, Option<&TransactionStart>),
    ) -> Result<(), Error> {
        let header = &event.header;
        let is_map = header.event_type == event_type::TABLE_MAP && !damaged;
        let mapped = is_map.then(|| self.lister.known.read(event.body()));
        if let Some(Some((number, table))) = &mapped {
            self.tables.insert(*number, table.clone());
        }
        self.listed.events = self.listed.events.saturating_add(1);
        self.listed.damaged = self.listed.damaged.saturating_add(u64::from(damaged));
        // Before the summary is made, which takes longer.
        let filter = self.lister.filter;
        if !filter.takes_header(header)
            || !filter.takes_time(self.context.time(header.timestamp))
            || !filter.takes_transaction(self.context.transaction.as_ref())
        {
            return Ok(());
        }
        let summary = match mapped {
            _ if damaged => Summary::Damaged,
            Some(mapped) => mapped.map_or(Summary::Unreadable, |(table_id, table)| {
                let name = table.name.clone();
                Summary::Table { name, table_id }
            }),
            None => match start {
                Some(start) => Summary::Transaction { length: start.length },
                None => summary::of_event(event, &self.tables),
            },
        };
        if !filter.takes_summary(&summary) {
            return Ok(());
        }
        self.listed.listed = self.listed.listed.saturating_add(1);
        let record = EventRecord {
            position: payload.unwrap_or(event.offset),
            inner_offset: payload.map(|_| event.offset),
            event_type: header.event_type,
            size: header.length,
            timestamp: header.timestamp,
            server_id: header.server_id,
            end_position: header.end_position,
            flags: header.flags,
            transaction: self.context.transaction.clone(),
            summary,
            damaged,
        };
        Ok((self.receive)(&record)?)
    }
}

/// What may go wrong inside a payload.
enum Inner {
    Payload(PayloadError),
    Other(Error),
}

impl From<PayloadError> for Inner {
    fn from(error: PayloadError) -> Self {
        Self::Payload(error)
    }
}
