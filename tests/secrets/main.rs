//! Where keys are, and where they are not: memory after they were dropped, and everything that a
//! process shows or leaves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

#[path = "../common/mod.rs"]
mod common;

mod memory;
mod outside;
mod search;
mod store;
