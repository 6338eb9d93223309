//! From the state of a backup and the heads of logs to slices in their order, and to what is missing.

mod eras;
mod error;
mod forks;
mod gaps;
mod lacking;
mod moment;
mod positions;

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::catalogue::{Catalogue, Head, Scan, Stop, Unread, name_of};
pub use super::chains::Doubled;
use super::chains::{self, Chain, Walk};
use super::reach::Reach;
use super::state::State;
use crate::event::FIRST_EVENT;
use crate::event::gtid::TransactionId;
use crate::log::error::Error;
use crate::log::error_class::ErrorClass;
pub use error::PlanError;
pub use lacking::tell_lacking;
pub use moment::Moment;

/// What may be missing, as the user says.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// Logs, by their names.
    pub logs: BTreeSet<String>,
    /// Transactions.
    pub gtids: Reach,
}

/// What is wanted of a plan.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Where it begins.
    pub state: State,
    /// Where it ends.
    pub moment: Moment,
    /// What may be missing.
    pub allowed: Allowed,
    /// Logs of these servers alone, if there are any.
    pub server_ids: BTreeSet<u32>,
}

/// A part of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// The log.
    pub path: PathBuf,
    /// The server that wrote it.
    pub server_id: u32,
    /// The plain offset at which it begins; `None` for the log's beginning.
    pub start_position: Option<u64>,
    /// The plain offset before which it ends; `None` for the log's end.
    pub stop_position: Option<u64>,
    /// Transactions of the log that are left out, as they are there already.
    pub without: Option<Reach>,
    /// Transactions that it adds; `None` where they have no GTIDs.
    pub adds: Option<Reach>,
}

/// Something that is needed and not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Transactions that are missing, where GTIDs tell.
    pub missing: Option<Reach>,
    /// Names of logs that are missing; of many the first and the last.
    pub logs: Vec<String>,
    /// The slice before it, if there is one.
    pub after: Option<PathBuf>,
    /// The log behind it, if there is one.
    pub before: Option<PathBuf>,
    /// What is there of the missing logs, and cannot be read.
    pub unread: Vec<Unread>,
    /// What is amiss.
    pub kind: GapKind,
    /// Whether the user allows it.
    pub is_allowed: bool,
}

/// What is amiss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PlanGapKind"))]
#[serde(rename_all = "kebab-case")]
pub enum GapKind {
    /// Transactions between two logs, or before the first, are in no log that can be read.
    Missing,
    /// The moment is behind all that can be read.
    NotReached,
    /// Transactions that the server which wrote the last log never had.
    Diverged,
    /// Transactions whose GTIDs their server has given twice, as it began its numbers anew.
    Renumbered,
    /// Transactions that a log does not have although the head of the log behind it says that they were
    /// before it.
    Lacking,
}

/// What leads to a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What to apply, in order.
    pub slices: Vec<Slice>,
    /// What is missing.
    pub gaps: Vec<Gap>,
    /// Logs that are there twice.
    pub doubled: Vec<Doubled>,
    /// Logs that cannot be read and are not needed, as far as is known.
    pub unread: Vec<Unread>,
    /// Relay logs, which have what a server's own logs have, too.
    pub relay_logs: Vec<PathBuf>,
    /// What is there at the end.
    pub reached: Option<Reach>,
    /// Transactions up to the moment that are in none of the logs and not in the backup, although the
    /// same server has some before and behind them (MySQL), or the same domain within a log (MariaDB): left
    /// out of a log, or never there.
    pub holes: Option<Reach>,
    /// Transactions without GTIDs in logs that are chosen by GTIDs: they may be in the backup.
    pub anonymous: u64,
    /// Logs that begin with transactions without GTIDs, and are not used, as GTIDs say what is wanted.
    pub without_gtids: Vec<PathBuf>,
}

impl Plan {
    /// Gaps that nobody has allowed.
    pub fn open_gaps(&self) -> impl Iterator<Item = &Gap> {
        self.gaps.iter().filter(|gap| !gap.is_allowed)
    }

    /// The worst of what stands in the way, where it is more than a log that is not there.
    #[must_use]
    pub fn worst(&self) -> Option<ErrorClass> {
        self.open_gaps().flat_map(|gap| &gap.unread).map(|unread| unread.class).max()
    }
}

/// Reads a log up to a stop.
pub type Scanner<'a> = dyn FnMut(&Path, &Stop) -> Result<Scan, Error> + 'a;

/// Checks a log that a plan needs: what is wrong with it, if anything is.
pub type Checker<'a> = dyn FnMut(&Path) -> Option<Error> + 'a;

/// Makes a plan. Of most logs their heads are enough; `scan` reads those on which its ends depend. What
/// `scan` or `check` finds damaged is as good as not there: another copy of it is taken, if there is one.
///
/// # Errors
/// [`PlanError`]. What is missing is part of the plan.
pub fn plan(
    mut catalogue: Catalogue,
    wanted: &Wanted,
    scan: &mut Scanner<'_>,
    check: &mut Checker<'_>,
) -> Result<Plan, PlanError> {
    let mut checked = HashSet::new();
    let mut by_position = false;
    'again: loop {
        let plan = match plan_once(&catalogue, wanted, by_position, scan) {
            Err(PlanError::Unordered { .. }) if !by_position && has_position(&wanted.state) => {
                by_position = true;
                continue;
            }
            Err(PlanError::Unreadable { path, source }) if source.class() != ErrorClass::Work => {
                catalogue.give_up(&path, &source);
                continue;
            }
            plan => plan?,
        };
        for slice in &plan.slices {
            if !checked.contains(&slice.path)
                && let Some(error) = check(&slice.path)
            {
                catalogue.give_up(&slice.path, &error);
                continue 'again;
            }
            checked.insert(slice.path.clone());
        }
        return Ok(plan);
    }
}

/// Whether a backup says a position, and there is nothing besides it.
fn has_position(state: &State) -> bool {
    state.position.is_some() && state.besides.is_empty()
}

fn plan_once(
    catalogue: &Catalogue,
    wanted: &Wanted,
    by_position: bool,
    scan: &mut Scanner<'_>,
) -> Result<Plan, PlanError> {
    let is_chosen =
        |head: &&Head| wanted.server_ids.is_empty() || wanted.server_ids.contains(&head.server_id);
    let chosen = catalogue.heads.iter().filter(is_chosen).cloned();
    let (relay, own): (Vec<_>, Vec<_>) = chosen.partition(|head| head.is_relay);
    let mut has = |head: &Head, id: &TransactionId| {
        let found = scan(&head.path, &Stop::With(id.clone()));
        // Of what cannot be read the heads alone tell.
        found.map_or(true, |found| found.is_reached)
    };
    let (heads, doubled) = chains::each_once(own, &mut has);
    if heads.is_empty() && catalogue.unread.is_empty() {
        return Err(PlanError::NoLogs);
    }
    let chains: Vec<_> = chains::join(&heads).into_iter().map(Chain::walk).collect();
    let relay_logs = relay.into_iter().map(|head| head.path).collect();
    let mut planner = Planner {
        heads: &heads,
        chains,
        unread: catalogue.unread.clone(),
        wanted,
        scan,
        plan: Plan { doubled, relay_logs, ..Plan::default() },
        timelines: Vec::new(),
        is_time_seen: false,
        by_position,
    };
    if let Moment::Position(position) = &wanted.moment {
        planner.find(&position.log, "the moment names")?;
    }
    match planner.start()? {
        Start::Gtids(reach) => planner.by_gtids(&reach)?,
        Start::Position(place, position) => planner.by_position(place, position)?,
    }
    let Planner { mut plan, unread, .. } = planner;
    plan.unread = unread;
    Ok(plan)
}

/// Where to begin.
enum Start {
    /// With all that is not among these.
    Gtids(Reach),
    /// In a log of a chain: the chain and the place in it.
    Position((usize, usize), u64),
}

struct Planner<'a, 's> {
    heads: &'a [Head],
    chains: Vec<Walk>,
    unread: Vec<Unread>,
    wanted: &'a Wanted,
    scan: &'a mut Scanner<'s>,
    plan: Plan,
    /// Of each slice: what its server had at the end of the log.
    timelines: Vec<Reach>,
    /// Whether a transaction from behind the moment, a time, was seen.
    is_time_seen: bool,
    /// Whether GTIDs do not say what is before what, and the backup's position is heeded alone.
    by_position: bool,
}

impl<'a> Planner<'a, '_> {
    /// By the backup's GTIDs if it has any, else by those that its position comes to, else by the
    /// position alone.
    fn start(&mut self) -> Result<Start, PlanError> {
        let state = &self.wanted.state;
        let is_empty = state.gtids.as_ref().is_none_or(Reach::is_empty);
        if state.position.is_none()
            && is_empty
            && state.besides.is_empty()
            && let Some(chain) = self.row_without_gtids()?
        {
            return Ok(Start::Position((chain, 0), FIRST_EVENT));
        }
        if let Some(gtids) = state.gtids.as_ref().filter(|_| !self.by_position) {
            return Ok(Start::Gtids(gtids.union(&state.besides)));
        }
        let Some(position) = &state.position else {
            return Ok(Start::Gtids(Reach::default()));
        };
        let place = self.find(&position.log, "the backup names")?;
        let head = self.chains.get(place.0).and_then(|chain| self.head(chain.log_at(place.1)?));
        let head = head.ok_or(PlanError::NoLogs)?;
        if self.by_position {
            return Ok(Start::Position(place, position.position));
        }
        let scanned = self.read(head, &Stop::Position(position.position))?;
        if !scanned.is_place {
            return Err(PlanError::NoSuchPlace {
                path: head.path.clone(),
                position: position.position,
                read_to: scanned.read_to,
            });
        }
        let mut reach = head.previous.clone().unwrap_or_default();
        reach.extend(&scanned.gtids);
        // Where the log has nothing before the position, what stands behind it tells.
        let has_gtids = head.first.as_ref().is_some_and(|(id, _)| *id != TransactionId::Anonymous);
        let is_known = !reach.is_empty() || (scanned.transactions == 0 && has_gtids);
        if is_known && scanned.anonymous == 0 {
            return Ok(Start::Gtids(reach.union(&state.besides)));
        }
        Ok(Start::Position(place, position.position))
    }

    /// Refuses to choose by numbers in a log of MariaDB whose numbers do not rise, or in the one before it:
    /// what has a number that the backup has may be behind it.
    fn refuse_unordered(&mut self, place: usize, executed: &Reach) -> Result<(), PlanError> {
        let Some(chain) = self.chains.get(place) else { return Ok(()) };
        let places = [chain.at.checked_sub(1), Some(chain.at)];
        let heads: Vec<&Head> = places
            .into_iter()
            .filter_map(|at| self.head(chain.log_at(at?)?))
            .filter(|head| head.is_mariadb())
            .collect();
        for head in heads {
            if let Some((later, earlier)) = self.read(head, &Stop::End)?.unordered
                && executed.contains(&later)
            {
                return Err(PlanError::Unordered {
                    path: head.path.clone(),
                    earlier: earlier.to_string(),
                    later: later.to_string(),
                });
            }
        }
        Ok(())
    }

    fn head(&self, index: usize) -> Option<&'a Head> {
        self.heads.get(index)
    }

    fn read(&mut self, head: &Head, stop: &Stop) -> Result<Scan, PlanError> {
        (self.scan)(&head.path, stop).map_err(|source| PlanError::Unreadable {
            path: head.path.clone(),
            source: Box::new(source),
        })
    }

    /// Where the reading of one log stops.
    fn stop(&self, head: &Head) -> Stop {
        match &self.wanted.moment {
            Moment::End => Stop::End,
            Moment::Time(time) => Stop::Time(*time),
            Moment::With(id) => Stop::With(id.clone()),
            Moment::Before(id) => Stop::Before(id.clone()),
            Moment::Position(position) if position.log == name_of(&head.path) => {
                Stop::Position(position.position)
            }
            Moment::Position(_) => Stop::End,
        }
    }

    /// The transactions of a chain's next log by the head of the one behind it, if that has the next
    /// number.
    fn own_by_heads(&self, chain: &Walk) -> Option<Reach> {
        let head = self.head(chain.log()?)?;
        let next = self.head(chain.log_at(chain.at.saturating_add(1))?)?;
        let is_next = match (head.number(), next.number()) {
            (Some(number), Some(next)) => next == number.saturating_add(1),
            _ => true,
        };
        let (previous, later) = (head.previous.as_ref()?, next.previous.as_ref()?);
        is_next.then(|| later.difference(previous))
    }

    /// What a chain's next log has, and where it is to stop. Heads are enough where they say it.
    fn look(&mut self, place: usize) -> Result<Scan, PlanError> {
        let Some(chain) = self.chains.get(place) else { return Ok(Scan::default()) };
        let Some(head) = chain.log().and_then(|index| self.head(index)) else {
            return Ok(Scan::default());
        };
        let (stop, own) = (self.stop(head), self.own_by_heads(chain));
        let is_from = |head: &Head, time: i64| {
            head.first.as_ref().map(|(_, first)| i64::from(*first) >= time)
        };
        let next = chain.log_at(chain.at.saturating_add(1)).and_then(|index| self.head(index));
        let by_heads = |gtids: Reach| Ok(Scan { gtids, ..Scan::default() });
        match (&stop, own) {
            (Stop::Time(time), _) if is_from(head, *time) == Some(true) => {
                return Ok(Scan { is_reached: true, ..Scan::default() });
            }
            (Stop::End, Some(own)) => return by_heads(own),
            (Stop::With(id) | Stop::Before(id), Some(own)) if !own.contains(id) => {
                return by_heads(own);
            }
            (Stop::Time(time), Some(own))
                if next.and_then(|next| is_from(next, *time)) == Some(false) =>
            {
                return by_heads(own);
            }
            _ => {}
        }
        self.read(head, &stop)
    }

    fn by_gtids(&mut self, start: &Reach) -> Result<(), PlanError> {
        self.refuse_other_kind(start)?;
        if let Some(id) = self.wanted.moment.transaction().filter(|id| start.contains(id)) {
            return Err(PlanError::InBackup { gtid: id.to_string() });
        }
        let mut executed = start.clone();
        let mut last: Option<usize> = None;
        let is_reached = loop {
            self.pass_by(&executed);
            let Some(place) = self.next(&executed, last) else {
                let Some(missing) = self.jump(&executed) else { break false };
                let moment = &self.wanted.moment;
                if moment.transaction().is_some_and(|id| missing.contains(id)) {
                    break true;
                }
                executed.extend(&missing);
                continue;
            };
            let found = self.look(place)?;
            if !found.gtids.is_empty() {
                self.tell_skipped(place, &executed);
            }
            let adds = found.gtids.difference(&executed);
            let adds_nothing = adds.is_empty() && found.anonymous == 0;
            if !adds_nothing {
                self.take(place, &found, &executed, adds)?;
                executed.extend(&found.gtids);
                last = Some(place);
            }
            if adds_nothing {
                self.note_without_gtids(place);
            }
            self.pass(place);
            if found.is_reached {
                if !matches!(self.wanted.moment, Moment::Time(_)) {
                    break true;
                }
                // Logs of other servers may have more from before that time.
                self.is_time_seen = true;
                self.leave(place);
            }
        };
        if !is_reached && !self.is_open_end() {
            self.tell_not_reached(&executed);
        }
        self.tell_unread_tail();
        self.tell_renumbered(start);
        self.tell_diverged(start);
        self.tell_forked(start)?;
        let known = self.plan.gaps.iter().filter_map(|gap| gap.missing.as_ref());
        let known = known.fold(start.holes(), |all, missing| all.union(missing));
        let holes = executed.holes().difference(&known);
        self.plan.holes = (!holes.is_empty()).then_some(holes);
        self.plan.reached = Some(executed);
        Ok(())
    }

    /// Whether the logs may end before the moment.
    const fn is_open_end(&self) -> bool {
        matches!(self.wanted.moment, Moment::End | Moment::Time(_))
    }

    /// Passes by logs that add nothing. One without transactions stays where some are missing before
    /// it: it tells of them, and which logs they were in.
    fn pass_by(&mut self, executed: &Reach) {
        for place in 0..self.chains.len() {
            while let Some(chain) = self.chains.get(place)
                && let Some(own) = self.own_by_heads(chain)
                && executed.contains_all(&own)
                && (!own.is_empty() || self.is_continued(place, executed))
                && !self.is_named(chain)
            {
                self.note_without_gtids(place);
                self.pass(place);
            }
        }
    }

    /// Notes a log that is left out although it has transactions of which GTIDs say nothing.
    fn note_without_gtids(&mut self, place: usize) {
        let head = self.next_of(place).filter(|head| head.begins_without_gtids());
        self.plan.without_gtids.extend(head.map(|head| head.path.clone()));
    }

    /// Whether all that a chain's next log says of those before it is there.
    fn is_continued(&self, place: usize, executed: &Reach) -> bool {
        let previous = self.next_of(place).and_then(|head| head.previous.as_ref());
        previous.is_some_and(|previous| executed.contains_all(previous))
    }

    /// Whether the moment is in a chain's next log, whatever that has.
    fn is_named(&self, chain: &Walk) -> bool {
        let head = chain.log().and_then(|index| self.head(index));
        matches!((&self.wanted.moment, head), (Moment::Position(position), Some(head))
            if position.log == name_of(&head.path))
    }

    fn pass(&mut self, place: usize) {
        let number = self.next_of(place).and_then(Head::number);
        if let Some(chain) = self.chains.get_mut(place) {
            chain.at = chain.at.saturating_add(1);
            chain.passed = number.or(chain.passed);
        }
    }

    fn leave(&mut self, place: usize) {
        if let Some(chain) = self.chains.get_mut(place) {
            chain.at = chain.logs.len();
        }
    }

    fn next_of(&self, place: usize) -> Option<&'a Head> {
        self.head(self.chains.get(place)?.log()?)
    }

    fn take(
        &mut self,
        place: usize,
        found: &Scan,
        executed: &Reach,
        adds: Reach,
    ) -> Result<(), PlanError> {
        let Some(head) = self.next_of(place) else { return Ok(()) };
        let is_partial = adds != found.gtids && !self.goes_on(place);
        if is_partial && !executed.is_empty() {
            self.refuse_unordered(place, executed)?;
        }
        let mut timeline = head.previous.clone().unwrap_or_default();
        timeline.extend(&found.gtids);
        self.timelines.push(timeline);
        self.plan.anonymous = self.plan.anonymous.saturating_add(found.anonymous);
        self.plan.slices.push(Slice {
            path: head.path.clone(),
            server_id: head.server_id,
            start_position: None,
            stop_position: found.stop_at,
            without: is_partial.then(|| executed.clone()),
            adds: Some(adds),
        });
        Ok(())
    }

    /// Whether a chain's next log goes on in a domain of MariaDB's where the one that was taken last ended:
    /// then all of it is wanted, whatever its numbers are.
    fn goes_on(&self, place: usize) -> bool {
        let Some(chain) = self.chains.get(place) else { return false };
        let before = chain.at.checked_sub(1).and_then(|at| self.head(chain.log_at(at)?));
        let last = self.plan.slices.last().filter(|last| last.stop_position.is_none());
        let (Some(head), Some(before), Some(last)) = (self.next_of(place), before, last) else {
            return false;
        };
        let numbers = head.number().zip(before.number());
        let is_next = numbers.is_none_or(|(number, before)| number == before.saturating_add(1));
        head.is_mariadb() && is_next && last.path == before.path
    }

    /// The chain whose next log may follow: of MariaDB's, the one that skips the fewest numbers, as a
    /// server need not write down what others did before it; then the same as before, then that of the
    /// earliest log.
    fn next(&self, executed: &Reach, last: Option<usize>) -> Option<usize> {
        let fits = |place: &usize| self.is_continued(*place, executed);
        let key = |place: &usize| {
            let head = self.next_of(*place);
            let first = head.and_then(|head| head.first.as_ref());
            let skipped = first.and_then(|(id, _)| executed.skipped_by(id));
            let time = first.map_or_else(|| head.map(|head| head.created), |(_, time)| Some(*time));
            let many = skipped.map_or(0, |skipped| skipped.len());
            (many, last != Some(*place), time, head.and_then(Head::number))
        };
        (0..self.chains.len()).filter(fits).min_by_key(key)
    }

    fn refuse_other_kind(&self, executed: &Reach) -> Result<(), PlanError> {
        let name = |is_mariadb: bool| if is_mariadb { "MariaDB" } else { "MySQL" };
        for head in self.heads {
            let Some(previous) = head.previous.as_ref().filter(|it| !it.is_empty()) else {
                continue;
            };
            if !executed.is_empty() && previous.is_mariadb() != executed.is_mariadb() {
                let (state, log) = (name(executed.is_mariadb()), name(previous.is_mariadb()));
                return Err(PlanError::OtherKind { path: head.path.clone(), state, log });
            }
        }
        Ok(())
    }
}
