//! The report of one shard, read back: what the reports of all commands have in common.

use std::path::Path;

use binlogsec_core::batch::shard::{Shard, ShardError};
use binlogsec_core::file::TransferError;
use binlogsec_core::file::source::FileSource;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::shard::entry::ShardEntry;

/// A sparse file can claim any length. What is larger wants more shards.
const LARGEST_REPORT: u64 = 4 << 30;

/// What stands in every report.
#[derive(Debug, Deserialize)]
pub(crate) struct Head {
    /// Which command made it, and the version of its form.
    pub(crate) schema: String,
    /// Which part of which run it is; `None` of a whole run.
    pub(crate) shard: Option<ShardEntry>,
    /// When its run began, where the report says so.
    pub(crate) time: Option<Timestamp>,
}

/// A report, and the bytes of all of it.
#[derive(Debug)]
pub(crate) struct SavedReport {
    pub(crate) head: Head,
    bytes: Vec<u8>,
}

impl SavedReport {
    /// Reads the head.
    ///
    /// # Errors
    /// When it is no JSON, or not what a report has.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, serde_json::Error> {
        Ok(Self { head: serde_json::from_slice(&bytes)?, bytes })
    }

    /// All of it, in the form of its command.
    ///
    /// # Errors
    /// When it is not what such a report has.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.bytes)
    }

    /// The same of a report that is looked for: `None` where it is another command's.
    pub(crate) fn body_of<T: DeserializeOwned>(&self, schema: &str) -> Option<T> {
        (self.head.schema == schema).then(|| self.body().ok())?
    }

    /// Which part it is of its run.
    ///
    /// # Errors
    /// [`ShardError`] of a part that cannot be.
    pub(crate) fn part(&self) -> Result<Option<Shard>, ShardError> {
        let part = |shard: &ShardEntry| Shard::new(shard.index, shard.count);
        self.head.shard.as_ref().map(part).transpose()
    }
}

/// All of a file or object, up to [`LARGEST_REPORT`] bytes.
pub(crate) fn read_whole(path: &Path) -> Result<Vec<u8>, TransferError> {
    FileSource::open(path)?.read_whole(LARGEST_REPORT)
}

/// The same of the report of an earlier run, which this run may replace.
pub(crate) fn read_earlier(path: &Path) -> Result<Vec<u8>, TransferError> {
    FileSource::glance(path)?.read_whole(LARGEST_REPORT)
}
