//! Recovery to a moment: which parts of which logs lead from a backup to it, and what stands in the way.
//!
//! [`state`] reads what a backup says of itself, [`catalogue`] the heads of all logs that are at hand,
//! [`plan`] joins the two. Nothing here writes: the slices of a plan are copied by
//! [`stream`](super::stream).

pub mod catalogue;
mod chains;
pub mod find;
pub mod plan;
pub mod reach;
pub mod state;
