//! Reading: decrypt, events, slices, verify, salvage, on every kind of log and every damage.

#[path = "../common/mod.rs"]
mod common;

mod blocks;
mod cipher;
mod compressed_copies;
mod concatenated;
mod conformance;
mod damaged_ends;
mod events;
mod fuzz_seeds;
mod hostile;
mod library;
mod listing;
mod old_servers;
mod percona_binlog_server;
mod probe;
mod recover;
mod salvage;
mod salvage_large;
mod salvage_property;
mod salvage_swapped;
mod salvage_transactions;
mod slices;
mod streams;
mod verify;
mod xa;
