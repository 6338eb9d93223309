//! Writing: encrypt, in place, rekey, headers, keyrings, age files, and what no output may replace.

#[path = "../common/mod.rs"]
mod common;

#[cfg(feature = "age")]
mod archive;
mod encrypt;
mod in_place;
mod key_rotation;
mod key_stores;
mod keyring;
mod keyring_write;
mod kmip_store;
mod kms_store;
mod outputs;
mod rekey;
mod seal;
mod server_keys;
mod vault_server;
