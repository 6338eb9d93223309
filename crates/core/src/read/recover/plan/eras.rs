//! A server that began its numbers anew (RESET BINARY LOGS AND GTIDS, RESET MASTER) gives GTIDs to other
//! transactions that it has given before. Its logs from before and after cannot be applied together.

use super::super::catalogue::{Head, Scan, Stop};
use super::super::chains::Walk;
use super::super::reach::Reach;
use super::{Gap, GapKind, Planner};
use crate::event::gtid::TransactionId;

impl Planner<'_, '_> {
    /// Tells of GTIDs that are to be applied, and that two rows of one server's logs have for different
    /// transactions. A server that was restored and has replayed its own logs has the same ones, with
    /// the time at which they were first committed.
    pub(super) fn tell_renumbered(&mut self, start: &Reach) {
        let mut applied = Reach::default();
        self.plan.slices.iter().filter_map(|it| it.adds.as_ref()).for_each(|it| applied.extend(it));
        for (one, other) in self.rows_of_one_server() {
            let both = self.own_of(&one).intersection(&self.own_of(&other));
            let both = both.difference(start).intersection(&applied);
            let Some(id) = both.any() else { continue };
            let places = [self.holding(&one, &id), self.holding(&other, &id)];
            let [Some((log, scan)), Some((other_log, other_scan))] = places else { continue };
            if scan.last == other_scan.last {
                continue;
            }
            self.plan.gaps.push(Gap {
                missing: Some(both),
                logs: Vec::new(),
                after: Some(log.path.clone()),
                before: Some(other_log.path.clone()),
                unread: Vec::new(),
                kind: GapKind::Renumbered,
                is_allowed: false,
            });
        }
    }

    /// Each two rows of logs that one server wrote.
    fn rows_of_one_server(&self) -> Vec<(Walk, Walk)> {
        let writer = |chain: &Walk| {
            let head = chain.log_at(0).and_then(|index| self.head(index));
            head.filter(|head| !head.is_relay).map(|head| head.server_id)
        };
        let mut pairs = Vec::new();
        for (place, one) in self.chains.iter().enumerate() {
            for other in self.chains.iter().skip(place.saturating_add(1)) {
                if writer(one).is_some() && writer(one) == writer(other) {
                    pairs.push((one.clone(), other.clone()));
                }
            }
        }
        pairs
    }

    /// The transactions of a row: by the heads of its logs, and of its last log by all of that.
    fn own_of(&mut self, chain: &Walk) -> Reach {
        let heads: Vec<&Head> = chain.logs.iter().filter_map(|&index| self.head(index)).collect();
        let (Some(first), Some(last)) = (heads.first(), heads.last()) else {
            return Reach::default();
        };
        let before = first.previous.clone().unwrap_or_default();
        let mut own =
            last.previous.as_ref().map_or_else(Reach::default, |it| it.difference(&before));
        heads.iter().filter_map(|head| head.first.as_ref()).for_each(|(id, _)| own.insert_one(id));
        let last = (*last).clone();
        // What cannot be read is told where it is needed.
        if let Ok(scan) = self.read(&last, &Stop::End) {
            if scan.runs.is_empty() {
                own.extend(&scan.gtids);
            }
            for run in &scan.runs {
                own.insert_range(run.domain, run.server_id, (run.first, run.last));
            }
        }
        own
    }

    /// The log of a row that has a transaction, read up to it.
    fn holding(&mut self, chain: &Walk, id: &TransactionId) -> Option<(Head, Scan)> {
        let mut heads = chain.logs.iter().filter_map(|&index| self.head(index));
        let is_before = |head: &&Head| !head.previous.as_ref().is_some_and(|it| it.contains(id));
        let head = heads.rfind(is_before)?.clone();
        let scan = self.read(&head, &Stop::With(id.clone())).ok()?;
        scan.is_reached.then_some((head, scan))
    }
}
