//! Accounts that may read the binary logs.

use std::collections::BTreeMap;

use super::error::Problem;
use super::question::{Asker, Question, Record};
use crate::audit::facts::server::{AccountFacts, Flavour, TlsRequirement};

/// Columns of `mysql.user` and what each stands for. `REPLICATION SLAVE` and `REPLICATION CLIENT`
/// are what a replica has.
const PRIVILEGES: &[(&str, &str)] = &[
    ("Select_priv", "SELECT"),
    ("Insert_priv", "INSERT"),
    ("Update_priv", "UPDATE"),
    ("Delete_priv", "DELETE"),
    ("Create_priv", "CREATE"),
    ("Drop_priv", "DROP"),
    ("Reload_priv", "RELOAD"),
    ("Shutdown_priv", "SHUTDOWN"),
    ("Process_priv", "PROCESS"),
    ("File_priv", "FILE"),
    ("References_priv", "REFERENCES"),
    ("Index_priv", "INDEX"),
    ("Alter_priv", "ALTER"),
    ("Show_db_priv", "SHOW DATABASES"),
    ("Super_priv", "SUPER"),
    ("Create_tmp_table_priv", "CREATE TEMPORARY TABLES"),
    ("Lock_tables_priv", "LOCK TABLES"),
    ("Execute_priv", "EXECUTE"),
    ("Create_view_priv", "CREATE VIEW"),
    ("Show_view_priv", "SHOW VIEW"),
    ("Create_routine_priv", "CREATE ROUTINE"),
    ("Alter_routine_priv", "ALTER ROUTINE"),
    ("Create_user_priv", "CREATE USER"),
    ("Event_priv", "EVENT"),
    ("Trigger_priv", "TRIGGER"),
    ("Create_tablespace_priv", "CREATE TABLESPACE"),
];
const ROLES: &[(&str, &str)] =
    &[("Create_role_priv", "CREATE ROLE"), ("Drop_role_priv", "DROP ROLE")];
/// Dynamic privileges that replicas need, or that do no harm.
const HARMLESS: &[&str] = &["REPLICATION_APPLIER", "GROUP_REPLICATION_STREAM", "CONNECTION_ADMIN"];
/// Accounts that servers make for themselves, locked.
const INTERNAL: &[&str] = &["mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys"];

/// Accounts with `REPLICATION SLAVE`; `None` if they cannot be read.
pub(super) fn accounts(asker: &mut Asker) -> Result<Option<Vec<AccountFacts>>, Problem> {
    let columns = columns(asker);
    let list = columns.join(", ");
    // Not the whole table: that would show this account the others' password hashes.
    let answer = asker.ask(&Question {
        what: "the accounts that may replicate, and whether they must use TLS",
        privilege: &format!("SELECT ({list}) ON mysql.user"),
        statement: &format!("SELECT {list} FROM mysql.user WHERE Repl_slave_priv = 'Y'"),
    })?;
    let Some(answer) = answer else {
        return Ok(None);
    };
    let mut accounts: Vec<_> = answer
        .records()
        .filter(|row| !row.flag(&["is_role"]))
        .map(account)
        .filter(|account| !INTERNAL.contains(&&*account.user))
        .collect();
    if asker.flavour != Flavour::Mariadb && asker.since(8, 0, 0) {
        let dynamic = dynamic_privileges(asker)?;
        for account in &mut accounts {
            let more = dynamic.get(&(account.user.clone(), account.host.clone()));
            account.other_privileges.extend(more.into_iter().flatten().cloned());
        }
    }
    Ok(Some(accounts))
}

fn columns(asker: &Asker) -> Vec<&'static str> {
    let mut columns = vec!["User", "Host", "ssl_type", "plugin"];
    columns.push(match asker.flavour {
        Flavour::Mariadb => "is_role",
        _ => "account_locked",
    });
    columns.extend(["Repl_slave_priv", "Repl_client_priv", "Grant_priv"]);
    columns.extend(PRIVILEGES.iter().map(|(column, _)| *column));
    if asker.flavour != Flavour::Mariadb && asker.since(8, 0, 0) {
        columns.extend(ROLES.iter().map(|(column, _)| *column));
    }
    columns
}

fn account(row: Record<'_>) -> AccountFacts {
    let others = PRIVILEGES.iter().chain(ROLES);
    AccountFacts {
        user: row.text(&["User"]),
        host: row.text(&["Host"]),
        require: match row.get(&["ssl_type"]) {
            Some("ANY") => TlsRequirement::Ssl,
            Some("X509") => TlsRequirement::X509,
            Some("SPECIFIED") => TlsRequirement::Specified,
            _ => TlsRequirement::None,
        },
        plugin: row.text(&["plugin"]),
        locked: row.flag(&["account_locked"]),
        other_privileges: others
            .filter(|(column, _)| row.flag(&[column]))
            .map(|(_, privilege)| (*privilege).to_owned())
            .collect(),
        grant_option: row.flag(&["Grant_priv"]),
    }
}

type OfAccounts = BTreeMap<(String, String), Vec<String>>;

fn dynamic_privileges(asker: &mut Asker) -> Result<OfAccounts, Problem> {
    let answer = asker.ask(&Question {
        what: "the dynamic privileges of accounts that may replicate",
        privilege: "SELECT ON mysql.global_grants",
        statement: "SELECT USER, HOST, PRIV FROM mysql.global_grants",
    })?;
    let mut found = OfAccounts::new();
    for row in answer.unwrap_or_default().records() {
        let privilege = row.text(&["PRIV"]);
        if !HARMLESS.contains(&&*privilege) {
            let account = (row.text(&["USER"]), row.text(&["HOST"]));
            found.entry(account).or_default().push(privilege);
        }
    }
    Ok(found)
}
