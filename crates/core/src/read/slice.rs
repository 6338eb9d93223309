//! Parts of a log: whole transactions, as the log has them, in a log of their own.
//!
//! Events are copied byte for byte: their end positions stay those in the log they come from, and
//! their checksums hold. What is not wanted is hopped over, and on an encrypted log not deciphered.

use std::collections::BTreeSet;
use std::io::Write;
use std::ops::{ControlFlow, Range};
use std::path::Path;

use super::events::inner::{self, Inner};
use super::events::is_of_domain;
use super::numbers::Numbers;
use super::pairs::Pairs;
use super::tables::TableGlob;
use crate::batch::transfer::{clear_in_use, clear_in_use_of_event};
use crate::event::FIRST_EVENT;
use crate::event::event_type;
use crate::event::format_description::FormatDescription;
use crate::event::gtid::{TransactionId, TransactionStart};
use crate::event::gtid_selection::{GtidPosition, GtidSelection};
use crate::event::header::{self, flag};
use crate::event::payload::Unfolder;
use crate::event::query::Query;
use crate::event::table_map::TableMap;
use crate::event::transaction::Progress as TransactionProgress;
use crate::event::walker::EventView;
use crate::event::xa::{self, XaHalf};
use crate::file::TransferError;
use crate::file::pipeline::{CHUNK, Progress};
use crate::file::source::aligned;
use crate::log::error::Error;
use crate::log::open::OpenLog;
use crate::log::walk::{Depth, PlainSource, Walker, is_in_use};
use crate::text::path_text;

/// The head of a statement that tells BEGIN and COMMIT from others, behind status variables.
const QUERY_HEAD: usize = 64 << 10;
/// What a payload says of itself before its data.
const PAYLOAD_HEAD: usize = 4 << 10;
/// So much a payload may unfold to that is looked through for tables.
const MOST_UNFOLDED: u64 = 4 << 30;
/// All of an XA_PREPARE, with its header and its checksum.
const PREPARE_HEAD: usize = header::LENGTH + xa::LONGEST_PREPARE + 4;

/// Which transactions. All that is set must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SliceOptions {
    /// Those that begin at this plain offset or behind it; an event must start there.
    pub start_position: Option<u64>,
    /// Those that end at this plain offset or before it.
    pub stop_position: Option<u64>,
    /// From the first one on whose time (seconds since 1970 UTC) is this or later. A transaction's
    /// time is that of its first event.
    pub start_time: Option<i64>,
    /// Up to the first one whose time is this or later, which is not in the slice: so two slices, up
    /// to a moment and from it on, have each transaction once.
    pub stop_time: Option<i64>,
    /// These.
    pub include_gtids: Option<GtidSelection>,
    /// All but these.
    pub exclude_gtids: Option<GtidSelection>,
    /// MariaDB's behind this position.
    pub after_gtids: Option<GtidPosition>,
    /// MariaDB's up to this position.
    pub up_to_gtids: Option<GtidPosition>,
    /// Those of these MariaDB domains, if there are any.
    pub domain_ids: BTreeSet<u32>,
    /// Those of these servers, if there are any.
    pub server_ids: BTreeSet<u32>,
    /// Those that change one of these tables, or have a statement that names one, if there are any: as a
    /// whole, with what they do to other tables. Of a statement 64 KiB are looked at.
    pub tables: Vec<TableGlob>,
}

impl SliceOptions {
    /// Whether nothing is set: the slice would be the log.
    #[must_use]
    pub fn is_whole_log(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a statement outside of transactions is wanted, as older servers log them.
    fn wants_statement(&self, server_id: u32) -> bool {
        self.server_ids.is_empty() || self.server_ids.contains(&server_id)
    }

    /// Whether a transaction of this id and server is wanted, whatever its place and time.
    fn wants(&self, id: Option<&TransactionId>, server_id: u32) -> bool {
        let is = |test: &dyn Fn(&TransactionId) -> bool| id.is_some_and(test);
        let included = |set: &GtidSelection| is(&|id| set.contains(id));
        let after = |position: &GtidPosition| is(&|id| position.is_before(id));
        let up_to = |position: &GtidPosition| is(&|id| position.includes(id));
        self.include_gtids.as_ref().is_none_or(included)
            && !self.exclude_gtids.as_ref().is_some_and(included)
            && self.after_gtids.as_ref().is_none_or(after)
            && self.up_to_gtids.as_ref().is_none_or(up_to)
            && (self.domain_ids.is_empty() || is(&|id| is_of_domain(id, &self.domain_ids)))
            && (self.server_ids.is_empty() || self.server_ids.contains(&server_id))
    }
}

/// What a slice consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlicePlan {
    /// Plain offsets of what is copied, in order; the magic and the format description event first.
    pub ranges: Vec<Range<u64>>,
    /// Transactions in it.
    pub transactions: u64,
    /// Transactions that the range of positions, or the log's end, cuts, and that were left out.
    pub incomplete: u64,
    /// Whether the time was reached at which the slice stops.
    pub is_over: bool,
    /// The halves of XA transactions in the log.
    pub(super) pairs: Pairs,
    /// The numbers of MariaDB's that are in it.
    pub(super) numbers: Numbers,
}

impl SlicePlan {
    /// Bytes in the slice.
    #[must_use]
    pub fn length(&self) -> u64 {
        let lengths = self.ranges.iter();
        lengths.fold(0, |sum, range| sum.saturating_add(range.end.saturating_sub(range.start)))
    }

    fn add(&mut self, range: Range<u64>) {
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.ranges.push(range),
        }
    }
}

/// Finds what a slice consists of, by the headers and the few bodies that tell. With a start
/// position it goes there at once, except in relay logs, whose checksums may change on the way.
///
/// # Errors
/// [`Error::Walk`] when no event starts at the start position, or the log is damaged within what is
/// read; [`Error::Transfer`].
pub fn plan(log: &OpenLog, options: &SliceOptions) -> Result<SlicePlan, Error> {
    let description = log.probe().description();
    let is_relay = description.is_some_and(FormatDescription::is_relay_log);
    let in_use = is_in_use(log, description)?;
    let mut walker = Walker::new(log, Depth::Headers);
    let mut planner = Planner {
        log,
        options,
        plan: SlicePlan::default(),
        unit: None,
        held_back: Vec::new(),
        progress: TransactionProgress::Outside,
        started: options.start_time.is_none(),
        unfolder: Unfolder::default(),
    };
    let head = walker.next_event()?.map_or(FIRST_EVENT, |event| event.end());
    planner.plan.add(0..head);
    if let Some(start) = options.start_position
        && !is_relay
        && start > FIRST_EVENT
        && start != head
    {
        planner.take_lists(&mut walker, start)?;
        walker.start_at(start)?;
        planner.progress = TransactionProgress::Unknown;
    }
    loop {
        let event = match walker.next_event() {
            Ok(Some(event)) => Headed::new(&event),
            Ok(None) => break,
            // The tail of a log in use is as if it had not been written yet.
            Err(Error::Walk { source, .. }) if in_use && source.is_cut() => break,
            Err(error) => return Err(error),
        };
        let beyond = |stop: &u64| event.view.offset >= *stop;
        if options.stop_position.as_ref().is_some_and(beyond) {
            break;
        }
        if planner.event(event, &mut walker)?.is_break() {
            planner.plan.is_over = true;
            break;
        }
    }
    planner.release(false);
    planner.plan.incomplete =
        planner.plan.incomplete.saturating_add(u64::from(planner.unit.is_some()));
    Ok(planner.plan)
}

/// An event without its body: nothing of the walker's buffer is borrowed.
#[derive(Debug, Clone, Copy)]
struct Headed {
    view: EventView<'static>,
}

impl Headed {
    const fn new(event: &EventView<'_>) -> Self {
        Self {
            view: EventView {
                offset: event.offset,
                header: event.header,
                bytes: &[],
                checksum: event.checksum,
            },
        }
    }
}

/// Whether an event changes one of these tables or names it; one inside of a payload, too. What cannot
/// be read is taken for it.
fn touches(
    log: &dyn PlainSource,
    event: &EventView<'_>,
    tables: &[TableGlob],
) -> Result<bool, Error> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if tables.is_empty() {
        return Ok(false);
    }
    match event.header.event_type {
        event_type::TABLE_MAP => Ok(TableMap::parse(event.body()).map_or(true, |map| {
            tables.iter().any(|glob| glob.fits(&text(map.database), &text(map.table)))
        })),
        event_type::QUERY | event_type::MARIADB_QUERY_COMPRESSED => {
            Ok(Query::of_at_most(event, QUERY_HEAD).is_none_or(|query| {
                let (statement, database) = (text(&query.statement), text(query.database));
                tables.iter().any(|glob| glob.is_named_in(&statement, &database))
            }))
        }
        event_type::TRANSACTION_PAYLOAD => {
            let mut is_found = false;
            let unfolding = (&mut Unfolder::default(), MOST_UNFOLDED);
            let read = inner::each(log, event, unfolding, &mut |view| {
                is_found |= touches(log, view, tables)?;
                Ok(())
            });
            match read {
                Ok(()) => Ok(is_found),
                Err(Inner::Payload(_)) => Ok(true),
                Err(Inner::Other(error)) => Err(error),
            }
        }
        _ => Ok(false),
    }
}

/// A transaction in the making.
#[derive(Debug)]
struct Unit {
    start: u64,
    id: Option<TransactionId>,
    is_wanted: bool,
    /// Whether it is left out by its own GTID, and would be wanted else.
    is_excluded: bool,
    /// Whether it has to do with one of the tables.
    touches: bool,
    /// What it is of an XA transaction.
    half: Option<XaHalf>,
}

/// Events before the slice has started.
#[derive(Debug)]
struct HeldBack {
    range: Range<u64>,
    /// See [`is_needed`].
    is_needed: bool,
}

struct Planner<'a> {
    log: &'a OpenLog,
    options: &'a SliceOptions,
    plan: SlicePlan,
    unit: Option<Unit>,
    /// Events about the log before the slice has started: they are part of it if the next
    /// transaction is.
    held_back: Vec<HeldBack>,
    progress: TransactionProgress,
    started: bool,
    unfolder: Unfolder,
}

impl Planner<'_> {
    fn event(&mut self, event: Headed, walker: &mut Walker<'_>) -> Result<ControlFlow<()>, Error> {
        let header = &event.view.header;
        let (start, end, kind) = (event.view.offset, event.view.end(), header.event_type);
        // Bodies are read of those events alone that tell where transactions begin and end.
        let is_query = matches!(kind, event_type::QUERY | event_type::MARIADB_QUERY_COMPRESSED);
        let most = match kind {
            event_type::XA_PREPARE => PREPARE_HEAD,
            _ if is_query || event_type::begins_transaction(kind) => QUERY_HEAD,
            event_type::TABLE_MAP if !self.options.tables.is_empty() => QUERY_HEAD,
            event_type::TRANSACTION_PAYLOAD => PAYLOAD_HEAD,
            _ => 0,
        };
        let length = header.byte_length().unwrap_or(header::LENGTH);
        let view = EventView {
            bytes: if most > 0 { walker.peek(start, length.min(most))? } else { &[] },
            ..event.view
        };
        let begins = event_type::begins_transaction(kind)
            || (self.progress == TransactionProgress::Outside
                && is_query
                && Query::of(&view).is_some_and(|query| query.is_begin()));
        if begins {
            if self.unit.take().is_some() {
                self.plan.incomplete = self.plan.incomplete.saturating_add(1);
            }
            if self.begin(&view).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        let before = self.progress;
        self.progress = before.after(&view);
        let touches = touches(self.log, &view, &self.options.tables)?;
        if let Some(unit) = &mut self.unit {
            unit.touches |= touches;
            let half = match kind {
                event_type::TRANSACTION_PAYLOAD if unit.is_wanted || unit.is_excluded => {
                    inner::xa_half(self.log, &view, (&mut self.unfolder, MOST_UNFOLDED))?
                }
                _ => XaHalf::of(&view),
            };
            unit.half = half.or(unit.half.take());
            if self.progress == TransactionProgress::Outside {
                self.finish(end);
            }
        } else if before == TransactionProgress::Outside || is_about_the_log(kind) {
            return Ok(self.alone(&view, touches || self.options.tables.is_empty()));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Takes the list of GTIDs at the log's head, where the slice begins behind it.
    fn take_lists(&mut self, walker: &mut Walker<'_>, start: u64) -> Result<(), Error> {
        while let Some(event) = walker.next_event()? {
            let kind = event.header.event_type;
            if event.end() > start || !has_the_logs_time(kind) {
                break;
            }
            if is_needed(kind) {
                self.plan.add(event.offset..event.end());
            }
        }
        Ok(())
    }

    fn begin(&mut self, view: &EventView<'_>) -> ControlFlow<()> {
        self.in_time(view.header.timestamp)?;
        let id = TransactionStart::parse(view).and_then(Result::ok).map(|start| start.id);
        let is_here = self.started && self.is_in_range(view.offset);
        let is_wanted = is_here && self.options.wants(id.as_ref(), view.header.server_id);
        let excluded = self.options.exclude_gtids.as_ref();
        let is_excluded = excluded.zip(id.as_ref()).is_some_and(|(set, id)| set.contains(id));
        self.unit = Some(Unit {
            start: view.offset,
            id,
            is_wanted,
            is_excluded: is_here && is_excluded,
            touches: self.options.tables.is_empty(),
            half: None,
        });
        ControlFlow::Continue(())
    }

    fn finish(&mut self, end: u64) {
        let Some(unit) = self.unit.take() else {
            return;
        };
        let is_cut = self.options.stop_position.is_some_and(|stop| end > stop);
        let is_taken = !is_cut && unit.is_wanted && unit.touches;
        if is_cut {
            self.plan.incomplete = self.plan.incomplete.saturating_add(1);
        } else if is_taken {
            self.plan.add(unit.start..end);
            self.plan.transactions = self.plan.transactions.saturating_add(1);
            unit.id.iter().for_each(|id| self.plan.numbers.note(id));
        }
        if let Some(half) = unit.half {
            let name = self.name(unit.id.as_ref(), unit.start);
            self.plan.pairs.note(half, name, is_taken);
        }
    }

    /// What a transaction is called: by its GTID, or by where it begins.
    fn name(&self, id: Option<&TransactionId>, start: u64) -> String {
        match id.filter(|id| **id != TransactionId::Anonymous) {
            Some(id) => id.to_string(),
            None => format!("{}:{start}", path_text::text(self.log.source().path())),
        }
    }

    /// An event that is part of no transaction.
    fn alone(&mut self, view: &EventView<'_>, touches: bool) -> ControlFlow<()> {
        let kind = view.header.event_type;
        let is_needed = is_needed(kind);
        let is_of_the_log = has_the_logs_time(kind) || view.header.has(flag::ARTIFICIAL);
        if !is_of_the_log {
            self.in_time(view.header.timestamp)?;
        }
        let is_wanted = is_needed
            || self.is_in_range(view.offset)
                && (is_of_the_log
                    || touches && self.options.wants_statement(view.header.server_id));
        let range = view.offset..view.end();
        if let Some(half) = XaHalf::of(view) {
            let name = self.name(None, view.offset);
            self.plan.pairs.note(half, name, self.started && is_wanted);
        }
        match self.started {
            true if is_wanted => self.plan.add(range),
            false if is_wanted && is_of_the_log => self.hold_back(range, is_needed),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn hold_back(&mut self, range: Range<u64>, is_needed: bool) {
        match self.held_back.last_mut() {
            Some(last) if last.range.end == range.start && last.is_needed == is_needed => {
                last.range.end = range.end;
            }
            _ => self.held_back.push(HeldBack { range, is_needed }),
        }
    }

    /// Takes what was held back, or what of it is needed in any case.
    fn release(&mut self, all: bool) {
        for held in std::mem::take(&mut self.held_back) {
            if all || held.is_needed {
                self.plan.add(held.range);
            }
        }
    }

    /// Notes that the start has been reached; breaks at the stop.
    fn in_time(&mut self, timestamp: u32) -> ControlFlow<()> {
        let time = i64::from(timestamp);
        if self.options.stop_time.is_some_and(|stop| time >= stop) {
            return ControlFlow::Break(());
        }
        self.started |= self.options.start_time.is_none_or(|start| time >= start);
        self.release(self.started);
        ControlFlow::Continue(())
    }

    fn is_in_range(&self, offset: u64) -> bool {
        self.options.start_position.is_none_or(|start| offset >= start)
    }
}

/// Events whose time is that of the clock where the log was begun or closed, and in a relay log the
/// replica's: of the transactions around them it says nothing.
const fn has_the_logs_time(event_type: u8) -> bool {
    is_about_the_log(event_type)
        || matches!(
            event_type,
            event_type::HEARTBEAT
                | event_type::MARIADB_BINLOG_CHECKPOINT
                | event_type::MARIADB_GTID_LIST
                | event_type::MARIADB_START_ENCRYPTION
        )
}

/// Events that a slice has whatever is before its first transaction: the format description, without which
/// what follows in a relay log could not be read, and MariaDB's list of GTIDs. By that of the first log
/// `mariadb-binlog` knows where the domains begin; those of the logs behind it would else stand for a gap.
const fn is_needed(event_type: u8) -> bool {
    matches!(event_type, event_type::FORMAT_DESCRIPTION | event_type::MARIADB_GTID_LIST)
}

/// Events that are never part of a transaction.
pub(super) const fn is_about_the_log(event_type: u8) -> bool {
    matches!(
        event_type,
        event_type::FORMAT_DESCRIPTION
            | event_type::PREVIOUS_GTIDS
            | event_type::ROTATE
            | event_type::STOP
    )
}

/// Copies ranges of plaintext one behind the other. The in-use bit of the first event is cleared.
pub(super) fn copy(
    source: &dyn PlainSource,
    ranges: &[Range<u64>],
    writer: &mut dyn Write,
    name: &Path,
    progress: &dyn Progress,
) -> Result<(), TransferError> {
    let mut view = source.plain_view();
    let mut buffer = Vec::new();
    for range in ranges {
        let mut at = range.start;
        while at < range.end {
            let left = usize::try_from(range.end.saturating_sub(at)).unwrap_or(CHUNK);
            let piece = aligned(&mut buffer, left.min(CHUNK));
            view.fill(at, piece)?;
            match at {
                0 => clear_in_use(piece),
                FIRST_EVENT => clear_in_use_of_event(piece),
                _ => {}
            }
            writer.write_all(piece).map_err(TransferError::at(name, "write"))?;
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            at = at.saturating_add(length);
            if progress.advance(length).is_break() {
                return Err(TransferError::Cancelled);
            }
        }
    }
    writer.flush().map_err(TransferError::at(name, "write"))?;
    source.check_size()
}
