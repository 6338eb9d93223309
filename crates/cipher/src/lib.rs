//! The ciphers of encrypted logs, at the speed of memory.

pub mod file_key;
pub mod mariadb;
pub mod secret;
pub mod stream;
