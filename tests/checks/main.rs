//! check and audit.

#[path = "../common/mod.rs"]
mod common;

mod audit;
mod bounds;
mod check;
mod check_reach;
mod fleet;
mod holes;
mod sealed;
mod servers;
mod shards;
mod stub;
