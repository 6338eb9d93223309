//! Places of rows, put aside in order and taken back in either order, in constant memory: what is
//! more than a few lies in a file without a name. It holds positions, and nothing of any row.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// So many are held in memory before they are written.
const HELD: usize = 1 << 14;
const LENGTH: usize = 40;

/// Rows of one event, one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Plain offset of the event, or of the payload that it is in.
    pub(super) position: u64,
    /// Where the event starts in the payload.
    pub(super) inner_offset: Option<u64>,
    /// Plain offset of the transaction's first event.
    pub(super) transaction: u64,
    pub(super) log: u32,
    pub(super) table: u32,
    /// The first row, counted from 1.
    pub(super) first: u32,
    pub(super) count: u32,
}

impl Run {
    fn to_bytes(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let long = [self.position, self.inner_offset.unwrap_or(u64::MAX), self.transaction];
        let short = [self.log, self.table, self.first, self.count];
        let long = long.iter().flat_map(|number| number.to_le_bytes());
        let short = short.iter().flat_map(|number| number.to_le_bytes());
        for (place, byte) in bytes.iter_mut().zip(long.chain(short)) {
            *place = byte;
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; LENGTH]) -> Self {
        let long = |index: usize| {
            let bytes = bytes.get(index.saturating_mul(8)..).and_then(<[u8]>::first_chunk::<8>);
            bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        let halves = |index: usize| {
            let both = long(index).to_le_bytes();
            let [a, b, c, d, e, f, g, h] = both;
            (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
        };
        let ((log, table), (first, count)) = (halves(3), halves(4));
        Self {
            position: long(0),
            inner_offset: Some(long(1)).filter(|offset| *offset != u64::MAX),
            transaction: long(2),
            log,
            table,
            first,
            count,
        }
    }
}

/// The order in which runs are taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// As they were put aside.
    Forward,
    /// The last one first.
    Backward,
}

/// Runs that were put aside.
#[derive(Debug, Default)]
pub(super) struct Spool {
    held: Vec<Run>,
    file: Option<File>,
    written: u64,
}

impl Spool {
    pub(super) fn push(&mut self, run: Run) -> io::Result<()> {
        self.held.push(run);
        if self.held.len() < HELD {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(HELD.saturating_mul(LENGTH));
        for run in self.held.drain(..) {
            self.written = self.written.saturating_add(1);
            bytes.extend_from_slice(&run.to_bytes());
        }
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile()?);
        }
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(&bytes))
    }

    fn length(&self) -> u64 {
        let held = u64::try_from(self.held.len()).unwrap_or(u64::MAX);
        self.written.saturating_add(held)
    }

    /// All of them, one by one.
    pub(super) fn take(self, order: Order) -> Runs {
        let left = self.length();
        Runs { spool: self, order, left, block: Vec::new() }
    }
}

/// Runs on their way back.
pub(super) struct Runs {
    spool: Spool,
    order: Order,
    /// Runs that were not read from the spool yet.
    left: u64,
    /// Some that were, the next one last.
    block: Vec<Run>,
}

impl Runs {
    pub(super) fn next_run(&mut self) -> io::Result<Option<Run>> {
        if self.block.is_empty() {
            self.read_block()?;
        }
        Ok(self.block.pop())
    }

    fn read_block(&mut self) -> io::Result<()> {
        let (written, all) = (self.spool.written, self.spool.length());
        let is_backward = self.order == Order::Backward;
        let done = all.saturating_sub(self.left);
        let is_in_file = if is_backward { self.left <= written } else { done < written };
        if !is_in_file {
            self.block = std::mem::take(&mut self.spool.held);
            self.left = if is_backward { written } else { 0 };
        } else if let Some(file) = &mut self.spool.file {
            let most = u64::try_from(HELD).unwrap_or(u64::MAX);
            let start = if is_backward { self.left.saturating_sub(most) } else { done };
            let end = if is_backward { self.left } else { start.saturating_add(most).min(written) };
            let count = end.saturating_sub(start);
            let length = usize::try_from(count).unwrap_or_default().saturating_mul(LENGTH);
            let mut bytes = vec![0; length];
            file.seek(SeekFrom::Start(start.saturating_mul(LENGTH as u64)))?;
            file.read_exact(&mut bytes)?;
            let (runs, _) = bytes.as_chunks::<LENGTH>();
            self.block = runs.iter().map(Run::from_bytes).collect();
            self.left = self.left.saturating_sub(count);
        }
        if !is_backward {
            self.block.reverse();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_come_back_in_either_order_from_memory_and_file() {
        for count in [0, 1, HELD - 1, HELD, 2 * HELD + 3] {
            let runs: Vec<_> = (0..count as u64)
                .map(|number| Run {
                    position: number * 7 + (1 << 40),
                    inner_offset: number.is_multiple_of(3).then_some(number),
                    transaction: number / 5,
                    log: 1,
                    table: number as u32,
                    first: 3,
                    count: 4,
                })
                .collect();
            for order in [Order::Forward, Order::Backward] {
                let mut spool = Spool::default();
                runs.iter().for_each(|run| spool.push(*run).unwrap());
                let mut taken = spool.take(order);
                let mut back = Vec::new();
                while let Some(run) = taken.next_run().unwrap() {
                    back.push(run);
                }
                if order == Order::Backward {
                    back.reverse();
                }
                assert!(back == runs, "{count} {order:?}");
            }
        }
    }
}
