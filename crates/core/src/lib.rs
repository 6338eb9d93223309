//! Read, verify and manage MySQL's encrypted binary and relay logs, offline.
//!
//! A server with `binlog_encryption=ON` encrypts each log under a random *file password*, wraps
//! that under a *replication encryption key* from its keyring, and puts both the key's id and the
//! wrapped password into a 512-byte header. [`open::OpenLog`] takes a log and a
//! [`keyring::Keyring`], proves that the key fits, and gives the plaintext at any offset, for
//! whatever parser comes next:
//!
//! ```
//! use std::io::{BufReader, Read};
//! use std::path::Path;
//!
//! use binlogsec::event::format_description::FormatDescription;
//! use binlogsec::keyring::Keyring;
//! use binlogsec::log::LogKind;
//! use binlogsec::open::OpenLog;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # std::env::set_current_dir(env!("CARGO_MANIFEST_DIR"))?;
//! let folder = Path::new("fixtures/mysql-9.7/mixed-key3-running");
//! let keys = Keyring::open(folder.join("component_keyring_file"))?;
//! let log = OpenLog::open(&folder.join("binlog.000003"), &keys)?;
//!
//! let LogKind::MysqlEncrypted(header) = log.kind() else { panic!("not encrypted") };
//! assert_eq!(header.key_id.parts().map(|parts| parts.sequence_number), Some(3));
//!
//! // The plaintext as `Read + Seek`, here for the first event.
//! let mut start = vec![0; 4096];
//! BufReader::new(log.reader()).read_exact(&mut start)?;
//! assert_eq!(start[..4], binlogsec::event::MAGIC);
//! let description = FormatDescription::parse(&start[4..])?;
//! assert_eq!(description.server_version, "9.7.4-2");
//! # Ok(()) }
//! ```
//!
//! | module | what for |
//! |---|---|
//! | [`open`] | a log and its keys: plaintext at any offset |
//! | [`keyring`] | where keys come from: keyring files, bare keys, commands |
//! | [`log`] | what a file says of itself before any key is used |
//! | [`event`], [`mariadb`] | events, on plaintext bytes |
//! | [`walk`] | the events of a whole log, in constant memory |
//! | [`crypto`] | file password, file key, stream |
//! | [`ops`] | what the command does, as functions: options in, outcome out |
//! | `check` (feature) | is every log of a tree encrypted? |
//! | `audit` (feature) | is a replication set-up private from end to end? |
//! | `finding` (with `check`) | what those two find, and how a site weighs it |
//! | [`config`] | the option files of servers |
//! | [`report`] | outcomes as data for JSON, and as tables |
//! | [`io`] | mapped sources, atomic sinks, the parallel pipeline |
//! | [`error`] | the crate's error: each domain's own, with the path it happened on |
//! | [`secret`], [`bytes`] | key types and checked reads, on which all of it stands |
//!
//! Parsers take bytes and do no I/O (`parse`); `open` takes paths. Errors are enums with offsets
//! and figures; [`error::Error::class`] tells what a caller treats differently.
//!
//! **The format carries no authentication.** That a log decrypts proves its key, not that nobody
//! changed it.
//!
//! # Features
//! | feature | what it adds |
//! |---|---|
//! | `check` | the modules `check` and `finding`; looking into compressed copies |
//! | `audit` | the module `audit`: option files, certificates, live servers; and `check` |
//! | `objects` | logs in object storage, by their addresses (`s3://`, `gs://`, `az://`) |
//! | `age` | plaintext that leaves as an age file: for it [`io::sealed`] |
//! | `cli` (default) | the command, the renderers for terminals, and all of the above |

// Parsers compute with lengths from hostile files. Tests may overflow and so fail.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod batch;
pub mod file;
pub mod log;
pub mod mysql;
pub mod random;
pub mod read;
pub mod write;

use crate::file as io;
use crate::log::error;
use crate::log::open;

pub mod bytes;
pub mod event;
mod hex;
pub mod keyring;
pub mod mariadb;
pub mod percona;
pub mod text;

pub use binlogsec_cipher::secret;
