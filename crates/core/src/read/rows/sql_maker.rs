//! Rows as a script: transactions with BEGIN and COMMIT.

use std::io::Write as _;
use std::path::Path;

use super::sql::{self, Dialect, NoStatement, statement};
use crate::event::gtid::TransactionId;
use crate::event::gtid_set::Tsid;
use crate::read::rows::lines::RowMaker;
use crate::read::rows::turn::{Turn, TurnKind};
use crate::read::rows::{RowRecord, number};

/// Makes statements. A section is a transaction.
#[derive(Debug, Default)]
pub struct SqlMaker {
    /// Where the transaction of the last row begins.
    last: Option<u64>,
    /// The last GTID's UUID and tag, and their text with the colon: transactions of one server follow
    /// one another.
    tsid: Option<(Tsid, String)>,
    /// The last time, and its text.
    time: Option<(u32, String)>,
}

impl SqlMaker {
    fn id(&mut self, out: &mut Vec<u8>, id: &TransactionId) {
        let TransactionId::Gtid(gtid) = id else {
            let _ = write!(out, "{id}");
            return;
        };
        let known = self.tsid.take().filter(|(tsid, _)| *tsid == gtid.tsid);
        let (_, text) = self
            .tsid
            .insert(known.unwrap_or_else(|| (gtid.tsid.clone(), format!("{}:", gtid.tsid))));
        out.extend_from_slice(text.as_bytes());
        number::unsigned(out, gtid.number);
    }

    fn time(&mut self, out: &mut Vec<u8>, seconds: u32) {
        let known = self.time.take().filter(|(known, _)| *known == seconds);
        let (_, text) =
            self.time.insert(known.unwrap_or_else(|| (seconds, super::time_of(seconds))));
        out.extend_from_slice(text.as_bytes());
    }
}

/// What a transaction's head tells.
struct Part<'r> {
    log: &'r Path,
    start: u64,
    transaction: Option<&'r TransactionId>,
    timestamp: u32,
    thread_id: Option<u32>,
}

impl SqlMaker {
    /// Begins a transaction, if it is another one than the last.
    fn begin(&mut self, of: &Part<'_>, key: &mut Vec<u8>, head: &mut Vec<u8>) -> bool {
        if self.last.replace(of.start) == Some(of.start) {
            return false;
        }
        key.extend_from_slice(of.log.as_os_str().as_encoded_bytes());
        key.extend_from_slice(&of.start.to_le_bytes());
        head.extend_from_slice(b"-- ");
        if let Some(id) = of.transaction {
            self.id(head, id);
            head.extend_from_slice(b", ");
        }
        head.extend_from_slice(b"position ");
        number::unsigned(head, of.start);
        head.extend_from_slice(b", ");
        self.time(head, of.timestamp);
        if let Some(thread) = of.thread_id {
            head.extend_from_slice(b", thread ");
            number::unsigned(head, u64::from(thread));
        }
        head.extend_from_slice(b"\nBEGIN;\n");
        true
    }
}

impl RowMaker for SqlMaker {
    fn section(&mut self, record: &RowRecord<'_>, key: &mut Vec<u8>, head: &mut Vec<u8>) -> bool {
        let of = Part {
            log: record.log,
            start: record.transaction_start,
            transaction: record.transaction,
            timestamp: record.timestamp,
            thread_id: record.thread_id,
        };
        self.begin(&of, key, head)
    }

    fn turn_section(&mut self, turn: &Turn<'_>, key: &mut Vec<u8>, head: &mut Vec<u8>) -> bool {
        let of = Part {
            log: turn.log,
            start: turn.transaction_start,
            transaction: turn.transaction,
            timestamp: turn.timestamp,
            thread_id: turn.thread_id,
        };
        self.begin(&of, key, head)
    }

    /// The server that runs it knows which tables have transactions.
    fn turn(&mut self, turn: &Turn<'_>, out: &mut Vec<u8>) {
        let (verb, name): (&[u8], _) = match turn.kind {
            TurnKind::Savepoint(name) => (b"SAVEPOINT ", name),
            TurnKind::BackTo(name) => (b"ROLLBACK TO SAVEPOINT ", name),
            TurnKind::Rollback => return out.extend_from_slice(b"ROLLBACK;\n"),
        };
        out.extend_from_slice(verb);
        sql::identifier(out, name);
        out.extend_from_slice(b";\n");
    }

    fn restart(&mut self) {
        self.last = None;
    }

    fn row(&mut self, record: &RowRecord<'_>, out: &mut Vec<u8>) -> Result<(), NoStatement> {
        let dialect = Dialect { is_mariadb: record.is_mariadb };
        let start = out.len();
        let is_lenient = sql::has_error_value(&record.row.after);
        let made = if record.is_prepared {
            Err(NoStatement::Prepared)
        } else {
            sql::leniently(out, is_lenient, |out| {
                statement(out, record.table, record.row, dialect)?;
                out.extend_from_slice(b";\n");
                Ok(())
            })
        };
        match made {
            Ok(()) => {}
            Err(error) => {
                // Nobody is to take the part for the whole.
                out.truncate(start);
                let _ = writeln!(
                    out,
                    "-- NOT WRITTEN: {} at position {}, row {}: {error}",
                    record.row.op.name(),
                    record.position,
                    record.number,
                );
            }
        }
        made
    }
}
