//! What `verify` notes of a log, as data.

use std::borrow::Cow;

use binlogsec_core::read::verify::Note;
use serde::{Deserialize, Serialize};

/// One note.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct NoteEntry {
    /// Which one: `in-use`, `cut-tail`, `unfinished-transaction`, `no-last-event`, `moved`,
    /// `source-jumps`, `unsound-positions`, `unknown-events`, `left-folded`, `lost-gtids`, `torn-transactions`,
    /// `gtids-not-judged`,
    /// `no-checksums`.
    #[cfg_attr(test, schemars(extend("enum" = ["in-use", "cut-tail", "unfinished-transaction", "no-last-event", "moved", "source-jumps", "unsound-positions", "unknown-events", "left-folded", "lost-gtids", "torn-transactions", "gtids-not-judged", "no-checksums"])))]
    pub id: Cow<'static, str>,
    /// In words.
    pub message: String,
}

impl NoteEntry {
    /// Those of one log.
    #[must_use]
    pub(crate) fn all(notes: &[Note]) -> Vec<Self> {
        notes.iter().map(Self::new).collect()
    }

    fn new(note: &Note) -> Self {
        Self { id: note.name().into(), message: note.to_string() }
    }
}
