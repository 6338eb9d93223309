//! Percona Binlog Server's encrypted files: an archive of binary logs that a program of its own
//! makes (format `generic`, 0.4 and later). What encrypts a file stands in a JSON file beside it.

pub mod cipher;
pub mod sidecar;
