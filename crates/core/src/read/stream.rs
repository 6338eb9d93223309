//! Many logs, or parts of them, as one: what `mysqlbinlog -` and `mariadb-binlog -` read as they would
//! read the logs one after the other.
//!
//! The magic stands once, at the beginning. Behind it come the events of each log, its own format
//! description event first: that tells what form the events behind it have, and whether the server was
//! started anew, so that its temporary tables are gone. Both readers take such an event wherever it
//! stands.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::numbers::Numbers;
use super::pairs::{Pairs, PartedXa};
use super::slice::{self, SliceOptions, SlicePlan};
use crate::batch::transfer::{Output, check_not_itself, seal};
use crate::event::FIRST_EVENT;
use crate::event::format_description::FormatDescription;
use crate::file::TransferError;
use crate::file::pipeline::Progress;
use crate::file::sealed::Recipients;
use crate::file::sink::AtomicFile;
use crate::log::error::{Error, describe};
use crate::log::open::OpenLog;

/// So many logs stay open from planning to writing; those behind them are opened again, and compressed
/// copies, which are unpacked once more.
const MAX_KEPT_OPEN: usize = 256;

/// What one log gives to a stream.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    plan: SlicePlan,
    is_relay: bool,
    log: Option<OpenLog>,
}

impl Part {
    /// The log.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is taken of it.
    #[must_use]
    pub const fn plan(&self) -> &SlicePlan {
        &self.plan
    }
}

/// What a stream consists of. All logs are looked at, from their first event to their last, before
/// anything of any is written.
#[derive(Debug, Default)]
pub struct StreamPlan {
    parts: Vec<Part>,
    is_over: bool,
}

impl StreamPlan {
    /// Adds the next log. Positions in `options` are this log's own.
    ///
    /// # Errors
    /// Those of [`slice::plan`].
    pub fn add(&mut self, log: OpenLog, options: &SliceOptions) -> Result<(), Error> {
        let mut plan = slice::plan(&log, options)?;
        self.is_over |= plan.is_over;
        // The magic stands once.
        if let (false, Some(head)) = (self.parts.is_empty(), plan.ranges.first_mut()) {
            head.start = head.start.max(FIRST_EVENT);
        }
        let path = log.source().path().to_owned();
        let is_relay = log.probe().description().is_some_and(FormatDescription::is_relay_log);
        let may_stay = self.parts.len() < MAX_KEPT_OPEN && !log.source().is_unpacked();
        let log = may_stay.then_some(log);
        self.parts.push(Part { path, plan, is_relay, log });
        Ok(())
    }

    /// Adds the logs of another one, for the figures of both.
    pub fn append(&mut self, mut other: Self) {
        other.parts.iter_mut().for_each(|part| part.log = None);
        self.parts.append(&mut other.parts);
    }

    /// The logs, in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether the time at which the stream stops was reached: of the logs behind nothing is wanted.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// A relay log and a binary log, if there are both: they may have the same transactions.
    #[must_use]
    pub fn relay_and_binary_log(&self) -> Option<(&Path, &Path)> {
        let first = |is_relay| self.parts.iter().find(|part| part.is_relay == is_relay);
        Some((&first(true)?.path, &first(false)?.path))
    }

    /// Transactions in it.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.sum(|plan| plan.transactions)
    }

    /// Transactions that the range of positions, or a log's end, cuts, and that are left out.
    #[must_use]
    pub fn incomplete(&self) -> u64 {
        self.sum(|plan| plan.incomplete)
    }

    /// Bytes in it.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.sum(SlicePlan::length)
    }

    /// XA transactions that are prepared in it and not ended.
    #[must_use]
    pub fn prepared(&self) -> Vec<PartedXa> {
        self.pairs().prepared()
    }

    /// XA transactions that are ended in it and not prepared in it.
    #[must_use]
    pub fn ended(&self) -> Vec<PartedXa> {
        self.pairs().ended()
    }

    fn pairs(&self) -> Pairs {
        let mut all = Pairs::default();
        self.parts.iter().for_each(|part| all.append(&part.plan.pairs));
        all
    }

    /// Whether the numbers of a domain of MariaDB's do not rise: `mariadb-binlog` ends there, but with
    /// `--skip-gtid-strict-mode`.
    #[must_use]
    pub fn falls(&self) -> bool {
        let mut all = Numbers::default();
        self.parts.iter().for_each(|part| all.append(&part.plan.numbers));
        all.falls()
    }

    fn sum(&self, figure: impl Fn(&SlicePlan) -> u64) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(figure(&part.plan)))
    }
}

/// Writes what a plan says, for `recipients` alone if there are any. `open` opens a log again. The
/// in-use bits are cleared, which no checksum covers: what is written is closed.
///
/// # Errors
/// [`Error::Transfer`], with nothing left under the output's name.
pub fn write(
    plan: &StreamPlan,
    open: &dyn Fn(&Path) -> Result<OpenLog, Error>,
    output: Output<'_>,
    recipients: Option<&Recipients>,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let write = |writer: &mut dyn Write, name: &Path| {
        seal(recipients, (writer, name), |writer| {
            plan.parts.iter().try_for_each(|part| copy(part, open, (writer, name), progress))
        })
    };
    match output {
        Output::File(target, options) => {
            for log in plan.parts.iter().filter_map(|part| part.log.as_ref()) {
                check_not_itself(log.source(), target)?;
            }
            let sink = AtomicFile::create(target, options)?;
            write(&mut sink.writer(), target)?;
            sink.commit()?;
        }
        Output::Stream(writer, name) => write(writer, name)?,
    }
    Ok(())
}

fn copy(
    part: &Part,
    open: &dyn Fn(&Path) -> Result<OpenLog, Error>,
    (writer, name): (&mut dyn Write, &Path),
    progress: &dyn Progress,
) -> Result<(), TransferError> {
    let again;
    let log = match &part.log {
        Some(log) => log,
        None => {
            again = open(&part.path).map_err(|error| match error {
                Error::Transfer(error) => error,
                // It was opened before: somebody has changed it.
                other => TransferError::at(&part.path, "open again")(std::io::Error::other(
                    describe(&other),
                )),
            })?;
            &again
        }
    };
    slice::copy(log, &part.plan.ranges, writer, name, progress)
}
