//! Replication channels, and the connections of replicas.

use super::server::sql_remedy;
use super::{Found, Judgement, of_server, seen};
use crate::audit::facts::replica_files::ReplicaFileFacts;
use crate::audit::facts::server::{ChannelFacts, DumpConnection, Flavour, ServerFacts};
use crate::audit::facts::settings::Settings;
use crate::audit::sql;
use crate::finding::{Remedy, RuleId, Subject};

/// Where nobody says where the authority's certificate is.
const USUAL_CA: &str = "/etc/mysql/ca.pem";
const OLD_TLS: [&str; 4] = ["SSLv3", "TLSv1", "TLSv1.0", "TLSv1.1"];
const GOOD_TLS: &str = "TLSv1.2,TLSv1.3";

/// Judges what a server replicates from and who replicates from it.
pub(in crate::audit) fn judge(facts: &ServerFacts, settings: &Settings, judgement: &mut Judgement) {
    for channel in &facts.channels {
        let subject =
            Subject::Server { server: facts.address.clone(), object: Some(object(channel)) };
        judge_channel(facts, channel, settings, (&subject, status(facts)), judgement);
    }
    for connection in &facts.replicas {
        judge_connection(facts, connection, settings, judgement);
    }
}

/// Judges a channel that a replica wrote down in master.info.
pub(in crate::audit) fn judge_file(
    file: &ReplicaFileFacts,
    settings: &Settings,
    judgement: &mut Judgement,
) {
    // What remedies look at, of a server that was not asked.
    let of_options = ["ssl_ca", "datadir"].iter().filter_map(|name| {
        let value = settings.given(name)?;
        Some(((*name).to_owned(), value.to_owned()))
    });
    let facts = ServerFacts {
        flavour: if settings.is_mariadb() { Flavour::Mariadb } else { Flavour::Mysql },
        variables: of_options.collect(),
        ..ServerFacts::default()
    };
    let subject = Subject::file(&file.path);
    judge_channel(&facts, &file.channel, settings, (&subject, "master.info"), judgement);
}

/// BLR060, BLR061, BLR062, about a subject that something showed.
fn judge_channel(
    facts: &ServerFacts,
    channel: &ChannelFacts,
    settings: &Settings,
    (subject, shown_by): (&Subject, &str),
    judgement: &mut Judgement,
) {
    let about = |message: String| Found::about(subject.clone(), message);
    let source = format!("{}:{}", channel.source_host, channel.source_port);
    judgement.report_unless(RuleId::Blr060, channel.ssl, || {
        about(format!("replicates from {source} in the clear"))
            .seen(seen(&column(facts, "SSL_Allowed"), "No", shown_by))
            .remedied(change(
                facts,
                channel,
                settings,
                &["SSL = 1", &ca(facts, channel), "SSL_VERIFY_SERVER_CERT = 1"],
            ))
    });
    if !channel.ssl {
        return;
    }
    judgement.report_unless(RuleId::Blr061, channel.verify_server_cert, || {
        let ca = ca(facts, channel);
        about(format!("takes any certificate for that of {source}"))
            .seen(seen(&column(facts, "SSL_Verify_Server_Cert"), "No", shown_by))
            .remedied(change(facts, channel, settings, &[&ca, "SSL_VERIFY_SERVER_CERT = 1"]))
    });
    let versions = channel.tls_version.as_deref().unwrap_or_default();
    let old: Vec<_> = versions.split(',').map(str::trim).filter(|it| is_old(it)).collect();
    judgement.report_unless(RuleId::Blr062, old.is_empty(), || {
        let versions = format!("TLS_VERSION = {}", sql::quoted(GOOD_TLS));
        about(format!("accepts {} from {source}", old.join(", "))).remedied(change(
            facts,
            channel,
            settings,
            &[&versions],
        ))
    });
}

/// BLR063, BLR064.
fn judge_connection(
    facts: &ServerFacts,
    connection: &DumpConnection,
    settings: &Settings,
    judgement: &mut Judgement,
) {
    let Some(version) = &connection.tls_version else {
        return;
    };
    let (id, user, host) = (connection.id, &connection.user, &connection.host);
    let object = format!("connection {id} of {user} from {host}");
    judgement.report_unless(RuleId::Blr063, !version.is_empty(), || {
        let mut statements = Vec::new();
        for account in facts.accounts.iter().flatten().filter(|account| account.user == *user) {
            statements
                .push(format!("ALTER USER {} REQUIRE SSL;", sql::account(user, &account.host)));
        }
        statements.push(format!("KILL {id};"));
        of_server(facts, Some(object.clone()), "reads the binary log in the clear")
            .seen(seen("Ssl_version", "empty", "performance_schema.status_by_thread"))
            .remedied(sql_remedy(statements.join("\n")))
    });
    judgement.report_unless(RuleId::Blr064, !is_old(version), || {
        let mut remedy = settings.set("tls_version", GOOD_TLS);
        if !settings.is_mariadb() {
            remedy.text.push_str("\nALTER INSTANCE RELOAD TLS;");
        }
        remedy.text.push_str(&format!("\nKILL {id};"));
        of_server(facts, Some(object.clone()), format!("reads the binary log over {version}"))
            .seen(seen("Ssl_version", version, "performance_schema.status_by_thread"))
            .remedied(remedy)
    });
}

fn is_old(version: &str) -> bool {
    OLD_TLS.iter().any(|old| version.eq_ignore_ascii_case(old))
}

fn object(channel: &ChannelFacts) -> String {
    match &*channel.name {
        "" => "default channel".to_owned(),
        name => format!("channel {name}"),
    }
}

fn status(facts: &ServerFacts) -> &'static str {
    match facts.flavour {
        Flavour::Mariadb => "SHOW ALL SLAVES STATUS",
        _ => "SHOW REPLICA STATUS",
    }
}

/// As the server calls it.
fn column(facts: &ServerFacts, name: &str) -> String {
    let prefix = match facts.flavour {
        Flavour::Mariadb => "Master",
        _ => "Source",
    };
    format!("{prefix}_{name}")
}

/// The channel's own CA file, else the one that this server's clients are verified by. One in the
/// data directory was made by the server itself, and knows no other server.
fn ca(facts: &ServerFacts, channel: &ChannelFacts) -> String {
    let of_server = facts.variables.get("ssl_ca");
    let of_server = of_server.filter(|file| file.starts_with('/')).cloned();
    let file = channel.ssl_ca.clone().or(of_server);
    format!("SSL_CA = {}", sql::quoted(file.as_deref().unwrap_or(USUAL_CA)))
}

/// The statements that change a channel, in the words of the server's version. Only the part that
/// connects is stopped, where that will do.
fn change(
    facts: &ServerFacts,
    channel: &ChannelFacts,
    settings: &Settings,
    options: &[&str],
) -> Remedy {
    let old = settings.is_mariadb() || !settings.since((8, 0, 23));
    let (prefix, replica, statement) = if old {
        ("MASTER_", "SLAVE", "CHANGE MASTER")
    } else {
        ("SOURCE_", "REPLICA", "CHANGE REPLICATION SOURCE")
    };
    let options: Vec<_> = options.iter().map(|option| format!("{prefix}{option}")).collect();
    let options = options.join(", ");
    let name = sql::quoted(&channel.name);
    sql_remedy(if facts.flavour == Flavour::Mariadb {
        let name = if channel.name.is_empty() { String::new() } else { format!(" {name}") };
        format!("STOP SLAVE{name};\nCHANGE MASTER{name} TO {options};\nSTART SLAVE{name};")
    } else {
        let channel =
            if channel.name.is_empty() { String::new() } else { format!(" FOR CHANNEL {name}") };
        format!(
            "STOP {replica} IO_THREAD{channel};\n{statement} TO {options}{channel};\nSTART {replica} IO_THREAD{channel};"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::judge::live_settings;

    fn remedy(flavour: Flavour, version: &str, name: &str) -> String {
        let channel = ChannelFacts { name: name.to_owned(), ..ChannelFacts::default() };
        let facts = ServerFacts {
            flavour,
            version: version.to_owned(),
            channels: vec![channel],
            ..ServerFacts::default()
        };
        let mut judgement = Judgement::default();
        judge(&facts, &live_settings(&facts), &mut judgement);
        assert_eq!(judgement.findings.len(), 1);
        judgement.findings.remove(0).remedy().text
    }

    #[test]
    fn remedies_are_in_the_words_of_the_version() {
        assert_eq!(
            remedy(Flavour::Mysql, "8.0.23", "east"),
            "STOP REPLICA IO_THREAD FOR CHANNEL 'east';\n\
             CHANGE REPLICATION SOURCE TO SOURCE_SSL = 1, SOURCE_SSL_CA = '/etc/mysql/ca.pem', \
             SOURCE_SSL_VERIFY_SERVER_CERT = 1 FOR CHANNEL 'east';\n\
             START REPLICA IO_THREAD FOR CHANNEL 'east';"
        );
        assert_eq!(
            remedy(Flavour::Mysql, "5.7.44-log", ""),
            "STOP SLAVE IO_THREAD;\n\
             CHANGE MASTER TO MASTER_SSL = 1, MASTER_SSL_CA = '/etc/mysql/ca.pem', \
             MASTER_SSL_VERIFY_SERVER_CERT = 1;\n\
             START SLAVE IO_THREAD;"
        );
        assert_eq!(
            remedy(Flavour::Mariadb, "10.11.6-MariaDB", "east"),
            "STOP SLAVE 'east';\n\
             CHANGE MASTER 'east' TO MASTER_SSL = 1, MASTER_SSL_CA = '/etc/mysql/ca.pem', \
             MASTER_SSL_VERIFY_SERVER_CERT = 1;\n\
             START SLAVE 'east';"
        );
    }
}
