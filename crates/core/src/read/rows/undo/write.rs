//! The second pass: from places of rows to statements.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use super::super::sql::{self, Dialect};
use super::read::{EventReader, Tail};
use super::spool::{Order, Run, Runs};
use super::statement::{self, Direction};
use super::{Check, Plan, not_put_aside};
use crate::event::event_type;
use crate::event::gtid::TransactionStart;
use crate::event::payload::{MAX_UNCOMPRESSED, Unfolder};
use crate::event::rows::Rows;
use crate::event::rows::op::Op;
use crate::event::rows::reader::{Row, RowReader};
use crate::event::rows::table::Table;
use crate::event::walker::{EventView, WalkError};
use crate::file::TransferError;
use crate::log::error::Error;
use crate::log::open::OpenLog;
use crate::read::events::inner::{self, Inner};
use crate::read::rows::time_of;

/// Runs of one payload that are worked on at once.
const MAX_OF_PAYLOAD: usize = 1 << 16;

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Statements, one a row.
    pub rows: u64,
    /// Transactions.
    pub transactions: u64,
}

/// Opens a log of the plan once more.
pub type Reopen<'a> = dyn FnMut(&Path) -> Result<OpenLog, Error> + 'a;

impl Plan {
    /// Writes the statements, after [`Plan::refusals`] had none.
    ///
    /// # Errors
    /// [`Error`] of the logs, or of what is written to, which `name` stands for.
    pub fn write(
        mut self,
        open: &mut Reopen<'_>,
        (out, name): (&mut dyn Write, &Path),
    ) -> Result<Written, Error> {
        let order = match self.options.direction {
            Direction::Undo => Order::Backward,
            Direction::Redo => Order::Forward,
        };
        let spool = std::mem::take(&mut self.spool);
        let mut writer = Writer {
            plan: &self,
            out,
            name,
            is_backward: order == Order::Backward,
            transaction: None,
            written: Written::default(),
            unfolder: Unfolder::default(),
            tail: Tail::default(),
        };
        writer.head()?;
        let mut runs = spool.take(order);
        let mut next = runs.next_run().map_err(not_put_aside)?;
        while let Some(run) = next {
            let index = usize::try_from(run.log).unwrap_or(usize::MAX);
            let Some(planned) = self.logs.get(index) else {
                break;
            };
            let log = open(&planned.path)?;
            next = writer.log(&log, run, &mut runs)?;
        }
        writer.end_transaction()?;
        writer.out.flush().map_err(TransferError::at(name, "write"))?;
        Ok(writer.written)
    }
}

struct Writer<'p, 'o> {
    plan: &'p Plan,
    out: &'o mut dyn Write,
    name: &'p Path,
    is_backward: bool,
    /// The one that was begun: its log, and where it begins there.
    transaction: Option<(u32, u64)>,
    written: Written,
    unfolder: Unfolder,
    tail: Tail,
}

impl Writer<'_, '_> {
    fn put(&mut self, text: &[u8]) -> Result<(), Error> {
        let written = self.out.write_all(text);
        written.map_err(TransferError::at(self.name, "write"))?;
        Ok(())
    }

    fn head(&mut self) -> Result<(), Error> {
        let mut text = Vec::new();
        let what = if self.is_backward { "take back" } else { "make once more" };
        let (rows, transactions) = (self.plan.rows, self.plan.transactions);
        let plural = if transactions == 1 { "" } else { "s" };
        let what = format!(
            "Statements that {what} {rows} changes of rows, of {transactions} transaction{plural}."
        );
        statement::comment(&mut text, &what);
        let check = match self.plan.options.check {
            Check::Rows => {
                "A row that is not as the log says any more is left as it is, and told of."
            }
            Check::Transactions => {
                "A transaction with a row that is not as the log says any more is rolled back, and told of."
            }
            Check::Off => {
                "Rows are found by their keys alone: what was changed since is overwritten."
            }
        };
        statement::comment(&mut text, check);
        for note in &self.plan.notes {
            statement::comment(&mut text, &format!("NOTE: {note}"));
        }
        text.extend_from_slice(sql::PRELUDE.as_bytes());
        self.put(&text)
    }

    /// All runs of one log; returns the first of another one.
    fn log(&mut self, log: &OpenLog, first: Run, runs: &mut Runs) -> Result<Option<Run>, Error> {
        let index = usize::try_from(first.log).unwrap_or(usize::MAX);
        let header_length = self.plan.logs.get(index).map_or(19, |log| log.header_length);
        let mut reader = EventReader::new(log, header_length);
        let mut next = Some(first);
        while let Some(run) = next {
            if run.log != first.log {
                return Ok(Some(run));
            }
            self.begin_transaction(&mut reader, &run)?;
            next = if run.inner_offset.is_some() {
                self.payload(log, &mut reader, run, runs)?
            } else {
                self.event(&mut reader, &run)?;
                runs.next_run().map_err(not_put_aside)?
            };
        }
        Ok(None)
    }

    fn begin_transaction(&mut self, reader: &mut EventReader<'_>, run: &Run) -> Result<(), Error> {
        let this = (run.log, run.transaction);
        if self.transaction == Some(this) {
            return Ok(());
        }
        self.end_transaction()?;
        self.transaction = Some(this);
        self.written.transactions = self.written.transactions.saturating_add(1);
        let index = usize::try_from(run.log).unwrap_or(usize::MAX);
        let planned = self.plan.logs.get(index);
        let path = planned.map(|log| log.path.display().to_string()).unwrap_or_default();
        let event = reader.event(run.transaction)?;
        let id = TransactionStart::parse(&event).and_then(Result::ok).map(|start| start.id);
        let id = id.map_or_else(String::new, |id| format!("{id}, "));
        let time = time_of(event.header.timestamp);
        let mut text = b"\n".to_vec();
        statement::comment(&mut text, &format!("{path}, position {}, {id}{time}", run.transaction));
        text.extend_from_slice(b"BEGIN;\n");
        // The server logged what foreign keys did as changes of its own: they are taken back one by
        // one, and must not happen once more.
        if self.plan.cascades.binary_search(&this).is_ok() {
            text.extend_from_slice(b"SET SESSION foreign_key_checks = 0;\n");
        }
        if self.plan.options.check == Check::Transactions {
            text.extend_from_slice(b"SET @binlogsec_missed = 0;\n");
        }
        self.put(&text)
    }

    fn end_transaction(&mut self) -> Result<(), Error> {
        let Some(this) = self.transaction.take() else {
            return Ok(());
        };
        let mut text = Vec::new();
        if self.plan.options.check == Check::Transactions {
            text.extend_from_slice(
                b"SET @binlogsec_end = IF(@binlogsec_missed = 0, 'COMMIT', 'ROLLBACK');\n\
                  PREPARE binlogsec_end FROM @binlogsec_end;\n\
                  EXECUTE binlogsec_end;\n\
                  DEALLOCATE PREPARE binlogsec_end;\n",
            );
        } else {
            text.extend_from_slice(b"COMMIT;\n");
        }
        if self.plan.cascades.binary_search(&this).is_ok() {
            text.extend_from_slice(b"SET SESSION foreign_key_checks = 1;\n");
        }
        self.put(&text)
    }

    /// The rows of an event of the log itself.
    fn event(&mut self, reader: &mut EventReader<'_>, run: &Run) -> Result<(), Error> {
        let event = reader.event(run.position)?;
        let rows = Rendered { plan: self.plan, run };
        let mut end = u64::from(run.count);
        let mut tail = std::mem::take(&mut self.tail);
        while end > 0 {
            tail.clear();
            let mut index = 0_u64;
            rows.each(&event, &mut |table, row, number| {
                index = index.saturating_add(1);
                self.take(&mut tail, index <= end, |out| rows.row(out, table, row, number))
            })?;
            end = tail.dropped();
            self.put_rows(&mut tail)?;
        }
        self.tail = tail;
        Ok(())
    }

    /// Makes a row, unless it has been written already. What is made in the order in which it is to
    /// be written is not held back.
    fn take(
        &mut self,
        tail: &mut Tail,
        is_wanted: bool,
        make: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if !is_wanted {
            return Ok(());
        }
        if !self.is_backward && tail.is_full() {
            self.put_rows(tail)?;
        }
        tail.push(make)
    }

    fn put_rows(&mut self, tail: &mut Tail) -> Result<(), Error> {
        for row in tail.rows(self.is_backward) {
            self.written.rows = self.written.rows.saturating_add(1);
            let written = self.out.write_all(row);
            written.map_err(TransferError::at(self.name, "write"))?;
        }
        tail.clear();
        Ok(())
    }

    /// The rows of all runs of one payload; returns the first run of something else.
    fn payload(
        &mut self,
        log: &OpenLog,
        reader: &mut EventReader<'_>,
        first: Run,
        runs: &mut Runs,
    ) -> Result<Option<Run>, Error> {
        let mut of_payload = vec![first];
        let mut next = runs.next_run().map_err(not_put_aside)?;
        while let Some(run) = next {
            let is_of_payload = run.log == first.log && run.position == first.position;
            if !is_of_payload || of_payload.len() >= MAX_OF_PAYLOAD {
                break;
            }
            of_payload.push(run);
            next = runs.next_run().map_err(not_put_aside)?;
        }
        if self.is_backward {
            of_payload.reverse();
        }
        let event = reader.event(first.position)?;
        let counts = of_payload.iter().map(|run| u64::from(run.count));
        let mut end = counts.fold(0_u64, u64::saturating_add);
        let mut tail = std::mem::take(&mut self.tail);
        while end > 0 {
            tail.clear();
            self.unfold(log, &event, &of_payload, (&mut tail, end))?;
            end = tail.dropped();
            self.put_rows(&mut tail)?;
        }
        self.tail = tail;
        Ok(next)
    }

    /// Makes the first `end` rows of the runs of a payload.
    fn unfold(
        &mut self,
        log: &OpenLog,
        event: &EventView<'_>,
        runs: &[Run],
        (tail, end): (&mut Tail, u64),
    ) -> Result<(), Error> {
        let mut left = runs.iter().peekable();
        let mut index = 0_u64;
        let mut unfolder = std::mem::take(&mut self.unfolder);
        let unfolded = inner::each(log, event, (&mut unfolder, MAX_UNCOMPRESSED), &mut |view| {
            let Some(run) = left.next_if(|run| run.inner_offset == Some(view.offset)) else {
                return Ok(());
            };
            let rows = Rendered { plan: self.plan, run };
            rows.each(view, &mut |table, row, number| {
                index = index.saturating_add(1);
                self.take(tail, index <= end, |out| rows.row(out, table, row, number))
            })
        });
        self.unfolder = unfolder;
        match unfolded {
            Ok(()) => Ok(()),
            Err(Inner::Other(error)) => Err(error),
            Err(Inner::Payload(_)) => Err(changed(log, event.offset)),
        }
    }
}

/// A log is not as it was in the first pass.
fn changed(log: &OpenLog, offset: u64) -> Error {
    let path = log.source().path().to_owned();
    Error::Walk { path, source: WalkError::Lost { offset, length: 0 } }
}

/// Takes a row of a run, and its number in the event.
type TakeRow<'t> = dyn FnMut(&Table, &Row<'_>, u64) -> Result<(), Error> + 't;

/// A run on its way to statements.
struct Rendered<'r> {
    plan: &'r Plan,
    run: &'r Run,
}

impl Rendered<'_> {
    /// Reads the rows of the run, in their order.
    fn each(&self, event: &EventView<'_>, take: &mut TakeRow<'_>) -> Result<(), Error> {
        let lost = || self.lost(event.offset);
        if !event_type::is_rows(event.header.event_type) {
            return Err(lost());
        }
        let index = usize::try_from(self.run.table).unwrap_or(usize::MAX);
        let table = self.plan.tables.get(index).map(Arc::clone).ok_or_else(lost)?;
        let rows = Rows::parse(event.header.event_type, event.body()).map_err(|_| lost())?;
        let bytes = rows.plain().map_err(|_| lost())?;
        let mut reader = RowReader::new(rows, &bytes, &table).map_err(|_| lost())?;
        let mut row = Row::new();
        let first = u64::from(self.run.first);
        let end = first.saturating_add(u64::from(self.run.count));
        for number in 1..end {
            if !reader.next_row(&mut row).map_err(|_| lost())? {
                return Err(lost());
            }
            if number >= first {
                take(&table, &row, number)?;
            }
        }
        Ok(())
    }

    /// The log is not as it was in the first pass.
    fn lost(&self, offset: u64) -> Error {
        Error::Walk { path: self.path(), source: WalkError::Lost { offset, length: 0 } }
    }

    fn path(&self) -> std::path::PathBuf {
        let index = usize::try_from(self.run.log).unwrap_or(usize::MAX);
        self.plan.logs.get(index).map(|log| log.path.clone()).unwrap_or_default()
    }

    /// Appends the statements for a row: the change, and the check whether it took place.
    fn row(
        &self,
        out: &mut Vec<u8>,
        table: &Table,
        row: &Row<'_>,
        number: u64,
    ) -> Result<(), Error> {
        let options = &self.plan.options;
        let index = usize::try_from(self.run.log).unwrap_or(usize::MAX);
        let is_mariadb = self.plan.logs.get(index).is_some_and(|log| log.is_mariadb);
        let is_checked = options.check != Check::Off;
        // A change that changed nothing needs no statement.
        if row.op == Op::Update && row.before == row.after {
            return Ok(());
        }
        let made = match options.direction {
            Direction::Undo => &row.before,
            Direction::Redo => &row.after,
        };
        sql::leniently(out, sql::has_error_value(made), |out| {
            let dialect = Dialect { is_mariadb };
            let made =
                statement::write(out, table, (row, options.direction), (dialect, is_checked));
            // The first pass has made sure of this.
            made.map_err(|_| self.lost(self.run.position))?;
            out.extend_from_slice(b";\n");
            if is_checked {
                self.check(out, table, number);
            }
            Ok(())
        })
    }

    /// Appends what tells of a row that was not changed.
    fn check(&self, out: &mut Vec<u8>, table: &Table, number: u64) {
        let mut told = Vec::new();
        let path = self.path();
        let log = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let what = match self.plan.options.direction {
            Direction::Undo => "not taken back",
            Direction::Redo => "not made once more",
        };
        let message = format!(
            "{what}, the row is not as logged: {}.{}, {log}, position {}, row {number}",
            text(&table.database),
            text(&table.name),
            self.run.position,
        );
        sql::quoted(&mut told, message.as_bytes());
        out.extend_from_slice(b"SELECT ");
        out.extend_from_slice(&told);
        if self.plan.options.check == Check::Transactions {
            // The count of the statement above, for both that need it.
            let select = out.len().saturating_sub(told.len()).saturating_sub(7);
            out.truncate(select);
            out.extend_from_slice(
                b"SET @binlogsec_rows = ROW_COUNT();\n\
                  SET @binlogsec_missed = @binlogsec_missed + (@binlogsec_rows <> 1);\nSELECT ",
            );
            out.extend_from_slice(&told);
            out.extend_from_slice(b" AS binlogsec FROM DUAL WHERE @binlogsec_rows <> 1;\n");
        } else {
            out.extend_from_slice(b" AS binlogsec FROM DUAL WHERE ROW_COUNT() <> 1;\n");
        }
    }
}
