//! A log before its rows are read: which of its transactions do not count, and which statements
//! change rows by themselves.

use super::super::RowFilter;
use super::super::schema::History;
use crate::event::event_type;
use crate::event::query::Query;
use crate::event::transaction::Progress;
use crate::event::walker::EventView;
use crate::log::error::Error;
use crate::log::open::OpenLog;
use crate::log::walk::{Depth, PlainSource as _, Walker};
use crate::read::events::context::Context;

/// Statements, and transactions, that are told.
const MAX_TOLD: usize = 1 << 16;

/// What the events of a log say besides their rows.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Chosen statements that change rows without row events: where they stand, and what is to be
    /// said.
    pub(super) statements: Vec<(u64, String)>,
    /// Transactions whose rows may not be what they left: where they begin and end, and why.
    doubtful: Vec<(u64, u64, &'static str)>,
}

impl Survey {
    /// Goes through a log, whose statements `history` follows.
    pub(super) fn make(
        log: &OpenLog,
        filter: &RowFilter,
        history: &mut History,
    ) -> Result<Self, Error> {
        let mut survey = Self::default();
        history.begin(log.source().path());
        let mut walker = Walker::new(log, Depth::Whole);
        let mut context = Context::new(log.file_length());
        let (mut progress, mut start) = (Progress::Unknown, 0);
        loop {
            let event = match walker.next_event() {
                Ok(Some(event)) => event,
                Ok(None) | Err(Error::Walk { .. }) => break,
                Err(error) => return Err(error),
            };
            let before = progress;
            progress = progress.after(&event);
            let begins = event_type::begins_transaction(event.header.event_type);
            if begins || before == Progress::Outside && progress.is_unfinished() {
                if before == Progress::Open {
                    survey.doubt(start, event.offset, UNFINISHED);
                }
                start = event.offset;
            }
            if let Some(why) = why_in_doubt(&event) {
                survey.doubt(start, event.end(), why);
            }
            context.enter(&event, false);
            if history.event(&event) {
                survey.statement(&event, &context, filter);
            }
            context.leave();
        }
        if progress.is_unfinished() {
            survey.doubt(start, u64::MAX, UNFINISHED);
        }
        Ok(survey)
    }

    fn doubt(&mut self, start: u64, end: u64, why: &'static str) {
        if self.doubtful.len() < MAX_TOLD {
            self.doubtful.push((start, end, why));
        } else if let Some(last) = self.doubtful.last_mut() {
            // All between is taken along: nothing that is in doubt is undone.
            last.1 = end;
        }
    }

    /// Why the rows of an event are in doubt, if they are.
    pub(super) fn why_not(&self, position: u64) -> Option<&'static str> {
        let after = self.doubtful.partition_point(|(start, ..)| *start <= position);
        let (_, end, why) = self.doubtful.get(after.checked_sub(1)?)?;
        (position < *end).then_some(*why)
    }

    /// Takes a statement that changes rows by itself, if it may be one of those that are chosen.
    fn statement(&mut self, event: &EventView<'_>, context: &Context, filter: &RowFilter) {
        let events = &filter.events;
        let is_chosen = events.start_position.is_none_or(|start| event.offset >= start)
            && events.stop_position.is_none_or(|stop| event.offset < stop)
            && events.takes_header(&event.header)
            && events.takes_time(context.time(event.header.timestamp))
            && filter.takes_transaction(context.transaction.as_ref(), context.thread_id);
        let Some(query) = Query::of(event) else {
            return;
        };
        if is_chosen && self.statements.len() < MAX_TOLD && filter.may_concern(&query) {
            let beginning: String =
                String::from_utf8_lossy(&query.statement).chars().take(60).collect();
            self.statements.push((
                event.offset,
                format!(
                    "a statement changes rows, and the log does not say which ({}): it cannot be taken back. Leave it out \
                     by position, time, GTID or table",
                    beginning.escape_debug()
                ),
            ));
        }
    }
}

const UNFINISHED: &str = "the transaction does not end in this log: whether it was committed is not told. Leave it \
     out by --stop-position or --exclude-gtid";

fn why_in_doubt(event: &EventView<'_>) -> Option<&'static str> {
    let query = Query::of(event)?;
    if query.is_rollback_to_savepoint() {
        return Some(
            "the transaction went back to a savepoint behind these rows: what of them stayed hangs on the tables' \
             engines. Leave it out by --exclude-gtid or position",
        );
    }
    query.statement.trim_ascii().eq_ignore_ascii_case(b"ROLLBACK").then_some(
        "the transaction ends with ROLLBACK: what of it stayed hangs on the tables' engines. Leave it out by \
         --exclude-gtid or position",
    )
}
