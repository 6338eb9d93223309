//! Who replicates from whom, and how private each way is.

use serde::Serialize;

/// All servers of an audit and the ways between them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Topology {
    /// Audited servers first, in the order in which they were named, then those that are only
    /// known from others.
    pub nodes: Vec<Node>,
    /// From source to replica.
    pub edges: Vec<Edge>,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// What it is called in reports.
    pub label: String,
    /// Its index among the audited servers, if it is one.
    pub server: Option<usize>,
    /// Whether all it writes is encrypted at rest: the setting, and the logs it still has.
    pub at_rest: State,
}

/// A replication channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// Index of the source in `nodes`.
    pub source: usize,
    /// Index of the replica in `nodes`.
    pub replica: usize,
    /// The channel's name at the replica, empty for the default one.
    pub channel: String,
    /// Encrypted in transit.
    pub in_transit: State,
    /// The replica verifies who the source is.
    pub verified: State,
    /// Encrypted at rest at the source.
    pub source_at_rest: State,
    /// Encrypted at rest at the replica.
    pub replica_at_rest: State,
    /// Why, in a few words each, where it is not `Yes`.
    pub reasons: Vec<String>,
}

/// Whether something holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// That is not known: the server was not audited, or a privilege is missing.
    #[default]
    Unknown,
}

impl Edge {
    /// The whole way: `No` if any part is, else `Unknown` if any part is.
    #[must_use]
    pub fn private(&self) -> State {
        [
            self.in_transit,
            self.verified,
            self.source_at_rest,
            self.replica_at_rest,
        ]
        .into_iter()
        .fold(State::Yes, State::and)
    }
}

impl State {
    /// Both hold.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Unknown,
        }
    }

    /// Its name in reports. Stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}
