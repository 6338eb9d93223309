//! What writes logs, headers and keyrings: options in, outcome out, no printing.

pub mod encrypt;
pub mod encrypt_mariadb;
pub mod header;
pub(crate) mod header_backup;
pub mod in_place;
pub(crate) mod in_use;
pub(crate) mod key_guard;
pub mod keyring;
pub mod rekey;
pub mod rekey_archive;
