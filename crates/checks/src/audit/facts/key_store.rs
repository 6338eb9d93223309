//! Key stores that a server's configuration names. No token and no key.

use std::borrow::Cow;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A store that is asked over the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyStoreFacts {
    /// The file that names it.
    #[serde(with = "super::certificate")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub path: PathBuf,
    /// The line of its address there, counted from 1, where the file has lines.
    pub line: Option<usize>,
    /// Its address, as the file has it, without a user.
    pub address: String,
    /// The files by which whoever reads them can ask it.
    pub secrets: Vec<StoreSecret>,
}

/// A file with a token or a private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StoreSecret {
    /// Which file.
    #[serde(with = "super::certificate")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub path: PathBuf,
    /// What it holds: `token` or `private key`.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["token", "private key"])))]
    pub holds: Cow<'static, str>,
    /// Its permission bits; `None` where it is not there.
    pub mode: Option<u32>,
}
