//! What stands in the way of a plan, and how it is told.

use crate::batch::targets::name_of_log;
use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use super::{Gap, GapKind, Moment, Planner, Slice};
use crate::read::recover::catalogue::{Head, Stop, Unread, name_of, series};
use crate::read::recover::reach::Reach;

impl Planner<'_, '_> {
    /// Notes what is missing before the nearest log that is left, and goes on as if it were there.
    pub(super) fn jump(&mut self, executed: &Reach) -> Option<Reach> {
        let mut nearest: Option<(u64, u32, usize, Reach)> = None;
        for place in 0..self.chains.len() {
            let Some(head) = self.next_of(place) else { continue };
            // What is missing before a log from behind the moment may be from before it, as long as no
            // other log has shown where the moment is.
            let begins = head.first.as_ref().map_or(head.created, |(_, first)| *first);
            let is_late = match &self.wanted.moment {
                Moment::Time(time) => self.is_time_seen && i64::from(begins) >= *time,
                _ => false,
            };
            let Some(previous) = head.previous.as_ref().filter(|_| !is_late) else { continue };
            let missing = previous.difference(executed);
            let key = (missing.len(), head.created);
            if nearest.as_ref().is_none_or(|(many, created, ..)| key < (*many, *created)) {
                nearest = Some((key.0, key.1, place, missing));
            }
        }
        let (.., place, missing) = nearest?;
        let head = self.next_of(place)?;
        let logs = self.names_before(place, head);
        let unread = self.claim_unread(&head.path, &logs);
        let is_allowed = self.wanted.allowed.gtids.contains_all(&missing)
            || is_each_allowed(&logs, &self.wanted.allowed.logs);
        self.plan.gaps.push(Gap {
            missing: Some(missing.clone()),
            logs: shown(&logs),
            after: self.plan.slices.last().map(|slice| slice.path.clone()),
            before: Some(head.path.clone()),
            unread,
            kind: GapKind::Missing,
            is_allowed,
        });
        Some(missing)
    }

    /// Notes the numbers of a MariaDB domain that are in no log although one goes on behind them.
    pub(super) fn tell_skipped(&mut self, place: usize, executed: &Reach) {
        let Some(head) = self.next_of(place) else { return };
        let first = head.first.as_ref();
        let Some(missing) = first.and_then(|(id, _)| executed.skipped_by(id)) else { return };
        let logs = self.names_before(place, head);
        let unread = self.claim_unread(&head.path, &logs);
        self.plan.gaps.push(Gap {
            is_allowed: self.wanted.allowed.gtids.contains_all(&missing)
                || is_each_allowed(&logs, &self.wanted.allowed.logs),
            missing: Some(missing),
            logs: shown(&logs),
            after: self.plan.slices.last().map(|slice| slice.path.clone()),
            before: Some(head.path.clone()),
            unread,
            kind: GapKind::Missing,
        });
    }

    /// Names of the logs that would stand between a chain's next log and the one that was passed last.
    fn names_before(&self, place: usize, head: &Head) -> Vec<String> {
        let passed = self.chains.get(place).and_then(|chain| chain.passed);
        let Some(number) = head.number() else { return Vec::new() };
        let first = passed.map_or(1, |it| it.saturating_add(1));
        let first = first.max(number.saturating_sub(MAX_NAMES));
        let width = name_of_log(&head.path).extension().map_or(6, |it| it.as_encoded_bytes().len());
        let stem = series(&head.path).0;
        (first..number).map(|number| format!("{stem}.{number:0width$}")).collect()
    }

    /// Takes those of the logs that cannot be read out of the list which have one of these names, and
    /// lie where the log behind them does, if there are such.
    fn claim_unread(&mut self, near: &Path, names: &[String]) -> Vec<Unread> {
        let names: HashSet<_> = names.iter().collect();
        let is_named = |it: &Unread| names.contains(&name_of(&it.path));
        let is_near = |it: &Unread| is_named(it) && it.path.parent() == near.parent();
        let has_near = self.unread.iter().any(is_near);
        let is_wanted = |it: &Unread| if has_near { is_near(it) } else { is_named(it) };
        let (claimed, left) = std::mem::take(&mut self.unread).into_iter().partition(is_wanted);
        self.unread = left;
        claimed
    }

    pub(super) fn tell_not_reached(&mut self, executed: &Reach) {
        let mut missing = Reach::default();
        if let Some(id) = self.wanted.moment.transaction() {
            missing.insert(id);
        }
        let missing = missing.difference(executed);
        self.plan.gaps.push(Gap {
            missing: (!missing.is_empty()).then_some(missing),
            logs: Vec::new(),
            after: self.plan.slices.last().map(|slice| slice.path.clone()),
            before: None,
            unread: std::mem::take(&mut self.unread),
            kind: GapKind::NotReached,
            is_allowed: false,
        });
    }

    /// Logs behind the last slice that cannot be read may have what is wanted.
    pub(super) fn tell_unread_tail(&mut self) {
        let is_cut = self.plan.slices.last().is_some_and(|last| last.stop_position.is_some());
        if is_cut || !self.is_open_end() {
            return;
        }
        // Behind the last log of their series that could be read, or of a series without any.
        let is_behind = |it: &Unread| {
            let (stem, number) = series(&it.path);
            let same = self.heads.iter().filter(|head| {
                series(&head.path).0 == stem && head.path.parent() == it.path.parent()
            });
            let last = same.map(Head::number).max();
            number.is_some() && last.is_none_or(|last| number > last)
        };
        let (behind, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.unread).into_iter().partition(is_behind);
        self.unread = left;
        if behind.is_empty() {
            return;
        }
        let names: Vec<_> = behind.iter().map(|it| name_of(&it.path)).collect();
        let is_allowed = is_each_allowed(&names, &self.wanted.allowed.logs);
        self.plan.gaps.push(Gap {
            missing: None,
            logs: shown(&names),
            after: self.plan.slices.last().map(|slice| slice.path.clone()),
            before: None,
            unread: behind,
            kind: GapKind::NotReached,
            is_allowed,
        });
    }

    /// After a failover the old primary may have transactions that the new one never got. Of several
    /// servers the one counts that lacks the fewest, and of two such the later.
    pub(super) fn tell_diverged(&mut self, start: &Reach) {
        let slices = self.plan.slices.clone();
        let mut all = Reach::default();
        slices.iter().filter_map(|slice| slice.adds.as_ref()).for_each(|it| all.extend(it));
        // A domain of MariaDB's that a server has nothing of is another source's.
        let lacks = |timeline: &Reach| {
            all.difference(timeline).difference(start).within_domains_of(timeline)
        };
        let of_each = slices.iter().zip(&self.timelines).rev();
        let least = of_each.map(|(slice, timeline)| (slice, lacks(timeline)));
        let Some((last, missing)) = least.min_by_key(|(_, missing)| missing.len()) else { return };
        let is_of_one = slices.iter().all(|slice| slice.server_id == last.server_id);
        if missing.is_empty() || is_of_one {
            return;
        }
        let missing = missing.clone();
        if self.has_one_server(&all.difference(start)) {
            return;
        }
        let holds = |slice: &&Slice| {
            slice.adds.as_ref().is_some_and(|adds| adds.difference(&missing) != *adds)
        };
        let gap = Gap {
            is_allowed: self.wanted.allowed.gtids.contains_all(&missing),
            logs: Vec::new(),
            after: slices.iter().find(holds).map(|slice| slice.path.clone()),
            before: Some(last.path.clone()),
            missing: Some(missing),
            unread: Vec::new(),
            kind: GapKind::Diverged,
        };
        self.plan.gaps.push(gap);
    }

    /// Whether one server's logs have all of these, as those of a replica of several sources do: then they
    /// are transactions of one history, whichever logs they are taken from.
    fn has_one_server(&mut self, all: &Reach) -> bool {
        let lasts: Vec<&Head> = self
            .chains
            .iter()
            .filter_map(|chain| self.head(*chain.logs.last()?))
            .filter(|head| !head.is_mariadb())
            .collect();
        lasts.into_iter().any(|head| {
            let mut timeline = head.previous.clone().unwrap_or_default();
            // What cannot be read is told where it is needed.
            if let Ok(scan) = self.read(head, &Stop::End) {
                timeline.extend(&scan.gtids);
            }
            timeline.contains_all(all)
        })
    }

    pub(super) fn gap_in_numbers(&mut self, place: usize, head: &Head) {
        let logs = self.names_before(place, head);
        let unread = self.claim_unread(&head.path, &logs);
        self.plan.gaps.push(Gap {
            missing: None,
            is_allowed: is_each_allowed(&logs, &self.wanted.allowed.logs),
            logs: shown(&logs),
            after: self.plan.slices.last().map(|slice| slice.path.clone()),
            before: Some(head.path.clone()),
            unread,
            kind: GapKind::Missing,
        });
    }
}

/// More names of missing logs than this are not counted one by one.
const MAX_NAMES: u64 = 100_000;

fn is_each_allowed(names: &[String], allowed: &BTreeSet<String>) -> bool {
    !names.is_empty() && names.iter().all(|name| allowed.contains(name))
}

/// The first and the last of many names.
fn shown(names: &[String]) -> Vec<String> {
    match names {
        [first, .., last] => vec![first.clone(), last.clone()],
        few => few.to_vec(),
    }
}
