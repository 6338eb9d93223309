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

mod common;

#[path = "bounds/heavy.rs"]
mod heavy;
#[path = "bounds/key_command.rs"]
mod key_command;
#[path = "bounds/names.rs"]
mod names;
#[path = "bounds/server.rs"]
mod server;
#[path = "bounds/store.rs"]
mod store;
