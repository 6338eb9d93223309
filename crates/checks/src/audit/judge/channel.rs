//! Replication channels, and the connections of replicas.

use super::server::sql_remedy;
use super::words::{USUAL_CA, change, column, object, status};
use super::{Found, Judgement, Server, of_server, options, seen};
use crate::audit::facts::replica_files::ReplicaFileFacts;
use crate::audit::facts::server::{ChannelFacts, DumpConnection, ServerFacts, TlsRequirement};
use crate::audit::facts::settings::Settings;
use crate::audit::{sql, versions};
use crate::finding::rules::Language;
use crate::finding::{RuleId, Severity, Subject};

/// Judges what a server replicates from and who replicates from it.
pub(in crate::audit) fn judge(server: &Server<'_>, judgement: &mut Judgement) {
    let Server { facts, settings } = server;
    for channel in &facts.channels {
        let subject =
            Subject::Server { server: facts.address.clone(), object: Some(object(channel)) };
        judge_channel(channel, settings, (&subject, status(settings)), judgement);
        super::broken::judge(server, channel, judgement);
    }
    for connection in &facts.replicas {
        judge_connection(server, connection, judgement);
    }
}

/// Judges a channel that a replica wrote down in master.info.
pub(in crate::audit) fn judge_file(
    file: &ReplicaFileFacts,
    settings: &Settings,
    judgement: &mut Judgement,
) {
    let subject = Subject::file(&file.path);
    judge_channel(&file.channel, settings, (&subject, "master.info"), judgement);
}

/// BLR060, BLR061, BLR062, about a subject that something showed.
fn judge_channel(
    channel: &ChannelFacts,
    settings: &Settings,
    (subject, shown_by): (&Subject, &str),
    judgement: &mut Judgement,
) {
    let about = |message: String| Found::about(subject.clone(), message);
    let source = format!("{}:{}", channel.source_host, channel.source_port);
    judgement.report_unless(RuleId::Blr060, channel.ssl, || {
        about(format!("replicates from {source} in the clear"))
            .seen(seen(&column(settings, "SSL_Allowed"), "No", shown_by))
            .remedied(change(
                channel,
                settings,
                &std::iter::once("SSL = 1")
                    .chain(verification(channel, settings).iter().map(String::as_str))
                    .collect::<Vec<_>>(),
            ))
    });
    if !channel.ssl {
        return;
    }
    judgement.report_unless(RuleId::Blr061, channel.verify_server_cert, || {
        let seen_off = seen(&column(settings, "SSL_Verify_Server_Cert"), "No", shown_by);
        let ca = verification(channel, settings);
        let ca: Vec<_> = ca.iter().map(String::as_str).collect();
        let found = if has_authority(channel) && !settings.is_mariadb() {
            about(format!(
                "verifies the authority of {source} and not its host name: any certificate of that \
                 authority will do"
            ))
            .weighing(Severity::Warning)
        } else {
            about(format!("takes any certificate for that of {source}"))
        };
        found.seen(seen_off).remedied(change(channel, settings, &ca))
    });
    if channel.verify_server_cert {
        judgement.report_unless(RuleId::Blr067, can_verify(channel, settings), || {
            let ca = ca(channel, settings);
            about(format!("is to verify {source}, and has no authority to verify it by"))
                .seen(seen(&column(settings, "SSL_CA_File"), "empty", shown_by))
                .remedied(change(channel, settings, &[&ca]))
        });
    }
    ciphers(channel, settings, subject, judgement);
    let versions = channel.tls_version.as_deref().unwrap_or_default();
    let old: Vec<_> =
        versions.split(',').map(str::trim).filter(|it| options::is_old_tls(it)).collect();
    judgement.report_unless(RuleId::Blr062, old.is_empty(), || {
        let versions = format!("TLS_VERSION = {}", sql::quoted(options::good_tls(settings)));
        about(format!("accepts {} from {source}", old.join(", "))).remedied(change(
            channel,
            settings,
            &[&versions],
        ))
    });
}

/// Whether the channel names an authority.
fn has_authority(channel: &ChannelFacts) -> bool {
    channel.ssl_ca.is_some() || channel.ssl_ca_path.is_some()
}

/// Whether a channel that is to verify its source has something to do that by.
pub(in crate::audit) fn can_verify(channel: &ChannelFacts, settings: &Settings) -> bool {
    has_authority(channel) || verifies_without_authority(settings)
}

fn verifies_without_authority(settings: &Settings) -> bool {
    settings.is_mariadb() && settings.since(versions::MARIADB_VERIFIES_WITHOUT_AUTHORITY)
}

/// The options that make a channel verify its source. MariaDB from 11.4 on needs no authority, and an
/// authority that did not sign the source's certificate would stop the channel.
fn verification(channel: &ChannelFacts, settings: &Settings) -> Vec<String> {
    let verify = "SSL_VERIFY_SERVER_CERT = 1".to_owned();
    if verifies_without_authority(settings) && !has_authority(channel) {
        vec![verify]
    } else {
        vec![ca(channel, settings), verify]
    }
}

/// BLR024 and BLR069 of a channel: ciphers that are weak, and none at all.
fn ciphers(
    channel: &ChannelFacts,
    settings: &Settings,
    subject: &Subject,
    judgement: &mut Judgement,
) {
    let about = |message: String| Found::about(subject.clone(), message);
    if let Some(list) = channel.ssl_cipher.as_deref().filter(|list| !list.is_empty()) {
        let weak = options::weak_ciphers(list);
        judgement.report_unless(RuleId::Blr024, weak.is_empty(), || {
            about(format!("the channel allows {}", weak.join(", ")))
                .seen(seen(&column(settings, "SSL_Cipher"), list, "the channel"))
                .remedied(change(channel, settings, &["SSL_CIPHER = ''"]))
        });
    }
    if channel.tls_ciphersuites.as_deref() == Some("") {
        let allows_older =
            channel.tls_version.as_deref().is_none_or(|it| it.is_empty() || it.contains("1.2"));
        judgement.report_unless(RuleId::Blr069, false, || {
            let found = about("allows no cipher suite of TLS 1.3".to_owned())
                .seen(seen("TLS_CIPHERSUITES", "''", "performance_schema"))
                .remedied(change(channel, settings, &["TLS_CIPHERSUITES = NULL"]));
            if allows_older { found.weighing(Severity::Warning) } else { found }
        });
    }
}

/// BLR069 and BLR059: what the two ends of a channel ask of each other and cannot have.
pub(in crate::audit) fn judge_pair(
    source: &ServerFacts,
    replica: &Server<'_>,
    channel: &ChannelFacts,
    judgement: &mut Judgement,
) {
    let settings = &replica.settings;
    let about = |message: String| of_server(replica.facts, Some(object(channel)), message);
    if channel.ssl {
        let offered = source.variables.get("tls_version").map_or("", String::as_str);
        let wanted = channel.tls_version.as_deref().unwrap_or_default();
        let has = |list: &str, version: &str| {
            list.split(',').any(|it| it.trim().eq_ignore_ascii_case(version))
        };
        let common = wanted.is_empty()
            || offered.is_empty()
            || wanted.split(',').any(|version| has(offered, version.trim()));
        judgement.report_unless(RuleId::Blr069, common, || {
            let versions = format!("TLS_VERSION = {}", sql::quoted(offered));
            about(format!("wants {wanted}, and {} offers {offered}", source.address))
                .seen(seen("tls_version", offered, &source.address))
                .remedied(change(channel, settings, &[&versions]))
        });
        if common {
            judge_ciphers(source, replica, channel, judgement);
        }
    }
    let mut accounts = source.accounts.iter().flatten();
    let mut of_user = accounts.by_ref().filter(|it| it.user == channel.source_user).peekable();
    if of_user.peek().is_none() || !channel.ssl {
        return;
    }
    let demands =
        of_user.all(|it| matches!(it.require, TlsRequirement::X509 | TlsRequirement::Specified));
    judgement.report_unless(RuleId::Blr059, !demands || channel.ssl_cert.is_some(), || {
        let user = &channel.source_user;
        let message =
            format!("shows no certificate, and {} lets {user} in with one only", source.address);
        about(message)
            .seen(seen(&column(settings, "SSL_Cert"), "empty", status(settings)))
            .remedied(change(
                channel,
                settings,
                &[
                    "SSL_CERT = '/etc/mysql/client-cert.pem'",
                    "SSL_KEY = '/etc/mysql/client-key.pem'",
                ],
            ))
    });
}

/// BLR069 of lists of ciphers: for one TLS version at least that both ends have, they must share one.
fn judge_ciphers(
    source: &ServerFacts,
    replica: &Server<'_>,
    channel: &ChannelFacts,
    judgement: &mut Judgement,
) {
    let settings = &replica.settings;
    let given =
        |name: &str| source.variables.get(name).map(String::as_str).filter(|it| !it.is_empty());
    let offered = given("tls_version").unwrap_or_default();
    let wanted = channel.tls_version.as_deref().unwrap_or(offered);
    let both = |version: &str| {
        let has = |list: &str| list.split(',').any(|it| it.trim().eq_ignore_ascii_case(version));
        has(offered) && has(wanted)
    };
    let suites = (channel.tls_ciphersuites.as_deref(), given("tls_ciphersuites"));
    let ciphers = (channel.ssl_cipher.as_deref(), given("ssl_cipher"));
    let by_13 = both("TLSv1.3") && share(suites);
    let by_12 =
        ["TLSv1.2", "TLSv1.1", "TLSv1", "TLSv1.0"].iter().any(|it| both(it)) && share(ciphers);
    let is_known = !offered.is_empty() && (ciphers != (None, None) || suites != (None, None));
    if !is_known || channel.tls_ciphersuites.as_deref() == Some("") {
        return;
    }
    judgement.report_unless(RuleId::Blr069, by_13 || by_12, || {
        let text = |list: Option<&str>| list.unwrap_or("its default").to_owned();
        let mut options = vec!["SSL_CIPHER = ''"];
        if suites.0.is_some() {
            options.push("TLS_CIPHERSUITES = NULL");
        }
        let message = format!("its ciphers are none of those that {} takes", source.address);
        of_server(replica.facts, Some(object(channel)), message)
            .seen(seen(&column(settings, "SSL_Cipher"), &text(ciphers.0), status(settings)))
            .seen(seen("ssl_cipher", &text(ciphers.1), &source.address))
            .remedied(change(channel, settings, &options))
    });
}

/// Whether two lists have a cipher in common. One that is not given is the library's own, and one with
/// words for many ciphers may have any.
fn share((one, other): (Option<&str>, Option<&str>)) -> bool {
    let (Some(one), Some(other)) = (one, other) else {
        return true;
    };
    let names = |list: &str| -> Vec<String> {
        list.split([':', ',', ' '])
            .filter(|it| !it.is_empty())
            .map(str::to_ascii_uppercase)
            .collect()
    };
    // `ECDHE-RSA-AES256-GCM-SHA384`, `TLS_AES_256_GCM_SHA384`; not `HIGH`, `!NULL`, `@SECLEVEL=1`.
    let is_one = |name: &String| {
        name.contains(['-', '_']) && name.starts_with(|first: char| first.is_ascii_alphanumeric())
    };
    let (one, other) = (names(one), names(other));
    !one.iter().chain(&other).all(is_one) || one.iter().any(|name| other.contains(name))
}

/// BLR063, BLR064.
fn judge_connection(server: &Server<'_>, connection: &DumpConnection, judgement: &mut Judgement) {
    let Server { facts, settings } = server;
    let Some(version) = &connection.tls_version else {
        unknown_connection(facts, connection, judgement);
        return;
    };
    let (id, user, host) = (connection.id, &connection.user, &connection.host);
    let object = format!("connection {id} of {user} from {host}");
    judgement.report_unless(RuleId::Blr063, !version.is_empty(), || {
        let mut statements = Vec::new();
        for account in facts.accounts.iter().flatten().filter(|account| account.user == *user) {
            statements.push(format!(
                "ALTER USER IF EXISTS {} REQUIRE SSL;",
                sql::account(user, &account.host)
            ));
        }
        statements.push(format!(
            "-- switch TLS on at its side first: this ends its connection\nKILL {id};"
        ));
        of_server(facts, Some(object.clone()), "reads the binary log in the clear")
            .seen(seen("Ssl_version", "empty", "performance_schema.status_by_thread"))
            .remedied(sql_remedy(statements.join("\n")))
    });
    judgement.report_unless(RuleId::Blr064, !options::is_old_tls(version), || {
        let mut remedy = options::without_old_tls(settings);
        if remedy.language == Language::Sql {
            remedy.text.push_str(&format!("\nKILL {id};"));
        }
        of_server(facts, Some(object.clone()), format!("reads the binary log over {version}"))
            .seen(seen("Ssl_version", version, "performance_schema.status_by_thread"))
            .remedied(remedy)
    });
}

/// BLR063 as a note, of a server that does not say which connections are encrypted.
fn unknown_connection(facts: &ServerFacts, connection: &DumpConnection, judgement: &mut Judgement) {
    let accounts: Vec<_> =
        facts.accounts.iter().flatten().filter(|it| it.user == connection.user).collect();
    let forced = facts.variables.get("require_secure_transport").is_some_and(|it| it == "ON")
        || !accounts.is_empty() && accounts.iter().all(|it| it.require != TlsRequirement::None);
    // Whom the server lets in with TLS only uses it.
    judgement.report_unless(RuleId::Blr063, forced, || {
        let (id, user, host) = (connection.id, &connection.user, &connection.host);
        let object = format!("connection {id} of {user} from {host}");
        of_server(facts, Some(object), "reads the binary log, and nothing holds it to TLS")
            .weighing(Severity::Warning)
            .seen(seen("performance_schema", "OFF", "SHOW GLOBAL VARIABLES"))
            .remedied(sql_remedy(format!(
                "ALTER USER IF EXISTS {} REQUIRE SSL;\n-- the reader must come again: this ends its connection\nKILL {id};",
                accounts.first().map_or_else(
                    || sql::account(user, host),
                    |it| sql::account(user, &it.host)
                )
            )))
    });
}

/// The channel's own CA file, else the one that this server's clients are verified by. One in the
/// data directory was made by the server itself, and knows no other server.
fn ca(channel: &ChannelFacts, settings: &Settings) -> String {
    let of_server = settings.given("ssl_ca").filter(|file| file.starts_with('/'));
    let of_server = of_server.map(str::to_owned);
    let file = channel.ssl_ca.clone().or(of_server);
    format!("SSL_CA = {}", sql::quoted(file.as_deref().unwrap_or(USUAL_CA)))
}

#[cfg(test)]
mod tests {
    use super::super::words::PLACEHOLDER;
    use super::*;
    use crate::audit::facts::server::Flavour;

    fn remedy(flavour: Flavour, version: &str, name: &str) -> String {
        let channel = ChannelFacts { name: name.to_owned(), ..ChannelFacts::default() };
        let facts = ServerFacts {
            flavour,
            version: version.to_owned(),
            channels: vec![channel],
            ..ServerFacts::default()
        };
        let mut judgement = Judgement::default();
        judge(&Server::new(&facts), &mut judgement);
        assert_eq!(judgement.findings.len(), 1);
        judgement.findings.remove(0).remedy().text
    }

    #[test]
    fn remedies_are_in_the_words_of_the_version() {
        assert_eq!(
            remedy(Flavour::Mysql, "8.0.23", "east").split_off(PLACEHOLDER.len()),
            "STOP REPLICA IO_THREAD FOR CHANNEL 'east';\n\
             CHANGE REPLICATION SOURCE TO SOURCE_SSL = 1, SOURCE_SSL_CA = '/etc/mysql/ca.pem', \
             SOURCE_SSL_VERIFY_SERVER_CERT = 1 FOR CHANNEL 'east';\n\
             START REPLICA IO_THREAD FOR CHANNEL 'east';"
        );
        assert_eq!(
            remedy(Flavour::Mysql, "5.7.44-log", "").split_off(PLACEHOLDER.len()),
            "STOP SLAVE IO_THREAD;\n\
             CHANGE MASTER TO MASTER_SSL = 1, MASTER_SSL_CA = '/etc/mysql/ca.pem', \
             MASTER_SSL_VERIFY_SERVER_CERT = 1;\n\
             START SLAVE IO_THREAD;"
        );
        assert_eq!(
            remedy(Flavour::Mariadb, "10.11.6-MariaDB", "east").split_off(PLACEHOLDER.len()),
            "STOP SLAVE 'east';\n\
             CHANGE MASTER 'east' TO MASTER_SSL = 1, MASTER_SSL_CA = '/etc/mysql/ca.pem', \
             MASTER_SSL_VERIFY_SERVER_CERT = 1;\n\
             START SLAVE 'east';"
        );
    }
}
