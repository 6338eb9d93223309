//! Read, verify and manage MySQL's encrypted binary and relay logs, offline.

// Parsers compute with lengths from hostile files. Tests may overflow and so fail.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod bytes;
#[cfg(feature = "check")]
pub mod check;
pub mod config;
pub mod crypto;
pub mod error;
pub mod event;
pub mod io;
pub mod keyring;
pub mod log;
pub mod mariadb;
pub mod open;
pub mod ops;
pub mod report;
pub mod secret;
