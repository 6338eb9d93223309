//! MariaDB's encrypted logs: a plain start, then every event encrypted by itself.

pub mod start_encryption;
