//! From the replication encryption key to the plaintext.
//!
//! Key (keyring) → file password (wrapped in the header) → file key and nonce → AES-256-CTR
//! stream. None of it is authenticated: a wrong key shows only in what comes out.

pub mod derive;
pub mod password;
pub mod random;
pub mod stream;
