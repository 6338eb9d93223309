//! What kind of failure an error is.

/// The kinds of failure that a caller treats differently; the command's exit codes follow them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ErrorClass {
    /// Wrong input, or the operating system refused.
    Work,
    /// A key is missing or wrong.
    Key,
    /// A log or a keyring is damaged, or of an unknown version.
    Damage,
}
