//! The tables of a log at each of its positions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::follow::{Change, ChangeKind};
use super::table::same;
use super::types::DataType;
use super::{Entry, Key, Schema, SchemaColumn, key};
use crate::event::event_type;
use crate::event::query::Query;
use crate::event::rows::charset::Charset;
use crate::event::rows::kind::Kind;
use crate::event::rows::table::{Column, Meaning, Table};
use crate::event::walker::EventView;
use crate::log::error::Error;
use crate::log::walk::{Depth, PlainSource, Walker};
use crate::read::rows::names::{Names, NamesError, Place};

/// How many things are told at most.
const MAX_NOTES: usize = 1000;
/// Changes of one log that are kept; with more, tables become unknown.
const MAX_VERSIONS: usize = 1 << 20;

/// Where in the logs a statement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Which log, in the order in which they were scanned.
    pub log: usize,
    /// Plain offset of the event.
    pub position: u64,
}

/// The last statement that changes a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastChange {
    /// Where it stands.
    pub at: Moment,
    /// What it does.
    pub kind: ChangeKind,
}

/// A schema, and what the statements of the logs make of it. Logs are scanned one by one, in their
/// order; the tables of the one that was scanned last can be asked for at each position.
#[derive(Debug, Default)]
pub struct History {
    /// As the tables are at the end of the log.
    schema: Schema,
    log: PathBuf,
    logs: usize,
    /// What changes within the log: from each position on. What a table was at the log's start
    /// stands under position 0.
    versions: BTreeMap<Key, Vec<(u64, Option<Entry>)>>,
    count: usize,
    last: BTreeMap<(String, Option<String>), LastChange>,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    told: BTreeSet<String>,
    new: Vec<String>,
}

impl History {
    /// From a schema as it is at the start of the first log.
    #[must_use]
    pub fn new(schema: Schema) -> Self {
        Self { schema, ..Self::default() }
    }

    /// Reads the statements of the next log.
    ///
    /// # Errors
    /// [`Error::Transfer`]. A log that is damaged is read up to there.
    pub fn scan(&mut self, log: &dyn PlainSource) -> Result<(), Error> {
        self.begin(log.path());
        let mut walker = Walker::new(log, Depth::Whole);
        loop {
            match walker.next_event() {
                Ok(Some(event)) => {
                    self.event(&event);
                }
                Ok(None) | Err(Error::Walk { .. }) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Goes on to the next log: what is known holds at its start.
    pub fn begin(&mut self, log: &Path) {
        log.clone_into(&mut self.log);
        self.logs = self.logs.saturating_add(1);
        self.versions.clear();
        self.count = 0;
    }

    /// Takes an event of the log, if it is a statement. Returns whether that changes rows by itself
    /// (INSERT, UPDATE, DELETE, CALL …), without row events.
    pub fn event(&mut self, event: &EventView<'_>) -> bool {
        let is_query = matches!(
            event.header.event_type,
            event_type::QUERY | event_type::MARIADB_QUERY_COMPRESSED
        );
        if !is_query || event.is_whole() && event.verify_checksum().is_err() {
            return false;
        }
        // Most are BEGIN.
        if Query::of(event).is_none_or(|query| query.is_inside_transaction() || query.is_end()) {
            return false;
        }
        let followed = self.schema.follow(event);
        let position = event.offset;
        for note in followed.notes {
            self.note(format!("{}, position {position}: {note}", self.log.display()));
        }
        for (key, before) in std::mem::take(&mut self.schema.touched) {
            self.remember(key, before, position);
        }
        for change in followed.changes {
            self.remember_change(change, position);
        }
        followed.changes_rows
    }

    fn remember(&mut self, key: Key, before: Option<Entry>, position: u64) {
        self.count = self.count.saturating_add(1);
        if self.count > MAX_VERSIONS {
            return;
        }
        let now = self.schema.tables.get(&key).cloned();
        let versions = self.versions.entry(key).or_insert_with(|| vec![(0, before)]);
        versions.push((position, now));
    }

    fn remember_change(&mut self, change: Change, position: u64) {
        if !change.kind.concerns_rows() || self.last.len() >= MAX_VERSIONS {
            return;
        }
        let at = Moment { log: self.logs.saturating_sub(1), position };
        let kind = change.kind;
        self.last.insert((change.database, change.table), LastChange { at, kind });
    }

    /// The last statement of the logs that changes a table or drops its database.
    #[must_use]
    pub fn last_change(&self, database: &str, table: &str) -> Option<LastChange> {
        let of = |table: Option<&str>| {
            self.last.get(&(database.to_owned(), table.map(str::to_owned))).copied()
        };
        let all = [of(Some(table)), of(None)];
        all.into_iter().flatten().max_by_key(|change| change.at)
    }

    /// The tables as they are at the end of the log that was scanned last.
    #[must_use]
    pub const fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What is to be told since the last time that this was asked.
    pub fn take_notes(&self) -> Vec<String> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut notes.new)
    }

    /// Tells something, once.
    fn note(&self, text: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.told.len() < MAX_NOTES && notes.told.insert(text.clone()) {
            notes.new.push(text);
        }
    }

    /// What is known of a table at a position.
    fn at(&self, database: &str, table: &str, position: u64) -> Option<&Entry> {
        if self.count > MAX_VERSIONS {
            return None;
        }
        let exact = key(Some(database), table);
        let of_key = |key: &Key| match self.versions.get(key) {
            Some(versions) => {
                let after = versions.partition_point(|(from, _)| *from <= position);
                let version = versions.get(after.checked_sub(1)?)?;
                version.1.as_ref()
            }
            None => self.schema.tables.get(key),
        };
        of_key(&exact).or_else(|| of_key(&(None, Arc::clone(&exact.1))))
    }
}

impl Names for History {
    fn improve(&self, place: Place<'_>, mut table: Table) -> Result<Table, NamesError> {
        let (Ok(database), Ok(name)) =
            (str::from_utf8(&table.database), str::from_utf8(&table.name))
        else {
            return Ok(table);
        };
        if place.log != self.log {
            return Ok(table);
        }
        let Some(Entry::Known { table: known, .. }) = self.at(database, name, place.position)
        else {
            return Ok(table);
        };
        let misfit = misfit(known, &table);
        if let Some(misfit) = misfit {
            let names = if table.has_names() {
                "the names in the log are used"
            } else {
                "its columns are @1, @2 … here"
            };
            self.note(format!(
                "{}, position {}: table {database}.{name} is not as the schema says: {misfit}; {names}",
                place.log.display(),
                place.position,
            ));
            return Ok(table);
        }
        for (column, schema) in table.columns.iter_mut().zip(&known.columns) {
            improve_column(column, schema);
        }
        table.primary_key = known.primary_key_positions();
        let is_version =
            |column: &SchemaColumn| column.generated == Some(super::Generated::RowVersion);
        table.is_versioned = known.columns.iter().any(is_version);
        Ok(table)
    }
}

/// Why a table as it is known is not the one of a table map, whose own names count.
fn misfit(known: &super::Table, table: &Table) -> Option<String> {
    let logged: Vec<_> = table.columns.iter().map(|column| column.logged).collect();
    let mut nulls = vec![0_u8; table.columns.len().div_ceil(8)];
    for (index, column) in table.columns.iter().enumerate() {
        if let (Some(byte), true) = (nulls.get_mut(index / 8), column.nullable) {
            *byte |= 1 << (index % 8);
        }
    }
    if let Err(misfit) = known.fits(&logged, &nulls) {
        return Some(misfit.to_string());
    }
    let mut both = known.columns.iter().zip(&table.columns).enumerate();
    both.find_map(|(index, (schema, column))| {
        let logged = column.name.as_deref()?;
        let logged = String::from_utf8_lossy(logged);
        (!same(&schema.name, &logged)).then(|| {
            let number = index.saturating_add(1);
            format!("column {number} is `{}` in the schema, and `{logged}` in the log", schema.name)
        })
    })
}

fn improve_column(column: &mut Column, schema: &SchemaColumn) {
    if column.name.is_none() {
        column.name = Some(Arc::from(schema.name.as_bytes()));
    }
    column.unsigned.get_or_insert(schema.unsigned);
    column.visible.get_or_insert(!schema.invisible);
    column.generated = schema.generated.is_some();
    let is_text = matches!(
        schema.data_type,
        DataType::Char { .. }
            | DataType::VarChar { .. }
            | DataType::Text { .. }
            | DataType::Enum { .. }
            | DataType::Set { .. }
    );
    if column.charset == Charset::Unknown && is_text {
        column.charset = match (&schema.charset, schema.is_binary) {
            (_, true) => Charset::Binary,
            (Some(name), false) => Charset::of_name(name),
            (None, false) => Charset::Unknown,
        };
    }
    if let (DataType::Enum { members } | DataType::Set { members }, true) =
        (&schema.data_type, column.members.is_empty())
        && (column.charset.is_utf8() || members.iter().all(|member| member.is_ascii()))
    {
        let bytes = members.iter().map(|member| Box::from(member.as_bytes()));
        column.members = bytes.collect();
    }
    column.meaning = match schema.data_type {
        DataType::Uuid => Some(Meaning::Uuid),
        DataType::Inet4 => Some(Meaning::Inet4),
        DataType::Inet6 => Some(Meaning::Inet6),
        DataType::Vector { .. } => Some(Meaning::Vector),
        _ => column.meaning,
    };
    // MariaDB's form of fractions before `mysql56_temporal_format`: the table map has the old type.
    column.kind = match (column.kind, &schema.data_type) {
        (Kind::OldTime, DataType::Time { fraction: digits @ 1.. }) => {
            Kind::HiresTime { digits: *digits }
        }
        (Kind::OldDateTime, DataType::DateTime { fraction: digits @ 1.. }) => {
            Kind::HiresDateTime { digits: *digits }
        }
        (Kind::OldTimestamp, DataType::Timestamp { fraction: digits @ 1.. }) => {
            Kind::HiresTimestamp { digits: *digits }
        }
        (kind, _) => kind,
    };
}
