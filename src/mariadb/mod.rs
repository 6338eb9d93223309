//! MariaDB's encrypted logs: a plain start, then every event encrypted by itself.

pub mod cipher;
pub mod key_file;
pub mod start_encryption;
