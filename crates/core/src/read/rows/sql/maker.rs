//! Rows as a script: transactions with BEGIN and COMMIT.

use std::io::Write as _;

use super::{Dialect, NoStatement, statement};
use crate::read::rows::lister::RowMaker;
use crate::read::rows::{RowRecord, Section};

/// Makes statements. A section is a transaction.
#[derive(Debug, Default)]
pub struct SqlMaker {
    /// Where the transaction of the last row begins.
    last: Option<u64>,
}

impl RowMaker for SqlMaker {
    fn section(&mut self, record: &RowRecord<'_>) -> Option<Section> {
        let start = record.transaction_start;
        if self.last.replace(start) == Some(start) {
            return None;
        }
        let mut key = record.log.as_os_str().as_encoded_bytes().to_vec();
        key.extend_from_slice(&start.to_le_bytes());
        let mut head = b"-- ".to_vec();
        if let Some(id) = record.transaction {
            let _ = write!(head, "{id}, ");
        }
        let _ = write!(head, "position {start}, {}", super::super::time_of(record.timestamp));
        if let Some(thread) = record.thread_id {
            let _ = write!(head, ", thread {thread}");
        }
        head.extend_from_slice(b"\nBEGIN;\n");
        Some(Section { key, head })
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
