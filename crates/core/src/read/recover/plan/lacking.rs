//! What the logs of a plan lack, by all of their transactions.

use super::super::catalogue::Stop;
use super::super::reach::Reach;
use super::{Gap, GapKind, Plan, PlanError, Scanner, Wanted};
use crate::event::gtid_selection::GtidSelection;

/// Reads the logs of a plan to their ends, and tells what they lack, but for what is left out anyway. Of
/// MariaDB's no head tells how many transactions a log has: the numbers that it leaves out are told, unless
/// they are too many to be kept.
///
/// # Errors
/// [`PlanError::Unreadable`].
pub fn tell_lacking(
    plan: &mut Plan,
    wanted: &Wanted,
    left_out: Option<&GtidSelection>,
    scan: &mut Scanner<'_>,
) -> Result<(), PlanError> {
    let mut holes = plan.holes.take().unwrap_or_default();
    let is_left_out =
        |missing: &Reach| left_out.is_some_and(|left_out| missing.is_within(left_out));
    for slice in &mut plan.slices {
        let Some(adds) = &mut slice.adds else { continue };
        let stop = slice.stop_position.map_or(Stop::End, Stop::Position);
        let there = scan(&slice.path, &stop).map_err(|source| PlanError::Unreadable {
            path: slice.path.clone(),
            source: Box::new(source),
        })?;
        if adds.is_mariadb() {
            let missing = there.own().holes();
            *adds = adds.difference(&missing);
            holes.extend(&missing.difference(&wanted.allowed.gtids));
            continue;
        }
        let missing = adds.difference(&there.gtids);
        *adds = adds.difference(&missing);
        if !missing.is_empty() && !is_left_out(&missing) {
            plan.gaps.push(Gap {
                is_allowed: wanted.allowed.gtids.contains_all(&missing),
                missing: Some(missing),
                logs: Vec::new(),
                after: Some(slice.path.clone()),
                before: None,
                unread: Vec::new(),
                kind: GapKind::Lacking,
            });
        }
    }
    plan.holes = (!holes.is_empty()).then_some(holes);
    Ok(())
}
