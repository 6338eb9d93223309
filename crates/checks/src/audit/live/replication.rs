//! Both ends of replication: what the server replicates from, and who reads from it now.

use super::error::Problem;
use super::question::{Asker, Question, Record};
use super::session::Answer;
use crate::audit::facts::server::{
    Area, ChannelFacts, DumpConnection, FailoverSource, Flavour, ServerFacts,
};

/// Dump threads and the TLS of each, of servers that keep a performance schema.
const REPLICAS: &str = "\
    SELECT t.PROCESSLIST_ID AS id, t.PROCESSLIST_USER AS user, t.PROCESSLIST_HOST AS host, \
    (SELECT s.VARIABLE_VALUE FROM performance_schema.status_by_thread s \
     WHERE s.THREAD_ID = t.THREAD_ID AND s.VARIABLE_NAME = 'Ssl_version') AS version, \
    (SELECT s.VARIABLE_VALUE FROM performance_schema.status_by_thread s \
     WHERE s.THREAD_ID = t.THREAD_ID AND s.VARIABLE_NAME = 'Ssl_cipher') AS cipher, \
    (SELECT MAX(v.VARIABLE_VALUE) FROM performance_schema.user_variables_by_thread v \
     WHERE v.THREAD_ID = t.THREAD_ID AND v.VARIABLE_NAME IN ('replica_uuid', 'slave_uuid')) AS uuid \
    FROM performance_schema.threads t WHERE t.PROCESSLIST_COMMAND LIKE 'Binlog Dump%'";
/// The channels of group replication begin so: `group_replication_applier`, `…_recovery`.
const OF_GROUP: &str = "group_replication_";
const REPLICAS_WITHOUT_TLS: &str = "\
    SELECT id, user, host FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'";

/// What it replicates from.
pub(super) fn channels(asker: &mut Asker) -> Result<Vec<ChannelFacts>, Problem> {
    let mariadb = asker.flavour == Flavour::Mariadb;
    let (statement, privilege) = if mariadb && asker.since(10, 5, 2) {
        ("SHOW ALL SLAVES STATUS", "SLAVE MONITOR ON *.*")
    } else if mariadb {
        ("SHOW ALL SLAVES STATUS", "REPLICATION CLIENT ON *.*")
    } else if asker.since(8, 0, 22) {
        ("SHOW REPLICA STATUS", "REPLICATION CLIENT ON *.*")
    } else {
        ("SHOW SLAVE STATUS", "REPLICATION CLIENT ON *.*")
    };
    let answer = asker.ask(&Question {
        what: "the replication channels and their TLS",
        privilege,
        statement,
    })?;
    let mut channels: Vec<_> = answer.unwrap_or_default().records().map(channel).collect();
    // Those of a group have no TLS options of their own: variables say how its members talk (BLR026).
    channels.retain(|channel| !channel.name.starts_with(OF_GROUP));
    if !mariadb && asker.since(8, 0, 19) && !channels.is_empty() {
        cipher_suites(asker, &mut channels)?;
    }
    Ok(channels)
}

/// SHOW REPLICA STATUS does not have them.
fn cipher_suites(asker: &mut Asker, channels: &mut [ChannelFacts]) -> Result<(), Problem> {
    let answer = asker.ask_if_possible(
        Area::Channels,
        &Question {
            what: "the channels' cipher suites of TLS 1.3",
            privilege: "SELECT ON performance_schema.*",
            statement: "SELECT CHANNEL_NAME, TLS_CIPHERSUITES \
                        FROM performance_schema.replication_connection_configuration",
        },
    )?;
    for row in answer.unwrap_or_default().records() {
        let name = row.text(&["CHANNEL_NAME"]);
        if let Some(channel) = channels.iter_mut().find(|channel| channel.name == name) {
            channel.tls_ciphersuites = row.get(&["TLS_CIPHERSUITES"]).map(str::to_owned);
        }
    }
    Ok(())
}

/// The sources that channels turn to by themselves when theirs is gone.
pub(super) fn failover_sources(
    asker: &mut Asker,
    facts: &ServerFacts,
) -> Result<Vec<FailoverSource>, Problem> {
    if asker.flavour == Flavour::Mariadb || !asker.since(8, 0, 22) || facts.channels.is_empty() {
        return Ok(Vec::new());
    }
    let answer = asker.ask_if_possible(
        Area::Channels,
        &Question {
            what: "the sources that channels may turn to",
            privilege: "SELECT ON performance_schema.*",
            statement: "SELECT CHANNEL_NAME, HOST, PORT \
                        FROM performance_schema.replication_asynchronous_connection_failover",
        },
    )?;
    let source = |row: Record<'_>| FailoverSource {
        channel: row.text(&["CHANNEL_NAME"]),
        place: format!("{}:{}", row.text(&["HOST"]), row.text(&["PORT"])),
    };
    let mut found: Vec<_> = answer.unwrap_or_default().records().map(source).collect();
    if asker.since(8, 0, 23) {
        let answer = asker.ask_if_possible(
            Area::Channels,
            &Question {
                what: "the groups whose members channels may turn to",
                privilege: "SELECT ON performance_schema.*",
                statement: "SELECT CHANNEL_NAME, MANAGED_NAME FROM performance_schema.\
                            replication_asynchronous_connection_failover_managed",
            },
        )?;
        let group = |row: Record<'_>| FailoverSource {
            channel: row.text(&["CHANNEL_NAME"]),
            place: format!("any member of the group {}", row.text(&["MANAGED_NAME"])),
        };
        found.extend(answer.unwrap_or_default().records().map(group));
    }
    Ok(found)
}

fn channel(row: Record<'_>) -> ChannelFacts {
    ChannelFacts {
        name: row.text(&["Channel_Name", "Connection_name"]),
        source_host: row.text(&["Source_Host", "Master_Host"]),
        source_port: row.number(&["Source_Port", "Master_Port"]).unwrap_or(0),
        source_user: row.text(&["Source_User", "Master_User"]),
        source_uuid: row.non_empty(&["Source_UUID", "Master_UUID"]),
        source_server_id: row
            .number(&["Source_Server_Id", "Master_Server_Id"])
            .filter(|id| *id != 0),
        io_running: row.text(&["Replica_IO_Running", "Slave_IO_Running"]),
        sql_running: row.text(&["Replica_SQL_Running", "Slave_SQL_Running"]),
        ssl: row.flag(&["Source_SSL_Allowed", "Master_SSL_Allowed"]),
        ssl_ca: row.non_empty(&["Source_SSL_CA_File", "Master_SSL_CA_File"]),
        ssl_ca_path: row.non_empty(&["Source_SSL_CA_Path", "Master_SSL_CA_Path"]),
        ssl_cert: row.non_empty(&["Source_SSL_Cert", "Master_SSL_Cert"]),
        ssl_key: row.non_empty(&["Source_SSL_Key", "Master_SSL_Key"]),
        ssl_cipher: row.non_empty(&["Source_SSL_Cipher", "Master_SSL_Cipher"]),
        verify_server_cert: row
            .flag(&["Source_SSL_Verify_Server_Cert", "Master_SSL_Verify_Server_Cert"]),
        tls_version: row.non_empty(&["Source_TLS_Version", "Master_TLS_Version"]),
        last_io_error: row.non_empty(&["Last_IO_Error"]),
        last_io_errno: row.number(&["Last_IO_Errno"]).filter(|number| *number != 0),
        ssl_crl: row.non_empty(&["Source_SSL_Crl", "Master_SSL_Crl"]),
        ssl_crl_path: row.non_empty(&["Source_SSL_Crlpath", "Master_SSL_Crlpath"]),
        tls_ciphersuites: None,
        gets_public_key: row.flag(&["Get_Source_public_key", "Get_master_public_key"]),
    }
}

/// Who reads the binary logs now.
pub(super) fn replicas(
    asker: &mut Asker,
    facts: &ServerFacts,
) -> Result<Vec<DumpConnection>, Problem> {
    let schema = facts.variables.get("performance_schema").map(String::as_str) == Some("ON");
    let tables = match asker.flavour {
        Flavour::Mariadb => asker.since(10, 5, 2),
        _ => asker.since(5, 7, 0),
    };
    if schema && tables {
        let answer = asker.ask(&Question {
            what: "the replicas that are connected, and whether they use TLS",
            privilege: "SELECT ON performance_schema.*",
            statement: REPLICAS,
        })?;
        return Ok(connections(&answer.unwrap_or_default()));
    }
    if !has_process(asker)? {
        return Ok(Vec::new());
    }
    Ok(connections(&asker.session.query(REPLICAS_WITHOUT_TLS)?))
}

/// Without this privilege the list of processes is no error, only short.
fn has_process(asker: &mut Asker) -> Result<bool, Problem> {
    let answer = asker.ask(&Question {
        what: "the replicas that are connected",
        privilege: "PROCESS ON *.*",
        // Asks for the privilege and for hardly anything else.
        statement: "SHOW ENGINE INNODB STATUS",
    })?;
    Ok(answer.is_some())
}

fn connections(answer: &Answer) -> Vec<DumpConnection> {
    let connection = |row: Record<'_>| DumpConnection {
        id: row.number(&["id"]).unwrap_or(0),
        user: row.text(&["user"]),
        host: without_port(&row.text(&["host"])).to_owned(),
        replica_uuid: row.non_empty(&["uuid"]),
        tls_version: row.get(&["version"]).map(str::to_owned),
        cipher: row.get(&["cipher"]).map(str::to_owned),
    };
    answer.records().map(connection).collect()
}

/// The process list has `host:port`; IPv6 addresses come without brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') =>
        {
            host
        }
        _ => host,
    }
}
