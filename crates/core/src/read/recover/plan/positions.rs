//! Plans by a position: for logs without GTIDs, and for such whose GTIDs do not say what is before what.

use super::super::catalogue::{Scan, Stop, name_of};
use super::super::reach::Reach;
use super::{PlanError, Planner, Slice};

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

    /// Without GTIDs: one server's logs, from a position on, by their numbers.
    pub(super) fn by_position(
        &mut self,
        place: (usize, usize),
        start: u64,
    ) -> Result<(), PlanError> {
        if self.wanted.moment.transaction().is_some() {
            return Err(PlanError::NoGtids);
        }
        if let Some(chain) = self.chains.get_mut(place.0) {
            chain.at = place.1;
        }
        let (mut is_first, mut is_reached) = (true, false);
        while let Some(head) = self.next_of(place.0).filter(|_| !is_reached) {
            let passed = self.chains.get(place.0).and_then(|chain| chain.passed);
            if !is_first && head.number() > passed.map(|it| it.saturating_add(1)) {
                self.gap_in_numbers(place.0, head);
            }
            let found = match self.stop(head) {
                Stop::End => Scan::default(),
                stop => self.read(head, &stop)?,
            };
            self.plan.slices.push(Slice {
                path: head.path.clone(),
                server_id: head.server_id,
                start_position: is_first.then_some(start),
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
