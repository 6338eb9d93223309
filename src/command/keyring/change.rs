//! The report of `binlogsec keyring new`, `add-key` and `convert`.

use serde::Serialize;

use binlogsec_core::write::keyring::KeyringWritten;

/// `binlogsec keyring new|add-key|convert --format json`. Never a key.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct KeyringChangeReport<'a> {
    /// `binlogsec.keyring-change/1`.
    pub schema: &'static str,
    /// `created`, `key-added` or `converted`.
    pub status: ChangeStatus,
    /// What was written.
    #[serde(flatten)]
    pub written: &'a KeyringWritten,
}

/// How a keyring came to be as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ChangeStatus {
    /// It was made.
    Created,
    /// It got one key more, which is in use now.
    KeyAdded,
    /// It has the entries of another one, in its own format.
    Converted,
}

impl<'a> KeyringChangeReport<'a> {
    /// From what was written; `status` says how it came to be.
    #[must_use]
    pub(crate) const fn new(status: ChangeStatus, written: &'a KeyringWritten) -> Self {
        Self { schema: "binlogsec.keyring-change/1", status, written }
    }
}
