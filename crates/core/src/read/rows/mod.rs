//! Which rows a log changes: one record each, from compressed transactions too, chosen by
//! transaction, table and value, and written as statements, JSON, text or CSV.

mod condition;
pub mod csv;
mod filter;
pub mod json;
mod lines;
mod lister;
mod mapped;
pub mod names;
mod network;
mod number;
mod render;
pub mod schema;
pub mod sql;
pub mod sql_maker;
pub mod turn;
pub mod undo;
pub mod xa;

use std::path::Path;

pub use super::tables::TableGlob;
pub use condition::{ConditionError, Conditions};
pub use filter::{MAX_EVENT, RowFilter};
pub use lines::RowMaker;

pub use render::key_condition;

use lines::{Piece, Work};
use lister::{Given, Lister};
use names::Names;
use xa::XaView;

use crate::event::format_description::FormatDescription;
use crate::event::gtid::TransactionId;
use crate::event::rows::reader::Row;
use crate::event::rows::table::Table;
use crate::event::rows::temporal::{Date, DateTime, Timestamp};
use crate::file::TransferError;
use crate::log::error::Error;
use crate::log::open::OpenLog;
use crate::log::walk::PlainSource;
use crate::read::events::blocks::Scanner;
use crate::read::events::parallel;
use crate::read::events::spare::Spare;
use crate::read::events::{IsStrange, Listed, Stop, of_log};

/// A change of a row, and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct RowRecord<'r> {
    /// The log.
    pub log: &'r Path,
    /// Plain offset of the row event; of an inner event, that of the payload it is in.
    pub position: u64,
    /// Where the row event starts in the unfolded payload; `None` for an event of the log itself.
    pub inner_offset: Option<u64>,
    /// Which row of its event, from 1.
    pub number: u64,
    /// The flags of its row event, see [`Rows::flags`](crate::event::rows::Rows::flags).
    pub flags: u16,
    /// Seconds since 1970 UTC.
    pub timestamp: u32,
    /// The server that wrote it first.
    pub server_id: u32,
    /// The connection that changed it, where the log tells: MySQL's always, MariaDB's do not.
    pub thread_id: Option<u32>,
    /// The transaction that it is part of.
    pub transaction: Option<&'r TransactionId>,
    /// Plain offset of the transaction's first event, or the row event's own where it is not known.
    pub transaction_start: u64,
    /// Whether the transaction was prepared (XA), and the logs do not tell how it ended.
    pub is_prepared: bool,
    /// Whether MariaDB wrote the log.
    pub is_mariadb: bool,
    /// The table.
    pub table: &'r Table,
    /// The row before and after.
    pub row: &'r Row<'r>,
}

/// A row event whose rows could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Plain offset of the event, or of the payload that it is in.
    pub position: u64,
    /// Where it starts in the unfolded payload.
    pub inner_offset: Option<u64>,
    /// The table, where it is known.
    pub table: Option<String>,
    /// Why.
    pub reason: String,
}

/// How a listing of rows ended.
#[derive(Debug, Default)]
pub struct RowsListed {
    /// How the events were read; [`Listed::listed`] is the rows that were given.
    pub events: Listed,
    /// Row events that were wanted and whose rows could not be read, or not all of them.
    pub unreadable: u64,
    /// The first of these.
    pub examples: Vec<Unreadable>,
    /// For each of [`RowFilter::tables`], whether a table of the log fits it.
    pub fitting: Vec<bool>,
    /// Tables that were wanted, up to a number: `database.table`.
    pub tables: std::collections::BTreeSet<String>,
    /// Tables that were wanted and lack a column of the conditions, up to a number.
    pub without_column: std::collections::BTreeSet<String>,
    /// Where transactions begin, up to a number, whose rows were wanted and were rolled back (XA): they
    /// are not given.
    pub rolled_back: std::collections::BTreeSet<u64>,
    /// The same of those that were prepared and of which the logs do not tell how they ended.
    pub prepared: std::collections::BTreeSet<u64>,
    /// Statements that took rows back, see [`turn`].
    pub turns: Statements,
    /// Statements that were wanted and change rows without row events: which rows, the log does not say.
    pub statements: Statements,
    /// Statements that were wanted and change tables.
    pub alterations: Statements,
    /// Rows that are no statements, as the names of their columns are not known.
    pub unnamed: u64,
}

/// How many statements of a kind there are, and where the first is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statements {
    /// How many.
    pub count: u64,
    /// Plain offset of the first; of an inner event, that of the payload it is in.
    pub first: Option<u64>,
}

impl Statements {
    fn add(&mut self, position: u64) {
        self.append(Self { count: 1, first: Some(position) });
    }

    fn append(&mut self, part: Self) {
        self.count = self.count.saturating_add(part.count);
        self.first = self.first.or(part.first);
    }
}

/// So many unreadable events are told one by one.
const MAX_EXAMPLES: usize = 8;
/// So many tables are told.
const MAX_TABLES: usize = 64;
/// So many transactions are told by their places.
const MAX_TRANSACTIONS: usize = 1 << 16;

impl RowsListed {
    pub(super) fn add(&mut self, part: Self) {
        self.events.add(&part.events);
        self.unreadable = self.unreadable.saturating_add(part.unreadable);
        self.unnamed = self.unnamed.saturating_add(part.unnamed);
        self.turns.append(part.turns);
        self.statements.append(part.statements);
        self.alterations.append(part.alterations);
        let room = MAX_EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(part.examples.into_iter().take(room));
        self.fitting.resize(self.fitting.len().max(part.fitting.len()), false);
        for (all, one) in self.fitting.iter_mut().zip(part.fitting) {
            *all |= one;
        }
        for (all, part) in
            [(&mut self.tables, part.tables), (&mut self.without_column, part.without_column)]
        {
            let room = MAX_TABLES.saturating_sub(all.len());
            all.extend(part.into_iter().take(room));
        }
        for (all, part) in
            [(&mut self.rolled_back, part.rolled_back), (&mut self.prepared, part.prepared)]
        {
            let room = MAX_TRANSACTIONS.saturating_sub(all.len());
            all.extend(part.into_iter().take(room));
        }
    }
}

/// Takes records one by one.
pub type Receiver<'a> = dyn FnMut(&RowRecord<'_>) -> Result<(), TransferError> + 'a;

/// Gives the wanted rows of a log, in order and in constant memory.
///
/// # Errors
/// [`Error::Transfer`] of the log or the receiver; [`Error::Walk`] when no event starts at the
/// filter's start position. Damage on the way is part of the outcome.
pub fn for_each(
    log: &OpenLog,
    (filter, names, ends): (&RowFilter, &dyn Names, XaView<'_>),
    receive: &mut Receiver<'_>,
) -> Result<RowsListed, Error> {
    listed(log, filter, |is_strange, rows| {
        let mut scanner = Scanner::new(log, &filter.events, is_strange)?;
        let mut lister = Lister::new(log, (filter, names, is_strange), (ends, is_mariadb(log)));
        let mut buffer = Vec::new();
        while let Some(block) = scanner.next_block(buffer)? {
            let mut take = |given: Given<'_, '_>| match given {
                Given::Row(record) => receive(record),
                Given::Turn(_) => Ok(()),
            };
            rows.add(lister.block(&block, &mut take)?);
            buffer = block.into_buffer();
        }
        rows.events.stopped = scanner.stopped().map(Stop::from);
        Ok(())
    })
}

/// A stretch of lines that belong together: a transaction, or a table's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section<'a> {
    /// By what it is told from others; the next one of the same key goes on with it.
    pub key: &'a [u8],
    /// What stands before its first line.
    pub head: &'a [u8],
}

/// Lines, and the section that begins before them, if another one does.
#[derive(Debug, Clone, Copy)]
pub struct Lines<'a> {
    /// The section; `None` where the lines go on with the last one.
    pub section: Option<Section<'a>>,
    /// The lines.
    pub text: &'a [u8],
}

/// Takes lines, in order.
pub type Writer<'a> = dyn FnMut(Lines<'_>) -> Result<(), TransferError> + 'a;

/// The same as lines, made by as many threads as the current rayon pool has: each has a
/// [`RowMaker`] of its own, and what they make is given in the order of the rows. It is the same with
/// any number of threads, but for a section that begins anew in another thread.
///
/// # Errors
/// As [`for_each`].
pub fn list_lines(
    log: &OpenLog,
    (filter, names, ends): (&RowFilter, &dyn Names, XaView<'_>),
    maker: &(dyn Fn() -> Box<dyn RowMaker> + Sync),
    write: &mut Writer<'_>,
) -> Result<RowsListed, Error> {
    listed(log, filter, |is_strange, rows| {
        let mut scanner = Scanner::new(log, &filter.events, is_strange)?;
        let spare = Spare::new(Piece::default, Piece::is_kept);
        let new_work = || {
            let lister = Lister::new(log, (filter, names, is_strange), (ends, is_mariadb(log)));
            Work::new(lister, maker(), &spare)
        };
        let mut take = |mut piece: Piece| {
            piece.each(&mut *write)?;
            piece.clear();
            spare.give(piece);
            Ok(())
        };
        parallel::run(&mut scanner, &new_work, &mut take, &mut |part| rows.add(part))?;
        rows.events.stopped = scanner.stopped().map(Stop::from);
        Ok(())
    })
}

fn listed(
    log: &OpenLog,
    filter: &RowFilter,
    list: impl FnOnce(&IsStrange<'_>, &mut RowsListed) -> Result<(), Error>,
) -> Result<RowsListed, Error> {
    let mut rows =
        RowsListed { fitting: vec![false; filter.tables.len()], ..RowsListed::default() };
    let events = of_log(log, &filter.events, |is_strange| {
        list(is_strange, &mut rows)?;
        log.check_size()?;
        Ok(std::mem::take(&mut rows.events))
    })?;
    rows.events = events;
    Ok(rows)
}

/// A moment for people: `2026-11-27 07:00:00 UTC`.
#[must_use]
pub fn time_of(seconds: u32) -> String {
    let mut text = Vec::new();
    utc(seconds).write(&mut text);
    text.extend_from_slice(b" UTC");
    String::from_utf8(text).unwrap_or_default()
}

/// A moment for programs: `2026-11-27T07:00:00Z`.
fn rfc3339(seconds: u32) -> String {
    time_of(seconds).replacen(' ', "T", 1).replace(" UTC", "Z")
}

fn utc(seconds: u32) -> DateTime {
    let timestamp = Timestamp { seconds, micros: 0, digits: 0 };
    match seconds {
        // The zero of a column is no moment, that of an event is.
        0 => DateTime { date: Date { year: 1970, month: 1, day: 1 }, ..DateTime::default() },
        _ => timestamp.utc(),
    }
}

fn is_mariadb(log: &OpenLog) -> bool {
    log.probe().description().is_some_and(FormatDescription::is_mariadb)
}
