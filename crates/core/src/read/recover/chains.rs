//! Which logs follow one another: those of one server in the order of their numbers, copies of one
//! log told from logs of one name.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Serialize;

use super::catalogue::{Head, name_of, series};
use crate::event::gtid::TransactionId;
use crate::text::reported;

/// Two files with one log: the longer is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "DoubledEntry"))]
pub struct Doubled {
    /// The one that is used.
    #[serde(serialize_with = "reported::path")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub used: PathBuf,
    /// The other one.
    #[serde(serialize_with = "reported::path")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub other: PathBuf,
}

/// Leaves each log in once: of copies the longest, which others were cut from or taken before, or of
/// which they have a part. `has` says whether a log has a transaction.
pub(super) fn each_once(
    heads: Vec<Head>,
    has: &mut dyn FnMut(&Head, &TransactionId) -> bool,
) -> (Vec<Head>, Vec<Doubled>) {
    let (mut kept, mut doubled): (Vec<Head>, Vec<Doubled>) = (Vec::new(), Vec::new());
    let mut places = HashMap::new();
    // Of each server and second: the places of what may be parts of one log.
    let mut begun: HashMap<(u32, u32), Vec<usize>> = HashMap::new();
    for head in heads {
        let key = (name_of(&head.path), head.server_id, head.created, head.start.clone());
        let of_second = begun.entry((head.server_id, head.created)).or_default();
        let mut is_part = |place: &&usize| {
            kept.get(**place).is_some_and(|known: &Head| known.is_part_of_same(&head, has))
        };
        let part = of_second.iter().find(&mut is_part).copied();
        let place = part.unwrap_or_else(|| *places.entry(key).or_insert(kept.len()));
        match kept.get_mut(place) {
            None => {
                of_second.push(place);
                kept.push(head);
            }
            Some(known) => {
                let is_longer = head.unpacked_size() > known.unpacked_size();
                let other = if is_longer { std::mem::replace(known, head) } else { head };
                doubled.push(Doubled { used: known.path.clone(), other: other.path });
            }
        }
    }
    (kept, doubled)
}

/// Logs of one server in the order in which it wrote them. A server that began its numbers anew has
/// several.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// Numbers of heads.
    pub(super) logs: Vec<usize>,
}

/// How far a plan is in a chain.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    /// Numbers of heads.
    pub(super) logs: Vec<usize>,
    /// The place of the next one.
    pub(super) at: usize,
    /// The number of the log that was passed last.
    pub(super) passed: Option<u64>,
}

impl Walk {
    /// The next log.
    pub(super) fn log(&self) -> Option<usize> {
        self.log_at(self.at)
    }

    /// The log at a place.
    pub(super) fn log_at(&self, place: usize) -> Option<usize> {
        self.logs.get(place).copied()
    }
}

impl Chain {
    /// Starts at its first log.
    pub(super) fn walk(self) -> Walk {
        Walk { logs: self.logs, at: 0, passed: None }
    }
}

/// Joins logs to chains.
pub(super) fn join(heads: &[Head]) -> Vec<Chain> {
    let mut order: Vec<usize> = (0..heads.len()).collect();
    order.sort_by_key(|&index| heads.get(index).map(|head| (head.created, head.number())));
    let mut chains: Vec<Chain> = Vec::new();
    for index in order {
        let Some(head) = heads.get(index) else { continue };
        let last_of = |chain: &Chain| chain.logs.last().and_then(|&last| heads.get(last));
        // The one with the next number is surer than one with a hole.
        let fitting = chains.iter().enumerate().filter_map(|(place, chain)| {
            let last = last_of(chain).filter(|last| follows(last, head))?;
            let distance = head.number().zip(last.number());
            let distance = distance.map(|(number, before)| number.saturating_sub(before));
            // Of two as sure, the one that ended last: a server that began anew has both numbers.
            Some((distance, std::cmp::Reverse(last.created), place))
        });
        match fitting.min() {
            Some((.., place)) => {
                if let Some(chain) = chains.get_mut(place) {
                    chain.logs.push(index);
                }
            }
            None => chains.push(Chain { logs: vec![index] }),
        }
    }
    chains
}

/// Whether a later log of the same server may be behind another.
fn follows(before: &Head, head: &Head) -> bool {
    let (stem, number) = series(&head.path);
    let (stem_before, number_before) = series(&before.path);
    let knows = match (&before.previous, &head.previous) {
        (Some(before), Some(previous)) => previous.contains_all(before),
        _ => true,
    };
    // What the log before begins with is among what the log behind has before it, whatever their numbers
    // and times say.
    let has_first = match (&before.first, &head.previous) {
        (Some((id, _)), Some(previous)) if *id != TransactionId::Anonymous => previous.contains(id),
        _ => true,
    };
    has_first
        && before.server_id == head.server_id
        && before.is_relay == head.is_relay
        && stem == stem_before
        && (number > number_before || number.is_none())
        && knows
}
