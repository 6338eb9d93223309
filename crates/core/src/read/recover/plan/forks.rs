//! MariaDB's numbers are one row in a domain, whichever server writes. After a failover two servers may
//! have written the same numbers, and a plan can apply one transaction of each alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::catalogue::{Head, Run, Stop};
use super::super::reach::Reach;
use super::{Gap, GapKind, PlanError, Planner};

/// Numbers of one log that another log's server gave to other transactions.
struct Fork {
    /// The log whose transactions are applied.
    applied: PathBuf,
    /// The log whose transactions are not.
    left_out: PathBuf,
    numbers: Reach,
}

/// Which log gave the numbers that are applied, by domains.
#[derive(Default)]
struct Applied {
    runs: BTreeMap<u32, Vec<(Run, PathBuf)>>,
    /// What is applied of each domain and server, be it under numbers that others have, too: where
    /// servers write into one domain at once, the logs of each have the transactions of all.
    all: BTreeMap<(u32, u32), Reach>,
}

impl Applied {
    /// Notes a run of a log of which all is applied but these numbers.
    fn note(&mut self, run: &Run, without: Option<&Reach>) {
        let mut own = Reach::default();
        own.insert_range(run.domain, run.server_id, (run.first, run.last));
        let own = without.map_or_else(|| own.clone(), |without| own.difference(without));
        self.all.entry((run.domain, run.server_id)).or_default().extend(&own);
    }

    /// What of a run is another transaction than the one that is applied under its number, and the rest
    /// of it, which is applied if `applies`.
    fn add(&mut self, run: Run, log: &Path, (start, applies): (&Reach, bool)) -> Vec<Fork> {
        let own = self.runs.entry(run.domain).or_default();
        let of_server = self.all.get(&(run.domain, run.server_id));
        let (mut forks, mut free) = (Vec::new(), vec![(run.first, run.last)]);
        for (before, applied) in own.iter() {
            let (first, last) = (run.first.max(before.first), run.last.min(before.last));
            if first > last {
                continue;
            }
            free = free.into_iter().flat_map(|part| without(part, (first, last))).collect();
            let mut numbers = Reach::default();
            numbers.insert_range(run.domain, run.server_id, (first, last));
            let numbers = numbers.difference(start);
            let numbers = of_server.map_or_else(|| numbers.clone(), |own| numbers.difference(own));
            if before.server_id != run.server_id && !numbers.is_empty() {
                let (applied, left_out) = (applied.clone(), log.to_owned());
                forks.push(Fork { applied, left_out, numbers });
            }
        }
        let parts = free.into_iter().filter(|_| applies);
        own.extend(parts.map(|(first, last)| (Run { first, last, ..run }, log.to_owned())));
        forks
    }
}

/// A range of numbers without another one.
fn without((first, last): (u64, u64), (from, to): (u64, u64)) -> Vec<(u64, u64)> {
    if to < first || last < from {
        return vec![(first, last)];
    }
    let before = (first < from).then(|| (first, from.saturating_sub(1)));
    let behind = (to < last).then(|| (to.saturating_add(1), last));
    before.into_iter().chain(behind).collect()
}

impl Planner<'_, '_> {
    /// Tells of transactions that are left out because another server gave their numbers to others. Heads
    /// do not tell: where several servers of MariaDB are, every log is read from GTID to GTID.
    pub(super) fn tell_forked(&mut self, start: &Reach) -> Result<(), PlanError> {
        let of_mariadb = self.heads.iter().filter(|head| head.is_mariadb());
        let servers: BTreeSet<u32> = of_mariadb.clone().map(|head| head.server_id).collect();
        if servers.len() < 2 {
            return Ok(());
        }
        let slices = self.plan.slices.clone();
        let head_of = |path: &Path| self.heads.iter().find(|head| head.path == path);
        let is_left = |head: &&Head| !slices.iter().any(|slice| slice.path == head.path);
        let left: Vec<&Head> = of_mariadb.filter(is_left).collect();
        let (mut applied, mut forks) = (Applied::default(), Vec::new());
        let mut of_slices = Vec::new();
        for slice in &slices {
            let Some(head) = head_of(&slice.path) else { continue };
            let stop = slice.stop_position.map_or(Stop::End, Stop::Position);
            let runs = self.read(head, &stop)?.runs;
            runs.iter().for_each(|run| applied.note(run, slice.without.as_ref()));
            of_slices.push((head, runs));
        }
        for (head, runs) in of_slices {
            for run in runs {
                forks.extend(applied.add(run, &head.path, (start, true)));
            }
        }
        for head in left {
            for run in self.read(head, &Stop::End)?.runs {
                forks.extend(applied.add(run, &head.path, (start, false)));
            }
        }
        for fork in forks {
            self.plan.gaps.push(Gap {
                is_allowed: self.wanted.allowed.gtids.contains_all(&fork.numbers),
                logs: Vec::new(),
                after: Some(fork.left_out),
                before: Some(fork.applied),
                missing: Some(fork.numbers),
                unread: Vec::new(),
                kind: GapKind::Diverged,
            });
        }
        Ok(())
    }
}
