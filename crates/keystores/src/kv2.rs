//! What version 2 of the key-value engine says of a secret's versions.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A document with one member that counts.
#[derive(Deserialize)]
pub(crate) struct Document<T> {
    pub(crate) data: T,
}

/// One version of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) number: u32,
    /// When it was stored (RFC 3339).
    pub(crate) created: String,
    /// It is not given any more, and can be brought back.
    pub(crate) is_deleted: bool,
    /// It is gone.
    pub(crate) is_destroyed: bool,
}

impl Version {
    /// Whether it is given to who asks.
    pub(crate) const fn is_there(&self) -> bool {
        !self.is_deleted && !self.is_destroyed
    }
}

/// The versions in an answer to `metadata/<name>`, ascending; `None` for another answer.
pub(crate) fn versions(body: &[u8]) -> Option<Vec<Version>> {
    #[derive(Deserialize)]
    struct One {
        created_time: String,
        deletion_time: String,
        destroyed: bool,
    }
    #[derive(Deserialize)]
    struct Metadata {
        versions: BTreeMap<String, One>,
    }
    let found: Document<Metadata> = serde_json::from_slice(body).ok()?;
    let version = |(number, one): (String, One)| {
        Some(Version {
            number: number.parse().ok()?,
            created: one.created_time,
            is_deleted: !one.deletion_time.is_empty(),
            is_destroyed: one.destroyed,
        })
    };
    let mut versions: Vec<_> = found.data.versions.into_iter().filter_map(version).collect();
    versions.sort_unstable_by_key(|version| version.number);
    Some(versions)
}
