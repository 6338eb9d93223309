//! What goes wrong around the command: system calls that fail, files that change while they are
//! read, trees full of what is no file. Each time the same promise: it ends, without a panic, with
//! the right exit code, with no partial output under a final name and nothing left behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

#[path = "../common/mod.rs"]
mod common;

mod calls;
mod changes;
mod lab;
mod odd;
mod places;
#[cfg(feature = "objects")]
mod uploads;
