//! What the events before an event say of it: the transaction it is part of, and the tables that
//! row events name by numbers.

use std::collections::HashMap;
use std::sync::Arc;

use super::TableName;
use super::hot_keys::KeyOf;
use crate::event::event_type;
use crate::event::gtid::{TransactionId, TransactionStart};
use crate::event::payload::Payload;
use crate::event::query::Query;
use crate::event::rows;
use crate::event::rows::measure::key_columns;
use crate::event::rows::widths::Widths;
use crate::event::table_map::TableMap;
use crate::event::transaction::Progress;
use crate::event::walker::EventView;
use crate::event::xa;

/// Tables that are remembered at once; a transaction uses a few.
const MAX_TABLES: usize = 4096;
/// Table maps that each thread keeps.
const MAX_KNOWN: usize = 256;
/// Bytes of a table's number, with which a table map begins.
const NUMBER: usize = 6;

/// What is kept of a table map.
pub(in crate::read) trait Mapped: Sized + Send + Sync {
    /// Number and table from the event that maps it; `None` when it cannot be read.
    fn read(event: &EventView<'_>) -> Option<(u64, Self)>;
}

/// A table that row events name by its number.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: Arc<TableName>,
    /// How many bytes the values of its columns take.
    pub(super) widths: Widths,
    /// The types of its columns, where nothing else is known of them.
    pub(super) types: Box<[u8]>,
    /// By which columns its rows are told apart.
    pub(super) key: Option<Arc<KeyOf>>,
}

/// The tables of a transaction and their numbers. They are a few: looking through them takes less
/// than a hash of a number would.
#[derive(Debug)]
pub(in crate::read) struct Tables<T>(Vec<(u64, Arc<T>)>);

impl<T> Default for Tables<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Clone for Tables<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Tables<T> {
    pub(in crate::read) fn get(&self, number: u64) -> Option<&T> {
        let found = self.0.iter().rev().find(|(known, _)| *known == number);
        found.map(|(_, table)| &**table)
    }

    /// The same for whoever keeps it.
    pub(in crate::read) fn share(&self, number: u64) -> Option<Arc<T>> {
        let found = self.0.iter().rev().find(|(known, _)| *known == number);
        found.map(|(_, table)| Arc::clone(table))
    }

    pub(in crate::read) fn insert(&mut self, number: u64, table: Arc<T>) {
        let known = self.0.iter_mut().rev().find(|(known, _)| *known == number);
        if let Some((_, known)) = known {
            *known = table;
            return;
        }
        if self.0.len() >= MAX_TABLES {
            self.0.clear();
        }
        self.0.push((number, table));
    }

    pub(in crate::read) fn clear(&mut self) {
        self.0.clear();
    }

    /// Each table and its number.
    pub(in crate::read) fn iter(&self) -> impl Iterator<Item = (u64, &Arc<T>)> {
        self.0.iter().map(|(number, table)| (*number, table))
    }
}

impl Mapped for Table {
    fn read(event: &EventView<'_>) -> Option<(u64, Self)> {
        parse(event.body())
    }
}

fn parse(body: &[u8]) -> Option<(u64, Table)> {
    let map = TableMap::parse(body).ok()?;
    let types = if map.columns.is_empty() { map.types.into() } else { Box::default() };
    let name = Arc::new(TableName::new(map.database, map.table));
    let key = key(body, &name);
    let table = Table { name, widths: Widths::new(&map.columns), types, key };
    Some((map.table_id, table))
}

fn key(body: &[u8], name: &Arc<TableName>) -> Option<Arc<KeyOf>> {
    let table = rows::table::Table::parse(body).ok()?;
    let of = |index: usize| Some((index, table.columns.get(index)?.clone()));
    let columns = key_columns(&table).into_iter().filter_map(of).collect();
    Some(Arc::new(KeyOf { name: Arc::clone(name), columns }))
}

/// A table map that was read already: its body, the table's number, and the table.
type KnownMap = (Box<[u8]>, u64, Arc<Table>);

/// Table maps that were read already: a server maps the same tables in every transaction, and by
/// the same bytes as long as nobody alters them.
#[derive(Debug, Default)]
pub(super) struct KnownMaps(HashMap<[u8; NUMBER], KnownMap>);

impl KnownMaps {
    /// Number and table in the body of a table map; `None` when it cannot be read.
    pub(super) fn read(&mut self, body: &[u8]) -> Option<(u64, Arc<Table>)> {
        /// A longer map is of a table with very many columns, and read anew each time.
        const LONGEST: usize = 4096;
        let key = body.first_chunk::<NUMBER>()?;
        if let Some((known, number, table)) = self.0.get(key)
            && **known == *body
        {
            return Some((*number, Arc::clone(table)));
        }
        let (number, table) = parse(body)?;
        let table = Arc::new(table);
        if body.len() <= LONGEST {
            if self.0.len() >= MAX_KNOWN {
                self.0.clear();
            }
            let known = (body.into(), number, Arc::clone(&table));
            self.0.insert(*key, known);
        }
        Some((number, table))
    }
}

/// The most that the payloads of one log may unfold to together: this, and so many times the log's
/// own length. Servers' logs unfold to a few times their length; a forged one of half a MiB could
/// keep a reader busy for as long as it likes.
const UNFOLDED_AT_LEAST: u64 = 4 << 30;
/// See [`UNFOLDED_AT_LEAST`].
const UNFOLDED_BY_LENGTH: u64 = 64;

/// What a payload may unfold to that does not say to how much it does.
const UNSAID: u64 = 512 << 20;

/// Where in a transaction an event is.
#[derive(Debug, Clone)]
pub(in crate::read) struct Context {
    /// The transaction's id, from the event that begins it.
    pub(in crate::read) transaction: Option<TransactionId>,
    /// The connection that ran it, from the last statement.
    pub(in crate::read) thread_id: Option<u32>,
    /// Plain offset of the transaction's first event.
    pub(in crate::read) start: Option<u64>,
    /// The id of the XA transaction that it is.
    pub(in crate::read) xa: Option<Arc<str>>,
    progress: Progress,
    /// Time of the transaction's first event.
    began: Option<u32>,
    /// Bytes to which the payloads that are still to come may unfold.
    may_unfold: u64,
    /// Bytes to which the payload may unfold that was entered last.
    allowed: u64,
}

impl Context {
    /// At the start of a walk: in a transaction or not, nothing has told yet.
    pub(in crate::read) const fn new(file_length: u64) -> Self {
        let by_length = file_length.saturating_mul(UNFOLDED_BY_LENGTH);
        Self {
            transaction: None,
            thread_id: None,
            start: None,
            xa: None,
            progress: Progress::Unknown,
            began: None,
            may_unfold: UNFOLDED_AT_LEAST.saturating_add(by_length),
            allowed: 0,
        }
    }

    /// Bytes to which the payload may unfold that was entered last.
    pub(in crate::read) const fn allowed(&self) -> u64 {
        self.allowed
    }

    /// Takes what a payload says that it unfolds to from what all of them may. It unfolds to no more
    /// than it says; servers always say it.
    pub(super) fn enter_payload(&mut self, event: &EventView<'_>) {
        let said = Payload::parse(event.body()).ok();
        let wanted = said.and_then(|payload| payload.uncompressed_size);
        let wanted = wanted.unwrap_or(UNSAID);
        self.allowed = if wanted <= self.may_unfold { wanted } else { 0 };
        self.may_unfold = self.may_unfold.saturating_sub(self.allowed);
    }

    /// Follows events whose payloads are entered already.
    pub(super) fn follow(&mut self, events: impl FnOnce(&mut Self)) {
        let left = self.may_unfold;
        events(self);
        self.may_unfold = left;
    }

    /// Takes the connection's number from the head of a statement, of an inner one, too.
    pub(in crate::read) fn enter_statement(&mut self, event: &EventView<'_>) {
        let kind = event.header.event_type;
        if matches!(kind, event_type::QUERY | event_type::MARIADB_QUERY_COMPRESSED) {
            let thread = event.body().first_chunk().copied();
            self.thread_id = thread.map(u32::from_le_bytes);
            if self.xa.is_none() && is_xa(event.body()) {
                let query = Query::of(event);
                let id = query.and_then(|query| xa::begun(&query.statement));
                self.xa = id.map(Arc::from);
            }
        }
    }

    /// What an event makes of it, before the event is looked at. The transaction that begins, if one
    /// does: the tables of the last one are no longer of use then.
    pub(in crate::read) fn enter(
        &mut self,
        event: &EventView<'_>,
        damaged: bool,
    ) -> Option<TransactionStart> {
        let before = self.progress;
        self.progress = before.after(event);
        let begins = event_type::begins_transaction(event.header.event_type);
        if event.header.event_type == event_type::TRANSACTION_PAYLOAD && !damaged {
            self.enter_payload(event);
        }
        // Without GTIDs it begins with BEGIN.
        let opens = before == Progress::Outside && self.progress.is_unfinished();
        if begins || opens {
            self.began = Some(event.header.timestamp);
            self.start = Some(event.offset);
            self.thread_id = None;
            self.xa = None;
        }
        if event.header.event_type == event_type::MARIADB_GTID {
            self.xa = xa::prepared_in_gtid(event.body()).map(Arc::from);
        }
        self.enter_statement(event);
        if !begins || damaged {
            return None;
        }
        let start = TransactionStart::parse(event)?.ok()?;
        self.transaction = Some(start.id.clone());
        Some(start)
    }

    /// The time by which an event is chosen: that of its transaction's first event, or its own.
    pub(in crate::read) fn time(&self, own: u32) -> u32 {
        self.began.unwrap_or(own)
    }

    /// What an event makes of it for the next one.
    pub(in crate::read) fn leave(&mut self) {
        if self.progress == Progress::Outside {
            self.transaction = None;
            self.thread_id = None;
            self.xa = None;
            self.start = None;
            self.began = None;
        }
    }
}

/// The statement in the body of its event, where that is not compressed: by a look at few bytes.
pub(in crate::read) fn statement(body: &[u8]) -> &[u8] {
    let Some((head, rest)) = body.split_first_chunk::<13>() else {
        return &[];
    };
    let [.., database, _, _, low, high] = *head;
    let before = usize::from(u16::from_le_bytes([low, high])).saturating_add(usize::from(database));
    rest.get(before.saturating_add(1)..).unwrap_or_default()
}

/// Whether the body of a statement's event is that of one about an XA transaction. MariaDB does not
/// compress such short ones.
fn is_xa(body: &[u8]) -> bool {
    statement(body).get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"XA "))
}
