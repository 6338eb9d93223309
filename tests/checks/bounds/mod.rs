//! Whatever others send, write or name, what it takes here is bounded and what is shown acts on nobody:
//! key commands, hostile names in every format, hostile files, hostile stores.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::cast_possible_truncation
)]

mod heavy;
mod key_command;
mod names;
mod server;
#[cfg(feature = "objects")]
mod store;
