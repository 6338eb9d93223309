//! Who replicates from whom, and how private each way is.

pub(super) mod live;

use serde::Serialize;

use super::facts::server::ServerFacts;
use super::facts::{AuditFacts, FileFacts};
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

/// Who replicates from whom, as a table: a row for each source, a column for each replica.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CrossTable {
    /// Labels of the servers that others replicate from.
    pub sources: Vec<String>,
    /// Labels of the servers that replicate.
    pub replicas: Vec<String>,
    /// For each source, for each replica: how private the way between them is; of several channels,
    /// the least private. `null` where there is none.
    pub rows: Vec<Vec<Option<State>>>,
}

impl Topology {
    /// The same as a table.
    #[must_use]
    pub fn cross_table(&self) -> CrossTable {
        let is = |end: fn(&Edge) -> usize| {
            let nodes = (0..self.nodes.len())
                .filter(move |node| self.edges.iter().any(|it| end(it) == *node));
            nodes.collect::<Vec<_>>()
        };
        let (sources, replicas) = (is(|edge| edge.source), is(|edge| edge.replica));
        let label =
            |node: &usize| self.nodes.get(*node).map(|it| it.label.clone()).unwrap_or_default();
        let cell = |source: usize, replica: usize| {
            let ways = self.edges.iter().filter(|it| (it.source, it.replica) == (source, replica));
            ways.map(Edge::private).reduce(State::and)
        };
        let row = |source: &usize| replicas.iter().map(|replica| cell(*source, *replica)).collect();
        CrossTable {
            sources: sources.iter().map(label).collect(),
            replicas: replicas.iter().map(label).collect(),
            rows: sources.iter().map(row).collect(),
        }
    }
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

/// That of the live servers, and what files show of others.
pub(super) fn with_files(mut topology: Topology, facts: &AuditFacts) -> Topology {
    let is_asked = |files: &&FileFacts| facts.servers.iter().any(|it| is_of(files, it));
    for files in facts.all_files().filter(|files| !is_asked(files)) {
        add_files(&mut topology, files);
    }
    topology
}

/// The node of a label, which is made where there is none.
fn node(topology: &mut Topology, label: String, at_rest: State) -> usize {
    let known = topology.nodes.iter().position(|node| node.label == label);
    known.unwrap_or_else(|| {
        topology.nodes.push(Node { label, server: None, at_rest });
        topology.nodes.len().saturating_sub(1)
    })
}

/// What files show: the server whose they are, and the sources in its master.info.
fn add_files(topology: &mut Topology, facts: &FileFacts) {
    let Some(directory) = &facts.data_directory else {
        return;
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
    let replica = node(topology, path_text::text(&directory.path), at_rest);
    let product = facts.options.as_ref().and_then(|settings| settings.product);
    // From 8.4 on MySQL has its channels in tables: the file was left behind by an upgrade.
    let is_stale = product.is_some_and(|it| !it.is_mariadb() && it.version >= (8, 4, 0));
    for file in directory.replica_files.iter().filter(|_| !is_stale) {
        let channel = &file.channel;
        let label = format!("{}:{}", channel.source_host, channel.source_port);
        let source = node(topology, label, State::Unknown);
        let of_source = topology.nodes.get(source);
        let is_known = of_source.is_some_and(|node| node.server.is_some());
        let source_at_rest = of_source.map_or(State::Unknown, |node| node.at_rest);
        let settings = facts.options.as_ref();
        let can_verify = settings.is_none_or(|it| super::judge::channel::can_verify(channel, it));
        let mut reasons = Vec::new();
        if !is_known {
            reasons.push("the source was not audited".to_owned());
        }
        if !channel.ssl {
            reasons.push("no TLS on the channel".to_owned());
        } else if !(channel.verify_server_cert && can_verify) {
            reasons.push("the source's certificate is not verified".to_owned());
        }
        topology.edges.push(Edge {
            source,
            replica,
            channel: channel.name.clone(),
            in_transit: State::of(channel.ssl),
            verified: State::of(channel.ssl && channel.verify_server_cert && can_verify),
            source_at_rest,
            replica_at_rest: at_rest,
            ends: State::Unknown,
            reasons,
        });
    }
}

/// Whether these files are this server's.
pub(super) fn is_of(files: &FileFacts, server: &ServerFacts) -> bool {
    if files.of_server.is_some() {
        return files.of_server.as_ref() == Some(&server.address);
    }
    files.data_directory.as_ref().is_some_and(|directory| {
        let own = directory.path.canonicalize().unwrap_or_else(|_| directory.path.clone());
        let named = server.variables.get("datadir").map(std::path::PathBuf::from);
        let by_uuid = directory
            .logs
            .servers
            .iter()
            .any(|it| Some(&it.server_uuid) == server.server_uuid.as_ref());
        by_uuid
            || server.server_uuid.is_none()
                && named.is_some_and(|it| it.canonicalize().is_ok_and(|it| it == own))
    })
}
