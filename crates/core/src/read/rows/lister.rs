//! From blocks of events to the rows that are wanted.

use std::io::{BufReader, Read};

use super::filter::is_changed;
use super::mapped::{KnownTable, KnownTables, RawMap, number};
use super::names::Names;
use super::schema::{Beside, beside};
use super::turn::{Turn, TurnKind};
use super::xa::{XaEnd, XaView};
use super::{RowFilter, RowRecord, RowsListed, Unreadable};
use crate::event::event_type;
use crate::event::payload::{PayloadError, Unfolder};
use crate::event::query::Query;
use crate::event::rows::Rows;
use crate::event::rows::op::Op;
use crate::event::rows::reader::{Row, RowError, RowReader};
use crate::event::rows::table::{Column, Table};
use crate::event::walker::EventView;
use crate::event::xa::XaHalf;
use crate::file::TransferError;
use crate::log::error::Error;
use crate::log::walk::{PartReader, PlainSource};
use crate::read::events::IsStrange;
use crate::read::events::blocks::{Block, is_damaged};
use crate::read::events::context::{Context, Tables, statement};
use crate::read::events::inner::{self, Inner};

/// What a listing gives, in order.
pub(super) enum Given<'g, 'r> {
    Row(&'g RowRecord<'r>),
    Turn(&'g Turn<'r>),
}

/// Takes it.
pub(super) type Take<'a> = dyn FnMut(Given<'_, '_>) -> Result<(), TransferError> + 'a;

/// Lists the rows of blocks, in any order.
pub(super) struct Lister<'a> {
    source: &'a dyn PlainSource,
    filter: &'a RowFilter,
    names: &'a dyn Names,
    is_strange: &'a IsStrange<'a>,
    ends: XaView<'a>,
    is_mariadb: bool,
    known: KnownTables,
    unfolder: Unfolder,
}

impl<'a> Lister<'a> {
    pub(super) fn new(
        source: &'a dyn PlainSource,
        (filter, names, is_strange): (&'a RowFilter, &'a dyn Names, &'a IsStrange<'a>),
        (ends, is_mariadb): (XaView<'a>, bool),
    ) -> Self {
        Self {
            source,
            filter,
            names,
            is_strange,
            ends,
            is_mariadb,
            known: KnownTables::new(is_mariadb),
            unfolder: Unfolder::default(),
        }
    }

    /// Every row of a block that is wanted; the figures of this block alone.
    pub(super) fn block(
        &mut self,
        block: &Block<RawMap>,
        receive: &mut Take<'_>,
    ) -> Result<RowsListed, Error> {
        let mut tables = Tables::default();
        let asked = (self.filter, self.names, self.source.path());
        for (_, map) in block.tables.iter() {
            if let Some((number, table)) = self.known.of_map(map, asked) {
                tables.insert(number, table);
            }
        }
        let mut listing = Listing {
            lister: self,
            receive,
            context: block.context.clone(),
            tables,
            xa_end: None,
            listed: RowsListed::default(),
        };
        block.for_each(|event| listing.event(event))?;
        Ok(listing.listed)
    }
}

/// Whether the XA transaction in a payload is prepared and committed in one.
fn commits_at_once(source: &dyn PlainSource, event: &EventView<'_>, limit: u64) -> bool {
    let mut found = false;
    let _ = inner::each(source, event, (&mut Unfolder::default(), limit), &mut |view| {
        found |= matches!(XaHalf::of(view), Some(XaHalf::CommittedAtOnce(_)));
        Ok(())
    });
    found
}

/// Reads all rows, and keeps none.
fn read_through(rows: Rows<'_>, bytes: &[u8], table: &Table) -> Result<(), RowError> {
    let mut reader = RowReader::new(rows, bytes, table)?;
    let mut row = Row::new();
    while reader.next_row(&mut row)? {}
    Ok(())
}

struct Listing<'l, 'a, 'r, 's> {
    lister: &'l mut Lister<'a>,
    receive: &'r mut Take<'s>,
    context: Context,
    tables: Tables<KnownTable>,
    /// Where the XA transaction begins that was met last, and how it ended.
    xa_end: Option<(u64, Option<XaEnd>)>,
    listed: RowsListed,
}

impl Listing<'_, '_, '_, '_> {
    /// One event of the log itself, and those in it.
    fn event(&mut self, event: &EventView<'_>) -> Result<(), Error> {
        let damaged = is_damaged(event, self.lister.is_strange);
        let figures = &mut self.listed.events;
        figures.events = figures.events.saturating_add(1);
        figures.damaged = figures.damaged.saturating_add(u64::from(damaged));
        if self.context.enter(event, damaged).is_some() {
            self.tables.clear();
        }
        if !damaged {
            match event.header.event_type {
                event_type::TRANSACTION_PAYLOAD => self.unfold(event)?,
                _ => self.one(event, None)?,
            }
        }
        self.context.leave();
        Ok(())
    }

    /// An event whose bytes can be relied on.
    fn one(&mut self, event: &EventView<'_>, payload: Option<u64>) -> Result<(), Error> {
        let kind = event.header.event_type;
        if kind == event_type::TABLE_MAP {
            self.map(event, payload);
        } else if event_type::is_rows(kind) {
            self.rows_event(event, payload)?;
        } else if event_type::is_early_rows(kind) || kind == event_type::MARIADB_PARTIAL_ROW_DATA {
            self.unknown_form(event, payload);
        } else if matches!(kind, event_type::QUERY | event_type::MARIADB_QUERY_COMPRESSED) {
            self.statement(event, payload)?;
        }
        Ok(())
    }

    fn statement(&mut self, event: &EventView<'_>, payload: Option<u64>) -> Result<(), Error> {
        let text = statement(event.body());
        // What nearly all are.
        if text == b"BEGIN" {
            return Ok(());
        }
        if event.header.event_type == event_type::QUERY
            && let Some(kind) = TurnKind::of(text)
        {
            return self.turn(event, payload, kind);
        }
        if !self.takes(event) {
            return Ok(());
        }
        let Some(query) = Query::of(event).filter(|query| self.lister.filter.may_concern(query))
        else {
            return Ok(());
        };
        let told = match beside(&query) {
            None => return Ok(()),
            Some(Beside::Rows) => &mut self.listed.statements,
            Some(Beside::Tables) => &mut self.listed.alterations,
        };
        told.add(payload.unwrap_or(event.offset));
        Ok(())
    }

    /// A statement by which a transaction goes back, or to which it may.
    fn turn(
        &mut self,
        event: &EventView<'_>,
        payload: Option<u64>,
        kind: TurnKind<'_>,
    ) -> Result<(), Error> {
        let Some(start) = self.context.start.filter(|_| self.takes(event)) else {
            return Ok(());
        };
        let position = payload.unwrap_or(event.offset);
        if !matches!(kind, TurnKind::Savepoint(_)) {
            self.listed.turns.add(position);
        }
        let turn = Turn {
            log: self.lister.source.path(),
            position,
            timestamp: event.header.timestamp,
            thread_id: self.context.thread_id,
            transaction: self.context.transaction.as_ref(),
            transaction_start: start,
            kind,
        };
        (self.receive)(Given::Turn(&turn))?;
        Ok(())
    }

    fn map(&mut self, event: &EventView<'_>, payload: Option<u64>) {
        let lister = &mut *self.lister;
        let asked = (lister.filter, lister.names, lister.source.path());
        let position = payload.unwrap_or(event.offset);
        let Some((number, table)) = lister.known.of_body(event.body(), position, asked) else {
            return;
        };
        let fitting = &mut self.listed.fitting;
        if let Some(last) = table.fitting.last() {
            fitting.resize(fitting.len().max(last.saturating_add(1)), false);
        }
        for index in &table.fitting {
            if let Some(fits) = fitting.get_mut(*index) {
                *fits = true;
            }
        }
        self.tables.insert(number, table);
    }

    /// Whether the rows of an event are wanted by all that its header and its transaction tell.
    fn takes(&self, event: &EventView<'_>) -> bool {
        let filter = self.lister.filter;
        let context = &self.context;
        filter.events.takes_header(&event.header)
            && filter.events.takes_time(context.time(event.header.timestamp))
            && filter.takes_transaction(context.transaction.as_ref(), context.thread_id)
    }

    fn rows_event(&mut self, event: &EventView<'_>, payload: Option<u64>) -> Result<(), Error> {
        let op = Op::of(event.header.event_type);
        if !op.is_some_and(|op| self.lister.filter.takes_op(op)) || !self.takes(event) {
            return Ok(());
        }
        let table = number(event.body()).and_then(|number| self.tables.share(number));
        let Some(known) = table else {
            let reason =
                "its table map is not in what was read: begin with the transaction".to_owned();
            // Without a name it cannot be said that the rows are not wanted.
            self.unreadable(event, payload, (None, reason));
            return Ok(());
        };
        if !known.is_wanted || self.is_rolled_back(event) {
            return Ok(());
        }
        let tables = &mut self.listed.tables;
        if tables.len() < super::MAX_TABLES && !tables.contains(&known.name) {
            tables.insert(known.name.clone());
        }
        if !known.has_columns {
            let tables = &mut self.listed.without_column;
            if tables.len() < super::MAX_TABLES && !tables.contains(&known.name) {
                tables.insert(known.name.clone());
            }
            return Ok(());
        }
        let table = match &known.table {
            Ok(table) => table,
            Err(reason) => {
                self.unreadable(event, payload, (Some(&known.name), reason.clone()));
                return Ok(());
            }
        };
        if event.is_whole() {
            return self.read_rows(event, payload, (&known, table));
        }
        self.large(event, payload, (&known, table))
    }

    /// Where the XA transaction begins that an event is of.
    fn xa_start(&self, offset: u64) -> Option<u64> {
        self.context.xa.as_ref().map(|_| self.context.start.unwrap_or(offset))
    }

    /// Whether the rows of an event did not stay: their XA transaction was rolled back.
    fn is_rolled_back(&mut self, event: &EventView<'_>) -> bool {
        let (Some(id), Some(start)) = (self.context.xa.as_deref(), self.xa_start(event.offset))
        else {
            self.xa_end = None;
            return false;
        };
        let end = match self.xa_end {
            Some((known, end)) if known == start => end,
            _ => self.lister.ends.end(start, id),
        };
        self.xa_end = Some((start, end));
        let told = match end {
            Some(XaEnd::Committed) => return false,
            Some(XaEnd::RolledBack) => &mut self.listed.rolled_back,
            None => &mut self.listed.prepared,
        };
        if told.len() < super::MAX_TRANSACTIONS {
            told.insert(start);
        }
        end.is_some()
    }

    /// An event of which the walk holds the beginning alone: all of it is read, if it may be so large.
    fn large(
        &mut self,
        event: &EventView<'_>,
        payload: Option<u64>,
        (known, table): (&KnownTable, &Table),
    ) -> Result<(), Error> {
        let (length, most) = (event.header.length, self.lister.filter.max_event);
        if payload.is_some() || length > most {
            let reason = if payload.is_some() {
                format!(
                    "{length} bytes in one event of a compressed transaction, more than 16 MiB are not held"
                )
            } else {
                format!(
                    "{length} bytes in one event, more than the {most} that are held; --max-event allows more"
                )
            };
            self.unreadable(event, payload, (Some(&known.name), reason));
            return Ok(());
        }
        let mut bytes = Vec::new();
        let part = PartReader::new(self.lister.source, event.offset, event.end());
        let at = TransferError::at(self.lister.source.path(), "read");
        BufReader::with_capacity(crate::file::pipeline::CHUNK, part)
            .read_to_end(&mut bytes)
            .map_err(at)?;
        let whole = EventView { bytes: &bytes, ..*event };
        if is_damaged(&whole, self.lister.is_strange) {
            self.listed.events.damaged = self.listed.events.damaged.saturating_add(1);
            return Ok(());
        }
        self.read_rows(&whole, payload, (known, table))
    }

    fn read_rows(
        &mut self,
        event: &EventView<'_>,
        payload: Option<u64>,
        (known, table): (&KnownTable, &Table),
    ) -> Result<(), Error> {
        let parsed = Rows::parse(event.header.event_type, event.body());
        let read = match parsed {
            Ok(rows) => match rows.plain() {
                Ok(bytes) => self.each_row(event, payload, (known, table), (rows, &bytes))?,
                Err(error) => Err(error.to_string()),
            },
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = read {
            self.unreadable(event, payload, (Some(&known.name), reason));
        }
        Ok(())
    }

    /// The rows of an event, and why not all could be read.
    fn each_row(
        &mut self,
        event: &EventView<'_>,
        payload: Option<u64>,
        (known, table): (&KnownTable, &Table),
        (rows, bytes): (Rows<'_>, &[u8]),
    ) -> Result<Result<(), String>, Error> {
        let filter = self.lister.filter;
        let Some(conditions) = filter.conditions.of_table(table) else {
            return Ok(Ok(()));
        };
        let mut reader = match RowReader::new(rows, bytes, table) {
            Ok(reader) => reader,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let is_doubtful = |column: &Column| column.kind.may_be_hires();
        if self.lister.is_mariadb && table.columns.iter().any(is_doubtful) {
            // Values that are longer than their type says shift all behind them: rows are believed
            // only if all of them end where the event does.
            if let Err(error) = read_through(rows, bytes, table) {
                return Ok(Err(error.to_string()));
            }
        }
        let position = payload.unwrap_or(event.offset);
        let mut row = Row::new();
        let mut number = 0_u64;
        loop {
            match reader.next_row(&mut row) {
                Ok(true) => number = number.saturating_add(1),
                Ok(false) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error.to_string())),
            }
            let is_wanted = (known.changed.is_empty() || is_changed(&row, &known.changed))
                && conditions.takes(table, &row);
            if !is_wanted {
                continue;
            }
            self.listed.events.listed = self.listed.events.listed.saturating_add(1);
            let record = RowRecord {
                log: self.lister.source.path(),
                position,
                inner_offset: payload.map(|_| event.offset),
                number,
                flags: rows.flags,
                timestamp: event.header.timestamp,
                server_id: event.header.server_id,
                thread_id: self.context.thread_id,
                transaction: self.context.transaction.as_ref(),
                transaction_start: self.context.start.unwrap_or(position),
                is_prepared: self.xa_end.is_some_and(|(_, end)| end.is_none()),
                is_mariadb: self.lister.is_mariadb,
                table,
                row: &row,
            };
            (self.receive)(Given::Row(&record))?;
        }
    }

    /// Row events of a form that is not read.
    fn unknown_form(&mut self, event: &EventView<'_>, payload: Option<u64>) {
        if self.takes(event) {
            let name = event_type::name(event.header.event_type);
            self.unreadable(
                event,
                payload,
                (None, format!("rows in events of type {name} are not read")),
            );
        }
    }

    fn unreadable(
        &mut self,
        event: &EventView<'_>,
        payload: Option<u64>,
        (table, reason): (Option<&str>, String),
    ) {
        self.listed.unreadable = self.listed.unreadable.saturating_add(1);
        if self.listed.examples.len() < super::MAX_EXAMPLES {
            self.listed.examples.push(Unreadable {
                position: payload.unwrap_or(event.offset),
                inner_offset: payload.map(|_| event.offset),
                table: table.map(str::to_owned),
                reason,
            });
        }
    }

    fn unfold(&mut self, event: &EventView<'_>) -> Result<(), Error> {
        // Nothing inside can be wanted of a transaction that is not, and unfolding takes long. The
        // connection is told inside.
        let filter = self.lister.filter;
        let is_wanted = filter.events.takes_time(self.context.time(event.header.timestamp))
            && (!filter.thread_ids.is_empty()
                || filter.takes_transaction(self.context.transaction.as_ref(), None));
        if !is_wanted && filter.tables.is_empty() {
            return Ok(());
        }
        // A payload is a transaction: its tables are of no matter outside of it.
        let outside = std::mem::take(&mut self.tables);
        let result = self.inner_events(event);
        self.tables = outside;
        let figures = &mut self.listed.events;
        match result {
            Ok(()) => Ok(()),
            Err(Inner::Payload(PayloadError::OverLimit { .. })) => {
                figures.left_folded = figures.left_folded.saturating_add(1);
                Ok(())
            }
            // A payload that cannot be unfolded is damage, not the end of the listing.
            Err(Inner::Payload(_)) => {
                figures.damaged = figures.damaged.saturating_add(1);
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
            self.listed.events.events = self.listed.events.events.saturating_add(1);
            let is_known = self.context.xa.is_some();
            self.context.enter_statement(view);
            if let (false, Some(start)) = (is_known, self.xa_start(event.offset)) {
                // It may be prepared and committed in one, which stands behind its rows.
                let at_once = commits_at_once(source, event, limit);
                self.xa_end = at_once.then_some((start, Some(XaEnd::Committed)));
            }
            self.one(view, Some(event.offset))
        });
        self.lister.unfolder = unfolder;
        read
    }
}
