//! Whether binary logs are encrypted, and a replication set-up private: what `binlogsec check` and
//! `binlogsec audit` find.
//!
//! | what for | where |
//! |---|---|
//! | is every log of a tree encrypted? | [`check()`] |
//! | is a replication set-up private from end to end? | [`audit`] |
//! | what those two find, and how a site weighs it | [`finding`] |
//! | the option files of servers | [`config`] |

pub mod audit;
pub mod check;
pub mod config;
pub mod finding;

pub use check::{CheckOptions, CheckOutcome, CheckTargets, check};
pub use finding::{Baseline, Finding, Policy};
