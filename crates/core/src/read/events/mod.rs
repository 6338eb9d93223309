//! Which events are in a log: one record each, from compressed transactions too, with filters.

pub(super) mod blocks;
pub(super) mod context;
mod filter;
mod hot_keys;
pub(super) mod inner;
mod lister;
pub(super) mod parallel;
mod row_stats;
pub(super) mod spare;
mod stats;
mod summary;

pub use super::tables::TableName;
pub use filter::EventFilter;
pub(super) use filter::is_of_domain;
pub use hot_keys::HotKey;
pub use lister::LineMaker;
pub use row_stats::{ByOp, OpStats, RowStats, WideRow};
pub use stats::{BiggestTransaction, Stats, TableStats, TypeStats};
pub use summary::Summary;

use std::borrow::Cow;

use blocks::Scanner;
use lister::{LineWork, Lister, Seer};

use crate::event::FIRST_EVENT;
use crate::event::gtid::TransactionId;
use crate::event::walker::{EventView, WalkError};
use crate::file::TransferError;
use crate::log::error::Error;
use crate::log::log_error::LogError;
use crate::log::open::OpenLog;
use crate::log::walk::{PlainSource, is_in_use};
use crate::mariadb::error::MariadbError;

/// One event, as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord<'a> {
    /// Plain offset of its start; of an inner event, that of the payload it is in.
    pub position: u64,
    /// Where it starts in the unfolded payload; `None` for an event of the log itself.
    pub inner_offset: Option<u64>,
    /// Its type, see [`event_type`](crate::event::event_type).
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
    pub transaction: Option<Cow<'a, TransactionId>>,
    /// What it says.
    pub summary: Summary<'a>,
    /// Whether its checksum is wrong, so that nothing in it can be relied on.
    pub damaged: bool,
}

impl EventRecord<'_> {
    /// The same for those who keep it: a record that is given is borrowed from the log.
    #[must_use]
    pub fn into_owned(self) -> EventRecord<'static> {
        EventRecord {
            transaction: self.transaction.map(|id| Cow::Owned(id.into_owned())),
            summary: self.summary.into_owned(),
            ..self
        }
    }
}

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

impl Listed {
    /// Adds the figures of a part of the log.
    pub(super) const fn add(&mut self, part: &Self) {
        self.events = self.events.saturating_add(part.events);
        self.listed = self.listed.saturating_add(part.listed);
        self.damaged = self.damaged.saturating_add(part.damaged);
        self.left_folded = self.left_folded.saturating_add(part.left_folded);
    }
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
pub type Receiver<'a> = dyn FnMut(&EventRecord<'_>) -> Result<(), TransferError> + 'a;

/// Takes pieces of a listing, in order.
pub type Writer<'a> = dyn FnMut(&[u8]) -> Result<(), TransferError> + 'a;

/// Whether an event is damaged although its checksum is right, or it has none.
pub(super) type IsStrange<'a> = dyn Fn(&EventView<'_>) -> bool + Sync + 'a;

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
    of_log(log, filter, |is_strange| one_by_one(log, filter, receive, is_strange))
}

/// The same as text, made by as many threads as the current rayon pool has: each has a
/// [`LineMaker`] of its own, and what they make is written in the order of the events. It is the
/// same text with any number of threads.
///
/// # Errors
/// As [`list`].
pub fn list_lines(
    log: &OpenLog,
    filter: &EventFilter,
    maker: &(dyn Fn() -> Box<dyn LineMaker> + Sync),
    write: &mut Writer<'_>,
) -> Result<Listed, Error> {
    of_log(log, filter, |is_strange| lines(log, (filter, is_strange), maker, write))
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
    one_by_one(source, filter, receive, &|_| false)
}

/// What a log consists of, rows included: as [`list`], and in constant memory, too.
///
/// # Errors
/// As [`list`].
pub fn stats(log: &OpenLog, filter: &EventFilter) -> Result<(Stats, Listed), Error> {
    let mut stats = Stats::default();
    let listed = of_log(log, filter, |is_strange| count(log, filter, &mut stats, is_strange))?;
    Ok((stats, listed))
}

/// The same for plaintext wherever it comes from. [`Listed::cut_tail`] is not judged.
///
/// # Errors
/// As [`list`].
pub fn stats_plain(
    source: &dyn PlainSource,
    filter: &EventFilter,
) -> Result<(Stats, Listed), Error> {
    let mut stats = Stats::default();
    let listed = count(source, filter, &mut stats, &|_| false)?;
    Ok((stats, listed))
}

fn count(
    source: &dyn PlainSource,
    filter: &EventFilter,
    stats: &mut Stats,
    is_strange: &IsStrange<'_>,
) -> Result<Listed, Error> {
    let lister = Lister::new(source, filter, is_strange).without_counts();
    let listed = each_block((source, filter, is_strange), lister, &mut |record, seen| {
        stats.see(record, seen);
        Ok(())
    })?;
    stats.finish();
    Ok(listed)
}

/// What a listing of an open log is more than one of plaintext: events that decipher to nonsense
/// are damaged, and the plaintext may end before the file does.
pub(super) fn of_log(
    log: &OpenLog,
    filter: &EventFilter,
    list: impl FnOnce(&IsStrange<'_>) -> Result<Listed, Error>,
) -> Result<Listed, Error> {
    let per_event = log.probe().per_event();
    let is_strange = |event: &EventView<'_>| {
        per_event.is_some_and(|log| log.is_implausible(&event.header, event.offset, event.bytes))
    };
    let mut listed = list(&is_strange)?;
    if log.plain_length() <= FIRST_EVENT {
        // It was cut: its format description comes with the magic.
        let cut = WalkError::HeaderCut { offset: FIRST_EVENT, available: 0 };
        listed.stopped = Some(Stop::Walk(cut));
    }
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

fn lines(
    source: &dyn PlainSource,
    (filter, is_strange): (&EventFilter, &IsStrange<'_>),
    maker: &(dyn Fn() -> Box<dyn LineMaker> + Sync),
    write: &mut Writer<'_>,
) -> Result<Listed, Error> {
    let mut scanner = Scanner::new(source, filter, is_strange)?;
    let spare = lister::spare();
    let lister = || Lister::new(source, filter, is_strange);
    let new_work = || LineWork::new(lister(), maker(), &spare);
    let mut listed = Listed::default();
    parallel::run(
        &mut scanner,
        &new_work,
        &mut |mut piece: Vec<u8>| {
            write(&piece)?;
            piece.clear();
            spare.give(piece);
            Ok(())
        },
        &mut |part| listed.add(&part),
    )?;
    source.check_size()?;
    listed.stopped = scanner.stopped().map(Stop::from);
    Ok(listed)
}

fn one_by_one(
    source: &dyn PlainSource,
    filter: &EventFilter,
    receive: &mut Receiver<'_>,
    is_strange: &IsStrange<'_>,
) -> Result<Listed, Error> {
    let lister = Lister::new(source, filter, is_strange);
    each_block((source, filter, is_strange), lister, &mut |record, _| receive(record))
}

fn each_block(
    (source, filter, is_strange): (&dyn PlainSource, &EventFilter, &IsStrange<'_>),
    mut lister: Lister<'_>,
    receive: &mut Seer<'_>,
) -> Result<Listed, Error> {
    let mut scanner = Scanner::new(source, filter, is_strange)?;
    let mut listed = Listed::default();
    let mut buffer = Vec::new();
    while let Some(block) = scanner.next_block(buffer)? {
        listed.add(&lister.see(&block, receive)?);
        buffer = block.into_buffer();
    }
    source.check_size()?;
    listed.stopped = scanner.stopped().map(Stop::from);
    Ok(listed)
}
