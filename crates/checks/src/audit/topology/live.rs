//! Who replicates from whom, of live servers: told by server UUID, else by host and port, else by
//! server id.

use super::{Edge, Node, State, Topology, node};
use crate::audit::facts::server::{ChannelFacts, DumpConnection, ServerFacts};
use crate::audit::judge::Server;
use crate::audit::judge::channel::can_verify;
use crate::audit::judge::options::encrypts_logs;

/// From what each server says of its sources and of its replicas.
pub(in crate::audit) fn of_servers(servers: &[Server<'_>]) -> Topology {
    let nodes = servers.iter().enumerate().map(|(index, server)| Node {
        label: server.facts.address.clone(),
        server: Some(index),
        at_rest: at_rest(server),
    });
    let mut topology = Topology { nodes: nodes.collect(), edges: Vec::new() };
    for (index, replica) in servers.iter().enumerate() {
        for channel in &replica.facts.channels {
            let source = source_of(channel, index, servers);
            let edge = edge(&mut topology, servers, source, index, channel);
            topology.edges.push(edge);
        }
    }
    for (index, source) in servers.iter().enumerate() {
        for connection in &source.facts.replicas {
            if !is_known(connection, index, servers, &topology) {
                add_unaudited_replica(&mut topology, index, connection);
            }
        }
    }
    topology
}

/// The setting, and the logs that are still there.
fn at_rest(server: &Server<'_>) -> State {
    // A version without the variable cannot encrypt.
    let setting = State::of(encrypts_logs(&server.settings) == Some(true));
    let logs = server.facts.binary_logs.iter().flatten();
    logs.map(|log| log.encrypted.map_or(State::Unknown, State::of)).fold(setting, State::and)
}

/// The audited server that a channel connects to.
pub(in crate::audit) fn source_of(
    channel: &ChannelFacts,
    replica: usize,
    servers: &[Server<'_>],
) -> Option<usize> {
    let all = || servers.iter().map(|server| server.facts);
    let others = || all().enumerate().filter(|(index, _)| *index != replica);
    if let Some(uuid) = &channel.source_uuid {
        let mut others = others();
        let found = others.find(|(_, server)| server.server_uuid.as_ref() == Some(uuid));
        // One that says who it is is nobody else, unless the other end has no UUID at all.
        if found.is_some() || all().all(|server| server.server_uuid.is_some()) {
            return found.map(|(index, _)| index);
        }
    }
    let place = format!("{}:{}", channel.source_host, channel.source_port);
    let at_place = |server: &ServerFacts| {
        let port = server.port == Some(channel.source_port);
        server.address == place || port && server.hostname.as_ref() == Some(&channel.source_host)
    };
    let same_id = |server: &ServerFacts| {
        channel.source_server_id.is_some()
            && server.server_id == channel.source_server_id
            && server.port == Some(channel.source_port)
    };
    let found = others().find(|(_, server)| at_place(server));
    let found = found.or_else(|| others().find(|(_, server)| same_id(server)));
    found.map(|(index, _)| index)
}

fn edge(
    topology: &mut Topology,
    servers: &[Server<'_>],
    source: Option<usize>,
    replica: usize,
    channel: &ChannelFacts,
) -> Edge {
    let mut reasons = Vec::new();
    let connection = source.and_then(|source| {
        let (source, replica) = (servers.get(source)?.facts, servers.get(replica)?.facts);
        let mut connections = source.replicas.iter();
        connections.find(|it| it.replica_uuid.is_some() && it.replica_uuid == replica.server_uuid)
    });
    // What the connection really uses outweighs what the channel is to use.
    // A channel that is not connected shows what it is to do, not what it does.
    let runs = channel.io_running.is_empty() || channel.io_running == "Yes";
    let unless_down =
        |state: State| if runs || state == State::No { state } else { State::Unknown };
    let in_transit = match connection.and_then(DumpConnection::encrypted) {
        Some(encrypted) => State::of(encrypted),
        None => unless_down(State::of(channel.ssl)),
    };
    let settings = servers.get(replica).map(|server| &server.settings);
    let can_verify = settings.is_none_or(|it| can_verify(channel, it));
    let verified = unless_down(State::of(channel.ssl && channel.verify_server_cert && can_verify));
    if !runs {
        reasons.push(format!("the channel is not connected ({})", channel.io_running));
    }
    if in_transit == State::No {
        reasons.push("no TLS on the channel".to_owned());
    } else if verified == State::No {
        reasons.push("the source's certificate is not verified".to_owned());
    }
    let source = source.unwrap_or_else(|| {
        let label = format!("{}:{}", channel.source_host, channel.source_port);
        node(topology, label, State::Unknown)
    });
    let state =
        |index: usize| topology.nodes.get(index).map_or(State::Unknown, |node| node.at_rest);
    let (source_at_rest, replica_at_rest) = (state(source), state(replica));
    at_rest_reasons(topology, source, "source", &mut reasons);
    at_rest_reasons(topology, replica, "replica", &mut reasons);
    Edge {
        source,
        replica,
        channel: channel.name.clone(),
        in_transit,
        verified,
        source_at_rest,
        replica_at_rest,
        ends: State::Yes,
        reasons,
    }
}

fn at_rest_reasons(topology: &Topology, index: usize, end: &str, reasons: &mut Vec<String>) {
    let Some(node) = topology.nodes.get(index) else {
        return;
    };
    match (node.at_rest, node.server) {
        (_, None) => reasons.push(format!("the {end} was not audited")),
        (State::No, _) => reasons.push(format!("logs of the {end} are in the clear")),
        (State::Unknown, _) => {
            reasons.push(format!("whether all logs of the {end} are encrypted is not known"));
        }
        (State::Yes, _) => {}
    }
}

/// Whether a connected replica is one of the audited servers.
fn is_known(
    connection: &DumpConnection,
    source: usize,
    servers: &[Server<'_>],
    topology: &Topology,
) -> bool {
    match &connection.replica_uuid {
        Some(uuid) => servers.iter().any(|server| server.facts.server_uuid.as_ref() == Some(uuid)),
        // MariaDB's do not say who they are: a channel of that user is taken for it.
        None => topology.edges.iter().any(|edge| {
            let replica = servers.get(edge.replica).map(|server| server.facts);
            let mut channels = replica.into_iter().flat_map(|replica| &replica.channels);
            edge.source == source && channels.any(|channel| channel.source_user == connection.user)
        }),
    }
}

/// A replica that is connected to `source` and was not audited itself.
fn add_unaudited_replica(topology: &mut Topology, source: usize, connection: &DumpConnection) {
    let who = connection.replica_uuid.as_deref().unwrap_or(&connection.user);
    let replica = node(topology, format!("{who} at {}", connection.host), State::Unknown);
    let in_transit = connection.encrypted().map_or(State::Unknown, State::of);
    let mut reasons = Vec::new();
    if in_transit == State::No {
        reasons.push("no TLS on the connection".to_owned());
    }
    at_rest_reasons(topology, source, "source", &mut reasons);
    at_rest_reasons(topology, replica, "replica", &mut reasons);
    let source_at_rest = topology.nodes.get(source).map_or(State::Unknown, |node| node.at_rest);
    topology.edges.push(Edge {
        source,
        replica,
        channel: String::new(),
        in_transit,
        verified: State::Unknown,
        source_at_rest,
        replica_at_rest: State::Unknown,
        ends: State::Yes,
        reasons,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::facts::server::BinaryLogFacts;

    fn topology_of(servers: &[ServerFacts]) -> Topology {
        of_servers(&servers.iter().map(Server::new).collect::<Vec<_>>())
    }

    fn server(number: u16, sources: &[u16]) -> ServerFacts {
        let channel = |source: &u16| ChannelFacts {
            source_host: "127.0.0.1".to_owned(),
            source_port: 3300 + source,
            source_uuid: Some(format!("uuid-{source}")),
            ssl: true,
            ssl_ca: Some("/etc/mysql/ca.pem".to_owned()),
            verify_server_cert: true,
            ..ChannelFacts::default()
        };
        ServerFacts {
            address: format!("db{number}:3306"),
            server_uuid: Some(format!("uuid-{number}")),
            variables: [("binlog_encryption".to_owned(), "ON".to_owned())].into(),
            binary_logs: Some(vec![BinaryLogFacts {
                name: "binlog.000001".to_owned(),
                size: 1,
                encrypted: Some(true),
            }]),
            channels: sources.iter().map(channel).collect(),
            ..ServerFacts::default()
        }
    }

    #[test]
    fn a_circle_and_a_chain_are_told_by_uuid() {
        let topology = topology_of(&[server(1, &[2]), server(2, &[1]), server(3, &[2])]);
        let ways: Vec<_> = topology.edges.iter().map(|edge| (edge.source, edge.replica)).collect();
        assert_eq!(ways, [(1, 0), (0, 1), (1, 2)]);
        assert!(topology.edges.iter().all(|edge| edge.private() == State::Yes), "{topology:?}");
        assert_eq!(topology.nodes.len(), 3);
    }

    #[test]
    fn an_old_plain_log_at_one_end_opens_the_way() {
        let mut source = server(1, &[]);
        source.binary_logs.as_mut().unwrap()[0].encrypted = Some(false);
        let topology = topology_of(&[source, server(2, &[1])]);
        let edge = &topology.edges[0];
        assert_eq!((edge.in_transit, edge.source_at_rest), (State::Yes, State::No));
        assert_eq!(edge.private(), State::No);
        assert_eq!(edge.reasons, ["logs of the source are in the clear"]);
    }

    #[test]
    fn what_is_really_used_outweighs_what_is_configured() {
        let mut source = server(1, &[]);
        source.replicas.push(DumpConnection {
            replica_uuid: Some("uuid-2".to_owned()),
            tls_version: Some(String::new()),
            ..DumpConnection::default()
        });
        let topology = topology_of(&[source, server(2, &[1])]);
        assert_eq!(topology.edges.len(), 1);
        assert_eq!(topology.edges[0].in_transit, State::No);
    }

    #[test]
    fn strangers_at_both_ends_are_shown_and_not_known() {
        let mut middle = server(2, &[1]);
        middle.replicas.push(DumpConnection {
            host: "10.0.0.9".to_owned(),
            replica_uuid: Some("uuid-9".to_owned()),
            tls_version: Some("TLSv1.3".to_owned()),
            ..DumpConnection::default()
        });
        let topology = topology_of(&[middle]);
        let labels: Vec<_> = topology.nodes.iter().map(|node| &*node.label).collect();
        assert_eq!(labels, ["db2:3306", "127.0.0.1:3301", "uuid-9 at 10.0.0.9"]);
        assert!(topology.edges.iter().all(|edge| edge.private() == State::Unknown));
    }
}
