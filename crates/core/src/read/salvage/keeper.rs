//! What of the whole events goes into the output, and what is told of the transactions that have
//! lost some.

use std::ops::Range;

use super::halves::{CutXa, Halves, XaFate};
use super::{Gap, MAX_NAMED, Resume, Salvaged};
use crate::event::event_type;
use crate::event::format_description::FormatDescription;
use crate::event::gtid::{TransactionId, TransactionStart};
use crate::event::gtid_set::Gtid;
use crate::event::header::{LENGTH, flag};
use crate::event::query::Query;
use crate::event::rotate::Rotate;
use crate::event::transaction::{Progress as TransactionProgress, is_part_of_transaction};
use crate::event::walker::EventView;
use crate::event::xa::XaHalf;
use crate::read::slice::is_about_the_log;

/// The first version of each family that begins every transaction with an event of its own.
const MYSQL_WITH_BEGINNINGS: [u32; 3] = [5, 7, 6];
const MARIADB_WITH_BEGINNINGS: [u32; 3] = [10, 0, 2];
/// The first version of MySQL all of whose end positions are right.
const WITH_RIGHT_POSITIONS: [u32; 3] = [5, 6, 1];
/// MariaDB's events about the log: BINLOG_CHECKPOINT, GTID_LIST, START_ENCRYPTION.
const MARIADB_ABOUT_THE_LOG: [u8; 3] = [161, 163, event_type::MARIADB_START_ENCRYPTION];
/// HEARTBEAT_V2.
const HEARTBEAT_V2: u8 = 41;

/// A piece of the output: bytes of the file, how far stream and file are apart there, and which of
/// the logs in the file they are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) log: usize,
    pub(super) file: Range<u64>,
    pub(super) shift: i64,
}

impl Piece {
    pub(super) fn length(&self) -> u64 {
        self.file.end.saturating_sub(self.file.start)
    }

    /// Whether another one follows directly, so that it could be part of this one.
    fn is_followed_by(&self, next: &Self) -> bool {
        self.log == next.log && self.shift == next.shift && self.file.end == next.file.start
    }
}

/// Where the walk is among transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Every event since the transaction's beginning is there.
    Known(TransactionProgress),
    /// Behind a gap: what comes may be the rest of a transaction whose beginning is lost.
    Lost {
        /// Whether the gap was within a transaction, which has been counted.
        within: bool,
    },
}

/// Keeps events, in order.
#[derive(Debug)]
pub(super) struct Keeper {
    whole_transactions: bool,
    pub(super) is_relay: bool,
    /// Whether each transaction begins with a GTID event of some kind.
    has_beginnings: bool,
    has_right_positions: bool,
    is_mariadb: bool,
    pub(super) pieces: Vec<Piece>,
    /// Pieces of a transaction that has not ended yet.
    pending: Vec<Piece>,
    pending_events: u64,
    state: State,
    transaction: Option<TransactionId>,
    halves: Halves,
    /// Where in the file an event stands whose transaction has lost its beginning.
    orphan: Option<u64>,
    /// The source's log that a relay log's events are of, and where in it the last transaction ends
    /// that is all there.
    source_log: Option<String>,
    source_position: Option<u64>,
    source_gtid: Option<String>,
    last_end: Option<u32>,
    pub(super) outcome: Salvaged,
}

impl Keeper {
    pub(super) fn new(whole_transactions: bool) -> Self {
        Self {
            whole_transactions,
            is_relay: false,
            has_beginnings: false,
            has_right_positions: false,
            is_mariadb: false,
            pieces: Vec::new(),
            pending: Vec::new(),
            pending_events: 0,
            state: State::Known(TransactionProgress::Outside),
            transaction: None,
            halves: Halves::default(),
            orphan: None,
            source_log: None,
            source_position: None,
            source_gtid: None,
            last_end: None,
            outcome: Salvaged::default(),
        }
    }

    /// Takes what a format description event tells of the events behind it.
    pub(super) fn describe(&mut self, description: &FormatDescription) {
        let version = version(&description.server_version);
        let is_mariadb = description.is_mariadb();
        let since = if is_mariadb { MARIADB_WITH_BEGINNINGS } else { MYSQL_WITH_BEGINNINGS };
        self.has_beginnings = version >= since;
        self.is_mariadb = is_mariadb;
        self.has_right_positions = is_mariadb || version >= WITH_RIGHT_POSITIONS;
        self.is_relay |= description.is_relay_log();
        self.last_end = None;
    }

    /// Takes a whole event.
    pub(super) fn take(&mut self, event: &EventView<'_>, piece: Piece) {
        let kind = event.header.event_type;
        self.look_at_order(event, piece.file.start);
        if kind == event_type::ROTATE && self.is_relay {
            self.rotate(event);
        }
        let begins = event_type::begins_transaction(kind);
        if begins {
            self.has_beginnings = true;
            self.begin(event);
        }
        // A log of MySQL 5.6 that has GTIDs.
        self.has_beginnings |= kind == event_type::PREVIOUS_GTIDS;
        if self.is_headless(event) {
            self.state = State::Lost { within: false };
        }
        let is_kept = match self.state {
            State::Lost { .. } if begins || self.is_true_beginning(event) => {
                self.resolve_orphan(None);
                self.halves.close_hole((None, None), event.offset);
                let progress = TransactionProgress::Outside.after(event);
                self.state = State::Known(progress);
                true
            }
            State::Lost { within } => is_neutral(event) || self.take_orphan(event, &piece, within),
            State::Known(before) => {
                if begins && before.is_unfinished() {
                    self.drop_pending();
                }
                self.state = State::Known(before.after(event));
                true
            }
        };
        if is_kept {
            self.hold(piece);
        }
        if self.whole_transactions {
            self.look_at_xa(event);
        }
        if !self.whole_transactions || !self.is_unfinished() {
            self.keep_pending();
        }
        if self.state == State::Known(TransactionProgress::Outside) && !is_neutral(event) {
            self.complete(event);
        }
    }

    /// Follows XA transactions: one may be prepared here and ended further on.
    fn look_at_xa(&mut self, event: &EventView<'_>) {
        let is_left_out = matches!(self.state, State::Lost { .. });
        match self.halves.half(event) {
            Some(XaHalf::Ended { id, is_commit }) => {
                let here = (self.gtid(), event.offset);
                let Some(cut) = self.halves.end((id, is_commit), here, is_left_out) else {
                    return;
                };
                if cut.fate != XaFate::EndLost {
                    let name = self.transaction.as_ref().map(TransactionId::to_string);
                    self.count_incomplete(name);
                    self.drop_pending();
                }
                self.cut_xa(cut);
            }
            Some(XaHalf::Prepared(id)) if is_left_out => self.halves.lose(id),
            Some(XaHalf::Prepared(id)) => self.halves.keep(id, self.gtid(), event.offset),
            Some(XaHalf::CommittedAtOnce(_)) | None => {}
        }
    }

    /// All logs are over.
    pub(super) fn conclude(&mut self) {
        for cut in self.halves.conclude() {
            self.cut_xa(cut);
        }
    }

    fn cut_xa(&mut self, cut: CutXa) {
        self.outcome.xa_count = self.outcome.xa_count.saturating_add(1);
        if self.outcome.xa.len() < MAX_NAMED {
            self.outcome.xa.push(cut);
        }
    }

    /// The GTID of the transaction that is being read, if it has one.
    fn gtid(&self) -> Option<String> {
        let id = self.transaction.as_ref().filter(|id| **id != TransactionId::Anonymous);
        id.map(TransactionId::to_string)
    }

    /// Whether an event is of a transaction whose beginning was lost before this log was made, as in
    /// what was salvaged with all that is whole. A relay log may begin within a transaction.
    fn is_headless(&self, event: &EventView<'_>) -> bool {
        let kind = event.header.event_type;
        let is_outside = self.state == State::Known(TransactionProgress::Outside);
        let has_begin = self.has_beginnings || (self.has_right_positions && is_of_rows(kind));
        let is_part = is_of_rows(kind) || is_part_of_transaction(kind);
        is_outside && !self.is_relay && has_begin && is_part
    }

    const fn is_unfinished(&self) -> bool {
        matches!(self.state, State::Known(progress) if progress.is_unfinished())
    }

    /// Names the transaction, and if one before it has lost its beginning, that one, too.
    fn begin(&mut self, event: &EventView<'_>) {
        let start = TransactionStart::parse(event).and_then(Result::ok);
        let (id, length) = start.map(|start| (start.id, start.length)).unzip();
        if let State::Lost { .. } = self.state {
            let lost = before(id.as_ref(), self.transaction.as_ref());
            self.resolve_orphan(lost);
        }
        self.halves.close_hole((self.transaction.as_ref(), id.as_ref()), event.offset);
        self.transaction = id;
        if self.is_unfinished() {
            self.halves.lose_begun();
        }
        self.halves.begin(event, length.flatten());
    }

    /// An event of a transaction whose beginning is lost; whether it is kept.
    fn take_orphan(&mut self, event: &EventView<'_>, piece: &Piece, within: bool) -> bool {
        self.orphan.get_or_insert(piece.file.start);
        let ends = TransactionProgress::Open.after(event) == TransactionProgress::Outside;
        if ends {
            self.halves.see_end();
        }
        // Where nothing but statements begin transactions, the next one does.
        if ends && !self.has_beginnings {
            if within {
                self.orphan = None;
            }
            self.resolve_orphan(None);
            self.state = State::Known(TransactionProgress::Outside);
        }
        !self.whole_transactions
    }

    /// Counts the transaction that events without a beginning were of, unless it is the one that
    /// the gap was in.
    fn resolve_orphan(&mut self, name: Option<String>) {
        let Some(offset) = self.orphan.take() else {
            return;
        };
        let within = matches!(self.state, State::Lost { within: true });
        if within && name.is_none() {
            return;
        }
        let name = name.unwrap_or_else(|| format!("without a beginning, at file offset {offset}"));
        self.count_incomplete(Some(name));
    }

    /// Whether a transaction of a log without GTID events begins here: with BEGIN, or with a
    /// statement that no transaction has within.
    fn is_true_beginning(&self, event: &EventView<'_>) -> bool {
        let kind = event.header.event_type;
        let is_query = matches!(kind, event_type::QUERY | event_type::MARIADB_QUERY_COMPRESSED);
        !self.has_beginnings
            && is_query
            && Query::of(event)
                .is_some_and(|query| query.is_begin() || commits_by_itself(&query.statement))
    }

    /// Notes a part of the file that is lost.
    pub(super) fn gap(&mut self, gap: Gap) {
        self.outcome.lost = self.outcome.lost.saturating_add(gap.length);
        // Where bytes were put in between two events, none of the log's own is lost.
        let is_loss = i128::from(gap.length).saturating_add(gap.shift.into()) > 0;
        self.outcome.gaps.push(gap);
        if self.is_relay && self.outcome.resume.is_none() {
            self.outcome.resume = Some(Resume {
                source_log: self.source_log.clone(),
                position: self.source_position,
                after_gtid: self.source_gtid.clone(),
            });
        }
        let within = match self.state {
            State::Lost { within } => within,
            State::Known(progress) => progress.is_unfinished(),
        };
        if is_loss {
            self.open_hole();
        }
        self.end_transaction();
        self.state = State::Lost { within };
    }

    fn open_hole(&mut self) {
        let is_begun = self.state == State::Known(TransactionProgress::Begun);
        let is_mariadb = matches!(self.transaction, Some(TransactionId::Mariadb { .. }));
        self.halves.open_hole(is_begun, is_mariadb);
    }

    /// What was begun and not ended stays so.
    fn end_transaction(&mut self) {
        if self.is_unfinished() {
            let name = self.transaction.as_ref().map(TransactionId::to_string);
            self.count_incomplete(name);
            self.drop_pending();
        }
        self.keep_pending();
    }

    /// The log, or one of several in a file, is over.
    pub(super) fn finish(&mut self) {
        if self.whole_transactions {
            self.end_transaction();
        }
        self.resolve_orphan(None);
        self.keep_pending();
        self.state = State::Known(TransactionProgress::Outside);
        self.last_end = None;
    }

    fn count_incomplete(&mut self, name: Option<String>) {
        self.outcome.incomplete_count = self.outcome.incomplete_count.saturating_add(1);
        if self.outcome.incomplete.len() < MAX_NAMED {
            self.outcome.incomplete.extend(name);
        }
    }

    fn hold(&mut self, piece: Piece) {
        push(&mut self.pending, piece);
        self.pending_events = self.pending_events.saturating_add(1);
    }

    fn keep_pending(&mut self) {
        let events = std::mem::take(&mut self.pending_events);
        self.outcome.written_events = self.outcome.written_events.saturating_add(events);
        for piece in self.pending.drain(..) {
            push(&mut self.pieces, piece);
        }
    }

    fn drop_pending(&mut self) {
        if self.whole_transactions {
            self.pending.clear();
            self.pending_events = 0;
            self.halves.lose_begun();
        }
    }

    /// Positions of a log only grow: an event that was written before the one that it follows has
    /// been moved, as swapped blocks are.
    fn look_at_order(&mut self, event: &EventView<'_>, file_offset: u64) {
        let header = &event.header;
        match header.event_type {
            // A server rotates its binary logs between transactions.
            event_type::ROTATE if !self.is_relay && self.is_unfinished() => self.lose_rest(),
            event_type::ROTATE | event_type::FORMAT_DESCRIPTION => self.last_end = None,
            _ if header.end_position == 0
                || header.has(flag::ARTIFICIAL)
                || header.has(flag::RELAY_LOG)
                || !self.has_right_positions => {}
            _ => {
                let end = header.end_position;
                // 32 bits, which wrap.
                let is_back = |last: u32| end.wrapping_sub(last).cast_signed() < 0;
                let start = end.wrapping_sub(header.length);
                if self.last_end.is_some_and(is_back) {
                    self.outcome.out_of_order = self.outcome.out_of_order.saturating_add(1);
                    self.outcome.first_out_of_order.get_or_insert(file_offset);
                } else if self.is_unfinished()
                    && self.last_end.is_some_and(|last| self.lacks(start, last, header.event_type))
                {
                    self.lose_rest();
                }
                self.last_end = Some(end);
            }
        }
    }

    /// Whether events are missing between one that ends at `last` and one that begins at `start`, by
    /// the positions of their server. In a relay log these are the source's: a checksum that was added
    /// or left out on the way takes 4 bytes, and MariaDB's ANNOTATE_ROWS need not be sent.
    fn lacks(&self, start: u32, last: u32, kind: u8) -> bool {
        if !self.is_relay {
            return last != start;
        }
        let smallest = i32::try_from(LENGTH).unwrap_or(i32::MAX);
        let may_follow_annotation = self.is_mariadb && kind == event_type::TABLE_MAP;
        start.wrapping_sub(last).cast_signed() >= smallest && !may_follow_annotation
    }

    /// Events of the transaction were lost before this log was made.
    fn lose_rest(&mut self) {
        self.open_hole();
        self.end_transaction();
        self.state = State::Lost { within: true };
    }

    fn rotate(&mut self, event: &EventView<'_>) {
        let Ok(rotate) = Rotate::parse(event.body()) else {
            return;
        };
        let name = String::from_utf8_lossy(rotate.next_log).into_owned();
        self.source_log = Some(name);
        self.source_position = Some(rotate.position);
    }

    /// A transaction of a relay log is all there.
    fn complete(&mut self, event: &EventView<'_>) {
        if !self.is_relay || event.header.has(flag::RELAY_LOG) || event.header.end_position == 0 {
            return;
        }
        self.source_position = Some(u64::from(event.header.end_position));
        self.source_gtid = match &self.transaction {
            Some(id) if *id != TransactionId::Anonymous => Some(id.to_string()),
            _ => None,
        };
    }
}

/// Puts a piece behind others.
fn push(pieces: &mut Vec<Piece>, piece: Piece) {
    match pieces.last_mut() {
        Some(last) if last.is_followed_by(&piece) => last.file.end = piece.file.end,
        _ => pieces.push(piece),
    }
}

/// Whether events of a type stand behind a BEGIN, whatever begins transactions otherwise.
const fn is_of_rows(event_type: u8) -> bool {
    event_type::is_rows(event_type) || matches!(event_type, event_type::TABLE_MAP | event_type::XID)
}

/// Whether an event is no part of any transaction.
fn is_neutral(event: &EventView<'_>) -> bool {
    let kind = event.header.event_type;
    is_about_the_log(kind)
        || MARIADB_ABOUT_THE_LOG.contains(&kind)
        || matches!(kind, event_type::INCIDENT | event_type::HEARTBEAT | HEARTBEAT_V2)
        || event_type::known_name(kind).is_none()
}

/// The name of the transaction directly before one, if it is not the last that was seen.
fn before(next: Option<&TransactionId>, last: Option<&TransactionId>) -> Option<String> {
    match (next?, last?) {
        (TransactionId::Gtid(next), TransactionId::Gtid(last)) if next.tsid == last.tsid => {
            let number = next.number.checked_sub(1)?;
            let tsid = next.tsid.clone();
            (number > last.number).then(|| Gtid { tsid, number }.to_string())
        }
        (
            TransactionId::Mariadb { domain, server_id, sequence },
            TransactionId::Mariadb { domain: last_domain, sequence: last_sequence, .. },
        ) if domain == last_domain => {
            let sequence = sequence.checked_sub(1)?;
            let id = TransactionId::Mariadb { domain: *domain, server_id: *server_id, sequence };
            (sequence > *last_sequence).then(|| id.to_string())
        }
        _ => None,
    }
}

/// Whether a statement ends any transaction before it, so that it is one by itself.
fn commits_by_itself(statement: &[u8]) -> bool {
    const WORDS: [&str; 9] =
        ["CREATE", "ALTER", "DROP", "TRUNCATE", "RENAME", "GRANT", "REVOKE", "ANALYZE", "OPTIMIZE"];
    let text = statement.get(..64.min(statement.len())).unwrap_or_default();
    let text = String::from_utf8_lossy(text).to_ascii_uppercase();
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    // Tables of one connection come and go within transactions.
    WORDS.contains(&first) && words.next() != Some("TEMPORARY")
}

/// The three numbers of a server's version.
fn version(text: &str) -> [u32; 3] {
    let mut numbers =
        text.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    [next(), next(), next()]
}
