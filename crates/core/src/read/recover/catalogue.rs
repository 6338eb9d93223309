//! What the heads of logs tell: who wrote them, which transactions stand before them, and which one is
//! their first. A few kilobytes of each are read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use super::reach::Reach;
use crate::batch::targets::{Origin, Target, has_log_extension, name_of_log};
use crate::event::event_type;
use crate::event::format_description::FormatDescription;
use crate::event::gtid::{TransactionId, TransactionStart};
use crate::event::gtid_list::GtidList;
use crate::event::gtid_set::GtidSet;
use crate::event::query::Query;
use crate::event::transaction::Progress;
use crate::event::walker::EventView;
use crate::event::{FIRST_EVENT, FIRST_FLAGS};
use crate::file::compressed;
use crate::file::source::FileSource;
use crate::keyring::Keyring;
use crate::log::error::{Error, describe};
use crate::log::error_class::ErrorClass;
use crate::log::log_error::LogError;
use crate::log::open::{self, OpenLog, copy_of_log};
use crate::log::walk::{Depth, MAX_HELD, PlainSource, Walker, is_in_use};
use crate::text::reported;

/// Events of a head that are looked at: a log begins with three or four that are no transaction.
const LOOKED_AT: usize = 12;
/// So many bytes of a log tell whether two files are copies of it.
const COMPARED: usize = 512;
/// The head of a statement that tells BEGIN and COMMIT from others.
const QUERY_HEAD: usize = 64 << 10;

/// A log by its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes; of a compressed copy, its length in the copy.
    pub size: u64,
    /// Whether it lies in a compressed copy.
    pub is_compressed: bool,
    /// The server that wrote it.
    pub server_id: u32,
    /// When it was begun, in seconds since 1970 UTC.
    pub created: u32,
    /// Whether a replica wrote it, of what it received.
    pub is_relay: bool,
    /// Whether it was never closed.
    pub in_use: bool,
    /// The transactions before it; `None` where the log does not say.
    pub previous: Option<Reach>,
    /// Its first transaction and the time of that, where they stand in the head.
    pub first: Option<(TransactionId, u32)>,
    /// The servers whose transactions it tells of, as far as its head does (MariaDB).
    pub writers: BTreeSet<u32>,
    /// The first bytes of its plaintext, the same in every copy of it.
    pub start: Vec<u8>,
    /// Bytes that stand before its plaintext: an encryption header.
    pub envelope: u64,
}

/// A log that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "UnreadEntry"))]
pub struct Unread {
    /// The file.
    #[serde(serialize_with = "reported::path")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub path: PathBuf,
    /// `work`, `key` or `damage`.
    pub class: ErrorClass,
    /// Why.
    pub reason: String,
}

/// All logs that are at hand.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// Those whose heads could be read.
    pub heads: Vec<Head>,
    /// Those whose heads could not.
    pub unread: Vec<Unread>,
}

/// The name of a log without its directory, and without what a compressed copy has behind it.
#[must_use]
pub fn name_of(path: &Path) -> String {
    name_of_log(path).to_string_lossy().into_owned()
}

/// The series of a log's name, and its number in it.
#[must_use]
pub fn series(path: &Path) -> (String, Option<u64>) {
    let log = name_of_log(path);
    let number = has_log_extension(&log)
        .then(|| log.extension().and_then(|number| number.to_str()?.parse().ok()))
        .flatten();
    let stem = log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    (stem, number)
}

impl Catalogue {
    /// Reads the heads of logs, as many at once as the current rayon pool has threads. Files of
    /// directories that are no logs are left out.
    #[must_use]
    pub fn read(targets: &[Target], keyring: &Keyring) -> Self {
        let read = |target| {
            let target: &Target = target;
            (target, Head::of_file(&target.path, keyring))
        };
        let mut catalogue = Self::default();
        for (target, head) in targets.par_iter().map(read).collect::<Vec<_>>() {
            match head {
                Ok(head) => catalogue.heads.push(head),
                Err(error) if is_no_log(target, &error) => {}
                Err(error) => catalogue.unread.push(Unread {
                    path: target.path.clone(),
                    class: error.class(),
                    reason: describe(&error),
                }),
            }
        }
        catalogue
    }
}

impl Catalogue {
    /// Whether a server wrote one of the logs, or transactions that they tell of.
    #[must_use]
    pub fn has_server(&self, server_id: u32) -> bool {
        let is_of = |head: &Head| head.server_id == server_id || head.writers.contains(&server_id);
        self.heads.iter().any(is_of)
    }

    /// Notes that a log whose head was read is of no use.
    pub fn give_up(&mut self, path: &Path, error: &Error) {
        self.heads.retain(|head| head.path != path);
        let (class, reason) = (error.class(), describe(error));
        self.unread.push(Unread { path: path.to_owned(), class, reason });
    }
}

/// Whether a file came with a directory and is none of a server's logs.
fn is_no_log(target: &Target, error: &Error) -> bool {
    let is_named_as_log = has_log_extension(&name_of_log(&target.path));
    target.origin == Origin::Directory
        && (target.has_vanished(error)
            || !is_named_as_log
                && matches!(error, Error::Log { source: LogError::NotALog | LogError::Empty, .. }))
}

impl Head {
    /// Of a compressed copy its first part is unpacked, and all of it only where that says too little.
    fn of_file(path: &Path, keyring: &Keyring) -> Result<Self, Error> {
        let source = FileSource::open(path)?;
        let Some(inside) = copy_of_log(&source)? else {
            return match compressed::peek(&source, 1)? {
                // Nothing comes out of what should be a copy of a log.
                Some(inside) if inside.start.is_empty() => {
                    compressed::unpack(&source, inside.compression)?;
                    Self::read(source, keyring)
                }
                _ => Self::read(source, keyring),
            };
        };
        let part = compressed::start_of(&source, &inside.start)?;
        let whole = || Self::read(compressed::unpack(&source, inside.compression)?, keyring);
        let head = match Self::read(part, keyring) {
            Err(Error::Walk { source: cut, .. }) if cut.is_cut() => whole(),
            // The end of the part is not the end of the log.
            Ok(head) if head.in_use && head.first.is_none() => whole(),
            head => head,
        };
        Ok(Self { size: source.length(), is_compressed: true, ..head? })
    }

    /// How long the plaintext is of the log that a copy has: to be known, all of it is unpacked.
    pub(super) fn unpacked_size(&self) -> u64 {
        let size = if self.is_compressed {
            open::source(&self.path).map_or(0, |source| source.length())
        } else {
            self.size
        };
        size.saturating_sub(self.envelope)
    }

    /// Whether two files are of one log although they begin differently: of one of them transactions were
    /// left out, as of one that was salvaged or sliced. Two servers of one id, which is 1 where nobody chose
    /// one, number theirs under other names. A server that begins its numbers anew in the second in which
    /// it was started begins two logs then: `has` says whether the longer one has what the other begins with.
    pub(super) fn is_part_of_same(
        &self,
        other: &Self,
        has: &mut dyn FnMut(&Self, &TransactionId) -> bool,
    ) -> bool {
        let is_numbered_alike = match (&self.first, &other.first) {
            (Some((TransactionId::Gtid(one), _)), Some((TransactionId::Gtid(two), _))) => {
                one.tsid.uuid == two.tsid.uuid
            }
            (
                Some((TransactionId::Mariadb { domain, server_id, .. }, _)),
                Some((TransactionId::Mariadb { domain: of, server_id: by, .. }, _)),
            ) => (domain, server_id) == (of, by),
            _ => false,
        };
        let may_be = is_numbered_alike
            && self.server_id == other.server_id
            && self.created == other.created
            && self.previous.is_some()
            && self.previous == other.previous;
        let is_longer = self.unpacked_size() > other.unpacked_size();
        let (whole, part) = if is_longer { (self, other) } else { (other, self) };
        let first = |head: &Self| head.first.as_ref().map(|(id, _)| id.clone());
        may_be && (first(whole) == first(part) || first(part).is_some_and(|id| has(whole, &id)))
    }

    fn read(source: FileSource, keyring: &Keyring) -> Result<Self, Error> {
        let log = OpenLog::without_survey(source, keyring)?;
        let description = log.probe().description();
        let mut start = vec![0; COMPARED];
        let read = log.read_plain_at(0, &mut start)?;
        start.truncate(read);
        if let Some(flags) = start.get_mut(FIRST_FLAGS) {
            *flags &= !1;
        }
        let mut head = Self {
            path: log.source().path().to_owned(),
            size: log.source().length(),
            is_compressed: false,
            server_id: description.map_or(0, |it| it.header.server_id),
            created: description.map_or(0, |it| it.header.timestamp),
            is_relay: description.is_some_and(FormatDescription::is_relay_log),
            in_use: description.is_none_or(FormatDescription::in_use),
            previous: None,
            first: None,
            writers: BTreeSet::new(),
            start,
            envelope: log.source().length().saturating_sub(log.plain_length()),
        };
        head.look(&log)?;
        Ok(head)
    }

    /// Reads the events up to the first transaction. Where a log of a server in use ends, it says no
    /// more.
    fn look(&mut self, log: &OpenLog) -> Result<(), Error> {
        let mut walker = Walker::new(log, Depth::Headers);
        for _ in 0..LOOKED_AT {
            let event = match walker.next_event() {
                Ok(Some(event)) => (event.offset, event.header, event.checksum),
                Err(Error::Walk { source, .. }) if self.in_use && source.is_cut() => break,
                Err(error) => return Err(error),
                Ok(None) => break,
            };
            let (offset, header, checksum) = event;
            let kind = header.event_type;
            let begins = event_type::begins_transaction(kind);
            let tells = matches!(kind, event_type::PREVIOUS_GTIDS | event_type::MARIADB_GTID_LIST);
            if !begins && !tells {
                continue;
            }
            let length = header.byte_length().unwrap_or(MAX_HELD).min(MAX_HELD);
            let view = EventView { offset, header, bytes: walker.peek(offset, length)?, checksum };
            if begins {
                let start = TransactionStart::parse(&view).and_then(Result::ok);
                self.first = start.map(|start| (start.id, header.timestamp));
                if let Some((TransactionId::Mariadb { server_id, .. }, _)) = &self.first {
                    self.writers.insert(*server_id);
                }
                break;
            }
            self.previous = if kind == event_type::PREVIOUS_GTIDS {
                GtidSet::parse_encoded(view.body()).ok().map(Reach::from)
            } else {
                let list = GtidList::parse_within(view.body(), usize::MAX).ok().flatten();
                self.writers.extend(list.iter().flat_map(|list| list.iter().map(|it| it.1)));
                list.as_ref().map(Reach::from)
            };
        }
        Ok(())
    }

    /// Whether MariaDB wrote it, as far as its transactions tell.
    pub(super) fn is_mariadb(&self) -> bool {
        let is_known = self.previous.as_ref().is_some_and(Reach::is_mariadb);
        is_known || matches!(self.first, Some((TransactionId::Mariadb { .. }, _)))
    }

    /// Whether its first transaction has no GTID.
    pub(super) fn begins_without_gtids(&self) -> bool {
        matches!(self.first, Some((TransactionId::Anonymous, _)))
    }

    /// Its number among the logs of its name.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        series(&self.path).1
    }
}

/// Where the reading of a log's transactions stops.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stop {
    /// At its end.
    #[default]
    End,
    /// Before the first transaction of this time, in seconds since 1970 UTC, or later.
    Time(i64),
    /// Behind this transaction.
    With(TransactionId),
    /// Before this transaction.
    Before(TransactionId),
    /// Before the first transaction that begins at this plain offset or behind it.
    Position(u64),
}

/// Transactions of MariaDB in a row, of one server and one domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The domain.
    pub domain: u32,
    /// The server that wrote them first.
    pub server_id: u32,
    /// The first number.
    pub first: u64,
    /// The last number.
    pub last: u64,
}

/// More runs than this of one log are not kept: servers that take turns at every transaction.
const MAX_RUNS: usize = 10_000;

/// The transactions of a log up to a stop.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scan {
    /// Those that have GTIDs.
    pub gtids: Reach,
    /// The same of MariaDB's, with who wrote them.
    pub runs: Vec<Run>,
    /// The first of MariaDB's whose number is not above all before it in its domain, and the one before it
    /// that has the highest: several servers write into the domain.
    pub unordered: Option<(TransactionId, TransactionId)>,
    /// How many there are, anonymous ones, too.
    pub transactions: u64,
    /// Of these, anonymous ones.
    pub anonymous: u64,
    /// The plain offset of the first transaction that is not wanted, where the stop was reached.
    pub stop_at: Option<u64>,
    /// The time of the last transaction before the stop: when it was committed first, in microseconds
    /// since 1970 UTC, or that in its header, in seconds.
    pub last: Option<u64>,
    /// Whether an event begins at the position of the stop, or the log ends there.
    pub is_place: bool,
    /// Up to which plain offset the log was read.
    pub read_to: u64,
    /// Whether the stop was reached, be it with the log's last transaction.
    pub is_reached: bool,
}

impl Scan {
    /// MariaDB's transactions alone, without those before them; none of a log that has too many runs.
    pub(super) fn own(&self) -> Reach {
        let mut own = Reach::default();
        for run in self.runs.iter().filter(|_| self.runs.len() < MAX_RUNS) {
            own.insert_range(run.domain, run.server_id, (run.first, run.last));
        }
        own
    }

    fn note_run(&mut self, id: &TransactionId) {
        let TransactionId::Mariadb { domain, server_id, sequence } = *id else { return };
        let is_next = |run: &&mut Run| {
            (run.domain, run.server_id, run.last.saturating_add(1)) == (domain, server_id, sequence)
        };
        let has_room = self.runs.len() < MAX_RUNS;
        // Domains may take turns: the last run of this one is among the last few.
        match self.runs.iter_mut().rev().take(8).find(is_next) {
            Some(run) => run.last = sequence,
            None if has_room => {
                self.runs.push(Run { domain, server_id, first: sequence, last: sequence });
            }
            None => {}
        }
    }
}

/// The last number of each of MariaDB's domains, and who gave it.
#[derive(Debug, Default)]
struct Order {
    last: BTreeMap<u32, (u32, u64)>,
}

impl Order {
    /// Takes what was before the log.
    fn begin(&mut self, list: &GtidList) {
        for (domain, server_id, sequence) in list.iter() {
            let last = self.last.entry(domain).or_insert((server_id, sequence));
            *last = if last.1 < sequence { (server_id, sequence) } else { *last };
        }
    }

    /// Takes the next transaction; one whose number does not rise comes back, with that before it.
    fn next(&mut self, id: &TransactionId) -> Option<(TransactionId, TransactionId)> {
        let TransactionId::Mariadb { domain, server_id, sequence } = *id else { return None };
        let highest = self.last.entry(domain).or_insert((server_id, 0));
        if sequence > highest.1 {
            *highest = (server_id, sequence);
            return None;
        }
        let (server_id, sequence) = *highest;
        Some((id.clone(), TransactionId::Mariadb { domain, server_id, sequence }))
    }
}

/// Reads where transactions begin, by the headers and the few bodies that tell.
///
/// # Errors
/// [`Error::Walk`] for a log that is damaged on the way, [`Error::Transfer`].
pub fn scan(log: &OpenLog, stop: &Stop) -> Result<Scan, Error> {
    let in_use = is_in_use(log, log.probe().description())?;
    let mut walker = Walker::new(log, Depth::Headers);
    let (mut scan, mut progress, mut order) =
        (Scan::default(), Progress::Outside, Order::default());
    loop {
        let (offset, header, checksum) = match walker.next_event() {
            Ok(Some(event)) => (event.offset, event.header, event.checksum),
            Ok(None) => break,
            Err(Error::Walk { source, .. }) if in_use && source.is_cut() => break,
            Err(error) => return Err(error),
        };
        scan.is_place |= *stop == Stop::Position(offset);
        let kind = header.event_type;
        let is_query = matches!(kind, event_type::QUERY | event_type::MARIADB_QUERY_COMPRESSED);
        let begins_by_gtid = event_type::begins_transaction(kind);
        let length = header.byte_length().unwrap_or(crate::event::header::LENGTH);
        let is_list = kind == event_type::MARIADB_GTID_LIST;
        let bytes = if is_query || begins_by_gtid || is_list {
            walker.peek(offset, length.min(QUERY_HEAD))?
        } else {
            &[]
        };
        let view = EventView { offset, header, bytes, checksum };
        if is_list && let Ok(Some(list)) = GtidList::parse_within(view.body(), usize::MAX) {
            order.begin(&list);
        }
        let begins = begins_by_gtid
            || (progress == Progress::Outside && is_query && Query::of(&view).is_some());
        progress = progress.after(&view);
        if !begins {
            continue;
        }
        let start = TransactionStart::parse(&view).and_then(Result::ok);
        let committed_first = start.as_ref().and_then(|start| start.committed_first);
        let id = start.map_or(TransactionId::Anonymous, |start| start.id);
        let is_behind = match stop {
            Stop::End => false,
            Stop::Time(time) => i64::from(header.timestamp) >= *time,
            Stop::With(_) => scan.is_reached,
            Stop::Before(before) => &id == before,
            Stop::Position(position) => offset >= *position,
        };
        if is_behind {
            scan.stop_at = Some(offset);
            scan.is_reached = true;
            break;
        }
        scan.is_reached |= matches!(stop, Stop::With(with) if &id == with);
        scan.transactions = scan.transactions.saturating_add(1);
        scan.last = committed_first.or_else(|| Some(u64::from(header.timestamp)));
        scan.anonymous = scan.anonymous.saturating_add(u64::from(id == TransactionId::Anonymous));
        scan.unordered = scan.unordered.take().or_else(|| order.next(&id));
        scan.gtids.insert(&id);
        scan.note_run(&id);
    }
    scan.read_to = walker.offset();
    scan.is_place |= *stop == Stop::Position(scan.read_to);
    scan.is_reached |=
        matches!(stop, Stop::Position(position) if walker.offset().max(FIRST_EVENT) >= *position);
    Ok(scan)
}
