//! Statements that take changes of rows back: those of the last transaction first, of each
//! transaction the last row first.
//!
//! Two passes: [`Plan::add`] goes through each log, finds out what cannot be taken back, and puts
//! aside where the chosen rows are; [`Plan::write`] reads them again from there, in reverse order.
//! Nothing of a row is kept in between, so that memory does not grow with the logs.

mod read;
mod spool;
mod statement;
mod survey;
mod write;

pub use statement::{Direction, NoUndo};
pub use write::{Reopen, Written};

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use spool::{Run, Spool};
use survey::Survey;

use super::schema::{History, LastChange, Moment, Reaction};
use super::sql::Dialect;
use super::xa::XaView;
use super::{RowFilter, RowRecord, RowsListed, for_each};
use crate::event::rows::op::Op;
use crate::event::rows::table::Table;
use crate::file::TransferError;
use crate::log::error::Error;
use crate::log::open::OpenLog;

/// Refusals that are told one by one.
const MAX_REFUSALS: usize = 20;
/// Sequences that are told.
const MAX_TOLD_SEQUENCES: usize = 100;
/// Tables in all of their forms; with more nothing is undone.
const MAX_TABLES: usize = 1 << 16;

/// Why rows of an XA transaction without an end are not taken back.
const PREPARED: &str = "the transaction was prepared (XA), and these logs do not tell whether it was committed: \
     name those behind them, too, or leave it out by --exclude-gtid";

/// What becomes of a row that is not as the log says any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Check {
    /// It stays as it is, and the server tells of it; others are taken back.
    #[default]
    Rows,
    /// The same, and none of its transaction's rows is taken back.
    Transactions,
    /// It is overwritten: rows are found by their keys alone.
    Off,
}

/// What is to be written.
#[derive(Debug, Clone, Default)]
pub struct UndoOptions {
    /// The rows.
    pub filter: RowFilter,
    /// What becomes of those that are not as the log says any more.
    pub check: Check,
    /// Back, or forward once more.
    pub direction: Direction,
}

/// Why what was chosen cannot be taken back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: position {position}: {reason}", log.display())]
pub struct Refusal {
    /// Which log.
    pub log: PathBuf,
    /// Plain offset of the event.
    pub position: u64,
    /// Why, and what to do.
    pub reason: String,
}

/// A log of the plan.
#[derive(Debug)]
struct PlannedLog {
    path: PathBuf,
    is_mariadb: bool,
    /// Bytes in its events' headers.
    header_length: u8,
}

/// What is known of a table's chosen rows.
#[derive(Debug, Clone)]
struct Touched {
    /// Where the first one is.
    first: Moment,
    last: Moment,
    updates: bool,
    deletes: bool,
    inserts: bool,
}

/// What was chosen, and where it is.
#[derive(Debug, Default)]
pub struct Plan {
    options: UndoOptions,
    logs: Vec<PlannedLog>,
    tables: Vec<Arc<Table>>,
    /// Where in `tables` those of a name are, the last one last.
    named: HashMap<(Vec<u8>, Vec<u8>), Vec<u32>>,
    touched: BTreeMap<(String, String), Touched>,
    spool: Spool,
    open: Option<Run>,
    refusals: Vec<Refusal>,
    refused: u64,
    rows: u64,
    transactions: u64,
    last_transaction: Option<(u32, u64)>,
    /// Transactions with rows whose foreign keys the server did not check: those of cascades.
    cascades: Vec<(u32, u64)>,
    notes: Vec<String>,
}

impl Plan {
    /// For logs that are to be added in their order.
    #[must_use]
    pub fn new(options: UndoOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Rows that were chosen.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Transactions that they are of.
    #[must_use]
    pub const fn transactions(&self) -> u64 {
        self.transactions
    }

    /// Goes through a log: the next one in order.
    ///
    /// # Errors
    /// [`Error`]. What cannot be taken back is a [`Refusal`], damage is part of the outcome.
    pub fn add(
        &mut self,
        log: &OpenLog,
        history: &mut History,
        ends: XaView<'_>,
    ) -> Result<RowsListed, Error> {
        let description = log.probe().description();
        self.logs.push(PlannedLog {
            path: log.source().path().to_owned(),
            is_mariadb: description
                .is_some_and(crate::event::format_description::FormatDescription::is_mariadb),
            header_length: description
                .map_or(crate::event::header::USUAL_LENGTH, |it| it.header_length),
        });
        let number = u32::try_from(self.logs.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let survey = Survey::make(log, &self.options.filter, history)?;
        if self.options.direction == Direction::Undo {
            for (position, reason) in &survey.statements {
                self.refuse(log, *position, reason);
            }
        }
        let filter = self.options.filter.clone();
        let listed = for_each(log, (&filter, history, ends), &mut |record| {
            self.row(log, number, record, &survey)
        })?;
        self.close()?;
        for example in &listed.examples {
            self.refuse(log, example.position, &example.reason);
        }
        self.tell_cascades(log, history);
        Ok(listed)
    }

    /// What cannot be taken back, once all logs are added: the first ones, and how many there are.
    pub fn refusals(&mut self, history: &History) -> (&[Refusal], u64) {
        if self.options.direction == Direction::Undo {
            self.refuse_changed_tables(history);
        }
        (&self.refusals, self.refused)
    }

    /// What must be told, and is no reason to refuse. It stands in the script, too.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    fn refuse(&mut self, log: &OpenLog, position: u64, reason: &str) {
        let path = log.source().path().to_owned();
        self.refuse_at(Refusal { log: path, position, reason: reason.to_owned() });
    }

    fn refuse_at(&mut self, refusal: Refusal) {
        self.refused = self.refused.saturating_add(1);
        if self.refusals.len() < MAX_REFUSALS {
            self.refusals.push(refusal);
        }
    }

    /// Takes a chosen row.
    fn row(
        &mut self,
        log: &OpenLog,
        number: u32,
        record: &RowRecord<'_>,
        survey: &Survey,
    ) -> Result<(), TransferError> {
        if record.is_mariadb && record.table.is_sequence() {
            self.tell_sequence(record.table);
            return Ok(());
        }
        let dialect = Dialect { is_mariadb: record.is_mariadb };
        let can_be_undone = statement::check(record.table, record.row, dialect);
        if let (Err(error), Direction::Undo) = (can_be_undone, self.options.direction) {
            let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
            let (database, table) = (text(&record.table.database), text(&record.table.name));
            self.refuse(
                log,
                record.position,
                &format!("{database}.{table}, row {}: {error}", record.number),
            );
            return Ok(());
        }
        let prepared = record.is_prepared.then_some(PREPARED);
        if let Some(reason) = prepared.or_else(|| survey.why_not(record.position)) {
            self.refuse(log, record.position, reason);
            return Ok(());
        }
        self.rows = self.rows.saturating_add(1);
        let of = (number, record.transaction_start);
        if self.last_transaction.replace(of) != Some(of) {
            self.transactions = self.transactions.saturating_add(1);
        }
        const WITHOUT_FOREIGN_KEYS: u16 = 2;
        if record.flags & WITHOUT_FOREIGN_KEYS != 0 && self.cascades.last() != Some(&of) {
            self.cascades.push(of);
        }
        let row = u32::try_from(record.number).unwrap_or(u32::MAX);
        if let Some(run) = &mut self.open
            && (run.log, run.position, run.inner_offset)
                == (number, record.position, record.inner_offset)
            && run.first.saturating_add(run.count) == row
        {
            run.count = run.count.saturating_add(1);
            return Ok(());
        }
        self.touch(number, record);
        self.close()?;
        let Some(table) = self.intern(record.table) else {
            self.refuse(
                log,
                record.position,
                "these are more tables than can be undone at once; choose some with --table",
            );
            return Ok(());
        };
        self.open = Some(Run {
            position: record.position,
            inner_offset: record.inner_offset,
            transaction: record.transaction_start,
            log: number,
            table,
            first: row,
            count: 1,
        });
        Ok(())
    }

    fn tell_sequence(&mut self, table: &Table) {
        let note = format!(
            "{}.{} is a sequence: what was drawn from it is neither taken back nor drawn again",
            String::from_utf8_lossy(&table.database),
            String::from_utf8_lossy(&table.name)
        );
        if !self.notes.contains(&note) && self.notes.len() < MAX_TOLD_SEQUENCES {
            self.notes.push(note);
        }
    }

    /// Puts the last run aside.
    fn close(&mut self) -> Result<(), TransferError> {
        match self.open.take() {
            Some(run) => self.spool.push(run).map_err(not_put_aside),
            None => Ok(()),
        }
    }

    /// The number of a table in this form.
    fn intern(&mut self, table: &Table) -> Option<u32> {
        let is_same = |known: &Table| {
            known.columns == table.columns && known.primary_key == table.primary_key
        };
        let name = (table.database.clone(), table.name.clone());
        let numbers = self.named.entry(name).or_default();
        let known = numbers.iter().rev().find(|&&number| {
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            self.tables.get(index).is_some_and(|known| is_same(known))
        });
        if let Some(number) = known {
            return Some(*number);
        }
        let number = u32::try_from(self.tables.len()).ok()?;
        if self.tables.len() >= MAX_TABLES {
            return None;
        }
        numbers.push(number);
        self.tables.push(Arc::new(table.clone()));
        Some(number)
    }

    fn touch(&mut self, number: u32, record: &RowRecord<'_>) {
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let at = Moment {
            log: usize::try_from(number).unwrap_or(usize::MAX),
            position: record.position,
        };
        let name = (text(&record.table.database), text(&record.table.name));
        let touched = self.touched.entry(name).or_insert(Touched {
            first: at,
            last: at,
            updates: false,
            deletes: false,
            inserts: false,
        });
        touched.last = at;
        touched.updates |= record.row.op == Op::Update;
        touched.deletes |= record.row.op == Op::Delete;
        touched.inserts |= record.row.op == Op::Insert;
    }

    /// Rows from before a statement that changes their table do not fit it any more.
    fn refuse_changed_tables(&mut self, history: &History) {
        let mut refused = Vec::new();
        for ((database, table), touched) in &self.touched {
            let Some(LastChange { at, kind }) = history.last_change(database, table) else {
                continue;
            };
            if at > touched.first {
                let path =
                    |log: usize| self.logs.get(log).map(|log| log.path.clone()).unwrap_or_default();
                refused.push(Refusal {
                    log: path(at.log),
                    position: at.position,
                    reason: format!(
                        "{} of {database}.{table} stands behind changes of its rows that were chosen (the first at \
                         position {} of {}): they cannot be put back into another table. Choose those behind it, or \
                         leave the table out",
                        kind.name(),
                        touched.first.position,
                        path(touched.first.log).display(),
                    ),
                });
            }
        }
        for refusal in refused {
            self.refuse_at(refusal);
        }
        self.touched.clear();
    }

    /// Tells of rows that the server changed without an event, and of triggers that will fire.
    fn tell_cascades(&mut self, log: &OpenLog, history: &History) {
        // From 9.6 on MySQL logs what foreign keys do.
        let version =
            log.probe().description().map(|it| it.server_version.clone()).unwrap_or_default();
        let mut numbers = version.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let is_mariadb = log
            .probe()
            .description()
            .is_some_and(crate::event::format_description::FormatDescription::is_mariadb);
        let logs_cascades = !is_mariadb && version >= (9, 6);
        let schema = history.schema();
        for ((database, table), touched) in &self.touched {
            for (child_database, child, key) in schema.referring_to(database, table) {
                let acts = |reaction| reaction != Reaction::Refuse;
                let is_meant = touched.deletes && acts(key.on_delete)
                    || touched.updates && acts(key.on_update);
                let note = format!(
                    "{child_database}.{child} refers to {database}.{table} by a foreign key that deletes or changes its \
                     rows with those: such changes are not in the log, and are not taken back"
                );
                if is_meant && !logs_cascades && !self.notes.contains(&note) {
                    self.notes.push(note);
                }
            }
            let super::schema::Found::Known(known) =
                schema.find(database.as_bytes(), table.as_bytes())
            else {
                continue;
            };
            for trigger in &known.triggers {
                let note = format!(
                    "{database}.{table} has the trigger {} (on {}): it fires for these statements, too, and what it did \
                     at first is in the log as changes of its own",
                    trigger.name, trigger.event
                );
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
            }
        }
    }
}

fn not_put_aside(source: std::io::Error) -> TransferError {
    TransferError::File {
        path: std::env::temp_dir(),
        operation: "put the places of rows aside in",
        source,
    }
}
