//! What each fuzz target does with its input. The ordinary test `fuzz_seeds` includes this too and
//! replays the seeds, so that no fuzzer is needed to see them pass.
//!
//! A body panics where a promise is broken: not on damage, which every input may be.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod damaged;
mod event_chain;
mod keyrings;
#[cfg(feature = "objects")]
mod listing;
mod lists;
mod log_file;
mod manifest;
mod per_event;
mod row_values;
mod schema;
mod session;

pub(crate) use damaged::salvage;
pub(crate) use event_chain::{events, payload};
pub(crate) use keyrings::{keyring_component, keyring_plugin};
#[cfg(feature = "objects")]
pub(crate) use listing::store_listing;
pub(crate) use lists::{index_file, option_file};
pub(crate) use log_file::log_start;
pub(crate) use manifest::manifest;
pub(crate) use per_event::mariadb;
pub(crate) use row_values::rows;
pub(crate) use schema::schema;
pub(crate) use session::server_session;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use binlogsec_core::file::source::FileSource;

/// A target's name, which is that of its folder of seeds, and its body.
pub(crate) type Target = (&'static str, fn(&[u8]));

pub(crate) const ALL: &[Target] = &[
    ("log_start", log_start),
    ("keyring_plugin", keyring_plugin),
    ("keyring_component", keyring_component),
    ("events", events),
    ("payload", payload),
    ("index_file", index_file),
    ("option_file", option_file),
    ("mariadb", mariadb),
    ("salvage", salvage),
    ("rows", rows),
    ("schema", schema),
    ("manifest", manifest),
    ("server_session", server_session),
    #[cfg(feature = "objects")]
    ("store_listing", store_listing),
];

/// For fuzzers, once: what the library does on many threads happens on this one, since a hand-over
/// costs more than the work on so small an input.
pub(crate) fn on_this_thread_alone() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1);
    pool.use_current_thread().build_global().unwrap();
}

/// A path below `fixtures/`, from either package.
fn fixture(path: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = package.join("fixtures");
    let fixtures = if own.is_dir() { own } else { package.join("../fixtures") };
    fixtures.join(path)
}

/// A file in memory that holds these bytes.
fn in_memory(bytes: &[u8]) -> File {
    let descriptor = rustix::fs::memfd_create("fuzz", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let mut file = File::from(descriptor);
    file.write_all(bytes).unwrap();
    file
}

fn source(bytes: &[u8]) -> FileSource {
    FileSource::from_file(in_memory(bytes), Path::new("input")).unwrap()
}

/// The first byte, as switches, and the rest.
fn switches(data: &[u8]) -> Option<(u8, &[u8])> {
    data.split_first().map(|(&first, rest)| (first, rest))
}
