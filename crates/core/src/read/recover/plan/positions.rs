//! Plans by a position: for logs without GTIDs, and for such whose GTIDs do not say what is before what.

use super::super::catalogue::{Head, Scan, Stop, name_of};
use super::super::chains::Walk;
use super::super::reach::Reach;
use super::{PlanError, Planner, Slice};
use crate::event::FIRST_EVENT;

impl Planner<'_, '_> {
    /// The one log of a name.
    pub(super) fn find(&self, log: &str, what: &'static str) -> Result<(usize, usize), PlanError> {
        let mut found = Vec::new();
        for (number, chain) in self.chains.iter().enumerate() {
            for (place, &index) in chain.logs.iter().enumerate() {
                if let Some(head) = self.head(index).filter(|it| name_of(&it.path) == log) {
                    found.push(((number, place), head));
                }
            }
        }
        match found.as_slice() {
            [] => Err(PlanError::NoSuchLog { log: log.to_owned(), what }),
            [(place, _)] => Ok(*place),
            several => {
                let servers = several
                    .iter()
                    .map(|(_, head)| format!("server {}: {}", head.server_id, head.path.display()));
                let servers = servers.collect::<Vec<_>>().join(", ");
                Err(PlanError::Ambiguous { log: log.to_owned(), servers })
            }
        }
    }

    /// The chain of logs that have transactions without GTIDs, and are to be applied from the first on.
    pub(super) fn row_without_gtids(&self) -> Result<Option<usize>, PlanError> {
        let first = |chain: &Walk| self.head(chain.log_at(0)?);
        let has_none = |chain: &Walk| {
            let mut heads = chain.logs.iter().filter_map(|&index| self.head(index));
            heads.any(Head::begins_without_gtids)
        };
        let Some(place) = self.chains.iter().position(has_none) else { return Ok(None) };
        let others = self.chains.iter().enumerate().filter(|(other, _)| *other != place);
        let own = self.chains.get(place).and_then(first);
        match (own, others.map(|(_, chain)| chain).find_map(first)) {
            (Some(own), Some(other)) => Err(PlanError::SeveralRows {
                first: own.path.display().to_string(),
                other: other.path.display().to_string(),
            }),
            _ => Ok(Some(place)),
        }
    }

    /// Without GTIDs: one server's logs, from a position on, by their numbers.
    pub(super) fn by_position(
        &mut self,
        place: (usize, usize),
        start: u64,
    ) -> Result<(), PlanError> {
        let has_gtid = |head: &Head| head.first.is_some() && !head.begins_without_gtids();
        if self.wanted.moment.transaction().is_some() && !self.heads.iter().any(has_gtid) {
            return Err(PlanError::NoGtids);
        }
        if let Some(chain) = self.chains.get_mut(place.0) {
            chain.at = place.1;
        }
        let (mut is_first, mut is_reached) = (true, false);
        while let Some(head) = self.next_of(place.0).filter(|_| !is_reached) {
            let passed = self.chains.get(place.0).and_then(|chain| chain.passed);
            // Before the beginning of all there is no log.
            let is_due = !is_first || start <= FIRST_EVENT && place.1 == 0 && passed.is_none();
            let due = if is_first { Some(1) } else { passed.map(|it| it.saturating_add(1)) };
            if is_due && head.number() > due {
                self.gap_in_numbers(place.0, head);
            }
            let found = match self.stop(head) {
                Stop::End => Scan::default(),
                stop => self.read(head, &stop)?,
            };
            self.plan.slices.push(Slice {
                path: head.path.clone(),
                server_id: head.server_id,
                start_position: is_first.then_some(start).filter(|start| *start > FIRST_EVENT),
                stop_position: found.stop_at,
                without: None,
                adds: None,
            });
            (is_first, is_reached) = (false, found.is_reached);
            self.pass(place.0);
        }
        if !is_reached && !self.is_open_end() {
            self.tell_not_reached(&Reach::default());
        }
        self.tell_unread_tail();
        Ok(())
    }
}
