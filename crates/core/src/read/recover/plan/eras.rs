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
        let rows = self.rows_of_servers_with_several();
        for (place, (server, one, own)) in rows.iter().enumerate() {
            let others = rows.iter().skip(place.saturating_add(1)).filter(|it| it.0 == *server);
            for (_, other, of_other) in others {
                let both = own.intersection(of_other).difference(start).intersection(&applied);
                self.tell_if_other(one, other, both);
            }
        }
    }

    fn tell_if_other(&mut self, one: &Walk, other: &Walk, both: Reach) {
        let Some(id) = both.any() else { return };
        let places = [self.holding(one, &id), self.holding(other, &id)];
        let [Some((log, scan)), Some((other_log, other_scan))] = places else { return };
        if scan.last == other_scan.last {
            return;
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

    /// The rows of logs of servers that have several, with their server and their transactions.
    fn rows_of_servers_with_several(&mut self) -> Vec<(u32, Walk, Reach)> {
        let writer = |chain: &Walk| {
            let head = chain.log_at(0).and_then(|index| self.head(index));
            head.filter(|head| !head.is_relay).map(|head| head.server_id)
        };
        let rows: Vec<(u32, Walk)> =
            self.chains.iter().filter_map(|it| Some((writer(it)?, it.clone()))).collect();
        let has_several =
            |server: u32| rows.iter().filter(|(other, _)| *other == server).nth(1).is_some();
        let of_several = rows.iter().filter(|(server, _)| has_several(*server)).cloned();
        let of_several: Vec<(u32, Walk)> = of_several.collect();
        let with_own = of_several.into_iter().map(|(server, chain)| {
            let own = self.own_of(&chain);
            (server, chain, own)
        });
        with_own.collect()
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
