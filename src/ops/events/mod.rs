//! Which events are in a log: one record each, from compressed transactions too, with filters.

mod filter;
mod stats;
mod summary;

use std::collections::HashMap;
use std::io::BufReader;

pub use filter::{EventFilter, TableName};
pub use stats::{BiggestTransaction, Stats, TableStats, TypeStats};
pub use summary::Summary;

use crate::error::Error;
use crate::event::event_type;
use crate::event::gtid::{TransactionId, TransactionStart};
use crate::event::payload::{InnerEvents, Payload, PayloadError, Unfolder};
use crate::event::table_map::{Column, TableMap};
use crate::event::transaction::Progress as TransactionProgress;
use crate::event::walker::{EventView, WalkError};
use crate::io::TransferError;
use crate::mariadb::error::MariadbError;
use crate::open::{LogError, OpenLog};
use crate::walk::{Depth, PartReader, PlainSource, Walker, is_in_use};

/// Tables that are remembered at once; a transaction uses a few.
const MAX_TABLES: usize = 4096;

/// One event, as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Plain offset of its start; of an inner event, that of the payload it is in.
    pub position: u64,
    /// Where it starts in the unfolded payload; `None` for an event of the log itself.
    pub inner_offset: Option<u64>,
    /// Its type, see [`event_type`].
    pub event_type: u8,
    /// Its length in bytes; of an inner event, unfolded.
    pub size: u32,
    /// Seconds since 1970 UTC.
    pub timestamp: u32,
    /// The server that wrote it first.
    pub server_id: u32,
    /// The end position in its header.
    pub end_position: u32,
    /// The flags in its header.
    pub flags: u16,
    /// The transaction that it is part of.
    pub transaction: Option<TransactionId>,
    /// What it says.
    pub summary: Summary,
    /// Whether its checksum is wrong, so that nothing in it can be relied on.
    pub damaged: bool,
}

/// The most that the payloads of one log may unfold to together: this, and so many times the log's
/// own length. Servers' logs unfold to a few times their length; a forged one of half a MiB could
/// keep a reader busy for as long as it likes.
const UNFOLDED_AT_LEAST: u64 = 4 << 30;
/// See [`UNFOLDED_AT_LEAST`].
const UNFOLDED_BY_LENGTH: u64 = 64;

/// How a listing ended.
#[derive(Debug, Default)]
pub struct Listed {
    /// Events that were read, whether they passed the filter or not; inner ones too.
    pub events: u64,
    /// Events that passed the filter.
    pub listed: u64,
    /// Events with a wrong checksum or a header that cannot be one, and payloads that could not be
    /// unfolded.
    pub damaged: u64,
    /// Payloads that were not unfolded to their end, as those of the log came to more than it can
    /// honestly have.
    pub left_folded: u64,
    /// Why the log could not be read to its end.
    pub stopped: Option<Stop>,
    /// Whether that is how a log ends whose server is writing it or crashed.
    pub cut_tail: bool,
}

/// Where a log cannot be read further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub enum Stop {
    /// By the plaintext.
    Walk(#[from] WalkError),
    /// By what MariaDB leaves in clear: the plaintext ends there.
    Mariadb(#[from] MariadbError),
}

impl Stop {
    /// Whether this is how a log looks whose writer was stopped in the middle of an event.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        match self {
            Self::Walk(error) => error.is_cut(),
            Self::Mariadb(error) => matches!(error, MariadbError::Cut { .. }),
        }
    }
}

/// Takes records one by one.
pub type Receiver<'a> = dyn FnMut(&EventRecord) -> Result<(), TransferError> + 'a;

/// Lists the events of a log, in order and in constant memory.
///
/// # Errors
/// [`Error::Transfer`] of the log or the receiver; [`Error::Walk`] when no event starts at the
/// filter's start position. Damage on the way is part of the outcome.
pub fn list(
    log: &OpenLog,
    filter: &EventFilter,
    receive: &mut Receiver<'_>,
) -> Result<Listed, Error> {
    let per_event = log.probe().per_event();
    let is_strange = |event: &EventView<'_>| {
        per_event.is_some_and(|log| log.is_implausible(&event.header, event.offset, event.bytes))
    };
    let mut listed = list_but(log, filter, receive, &is_strange)?;
    let stop = filter.stop_position;
    let is_wanted_whole = stop.is_none_or(|stop| stop > log.plain_length());
    if let Some(LogError::Mariadb(tail)) = log.tail_damage()
        && listed.stopped.is_none()
        && is_wanted_whole
    {
        listed.stopped = Some(tail.into());
    }
    listed.cut_tail = match &listed.stopped {
        Some(stop) if stop.is_cut() => is_in_use(log, log.probe().description())?,
        _ => false,
    };
    Ok(listed)
}

/// The same for plaintext wherever it comes from. [`Listed::cut_tail`] is not judged.
///
/// # Errors
/// As [`list`].
pub fn list_plain(
    source: &dyn PlainSource,
    filter: &EventFilter,
    receive: &mut Receiver<'_>,
) -> Result<Listed, Error> {
    list_but(source, filter, receive, &|_| false)
}

/// Events that are strange count as damaged, whatever their checksums.
fn list_but(
    source: &dyn PlainSource,
    filter: &EventFilter,
    receive: &mut Receiver<'_>,
    is_strange: &dyn Fn(&EventView<'_>) -> bool,
) -> Result<Listed, Error> {
    let mut walker = Walker::new(source, Depth::Whole);
    if let Some(start) = filter.start_position {
        walker.start_at(start)?;
    }
    let by_length = source.file_length().saturating_mul(UNFOLDED_BY_LENGTH);
    let mut lister = Lister {
        source,
        unfolder: Unfolder::default(),
        may_unfold: UNFOLDED_AT_LEAST.saturating_add(by_length),
        filter,
        receive,
        tables: HashMap::new(),
        transaction: None,
        progress: TransactionProgress::Unknown,
        listed: Listed::default(),
    };
    loop {
        if filter
            .stop_position
            .is_some_and(|stop| walker.offset() >= stop)
        {
            break;
        }
        match walker.next_event() {
            Ok(Some(event)) => lister.event(&event, is_strange(&event))?,
            Ok(None) => break,
            Err(Error::Walk { source, .. }) => {
                lister.listed.stopped = Some(source.into());
                break;
            }
            Err(error) => return Err(error),
        }
    }
    source.check_size()?;
    Ok(lister.listed)
}

/// A table that row events name by its number.
#[derive(Debug, Clone)]
struct Table {
    name: TableName,
    columns: Vec<Column>,
}

struct Lister<'a, 'r> {
    source: &'a dyn PlainSource,
    unfolder: Unfolder,
    /// In bytes, by the payloads that are still to come.
    may_unfold: u64,
    filter: &'a EventFilter,
    receive: &'a mut Receiver<'r>,
    tables: HashMap<u64, Table>,
    transaction: Option<TransactionId>,
    progress: TransactionProgress,
    listed: Listed,
}

impl Lister<'_, '_> {
    /// One event of the log itself, and those in it.
    fn event(&mut self, event: &EventView<'_>, is_strange: bool) -> Result<(), Error> {
        let damaged = is_strange || event.is_whole() && event.verify_checksum().is_err();
        let id = TransactionStart::parse(event)
            .and_then(Result::ok)
            .filter(|_| !damaged);
        if let Some(start) = id {
            self.transaction = Some(start.id);
            self.tables.clear();
        }
        self.progress = self.progress.after(event);
        self.record(event, None, damaged)?;
        if event.header.event_type == event_type::TRANSACTION_PAYLOAD && !damaged {
            self.unfold(event)?;
        }
        if self.progress == TransactionProgress::Outside {
            self.transaction = None;
        }
        Ok(())
    }

    fn unfold(&mut self, event: &EventView<'_>) -> Result<(), Error> {
        // A payload that cannot be unfolded is damage, not the end of the listing.
        match self.inner_events(event) {
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
        if self.may_unfold == 0 {
            return Err(PayloadError::OverLimit { limit: 0 }.into());
        }
        // Lent to the payload, and back in its place when that is read.
        let mut unfolder = std::mem::take(&mut self.unfolder);
        unfolder.limit = self.may_unfold;
        let read = self.inner_events_by(&mut unfolder, event, &payload);
        self.unfolder = unfolder;
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
            let start = event
                .offset
                .saturating_add(u64::try_from(head).unwrap_or(0));
            part = PartReader::new(self.source, start, event.end());
            let data = BufReader::with_capacity(crate::io::pipeline::CHUNK, part);
            payload.events_by(unfolder, data)?
        };
        let listed = self.list_inner(&mut inner, event.offset);
        self.may_unfold = match &listed {
            Err(Inner::Payload(PayloadError::OverLimit { .. })) => 0,
            _ => self.may_unfold.saturating_sub(inner.unfolded()),
        };
        listed
    }

    fn list_inner(&mut self, inner: &mut InnerEvents<'_>, position: u64) -> Result<(), Inner> {
        while let Some(view) = inner.next_event()? {
            self.record(&view, Some(position), false)
                .map_err(Inner::Other)?;
        }
        Ok(())
    }

    fn record(
        &mut self,
        event: &EventView<'_>,
        payload: Option<u64>,
        damaged: bool,
    ) -> Result<(), Error> {
        let header = &event.header;
        if header.event_type == event_type::TABLE_MAP && !damaged {
            self.remember_table(event);
        }
        self.listed.events = self.listed.events.saturating_add(1);
        self.listed.damaged = self.listed.damaged.saturating_add(u64::from(damaged));
        // Before the summary is made, which takes longer.
        if !self.filter.takes_header(header)
            || !self.filter.takes_transaction(self.transaction.as_ref())
        {
            return Ok(());
        }
        let summary = if damaged {
            Summary::Damaged
        } else {
            self.summarize(event)
        };
        if !self.filter.takes_summary(&summary) {
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
            transaction: self.transaction.clone(),
            summary,
            damaged,
        };
        Ok((self.receive)(&record)?)
    }

    fn remember_table(&mut self, event: &EventView<'_>) {
        if let Ok(map) = TableMap::parse(event.body()) {
            if self.tables.len() >= MAX_TABLES {
                self.tables.clear();
            }
            let table = Table {
                name: TableName::new(map.database, map.table),
                columns: map.columns,
            };
            self.tables.insert(map.table_id, table);
        }
    }

    fn summarize(&self, event: &EventView<'_>) -> Summary {
        summary::of_event(event, |table_id| {
            let table = self.tables.get(&table_id)?;
            Some((table.name.clone(), table.columns.as_slice()))
        })
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
