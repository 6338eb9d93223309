//! Is a replication set-up private from end to end?
//!
//! Facts are collected first ([`facts`]), from live servers by [`live`]; [`topology`] joins the
//! servers to who replicates from whom.

pub mod facts;
pub mod live;
pub mod sql;
pub mod topology;
