//! MariaDB's encrypted logs: a plain start, then every event encrypted by itself.

pub(crate) mod chain;
pub(crate) mod detect;
pub mod error;
pub mod key_file;
pub mod start_encryption;

pub use binlogsec_cipher::mariadb as cipher;

/// The encryption scheme that servers know (server source: `BINLOG_CRYPTO_VERSION`).
pub const SCHEME: u8 = 1;
