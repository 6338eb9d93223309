//! The report of `binlogsec keyring new`, `add-key` and `convert`.

use serde::Serialize;

use binlogsec_core::mysql::key_id::KeyId;
use binlogsec_core::text::path_text;
use binlogsec_core::write::keyring::KeyringWritten;

/// `binlogsec keyring new|add-key|convert --format json`. Never a key.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct KeyringChangeReport {
    /// `binlogsec.keyring-change/1`.
    pub schema: &'static str,
    /// `created`, `key-added` or `converted`.
    #[cfg_attr(test, schemars(extend("enum" = ["created", "key-added", "converted"])))]
    pub status: &'static str,
    /// The keyring that was written, or the configuration of the store.
    pub path: String,
    /// Its format, or which store it is, in words.
    pub format: String,
    /// How many entries it has: keys, and the numbers that the server keeps beside them.
    pub entries: usize,
    /// The key that was made and is in use now; `null` for a conversion.
    pub key_id: Option<String>,
    /// What the user should know.
    pub notes: Vec<String>,
}

impl KeyringChangeReport {
    /// From what was written; `status` says how it came to be.
    #[must_use]
    pub(crate) fn new(status: &'static str, written: &KeyringWritten) -> Self {
        Self {
            schema: "binlogsec.keyring-change/1",
            status,
            path: path_text::text(&written.path),
            format: written.format.clone(),
            entries: written.entries,
            key_id: written.key_id.as_ref().map(KeyId::to_string),
            notes: written.notes.clone(),
        }
    }
}
