//! What the toolkit does, a file each: options in, outcome out, no printing.

pub mod batch;
pub mod decrypt;
pub mod encrypt;
pub mod encrypt_mariadb;
mod envelope;
pub mod events;
pub mod existing;
mod guard;
pub mod header;
mod header_backup;
pub mod in_place;
mod in_use;
pub mod inspect;
mod key_guard;
pub mod keyring;
pub mod listed;
mod per_event;
pub mod rekey;
pub mod rekey_archive;
mod resume;
pub mod rows;
pub mod salvage;
pub mod shard;
pub mod slice;
pub mod targets;
pub mod transfer;
pub mod verify;
