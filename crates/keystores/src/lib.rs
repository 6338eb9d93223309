//! The key stores of MySQL and MariaDB servers, asked for the keys of their logs.
//!
//! A server's configuration says where its store is and how it is asked. [`Configuration`] reads
//! the files of the stores that are known, tells them by content, and gives what takes part in a
//! [`Keyring`](binlogsec_core::Keyring): a file to open, or a [`KeyStore`] to ask.
//!
//! | store | configuration | here |
//! |---|---|---|
//! | HashiCorp Vault, OpenBao | Percona's `component_keyring_vault`, plugin `keyring_vault` | [`vault`] |
//! | the same | MariaDB's `hashicorp_key_management` | [`mariadb`] |
//! | KMIP servers | Percona's `component_keyring_kmip` | [`kmip`] |
//! | AWS KMS | MariaDB's `aws_key_management`: its files `aws-kms-key.*` | [`aws`] |
//! | files | `component_keyring_file`, Percona's `component_percona_keyring_encrypted_file` | [`Configuration`] |
//! | all others | recognised, and named with the way that works | [`Unread`] |
//!
//! [`KeyStore`]: binlogsec_core::keyring::KeyStore
//!
//! Requests go by HTTP/1.1 or KMIP over TLS that trusts the configured authority alone. They are bounded in
//! time and size and repeated a few times; a redirect is never followed. No error, name or `Debug`
//! output holds a token or anything that a store answered.

pub mod aws;
pub mod configuration;
mod error;
mod http;
mod json;
pub mod kmip;
mod kv2;
pub mod mariadb;
mod sigv4;
mod ttlv;
mod url;
pub mod vault;
mod wire;

pub use configuration::{Configuration, ConfigurationError, Unread};
pub use error::StoreError;
pub use http::Transport;
pub use wire::ClientIdentity;
