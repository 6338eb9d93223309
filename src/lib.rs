//! Read, verify and manage MySQL's encrypted binary and relay logs, offline.

pub mod bytes;
pub mod crypto;
pub mod event;
pub mod keyring;
pub mod log;
pub mod mariadb;
pub mod secret;
