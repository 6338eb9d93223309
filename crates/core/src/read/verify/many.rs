//! Many logs, and whether they follow one another.

use super::{Gap, GapKind, Link, Verified, VerifyOptions, check_continuity, verify_with};
use crate::batch::targets::Target;
use crate::file::location;
use crate::file::pipeline::Progress;
use crate::log::error::Error;
use crate::log::open::OpenLog;

/// The GTIDs of all logs of a run, together, see [`MAX_GTID_WEIGHT`](super::MAX_GTID_WEIGHT): some
/// 160 MiB.
const MAX_WEIGHT_OF_ALL: usize = 2_000_000;

/// What verifying many logs came to.
#[derive(Debug, Default)]
pub struct VerifiedLogs {
    /// Each log that could be opened, with its number among all files of the run.
    pub logs: Vec<(u64, Verified)>,
    /// Those that could not.
    pub failures: Vec<Error>,
}

/// Verifies logs one after the other, each on all threads of the current rayon pool. `open` gives
/// `None` for what is no log and was not named as one.
pub fn verify_all(
    targets: &[Target],
    open: impl Fn(&Target) -> Result<Option<OpenLog>, Error>,
    options: VerifyOptions,
    progress: &dyn Progress,
) -> VerifiedLogs {
    let (mut all, mut weight) = (VerifiedLogs::default(), 0_usize);
    for target in targets {
        let verified = open(target)
            .and_then(|log| log.map(|log| verify_with(&log, options, progress)).transpose());
        match verified {
            Ok(Some(mut log)) => {
                weight = weight.saturating_add(log.gtids.weight());
                if weight > MAX_WEIGHT_OF_ALL {
                    log.forget_gtids();
                }
                all.logs.push((target.position, log));
            }
            Ok(None) => {}
            Err(error) => all.failures.push(error),
        }
    }
    all
}

/// What does not join one log to the next. Logs that their server purged while others were read are
/// no gap.
#[must_use]
pub fn gaps(links: &[Link]) -> Vec<Gap> {
    let mut gaps = check_continuity(links);
    gaps.retain(|gap| !was_purged(gap));
    gaps
}

/// Whether logs are missing because their server purged them while others were read. It purges the
/// oldest first: so the log before them is not there any more, either.
fn was_purged(gap: &Gap) -> bool {
    matches!(gap.kind, GapKind::NumbersMissing { .. })
        && !location::is_url(&gap.before)
        && gap.before.symlink_metadata().is_err()
}
