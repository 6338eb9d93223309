//! Accounts that may read the binary logs.

use std::collections::BTreeSet;

use super::server::sql_remedy;
use super::{Judgement, of_server, seen};
use crate::audit::facts::server::{AccountFacts, Flavour, ServerFacts, TableGrant, TlsRequirement};
use crate::audit::facts::settings::Product;
use crate::audit::sql;
use crate::finding::{RuleId, Severity, Subject};

/// Who has one of these is no account for replication, but one for people.
const ADMINISTRATIVE: [&str; 3] = ["SUPER", "CREATE USER", "SYSTEM_USER"];
/// Reached through a socket, or from the machine itself.
const LOCAL: &str = "localhost";
const PUBLIC: &str = "PUBLIC";
const LOOPBACK: [&str; 2] = ["127.0.0.1", "::1"];
const OUTDATED: [&str; 2] = ["mysql_native_password", "sha256_password"];
/// An address from the range that is for documentation.
const SOMEWHERE: &str = "192.0.2.10";

/// Judges the accounts of one server; `sources` are the audited servers that it replicates from,
/// whose accounts come to it with their changes.
pub(in crate::audit) fn judge(
    facts: &ServerFacts,
    sources: &[&ServerFacts],
    judgement: &mut Judgement,
) {
    let begin = judgement.findings.len();
    for account in facts.accounts.iter().flatten().filter(|account| !account.locked) {
        if !is_local(facts, account) {
            judge_account(facts, account, judgement);
        }
        way_in(facts, account, judgement);
    }
    for account in facts.other_accounts.iter().filter(|account| !account.locked) {
        way_in(facts, account, judgement);
    }
    // A change of an account that replication brings is made at the source: made here as well, it
    // would stop replication when it comes, and leave a transaction that the source does not have.
    let brought = |name: &str| {
        sources.iter().find(|source| {
            let accounts = source.accounts.iter().flatten().chain(&source.other_accounts);
            accounts.into_iter().any(|it| name_of(facts, it) == name)
        })
    };
    for finding in judgement.findings.iter_mut().skip(begin) {
        if let Subject::Server { object: Some(object), .. } = &finding.subject
            && let Some(source) = brought(object)
        {
            let from = &source.address;
            finding.own_remedy = Some(sql_remedy(format!(
                "-- nothing here: this account comes from {from}, and so does its change"
            )));
        }
    }
}

/// An account as statements and findings have it. MariaDB's role that everybody has goes by its bare
/// name, and nobody logs in as it.
pub(in crate::audit) fn name_of(facts: &ServerFacts, account: &AccountFacts) -> String {
    let is_role = account.user == PUBLIC && account.host.is_empty();
    if facts.flavour == Flavour::Mariadb && is_role {
        PUBLIC.to_owned()
    } else {
        sql::account(&account.user, &account.host)
    }
}

/// BLR055 to BLR058: ways to what an account may do that need no password of its own, or more than
/// it was meant to have.
fn way_in(facts: &ServerFacts, account: &AccountFacts, judgement: &mut Judgement) {
    // From the machine itself, its administrator may do everything as it is.
    if account.host == LOCAL || facts.hostname.as_ref() == Some(&account.host) {
        return;
    }
    let name = name_of(facts, account);
    let is_public = name == PUBLIC;
    let about = |message: String| of_server(facts, Some(name.clone()), message);
    let may = if account.may_replicate { "may read the logs" } else { "is let in" };
    if let Some(empty) = account.has_empty_password.filter(|_| !is_public) {
        let severity = if account.may_replicate { Severity::Error } else { Severity::Warning };
        judgement.report_unless(RuleId::Blr055, !empty, || {
            about(format!("{may} without a password"))
                .weighing(severity)
                .seen(seen("authentication_string", "empty", "mysql.user"))
                .remedied(sql_remedy(format!(
                    "-- PLACEHOLDER: the password stands for one that you choose\n\
                     ALTER USER IF EXISTS {name} IDENTIFIED BY 'a-new-password';"
                )))
        });
    }
    judgement.report_unless(RuleId::Blr056, !account.user.is_empty(), || {
        about("everybody is this account, whatever name he gives".to_owned())
            .remedied(sql_remedy(format!("-- if nobody needs it\nDROP USER IF EXISTS {name};")))
    });
    let administers = account.other_privileges.iter().any(|it| ADMINISTRATIVE.contains(&&**it));
    let tables = &account.system_tables;
    judgement.report_unless(RuleId::Blr057, tables.is_empty() || administers, || {
        let list = tables.join(", ");
        about(format!("has {list} on the tables of mysql: hashes, and the channels' passwords"))
            .seen(seen("Db", "mysql", "mysql.db"))
            .remedied(sql_remedy(format!("REVOKE {list} ON mysql.* FROM {name};")))
    });
    let secrets = &account.secret_tables;
    judgement.report_unless(RuleId::Blr057, secrets.is_empty() || administers, || {
        let by = |it: &TableGrant| {
            it.role.as_ref().map_or_else(String::new, |role| format!(" by the role {role}"))
        };
        let list: Vec<_> = secrets
            .iter()
            .map(|it| format!("{} on mysql.{}{}", it.privileges, it.table, by(it)))
            .collect();
        let mut revokes: Vec<_> = secrets.iter().map(|it| revoke(facts, &name, it)).collect();
        revokes.dedup();
        about(format!("has {}", list.join(", ")))
            .seen(seen("Db", "mysql", "mysql.tables_priv, mysql.columns_priv"))
            .remedied(sql_remedy(revokes.join("\n")))
    });
    if facts.clones && account.may_clone {
        judgement.report_unless(RuleId::Blr074, account.require != TlsRequirement::None, || {
            about("may copy the whole server, in the clear".to_owned())
                .seen(seen("PRIV", "BACKUP_ADMIN", "mysql.global_grants"))
                .remedied(sql_remedy(format!("ALTER USER IF EXISTS {name} REQUIRE SSL;")))
        });
    }
    judgement.report_unless(RuleId::Blr058, account.proxies.is_empty() || administers, || {
        let of = account.proxies.join(", ");
        let revokes: Vec<_> =
            account.proxies.iter().map(|it| format!("REVOKE PROXY ON {it} FROM {name};")).collect();
        about(format!("may pose as {of}, which may read the logs"))
            .seen(seen("Proxied_user", &of, "mysql.proxies_priv"))
            .remedied(sql_remedy(revokes.join("\n")))
    });
}

/// Takes a privilege away where it comes from.
fn revoke(facts: &ServerFacts, name: &str, grant: &TableGrant) -> String {
    match &grant.role {
        Some(role) if facts.flavour == Flavour::Mariadb => {
            format!("REVOKE {} FROM {name};", sql::quoted(role))
        }
        Some(role) => format!("REVOKE {} FROM {name};", sql::account(role, "%")),
        None => format!("REVOKE {} ON mysql.{} FROM {name};", grant.privileges, grant.table),
    }
}

/// Nobody on the way can read a socket, or what an administrator says to the machine itself. A
/// replication account of that address is for a tunnel, whose other end is not known.
fn is_local(facts: &ServerFacts, account: &AccountFacts) -> bool {
    let host = &account.host;
    let of_machine = LOOPBACK.contains(&&**host) || facts.hostname.as_ref() == Some(host);
    host == LOCAL || of_machine && is_administrator(facts, account)
}

/// Whether it is an account for people, not for replication.
fn is_administrator(facts: &ServerFacts, account: &AccountFacts) -> bool {
    let mut others = account.other_privileges.iter();
    let is_in_use = facts.replicas.iter().any(|replica| replica.user == account.user);
    others.any(|it| ADMINISTRATIVE.contains(&&**it)) && !is_in_use
}

fn judge_account(facts: &ServerFacts, account: &AccountFacts, judgement: &mut Judgement) {
    let name = sql::account(&account.user, &account.host);
    let by =
        account.by_role.as_ref().map_or_else(String::new, |role| format!(", by the role {role}"));
    let about = |message: &str| of_server(facts, Some(name.clone()), format!("{message}{by}"));
    let shown = |column: &str, value: &str| seen(column, value, "mysql.user");
    judgement.report_unless(RuleId::Blr050, account.require != TlsRequirement::None, || {
        about("may replicate without TLS")
            .seen(shown("ssl_type", "empty"))
            .remedied(sql_remedy(format!("ALTER USER IF EXISTS {name} REQUIRE SSL;")))
    });
    if account.require != TlsRequirement::None {
        judgement.report_unless(RuleId::Blr051, account.require != TlsRequirement::Ssl, || {
            about("its password alone tells who it is").seen(shown("ssl_type", "ANY")).remedied(
                sql_remedy(format!(
                    "-- once every replica's channel shows a certificate (SOURCE_SSL_CERT, \
                     SOURCE_SSL_KEY; MASTER_SSL_CERT): without one it is let in no more\n\
                     ALTER USER IF EXISTS {name} REQUIRE X509;"
                )),
            )
        });
    }
    judgement.report_unless(RuleId::Blr052, !is_any(&account.host), || {
        let host = usual_host(facts, &account.user);
        let to = sql::account(&account.user, host.as_deref().unwrap_or(SOMEWHERE));
        let mut remedy = format!("RENAME USER {name} TO {to};");
        if host.is_none() {
            let note = format!("-- PLACEHOLDER: {SOMEWHERE} stands for the replica's address\n");
            remedy.insert_str(0, &note);
        }
        about("may come from any host")
            .seen(shown("Host", &account.host))
            .remedied(sql_remedy(remedy))
    });
    privileges(facts, account, &name, judgement);
    let mariadb = facts.flavour == Flavour::Mariadb;
    let since_8 = facts.version.parse::<Product>().is_ok_and(|it| it.version >= (8, 0, 18));
    // 5.7 knows no better one than sha256_password.
    let is_old =
        OUTDATED.contains(&&*account.plugin) && (since_8 || account.plugin != "sha256_password");
    let outdated = account.plugin == "mysql_old_password" || !mariadb && is_old;
    judgement.report_unless(RuleId::Blr054, !outdated, || {
        let good = if mariadb {
            format!(
                "-- PLACEHOLDER: the password stands for one that you choose; tell it to the replica\n\
                 ALTER USER IF EXISTS {name} IDENTIFIED VIA ed25519 USING PASSWORD('a-new-password');"
            )
        } else if !since_8 {
            // 5.7 has neither a better plugin than this one nor random passwords.
            format!(
                "-- PLACEHOLDER: the password stands for one that you choose; over TLS alone\n\
                 ALTER USER IF EXISTS {name} IDENTIFIED WITH sha256_password BY 'a-new-password';"
            )
        } else {
            format!("ALTER USER IF EXISTS {name} IDENTIFIED WITH caching_sha2_password BY RANDOM PASSWORD;")
        };
        about("proves who it is in an outdated way")
            .seen(shown("plugin", &account.plugin))
            .remedied(sql_remedy(good))
    });
}

/// BLR053.
fn privileges(facts: &ServerFacts, account: &AccountFacts, name: &str, judgement: &mut Judgement) {
    let others = &account.other_privileges;
    if is_administrator(facts, account) {
        return;
    }
    let fits = others.is_empty() && !account.grant_option;
    judgement.report_unless(RuleId::Blr053, fits, || {
        let mut statements = Vec::new();
        if account.grant_option {
            statements.push(format!("REVOKE GRANT OPTION ON *.* FROM {name};"));
        }
        if !others.is_empty() {
            statements.push(format!("REVOKE {} ON *.* FROM {name};", others.join(", ")));
        }
        let has = match others.len() {
            0 => "may hand its privileges on".to_owned(),
            1..=4 => format!("has {} besides", others.join(", ")),
            many => format!(
                "has {many} more privileges, {} among them",
                others.first().map_or("", |it| it)
            ),
        };
        of_server(facts, Some(name.to_owned()), has).remedied(sql_remedy(statements.join("\n")))
    });
}

/// Whether a host part leaves open more than a subnet: `%`, `%.example`, `1%`.
fn is_any(host: &str) -> bool {
    let pattern = host.trim_matches(['%', '_', '.']);
    let wild = host.contains(['%', '_']);
    let numbers = pattern.split('.').filter(|part| !part.is_empty());
    let is_address = pattern.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match (wild, is_address) {
        (false, _) => host.is_empty(),
        // Two of an address's four numbers are a subnet.
        (true, true) => {
            numbers.count() < 2 || !host.starts_with(|first: char| first.is_ascii_digit())
        }
        // A domain of one's own: its names are given out by oneself.
        (true, false) => pattern.is_empty() || !host.ends_with(pattern),
    }
}

/// Where its replicas come from, if that is one place.
fn usual_host(facts: &ServerFacts, user: &str) -> Option<String> {
    let hosts: BTreeSet<_> = facts
        .replicas
        .iter()
        .filter(|replica| replica.user == user && !replica.host.is_empty())
        .map(|replica| replica.host.clone())
        .collect();
    match hosts.len() {
        1 => hosts.into_iter().next(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_told_from_subnets() {
        for any in ["%", "", "1%", "10.%", "%.%", "_%", "%.1.2.3", "db%"] {
            assert!(is_any(any), "{any}");
        }
        for place in [
            "10.1.2.3",
            "10.1.%",
            "10.1.2.%",
            "db1.example",
            "%.db.example",
            "10.1.0.0/255.255.0.0",
        ] {
            assert!(!is_any(place), "{place}");
        }
    }

    fn findings(account: AccountFacts) -> Vec<(RuleId, String)> {
        let facts = ServerFacts { accounts: Some(vec![account]), ..ServerFacts::default() };
        let mut judgement = Judgement::default();
        judge(&facts, &[], &mut judgement);
        judgement.findings.iter().map(|finding| (finding.rule, finding.remedy().text)).collect()
    }

    #[test]
    fn ssl_and_x509_are_told_apart() {
        let account = |require| AccountFacts {
            user: "repl".to_owned(),
            host: "10.0.0.2".to_owned(),
            plugin: "caching_sha2_password".to_owned(),
            require,
            ..AccountFacts::default()
        };
        assert_eq!(
            findings(account(TlsRequirement::None)),
            [(RuleId::Blr050, "ALTER USER IF EXISTS 'repl'@'10.0.0.2' REQUIRE SSL;".to_owned())]
        );
        assert_eq!(
            findings(account(TlsRequirement::Ssl)),
            [(RuleId::Blr051, "-- once every replica's channel shows a certificate (SOURCE_SSL_CERT, SOURCE_SSL_KEY; MASTER_SSL_CERT): without one it is let in no more\nALTER USER IF EXISTS 'repl'@'10.0.0.2' REQUIRE X509;".to_owned())]
        );
        assert_eq!(findings(account(TlsRequirement::X509)), []);
        assert_eq!(findings(account(TlsRequirement::Specified)), []);
        let local = AccountFacts { host: "localhost".to_owned(), ..account(TlsRequirement::None) };
        assert_eq!(findings(local), []);
    }

    #[test]
    fn what_is_outdated_or_too_much_is_taken_away() {
        let account = AccountFacts {
            user: "repl".to_owned(),
            host: "10.0.0.2".to_owned(),
            plugin: "mysql_native_password".to_owned(),
            require: TlsRequirement::X509,
            other_privileges: vec!["SELECT".to_owned(), "FILE".to_owned()],
            grant_option: true,
            ..AccountFacts::default()
        };
        let [excess, old] = <[_; 2]>::try_from(findings(account)).unwrap();
        assert_eq!(
            excess,
            (
                RuleId::Blr053,
                "REVOKE GRANT OPTION ON *.* FROM 'repl'@'10.0.0.2';\n\
                 REVOKE SELECT, FILE ON *.* FROM 'repl'@'10.0.0.2';"
                    .to_owned()
            )
        );
        assert_eq!(old.0, RuleId::Blr054);
    }
}
