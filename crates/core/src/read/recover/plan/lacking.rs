//! What the logs of a plan lack, by all of their transactions.

use super::super::catalogue::Stop;
use super::{Gap, GapKind, Plan, PlanError, Scanner, Wanted};

/// Reads the logs of a plan to their ends, and tells what they lack. Of MariaDB's no head tells how many
/// transactions a log has: numbers that it leaves out are told, as far as they are no longer list than is
/// kept.
///
/// # Errors
/// [`PlanError::Unreadable`].
pub fn tell_lacking(
    plan: &mut Plan,
    wanted: &Wanted,
    scan: &mut Scanner<'_>,
) -> Result<(), PlanError> {
    let mut holes = plan.holes.take().unwrap_or_default();
    for slice in &plan.slices {
        let Some(adds) = &slice.adds else { continue };
        let stop = slice.stop_position.map_or(Stop::End, Stop::Position);
        let there = scan(&slice.path, &stop).map_err(|source| PlanError::Unreadable {
            path: slice.path.clone(),
            source: Box::new(source),
        })?;
        if adds.is_mariadb() {
            holes.extend(&there.own().holes().difference(&wanted.allowed.gtids));
            continue;
        }
        let missing = adds.difference(&there.gtids);
        if !missing.is_empty() {
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
