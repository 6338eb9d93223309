//! From the replication encryption key to the plaintext.
//!
//! Key (keyring) → file password (wrapped in the header) → file key and nonce → AES-256-CTR
//! stream. None of it is authenticated: a wrong key shows only in what comes out.

pub mod header;
pub mod key_id;

pub mod password;

pub use binlogsec_cipher::{file_key, stream};
