//! Rows as a script: transactions with BEGIN and COMMIT.

use std::io::Write as _;

use super::{Dialect, NoStatement, statement};
use crate::event::gtid::TransactionId;
use crate::event::gtid_set::Tsid;
use crate::read::rows::lister::RowMaker;
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
            self.time.insert(known.unwrap_or_else(|| (seconds, super::super::time_of(seconds))));
        out.extend_from_slice(text.as_bytes());
    }
}

impl RowMaker for SqlMaker {
    fn section(&mut self, record: &RowRecord<'_>, key: &mut Vec<u8>, head: &mut Vec<u8>) -> bool {
        let start = record.transaction_start;
        if self.last.replace(start) == Some(start) {
            return false;
        }
        key.extend_from_slice(record.log.as_os_str().as_encoded_bytes());
        key.extend_from_slice(&start.to_le_bytes());
        head.extend_from_slice(b"-- ");
        if let Some(id) = record.transaction {
            self.id(head, id);
            head.extend_from_slice(b", ");
        }
        head.extend_from_slice(b"position ");
        number::unsigned(head, start);
        head.extend_from_slice(b", ");
        self.time(head, record.timestamp);
        if let Some(thread) = record.thread_id {
            head.extend_from_slice(b", thread ");
            number::unsigned(head, u64::from(thread));
        }
        head.extend_from_slice(b"\nBEGIN;\n");
        true
    }

    fn restart(&mut self) {
        self.last = None;
    }

    fn row(&mut self, record: &RowRecord<'_>, out: &mut Vec<u8>) -> Result<(), NoStatement> {
        let dialect = Dialect { is_mariadb: record.is_mariadb };
        let start = out.len();
        let made = if record.is_prepared {
            Err(NoStatement::Prepared)
        } else {
            statement(out, record.table, record.row, dialect)
        };
        match made {
            Ok(()) => out.extend_from_slice(b";\n"),
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
