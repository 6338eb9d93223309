//! Who replicates from whom, and how private each way is.

pub(super) mod live;

use serde::Serialize;

use super::facts::AuditFacts;
use super::judge::options::encrypts_logs;
use crate::check::facts::LogStatus;
use binlogsec_core::text::path_text;

/// All servers of an audit and the ways between them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Topology {
    /// Audited servers first, in the order in which they were named, then those that are only
    /// known from others.
    pub nodes: Vec<Node>,
    /// From source to replica.
    pub edges: Vec<Edge>,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// All areas of both ends: see `areas`.
    pub ends: State,
    /// Why, in a few words each, where it is not `Yes`.
    pub reasons: Vec<String>,
}

/// Whether something holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
        [self.in_transit, self.verified, self.source_at_rest, self.replica_at_rest, self.ends]
            .into_iter()
            .fold(State::Yes, State::and)
    }
}

impl State {
    /// `Yes` or `No`.
    #[must_use]
    pub const fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

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

/// Of live servers where some were asked, else of files.
pub(super) fn of(facts: &AuditFacts) -> Topology {
    if facts.servers.is_empty() { of_files(facts) } else { live::of_servers(&facts.servers) }
}

/// What files show: the server whose they are, and the sources in its master.info.
fn of_files(facts: &AuditFacts) -> Topology {
    let Some(directory) = &facts.data_directory else {
        return Topology::default();
    };
    let setting = facts.options.as_ref().and_then(encrypts_logs);
    let logs = directory.logs.logs.iter();
    let at_rest = logs
        .map(|log| match log.status {
            LogStatus::Proven | LogStatus::Unproven => State::Yes,
            LogStatus::Plain | LogStatus::Refuted => State::No,
            LogStatus::Undetermined => State::Unknown,
        })
        .fold(setting.map_or(State::Unknown, State::of), State::and);
    let mut topology = Topology {
        nodes: vec![Node { label: path_text::text(&directory.path), server: None, at_rest }],
        edges: Vec::new(),
    };
    let product = facts.options.as_ref().and_then(|settings| settings.product);
    // From 8.3 on MySQL has its channels in tables: the file was left behind by an upgrade.
    let is_stale = product.is_some_and(|it| !it.is_mariadb() && it.version >= (8, 3, 0));
    for file in directory.replica_files.iter().filter(|_| !is_stale) {
        let channel = &file.channel;
        topology.nodes.push(Node {
            label: format!("{}:{}", channel.source_host, channel.source_port),
            server: None,
            at_rest: State::Unknown,
        });
        let settings = facts.options.as_ref();
        let can_verify = settings.is_none_or(|it| super::judge::channel::can_verify(channel, it));
        let mut reasons = vec!["the source was not audited".to_owned()];
        if !channel.ssl {
            reasons.push("no TLS on the channel".to_owned());
        } else if !(channel.verify_server_cert && can_verify) {
            reasons.push("the source's certificate is not verified".to_owned());
        }
        topology.edges.push(Edge {
            source: topology.nodes.len().saturating_sub(1),
            replica: 0,
            channel: channel.name.clone(),
            in_transit: State::of(channel.ssl),
            verified: State::of(channel.ssl && channel.verify_server_cert && can_verify),
            source_at_rest: State::Unknown,
            replica_at_rest: at_rest,
            ends: State::Unknown,
            reasons,
        });
    }
    topology
}
