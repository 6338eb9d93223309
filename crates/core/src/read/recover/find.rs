//! Transactions by what they do: `DROP TABLE shop.orders`, however it was written.

use std::path::{Path, PathBuf};

use crate::event::event_type;
use crate::event::gtid::TransactionId;
use crate::event::payload::Unfolder;
use crate::event::query::Query;
use crate::event::table_map::TableMap;
use crate::event::walker::EventView;
use crate::file::TransferError;
use crate::log::error::Error;
use crate::log::open::OpenLog;
use crate::log::walk::{Depth, Walker, is_in_use};
use crate::read::events::context::Context;
use crate::read::events::inner::{self, Inner};
use crate::read::pattern::Pattern;

/// So many bytes of a statement that MariaDB compressed are looked at.
const UNFOLDED: usize = 16 << 20;

/// A transaction in which something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The log.
    pub path: PathBuf,
    /// The plain offset at which the transaction begins: its GTID event, where it has one.
    pub position: u64,
    /// The transaction's id, if it has one.
    pub id: Option<TransactionId>,
    /// When it began, in seconds since 1970 UTC.
    pub time: u32,
    /// The beginning of the statement, or what was changed.
    pub what: String,
}

/// Characters of a statement that are kept of each transaction.
const KEPT: usize = 1000;

/// Takes transactions as they are found.
pub type Receiver<'a> = dyn FnMut(Found) -> Result<(), TransferError> + 'a;

/// Looks through a log, from an offset on up to another, and hands on each transaction in which the
/// pattern is. Returns how many events are damaged, and were not looked at.
///
/// # Errors
/// [`Error::Walk`] for a log that is damaged on the way, [`Error::Transfer`].
pub fn each(
    log: &OpenLog,
    pattern: &Pattern,
    (start, stop): (Option<u64>, Option<u64>),
    receiver: &mut Receiver<'_>,
) -> Result<u64, Error> {
    let mut damaged = 0_u64;
    let in_use = is_in_use(log, log.probe().description())?;
    let mut walker = Walker::new(log, Depth::Whole);
    if let Some(start) = start {
        walker.start_at(start)?;
    }
    let path = log.source().path();
    let mut search = Search { path, pattern, tables: Vec::new(), last: None, new: None };
    let mut context = Context::new(log.source().length());
    let mut unfolder = Unfolder::default();
    loop {
        let event = match walker.next_event() {
            Ok(Some(event)) => event,
            Ok(None) => break,
            Err(Error::Walk { source, .. }) if in_use && source.is_cut() => break,
            Err(error) => return Err(error),
        };
        if stop.is_some_and(|stop| event.offset >= stop) {
            break;
        }
        if event.is_whole() && event.verify_checksum().is_err() {
            damaged = damaged.saturating_add(1);
            continue;
        }
        context.enter(&event, false);
        let time = context.time(event.header.timestamp);
        let at = (context.start.unwrap_or(event.offset), time);
        search.event(&event, at, context.transaction.as_ref());
        if event.header.event_type == event_type::TRANSACTION_PAYLOAD {
            let unfolding = (&mut unfolder, context.allowed());
            let read = inner::each(log, &event, unfolding, &mut |inner| {
                search.event(inner, at, context.transaction.as_ref());
                Ok(())
            });
            match read {
                Err(Inner::Other(error)) => return Err(error),
                // A payload that cannot be unfolded has nothing that could be found.
                Ok(()) | Err(Inner::Payload(_)) => {}
            }
        }
        if let Some(found) = search.new.take() {
            receiver(found)?;
        }
        context.leave();
    }
    Ok(damaged)
}

struct Search<'a> {
    path: &'a Path,
    pattern: &'a Pattern,
    tables: Vec<(u64, String, String)>,
    /// Where the last transaction began in which the pattern was.
    last: Option<u64>,
    /// What was found in the event that was looked at last.
    new: Option<Found>,
}

impl Search<'_> {
    fn event(&mut self, event: &EventView<'_>, at: (u64, u32), id: Option<&TransactionId>) {
        let kind = event.header.event_type;
        if event_type::begins_transaction(kind) {
            self.tables.clear();
        }
        let body = event.body();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match kind {
            event_type::QUERY | event_type::MARIADB_QUERY_COMPRESSED => {
                if let Some(query) = Query::of_at_most(event, UNFOLDED) {
                    let (statement, database) = (text(&query.statement), text(query.database));
                    if self.pattern.is_in(&statement, &database) {
                        self.add(at, id, &statement);
                    }
                }
            }
            event_type::TABLE_MAP => {
                if let Ok(map) = TableMap::parse(body) {
                    self.tables.retain(|(number, ..)| *number != map.table_id);
                    self.tables.push((map.table_id, text(map.database), text(map.table)));
                }
            }
            kind if event_type::is_rows(kind) => {
                let number = crate::event::rows::Rows::parse(kind, body).ok().map(|it| it.table_id);
                let table = self.tables.iter().find(|(id, ..)| Some(*id) == number).cloned();
                if let Some((_, database, table)) = table
                    && self.pattern.is_rows(kind, &database, &table)
                {
                    let what = event_type::name(kind);
                    self.add(at, id, &format!("{what} {database}.{table}"));
                }
            }
            _ => {}
        }
    }

    /// Once for each transaction.
    fn add(&mut self, (position, time): (u64, u32), id: Option<&TransactionId>, what: &str) {
        if self.last == Some(position) {
            return;
        }
        self.last = Some(position);
        let what = what.chars().take(KEPT).collect();
        let id = id.filter(|id| **id != TransactionId::Anonymous).cloned();
        self.new = Some(Found { path: self.path.to_owned(), position, id, time, what });
    }
}
