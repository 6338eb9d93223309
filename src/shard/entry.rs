//! Which part of a run a report is about.

use serde::{Deserialize, Serialize};

use crate::log_entry::Failure;
use binlogsec_core::log::error::Error;

/// In the report of one shard: which one, and of which run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ShardEntry {
    /// Its number, from 0.
    pub index: u32,
    /// How many there are.
    pub count: u32,
    /// Stands for what was named and how it was to be looked at: equal for all shards of a run.
    pub run: String,
    /// Stands for policy and baseline, where there are such.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<String>,
}

/// Failures in an order of their own, each once: every shard meets a name that is not there.
pub(crate) fn failures<'a>(errors: impl IntoIterator<Item = &'a Error>) -> Vec<Failure> {
    in_order(errors.into_iter().map(Failure::new).collect())
}

pub(crate) fn in_order(mut failures: Vec<Failure>) -> Vec<Failure> {
    failures.sort_by(|one, other| one.message.cmp(&other.message));
    failures.dedup();
    failures
}
