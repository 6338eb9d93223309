//! Read, verify and write MySQL's and MariaDB's encrypted binary and relay logs, offline.
//!
//! A server with `binlog_encryption=ON` encrypts each log under a random *file password*, wraps
//! that under a *replication encryption key* from its keyring, and puts both the key's id and the
//! wrapped password into a 512-byte header. MariaDB (`encrypt_binlog=ON`) encrypts event by event
//! under keys of its own. [`OpenLog`] takes a log and a [`Keyring`], proves that the key fits, and
//! gives the plaintext at any offset, for whatever parser comes next:
//!
//! ```
//! use std::io::{BufReader, Read};
//! use std::path::Path;
//!
//! use binlogsec_core::event::format_description::FormatDescription;
//! use binlogsec_core::{Keyring, LogKind, OpenLog};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
//! # if !Path::new(fixtures).is_dir() { return Ok(()) }
//! # std::env::set_current_dir(Path::new(fixtures).parent().unwrap())?;
//! let folder = Path::new("fixtures/mysql-9.7/mixed-key3-running");
//! let keys = Keyring::open(folder.join("component_keyring_file"))?;
//! let log = OpenLog::open(folder.join("binlog.000003"), &keys)?;
//!
//! let LogKind::MysqlEncrypted(header) = log.kind() else { panic!("not encrypted") };
//! assert_eq!(header.key_id.parts().map(|parts| parts.sequence_number), Some(3));
//!
//! // The plaintext as `Read + Seek`, here for the first event.
//! let mut start = vec![0; 4096];
//! BufReader::new(log.reader()).read_exact(&mut start)?;
//! assert_eq!(start[..4], binlogsec_core::event::MAGIC);
//! let description = FormatDescription::parse(&start[4..])?;
//! assert_eq!(description.server_version, "9.7.4-2");
//! # Ok(()) }
//! ```
//!
//! | what for | where |
//! |---|---|
//! | a log and its keys: plaintext at any offset, its events in constant memory | [`OpenLog`], [`log`] |
//! | what a file says of itself before any key is used | [`LogKind`] |
//! | where keys come from: keyring files, bare keys, commands | [`Keyring`], [`keyring`] |
//! | events, on plaintext bytes | [`event`] |
//! | how MySQL encrypts: header, file password, file key, stream | [`mysql`] |
//! | how MariaDB does: start event, cipher, key file | [`mariadb`] |
//! | decrypt, slice, verify, list events, salvage | [`read`] |
//! | signed manifests of logs: seal, and tell what was changed since | [`seal`] |
//! | encrypt, encrypt in place, rekey, headers, keyrings | [`mod@write`] |
//! | bytes in and out: mapped sources, atomic outputs, the parallel pipeline | [`mod@file`] |
//! | the crate's error: each domain's own, with the path it happened on | [`Error`] |
//!
//! Parsers take bytes and do no I/O (`parse`); `open` takes paths. Errors are enums with offsets
//! and figures; [`Error::class`] tells what a caller treats differently.
//!
//! **The format carries no authentication.** That a log decrypts proves its key, not that nobody
//! changed it.
//!
//! # What is stable
//! Before 1.0, nothing for ever. What this root re-exports, and the modules in the table above, are
//! meant for others' programs and change only with a word in the changelog. What is hidden from this
//! page is public for the sibling packages alone and may change with any release.
//!
//! # Features
//! | feature | what it adds |
//! |---|---|
//! | `age` | plaintext that leaves as an age file: [`file::sealed`] |
//! | `schema` | JSON Schemas of what the reports are made of |

// Parsers compute with lengths from hostile files. Tests may overflow and so fail.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

#[doc(hidden)]
pub mod batch;
#[doc(hidden)]
pub mod bytes;
pub mod event;
pub mod file;
mod hex;
pub mod keyring;
pub mod log;
pub mod mariadb;
pub mod mysql;
#[doc(hidden)]
pub mod percona;
#[doc(hidden)]
pub mod random;
pub mod read;
pub mod seal;
#[doc(hidden)]
pub mod text;
pub mod write;

pub use binlogsec_cipher::secret;

pub use keyring::Keyring;
pub use log::error::Error;
pub use log::kind::LogKind;
pub use log::open::OpenLog;
