//! What the files of a data directory say of its server.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::replica_files::ReplicaFileFacts;
use crate::check;

/// A data directory and what belongs to it.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DataDirectoryFacts {
    /// Where it is.
    #[serde(with = "super::certificate")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub path: PathBuf,
    /// Components that its manifest (mysqld.my) names; `None` without one.
    pub components: Option<Vec<String>>,
    /// Where the manifest was looked for: the first that is there counts.
    #[serde(with = "paths")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub manifests: Vec<PathBuf>,
    /// Whether the manifest in the data directory counts: the one beside the server must say
    /// `read_local_manifest`. `None` where the server is not at hand.
    pub local_manifest_counts: Option<bool>,
    /// Configurations of keyring components.
    pub component_configurations: Vec<ComponentConfiguration>,
    /// Keyring files that configurations and options name.
    pub keyrings: Vec<KeyringFile>,
    /// Private keys of authorities.
    #[serde(with = "paths")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub authority_keys: Vec<PathBuf>,
    /// master.info, and what belongs to other channels.
    pub replica_files: Vec<ReplicaFileFacts>,
    /// Logs, indexes, servers and keyrings, as `check` sees them.
    pub logs: check::Facts,
}

/// A component's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ComponentConfiguration {
    /// Which file.
    #[serde(with = "super::certificate")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// Whether it holds a password.
    pub has_password: bool,
}

/// A file that a configuration names as keyring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyringFile {
    /// Which file.
    #[serde(with = "super::certificate")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub path: PathBuf,
    /// Its permission bits; `None` where it is not there (yet).
    pub mode: Option<u32>,
    /// Whether the keys lie in it in the clear.
    pub clear: bool,
    /// Who names it.
    pub named_by: String,
}

/// Paths as reports show them.
mod paths {
    use std::path::PathBuf;

    use binlogsec_core::text::path_text;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        paths: &[PathBuf],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(paths.iter().map(|path| path_text::text(path)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<PathBuf>, D::Error> {
        let paths: Vec<String> = Vec::deserialize(deserializer)?;
        Ok(paths.iter().map(|path| path_text::parse(path)).collect())
    }
}
